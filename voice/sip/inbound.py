"""Requests of peers: from the transaction they belong to, over the checks of section 8.2, to whoever deals with them.

`receive` finds or opens the transaction, `screening` checks the request, `_dispatch` hands it to a dialog, to a new
session, to the registrar or to the application (RFC 3261 sections 8.2, 9.2, 10.3, 11.2, 12.2.2).
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from voice.errors import UsageError
from voice.sip import session_timer
from voice.sip.answering import IncomingSession
from voice.sip.bodies import ACCEPTED
from voice.sip.core import METHODS, SUPPORTED, Core, Counters, Fields, Limits
from voice.sip.dialog import Dialog
from voice.sip.digest import Authenticator
from voice.sip.events import IncomingCall, MessageArrived
from voice.sip.flow import Flow
from voice.sip.message import (
    MessageError,
    Request,
    Response,
    ViaInfo,
    call_id,
    cseq,
    new_tag,
    response_to,
    serialize,
    stamp_via,
    to_tag,
    top_via,
)
from voice.sip.registrar import Registrar
from voice.sip.routing import Paths, reopened_flow, response_flow
from voice.sip.screening import screen
from voice.sip.server_transactions import InviteServer, NonInviteServer, ServerTransaction
from voice.sip.session import InviteSession
from voice.sip.transactions import Input, Key, State, is_rfc2543, merge_key, same_recipient, server_key


@dataclass(frozen=True, slots=True)
class MessageReply:
    """How the application answers a MESSAGE."""

    code: int = 200
    headers: Sequence[tuple[str, str]] = ()
    body: bytes = b""
    content_type: str | None = None


class Agent(Core, Protocol):
    """What serving requests needs beyond what a session needs."""

    counters: Counters

    def show(self, output: IncomingCall | MessageArrived) -> None:
        """Let the application have a look at this, after what was sent before."""

    def dialog_of(self, request: Request) -> tuple[Dialog, InviteSession] | None:
        """The dialog that a request of a peer names, and its session."""


class Inbound:
    """Everything that peers ask of us."""

    def __init__(
        self,
        agent: Agent,
        *,
        registrar: Registrar | None,
        authenticator: Authenticator | None,
        limits: Limits,
    ) -> None:
        self._agent = agent
        self._registrar = registrar
        self._authenticator = authenticator
        self._limits = limits
        self._methods = (*METHODS, "REGISTER") if registrar is not None else METHODS
        self._transactions: dict[Key, ServerTransaction] = {}
        self._merged: dict[Key, Key] = {}  # the transaction that was first to bring a request, by its names
        self._in_hand: ServerTransaction | None = None

    def __len__(self) -> int:
        return len(self._transactions)

    def receive(self, request: Request, flow: Flow) -> None:
        """One request, as it came."""
        self._in_hand = None
        via = top_via(request)
        key = server_key(request, via)
        known = self._transactions.get(key)
        if known is not None and (not is_rfc2543(key) or same_recipient(request, known.request, known.to_tag)):
            self._again(known, request)
        elif request.method == "ACK":
            self._ack(request)
        elif len(self._transactions) >= self._limits.transactions and not to_tag(request):
            self._agent.counters.overloaded += 1
            self._refuse_statelessly(request, via, flow, 503, headers=[("Retry-After", "10")])
        else:
            stamp_via(request, flow.remote)
            self._dispatch(self._open(request, via, key, flow))

    def _again(self, known: ServerTransaction, request: Request) -> None:
        if request.method != "ACK":
            self._agent.counters.retransmissions_in += 1
            known.feed(Input.REQUEST)
        elif not known.feed(Input.ACK):
            self._ack(request)  # of a 2xx, by a peer that gives the ACK the branch of its INVITE

    def _ack(self, ack: Request) -> None:
        entry = self._agent.dialog_of(ack)
        if entry is None:
            self._agent.counters.stray_acks += 1
        else:
            entry[1].receive_ack(ack)

    def _open(self, request: Request, via: ViaInfo, key: Key, flow: Flow) -> ServerTransaction:
        kind = InviteServer if request.method == "INVITE" else NonInviteServer
        transaction = self._transactions[key] = self._in_hand = kind(self._agent, key, request, via, flow, self._forget)
        transaction.start()
        return transaction

    def _forget(self, key: Key) -> None:
        transaction = self._transactions.pop(key, None)
        if transaction is not None:
            merging = merge_key(transaction.request)
            if self._merged.get(merging) == key:
                del self._merged[merging]

    def _dispatch(self, transaction: ServerTransaction) -> None:
        request = transaction.request
        if request.method == "CANCEL":
            self._cancel(transaction)
            return
        within = to_tag(request) is not None
        first = transaction.key if within else self._merged.setdefault(merge_key(request), transaction.key)
        refusal = screen(
            request,
            methods=self._methods,
            merged=first != transaction.key,
            max_body=self._limits.body,
        )
        if refusal is not None:
            self.reply(transaction, refusal.code, refusal.headers)
        elif within:
            self._within_dialog(transaction)
        else:
            self._outside_dialog(transaction)

    def _cancel(self, transaction: ServerTransaction) -> None:
        """Section 9.2: 481 without anything to cancel, else 200; after a final response no more than that."""
        request = transaction.request
        invite = self._transactions.get(server_key(request, transaction.via, "INVITE"))
        if invite is None:
            self.reply(transaction, 481)
            return
        self.reply(transaction, 200, tag=invite.to_tag)
        if invite.state is State.PROCEEDING:
            invite.on_cancel(invite)

    def _within_dialog(self, transaction: ServerTransaction) -> None:
        """Section 12.2.2."""
        entry = self._agent.dialog_of(transaction.request)
        if entry is None:
            self.reply(transaction, 481)
        elif transaction.request.method == "OPTIONS":
            if entry[0].accepts(cseq(transaction.request)[0]):
                self._options(transaction)
            else:
                self.reply(transaction, 500)
        elif transaction.request.method == "MESSAGE":
            self._agent.show(MessageArrived(transaction))
        else:
            entry[1].receive(transaction, entry[0])

    def _outside_dialog(self, transaction: ServerTransaction) -> None:
        request = transaction.request
        match request.method:
            case "INVITE":
                self._invited(transaction)
            case "OPTIONS":
                self._options(transaction)
            case "MESSAGE":
                self._agent.show(MessageArrived(transaction))
            case "REGISTER" if self._registrar is not None:
                response = self._registrar.register(request, transaction.source, self._agent.now)
                transaction.respond(self._tagged(response))
            case _:  # BYE, INFO, UPDATE of a dialog that we do not know
                self.reply(transaction, 481)

    def _invited(self, transaction: ServerTransaction) -> None:
        if session_timer.too_small(transaction.request, self._agent.session_timer):
            self.reply(transaction, 422, [("Min-SE", str(self._agent.session_timer.minimum))])
            return
        session = IncomingSession(self._agent, transaction, self._challenges)
        self._agent.show(IncomingCall(session))

    def _challenges(self, stale: bool) -> list[tuple[str, str]]:
        if self._authenticator is None:
            raise UsageError("there is no authenticator to challenge a caller with")
        return self._authenticator.challenge(self._agent.now, stale)

    def _options(self, transaction: ServerTransaction) -> None:
        """Section 11.2."""
        fields = [
            ("Allow", ", ".join(self._methods)),
            ("Accept", ACCEPTED),
            ("Accept-Encoding", "identity"),
            ("Accept-Language", "en"),
            ("Supported", SUPPORTED),
        ]
        self.reply(transaction, 200, fields)

    def not_understood(self, error: MessageError, flow: Flow) -> None:
        """What cannot be parsed is counted, and answered where a Via allows, but no ACK and no response."""
        self._agent.counters.unparseable += 1
        request = error.partial
        if request is not None and request.method != "ACK":
            self._agent.counters.answered_400 += error.status == 400
            self._refuse_statelessly(request, top_via(request), flow, error.status, error.reason)

    def _refuse_statelessly(
        self,
        request: Request,
        via: ViaInfo,
        flow: Flow,
        code: int,
        reason: str | None = None,
        headers: Fields = (),
    ) -> None:
        """Section 8.2.7: no state is kept; the To tag is the same for every repetition of the request."""
        stamp_via(request, flow.remote)
        names = f"{via.branch}{call_id(request)}".encode("utf-8", "surrogateescape")
        tag = hashlib.blake2b(names, digest_size=8).hexdigest()
        response = response_to(request, code, reason, to_tag=tag, headers=headers)
        self._agent.transmit(serialize(response), response_flow(via, flow))

    def stumbled(self) -> None:
        """We raised over a request ourselves: it gets a 500."""
        if self._in_hand is not None:
            self.reply(self._in_hand, 500)

    def reroute(self, flow: Flow, paths: Paths) -> None:
        """A connection is gone: what is still to be answered to its requests goes by another (18.2.2)."""
        for transaction in [one for one in self._transactions.values() if one.flow == flow]:
            transaction.reroute(reopened_flow(transaction.via, flow, paths))

    def reply_message(
        self, transaction: ServerTransaction, reply: MessageReply | None, accepted: Sequence[str]
    ) -> None:
        """Answer a MESSAGE; None: nobody takes such a body, and 415 says what is taken (RFC 3428)."""
        self._agent.wake()
        if reply is None:
            self.reply(transaction, 415, [("Accept", ", ".join(accepted))])
        else:
            self.reply(transaction, reply.code, reply.headers, reply.body, reply.content_type)

    def reply(
        self,
        transaction: ServerTransaction,
        code: int,
        headers: Fields = (),
        body: bytes = b"",
        content_type: str | None = None,
        *,
        tag: str | None = None,
    ) -> None:
        """Answer a request that is in no session."""
        transaction.respond(
            response_to(
                transaction.request,
                code,
                to_tag=tag or new_tag(self._agent.random),
                headers=[*headers, ("Server", self._agent.identity.user_agent)],
                body=body,
                content_type=content_type,
            )
        )

    def _tagged(self, response: Response) -> Response:
        """Section 8.2.6.2: every response but a 100 has a To tag."""
        if to_tag(response) is None:
            response.headers.set("To", f"{response.headers['To']};tag={new_tag(self._agent.random)}")
        return response
