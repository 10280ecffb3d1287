"""A simulated SIP phone: a badge, an operator's softphone, a contact's telephone.

It signals with the service's own SIP core, as any user agent could, and sends and receives RTP by itself. The
same phone lives in virtual time on the simulated network, and on real sockets for `earshot demo`:

    phone = SimPhone(
        "badge-7",
        plug=lambda: SimTransport(network, "10.0.0.7"),
        ports=SimRtpPorts(network, "10.0.0.7"),
        server=("UDP", ("10.0.0.1", 5060)),
        password="secret",
    )
    await phone.start()
    call = phone.call("sip:alarm@earshot")
    call.say(clip("badge"))
    await call.established()
"""

import asyncio
import contextlib
import random
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar

from voice.address import Address
from voice.rtp.transport import RtpPorts
from voice.sim.habits import Answers, Habits, asks_for_auto_answer
from voice.sim.media_ticks import MediaTicks
from voice.sim.phone_call import PhoneCall
from voice.sim.speaking import Speaker
from voice.sim.transport import SimTransport
from voice.sip.digest import Credentials
from voice.sip.endpoint import Endpoint
from voice.sip.flow import Flow, host_port
from voice.sip.message import Request, Response
from voice.sip.session import InviteSession
from voice.sip.transport import Transport
from voice.sip.useragent import Identity, Target

T = TypeVar("T")

REFRESH = 0.8  # of the granted time, when a registration is renewed


