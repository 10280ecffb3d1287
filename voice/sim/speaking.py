"""The sending side of a simulated phone: RTP packets, telephone events and what phones in the field do wrong.

Shares no code with the service's own media path.
"""

import random
import struct
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from voice.address import Address
from voice.rtp.codecs import ALAW_SILENCE, ALAW_TO_ULAW, SAMPLE_RATE
from voice.rtp.transport import RtpSocket
from voice.sim.speech import frames, silence, tone

_HEADER = struct.Struct("!BBHII")
_REPORT = struct.Struct("!BBHIIIIII")
_CHUNK = struct.Struct("!BBHI")
_EVENT = struct.Struct("!BBH")
_EVENTS = "0123456789*#ABCD"
_ROWS, _COLUMNS = (697, 770, 852, 941), (1209, 1336, 1477, 1633)  # Hz, ITU-T Q.23
_KEYPAD = "123A456B789C*0#D"
_END = 0x80


def dtmf_tone(digit: str, seconds: float = 0.1, level: float = 0.25) -> bytes:
    """The two tones of one key, A-law (ITU-T Q.23)."""
    row, column = divmod(_KEYPAD.index(digit), 4)
    return tone((float(_ROWS[row]), float(_COLUMNS[column])), seconds, level)


@dataclass(slots=True)
class _Event:
    """A telephone event under way (RFC 4733 section 2.5.1)."""

    code: int
    timestamp: int
    duration: int
    length: int


class Speaker:
    """One RTP stream that a phone sends, a packet per tick of `ptime` milliseconds."""

    def __init__(self, socket: RtpSocket, dice: random.Random, *, ptime: int = 20) -> None:
        self.samples = SAMPLE_RATE * ptime // 1000
        """Samples in a packet."""
        self.to: Address | None = None
        """Where to send; None: nowhere."""
        self.payload_type = 8
        self.mu_law = False
        self.event_type: int | None = 101
        self.silent_when_idle = True
        """Whether digital silence is sent while there is nothing to say; otherwise nothing is."""
        self.sent = 0
        self.octets = 0
        self._socket = socket
        self._dice = dice
        self._said: deque[Iterator[bytes]] = deque()
        self._digits: deque[str] = deque()
        self._event: _Event | None = None
        self._pause = 0
        self._rest = b""
        self._talking = False
        self.restart()

    def restart(self) -> None:
        """A new SSRC with new random numbers, as after a re-INVITE at many gateways (RFC 3550 section 8)."""
        self.ssrc = self._dice.getrandbits(32)
        self._sequence = self._dice.getrandbits(16)
        self._timestamp = self._dice.getrandbits(32)

    def say(self, audio: bytes | Iterable[bytes]) -> None:
        """Queues A-law audio; frames are asked for one by one as they are sent."""
        self._said.append(frames(audio) if isinstance(audio, bytes) else iter(audio))

    def hush(self) -> None:
        """Says no more of what is queued."""
        self._said.clear()
        self._rest = b""

    def press(self, digits: str) -> None:
        """Queues digits as telephone events (RFC 4733): 100 ms each, 60 ms apart."""
        self._digits.extend(digits)

    def sing(self, digits: str, *, on: float = 0.1, off: float = 0.06) -> None:
        """Queues digits as tones in the voice band."""
        for digit in digits:
            self.say(dtmf_tone(digit, on) + silence(off))

    @property
    def busy(self) -> bool:
        """Whether something queued is not sent yet."""
        return bool(self._said or self._rest or self._digits or self._event)

    def report(self, now: float) -> bytes:
        """A sender report with the canonical name (RFC 3550 sections 6.4.1 and 6.5.1)."""
        seconds, fraction = divmod(now, 1)
        sender = _REPORT.pack(
            0x80,
            200,
            6,
            self.ssrc,
            int(seconds),
            int(fraction * 2**32),
            self._timestamp,
            self.sent,
            self.octets,
        )
        name = f"{self.ssrc:08x}@phone".encode()
        item = (bytes([1, len(name)]) + name).ljust((len(name) + 6) // 4 * 4, b"\0")
        return sender + _CHUNK.pack(0x81, 202, 1 + len(item) // 4, self.ssrc) + item

    def tick(self) -> None:
        """Sends what is due for one packet time."""
        if self._digits or self._event is not None or self._pause:
            self._tick_event()
            return
        payload = self._next_payload()
        if payload is not None:
            self._send(self.payload_type, payload, self._timestamp, marker=not self._talking)
        self._talking = payload is not None
        self._timestamp = (self._timestamp + self.samples) & 0xFFFF_FFFF

    def _next_payload(self) -> bytes | None:
        payload = self._pull()
        if payload is None:
            if not self.silent_when_idle:
                return None
            payload = ALAW_SILENCE * self.samples
        return payload.translate(ALAW_TO_ULAW) if self.mu_law else payload

    def _pull(self) -> bytes | None:
        """The next packet's worth of what is queued, filled up with silence at the end of it all."""
        samples, taken = self.samples, self._rest
        while self._said and len(taken) < samples:
            frame = next(self._said[0], None)
            if frame is None:
                self._said.popleft()
            else:
                taken += frame
        self._rest = taken[samples:]
        return taken[:samples].ljust(samples, ALAW_SILENCE) if taken else None

    def _tick_event(self) -> None:
        """An event replaces the audio: updates while the key is held, then the end, three times."""
        event = self._event
        if event is None:
            if self._pause:
                self._pause -= 1
            else:
                code = _EVENTS.index(self._digits.popleft())
                event = self._event = _Event(code, self._timestamp, 0, SAMPLE_RATE // 10)
        if event is not None:
            self._send_event(event)
        self._timestamp = (self._timestamp + self.samples) & 0xFFFF_FFFF

    def _send_event(self, event: _Event) -> None:
        first = event.duration == 0
        event.duration = min(event.length, event.duration + self.samples)
        ended = event.duration >= event.length
        volume = 10 | (_END if ended else 0)
        if self.event_type is not None:
            for _ in range(3 if ended else 1):  # section 2.5.1.4: the end is sent three times in all
                payload = _EVENT.pack(event.code, volume, event.duration)
                self._send(self.event_type, payload, event.timestamp, marker=first)
        if ended:
            self._event = None
            self._pause = max(1, round(0.06 * SAMPLE_RATE / self.samples))
            self._talking = False

    def _send(self, payload_type: int, payload: bytes, timestamp: int, *, marker: bool) -> None:
        if self.to is not None:
            header = _HEADER.pack(0x80, payload_type | marker << 7, self._sequence, timestamp, self.ssrc)
            self._socket.send(header + payload, self.to)
            self.sent += 1
            self.octets += len(payload)
        self._sequence = (self._sequence + 1) & 0xFFFF
