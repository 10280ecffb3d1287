"""Sockets for RTP and RTCP: the only I/O of `voice.rtp` (with `batch`, its way to receive).

No readiness is awaited and no task runs per call: the media clock drains each socket when it is its turn, so
a socket costs a few system calls a second. The kernel's buffer holds what arrives in between.
"""

from __future__ import annotations

import errno
import random
import resource
import socket
from collections import deque
from collections.abc import Callable
from typing import Protocol

from voice.address import Address, parse_ip
from voice.errors import ConfigurationError, PortsExhausted
from voice.rtp import batch

RECEIVE_BUFFER = 1 << 18
"""Bytes asked of the kernel per RTP socket (it doubles them): more than two seconds of 50 packets a second,
each accounted with its kernel overhead of about 1 kB. Capped by net.core.rmem_max."""


class RtpSocket(Protocol):
    """One UDP socket of an RTP session."""

    local: Address
    age: float
    """Seconds that the last datagram of the last `receive` had waited to be fetched; 0.0 if not known."""

    def receive(self) -> list[tuple[bytes, Address]]:
        """All that has arrived, oldest first. Never blocks or raises."""
        ...

    def send(self, data: bytes, to: Address) -> None:
        """Send one datagram. Never raises; what could not be sent is counted."""
        ...

    def close(self) -> None:
        """Give the port back. Closing twice is harmless."""
        ...


class RtpPorts(Protocol):
    """Hands out pairs of sockets, RTP on an even port and RTCP on the next (RFC 3550 section 11)."""

    def open_pair(self) -> tuple[RtpSocket, RtpSocket]:
        """Raises PortsExhausted."""
        ...


class UdpSocket:
    """An `RtpSocket` on a UDP socket of the system."""

    def __init__(self, host: str, port: int, on_close: Callable[[], None] | None = None) -> None:
        """Bind to a numeric host. Raises OSError."""
        family = socket.AF_INET6 if parse_ip(host.partition("%")[0]).version == 6 else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_DGRAM)
        try:
            self._socket.setblocking(False)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
            self._socket.bind((host, port))
        except OSError:
            self._socket.close()
            raise
        self.local: Address = self._socket.getsockname()[:2]
        self.age = 0.0
        self.unsent = 0
        """Datagrams that the system did not take."""
        self._descriptor = self._socket.fileno()
        self._on_close = on_close
        self._batch = batch.load(family)
        if self._batch is not None:
            self._socket.setsockopt(socket.SOL_SOCKET, batch.SO_TIMESTAMPNS, 1)

    def receive(self) -> list[tuple[bytes, Address]]:
        if self._batch is None:
            return self._receive_singly()
        received = self._batch.receive(self._descriptor)
        self.age = self._batch.age
        return received

    def send(self, data: bytes, to: Address) -> None:
        try:
            self._socket.sendto(data, to)
        except OSError:  # no route, a full queue, a closed socket: RTP is not repeated, only counted
            self.unsent += 1

    def close(self) -> None:
        if self._descriptor < 0:
            return
        self._descriptor = -1
        self._socket.close()
        if self._on_close is not None:
            self._on_close()

    def _receive_singly(self) -> list[tuple[bytes, Address]]:
        received: list[tuple[bytes, Address]] = []
        try:
            while True:
                data, address = self._socket.recvfrom(batch.LARGEST)
                received.append((data, address[:2]))
        except OSError:  # BlockingIOError: the socket is empty
            return received


class UdpPorts:
    """Pairs of UDP sockets from a range of ports on one local address, IPv4 or IPv6.

    Pairs are handed out in an order that is shuffled once and then longest unused first, so that packets
    of an ended call do not meet a new one. Ports that other programs hold are passed over.
    """

    def __init__(self, host: str, first: int, last: int, shuffle: random.Random | None = None) -> None:
        self.host = host
        pairs = list(range(first + first % 2, last, 2))
        (shuffle or random.SystemRandom()).shuffle(pairs)
        self._free = deque(pairs)

    @property
    def free(self) -> int:
        """Pairs that no call of ours holds."""
        return len(self._free)

    def open_pair(self) -> tuple[UdpSocket, UdpSocket]:
        """Raises PortsExhausted when no pair is free, or no file descriptor."""
        for _ in range(len(self._free)):
            port = self._free.popleft()
            try:
                return self._open(port)
            except OSError as error:
                self._free.append(port)
                if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                    raise PortsExhausted(f"no RTP socket on {self.host}: {error.strerror}") from error
        raise PortsExhausted(f"no RTP port pair is free on {self.host}")

    def check(self) -> None:
        """Try one pair, at start. Raises ConfigurationError with a line for the person who configures."""
        try:
            for one in self.open_pair():
                one.close()
        except (PortsExhausted, ValueError) as error:
            raise ConfigurationError(f"[rtp] address, ports: {error}") from error

    def _open(self, port: int) -> tuple[UdpSocket, UdpSocket]:
        open_sockets = 2

        def one_closed() -> None:
            nonlocal open_sockets
            open_sockets -= 1
            if open_sockets == 0:
                self._free.append(port)

        rtp = UdpSocket(self.host, port)
        try:
            rtcp = UdpSocket(self.host, port + 1, one_closed)
        except OSError:
            rtp.close()
            raise
        rtp._on_close = one_closed
        return rtp, rtcp


def raise_file_limit() -> int:
    """Lift the soft limit of open files to the hard one: a recorded call needs three. Returns the limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        except (ValueError, OSError):  # an unlimited hard limit may lie above what the kernel allows
            return soft
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]
