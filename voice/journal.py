"""What the service writes, in order, whatever the store is doing.

Safety order: never lose an alarm, then never lose evidence. So a store that fails delays no call: whoever must know
that a write is durable waits for it with a patience; past that the call goes on, the write stays in the queue, and
it is written, in its old place in the order, as soon as the store is back.
"""

import asyncio
from bisect import insort
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import count
from typing import Any

import structlog
from sqlalchemy import Connection

from voice.errors import StoreUnavailable
from voice.store import Store

log = structlog.get_logger(__name__)

Write = Callable[[Connection], Any]

RETRY_SECONDS = 1.0


@dataclass(slots=True, eq=False)
class _Entry:
    number: int
    """Counts the writes: the line keeps their order, whenever each of them turns out to have failed."""
    write: Write
    done: asyncio.Future[bool]


class Journal:
    """An ordered queue of transactions in front of the store.

    While the store is well every write goes straight to it, and its group commit gathers those that are under way.
    After a failure, writes wait in line here and are tried again, oldest first, until all of them are in.

    So a write that builds on an earlier one is never refused for coming before it, urgent or not. The store has one
    lane for writes, carries them out and answers in the order in which they were handed in. A write that was on its way
    while an earlier one failed is answered after that one, which is in line by then, and before its repetition, which
    was handed in later: so it joins the line behind it, whatever it failed of. A write whose commit was made and never
    answered is handed in again; those that come in order (`record` of the ledgers) find that they are there already.
    """

    def __init__(self, store: Store, *, on_fault: Callable[[bool], None] = lambda down: None) -> None:
        self._store = store
        self._on_fault = on_fault
        self._line: list[_Entry] = []
        self._numbers = count()
        self._retrying: asyncio.Task[None] | None = None
        self._running: set[asyncio.Future[Any]] = set()
        self._abandoned = False
        self._away_since: float | None = None
        """The loop's time since which nothing could be written; None: the store is well, as far as is known."""
        self.refused = 0
        """Writes that the store refused for what they were, not for its own state: each is a bug, and logged."""

    @property
    def backlog(self) -> int:
        """How many writes wait for the store to come back."""
        return len(self._line)

    def post(self, write: Write, *, urgent: bool = False) -> asyncio.Future[bool]:
        """Queue a transaction. The future turns True when it is durable, False when the store refused it for good.

        `urgent`: somebody waits for it. What is not may wait a moment for others, to share their commit.
        """
        entry = _Entry(next(self._numbers), write, asyncio.get_running_loop().create_future())
        if self._abandoned:
            return entry.done
        if self._line:
            self._wait_in_line(entry)
        else:
            running = self._store.run(write, urgent=urgent)
            self._running.add(running)
            running.add_done_callback(partial(self._ran, entry))
        return entry.done

    def store_is_away(self) -> None:
        """Somebody has found that the database cannot be opened."""
        if self._away_since is None:
            self._away_since = asyncio.get_running_loop().time()

    def store_is_back(self) -> None:
        """Something could be written or read."""
        if not self._line:
            self._away_since = None

    def rest_of(self, patience: float) -> float:
        """What is left of so many seconds of patience: 0 with a store that has been away for longer already."""
        if self._away_since is None:
            return patience
        return max(self._away_since + patience - asyncio.get_running_loop().time(), 0.0)

    async def durable(self, done: asyncio.Future[bool], *, patience: float) -> bool:
        """Wait until what `post` gave is durable, `patience` seconds at most. True if it is."""
        try:
            return await asyncio.wait_for(asyncio.shield(done), patience)
        except TimeoutError:
            return False

    async def flush(self, patience: float) -> bool:
        """Wait until everything that was posted is durable, `patience` seconds at most."""
        deadline = asyncio.get_running_loop().time() + patience
        while self._running or self._line:
            if asyncio.get_running_loop().time() >= deadline:
                return False
            await asyncio.sleep(0.01)
        return True

    def abandon(self) -> None:
        """Write nothing more, as a process does that is killed: what was not durable by now is lost."""
        self._abandoned = True
        self._line.clear()
        for task in (*self._running, *((self._retrying,) if self._retrying else ())):
            task.cancel()

    def _ran(self, entry: _Entry, running: asyncio.Future[Any]) -> None:
        self._running.discard(running)
        if running.cancelled() or self._abandoned:  # without its line, nothing can be said about its order
            return
        error = running.exception()
        if error is None:
            self.store_is_back()
            self._settle(entry, True)
        elif isinstance(error, StoreUnavailable):
            self._wait_in_line(entry)
        else:  # one bad write must not stop the writes behind it
            self._settle_failure(entry, error)

    def _wait_in_line(self, entry: _Entry) -> None:
        insort(self._line, entry, key=lambda waiting: waiting.number)
        self.store_is_away()
        if self._retrying is None:
            log.error("store unavailable; calls go on, writes wait", backlog=len(self._line))
            self._on_fault(True)
            self._retrying = asyncio.get_running_loop().create_task(self._retry())

    def _settle_failure(self, entry: _Entry, error: BaseException) -> None:
        if self._line:
            # It may have failed only because a write before it is still in line (its incident is missing).
            self._wait_in_line(entry)
            return
        self.refused += 1
        log.error("the store refused a write", error=repr(error))
        self._settle(entry, False)

    async def _retry(self) -> None:
        while self._line:
            entry = self._line[0]
            try:
                await self._store.run(entry.write)
            except StoreUnavailable:
                await asyncio.sleep(RETRY_SECONDS)
                continue
            except Exception as error:  # noqa: BLE001 - as above: what is behind it must still be written
                self.refused += 1
                log.error("the store refused a write", error=repr(error))
                self._settle(entry, False)
            else:
                self._settle(entry, True)
            self._line.remove(entry)
        self._retrying = self._away_since = None
        log.info("store is back; nothing waits")
        self._on_fault(False)

    @staticmethod
    def _settle(entry: _Entry, durable: bool) -> None:
        if not entry.done.done():
            entry.done.set_result(durable)
