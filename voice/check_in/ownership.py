"""Which sessions are this node's: those whose owner is gone, and what others left for it.

Alone with its store (SQLite) a process owns everything from its start on. Where nodes share a store, the lease of each
is held by its escalations; here it is looked at. Once a lease is over, any other node may take up what its owner had.
A store that was away for all of them made every lease run out, though nobody died; so a node takes up what others had
only after its own lease was seen to hold for the length of a lease: until then, whoever is alive has had the time to
renew his. And after a time in which its own did not hold, it asks what is still its.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial

import structlog

from voice.check_in.ledger import Claim, Claimed, Fence, Ledger, Letter
from voice.clock import SteadyClock
from voice.errors import StoreUnavailable

log = structlog.get_logger(__name__)

LOOK_INTERVAL = 1.0
"""Seconds between two looks for sessions that nobody has."""

INBOX_INTERVAL = 0.5
"""Seconds between two looks at what other nodes left."""

STRAYS_INTERVAL = 10.0
"""Seconds between two comparisons of memory and store."""

AT_ONCE = 500
"""Sessions that one query asks for by name."""


@dataclass(frozen=True, slots=True)
class Callbacks:
    """What the owner of the memory does about it."""

    known: Callable[[], Collection[str]]
    """Sessions that this process has in memory."""
    taken_up: Callable[[Sequence[Claimed]], None]
    held: Callable[[dict[str, Fence]], None]
    """Who has those that this process has, after a time in which that may have changed."""
    letters: Callable[[Sequence[Letter]], Awaitable[None]]


class Ownership:
    """What a node finds to do in the store."""

    def __init__(
        self, ledger: Ledger, node: str, lease_seconds: float, clock: SteadyClock, callbacks: Callbacks
    ) -> None:
        self._ledger = ledger
        self._node = node
        self._seconds = lease_seconds
        self._clock = clock
        self._callbacks = callbacks
        self._lives_since: float | None = None
        """Since when every look found the lease of this node to hold; None while one does not."""
        self._unsure = True
        """The store may hold sessions for this node that it does not have: at start, and after a claim failed."""
        self._claiming = asyncio.Lock()
        self._ready = asyncio.Event()

    def doubt(self) -> None:
        """Look for sessions that the store holds for this node and this process does not have."""
        self._unsure = True

    async def ready(self) -> None:
        """Wait until this process has taken up what the store held for it when it started."""
        await self._ready.wait()

    async def run(self) -> None:
        """Until it is cancelled."""
        await asyncio.gather(
            self._every(LOOK_INTERVAL, self._look),
            self._every(INBOX_INTERVAL, self._read_inbox),
            self._every(STRAYS_INTERVAL, self._look_for_strays),
        )

    async def fetch(self, session: str) -> None:
        """Take up a session that has ended, if it is not another node's. Raises `StoreUnavailable`."""
        await self._claim(own=True, session=session)

    async def _claim(self, *, own: bool, orphans: bool = True, session: str | None = None) -> bool:
        """Take sessions up, one claim at a time: what one took up, the next one knows. Returns whether there may be
        more. Raises `StoreUnavailable`."""
        async with self._claiming:
            known, at = frozenset(self._callbacks.known()), self._clock.wall()
            claim = Claim(self._node, at, known, own=own, orphans=orphans, session=session)
            try:
                claimed = await self._ledger.run(partial(self._ledger.claim, claim=claim))
            except BaseException:  # it may have been done all the same
                self._unsure = True
                raise
            if orphaned := sum(item.epoch > 1 for item in claimed):
                log.warning("sessions of check-ins taken up", sessions=orphaned)
            if claimed:
                self._callbacks.taken_up(claimed)
            return len(claimed) >= claim.limit

    async def _every(self, seconds: float, work: Callable[[], Awaitable[None]]) -> None:
        down = False
        while True:
            try:
                await work()
                down = False
            except StoreUnavailable as error:
                if not down:
                    log.warning("the store does not tell of sessions", why=str(error))
                down = True
            except Exception:  # a bug here may not leave sessions without an owner
                log.exception("the work of a node failed")
            await asyncio.sleep(seconds)

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

    async def _compare(self) -> None:
        known = list(self._callbacks.known())
        for first in range(0, len(known), AT_ONCE):
            fences = partial(self._ledger.fences, sessions=known[first : first + AT_ONCE])
            self._callbacks.held(await self._ledger.read(fences))

    async def _take_up(self, *, own: bool, orphans: bool) -> None:
        self._unsure = False
        while await self._claim(own=own, orphans=orphans):
            pass
        if own:
            self._ready.set()

    async def _look_for_strays(self) -> None:
        """What the store holds for this node is to be in its memory: should it ever not be, it is found here."""
        self._unsure = True

    async def _read_inbox(self) -> None:
        letters = partial(self._ledger.letters, node=self._node, at=self._clock.wall())
        await self._callbacks.letters(await self._ledger.read(letters))
