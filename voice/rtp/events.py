"""Telephone events, RFC 4733: digits as packets of their own in the audio's RTP stream.

     0                   1                   2                   3
     0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |     event     |E|R| volume    |          duration             |
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+

One press is a run of packets with the RTP timestamp of its beginning and a growing duration; the last is
sent three times with the E bit (section 2.5.1.4), as any of them may be lost.
"""

import struct
from dataclasses import dataclass

from voice.errors import RtpError
from voice.rtp.codecs import FRAME_SAMPLES, SAMPLE_RATE
from voice.rtp.sequence import TIMESTAMP_BITS, distance

DIGITS = "0123456789*#ABCD"
"""Event codes 0 to 15 (section 3.2)."""

_PAYLOAD = struct.Struct("!BBH")
_LONGEST = 0xFFFF
_RESTARTED = 10 * SAMPLE_RATE
"""A timestamp this far behind the last event is not a late packet but a sender that started anew."""


@dataclass(frozen=True, slots=True)
class TelephoneEvent:
    """The payload of one packet."""

    code: int
    duration: int
    """Samples since the beginning of the event, or of this segment of it."""
    end: bool = False
    volume: int = 10
    """Level of the tone in -dBm0, 0 to 63."""

    @classmethod
    def parse(cls, payload: bytes | memoryview) -> "TelephoneEvent":
        """Read a payload; raises RtpError when it is too short. What follows the first event is skipped."""
        if len(payload) < _PAYLOAD.size:
            raise RtpError(f"telephone-event of {len(payload)} bytes")
        code, flags, duration = _PAYLOAD.unpack_from(payload)
        return cls(code, duration, flags >= 0x80, flags & 0x3F)

    def serialize(self) -> bytes:
        """The payload as bytes."""
        return _PAYLOAD.pack(self.code, (0x80 if self.end else 0) | self.volume & 0x3F, self.duration)


class EventReceiver:
    """Makes one digit of all packets of a press, when the first of them arrives, whichever that is.

    A packet belongs to the press before it if it has the same code and

    - the same timestamp; or
    - no marker, and a timestamp within the time that the press is known to last. Two presses cannot overlap,
      so this is a sender that moves the timestamp within a press (several gateways do); or
    - no marker, and a timestamp where the next segment of a press of more than 8 s begins (section 2.5.1.3).

    Packets older than the press that is going on are late repeats and say nothing. One receiver serves one
    SSRC.
    """

    def __init__(self) -> None:
        self._code = -1
        self._start = 0
        self._duration = 0
        self._ended = True

    def feed(self, payload: bytes | memoryview, timestamp: int, marker: bool) -> str | None:
        """A telephone-event packet: the digit if a press begins with it. Raises RtpError."""
        event = TelephoneEvent.parse(payload)
        if self._code >= 0:
            after = distance(timestamp, self._start, TIMESTAMP_BITS)
            if -_RESTARTED < after < 0:
                return None
            if event.code == self._code and self._same_press(event, after, marker):
                self._duration = event.duration if after else max(event.duration, self._duration)
                self._start = timestamp
                self._ended = self._ended or event.end
                return None
        self._code = event.code
        self._start = timestamp
        self._duration = event.duration
        self._ended = event.end
        return DIGITS[event.code] if event.code < len(DIGITS) else None

    def _same_press(self, event: TelephoneEvent, after: int, marker: bool) -> bool:
        if after == 0:
            return True
        if marker or after < 0:
            return False
        if self._ended:
            return after < self._duration and event.end
        return after <= self._duration or self._is_next_segment(after)

    def _is_next_segment(self, after: int) -> bool:
        """A segment is closed before its duration overflows; senders differ in where that is, by a packet."""
        return _LONGEST - 8 * FRAME_SAMPLES <= after <= _LONGEST + 1
