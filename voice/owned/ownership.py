"""Which escalations, or sessions, are this node's: those whose owner is gone, and what others left for it.

Alone with its store (SQLite) a process owns everything from its start on, and writes nothing to keep it so.

Where nodes share a store, each has a lease, on the database's clock. Once a lease is over, any other node may take up
what its owner had. A store that was away for all of them made every lease run out, though nobody died; so a node takes
up what others had only after its own lease has held for the length of a lease: until then, whoever is alive has had the
time to renew his. And after a time in which its own did not hold, it asks what is still its.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, Generic, TypeVar

import structlog

from voice.clock import SteadyClock
from voice.errors import Fenced, StoreUnavailable
from voice.owned.ledger import Claim, Fence, Ledger

log = structlog.get_logger(__name__)

Claimed = TypeVar("Claimed")
Letter = TypeVar("Letter")

LOOK_INTERVAL = 1.0
"""Seconds between two looks for what nobody has."""

INBOX_INTERVAL = 0.5
"""Seconds between two looks at what other processes left."""

STRAYS_INTERVAL = 10.0
"""Seconds between two comparisons of memory and store."""

AT_ONCE = 500
"""How many one query asks for by name."""


@dataclass(frozen=True, slots=True)
class Callbacks(Generic[Claimed, Letter]):
    """What the owner of the memory does about it."""

    known: Callable[[], Collection[str]]
    """What this process has in memory."""
    taken_up: Callable[[Sequence[Claimed]], Awaitable[None]]
    held: Callable[[dict[str, Fence]], None]
    """Who has what this process has, after a time in which that may have changed."""
    letters: Callable[[Sequence[Letter]], Awaitable[None]]


class Ownership(Generic[Claimed, Letter]):
    """What a node finds to do in the store."""

    of: ClassVar[str]
    """What is owned, for the log."""

    def __init__(
        self,
        ledger: Ledger[Claimed, Letter, Any],
        node: str,
        lease_seconds: float,
        clock: SteadyClock,
        callbacks: Callbacks[Claimed, Letter],
    ) -> None:
        self._ledger = ledger
        self._node = node
        self._seconds = lease_seconds
        self._clock = clock
        self._callbacks = callbacks
        self._epoch: int | None = None
        """Of the node, once its lease is held from here."""
        self._unsure = True
        """The store may hold something for this node that it does not have: at start, and after a claim failed."""
        self._stopped = False

    def doubt(self) -> None:
        """Look for what the store holds for this node and this process does not have."""
        self._unsure = True

    async def fetch(self, name: str) -> None:
        """Take up what is over, if it is not another node's. Raises `StoreUnavailable`."""
        await self._claim(own=True, orphans=True, only=name)

    async def _claim(self, *, own: bool, orphans: bool, only: str | None = None) -> bool:
        """Take up what nobody has. Returns whether there may be more. Raises `StoreUnavailable`."""
        known, at = frozenset(self._callbacks.known()), self._clock.wall()
        claim = Claim(self._node, at, self._epoch, known, own=own, orphans=orphans, only=only)
        try:
            claimed = await self._ledger.run(partial(self._ledger.claim, claim=claim))
        except BaseException:  # it may have been done all the same
            self._unsure = True
            raise
        if claimed:
            await self._callbacks.taken_up(claimed)
        return len(claimed) >= claim.limit

    async def _take_up(self, *, own: bool, orphans: bool) -> None:
        self._unsure = False
        while await self._claim(own=own, orphans=orphans):
            pass

    async def _compare(self) -> None:
        """Ask who has what this process has."""
        known = list(self._callbacks.known())
        for first in range(0, len(known), AT_ONCE):
            fences = partial(self._ledger.fences, names=known[first : first + AT_ONCE])
            self._callbacks.held(await self._ledger.read(fences))

    async def _read_inbox(self) -> None:
        letters = partial(self._ledger.letters, node=self._node, at=self._clock.wall())
        await self._callbacks.letters(await self._ledger.read(letters))

    async def _every(self, seconds: float, work: Callable[[], Awaitable[None]]) -> None:
        """Until it is cancelled or stopped; raises `Fenced` once another process has become this node."""
        down = False
        while not self._stopped:
            try:
                await work()
                down = False
            except StoreUnavailable as error:
                if not down:
                    log.warning(f"the store does not tell of {self.of}", why=str(error))
                down = True
            except Fenced:
                raise
            except Exception:  # a bug here may not stop a heartbeat, nor leave anything without an owner
                log.exception("the work of a node failed")
            await asyncio.sleep(seconds)
