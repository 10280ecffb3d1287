"""What operators hear: everything from second 0, then live, together with each other and never themselves."""

import asyncio

from tests.scenarios.world import World, story
from voice.incidents.lifecycle import State
from voice.sim.habits import Answers, Habits
from voice.sim.speech import tone

ALARM = "sip:alarm@earshot"


@story()
async def test_an_operator_hears_the_alarm_from_second_0_catches_up_and_goes_live(world: World) -> None:
    badge, olga = await world.device("badge7"), await world.operator("olga", after=4)
    call = badge.call(ALARM)
    call.say(world.speech(badge, 30))
    listening = await olga.called()
    await listening.established()
    joined = world.now
    await asyncio.sleep(16)
    numbers = listening.hearing.marks().numbers
    assert numbers[0] < 30  # 0.6 s: the first frame that catching up leaves in one piece
    assert numbers == sorted(set(numbers))  # in order, nothing twice
    went_live = world.moment((await world.entry("listening_live")).time)
    assert 7 < went_live - joined < 10  # 4 s behind, at 1.5 times the speed
    live = listening.hearing.marks(went_live + 0.5).numbers
    assert live == list(range(live[0], live[0] + len(live)))  # every frame, untouched
    assert 0 <= (world.now - call.answered_at) * 50 - live[-1] < 15 if call.answered_at else False  # 0.3 s late


@story()
async def test_the_time_until_a_human_heard_the_alarm_is_on_the_timeline(world: World) -> None:
    badge, olga = await world.device("badge7"), await world.operator("olga", after=2)
    call = badge.call(ALARM)
    call.say(world.speech(badge, 30))
    await (await olga.called()).established()
    await asyncio.sleep(1)
    assert 2.0 < (await world.entry("first_audio_heard")).detail["after_s"] < 2.2


@story()
async def test_a_second_operator_joins_by_dialling_and_both_hear_the_device(world: World) -> None:
    badge = await world.device("badge7")
    olga, otto = await world.operator("olga", after=0.5), await world.operator("otto", register=False)
    call = badge.call(ALARM)
    call.say(world.speech(badge, 40))
    one = await olga.called()
    await one.established()
    await asyncio.sleep(3)
    incident = await world.incident()
    other = otto.call(f"sip:listen-{incident.id}@earshot")
    await other.established()
    await asyncio.sleep(14)
    since = world.now - 2
    assert one.hearing.marks(since).numbers == list(dict.fromkeys(one.hearing.marks(since).numbers))
    assert len(set(one.hearing.marks(since).numbers) & set(other.hearing.marks(since).numbers)) > 80
    assert other.hearing.marks().numbers[0] < 30  # from second 0, though the first is live
    olga.habits = Habits(answers=Answers.NEVER)
    one.hang_up()
    await asyncio.sleep(1)
    assert (await world.incident()).state is State.ACKNOWLEDGED  # somebody is still there
    other.hang_up()
    await asyncio.sleep(1)
    assert (await world.incident()).state is State.OPEN


@story()
async def test_operators_and_device_hear_whoever_talks_and_nobody_himself(world: World) -> None:
    badge = await world.device("badge7")
    olga, otto = await world.operator("olga", after=0.5), await world.operator("otto", register=False)
    call = badge.call(ALARM)
    one = await olga.called()
    await one.established()
    other = otto.call(f"sip:listen-{(await world.incident()).id}@earshot")
    await other.established()
    await asyncio.sleep(4)
    one.press("1")
    await asyncio.sleep(1)
    since = world.now
    one.say(world.speech(olga, 2))
    await one.said()
    await asyncio.sleep(0.5)
    said = set(range(world.first_number(olga), world.first_number(olga) + 100))
    assert said <= set(other.hearing.marks(since).numbers)
    assert said <= set(call.hearing.marks(since).numbers)
    assert not said & set(one.hearing.marks(since).numbers)

    other.press("1")
    await asyncio.sleep(1)
    since = world.now
    one.say(tone(600.0, 2.0))
    other.say(world.speech(otto, 2))
    await other.said()
    await asyncio.sleep(0.5)
    spoken = set(range(world.first_number(otto), world.first_number(otto) + 100))
    assert len(spoken & set(one.hearing.marks(since).numbers)) > 95  # one hears the other alone
    assert not spoken & set(other.hearing.marks(since).numbers)
    assert not spoken & set(call.hearing.marks(since).numbers)  # the device hears both, mixed
    assert call.hearing.loudness(since, since + 2) > one.hearing.loudness(since, since + 2)


@story()
async def test_who_joins_later_is_announced_to_those_who_listen_alone(world: World) -> None:
    badge = await world.device("badge7")
    olga, otto = await world.operator("olga", after=0.5), await world.operator("otto", register=False)
    call = badge.call(ALARM)
    one = await olga.called()
    await one.established()
    await asyncio.sleep(3)
    since = world.now
    other = otto.call(f"sip:listen-{(await world.incident()).id}@earshot")
    await other.established()
    await asyncio.sleep(1)
    assert one.hearing.loudness(since) > 200
    assert other.hearing.heard_silence_only()
    assert call.hearing.heard_silence_only()


@story()
async def test_two_operators_one_resolves_and_both_are_let_go(world: World) -> None:
    badge = await world.device("badge7")
    olga, otto = await world.operator("olga", after=0.5), await world.operator("otto", register=False)
    call = badge.call(ALARM)
    one = await olga.called()
    await one.established()
    other = otto.call(f"sip:listen-{(await world.incident()).id}@earshot")
    await other.established()
    await asyncio.sleep(1)
    one.press("1")
    await asyncio.sleep(1)
    other.press("#3")
    await one.over()
    await other.over()
    await call.over()
    await asyncio.sleep(1)
    assert (await world.incident()).state is State.RESOLVED
    assert not world.stage.service.calls.live


@story()
async def test_the_recording_holds_every_sample_that_the_device_sent(world: World) -> None:
    badge = await world.device("badge7")
    call = badge.call(ALARM)
    call.say(world.speech(badge, 10))
    await call.said()
    await asyncio.sleep(0.2)
    call.hang_up()
    await asyncio.sleep(1)
    (recording,) = await world.recordings()
    marks = world.recorded(recording)
    assert marks.in_place
    assert not marks.missing(range(world.first_number(badge), world.first_number(badge) + 500))
    assert recording.complete
    assert recording.sha256 == world.hash_of(recording)


@story()
async def test_what_an_operator_said_to_the_worker_is_recorded(world: World) -> None:
    badge, olga = await world.device("badge7"), await world.operator("olga", after=0.5)
    badge.call(ALARM)
    listening = await olga.called()
    await listening.established()
    await asyncio.sleep(2)
    listening.press("1")
    await asyncio.sleep(0.6)
    listening.say(world.speech(olga, 2))
    await listening.said()
    listening.press("1")
    await asyncio.sleep(0.6)
    listening.press("#1")
    await listening.over()
    await asyncio.sleep(1)
    (sent,) = [r for r in await world.recordings() if r.direction == "sent"]
    assert not world.recorded(sent).missing(range(world.first_number(olga), world.first_number(olga) + 100))
