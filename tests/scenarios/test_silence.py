"""What a device hears: bit-exact silence, or nothing, and an operator only while he talks to it."""

import asyncio

import pytest

from tests.scenarios.world import HOSTS, World, story
from voice.media.gate import Profile
from voice.sim.habits import Habits
from voice.sim.phone import SimPhone
from voice.sim.phone_call import PhoneCall

ALARM = "sip:alarm@earshot"
DEVICE_OF = {Profile.SILENCE: "badge7", Profile.KEEPALIVE: "watch7", Profile.RECVONLY: "fob9"}
every_profile = pytest.mark.parametrize("profile", list(DEVICE_OF))


def as_promised(profile: Profile, call: PhoneCall, since: float, until: float) -> None:
    """What has come to the device in this span is what its profile says, bit for bit."""
    packets = list(call.hearing.packets(since, until))
    assert call.hearing.heard_silence_only(since, until)
    seconds = until - since
    match profile:
        case Profile.SILENCE:
            assert abs(len(packets) - 50 * seconds) <= 2 + seconds
        case Profile.KEEPALIVE:
            assert seconds - 1 <= len(packets) <= seconds + 2
        case Profile.RECVONLY:
            assert not packets


@every_profile
@story()
async def test_a_device_hears_silence_through_ring_join_catch_up_and_leave(world: World, profile: Profile) -> None:
    name = DEVICE_OF[profile]
    badge = await world.device(name)
    olga, otto = await world.operator("olga", after=3), await world.operator("otto", register=False)
    call = badge.call(ALARM)
    call.say(world.speech(badge, 60))
    await call.established()
    answered = world.now
    listening = await olga.called()
    await listening.established()  # joined, and catching up
    await asyncio.sleep(2)
    for key in "2379":
        listening.press(key)
        await asyncio.sleep(1)
    listening.say(world.speech(olga, 2))  # he speaks, but not to the device
    await listening.said()
    joined = otto.call(f"sip:listen-{(await world.incident()).id}@earshot")
    await joined.established()
    await asyncio.sleep(2)
    listening.press("*")
    await listening.over()
    joined.hang_up()
    await asyncio.sleep(3)
    as_promised(profile, call, answered + 0.1, world.now)
    assert (b"a=recvonly" in answer_to(world, name)) == (profile is Profile.RECVONLY)
    call.hang_up()
    await asyncio.sleep(0.2)


def answer_to(world: World, name: str) -> bytes:
    """The first 200 with a session description that went to this device."""
    return next(
        packet.data
        for packet in world.stage.network.captured
        if packet.destination[0] == HOSTS[name] and packet.data.startswith(b"SIP/2.0 200") and b"m=audio" in packet.data
    )


@every_profile
@story()
async def test_a_device_hears_an_operator_only_between_talk_on_and_talk_off(world: World, profile: Profile) -> None:
    badge, olga = await world.device(DEVICE_OF[profile]), await world.operator("olga", after=0.5)
    call = badge.call(ALARM)
    listening = await olga.called()
    await listening.established()
    await asyncio.sleep(2)
    for turn in range(2):
        await said(world, olga, listening, 1)
        before = world.now
        as_promised(profile, call, before - 1, before)
        await talk(listening)
        first, count = await said(world, olga, listening, 2)
        assert not call.hearing.marks(before).missing(range(first, first + count)), f"turn {turn}"
        await talk(listening)
        await asyncio.sleep(0.5)
        after = world.now
        await said(world, olga, listening, 1)
        await asyncio.sleep(1)
        as_promised(profile, call, after, world.now)
    windows = [entry.kind for entry in await world.timeline() if entry.kind.startswith(("gate", "talk"))]
    assert windows == ["gate_opened", "talk_on", "gate_shut", "talk_off"] * 2


async def said(world: World, olga: SimPhone, call: PhoneCall, seconds: int) -> tuple[int, int]:
    """Speak so long. Returns the numbers that were said: the first and how many."""
    frames = list(world.speech(olga, seconds))
    call.say(iter(frames))
    await call.said()
    await asyncio.sleep(0.2)
    return world.last_number(olga) + 1 - len(frames), len(frames)


async def talk(call: PhoneCall) -> None:
    call.press("1")
    await asyncio.sleep(1)


@every_profile
@story()
async def test_a_device_that_is_called_back_hears_silence_too(world: World, profile: Profile) -> None:
    badge, olga = await world.device(DEVICE_OF[profile], register=True), await world.operator("olga", after=0.5)
    call = badge.call(ALARM)
    listening = await olga.called()
    await listening.established()
    await asyncio.sleep(2)
    call.hang_up()
    await asyncio.sleep(1)
    listening.press("5")
    back = await badge.called()
    await back.established()
    since = world.now
    await asyncio.sleep(4)
    as_promised(profile, back, since + 0.1, world.now)
    await talk(listening)
    first, count = await said(world, olga, listening, 1)
    assert not back.hearing.marks(since).missing(range(first, first + count))


@every_profile
@story()
async def test_an_operator_who_leaves_while_he_talks_shuts_the_gate(world: World, profile: Profile) -> None:
    badge, olga = await world.device(DEVICE_OF[profile]), await world.operator("olga", after=0.5)
    call = badge.call(ALARM)
    listening = await olga.called()
    await listening.established()
    await asyncio.sleep(2)
    await talk(listening)
    listening.say(world.speech(olga, 1))
    await listening.said()
    listening.hang_up()
    await asyncio.sleep(0.5)
    since = world.now
    await asyncio.sleep(3)
    as_promised(profile, call, since, world.now)
    assert [e.kind for e in await world.timeline() if e.kind.startswith("gate")] == ["gate_opened", "gate_shut"]


@story()
async def test_a_device_that_calls_again_without_an_offer_while_an_operator_talks_hears_him(world: World) -> None:
    """Its leg opens its gate before its answer has come: one offer after the other."""
    fob, olga = await world.device("fob9", habits=Habits(late_offer=True)), await world.operator("olga", after=0.5)
    first = fob.call(ALARM)
    listening = await olga.called()
    await listening.established()
    await asyncio.sleep(2)
    await talk(listening)
    first.hang_up()
    await asyncio.sleep(1)
    second = fob.call(ALARM)
    await asyncio.sleep(1)
    since = world.now
    first_number, count = await said(world, olga, listening, 1)
    assert not second.hearing.marks(since).missing(range(first_number, first_number + count))
