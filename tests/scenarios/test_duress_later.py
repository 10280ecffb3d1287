"""What follows a silent call for help, in minutes and hours: to the worker, and to whoever watches him, all goes on as
after a confirmation; behind it the alarm stays what it is."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from tests.scenarios.shift import CHEF, DURESS, MOBILE, PIN, QUICK, WITH_CHEF, Shift, shift
from voice.incidents.kinds import Kind
from voice.incidents.lifecycle import State
from voice.sim.habits import Answers, Habits
from voice.sim.spoken import heard

PAUSE = 0.3
"""Seconds from key to key: of two, the second one counts."""
_KEY = re.compile(r"press \w+\.")


Acts = Callable[[Shift, str], Awaitable[None]]


# -- two worlds, which differ in what he keys --


async def _keyed(shift: Shift, entry: str) -> str:
    """The entry, or the key asked for, at the moment at which the second one of an entry would be pressed."""
    key = await shift.key()
    await asyncio.sleep(0.0 if entry else PAUSE)
    return entry or key


async def _asked(shift: Shift, entry: str) -> None:
    """A check-in with this entry, two more, the second of which he confirms, and one that he misses."""
    shift.begins(hours=1)
    line = await shift.is_asked()
    await (
        line.hears("If you are well")
        .waits(0.0 if entry else PAUSE)
        .presses(entry or await shift.key())
        .hears("Thank you")
        .waits(20)
        .hangs_up()
    )
    line = await shift.confirms("2min")
    await line.waits(3).hangs_up()
    await asyncio.sleep(200)


async def _at_the_end(shift: Shift, entry: str) -> None:
    """The last check-in of a session, at which he stays."""
    shift.begins(hours=60 / 3600)
    line = await shift.is_asked()
    await (
        line.hears("If you are well")
        .waits(0.0 if entry else PAUSE)
        .presses(entry or await shift.key())
        .hears("press 1 to extend")
        .presses("1")
    )
    await line.hears("has been extended").waits(20).hangs_up()
    await asyncio.sleep(100)


async def _calls(shift: Shift, entry: str) -> None:
    """A call of his own, in which he does this and that."""
    shift.begins(hours=1)
    line = await shift.signs_in(entry or PIN)
    await line.presses("2").hears("Thank you").presses("3").hears("has been extended").presses("7")
    await line.hears("The next check-in", anew=True).waits(5).hangs_up()
    await asyncio.sleep(100)


async def _forgets(shift: Shift, entry: str) -> None:
    """A check-in late, when one was missed already."""
    shift.begins(hours=1)
    await shift.missed("5min")
    line = await shift.is_asked("2min")
    await (
        line.hears("If you are well")
        .waits(0.0 if entry else PAUSE)
        .presses(entry or await shift.key())
        .hears("Thank you")
        .waits(5)
        .hangs_up()
    )
    await asyncio.sleep(100)


def _seen(directory: Path, acts: Acts, entry: str) -> tuple[list[Any], list[float]]:
    """What his telephone shows and says, and the moments of it."""
    seen: list[Any] = []
    moments: list[float] = []

    @shift(QUICK)
    async def told(shift: Shift) -> None:
        began = shift.world.now
        for operator in ("olga", "otto"):
            await shift.world.operator(operator, after=3.0)
        await acts(shift, entry)
        assert bool(await shift.incidents(Kind.DURESS)) is bool(entry)
        for call in shift.worker.line.calls:
            seen.append((call.answered_at is None, call.end and (call.end.cause, call.end.code)))
            seen.append([_KEY.sub("press X.", text.text) for text in heard(call.hearing, shift.world.stage.speaker)])
            moments.extend(at - began for at in (call.answered_at, call.ended_at) if at is not None)
        seen.extend(shift.texts)
        seen.append([number for _, number in shift.exchange.dialled])
        moments.extend(at - began for at, _ in shift.exchange.dialled)

    told(directory)
    return seen, moments


@pytest.mark.parametrize(("acts", "entry"), [(_asked, "00"), (_at_the_end, "00"), (_calls, DURESS), (_forgets, "00")])
def test_calls_text_messages_and_words_are_the_same_after_a_call_for_help_as_after_a_confirmation(
    tmp_path: Path, acts: Acts, entry: str
) -> None:
    said, moments = _seen(tmp_path / "well", acts, "")
    said_then, moments_then = _seen(tmp_path / "help", acts, entry)
    assert said == said_then
    assert moments == pytest.approx(moments_then, abs=0.5)  # keys are drawn by lot, and some have longer names


# -- and behind it --


async def _calls_for_help(shift: Shift) -> str:
    shift.begins()
    line = await shift.is_asked()
    await line.hears("If you are well").presses("00").hears("Thank you").waits(2).hangs_up()
    (incident,) = await shift.incidents(Kind.DURESS)
    return incident.id


@shift(QUICK)
async def test_all_is_well_pressed_by_the_aggressor_three_times_changes_nothing_in_the_alarm(shift: Shift) -> None:
    alarm = await _calls_for_help(shift)
    for _ in range(2):
        line = await shift.confirms("2min")
        await line.hangs_up()
    line = await shift.signs_in()
    await line.presses("2").hears("Thank you").presses("5").hears("once more").presses("5").hears("ended").hangs_up()
    assert (await shift.world.incident()).state is State.OPEN
    kinds = await shift.world.kinds(alarm)
    assert not {"resolved", "acknowledged", "worker_confirmed_late"} & set(kinds)


@shift(QUICK)
async def test_a_check_in_that_is_missed_later_is_an_alarm_too_linked_with_the_silent_one(shift: Shift) -> None:
    alarm = await _calls_for_help(shift)
    missed = await shift.missed("5min")
    (linked,) = await shift.world.entries("linked", alarm)
    assert linked.detail["incident"] == missed.id
    (opened,) = await shift.world.entries("opened", missed.id)
    assert opened.detail["last_confirmed_by"] == "duress"


@shift(QUICK)
async def test_nobody_calls_him_back_and_nobody_writes_to_him(shift: Shift) -> None:
    operator = await shift.world.operator("olga")
    await _calls_for_help(shift)
    await asyncio.sleep(3)
    operator.calls[-1].press("5")  # calls back
    await shift.worker.stays_silent_for("30s")
    assert len(shift.texts) == 1
    assert await shift.world.entry("call_back_impossible")
    assert [number for _, number in shift.exchange.dialled] == [MOBILE]


@shift(QUICK)
async def test_the_line_that_he_leaves_open_is_recorded_to_its_end_and_hears_silence(shift: Shift) -> None:
    await shift.world.operator("olga")
    shift.begins()
    line = await shift.is_asked()
    await line.hears("If you are well").presses("00").hears("Thank you. The next check-in is at").waits(3)
    quiet = shift.world.now
    line.call.say(shift.world.speech(line.line, 30.0))
    await line.waits(40)
    assert line.call.hearing.heard_silence_only(quiet)
    assert len(line.call.hearing.raw) > 50 * 40
    await line.hangs_up().waits(2)
    (incident,) = await shift.incidents(Kind.DURESS)
    (received, *_) = await shift.world.recordings(incident.id)
    assert shift.world.recorded(received).numbers[-1] == shift.world.last_number(line.line)


@shift(QUICK)
async def test_his_next_check_in_is_called_though_the_line_is_still_open(shift: Shift) -> None:
    shift.begins()
    line = await shift.is_asked()
    await line.hears("If you are well").presses("00").hears("Thank you")
    again = await shift.is_asked_again("2min")
    await again.hears("If you are well").presses(await shift.key()).hears("Thank you").hangs_up()
    assert line.in_call(1).call.is_established
    await line.in_call(1).hangs_up()


@shift(QUICK)
async def test_a_duress_entry_before_the_key_asked_for_and_after_it_both_count(shift: Shift) -> None:
    shift.begins()
    line = await shift.is_asked()
    await line.presses("00" + await shift.key()).hears("Thank you").waits(6).hangs_up()
    assert len(await shift.incidents(Kind.DURESS)) == 1


@shift(QUICK, worker={"duress_keys": "0911"})
async def test_his_own_duress_keys_count_and_the_usual_ones_do_not(shift: Shift) -> None:
    shift.begins()
    line = await shift.is_asked()
    await line.hears("If you are well").presses("00").hears("not right").presses("0911").hears("Thank you").hangs_up()
    assert len(await shift.incidents(Kind.DURESS)) == 1


@shift(QUICK)
async def test_a_telephone_that_dies_while_it_is_listened_to_leaves_the_alarm_open(shift: Shift) -> None:
    await shift.world.operator("olga")
    shift.begins()
    line = await shift.is_asked()
    await line.hears("If you are well").presses("00").hears("Thank you")
    await shift.exchange.die()
    await asyncio.sleep(50)
    (incident,) = await shift.incidents(Kind.DURESS)
    assert incident.state is not State.RESOLVED
    assert await shift.world.entries("worker_leg_ended", incident.id)


# -- who has the alarm --


@shift(QUICK | {"interval": 120.0}, **WITH_CHEF)
async def test_a_contact_who_has_the_alarm_hears_him_and_nothing_of_what_he_says_comes_out(shift: Shift) -> None:
    shift.begins()
    chef = shift.phone(CHEF)
    chef.line.habits = Habits(answers=Answers.NEVER)
    line = await shift.is_asked()
    line.call.say(shift.world.speech(line.line, 60.0))
    await line.hears("If you are well").presses("00").hears("Thank you").waits(3)
    quiet = shift.world.now
    await chef.rings_within("3s").takes_it().waits(6).presses("1").waits(3)
    chef.call.say(shift.world.speech(chef.line, 5.0))
    await chef.waits(8)
    assert line.call.hearing.heard_silence_only(quiet)
    assert len(shift.world.said_by(line.line, chef.call.hearing.marks().numbers)) > 100
    await line.hangs_up()
    await chef.hears("Do not call back").waits(8).presses("1").hears("That is not possible right now").waits(10)
    (incident,) = await shift.incidents(Kind.DURESS)
    assert not await shift.world.entries("calling_back", incident.id)
    assert [number for _, number in shift.exchange.dialled] == [MOBILE, CHEF]


@shift(QUICK, **WITH_CHEF)
async def test_asking_again_rings_operators_when_whoever_took_the_alarm_has_hung_up(shift: Shift) -> None:
    shift.begins()
    chef = shift.phone(CHEF)
    chef.line.habits = Habits(answers=Answers.NEVER)
    line = await shift.is_asked()
    await line.hears("If you are well").presses("00").hears("Thank you").hangs_up()
    await chef.rings_within("3s").takes_it().waits(2).hangs_up()
    operator = await shift.world.operator("olga")
    line = await shift.is_asked("3min")
    assert not operator.calls
    await line.hears("If you are well").presses("00").hears("Thank you").waits(3).hangs_up()
    assert operator.calls
