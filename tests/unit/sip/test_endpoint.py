"""The asyncio shell: timers, events in order, names, and bugs that end nothing but themselves."""

import asyncio
from collections.abc import Callable, Sequence
from random import Random

import pytest
from structlog.testing import capture_logs

from tests.unit.sip.conversation import ANSWER, OFFER, PEER, US
from voice.sim.loop import virtually
from voice.sip.endpoint import Endpoint
from voice.sip.events import Answered, Confirmed, EndCause, Ended, OfferReceived, SessionEvent
from voice.sip.flow import Flow
from voice.sip.message import Message, Request, cseq, parse, to_tag
from voice.sip.session import InviteSession
from voice.sip.trace import Trace
from voice.sip.useragent import Identity, MessageReply, Target

FLOW = Flow("UDP", US, PEER)


class Wire:
    """A transport that keeps what is sent and delivers what a test says."""

    def __init__(self) -> None:
        self.receiver: Callable[[bytes, Flow], None] = lambda data, flow: None
        self.failed: Callable[[Flow, Exception], None] = lambda flow, error: None
        self.sent: list[tuple[Message, Flow]] = []
        self.open = False

    async def start(self) -> None:
        self.open = True

    async def close(self) -> None:
        self.open = False

    def flow(self, protocol: str, remote: tuple[str, int]) -> Flow:
        return Flow(protocol, US, remote, 0 if protocol == "UDP" else 1)

    def send(self, data: bytes, flow: Flow) -> None:
        assert self.open
        self.sent.append((parse(data), flow))

    def advertised(self, flow: Flow) -> tuple[str, int]:
        return US

    def protocols(self) -> frozenset[str]:
        return frozenset({"UDP", "TCP"})

    def names(self) -> list[str]:
        return [m.method if isinstance(m, Request) else str(m.code) for m, _ in self.sent]

    def say(
        self,
        start: str,
        to: Message | None = None,
        *,
        body: bytes = b"",
        branch: str = "z9hG4bK1",
        **more: str,
    ) -> None:
        """Deliver a request of the call `c`, or the response to a request of ours."""
        method = start.split()[0]
        lines = [start]
        if isinstance(to, Request):
            lines += [f"{name}: {to.headers[name]}" for name in ("Via", "From", "Call-ID", "CSeq")]
            lines += [f"To: {to.headers['To']}{'' if to_tag(to) else ';tag=bob'}"]
        else:
            tag = f";tag={more.pop('tag')}" if "tag" in more else ""
            lines += [f"Via: SIP/2.0/UDP {PEER[0]}:{PEER[1]};rport;branch={branch}", "From: <sip:p@h>;tag=p"]
            lines += [f"To: <sip:e@h>{tag}", "Call-ID: c", f"CSeq: {more.pop('seq', '1')} {method}"]
        lines += [f"Contact: <sip:p@{PEER[0]}:{PEER[1]}>"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in more.items()]
        lines += [
            f"Content-Type: {'application/sdp' if body else 'text/plain'}",
            f"Content-Length: {len(body)}",
            "",
            "",
        ]
        self.receiver("\r\n".join(lines).encode() + body, FLOW)


class Desk:
    """An application that answers every call and notes what it is told."""

    accepted_message_types: Sequence[str] = ("text/plain",)

    def __init__(self) -> None:
        self.sessions: list[InviteSession] = []
        self.events: list[SessionEvent] = []
        self.raises: type[SessionEvent] | str | None = None

    def incoming_call(self, session: InviteSession) -> None:
        if self.raises == "incoming_call":
            raise ZeroDivisionError("secret number 0612345678")
        self.sessions.append(session)
        session.handler = self.handle
        session.accept(ANSWER)

    def handle(self, event: SessionEvent) -> None:
        if type(event) is self.raises:
            raise ZeroDivisionError
        self.events.append(event)

    def message(self, request: Request, flow: Flow) -> MessageReply | None:
        if self.raises == "message":
            raise ZeroDivisionError
        return MessageReply(body=request.body) if request.body else None


async def switched_on(
    resolver: Callable[[str], object] | None = None, **options: object
) -> tuple[Endpoint, Wire, Desk]:
    wire, desk = Wire(), Desk()
    endpoint = Endpoint(
        wire,
        identity=Identity(domain="192.0.2.1"),
        application=desk,
        random=Random(1),
        resolver=resolver,  # type: ignore[arg-type]
        **options,  # type: ignore[arg-type]
    )
    await endpoint.start()
    return endpoint, wire, desk


