"""The only I/O of signalling: messages to and from sockets, knowing nothing of SIP but framing.

`Transport` is the contract. `SocketTransport` is the real one, `voice.sim.network` has the simulated one;
tests/contract/test_transport.py holds for both.
"""

import asyncio
import errno
import ssl
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Protocol

from voice.address import Address, is_numeric
from voice.errors import UsageError
from voice.sip.connections import Connections
from voice.sip.flow import TCP, TLS, UDP, Flow
from voice.sip.locality import Locality
from voice.sip.stream import StreamLimits
from voice.sip.udp import UdpListener
from voice.sip.via import DEFAULT_PORTS


class Transport(Protocol):
    """Moves whole messages between us and peers. Nothing here raises for what a peer or the network does."""

    receiver: Callable[[bytes, Flow], None]
    """Gets each whole message. Set before `start`."""
    failed: Callable[[Flow, Exception], None]
    """Told when a flow cannot deliver or was closed; never from within `send`."""

    async def start(self) -> None:
        """Open every listener. Raises ConfigurationError when one cannot have its address."""
        ...

    async def close(self) -> None:
        """Close everything, after what was sent is out. `failed` is silent from here on."""
        ...

    def flow(self, protocol: str, remote: Address) -> Flow:
        """The flow to a peer at an IP address: an existing connection, or one that opens when first used."""
        ...

    def send(self, data: bytes, flow: Flow) -> None:
        """Send one message. Never raises; what goes wrong comes through `failed`."""
        ...

    def advertised(self, flow: Flow) -> Address:
        """Host and port for Via and Contact, as the peer of this flow can reach us."""
        ...

    def protocols(self) -> frozenset[str]:
        """The protocols that a flow can be had for."""
        ...


class SocketTransport:
    """Real sockets: several UDP, TCP and TLS listeners, IPv4 and IPv6, and connections that we open."""

    def __init__(
        self,
        *,
        udp: Sequence[Address] = (),
        tcp: Sequence[Address] = (),
        tls: Sequence[Address] = (),
        tls_context: ssl.SSLContext | None = None,
        client_context: ssl.SSLContext | None = None,
        tls_names: Callable[[Address], str | None] = lambda remote: None,
        locality: Locality | None = None,
        limits: StreamLimits | None = None,
        udp_buffer: int = 4 << 20,
    ) -> None:
        """`tls_names` tells which name the peer at an address has to prove; None: the address itself.

        `locality` decides what is advertised; by default addresses of this machine. Without `client_context`
        no TLS connection is opened.
        """
        self.receiver: Callable[[bytes, Flow], None] = _nobody
        self.failed: Callable[[Flow, Exception], None] = _unheard
        self.counts: Counter[str] = Counter()
        """Messages `received`, `sent`, and flows `failed`."""
        self._udp = [UdpListener(a, self._arrived, self._fail, buffer=udp_buffer) for a in udp]
        self._streams = [(TCP, address) for address in tcp] + [(TLS, address) for address in tls]
        self._connections = Connections(
            self._arrived,
            self._fail,
            limits=limits or StreamLimits(),
            server_context=tls_context,
            client_context=client_context,
            tls_names=tls_names,
        )
        self._locality = locality or Locality()
        self._open = False

    async def start(self) -> None:
        loop = asyncio.get_running_loop()
        self._open = True
        try:
            for listener in self._udp:
                listener.open(loop)
            for protocol, address in self._streams:
                await self._connections.listen(protocol, address)
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        self._open = False
        for listener in self._udp:
            listener.close(asyncio.get_running_loop())
        await self._connections.close()

    def protocols(self) -> frozenset[str]:
        """UDP where we listen by it; TCP always, as opening needs none; TLS when we can verify a peer."""
        streams = {TCP, TLS} if self._connections.can_open_tls else {TCP}
        return frozenset(streams | ({UDP} if self._udp else set()))

    @property
    def listening(self) -> list[tuple[str, Address]]:
        """Every listener as (protocol, address), with the ports that were really bound."""
        return [(UDP, listener.address) for listener in self._udp] + self._connections.listening

    def flow(self, protocol: str, remote: Address) -> Flow:
        if not is_numeric(remote[0]):
            raise UsageError(f"{remote[0]} is no IP address: names are resolved before")
        if protocol != UDP:
            return self._connections.flow(protocol, remote)
        listener = self._listener_for(remote[0])
        if listener is None:
            return Flow(UDP, ("::", 0) if ":" in remote[0] else ("0.0.0.0", 0), remote)
        return listener.flow(remote)

    def send(self, data: bytes, flow: Flow) -> None:
        error: Exception | None
        if flow.protocol == UDP:
            listener = next((known for known in self._udp if known.address == flow.local), None)
            error = listener.send(data, flow.remote) if listener else _no_listener(flow)
        elif self._connections.send(data, flow):
            error = None
        else:
            error = ConnectionResetError(f"the connection to {flow} is closed")
        if error is None:
            self.counts["sent"] += 1
        else:
            self._fail(flow, error)

    def advertised(self, flow: Flow) -> Address:
        local = flow.local
        if local[1] == 0 and flow.reliable:
            local = self._connections.local_end(flow)
        now = asyncio.get_running_loop().time()
        host = self._locality.host(local[0], flow.remote[0], now)
        return host, local[1] or DEFAULT_PORTS.get(flow.protocol, 5060)

    def _listener_for(self, host: str) -> UdpListener | None:
        suited = max(self._udp, key=lambda listener: listener.serves(host), default=None)
        return suited if suited is not None and suited.serves(host) else None

    def _arrived(self, data: bytes, flow: Flow) -> None:
        self.counts["received"] += 1
        self.receiver(data, flow)

    def _fail(self, flow: Flow, error: Exception) -> None:
        """Report from a turn of the event loop of its own, so that nobody is told in the midst of sending."""
        if self._open:
            self.counts["failed"] += 1
            asyncio.get_running_loop().call_soon(self._report, flow, error)

    def _report(self, flow: Flow, error: Exception) -> None:
        if self._open:
            self.failed(flow, error)


def _no_listener(flow: Flow) -> OSError:
    return OSError(errno.EADDRNOTAVAIL, f"no UDP listener can send to {flow.remote[0]}; see [sip] udp")


def _nobody(data: bytes, flow: Flow) -> None:
    """Stands as receiver until there is one."""


def _unheard(flow: Flow, error: Exception) -> None:
    """Stands as `failed` until somebody listens."""
