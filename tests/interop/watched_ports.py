"""RTP ports that keep every packet with the moment at which the kernel had it, whenever the test comes to fetch it."""

import socket
import struct
import time
from dataclasses import dataclass, field

from voice.address import Address
from voice.rtp.transport import RtpSocket

from .ports import free_ports
from .rtp import HEADER, TELEPHONE_EVENT, Packet

SO_TIMESTAMPNS = 35
"""<asm-generic/socket.h>; Python has no name for it."""
_STAMP = struct.Struct("=qq")
_LARGEST = 2048
_BUFFER = 1 << 18


@dataclass(slots=True)
class Watch:
    """What went through one socket. Times are monotonic seconds."""

    heard: list[Packet] = field(default_factory=list)
    """`at`: when the kernel had it."""
    keys: list[float] = field(default_factory=list)
    """When the first packet of each key was sent."""


class WatchedSocket:
    """One UDP socket on loopback (a `voice.rtp.transport.RtpSocket`)."""

    def __init__(self, host: str, port: int) -> None:
        self.local: Address = (host, port)
        self.age = 0.0
        self.watch = Watch()
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
        self._socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self._socket.bind(self.local)

    def receive(self) -> list[tuple[bytes, Address]]:
        received: list[tuple[bytes, Address]] = []
        try:
            while True:
                data, ancillary, _, source = self._socket.recvmsg(_LARGEST, 64)
                received.append((data, source[:2]))
                self._note(data, ancillary)
        except OSError:  # BlockingIOError: the socket is empty
            return received

    def _note(self, data: bytes, ancillary: list[tuple[int, int, bytes]]) -> None:
        seconds, nanoseconds = _STAMP.unpack_from(ancillary[0][2])
        age = time.time() - seconds - nanoseconds / 1e9
        if len(data) >= HEADER.size and not 192 <= data[1] <= 223:  # else RTCP, RFC 5761 section 4
            _, kind, sequence, timestamp, _ = HEADER.unpack_from(data)
            at = time.monotonic() - age
            self.watch.heard.append(
                Packet(at, kind & 0x7F, bool(kind & 0x80), sequence, timestamp, data[HEADER.size :])
            )

    def send(self, data: bytes, to: Address) -> None:
        if data[1] == 0x80 | TELEPHONE_EVENT:
            self.watch.keys.append(time.monotonic())
        try:
            self._socket.sendto(data, to)
        except OSError:
            return

    def close(self) -> None:
        self._socket.close()


class WatchedPorts:
    """Pairs of them (a `voice.rtp.transport.RtpPorts`), in the order of the calls."""

    def __init__(self, host: str) -> None:
        self.watches: list[Watch] = []
        self._host = host

    def open_pair(self) -> tuple[RtpSocket, RtpSocket]:
        port = free_ports(2)
        rtp = WatchedSocket(self._host, port)
        self.watches.append(rtp.watch)
        return rtp, WatchedSocket(self._host, port + 1)
