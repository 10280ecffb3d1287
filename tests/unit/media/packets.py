"""A simulated sender of numbered RTP packets, for the tests of reception."""

from collections.abc import Mapping
from datetime import UTC, datetime

from voice.media.inflow import Inflow
from voice.media.track import Track
from voice.rtp.latch import Latch
from voice.rtp.packet import build

STARTED = datetime(2026, 1, 1, 6, 0, tzinfo=UTC)
START = 1000.0
"""Monotonic time of sample 0."""
PEER = ("198.51.100.1", 4000)


class Sender:
    """Packets of 20 ms whose audio says which number they have. All three counters may be moved at any time."""

    def __init__(
        self, *, sequence: int = 0xFFF0, timestamp: int = 0xFFFFFF00, ssrc: int = 7, payload_type: int = 8
    ) -> None:
        self.sequence = sequence
        self.timestamp = timestamp
        self.ssrc = ssrc
        self.payload_type = payload_type

    @staticmethod
    def audio(number: int) -> bytes:
        """160 bytes, different for each number and never silent."""
        return number.to_bytes(4, "big") + b"\x2a" * 156

    def pause(self, seconds: float) -> None:
        """What follows is so much later by its timestamp."""
        self.timestamp += round(seconds * 8000)

    def packet(self, number: int) -> bytes:
        return build(
            self.audio(number),
            self.payload_type,
            self.sequence + number,
            self.timestamp + number * 160,
            self.ssrc,
        )


def new_inflow(codecs: Mapping[int, bytes | None] | None = None) -> tuple[Inflow, Track]:
    """An inflow from `PEER` onto a new track."""
    track = Track(STARTED)
    codecs = {8: None} if codecs is None else codecs
    latch = Latch(PEER, {*codecs, 101})
    return Inflow(track, latch, codecs, START), track
