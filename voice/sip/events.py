"""What a session tells the application, and what the core asks of its shell."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from voice.sip.flow import Flow
from voice.sip.routing import NextHop

if TYPE_CHECKING:
    from voice.sip.server_transactions import ServerTransaction
    from voice.sip.session import InviteSession


class Stage(StrEnum):
    """How far the call has come."""

    INVITING = "inviting"
    """Our INVITE has no final response yet."""
    INVITED = "invited"
    """The peer's INVITE has no final response of ours yet."""
    ACCEPTED = "accepted"
    """Our 2xx, or that of the peer, is not acknowledged yet."""
    ESTABLISHED = "established"
    ENDED = "ended"


class EndCause(StrEnum):
    """Why a session is over. Every final response and every failure maps to one of these."""

    BYE = "bye"
    """The peer hung up, or (481) knows nothing of the dialog any more."""
    CANCELLED = "cancelled"
    """The INVITE was withdrawn before it was answered: by us (`by_peer` False) or by the caller."""
    REJECTED = "rejected"
    """300-699 to our INVITE, but for 408; `code` says which."""
    NO_ANSWER = "no answer"
    """Nobody answered: a 408, Timer B without any response, or it rang for too long."""
    NO_ACK = "no ack"
    """Our 200 was never acknowledged (13.3.1.4)."""
    TRANSPORT = "transport"
    """The peer cannot be reached (503 of our own making), or no longer (408 within the dialog)."""
    SESSION_EXPIRED = "session expired"
    """The session was not refreshed in time (RFC 4028)."""
    LOCAL = "local"
    """Our side ended it: BYE, or a final response to an INVITE, whose code is in `code`."""


@dataclass(frozen=True, slots=True)
class Progress:
    """A provisional response to our INVITE."""

    code: int
    body: bytes | None = None


@dataclass(frozen=True, slots=True)
class Answered:
    """The peer took our call. The ACK is sent, unless our INVITE had no offer: then call `acknowledge`."""

    body: bytes | None
    headers: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True, slots=True)
class Confirmed:
    """The peer acknowledged our answer. `body` is its answer when the offer was ours."""

    body: bytes | None = None


@dataclass(frozen=True, slots=True)
class OfferReceived:
    """The peer wants to change the session: reply with `answer_offer` or `refuse_offer`.

    Without a body the peer asks for an offer of ours; its answer comes as `OfferAnswered`.
    """

    body: bytes | None


@dataclass(frozen=True, slots=True)
class OfferAnswered:
    """The answer to an offer of ours within the session."""

    body: bytes | None


@dataclass(frozen=True, slots=True)
class OfferRefused:
    """The peer did not take our offer; the session goes on as it was (14.1)."""

    code: int
    by_peer: bool = True
    """False when our offer could not be brought to the peer: it said nothing."""


@dataclass(frozen=True, slots=True)
class InfoReceived:
    """An INFO request within the session, such as a DTMF digit; it has been answered 200."""

    content_type: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Ended:
    """The session is over: always the last event, and there is exactly one."""

    cause: EndCause
    code: int | None = None
    reason: str = ""
    by_peer: bool = False


SessionEvent = Progress | Answered | Confirmed | OfferReceived | OfferAnswered | OfferRefused | InfoReceived | Ended


@dataclass(frozen=True, slots=True)
class Send:
    """Put these bytes on this flow."""

    data: bytes
    flow: Flow


@dataclass(frozen=True, slots=True)
class Deliver:
    """Hand the event to the handler of the session."""

    session: "InviteSession"
    event: SessionEvent


@dataclass(frozen=True, slots=True)
class IncomingCall:
    """Show a new session to the application."""

    session: "InviteSession"


@dataclass(frozen=True, slots=True)
class MessageArrived:
    """Let the application answer a MESSAGE (RFC 3428)."""

    transaction: "ServerTransaction"


@dataclass(frozen=True, slots=True)
class Resolve:
    """Look up the host name and call `found` with an address, or with None."""

    hop: NextHop
    found: Callable[[str | None], None]


@dataclass(frozen=True, slots=True)
class Reply:
    """Give the final response to whoever waits for it."""

    give: Callable[[], None]


Output = Send | Deliver | IncomingCall | MessageArrived | Resolve | Reply
"""What the shell does, in this order, after each input."""
