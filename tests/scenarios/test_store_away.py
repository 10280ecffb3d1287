"""The service starts without its database: calls are answered, and what it holds is taken up when it is back."""

import asyncio

from tests.scenarios.shift import QUICK, Shift, shift
from tests.scenarios.slow_store import away
from tests.scenarios.test_check_in_times import MORNING, ROSTERED
from tests.scenarios.world import World, story
from voice.incidents.lifecycle import State
from voice.store.sessions import open_sessions

ALARM = "sip:alarm@earshot"
WITHOUT = "calls are answered without the store; what it holds is taken up when it is back"
WAITING = "store unavailable; calls go on, writes wait"
UNDURABLE = "alarm answered before it was durable"


@story(expects=(WITHOUT, WAITING, UNDURABLE))
async def test_a_service_that_starts_without_its_store_answers_and_takes_up_later_what_was_open(world: World) -> None:
    before = await world.device("badge7", register=True)
    call = before.call(ALARM)
    call.say(world.speech(before, 4))
    await asyncio.sleep(5)
    await before.reboot(1)
    await world.stage.kill()
    with away(world.stage.store):
        await world.stage.restart()
        assert "store unavailable" in (world.stage.service.trouble or "")
        olga = await world.operator("olga", after=1)
        await asyncio.sleep(2)
        now = await world.device("badge8")
        called_at = world.now
        call = now.call(ALARM)
        call.say(world.speech(now, 3))
        await call.established()
        assert world.now - called_at < 0.2
        listening = await olga.called()
        await listening.established()
        await asyncio.sleep(5)
        assert world.said_by(now, listening.hearing.marks().numbers), "heard, though nothing is written"
        listening.press("#1")
        await listening.over()
    called_back = await before.called()
    await called_back.established()
    listening = await olga.called()
    await listening.established()
    await asyncio.sleep(6)
    assert world.said_by(before, listening.hearing.marks().numbers)[0] < world.first_number(before) + 30
    first, second = await world.incidents()
    assert (first.device_id, first.state) == ("badge-7", State.ACKNOWLEDGED)
    assert (second.device_id, second.state) == ("badge-8", State.RESOLVED)
    assert "service_restarted" in await world.kinds(first.id)
    assert "leg_lost" in await world.kinds(first.id)
    for kind in ("service_restarted", "leg_lost", "leg_replaced"):
        assert kind not in await world.kinds(second.id), "it was this process's own all the time"
    assert world.stage.service.trouble is None


@story(expects=(WITHOUT,))
async def test_once_the_store_is_back_an_alarm_is_durable_before_it_is_answered(world: World) -> None:
    await world.stage.kill()
    with away(world.stage.store):
        await world.stage.restart()
        await asyncio.sleep(60)
    await asyncio.sleep(3)
    await (await world.device("badge7")).call(ALARM).established()
    await asyncio.sleep(1)
    assert "before_commit" not in (await world.entry("answered")).detail


@story(expects=(WITHOUT, WAITING, UNDURABLE))
async def test_a_device_that_called_while_the_store_was_away_joins_the_incident_of_that_call(world: World) -> None:
    badge = await world.device("badge7")
    await badge.call(ALARM).established()
    await asyncio.sleep(2)
    await badge.reboot(1)
    await world.stage.kill()
    with away(world.stage.store):
        await world.stage.restart()
        call = badge.call(ALARM)
        await call.established()
        await asyncio.sleep(2)
    await asyncio.sleep(5)
    call.hang_up()
    await badge.call(ALARM).established()
    await asyncio.sleep(1)
    assert [len(await world.legs(row.id)) for row in await world.incidents()] == [1, 2]
    await world.operator("olga", after=1)
    await asyncio.sleep(3)
    assert [row.state for row in await world.incidents()].count(State.OPEN) == 1, "one after the other, both ring"


@story(expects=(WITHOUT, WAITING))
async def test_phones_that_registered_while_the_store_was_away_stay_registered(world: World) -> None:
    otto = await world.operator("otto", after=1, protocol="TCP")
    await world.stage.kill()
    with away(world.stage.store):
        await world.stage.restart()
        olga = await world.operator("olga", after=1, protocol="TCP")
    await asyncio.sleep(5)
    assert not otto.calls
    badge = await world.device("badge7")
    badge.call(ALARM)
    await (await olga.called()).established()


@shift(QUICK, expects=(WITHOUT, WAITING), worker=ROSTERED, rosters=[MORNING])
async def test_a_session_of_a_roster_begins_though_the_store_is_away(shift: Shift) -> None:
    store = shift.world.stage.store
    await asyncio.sleep(40)
    await shift.world.stage.kill()
    with away(store):
        await shift.world.stage.restart()
        assert shift.session() is None
        line = await shift.confirms("2min")
        await line.hangs_up()
    await asyncio.sleep(5)
    session = shift.session()
    assert session is not None
    (kept,) = await store.read(open_sessions)
    assert (kept.id, kept.confirmed_at) == (session.id, session.confirmed_at)


@shift(QUICK, expects=(WITHOUT, WAITING), worker=ROSTERED, rosters=[MORNING | {"start": "2025-12-01T07:00:30"}])
async def test_a_session_that_he_has_ended_ends_again_when_the_store_is_back(shift: Shift) -> None:
    await asyncio.sleep(36)
    line = await shift.signs_in()
    await line.presses("5").hears("once more").presses("5").hears("has ended").hangs_up()
    await shift.world.stage.kill()
    with away(shift.world.stage.store):
        await shift.world.stage.restart()
        await asyncio.sleep(40)
        assert shift.session() is not None, "nobody knows that he has ended it: rather once too often than never"
    await line.stays_silent_for("3min")
    assert shift.session() is None
    assert not await shift.world.incidents()


@shift(QUICK, expects=(WITHOUT, WAITING), worker=ROSTERED, rosters=[MORNING | {"start": "2025-12-01T07:00:30"}])
async def test_a_session_that_was_under_way_goes_on_when_the_store_is_back(shift: Shift) -> None:
    await asyncio.sleep(36)
    before = shift.session()
    assert before is not None
    await shift.world.stage.kill()
    with away(shift.world.stage.store):
        await shift.world.stage.restart()
        await asyncio.sleep(40)
    line = await shift.confirms("2min")
    await line.hangs_up()
    after = shift.session()
    assert after is not None
    assert after.id == before.id
    (kept,) = await shift.world.stage.store.read(open_sessions)
    assert kept.confirmed_at == after.confirmed_at is not None
    assert not await shift.world.incidents()
