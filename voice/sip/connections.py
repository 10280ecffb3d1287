"""Every TCP and TLS connection: listening, opening, reuse by remote address, limits, idle close."""

import asyncio
import contextlib
import errno
import itertools
import ssl
from collections import Counter
from collections.abc import Callable

from voice.address import Address
from voice.errors import ConfigurationError
from voice.sip.flow import TLS, Flow
from voice.sip.sockets import address_of, family_of, listening_socket
from voice.sip.stream import Connection, StreamLimits

_CLOSING = 1.0
"""Seconds that `close` gives what is still being written."""


class Connections:
    """The stream side of a transport."""

    def __init__(
        self,
        receiver: Callable[[bytes, Flow], None],
        failed: Callable[[Flow, Exception], None],
        *,
        limits: StreamLimits,
        server_context: ssl.SSLContext | None,
        client_context: ssl.SSLContext | None,
        tls_names: Callable[[Address], str | None],
    ) -> None:
        self.listening: list[tuple[str, Address]] = []
        self.refused = 0
        """Connections past a limit."""
        self._receiver = receiver
        self._failed = failed
        self._limits = limits
        self._server_context = server_context
        self._client_context = client_context
        self._tls_names = tls_names
        self._servers: list[asyncio.Server] = []
        self._by_number: dict[int, Connection] = {}
        self._by_remote: dict[tuple[str, Address], Connection] = {}
        self._per_host: Counter[str] = Counter()
        self._numbers = itertools.count(1)
        self._sweep: asyncio.TimerHandle | None = None
        self._none_left = asyncio.Event()
        self._none_left.set()

    # -- life --

    async def listen(self, protocol: str, address: Address) -> None:
        """Open a listener. Raises ConfigurationError when the address cannot be had."""
        context = self._server_context if protocol == TLS else None
        if protocol == TLS and context is None:
            raise ConfigurationError("[sip] tls is set without a certificate: set [sip] certificate and private_key")
        sock = listening_socket(protocol, address)
        local = address_of(sock.getsockname())
        server = await asyncio.get_running_loop().create_server(
            lambda: Connection(self, protocol, local, self._limits),
            sock=sock,
            backlog=512,
            ssl=context,
            ssl_handshake_timeout=self._limits.connect if context else None,
        )
        self._servers.append(server)
        self.listening.append((protocol, local))
        self._plan_sweep()

    async def close(self) -> None:
        """Close all, after what was sent is out."""
        if self._sweep is not None:
            self._sweep.cancel()
        for server in self._servers:
            server.close()
        connections = list(self._by_number.values())
        for connection in connections:
            connection.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_CLOSING):
                await self._none_left.wait()
        for connection in connections:
            connection.drop(ConnectionAbortedError("the transport is closed"))
            await connection.finished()

    def _plan_sweep(self) -> None:
        if self._sweep is None or self._sweep.cancelled():
            delay = min(self._limits.first_message, self._limits.idle) / 2
            self._sweep = asyncio.get_running_loop().call_later(delay, self._drop_idle)

    def _drop_idle(self) -> None:
        now = asyncio.get_running_loop().time()
        for connection in list(self._by_number.values()):
            allowed = self._limits.idle if connection.proven else self._limits.first_message
            if now - connection.active > allowed:
                connection.drop(TimeoutError("the connection was idle"))
        self._sweep = None
        self._plan_sweep()

    # -- use --

    @property
    def can_open_tls(self) -> bool:
        return self._client_context is not None

    def flow(self, protocol: str, remote: Address) -> Flow:
        """The flow of a connection to this peer; a new one opens when something is sent."""
        known = self._by_remote.get((protocol, remote))
        if known is not None and known.flow is not None:
            return known.flow
        connection = Connection(self, protocol, self.listener(protocol, remote[0]), self._limits)
        connection.proven = True  # by us
        flow = connection.flow = Flow(protocol, connection.listener, remote, next(self._numbers))
        self._keep(connection, flow)
        return flow

    def send(self, data: bytes, flow: Flow) -> bool:
        """Send by a connection; False when it is no longer there."""
        connection = self._by_number.get(flow.connection)
        if connection is None:
            return False
        if not connection.begun:
            self._begin(connection, flow)
        connection.send(data)
        return True

    def _begin(self, connection: Connection, flow: Flow) -> None:
        if flow.protocol != TLS:
            connection.open(flow.remote)
        elif self._client_context is None:
            connection.drop(OSError(errno.EPROTONOSUPPORT, "no TLS towards peers is configured"))
        else:
            name = self._tls_names(flow.remote) or flow.remote[0].partition("%")[0]
            connection.open(flow.remote, self._client_context, name)

    def listener(self, protocol: str, host: str) -> Address:
        """The listener that stands for us towards a peer; port 0 when there is none."""
        family = family_of(host)
        for offered, address in self.listening:
            if offered == protocol and family_of(address[0]) == family:
                return address
        return ("::", 0) if ":" in host else ("0.0.0.0", 0)

    def local_end(self, flow: Flow) -> Address:
        """Our end of the connection of a flow; port 0 while it is not connected."""
        connection = self._by_number.get(flow.connection)
        return connection.local if connection is not None else flow.local

    # -- ConnectionOwner --

    def opened(self, connection: Connection, peer: Address) -> Flow | None:
        if connection.flow is not None:
            return connection.flow
        full = len(self._by_number) >= self._limits.connections
        if full or self._per_host[peer[0]] >= self._limits.per_host:
            self.refused += 1
            return None
        flow = Flow(connection.protocol, connection.listener, peer, next(self._numbers))
        self._keep(connection, flow)
        return flow

    def arrived(self, data: bytes, flow: Flow) -> None:
        self._receiver(data, flow)

    def closed(self, connection: Connection, error: Exception) -> None:
        flow = connection.flow
        if flow is None:
            return
        self._by_number.pop(flow.connection, None)
        if not self._by_number:
            self._none_left.set()
        self._per_host -= Counter([flow.remote[0]])
        if self._by_remote.get((flow.protocol, flow.remote)) is connection:
            del self._by_remote[flow.protocol, flow.remote]
        self._failed(flow, error)

    def _keep(self, connection: Connection, flow: Flow) -> None:
        self._by_number[flow.connection] = connection
        self._none_left.clear()
        self._by_remote[flow.protocol, flow.remote] = connection
        self._per_host[flow.remote[0]] += 1
