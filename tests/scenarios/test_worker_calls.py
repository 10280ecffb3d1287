"""A worker calls the service: he signs in, and does by keys what he wants."""

import asyncio
from datetime import timedelta

from tests.scenarios.line import Line
from tests.scenarios.shift import CHEF, CODE, MOBILE, PIN, QUICK, SERVICE, STRANGE, WITH_CHEF, Shift, shift
from voice.incidents.kinds import Kind
from voice.sim.habits import Answers, Habits
from voice.sim.speech import marked_frames

FIRST = 900_001
"""The frames of a memo are numbered from here."""
SECONDS = 10
MEMO = b"".join(marked_frames(SECONDS * 50, FIRST))


# -- every key of the menu --


@shift(QUICK)
async def test_1_starts_a_session_of_so_many_hours_with_a_check_in_each_so_many_minutes(shift: Shift) -> None:
    line = await shift.signs_in()
    await line.hears("You have no session running").presses("1").hears("For how many hours").presses("2#")
    await line.hears("How often shall we call").presses("2").hears("It runs until 9 a m").hangs_up()
    session = shift.session()
    assert session is not None
    assert (session.origin, session.rules.interval, session.confirmed_by) == ("worker", 1800.0, "pin")
    assert session.ends_at - session.started_at == timedelta(hours=2)
    assert session.due_at - session.started_at == timedelta(minutes=30)


@shift(QUICK)
async def test_1_replaces_a_session_that_runs(shift: Shift) -> None:
    before = shift.begins()
    line = await shift.signs_in()
    await line.presses("1").hears("A new one takes its place").presses("1#").hears("How often").presses("1")
    await line.hears("Your session has started").hangs_up()
    after = shift.session()
    assert after is not None
    assert (after.id, after.rules.interval) == (before.id, 900.0)


@shift(QUICK)
async def test_2_confirms_and_the_call_that_was_due_is_not_made(shift: Shift) -> None:
    shift.begins()
    await asyncio.sleep(30)
    line = await shift.signs_in()
    await line.presses("2").hears("Thank you. The next check-in is at").hangs_up().stays_silent_for("20s")
    session = shift.session()
    assert session is not None
    assert (session.round, session.confirmed_by) == (2, "pin")


@shift(QUICK)
async def test_2_while_his_other_telephone_rings_stops_that(shift: Shift) -> None:
    shift.begins()
    await asyncio.sleep(45)
    line = await shift.signs_in()
    ringing = shift.worker
    await ringing.rings_within("30s")
    await line.in_call(1).presses("2").hears("Thank you")
    await ringing.in_call(2).stops_within("1s")
    await line.hangs_up()
    session = shift.session()
    assert session is not None
    assert (session.round, session.confirmed_by) == (2, "pin")


@shift(QUICK | {"extend_by": 600.0})
async def test_3_extends_the_session(shift: Shift) -> None:
    before = shift.begins(hours=1)
    line = await shift.signs_in()
    await line.presses("3").hears("Your session has been extended. It runs until 8 10 a m").hangs_up()
    session = shift.session()
    assert session is not None
    assert session.ends_at - before.ends_at == timedelta(minutes=10)


@shift(QUICK)
async def test_4_keeps_a_memo_that_he_can_hear_and_say_again(shift: Shift) -> None:
    shift.begins()
    line = await shift.signs_in()
    await _says_a_memo(line)
    await line.presses("1").waits(SECONDS + 1)
    assert set(range(FIRST, FIRST + SECONDS * 50)) <= set(line.call.hearing.marks().numbers)
    await line.presses("2").waits(6).says(MEMO[: 8000 * 3]).waits(4).presses("#").hears("has been kept", anew=True)
    await line.hangs_up()
    session = shift.session()
    assert session is not None
    assert session.memo is not None


@shift(QUICK)
async def test_5_ends_the_session_when_it_is_pressed_twice(shift: Shift) -> None:
    shift.begins()
    line = await shift.signs_in()
    await line.presses("5").hears("Press 5 once more").presses("5").hears("There are no more check-ins").hangs_up()
    assert shift.session() is None
    await line.stays_silent_for("70s")


