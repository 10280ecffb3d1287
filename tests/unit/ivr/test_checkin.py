"""The check-in call, told with a pretended phone, in virtual time."""

import random
from dataclasses import replace
from datetime import timedelta

import pytest

from ivr.checkin import CHECK_IN, CHECK_IN_PIN, CheckedIn, CheckIn, Outcome, check_in, prepare, random_key
from ivr.desk import Standing
from ivr.prompts import LANGUAGES
from tests.unit.ivr.conversing import NOW, PROMPTS, Person
from tests.unit.ivr.desks import DURESS, DURESS_KEYS, PIN, PretendDesk
from voice.sim.loop import virtual_loop, virtually
from voice.sim.speech import clip, silence, tone

BY_KEY = CheckIn("Anna de Vries", "Care East", key="4", entries=(DURESS_KEYS,))
BY_PIN = replace(BY_KEY, key=None, entries=())
WHO = "Earshot check-in for Anna de Vries, on behalf of Care East."
ASK = "If you are well, press four."
AGAIN = "That was not right. Once more, please."
THANKS = "Thank you. The next check-in is at 2 35 p m."
NOTHING = "Nothing has been confirmed. You will be called again."


async def _called(
    person: Person, desk: PretendDesk | None = None, call: CheckIn = BY_KEY, language: str = "en"
) -> CheckedIn:
    return await check_in(person.phone, person.voice(language), desk or PretendDesk(key=call.key), call)


@virtually
async def test_who_calls_and_why_is_said_first() -> None:
    person = Person()
    await _called(person)
    assert person.heard[:2] == [WHO, ASK]
    assert person.heard[0].startswith("Earshot check-in")


@virtually
async def test_the_key_asked_for_confirms_and_the_next_due_time_is_said() -> None:
    person, desk = Person(), PretendDesk(key="4")
    person.presses_on("press four", "4")
    assert await _called(person, desk) == CheckedIn(Outcome.ACCEPTED)
    assert person.heard[-1] == THANKS
    assert desk.done == ["accept", "confirm"]


@virtually
async def test_the_line_stays_open_after_an_entry_that_counts() -> None:
    for entry in ("4", DURESS_KEYS):
        person = Person()
        person.presses_on("press four", entry)
        assert (await _called(person)).outcome.is_answered
        assert not person.phone.is_over


@virtually
async def test_the_desk_hears_of_it_before_the_words_are_spoken() -> None:
    person, desk, told = Person(), PretendDesk(key="4"), list[list[str]]()
    person.presses_on("press four", "4")
    person.hearing("Thank you", lambda: told.append(list(desk.done)), after=-2.0)
    await _called(person, desk)
    assert told == [["accept", "confirm"]]


@virtually
async def test_silence_is_asked_twice_more_then_he_is_told_that_he_will_be_called_again() -> None:
    person = Person()
    assert await _called(person) == CheckedIn(Outcome.NOT_CONFIRMED)
    assert person.heard == [WHO, ASK, WHO, ASK, WHO, ASK, NOTHING]
    assert person.phone.hung_up


@virtually
async def test_the_last_call_promises_no_other() -> None:
    person = Person()
    await _called(person, call=replace(BY_KEY, is_repeated=False))
    assert person.heard[-1] == "Nothing has been confirmed. Goodbye."


@virtually
async def test_three_wrong_keys_end_it_with_the_words_of_silence() -> None:
    person = Person()
    person.presses_in_turn("press four", *"378")
    result = await _called(person)
    assert result == CheckedIn(Outcome.NOT_CONFIRMED, "3 wrong entries")
    assert person.heard_often(AGAIN) == 2
    assert person.heard[-1] == NOTHING
    assert not person.phone.hung_up, "one of them may have called for help"


@virtually
async def test_a_wrong_key_is_told_and_the_right_one_still_counts() -> None:
    person = Person()
    person.presses_in_turn("press four", "7", "4")
    assert (await _called(person)).outcome is Outcome.ACCEPTED
    assert person.heard[2:] == [AGAIN, WHO, ASK, THANKS]


@virtually
async def test_all_keys_in_one_go_confirm_nothing() -> None:
    person, desk = Person(), PretendDesk(key="4")
    person.presses_on("press four", "123456789")
    assert (await _called(person, desk)).outcome is Outcome.NOT_CONFIRMED
    assert "confirm" not in desk.done


@virtually
async def test_a_key_pressed_before_it_was_asked_for_confirms_nothing() -> None:
    person, desk = Person(), PretendDesk(key="4")
    person.phone.press("4")
    assert (await _called(person, desk)).outcome is Outcome.NOT_CONFIRMED
    assert desk.done == []


@pytest.mark.parametrize("entry", [DURESS_KEYS, f"{DURESS_KEYS}4", f"4{DURESS_KEYS}"])
@virtually
async def test_the_silent_call_for_help_counts_even_before_it_was_asked(entry: str) -> None:
    person, desk = Person(), PretendDesk(key="4")
    person.phone.press(entry)
    assert (await _called(person, desk)).outcome is Outcome.ACCEPTED
    assert person.heard == [WHO, THANKS]
    assert desk.duress


