"""The audio end of a device in the test itself, bit for bit: SIPp does the signalling beside it.

No phone tells what arrives exactly: each decodes, conceals and resamples. Whether a device that must stay
silent is sent nothing but A-law silence can only be seen in the packets.
"""

import random
import socket
import struct
import threading
import time
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from .ports import free_ports
from .sounds import ALAW_SILENCE, FRAME

PCMA, TELEPHONE_EVENT = 8, 101
HEADER = struct.Struct("!BBHII")


@dataclass(frozen=True, slots=True)
class Packet:
    """One RTP packet as it arrived, `at` in monotonic seconds."""

    at: float
    payload_type: int
    marker: bool
    sequence: int
    timestamp: int
    payload: bytes


class RtpEnd:
    """Sends A-law in real time, 20 ms at a time, and keeps every packet that it receives.

    After the audio it goes on with silence, so that the path stays open, until it is closed. The first packet
    that comes tells where to send to, unless `remote` is given: SIPp has the answer's SDP, this end has not.
    """

    def __init__(self, audio: bytes, host: str = "127.0.0.1", *, remote: tuple[str, int] | None = None) -> None:
        self.audio = audio
        self.host = host
        self.remote = remote
        self.packets: list[Packet] = []
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_DGRAM)
        self.port = free_ports(2)
        self.socket.bind((host, self.port))
        self.socket.settimeout(0.005)
        self.sent_seconds = 0.0
        self._stop = threading.Event()
        self._mute = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"rtp {self.port}")

    def mute(self) -> None:
        """Send nothing any more, as a device whose network is gone."""
        self._mute.set()

    @property
    def heard(self) -> bytes:
        """The A-law payloads in the order of arrival."""
        return b"".join(packet.payload for packet in self.audible)

    @property
    def audible(self) -> list[Packet]:
        return [packet for packet in list(self.packets) if packet.payload_type == PCMA]

    @property
    def sounds(self) -> list[Packet]:
        """Packets that hold anything but digital silence."""
        return [packet for packet in self.audible if packet.payload.strip(bytes([ALAW_SILENCE]))]

    def _run(self) -> None:
        sequence, timestamp = random.randrange(0x8000), random.randrange(1 << 31)
        source = random.randrange(1 << 32)
        frames = [self.audio[at : at + FRAME].ljust(FRAME, b"\xd5") for at in range(0, len(self.audio), FRAME)]
        begin, sent = None, 0
        while not self._stop.is_set():
            self._receive()
            if self.remote is None or self._mute.is_set():
                continue
            begin = begin or time.monotonic()
            while time.monotonic() >= begin + sent * 0.02:
                payload = frames[sent] if sent < len(frames) else bytes([ALAW_SILENCE]) * FRAME
                marker = 0x80 if sent == 0 else 0
                header = HEADER.pack(0x80, marker | PCMA, (sequence + sent) & 0xFFFF, timestamp + sent * FRAME, source)
                self._send(header + payload)
                sent += 1

    def _send(self, datagram: bytes) -> None:
        if self.remote is None:
            return
        try:
            self.socket.sendto(datagram, self.remote)
        except OSError:
            return
        self.sent_seconds += 0.02

    def _receive(self) -> None:
        try:
            data, source = self.socket.recvfrom(2048)
        except OSError:
            return
        if len(data) < HEADER.size:
            return
        _, kind, sequence, timestamp, _ = HEADER.unpack_from(data)
        self.remote = self.remote or source[:2]
        self.packets.append(
            Packet(time.monotonic(), kind & 0x7F, bool(kind & 0x80), sequence, timestamp, data[HEADER.size :])
        )

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join(5)
        self.socket.close()
