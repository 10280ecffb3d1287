"""Networks as they are: loss, routers that translate addresses, connections that break."""

import asyncio

import pytest

from tests.scenarios.world import HOSTS, World, story
from voice.incidents.lifecycle import State
from voice.sim.habits import Habits
from voice.sim.link import Link
from voice.sim.wire import request, response

ALARM = "sip:alarm@earshot"


@story()
async def test_an_invite_that_is_sent_again_is_one_incident(world: World) -> None:
    badge = await world.device("badge7", register=True)
    for code in (100, 200):
        world.stage.network.lose(response(code), times=2)
    call = badge.call(ALARM)
    await call.established()
    sent = [packet for packet in world.stage.network.sent_by(HOSTS["badge7"]) if request("INVITE")(packet)]
    assert len(sent) >= 2
    await world.incident()
    assert len(await world.legs()) == 1


@pytest.mark.parametrize("seed", range(5))
@story(link=Link(delay=0.03, jitter=0.01, loss=0.05, duplicate=0.05, reorder=0.05), slack=0.5)
async def test_a_lossy_network_costs_no_alarm_and_opens_none_twice(world: World, seed: int) -> None:
    world.stage.network.shake(seed)
    badge, olga = await world.device("badge7"), await world.operator("olga", after=1)
    call = badge.call(ALARM)
    call.say(world.speech(badge, 10))
    await call.established()
    listening = await olga.called()
    await listening.established()
    await asyncio.sleep(10)
    assert len(listening.hearing.marks().numbers) > 100
    listening.press("#1")
    await call.over()
    await asyncio.sleep(1)
    assert (await world.incident()).state is State.RESOLVED


@story(link=Link(delay=0.02, loss=0.3, burst=5), slack=0.5)
async def test_a_bad_line_is_on_the_timeline(world: World) -> None:
    badge = await world.device("badge7")
    call = badge.call(ALARM)
    call.say(world.speech(badge, 30))
    await call.established()
    await asyncio.sleep(20)
    assert "packet_loss" in await world.kinds()


@story()
async def test_phones_behind_routers_are_reached_and_heard(world: World) -> None:
    network = world.stage.network
    network.nat(HOSTS["badge7"], "198.51.100.7")
    network.nat(HOSTS["olga"], "198.51.100.9")
    badge, olga = await world.device("badge7", register=True), await world.operator("olga", after=1)
    call = badge.call(ALARM)
    call.say(world.speech(badge, 12))
    listening = await olga.called()
    await listening.established()
    await asyncio.sleep(6)
    assert listening.hearing.marks().numbers[0] < 30
    listening.press("1")
    await asyncio.sleep(0.6)
    listening.say(world.speech(olga, 1))
    await listening.said()
    await asyncio.sleep(0.2)
    assert len(world.said_by(olga, call.hearing.marks().numbers)) >= 45
    listening.press("1")
    await asyncio.sleep(0.5)
    call.hang_up()
    await asyncio.sleep(1)
    listening.press("5")
    await (await badge.called()).established()  # through the flow that it registered by


@story()
async def test_operators_and_devices_on_tcp_are_served_alike(world: World) -> None:
    badge = await world.device("badge7", register=True, protocol="TCP")
    olga = await world.operator("olga", after=1, protocol="TCP")
    call = badge.call(ALARM)
    listening = await olga.called()
    await listening.established()
    listening.press("#1")
    await call.over()
    await listening.over()
    await asyncio.sleep(1)
    assert (await world.incident()).state is State.RESOLVED


@story()
async def test_an_operator_whose_connection_broke_is_rung_when_he_is_back(world: World) -> None:
    badge, olga = await world.device("badge7"), await world.operator("olga", after=1, protocol="TCP")
    olga.break_streams()
    await asyncio.sleep(1)
    badge.call(ALARM)
    await asyncio.sleep(5)
    await olga.register()
    await (await olga.called()).established()


@story()
async def test_a_connection_that_breaks_while_an_operator_listens_costs_him_nothing(world: World) -> None:
    """The audio does not go by it."""
    badge, olga = await world.device("badge7"), await world.operator("olga", after=1, protocol="TCP")
    call = badge.call(ALARM)
    call.say(world.speech(badge, 30))
    listening = await olga.called()
    await listening.established()
    await asyncio.sleep(3)
    olga.break_streams()
    await asyncio.sleep(5)
    assert listening.hearing.marks(world.now - 1).numbers
    listening.press("#1")
    await asyncio.sleep(2)
    assert (await world.incident()).state is State.RESOLVED


@story()
async def test_a_device_that_is_cut_off_and_comes_back_is_heard_on(world: World) -> None:
    badge, olga = await world.device("badge7"), await world.operator("olga", after=1)
    call = badge.call(ALARM)
    call.say(world.speech(badge, 40))
    listening = await olga.called()
    await listening.established()
    await asyncio.sleep(5)
    world.stage.network.partition(HOSTS["badge7"], world.now + 8)
    await asyncio.sleep(7)
    assert "no_audio" in await world.kinds()
    await asyncio.sleep(6)
    assert "audio_resumed" in await world.kinds()
    numbers = listening.hearing.marks(world.now - 1).numbers
    assert (world.now - call.answered_at) * 50 - numbers[-1] < 25 if call.answered_at else False


@story()
async def test_an_operator_who_is_cut_off_gives_the_alarm_back(world: World) -> None:
    badge, olga = await world.device("badge7"), await world.operator("olga", after=1)
    badge.call(ALARM)
    await (await olga.called()).established()
    await asyncio.sleep(2)
    cut = world.now
    world.stage.network.partition(HOSTS["olga"])
    otto = await world.operator("otto", after=1)
    await (await otto.called()).established()
    assert world.now - cut < 12


@story()
async def test_an_operator_who_is_muted_is_not_taken_for_dead(world: World) -> None:
    """His phone sends nothing while he says nothing."""
    badge = await world.device("badge7")
    olga = await world.operator("olga", habits=Habits(after=1, silent_when_idle=False))
    badge.call(ALARM)
    listening = await olga.called()
    await listening.established()
    await asyncio.sleep(60)
    assert listening.is_established
    await olga.die()
    await asyncio.sleep(20)
    assert [entry.detail["why"] for entry in await world.entries("given_back")] == ["leg ended"]
