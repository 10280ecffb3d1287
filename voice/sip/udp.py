"""One UDP listener: sends and receives datagrams without blocking, and learns from ICMP which peers are gone.

It stands on `add_reader`, not on an asyncio DatagramProtocol: one wake-up takes all that waits in the socket.
"""

import asyncio
import errno
import socket
import struct
import sys
from collections.abc import Callable

from voice.address import Address
from voice.sip.flow import UDP, Flow, host_port
from voice.sip.sockets import address_of, family_of, is_wildcard, refusal, set_buffers

Receiver = Callable[[bytes, Flow], None]
Failed = Callable[[Flow, Exception], None]

BATCH = 128
"""Datagrams taken in one go, before the event loop gets a turn."""
_LARGEST = 65535
_PADDING = b"\r\n\0 "

# From linux/in.h, linux/in6.h and linux/errqueue.h; the socket module names none of them.
_IP_RECVERR, _IPV6_RECVERR = 11, 25
_IP_MTU_DISCOVER, _IP_PMTUDISC_DONT = 10, 0
_FROM_ICMP, _FROM_ICMP6 = 2, 3
_EXTENDED_ERROR = struct.Struct("=IBBBBII")
# RFC 3261 section 18.4: destination unreachable and parameter problem count, the rest of ICMP is ignored.
_ICMP_COUNTS = {(_FROM_ICMP, 3), (_FROM_ICMP, 12), (_FROM_ICMP6, 1), (_FROM_ICMP6, 4)}


class UdpListener:
    """One bound UDP socket. `receiver` gets every datagram but keep-alives; `failed` what ICMP reports."""

    def __init__(self, address: Address, receiver: Receiver, failed: Failed, *, buffer: int) -> None:
        self.address = address
        self.dropped = 0
        """Datagrams that the kernel did not take; to SIP they are lost on the way, and are repeated."""
        self._receiver = receiver
        self._failed = failed
        self._buffer = buffer
        self._flows: dict[Address, Flow] = {}
        self._socket: socket.socket | None = None

    def open(self, loop: asyncio.AbstractEventLoop) -> None:
        """Bind and begin to receive. Raises ConfigurationError when the address cannot be had."""
        family = family_of(self.address[0])
        sock = socket.socket(family, socket.SOCK_DGRAM)
        try:
            sock.setblocking(False)
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            set_buffers(sock, self._buffer)
            if sys.platform == "linux":
                _report_icmp(sock, family)
            sock.bind(self.address)
        except OSError as error:
            sock.close()
            raise refusal(UDP, self.address, error) from error
        self.address = address_of(sock.getsockname())
        self._socket = sock
        loop.add_reader(sock, self._readable)

    def close(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._socket is not None:
            loop.remove_reader(self._socket)
            self._socket.close()
            self._socket = None

    def flow(self, remote: Address) -> Flow:
        """The flow to a peer; the same object as long as it is remembered."""
        flow = self._flows.get(remote)
        if flow is None:
            if len(self._flows) >= 10_000:
                self._flows.clear()
            flow = self._flows[remote] = Flow(UDP, self.address, remote)
        return flow

    def send(self, data: bytes, remote: Address) -> OSError | None:
        """Send one datagram. Returns what stands against it; a full buffer counts as loss on the way."""
        if self._socket is None:
            return OSError(errno.ENETDOWN, "the listener is closed")
        # The first call may report an ICMP error of an earlier datagram, to another peer even: that is read
        # from the error queue, and this datagram is sent again.
        for attempt in (1, 2):
            try:
                self._socket.sendto(data, remote)
            except BlockingIOError:
                self.dropped += 1
            except OSError as error:
                if attempt == 1 and self._read_errors():
                    continue
                return error
            return None
        return None

    def _readable(self) -> None:
        for count in range(BATCH):
            sock = self._socket
            if sock is None:
                return  # closed by the receiver
            try:
                data, source = sock.recvfrom(_LARGEST)
            except BlockingIOError:
                if count == 0:  # woken, but not by data
                    self._read_errors()
                return
            except OSError:
                self._read_errors()
                continue
            if data.strip(_PADDING):
                self._receiver(data, self.flow(address_of(source)))

    def _read_errors(self) -> int:
        """Empty the error queue of the socket; returns how many entries there were."""
        count = 0
        while self._socket is not None and sys.platform == "linux":
            try:
                _, ancillary, _, peer = self._socket.recvmsg(0, 512, socket.MSG_ERRQUEUE)
            except OSError:
                break
            count += 1
            for _, _, payload in ancillary:
                number, origin, kind, *_ = _EXTENDED_ERROR.unpack_from(payload)
                if peer and (origin, kind) in _ICMP_COUNTS:
                    flow = self.flow(address_of(peer))
                    self._failed(flow, OSError(number, f"{host_port(flow.remote)} is unreachable (ICMP)"))
        return count

    def serves(self, host: str) -> int:
        """How well this listener suits a peer: 0 not at all, higher is better."""
        if family_of(host) != family_of(self.address[0]):
            return 0
        if is_wildcard(self.address[0]):
            return 2
        loopback = host in ("::1",) or host.startswith("127.")
        own_loopback = self.address[0] == "::1" or self.address[0].startswith("127.")
        return 3 if loopback == own_loopback else 1


def _report_icmp(sock: socket.socket, family: socket.AddressFamily) -> None:
    """Ask the kernel for ICMP errors, and for fragments instead of EMSGSIZE where a datagram is large."""
    if family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, _IPV6_RECVERR, 1)
    else:
        sock.setsockopt(socket.IPPROTO_IP, _IP_RECVERR, 1)
        sock.setsockopt(socket.IPPROTO_IP, _IP_MTU_DISCOVER, _IP_PMTUDISC_DONT)
