"""One stream connection: SIP over TCP or TLS (RFC 3261 section 18), with its own framer."""

import asyncio
import contextlib
import socket
import ssl
from dataclasses import dataclass
from typing import Protocol

from voice.address import Address
from voice.sip.flow import Flow
from voice.sip.framing import PING, PONG, StreamFramer
from voice.sip.sockets import address_of


@dataclass(frozen=True)
class StreamLimits:
    """What connections may cost us. Times in seconds, sizes in bytes."""

    connect: float = 10.0
    """To connect, TLS handshake included."""
    first_message: float = 30.0
    """For a connection that was opened to us and has brought no whole message yet."""
    idle: float = 3600.0
    """Without a byte in either direction. Peers keep registrations and long calls on a connection."""
    write_buffer: int = 1 << 20
    """Held back for a peer that does not read; past it the connection is dropped."""
    connections: int = 2000
    per_host: int = 500
    """Connections from one address; a proxy or a NAT may bring many devices."""
    message: int = 65536


class ConnectionOwner(Protocol):
    """Who a connection reports to."""

    def opened(self, connection: "Connection", peer: Address) -> Flow | None:
        """Connected. The flow that it serves from now on, or None to refuse it."""
        ...

    def arrived(self, data: bytes, flow: Flow) -> None:
        """A whole message, or the head of one that cannot be framed."""
        ...

    def closed(self, connection: "Connection", error: Exception) -> None:
        """No longer there; called once."""
        ...


class Connection(asyncio.Protocol):
    """One stream connection. What is sent while it is being opened waits for it."""

    def __init__(self, owner: ConnectionOwner, protocol: str, local: Address, limits: StreamLimits) -> None:
        self.protocol = protocol
        self.listener = local
        """The listener that it came by, or that stands for us in one that we open."""
        self.local = local
        """Our end of it, once connected."""
        self.flow: Flow | None = None
        """Set before `open` for a connection that we open; else by the owner when it is made."""
        self.proven = False
        """Whether a whole message has come."""
        self.active = asyncio.get_running_loop().time()
        """When the last byte came or went."""
        self._owner = owner
        self._limits = limits
        self._framer = StreamFramer(limits.message)
        self._transport: asyncio.Transport | None = None
        self._waiting: list[bytes] = []
        self._waiting_size = 0
        self._opening: asyncio.Task[None] | None = None
        self._closed = False

    # -- opening --

    @property
    def begun(self) -> bool:
        """Whether it is connected or being connected."""
        return self._transport is not None or self._opening is not None

    def open(self, remote: Address, context: ssl.SSLContext | None = None, name: str | None = None) -> None:
        """Begin to connect. `name` is what a TLS peer has to prove (RFC 5922)."""
        self._opening = asyncio.get_running_loop().create_task(self._connect(remote, context, name))

    async def _connect(self, remote: Address, context: ssl.SSLContext | None, name: str | None) -> None:
        try:
            async with asyncio.timeout(self._limits.connect):
                await asyncio.get_running_loop().create_connection(
                    lambda: self, *remote, ssl=context, server_hostname=name
                )
        except TimeoutError:
            self._finish(TimeoutError(f"no connection within {self._limits.connect:g} s"))
        except OSError as error:  # a certificate that does not verify is one, too
            self._finish(error)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if not isinstance(transport, asyncio.Transport) or self._closed:
            transport.close()
            return
        peer = transport.get_extra_info("peername")
        self.flow = self._owner.opened(self, address_of(peer)) if peer else None
        if self.flow is None:
            self._closed = True
            transport.abort()
            return
        self._transport = transport
        self.local = address_of(transport.get_extra_info("sockname"))
        _detect_dead_peer(transport.get_extra_info("socket"))
        waiting, self._waiting = self._waiting, []
        for data in waiting:
            self.send(data)

    # -- traffic --

    def data_received(self, data: bytes) -> None:
        if self._closed or self.flow is None:
            return
        self.active = asyncio.get_running_loop().time()
        for frame in self._framer.feed(data):
            if frame == PING:
                self.send(PONG)
            else:
                self.proven = True
                self._owner.arrived(frame, self.flow)
        if self._framer.broken:
            self.close()  # after the answer, if there was one, is out

    def send(self, data: bytes) -> None:
        """Send, or keep until connected. A peer that does not read loses the connection."""
        if self._closed:
            return
        if self._transport is None:
            self._waiting.append(data)
            self._waiting_size += len(data)
            if self._waiting_size > self._limits.write_buffer:
                self.drop(BufferError("too much waits for the connection to be made"))
            return
        if self._transport.is_closing():
            return  # the peer is gone; `connection_lost` is about to say so
        self._transport.write(data)
        self.active = asyncio.get_running_loop().time()
        if self._transport.get_write_buffer_size() > self._limits.write_buffer:
            self.drop(BufferError("the peer does not read what it is sent"))

    # -- closing --

    def connection_lost(self, exc: Exception | None) -> None:
        self._finish(exc or ConnectionResetError("the connection was closed"))

    def close(self) -> None:
        """Close once what was sent is out."""
        if self._transport is not None:
            self._transport.close()
        else:
            self.drop(ConnectionAbortedError("closed before it was connected"))

    def drop(self, error: Exception) -> None:
        """Close at once."""
        self._finish(error)
        if self._opening is not None:
            self._opening.cancel()
        if self._transport is not None:
            self._transport.abort()

    async def finished(self) -> None:
        """Wait for the end of an attempt to connect."""
        if self._opening is not None:
            with contextlib.suppress(asyncio.CancelledError):
                await self._opening

    def _finish(self, error: Exception) -> None:
        if not self._closed:
            self._closed = True
            self._owner.closed(self, error)


def _detect_dead_peer(sock: socket.socket | None) -> None:
    """Let the kernel notice a peer that is gone: by unacknowledged data within 64*T1, else by keep-alive."""
    if sock is None:
        return
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 32_000)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 120)
