"""A network in virtual time: hosts, the links between them, and what goes wrong on the way, from one seed.

Every host hangs on the core by its own `Link`; a packet crosses the sender's and then the receiver's. What
is not random is by rule: lose the first 200 OK, hold back that BYE, cut a host off for ten seconds. All
signalling is kept in `captured`, so that a test can ask afterwards what was on the wire.

The sockets on it are `voice.sim.transport.SimTransport` for SIP and `voice.sim.rtp.SimRtpPorts` for RTP.
"""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from voice.address import Address
from voice.errors import ConfigurationError
from voice.sim.link import Link, Path
from voice.sim.loop import VirtualLoop
from voice.sim.nat import Nat
from voice.sim.wire import Packet, Rule

if TYPE_CHECKING:
    from voice.sim.transport import SimTransport

Sink = Callable[[float, bytes, Address], None]
"""What a bound socket takes: the loop time of arrival (now or later), the datagram, where it comes from."""

_NOBODY = ("", 0)
FOREVER = float("inf")
_RETRANSMISSION = 0.2  # RTO of a stream, RFC 6298 as Linux has it; doubled for each loss of the same segment


@dataclass(frozen=True, slots=True)
class _Cut:
    host: str
    until: float
    inbound: bool
    outbound: bool


class Network:
    """The wires between all hosts of one virtual world."""

    def __init__(self, loop: VirtualLoop, *, seed: int | None = None, link: Link | None = None) -> None:
        self.loop = loop
        self.captured: list[Packet] = []
        """All signalling since the start, lost or not."""
        self.media_captured: list[Packet] | None = None
        """All media, when a test has put a list here."""
        self._random = random.Random(loop.seed if seed is None else seed)
        self._default = link or Link()
        self._links: dict[str, Link] = {}
        self._paths: dict[tuple[str, str], Path] = {}
        self._sinks: dict[Address, Sink] = {}
        self._listeners: dict[tuple[str, Address], SimTransport] = {}
        self._nats: dict[str, Nat] = {}
        self._cuts: list[_Cut] = []
        self._rules: list[Rule] = []
        self._media_rules: list[Rule] = []
        self._deserted: set[str] = set()

    def shake(self, seed: int) -> None:
        """From now on chance follows another seed."""
        self._random.seed(seed)

    # Hosts and links

    def default_link(self, link: Link) -> None:
        """From now on every host without a link of its own hangs on the network by `link`."""
        self._default = link
        self._paths.clear()

    def link(self, host: str, link: Link) -> None:
        """From now on `host` hangs on the network by `link`."""
        self._links[host] = link
        self._paths.clear()

    def nat(self, inside: str, outside: str) -> Nat:
        """Puts the host `inside` behind a router whose public address is `outside`."""
        nat = self._nats[inside] = self._nats[outside] = Nat(inside, outside)
        return nat

    def partition(self, host: str, until: float = FOREVER, *, inbound: bool = True, outbound: bool = True) -> None:
        """Cuts `host` off until the loop time `until`: what it sends is lost, what it should get, or both."""
        self._cuts.append(_Cut(host, until, inbound, outbound))

    def heal(self, host: str) -> None:
        """Ends every partition of `host`."""
        self._cuts = [cut for cut in self._cuts if cut.host != host]

    # Rules

    def lose(self, matches: Callable[[Packet], bool], *, times: int = 1, media: bool = False) -> Rule:
        """Loses the next `times` packets that match."""
        return self._add(Rule(matches, lambda arrivals: (), times), media)

    def hold_back(
        self, matches: Callable[[Packet], bool], seconds: float, *, times: int = 1, media: bool = False
    ) -> Rule:
        """Delivers the next `times` packets that match `seconds` later than their turn."""
        return self._add(Rule(matches, lambda arrivals: tuple(t + seconds for t in arrivals), times), media)

    def repeat(
        self, matches: Callable[[Packet], bool], *, after: float = 0.0, times: int = 1, media: bool = False
    ) -> Rule:
        """Delivers the next `times` packets that match twice, `after` seconds apart."""
        return self._add(Rule(matches, lambda arrivals: (*arrivals, *(t + after for t in arrivals)), times), media)

    def _add(self, rule: Rule, media: bool) -> Rule:
        (self._media_rules if media else self._rules).append(rule)
        return rule

    # Sockets

    def bind(self, address: Address, sink: Sink) -> None:
        """Opens a datagram socket. Raises ConfigurationError when the address is taken."""
        if address in self._sinks:
            raise ConfigurationError(f"address {address[0]}:{address[1]} is in use")
        self._sinks[address] = sink

    def unbind(self, address: Address) -> None:
        self._sinks.pop(address, None)

    def listen(self, protocol: str, address: Address, transport: "SimTransport") -> None:
        """Accepts streams. Raises ConfigurationError when the address is taken."""
        if (protocol, address) in self._listeners:
            raise ConfigurationError(f"address {address[0]}:{address[1]} is in use")
        self._listeners[protocol, address] = transport

    def unlisten(self, protocol: str, address: Address) -> None:
        self._listeners.pop((protocol, address), None)

    def listener(self, protocol: str, address: Address) -> "SimTransport | None":
        hidden = address[0] in self._nats  # behind a router nobody can be called
        return None if hidden else self._listeners.get((protocol, address))

    def send_media(self, source: Address, to: Address, data: bytes) -> None:
        """Carries one RTP or RTCP packet."""
        self._carry("RTP", source, to, data, self._media_rules, self.media_captured)

    def desert(self, host: str) -> None:
        """The computer is up, but no program listens there any more: it answers "port unreachable" (ICMP)."""
        self._deserted.add(host)

    def is_deserted(self, host: str) -> bool:
        """Whether a datagram to this host comes back as an error."""
        return host in self._deserted

    def send_datagram(self, source: Address, to: Address, data: bytes) -> None:
        """Carries one SIP message over UDP."""
        self._carry("UDP", source, to, data, self._rules, self.captured)

    def _carry(
        self,
        protocol: str,
        source: Address,
        to: Address,
        data: bytes,
        rules: list[Rule],
        capture: list[Packet] | None,
    ) -> None:
        now = self.loop.time()
        if self._nats:
            source = self.outside(source, to)
        arrivals = self._path(source[0], to[0]).arrivals(now)
        if self._cuts and self._is_cut(source[0], to[0], now):
            arrivals = ()
        if rules or capture is not None:
            packet = Packet(now, protocol, source, to, data)
            for rule in rules:
                arrivals = rule.treat(packet, arrivals)
            if capture is not None:
                capture.append(Packet(now, protocol, source, to, data, arrivals))
        sink = self._sinks.get(self._inside(source, to) if self._nats else to)
        if sink is not None:
            for at in arrivals:
                sink(at, data, source)

    def send_message(self, protocol: str, source: Address, to: Address, data: bytes) -> float | None:
        """When one message on a stream arrives: never lost, only late; None when the stream gives up.

        The caller keeps the order; a lost segment costs retransmission time-outs (RFC 6298).
        """
        now = self.loop.time()
        arrives = self._reliably(source[0], to[0], now)
        arrivals: tuple[float, ...] = () if arrives is None else (arrives,)
        packet = Packet(now, protocol, source, to, data)
        for rule in self._rules:
            arrivals = rule.treat(packet, arrivals)
        self.captured.append(Packet(now, protocol, source, to, data, arrivals))
        return arrivals[0] if arrivals else None

    def handshake(self, source: Address, to: Address) -> float | None:
        """When a SYN, its answer or a FIN arrives; None when it never does."""
        return self._reliably(source[0], to[0], self.loop.time())

    def _reliably(self, source: str, to: str, now: float) -> float | None:
        path, at, timeout = self._path(source, to), now, _RETRANSMISSION
        while timeout < 60.0:
            arrivals = path.arrivals(at)
            if arrivals and not self._is_cut(source, to, at):
                return arrivals[0]
            at, timeout = at + timeout, timeout * 2
        return None

    # The way

    def outside(self, source: Address, to: Address) -> Address:
        """The address from which `to` sees what `source` sends."""
        nat = self._nats.get(source[0])
        return nat.outbound(source, to) if nat is not None else source

    def _inside(self, source: Address, to: Address) -> Address:
        """The socket that gets what `source` sends to `to`; nobody's address where a router drops it."""
        nat = self._nats.get(to[0])
        return to if nat is None else nat.inbound(source, to) or _NOBODY

    def _path(self, source: str, to: str) -> Path:
        path = self._paths.get((source, to))
        if path is None:
            link = self._link_of(source) + self._link_of(to)
            path = self._paths[source, to] = Path(link, self._random)
        return path

    def _link_of(self, host: str) -> Link:
        nat = self._nats.get(host)
        names = (host,) if nat is None else (nat.inside, nat.outside)
        return next((self._links[name] for name in names if name in self._links), self._default)

    def _is_cut(self, source: str, to: str, at: float) -> bool:
        return any(
            at < cut.until
            and ((cut.outbound and self._same(cut.host, source)) or (cut.inbound and self._same(cut.host, to)))
            for cut in self._cuts
        )

    def _same(self, host: str, other: str) -> bool:
        return host == other or (host in self._nats and self._nats[host] is self._nats.get(other))

    # What was on the wire

    def sent_by(self, host: str) -> Iterator[Packet]:
        """The captured signalling of one host, oldest first."""
        return (packet for packet in self.captured if packet.source[0] == host)
