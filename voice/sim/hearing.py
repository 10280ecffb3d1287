"""What a simulated phone has received on one call: every RTP packet as it came, and questions about them.

Nothing is decoded while the call goes on; a packet is kept as bytes with its time. The questions parse.
This is an independent witness: it shares no code with the service's own media path.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise

from voice.address import Address
from voice.rtp.codecs import ALAW_SILENCE, SAMPLE_RATE, ULAW_SILENCE, ULAW_TO_ALAW, alaw_to_pcm, audioop
from voice.sim.speech import Marks, marks

FOREVER = float("inf")
_HEADER = struct.Struct("!BBHII")
_PURE_SILENCE = {"PCMA": ALAW_SILENCE[0], "PCMU": ULAW_SILENCE[0]}


@dataclass(frozen=True, slots=True)
class HeardPacket:
    """One RTP packet as it came."""

    at: float
    """Loop time at which it was fetched from the socket; up to one frame after it came."""
    payload_type: int
    marker: bool
    sequence: int
    timestamp: int
    ssrc: int
    payload: bytes
    source: Address


@dataclass(slots=True)
class Hearing:
    """The received side of one call. Times are loop times; `since` is inside, `until` outside of a span."""

    codecs: dict[int, str] = field(default_factory=lambda: {0: "PCMU", 8: "PCMA"})
    """Payload type to codec name, as agreed."""
    raw: list[tuple[float, bytes, Address]] = field(default_factory=list)

    def packets(self, since: float = 0.0, until: float = FOREVER) -> Iterator[HeardPacket]:
        """All packets in the order of their arrival."""
        for at, data, source in self.raw:
            if since <= at < until:
                first, second, sequence, timestamp, ssrc = _HEADER.unpack_from(data)
                start = _HEADER.size + 4 * (first & 0x0F)
                yield HeardPacket(at, second & 0x7F, second > 0x7F, sequence, timestamp, ssrc, data[start:], source)

    def audio_packets(self, since: float = 0.0, until: float = FOREVER) -> Iterator[HeardPacket]:
        """Those that carry G.711."""
        return (
            packet for packet in self.packets(since, until) if self.codecs.get(packet.payload_type) in _PURE_SILENCE
        )

    def sounds(self, since: float = 0.0, until: float = FOREVER) -> list[HeardPacket]:
        """The packets that are not digital silence, bit for bit: audio, digits, comfort noise, anything."""
        return [packet for packet in self.packets(since, until) if not self._is_silent(packet)]

    def heard_silence_only(self, since: float = 0.0, until: float = FOREVER) -> bool:
        """Whether nothing but digital silence came, bit for bit, or nothing at all."""
        return not self.sounds(since, until)

    @property
    def first_packet_at(self) -> float | None:
        return self.raw[0][0] if self.raw else None

    @property
    def first_audio_at(self) -> float | None:
        """When the first packet came that is not silence."""
        return next((packet.at for packet in self.packets() if not self._is_silent(packet)), None)

    @property
    def last_audio_at(self) -> float | None:
        """When the last packet came that is not silence."""
        sounds = self.sounds()
        return sounds[-1].at if sounds else None

    def audio(self, since: float = 0.0, until: float = FOREVER) -> bytes:
        """What was heard, in A-law, each packet where its timestamp puts it, with silence where none came.

        Begins with the first packet of the span. A new SSRC goes on where its first packet came in time.
        """
        origin = 0.0
        bases: dict[int, tuple[int, int]] = {}
        placed: list[tuple[int, bytes]] = []
        for packet in self.audio_packets(since, until):
            if not bases:
                origin = packet.at
            if packet.ssrc not in bases:
                bases[packet.ssrc] = (packet.timestamp, round((packet.at - origin) * SAMPLE_RATE))
            first, base = bases[packet.ssrc]
            placed.append((base + _distance(first, packet.timestamp), self._alaw(packet)))
        return _laid_out(placed)

    def marks(self, since: float = 0.0, until: float = FOREVER) -> Marks:
        """The numbered frames in what was heard (`voice.sim.speech.marked_frames`)."""
        return marks(self.audio(since, until))

    def loudness(self, since: float = 0.0, until: float = FOREVER) -> int:
        """RMS of what was heard, 16-bit full scale."""
        audio = self.audio(since, until)
        return audioop.rms(alaw_to_pcm(audio), 2) if audio else 0

    def gaps(self, longer_than: float = 0.1) -> list[tuple[float, float]]:
        """The spans of time between packets without any, as (from, to)."""
        times = [at for at, _, _ in self.raw]
        return [(one, two) for one, two in pairwise(times) if two - one > longer_than]

    def _is_silent(self, packet: HeardPacket) -> bool:
        silence = _PURE_SILENCE.get(self.codecs.get(packet.payload_type, ""))
        return silence is not None and packet.payload.count(silence) == len(packet.payload)

    def _alaw(self, packet: HeardPacket) -> bytes:
        is_mu_law = self.codecs[packet.payload_type] == "PCMU"
        return packet.payload.translate(ULAW_TO_ALAW) if is_mu_law else packet.payload


def _distance(first: int, timestamp: int) -> int:
    """Samples from one RTP timestamp to another, either way, over the wrap at 32 bits."""
    return ((timestamp - first + 0x8000_0000) & 0xFFFF_FFFF) - 0x8000_0000


def _laid_out(placed: list[tuple[int, bytes]]) -> bytes:
    if not placed:
        return b""
    start = min(position for position, _ in placed)
    end = max(position + len(payload) for position, payload in placed)
    audio = bytearray(ALAW_SILENCE * (end - start))
    for position, payload in placed:
        audio[position - start : position - start + len(payload)] = payload
    return bytes(audio)
