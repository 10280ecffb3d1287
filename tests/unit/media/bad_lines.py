"""Keys pressed on a phone at the end of a bad line: packets that are lost, late and out of order, seeded."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from tests.unit.media.packets import PEER, STARTED
from tests.unit.rtp.tones import generate
from voice.address import Address
from voice.media.gate import Gate, Profile
from voice.media.leg import MediaLeg
from voice.rtp.codecs import FRAME_SAMPLES, SAMPLE_RATE, pcm_to_alaw
from voice.rtp.events import DIGITS, TelephoneEvent
from voice.rtp.packet import build
from voice.sdp.negotiation import Agreed

AUDIO, EVENT = 8, 101
FRAME_SECONDS = FRAME_SAMPLES / SAMPLE_RATE
AGREED = Agreed(
    codec="PCMA",
    payload_type=AUDIO,
    receive_types={AUDIO: "PCMA", EVENT: "telephone-event"},
    dtmf_type=EVENT,
    remote=PEER,
    remote_rtcp=(PEER[0], PEER[1] + 1),
    rtcp_mux=False,
    sends=True,
    receives=True,
    ptime=20,
)


@dataclass(frozen=True, slots=True)
class Line:
    """What happens to packets. Loss is a share of them; jitter the most seconds by which one is late."""

    loss: float = 0.0
    jitter: float = 0.0
    seed: int = 0

    def carry(self, sent: list[tuple[float, bytes]]) -> list[tuple[float, bytes]]:
        """What arrives, in order of arrival: every packet takes its own time, so they overtake each other."""
        dice = random.Random(self.seed)
        arriving = [(at + 0.02 + self.jitter * dice.random(), data) for at, data in sent if dice.random() >= self.loss]
        return sorted(arriving, key=lambda each: each[0])


@dataclass(frozen=True, slots=True)
class Typist:
    """How somebody types, and what his phone sends of it. Seconds; `begins` moves keys against the packets."""

    on: float = 0.1
    off: float = 0.1
    begins: float = 0.513
    inband: bool = False
    events: bool = False
    residue: float = 0.0
    """Seconds of tone that stay in the audio although the key is sent as an event: the gateway noticed it late."""

    def typing(self, on: float, off: float, begins: float) -> "Typist":
        """The same phone, typed on at this pace."""
        return replace(self, on=on, off=off, begins=begins)

    def packets(self, keys: str) -> Iterator[tuple[float, bytes]]:
        """What the phone sends, each packet with its moment."""
        audio = bytearray(b"\xd5" * round((self.begins + len(keys) * (self.on + self.off) + 1.0) * SAMPLE_RATE))
        for number, key in enumerate(keys):
            length = self.on if self.inband else self.residue
            tone = pcm_to_alaw(generate(key, on=length, off=0.0)) if length else b""
            start = round(self.start(number) * SAMPLE_RATE)
            audio[start : start + len(tone)] = tone
        sequence = 65_500
        for frame in range(len(audio) // FRAME_SAMPLES):
            due = self._events(keys, frame) if self.events else []
            if not due or self.inband:
                payload = bytes(audio[frame * FRAME_SAMPLES : (frame + 1) * FRAME_SAMPLES])
                yield self._packet(frame, payload, AUDIO, sequence, frame * FRAME_SAMPLES, False)
                sequence += 1
            for event, begun, marker in due:
                yield self._packet(frame, event.serialize(), EVENT, sequence, begun * FRAME_SAMPLES, marker)
                sequence += 1

    def start(self, number: int) -> float:
        """When a key is pressed."""
        return self.begins + number * (self.on + self.off)

    def _events(self, keys: str, frame: int) -> list[tuple[TelephoneEvent, int, bool]]:
        """Events that are due with this frame: (event, frame in which it began, is it the first)."""
        for number, key in enumerate(keys):
            began = round((self.start(number) + self.residue) / FRAME_SECONDS)
            frames = max(2, round((self.on - self.residue) / FRAME_SECONDS))
            at = frame - began
            if 0 <= at < frames:
                event = TelephoneEvent(DIGITS.index(key), (at + 1) * FRAME_SAMPLES)
                if at < frames - 1:
                    return [(event, began, at == 0)]
                return [(replace(event, end=True), began, False)] * 3
        return []

    @staticmethod
    def _packet(frame: int, payload: bytes, kind: int, sequence: int, stamp: int, marker: bool) -> tuple[float, bytes]:
        data = build(payload, kind, sequence & 0xFFFF, stamp & 0xFFFFFFFF, 7, marker)
        return frame * FRAME_SECONDS, data


class Wire:
    """The socket of the leg at its own end of the line."""

    local = ("192.0.2.1", 20_000)
    age = 0.0

    def __init__(self) -> None:
        self.arrived: list[tuple[bytes, Address]] = []

    def receive(self) -> list[tuple[bytes, Address]]:
        arrived, self.arrived = self.arrived, []
        return arrived

    def send(self, data: bytes, to: Address) -> None:
        return

    def close(self) -> None:
        return


class Day:
    def now(self) -> datetime:
        return STARTED


def recognised(
    typist: Typist, line: Line, keys: str, infos: list[tuple[float, str]] | None = None
) -> list[tuple[float, str]]:
    """The digits that a leg reports, each with the moment, driven as the media clock drives it."""
    now, found, wire = 0.0, [], Wire()
    leg = MediaLeg(
        "leg1",
        wire,
        Wire(),
        Gate(Profile.SILENCE),
        clock=Day(),
        rng=random.Random(1),
        time=lambda: now,
        inband_dtmf=True,
        on_digit=lambda symbol: found.append((now, symbol)),
    )
    leg.start(AGREED)
    arriving = line.carry(list(typist.packets(keys)))
    infos = sorted(infos or [])
    for tick in range(round(arriving[-1][0] / FRAME_SECONDS) + 30):
        now = tick * FRAME_SECONDS
        while arriving and arriving[0][0] <= now:
            wire.arrived.append((arriving.pop(0)[1], PEER))
        leg.drain(now)
        while infos and infos[0][0] <= now:
            leg.info_digit(infos.pop(0)[1])
        if tick % 25 == 0:
            leg.settle(now)
    leg.close()
    return found


def mistakes(heard: str, keyed: str) -> int:
    """How many keys are missing, too many, or not what they were (Levenshtein's distance)."""
    row = list(range(len(keyed) + 1))
    for at, symbol in enumerate(heard, 1):
        before, row[0] = row[0], at
        for place, key in enumerate(keyed, 1):
            before, row[place] = row[place], min(row[place] + 1, row[place - 1] + 1, before + (symbol != key))
    return row[-1]
