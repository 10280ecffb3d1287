"""What fails around the service, the store, the disk, ports, loses no alarm and no audio."""

import asyncio

from tests.scenarios.world import World, story
from voice.incidents.lifecycle import State
from voice.sim.habits import Habits
from voice.sim.stage import FailingFiles

ALARM = "sip:alarm@earshot"
STORE_AWAY = ("store unavailable; calls go on, writes wait", "alarm answered before it was durable")
DISK_AWAY = ("recordings cannot be written",)


@story(expects=STORE_AWAY)
async def test_while_the_store_fails_an_alarm_is_answered_recorded_rung_and_written_later(world: World) -> None:
    badge, olga = await world.device("badge7"), await world.operator("olga", after=1)
    world.stage.store.fail_with(OSError("the database disk is gone"))
    call = badge.call(ALARM)
    call.say(world.speech(badge, 10))
    called_at = world.now
    await call.established()
    assert world.now - called_at < 2.5  # it waits for the commit, but not for long
    listening = await olga.called()
    await listening.established()
    await asyncio.sleep(5)
    assert listening.hearing.marks().numbers[0] < 30
    listening.press("#1")
    await listening.over()
    assert not await world.incidents()
    world.stage.store.fail_with(None)
    await asyncio.sleep(2)

    incident = await world.incident()
    assert (incident.state, incident.taken_by) == (State.RESOLVED, "operator:olga")
    kinds = await world.kinds()
    assert kinds[0] == "opened"
    assert kinds.index("operator_joined") < kinds.index("resolved")
    answered = await world.entry("answered")
    assert answered.detail["before_commit"] is True
    assert abs(world.moment(answered.time) - called_at - 2.0) < 0.2  # when it happened, not when it was written
    assert any(r.complete and r.sha256 == world.hash_of(r) for r in await world.recordings() if r.bytes)


@story(expects=STORE_AWAY)
async def test_a_store_that_fails_in_the_middle_costs_no_entry(world: World) -> None:
    badge, olga = await world.device("badge7"), await world.operator("olga", after=1)
    badge.call(ALARM)
    listening = await olga.called()
    await listening.established()
    for _ in range(3):
        world.stage.store.fail_with(OSError("locked"))
        listening.press("7")
        await asyncio.sleep(1)
        world.stage.store.fail_with(None)
        listening.press("7")
        await asyncio.sleep(1.5)
    assert len(await world.entries("marked")) == 6


@story(files=(disk := FailingFiles()), expects=DISK_AWAY)
async def test_while_the_disk_fails_the_call_goes_on_and_the_audio_is_complete_afterwards(world: World) -> None:
    badge, olga = await world.device("badge7"), await world.operator("olga", after=1)
    call = badge.call(ALARM)
    call.say(world.speech(badge, 20))
    listening = await olga.called()
    await listening.established()
    await asyncio.sleep(4)
    disk.full = True
    since = world.now
    await asyncio.sleep(6)
    device_leg = next(leg.id for leg in await world.legs() if leg.role == "device")
    fault = next(e for e in await world.entries("storage_fault") if e.detail["leg"] == device_leg)
    assert "No space left" in fault.detail["reason"]
    assert world.moment(fault.time) - since < 2
    assert world.stage.service.trouble is not None
    heard = listening.hearing.marks(since + 3).numbers
    assert len(heard) > 100  # still live
    disk.full = False
    await asyncio.sleep(9)
    assert await world.entries("storage_back")
    call.hang_up()
    await asyncio.sleep(1)
    (recording,) = [r for r in await world.recordings() if r.leg_id == device_leg]
    assert recording.complete
    assert recording.lost_ms == 0
    first = world.first_number(badge)
    assert not world.recorded(recording).missing(range(first, first + 950))


@story(files=(warned := FailingFiles()), expects=DISK_AWAY)
async def test_operators_who_listen_are_warned_by_a_sound_when_the_disk_fails(world: World) -> None:
    badge, olga = await world.device("badge7"), await world.operator("olga", after=1)
    call = badge.call(ALARM)
    listening = await olga.called()
    await listening.established()
    await asyncio.sleep(4)
    since = world.now
    assert listening.hearing.loudness(since - 1) == listening.hearing.loudness(since - 2) == 8  # A-law silence
    warned.full = True
    await asyncio.sleep(3)
    assert listening.hearing.loudness(since) > 200
    assert call.hearing.heard_silence_only()
    warned.full = False
    await asyncio.sleep(2)


@story(rtp_ports=(20_000, 20_001))
async def test_without_a_free_port_the_incident_is_open_and_the_device_is_told_to_try_again(world: World) -> None:
    badge, other = await world.device("badge7"), await world.device("badge8")
    first = badge.call(ALARM)
    await first.established()
    end = await other.call(ALARM).over()
    assert end.code == 503
    _, refused = await world.incidents()
    assert refused.state is State.OPEN
    assert (await world.entry("call_refused", refused.id)).detail["status"] == 503
    first.hang_up()
    await asyncio.sleep(1)
    again = other.call(ALARM)
    await again.established()
    assert len(await world.incidents()) == 2  # it joined its own


@story()
async def test_an_offer_without_a_codec_of_ours_is_an_alarm_without_audio(world: World) -> None:
    badge, olga = await world.device("badge7", habits=Habits(codecs=("G729",))), await world.operator("olga")
    assert (await badge.call(ALARM).over()).code == 488
    assert (await world.incident()).state is State.OPEN
    await (await olga.called()).established()


@story(expects=("a task failed",))
async def test_a_bug_in_the_story_of_an_alarm_tells_the_device_to_call_again(world: World) -> None:
    """And the call after it is an alarm like any other."""
    badge = await world.device("badge7")
    desk = world.stage.service.desk
    calls, desk.calls = desk.calls, _Broken()  # type: ignore[assignment]
    assert (await badge.call(ALARM).over()).code == 500
    desk.calls = calls
    await badge.call(ALARM).established()
    await world.incident()


class _Broken:
    def receive(self, *_: object) -> object:
        raise ZeroDivisionError("a bug")
