"""A conversation with the signalling core in virtual time: what a peer sends, time passing, what is sent back.

talk = Conversation()
talk.peer.invite()              # the peer's INVITE arrives
talk.session.accept(ANSWER)     # the application answers
assert talk.sent() == ["200"]   # everything sent since the last look, as methods and codes
"""

from dataclasses import dataclass, field, replace
from random import Random

from voice.sip.core import SessionTimerPolicy, Target
from voice.sip.digest import Credentials
from voice.sip.endpoint import Identity
from voice.sip.events import Deliver, IncomingCall, MessageArrived, Reply, Resolve, Send, SessionEvent
from voice.sip.flow import Flow, host_port
from voice.sip.message import Message, MessageError, Request, Response, cseq, parse, to_tag, top_via
from voice.sip.session import InviteSession
from voice.sip.timers import Timing
from voice.sip.useragent import MessageReply, UserAgent

US = ("192.0.2.1", 5060)
PEER = ("198.51.100.7", 5060)
OFFER = b"v=0\r\no=- 1 1 IN IP4 198.51.100.7\r\ns=-\r\nm=audio 4000 RTP/AVP 8\r\n"
ANSWER = b"v=0\r\no=- 2 1 IN IP4 192.0.2.1\r\ns=-\r\nm=audio 6000 RTP/AVP 8\r\n"
OTHER = b"v=0\r\no=- 2 2 IN IP4 192.0.2.1\r\ns=-\r\nm=audio 6002 RTP/AVP 8\r\n"


@dataclass
class Paths:
    """The transport as the core sees it: it never sends, it only knows flows."""

    spoken: frozenset[str] = frozenset({"UDP", "TCP", "TLS"})
    connections: int = 0
    streams: dict[tuple[str, tuple[str, int]], Flow] = field(default_factory=dict)

    def flow(self, protocol: str, remote: tuple[str, int]) -> Flow:
        if protocol == "UDP":
            return Flow("UDP", US, remote)
        known = self.streams.get((protocol, remote))
        if known is None:
            self.connections += 1
            known = self.streams[protocol, remote] = Flow(protocol, US, remote, self.connections)
        return known

    def forget(self, flow: Flow) -> None:
        self.streams = {key: known for key, known in self.streams.items() if known != flow}

    def advertised(self, flow: Flow) -> tuple[str, int]:
        return ("2001:db8::1", 5060) if ":" in flow.remote[0] else US

    def protocols(self) -> frozenset[str]:
        return self.spoken


class Conversation:
    """The core, its shell and its application, all in one, with a clock that the test moves."""

    def __init__(
        self,
        *,
        timing: Timing | None = None,
        session_timer: SessionTimerPolicy | None = None,
        protocol: str = "UDP",
        **options: object,
    ) -> None:
        self.clock = 1000.0
        self.paths = Paths()
        self.agent = UserAgent(
            self.paths,
            self,
            identity=Identity(domain="192.0.2.1"),
            random=Random(7),
            timing=timing,
            session_timer=session_timer or SessionTimerPolicy(interval=None),
            **options,  # type: ignore[arg-type]
        )
        self.flow = Flow("UDP", US, PEER) if protocol == "UDP" else self.paths.flow(protocol, PEER)
        self.peer = Peer(self)
        self.sessions: list[InviteSession] = []
        self.events: list[SessionEvent] = []
        self.log: list[Message] = []
        self.flows: list[Flow] = []
        self.lookups: list[Resolve] = []
        self.messages: list[Request] = []
        self.message_reply: MessageReply | None = MessageReply()
        self._seen = 0

    # the shell

    def now(self) -> float:
        return self.clock

    def wake(self) -> None:
        """The test drains when it looks."""

    def _drain(self) -> None:
        while (output := self.agent.next_output()) is not None:
            match output:
                case Send(data=data, flow=flow):
                    self.log.append(read_own(data))
                    self.flows.append(flow)
                case Deliver(session=session, event=event):
                    session.handler(event)
                case IncomingCall(session=session):
                    session.handler = self.events.append
                    self.sessions.append(session)
                case MessageArrived(transaction=transaction):
                    self.messages.append(transaction.request)
                    self.agent.reply_message(transaction, self.message_reply, ["text/plain"])
                case Resolve():
                    self.lookups.append(output)
                case Reply(give=give):
                    give()

    # what a test says

    def receive(self, message: str | bytes, flow: Flow | None = None) -> None:
        data = message if isinstance(message, bytes) else message.encode()
        self.agent.receive(data, flow or self.flow, self.clock)
        self._drain()

    def advance(self, seconds: float) -> None:
        """Let time pass; every deadline on the way is met at its time."""
        end = self.clock + seconds
        self._drain()
        while (due := self.agent.next_timer()) is not None and due <= end + 1e-9:
            self.clock = max(self.clock, due)
            self.agent.handle_timer(self.clock)
            self._drain()
        self.clock = end

    def fail(self, flow: Flow) -> None:
        self.paths.forget(flow)
        self.agent.flow_failed(flow, self.clock)
        self._drain()

    def call(
        self, uri: str = "sip:bob@198.51.100.7", *, body: bytes | None = OFFER, **options: object
    ) -> InviteSession:
        target = Target(uri, **{k: options.pop(k) for k in ("flow", "route", "next_hop") if k in options})  # type: ignore[arg-type]
        return self.agent.dial(target, body=body, handler=self.events.append, **options)  # type: ignore[arg-type]

    # what a test looks at

    @property
    def session(self) -> InviteSession:
        return self.sessions[-1]

    def messages_sent(self) -> list[Message]:
        """Everything sent since the last look."""
        self._drain()
        new, self._seen = self.log[self._seen :], len(self.log)
        return new

    def sent(self) -> list[str]:
        """The same, as methods and status codes."""
        return [name(message) for message in self.messages_sent()]

    def last(self) -> Message:
        """The last message sent."""
        self._drain()
        self._seen = len(self.log)
        return self.log[-1]

    def last_flow(self) -> Flow:
        self._drain()
        return self.flows[-1]

    def told(self) -> list[SessionEvent]:
        """Events since the last look."""
        self._drain()
        new = list(self.events)
        self.events.clear()
        return new


