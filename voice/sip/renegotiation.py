"""Offers within the dialog: re-INVITE (RFC 3261 section 14) and UPDATE (RFC 3311), both ways.

At any time at most one offer is open between the two sides. What would break that is answered 491 (ours is
open) or 500 with Retry-After (theirs is), and an offer of ours that comes at a bad moment waits for a
better one.
"""

from typing import TYPE_CHECKING

from voice.sip import session_timer
from voice.sip.bodies import SDP, session_description
from voice.sip.events import OfferAnswered, OfferReceived, OfferRefused, Stage
from voice.sip.flow import Flow
from voice.sip.message import Request, Response, response_to
from voice.sip.outgoing import Outgoing
from voice.sip.server_transactions import ServerTransaction
from voice.sip.timers import Timer

if TYPE_CHECKING:
    from voice.sip.session import InviteSession


class Renegotiation:
    """The open offer of a session, if there is one."""

    def __init__(self, session: "InviteSession") -> None:
        self._session = session
        self._theirs: ServerTransaction | None = None  # shown to the application, which has not replied yet
        self._ours: Outgoing | None = None
        self._queued: bytes | None = None
        self._retry: Timer | None = None
        self._patience: Timer | None = None
        self._answer_due = False  # our offer went out in a 2xx and its answer has to come in the ACK
        self.local: bytes | None = None
        """The session description that we sent last: what a refresh by re-INVITE repeats."""
        self.remote: bytes | None = None
        """The one that the peer sent last."""

    @property
    def busy(self) -> bool:
        """Whether an offer of ours would be one too many."""
        return (
            self._session.stage is not Stage.ESTABLISHED
            or self._ours is not None
            or self._theirs is not None
            or self._retry is not None
            or self._session.repeating
        )

    # -- ours --

    def offer(self, body: bytes) -> None:
        """Send a re-INVITE, now or when nothing else is open; the last of several waiting ones counts."""
        if self.busy:
            self._queued = body
        else:
            self._invite(body)

    def repeat(self) -> None:
        """Refresh the session by a re-INVITE that changes nothing (RFC 4028 section 7.4)."""
        if self.local is not None and not self.busy and self._queued is None:
            self._invite(self.local, refresh=True)

    def idle(self) -> None:
        """Something was finished: perhaps the offer that waits can go."""
        if self._queued is not None and not self.busy:
            body, self._queued = self._queued, None
            self._invite(body)

    def _invite(self, body: bytes, *, refresh: bool = False) -> None:
        session = self._session
        dialog = session.dialog
        if dialog is None:
            return
        draft = dialog.draft("INVITE", contact=True)
        draft.fields += session.request_fields()
        draft.body, draft.content_type = body, SDP
        acknowledged: tuple[bytes, Flow] | None = None

        def heard(response: Response) -> None:
            nonlocal acknowledged
            if response.code < 200:
                return
            if response.code >= 300:
                self._not_taken(response, body, refresh)
            elif acknowledged is not None:
                session.core.retransmit(*acknowledged)  # "the ACK MUST be passed ... every time" (13.2.2.4)
            else:
                dialog.refresh(response)
                session.aim(dialog)
                acknowledged = session.send_ack(outgoing, dialog)
                self._taken(response, body, refresh)

        self._ours = outgoing = session.send(draft, heard)
        core = session.core
        self._patience = core.timers.at(core.now + core.timing.ringing, self._unanswered)

    def _taken(self, response: Response, body: bytes, refresh: bool) -> None:
        session = self._session
        self._settled()
        self.local = body
        session.refresh.settled(response)
        answer = session_description(response)
        if not refresh or answer != self.remote:
            session.tell(OfferAnswered(answer))
        self.remote = answer
        self.idle()

    def _not_taken(self, response: Response, body: bytes, refresh: bool) -> None:
        session, outgoing = self._session, self._ours
        if session.ended or outgoing is None:
            return
        if response.code == 422 and session.refresh.raised_by(response):
            outgoing.draft.fields = session.refresh.replace(outgoing.draft.fields)
            outgoing.again()
            return
        self._settled()
        if response.code == 491:
            self._wait(body)
        elif not session.ends_with(response):
            if not refresh:
                session.tell(OfferRefused(response.code, by_peer=not outgoing.local))
            self.idle()

    def _settled(self) -> None:
        self._ours = None
        if self._patience is not None:
            self._patience.cancel()

    def _unanswered(self) -> None:
        """A provisional response and then nothing: the peer is as good as gone, as after a 408 (12.2.1.2)."""
        if self._ours is not None and self._ours.request is not None:
            self._session.ends_with(response_to(self._ours.request, 408))

    def _wait(self, body: bytes) -> None:
        """Glare (14.1): the owner of the Call-ID tries again after 2.1 to 4 s, the other after 0 to 2 s."""
        core = self._session.core
        hundredths = core.random.randrange(210, 401) if self._session.owns_call_id else core.random.randrange(0, 201)
        if self._queued is None:
            self._queued = body
        self._retry = core.timers.at(core.now + hundredths / 100, self._try_again)

    def _try_again(self) -> None:
        self._retry = None
        self.idle()

    # -- theirs --

    def receive(self, transaction: ServerTransaction) -> None:
        """A re-INVITE or UPDATE of the peer."""
        session, request = self._session, transaction.request
        body = session_description(request)
        offers = body is not None or request.method == "INVITE"
        if offers and (self._ours is not None or self._answer_due or session.stage is Stage.INVITING):
            # 14.2: "A UAS that receives an INVITE on a dialog while an INVITE it had sent on that dialog is
            # in progress MUST return a 491"; RFC 3311 section 5.2 says the same of an UPDATE with an offer.
            session.reply(transaction, 491)
        elif offers and (self._theirs is not None or session.stage is Stage.INVITED):
            # 14.2: "MUST include a Retry-After header field with a randomly chosen value of between 0 and 10"
            session.reply(transaction, 500, [("Retry-After", str(session.core.random.randint(0, 10)))])
        elif session_timer.too_small(request, session.core.session_timer):
            session.reply(transaction, 422, [("Min-SE", str(session.core.session_timer.minimum))])
        elif not offers:
            self._accept(transaction, b"")
        else:
            self._theirs = transaction
            session.tell(OfferReceived(body))

    def answer(self, body: bytes) -> None:
        """The word of the application; without effect when the peer has withdrawn its offer."""
        transaction, self._theirs = self._theirs, None
        if transaction is not None and not self._session.ended:
            self._accept(transaction, body)
            self.idle()

    def refuse(self, code: int) -> None:
        """The word of the application: the session stays as it is (14.2)."""
        transaction, self._theirs = self._theirs, None
        if transaction is not None and not self._session.ended:
            self._session.reply(transaction, code)
            self.idle()

    def cancelled(self, transaction: ServerTransaction) -> None:
        """The peer withdrew its re-INVITE (9.2)."""
        if transaction is self._theirs:
            self._theirs = None
            self._session.reply(transaction, 487)
            self.idle()

    def _accept(self, transaction: ServerTransaction, body: bytes) -> None:
        session, request = self._session, transaction.request
        if session.dialog is not None:
            session.dialog.refresh(request)
            session.aim(session.dialog)
        agreed, fields = session_timer.answer(request)
        fields = [*session.target_fields(transaction.flow), *fields]
        response = session.response(transaction, 200, fields, body)
        if request.method == "INVITE":
            late = session_description(request) is None
            self._answer_due = late

            def acknowledged(ack: Request) -> None:
                if late:
                    self._answer_due = False
                    self.remote = session_description(ack)
                    session.tell(OfferAnswered(self.remote))
                self.idle()

            session.accept_invite(transaction, response, acknowledged=acknowledged, given_up=session.not_acknowledged)
        else:
            transaction.respond(response)
        if body:
            self.local = body
            self.remote = session_description(request) or self.remote
        session.refresh.start(agreed)

    # -- the end --

    def close(self) -> None:
        """The dialog ends: what the peer still waits for gets a 487 (15.1.2)."""
        transaction, self._theirs = self._theirs, None
        if transaction is not None:
            self._session.reply(transaction, 487)
        self.stop()

    def stop(self) -> None:
        """Try nothing more of our own accord."""
        self._queued = None
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
        if self._ours is not None:
            self._ours.abandon()
            self._settled()
