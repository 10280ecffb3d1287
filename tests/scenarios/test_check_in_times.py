"""Hours: workers are told those of their place, and rosters follow its clock, whatever that does."""

import asyncio
from datetime import UTC, datetime
from typing import Any

from tests.scenarios.shift import PIN, QUICK, SERVICE, Shift, shift
from voice.sim.loop import DAWN

NEW_YORK: list[dict[str, Any]] = [
    {"id": "acme", "name": "Acme Care", "language": "en", "caller_id": SERVICE, "timezone": "America/New_York"},
]
AMSTERDAM = [NEW_YORK[0] | {"timezone": "Europe/Amsterdam"}]
MORNING: dict[str, Any] = {"id": "morning", "rrule": "FREQ=DAILY", "start": "2025-12-01T07:01", "duration": 3600}
ROSTERED: dict[str, Any] = {"roster": ["morning"]}


@shift(QUICK, customers=NEW_YORK)
async def test_he_is_told_the_time_of_the_place_where_he_works(shift: Shift) -> None:
    shift.begins()
    line = await shift.confirms()
    await line.hears("The next check-in is at 1 oh 2 a m").hangs_up()
    await asyncio.sleep(45)
    assert shift.texts[-1].startswith("Your next check-in is at 01:02.")


@shift(QUICK, customers=[*NEW_YORK, AMSTERDAM[0] | {"id": "other", "name": "Other"}])
async def test_who_calls_from_anywhere_is_told_the_time_of_the_place_where_he_works(shift: Shift) -> None:
    shift.begins()
    line = await shift.calls_in("+4915111111111")
    await line.hears("worker number").presses("4711#").hears("PIN").presses(f"{PIN}#")
    await line.hears("The next check-in is at 1 oh 1 a m").hangs_up()


@shift(QUICK, customers=NEW_YORK, start=datetime(2026, 1, 2, 4, 58, 30, tzinfo=UTC))
async def test_a_session_over_midnight_says_the_date_of_tomorrow(shift: Shift) -> None:
    shift.begins()
    line = await shift.signs_in()
    await line.hears("runs until 7 58 a m on").hears("The next check-in is at 11 59 p m").hangs_up()


@shift(QUICK, customers=AMSTERDAM, worker=ROSTERED, rosters=[MORNING])
async def test_a_session_of_a_roster_begins_by_itself_at_its_local_time_and_he_is_called(shift: Shift) -> None:
    await asyncio.sleep(55)
    assert shift.session() is None
    await asyncio.sleep(20)
    session = shift.session()
    assert session is not None
    assert (session.origin, session.started_at.minute) == ("roster", 1)
    line = await shift.confirms("70s")
    await line.hears("The next check-in is at 7 oh 3 a m").hangs_up()


@shift(QUICK, worker=ROSTERED, rosters=[MORNING | {"holidays": ["2026-01-01"]}])
async def test_on_a_holiday_none_begins(shift: Shift) -> None:
    await shift.worker.stays_silent_for("3min")
    assert shift.session() is None


@shift(QUICK, worker=ROSTERED, rosters=[MORNING | {"start": "2025-12-01T07:00:30"}])
async def test_a_session_that_he_has_ended_does_not_begin_again_after_a_restart(shift: Shift) -> None:
    await asyncio.sleep(36)
    line = await shift.signs_in()
    await line.presses("5").hears("once more").presses("5").hears("has ended").hangs_up()
    await shift.world.stage.crash()
    await line.stays_silent_for("2min")
    assert shift.session() is None


@shift(QUICK, worker=ROSTERED, rosters=[MORNING | {"start": "2025-12-01T07:00:30"}])
async def test_a_session_goes_on_after_a_restart_and_is_no_second_one(shift: Shift) -> None:
    await asyncio.sleep(36)
    before = shift.session()
    await shift.world.stage.crash()
    await asyncio.sleep(10)
    after = shift.session()
    assert before is not None
    assert after is not None
    assert (before.id, before.due_at) == (after.id, after.due_at)
    line = await shift.confirms("1min")
    await line.hangs_up().stays_silent_for("30s")


@shift(QUICK, worker=ROSTERED, rosters=[MORNING])
async def test_an_outage_over_its_beginning_only_delays_it(shift: Shift) -> None:
    await shift.world.stage.kill()
    await asyncio.sleep(300)
    await shift.world.stage.restart()
    await shift.worker.rings_within("15s")
    session = shift.session()
    assert session is not None
    assert session.started_at == DAWN.replace(minute=1)


NIGHT = datetime(2026, 3, 29, 0, 58, 0, tzinfo=UTC)
"""Two minutes before clocks in Amsterdam jump from 2:00 to 3:00."""


@shift(QUICK, customers=AMSTERDAM, start=NIGHT)
async def test_a_session_goes_on_over_the_change_of_the_clock(shift: Shift) -> None:
    shift.begins(hours=0.5)
    line = await shift.confirms()
    await line.hears("The next check-in is at 3 a m").hangs_up()
    line = await shift.confirms("70s")
    await line.hears("The next check-in is at 3 oh 1 a m").hangs_up()


@shift(QUICK, customers=AMSTERDAM, start=NIGHT, worker={"roster": ["early"]},
       rosters=[MORNING | {"id": "early", "start": "2026-03-01T02:30", "duration": 600}])  # fmt: skip
async def test_a_session_at_a_time_that_the_clock_jumps_over_begins_when_it_jumps(shift: Shift) -> None:
    await asyncio.sleep(115)
    assert shift.session() is None
    await asyncio.sleep(11)
    session = shift.session()
    assert session is not None
    assert session.started_at == datetime(2026, 3, 29, 1, 0, tzinfo=UTC)
    assert (session.ends_at - session.started_at).total_seconds() == 600
    await shift.worker.rings_within("60s")


AUTUMN = [MORNING | {"id": "early", "start": "2026-03-01T02:30", "duration": 600}]


@shift(QUICK, start=datetime(2026, 10, 25, 0, 29, tzinfo=UTC), worker={"roster": ["early"]}, rosters=AUTUMN)
async def test_a_session_at_a_time_that_comes_twice_begins_the_first_time(shift: Shift) -> None:
    await asyncio.sleep(70)
    assert shift.session() is not None


@shift(QUICK, start=datetime(2026, 10, 25, 1, 29, tzinfo=UTC), worker={"roster": ["early"]}, rosters=AUTUMN)
async def test_and_not_the_second_time(shift: Shift) -> None:
    await asyncio.sleep(70)
    assert shift.session() is None
