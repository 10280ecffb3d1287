"""The called side of the initial INVITE: RFC 3261 sections 9.2, 12.1.1 and 13.3."""

from collections.abc import Callable, Sequence

from voice.sip import session_timer
from voice.sip.bodies import session_description
from voice.sip.core import Core
from voice.sip.dialog import Dialog
from voice.sip.events import Confirmed, EndCause, Stage
from voice.sip.flow import Flow
from voice.sip.message import Request, call_id, new_tag
from voice.sip.server_transactions import ServerTransaction
from voice.sip.session import InviteSession
from voice.sip.timers import Timer

_PROVISIONAL_EVERY = 60.0
"""Seconds; a proxy on the way gives up a call of which it hears nothing for three minutes (13.3.1.1)."""


class IncomingSession(InviteSession):
    """A call that a peer makes to us."""

    def __init__(
        self,
        core: Core,
        transaction: ServerTransaction,
        challenges: Callable[[bool], Sequence[tuple[str, str]]],
    ) -> None:
        """`challenges` gives the header fields of a 401, told whether the last nonce was stale."""
        request = transaction.request
        super().__init__(core, call_id=call_id(request), tag=new_tag(core.random), incoming=True, stage=Stage.INVITED)
        self._invite = transaction
        self._challenges = challenges
        self._ringing: tuple[int, Sequence[tuple[str, str]]] | None = None
        self._hung_up: str | None = None  # `bye` before the ACK: the BYE has to wait for it (15)
        self._bye_waits = False
        self._again = Timer.idle()
        self._expiry = Timer.idle()
        self.dialog = Dialog.of_request(request, self.local_tag, transaction.source, transaction.via)
        transaction.on_cancel = self.cancelled
        transaction.to_tag = self.local_tag  # of every response, that to a CANCEL included (9.2)
        core.enter_dialog(self.dialog, self)
        self.aim(self.dialog)
        self._expire_with(request)

    @property
    def request(self) -> Request:
        return self._invite.request

    @property
    def flow(self) -> Flow:
        return self._invite.source

    def ring(self, code: int = 180, headers: Sequence[tuple[str, str]] = ()) -> None:
        self.core.wake()
        if self.stage is not Stage.INVITED:
            return
        self._ringing = code, tuple(headers)
        self._send_ringing()

    def _send_ringing(self) -> None:
        if self.stage is not Stage.INVITED or self._ringing is None:
            return
        code, headers = self._ringing
        contact = self.core.contact(self._invite.flow, secure=self.secure)
        self.reply(self._invite, code, [*headers, ("Contact", contact)])
        self._again.cancel()
        self._again = self.core.timers.at(self.core.now + _PROVISIONAL_EVERY, self._send_ringing)

    def accept(self, body: bytes, headers: Sequence[tuple[str, str]] = ()) -> None:
        self.core.wake()
        if self.stage is not Stage.INVITED:
            return
        self._stop_timers()
        agreed, timer_fields = session_timer.answer(self.request)
        fields = [*self.target_fields(self._invite.flow), *timer_fields, *headers]
        response = self.response(self._invite, 200, fields, body)
        self.stage = Stage.ACCEPTED
        self.offers.local, self.offers.remote = body, self.offer
        self.accept_invite(self._invite, response, acknowledged=self._acknowledged, given_up=self.not_acknowledged)
        self.refresh.start(agreed)

    def reject(self, code: int, headers: Sequence[tuple[str, str]] = (), *, reason: str | None = None) -> None:
        self.core.wake()
        if self.stage is Stage.INVITED:
            self._refuse(code, headers, reason)
            self.end(EndCause.LOCAL, code)

    def challenge(self, *, stale: bool = False) -> None:
        self.reject(401, self._challenges(stale))

    def cancelled(self, transaction: ServerTransaction) -> None:
        if transaction is self._invite and self.stage is Stage.INVITED:
            self._refuse(487)
            self.end(EndCause.CANCELLED, 487, by_peer=True)
        else:
            super().cancelled(transaction)

    def _refuse(self, code: int, headers: Sequence[tuple[str, str]] = (), reason: str | None = None) -> None:
        self._stop_timers()
        self._invite.respond(self.response(self._invite, code, headers, reason=reason))
        self.leave_dialog()

    def _abort(self, reason: str | None) -> None:
        """Unanswered: 480. Answered but not acknowledged: the application is done, the BYE waits.

        "The callee's UA MUST NOT send a BYE on a confirmed dialog until it has received an ACK for its 2xx
        response or until the server transaction times out" (15).
        """
        if self.stage is Stage.INVITED:
            self._refuse(480)
        else:
            self._bye_waits, self._hung_up = True, reason
        self.end(EndCause.LOCAL, 480 if self.stage is Stage.INVITED else None, reason or "")

    def _acknowledged(self, ack: Request) -> None:
        if self._bye_waits:
            self.send_bye(self._hung_up)
            return
        self.stage = Stage.ESTABLISHED
        body = None
        if self.offer is None:
            body = self.offers.remote = session_description(ack)
        self.tell(Confirmed(body))
        self.offers.idle()

    def _peer_hangs_up(self, transaction: ServerTransaction) -> None:
        self._stop_timers()
        if self.stage is Stage.INVITED:
            self.reply(self._invite, 487)
        super()._peer_hangs_up(transaction)

    def _expire_with(self, request: Request) -> None:
        """13.3.1: an INVITE with Expires that is not answered in time is answered 487."""
        value = request.headers.get("Expires") or ""
        if value.isascii() and value.isdigit() and len(value) < 7 and int(value) > 0:
            self._expiry = self.core.timers.at(self.core.now + int(value), self._expired)

    def _expired(self) -> None:
        if self.stage is Stage.INVITED:
            self._refuse(487)
            self.end(EndCause.CANCELLED, 487, "the INVITE expired", by_peer=True)

    def _stop_timers(self) -> None:
        self._again.cancel()
        self._expiry.cancel()
