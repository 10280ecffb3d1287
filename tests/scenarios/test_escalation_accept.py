"""Who takes an alarm: only a person who presses the key that the voice asks for, drawn anew for each call."""

import asyncio

from tests.scenarios.line import SCREENING, VOICEMAIL, machine
from tests.scenarios.tale import Tale, contact, ring, tale
from voice.rtp.codecs import SAMPLE_RATE
from voice.sim.habits import Habits

THEN_BAS = [ring("contact:anna", seconds=20), ring("contact:bas")]


@tale([ring("operators", seconds=20), ring("contact:anna"), ring("contact:bas")])
async def test_a_contact_takes_the_alarm_with_the_key_that_is_asked_for(tale: Tale) -> None:
    await tale.alarm()
    await tale.phone("anna").stays_silent_for("19s")
    await tale.phone("anna").rings_within("3s").answers().hears("Acme Care: Wilma Worker").presses_the_key()
    await tale.phone("anna").hears("You have taken the alarm").hears("You now hear the worker")
    await tale.is_taken_by("contact:anna")
    assert (await tale.noted("acknowledged")).detail["proof"] == "pressed the key asked for"
    await tale.phone("bas").stays_silent_for("2 min")


@tale(THEN_BAS)
async def test_a_wrong_key_is_no_acceptance_and_he_is_told_so(tale: Tale) -> None:
    await tale.alarm()
    anna = tale.phone("anna").rings_within("1s").answers()
    await anna.presses_another_key().hears("That is not the right key")
    await tale.is_open()
    await anna.waits(5).presses_the_key().hears("You have taken")
    await tale.is_taken_by("contact:anna")


@tale(THEN_BAS)
async def test_who_presses_wrong_keys_only_is_let_go_and_the_next_phone_rings(tale: Tale) -> None:
    await tale.alarm()
    anna = tale.phone("anna").rings_within("1s").answers().presses_another_key().hears("not the right key")
    await anna.waits(6).presses_another_key().hears("The right key was not pressed").stops_within("3s")
    await tale.phone("bas").rings_within("1s").takes_it()
    assert await tale.outcomes("anna") == ["no answer"]
    await tale.is_taken_by("contact:bas")


@tale(THEN_BAS)
async def test_who_answers_and_does_nothing_is_asked_three_times_and_then_the_next_phone_rings(tale: Tale) -> None:
    await tale.alarm()
    await tale.phone("anna").rings_within("1s").answers().hears("was not pressed").stops_within("3s")
    asked = [text for text in tale.phone("anna").texts() if "To take this alarm" in text]
    assert len(asked) == 3
    await tale.phone("bas").rings_within("1s").takes_it()


@tale(THEN_BAS)
async def test_voicemail_answers_with_a_greeting_and_a_beep_and_the_next_phone_rings(tale: Tale) -> None:
    """The row "voicemail, or a phone's call screening, answers and the escalation stops"."""
    machine(VOICEMAIL)(tale.phone("anna").line)
    await tale.alarm()
    await tale.phone("bas").rings_within("30s").takes_it()
    ended = (await tale.notes("contact_leg_ended"))[0].detail
    assert (ended["contact"], ended["outcome"]) == ("anna", "voicemail")
    assert "beep of 1000 Hz" in ended["why"]
    await tale.is_taken_by("contact:bas")


@tale(THEN_BAS)
async def test_call_screening_that_speaks_and_presses_nothing_takes_no_alarm(tale: Tale) -> None:
    machine(SCREENING)(tale.phone("anna").line)
    await tale.alarm()
    await tale.phone("bas").rings_within("60s").takes_it()
    assert await tale.outcomes("anna") in (["voicemail"], ["no answer"])


@tale(THEN_BAS)
async def test_who_speaks_for_long_before_he_presses_the_key_has_taken_it_all_the_same(tale: Tale) -> None:
    tale.phone("anna").line.on_call = lambda call: call.say(VOICEMAIL[: 9 * SAMPLE_RATE])
    await tale.alarm()
    await tale.phone("anna").rings_within("1s").answers().waits(10).presses_the_key()
    await tale.is_taken_by("contact:anna")


