"""The signalling core: everything of RFC 3261 that a user agent does, without I/O and without a clock.

Input: `receive`, `flow_failed`, `handle_timer`, the calls of the application, and the methods of the
sessions. Output: `next_output`, one after another, and `next_timer`. The shell is `endpoint.py`.

The way of a request leads on in `inbound.py`; that of a response from here to its transaction, `outgoing.py` and the
session that asked.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Protocol

from voice.address import is_numeric
from voice.sip.calling import OutgoingSession, as_name_addr
from voice.sip.client_transactions import ClientTransaction, InviteClient, NonInviteClient
from voice.sip.core import (
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
from voice.sip.inbound import Inbound, MessageReply
from voice.sip.message import (
    MessageError,
    Request,
    Response,
    call_id,
    cseq,
    from_tag,
    new_call_id,
    new_tag,
    parse,
    split_list,
    to_tag,
    top_via,
)
from voice.sip.outgoing import Outgoing
from voice.sip.registrar import Registrar
from voice.sip.routing import NextHop, Paths, plan_route
from voice.sip.server_transactions import ServerTransaction
from voice.sip.session import InviteSession
from voice.sip.strays import Strays
from voice.sip.timers import TimerQueue, Timing
from voice.sip.transactions import (
    Input,
    Key,
    client_key,
)

__all__ = [
    "Counters", "Identity", "Limits", "MessageReply", "SessionTimerPolicy", "Target", "UserAgent",
]  # fmt: skip


class Shell(Protocol):
    """What the core needs of the world when the application, not the network, sets it in motion."""

    def now(self) -> float:
        """Monotonic seconds."""
        ...

    def wake(self) -> None:
        """There is output to take, soon; never from within this call."""
        ...


@dataclass(slots=True)
class _Numbers:
    """The Call-ID of a request and the last CSeq number used with it."""

    call_id: str
    seq: int

    def next(self) -> int:
        self.seq += 1
        return self.seq


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
        self._outputs: deque[Output] = deque()
        self._clients: dict[Key, ClientTransaction] = {}
        self._dialogs: dict[DialogKey, tuple[Dialog, InviteSession]] = {}
        self._registering: dict[tuple[str, str], _Numbers] = {}
        self._strays = Strays(self)
        self._inbound = Inbound(self, registrar=registrar, authenticator=authenticator, limits=limits or Limits())

    # -- input --

    def receive(self, data: bytes, flow: Flow, now: float) -> None:
        """One message from the network. Nothing that a peer sends raises here.

        A bug of ours does, after the request in hand got a 500.
        """
        self.now = now
        if not data.strip(b"\r\n\0\t "):
            self.counters.keepalives += 1
            return
        self.counters.received += 1
        try:
            message = parse(data, stream=flow.reliable)
        except MessageError as error:
            self._inbound.not_understood(error, flow)
            return
        if isinstance(message, Response):
            self._response(message, flow)
        else:
            try:
                self._inbound.receive(message, flow)
            except Exception:
                self._inbound.stumbled()
                raise

    def handle_timer(self, now: float) -> None:
        """Do what is due."""
        self.now = now
        self.timers.run(now)

    def flow_failed(self, flow: Flow, now: float) -> None:
        """A flow cannot deliver or was closed (18.4): its transactions learn it, its dialogs take another."""
        self.now = now
        for client in [one for one in self._clients.values() if one.flow == flow]:
            client.feed(Input.TRANSPORT_ERROR)
        if flow.reliable:
            self._inbound.reroute(flow, self._paths)
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
            self._inbound.reply(output.transaction, 500)
        elif isinstance(output, Deliver) and isinstance(output.event, OfferReceived):
            output.session.refuse_offer(500)

    @property
    def load(self) -> tuple[int, int, int, int]:
        """Client transactions, server transactions, dialogs and timers that are alive."""
        return len(self._clients), len(self._inbound), len(self._dialogs), len(self.timers)

    # -- the application --

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
        numbers = self._numbers(method, target.uri, to_uri or target.uri)
        fields = [("Route", route) for route in routes]
        fields += [
            ("Max-Forwards", "70"),
            ("From", f"{as_name_addr(from_uri or self.identity.uri)};tag={new_tag(self.random)}"),
            ("To", as_name_addr(to_uri or target.uri)),
            ("Call-ID", numbers.call_id),
            ("User-Agent", self.identity.user_agent),
        ]
        given = {name.lower() for name, _ in headers}
        fields = [field for field in fields if field[0].lower() not in given or field[0] == "Route"]
        draft = Draft(method, uri, [*fields, *headers], hop, False, body, content_type)

        def heard(response: Response) -> None:
            if response.code >= 200:
                self._outputs.append(Reply(lambda: done(response)))

        outgoing = Outgoing(self, draft, next_seq=numbers.next, on_response=heard, credentials=credentials)
        outgoing.start(_way_to(target))

    def _numbers(self, method: str, uri: str, to_uri: str) -> "_Numbers":
        """Call-ID and CSeq of a request outside a dialog: new ones, but for REGISTER.

        10.2: "All registrations from a UAC SHOULD use the same Call-ID header field value for registrations sent to a
        particular registrar", with the CSeq counting up, or a registrar takes a refresh for an old message.
        """
        if method != "REGISTER":
            return self._new_numbers()
        if (uri, to_uri) not in self._registering:
            self._registering[uri, to_uri] = self._new_numbers()
        return self._registering[uri, to_uri]

    def _new_numbers(self) -> "_Numbers":
        return _Numbers(new_call_id(self.random), self.random.randrange(1, 2**16))

    def reply_message(
        self, transaction: ServerTransaction, reply: MessageReply | None, accepted: Sequence[str]
    ) -> None:
        """Answer a MESSAGE with what the application said."""
        self._inbound.reply_message(transaction, reply, accepted)

    # -- responses --

    def _response(self, response: Response, flow: Flow) -> None:
        """Section 18.1.2. The branch is the proof that it is ours: nobody guesses 80 random bits."""
        values = response.headers.getlist("Via")
        if len(values) != 1 or ("," in values[0] and len(split_list(values[0])) != 1):
            self.counters.stray_responses += 1  # 8.1.3.3: it was misrouted, and is discarded
            return
        via = top_via(response)
        transaction = self._clients.get(client_key(via, cseq(response)[1]))
        if transaction is not None:
            transaction.receive(response)
            return
        self.counters.stray_responses += 1
        self.counters.orphans += self._strays.end(response, via, flow)

    # -- for transactions and sessions (the protocol `Core`) --

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

    def contact(self, flow: Flow, *, secure: bool = False) -> str:
        """Our address as the peer of this flow can reach it; `secure`: as a SIPS URI (8.1.1.8, 12.1.1)."""
        address = f"{self.identity.user}@{host_port(self._paths.advertised(flow))}"
        if secure:
            return f"<sips:{address}>"
        suffix = "" if flow.protocol == UDP else f";transport={flow.protocol.lower()}"
        return f"<sip:{address}{suffix}>"

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

    def show(self, output: IncomingCall | MessageArrived) -> None:
        self._outputs.append(output)

    def dialog_of(self, request: Request) -> tuple[Dialog, InviteSession] | None:
        """The dialog that a request of a peer names: its To tag is ours."""
        return self._dialogs.get((call_id(request), to_tag(request) or "", from_tag(request) or ""))

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
