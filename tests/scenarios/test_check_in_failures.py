"""What fails at the minute of a check-in: the trunk, the store, the service itself. Nobody is left uncalled for it,
no worker is missed for it before its time, and no call for help is lost in it."""

import asyncio
from typing import Literal

import pytest

from tests.scenarios.shift import DURESS, MOBILE, PIN, QUICK, Shift, shift
from tests.scenarios.test_faults import STORE_AWAY
from voice.incidents.kinds import Kind

AWAY = OSError("the database disk is gone")
ROOM = 5.0
"""Seconds that may lie between the start of a process and the call that its predecessor owed."""


async def _dies_and_comes_back(shift: Shift, *, down: float = 1.0) -> None:
    """`kill -9`. The worker's telephone notices at last that nobody is there, and he hangs up."""
    await shift.world.stage.kill()
    for call in shift.worker.line.live_calls:
        call.drop(None)
    await asyncio.sleep(down)
    await shift.world.stage.restart()


# -- the trunk --


@pytest.mark.parametrize("status", [503, 408, 404, None])
@shift(QUICK | {"unreachable_after": 120.0})
async def test_a_trunk_that_is_down_is_no_miss_of_the_worker_until_it_lasts_too_long(
    shift: Shift, status: int | None
) -> None:
    shift.begins()
    shift.exchange.refuses = status
    if status is None:
        await shift.exchange.die()
    await asyncio.sleep(60 + 115)
    assert await shift.incidents(Kind.MISSED_CHECK_IN) == []
    incident = await shift.missed("60s")
    (opened,) = await shift.world.entries("opened", incident.id)
    assert opened.detail["why"] == "unreachable"


@shift(QUICK)
async def test_a_trunk_that_comes_back_in_time_costs_a_few_minutes_and_no_alarm(shift: Shift) -> None:
    shift.begins()
    await shift.exchange.die()
    await asyncio.sleep(60 + 150)
    await shift.exchange.start()
    await shift.confirms("60s")
    assert await shift.incidents(Kind.MISSED_CHECK_IN) == []


# -- the store --


@shift(QUICK, expects=STORE_AWAY)
async def test_while_the_store_is_away_he_is_called_and_confirms(shift: Shift) -> None:
    shift.begins()
    await asyncio.sleep(50)
    shift.world.stage.store.fail_with(AWAY)
    line = await shift.confirms("15s")
    await line.hangs_up()
    shift.world.stage.store.fail_with(None)
    await asyncio.sleep(5)
    await _dies_and_comes_back(shift)
    await asyncio.sleep(ROOM)
    session = shift.session()
    assert session is not None
    assert session.confirmed_by == "key"


@shift(QUICK, expects=STORE_AWAY)
async def test_while_the_store_is_away_a_check_in_that_is_missed_rings_operators(shift: Shift) -> None:
    operator = await shift.world.operator("olga")
    shift.begins()
    await asyncio.sleep(50)
    shift.world.stage.store.fail_with(AWAY)
    await asyncio.sleep(85)
    assert not operator.calls[-1].is_over
    assert len(shift.worker.line.calls) == 2
    shift.world.stage.store.fail_with(None)
    await shift.missed("30s")


@pytest.mark.parametrize(("confirm", "keyed"), [("key", "00"), ("pin", f"{DURESS}#")])
@shift(QUICK, expects=STORE_AWAY)
async def test_while_the_store_is_away_a_silent_call_for_help_rings_operators_and_is_thanked_for(
    shift: Shift, confirm: Literal["key", "pin"], keyed: str
) -> None:
    operator = await shift.world.operator("olga")
    shift.begins(confirm=confirm)
    line = await shift.is_asked()
    shift.world.stage.store.fail_with(AWAY)
    await line.hears("if you are well").presses(keyed).hears("Thank you. The next check-in is at").waits(5)
    assert operator.calls
    shift.world.stage.store.fail_with(None)
    await line.waits(5).hangs_up()
    assert len(await shift.incidents(Kind.DURESS)) == 1


@shift(QUICK, expects=STORE_AWAY)
async def test_while_the_store_is_away_who_calls_signs_in_and_begins_a_session(shift: Shift) -> None:
    shift.world.stage.store.fail_with(AWAY)
    line = await shift.calls_in()
    await line.hears("PIN").presses(f"{PIN}#").hears("no session")
    await line.presses("1").hears("hours").presses("1#").hears("every").presses("1").hears("has started").hangs_up()
    shift.world.stage.store.fail_with(None)
    await asyncio.sleep(5)
    assert shift.session() is not None


# -- room for calls --


@shift(QUICK | {"unreachable_after": 60.0}, rtp_ports=(20_000, 20_001))
async def test_without_room_for_a_call_he_is_called_as_soon_as_there_is_and_missed_if_there_is_none(
    shift: Shift,
) -> None:
    badge = await shift.world.device("badge7")
    shift.begins()
    call = badge.call("sip:alarm@earshot")
    await call.established()
    await asyncio.sleep(80)
    call.hang_up()
    line = await shift.confirms("30s")
    await line.hangs_up()
    await badge.call("sip:alarm@earshot").established()
    incident = await shift.missed("4min")
    (opened,) = await shift.world.entries("opened", incident.id)
    assert opened.detail["why"] == "unreachable"


