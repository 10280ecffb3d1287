"""Dialogs: RFC 3261 section 12. The state that two user agents share, and how requests within it are made."""

from dataclasses import dataclass

from voice.sip.core import Draft
from voice.sip.flow import Flow, host_port
from voice.sip.message import (
    Message,
    Request,
    Response,
    ViaInfo,
    call_id,
    cseq,
    from_tag,
    headers,
    split_list,
    to_tag,
    uri_of,
    user_of,
    via_values,
)
from voice.sip.routing import NextHop, is_reachable, plan_route, routes_of

DialogKey = tuple[str, str, str]
"""Call-ID, local tag, remote tag (section 12)."""


@dataclass(slots=True)
class Dialog:
    """One dialog, early or confirmed."""

    call_id: str
    local: str
    """Our side as a From or To value, with our tag."""
    remote: str
    """The peer's, with its tag if it gave one (a peer of RFC 2543 gives none)."""
    local_tag: str
    remote_tag: str
    local_seq: int
    """The last CSeq number that we used."""
    remote_seq: int | None
    """The last CSeq number of the peer; None as long as it sent no request."""
    route_set: tuple[str, ...]
    remote_target: str
    flow: Flow
    """The path by which the next request goes; see `follow`."""
    allowed: frozenset[str] = frozenset()
    """The methods that the peer allows; empty when it did not say."""
    flow_lost: bool = False
    """The connection has closed: the next request needs another one."""
    hidden_host: str | None = None
    """The host by which a peer behind a NAT calls itself: what names it is reached by the flow alone."""

    @property
    def key(self) -> DialogKey:
        return self.call_id, self.local_tag, self.remote_tag

    @classmethod
    def of_request(cls, request: Request, local_tag: str, flow: Flow, via: ViaInfo) -> "Dialog":
        """The dialog that our response to this INVITE creates (section 12.1.1)."""
        to = request.headers["To"]
        direct = len(via_values(request)) == 1
        return cls(
            call_id=call_id(request),
            local=f"{to};tag={local_tag}",
            remote=request.headers["From"],
            local_tag=local_tag,
            remote_tag=from_tag(request) or "",
            local_seq=0,
            remote_seq=cseq(request)[0],
            route_set=tuple(routes_of(request)),
            remote_target=contact_of(request) or _source_uri(request.headers["From"], flow),
            flow=flow,
            allowed=allowed_methods(request),
            hidden_host=via.host if direct and via.host != flow.remote[0] else None,
        )

    @classmethod
    def of_response(cls, request: Request, response: Response, flow: Flow, hidden_host: str | None) -> "Dialog":
        """The dialog that a 101-299 response to our INVITE creates (section 12.1.2)."""
        return cls(
            call_id=call_id(request),
            local=request.headers["From"],
            remote=response.headers["To"],
            local_tag=from_tag(request) or "",
            remote_tag=to_tag(response) or "",
            local_seq=cseq(request)[0],
            remote_seq=None,
            route_set=tuple(reversed(routes_of(response))),
            remote_target=contact_of(response) or str(request.uri),
            flow=flow,
            allowed=allowed_methods(response),
            hidden_host=hidden_host,
        )

    def accepts(self, number: int) -> bool:
        """Section 12.2.2: a lower CSeq is out of order (500); gaps are no fault.

        An equal number in a new transaction is let through: some peers do not count up for a BYE.
        """
        if self.remote_seq is not None and number < self.remote_seq:
            return False
        self.remote_seq = number
        return True

    def next_seq(self) -> int:
        """Section 12.2.1.1: each of our requests but ACK and CANCEL counts up by one."""
        self.local_seq += 1
        return self.local_seq

    def refresh(self, message: Message) -> None:
        """Replace the remote target by the Contact of a target refresh request or its 2xx (section 12.2)."""
        if contact := contact_of(message):
            self.remote_target = contact
        if methods := allowed_methods(message):
            self.allowed = methods

    def draft(self, method: str, *, contact: bool = False) -> Draft:
        """A request within the dialog (section 12.2.1.1): to the remote target, along the route set."""
        uri, routes, hop = plan_route(self.remote_target, self.route_set)
        fields = [("Route", route) for route in routes]
        fields += [
            ("Max-Forwards", "70"),
            ("From", self.local),
            ("To", self.remote),
            ("Call-ID", self.call_id),
        ]
        return Draft(method, uri, fields, hop, contact)

    def follow(self, hop: NextHop) -> bool:
        """Whether the present flow leads to the next hop, so that no other needs to be found.

        It does when it goes to just that address; when it is a connection to that host (the port in a
        Contact is where a peer listens, not where it connects from); and when the peer stands behind a NAT.
        """
        host, port = self.flow.remote
        if not self.route_set and hop.host == self.hidden_host:
            return True
        if hop.host != host:
            return False
        if self.flow.reliable:
            return not hop.explicit_protocol or hop.protocol == self.flow.protocol
        return hop.port == port and hop.protocol == self.flow.protocol


def contact_of(message: Message) -> str | None:
    """The URI of the first Contact, when it is one that a request can be sent to."""
    contacts = split_list(message.headers.get("Contact") or "")
    uri = uri_of(contacts[0]) if contacts else ""
    return uri if is_reachable(uri) else None


def allowed_methods(message: Message) -> frozenset[str]:
    """The methods of Allow; empty when the peer does not say."""
    return frozenset(headers(message, "Allow"))


def _source_uri(nameaddr: str, flow: Flow) -> str:
    """What stands in for a Contact that is missing or cannot be used: the place where the request came from.

    12.1.1 wants a Contact in every INVITE; an alarm is not refused for the want of it.
    """
    suffix = "" if flow.protocol == "UDP" else f";transport={flow.protocol.lower()}"
    user = user_of(nameaddr)
    plain = user if user.isascii() and user.isalnum() else ""
    return f"sip:{plain + '@' if plain else ''}{host_port(flow.remote)}{suffix}"
