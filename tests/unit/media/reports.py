"""The RTCP side of a leg by itself: what it reports, for tests."""

import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from voice.address import Address
from voice.media.control import Control
from voice.media.inflow import Inflow
from voice.rtp.latch import Latch
from voice.rtp.rtcp import ReceiverReport, ReportBlock, RtcpPacket, build_compound, parse_compound

MIDNIGHT = datetime(2026, 1, 1, tzinfo=UTC)


class Port:
    """An `RtpSocket` that keeps what is sent."""

    local = ("192.0.2.1", 20_001)
    age = 0.0

    def __init__(self) -> None:
        self.sent: list[bytes] = []

    def receive(self) -> list[tuple[bytes, Address]]:
        return []

    def send(self, data: bytes, to: Address) -> None:
        self.sent.append(data)

    def close(self) -> None: ...


class Day:
    """A time of day that follows the monotonic time of the test."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> datetime:
        return MIDNIGHT + timedelta(seconds=self.seconds)


class Reports:
    """A `Control` whose reports are read back from the wire."""

    def __init__(self, inflow: Inflow, latch: Latch) -> None:
        self.port, self.day = Port(), Day()
        self.control = Control(self.port, random.Random(1))
        self._inflow, self._latch = inflow, latch

    def next(self, now: float) -> Sequence[ReportBlock]:
        """The blocks of the report that is sent at `now`; it has to be due by then."""
        self.day.seconds = now
        before = len(self.port.sent)
        self.control.report(self._inflow, self._latch, self.day, now)
        if len(self.port.sent) == before:
            return ()
        report = parse_compound(self.port.sent[-1])[0]
        assert isinstance(report, ReceiverReport)
        return report.reports

    def take(self, packet: RtcpPacket, now: float) -> None:
        """A packet of the peer arrives."""
        self.day.seconds = now
        self.control.take(build_compound([packet]), self.day, now)


def reported(inflow: Inflow, latch: Latch, now: float) -> ReportBlock | None:
    """How the stream is received, as the first report says it; None where there is nothing to say."""
    return next(iter(Reports(inflow, latch).next(now)), None)