# -- the service itself --


@shift(QUICK)
async def test_killed_before_a_call_was_due_it_calls_when_it_is_there_again(shift: Shift) -> None:
    shift.begins()
    await asyncio.sleep(55)
    await _dies_and_comes_back(shift, down=30)
    await shift.worker.rings_within(ROOM)


@shift(QUICK)
async def test_killed_while_it_rings_it_calls_again(shift: Shift) -> None:
    shift.begins()
    await shift.worker.rings_within("6min")
    await _dies_and_comes_back(shift)
    await shift.confirms(ROOM)


@shift(QUICK)
async def test_killed_in_the_dialogue_it_calls_again(shift: Shift) -> None:
    shift.begins()
    line = await shift.is_asked()
    await line.hears("If you are well")
    await _dies_and_comes_back(shift)
    await shift.confirms(ROOM)


@pytest.mark.parametrize("moment", [0.0, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 1.0])
@shift(QUICK)
async def test_killed_at_any_moment_after_the_key_it_has_the_confirmation_or_calls_again(
    shift: Shift, moment: float
) -> None:
    shift.begins()
    line = await shift.is_asked()
    line.call.press(await shift.key())
    await asyncio.sleep(moment)
    await _dies_and_comes_back(shift)
    await asyncio.sleep(ROOM)
    session = shift.session()
    assert session is not None
    assert session.confirmed_by == "key" or shift.worker.rings
    assert await shift.world.incidents() == []


@pytest.mark.parametrize("moment", [0.6, 1.0, 2.0, 5.0])
@shift(QUICK)
async def test_killed_after_the_duress_keys_it_has_the_alarm_open(shift: Shift, moment: float) -> None:
    operator = await shift.world.operator("olga")
    shift.begins()
    line = await shift.is_asked()
    await line.hears("If you are well")
    line.call.press("00")
    await asyncio.sleep(moment)
    await _dies_and_comes_back(shift)
    await asyncio.sleep(ROOM)
    (incident,) = await shift.incidents(Kind.DURESS)
    assert shift.world.live(incident.id)
    assert operator.calls
    assert [number for _, number in shift.exchange.dialled] == [MOBILE]  # nobody calls him back


@pytest.mark.parametrize("moment", [0.0, 0.1, 0.2, 0.25, 0.3, 0.35, 0.4, 0.5])
@shift(QUICK)
async def test_killed_while_the_duress_keys_come_it_has_the_alarm_open_or_calls_again(
    shift: Shift, moment: float
) -> None:
    shift.begins()
    line = await shift.is_asked()
    await line.hears("If you are well")
    line.call.press("00")
    await asyncio.sleep(moment)
    await _dies_and_comes_back(shift)
    await asyncio.sleep(ROOM)
    assert await shift.incidents(Kind.DURESS) or shift.worker.rings


@pytest.mark.parametrize("moment", [0.0, 0.2, 0.5, 1.0, 4.0])
@shift(QUICK)
async def test_killed_after_a_duress_pin_in_a_call_of_his_own_it_has_the_alarm_open(
    shift: Shift, moment: float
) -> None:
    shift.begins()
    line = await shift.calls_in()
    await line.hears("key in your PIN").presses(f"{DURESS}#").waits(0.5 + moment)
    await _dies_and_comes_back(shift)
    await asyncio.sleep(ROOM)
    assert len(await shift.incidents(Kind.DURESS)) == 1


@shift(QUICK)
async def test_killed_while_he_is_asked_whether_he_is_still_working_it_asks_again(shift: Shift) -> None:
    shift.begins(hours=60 / 3600)
    line = await shift.is_asked()
    await line.presses(await shift.key()).hears("If you are still working")
    await _dies_and_comes_back(shift)
    line = await shift.is_asked(ROOM)
    await line.presses(await shift.key()).hears("If you are still working").hangs_up().waits(1)
    assert shift.session() is None
    assert await shift.world.incidents() == []


@shift(QUICK)
async def test_killed_while_it_waits_to_call_again_the_alarm_comes_at_its_time(shift: Shift) -> None:
    shift.begins()
    await shift.worker.rings_within("6min").stops_within("30s")
    await _dies_and_comes_back(shift)
    await shift.missed("45s")


@shift(QUICK)
async def test_killed_at_the_moment_of_the_miss_it_raises_one_alarm(shift: Shift) -> None:
    shift.begins()
    await shift.missed("7min")
    await _dies_and_comes_back(shift)
    await asyncio.sleep(60)
    assert len(await shift.incidents(Kind.MISSED_CHECK_IN)) == 1


@shift(QUICK)
async def test_of_many_check_ins_that_came_due_meanwhile_he_is_asked_one(shift: Shift) -> None:
    shift.begins()
    await asyncio.sleep(30)
    await _dies_and_comes_back(shift, down=600)
    line = await shift.confirms(ROOM)
    await line.hangs_up().stays_silent_for("40s")
    assert await shift.world.incidents() == []