@shift(QUICK)
async def test_5_pressed_by_mistake_ends_nothing(shift: Shift) -> None:
    shift.begins(hours=1)
    line = await shift.signs_in()
    await line.presses("5").hears("Press 5 once more").hears("Your session goes on").hangs_up()
    assert shift.session() is not None


@shift(QUICK)
async def test_6_raises_a_test_alarm_that_rings_operators(shift: Shift) -> None:
    operator = await shift.world.operator("olga")
    line = await shift.signs_in()
    await line.presses("6").hears("Press 6 once more").presses("6").hears("The test alarm has been raised").hangs_up()
    (incident,) = await shift.world.incidents()
    assert (incident.kind, incident.worker_id) == (Kind.TEST, "anna")
    await asyncio.sleep(5)
    assert operator.calls


@shift(QUICK)
async def test_7_says_when_he_is_called_next(shift: Shift) -> None:
    shift.begins()
    line = await shift.signs_in()
    await line.waits(5).presses("7").hears("The next check-in is at 7 oh 1 a m", anew=True).hangs_up()


@shift(QUICK)
async def test_8_changes_his_pin_and_the_old_one_is_good_for_nothing(shift: Shift) -> None:
    line = await shift.signs_in()
    await line.presses("8").hears("new PIN").presses("70436#").hears("once more").presses("70436#")
    await line.hears("Your PIN has been changed").hangs_up()
    line = await shift.calls_in()
    await line.hears("key in your PIN").presses(f"{PIN}#").hears("not right").presses("70436#").hears("no session")
    await line.hangs_up()
    await shift.world.stage.crash()
    line = await shift.signs_in("70436")
    await line.hangs_up()


@shift(QUICK)
async def test_8_changes_nothing_when_the_two_differ_or_the_pin_is_too_simple(shift: Shift) -> None:
    line = await shift.signs_in()
    await line.presses("8").hears("new PIN").presses("70436#").hears("once more").presses("70437#")
    await line.hears("The two were not the same").presses("1111#").hears("once more", anew=True).presses("1111#")
    await line.hears("too simple").hangs_up()
    line = await shift.signs_in(PIN)
    await line.hangs_up()


@shift(QUICK)
async def test_9_speaks_another_language_from_then_on(shift: Shift) -> None:
    shift.begins()
    line = await shift.signs_in()
    await line.presses("9").hears("For English, press 2").presses("1").hears("Druk op 1")
    await line.presses("7").hears("De volgende").hangs_up()


@shift(QUICK)
async def test_0_says_the_menu_again(shift: Shift) -> None:
    line = await shift.signs_in()
    await line.presses("7").hears("no session running", anew=True).presses("0")
    await line.hears("Press 1 to start a session", anew=True).hangs_up()


@shift(QUICK)
async def test_keys_pressed_ahead_are_not_lost(shift: Shift) -> None:
    line = await shift.calls_in()
    await line.hears("welcome").presses(f"{PIN}#", pause=0.15).waits(1).presses("112#3", pause=0.2)
    await line.hears("Your session has started").hangs_up()
    session = shift.session()
    assert session is not None
    assert (session.rules.interval, session.ends_at - session.started_at) == (3600.0, timedelta(hours=12))


@shift(QUICK)
async def test_who_says_nothing_more_has_the_line_and_we_never_hang_up(shift: Shift) -> None:
    line = await shift.signs_in()
    await line.waits(110).stays_on_for("20s")
    assert line.call.hearing.heard_silence_only(shift.world.now - 20)
    await line.hangs_up()


# -- memos in an alarm --


async def _says_a_memo(line: Line) -> None:
    await line.presses("4").hears("Say after the tone").waits(1).says(MEMO).waits(SECONDS + 0.5).presses("#")
    await line.hears("Your memo has been kept")


