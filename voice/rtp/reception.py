"""How well a stream is received: loss, jitter and report blocks (RFC 3550 section 6.4 and appendix A).

When to report (section 6.2): with two members the interval is the fixed minimum of 5 s, spread over half to
one and a half of it so that reports of many calls do not fall together (section 6.3.1, without its
reconsideration, which is for sessions that people join and leave in crowds).
"""

import random
from dataclasses import dataclass

from voice.rtp.codecs import SAMPLE_RATE
from voice.rtp.rtcp import ReportBlock, SenderReport

REPORT_INTERVAL = 5.0

MAX_DROPOUT = 3000
MAX_MISORDER = 100
"""Numbers further behind than this are not late packets but a sender that started anew (appendix A.1)."""

_NTP_EPOCH = 2_208_988_800
"""Seconds from 1900 to 1970."""


def next_report(now: float, rng: random.Random) -> float:
    """When the next compound packet is due."""
    return now + REPORT_INTERVAL * rng.uniform(0.5, 1.5)


def ntp_time(unix: float) -> int:
    """A time of day as the 64 bits of a sender report."""
    return int((unix + _NTP_EPOCH) * (1 << 32)) & 0xFFFFFFFFFFFFFFFF


def round_trip(report: ReportBlock, ntp: int) -> float | None:
    """Seconds to the peer and back, from its report on us received at `ntp`; None before it got a report of
    ours."""
    if report.last_report == 0:
        return None
    units = ((ntp >> 16) - report.last_report - report.delay) & 0xFFFFFFFF
    return units / 65_536 if units < 0x80000000 else None


@dataclass(frozen=True, slots=True)
class Quality:
    """The reception so far, for people and metrics."""

    received: int
    lost: int
    """Never negative here, though duplicates can make the figure of RFC 3550 so."""
    duplicates_or_late: int
    jitter: float
    """Seconds."""

    @property
    def loss(self) -> float:
        """Share of the expected packets that never came, 0 to 1."""
        expected = self.received + self.lost
        return self.lost / expected if expected else 0.0


class Reception:
    """Statistics of one source (one SSRC): feed every packet, ask for a report now and then.

    Appendix A.1 without the probation of a new source, which is the latch's work. Jitter is as good as the
    arrival times: on a media clock that drains sockets every 20 ms it tells what the clock will see, not
    what the wire did.
    """

    __slots__ = (
        "_bad",
        "_base",
        "_behind",
        "_clock",
        "_cycles",
        "_expected_before",
        "_highest",
        "_jitter",
        "_last_report",
        "_last_report_at",
        "_received",
        "_received_before",
        "_transit",
    )

    def __init__(self, clock: int = SAMPLE_RATE) -> None:
        self._clock = clock
        self._last_report = 0
        self._last_report_at = 0.0
        self._restart(None)

    def _restart(self, sequence: int | None) -> None:
        self._base = -1 if sequence is None else sequence
        self._highest = self._base
        self._cycles = 0
        self._bad = -1
        self._received = 0
        self._behind = 0
        self._expected_before = 0
        self._received_before = 0
        self._jitter = 0.0
        self._transit: float | None = None

    def feed(self, sequence: int, timestamp: int, arrival: float) -> None:
        """One packet, arrived at `arrival` (seconds of any clock)."""
        ahead = (sequence - self._highest) & 0xFFFF
        if ahead == 1 and self._base >= 0:
            if sequence == 0:
                self._cycles += 0x10000
            self._highest = sequence
        elif not self._place(sequence, ahead):
            return
        self._received += 1
        # Appendix A.8, on 32 bit timestamps that wrap; jitter in timestamp units, smoothed by 1/16.
        transit = arrival * self._clock - timestamp
        if self._transit is not None:
            change = abs(transit - self._transit)
            if change > 0x7FFFFFFF:
                change = abs(change - 0x100000000)
            self._jitter += (change - self._jitter) * 0.0625
        self._transit = transit

    def _place(self, sequence: int, ahead: int) -> bool:
        """update_seq of appendix A.1 for anything but the next packet; False: not counted yet."""
        if self._base < 0:
            self._restart(sequence)
        elif ahead == 0 or ahead > 0x10000 - MAX_MISORDER:
            self._behind += 1
        elif ahead < MAX_DROPOUT:
            if sequence < self._highest:
                self._cycles += 0x10000
            self._highest = sequence
        elif sequence == self._bad:
            # Two in a row: the sender started anew without telling. (Its first packet stays uncounted.)
            self._restart(sequence)
        else:
            self._bad = (sequence + 1) & 0xFFFF
            return False
        return True

    def sender_report(self, report: SenderReport, now: float) -> None:
        """The source's own report arrived: its time goes back to it, for the round trip (section 6.4.1)."""
        self._last_report = (report.ntp >> 16) & 0xFFFFFFFF
        self._last_report_at = now

    @property
    def expected(self) -> int:
        """Packets that should have come so far."""
        return 0 if self._base < 0 else self._cycles + self._highest - self._base + 1

    def quality(self) -> Quality:
        """The reception since the beginning."""
        return Quality(
            received=self._received,
            lost=max(0, self.expected - self._received),
            duplicates_or_late=self._behind,
            jitter=self._jitter / self._clock,
        )

    def report(self, ssrc: int, now: float) -> ReportBlock:
        """The block for the next report; the fraction lost counts from here anew (appendix A.3)."""
        expected = self.expected
        interval_expected = expected - self._expected_before
        interval_lost = interval_expected - (self._received - self._received_before)
        self._expected_before = expected
        self._received_before = self._received
        fraction = (interval_lost << 8) // interval_expected if interval_expected and interval_lost > 0 else 0
        delay = int((now - self._last_report_at) * 65_536) if self._last_report else 0
        return ReportBlock(
            ssrc=ssrc,
            fraction_lost=min(fraction, 255),
            cumulative_lost=max(-0x800000, min(expected - self._received, 0x7FFFFF)),
            highest_sequence=(self._cycles + max(self._highest, 0)) & 0xFFFFFFFF,
            jitter=int(self._jitter) & 0xFFFFFFFF,
            last_report=self._last_report,
            delay=min(max(delay, 0), 0xFFFFFFFF),
        )