def read_own(data: bytes) -> Message:
    """What we sent. The refusal of a bad request repeats its fields, bad as they are."""
    try:
        return parse(data)
    except MessageError:
        return Response(int(data.split(None, 2)[1]), "")


def name(message: Message) -> str:
    return message.method if isinstance(message, Request) else str(message.code)


@dataclass
class Peer:
    """The other side, which only says what it is told to say."""

    talk: Conversation
    host: str = "198.51.100.7"
    port: int = 5060
    call_id: str = "call-1"
    tag: str = "peer-tag"
    seq: int = 100
    branches: int = 0

    def branch(self) -> str:
        self.branches += 1
        return f"z9hG4bKpeer{self.branches}"

    @property
    def address(self) -> str:
        return host_port((self.host, self.port))

    def request(
        self,
        method: str,
        *,
        uri: str = "sip:earshot@192.0.2.1",
        to: str = "<sip:earshot@192.0.2.1>",
        seq: int | None = None,
        branch: str | None = None,
        headers: tuple[str, ...] = (),
        body: bytes = b"",
        content_type: str = "application/sdp",
        via: str | None = None,
        contact: str | None = "",
        send: bool = True,
        flow: Flow | None = None,
    ) -> bytes:
        """Write a request and, unless told otherwise, send it. `contact` None leaves it out."""
        flow = flow or self.talk.flow
        if via is None:
            via = f"SIP/2.0/{flow.protocol} {self.address};rport;branch={branch or self.branch()}"
        number = self.seq if seq is None else seq
        lines = [
            f"{method} {uri} SIP/2.0",
            f"Via: {via}",
            "Max-Forwards: 70",
            f"From: <sip:peer@{self.host}>;tag={self.tag}",
            f"To: {to}",
            f"Call-ID: {self.call_id}",
            f"CSeq: {number} {method}",
        ]
        if contact is not None and method in ("INVITE", "UPDATE"):
            lines.append(f"Contact: {contact or f'<sip:peer@{self.address}>'}")
        lines += headers
        if body:
            lines.append(f"Content-Type: {content_type}")
        data = "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode() + body
        if send:
            self.talk.receive(data, flow)
        return data

    def invite(self, *, body: bytes = OFFER, **options: object) -> bytes:
        return self.request("INVITE", body=body, **options)  # type: ignore[arg-type]

    def within(self, method: str, session: InviteSession | None = None, **options: object) -> bytes:
        """A request in the dialog of the (last) session, with the next CSeq number unless told otherwise."""
        dialog = (session or self.talk.session).dialog
        assert dialog is not None
        if "seq" not in options and method != "ACK":
            self.seq += 1
        self.call_id, self.tag = dialog.call_id, dialog.remote_tag
        return self.request(method, to=f"<sip:earshot@192.0.2.1>;tag={dialog.local_tag}", **options)  # type: ignore[arg-type]

    def ack(self, session: InviteSession | None = None, **options: object) -> bytes:
        """The ACK of a 2xx."""
        return self.within("ACK", session, **options)

    def answer(
        self,
        request: Message,
        code: int,
        *,
        tag: str | None = "bob",
        headers: tuple[str, ...] = (),
        body: bytes = b"",
        contact: str | None = "",
        flow: Flow | None = None,
    ) -> bytes:
        """A response to a request of ours."""
        to = request.headers["To"]
        if tag and to_tag(request) is None and code > 100:
            to += f";tag={tag}"
        lines = [f"SIP/2.0 {code} Whatever", *(f"Via: {value}" for value in request.headers.getlist("Via"))]
        lines += [f"From: {request.headers['From']}", f"To: {to}", f"Call-ID: {request.headers['Call-ID']}"]
        lines.append(f"CSeq: {request.headers['CSeq']}")
        if contact is not None and 100 < code < 300 and cseq(request)[1] in ("INVITE", "UPDATE"):
            lines.append(f"Contact: {contact or f'<sip:bob@{self.address}>'}")
        lines += headers
        if body:
            lines.append("Content-Type: application/sdp")
        data = "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode() + body
        self.talk.receive(data, flow)
        return data


def established(**options: object) -> Conversation:
    """A conversation in which the peer has called and the call is up."""
    talk = Conversation(**options)  # type: ignore[arg-type]
    talk.peer.invite()
    talk.session.accept(ANSWER)
    talk.peer.ack()
    talk.sent(), talk.told()
    return talk


def dialled(**options: object) -> tuple[Conversation, InviteSession]:
    """A conversation in which we have called and the call is up."""
    talk = Conversation(**options)  # type: ignore[arg-type]
    session = talk.call()
    talk.peer.answer(talk.last(), 200, body=ANSWER)
    talk.sent(), talk.told()
    return talk, session


def times(talk: Conversation, seconds: float, step: float = 0.5) -> list[float]:
    """When something was sent within the next seconds, rounded to the step."""
    start, found = talk.clock, []
    for n in range(1, round(seconds / step) + 1):
        talk.advance(start + n * step - talk.clock)
        found += [n * step] * len(talk.sent())
    return found


def branch_of(message: Message) -> str:
    return top_via(message).branch or ""


def credentials() -> Credentials:
    return Credentials("alice", "secret")


def other_flow(flow: Flow, port: int) -> Flow:
    return replace(flow, remote=(flow.remote[0], port))
