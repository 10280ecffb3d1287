"""A worker calls: who he is, and then everything that his keys can do."""

import pytest

from ivr.inbound import INBOUND, SIGN_IN, Key, Visit, attend, prepare
from ivr.prompts import LANGUAGES
from ivr.tones import beep
from tests.unit.ivr.conversing import PROMPTS, Person
from tests.unit.ivr.desks import CODE, DURESS, PIN, PretendDesk
from voice.sim.loop import run_virtual, virtual_loop, virtually
from voice.sim.speech import clip

HELLO = "Earshot. Anna, welcome."
NEXT = "The next check-in is at 2 35 p m."
MENU = "Press 1 to start a session."
MORE = "Choose a key, or press zero for the menu."
IN = f"{PIN}#"
"""What a worker keys who knows how it goes."""


async def _calls(person: Person, desk: PretendDesk, language: str = "en") -> Visit:
    return await attend(person.phone, person.voice(language), desk, "Anna")


async def _doing(keys: str, *, running: bool = True) -> tuple[Person, PretendDesk]:
    """Keys all in one go, after the PIN."""
    person, desk = Person(), PretendDesk(running=running)
    person.phone.press(IN + keys)
    assert (await _calls(person, desk)).signed_in
    assert not person.phone.hung_up
    assert desk.done[0] == "accept"
    del desk.done[0]
    return person, desk


def _after_menu(person: Person) -> list[str]:
    """What was said up to where the worker was asked what else."""
    return person.heard[: person.heard.index(MORE)]


# -- who calls --


@virtually
async def test_a_number_that_is_known_is_greeted_and_asked_for_the_pin_and_nothing_else_is_told() -> None:
    person, desk = Person(), PretendDesk()
    visit = await _calls(person, desk)
    assert person.heard[:3] == [
        HELLO,
        "Key in your PIN, followed by hash.",
        "If you are somebody else, press star.",
    ]
    assert visit == Visit(False, False, "en")
    assert person.heard[-1] == "This did not work. Goodbye."
    assert person.phone.hung_up
    assert desk.done == []


@virtually
async def test_who_keys_his_pin_hears_how_his_session_stands_and_the_menu() -> None:
    person = Person()
    person.presses_on("PIN", IN)
    assert await _calls(person, PretendDesk()) == Visit(True, False, "en")
    status = person.heard.index(f"Your session runs until 4 oh 5 p m. {NEXT}")
    assert person.heard[status + 1].startswith(MENU)


@virtually
async def test_the_line_stays_open_and_silent_when_he_does_nothing_more() -> None:
    person = Person()
    person.phone.press(IN)
    assert await _calls(person, PretendDesk()) == Visit(True, False, "en")
    assert person.heard_often(MENU) == 3
    assert not person.phone.is_over


@virtually
async def test_a_number_that_is_not_known_is_asked_for_the_code_and_then_for_the_pin() -> None:
    person, desk = Person(), PretendDesk(known=False, running=False)
    person.presses_on("worker number", f"{CODE}#")
    person.presses_on("PIN", IN)
    assert (await _calls(person, desk)).signed_in
    assert person.heard[:5] == [
        "Earshot. Welcome.",
        "Key in your worker number, followed by hash.",
        "For another language, press star.",
        "Key in your PIN, followed by hash.",
        "You have no session running.",
    ]


def test_a_worker_that_there_is_not_hears_the_same_as_a_wrong_pin() -> None:
    async def told(code: str, pin: str) -> list[tuple[float, bytes]]:
        person, desk = Person(), PretendDesk(known=False)
        person.presses_on("worker number", f"{code}#")
        person.presses_in_turn("PIN", f"{pin}#", f"{pin}#", f"{pin}#")
        assert await _calls(person, desk) == Visit(False, False, "en", 3)
        assert desk.done == ["refuse"] * 3
        assert person.heard[-1] == "This did not work. Goodbye."
        assert person.heard_often("That was not right") == 2
        return person.transcript

    assert run_virtual(told("77", PIN)) == run_virtual(told(CODE, "1111"))


@virtually
async def test_somebody_else_can_use_a_telephone_that_is_known() -> None:
    person, desk = Person(), PretendDesk()
    person.phone.press("*")
    person.presses_on("worker number", f"{CODE}#{IN}")
    assert (await _calls(person, desk)).signed_in


