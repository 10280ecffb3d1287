"""An office that calls out: trunks with simulated exchanges behind them, and nothing else of the service."""

import asyncio
import random
from collections.abc import Callable, Iterable
from typing import Any

from config.models import Trunk
from voice.call import Calls, MediaPlan
from voice.interlock import Interlock
from voice.media.clock import MediaClock
from voice.media.gate import Gate, Profile
from voice.media.leg import MediaLeg
from voice.outbound import Outbound
from voice.sim.exchange import SimExchange
from voice.sim.habits import Habits
from voice.sim.loop import virtual_loop
from voice.sim.network import Network
from voice.sim.phone import SimPhone
from voice.sim.rtp import SimRtpPorts
from voice.sim.transport import SimTransport
from voice.sip.core import Identity
from voice.sip.endpoint import Endpoint
from voice.sip.flow import Flow
from voice.sip.message import Request
from voice.sip.session import InviteSession
from voice.trunks import Trunks

HOST = "10.0.0.1"
EXCHANGES = {"kpn": "10.5.0.1", "bt": "10.5.0.2", "dt": "10.5.0.3"}
ANNA = "+31600000001"


class Office:
    """Calls out through its trunks, on a network of its own."""

    accepted_message_types = ()

    def __init__(self, *trunks: dict[str, Any], interlock: Interlock | None = None) -> None:
        self.loop = virtual_loop()
        self.network = Network(self.loop)
        self.endpoint = Endpoint(
            SimTransport(self.network, HOST),
            identity=Identity(domain="earshot"),
            application=self,
            random=random.Random(1),
        )
        self.clock = MediaClock()
        ports = SimRtpPorts(self.network, HOST)
        self.calls = Calls(
            self.endpoint,
            lambda remote: ports,
            self.clock,
            lambda bound, remote: HOST,
            "earshot",
            interlock=interlock or Interlock(),
        )
        self.trunks = Trunks([trunk(**given) for given in trunks], self.endpoint, random.Random(2))
        self.outbound = Outbound(self.calls, self.trunks.lines)
        self.exchanges: dict[str, SimExchange] = {}
        self.attempts: list[str | None] = []
        self.rang = 0

    async def open(self, *exchanges: str) -> "Office":
        """Start, with these providers at the other end."""
        self.clock.start()
        await self.endpoint.start()
        for name in exchanges:
            self.exchanges[name] = await self._exchange(EXCHANGES[name])
        return self

    def line(self, number: str = ANNA, habits: Habits | None = None, *, at: Iterable[str] = ()) -> None:
        """A telephone that can be reached by these exchanges; all, if none is named."""
        for name in at or self.exchanges:
            self.exchanges[name].line(number, habits or Habits(after=2.0))

    async def ring(self, number: str = ANNA, *, seconds: float = 20.0, **options: Any) -> Any:
        """`Outbound.ring`, with every attempt and every ringing noted."""

        def rang() -> None:
            self.rang += 1

        return await self.outbound.ring(
            number, self.plan, seconds=seconds, on_ringing=rang, on_attempt=self.attempts.append, **options
        )

    async def phone(self, user: str, host: str, habits: Habits | None = None) -> SimPhone:
        phone = SimPhone(
            user,
            plug=lambda: SimTransport(self.network, host),
            ports=SimRtpPorts(self.network, host),
            server=("UDP", (HOST, 5060)),
            habits=habits,
        )
        await phone.start()
        return phone

    @property
    def plan(self) -> MediaPlan:
        clock = self.loop.clock

        def leg(rtp: Any, rtcp: Any, host: str) -> MediaLeg:
            return MediaLeg("leg", rtp, rtcp, Gate(Profile.FULL), clock=clock, rng=random.Random(3))

        return MediaPlan(leg=leg)

    async def _exchange(self, host: str) -> SimExchange:
        exchange = SimExchange(
            plug=lambda: SimTransport(self.network, host),
            ports=SimRtpPorts(self.network, host),
            server=("UDP", (HOST, 5060)),
            domain="provider",
            dice=random.Random(host),
        )
        await exchange.start()
        return exchange

    def incoming_call(self, session: InviteSession) -> None:
        session.reject(404)

    def message(self, request: Request, flow: Flow) -> None:
        return None


def trunk(id: str, **given: Any) -> Trunk:
    return Trunk.model_validate({"id": id, "uri": f"sip:{EXCHANGES[id]}"} | given)


def refusing(exchange: SimExchange, code: int, *headers: tuple[str, str], after: float = 0.0) -> None:
    """Every call through this exchange is refused so; with `after`, once it has rung for so long."""

    def incoming(session: InviteSession) -> None:
        exchange.invites.append(session.request)
        if after:
            session.ring()
        asyncio.get_running_loop().call_later(after, lambda: session.reject(code, headers))

    answer: Callable[[InviteSession], None] = incoming
    exchange.incoming_call = answer  # type: ignore[method-assign]


__all__ = ["ANNA", "EXCHANGES", "HOST", "Office", "refusing", "trunk"]
