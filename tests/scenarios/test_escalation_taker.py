"""What a contact who has the alarm hears, does and is told, and what becomes of it when he is gone.

More of it is told in test_conference.py: talking, from second 0, conferring, closing, passing on, languages.
"""

import asyncio
from pathlib import Path

from tests.scenarios.line import Line
from tests.scenarios.tale import CLOSE, DURESS, EMERGENCY, Tale, ring, tale
from voice.incidents.lifecycle import Reason, State
from voice.sim.phone_call import PhoneCall

THEN_BAS = [ring("contact:anna"), ring("contact:bas"), ring("operators"), EMERGENCY]


async def says(tale: Tale, line: Line, seconds: float = 2.0) -> set[int]:
    """Says something of his own, and what of it can be looked for."""
    line.call.say(tale.world.speech(line.line, seconds))
    await line.call.said()
    await asyncio.sleep(0.5)
    last = tale.world.last_number(line.line)
    return set(range(last - round(seconds * 50) + 6, last + 1))


def heard(call: PhoneCall, said: set[int]) -> bool:
    there = said & set(call.hearing.marks().numbers)
    assert not there or there == said
    return bool(there)


# -- hearing and being heard --


@tale(THEN_BAS)
async def test_he_hears_the_worker_live_and_silently_then_from_second_0(tale: Tale) -> None:
    """The row "the operator hears the call only from when he joined", for a contact."""
    device = await tale.alarm()
    assert tale.badge is not None
    device.say(tale.world.speech(tale.badge, 90))
    anna = tale.phone("anna")
    await anna.rings_within("1s").takes_it().waits(8)
    first = tale.world.first_number(tale.badge)
    live = anna.call.hearing.marks(tale.world.now - 1).numbers
    assert first + 50 * 10 < min(live)
    await anna.presses("2").waits(3)
    assert min(anna.call.hearing.marks().numbers) - first < 150  # ducked under the prompt at first, and so unreadable
    assert device.hearing.heard_silence_only()


@tale(THEN_BAS)
async def test_every_key_is_answered_by_a_voice(tale: Tale) -> None:
    """The row "no feedback after a key press"."""
    await tale.alarm()
    anna = await tale.taken_by("anna")
    for keys, said in (
        ("0", "Press 1 to talk"),
        ("1", "You are now talking to the worker"),
        ("1", "The worker no longer hears you"),
        ("2", "From the beginning"),
        ("3", "Live"),
        ("4", "There is no memo"),
        ("5", "The operators are being called"),
        ("5", "Nobody hears you any more"),
        ("7", "This key does nothing here"),
        ("81", "The emergency services are not being called"),
        ("##", "The alarm stays open"),
    ):
        await anna.presses(keys).hears(said, within=40)
    await tale.is_taken_by("contact:anna")


@tale(THEN_BAS)
async def test_the_badge_sounds_only_while_he_talks_and_the_timeline_says_when(tale: Tale) -> None:
    """The row "a ring-back, beep, comfort noise or prompt is heard at the device"."""
    device = await tale.alarm()
    anna = await tale.taken_by("anna")
    before = await says(tale, anna)
    await anna.presses("1").waits(1)
    during = await says(tale, anna)
    await anna.presses("1").waits(1)
    after = await says(tale, anna)
    assert heard(device, during)
    assert not heard(device, before | after)
    opened, shut = (await tale.notes("gate_opened")), (await tale.notes("gate_shut"))
    assert len(opened) == len(shut) == 1
    assert opened[0].time < shut[0].time


# -- closing --


async def closes(tale: Tale, anna: Line, word: str) -> None:
    await anna.presses("#").hears("code word").presses(word + "#").hears("Press 1 if there was danger").presses("2")
    await anna.hears("The alarm is closed").stops_within("5s")


def test_the_duress_word_sounds_exactly_like_the_code_word(tmp_path: Path) -> None:
    """The row "duress": whoever listens along hears the same, sample by sample, and both calls end alike."""
    sounds: dict[str, tuple[bytes, float]] = {}

    def told(word: str) -> None:
        @tale(THEN_BAS)
        async def story(tale: Tale) -> None:
            device = await tale.alarm()
            assert tale.badge is not None
            device.say(tale.world.speech(tale.badge, 120))
            anna = tale.phone("anna")
            await anna.rings_within("1s").takes_it().waits(8)
            since = tale.world.now
            await anna.presses("#").waits(4).presses(word + "#").waits(7).presses("2").stops_within("10s")
            assert anna.call.ended_at is not None
            sounds[word] = anna.sounds_since(since), round(anna.call.ended_at - since, 3)

        directory = tmp_path / word
        directory.mkdir()
        story(directory)

    told(CLOSE)
    told(DURESS)
    assert sounds[CLOSE] == sounds[DURESS]


@tale(THEN_BAS)
async def test_after_the_duress_word_the_incident_stays_open_operators_ring_and_the_plan_goes_on(tale: Tale) -> None:
    olga = await tale.operator("olga")
    device = await tale.alarm()
    anna = await tale.taken_by("anna")
    await closes(tale, anna, DURESS)
    await olga.rings_within("2s")
    await tale.phone("bas").rings_within("2s")
    assert (await tale.noted("duress_word")).actor == "contact:anna"
    await tale.is_open()
    assert device.is_established
    await tale.phone("bas").takes_it()
    assert device.hearing.heard_silence_only()


