"""Transactions on one connection, several of them in one commit. Synchronous: `lanes` has the threads."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from voice.errors import StoreUnavailable
from voice.store.engine import is_outage, reason

Transaction = Callable[[Connection], Any]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one transaction: its value, or the error that undid it."""

    value: Any = None
    error: BaseException | None = None


class _Spoilt(Exception):
    """A transaction of a group raised while it had no savepoint of its own."""


class Writer:
    """Runs groups of transactions: BEGIN, all of them, one COMMIT (and so one fsync).

    A transaction that raises undoes only itself. That is rare, so a savepoint around each (a third of the cost of
    an alarm) is set only when one has raised: all is undone, and the group is run again with savepoints.

    A database that cannot commit undoes the whole group, and each of its members gets `StoreUnavailable`: nothing
    of it was written. The connection is then given up, and a new one is made for the next group, so a database
    that comes back is used again.
    """

    def __init__(self, connect: Callable[[], Connection]) -> None:
        self._connect = connect
        self._connection: Connection | None = None
        self.fault: Exception | None = None
        """While set, every commit fails with it. For tests."""
        self.commits = 0
        self.transactions = 0

    def __call__(self, group: Sequence[Transaction]) -> list[Outcome]:
        try:
            try:
                return self._commit(group, _bare)
            except _Spoilt:
                return self._commit(group, _in_savepoint)
        except StoreUnavailable as error:
            self.give_up()
            return [Outcome(error=error)] * len(group)

    def _commit(self, group: Sequence[Transaction], run: Callable[[Connection, Transaction], Outcome]) -> list[Outcome]:
        try:
            if self._connection is None:
                self._connection = self._connect()
            with self._connection.begin():
                outcomes = [run(self._connection, transaction) for transaction in group]
                if self.fault is not None:
                    raise StoreUnavailable(f"the database cannot commit: {self.fault}") from self.fault
        except DBAPIError as error:
            raise StoreUnavailable(f"the database cannot commit: {reason(error)}") from error
        self.commits += 1
        self.transactions += len(group)
        return outcomes

    def give_up(self) -> None:
        """Close the connection; the next group makes a new one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(DBAPIError):
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

    def __init__(self, connect: Callable[[], Connection]) -> None:
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
            with suppress(DBAPIError):
                connection.close()
