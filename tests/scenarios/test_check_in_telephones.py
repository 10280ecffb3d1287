"""What workers' telephones do when they are called: nothing, half of it, or something that sounds like a person."""

import asyncio
from typing import Any

import pytest

from tests.scenarios.line import SCREENING, VOICEMAIL, machine
from tests.scenarios.shift import MOBILE, QUICK, SECOND, Shift, shift
from voice.sim.habits import Answers, Habits

THRICE = QUICK | {"retries": [10.0, 10.0]}
TWO: dict[str, Any] = {"numbers": [MOBILE, SECOND]}


@shift(QUICK | {"unreachable_after": 60.0})
async def test_a_telephone_that_is_off_is_tried_until_that_is_a_miss_by_itself(shift: Shift) -> None:
    shift.begins()
    shift.exchange.refuses = 480
    incident = await shift.missed("7min")
    (opened,) = await shift.world.entries("opened", incident.id)
    assert opened.detail["why"] == "unreachable"
    assert len(shift.exchange.dialled) > 3


@shift(QUICK)
async def test_a_telephone_that_is_back_in_time_misses_nothing(shift: Shift) -> None:
    shift.begins()
    shift.exchange.refuses = 480
    await asyncio.sleep(120)
    shift.exchange.refuses = None
    await shift.confirms("30s")
    assert await shift.world.incidents() == []


@pytest.mark.parametrize("answers", [Answers.NEVER, Answers.BUSY, Answers.DECLINES])
@shift(THRICE)
async def test_a_telephone_that_nobody_picks_up_is_called_three_times(shift: Shift, answers: Answers) -> None:
    shift.begins()
    shift.exchange.line(MOBILE, Habits(answers=answers))
    incident = await shift.missed("7min")
    (opened,) = await shift.world.entries("opened", incident.id)
    assert opened.detail["why"] == "not confirmed"
    assert len(shift.exchange.dialled) == 3


@shift(QUICK)
async def test_a_telephone_that_loses_its_power_in_the_dialogue_is_called_again(shift: Shift) -> None:
    shift.begins()
    line = await shift.is_asked()
    await line.hears("If you are well")
    await shift.exchange.die()
    await asyncio.sleep(60)
    await shift.exchange.start()
    line = await shift.is_asked_again("3min")
    await line.presses(await shift.key()).hears("Thank you").hangs_up()


@shift(QUICK)
async def test_a_telephone_that_loses_its_power_and_stays_off_is_a_miss(shift: Shift) -> None:
    shift.begins()
    line = await shift.is_asked()
    await line.hears("If you are well")
    await shift.exchange.die()
    await shift.missed("12min")


@shift(QUICK)
async def test_who_picks_up_and_hangs_up_without_a_key_is_called_again(shift: Shift) -> None:
    shift.begins()
    line = await shift.is_asked()
    await line.waits(2).hangs_up()
    line = await shift.is_asked_again("15s")
    await line.presses(await shift.key()).hears("Thank you").hangs_up()
    assert await shift.world.incidents() == []


@pytest.mark.parametrize("sounds", [VOICEMAIL, SCREENING])
@shift(QUICK)
async def test_what_only_sounds_like_a_person_never_confirms(shift: Shift, sounds: bytes) -> None:
    shift.begins()
    machine(sounds)(shift.exchange.line(MOBILE))
    await shift.missed("12min")
    assert [call.is_over for call in shift.worker.line.calls] == [True] * 2  # it was hung up each time
    session = shift.session()
    assert session is not None
    assert session.confirmed_by is None


@shift(QUICK)
async def test_who_calls_is_said_within_two_seconds_for_those_who_screen_calls(shift: Shift) -> None:
    shift.begins()
    machine(SCREENING)(shift.exchange.line(MOBILE))
    await asyncio.sleep(65)
    call = shift.worker.call
    assert call.answered_at is not None
    first = call.hearing.first_audio_at
    assert first is not None
    assert first - call.answered_at < 1.0
    await shift.worker.hears("Earshot check-in for Wilma Worker, on behalf of Acme Care", within=20)


@shift(QUICK)
async def test_a_person_behind_a_screening_telephone_confirms_when_he_takes_the_call(shift: Shift) -> None:
    shift.begins()
    line = await shift.is_asked()
    await line.says(SCREENING[:32_000]).hears("If you are well").presses(await shift.key()).hears("Thank you")
    await line.hangs_up()
    assert await shift.world.incidents() == []


@shift(QUICK, worker=TWO)
async def test_his_second_telephone_rings_when_nobody_picks_up_the_first_one(shift: Shift) -> None:
    shift.begins()
    await shift.worker.rings_within("6min").stops_within("30s")
    second = shift.phone(SECOND)
    await second.rings_within("2s").answers()
    await second.presses(await shift.key(second)).hears("Thank you").hangs_up()
    assert await shift.world.incidents() == []


@shift(THRICE, worker=TWO)
async def test_each_attempt_begins_with_another_telephone(shift: Shift) -> None:
    shift.begins()
    await shift.missed("10min")
    assert [number for _, number in shift.exchange.dialled] == [MOBILE, SECOND, SECOND, MOBILE, MOBILE, SECOND]


@shift(QUICK, worker=TWO)
async def test_voicemail_on_the_first_telephone_does_not_keep_the_second_from_ringing(shift: Shift) -> None:
    shift.begins()
    machine(VOICEMAIL)(shift.exchange.line(MOBILE))
    second = shift.phone(SECOND)
    await second.rings_within("8min").answers()
    await second.presses(await shift.key(second)).hears("Thank you").hangs_up()
    assert await shift.world.incidents() == []


@shift(QUICK, worker=TWO)
async def test_a_first_telephone_that_is_off_costs_the_second_no_time(shift: Shift) -> None:
    shift.begins()
    shift.exchange.lines.pop(MOBILE)
    await shift.phone(SECOND).rings_within("63s")
