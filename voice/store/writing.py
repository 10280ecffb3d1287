"""Transactions on one connection, several of them in one commit. Synchronous: `lanes` has the threads."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from voice.errors import StoreUnavailable
from voice.store.engine import TRANSACTION, Fate, is_conflict, is_outage, reason

Transaction = Callable[[Connection], Any]
Connect = Callable[[], Connection]


ATTEMPTS = 5
"""How often a group is run at once whose transactions other nodes were in the way of."""

REMEMBERED = 1024
"""Transactions that were written without an answer, and whose outcome is kept for when they come again: so many at
least, and all of the commit that was lost last, for a commit that many share is as large as they are many."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one transaction: its value, or the error that undid it."""

    value: Any = None
    error: BaseException | None = None


@dataclass(frozen=True, slots=True)
class _Doubt:
    """A group whose commit was sent and never answered."""

    transaction: str
    group: Sequence[Transaction]
    outcomes: Sequence[Outcome]


class _Spoilt(Exception):
    """A transaction of a group raised while it had no savepoint of its own."""


class _Conflict(StoreUnavailable):
    """Transactions of other nodes were in the way."""


class Writer:
    """Runs groups of transactions: BEGIN, all of them, one COMMIT (and so one fsync).

    A transaction that raises undoes only itself. That is rare, so a savepoint around each (a third of the cost of
    an alarm) is set only when one has raised: all is undone, and the group is run again with savepoints.

    A database that cannot commit undoes the whole group, and each of its members gets `StoreUnavailable`: nothing
    of it was written. The connection is then given up, and a new one is made for the next group, so a database
    that comes back is used again.

    A server that is lost during a commit may have done it. Its members get `StoreUnavailable` too; once the server is
    back it is asked, and those that it did write get their outcome when they come again, instead of being run twice.
    """

    def __init__(
        self, connect: Callable[[], Connection], fate: Callable[[Connection, str], Fate] | None = None
    ) -> None:
        self._connect = connect
        self._fate = fate
        self._connection: Connection | None = None
        self._doubt: _Doubt | None = None
        self._survived: list[tuple[Transaction, Outcome]] = []
        self.fault: Exception | None = None
        """While set, every commit fails with it. For tests."""
        self.commits = 0
        self.transactions = 0

    def __call__(self, group: Sequence[Transaction]) -> list[Outcome]:
        try:
            if self._doubt is None and not self._survived:
                return self._write(group)
            self._resolve()
            return self._write_the_rest(group)
        except StoreUnavailable as error:
            self.give_up()
            return [Outcome(error=error)] * len(group)
        except Exception as error:  # noqa: BLE001 - whatever the driver does: this thread goes on, the group may come again
            self.give_up()
            unavailable = StoreUnavailable(f"the database cannot commit: {error!r}")
            unavailable.__cause__ = error
            return [Outcome(error=unavailable)] * len(group)

    def _write(self, group: Sequence[Transaction]) -> list[Outcome]:
        for _ in range(ATTEMPTS - 1):
            with suppress(_Conflict):
                return self._write_once(group)
        return self._write_once(group)

    def _write_once(self, group: Sequence[Transaction]) -> list[Outcome]:
        try:
            return self._commit(group, _bare)
        except _Spoilt:
            return self._commit(group, _in_savepoint)

    def _commit(self, group: Sequence[Transaction], run: Callable[[Connection, Transaction], Outcome]) -> list[Outcome]:
        try:
            connection = self._connected()
            with connection.begin() as transaction:
                outcomes = [run(connection, function) for function in group]
                if self.fault is not None:
                    raise StoreUnavailable(f"the database cannot commit: {self.fault}") from self.fault
                name = connection.info.get(TRANSACTION)
                self._doubt = _Doubt(name, group, outcomes) if name else None
                transaction.commit()
                self._doubt = None
        except DBAPIError as error:
            kind = _Conflict if is_conflict(error) else StoreUnavailable
            raise kind(f"the database cannot commit: {reason(error)}") from error
        self.commits += 1
        self.transactions += len(group)
        return outcomes

    def _connected(self) -> Connection:
        if self._connection is None:
            self._connection = self._connect()
        return self._connection

    def _resolve(self) -> None:
        """Ask what became of the group that was in doubt. Raises `StoreUnavailable` while that cannot be said."""
        doubt = self._doubt
        if doubt is None or self._fate is None:
            return
        try:
            fate = self._fate(self._connected(), doubt.transaction)
        except DBAPIError as error:
            raise StoreUnavailable(f"the database cannot be asked: {reason(error)}") from error
        if fate is Fate.IN_PROGRESS:
            raise StoreUnavailable("the server is still busy with a commit that it did not answer")
        self._doubt = None
        if fate is Fate.COMMITTED:
            self._survived = [*self._survived[-REMEMBERED:], *zip(doubt.group, doubt.outcomes, strict=True)]

    def _write_the_rest(self, group: Sequence[Transaction]) -> list[Outcome]:
        """Those that were written come again, sooner or later, if somebody still wants their outcome."""
        known = {id(transaction): outcome for transaction, outcome in self._survived}
        rest = [transaction for transaction in group if id(transaction) not in known]
        written = iter(self._write(rest) if rest else ())
        came = {id(transaction) for transaction in group}
        self._survived = [one for one in self._survived if id(one[0]) not in came]
        return [known[id(transaction)] if id(transaction) in known else next(written) for transaction in group]

    def give_up(self) -> None:
        """Close the connection; the next group makes a new one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(Exception):  # it is of no use any more, whatever is wrong with it
                connection.close()


def _bare(connection: Connection, transaction: Transaction) -> Outcome:
    try:
        return Outcome(transaction(connection))
    except Exception as error:
        if is_outage(error):
            raise
        raise _Spoilt from error


def _in_savepoint(connection: Connection, transaction: Transaction) -> Outcome:
    savepoint = connection.begin_nested()
    try:
        value = transaction(connection)
        savepoint.commit()
    except Exception as error:
        if is_outage(error):
            raise
        savepoint.rollback()
        return Outcome(error=error)
    return Outcome(value)


class Reader:
    """Runs functions that only read, each on its own snapshot of the database."""

    def __init__(self, connect: Connect) -> None:
        self._connect = connect
        self._connection: Connection | None = None

    def __call__(self, group: Sequence[Transaction]) -> list[Outcome]:
        return [self._read(function) for function in group]

    def _read(self, function: Transaction) -> Outcome:
        try:
            if self._connection is None:
                self._connection = self._connect()
            with self._connection.begin():
                return Outcome(function(self._connection))
        except Exception as error:  # noqa: BLE001 - as above
            if not is_outage(error):
                return Outcome(error=error)
            self.give_up()
            unavailable = StoreUnavailable(f"the database cannot be read: {reason(error)}")
            unavailable.__cause__ = error
            return Outcome(error=unavailable)

    def give_up(self) -> None:
        """Close the connection; the next read makes a new one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(Exception):  # as above
                connection.close()
