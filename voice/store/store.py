"""The store: whole functions `tx(connection)`, one writer, commits in groups, each of them durable."""

import asyncio
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self, TypeVar, cast

from sqlalchemy import Connection

from voice.errors import ConfigurationError, StoreAway, StoreUnavailable
from voice.incidents.timeline import Entry
from voice.store.database import database
from voice.store.engine import NODE, ON_ENTRY, Database
from voice.store.lanes import InlineLane, Lane, ThreadLane
from voice.store.sqlite import IN_MEMORY, in_memory
from voice.store.writing import Reader, Writer

T = TypeVar("T")
OnEntry = Callable[[Connection, Entry], None]


@dataclass(frozen=True, slots=True)
class Statistics:
    """What the store has done so far."""

    transactions: int
    commits: int


class Store:
    """One database with one writer.

    `run` and `read` give a future: the function runs even if nobody awaits it, in the order of the calls. A
    function may run on another thread, and again after something in its group was undone: it uses nothing but its
    connection and values that do not change.
    """

    away: str | None = None
    """Why the database could not be opened at the start; None: it was."""

    def __init__(
        self, url: str, *, node: str | None = None, on_entry: OnEntry | None = None, waits: bool = False
    ) -> None:
        """Open the database, made or migrated if need be; `ConfigurationError` says why it cannot be used.

        Who `waits` has a store also when the database is not there now: until it is, `run` and `read` fail with
        `StoreUnavailable`, and each of them tries to open it.

        `node` is who writes: legs and recordings are kept as this node's. `on_entry` is called for each entry of a
        timeline, in the transaction that writes it: what it writes is there exactly when the entry is.
        """
        self._info = {NODE: node, ON_ENTRY: on_entry}
        found = _Prepared(database(url))
        try:
            found.prepare()
        except StoreAway as error:
            if not waits:
                raise
            self.away = str(error)
        self._writer = Writer(self._informed(found.write), found.fate)
        self._writes: Lane = ThreadLane(self._writer, "store-writer")
        self._reads: Lane = ThreadLane(Reader(found.read), "store-reader")

    @classmethod
    def inline(cls, url: str = IN_MEMORY, *, node: str | None = None, on_entry: OnEntry | None = None) -> Self:
        """A store without threads, for virtual time: each function runs at once, in its own commit."""
        store = cls.__new__(cls)
        store._info = {NODE: node, ON_ENTRY: on_entry}
        if url == IN_MEMORY:
            connection = in_memory()
            store._writer = _KeptWriter(store._informed(lambda: connection))
            store._reads = InlineLane(_KeptReader(lambda: connection))
        else:
            found = database(url)
            found.prepare()
            store._writer = Writer(store._informed(found.write), found.fate)
            store._reads = InlineLane(Reader(found.read))
        store._writes = InlineLane(store._writer)
        return store

    def _informed(self, connect: Callable[[], Connection]) -> Callable[[], Connection]:
        def informed() -> Connection:
            connection = connect()
            connection.info.update(self._info)
            return connection

        return informed

    def run(self, transaction: Callable[[Connection], T], *, urgent: bool = True) -> asyncio.Future[T]:
        """Run a function as one transaction. When the future has its result, that is on the disk.

        What is not urgent may wait a moment for others, to share their commit.

        The future fails with what the function raised (nothing of it was written), or with `StoreUnavailable`
        when the database cannot commit now (nothing was written; the same function may be run again).
        """
        return cast("asyncio.Future[T]", self._writes.submit(transaction, urgent=urgent))

    def read(self, function: Callable[[Connection], T]) -> asyncio.Future[T]:
        """Run a function that only reads. It sees everything whose `run` has its result already."""
        return cast("asyncio.Future[T]", self._reads.submit(function))

    async def close(self) -> None:
        """Carry out what was handed in, then close. Later calls of `run` fail with `StoreUnavailable`."""
        await self._reads.close()
        # Last, because only a connection that may write takes the write-ahead log away.
        await self._writes.close()

    def fail_with(self, fault: Exception | None) -> None:
        """Let every commit from now on fail (a disk that is full, say), until `None` mends it. For tests."""
        self._writer.fault = fault

    @property
    def statistics(self) -> Statistics:
        return Statistics(self._writer.transactions, self._writer.commits)


class _Prepared:
    """A database to which nobody connects before it was made or migrated: at once, or as soon as that is possible."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._is = False
        self.fate = database.fate

    def prepare(self) -> None:
        """Raises as that of the database does."""
        with self._lock:
            if not self._is:
                self._database.prepare()
                self._is = True

    def write(self) -> Connection:
        self._prepare_late()
        return self._database.write()

    def read(self) -> Connection:
        self._prepare_late()
        return self._database.read()

    def _prepare_late(self) -> None:
        try:
            self.prepare()
        except StoreUnavailable:
            raise
        except ConfigurationError as error:  # a database that another version made, say: somebody has to mend that
            raise StoreUnavailable(str(error)) from error


class _KeptWriter(Writer):
    """A database in memory lives in its connection, which therefore is never given up."""

    def give_up(self) -> None:
        return


class _KeptReader(Reader):
    def give_up(self) -> None:
        return
