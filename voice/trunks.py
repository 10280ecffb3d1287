"""Keeps us registered with the trunks that want it, so that their calls find us, and asks how they are."""

import asyncio
from collections.abc import Sequence
from random import Random

import structlog

from config.models import Trunk
from voice.lines import Line, Lines
from voice.sip.core import Target
from voice.sip.digest import Credentials
from voice.sip.endpoint import Endpoint
from voice.sip.registration import Registration, State
from voice.sip.routing import next_hop

log = structlog.get_logger(__name__)

PATIENCE = 5.0
"""Seconds given to the trunks to forget us when the service stops."""


ANSWERS_WITHIN = 5.0
"""Seconds in which a healthy trunk answers OPTIONS; by then it was asked four times (Timer E)."""

ASKED_AGAIN = 10.0
"""Seconds, at most, until a trunk that is down is asked again."""


class Trunks:
    """One registration for each trunk with `register = true`, refreshed for as long as the service runs, and OPTIONS
    for each with `options_seconds`. `lines` knows which of them calls of ours may use."""

    def __init__(self, trunks: Sequence[Trunk], endpoint: Endpoint, random: Random) -> None:
        self._endpoint = endpoint
        self._loop = asyncio.get_running_loop()
        self.lines = Lines.of(trunks)
        self._registrations = {
            trunk.id: (trunk, Registration(trunk.register_expires, random=random))
            for trunk in trunks
            if trunk.register_
        }

    @property
    def unregistered(self) -> list[str]:
        """Trunks that should know us and do not. May be asked on any thread."""
        now = self._loop.time()
        return [id for id, (_, r) in self._registrations.items() if r.state(now) is not State.REGISTERED]

    @property
    def down(self) -> dict[str, str]:
        """Trunks that calls of ours cannot use now, and why. May be asked on any thread."""
        return self.lines.down(self._loop.time())

    @property
    def trouble(self) -> list[str]:
        """What is wrong, for whoever watches the service. May be asked on any thread."""
        wrong = [f"trunk {id} is down: {why}" for id, why in self.down.items()]
        if unregistered := self.unregistered:
            wrong.append(f"not registered with trunk {', '.join(unregistered)}")
        return wrong

    async def run(self) -> None:
        """Register, refresh and ask for health until cancelled."""
        asked = (line for line in self.lines.lines.values() if line.trunk.options_seconds)
        await asyncio.gather(self._keep_all(), *(self._watch(line) for line in asked))

    async def _keep_all(self) -> None:
        await asyncio.gather(*(self._keep(trunk, r) for trunk, r in self._registrations.values()))

    async def stop(self) -> None:
        """Take the registrations back."""
        loop = asyncio.get_running_loop()
        for _, registration in self._registrations.values():
            registration.stop(loop.time())
        try:
            async with asyncio.timeout(PATIENCE):
                await self._keep_all()
        except TimeoutError:
            log.warning("a trunk did not confirm that it forgot us")

    async def _watch(self, line: Line) -> None:
        """Ask one trunk how it is (RFC 3261 section 11): any answer but 408 and 503 is one of a living trunk."""
        while True:
            code = await self._options(line.trunk)
            healthy = code not in (None, 408, 503)
            why = "" if healthy else "out of service (503)" if code == 503 else "does not answer"
            if healthy is line.silent:
                log.info("trunk health", trunk=line.trunk.id, up=healthy, status=code)
            self.lines.heard(line, healthy=healthy, why=why)
            pause = line.trunk.options_seconds
            await asyncio.sleep(pause if healthy else min(pause, ASKED_AGAIN))

    async def _options(self, trunk: Trunk) -> int | None:
        """The status of its answer; None when it does not answer in time."""
        hop = next_hop(trunk.uri)
        host = f"[{hop.host}]" if ":" in hop.host else hop.host
        target = Target(f"sip:{host}", next_hop=(hop.protocol, (hop.host, hop.port)))
        try:
            async with asyncio.timeout(ANSWERS_WITHIN):
                return (await self._endpoint.request("OPTIONS", target)).code
        except TimeoutError:
            return None

    async def _keep(self, trunk: Trunk, registration: Registration) -> None:
        loop = asyncio.get_running_loop()
        while (due := registration.next_timer()) is not None:
            await asyncio.sleep(max(due - loop.time(), 0.0))
            if not registration.due(loop.time()):
                continue
            before = registration.state(loop.time())
            await self._register(trunk, registration)
            after = registration.state(loop.time())
            if after is not before:
                log.info("trunk registration", trunk=trunk.id, state=after.value, why=registration.reason)

    async def _register(self, trunk: Trunk, registration: Registration) -> None:
        loop = asyncio.get_running_loop()
        hop = next_hop(trunk.uri)
        host = f"[{hop.host}]" if ":" in hop.host else hop.host
        address_of_record = f"sip:{trunk.username}@{host}"
        target = Target(f"sip:{host}", next_hop=(hop.protocol, (hop.host, hop.port)))
        contact = await self._endpoint.contact_for(target, trunk.username or "earshot")
        response = await self._endpoint.request(
            "REGISTER",
            target,
            headers=registration.begin(contact or address_of_record, loop.time()),
            credentials=Credentials(trunk.username or "", trunk.password or ""),
            from_uri=address_of_record,
            to_uri=address_of_record,
        )
        registration.answered(response, loop.time())