@virtually
async def test_who_is_not_known_can_choose_his_language_first() -> None:
    person, desk = Person(), PretendDesk(known=False, language="de")
    person.presses_on("press star", "*")
    person.presses_on("appuyez sur 4", "4")
    person.presses_on("numéro d'employé", f"{CODE}#{IN}")
    visit = await _calls(person, desk, "nl")
    assert visit == Visit(True, False, "fr")
    assert person.heard[:3] == [
        "Earshot. Welkom.",
        "Toets uw personeelsnummer in, en daarna hekje.",
        "For another language, press star.",
    ]
    languages = {text.text: text.language for text in person.speaker.texts if "press 2" in text.text.lower()}
    assert languages["For English, press 2."] == "en"


@virtually
async def test_who_has_signed_in_is_spoken_to_in_his_language() -> None:
    person, desk = Person(), PretendDesk(known=False, language="nl")
    person.presses_on("worker number", f"{CODE}#")
    person.presses_on("PIN", IN)
    assert (await _calls(person, desk)).language == "nl"
    assert any("De volgende controle is om 14 uur 35." in text for text in person.heard)


@virtually
async def test_a_pin_counts_though_he_hangs_up_at_once() -> None:
    for pin in (PIN, DURESS):
        person, desk = Person(), PretendDesk()
        person.presses_on("PIN", pin)
        person.hearing("PIN", person.phone.leave, after=0.6)
        assert await _calls(person, desk) == Visit(True, True, "en")
        assert desk.duress is (pin == DURESS)


@virtually
async def test_a_caller_who_hangs_up_has_done_nothing() -> None:
    person, desk = Person(), PretendDesk()
    virtual_loop().call_later(1.0, person.phone.leave)
    assert await _calls(person, desk) == Visit(False, True, "en")
    assert desk.done == []


# -- what he can do --


@pytest.mark.parametrize(("interval", "minutes"), [("1", 15), ("2", 30), ("3", 60)])
@virtually
async def test_a_session_is_started_by_keys(interval: str, minutes: int) -> None:
    person, desk = await _doing(f"12#{interval}", running=False)
    assert desk.done == [f"start 2 h, each {minutes} min"]
    assert any(text.startswith("Your session has started. It runs until 4 oh 5 p m.") for text in person.heard)


@virtually
async def test_a_session_is_started_as_one_is_asked() -> None:
    person, desk = Person(), PretendDesk(running=False)
    person.phone.press(IN)
    person.presses_on(MENU, "1")
    person.presses_on("how many hours", "10#")
    person.presses_on("How often", "2")
    await _calls(person, desk)
    assert "start 10 h, each 30 min" in desk.done


@pytest.mark.parametrize("hours", ["0#", "13#", "99", "#"])
@virtually
async def test_only_one_to_twelve_hours_can_be_asked_for(hours: str) -> None:
    person, desk = await _doing(f"1{hours}", running=False)
    assert desk.done == []
    assert "This key does nothing here." in person.heard
    assert "No session has been started." in person.heard


@virtually
async def test_a_new_session_takes_the_place_of_one_that_runs() -> None:
    person, desk = await _doing("14#2")
    assert "Your session is already running. A new one takes its place." in person.heard
    assert desk.done == ["start 4 h, each 30 min"]


@virtually
async def test_a_session_that_cannot_be_started_is_told() -> None:
    person, desk = Person(), PretendDesk(running=False)
    desk.refuses.add("start")
    person.phone.press(f"{IN}12#2")
    await _calls(person, desk)
    assert "No session has been started." in person.heard


@virtually
async def test_he_confirms_and_hears_the_next_due_time() -> None:
    person, desk = await _doing("2")
    assert desk.done == ["confirm"]
    assert _after_menu(person) == [f"Thank you. {NEXT}"]


@virtually
async def test_the_last_confirmation_ends_the_session() -> None:
    person, desk = Person(), PretendDesk(is_last=True)
    person.phone.press(f"{IN}2")
    await _calls(person, desk)
    assert _after_menu(person) == ["Thank you. Your session is over."]


