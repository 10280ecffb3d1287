"""What an operator's keys do: each is confirmed by a sound that only he hears."""

import asyncio
from dataclasses import replace

import pytest

from tests.scenarios.world import World, story
from voice.incidents.lifecycle import Reason, State
from voice.sim.habits import Answers, Habits
from voice.sim.phone import SimPhone
from voice.sim.phone_call import PhoneCall
from voice.sim.wire import request

ALARM = "sip:alarm@earshot"
WAYS = ["rfc4733", "info", "inband"]
every_way = pytest.mark.parametrize("by", WAYS)


async def listening_to(world: World, seconds: float = 0.0) -> tuple[SimPhone, PhoneCall, SimPhone, PhoneCall]:
    """A badge that called and says nothing, an operator who listens to it."""
    badge, olga = await world.device("badge7", register=True), await world.operator("olga", after=0.5)
    call = badge.call(ALARM)
    if seconds:
        call.say(world.speech(badge, seconds))
    listening = await olga.called()
    await listening.established()
    await asyncio.sleep(3)
    return badge, call, olga, listening


async def confirmed(world: World, listening: PhoneCall, key: str, by: str) -> bool:
    """Press a key; whether a sound came back within a moment."""
    since = world.now
    listening.press(key, by)
    await asyncio.sleep(0.8)
    return listening.hearing.loudness(since, world.now) > 200


@every_way
@story()
async def test_1_lets_the_worker_hear_the_operator_and_again_not(world: World, by: str) -> None:
    _, call, olga, listening = await listening_to(world)
    assert await confirmed(world, listening, "1", by)
    on = world.moment((await world.entry("talk_on")).time)
    listening.say(world.speech(olga, 2))
    await listening.said()
    assert await confirmed(world, listening, "1", by)
    off = world.moment((await world.entry("talk_off")).time)
    listening.say(world.speech(olga, 2))
    await listening.said()
    heard = call.hearing.marks().numbers
    first = world.first_number(olga)
    assert set(range(first, first + 95)) <= set(heard)  # the two seconds while he talked
    assert not set(range(first + 100, first + 200)) & set(heard)  # not those afterwards
    assert call.hearing.heard_silence_only(until=on)
    assert call.hearing.heard_silence_only(since=off + 0.15)


@every_way
@story()
async def test_2_goes_back_ten_seconds(world: World, by: str) -> None:
    badge, _, _, listening = await listening_to(world, 60)
    await asyncio.sleep(15)
    live = listening.hearing.marks(world.now - 0.5).numbers[-1]
    listening.press("2", by)
    await asyncio.sleep(2.5)
    earliest = min(listening.hearing.marks(world.now - 2.0).numbers)
    assert 300 <= live - earliest <= 500
    await asyncio.sleep(25)
    behind = world.said_by(badge, listening.hearing.marks(world.now - 0.5).numbers)
    assert behind[-1] - live > 1300  # and is live again


@every_way
@story()
async def test_3_leaves_out_the_rest_and_goes_live(world: World, by: str) -> None:
    badge = await world.device("badge7")
    olga = await world.operator("olga", register=False)
    call = badge.call(ALARM)
    call.say(world.speech(badge, 60))
    await asyncio.sleep(20)
    listening = olga.call("sip:next@earshot")
    await listening.established()
    await asyncio.sleep(1)
    assert listening.hearing.marks().numbers[-1] < 100
    listening.press("3", by)
    await asyncio.sleep(1.5)
    numbers = listening.hearing.marks(world.now - 0.5).numbers
    assert numbers[-1] > 1000
    assert "listening_live" in await world.kinds()


@every_way
@story()
async def test_5_calls_a_device_back_that_has_hung_up(world: World, by: str) -> None:
    badge, call, _, listening = await listening_to(world)
    assert await confirmed(world, listening, "5", by)  # an error: the call is up
    assert not badge.calls[1:]
    call.hang_up()
    await asyncio.sleep(1)
    listening.press("5", by)
    back = await badge.called()
    await back.established()
    back.say(world.speech(badge, 3))
    since = world.now
    await asyncio.sleep(3)
    assert world.said_by(badge, listening.hearing.marks(since).numbers)
    invite = next(p for p in world.stage.network.sent_by("10.0.0.1") if request("INVITE")(p) and b"badge7@" in p.data)
    assert b"Answer-Mode: Auto" in invite.data
    assert b"answer-after=0" in invite.data
    assert "device_answered_call_back" in await world.kinds()
    assert back.hearing.heard_silence_only()
    await world.incident()


@story()
async def test_5_says_so_when_the_device_cannot_be_called_back(world: World) -> None:
    badge, call, _, listening = await listening_to(world)
    badge.habits = replace(badge.habits, answers=Answers.BUSY)
    call.hang_up()
    await asyncio.sleep(1)
    listening.press("5")
    await asyncio.sleep(1)
    assert (await world.entry("call_back_failed")).detail["status"] == 486
    assert (await world.incident()).state is State.IN_PROGRESS


@story()
async def test_5_calls_back_a_device_that_died_in_its_call(world: World) -> None:
    """Its call still looks as if it were up; nothing comes from it."""
    badge, _, _, listening = await listening_to(world)
    await badge.reboot(seconds=6)
    await badge.register()
    listening.press("5")
    await (await badge.called()).established()
    await asyncio.sleep(1)
    assert len(world.live((await world.incident()).id).device_calls) == 1


