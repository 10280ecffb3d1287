"""What locks a worker's PIN, and what does not."""

import pytest

from tests.scenarios.shift import CODE, DURESS, PIN, QUICK, STRANGE, Shift, shift
from voice.incidents.kinds import Kind
from voice.store.sessions import session_log


@shift(QUICK)
async def test_no_key_that_he_was_asked_for_and_none_pressed_by_mistake_counts_as_a_wrong_pin(shift: Shift) -> None:
    shift.begins()
    for _ in range(5):
        line = await shift.is_asked("70s")
        key = await shift.key()
        await line.presses("1" if key != "1" else "2").waits(9).presses(key).hears("Thank you").hangs_up()
    line = await shift.signs_in()
    await line.hangs_up()


@shift(QUICK)
async def test_keys_on_a_line_that_he_forgot_to_hang_up_do_not_count_either(shift: Shift) -> None:
    shift.begins()
    line = await shift.confirms()
    for _ in range(12):
        await line.presses("44444#", pause=0.2)
    await line.hangs_up()
    line = await shift.signs_in()
    await line.hangs_up()


@shift(QUICK)
async def test_ten_wrong_pins_within_an_hour_do_and_nobody_is_told(shift: Shift) -> None:
    heard = []
    for _ in range(4):
        line = await shift.calls_in(STRANGE)
        await line.hears("worker number").presses(f"{CODE}#").hears("key in your PIN")
        for _ in range(3):
            await line.presses("1357#").waits(4)
        await line.hears("This did not work").hangs_up()
        heard.append(line.texts())
    line = await shift.calls_in()
    await line.hears("key in your PIN").presses(f"{PIN}#").hears("not right").hangs_up()
    assert heard[0] == heard[-1]
    assert await shift.incidents(Kind.DURESS) == []


async def _locks(shift: Shift) -> None:
    for _ in range(4):
        line = await shift.calls_in(STRANGE)
        await line.hears("worker number").presses(f"{CODE}#").hears("key in your PIN")
        for _ in range(3):
            await line.presses("1357#").waits(4)
        await line.hears("This did not work").hangs_up()


@shift(QUICK)
async def test_while_his_pin_is_locked_the_duress_pin_sounds_like_it_and_calls_for_help(shift: Shift) -> None:
    await _locks(shift)
    heard = []
    for pin in ("2468", PIN, DURESS):
        line = await shift.calls_in()
        await line.hears("key in your PIN")
        for _ in range(3):
            await line.presses(f"{pin}#").waits(4)
        await line.hears("This did not work").waits(200)
        assert not line.call.is_over
        heard.append(line.texts())
        alarms = await shift.incidents(Kind.DURESS)
        assert len(alarms) == (pin == DURESS)
        await line.hangs_up().waits(2)
    assert heard[0] == heard[1] == heard[2]
    assert (await shift.world.recordings(alarms[0].id))[0].duration_ms


@pytest.mark.parametrize("entry", [DURESS, "00"])
@shift(QUICK | {"confirm": "pin"})
async def test_while_his_pin_is_locked_a_check_in_by_pin_lets_nothing_in_and_hears_all(
    shift: Shift, entry: str
) -> None:
    await _locks(shift)
    shift.begins()
    line = await shift.is_asked("70s")
    await line.hears("key in your PIN").presses(f"{PIN}#").hears("not right").waits(6)
    assert await shift.incidents(Kind.DURESS) == []
    await line.presses(f"{entry}#").waits(5).hears("not right", anew=False).waits(60)
    assert not line.call.is_over
    assert not any("Thank you" in text for text in line.texts())
    assert len(await shift.incidents(Kind.DURESS)) == 1
    await line.hangs_up()


@shift(QUICK)
async def test_who_changes_his_pin_to_the_duress_pin_hears_that_it_is_changed_and_keeps_both(shift: Shift) -> None:
    shift.begins()
    line = await shift.signs_in()
    await line.presses("8").hears("new PIN").presses(f"{DURESS}#").hears("once more").presses(f"{DURESS}#")
    await line.hears("Your PIN has been changed").hangs_up()
    assert await shift.incidents(Kind.DURESS) == []
    line = await shift.signs_in(PIN)
    await line.hangs_up()
    line = await shift.signs_in(DURESS)
    await line.hangs_up().waits(2)
    assert len(await shift.incidents(Kind.DURESS)) == 1
    session = shift.session()
    assert session is not None
    log = await shift.world.stage.store.read(lambda connection: session_log(connection, session.id))
    assert [entry.detail["how"] for entry in log if entry.kind == "pin_changed"] == ["duress"]
