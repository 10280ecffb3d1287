"""Asking a contact to take an alarm: told with a pretended phone, in virtual time."""

import asyncio
import random
from collections import Counter
from pathlib import Path

import pytest

from config.models import Speech
from ivr.accept import ACCEPT, DECLINE, PROOF, Acceptance, Alarm, Outcome, accept, prepare, random_key
from ivr.sound import parted
from ivr.taker import dismiss
from tests.unit.ivr.conversing import Person
from voice.sim.loop import run_virtual, virtual_loop, virtually
from voice.sim.pretend import PretendPhone
from voice.sim.speech import clip, silence, tone
from voice.speaking import open_speech

ALARM = Alarm("Care East", "Anna de Vries", "panic")
GRACE = 60.0
"""Seconds after the answer within which the escalation wants to know."""


async def _asked(person: Person, key: str = "4", alarm: Alarm = ALARM, language: str = "en") -> Acceptance:
    return await accept(person.phone, person.voice(language), alarm, key=key)


@virtually
async def test_who_calls_and_why_is_said_first() -> None:
    person = Person()
    await _asked(person)
    assert person.heard[:4] == [
        "Earshot alarm for Care East: Anna de Vries.",
        "This is a panic alarm.",
        "To take this alarm, press four.",
        "To decline, press star.",
    ]


@virtually
async def test_a_call_without_customer_and_worker_says_what_is_known() -> None:
    person = Person()
    await _asked(person, alarm=Alarm("", "", "unidentified"))
    assert person.heard[0] == "Earshot alarm: an unknown worker."


@virtually
async def test_the_key_asked_for_accepts_is_confirmed_and_keeps_the_call_up() -> None:
    person = Person()
    person.presses_on("press four", "4")
    assert await _asked(person) == Acceptance(Outcome.ACCEPTED, PROOF)
    assert person.heard[-1] == "Thank you. You have taken the alarm."
    assert not person.phone.is_over


@pytest.mark.parametrize(("after", "outcome"), [(-0.5, Outcome.NOT_ACCEPTED), (0.02, Outcome.ACCEPTED)])
def test_a_key_counts_from_the_end_of_the_word_that_names_it_and_not_from_the_end_of_the_pause_behind(
    tmp_path: Path, after: float, outcome: Outcome
) -> None:
    async def story() -> None:
        phone, voice = PretendPhone(), open_speech(Speech(directory=tmp_path)).voice("en")

        def press(audio: bytes) -> None:
            phone.on_play = None
            phone.press_after(len(parted(audio)[0]) / 8000 + after, "4")

        phone.on_play = press
        assert (await accept(phone, voice, Alarm("", "", "panic"), key="4")).outcome is outcome

    run_virtual(story())


@virtually
async def test_the_escalation_hears_of_the_key_before_the_confirmation_is_spoken() -> None:
    person, accepted = Person(), list[float]()
    person.presses_on("press four", "4")
    await accept(
        person.phone,
        person.voice(),
        ALARM,
        key="4",
        on_accepted=lambda: accepted.append(virtual_loop().time()),
    )
    assert len(accepted) == 1
    assert virtual_loop().time() - accepted[0] > 1.0


@virtually
async def test_who_presses_the_key_and_hangs_up_at_once_has_taken_the_alarm() -> None:
    person = Person()
    person.presses_on("press four", "4")
    person.hearing("You have taken", person.phone.leave, after=-1.0)
    result = await _asked(person)
    assert result.outcome is Outcome.ACCEPTED
    assert result.hung_up


@virtually
async def test_star_declines() -> None:
    person = Person()
    person.presses_on("press star", DECLINE)
    assert (await _asked(person)).outcome is Outcome.DECLINED
    assert person.phone.hung_up
    assert person.heard[-2:] == ["You have declined the alarm. Somebody else will be called.", "Goodbye."]


@virtually
async def test_silence_is_no_acceptance_after_two_repeats() -> None:
    person = Person()
    assert (await _asked(person)).outcome is Outcome.NOT_ACCEPTED
    assert person.heard_often("To take this alarm") == 3
    assert person.phone.hung_up


@virtually
async def test_a_wrong_key_is_said_to_be_wrong_and_the_right_one_still_accepts() -> None:
    person = Person()
    person.presses_on("press star", "5")
    person.hearing("That is not", lambda: person.presses_on("press four", "4"), after=-1.0)
    result = await _asked(person)
    assert result.outcome is Outcome.ACCEPTED
    assert "That is not the right key." in person.heard


@virtually
async def test_the_right_key_among_others_in_one_go_accepts_nothing() -> None:
    person = Person()
    person.presses_on("press star", "123456789")
    result = await _asked(person, key="4")
    assert result.outcome is Outcome.NOT_ACCEPTED
    person = Person()
    person.presses_on("press star", "54")
    assert (await _asked(person, key="4")).outcome is Outcome.NOT_ACCEPTED