@story()
async def test_a_call_back_that_is_answered_after_the_incident_was_resolved_is_let_go(world: World) -> None:
    badge, call, _, listening = await listening_to(world)
    badge.habits = Habits(answers=Answers.YES, after=3.0)
    call.hang_up()
    await asyncio.sleep(1)
    listening.press("5")
    back = await badge.called()
    await asyncio.sleep(0.5)
    listening.press("#2")
    await back.over()
    await asyncio.sleep(1)
    assert not world.stage.service.calls.live


@story()
async def test_a_call_back_rings_no_more_once_the_incident_is_resolved_and_no_other_phone_is_tried(
    world: World,
) -> None:
    """A device that rings on betrays the worker, who may be held by whoever he called for help against."""
    badge, call, olga, listening = await listening_to(world)
    badge.habits = Habits(answers=Answers.NEVER)
    olga.habits = Habits(answers=Answers.NEVER)
    call.hang_up()
    await asyncio.sleep(1)
    contacts = world.stage.service.desk.contacts
    world.stage.service.desk.contacts = lambda device: contacts(device) * 2
    listening.press("5")
    back = await badge.called()
    await asyncio.sleep(2)
    assert not back.is_over
    listening.press("#2")
    await asyncio.sleep(3)
    assert await world.entry("resolved")
    assert back.is_over
    await asyncio.sleep(60)
    assert len(badge.calls) == 2
    assert await world.entry("call_back_stopped")
    assert "call_back_failed" not in await world.kinds()
    assert not world.stage.service.calls.live


@every_way
@story()
async def test_7_marks_the_moment_that_is_heard(world: World, by: str) -> None:
    _, _, _, listening = await listening_to(world, 30)
    await asyncio.sleep(5)
    numbers = listening.hearing.marks(world.now - 0.2).numbers
    assert await confirmed(world, listening, "7", by)
    marked = (await world.entry("marked")).detail
    assert marked["mode"] == "live"
    assert abs(marked["position_s"] - numbers[-1] / 50) < 1.0


@every_way
@story()
async def test_9_rings_the_other_operators_until_one_joins(world: World, by: str) -> None:
    _, _, olga, listening = await listening_to(world, 30)
    otto = await world.operator("otto", after=1)
    await asyncio.sleep(3)
    assert not otto.calls
    assert await confirmed(world, listening, "9", by)
    joined = await otto.called()
    await joined.established()
    await asyncio.sleep(5)
    assert listening.is_established
    assert len(olga.calls) == 1
    assert world.live((await world.incident()).id).listeners == {"olga", "otto"}


@every_way
@story()
async def test_star_gives_the_alarm_back_and_others_ring_first(world: World, by: str) -> None:
    _, _, olga, listening = await listening_to(world)
    listening.press("*", by)
    await listening.over()
    given_back = world.now
    await asyncio.sleep(0.1)
    assert (await world.incident()).state is State.OPEN
    otto = await world.operator("otto", answers=Answers.NEVER)
    await otto.called()
    assert world.now - given_back < 1
    await asyncio.sleep(15)
    assert len(olga.calls) == 1
    await olga.called()  # nobody else takes it
    assert 19 < world.now - given_back < 31
    assert (await world.entry("given_back")).detail["why"] == "asked for"


@every_way
@pytest.mark.parametrize(("key", "reason"), list(zip("12345", Reason, strict=True)))
@story()
async def test_hash_and_a_code_resolve_the_incident_with_a_reason(
    world: World, by: str, key: str, reason: Reason
) -> None:
    _, call, _, listening = await listening_to(world)
    assert await confirmed(world, listening, "#", by)
    assert await confirmed(world, listening, key, by)
    await call.over()  # the device is let go
    await listening.over()
    await asyncio.sleep(1)
    incident = await world.incident()
    assert (incident.state, incident.reason) == (State.RESOLVED, reason)
    assert not world.stage.service.calls.live


@every_way
@story()
async def test_a_wrong_reason_code_resolves_nothing(world: World, by: str) -> None:
    _, call, _, listening = await listening_to(world)
    listening.press("#", by)
    await asyncio.sleep(1)
    assert await confirmed(world, listening, "9", by)  # the sound of an error
    assert "help_asked" not in await world.kinds()
    assert (await world.incident()).state is State.IN_PROGRESS
    assert call.is_established


@story()
async def test_a_reason_code_that_never_comes_resolves_nothing(world: World) -> None:
    _, _, _, listening = await listening_to(world)
    listening.press("#")
    await asyncio.sleep(9)
    listening.press("1")  # too late: it is the key for talking again
    await asyncio.sleep(1)
    assert "talk_on" in await world.kinds()
    assert (await world.incident()).state is State.IN_PROGRESS


@story()
async def test_a_key_that_means_nothing_is_answered_by_a_sound(world: World) -> None:
    _, _, _, listening = await listening_to(world)
    assert await confirmed(world, listening, "8", "rfc4733")
    assert await confirmed(world, listening, "1", "rfc4733")


@story()
async def test_talking_to_a_device_that_has_hung_up_is_an_error(world: World) -> None:
    _, call, _, listening = await listening_to(world)
    call.hang_up()
    await asyncio.sleep(1)
    assert await confirmed(world, listening, "1", "rfc4733")
    assert "talk_on" not in await world.kinds()


@story()
async def test_a_digit_that_comes_by_two_ways_at_once_counts_once(world: World) -> None:
    _, _, _, listening = await listening_to(world)
    listening.press("1", "rfc4733")
    listening.press("1", "info")
    await asyncio.sleep(2)
    assert len(await world.entries("talk_on")) == 1
    assert not await world.entries("talk_off")
