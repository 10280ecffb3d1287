"""The words in which the parts of the signalling core speak to each other and to the shell around it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Protocol

from voice.address import Address
from voice.sip.flow import Flow
from voice.sip.message import Request, Response, new_request
from voice.sip.routing import NextHop
from voice.sip.timers import TimerQueue, Timing

if TYPE_CHECKING:
    from voice.sip.client_transactions import ClientTransaction
    from voice.sip.dialog import Dialog
    from voice.sip.events import SessionEvent
    from voice.sip.session import InviteSession

Fields = Sequence[tuple[str, str]]
"""Header fields as (name, value), in order."""

METHODS = ("INVITE", "ACK", "CANCEL", "BYE", "OPTIONS", "INFO", "UPDATE", "MESSAGE")
SUPPORTED = "timer"


@dataclass(frozen=True, slots=True)
class Identity:
    """Who we are towards peers."""

    domain: str
    """The host part of our address of record."""
    user: str = "earshot"
    user_agent: str = "Earshot"

    @property
    def uri(self) -> str:
        return f"sip:{self.user}@{self.domain}"


@dataclass(frozen=True, slots=True)
class SessionTimerPolicy:
    """What we ask of session timers (RFC 4028), in seconds."""

    interval: int | None = 1800
    """The Session-Expires of our own INVITE; None asks for no timer (a peer's wish is still honoured)."""
    minimum: int = 90
    """The shortest interval that we accept: smaller ones are answered 422."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where a request goes."""

    uri: str
    flow: Flow | None = None
    """The path on which the peer registered: behind a NAT no other one leads to it."""
    route: tuple[str, ...] = ()
    """Route values in front of the URI, such as the Path of a registration or an outbound proxy."""
    next_hop: tuple[str, Address] | None = None
    """Protocol and address, when they are not to be taken from route or URI."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of memory against floods."""

    body: int = 65_536
    """Octets of a body; more is answered 413."""
    transactions: int = 50_000
    """Server transactions at a time; above it a new request outside a dialog is answered 503."""


@dataclass(slots=True)
class Counters:
    """What happened on the wire, for the metrics."""

    received: int = 0
    sent: int = 0
    keepalives: int = 0
    unparseable: int = 0
    answered_400: int = 0
    retransmissions_in: int = 0
    retransmissions_out: int = 0
    stray_responses: int = 0
    orphans: int = 0
    """Calls of a process before this one that were answered, and hung up."""
    stray_acks: int = 0
    overloaded: int = 0


@dataclass(slots=True)
class Draft:
    """A request before it is known by which flow it goes: without Via, CSeq and Contact."""

    method: str
    uri: str
    fields: list[tuple[str, str]] = field(default_factory=list)
    next_hop: str = ""
    """The URI that says where it goes first: the topmost route or the Request-URI."""
    contact: bool = False
    """Whether it is to carry our Contact: dialog-creating and target refresh requests (12.1, 12.2)."""
    body: bytes = b""
    content_type: str | None = None

    def request(self, via: str, cseq: int, contact: str, extra: Fields = ()) -> Request:
        """The request for one transaction."""
        fields = [("Via", via), *self.fields, ("CSeq", f"{cseq} {self.method}")]
        if self.contact:
            fields.append(("Contact", contact))
        fields += extra
        return new_request(
            self.method,
            self.uri,
            fields,
            body=self.body,
            content_type=self.content_type if self.body else None,
        )


class Core(Protocol):
    """What sessions and requests may use of the user agent that holds them."""

    now: float
    timers: TimerQueue
    timing: Timing
    random: Random
    identity: Identity
    session_timer: SessionTimerPolicy

    def transmit(self, data: bytes, flow: Flow) -> None:
        """Put one message on its way."""

    def retransmit(self, data: bytes, flow: Flow) -> None:
        """Put a message on its way that was sent before."""

    def deliver(self, session: "InviteSession", event: "SessionEvent") -> None:
        """Have the handler of the session told, after what was sent before."""

    def wake(self) -> None:
        """The application calls: learn what time it is, and have the shell take the output afterwards."""

    def contact(self, flow: Flow, *, secure: bool = False) -> str:
        """Our Contact towards the peer at the other end, as a SIPS URI where that is asked for."""

    def locate(self, hop: NextHop, then: Callable[[Flow | None], None]) -> None:
        """Find the flow to a next hop: at once for an address, later for a name."""

    def larger_flow(self, flow: Flow) -> Flow | None:
        """A stream to the same peer for what is too large for a datagram (18.1.1), when there can be one."""

    def via(self, flow: Flow, branch: str) -> str:
        """The Via of a request of ours on this flow."""

    def start_client(
        self,
        request: Request,
        data: bytes,
        flow: Flow,
        on_response: Callable[[Response], None],
        on_failure: Callable[[int], None],
    ) -> "ClientTransaction":
        """Send a request in a client transaction of its own."""

    def enter_dialog(self, dialog: "Dialog", session: "InviteSession") -> None:
        """From now on requests within this dialog go to the session."""

    def knows(self, dialog: "Dialog") -> bool:
        """Whether requests within this dialog still go to its session."""

    def leave_dialog(self, dialog: "Dialog") -> None:
        """Requests within this dialog are answered 481 from now on."""
