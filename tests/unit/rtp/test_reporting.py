"""When reports are due, and the times in them: RFC 3550 section 6."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voice.rtp.reporting import REPORT_INTERVAL, next_report, ntp_time, round_trip
from voice.rtp.rtcp import ReportBlock


def test_the_round_trip_is_what_is_left_of_the_way_there_and_back() -> None:
    sent = ntp_time(1_700_000_000.0)
    block = ReportBlock(5, 0, 0, 0, 0, last_report=(sent >> 16) & 0xFFFFFFFF, delay=round(2.5 * 65_536))
    assert round_trip(block, ntp_time(1_700_000_002.6)) == pytest.approx(0.1, abs=1e-4)
    assert round_trip(block, ntp_time(1_700_000_002.0)) is None


def test_there_is_no_round_trip_before_a_sender_report_was_answered() -> None:
    assert round_trip(ReportBlock(1, 0, 0, 0, 0, 0, 0), ntp_time(0.0)) is None


def test_ntp_time_counts_from_1900() -> None:
    assert ntp_time(0.5) == (2_208_988_800 << 32) + (1 << 31)


@given(st.floats(min_value=0, max_value=1e6), st.integers())
def test_reports_are_spread_over_half_to_one_and_a_half_intervals(now: float, seed: int) -> None:
    due = next_report(now, random.Random(seed)) - now
    assert 0.49 * REPORT_INTERVAL <= due <= 1.51 * REPORT_INTERVAL
