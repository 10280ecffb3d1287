"""Which escalations are this node's: its lease, those whose owner is gone, and what others left for it.

Alone with its store (SQLite) a process owns everything from its start on, and writes nothing to keep it so.

Where nodes share a store, each holds a lease by a heartbeat, on the database's clock. Once a lease is over, any other
node may take up what its owner had. A store that was away for all of them made every lease run out, though nobody
died; so a node takes up what others had only after its own heartbeats have come through for the length of a lease:
until then, whoever is alive has had the time to renew his.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

import structlog

from voice.clock import SteadyClock
from voice.errors import Fenced, StoreUnavailable
from voice.escalation.ledger import Beat, Claim, Claimed, Fence, Ledger, Letter

log = structlog.get_logger(__name__)

HEARTBEAT = 1.0
"""Seconds between heartbeats, and between two looks for escalations that nobody has."""

INBOX_INTERVAL = 0.5
"""Seconds between two looks at what other processes left."""


STRAYS_INTERVAL = 10.0
"""Seconds between two comparisons of memory and store."""

AT_ONCE = 500
"""Escalations that one query asks for by name."""


@dataclass(frozen=True, slots=True)
class Callbacks:
    """What the owner of the memory does about it."""

    known: Callable[[], Collection[str]]
    """Escalations that this process has in memory."""
    taken_up: Callable[[Sequence[Claimed]], Awaitable[None]]
    held: Callable[[dict[str, Fence]], None]
    """Who has those that this process has, after a time in which that may have changed."""
    superseded: Callable[[], None]
    letters: Callable[[Sequence[Letter]], Awaitable[None]]


class Ownership:
    """The lease of this node, and what it finds to do in the store."""

    def __init__(
        self, ledger: Ledger, node: str, lease_seconds: float, clock: SteadyClock, callbacks: Callbacks
    ) -> None:
        self._ledger = ledger
        self._node = node
        self._seconds = lease_seconds
        self._clock = clock
        self._callbacks = callbacks
        self._epoch: int | None = None
        self._others = 0
        self._beats_since: float | None = None
        """Since when every heartbeat came through; None while they do not."""
        self._lease_ends = 0.0
        """The loop's time at which others may think that this node is dead."""
        self._unsure = True
        """The store may hold escalations for this node that it does not have: at start, and after a claim failed."""
        self._stopped = False

    def doubt(self) -> None:
        """Look for escalations that the store holds for this node and this process does not have."""
        self._unsure = True

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

    async def reopen(self, incident: str) -> None:
        """Take up an escalation that is over, if it is not another node's. Raises `StoreUnavailable`."""
        known = frozenset(self._callbacks.known())
        await self._claim(Claim(self._node, self._clock.wall(), self._epoch, known, own=True, incident=incident))

    async def _claim(self, claim: Claim) -> int:
        """Take up what nobody has; returns how many there were."""
        try:
            claimed = await self._ledger.run(partial(self._ledger.claim, claim=claim))
        except BaseException:  # it may have been done all the same
            self._unsure = True
            raise
        if claimed:
            log.warning("escalations taken up", incidents=[item.incident.id for item in claimed])
            await self._callbacks.taken_up(claimed)
        return len(claimed)

    async def _every(self, seconds: float, work: Callable[[], Awaitable[None]]) -> None:
        down = False
        while not self._stopped:
            try:
                await work()
                down = False
            except StoreUnavailable as error:
                if not down:
                    log.warning("the store does not tell of escalations", why=str(error))
                down = True
            except Fenced:
                self._lose_name()
                raise
            except Exception:  # a bug here may not stop the heartbeat, or the node is taken for dead
                log.exception("the work of a node failed")
            await asyncio.sleep(seconds)

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
            self._callbacks.superseded()

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

    async def _compare(self) -> None:
        known = list(self._callbacks.known())
        for first in range(0, len(known), AT_ONCE):
            fences = partial(self._ledger.fences, incidents=known[first : first + AT_ONCE])
            self._callbacks.held(await self._ledger.read(fences))

    async def _take_up(self, *, own: bool, orphans: bool) -> None:
        self._unsure = False
        while True:
            known = frozenset(self._callbacks.known())
            claim = Claim(self._node, self._clock.wall(), self._epoch, known, own=own, orphans=orphans)
            if await self._claim(claim) < claim.limit:
                return

    async def _read_inbox(self) -> None:
        letters = partial(self._ledger.letters, node=self._node, at=self._clock.wall())
        await self._callbacks.letters(await self._ledger.read(letters))
