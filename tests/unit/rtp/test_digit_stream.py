"""Digits by three ways, each press once."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voice.rtp.digits import Digit, DigitStream, Way, info_digit
from voice.rtp.events import DIGITS


def symbols(stream: DigitStream, reports: list[tuple[str, Way, float]]) -> str:
    ways = {Way.RFC4733: stream.rfc4733, Way.INFO: stream.info, Way.INBAND: stream.inband}
    digits = [ways[way](symbol, at) for symbol, way, at in reports]
    return "".join(digit.symbol for digit in digits if digit is not None)


def test_a_digit_tells_what_when_and_by_which_way() -> None:
    assert DigitStream().info("#", 3.0) == Digit("#", Way.INFO, 3.0)


def test_the_same_press_by_two_ways_counts_once() -> None:
    assert symbols(DigitStream(), [("5", Way.RFC4733, 1.0), ("5", Way.INBAND, 1.06), ("5", Way.INFO, 1.3)]) == "5"


def test_two_quick_presses_by_the_same_way_count_twice() -> None:
    assert symbols(DigitStream(), [("5", Way.RFC4733, 1.0), ("5", Way.RFC4733, 1.1)]) == "55"


def test_two_quick_presses_stay_two_when_a_second_way_reports_them_late() -> None:
    reports = [
        ("1", Way.RFC4733, 1.0),
        ("1", Way.RFC4733, 1.2),
        ("1", Way.INFO, 1.5),
        ("1", Way.INFO, 1.7),
        ("2", Way.RFC4733, 1.8),
        ("2", Way.INFO, 1.9),
    ]
    assert symbols(DigitStream(), reports) == "112"


def test_a_press_that_one_way_missed_is_taken_from_the_other() -> None:
    reports = [
        ("1", Way.RFC4733, 1.0),
        ("2", Way.INBAND, 1.2),
        ("3", Way.RFC4733, 1.4),
        ("3", Way.INBAND, 1.5),
    ]
    assert symbols(DigitStream(), reports) == "123"


def test_the_same_key_after_the_window_is_a_new_press_by_whatever_way() -> None:
    assert symbols(DigitStream(window=1.0), [("5", Way.RFC4733, 1.0), ("5", Way.INFO, 2.1)]) == "55"


@given(
    st.text(alphabet=DIGITS, min_size=1, max_size=15),
    st.floats(min_value=0.1, max_value=0.4),
    st.lists(st.tuples(st.sampled_from(list(Way)), st.floats(min_value=0, max_value=0.9)), min_size=1, max_size=3),
)
def test_the_ways_together_report_every_press_once_and_in_order(
    digits: str, rhythm: float, ways: list[tuple[Way, float]]
) -> None:
    """Each way has a delay of its own, within the window."""
    delays = dict(ways)
    reports = sorted(
        ((digit, way, number * rhythm + delay) for number, digit in enumerate(digits) for way, delay in delays.items()),
        key=lambda report: report[2],
    )
    assert symbols(DigitStream(), reports) == digits


@pytest.mark.parametrize(
    ("content_type", "body", "digit"),
    [
        ("application/dtmf-relay", b"Signal=5\r\nDuration=160\r\n", "5"),
        ("application/dtmf-relay", b"Signal= *\r\nDuration= 250\r\n", "*"),
        ("Application/DTMF-Relay; charset=utf-8", b"Duration=100\nsignal = #\n", "#"),
        ("application/dtmf-relay", b"Signal=d", "D"),
        ("application/dtmf-relay", b"Signal=11\r\n", "#"),
        ("application/dtmf-relay", b"7", "7"),
        ("application/dtmf", b"5", "5"),
        ("application/dtmf", b" *\r\n", "*"),
        ("application/dtmf", b"10", "*"),
        ("application/dtmf", b"Signal=3\r\nDuration=100", "3"),
        ("application/dtmf", b"", None),
        ("application/dtmf", b"55", None),
        ("application/dtmf", b"16", None),
        ("application/dtmf", b"\xff", None),
        ("application/dtmf-relay", b"Signal=\r\nDuration=160", None),
        ("text/plain", b"5", None),
    ],
)
def test_the_digit_of_an_info_is_read_from_either_form(content_type: str, body: bytes, digit: str | None) -> None:
    assert info_digit(content_type, body) == digit
