"""Where a message goes next: route sets (RFC 3261 12.2.1.1), next hops (RFC 3263), responses (18.2.2)."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Protocol

from voice.address import Address, is_numeric
from voice.sip.flow import TCP, TLS, UDP, Flow
from voice.sip.message import Message, ViaInfo, headers, parse_uri, uri_of
from voice.sip.uri import uri_address


class Paths(Protocol):
    """What the core asks of the transport: how peers are reached. It never sends through it."""

    def flow(self, protocol: str, remote: Address) -> Flow:
        """The flow to an address, existing or new."""
        ...

    def advertised(self, flow: Flow) -> Address:
        """Our own host and port as the peer at the other end is to see them."""
        ...

    def protocols(self) -> frozenset[str]:
        """The protocols that this transport speaks."""
        ...


@dataclass(frozen=True, slots=True)
class NextHop:
    """Protocol, host and port of the next element on the way."""

    protocol: str
    host: str
    port: int
    explicit_protocol: bool = True
    """False when the URI left the protocol open and the default was taken."""

    @property
    def numeric(self) -> bool:
        """Whether the host is an address that needs no resolving."""
        return is_numeric(self.host)


def next_hop(uri: str) -> NextHop:
    """Read the next hop from a URI (RFC 3263 section 4, without NAPTR and SRV; `maddr` wins over the host).

    Raises ValueError for a URI that names no host, such as `tel:`.
    """
    parsed = parse_uri(uri)
    if parsed.scheme not in ("sip", "sips") or not parsed.host:
        raise ValueError("no host to send to")
    host, port = uri_address(parsed)
    protocol = (parsed.parameters.get("transport") or "").upper()
    explicit = protocol in (UDP, TCP, TLS)
    if parsed.scheme == "sips":
        protocol = TLS
    elif not explicit:
        protocol = UDP
    host = (parsed.parameters.get("maddr") or host).strip("[]")
    return NextHop(protocol, host, port or (5061 if protocol == TLS else 5060), explicit)


def request_uri_of(uri: str) -> str:
    """A URI fit for a Request-URI: no headers and no `method` parameter (section 19.1.1, table 1)."""
    with suppress(ValueError):  # one that cannot be read is not cut
        uri = uri.removesuffix(f"?{parse_uri(uri).headers}")  # behind everything; the user may hold such marks, too
    user, at, rest = uri.partition("@")
    if not at:
        user, rest = "", uri
    if ";method=" in rest.lower():
        host, *params = rest.split(";")
        rest = ";".join([host, *(param for param in params if not param.lower().startswith("method="))])
    return f"{user}{at}{rest}"


def is_reachable(uri: str) -> bool:
    """Whether a request can be sent to this URI, as far as can be told by reading it."""
    try:
        next_hop(uri)
    except ValueError:
        return False
    return True


def routes_of(message: Message) -> list[str]:
    """The elements of Record-Route, but those that no request can be sent along.

    Whoever wrote those cannot be told: the request that needs them may be an ACK. Without them it gets further.
    """
    return [route for route in headers(message, "Record-Route") if is_reachable(uri_of(route))]


def is_loose(route: str) -> bool:
    """Whether a Route value names a loose router, one of RFC 3261."""
    return "lr" in parse_uri(uri_of(route)).parameters


def plan_route(target: str, routes: Sequence[str]) -> tuple[str, list[str], str]:
    """Request-URI, Route values and next hop of a request (sections 8.1.2 and 12.2.1.1).

    "If the first URI in the route set does not contain the lr parameter, the UAC MUST place the first URI
    from the route set into the Request-URI ... and the remote target URI into the Route header field as the
    last value."
    """
    target = request_uri_of(target)
    if not routes:
        return target, [], target
    first = uri_of(routes[0])
    if is_loose(routes[0]):
        return target, list(routes), first
    first = request_uri_of(first)
    return first, [*routes[1:], f"<{target}>"], first


def response_flow(via: ViaInfo, flow: Flow) -> Flow:
    """The way of the responses (section 18.2.2; RFC 3581 section 4).

    Streams: the connection of the request. UDP: with `rport` the source. Without it the port of sent-by,
    unless the host of sent-by is not the source: then a NAT stands between and only the source leads back
    (a deviation from 18.2.2 that every deployed server makes). `maddr` is ignored: no multicast here.
    """
    if flow.reliable or via.rport is not None or via.port == flow.remote[1] or via.host != flow.remote[0]:
        return flow
    return replace(flow, remote=(flow.remote[0], via.port))


def reopened_flow(via: ViaInfo, flow: Flow, paths: Paths) -> Flow:
    """A new connection for responses whose own has closed: source address, port of sent-by (18.2.2)."""
    return paths.flow(flow.protocol, (flow.remote[0], via.port))
