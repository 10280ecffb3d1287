"""Who rings for which alarm, and what becomes of phones that do not answer."""

import asyncio

from tests.scenarios.world import HOSTS, World, story
from voice.incidents.lifecycle import State
from voice.sim.habits import Answers
from voice.sip.events import EndCause

ALARM = "sip:alarm@earshot"


@story()
async def test_all_operators_ring_at_once_and_the_others_stop_when_one_answers(world: World) -> None:
    badge = await world.device("badge7")
    olga, otto = await world.operator("olga", after=2), await world.operator("otto", after=9)
    badge.call(ALARM)
    first, second = await olga.called(), await otto.called()
    rung_at = world.now
    await first.established()
    end = await second.over()
    assert end.cause is EndCause.CANCELLED
    assert world.now - rung_at < 2.2
    await asyncio.sleep(10)
    assert first.is_established
    assert len(otto.calls) == 1
    assert (await world.incident()).taken_by == "operator:olga"


@story(alarms={"ring": "longest_idle"})
async def test_longest_idle_rings_one_phone_at_a_time(world: World) -> None:
    badge7, badge8 = await world.device("badge7"), await world.device("badge8")
    olga, otto = await world.operator("olga", after=1), await world.operator("otto", after=1)
    call = badge7.call(ALARM)
    listening = await olga.called()
    await listening.established()
    assert not otto.calls
    listening.press("#1")
    await call.over()
    await asyncio.sleep(2)

    badge8.call(ALARM)  # olga was busy a moment ago, otto never
    await (await otto.called()).established()
    assert len(olga.calls) == 1


@story()
async def test_an_operator_who_is_busy_is_rung_again(world: World) -> None:
    await _rung_again(world, Answers.BUSY, within=6)


@story()
async def test_an_operator_who_declines_is_rung_again(world: World) -> None:
    await _rung_again(world, Answers.DECLINES, within=18)


@story(alarms={"ring_seconds": 5.0})
async def test_an_operator_who_does_not_answer_is_rung_again(world: World) -> None:
    await _rung_again(world, Answers.NEVER, within=9)


async def _rung_again(world: World, answers: Answers, *, within: float) -> None:
    badge, olga = await world.device("badge7"), await world.operator("olga", answers=answers, after=0.5)
    badge.call(ALARM)
    for _ in range(3):
        rings = len(await world.entries("operator_rung")) if await world.incidents() else 0
        await asyncio.sleep(within)
        assert len(await world.entries("operator_rung")) > rings
    assert (await world.entries("ringing_ended"))[0].detail["outcome"] == {
        Answers.BUSY: "busy",
        Answers.DECLINES: "declined",
        Answers.NEVER: "no_answer",
    }[answers]
    assert (await world.incident()).state is State.OPEN
    olga.habits = type(olga.habits)(answers=Answers.YES, after=0.5)
    await asyncio.sleep(within)
    assert (await world.incident()).state is State.ACKNOWLEDGED


@story()
async def test_an_operator_who_registers_late_is_rung_at_once(world: World) -> None:
    badge = await world.device("badge7")
    badge.call(ALARM)
    await asyncio.sleep(20)
    olga = await world.operator("olga", after=1)
    registered = world.now
    await (await olga.called()).established()
    assert world.now - registered < 1.5


@story(alarms={"numbers": {"911": "man_down", "100": "test"}})
async def test_the_queue_is_by_priority_and_then_by_age(world: World) -> None:
    badge7, badge8, watch7 = [await world.device(name) for name in ("badge7", "badge8", "watch7")]
    badge8.call("sip:100@earshot")
    await asyncio.sleep(1)
    badge7.call("sip:911@earshot")
    await asyncio.sleep(1)
    watch7.call("sip:911@earshot")
    await asyncio.sleep(1)
    olga = await world.operator("olga", after=0.5)
    order = []
    for _ in range(3):
        listening = await olga.called()
        await listening.established()
        order += [incident.id for incident in world.stage.service.incidents if incident.listeners]
        listening.press("#1")
        await listening.over()
    by_id = {row.id: row for row in await world.incidents()}
    assert [by_id[id].device_id for id in order] == ["badge-7", "watch-7", "badge-8"]


