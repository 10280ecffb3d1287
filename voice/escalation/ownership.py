"""Which escalations are this node's (`voice.owned.ownership`), and the lease by which others know that it lives.

The lease is held by a heartbeat, on the database's clock. Sessions of check-ins only look at it.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from functools import partial

import structlog

from voice.clock import SteadyClock
from voice.errors import Fenced
from voice.escalation.ledger import Beat, Claimed, Ledger, Letter
from voice.owned import ownership
from voice.owned.ownership import INBOX_INTERVAL, STRAYS_INTERVAL, Callbacks

log = structlog.get_logger(__name__)

HEARTBEAT = ownership.LOOK_INTERVAL
"""Seconds between heartbeats, and between two looks for escalations that nobody has."""


class Ownership(ownership.Ownership[Claimed, Letter]):
    """The lease of this node, and what it finds to do in the store."""

    _ledger: Ledger
    of = "escalations"

    def __init__(
        self,
        ledger: Ledger,
        node: str,
        lease_seconds: float,
        clock: SteadyClock,
        callbacks: Callbacks[Claimed, Letter],
        superseded: Callable[[], None],
    ) -> None:
        """`superseded`: another process is this node now."""
        super().__init__(ledger, node, lease_seconds, clock, callbacks)
        self._superseded = superseded
        self._others = 0
        self._beats_since: float | None = None
        """Since when every heartbeat came through; None while they do not."""
        self._lease_ends = 0.0
        """The loop's time at which others may think that this node is dead."""

    def has_rivals(self) -> bool:
        """Whether another node has probably taken over what this one has."""
        return not self._ledger.sole and self._others > 0 and asyncio.get_running_loop().time() > self._lease_ends

    async def run(self) -> None:
        """Until it is cancelled or retires; raises `Fenced` once another process has become this node."""
        superseded = False
        try:
            async with asyncio.TaskGroup() as group:
                if not self._ledger.sole:
                    group.create_task(self._every(HEARTBEAT, self._keep))
                group.create_task(self._every(HEARTBEAT, self._claim_what_is_left))
                group.create_task(self._every(INBOX_INTERVAL, self._read_inbox))
                group.create_task(self._every(STRAYS_INTERVAL, self._look_for_strays))
        except* Fenced:
            superseded = True
        if superseded:
            raise Fenced(f"another process is node {self._node} now")

    async def retire(self) -> None:
        """This node stops: others may take up what it has, at once."""
        self._stopped = True
        if self._epoch is not None:
            retire = partial(self._ledger.retire, node=self._node, epoch=self._epoch, at=self._clock.wall())
            await self._ledger.run(retire)

    async def _every(self, seconds: float, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await super()._every(seconds, work)
        except Fenced:
            self._lose_name()
            raise

    async def _keep(self) -> None:
        """Hold the lease. What is done with it may take its time (`_claim_what_is_left`)."""
        sent = asyncio.get_running_loop().time()
        try:
            beat = await self._beat(self._clock.wall())
        except BaseException:
            self._beats_since = None
            raise
        if not beat.alive:
            raise Fenced(f"another process is node {self._node} now")
        # By the time of the answer: before one that came late, somebody may have seen the lease run out.
        lapsed = self._beats_since is None or asyncio.get_running_loop().time() > self._lease_ends
        if lapsed:
            self._beats_since = sent
        self._lease_ends, self._others = sent + self._seconds, beat.others
        if lapsed:
            self._unsure = True
            await self._compare()

    async def _claim_what_is_left(self) -> None:
        """Take up what nobody has."""
        if self._ledger.sole:
            if self._unsure:
                await self._take_up(own=True, orphans=True)
            return
        now, since = asyncio.get_running_loop().time(), self._beats_since
        well = since is not None and now - since >= self._seconds and now < self._lease_ends
        if self._epoch is not None and (self._unsure or well):
            await self._take_up(own=self._unsure, orphans=well)

    def _lose_name(self) -> None:
        """Another process is this node now."""
        if not self._stopped:
            self._stopped = True
            log.critical("another process is this node now", node=self._node)
            self._superseded()

    async def _look_for_strays(self) -> None:
        """What the store holds for this node is to be in its memory: should it ever not be, it is found here."""
        held = await self._ledger.read(partial(self._ledger.held, node=self._node))
        if not set(held) <= set(self._callbacks.known()):
            self._unsure = True

    async def _beat(self, at: datetime) -> Beat:
        ledger, node, seconds = self._ledger, self._node, self._seconds
        if self._epoch is None:
            self._epoch = await ledger.run(partial(ledger.register, node=node, seconds=seconds, at=at))
            return Beat(alive=True, others=0)
        return await ledger.run(partial(ledger.beat, node=node, epoch=self._epoch, seconds=seconds, at=at))
