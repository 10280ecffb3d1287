"""The end of a session: the worker is asked whether he is still working, because people forget to say that they are
not."""

import asyncio

from tests.scenarios.shift import QUICK, SERVICE, Shift, shift
from voice.incidents.kinds import Kind

SHORT = 60 / 3600
"""Hours: the first check-in is the last one."""


@shift(QUICK)
async def test_at_its_end_he_is_asked_whether_he_is_still_working_and_a_confirmation_ends_it(shift: Shift) -> None:
    shift.begins(hours=SHORT)
    line = await shift.is_asked()
    await line.hears("Your session is over. If you are well").presses(await shift.key())
    await line.hears("If you are still working, press 1 to extend it").waits(20).hangs_up()
    assert shift.session() is None
    await line.stays_silent_for("2min")
    assert await shift.world.incidents() == []


@shift(QUICK)
async def test_who_hangs_up_instead_of_extending_has_confirmed(shift: Shift) -> None:
    shift.begins(hours=SHORT)
    line = await shift.is_asked()
    await line.presses(await shift.key()).hears("Your session is over").hangs_up().stays_silent_for("2min")
    assert shift.session() is None
    assert await shift.world.incidents() == []


@shift(QUICK | {"extend_by": 600.0})
async def test_pressing_1_extends_it_and_the_check_ins_go_on(shift: Shift) -> None:
    shift.begins(hours=SHORT)
    line = await shift.is_asked()
    await line.presses(await shift.key()).hears("press 1 to extend it").presses("1")
    await line.hears("Your session has been extended. It runs until 7 11 a m. The next check-in is at").hangs_up()
    await shift.confirms("6min")


@shift(QUICK)
async def test_a_session_that_was_forgotten_is_an_alarm(shift: Shift) -> None:
    shift.begins(hours=SHORT)
    incident = await shift.missed("8min")
    assert shift.session() is None
    (opened,) = await shift.world.entries("opened", incident.id)
    assert opened.detail["why"] == "not confirmed"
    assert len(shift.worker.line.calls) == 2
    await shift.worker.stays_silent_for("2min")


@shift(QUICK | {"forgotten": "end", "agreement": "contract of 2026-01-01, page 3"})
async def test_a_session_that_was_forgotten_ends_without_an_alarm_where_that_was_agreed(shift: Shift) -> None:
    shift.begins(hours=SHORT)
    await asyncio.sleep(180)
    assert shift.session() is None
    assert len(shift.worker.line.calls) == 2
    assert await shift.world.incidents() == []


@shift(QUICK | {"forgotten": "end", "agreement": "contract of 2026-01-01, page 3"})
async def test_by_that_agreement_only_the_last_question_is_forgotten(shift: Shift) -> None:
    shift.begins(hours=1)
    await shift.missed("8min")


@shift(QUICK)
async def test_he_is_told_by_text_message_that_his_session_ends(shift: Shift) -> None:
    shift.begins(hours=SHORT)
    await asyncio.sleep(45)
    assert shift.texts == [
        f"Your session ends at 07:01. We will call you once more. To extend it, call {SERVICE}.",
    ]


@shift(QUICK)
async def test_who_has_called_for_help_at_the_end_hears_the_same_question_and_the_same_silence(shift: Shift) -> None:
    shift.begins(hours=SHORT)
    line = await shift.is_asked()
    await line.hears("If you are well").presses("00").hears("press 1 to extend it").waits(20)
    assert not line.call.is_over
    await line.hangs_up()
    assert shift.session() is None
    (incident,) = await shift.world.incidents()
    assert incident.kind is Kind.DURESS
