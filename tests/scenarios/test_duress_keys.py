"""Whenever in a call a worker keys what calls for help, it counts: early, late, hastily, beside the point."""

import asyncio

import pytest

from tests.scenarios.shift import DURESS, PIN, QUICK, Shift, hash_of, shift
from voice.incidents.kinds import Kind

END = 60 / 3600
PIN_ASKED = QUICK | {"confirm": "pin"}


async def _silent_alarm(shift: Shift) -> None:
    await asyncio.sleep(5)
    assert len(await shift.incidents(Kind.DURESS)) == 1


@shift(QUICK)
async def test_behind_the_key_asked_for_in_one_breath(shift: Shift) -> None:
    shift.begins()
    line = await shift.is_asked()
    await line.presses(await shift.key() + "00", pause=0.2).hears("Thank you").hangs_up()
    await _silent_alarm(shift)


@shift(QUICK)
async def test_while_he_is_thanked(shift: Shift) -> None:
    shift.begins()
    line = await shift.is_asked()
    await line.presses(await shift.key()).waits(1.5).presses("00").hears("Thank you").waits(6).hangs_up()
    await _silent_alarm(shift)


@shift(QUICK)
async def test_when_he_is_asked_whether_he_is_still_working(shift: Shift) -> None:
    shift.begins(hours=END)
    line = await shift.is_asked()
    await line.presses(await shift.key()).hears("press 1 to extend it").presses("00").waits(20).hangs_up()
    await _silent_alarm(shift)


@shift(QUICK)
async def test_while_the_question_whether_he_is_still_working_is_put(shift: Shift) -> None:
    shift.begins(hours=END)
    line = await shift.is_asked()
    await line.presses(await shift.key()).waits(2).presses("00").waits(20).hangs_up()
    await _silent_alarm(shift)


@shift(QUICK)
async def test_while_who_calls_is_said(shift: Shift) -> None:
    shift.begins()
    line = await shift.is_asked()
    await line.waits(0.5).presses("00").hears("Thank you").hangs_up()
    await _silent_alarm(shift)


@shift(QUICK)
async def test_when_the_dialogue_has_just_given_up(shift: Shift) -> None:
    shift.begins()
    line = await shift.is_asked()
    await line.hears("If you are well").presses("**", pause=6.0).presses("*").presses("00").hears("Nothing has been")
    await _silent_alarm(shift)


@shift(PIN_ASKED)
async def test_the_keys_where_the_pin_is_asked_for(shift: Shift) -> None:
    shift.begins()
    line = await shift.is_asked()
    await line.hears("key in your PIN").presses("00#").hears("Thank you").hangs_up()
    await _silent_alarm(shift)


@shift(QUICK)
async def test_the_duress_pin_where_a_key_is_asked_for(shift: Shift) -> None:
    shift.begins()
    line = await shift.is_asked()
    await line.hears("If you are well").presses(f"{DURESS}#").waits(8).hangs_up()
    await _silent_alarm(shift)


@pytest.mark.parametrize("end", ["#", ""])
@shift(PIN_ASKED)
async def test_the_duress_pin_of_somebody_who_hangs_up_at_once(shift: Shift, end: str) -> None:
    shift.begins()
    line = await shift.is_asked()
    await line.hears("key in your PIN").presses(DURESS + end, pause=0.2).hangs_up()
    await _silent_alarm(shift)


@pytest.mark.parametrize("end", ["#", ""])
@shift(QUICK)
async def test_the_duress_pin_of_somebody_who_calls_and_hangs_up_at_once(shift: Shift, end: str) -> None:
    line = await shift.calls_in()
    await line.hears("key in your PIN").presses(DURESS + end, pause=0.2).hangs_up()
    await _silent_alarm(shift)


@shift(PIN_ASKED)
async def test_the_duress_pin_at_the_third_attempt(shift: Shift) -> None:
    shift.begins()
    line = await shift.is_asked()
    await line.hears("key in your PIN").presses("1357#").waits(4).presses("2468#").waits(4).presses(f"{DURESS}#")
    await line.hears("Thank you").hangs_up()
    await _silent_alarm(shift)


@shift(QUICK)
async def test_the_duress_pin_as_the_old_pin_when_he_has_signed_in_already(shift: Shift) -> None:
    """In the menu nothing is asked for that it could answer; what he keys there late, in silence, counts."""
    line = await shift.signs_in(PIN)
    await line.waits(120).presses(f"{DURESS}#").waits(6).hangs_up()
    await _silent_alarm(shift)


# -- and what does not --


@shift(PIN_ASKED, worker={"pin": hash_of("7300")})
async def test_a_pin_that_ends_like_them_is_a_pin(shift: Shift) -> None:
    shift.begins(hours=END)
    line = await shift.is_asked()
    await line.hears("key in your PIN").presses("73").waits(3.4).presses("00").hears("Your session is over", anew=True)
    await line.hangs_up().waits(1)
    assert await shift.world.incidents() == []
    assert shift.session() is None


@shift(QUICK)
async def test_the_keys_of_somebody_who_calls_himself(shift: Shift) -> None:
    line = await shift.signs_in()
    await line.presses("00").waits(3).presses("00#").waits(120).presses("00").hangs_up()
    await asyncio.sleep(5)
    assert await shift.world.incidents() == []
