"""The calling side of the initial INVITE: RFC 3261 sections 9.1, 12.1.2 and 13.2, with forks (13.2.2.4)."""

from collections.abc import Callable, Sequence

from voice.errors import UsageError
from voice.sip.bodies import SDP, description_in, session_description
from voice.sip.client_transactions import cancel_of
from voice.sip.core import Core, Draft, Target
from voice.sip.dialog import Dialog, contact_of
from voice.sip.digest import Credentials
from voice.sip.events import Answered, EndCause, Progress, SessionEvent, Stage
from voice.sip.flow import Flow
from voice.sip.message import Request, Response, new_call_id, new_tag, serialize, to_tag
from voice.sip.outgoing import Outgoing
from voice.sip.routing import NextHop, next_hop, plan_route
from voice.sip.server_transactions import ServerTransaction
from voice.sip.session import InviteSession
from voice.sip.timers import Timer

_MAX_FORKS = 32


def as_name_addr(address: str) -> str:
    """A URI in angle brackets; a display name with its URI as it is (RFC 3261 section 20.10)."""
    return address if "<" in address else f"<{address}>"


class OutgoingSession(InviteSession):
    """A call that we make."""

    def __init__(
        self,
        core: Core,
        target: Target,
        *,
        body: bytes | None,
        content_type: str,
        headers: Sequence[tuple[str, str]],
        handler: Callable[[SessionEvent], None],
        credentials: Credentials | None,
        from_uri: str | None,
    ) -> None:
        super().__init__(
            core,
            call_id=new_call_id(core.random),
            tag=new_tag(core.random),
            incoming=False,
            stage=Stage.INVITING,
        )
        self.handler = handler
        self.credentials = credentials
        self._target = target
        self._offered = bool(body)
        self.offers.local = description_in(content_type, body) if body else None
        self._forks: dict[str, Dialog] = {}  # early dialogs, by To tag
        self._acks: dict[str, tuple[bytes, Flow]] = {}  # the ACK of every 2xx, by To tag
        self._early_answers: dict[str, bytes] = {}
        self._hung_up_early: set[str] = set()
        self._cancel_due = False
        self._proceeding = False
        self._patience: Timer | None = None
        self._seq = core.random.randrange(1, 2**16)
        draft = self._draft(body, content_type, headers, from_uri or core.identity.uri)
        self._outgoing = Outgoing(
            core, draft, next_seq=self._next_seq, on_response=self._heard, credentials=credentials
        )

    def _draft(self, body: bytes | None, content_type: str, headers: Sequence[tuple[str, str]], from_uri: str) -> Draft:
        uri, routes, hop = plan_route(self._target.uri, self._target.route)
        fields = [("Route", route) for route in routes]
        fields += [
            ("Max-Forwards", "70"),
            ("From", f"{as_name_addr(from_uri)};tag={self.local_tag}"),
            ("To", as_name_addr(self._target.uri)),
            ("Call-ID", self.call_id),
            *self.request_fields(),
            ("Accept", SDP),
            ("User-Agent", self.core.identity.user_agent),
            *headers,
        ]
        return Draft("INVITE", uri, fields, hop, True, body or b"", content_type)

    def start(self, way: Flow | NextHop | None) -> None:
        """Send the INVITE, on this flow, to this next hop, or to where the target's route or URI leads."""
        self._outgoing.start(way)

    @property
    def request(self) -> Request:
        request = self._outgoing.request
        if request is None:
            raise UsageError("the INVITE has not left yet: its target is being resolved")
        return request

    @property
    def flow(self) -> Flow:
        if self._outgoing.transaction is None:
            raise UsageError("the path to the peer is not known yet: its target is being resolved")
        return self._outgoing.transaction.flow

    @property
    def offer(self) -> bytes | None:
        draft = self._outgoing.draft
        return description_in(draft.content_type, draft.body) if draft.body else None

    def _next_seq(self) -> int:
        self._seq += 1
        return self._seq

    # -- responses --

    def _heard(self, response: Response) -> None:
        if response.code < 200:
            self._provisional(response)
        elif response.code < 300:
            self._taken(response)
        else:
            self._refused(response)

    def _provisional(self, response: Response) -> None:
        self._proceeding = self.proceeding = True
        self.on_word()
        if self._cancel_due:
            self._cancel()
            return
        self._wait_on()
        tag = to_tag(response)
        if response.code == 100 or self.stage is not Stage.INVITING:
            return
        body = session_description(response)
        if tag and len(self._forks) < _MAX_FORKS and tag not in self._forks:
            dialog = self._forks[tag] = self._dialog_of(response)
            self.core.enter_dialog(dialog, self)
        if tag and body:
            self._early_answers[tag] = body
        self.tell(Progress(response.code, body))

    def _taken(self, response: Response) -> None:
        """A 2xx: the first one is the call, one of another fork is acknowledged and hung up (13.2.2.4)."""
        self.final = response  # stays, whatever else was answered
        self.on_word()
        tag = to_tag(response) or ""
        if tag in self._acks:
            self.core.retransmit(*self._acks[tag])
            return
        if self.dialog is not None and self.dialog.remote_tag == tag:
            return  # a repeated 2xx while the application thinks about its late answer
        dialog = self._confirm(response, tag)
        if self.dialog is not None or self.ended or tag in self._hung_up_early:
            self._acks[tag] = self.send_ack(self._outgoing, dialog)
            if tag in self._hung_up_early:
                self.end(EndCause.BYE, by_peer=True)
            else:
                self.send_bye(None, dialog)
            return
        self._take(response, dialog, tag)

    def _confirm(self, response: Response, tag: str) -> Dialog:
        """The dialog of a 2xx: route set and remote target are those of the 2xx, not of a 1xx (13.2.2.4)."""
        early = self._forks.pop(tag, None)
        dialog = self._dialog_of(response)
        if early is not None:
            dialog.remote_seq = early.remote_seq
            self.core.leave_dialog(early)
        return dialog

    def _take(self, response: Response, dialog: Dialog, tag: str) -> None:
        self._stop_waiting()
        self.dialog = dialog
        self.core.enter_dialog(dialog, self)
        self._drop_forks()
        body = session_description(response) or (self._early_answers.get(tag) if self._offered else None)
        self.offers.remote = body
        self.stage = Stage.ACCEPTED
        if self._offered:
            self._acks[tag] = self.send_ack(self._outgoing, dialog)
            self.stage = Stage.ESTABLISHED
        self.refresh.settled(response)
        self.tell(Answered(body, _fields_of(response)))
        self.offers.idle()

    def acknowledge(self, body: bytes) -> None:
        self.core.wake()
        if self.stage is Stage.ACCEPTED and self.dialog is not None:
            self.offers.local = body
            self._acks[self.dialog.remote_tag] = self.send_ack(self._outgoing, self.dialog, body)
            self.stage = Stage.ESTABLISHED
            self.offers.idle()

    def _refused(self, response: Response) -> None:
        if self.ended:
            self._final(response)
            return
        if response.code == 422 and self.refresh.raised_by(response):
            self._outgoing.draft.fields = self.refresh.replace(self._outgoing.draft.fields)
            self._proceeding = False
            self._outgoing.again()
            return
        self._final(response)
        if self._outgoing.local:
            cause = EndCause.NO_ANSWER if response.code == 408 else EndCause.TRANSPORT
        else:
            cause = EndCause.NO_ANSWER if response.code == 408 else EndCause.REJECTED
        self.end(cause, response.code, response.phrase, by_peer=not self._outgoing.local)

    def _final(self, response: Response) -> None:
        if self.final is None and not self._outgoing.local:
            self.final = response  # stays, whatever else was answered
        self.on_word()

    # -- giving up --

    def _abort(self, reason: str | None) -> None:
        """`bye` before the call is established: CANCEL, or ACK and BYE when the 2xx is there already."""
        if self.stage is Stage.ACCEPTED and self.dialog is not None:
            self._acks[self.dialog.remote_tag] = self.send_ack(self._outgoing, self.dialog)
            self.send_bye(reason)
            self.end(EndCause.LOCAL, reason=reason or "")
            return
        self._give_up(EndCause.CANCELLED, 487)

    def _give_up(self, cause: EndCause, code: int) -> None:
        """9.1: "If no provisional response has been received, the CANCEL request MUST NOT be sent; rather,
        the client MUST wait for the arrival of a provisional response before sending the request."
        """
        self._outgoing.abandon()
        if self._proceeding:
            self._cancel()
        else:
            self._cancel_due = True
        self.end(cause, code)

    def _cancel(self) -> None:
        self._cancel_due = False
        invite = self._outgoing.transaction
        if invite is not None:
            cancel = cancel_of(invite.request)
            self.core.start_client(cancel, serialize(cancel), invite.flow, _ignored, _ignored)
            self.core.timers.at(self.core.now + self.core.timing.timeout, invite.forsake)

    def _wait_on(self) -> None:
        """Timer B has stopped: a call that rings without news is given up as by a proxy (Timer C, 16.6)."""
        self._stop_waiting()
        if not self.ended:
            self._patience = self.core.timers.at(self.core.now + self.core.timing.ringing, self._no_answer)

    def _no_answer(self) -> None:
        self._give_up(EndCause.NO_ANSWER, 408)

    def _stop_waiting(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def end(self, cause: EndCause, code: int | None = None, reason: str = "", *, by_peer: bool = False) -> None:
        self._stop_waiting()
        self._drop_forks()
        super().end(cause, code, reason, by_peer=by_peer)

    def _drop_forks(self) -> None:
        for fork in self._forks.values():
            self.core.leave_dialog(fork)
        self._forks.clear()

    # -- early dialogs --

    def receive(self, transaction: ServerTransaction, dialog: Dialog) -> None:
        """In an early dialog a BYE may have overtaken the 2xx: it is remembered until that comes."""
        if dialog is not self.dialog and transaction.request.method == "BYE":
            self._hung_up_early.add(dialog.remote_tag)
            self.reply(transaction, 200)
        else:
            super().receive(transaction, dialog)

    def _dialog_of(self, response: Response) -> Dialog:
        request = self.request
        hidden = None
        if self._target.flow is not None and not self._target.route:
            try:
                hidden = next_hop(self._target.uri).host
            except ValueError:
                hidden = None
        dialog = Dialog.of_response(request, response, self.flow, hidden)
        dialog.local_seq = self._seq
        if contact_of(response) is not None or dialog.route_set:
            self.aim(dialog)
        return dialog


def _ignored(_: object) -> None:
    """What becomes of a CANCEL is told by the final response to its INVITE."""


def _fields_of(response: Response) -> list[tuple[str, str]]:
    fields = response.headers
    return [(name, value) for name in fields.keys() for value in fields.getlist(name)]  # noqa: SIM118 (sipmessage.Headers is no mapping)