@virtually
async def test_a_call_is_answered_confirmed_and_hung_up() -> None:
    _, wire, desk = await switched_on()
    wire.say("INVITE sip:e@h SIP/2.0", body=OFFER)
    assert wire.names() == ["200"]  # within the same turn of the loop
    tag = to_tag(wire.sent[0][0]) or ""
    wire.say("ACK sip:e@h SIP/2.0", tag=tag, branch="z9hG4bK2")
    wire.say("BYE sip:e@h SIP/2.0", tag=tag, seq="2", branch="z9hG4bK3")
    assert wire.names() == ["200", "200"]
    assert desk.events == [Confirmed(None), Ended(EndCause.BYE, by_peer=True)]


@virtually
async def test_the_timer_is_armed_for_the_next_deadline_and_for_no_other() -> None:
    endpoint, wire, desk = await switched_on()
    loop = asyncio.get_running_loop()
    start = loop.time()
    wire.say("INVITE sip:e@h SIP/2.0", body=OFFER)
    await asyncio.sleep(7.6)
    assert wire.names() == ["200"] * 5
    await asyncio.sleep(60)
    assert wire.names()[-1] == "BYE"
    assert desk.events == [Ended(EndCause.NO_ACK)]
    await asyncio.sleep(60)
    assert endpoint.load == (0, 0, 0, 0)
    assert loop.time() - start < 130


@virtually
async def test_no_handler_is_called_within_a_call_of_the_application() -> None:
    endpoint, wire, _ = await switched_on()
    events: list[SessionEvent] = []
    session = endpoint.dial(Target("sip:bob@198.51.100.7"), body=OFFER, handler=events.append)
    assert wire.sent == []
    await asyncio.sleep(0)
    assert wire.names() == ["INVITE"]
    invite = wire.sent[0][0]
    assert isinstance(invite, Request)
    wire.say("SIP/2.0 200 OK", invite, body=ANSWER)
    assert wire.names() == ["INVITE", "ACK"]
    assert [type(event) for event in events] == [Answered]
    session.bye()
    assert len(events) == 1
    await asyncio.sleep(0)
    assert wire.names() == ["INVITE", "ACK", "BYE"]
    assert events[-1] == Ended(EndCause.LOCAL)


@virtually
async def test_what_a_handler_does_goes_out_at_once() -> None:
    endpoint, wire, _ = await switched_on()
    sessions: list[InviteSession] = []

    def hang_up(event: SessionEvent) -> None:
        if isinstance(event, Answered):
            sessions[0].bye()

    sessions.append(endpoint.dial(Target("sip:bob@198.51.100.7"), body=OFFER, handler=hang_up))
    await asyncio.sleep(0)
    invite = wire.sent[0][0]
    assert isinstance(invite, Request)
    wire.say("SIP/2.0 200 OK", invite, body=ANSWER)
    assert wire.names() == ["INVITE", "ACK", "BYE"]


@virtually
async def test_a_bug_of_the_application_over_a_call_is_a_500_and_logged_without_personal_data() -> None:
    _, wire, desk = await switched_on()
    desk.raises = "incoming_call"
    with capture_logs() as logs:
        wire.say("INVITE sip:e@h SIP/2.0", body=OFFER)
    assert wire.names() == ["500"]
    assert logs[0]["log_level"] == "error"
    assert "0612345678" not in str({key: value for key, value in logs[0].items() if key != "exc_info"})
    desk.raises = None
    wire.say("OPTIONS sip:e@h SIP/2.0", branch="z9hG4bK9", seq="7")
    assert wire.names() == ["500", "200"]


@virtually
async def test_a_bug_of_the_application_over_an_offer_is_a_500_and_the_call_goes_on() -> None:
    _, wire, desk = await switched_on()
    wire.say("INVITE sip:e@h SIP/2.0", body=OFFER)
    tag = to_tag(wire.sent[0][0]) or ""
    wire.say("ACK sip:e@h SIP/2.0", tag=tag, branch="z9hG4bK2")
    desk.raises = OfferReceived
    with capture_logs():
        wire.say("INVITE sip:e@h SIP/2.0", tag=tag, seq="2", branch="z9hG4bK3", body=OFFER)
    assert wire.names() == ["200", "500"]
    assert not desk.sessions[0].ended


@virtually
async def test_a_bug_of_the_application_over_a_message_is_a_500() -> None:
    _, wire, desk = await switched_on()
    desk.raises = "message"
    with capture_logs():
        wire.say("MESSAGE sip:e@h SIP/2.0", body=b"x")
    assert wire.names() == ["500"]