class SimPhone:
    """One phone and the person who holds it."""

    accepted_message_types: Sequence[str] = ("text/plain",)

    def __init__(
        self,
        user: str,
        *,
        plug: Callable[[], Transport],
        ports: RtpPorts,
        server: tuple[str, Address],
        password: str | None = None,
        domain: str | None = None,
        habits: Habits | None = None,
        dice: random.Random | None = None,
    ) -> None:
        """`plug` makes a new transport at the start and after each reboot; requests go to `server`."""
        self.user = user
        self.habits = habits or Habits()
        self.calls: list[PhoneCall] = []
        """All calls since the start, the latest last."""
        self.messages: list[bytes] = []
        """Bodies of the MESSAGE requests that came."""
        self.registered_until: float | None = None
        self.on_call: Callable[[PhoneCall], None] | None = None
        """Told of each call that comes in, before it rings."""
        self._plug = plug
        self._ports = ports
        self._server = server
        self._domain = domain or server[1][0]
        self._credentials = None if password is None else Credentials(user, password)
        self._dice = dice or random.Random(user)
        self._transport: Transport | None = None
        self._endpoint: Endpoint | None = None
        self._live: dict[str, PhoneCall] = {}
        self._media = MediaTicks(self.habits.ptime / 1000)
        self._refresh: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._incoming: asyncio.Queue[PhoneCall] = asyncio.Queue()

    @property
    def address_of_record(self) -> str:
        return f"sip:{self.user}@{self._domain}"

    @property
    def is_on(self) -> bool:
        return self._endpoint is not None

    # Power

    async def start(self) -> None:
        """Switches the phone on. It does not register by itself."""
        self._transport = self._plug()
        self._endpoint = Endpoint(
            self._transport,
            identity=Identity(user=self.user, domain=self._domain, user_agent="Earshot simulated phone"),
            application=self,
            random=self._dice,
        )
        await self._endpoint.start()

    async def close(self) -> None:
        """Hangs up, and switches the phone off a moment later."""
        for call in self.live_calls:
            call.hang_up()
        await asyncio.sleep(0.1)
        await self.die()

    async def die(self) -> None:
        """The battery falls out: no BYE, no un-REGISTER, no RTP any more."""
        if self._refresh is not None:
            self._refresh.cancel()
        for task in list(self._tasks):
            task.cancel()
        endpoint, transport, self._endpoint, self._transport = self._endpoint, self._transport, None, None
        for call in self.live_calls:
            call.drop(None)
        self._live.clear()
        self.registered_until = None
        if endpoint is not None:
            await endpoint.close()
        if transport is not None:
            await transport.close()

    async def reboot(self, seconds: float = 5.0) -> None:
        """Dies and comes back, knowing nothing of its calls and its registration."""
        await self.die()
        await asyncio.sleep(seconds)
        await self.start()

    def break_streams(self) -> None:
        """Its connections are reset, as when a router on the way restarts."""
        transport = self._plugged()
        if isinstance(transport, SimTransport):
            transport.break_streams()

    # Registration

    async def register(self, expires: int = 300) -> Response:
        """Registers, with digest if asked; renews by itself in time. Returns the final response."""
        response = await self._register(expires)
        if response.code == 200 and expires:
            loop = asyncio.get_running_loop()
            self.registered_until = loop.time() + expires
            self._refresh = loop.call_later(expires * REFRESH, self._renew, expires)
        return response

    async def unregister(self) -> Response:
        """Takes the registration back."""
        if self._refresh is not None:
            self._refresh.cancel()
        self.registered_until = None
        return await self._register(0)

    async def _register(self, expires: int) -> Response:
        asked = self._spawn(
            self._running().request(
                "REGISTER",
                self._target(f"sip:{self._domain}"),
                headers=[("Contact", f"<{self.contact}>"), ("Expires", str(expires))],
                credentials=self._credentials,
                from_uri=self.address_of_record,
                to_uri=self.address_of_record,
            )
        )
        await asyncio.wait([asked])
        if asked.cancelled():
            raise ConnectionError(f"the phone {self.user} died while it registered")
        return asked.result()

    def _renew(self, expires: int) -> None:
        async def renewed() -> None:
            with contextlib.suppress(ConnectionError):  # dead meanwhile: nobody renews
                await self.register(expires)

        self._spawn(renewed())

    @property
    def contact(self) -> str:
        """The URI at which this phone is called."""
        protocol, address = self._server
        transport = self._plugged()
        host = host_port(transport.advertised(transport.flow(protocol, address)))
        parameter = "" if protocol == "UDP" else f";transport={protocol.lower()}"
        return f"sip:{self.user}@{host}{parameter}"

    # Calling

    def call(self, uri: str, *, headers: Sequence[tuple[str, str]] = ()) -> PhoneCall:
        """Calls. The call is under way when this returns; `PhoneCall.established` waits for the answer."""
        call = self._new_call()
        session = self._running().dial(
            self._target(uri),
            body=call.offer(),
            headers=headers,
            handler=call.handle,
            credentials=self._credentials,
            from_uri=self.address_of_record,
        )
        self._adopt(call, session)
        return call

    @property
    def live_calls(self) -> list[PhoneCall]:
        return list(self._live.values())

    async def called(self) -> PhoneCall:
        """Returns the next call that comes in, or the oldest that came in and was not asked for yet."""
        return await self._incoming.get()

    # What the SIP core asks of its application

    def incoming_call(self, session: InviteSession) -> None:
        asked = asks_for_auto_answer(session.request)
        answers, after = self.habits.answers, self.habits.after
        if answers is Answers.BUSY or (answers is Answers.IF_ASKED and not asked):
            session.reject(486)
            return
        call = self._new_call()
        call.offered = session.offer
        session.handler = call.handle
        self._adopt(call, session)
        if self.on_call is not None:
            self.on_call(call)
        self._incoming.put_nowait(call)
        loop = asyncio.get_running_loop()
        if answers is Answers.IF_ASKED:
            call.pick_up()
            return
        call.ring()
        if answers is Answers.YES:
            loop.call_later(after, call.pick_up)
        elif answers is Answers.DECLINES:
            loop.call_later(after, call.decline)

    def message(self, request: Request, flow: Flow) -> None:
        self.messages.append(request.body)

    # Inside

    def _new_call(self) -> PhoneCall:
        sockets = self._ports.open_pair()
        speaker = Speaker(sockets[0], self._dice, ptime=self.habits.ptime)
        speaker.silent_when_idle = self.habits.silent_when_idle
        call = PhoneCall(self.habits, sockets, speaker, session_id=self._dice.getrandbits(31), over=self._call_is_over)
        self.calls.append(call)
        return call

    def _adopt(self, call: PhoneCall, session: InviteSession) -> None:
        call.session = session
        self._live[session.id] = call
        self._media.add(call)

    def _call_is_over(self, call: PhoneCall) -> None:
        self._media.remove(call)
        if call.session is not None:
            self._live.pop(call.session.id, None)

    def _target(self, uri: str) -> Target:
        return Target(uri, next_hop=self._server)

    def _spawn(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _running(self) -> Endpoint:
        if self._endpoint is None:
            raise ConnectionError(f"the phone {self.user} is off")
        return self._endpoint

    def _plugged(self) -> Transport:
        if self._transport is None:
            raise ConnectionError(f"the phone {self.user} is off")
        return self._transport
