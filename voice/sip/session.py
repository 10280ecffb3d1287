"""`InviteSession`: one call as the application sees it, on either side (RFC 3261 sections 12 to 15).

The two sides of the initial INVITE are in `calling.py` (we call) and `answering.py` (we are called), offers
within the dialog in `renegotiation.py`. What happens is told to `handler`, one event after another and
never from within a call of the application. After `Ended` nothing more is told, and every call is without
effect: a peer may hang up at any moment, so the application need not look before it acts.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

from voice.errors import UsageError
from voice.sip.awaited_ack import AwaitedAck
from voice.sip.bodies import SDP, session_description
from voice.sip.core import METHODS, SUPPORTED, Core, Draft
from voice.sip.dialog import Dialog
from voice.sip.digest import Credentials
from voice.sip.events import (
    Answered,
    Confirmed,
    Deliver,
    EndCause,
    Ended,
    InfoReceived,
    OfferAnswered,
    OfferReceived,
    OfferRefused,
    Progress,
    SessionEvent,
    Stage,
)
from voice.sip.flow import Flow
from voice.sip.message import Request, Response, cseq, new_branch, response_to, serialize
from voice.sip.outgoing import Outgoing
from voice.sip.refresh import Refresh
from voice.sip.renegotiation import Renegotiation
from voice.sip.routing import next_hop
from voice.sip.server_transactions import ServerTransaction

__all__ = [
    "Answered", "Confirmed", "Deliver", "EndCause", "Ended", "InfoReceived", "InviteSession", "OfferAnswered",
    "OfferReceived", "OfferRefused", "Progress", "SessionEvent", "Stage",
]  # fmt: skip


class InviteSession(ABC):
    """One INVITE usage. Made by `Endpoint.dial`, or shown to `Application.incoming_call`."""

    def __init__(self, core: Core, *, call_id: str, tag: str, incoming: bool, stage: Stage) -> None:
        self.id = f"{call_id};{tag}"
        """Unique among all sessions."""
        self.call_id = call_id
        self.incoming = incoming
        self.stage = stage
        self.handler: Callable[[SessionEvent], None] = _nobody
        """Told of everything that happens; the application sets it within `incoming_call`."""
        self.dialog: Dialog | None = None
        """The confirmed dialog, or the early one of an incoming call."""
        self.proceeding = False
        """Outgoing: the peer has answered something, be it 100."""
        self.final: Response | None = None
        """Outgoing: the peer's final response, even one that came after we had given up; a 2xx stays."""
        self.on_word: Callable[[], object] = _nothing
        """Called when the peer has answered anything. It may look at the session, and do nothing with it."""
        self.credentials: Credentials | None = None
        self.core = core
        self.local_tag = tag
        self.offers = Renegotiation(self)
        self.refresh = Refresh(self)
        self._awaited: dict[int, AwaitedAck] = {}  # 2xx of ours without ACK, by CSeq number

    # -- what both sides have --

    @property
    @abstractmethod
    def request(self) -> Request:
        """The initial INVITE. Of an outgoing call it is known when it has left."""

    @property
    @abstractmethod
    def flow(self) -> Flow:
        """The path to the peer."""

    @property
    def offer(self) -> bytes | None:
        """The session description of the initial INVITE; None when it had none (a late offer)."""
        return session_description(self.request)

    @property
    def secure(self) -> bool:
        """Whether the call was made to a SIPS URI."""
        return self.request.uri.scheme == "sips"

    @property
    def repeating(self) -> bool:
        """Whether a 2xx of ours still waits for its ACK."""
        return bool(self._awaited)

    @property
    def ended(self) -> bool:
        return self.stage is Stage.ENDED

    @property
    def owns_call_id(self) -> bool:
        """Whether we made the Call-ID: says who waits longer after a glare (14.1)."""
        return not self.incoming

    # -- the application: the initial INVITE --

    def ring(self, code: int = 180, headers: Sequence[tuple[str, str]] = ()) -> None:
        """Incoming: send a provisional response."""
        raise UsageError("only an incoming call can ring")

    def accept(self, body: bytes, headers: Sequence[tuple[str, str]] = ()) -> None:
        """Incoming: answer with 200. `body` is our answer, or our offer when the INVITE had none."""
        raise UsageError("only an incoming call can be accepted")

    def reject(self, code: int, headers: Sequence[tuple[str, str]] = (), *, reason: str | None = None) -> None:
        """Incoming: refuse with a final response; `reason` replaces the usual phrase."""
        raise UsageError("only an incoming call can be rejected")

    def challenge(self, *, stale: bool = False) -> None:
        """Incoming: ask the caller for credentials (401); it calls again with a new INVITE."""
        raise UsageError("only an incoming call can be challenged")

    def acknowledge(self, body: bytes) -> None:
        """Outgoing without an offer: send the ACK with our answer to the offer of the 2xx."""
        raise UsageError("only an outgoing call is acknowledged by us")

    # -- the application: within the call --

    def bye(self, reason: str | None = None) -> None:
        """End the call, however far it has come. `reason` becomes a Reason header (RFC 3326)."""
        self.core.wake()
        if self.stage is Stage.ESTABLISHED:
            self.send_bye(reason)
            self.end(EndCause.LOCAL, reason=reason or "")
        elif self.stage is not Stage.ENDED:
            self._abort(reason)

    def reoffer(self, body: bytes) -> None:
        """Offer a change of the session by re-INVITE; a glare is resolved inside (14.1)."""
        self.core.wake()
        if not self.ended:
            self.offers.offer(body)

    def answer_offer(self, body: bytes) -> None:
        """Reply to `OfferReceived` with our answer, or with our offer when the peer asked for one."""
        self.core.wake()
        self.offers.answer(body)

    def refuse_offer(self, code: int = 488) -> None:
        """Reply to `OfferReceived` that the session stays as it is."""
        self.core.wake()
        self.offers.refuse(code)

    def info(self, content_type: str, body: bytes) -> None:
        """Send an INFO request (RFC 6086). Its result changes nothing, unless the dialog is gone."""
        self.core.wake()
        if self.stage is Stage.ESTABLISHED and self.dialog is not None:
            draft = self.dialog.draft("INFO")
            draft.body, draft.content_type = body, content_type
            self.send(draft, self._info_answered)

    def _info_answered(self, response: Response) -> None:
        self.ends_with(response)

    @abstractmethod
    def _abort(self, reason: str | None) -> None:
        """`bye` before the call is established."""

    # -- what came from the peer, within the dialog --

    def receive(self, transaction: ServerTransaction, dialog: Dialog) -> None:
        """A request within the dialog, of a method that is allowed, with all checks of section 8.2 passed."""
        request = transaction.request
        number, method = cseq(request)
        if not dialog.accepts(number):
            self.reply(transaction, 500, [("Retry-After", str(self.core.random.randint(1, 10)))])
        elif method == "BYE":
            self._peer_hangs_up(transaction)
        elif self.ended:
            self.reply(transaction, 481)
        elif method in ("INVITE", "UPDATE"):
            transaction.on_cancel = self.cancelled
            self.offers.receive(transaction)
        elif method == "INFO":
            self.reply(transaction, 200)
            self.tell(InfoReceived(request.headers.get("Content-Type") or "", request.body))
        else:
            self.reply(transaction, 405, [("Allow", ", ".join(METHODS))])

    def receive_ack(self, ack: Request) -> None:
        """An ACK within the dialog; one that nobody waits for is a repetition."""
        awaited = self._awaited.pop(cseq(ack)[0], None)
        if awaited is not None:
            awaited.acknowledge(ack)

    def cancelled(self, transaction: ServerTransaction) -> None:
        """A CANCEL for a request of the peer that has no final response yet (9.2)."""
        self.offers.cancelled(transaction)

    def _peer_hangs_up(self, transaction: ServerTransaction) -> None:
        """Section 15.1.2: 200 to the BYE, and 487 to what is still open."""
        self.reply(transaction, 200)
        self.offers.close()
        self.stop_repeating()
        self.leave_dialog()
        self.end(EndCause.BYE, reason=transaction.request.headers.get("Reason") or "", by_peer=True)

    # -- for the parts of the session --

    def tell(self, event: SessionEvent) -> None:
        """Tell the application, unless the session is over."""
        if not self.ended:
            self.core.deliver(self, event)

    def end(self, cause: EndCause, code: int | None = None, reason: str = "", *, by_peer: bool = False) -> None:
        """Tell the application that this is the end; once."""
        if not self.ended:
            self.tell(Ended(cause, code, reason, by_peer))
            self.stage = Stage.ENDED
            self.refresh.stop()
            self.offers.stop()

    def reply(
        self,
        transaction: ServerTransaction,
        code: int,
        headers: Sequence[tuple[str, str]] = (),
        body: bytes = b"",
    ) -> None:
        """Answer a request within the dialog."""
        transaction.respond(self.response(transaction, code, headers, body))

    def response(
        self,
        transaction: ServerTransaction,
        code: int,
        headers: Sequence[tuple[str, str]] = (),
        body: bytes = b"",
        *,
        reason: str | None = None,
    ) -> Response:
        fields = [*headers, ("Server", self.core.identity.user_agent)]
        return response_to(
            transaction.request,
            code,
            reason,
            to_tag=self.local_tag,
            headers=fields,
            body=body,
            content_type=SDP if body else None,
        )

    def target_fields(self, flow: Flow) -> list[tuple[str, str]]:
        """The fields of a 2xx to an INVITE or UPDATE (13.3.1.4, 20.5)."""
        return [
            ("Contact", self.core.contact(flow, secure=self.secure)),
            ("Allow", ", ".join(METHODS)),
            ("Supported", SUPPORTED),
        ]

    def accept_invite(
        self,
        transaction: ServerTransaction,
        response: Response,
        *,
        acknowledged: Callable[[Request], None],
        given_up: Callable[[], None],
    ) -> None:
        """Send a 2xx to an INVITE and repeat it until its ACK."""
        number = cseq(transaction.request)[0]
        self._awaited[number] = AwaitedAck(
            self.core, transaction, response, acknowledged=acknowledged, given_up=given_up
        )

    def not_acknowledged(self) -> None:
        """A 2xx of ours was repeated in vain: BYE (13.3.1.4)."""
        self._awaited.clear()
        if self.dialog is not None and self.core.knows(self.dialog):
            self.send_bye(None)
        self.end(EndCause.NO_ACK)

    def stop_repeating(self) -> None:
        for awaited in self._awaited.values():
            awaited.stop()
        self._awaited.clear()

    def request_fields(self) -> list[tuple[str, str]]:
        """What an INVITE or UPDATE of ours says of our abilities and of the session timer."""
        return [("Allow", ", ".join(METHODS)), ("Supported", SUPPORTED), *self.refresh.fields()]

    def send(self, draft: Draft, on_response: Callable[[Response], None], dialog: Dialog | None = None) -> Outgoing:
        """Send a request within the dialog."""
        dialog = dialog or self.dialog
        if dialog is None:
            raise UsageError("the session has no dialog yet")
        outgoing = Outgoing(
            self.core,
            draft,
            next_seq=dialog.next_seq,
            on_response=on_response,
            credentials=self.credentials,
        )
        if dialog.flow_lost:
            self.aim(dialog)
        outgoing.start(dialog.flow)
        return outgoing

    def send_ack(self, invite: Outgoing, dialog: Dialog, body: bytes = b"") -> tuple[bytes, Flow]:
        """The ACK of a 2xx (13.2.2.4): with the CSeq number and the credentials of the INVITE."""
        draft = dialog.draft("ACK")
        draft.body, draft.content_type = body, SDP
        via = self.core.via(dialog.flow, new_branch(self.core.random))
        data = serialize(draft.request(via, invite.seq, "", invite.authorization))
        self.core.transmit(data, dialog.flow)
        return data, dialog.flow

    def send_bye(self, reason: str | None, dialog: Dialog | None = None) -> None:
        """BYE (15.1.1): the session is over when it is sent, whatever comes back."""
        dialog = dialog or self.dialog
        if dialog is None:
            return
        if dialog is self.dialog:
            self.offers.close()
            self.stop_repeating()
        draft = dialog.draft("BYE")
        if reason:
            draft.fields.append(("Reason", f'SIP;text="{_quotable(reason)}"'))
        self.send(draft, lambda _: None, dialog)
        self.core.leave_dialog(dialog)

    def leave_dialog(self) -> None:
        if self.dialog is not None:
            self.core.leave_dialog(self.dialog)

    def ends_with(self, response: Response) -> bool:
        """12.2.1.2: 481 or 408 to a request within the dialog means that it is gone; leave it by BYE."""
        if response.code not in (408, 481) or self.ended:
            return False
        self.send_bye(None)
        if response.code == 481:
            self.end(EndCause.BYE, 481, response.phrase, by_peer=True)
        else:
            self.end(EndCause.TRANSPORT, 408, response.phrase)
        return True

    def aim(self, dialog: Dialog) -> None:
        """Find the flow to the next hop of a dialog that is new, or has a new remote target."""
        lost, dialog.flow_lost = dialog.flow_lost, False
        try:
            hop = next_hop(dialog.draft("BYE").next_hop)
        except ValueError:
            return

        def found(flow: Flow | None) -> None:
            if flow is not None:
                dialog.flow = flow

        if lost or not dialog.follow(hop):
            self.core.locate(hop, found)


def _nothing() -> None:
    """Nobody waits for a word of the peer."""


def _nobody(event: SessionEvent) -> None:
    """The handler as long as the application has set none."""


def _quotable(text: str) -> str:
    """Text for a quoted-string on one header line."""
    return "".join(char for char in text if char.isprintable() and char not in '"\\')