@virtually
async def test_two_wrong_keys_are_no_acceptance() -> None:
    person = Person()
    person.presses_on("press star", "5")
    person.hearing("That is not", lambda: person.presses_on("press four", "6"), after=-1.0)
    result = await _asked(person)
    assert (result.outcome, result.why) == (Outcome.NOT_ACCEPTED, "2 wrong keys")


@pytest.mark.parametrize("when", [0.0, 1.0, 3.0, 5.0])
@virtually
async def test_a_key_pressed_before_it_was_named_accepts_nothing(when: float) -> None:
    person = Person()
    person.phone.press_after(when, "4")
    assert (await _asked(person)).outcome is Outcome.NOT_ACCEPTED


@virtually
async def test_all_keys_at_once_before_the_key_was_named_accept_nothing() -> None:
    person = Person()
    person.phone.press("1234567890*#")
    assert (await _asked(person)).outcome is Outcome.NOT_ACCEPTED


@virtually
async def test_hanging_up_is_no_acceptance() -> None:
    person = Person()
    person.phone.press_after(2.0, "4")
    virtual_loop().call_later(3.0, person.phone.leave)
    result = await _asked(person)
    assert (result.outcome, result.hung_up) == (Outcome.HUNG_UP, True)


@virtually
async def test_a_voicemail_is_suspected_by_its_beep_and_left_early() -> None:
    person = Person()
    virtual_loop().call_later(1.0, person.phone.say, clip("operator") + tone(1000, 0.4) + silence(1))
    result = await _asked(person)
    assert result.outcome is Outcome.VOICEMAIL_SUSPECTED
    assert "beep of 1000 Hz" in result.why
    assert person.heard_often("To take this alarm") == 1
    assert person.phone.hung_up


@virtually
async def test_a_long_greeting_costs_one_repeat_only_for_a_person_may_talk_much() -> None:
    person = Person()
    virtual_loop().call_later(1.0, person.phone.say, clip("badge"))
    result = await _asked(person)
    assert result.outcome is Outcome.VOICEMAIL_SUSPECTED
    assert person.heard_often("To take this alarm") == 2


@virtually
async def test_a_person_who_sounds_like_a_machine_takes_the_alarm_all_the_same() -> None:
    person = Person()
    virtual_loop().call_later(1.0, person.phone.say, clip("badge") + tone(1000, 0.4) + silence(1))
    person.presses_on("press star", "4", after=3.0)
    assert (await _asked(person)).outcome is Outcome.ACCEPTED


@pytest.mark.parametrize("language", ["nl", "en", "de", "fr"])
@pytest.mark.parametrize("wrong", [False, True])
@virtually
async def test_the_escalation_never_waits_for_longer_than_it_allows(language: str, wrong: bool) -> None:
    person = Person()
    if wrong:
        person.phone.press_after(34.0, "5")
    alarm = Alarm("Stichting Thuiszorg Oost-Nederland", "Anna Maria van der Bilt-de Vries", "missed_check_in")
    await _asked(person, alarm=alarm, language=language)
    assert person.seconds < GRACE


@virtually
async def test_all_that_is_said_was_rendered_ahead() -> None:
    person = Person()
    await prepare(person.voice(), ALARM, "4")
    rendered = len(person.speaker.texts)
    await _asked(person)
    assert len(person.speaker.texts) == rendered


def test_the_key_is_drawn_from_one_to_nine_evenly() -> None:
    dice = random.Random(3)
    drawn = Counter(random_key(dice) for _ in range(9000))
    assert set(drawn) == set("123456789")
    assert min(drawn.values()) > 850
    assert DECLINE not in drawn


def test_no_step_of_the_dialogue_accepts_by_another_key() -> None:
    assert {key for step in ACCEPT.steps.values() for key in getattr(step, "keys", {})} == {"{key}", DECLINE}


@virtually
async def test_a_contact_who_is_being_asked_is_told_who_took_it_when_the_asking_is_broken_off() -> None:
    person = Person()
    asking = asyncio.ensure_future(_asked(person))
    await asyncio.sleep(3.0)
    asking.cancel()
    await asyncio.wait([asking])
    assert not person.phone.is_over
    await dismiss(person.phone, person.voice(), "Bert Jansen")
    assert person.heard[-2] == "The alarm has been taken by Bert Jansen. There is nothing more for you to do."
    assert person.heard[-1] == "Goodbye."
    assert person.phone.hung_up


@pytest.mark.parametrize(
    ("taken_by", "closed", "words"),
    [(None, False, "taken by somebody else"), (None, True, "The incident is closed"), ("Bert", True, "is closed")],
)
@virtually
async def test_whoever_is_not_needed_any_more_is_told_why(taken_by: str | None, closed: bool, words: str) -> None:
    person = Person()
    await dismiss(person.phone, person.voice(), taken_by, closed=closed)
    assert words in person.heard[0]


@virtually
async def test_telling_somebody_who_has_gone_is_no_error() -> None:
    person = Person()
    person.phone.leave()
    await dismiss(person.phone, person.voice(), "Bert")
    assert person.phone.hung_up
