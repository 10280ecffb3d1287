"""The signalling core: everything of RFC 3261 that a user agent does, without I/O and without a clock.

Input: `receive`, `flow_failed`, `handle_timer`, the calls of the application, and the methods of the
sessions. Output: `next_output`, one after another, and `next_timer`. The shell is `endpoint.py`.

The way of a request: `receive` parses, `_request` finds its transaction or opens one, `screening` checks it,
`_dispatch` hands it to a dialog, a new session, the registrar or the application.
"""

import hashlib
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Protocol

from voice.errors import UsageError
from voice.sip import session_timer
from voice.sip.answering import IncomingSession
from voice.sip.bodies import ACCEPTED
from voice.sip.calling import OutgoingSession
from voice.sip.client_transactions import ClientTransaction, InviteClient, NonInviteClient
from voice.sip.core import (
    METHODS,
    SUPPORTED,
    Counters,
    Draft,
    Fields,
    Identity,
    Limits,
    SessionTimerPolicy,
    Target,
)
from voice.sip.dialog import Dialog, DialogKey
from voice.sip.digest import Authenticator, Credentials
from voice.sip.events import (
    Deliver,
    IncomingCall,
    MessageArrived,
    OfferReceived,
    Output,
    Reply,
    Resolve,
    Send,
    SessionEvent,
)
from voice.sip.flow import TCP, TLS, UDP, Flow, host_port
from voice.sip.message import (
    MessageError,
    Request,
    Response,
    ViaInfo,
    call_id,
    cseq,
    from_tag,
    new_call_id,
    new_tag,
    parse,
    response_to,
    serialize,
    split_list,
    stamp_via,
    to_tag,
    top_via,
)
from voice.sip.outgoing import Outgoing
from voice.sip.registrar import Registrar
from voice.sip.routing import NextHop, Paths, is_numeric, plan_route, reopened_flow, response_flow
from voice.sip.screening import screen
from voice.sip.server_transactions import InviteServer, NonInviteServer, ServerTransaction
from voice.sip.session import InviteSession
from voice.sip.timers import TimerQueue, Timing
from voice.sip.transactions import (
    Input,
    Key,
    State,
    client_key,
    is_rfc2543,
    merge_key,
    same_recipient,
    server_key,
)

