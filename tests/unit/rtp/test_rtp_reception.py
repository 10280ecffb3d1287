"""Reception statistics against the formulas of RFC 3550, appendix A."""

import random
from dataclasses import dataclass
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voice.rtp.reception import REPORT_INTERVAL, Reception, next_report, ntp_time, round_trip
from voice.rtp.rtcp import ReportBlock, SenderReport


@dataclass(frozen=True)
class Arrival:
    sequence: int
    timestamp: int
    at: float


def journey(start: int, count: int, seed: int, loss: float, spread: float) -> list[Arrival]:
    """A stream through a network with loss and jitter, in order of arrival."""
    rng = random.Random(seed)
    packets = [
        Arrival(
            (start + number) % 2**16,
            (start * 160 + number * 160) % 2**32,
            0.02 * number + rng.random() * spread,
        )
        for number in range(count)
        if rng.random() >= loss
    ]
    return sorted(packets, key=lambda packet: packet.at)


def reference_jitter(arrivals: list[Arrival]) -> float:
    """J += (|D(i-1, i)| - J) / 16, in timestamp units (RFC 3550 section 6.4.1)."""
    jitter = 0.0
    for before, packet in pairwise(arrivals):
        step = (packet.timestamp - before.timestamp + 2**31) % 2**32 - 2**31
        jitter += (abs((packet.at - before.at) * 8000 - step) - jitter) / 16
    return jitter


@given(
    st.integers(min_value=0, max_value=0xFFFF),
    st.integers(min_value=2, max_value=300),
    st.integers(min_value=0),
    st.floats(min_value=0, max_value=0.3),
    st.floats(min_value=0, max_value=0.2),
)
def test_jitter_is_that_of_the_reference_formula(
    start: int, count: int, seed: int, loss: float, spread: float
) -> None:
    arrivals = journey(start, count, seed, loss, spread)
    reception = Reception()
    for packet in arrivals:
        reception.feed(packet.sequence, packet.timestamp, packet.at)
    assert reception.quality().jitter * 8000 == pytest.approx(reference_jitter(arrivals), abs=1e-2)


@given(
    st.integers(min_value=0, max_value=0xFFFF),
    st.integers(min_value=1, max_value=400),
    st.integers(min_value=0),
    st.floats(min_value=0, max_value=0.5),
)
def test_loss_is_what_was_lost_between_the_first_and_the_last_packet(
    start: int, count: int, seed: int, loss: float
) -> None:
    arrivals = journey(start, count, seed, loss, 0.0)
    reception = Reception()
    for packet in arrivals:
        reception.feed(packet.sequence, packet.timestamp, packet.at)
    quality = reception.quality()
    if arrivals:
        expected = (arrivals[-1].sequence - arrivals[0].sequence) % 2**16 + 1
        assert (quality.received, quality.lost) == (len(arrivals), expected - len(arrivals))
        assert quality.loss == pytest.approx(1 - len(arrivals) / expected)
    else:
        assert (quality.received, quality.lost, quality.loss) == (0, 0, 0.0)


@given(st.integers(min_value=0, max_value=0xFFFF), st.integers(min_value=0))
def test_reordering_within_reach_is_no_loss(start: int, seed: int) -> None:
    rng = random.Random(seed)
    order = sorted(range(300), key=lambda number: number + rng.uniform(0, 50))
    reception = Reception()
    for number in order:
        reception.feed((start + number) % 2**16, number * 160, number * 0.02)
    missed_before_the_first = order[0]
    assert reception.expected == 300 - missed_before_the_first
    assert reception.quality().lost == 0


def test_a_stream_that_begins_with_sequence_number_zero_has_no_wrap() -> None:
    reception = Reception()
    for number in range(3):
        reception.feed(number, number * 160, number * 0.02)
    assert reception.report(1, 1.0).highest_sequence == 2


def test_the_highest_sequence_number_counts_the_wraps() -> None:
    reception = Reception()
    for number in range(65_534, 65_534 + 65_536 + 5):
        reception.feed(number % 2**16, number * 160, number * 0.02)
    assert reception.report(1, 0.0).highest_sequence == 65_534 + 65_536 + 4


def test_the_fraction_lost_is_that_since_the_last_report() -> None:
    reception = Reception()
    for number in [*range(10), *range(20, 30)]:
        reception.feed(number, number * 160, number * 0.02)
    first = reception.report(7, 1.0)
    assert (first.ssrc, first.fraction_lost, first.cumulative_lost) == (7, 10 * 256 // 30, 10)
    for number in range(30, 40):
        reception.feed(number, number * 160, number * 0.02)
    second = reception.report(7, 2.0)
    assert (second.fraction_lost, second.cumulative_lost) == (0, 10)
    assert reception.report(7, 3.0).fraction_lost == 0


def test_duplicates_make_the_loss_of_a_report_negative_and_that_of_people_zero() -> None:
    reception = Reception()
    for number in (1, 2, 2, 2, 3):
        reception.feed(number, number * 160, number * 0.02)
    assert reception.report(1, 1.0).cumulative_lost == -2
    assert reception.report(1, 1.0).fraction_lost == 0
    quality = reception.quality()
    assert (quality.lost, quality.duplicates_or_late) == (0, 2)


def test_one_wild_sequence_number_changes_nothing() -> None:
    reception = Reception()
    for number in (1, 2, 30_000, 3, 4):
        reception.feed(number, number * 160, number * 0.02)
    assert (reception.expected, reception.quality().received) == (4, 4)


def test_two_in_a_row_after_a_jump_are_a_sender_that_started_anew() -> None:
    reception = Reception()
    for number in (1, 2, 30_000, 30_001, 30_002):
        reception.feed(number, number * 160, number * 0.02)
    assert (reception.expected, reception.quality().lost) == (2, 0)


def test_a_report_before_any_packet_says_nothing() -> None:
    assert Reception().report(9, 5.0) == ReportBlock(9, 0, 0, 0, 0, 0, 0)


def test_the_round_trip_is_what_is_left_of_the_way_there_and_back() -> None:
    ours = Reception()
    sent = ntp_time(1_700_000_000.0)
    ours.sender_report(SenderReport(5, sent, 0, 0, 0), now=10.0)
    block = ours.report(5, now=12.5)
    assert block.last_report == (sent >> 16) & 0xFFFFFFFF
    assert block.delay == round(2.5 * 65_536)
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
