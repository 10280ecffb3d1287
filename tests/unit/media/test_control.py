"""Reports on what was received, and what is made of the peer's: RFC 3550 section 6.4 and appendix A.3."""

import pytest

from tests.unit.media.packets import PEER, START, Sender, new_inflow
from tests.unit.media.reports import Reports
from voice.rtp.reporting import ntp_time
from voice.rtp.rtcp import ReceiverReport, ReportBlock, SenderReport


class Reception:
    """A stream whose packets may get lost, and the reports on it."""

    def __init__(self, sequence: int = 0) -> None:
        self.inflow, _ = new_inflow()
        self.sender = Sender(sequence=sequence, timestamp=0)
        self.reports = Reports(self.inflow, self.inflow.latch)
        self.now = START

    def of(self, *numbers: int) -> None:
        for number in numbers:
            self.inflow.receive([(self.sender.packet(number), PEER)], START + number * 0.02)

    def block(self) -> ReportBlock:
        self.now += 10.0
        (block,) = self.reports.next(self.now)
        return block


def test_the_fraction_lost_is_that_since_the_last_report() -> None:
    reception = Reception()
    reception.of(*range(10), *range(20, 30))
    first = reception.block()
    assert (first.ssrc, first.fraction_lost, first.cumulative_lost) == (7, 10 * 256 // 30, 10)
    reception.of(*range(30, 40))
    second = reception.block()
    assert (second.fraction_lost, second.cumulative_lost) == (0, 10)
    assert reception.block().fraction_lost == 0


@pytest.mark.parametrize(("first", "count", "highest"), [(0, 3, 2), (65_534, 6, 65_534 + 5), (0xFFFF, 2, 0x10000)])
def test_the_highest_sequence_number_counts_the_wraps(first: int, count: int, highest: int) -> None:
    reception = Reception(first)
    reception.of(*range(count))
    assert reception.block().highest_sequence == highest


def test_one_wild_sequence_number_changes_nothing() -> None:
    reception = Reception()
    reception.of(1, 2, 30_000, 3, 4)
    block = reception.block()
    assert (block.cumulative_lost, block.highest_sequence) == (0, 4)


def test_a_sender_that_started_anew_has_lost_nothing() -> None:
    reception = Reception()
    reception.of(1, 2, 30_000, 30_001, 30_002)
    assert reception.block().cumulative_lost == 0


def test_a_report_before_any_packet_says_nothing_of_the_peer() -> None:
    reception = Reception()
    assert reception.reports.next(START + 10.0) == ()


def test_a_report_gives_the_peer_back_the_time_of_its_own() -> None:
    reception = Reception()
    reception.of(0, 1)
    sent = ntp_time(1_700_000_000.0)
    reception.reports.take(SenderReport(7, sent, 0, 0, 0), START + 7.5)
    block = reception.block()
    assert block.last_report == (sent >> 16) & 0xFFFFFFFF
    assert block.delay == round(2.5 * 65_536)


def test_what_the_peer_says_of_us_is_kept_and_what_it_says_of_others_is_not() -> None:
    reports = Reception().reports
    ours = reports.control.ssrc
    about = ReportBlock(ours ^ 1, 255, 9, 0, 80, 0, 0), ReportBlock(ours, 64, 3, 0, 40, 0, 0)
    reports.take(ReceiverReport(7, about), START)
    peer = reports.control.peer
    assert (peer.fraction_lost, peer.lost, peer.jitter_ms, peer.round_trip_ms) == (0.25, 3, 5.0, None)