@tale(THEN_BAS)
async def test_who_hangs_up_before_the_key_has_not_taken_it(tale: Tale) -> None:
    await tale.alarm()
    await tale.phone("anna").rings_within("1s").answers().waits(3).hangs_up()
    await tale.phone("bas").rings_within("1s").takes_it()
    assert await tale.outcomes("anna") == ["no answer"]


@tale(THEN_BAS)
async def test_keys_pressed_before_they_are_announced_count_for_nothing(tale: Tale) -> None:
    await tale.alarm()
    anna = tale.phone("anna")
    await anna.rings_within("1s").answers().presses("123456789", pause=0.2)
    await asyncio.sleep(3)
    await tale.is_open()
    await anna.presses_the_key().hears("You have taken")
    await tale.is_taken_by("contact:anna")


@tale(THEN_BAS, plan_facts={"follow_up": 60.0})
async def test_key_and_hanging_up_in_the_same_breath_take_it_until_the_follow_up(tale: Tale) -> None:
    await tale.alarm()
    anna = tale.phone("anna")
    await anna.rings_within("1s").answers().presses_the_key().waits(0.15).hangs_up()
    await tale.is_taken_by("contact:anna")
    await tale.phone("bas").stays_silent_for("50s")
    await anna.rings_within("15s")  # nobody closed it: from the top
    assert (await tale.noted("follow_up_missed")).detail == {"by": "contact:anna"}


@tale([ring("contact:anna")], contacts=[contact("anna", "+31600000001", "+31600000011"), contact("bas")], teams=[])
async def test_a_second_number_rings_when_nobody_answers_the_first(tale: Tale) -> None:
    await tale.alarm()
    await tale.phone("anna").rings_within("1s")
    await tale.phone("anna2").stays_silent_for("29s")
    await tale.phone("anna2").rings_within("4s").takes_it()
    await tale.is_taken_by("contact:anna")
    assert tale.phone("anna").call.is_over


@tale(
    [ring("contact:anna", "contact:bas", order="sequence")],
    contacts=[contact("anna", "+31600000001", "+31600000011"), contact("bas")],
    teams=[],
)
async def test_who_declines_with_the_key_is_not_called_on_his_other_number(tale: Tale) -> None:
    await tale.alarm()
    await tale.phone("anna").rings_within("1s").answers().hears("To decline, press star").presses("*")
    await tale.phone("anna").hears("You have declined").stops_within("5s")
    await tale.phone("bas").rings_within("1s").takes_it()
    assert await tale.outcomes("anna") == ["declined"]
    assert tale.dialled_names == ["anna", "bas"]


@tale([ring("contact:anna", "contact:bas", order="sequence")])
async def test_who_presses_the_red_button_is_passed_over_at_once(tale: Tale) -> None:
    await tale.alarm()
    await tale.phone("anna").rings_within("1s").waits(1).declines()
    await tale.phone("bas").rings_within("1s").takes_it()
    assert await tale.outcomes("anna") == ["declined"]


@tale(THEN_BAS)
async def test_a_telephone_that_sends_keys_by_sip_info_takes_the_alarm(tale: Tale) -> None:
    """The row "fast or in-band DTMF is missed"; the digit stream itself: test_keys.py."""
    tale.exchange.line("+31600000001", Habits(after=1.0, dtmf=False))
    await tale.alarm()
    anna = tale.phone("anna")
    await anna.rings_within("1s").waits(2)
    anna.call.press(await anna.key(), by="info")
    await tale.is_taken_by("contact:anna")


@tale(THEN_BAS)
async def test_a_telephone_that_sends_keys_as_tones_takes_the_alarm(tale: Tale) -> None:
    tale.exchange.line("+31600000001", Habits(after=1.0, dtmf=False))
    await tale.alarm()
    anna = tale.phone("anna")
    await anna.rings_within("1s").waits(2)
    anna.call.press(await anna.key(), by="inband")
    await asyncio.sleep(0.5)
    await tale.is_taken_by("contact:anna")
