"""The keys of one leg: what its packets and its INFO say, in the order in which the keys were pressed.

A network with jitter lets packets overtake each other. A PIN of which two digits have changed places is wrong, and
tones of which a piece is missing are two presses or none. So packets are put in order here before they are listened to:
what comes after a missing one waits until that has come, or `PATIENCE` is over. While nothing is missing nothing waits.

A vowel is taken for a tone now and then. So tones count only until a key comes otherwise: the telephone has then shown
how it sends keys, and what sounds like one is a voice. Where the media moves to another telephone they count again.

The recording is not made from this: it puts late audio into its place whenever it comes.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from voice.rtp.codecs import ALAW_SILENCE, SAMPLE_RATE
from voice.rtp.digits import Digit, DigitStream
from voice.rtp.dtmf import DtmfDetector
from voice.rtp.events import EventReceiver, TelephoneEvent
from voice.rtp.sequence import SEQUENCE_BITS, TIMESTAMP_BITS, distance

PATIENCE: Final = 0.24
"""Seconds that a packet waits for those before it: 200 ms of jitter, and how seldom sockets are looked at."""

_RESTARTED: Final = 300
"""Packets out of order by more than this are another stream."""
_LONGEST_PAUSE: Final = SAMPLE_RATE // 10
"""Samples of silence that stand for any longer pause."""
_LONGEST_HOLE: Final = 3 * SAMPLE_RATE // 50
"""Samples of lost audio behind which a press may go on: three packets. Behind more it is another press."""


class Packet(NamedTuple):
    """One packet of the stream, or several of audio in a row."""

    ssrc: int
    sequence: int
    """Of the first."""
    packets: int
    timestamp: int
    """Of the first."""
    payload: bytes
    """A-law, or a telephone-event."""
    event: bool = False
    marker: bool = False


class Keypad:
    """Feed it everything; each call returns the presses that are known by then. `now` never goes back."""

    def __init__(self, *, inband: bool) -> None:
        """`inband`: listen for tones as well. Without, audio need not be fed, and events do not wait for anything."""
        self._detector = DtmfDetector() if inband else None
        self._tones_count = True
        self._events = EventReceiver()
        self._digits = DigitStream()
        self._ssrc = -1
        self._due = -1  # the sequence number that comes next, -1: whichever
        self._timestamp_due: int | None = None  # of audio
        self._lost = False  # something was, since the last audio
        self._held: dict[int, tuple[float, Packet]] = {}

    def info(self, symbol: str, now: float) -> Sequence[Digit]:
        """A SIP INFO with a digit has come."""
        self._tones_count = False
        return _known([self._digits.info(symbol, now)])

    def packet(self, packet: Packet, now: float) -> Sequence[Digit]:
        """A packet has come, late ones included, duplicates not. Raises RtpError for an event that is none."""
        if packet.event:
            TelephoneEvent.parse(packet.payload)
        if self._detector is None:
            return _known(self._hear(packet, now))
        found: list[Digit | None] = []
        if packet.ssrc != self._ssrc:
            found += self._let_go(now)
            self._ssrc, self._due = packet.ssrc, packet.sequence
            self._timestamp_due, self._lost = None, False
        ahead = distance(packet.sequence, self._due, SEQUENCE_BITS)
        if abs(ahead) > _RESTARTED:
            found += self._let_go(now)
            self._due, ahead = packet.sequence, 0
        if ahead > 0:
            self._held[packet.sequence] = now, packet
        elif ahead == 0:
            found += self._take(packet, now)
        return _known([*found, *self._catch_up(now)])

    def moved(self) -> None:
        """What comes from now on may be another telephone's: how that one sends keys is not known yet."""
        if self._detector is not None and not self._tones_count:
            self._detector, self._timestamp_due = DtmfDetector(), None
        self._tones_count = True

    def settle(self, now: float) -> Sequence[Digit]:
        """Now and then, for what waits in a stream that has stopped."""
        return _known(self._catch_up(now))

    def flush(self, now: float) -> Sequence[Digit]:
        """The leg is over: nothing is waited for any more."""
        return _known(self._let_go(now))

    def _take(self, packet: Packet, now: float) -> list[Digit | None]:
        self._lost = self._lost or packet.sequence != self._due
        self._due = packet.sequence + packet.packets & 0xFFFF
        return self._hear(packet, now)

    def _catch_up(self, now: float) -> list[Digit | None]:
        """What waits no longer: nothing is missing before it, or what is missing has had its time."""
        found: list[Digit | None] = []
        while self._held:
            following = self._held.pop(self._due, None)
            if following is None:
                first = min(self._held, key=lambda sequence: distance(sequence, self._due, SEQUENCE_BITS))
                if now - min(since for since, _ in self._held.values()) < PATIENCE:
                    break
                following = self._held.pop(first)
            found += self._take(following[1], now)
        return found

    def _let_go(self, now: float) -> list[Digit | None]:
        """All that waits."""
        order = sorted(self._held, key=lambda sequence: distance(sequence, self._due, SEQUENCE_BITS))
        return [digit for sequence in order for digit in self._take(self._held.pop(sequence)[1], now)]

    def _hear(self, packet: Packet, now: float) -> list[Digit | None]:
        if packet.event:
            symbol = self._events.feed(packet.payload, packet.timestamp, packet.marker)
            if symbol is None:
                return []
            self._tones_count = False
            return [self._digits.rfc4733(symbol, now)]
        return self._listen(self._detector, packet, now) if self._detector is not None and self._tones_count else []

    def _listen(self, detector: DtmfDetector, packet: Packet, now: float) -> list[Digit | None]:
        """Tones in audio. Where some is missing, the detector is told for how long, and whether it was lost."""
        if self._timestamp_due is not None:
            step = distance(packet.timestamp, self._timestamp_due, TIMESTAMP_BITS)
            if self._lost and 0 < step <= _LONGEST_HOLE:
                detector.miss(step)
            elif step:  # nothing was sent while nothing was said, or the sender's clock has jumped
                detector.feed_alaw(ALAW_SILENCE * min(abs(step), _LONGEST_PAUSE))
        self._lost = False
        self._timestamp_due = packet.timestamp + len(packet.payload) & 0xFFFFFFFF
        return [self._digits.inband(symbol, now) for symbol in detector.feed_alaw(packet.payload)]


def _known(found: Sequence[Digit | None]) -> Sequence[Digit]:
    return [digit for digit in found if digit is not None]
