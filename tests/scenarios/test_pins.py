"""What locks a worker's PIN, and what does not."""

from tests.scenarios.shift import CODE, PIN, QUICK, STRANGE, Shift, shift
from voice.incidents.kinds import Kind


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
        await line.stops_within("30s")
        heard.append(line.texts())
    line = await shift.calls_in()
    await line.hears("key in your PIN").presses(f"{PIN}#").hears("not right").hangs_up()
    assert heard[0] == heard[-1]
    assert await shift.incidents(Kind.DURESS) == []
