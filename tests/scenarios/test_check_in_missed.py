"""A check-in is missed: what is known stands in the alarm, what comes later is told, and nothing is closed by it."""

import asyncio
from datetime import timedelta

from tests.scenarios.shift import QUICK, SERVICE, Shift, shift
from voice.incidents.kinds import Kind
from voice.incidents.lifecycle import Reason, State
from voice.sim.loop import DAWN
from voice.sim.spoken import hears

# -- what is known --


@shift(QUICK)
async def test_the_alarm_says_when_and_by_what_he_confirmed_last_and_when_it_was_due(shift: Shift) -> None:
    shift.begins()
    line = await shift.confirms()
    await line.hangs_up()
    session = shift.session()
    assert session is not None
    incident = await shift.missed("4min")
    (opened,) = await shift.world.entries("opened", incident.id)
    assert opened.detail["session"] == session.id
    assert opened.detail["due_at"] == session.due_at.isoformat()
    assert opened.detail["last_confirmed_by"] == "key"
    assert opened.detail["last_confirmed"] == (session.due_at - timedelta(seconds=60)).isoformat()
    assert opened.detail["session_began"] == DAWN.isoformat()


@shift(QUICK)
async def test_the_alarm_names_the_memo_that_he_left(shift: Shift) -> None:
    shift.begins()
    line = await shift.signs_in()
    await line.presses("4").hears("after the tone").waits(1).says(_voice(shift)).waits(4).presses("#")
    await line.hears("has been kept").hangs_up()
    incident = await shift.missed("5min")
    (opened,) = await shift.world.entries("opened", incident.id)
    await asyncio.sleep(1)
    (memo,) = await shift.world.entries("amber_memo", incident.id)
    assert opened.detail["memo"] == memo.detail["memo"]
    assert "seconds" in memo.detail


@shift(QUICK)
async def test_the_alarm_says_when_a_device_of_his_was_last_there(shift: Shift) -> None:
    shift.begins()
    await asyncio.sleep(20)
    await shift.world.device("badge7", register=True)
    incident = await shift.missed("5min")
    (opened,) = await shift.world.entries("opened", incident.id)
    assert opened.detail["device_seen"].startswith("2026-01-01T06:00:2")


@shift(QUICK)
async def test_operators_are_rung_for_it(shift: Shift) -> None:
    operator = await shift.world.operator("olga")
    shift.begins()
    await shift.missed("5min")
    await asyncio.sleep(3)
    assert operator.calls[-1].is_established


@shift(QUICK)
async def test_who_answers_is_told_what_it_is_as_there_is_nobody_to_be_heard(shift: Shift) -> None:
    operator = await shift.world.operator("olga")
    shift.begins()
    await shift.missed("5min")
    for said in ("Earshot alarm for Acme Care: Wilma Worker.", "This is a missed check-in."):
        await hears(operator.calls[-1], shift.world.stage.speaker, said, within=10)


# -- what comes later --


@shift(QUICK)
async def test_a_late_confirmation_is_told_and_closes_nothing(shift: Shift) -> None:
    shift.begins()
    incident = await shift.missed("5min")
    line = await shift.confirms("2min")
    await line.waits(2).hangs_up()
    (late,) = await shift.world.entries("worker_confirmed_late", incident.id)
    assert late.detail["how"] == "key"
    assert (await shift.world.incident()).state is State.OPEN


@shift(QUICK)
async def test_a_late_confirmation_in_a_call_of_his_own_is_told_too(shift: Shift) -> None:
    shift.begins()
    incident = await shift.missed("5min")
    line = await shift.signs_in()
    await line.presses("2").hears("Thank you").waits(2).hangs_up()
    (late,) = await shift.world.entries("worker_confirmed_late", incident.id)
    assert (late.detail["how"], late.actor) == ("pin", "worker:anna")


@shift(QUICK)
async def test_who_calls_after_his_last_check_in_was_missed_has_no_session_and_is_told_of(shift: Shift) -> None:
    shift.begins(hours=60 / 3600)
    incident = await shift.missed("5min")
    assert shift.session() is None
    line = await shift.signs_in()
    await line.presses("2").hears("no session running", anew=True).waits(2).presses("2").waits(2).hangs_up()
    (late,) = await shift.world.entries("worker_confirmed_late", incident.id)  # once
    assert late.detail["how"] == "pin"
    assert (await shift.world.incident()).state is State.OPEN


@shift(QUICK)
async def test_each_check_in_that_is_missed_is_an_alarm_of_its_own_linked_with_the_one_before(shift: Shift) -> None:
    shift.begins()
    first = await shift.missed("5min")
    await asyncio.sleep(150)
    (_, second) = await shift.incidents(Kind.MISSED_CHECK_IN)
    linked = await shift.world.entries("linked", first.id)
    assert second.id in {entry.detail["incident"] for entry in linked}


# -- beside another alarm --


@shift(QUICK)
async def test_while_an_alarm_of_his_badge_is_open_he_is_called_as_ever(shift: Shift) -> None:
    badge = await shift.world.device("badge7")
    shift.begins()
    await badge.call("sip:alarm@earshot").established()
    line = await shift.confirms()
    await line.hangs_up()
    incident = await shift.world.incident()
    assert (incident.kind, incident.state) == (Kind.PANIC, State.OPEN)


@shift(QUICK)
async def test_a_check_in_that_is_missed_then_is_an_alarm_of_its_own_linked_with_it(shift: Shift) -> None:
    badge = await shift.world.device("badge7")
    shift.begins()
    await badge.call("sip:alarm@earshot").established()
    missed = await shift.missed("5min")
    alarm, other = await shift.world.incidents()
    assert (alarm.kind, other.id) == (Kind.PANIC, missed.id)
    (linked,) = await shift.world.entries("linked", alarm.id)
    assert linked.detail["incident"] == missed.id


@shift(QUICK)
async def test_check_ins_go_on_when_the_alarm_of_a_missed_one_was_a_false_one(shift: Shift) -> None:
    shift.begins()
    incident = await shift.missed("5min")
    shift.world.live(incident.id).change(State.RESOLVED, actor="operator:olga", reason=Reason.FALSE)
    await shift.worker.rings_within("70s")


# -- beforehand --


@shift(QUICK)
async def test_he_is_told_by_text_message_before_each_check_in_and_once_each(shift: Shift) -> None:
    shift.begins()
    await asyncio.sleep(39)
    assert shift.texts == []
    await asyncio.sleep(2)
    text = f"Your next check-in is at 07:01. We will call you. To confirm before that, call {SERVICE}."
    assert shift.texts == [text]
    line = await shift.confirms("25s")
    await line.hangs_up()
    await asyncio.sleep(45)
    assert shift.texts == [text, text.replace("07:01", "07:02")]


@shift(QUICK)
async def test_a_text_message_that_cannot_be_sent_keeps_nobody_from_being_called(shift: Shift) -> None:
    shift.world.stage.messages.fails = True
    shift.begins()
    line = await shift.confirms("65s")
    await line.hangs_up()


@shift(QUICK | {"interval": 120.0})
async def test_a_restart_between_warning_and_call_warns_nobody_twice(shift: Shift) -> None:
    shift.begins()
    await asyncio.sleep(105)
    await shift.world.stage.crash()
    await shift.worker.rings_within("20s")
    assert len(shift.texts) == 1


def _voice(shift: Shift) -> bytes:
    """Three seconds of the worker's voice."""
    return b"".join(shift.world.speech(shift.worker.line, 3.0))