@tale(THEN_BAS)
async def test_after_the_duress_word_no_voice_tells_that_an_operator_came(tale: Tale) -> None:
    olga = await tale.operator("olga")
    await tale.alarm()
    anna = await tale.taken_by("anna")
    await anna.presses("#").hears("code word").presses(DURESS + "#")
    await olga.rings_within("2s").answers()
    await anna.hears("Press 1 if there was danger").waits(2).presses("2").stops_within("10s")
    assert not any("operator is" in text for text in anna.texts())
    assert await tale.notes("operator_joined")


@tale(THEN_BAS)
async def test_after_the_duress_word_the_code_word_closes_nothing_any_more(tale: Tale) -> None:
    await tale.alarm()
    anna = await tale.taken_by("anna")
    await anna.presses("#").hears("code word").presses(DURESS + "#").hears("Press 1 if there was danger").presses("0")
    await anna.waits(3)
    await closes(tale, anna, CLOSE)
    await tale.phone("bas").rings_within("2s")
    await tale.is_open()


@tale(THEN_BAS)
async def test_three_wrong_code_words_and_no_more_is_listened_to(tale: Tale) -> None:
    await tale.alarm()
    anna = await tale.taken_by("anna")
    for _ in range(3):
        await anna.presses("#").waits(3).presses("1234#").waits(3)
    await anna.presses("#").waits(1).presses(CLOSE + "#").waits(2).presses("2").waits(2)
    assert (await tale.world.incident()).state is State.IN_PROGRESS
    assert [entry.detail["left"] for entry in await tale.notes("code_word_wrong")] == [2, 1, 0]


@tale(THEN_BAS, customer={"close_word": None, "duress_word": None})
async def test_without_a_code_word_a_contact_can_close_nothing(tale: Tale) -> None:
    await tale.alarm()
    anna = await tale.taken_by("anna")
    await anna.presses("#").hears("not possible").presses(CLOSE + "#")
    await tale.is_taken_by("contact:anna")


@tale(THEN_BAS)
async def test_who_closes_it_says_why_and_it_is_over_for_everybody(tale: Tale) -> None:
    device = await tale.alarm()
    anna = await tale.taken_by("anna")
    await closes(tale, anna, CLOSE)
    assert device.is_over
    incident = await tale.world.incident()
    assert (incident.state, incident.reason) == (State.RESOLVED, Reason.FALSE)
    await tale.phone("bas").stays_silent_for("2 min")


# -- with others --


@tale(THEN_BAS)
async def test_an_operator_who_joins_is_announced_and_the_contact_keeps_the_alarm(tale: Tale) -> None:
    olga = await tale.operator("olga")
    device = await tale.alarm()
    anna = await tale.taken_by("anna")
    call = olga.line.call(f"sip:listen-{(await tale.world.incident()).id}@earshot")
    await anna.hears("An operator is listening too")
    call.press("34")
    await anna.presses("5").hears("You are now speaking with the operators")
    assert heard(call, await says(tale, anna))
    assert heard(anna.call, await says(tale, olga))
    call.hang_up()
    await anna.hears("The operator has left")
    await anna.stays_on_for("5s")
    await tale.is_taken_by("contact:anna")
    assert device.hearing.heard_silence_only()
    assert not await tale.notes("gate_opened")


@tale(THEN_BAS)
async def test_who_passes_it_on_is_thanked_while_the_next_phone_rings_already(tale: Tale) -> None:
    await tale.alarm()
    anna = await tale.taken_by("anna")
    await anna.presses("6")
    await tale.phone("bas").rings_within("1s")
    await anna.hears("You are passing the alarm on").stops_within("3s")
    await tale.phone("bas").takes_it()
    await tale.is_taken_by("contact:bas")


# -- gone --


@tale(THEN_BAS, plan_facts={"follow_up": 120.0})
async def test_who_hangs_up_has_it_for_the_follow_up_and_then_the_plan_begins_anew(tale: Tale) -> None:
    await tale.alarm()
    anna = await tale.taken_by("anna")
    await anna.hangs_up()
    await tale.is_taken_by("contact:anna")
    await tale.phone("bas").stays_silent_for("110s")
    await anna.rings_within("15s").takes_it()
    await tale.is_taken_by("contact:anna")


@tale(THEN_BAS)
async def test_when_his_leg_is_lost_he_is_rung_again_and_then_whoever_comes_next(tale: Tale) -> None:
    await tale.alarm()
    anna = await tale.taken_by("anna")
    await tale.exchange.die()
    await tale.exchange.start()
    await anna.rings_within("60s")
    await tale.is_open()
    await tale.phone("bas").rings_within("60s").takes_it()


@tale(THEN_BAS)
async def test_the_device_that_drops_and_calls_again_is_heard_on_by_the_contact_who_has_it(tale: Tale) -> None:
    """The rows "the device drops and calls again" and "the device hangs up"."""
    device = await tale.alarm(register=True)
    anna = await tale.taken_by("anna")
    device.hang_up()
    await anna.hears("The connection with the device is lost")
    assert tale.badge is not None
    again = tale.badge.call("sip:alarm@earshot")
    await again.established()
    await anna.hears("The device is connected again")
    again.say(tale.world.speech(tale.badge, 4))
    await anna.waits(5)
    assert tale.world.said_by(tale.badge, anna.call.hearing.marks().numbers)
    again.hang_up()
    await anna.waits(5).presses("1").hears("being called back").waits(5)
    assert len(tale.badge.live_calls) == 1
    await tale.is_taken_by("contact:anna")