@virtually
async def test_a_bug_of_the_core_is_logged_and_the_next_message_is_served(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    endpoint, wire, _ = await switched_on()

    def stumble(_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(endpoint._agent._inbound, "_options", stumble)
    with capture_logs() as logs:
        wire.say("OPTIONS sip:e@h SIP/2.0")
    assert wire.names() == ["500"]
    assert logs
    wire.say("MESSAGE sip:e@h SIP/2.0", body=b"x", branch="z9hG4bK2", seq="2")
    assert wire.names() == ["500", "200"]


@virtually
async def test_a_request_is_awaited() -> None:
    endpoint, wire, _ = await switched_on()
    waiting = asyncio.ensure_future(endpoint.request("OPTIONS", Target("sip:198.51.100.7")))
    await asyncio.sleep(0.01)
    request = wire.sent[0][0]
    assert isinstance(request, Request)
    wire.say("SIP/2.0 200 OK", request)
    assert (await waiting).code == 200


@virtually
async def test_a_request_that_nobody_answers_gives_408() -> None:
    endpoint, _, _ = await switched_on()
    response = await endpoint.request("OPTIONS", Target("sip:198.51.100.7"))
    assert response.code == 408


@virtually
async def test_a_request_whose_caller_has_gone_harms_nobody() -> None:
    endpoint, wire, _ = await switched_on()
    waiting = asyncio.ensure_future(endpoint.request("OPTIONS", Target("sip:198.51.100.7")))
    await asyncio.sleep(0.01)
    waiting.cancel()
    request = wire.sent[0][0]
    assert isinstance(request, Request)
    wire.say("SIP/2.0 200 OK", request)
    await asyncio.sleep(40)
    assert endpoint.load == (0, 0, 0, 0)


@virtually
async def test_names_are_resolved_by_the_resolver() -> None:
    async def resolver(host: str) -> str | None:
        await asyncio.sleep(0.5)
        if host == "broken.example":
            raise OSError
        if host == "long.example":
            raise UnicodeError("label too long")
        return {"pbx.example": "203.0.113.5"}.get(host)

    endpoint, wire, _ = await switched_on(resolver)
    waiting = asyncio.ensure_future(endpoint.request("OPTIONS", Target("sip:pbx.example:5070")))
    await asyncio.sleep(1)
    request, flow = wire.sent[0]
    assert flow.remote == ("203.0.113.5", 5070)
    assert isinstance(request, Request)
    wire.say("SIP/2.0 200 OK", request)
    assert (await waiting).code == 200
    for name in ("nobody.example", "broken.example", "long.example"):
        with capture_logs():
            assert (await endpoint.request("OPTIONS", Target(f"sip:{name}"))).code == 503


@virtually
async def test_a_failed_flow_is_told_to_the_call() -> None:
    endpoint, wire, _ = await switched_on()
    events: list[SessionEvent] = []
    endpoint.dial(Target("sip:bob@198.51.100.7"), body=OFFER, handler=events.append)
    await asyncio.sleep(0)
    with capture_logs():
        wire.failed(wire.sent[0][1], ConnectionRefusedError())
    assert events == [Ended(EndCause.TRANSPORT, 503, "Service Unavailable")]


@virtually
async def test_closing_sends_what_waits_and_then_nothing_more() -> None:
    endpoint, wire, desk = await switched_on()
    wire.say("INVITE sip:e@h SIP/2.0", body=OFFER)
    wire.say("ACK sip:e@h SIP/2.0", tag=to_tag(wire.sent[0][0]) or "", branch="z9hG4bK2")
    desk.sessions[0].bye()
    await endpoint.close()
    assert wire.names() == ["200", "BYE"]
    wire.say("OPTIONS sip:e@h SIP/2.0", branch="z9hG4bK9")
    await asyncio.sleep(60)
    await endpoint.close()
    assert wire.names() == ["200", "BYE"]


@virtually
async def test_everything_is_traced() -> None:
    from voice.sim.loop import virtual_loop

    trace = Trace(virtual_loop().clock)
    _, wire, _ = await switched_on(trace=trace)
    wire.say("OPTIONS sip:e@h SIP/2.0")
    picture = trace.ladder("c")
    assert "OPTIONS" in picture
    assert "200" in picture


@virtually
async def test_messages_are_counted() -> None:
    endpoint, wire, _ = await switched_on()
    wire.say("OPTIONS sip:e@h SIP/2.0")
    wire.say("OPTIONS sip:e@h SIP/2.0")
    wire.receiver(b"nonsense", FLOW)
    counters = endpoint.counters
    assert (counters.received, counters.sent, counters.unparseable) == (3, 2, 1)
    assert (counters.retransmissions_in, counters.retransmissions_out) == (1, 1)
    assert cseq(wire.sent[0][0]) == (1, "OPTIONS")