@virtually
async def test_he_extends() -> None:
    person, desk = await _doing("3")
    assert desk.done == ["extend"]
    assert _after_menu(person) == [f"Your session has been extended. It runs until 4 20 p m. {NEXT}"]


@virtually
async def test_ending_is_asked_for_twice() -> None:
    person, desk = await _doing("55")
    assert desk.done == ["end"]
    assert _after_menu(person) == ["Your session has ended. There are no more check-ins."]
    person, desk = await _doing("5")
    assert desk.done == []
    assert "Your session goes on." in person.heard


@virtually
async def test_a_test_alarm_is_asked_for_twice() -> None:
    person, desk = await _doing("66")
    assert desk.done == ["test alarm"]
    assert _after_menu(person) == ["The test alarm has been raised."]
    person, desk = await _doing("6")
    assert desk.done == []
    assert "No test alarm has been raised." in person.heard


@virtually
async def test_the_next_due_time_is_told() -> None:
    person, desk = await _doing("7")
    assert desk.done == []
    assert _after_menu(person) == [NEXT]


@pytest.mark.parametrize("key", ["2", "5", "7"])
@virtually
async def test_without_a_session_he_is_told_so(key: str) -> None:
    person, _ = await _doing(key, running=False)
    assert _after_menu(person) == ["You have no session running."]


@pytest.mark.parametrize(("keys", "errand"), [("3", "extend"), ("66", "test")])
@virtually
async def test_what_cannot_be_done_is_told(keys: str, errand: str) -> None:
    person, desk = Person(), PretendDesk()
    desk.refuses.add(errand)
    person.phone.press(IN + keys)
    await _calls(person, desk)
    assert _after_menu(person) == ["That is not possible right now."]


@virtually
async def test_the_menu_is_said_again_and_wrong_keys_are_told_until_it_is_enough() -> None:
    person, _ = await _doing("0")
    assert person.heard_often(MENU) == 3
    person, _ = await _doing("0*#*#*")
    assert person.heard_often("This key does nothing here.") == 0  # keyed before it was said
    person = Person()
    person.phone.press(IN)
    person.presses_in_turn(MENU, *"*****")
    assert (await _calls(person, PretendDesk())).signed_in
    assert person.heard_often("This key does nothing here.") == 4
    assert not person.phone.is_over


# -- the memo --


@virtually
async def test_a_memo_is_spoken_after_a_tone_ended_by_hash_and_kept() -> None:
    person, desk = Person(), PretendDesk()
    person.phone.press(f"{IN}4")
    words = clip("badge")[:40_000]
    person.hearing("Say after the tone", lambda: person.phone.say(words), after=1.0)
    person.hearing("Say after the tone", lambda: person.phone.press("#"), after=9.0)
    await _calls(person, desk)
    assert desk.done == ["accept", "memo"]
    assert desk.memo is not None
    assert words in desk.memo
    assert any(played.audio.endswith(beep()) for played in person.phone.played)
    assert person.heard_often("Your memo has been kept.") == 1


@virtually
async def test_a_memo_can_be_heard_and_recorded_again() -> None:
    person, desk = Person(), PretendDesk()
    person.phone.press(f"{IN}4")
    first, second = clip("badge")[:40_000], clip("badge")[40_000::-1]
    memos = [first, second]

    def speak() -> None:
        person.phone.say(memos.pop(0))
        person.phone.press_after(8.0, "#")
        if memos:
            person.hearing("Say after the tone", speak, after=1.0)

    person.hearing("Say after the tone", speak, after=1.0)
    person.presses_in_turn("Your memo has been kept", "1", "2", "0")
    await _calls(person, desk)
    assert desk.done == ["accept", "memo", "memo"]
    assert desk.memo is not None
    assert second in desk.memo
    assert any(first in played.audio for played in person.phone.played)


@virtually
async def test_silence_after_the_tone_is_no_memo() -> None:
    person, desk = Person(), PretendDesk()
    person.phone.press(f"{IN}4")
    person.hearing("Say after the tone", lambda: person.phone.press("#"), after=1.0)
    await _calls(person, desk)
    assert desk.done == ["accept"]
    assert "Nothing was heard. There is no new memo." in person.heard