@virtually
async def test_the_silent_call_for_help_counts_while_a_wrong_key_is_told() -> None:
    person, desk = Person(), PretendDesk(key="4")
    person.presses_on("press four", "7")
    person.presses_on("not right", DURESS_KEYS, after=-1.0)
    assert (await _called(person, desk)).outcome is Outcome.ACCEPTED
    assert desk.duress


@virtually
async def test_the_silent_call_for_help_counts_when_the_key_follows_it() -> None:
    person, desk = Person(), PretendDesk(key="4")
    person.presses_on("press four", f"{DURESS_KEYS}4")
    assert (await _called(person, desk)).outcome is Outcome.ACCEPTED
    assert desk.duress
    assert person.heard[-1] == THANKS


@virtually
async def test_half_of_it_is_a_wrong_key_like_any_other() -> None:
    seconds = set()
    for key in ("0", "7"):
        person = Person()
        person.presses_in_turn("press four", key, "4")
        assert (await _called(person)).outcome is Outcome.ACCEPTED
        assert person.heard[2] == AGAIN
        seconds.add(round(person.seconds, 3))
    assert len(seconds) == 1


@pytest.mark.parametrize("entry", [f"{PIN}#", PIN, f"{DURESS}#", DURESS])
@virtually
async def test_a_pin_confirms(entry: str) -> None:
    person, desk = Person(), PretendDesk()
    person.presses_on("key in your PIN", entry)
    assert (await _called(person, desk, BY_PIN)).outcome is Outcome.ACCEPTED
    assert person.heard == [WHO, "If you are well, key in your PIN, followed by hash.", THANKS]
    assert desk.duress is (DURESS in entry)


@virtually
async def test_a_pin_can_be_keyed_before_it_is_asked_for() -> None:
    person = Person()
    person.phone.press(f"{PIN}#")
    assert (await _called(person, call=BY_PIN)).outcome is Outcome.ACCEPTED
    assert person.heard == [THANKS]


@virtually
async def test_a_pin_can_be_begun_anew_with_star() -> None:
    person = Person()
    person.presses_on("key in your PIN", f"99*{PIN}#")
    assert (await _called(person, call=BY_PIN)).outcome is Outcome.ACCEPTED


@virtually
async def test_three_wrong_pins_end_it_with_the_words_of_silence() -> None:
    person, desk = Person(), PretendDesk()
    person.presses_on("key in your PIN", "1111#2222#3333#4711#")
    assert await _called(person, desk, BY_PIN) == CheckedIn(Outcome.NOT_CONFIRMED, "3 wrong entries")
    assert desk.done == ["refuse"] * 3
    assert person.heard[-1] == NOTHING


@pytest.mark.parametrize(("call", "entry"), [(BY_KEY, "4"), (BY_PIN, PIN), (BY_PIN, DURESS), (BY_KEY, DURESS_KEYS)])
@virtually
async def test_what_was_keyed_counts_though_he_hangs_up_at_once(call: CheckIn, entry: str) -> None:
    person, desk = Person(), PretendDesk(key=call.key)
    person.presses_on("If you are well", entry)
    person.hearing("If you are well", person.phone.leave, after=0.6)
    result = await _called(person, desk, call)
    assert result == CheckedIn(Outcome.ACCEPTED, hung_up=True)
    assert desk.done == ["accept", "confirm"]


@virtually
async def test_the_silent_call_for_help_counts_though_he_hangs_up_while_who_calls_is_said() -> None:
    person, desk = Person(), PretendDesk(key="4")
    person.phone.press(DURESS_KEYS)
    virtual_loop().call_later(1.0, person.phone.leave)
    assert (await _called(person, desk)).outcome is Outcome.ACCEPTED
    assert desk.duress


@pytest.mark.parametrize("call", [BY_KEY, BY_PIN])
@virtually
async def test_half_a_pin_and_hanging_up_confirms_nothing(call: CheckIn) -> None:
    person, desk = Person(), PretendDesk(key=call.key)
    person.presses_on("If you are well", "9")
    person.hearing("If you are well", person.phone.leave, after=0.6)
    assert (await _called(person, desk, call)).outcome is Outcome.HUNG_UP
    assert desk.done == ["refuse"]


@virtually
async def test_hanging_up_before_anything_was_keyed_is_no_answer() -> None:
    person = Person()
    virtual_loop().call_later(1.0, person.phone.leave)
    assert await _called(person) == CheckedIn(Outcome.HUNG_UP, hung_up=True)


