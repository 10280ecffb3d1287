"""Keeps us registered with the trunks that want it, so that their calls find us."""

import asyncio
from collections.abc import Sequence
from random import Random

import structlog

from config.models import Trunk
from voice.sip.core import Target
from voice.sip.digest import Credentials
from voice.sip.endpoint import Endpoint
from voice.sip.registration import Registration, State
from voice.sip.routing import next_hop

log = structlog.get_logger(__name__)

PATIENCE = 5.0
"""Seconds given to the trunks to forget us when the service stops."""


class Trunks:
    """One registration for each trunk with `register = true`, refreshed for as long as the service runs."""

    def __init__(self, trunks: Sequence[Trunk], endpoint: Endpoint, random: Random) -> None:
        self._endpoint = endpoint
        self._loop = asyncio.get_running_loop()
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

    async def run(self) -> None:
        """Register and refresh until cancelled."""
        await asyncio.gather(*(self._keep(trunk, r) for trunk, r in self._registrations.values()))

    async def stop(self) -> None:
        """Take the registrations back."""
        loop = asyncio.get_running_loop()
        for _, registration in self._registrations.values():
            registration.stop(loop.time())
        try:
            async with asyncio.timeout(PATIENCE):
                await self.run()
        except TimeoutError:
            log.warning("a trunk did not confirm that it forgot us")

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
