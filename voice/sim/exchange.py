"""A simulated provider: a trunk with telephone lines behind it, each with a person who has his own habits.

    exchange = SimExchange(plug=lambda: SimTransport(network, "10.5.0.1"), ports=ports, server=server, ...)
    await exchange.start()
    anna = exchange.line("+31600000001", Habits(after=3.0))

A line is a `SimPhone` in everything but its socket, which it shares with the others. The exchange can fail as real
ones do: refuse every call with a status (`refuses`), or fall silent (`die`).
"""

import asyncio
import random
from collections.abc import Callable, Sequence

from voice.address import Address
from voice.rtp.transport import RtpPorts
from voice.sim.habits import Habits
from voice.sim.phone import SimPhone
from voice.sip.endpoint import Endpoint
from voice.sip.flow import Flow
from voice.sip.message import Request, user_of
from voice.sip.session import InviteSession
from voice.sip.transport import Transport
from voice.sip.useragent import Identity


class SimLine(SimPhone):
    """One telephone line of an exchange."""

    def connect(self, endpoint: Endpoint, transport: Transport) -> None:
        """Put the line on the exchange's socket."""
        self._endpoint, self._transport = endpoint, transport


class SimExchange:
    """A provider as its customer's trunk sees it."""

    accepted_message_types: Sequence[str] = ()

    def __init__(
        self,
        *,
        plug: Callable[[], Transport],
        ports: RtpPorts,
        server: tuple[str, Address],
        domain: str,
        dice: random.Random,
    ) -> None:
        self.lines: dict[str, SimLine] = {}
        self.refuses: int | None = None
        """Status with which every call is refused; None: calls go through."""
        self.dialled: list[tuple[float, str]] = []
        """Loop time and number of every INVITE that came."""
        self.invites: list[Request] = []
        self._plug = plug
        self._ports = ports
        self._server = server
        self._domain = domain
        self._dice = dice
        self._transport: Transport | None = None
        self._endpoint: Endpoint | None = None

    async def start(self) -> None:
        self._transport = self._plug()
        self._endpoint = Endpoint(
            self._transport,
            identity=Identity(user="exchange", domain=self._domain, user_agent="Earshot simulated exchange"),
            application=self,
            random=self._dice,
        )
        await self._endpoint.start()
        for line in self.lines.values():
            line.connect(self._endpoint, self._transport)

    async def die(self) -> None:
        """The exchange loses its power: nothing answers any more, until `start`."""
        endpoint, transport, self._endpoint, self._transport = self._endpoint, self._transport, None, None
        for line in self.lines.values():
            for call in line.live_calls:
                call.drop(None)
        if endpoint is not None:
            await endpoint.close()
        if transport is not None:
            await transport.close()

    def line(self, number: str, habits: Habits | None = None) -> SimLine:
        """The line with this number; made when it is asked for first."""
        if number not in self.lines:
            line = SimLine(
                number,
                plug=self._plug,
                ports=self._ports,
                server=self._server,
                domain=self._domain,
                habits=habits,
                dice=self._dice,
            )
            self.lines[number] = line
            if self._endpoint is not None and self._transport is not None:
                line.connect(self._endpoint, self._transport)
        if habits is not None:
            self.lines[number].habits = habits
        return self.lines[number]

    def incoming_call(self, session: InviteSession) -> None:
        """Route a call to its line; 404 for a number that nobody has."""
        number = user_of(str(session.request.uri))
        self.dialled.append((asyncio.get_running_loop().time(), number))
        self.invites.append(session.request)
        line = self.lines.get(number)
        if self.refuses is not None:
            session.reject(self.refuses)
        elif line is None:
            session.reject(404)
        else:
            line.incoming_call(session)

    def message(self, request: Request, flow: Flow) -> None:
        return