@virtually
async def test_a_session_that_is_over_can_be_extended() -> None:
    person, desk = Person(), PretendDesk(key="4", is_last=True)
    person.presses_on("press four", "4")
    person.presses_on("press 1", "1")
    result = await _called(person, desk, replace(BY_KEY, is_last=True))
    assert result.outcome is Outcome.EXTENDED
    assert person.heard[1:] == [
        "Your session is over. If you are well, press four.",
        "Thank you. Your session is over. If you are still working, press 1 to extend it.",
        "Your session has been extended. It runs until 4 20 p m. The next check-in is at 2 35 p m.",
    ]
    assert not person.phone.is_over


@virtually
async def test_a_session_that_is_over_and_not_extended_leaves_the_line_open_too() -> None:
    person = Person()
    person.presses_on("press four", "4")
    result = await _called(person, PretendDesk(key="4", is_last=True), replace(BY_KEY, is_last=True))
    assert result.outcome is Outcome.OVER
    assert person.heard_often("press 1 to extend") == 2
    assert not person.phone.is_over


@virtually
async def test_who_hangs_up_when_asked_to_extend_has_answered() -> None:
    person = Person()
    person.presses_on("press four", "4")
    person.hearing("press 1", person.phone.leave)
    result = await _called(person, PretendDesk(key="4", is_last=True), replace(BY_KEY, is_last=True))
    assert result == CheckedIn(Outcome.OVER, hung_up=True)


@virtually
async def test_an_extension_that_cannot_be_is_told() -> None:
    person, desk = Person(), PretendDesk(key="4", is_last=True)
    desk.refuses.add("extend")
    person.presses_on("press four", "4")
    person.presses_on("press 1", "1")
    assert (await _called(person, desk)).outcome is Outcome.OVER
    assert person.heard[-1] == "That is not possible right now."
    assert not person.phone.is_over


@virtually
async def test_a_session_that_has_ended_meanwhile_is_thanked_for() -> None:
    person = Person()
    person.presses_on("press four", "4")
    assert (await _called(person, PretendDesk(key="4", running=False))).outcome is Outcome.ACCEPTED
    assert person.heard[-1] == "Thank you."


@virtually
async def test_an_answering_machine_is_asked_less_often() -> None:
    person = Person()
    person.hearing("Earshot", lambda: person.phone.say(clip("badge") + tone(1000, 0.4) + silence(3)))
    result = await _called(person)
    assert result.outcome is Outcome.VOICEMAIL_SUSPECTED
    assert "1000 Hz" in result.why
    assert person.heard == [WHO, ASK]
    assert person.phone.hung_up


@virtually
async def test_a_machine_that_was_heard_takes_no_key_away() -> None:
    person = Person()
    person.hearing("Earshot", lambda: person.phone.say(clip("badge") + tone(1000, 0.4)))
    person.presses_on("press four", "4", after=4.0)
    assert (await _called(person)).outcome is Outcome.ACCEPTED


@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("nl", ["Earshot-controle voor Anna de Vries, namens Care East.", "Als het goed met u gaat, druk op vier.",
                "Dank u. De volgende controle is om 14 uur 35."]),
        ("en", [WHO, ASK, THANKS]),
        ("de", ["Earshot-Kontrollanruf für Anna de Vries, im Auftrag von Care East.",
                "Wenn es Ihnen gut geht, drücken Sie die Vier.",
                "Danke. Der nächste Kontrollanruf kommt um 14 Uhr 35."]),
        ("fr", ["Appel de contrôle d'Earshot pour Anna de Vries, au nom de Care East.",
                "Si tout va bien, appuyez sur quatre.", "Merci. Le prochain contrôle est à 14 heures 35."]),
    ],
)  # fmt: skip
@virtually
async def test_it_is_said_in_every_language(language: str, said: list[str]) -> None:
    person = Person()
    person.presses_on(said[1], "4")
    await _called(person, language=language)
    assert person.heard == said


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_check_in_of_tomorrow_is_said_with_its_date(language: str) -> None:
    standing = Standing(NOW, NOW + timedelta(hours=10), None)
    text = PROMPTS.text(language, "check_in.thanks", standing.values(), timezone="Europe/Amsterdam")
    assert any(month in text for month in ("maart", "March", "März", "mars"))


@virtually
async def test_everything_is_ready_before_the_call_is_answered() -> None:
    for call in (BY_KEY, BY_PIN):
        person = Person()
        await prepare(person.voice(), call)
        ready = {text.text for text in person.speaker.texts}
        await _called(person, call=call)
        assert set(person.heard) <= ready


def test_the_key_begins_nothing_that_has_another_meaning() -> None:
    dice = random.Random(1)
    keys = {random_key(dice, ("00", "55", "")) for _ in range(300)}
    assert keys == set("12346789")


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_prompt_of_a_check_in_hints_at_another_entry(language: str) -> None:
    said = " ".join(PROMPTS.written(language, prompt) for prompt in (CHECK_IN.prompts + CHECK_IN_PIN.prompts))
    assert not any(word in said.lower() for word in ("duress", "dwang", "zwang", "contrainte", "alarm"))
