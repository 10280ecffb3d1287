"""A worker is called when his check-in is due: he confirms, is called again, is missed."""

import asyncio

from tests.scenarios.shift import PIN, Shift, shift
from voice.incidents.kinds import Kind


@shift()
async def test_the_key_asked_for_confirms_and_the_next_due_time_is_told(shift: Shift) -> None:
    shift.begins()
    line = await shift.is_asked("6min")
    await line.presses(await shift.key()).hears("Thank you. The next check-in is at").hangs_up()
    session = shift.session()
    assert session is not None and session.confirmed_by == "key" and session.round == 2
    await shift.worker.stays_silent_for("4min").rings_within("2min")
    assert await shift.world.incidents() == []


@shift({"confirm": "pin"})
async def test_a_pin_confirms_where_one_is_asked_for(shift: Shift) -> None:
    shift.begins()
    line = await shift.is_asked()
    await line.hears("key in your PIN").presses(f"{PIN}#").hears("Thank you").hangs_up()
    session = shift.session()
    assert session is not None and session.confirmed_by == "pin"


@shift()
async def test_who_does_not_pick_up_is_called_again_and_then_missed(shift: Shift) -> None:
    shift.begins()
    await asyncio.sleep(300 + 400)
    assert len(shift.worker.line.calls) == 3
    (incident,) = await shift.incidents(Kind.MISSED_CHECK_IN)
    (opened,) = await shift.world.entries("opened", incident.id)
    assert incident.worker_id == "anna"
    assert opened.detail["why"] == "not confirmed"


@shift()
async def test_the_line_is_the_workers_once_he_has_confirmed(shift: Shift) -> None:
    shift.begins()
    line = await shift.confirms()
    await line.stays_on_for("4min").hangs_up()