@shift(QUICK, **WITH_CHEF)
async def test_a_memo_is_heard_by_a_contact_who_has_the_alarm_with_4(shift: Shift) -> None:
    line = await shift.signs_in()
    await _says_a_memo(line)
    await line.hangs_up()
    chef = shift.phone(CHEF)
    chef.line.habits = Habits(answers=Answers.NEVER)
    badge = await shift.world.device("badge7")
    badge.call("sip:alarm@earshot")
    await chef.rings_within("3s").takes_it().hears("You now hear the worker").presses("4").hears("The spoken memo")
    await chef.waits(SECONDS + 3)
    assert set(range(FIRST, FIRST + SECONDS * 50)) <= set(chef.call.hearing.marks().numbers)


@shift(QUICK)
async def test_a_memo_is_heard_by_an_operator_with_6(shift: Shift) -> None:
    line = await shift.signs_in()
    await _says_a_memo(line)
    await line.hangs_up()
    operator = await shift.world.operator("olga")
    badge = await shift.world.device("badge7")
    badge.call("sip:alarm@earshot")
    listening = await operator.called()
    await listening.established()
    await asyncio.sleep(2)
    listening.press("6")
    await asyncio.sleep(SECONDS + 1)
    assert set(range(FIRST, FIRST + SECONDS * 50)) <= set(listening.hearing.marks().numbers)


# -- who calls --


async def _refusal(shift: Shift, *, code: str | None, pin: str) -> list[str]:
    """All that somebody hears who tries this three times."""
    line = await shift.calls_in(STRANGE if code else MOBILE)
    if code:
        await line.hears("worker number").presses(f"{code}#")
    await line.hears("key in your PIN")
    for _ in range(3):
        await line.presses(f"{pin}#").waits(4)
    await line.hears("This did not work").waits(5)
    assert not line.call.is_over
    await line.hangs_up()
    return list(line.texts())


@shift(QUICK)
async def test_from_a_strange_number_he_keys_his_worker_number_first(shift: Shift) -> None:
    line = await shift.calls_in(STRANGE)
    await line.hears("worker number").presses(f"{CODE}#").hears("key in your PIN").presses(f"{PIN}#")
    await line.hears("no session").presses("1").hears("hours").presses("1#").hears("often").presses("1")
    await line.hears("started").hangs_up()
    assert shift.session() is not None


@shift(QUICK)
async def test_a_number_that_no_worker_has_is_refused_as_a_wrong_pin_is(shift: Shift) -> None:
    wrong_pin = await _refusal(shift, code=CODE, pin="1357")
    wrong_code = await _refusal(shift, code="9999", pin="1357")
    right_pin_of_nobody = await _refusal(shift, code="9999", pin=PIN)
    assert wrong_pin == wrong_code == right_pin_of_nobody
    assert "This did not work. Goodbye." in wrong_pin
    assert not any("Wilma" in text for text in wrong_pin)


@shift(QUICK)
async def test_somebody_else_at_his_telephone_signs_in_as_himself(shift: Shift) -> None:
    line = await shift.calls_in()
    await line.hears("If you are somebody else").presses("*").hears("worker number").presses("12#")
    await line.hears("key in your PIN", anew=True).presses(f"{PIN}#").hears("not right").hangs_up()
    assert shift.session() is None


@shift(QUICK)
async def test_an_unknown_caller_who_stays_silent_is_let_go_and_raises_nothing(shift: Shift) -> None:
    line = await shift.calls_in(STRANGE)
    await line.stops_within("2min")
    assert await shift.world.incidents() == []


@shift(QUICK)
async def test_a_device_that_dials_the_number_raises_an_alarm_and_hears_silence(shift: Shift) -> None:
    badge = await shift.world.device("badge7", register=True)
    call = badge.call(f"sip:{SERVICE}@earshot")
    await call.established()
    await asyncio.sleep(15)
    assert call.hearing.heard_silence_only()
    incident = await shift.world.incident()
    assert (incident.device_id, incident.kind) == ("badge-7", Kind.PANIC)
    call.hang_up()


@shift(QUICK)
async def test_an_operator_who_dials_the_number_is_no_worker(shift: Shift) -> None:
    operator = await shift.world.operator("olga")
    call = operator.call(f"sip:{SERVICE}@earshot")
    end = await call.over()
    assert end.code == 404
    assert await shift.world.incidents() == []
