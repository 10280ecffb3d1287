"""The asyncio shell of the signalling core: one transport, one timer, and the handing over of events.

All that is decided is decided in `useragent.py`. Here bytes go in and out, the next deadline is kept armed,
names are resolved, and the application is called: what it raises is logged without personal data and ends
nothing but itself.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from random import Random
from typing import Any, Protocol

import structlog

from voice.address import is_numeric
from voice.sip.bodies import SDP
from voice.sip.core import Counters, Identity, Limits, SessionTimerPolicy, Target
from voice.sip.digest import Authenticator, Credentials
from voice.sip.events import Deliver, IncomingCall, MessageArrived, Output, Reply, Resolve, Send, SessionEvent
from voice.sip.flow import UDP, Flow, host_port
from voice.sip.message import Request, Response
from voice.sip.registrar import Registrar
from voice.sip.session import InviteSession
from voice.sip.timers import Timing
from voice.sip.trace import Trace
from voice.sip.transport import Transport
from voice.sip.useragent import MessageReply, UserAgent

log = structlog.get_logger(__name__)

Resolver = Callable[[str], Awaitable[str | None]]
"""Finds an IP address for a host name; None when there is none."""


class Application(Protocol):
    """What stands above signalling."""

    accepted_message_types: Sequence[str]
    """The body types of MESSAGE that `message` takes; named in a 415."""

    def incoming_call(self, session: InviteSession) -> None:
        """A peer calls. Set `session.handler`, then ring, accept, reject or challenge, now or later."""
        ...

    def message(self, request: Request, flow: Flow) -> MessageReply | None:
        """A MESSAGE has come (RFC 3428). None: its body is of no type that we take."""
        ...


class Endpoint:
    """One SIP user agent on one transport."""

    def __init__(
        self,
        transport: Transport,
        *,
        identity: Identity,
        application: Application,
        registrar: Registrar | None = None,
        authenticator: Authenticator | None = None,
        trace: Trace | None = None,
        random: Random,
        resolver: Resolver | None = None,
        timing: Timing | None = None,
        session_timer: SessionTimerPolicy | None = None,
        limits: Limits | None = None,
    ) -> None:
        """To be made while the event loop runs whose time it stands on."""
        self._loop = asyncio.get_running_loop()
        self._transport = transport
        self._application = application
        self._registrar = registrar
        self._trace = trace
        self._resolver = resolver or _look_up
        self._open = False
        self._draining = False
        self._flush_due = False
        self._alarm: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._agent = UserAgent(
            transport,
            self,
            identity=identity,
            random=random,
            registrar=registrar,
            authenticator=authenticator,
            timing=timing,
            session_timer=session_timer,
            limits=limits,
        )

    @property
    def counters(self) -> Counters:
        return self._agent.counters

    @property
    def load(self) -> tuple[int, int, int, int]:
        """Client transactions, server transactions, dialogs and timers that are alive."""
        return self._agent.load

    async def start(self) -> None:
        """Open the transport. Raises ConfigurationError when a listener cannot have its address."""
        self._transport.receiver = self._received
        self._transport.failed = self._failed
        self._open = True
        await self._transport.start()
        self._arm()

    async def close(self) -> None:
        """Send what waits, then stop. Calls are not hung up: that is for the application to decide."""
        if not self._open:
            return
        self._drain()
        self._open = False
        if self._alarm is not None:
            self._alarm.cancel()
        for task in self._tasks:
            task.cancel()
        await self._transport.close()

    # -- the application --

    def dial(
        self,
        target: Target,
        *,
        body: bytes | None,
        content_type: str = SDP,
        headers: Sequence[tuple[str, str]] = (),
        handler: Callable[[SessionEvent], None],
        credentials: Credentials | None = None,
        from_uri: str | None = None,
    ) -> InviteSession:
        """Call somebody; `handler` is told what comes of it. Without `body` the peer makes the offer."""
        return self._agent.dial(
            target,
            body=body,
            content_type=content_type,
            headers=headers,
            handler=handler,
            credentials=credentials,
            from_uri=from_uri,
        )

    async def request(
        self,
        method: str,
        target: Target,
        *,
        headers: Sequence[tuple[str, str]] = (),
        body: bytes = b"",
        content_type: str | None = None,
        credentials: Credentials | None = None,
        from_uri: str | None = None,
        to_uri: str | None = None,
    ) -> Response:
        """Send a request outside a dialog. Silence gives a 408 and an unreachable peer a 503, both our own."""
        answered: asyncio.Future[Response] = self._loop.create_future()

        def done(response: Response) -> None:
            if not answered.done():
                answered.set_result(response)

        self._agent.request(
            method,
            target,
            done=done,
            headers=headers,
            body=body,
            content_type=content_type,
            credentials=credentials,
            from_uri=from_uri,
            to_uri=to_uri,
        )
        return await answered

    async def contact_for(self, target: Target, user: str) -> str | None:
        """The URI by which the peer at `target.next_hop` can reach `user` here; None without its address."""
        if target.next_hop is None:
            return None
        protocol, (host, port) = target.next_hop
        address = host if is_numeric(host) else await self._resolver(host)
        if address is None:
            return None
        flow = self._transport.flow(protocol, (address, port))
        suffix = "" if protocol == UDP else f";transport={protocol.lower()}"
        return f"sip:{user}@{host_port(self._transport.advertised(flow))}{suffix}"

    # -- what the core asks of its shell --

    def now(self) -> float:
        return self._loop.time()

    def wake(self) -> None:
        """Take the output in a turn of its own: no handler is called within a call of the application."""
        if not self._draining and not self._flush_due:
            self._flush_due = True
            self._loop.call_soon(self._drain)

    # -- input --

    def _received(self, data: bytes, flow: Flow) -> None:
        now = self._loop.time()
        if self._trace is not None:
            self._trace.record("received", data, flow, now)
        self._step(self._agent.receive, data, flow, now)

    def _failed(self, flow: Flow, error: Exception) -> None:
        log.debug("sip flow failed", protocol=flow.protocol, error=type(error).__name__)
        if self._registrar is not None:
            self._registrar.lost(flow)
        self._step(self._agent.flow_failed, flow, self._loop.time())

    def _due(self) -> None:
        self._alarm = None
        now = self._loop.time()
        if self._registrar is not None:
            self._registrar.expire(now)
        self._step(self._agent.handle_timer, now)

    def _step(self, what: Callable[..., None], *args: Any) -> None:
        """One input of the core. A bug in it costs the request in hand (500) and nothing else."""
        if not self._open:
            return
        try:
            what(*args)
        except Exception:
            log.exception("sip core raised", step=what.__name__)
        self._drain()

    # -- output --

    def _drain(self) -> None:
        self._flush_due = False
        if self._draining or not self._open:
            return
        self._draining = True
        try:
            while (output := self._agent.next_output()) is not None:
                self._do(output)
        finally:
            self._draining = False
        self._arm()

    def _do(self, output: Output) -> None:
        if isinstance(output, Send):
            self._send(output)
            return
        try:
            self._hand_over(output)
        except Exception:
            log.exception("sip application raised", output=type(output).__name__)
            self._agent.crashed(output)

    def _send(self, output: Send) -> None:
        if self._trace is not None:
            self._trace.record("sent", output.data, output.flow, self._loop.time())
        self._transport.send(output.data, output.flow)

    def _hand_over(self, output: Output) -> None:
        match output:
            case Deliver(session=session, event=event):
                session.handler(event)
            case IncomingCall(session=session):
                self._application.incoming_call(session)
            case MessageArrived(transaction=transaction):
                reply = self._application.message(transaction.request, transaction.source)
                self._agent.reply_message(transaction, reply, self._application.accepted_message_types)
            case Resolve():
                self._spawn(self._resolve(output))
            case Reply(give=give):
                give()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _resolve(self, wanted: Resolve) -> None:
        found = None
        try:
            found = await self._resolver(wanted.hop.host)
        except (OSError, UnicodeError) as error:  # a label that is too long is a UnicodeError
            log.warning("host name not resolved", error=type(error).__name__)
        self._step(wanted.found, found)

    def _arm(self) -> None:
        """Keep the one timer at the next deadline. Firing early is harmless: it is never moved back."""
        due = self._agent.next_timer()
        if self._registrar is not None and (expiry := self._registrar.next_timer()) is not None:
            due = expiry if due is None else min(due, expiry)
        if due is None or not self._open:
            return
        if self._alarm is not None:
            if self._alarm.when() <= due:
                return
            self._alarm.cancel()
        self._alarm = self._loop.call_at(due, self._due)


async def _look_up(host: str) -> str | None:
    """The first address that the system's resolver knows."""
    found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_DGRAM)
    return str(found[0][4][0]) if found else None
