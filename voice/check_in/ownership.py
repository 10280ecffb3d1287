"""Which sessions are this node's (`voice.owned.ownership`). The lease of a node is held by its escalations; here it is
looked at."""

import asyncio
from contextlib import suppress
from functools import partial

from voice.check_in.ledger import Claimed, Ledger, Letter
from voice.clock import SteadyClock
from voice.owned import ownership
from voice.owned.ownership import INBOX_INTERVAL, LOOK_INTERVAL, STRAYS_INTERVAL, Callbacks

STORE_PATIENCE = 30.0
"""Seconds to wait at the start for what the store holds."""


class Ownership(ownership.Ownership[Claimed, Letter]):
    """What a node finds to do in the store."""

    _ledger: Ledger
    of = "sessions"

    def __init__(
        self,
        ledger: Ledger,
        node: str,
        lease_seconds: float,
        clock: SteadyClock,
        callbacks: Callbacks[Claimed, Letter],
    ) -> None:
        super().__init__(ledger, node, lease_seconds, clock, callbacks)
        self._lives_since: float | None = None
        """Since when every look found the lease of this node to hold; None while one does not."""
        self._claiming = asyncio.Lock()
        self._ready = asyncio.Event()

    async def ready(self) -> None:
        """Wait until this process has taken up what the store held for it when it started; not for ever, for a store
        may be away."""
        with suppress(TimeoutError):
            async with asyncio.timeout(STORE_PATIENCE):
                await self._ready.wait()

    async def run(self) -> None:
        """Until it is cancelled."""
        await asyncio.gather(
            self._every(LOOK_INTERVAL, self._look),
            self._every(INBOX_INTERVAL, self._read_inbox),
            self._every(STRAYS_INTERVAL, self._look_for_strays),
        )

    async def _claim(self, *, own: bool, orphans: bool, only: str | None = None) -> bool:
        """One claim at a time: what one took up, the next one knows."""
        async with self._claiming:
            return await super()._claim(own=own, orphans=orphans, only=only)

    async def _look(self) -> None:
        """Take up what nobody has."""
        if self._ledger.sole:
            if self._unsure:
                await self._take_up(own=True, orphans=True)
            return
        since, self._lives_since = self._lives_since, None  # until it is seen to live
        asked = asyncio.get_running_loop().time()
        if not await self._ledger.read(partial(self._ledger.lives, node=self._node, at=self._clock.wall())):
            return
        now = asyncio.get_running_loop().time()
        self._lives_since = asked if since is None or now - asked > self._seconds else since
        if self._lives_since == asked:
            self._unsure = True
            await self._compare()
        well = asked - self._lives_since >= self._seconds
        if self._unsure or well:
            await self._take_up(own=self._unsure, orphans=well)

    async def _take_up(self, *, own: bool, orphans: bool) -> None:
        await super()._take_up(own=own, orphans=orphans)
        if own:
            self._ready.set()

    async def _look_for_strays(self) -> None:
        """What the store holds for this node is to be in its memory: should it ever not be, it is found here."""
        self._unsure = True