__all__ = [
    "Counters", "Identity", "Limits", "MessageReply", "SessionTimerPolicy", "Target", "UserAgent",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class MessageReply:
    """How the application answers a MESSAGE."""

    code: int = 200
    headers: Sequence[tuple[str, str]] = ()
    body: bytes = b""
    content_type: str | None = None


class Shell(Protocol):
    """What the core needs of the world when the application, not the network, sets it in motion."""

    def now(self) -> float:
        """Monotonic seconds."""
        ...

    def wake(self) -> None:
        """There is output to take, soon; never from within this call."""
        ...


class UserAgent:
    """One user agent: UAC, UAS and, with a registrar, that as well."""

    def __init__(
        self,
        paths: Paths,
        shell: Shell,
        *,
        identity: Identity,
        random: Random,
        registrar: Registrar | None = None,
        authenticator: Authenticator | None = None,
        timing: Timing | None = None,
        session_timer: SessionTimerPolicy | None = None,
        limits: Limits | None = None,
    ) -> None:
        self.now = shell.now()
        self.timers = TimerQueue()
        self.timing = timing or Timing()
        self.random = random
        self.identity = identity
        self.session_timer = session_timer or SessionTimerPolicy()
        self.counters = Counters()
        self._paths = paths
        self._shell = shell
        self._registrar = registrar
        self._authenticator = authenticator
        self._limits = limits or Limits()
        self._methods = (*METHODS, "REGISTER") if registrar is not None else METHODS
        self._outputs: deque[Output] = deque()
        self._clients: dict[Key, ClientTransaction] = {}
        self._servers: dict[Key, ServerTransaction] = {}
        self._merged: dict[Key, Key] = {}
        self._dialogs: dict[DialogKey, tuple[Dialog, InviteSession]] = {}
        self._in_hand: ServerTransaction | None = None

    # ---- input -----------------------------------------------------------------------------------

    def receive(self, data: bytes, flow: Flow, now: float) -> None:
        """One message from the network. Nothing that a peer sends raises here."""
        self.now = now
        self._in_hand = None
        if not data.strip(b"\r\n\0\t "):
            self.counters.keepalives += 1
            return
        self.counters.received += 1
        try:
            message = parse(data, stream=flow.reliable)
        except MessageError as error:
            self._not_understood(error, flow)
            return
        if isinstance(message, Response):
            self._response(message)
        else:
            self._request(message, flow)

    def handle_timer(self, now: float) -> None:
        """Do what is due."""
        self.now = now
        self._in_hand = None
        self.timers.run(now)

    def flow_failed(self, flow: Flow, now: float) -> None:
        """A flow cannot deliver or was closed (18.4): its transactions learn it, its dialogs take another."""
        self.now = now
        self._in_hand = None
        for client in [one for one in self._clients.values() if one.flow == flow]:
            client.feed(Input.TRANSPORT_ERROR)
        if flow.reliable:
            for server in [one for one in self._servers.values() if one.flow == flow]:
                server.reroute(reopened_flow(server.via, flow, self._paths))
            for dialog, _ in self._dialogs.values():
                dialog.flow_lost = dialog.flow_lost or dialog.flow == flow

    def next_timer(self) -> float | None:
        """When `handle_timer` wants to be called next."""
        return self.timers.next()

    def next_output(self) -> Output | None:
        """What the shell has to do next, or None."""
        return self._outputs.popleft() if self._outputs else None

    def crashed(self, output: Output) -> None:
        """The application raised over this output: the peer gets a 500 where it waits for an answer."""
        if isinstance(output, IncomingCall):
            output.session.reject(500)
        elif isinstance(output, MessageArrived):
            self._reply(output.transaction, 500)
        elif isinstance(output, Deliver) and isinstance(output.event, OfferReceived):
            output.session.refuse_offer(500)

    def stumbled(self) -> None:
        """We raised over a request ourselves: it gets a 500."""
        if self._in_hand is not None:
            self._reply(self._in_hand, 500)

    @property
    def load(self) -> tuple[int, int, int, int]:
        """Client transactions, server transactions, dialogs and timers that are alive."""
        return len(self._clients), len(self._servers), len(self._dialogs), len(self.timers)

    # ---- the application -------------------------------------------------------------------------

    def dial(
        self,
        target: Target,
        *,
        body: bytes | None,
        content_type: str = "application/sdp",
        headers: Fields = (),
        handler: Callable[[SessionEvent], None],
        credentials: Credentials | None = None,
        from_uri: str | None = None,
    ) -> InviteSession:
        """Call somebody. Without a body the peer is asked for its offer."""
        self.wake()
        session = OutgoingSession(
            self,
            target,
            body=body,
            content_type=content_type,
            headers=headers,
            handler=handler,
            credentials=credentials,
            from_uri=from_uri,
        )
        session.start(_way_to(target))
        return session

    def request(
        self,
        method: str,
        target: Target,
        *,
        done: Callable[[Response], None],
        headers: Fields = (),
        body: bytes = b"",
        content_type: str | None = None,
        credentials: Credentials | None = None,
        from_uri: str | None = None,
        to_uri: str | None = None,
    ) -> None:
        """Send a request outside a dialog; `done` gets its final response."""
        self.wake()
        uri, routes, hop = plan_route(target.uri, target.route)
        fields = [("Route", route) for route in routes]
        fields += [
            ("Max-Forwards", "70"),
            ("From", f"<{from_uri or self.identity.uri}>;tag={new_tag(self.random)}"),
            ("To", f"<{to_uri or target.uri}>"),
            ("Call-ID", new_call_id(self.random)),
            ("User-Agent", self.identity.user_agent),
        ]
        given = {name.lower() for name, _ in headers}
        fields = [field for field in fields if field[0].lower() not in given or field[0] == "Route"]
        draft = Draft(method, uri, [*fields, *headers], hop, False, body, content_type)
        first = self.random.randrange(1, 2**16)
        numbers = iter(range(first, first + 1000))

        def heard(response: Response) -> None:
            if response.code >= 200:
                self._outputs.append(Reply(lambda: done(response)))

        outgoing = Outgoing(self, draft, next_seq=lambda: next(numbers), on_response=heard, credentials=credentials)
        outgoing.start(_way_to(target))

    def reply_message(
        self, transaction: ServerTransaction, reply: MessageReply | None, accepted: Sequence[str]
    ) -> None:
        """Answer a MESSAGE; None: nobody takes such a body, and 415 says what is taken (RFC 3428)."""
        self.wake()
        if reply is None:
            self._reply(transaction, 415, [("Accept", ", ".join(accepted))])
        else:
            self._reply(transaction, reply.code, reply.headers, reply.body, reply.content_type)

    # ---- responses -------------------------------------------------------------------------------

    def _response(self, response: Response) -> None:
        """Section 18.1.2. The branch is the proof that it is ours: nobody guesses 80 random bits."""
        values = response.headers.getlist("Via")
        transaction = None
        # 8.1.3.3: with more than one Via it was misrouted, and is discarded.
        if len(values) == 1 and ("," not in values[0] or len(split_list(values[0])) == 1):
            transaction = self._clients.get(client_key(top_via(response), cseq(response)[1]))
        if transaction is None:
            self.counters.stray_responses += 1
        else:
            transaction.receive(response)

    # ---- requests --------------------------------------------------------------------------------

    def _not_understood(self, error: MessageError, flow: Flow) -> None:
        """What cannot be parsed is counted, and answered where a Via allows, but no ACK and no response."""
        self.counters.unparseable += 1
        request = error.partial
        if request is not None and request.method != "ACK":
            self.counters.answered_400 += error.status == 400
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
        self.transmit(serialize(response), response_flow(via, flow))

    def _request(self, request: Request, flow: Flow) -> None:
        via = top_via(request)
        key = server_key(request, via)
        known = self._servers.get(key)
        if known is not None and (not is_rfc2543(key) or same_recipient(request, known.request, known.to_tag)):
            self._again(known, request)
        elif request.method == "ACK":
            self._ack(request)
        elif len(self._servers) >= self._limits.transactions and not to_tag(request):
            self.counters.overloaded += 1
            self._refuse_statelessly(request, via, flow, 503, headers=[("Retry-After", "10")])
        else:
            stamp_via(request, flow.remote)
            self._dispatch(self._open(request, via, key, flow))

    def _again(self, known: ServerTransaction, request: Request) -> None:
        if request.method != "ACK":
            self.counters.retransmissions_in += 1
            known.feed(Input.REQUEST)
        elif not known.feed(Input.ACK):
            self._ack(request)  # of a 2xx, by a peer that gives the ACK the branch of its INVITE

    def _ack(self, ack: Request) -> None:
        entry = self._dialogs.get(_dialog_key(ack))
        if entry is None:
            self.counters.stray_acks += 1
        else:
            entry[1].receive_ack(ack)

    def _open(self, request: Request, via: ViaInfo, key: Key, flow: Flow) -> ServerTransaction:
        kind = InviteServer if request.method == "INVITE" else NonInviteServer
        transaction = self._servers[key] = self._in_hand = kind(self, key, request, via, flow, self._server_ended)
        transaction.start()
        return transaction

    def _server_ended(self, key: Key) -> None:
        transaction = self._servers.pop(key, None)
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
            self._reply(transaction, refusal.code, refusal.headers)
        elif within:
            self._within_dialog(transaction)
        else:
            self._outside_dialog(transaction)

    def _cancel(self, transaction: ServerTransaction) -> None:
        """Section 9.2: 481 without anything to cancel, else 200; after a final response no more than that."""
        request = transaction.request
        invite = self._servers.get(server_key(request, transaction.via, "INVITE"))
        if invite is None:
            self._reply(transaction, 481)
            return
        self._reply(transaction, 200, tag=invite.to_tag)
        if invite.state is State.PROCEEDING:
            invite.on_cancel(invite)

    def _within_dialog(self, transaction: ServerTransaction) -> None:
        """Section 12.2.2."""
        entry = self._dialogs.get(_dialog_key(transaction.request))
        if entry is None:
            self._reply(transaction, 481)
        elif transaction.request.method == "OPTIONS":
            if entry[0].accepts(cseq(transaction.request)[0]):
                self._options(transaction)
            else:
                self._reply(transaction, 500)
        elif transaction.request.method == "MESSAGE":
            self._outputs.append(MessageArrived(transaction))
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
                self._outputs.append(MessageArrived(transaction))
            case "REGISTER" if self._registrar is not None:
                response = self._registrar.register(request, transaction.source, self.now)
                transaction.respond(self._tagged(response))
            case _:  # BYE, INFO, UPDATE of a dialog that we do not know
                self._reply(transaction, 481)

    def _invited(self, transaction: ServerTransaction) -> None:
        if session_timer.too_small(transaction.request, self.session_timer):
            self._reply(transaction, 422, [("Min-SE", str(self.session_timer.minimum))])
            return
        session = IncomingSession(self, transaction, self._challenges)
        self._outputs.append(IncomingCall(session))

    def _challenges(self, stale: bool) -> list[tuple[str, str]]:
        if self._authenticator is None:
            raise UsageError("there is no authenticator to challenge a caller with")
        return self._authenticator.challenge(self.now, stale)

    def _options(self, transaction: ServerTransaction) -> None:
        """Section 11.2."""
        fields = [
            ("Allow", ", ".join(self._methods)),
            ("Accept", ACCEPTED),
            ("Accept-Encoding", "identity"),
            ("Accept-Language", "en"),
            ("Supported", SUPPORTED),
        ]
        self._reply(transaction, 200, fields)

    def _reply(
        self,
        transaction: ServerTransaction,
        code: int,
        headers: Fields = (),
        body: bytes = b"",
        content_type: str | None = None,
        *,
        tag: str | None = None,
    ) -> None:
        transaction.respond(
            response_to(
                transaction.request,
                code,
                to_tag=tag or new_tag(self.random),
                headers=[*headers, ("Server", self.identity.user_agent)],
                body=body,
                content_type=content_type,
            )
        )

    def _tagged(self, response: Response) -> Response:
        """Section 8.2.6.2: every response but a 100 has a To tag."""
        if to_tag(response) is None:
            response.headers.set("To", f"{response.headers['To']};tag={new_tag(self.random)}")
        return response

    # ---- for transactions and sessions (the protocol `Core`) -------------------------------------

    def transmit(self, data: bytes, flow: Flow) -> None:
        self.counters.sent += 1
        self._outputs.append(Send(data, flow))

    def retransmit(self, data: bytes, flow: Flow) -> None:
        self.counters.retransmissions_out += 1
        self.transmit(data, flow)

    def deliver(self, session: InviteSession, event: SessionEvent) -> None:
        self._outputs.append(Deliver(session, event))

    def wake(self) -> None:
        self.now = self._shell.now()
        self._shell.wake()

    def via(self, flow: Flow, branch: str) -> str:
        """With `rport` (RFC 3581), so that responses find back through a NAT in front of us."""
        sent_by = host_port(self._paths.advertised(flow))
        return f"SIP/2.0/{flow.protocol} {sent_by};rport;branch={branch}"

    def contact(self, flow: Flow) -> str:
        """Our address as the peer of this flow can reach it."""
        suffix = "" if flow.protocol == UDP else f";transport={flow.protocol.lower()}"
        return f"<sip:{self.identity.user}@{host_port(self._paths.advertised(flow))}{suffix}>"

    def locate(self, hop: NextHop, then: Callable[[Flow | None], None]) -> None:
        spoken = self._paths.protocols()
        if hop.protocol not in spoken and not hop.explicit_protocol:
            hop = replace(hop, protocol=next((one for one in (TCP, TLS) if one in spoken), hop.protocol))
        if hop.protocol not in spoken:
            then(None)
        elif hop.numeric:
            then(self._paths.flow(hop.protocol, (hop.host, hop.port)))
        else:
            self._outputs.append(Resolve(hop, lambda host: self._resolved(hop, host, then)))

    def _resolved(self, hop: NextHop, host: str | None, then: Callable[[Flow | None], None]) -> None:
        self.wake()
        if host is None or not is_numeric(host):
            then(None)
        else:
            then(self._paths.flow(hop.protocol, (host, hop.port)))

    def larger_flow(self, flow: Flow) -> Flow | None:
        return self._paths.flow(TCP, flow.remote) if TCP in self._paths.protocols() else None

    def start_client(
        self,
        request: Request,
        data: bytes,
        flow: Flow,
        on_response: Callable[[Response], None],
        on_failure: Callable[[int], None],
    ) -> ClientTransaction:
        kind = InviteClient if request.method == "INVITE" else NonInviteClient
        key = client_key(top_via(request), request.method)
        transaction = self._clients[key] = kind(
            self,
            key,
            request,
            data,
            flow,
            on_response=on_response,
            on_failure=on_failure,
            ended=self._client_ended,
        )
        transaction.start()
        return transaction

    def _client_ended(self, key: Key) -> None:
        self._clients.pop(key, None)

    def enter_dialog(self, dialog: Dialog, session: InviteSession) -> None:
        self._dialogs[dialog.key] = dialog, session

    def leave_dialog(self, dialog: Dialog) -> None:
        self._dialogs.pop(dialog.key, None)

    def knows(self, dialog: Dialog) -> bool:
        return dialog.key in self._dialogs


def _way_to(target: Target) -> Flow | NextHop | None:
    """The flow or next hop that a target names; None when its route or URI has to say it."""
    if target.flow is not None or target.next_hop is None:
        return target.flow
    protocol, (host, port) = target.next_hop
    return NextHop(protocol.upper(), host, port)


def _dialog_key(request: Request) -> DialogKey:
    """Of a request that came in: the To tag is ours."""
    return call_id(request), to_tag(request) or "", from_tag(request) or ""
