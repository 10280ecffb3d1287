"""What goes wrong in the field, row by row: where the story of each is told.

voicemail or call screening "answers"
    test_escalation_accept: test_voicemail_answers_with_a_greeting_and_a_beep_and_the_next_phone_rings
    test_escalation_accept: test_call_screening_that_speaks_and_presses_nothing_takes_no_alarm
notifications go on after somebody has taken it
    test_escalation_together: test_phones_that_ring_stop_at_the_press_of_the_key_not_at_the_end_of_what_is_said
    test_escalation_together: test_who_listens_to_the_question_hears_who_has_taken_it_and_is_let_go
no feedback after a key press
    test_escalation_taker: test_every_key_is_answered_by_a_voice
    test_keys: test_a_key_that_means_nothing_is_answered_by_a_sound
heard only from when he joined
    test_escalation_taker: test_he_hears_the_worker_live_and_silently_then_from_second_0
    test_listening: test_an_operator_hears_the_alarm_from_second_0_catches_up_and_goes_live
a sound at the device
    test_escalation_taker: test_the_badge_sounds_only_while_he_talks_and_the_timeline_says_when
    test_escalation_emergency: test_who_asks_to_be_connected_hears_the_worker_and_speaks_with_the_operator_only
a second alarm is blocked while one is open
    test_escalation_operators: test_a_second_alarm_of_one_worker_is_accepted_linked_and_has_a_plan_of_its_own
the device drops and calls again
    test_escalation_field: test_a_device_that_drops_and_calls_again_starts_no_second_plan
    test_escalation_taker: test_the_device_that_drops_and_calls_again_is_heard_on_by_the_contact_who_has_it
the device hangs up
    test_escalation_field: test_a_device_that_hangs_up_stops_no_phone
fast or in-band DTMF is missed
    test_escalation_accept: test_a_telephone_that_sends_keys_as_tones_takes_the_alarm
    test_escalation_accept: test_a_telephone_that_sends_keys_by_sip_info_takes_the_alarm
answered, but no audio flows
    test_escalation_field: test_a_device_from_which_no_audio_comes_is_told_of_and_the_plan_goes_on
    test_escalation_field: test_a_contact_from_whom_no_audio_comes_can_still_take_it
unknown caller id
    test_escalation_order: test_an_unknown_caller_gets_the_plan_of_the_house
mass incident
    test_escalation_crash: test_thirty_alarms_at_once_and_every_one_gets_a_human
duress: forced to answer "all is well"
    test_escalation_taker: test_the_duress_word_sounds_exactly_like_the_code_word
    test_escalation_taker: test_after_the_duress_word_the_incident_stays_open_operators_ring_and_the_plan_goes_on
"""

import asyncio
import re
from pathlib import Path

from ivr.tones import pattern
from tests.scenarios.tale import ALARM, Tale, ring, tale
from voice.sim.habits import Answers, Habits

IN_TURN = [ring("contact:anna", "contact:bas", seconds=20, order="sequence"), ring("operators", seconds=20)]


def test_each_row_has_stories_that_exist() -> None:
    told = re.findall(r"(test_\w+): (test_\w+)", __doc__ or "")
    assert len(told) > 20
    for module, name in told:
        assert f"def {name}(" in (Path(__file__).parent / f"{module}.py").read_text("utf-8"), name


@tale(IN_TURN)
async def test_a_device_that_drops_and_calls_again_starts_no_second_plan(tale: Tale) -> None:
    await tale.alarm()
    await tale.phone("anna").rings_within("1s")
    assert tale.badge is not None
    await tale.badge.reboot(3)
    again = tale.badge.call(ALARM)
    await again.established()
    assert len(await tale.world.incidents()) == 1
    await tale.phone("anna").stays_silent_for("5s")
    await tale.phone("anna").takes_it()
    again.say(tale.world.speech(tale.badge, 5))
    await asyncio.sleep(6)
    assert tale.world.said_by(tale.badge, tale.phone("anna").call.hearing.marks().numbers)
    assert tale.dialled_names == ["anna"]


@tale(IN_TURN)
async def test_a_device_that_hangs_up_stops_no_phone(tale: Tale) -> None:
    device = await tale.alarm(register=True)
    await tale.phone("anna").rings_within("1s")
    device.hang_up()
    await tale.phone("bas").rings_within("25s").takes_it().hears("The connection with the device is lost. Press 1")
    await tale.is_taken_by("contact:bas")
    await tale.phone("bas").presses("1").hears("being called back").hears("The device is connected again")
    assert tale.badge is not None
    (back,) = tale.badge.live_calls
    back.say(tale.world.speech(tale.badge, 4))
    await asyncio.sleep(5)
    assert tale.world.said_by(tale.badge, tale.phone("bas").call.hearing.marks().numbers)


@tale(IN_TURN)
async def test_a_device_whose_battery_falls_out_stops_no_phone(tale: Tale) -> None:
    await tale.alarm()
    assert tale.badge is not None
    await tale.badge.die()
    await tale.phone("bas").rings_within("25s").takes_it()
    await tale.is_taken_by("contact:bas")
    assert (await tale.notes("no_audio"))[0].detail["seconds"] < 5


@tale(IN_TURN)
async def test_a_device_from_which_no_audio_comes_is_told_of_and_the_plan_goes_on(tale: Tale) -> None:
    badge = tale.badge = await tale.world.device("badge7", habits=Habits(answers=Answers.IF_ASKED, sends_media=False))
    await badge.call(ALARM).established()
    note = await tale.noted("no_audio", "6s")
    assert note.detail["seconds"] < 5
    await tale.phone("anna").rings_within("1s").takes_it()
    await tale.is_taken_by("contact:anna")


@tale(IN_TURN)
async def test_a_contact_from_whom_no_audio_comes_can_still_take_it(tale: Tale) -> None:
    """One way only: he hears the question, his keys come by SIP INFO. He is not taken for dead while he answers."""
    anna = tale.phone("anna")
    anna.line.habits = Habits(answers=Answers.NEVER, sends_media=False)
    await tale.alarm()
    await anna.rings_within("1s").answers()
    anna.call.press(await anna.key(), by="info")
    await anna.hears("You now hear the worker").stays_on_for("60s")
    await tale.is_taken_by("contact:anna")


@tale(IN_TURN, expects=("speech failed, tones are played in its place",))
async def test_without_speech_as_many_beeps_as_the_digit_take_the_alarm(tale: Tale) -> None:
    tale.world.stage.speaker.fails = True
    await tale.alarm()
    anna = tale.phone("anna")
    await anna.rings_within("1s").answers().waits(10)
    played = anna.call.hearing.audio()
    (key,) = [digit for digit in "123456789" if pattern(digit) in played]
    await anna.presses(key)
    await tale.is_taken_by("contact:anna")
