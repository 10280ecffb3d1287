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
from collections import deque
from dataclasses import dataclass

from voice.errors import RtpError, UsageError
from voice.rtp.codecs import FRAME_SAMPLES, SAMPLE_RATE
from voice.rtp.sequence import TIMESTAMP_BITS, distance

DIGITS = "0123456789*#ABCD"
"""Event codes 0 to 15 (section 3.2)."""

_PAYLOAD = struct.Struct("!BBH")
_LONGEST = 0xFFFF
_END_PACKETS = 3
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


@dataclass(frozen=True, slots=True)
class EventFrame:
    """What to send in one 20 ms tick instead of audio."""

    payload: bytes
    timestamp: int
    marker: bool


class EventSender:
    """Plays queued digits, one packet a tick, with a pause after each in which audio goes on."""

    def __init__(self, *, duration: float = 0.12, pause: float = 0.08, volume: int = 10) -> None:
        """`duration` and `pause` in seconds; at most 8 s, which fit into one segment."""
        self._duration = round(duration * SAMPLE_RATE)
        self._pause = round(pause * SAMPLE_RATE)
        self._volume = volume
        if not FRAME_SAMPLES <= self._duration <= _LONGEST:
            raise UsageError(f"an event of {duration} s")
        self._queue: deque[int] = deque()
        self._code: int | None = None
        self._start = 0
        self._ends = 0
        self._quiet_until: int | None = None

    @property
    def idle(self) -> bool:
        """Whether every digit has been sent."""
        return self._code is None and not self._queue

    def press(self, digits: str) -> None:
        """Queue digits; raises UsageError for one that no telephone has."""
        codes = [DIGITS.find(each) for each in digits.upper()]
        if -1 in codes:
            raise UsageError(f"no digits: {digits!r}")
        self._queue.extend(codes)

    def tick(self, timestamp: int) -> EventFrame | None:
        """The packet for the frame that begins at `timestamp`; None: send audio."""
        begins = self._code is None
        if begins and not self._begin(timestamp):
            return None
        if self._code is None:
            return None
        elapsed = distance(timestamp, self._start, TIMESTAMP_BITS) + FRAME_SAMPLES
        ended = elapsed >= self._duration
        event = TelephoneEvent(self._code, min(elapsed, self._duration), ended, self._volume)
        frame = EventFrame(event.serialize(), self._start, begins)
        if ended:
            self._ends += 1
        if self._ends == _END_PACKETS:
            self._code = None
            self._quiet_until = timestamp + FRAME_SAMPLES + self._pause
        return frame

    def _begin(self, timestamp: int) -> bool:
        if not self._queue:
            return False
        if self._quiet_until is not None and distance(timestamp, self._quiet_until, TIMESTAMP_BITS) < 0:
            return False
        self._code = self._queue.popleft()
        self._start = timestamp
        self._ends = 0
        return True
