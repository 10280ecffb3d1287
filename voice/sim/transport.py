"""SIP transport on the simulated network, with the contract of `voice.sip.transport`.

UDP has the faults of the links. A stream (TCP, TLS) is reliable and ordered and carries whole messages:
framing is the real transport's task and is tested there.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import count

from voice.address import Address
from voice.sim.network import Network
from voice.sip.flow import UDP, Flow

_connections = count(1)  # of the whole process: an identity is never used twice


@dataclass(slots=True, eq=False)
class _End:
    """One end of a stream. Both ends share the identity of the connection."""

    transport: "SimTransport"
    flow: Flow
    peer: "_End | None" = None
    state: str = "idle"
    """idle, connecting, open"""
    unsent: list[bytes] = field(default_factory=list)
    last: float = 0.0
    """Arrival of the last message sent: the next may not overtake it."""


class SimTransport:
    """The SIP sockets of one simulated host (a `voice.sip.transport.Transport`)."""

    receiver: Callable[[bytes, Flow], None]
    failed: Callable[[Flow, Exception], None]

    def __init__(
        self,
        network: Network,
        host: str,
        *,
        port: int = 5060,
        protocols: Iterable[str] = ("UDP", "TCP"),
        advertised: Address | None = None,
    ) -> None:
        self._network = network
        self._loop = network.loop
        self._local = (host, port)
        self._protocols = frozenset(protocols)
        self._advertised = advertised or self._local
        self._ephemeral = count(49_152)
        self._ends: dict[int, _End] = {}
        self._open = False
        self.receiver = _into_the_void
        self.failed = _into_the_void

    async def start(self) -> None:
        """Opens the sockets. Raises ConfigurationError when the address is taken."""
        if UDP in self._protocols:
            self._network.bind(self._local, self._arrive)
        for protocol in self._protocols - {UDP}:
            self._network.listen(protocol, self._local, self)
        self._open = True

    async def close(self) -> None:
        """Closes the sockets at once; the peers of its streams learn it. What is on the way here is lost."""
        if not self._open:
            return
        self._open = False
        self.failed = _into_the_void
        self._network.unbind(self._local)
        for protocol in self._protocols - {UDP}:
            self._network.unlisten(protocol, self._local)
        for end in list(self._ends.values()):
            self._hang_up(end)

    def protocols(self) -> frozenset[str]:
        return self._protocols

    def advertised(self, flow: Flow) -> Address:
        return self._advertised

    def flow(self, protocol: str, remote: Address) -> Flow:
        if protocol == UDP:
            return Flow(UDP, self._local, remote)
        for end in self._ends.values():
            if end.flow.remote == remote and end.flow.protocol == protocol:
                return end.flow
        local = (self._local[0], next(self._ephemeral))
        flow = Flow(protocol, local, remote, next(_connections))
        self._ends[flow.connection] = _End(self, flow)
        return flow

    def send(self, data: bytes, flow: Flow) -> None:
        if not self._open:
            return
        if flow.protocol == UDP:
            self._network.send_datagram(self._local, flow.remote, data)
            if self._network.is_deserted(flow.remote[0]):
                refused = ConnectionRefusedError("port unreachable")
                self._loop.call_later(_UNREACHABLE, lambda: self.failed(flow, refused))
            return
        end = self._ends.get(flow.connection)
        if end is None:
            self._loop.call_soon(lambda: self.failed(flow, ConnectionResetError("the connection is gone")))
        elif end.state == "open":
            self._send_on(end, data)
        else:
            end.unsent.append(data)
            self._connect(end)

    def break_streams(self) -> None:
        """Every stream of this host is reset on both sides, as when a router between them restarts."""
        for end in list(self._ends.values()):
            self._hang_up(end)
            self.failed(end.flow, ConnectionResetError("reset"))

    # Datagrams

    def _arrive(self, at: float, data: bytes, source: Address) -> None:
        self._loop.call_at(at, self._deliver, data, Flow(UDP, self._local, source))

    def _deliver(self, data: bytes, flow: Flow) -> None:
        if self._open:
            self.receiver(data, flow)

    # Streams

    def _connect(self, end: _End) -> None:
        if end.state != "idle":
            return
        end.state = "connecting"
        there = self._network.handshake(end.flow.local, end.flow.remote)
        if there is None:
            self._loop.call_later(_CONNECT_TIMEOUT, self._refused, end, TimeoutError("no answer"))
        else:
            self._loop.call_at(there, self._syn, end)

    def _syn(self, end: _End) -> None:
        """The connection request is there; the answer is back after as long again."""
        now = self._loop.time()
        flow = end.flow
        listener = self._network.listener(flow.protocol, flow.remote)
        back = self._network.handshake(flow.remote, flow.local)
        if flow.connection not in self._ends:
            return
        if listener is None:
            error = ConnectionRefusedError(f"nobody listens on {flow.remote[0]}:{flow.remote[1]}")
            self._loop.call_at(back or now + _CONNECT_TIMEOUT, self._refused, end, error)
            return
        seen_from = self._network.outside(flow.local, flow.remote)
        other = _End(listener, Flow(flow.protocol, flow.remote, seen_from, flow.connection), end, "open")
        end.peer = other
        listener._ends[flow.connection] = other
        self._loop.call_at(back or now + _CONNECT_TIMEOUT, self._connected, end)

    def _connected(self, end: _End) -> None:
        end.state = "open"
        unsent, end.unsent = end.unsent, []
        for data in unsent:
            self._send_on(end, data)

    def _refused(self, end: _End, error: Exception) -> None:
        if self._ends.pop(end.flow.connection, None) is not None:
            self.failed(end.flow, error)

    def _send_on(self, end: _End, data: bytes) -> None:
        flow = end.flow
        arrives = self._network.send_message(flow.protocol, flow.local, flow.remote, data)
        if arrives is None or end.peer is None:
            self._loop.call_later(_SEND_TIMEOUT, self._timed_out, end)
            return
        end.last = max(end.last, arrives)
        self._loop.call_at(end.last, end.peer.transport._take, end.peer, data)

    def _take(self, end: _End, data: bytes) -> None:
        if self._open and end.flow.connection in self._ends:
            self.receiver(data, end.flow)

    def _timed_out(self, end: _End) -> None:
        if end.flow.connection in self._ends:
            self._hang_up(end)
            self.failed(end.flow, TimeoutError("the peer acknowledges nothing"))

    def _hang_up(self, end: _End) -> None:
        """This end is closed now, the other when it hears of it, if it ever does."""
        self._ends.pop(end.flow.connection, None)
        there = self._network.handshake(end.flow.local, end.flow.remote)
        if end.peer is not None and there is not None:
            self._loop.call_at(max(there, end.last), end.peer.transport._closed_by_peer, end.peer)

    def _closed_by_peer(self, end: _End) -> None:
        if self._ends.pop(end.flow.connection, None) is not None:
            self.failed(end.flow, ConnectionResetError("closed by the peer"))


_UNREACHABLE = 0.001  # until the error for a datagram comes back
_CONNECT_TIMEOUT = 30.0
_SEND_TIMEOUT = 60.0


def _into_the_void(*_: object) -> None:
    """Receiver of a transport that no endpoint has taken yet."""
