"""A worker is called when his check-in is due: he confirms, is called again, is missed."""

import asyncio

from tests.scenarios.shift import PIN, QUICK, Shift, shift
from voice.incidents.kinds import Kind


@shift()
async def test_the_key_asked_for_confirms_and_the_next_due_time_is_told(shift: Shift) -> None:
    shift.begins()
    line = await shift.is_asked("6min")
    await line.presses(await shift.key()).hears("Thank you. The next check-in is at").hangs_up()
    session = shift.session()
    assert session is not None
    assert session.confirmed_by == "key"
    assert session.round == 2
    await shift.worker.stays_silent_for("4min").rings_within("2min")
    assert await shift.world.incidents() == []


@shift({"confirm": "pin"})
async def test_a_pin_confirms_where_one_is_asked_for(shift: Shift) -> None:
    shift.begins()
    line = await shift.is_asked()
    await line.hears("key in your PIN").presses(f"{PIN}#").hears("Thank you").hangs_up()
    session = shift.session()
    assert session is not None
    assert session.confirmed_by == "pin"


@shift()
async def test_who_does_not_pick_up_is_called_again_and_then_missed(shift: Shift) -> None:
    shift.begins()
    await asyncio.sleep(300 + 400)
    assert len(shift.worker.line.calls) == 3
    (incident,) = await shift.incidents(Kind.MISSED_CHECK_IN)
    (opened,) = await shift.world.entries("opened", incident.id)
    assert incident.worker_id == "anna"
    assert opened.detail["why"] == "not confirmed"


@shift(QUICK)
async def test_three_wrong_keys_confirm_nothing_and_he_is_called_again(shift: Shift) -> None:
    shift.begins()
    line = await shift.is_asked()
    key = await shift.key()
    for _ in range(3):
        await line.presses("1" if key != "1" else "2").waits(4)
    await line.hears("Nothing has been confirmed. You will be called again").waits(5)
    assert not line.call.is_over
    await line.hangs_up()
    line = await shift.is_asked_again("30s")
    await line.presses(await shift.key()).hears("Thank you").hangs_up()
    assert await shift.world.incidents() == []


@shift(QUICK, devices=[{"id": "badge-7", "username": "badge7", "password": "seven", "worker": "anna"}],
       check_in={"buttons": {"502": "confirm"}})  # fmt: skip
async def test_a_button_that_confirms_stops_the_telephone_that_rings(shift: Shift) -> None:
    badge = await shift.world.device("badge7", register=True)
    shift.begins()
    await shift.worker.rings_within("65s")
    badge.call("sip:502@earshot")
    await shift.worker.stops_within("2s")
    assert await shift.world.incidents() == []


@shift(QUICK)
async def test_the_line_is_the_workers_once_he_has_confirmed(shift: Shift) -> None:
    shift.begins()
    line = await shift.confirms()
    await line.stays_on_for("40s").hangs_up()


@shift(devices=[{"id": "badge-7", "username": "badge7", "password": "seven", "worker": "anna"}],
       check_in={"buttons": {"501": "begin", "502": "confirm", "503": "end"}})  # fmt: skip
async def test_a_device_begins_confirms_and_ends_a_session_without_a_sound(shift: Shift) -> None:
    badge = await shift.world.device("badge7", register=True)
    for number, confirmed, goes_on in (("501", "device", True), ("502", "device", True), ("503", None, False)):
        call = badge.call(f"sip:{number}@earshot")
        await call.established()
        await call.over()
        session = shift.session()
        assert (session is not None) is goes_on
        assert session is None or session.confirmed_by == confirmed
        assert call.hearing.heard_silence_only()
    assert await shift.world.incidents() == []


@shift(devices=[{"id": "badge-7", "username": "badge7", "password": "seven", "worker": "anna", "challenge": False}],
       check_in={"buttons": {"502": "confirm"}})  # fmt: skip
async def test_a_device_that_proves_nothing_raises_an_alarm_by_any_button(shift: Shift) -> None:
    shift.begins()
    badge = await shift.world.device("badge7")
    call = badge.call("sip:502@earshot")
    await call.established()
    session = shift.session()
    assert session is not None
    assert session.confirmed_by is None
    assert len(await shift.world.incidents()) == 1
