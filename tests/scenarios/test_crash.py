"""`kill -9` at any moment: the incident is open, its audio is there, operators ring, the device is called back."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from tests.scenarios.tale import Tale, ring, tale
from tests.scenarios.world import World, story
from voice.incidents.lifecycle import State
from voice.sim.wire import request

ALARM = "sip:alarm@earshot"


@story()
async def test_after_a_crash_the_audio_of_before_is_heard_from_second_0(world: World) -> None:
    badge = await world.device("badge7", register=True)
    call = badge.call(ALARM)
    call.say(world.speech(badge, 6))
    await asyncio.sleep(6)
    await world.stage.crash()
    assert (await world.incident()).state is State.OPEN
    olga = await world.operator("olga", after=1)
    listening = await olga.called()
    await listening.established()
    await asyncio.sleep(6)
    numbers = listening.hearing.marks().numbers
    assert numbers[0] < 30
    assert numbers == sorted(numbers)
    assert numbers[-1] > 225  # at most the last second is missing: 250 frames at the least
    assert "service_restarted" in await world.kinds()
    (recording,) = [r for r in await world.recordings() if r.direction == "received" and r.bytes][:1]
    assert recording.sha256 == world.hash_of(recording)
    assert not recording.complete
    first = world.first_number(badge)
    assert not world.recorded(recording).missing(range(first, first + 248))


@story()
async def test_after_a_crash_the_operators_ring_again_without_having_registered_anew(world: World) -> None:
    badge, olga = await world.device("badge7"), await world.operator("olga", after=10)
    badge.call(ALARM)
    await olga.called()
    await world.stage.crash()
    again = await olga.called()
    await asyncio.sleep(11)
    assert again.is_established
    assert (await world.incident()).taken_by == "operator:olga"


@story()
async def test_after_a_crash_the_device_is_called_back_and_heard_on(world: World) -> None:
    badge, olga = await world.device("badge7", register=True), await world.operator("olga", after=0.5)
    call = badge.call(ALARM)
    call.say(world.speech(badge, 3))
    await asyncio.sleep(5)
    await badge.reboot(1)  # as a device does that notices
    await world.stage.crash()
    back = await badge.called()
    await back.established()
    back.say(world.speech(badge, 20))
    await asyncio.sleep(15)
    listening = olga.calls[-1]
    heard = listening.hearing.marks().numbers
    assert heard[0] < 30
    assert heard[-1] > 300
    assert "device_answered_call_back" in await world.kinds()
    await world.incident()


@story(alarms={"callback_seconds": 5.0})
async def test_a_device_that_calls_again_by_itself_is_not_called_back(world: World) -> None:
    badge = await world.device("badge7", register=True)
    badge.call(ALARM)
    await asyncio.sleep(3)
    await badge.reboot(0.5)
    await world.stage.crash()
    await badge.call(ALARM).established()
    await asyncio.sleep(20)
    assert "calling_back" not in await world.kinds()
    assert "device_called_again" in await world.kinds()
    await world.incident()


@pytest.mark.parametrize("registered", [True, False])
@story()
async def test_a_crash_while_an_operator_listens_gives_the_alarm_back(world: World, registered: bool) -> None:
    badge, olga = await world.device("badge7", register=True), await world.operator("olga", after=1)
    badge.call(ALARM)
    listening = await olga.called()
    await listening.established()
    listening.press("1")
    await asyncio.sleep(2)
    await world.stage.crash()
    await asyncio.sleep(0.5)
    given_back = (await world.entries("given_back"))[-1]
    assert given_back.actor == "system"
    again = await olga.called()
    await again.established()
    assert world.live((await world.incident()).id).listeners == {"olga"}
    lost = [leg for leg in await world.legs() if leg.cause == "process lost"]
    assert {leg.role for leg in lost} == {"device", "operator"}


@story()
async def test_who_is_told_to_stop_rings_nobody_until_the_next_start(world: World) -> None:
    """The legs that an orderly end lets go must not ring anew: such a phone would ring for nobody, and for long."""
    badge, olga = await world.device("badge7"), await world.operator("olga", after=1)
    badge.call(ALARM)
    listening = await olga.called()
    await listening.established()
    otto = await world.operator("otto", after=1)
    world.stage.service.operators.stop()
    listening.hang_up()
    await asyncio.sleep(5)
    assert not otto.calls
    await world.stage.crash()
    await otto.called()


@story()
async def test_an_unknown_caller_joins_his_incident_across_a_crash(world: World) -> None:
    stranger = await world.device("stranger")
    await stranger.call(ALARM).established()
    await asyncio.sleep(2)
    await stranger.reboot(1)
    await world.stage.crash()
    await stranger.call(ALARM).established()
    await world.incident()


@story()
async def test_two_crashes_lose_nothing(world: World) -> None:
    badge = await world.device("badge7", register=True)
    for _ in range(2):
        call = badge.call(ALARM)
        call.say(world.speech(badge, 3))
        await asyncio.sleep(4)
        await badge.reboot(0.1)
        await badge.register()
        await world.stage.crash()
        await asyncio.sleep(0.1)
    olga = await world.operator("olga", after=0.5)
    listening = await olga.called()
    await listening.established()
    await asyncio.sleep(8)
    numbers = listening.hearing.marks().numbers
    assert numbers[0] < 30
    assert numbers == sorted(numbers)
    assert max(numbers) > 250


@story()
async def test_registrations_survive_a_crash(world: World) -> None:
    olga, badge = await world.operator("olga", after=1), await world.device("badge8")
    before = len([p for p in world.stage.network.captured if request("REGISTER")(p)])
    await world.stage.crash()
    badge.call(ALARM)
    await (await olga.called()).established()
    assert len([p for p in world.stage.network.captured if request("REGISTER")(p)]) == before


@story()
async def test_a_resolved_incident_stays_resolved_after_a_crash(world: World) -> None:
    badge, olga = await world.device("badge7", register=True), await world.operator("olga", after=0.5)
    badge.call(ALARM)
    listening = await olga.called()
    await listening.established()
    listening.press("#2")
    await listening.over()
    await world.stage.crash()
    await asyncio.sleep(10)
    assert (await world.incident()).state is State.RESOLVED
    assert len(olga.calls) == 1
    assert len(badge.calls) == 1


@story()
async def test_what_was_being_said_to_the_device_when_the_process_died_is_kept_as_evidence(world: World) -> None:
    badge, olga = await world.device("badge7", register=True), await world.operator("olga", after=0.5)
    badge.call(ALARM)
    listening = await olga.called()
    await asyncio.sleep(3)
    listening.press("1")
    await asyncio.sleep(0.5)
    listening.say(world.speech(olga, 6))
    await asyncio.sleep(4)
    await world.stage.crash()
    await asyncio.sleep(3)
    sent = [r for r in await world.recordings() if r.direction == "sent" and r.bytes and not r.complete]
    assert len(sent) == 1
    assert sent[0].duration_ms is not None
    assert sent[0].duration_ms > 2500
    assert sent[0].sha256 == world.hash_of(sent[0])


@story()
async def test_a_store_that_answers_late_after_a_crash_begins_no_plan_twice(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Recordings are mended before the escalation is in memory: it is on its way there, not missing."""
    badge, olga = await world.device("badge7"), await world.operator("olga", after=3)
    badge.call(ALARM)
    await olga.called()
    await world.stage.kill()
    store = world.stage.store
    monkeypatch.setattr(store, "run", _late(store.run))
    await world.stage.restart()
    again = await olga.called()
    await again.established()
    assert [entry["event"] for entry in world.log if entry["log_level"] == "warning"] == [
        "incidents of an earlier process are open",
        "escalations taken up",
    ]


@tale([ring("contact:anna"), ring("contact:bas")])
async def test_operators_whom_the_plan_does_not_ring_are_not_rung_for_a_moment_after_a_crash_either(tale: Tale) -> None:
    olga, stage = await tale.operator("olga"), tale.world.stage
    await tale.alarm()
    await tale.phone("anna").rings_within("1s")
    await stage.kill()
    run = stage.store.run
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stage.store, "run", _late(run))
        await stage.restart()
        await olga.stays_silent_for("2s")
    assert "operator_rung" not in await tale.world.kinds()
    await tale.phone("bas").rings_within("60s").takes_it()
    await tale.is_taken_by("contact:bas")


def _late(run: Callable[..., asyncio.Future[Any]]) -> Callable[..., asyncio.Future[Any]]:
    def run_late(*arguments: Any, **options: Any) -> asyncio.Future[Any]:
        async def answer() -> Any:
            found = await done
            await asyncio.sleep(0.5)
            return found

        done = run(*arguments, **options)
        return asyncio.ensure_future(answer())

    return run_late