@story()
async def test_next_takes_the_most_urgent_alarm(world: World) -> None:
    """`next` is dialled by an operator whose phone is not registered."""
    stranger, badge = await world.device("stranger"), await world.device("badge7")
    stranger.call("sip:anyone@earshot")
    await asyncio.sleep(1)
    badge.call(ALARM)
    await asyncio.sleep(1)
    olga = await world.operator("olga", register=False)
    listening = olga.call("sip:next@earshot")
    await listening.established()
    unidentified, panic = await world.incidents()
    assert (unidentified.state, panic.state) == (State.OPEN, State.ACKNOWLEDGED)
    assert panic.taken_by == "operator:olga"


@story()
async def test_next_is_refused_while_no_alarm_waits(world: World) -> None:
    olga = await world.operator("olga")
    assert (await olga.call("sip:next@earshot").over()).code == 480
    assert (await olga.call("sip:listen-nothing@earshot").over()).code == 480
    assert (await olga.call("sip:pizza@earshot").over()).code == 404


@story()
async def test_an_operator_must_prove_who_he_is(world: World) -> None:
    badge, olga = await world.device("badge7"), await world.operator("olga", register=False)
    badge.call(ALARM)
    await asyncio.sleep(1)
    incident = await world.incident()
    impostor = await world.stage.phone("otto", "10.6.6.6", password="guessed")
    nobody = await world.stage.phone("ona", "10.6.6.7")
    for phone in (impostor, nobody):
        for number in ("next", f"listen-{incident.id}"):
            assert (await phone.call(f"sip:{number}@earshot").over()).code == 401
    assert (await world.incident()).state is State.OPEN
    await olga.call(f"sip:listen-{incident.id}@earshot").established()


@story()
async def test_an_operator_who_dials_while_his_own_phone_rings_is_rung_no_more(world: World) -> None:
    badge, olga = await world.device("badge7"), await world.operator("olga", after=5)
    badge.call(ALARM)
    ringing = await olga.called()
    listening = olga.call("sip:next@earshot")
    await listening.established()
    assert (await ringing.over()).cause is EndCause.CANCELLED
    await asyncio.sleep(8)
    assert listening.is_established
    assert len(olga.calls) == 2


@story()
async def test_whoever_answers_second_takes_the_next_alarm(world: World) -> None:
    badge7, badge8 = await world.device("badge7"), await world.device("badge8")
    olga, otto = await world.operator("olga", after=1), await world.operator("otto", after=1)
    badge7.call(ALARM)
    await asyncio.sleep(0.5)
    badge8.call(ALARM)
    one, other = await olga.called(), await otto.called()  # both ring for badge 7, both answer at once
    await one.established()
    await other.established()
    await asyncio.sleep(1)
    assert [row.state for row in await world.incidents()] == [State.ACKNOWLEDGED, State.ACKNOWLEDGED]
    assert {row.taken_by for row in await world.incidents()} == {"operator:olga", "operator:otto"}


@story()
async def test_an_operator_whose_phone_dies_gives_the_alarm_back(world: World) -> None:
    badge = await world.device("badge7")
    olga, otto = await world.operator("olga", after=1), await world.operator("otto", after=4)
    badge.call(ALARM)
    await (await olga.called()).established()
    await asyncio.sleep(3)
    (await otto.called()).hang_up()
    await olga.die()  # not a word to anybody
    dead = world.now
    again = await otto.called()
    assert world.now - dead < 10
    await again.established()
    assert "operator:otto" in {entry.actor for entry in await world.entries("operator_joined")}
    await asyncio.sleep(40)
    assert again.is_established


@story()
async def test_an_operator_whose_softphone_crashes_gives_the_alarm_back(world: World) -> None:
    """His computer says at once that nobody listens at the port any more. That is no sign of life."""
    badge = await world.device("badge7")
    olga, otto = await world.operator("olga", after=1), await world.operator("otto", after=4)
    badge.call(ALARM)
    await (await olga.called()).established()
    await asyncio.sleep(3)
    (await otto.called()).hang_up()
    await olga.die()
    world.stage.network.desert(HOSTS["olga"])
    dead = world.now
    await (await otto.called()).established()
    assert world.now - dead < 12


@story()
async def test_an_operator_who_hangs_up_gives_the_alarm_back_and_is_rung_again(world: World) -> None:
    badge, olga = await world.device("badge7"), await world.operator("olga", after=1)
    badge.call(ALARM)
    listening = await olga.called()
    await listening.established()
    await asyncio.sleep(1)
    listening.hang_up()
    again = await olga.called()
    await again.established()
    assert [entry.detail["why"] for entry in await world.entries("given_back")] == ["leg ended"]
