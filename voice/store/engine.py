"""What the databases have in common: how each is opened, what their errors mean, what a connection knows.

`sqlite` and `postgres` are the two; `database` chooses by URL.
"""

from enum import Enum
from typing import Protocol

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError, OperationalError

NODE, ON_ENTRY = "earshot.node", "earshot.on_entry"
"""What the store tells its functions by `Connection.info`: the node that writes; who hears of timeline entries."""

TRANSACTION = "earshot.transaction"
"""What a database that can tell later what became of a transaction calls the one under way (in `Connection.info`)."""

SQLITE_OUTAGES = frozenset({5, 6, 7, 8, 9, 10, 11, 13, 14, 15, 26})
"""Primary result codes of SQLite that speak of the state of the database and not of the statement:
busy, locked, no memory, read-only, interrupted, I/O error, corrupt, full, cannot open, locking protocol,
not a database."""

CONFLICTS = frozenset({"40001", "40P01"})
"""SQLSTATEs of PostgreSQL (appendix A of its manual) after which the same transaction is run again at once:
serialization failure, deadlock."""

OUTAGES = CONFLICTS | {
    "25006",  # read-only: the server has become a standby, or a reader wanted to write
    "25P03",  # the transaction was idle for too long: this process stood still
    "28000",  # who we are is refused, or …
    "28P01",  # … the password is: an administrator is changing it
    "3D000",  # the database is gone, while it is being restored, say
    "42501",  # a right is missing
    "55P03",  # somebody else holds a lock for too long
    "57014",  # the statement took too long
    "XX001",  # data are corrupted, or …
    "XX002",  # … an index is
}
"""SQLSTATEs that speak of the state of the database and not of the statement; so do all of `OUTAGE_CLASSES`."""

OUTAGE_CLASSES = frozenset({"08", "53", "57", "58"})
"""Connection lost; no disk, no memory, too many connections; the server stops or starts; its system fails."""


class Fate(Enum):
    """What became of a transaction whose commit was never answered."""

    COMMITTED = "committed"
    ABORTED = "aborted"
    IN_PROGRESS = "in progress"


class Database(Protocol):
    """One database."""

    @property
    def name(self) -> str:
        """For messages; without a password."""
        ...

    def exists(self) -> bool:
        """False if there surely is none; a server is only asked by connecting."""
        ...

    def prepare(self) -> None:
        """Make it if need be, and bring its schema up to date. `ConfigurationError` says why it cannot be used,
        `StoreAway` why it cannot be now."""
        ...

    def write(self) -> Connection:
        """A new connection. What its transactions have committed is on the disk."""
        ...

    def read(self) -> Connection:
        """A new connection whose transactions each see one state of the database, and change nothing."""
        ...

    def fate(self, connection: Connection, transaction: str) -> Fate:
        """What became of a transaction that this database gave a name (`TRANSACTION`)."""
        ...


def is_outage(error: BaseException) -> bool:
    """Whether an error tells of a database that cannot commit now, rather than of a wrong statement."""
    if not isinstance(error, DBAPIError):
        return False
    code = getattr(error.orig, "sqlite_errorcode", None)
    if code is not None:
        return code & 0xFF in SQLITE_OUTAGES
    state = sqlstate(error)
    if state is not None:
        return state in OUTAGES or state[:2] in OUTAGE_CLASSES
    return error.connection_invalidated or isinstance(error, OperationalError)


def is_conflict(error: DBAPIError) -> bool:
    """Whether other transactions were in the way, and the same one may well succeed now."""
    return sqlstate(error) in CONFLICTS


def sqlstate(error: DBAPIError) -> str | None:
    """The five characters by which PostgreSQL says what is wrong."""
    return getattr(error.orig, "sqlstate", None)


def reason(error: BaseException) -> str:
    """An error of the database in a few words: without the statement, whose values may be personal data."""
    return str(error.orig) if isinstance(error, DBAPIError) and error.orig is not None else str(error)
