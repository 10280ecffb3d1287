"""What a worker said before he went in is the first thing that people can hear when something happens to him."""

import asyncio

from tests.scenarios.tale import Tale, ring, tale
from tests.scenarios.world import World, story
from voice.sim.phone import SimPhone
from voice.sim.phone_call import PhoneCall
from voice.sim.speech import marked_frames

ALARM = "sip:alarm@earshot"
SECONDS = 10
FIRST = 900_001
"""The frames of a memo are numbered from here."""
MEMO = b"".join(marked_frames(SECONDS * 50, FIRST))


async def left_by(world: World, worker: str = "anna") -> None:
    assert await world.stage.service.memos.keep(worker, None, MEMO) is not None


async def listening(world: World, *, device: str = "badge7") -> tuple[SimPhone, PhoneCall, PhoneCall]:
    badge, olga = await world.device(device, register=True), await world.operator("olga", after=0.5)
    call = badge.call(ALARM)
    heard = await olga.called()
    await heard.established()
    return badge, call, heard


def of_memo(call: PhoneCall, since: float = 0.0) -> list[int]:
    return [number for number in call.hearing.marks(since).numbers if number >= FIRST]


@story()
async def test_an_operator_is_told_by_a_sound_and_hears_the_memo_with_6(world: World) -> None:
    await left_by(world)
    _, device, olga = await listening(world)
    await asyncio.sleep(1)
    assert olga.hearing.loudness(world.now - 1, world.now) > 100
    await asyncio.sleep(1)
    olga.press("6")
    await asyncio.sleep(SECONDS + 1)
    assert of_memo(olga) == list(range(FIRST, FIRST + SECONDS * 50))
    assert (await world.entry("memo_heard")).actor == "operator:olga"
    assert (await world.entry("amber_memo")).detail["seconds"] == SECONDS
    assert device.hearing.heard_silence_only()


@story()
async def test_any_key_ends_it_and_is_confirmed_at_once(world: World) -> None:
    await left_by(world)
    _, _, olga = await listening(world)
    await asyncio.sleep(2)
    olga.press("6")
    await asyncio.sleep(3)
    since = world.now
    olga.press("7")
    await asyncio.sleep(1)
    assert olga.hearing.loudness(since, world.now) > 200
    await asyncio.sleep(SECONDS)
    assert 100 < len(of_memo(olga)) < 200
    assert of_memo(olga, since + 0.5) == []
    assert await world.entry("marked")


@story()
async def test_behind_a_memo_the_alarm_goes_on_fainter_and_is_whole_afterwards(world: World) -> None:
    await left_by(world)
    badge, device, olga = await listening(world)
    device.say(world.speech(badge, 40))
    await asyncio.sleep(5)
    olga.press("6")
    await asyncio.sleep(SECONDS + 2)
    since = world.now
    await asyncio.sleep(4)
    numbers = world.said_by(badge, olga.hearing.marks(since).numbers)
    assert len(numbers) > 190


@story()
async def test_without_a_memo_6_is_answered_by_the_sound_of_an_error(world: World) -> None:
    await left_by(world, "bob")
    _, _, olga = await listening(world)
    await asyncio.sleep(2)
    assert olga.hearing.loudness(0, world.now) < 10
    since = world.now
    olga.press("6")
    await asyncio.sleep(1)
    assert olga.hearing.loudness(since, world.now) > 200
    assert await world.entries("memo_heard") == []


@tale([ring("contact:anna"), ring("operators")])
async def test_a_contact_who_has_the_alarm_hears_the_memo_with_4(tale: Tale) -> None:
    await left_by(tale.world)
    await tale.alarm()
    anna = await tale.taken_by("anna")
    await anna.presses("4").hears("The spoken memo").waits(SECONDS + 3)
    assert MEMO in anna.call.hearing.audio()
    (heard,) = await tale.notes("memo_heard")
    assert heard.actor == "contact:anna"


@story()
async def test_a_memo_of_a_process_that_crashed_is_heard_by_who_comes_back(world: World) -> None:
    await left_by(world)
    _, _, olga = await listening(world)
    await asyncio.sleep(2)
    await world.stage.crash()
    olga = await world.stage.phones["olga"].called()
    await olga.established()
    await asyncio.sleep(2)
    olga.press("6")
    await asyncio.sleep(SECONDS + 1)
    assert of_memo(olga) == list(range(FIRST, FIRST + SECONDS * 50))
    assert await world.entry("amber_memo")
