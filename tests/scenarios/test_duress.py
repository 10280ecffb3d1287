"""A worker is threatened, and asks for help in a call that sounds like any other."""

import asyncio

from tests.scenarios.shift import DURESS, PIN, QUICK, Shift, shift
from voice.incidents.kinds import Kind
from voice.incidents.lifecycle import Reason, State
from voice.store.rows import IncidentRow


async def _silent_alarm(shift: Shift) -> IncidentRow:
    (incident,) = await shift.incidents(Kind.DURESS)
    return incident


@shift(QUICK)
async def test_the_duress_keys_raise_a_silent_alarm_and_are_thanked_for_like_a_confirmation(shift: Shift) -> None:
    shift.begins()
    line = await shift.is_asked()
    await line.hears("If you are well").presses("00").hears("Thank you. The next check-in is at")
    incident = await _silent_alarm(shift)
    assert incident.worker_id == "anna"
    assert incident.priority == 1
    session = shift.session()
    assert session is not None
    assert session.round == 2
    assert not session.missed
    await line.stays_on_for("40s").hangs_up().waits(1)
    assert await shift.world.entries("worker_hung_up", incident.id)


@shift(QUICK | {"confirm": "pin"})
async def test_the_duress_pin_does_the_same(shift: Shift) -> None:
    shift.begins()
    line = await shift.is_asked()
    await line.hears("key in your PIN").presses(f"{DURESS}#").hears("Thank you. The next check-in is at").hangs_up()
    await _silent_alarm(shift)


@shift(QUICK)
async def test_what_is_said_in_the_call_is_recorded_from_its_first_sample(shift: Shift) -> None:
    shift.begins()
    line = await shift.is_asked()
    line.call.say(shift.world.speech(line.line, 30.0))
    await line.hears("If you are well").presses("00").hears("Thank you").waits(20).hangs_up()
    incident = await _silent_alarm(shift)
    await asyncio.sleep(1.0)
    (received, *_) = await shift.world.recordings(incident.id)
    assert shift.world.recorded(received).numbers[0] == shift.world.first_number(line.line)


@shift(QUICK)
async def test_an_operator_hears_it_from_the_start_and_nothing_he_says_comes_out(shift: Shift) -> None:
    shift.begins()
    line = await shift.is_asked()
    line.call.say(shift.world.speech(line.line, 60.0))
    operator = await shift.world.operator("olga")
    await line.hears("If you are well").presses("00").hears("Thank you")
    await asyncio.sleep(5.0)
    listening = operator.calls[-1]
    listening.press("1")
    listening.say(shift.world.speech(operator, 5.0))
    await asyncio.sleep(10.0)
    assert min(listening.hearing.marks().numbers) < 50  # of some 1,000, heard faster than they were said
    assert shift.world.said_by(operator, line.call.hearing.marks().numbers) == []
    await line.hangs_up()


@shift(QUICK)
async def test_resolving_the_alarm_does_not_end_the_workers_line(shift: Shift) -> None:
    shift.begins()
    operator = await shift.world.operator("olga")
    line = await shift.is_asked()
    await line.hears("If you are well").presses("00").hears("Thank you")
    incident = await _silent_alarm(shift)
    await asyncio.sleep(3.0)
    live = shift.world.live(incident.id)
    live.change(State.RESOLVED, actor="operator:olga", reason=Reason.DURESS)
    await line.stays_on_for("40s").hangs_up()
    assert operator.calls


@shift(QUICK)
async def test_all_is_well_pressed_by_the_aggressor_later_closes_nothing(shift: Shift) -> None:
    shift.begins()
    line = await shift.is_asked()
    await line.hears("If you are well").presses("00").hears("Thank you").hangs_up()
    await _silent_alarm(shift)
    line = await shift.confirms("6min")
    await line.hangs_up()
    assert (await _silent_alarm(shift)).state is not State.RESOLVED


@shift(QUICK)
async def test_a_second_call_for_help_joins_the_first(shift: Shift) -> None:
    shift.begins()
    for _ in range(2):
        line = await shift.is_asked("6min")
        await line.hears("If you are well").presses("00").hears("Thank you").hangs_up()
    incident = await _silent_alarm(shift)
    assert await shift.world.entries("asked_for_help_again", incident.id)


@shift(QUICK)
async def test_the_duress_keys_count_also_when_the_dialogue_is_over(shift: Shift) -> None:
    shift.begins()
    line = await shift.confirms()
    await line.waits(20).presses("00").waits(5).hangs_up()
    await _silent_alarm(shift)


@shift(QUICK)
async def test_a_worker_who_calls_signs_in_with_his_duress_pin_and_everything_works(shift: Shift) -> None:
    line = await shift.calls_in()
    await line.hears("PIN").presses(f"{DURESS}#").hears("no session")
    await _silent_alarm(shift)
    await line.presses("1").hears("hours").presses("2").waits(4).hears("every").presses("2").hears("started").hangs_up()
    assert shift.session() is not None


@shift(QUICK)
async def test_who_hangs_up_at_once_has_still_asked_for_help(shift: Shift) -> None:
    shift.begins()
    line = await shift.is_asked()
    await line.hears("If you are well").presses("00", pause=0.1).hangs_up()
    await asyncio.sleep(2.0)
    incident = await _silent_alarm(shift)
    assert (await shift.world.recordings(incident.id))[0].duration_ms


@shift(QUICK)
async def test_a_locked_pin_never_silences_the_duress_pin(shift: Shift) -> None:
    for _ in range(4):
        line = await shift.calls_in()
        await line.hears("PIN").presses("1357#").waits(4).presses("1357#").waits(4).presses("1357#")
        await line.hears("This did not work").hangs_up()
    line = await shift.calls_in()
    await line.hears("PIN").presses(f"{PIN}#").waits(5)
    assert await shift.incidents(Kind.DURESS) == []
    await line.hears("not right").presses(f"{DURESS}#").waits(5).hangs_up()
    await _silent_alarm(shift)