@virtually
async def test_a_memo_is_kept_when_the_worker_hangs_up_while_he_speaks() -> None:
    person, desk = Person(), PretendDesk()
    person.phone.press(f"{IN}4")
    person.hearing("Say after the tone", lambda: person.phone.say(clip("badge")), after=1.0)
    person.hearing("Say after the tone", person.phone.leave, after=5.0)
    assert await _calls(person, desk) == Visit(True, True, "en")
    assert desk.memo is not None
    assert clip("badge")[:16000] in desk.memo


@virtually
async def test_a_memo_ends_by_itself() -> None:
    person, desk = Person(), PretendDesk()
    person.phone.press(f"{IN}4")
    await _calls(person, desk)
    assert desk.memo is not None
    assert len(desk.memo) == 120 * 8000


@virtually
async def test_a_memo_that_cannot_be_kept_is_told() -> None:
    person, desk = Person(), PretendDesk()
    desk.refuses.add("memo")
    person.phone.press(f"{IN}4")
    await _calls(person, desk)
    assert "That is not possible right now." in person.heard


# -- the PIN --


@virtually
async def test_a_pin_is_changed_when_it_was_keyed_twice_the_same() -> None:
    person, desk = await _doing("81357#1357#")
    assert desk.done == ["change PIN"]
    assert desk.pin == "1357"
    assert _after_menu(person) == ["Your PIN has been changed."]


@virtually
async def test_two_pins_that_differ_change_nothing_and_are_asked_for_again() -> None:
    person, desk = Person(), PretendDesk()
    person.phone.press(f"{IN}81357#1358#")
    person.presses_on("were not the same", "2468#2468#")
    await _calls(person, desk)
    assert desk.pin == "2468"


@virtually
async def test_a_pin_that_is_too_simple_is_not_taken() -> None:
    person, desk = await _doing("81111#1111#")
    assert desk.done == []
    assert "This PIN is too simple. Please choose another one." in person.heard
    assert "Your PIN stays as it was." in person.heard


def test_the_duress_pin_as_a_new_pin_sounds_like_any_other() -> None:
    async def told(new: str) -> tuple[list[tuple[float, bytes]], str]:
        person, desk = await _doing(f"8{new}#{new}#")
        assert _after_menu(person) == ["Your PIN has been changed."]
        assert not desk.duress
        return person.transcript, desk.pin

    (changed, new), (kept, old) = run_virtual(told("1357")), run_virtual(told(DURESS))
    assert changed == kept
    assert (new, old) == ("1357", PIN)


@virtually
async def test_half_a_new_pin_and_hanging_up_changes_nothing() -> None:
    for keys in ("1357", "1357#13"):
        person, desk = Person(), PretendDesk()
        person.phone.press(f"{IN}8{keys}")
        virtual_loop().call_later(2.0, person.phone.leave)
        assert (await _calls(person, desk)).hung_up
        assert desk.pin == PIN


# -- the language --


@pytest.mark.parametrize(("key", "language"), [("1", "nl"), ("2", "en"), ("3", "de"), ("4", "fr")])
@virtually
async def test_the_language_is_changed_by_key(key: str, language: str) -> None:
    person, desk = Person(), PretendDesk(language="en")
    person.phone.press(f"{IN}9{key}")
    assert (await _calls(person, desk)).language == language
    assert person.speaker.read(person.phone.played[-2].audio)[-1].language == language


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_menu_names_every_key(language: str) -> None:
    text = PROMPTS.text(language, "worker.menu", {}).lower()
    for key in Key:
        assert key in text or PROMPTS.text(language, f"saying.key.{key}", {}).lower() in text, key


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_language_names_its_own_key(language: str) -> None:
    assert str(LANGUAGES.index(language) + 1) in PROMPTS.text(language, "language.choose", {})


@virtually
async def test_what_is_said_to_everybody_is_ready_beforehand() -> None:
    person = Person()
    await prepare(person.voice("de"), "Anna")
    said = {(text.text, text.language) for text in person.speaker.texts}
    assert ("For English, press 2.", "en") in said
    assert ("Es läuft kein Einsatz.", "de") in said
    ready = len(said)
    assert ready > len(set(SIGN_IN.prompts + INBOUND.prompts)) - 10
