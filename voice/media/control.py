"""The RTCP of one leg: reports every five seconds, goodbye at the end, and what the peer reports on us.

RFC 3550 section 6, RFC 5761 when RTP and RTCP share a port. RTCP is looked at twice a second: nothing in
it is urgent, the call is ended by SIP.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace

from voice.clock import Clock
from voice.errors import RtpError
from voice.media.inflow import Inflow
from voice.rtp.codecs import SAMPLE_RATE
from voice.rtp.latch import Latch
from voice.rtp.reporting import next_report, ntp_time, round_trip
from voice.rtp.rtcp import (
    CNAME,
    Chunk,
    Goodbye,
    ReceiverReport,
    ReportBlock,
    RtcpPacket,
    SenderReport,
    SourceDescription,
    build_compound,
    parse_compound,
)
from voice.rtp.transport import RtpSocket


@dataclass(frozen=True, slots=True)
class PeerView:
    """How the peer says that it receives us; None where it has not said."""

    fraction_lost: float | None = None
    """Of the packets since its last report, 0 to 1."""
    lost: int | None = None
    jitter_ms: float | None = None
    round_trip_ms: float | None = None
    said_goodbye: bool = False


class Control:
    """Reports and reads reports for the one stream that we send and the one that we receive.

    The leg counts what it sends right here: a call per packet would cost more than the counting.
    """

    def __init__(self, rtcp: RtpSocket, rng: random.Random) -> None:
        self.ssrc = rng.getrandbits(32)
        self.sent_packets = 0
        self.sent_octets = 0
        self.sent_timestamp = 0
        self.sent_at = 0.0
        """The RTP timestamp of the last packet sent, and its deadline."""
        self.malformed = 0
        self.peer = PeerView()
        self._rtcp = rtcp
        self._rng = rng
        # A random name per session tells nothing about the host (RFC 7022 section 4.2).
        self._cname = f"{rng.getrandbits(96):024x}"
        self._due = 0.0
        self._reported = False
        self._reported_packets = 0
        self._last_report = 0
        self._last_report_at = 0.0
        self._expected_before = 0
        self._received_before = 0

    def start(self, now: float) -> None:
        """The first report is due in half the usual time (RFC 3550 section 6.2)."""
        self._due = now + (next_report(now, self._rng) - now) / 2

    def receive(self, latch: Latch | None, clock: Clock, now: float) -> None:
        """Take in what has come to the RTCP port."""
        for data, source in self._rtcp.receive():
            if latch is not None and latch.accept_rtcp(source):
                self.take(data, clock, now)

    def take(self, data: bytes, clock: Clock, now: float) -> None:
        """One compound packet of the peer."""
        try:
            packets = parse_compound(data)
        except RtpError:
            self.malformed += 1
            return
        for packet in packets:
            match packet:
                case SenderReport(ntp=ntp, reports=reports):
                    self._last_report, self._last_report_at = (ntp >> 16) & 0xFFFFFFFF, now
                    self._see(reports, clock)
                case ReceiverReport(reports=reports):
                    self._see(reports, clock)
                case Goodbye():
                    self.peer = replace(self.peer, said_goodbye=True)

    def report(self, inflow: Inflow, latch: Latch | None, clock: Clock, now: float) -> None:
        """Send the report that is due, if one is."""
        if now >= self._due:
            self._due = next_report(now, self._rng)
            self._send([self._report(inflow, clock, now)], latch)

    def goodbye(self, inflow: Inflow, latch: Latch | None, clock: Clock, now: float) -> None:
        """The last report and BYE (section 6.3.7: only by those who have sent something, be it a report)."""
        if self.sent_packets or self._reported:
            self._send([self._report(inflow, clock, now), Goodbye((self.ssrc,))], latch)

    def _send(self, packets: list[RtcpPacket], latch: Latch | None) -> None:
        remote = latch.remote_rtcp if latch is not None else None
        if remote is None:
            return
        self._reported = True
        description = SourceDescription((Chunk(self.ssrc, ((CNAME, self._cname),)),))
        self._rtcp.send(build_compound([packets[0], description, *packets[1:]]), remote)

    def _report(self, inflow: Inflow, clock: Clock, now: float) -> SenderReport | ReceiverReport:
        blocks = self._blocks(inflow, now)
        if self.sent_packets == self._reported_packets:
            return ReceiverReport(self.ssrc, blocks)
        self._reported_packets = self.sent_packets
        elapsed = int((now - self.sent_at) * SAMPLE_RATE)
        return SenderReport(
            ssrc=self.ssrc,
            ntp=ntp_time(clock.now().timestamp()),
            timestamp=(self.sent_timestamp + elapsed) & 0xFFFFFFFF,
            packets=self.sent_packets,
            octets=self.sent_octets,
            reports=blocks,
        )

    def _blocks(self, inflow: Inflow, now: float) -> tuple[ReportBlock, ...]:
        """How we receive the peer (section 6.4.1); nothing before its first packet."""
        if inflow.ssrc is None:
            return ()
        highest, expected, received = inflow.stream
        new_expected = max(0, expected - self._expected_before)
        new_lost = max(0, new_expected - (received - self._received_before))
        self._expected_before, self._received_before = expected, received
        delay = int((now - self._last_report_at) * 65536) if self._last_report else 0
        return (
            ReportBlock(
                ssrc=inflow.ssrc,
                fraction_lost=min(255, (new_lost << 8) // new_expected) if new_expected else 0,
                cumulative_lost=max(-0x800000, min(expected - received, 0x7FFFFF)),
                highest_sequence=highest & 0xFFFFFFFF,
                jitter=int(inflow.jitter),
                last_report=self._last_report,
                delay=min(delay, 0xFFFFFFFF),
            ),
        )

    def _see(self, reports: tuple[ReportBlock, ...], clock: Clock) -> None:
        for block in reports:
            if block.ssrc != self.ssrc:
                continue
            trip = round_trip(block, ntp_time(clock.now().timestamp()))
            self.peer = replace(
                self.peer,
                fraction_lost=block.fraction_lost / 256,
                lost=block.cumulative_lost,
                jitter_ms=block.jitter * 1000 / SAMPLE_RATE,
                round_trip_ms=None if trip is None else trip * 1000,
            )
