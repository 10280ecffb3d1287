"""SQLite: a file that one service has for itself, with the settings that make a commit durable.

Python's own SQLite may be one with the WAL-reset bug that SQLite 3.51.3 mended; the `pysqlite3` wheel
brings a good one.
"""

import os
import stat
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import quote

import pysqlite3.dbapi2
from sqlalchemy import Connection, Engine, NullPool, create_engine, event
from sqlalchemy.exc import DBAPIError

from voice.errors import StoreAway
from voice.store import schema
from voice.store.engine import Fate, reason
from voice.store.migrate import upgrade

_dbapi: ModuleType = pysqlite3.dbapi2

BUSY_TIMEOUT_MS = 2000
"""How long a commit waits for another process that writes before the store is called unavailable."""

IN_MEMORY = "sqlite://"


class SqliteFile:
    """A database in one file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._writing, self._reading = engine(path, mode="rw"), engine(path, mode="ro")

    @property
    def name(self) -> str:
        return str(self.path)

    def exists(self) -> bool:
        return self.path.exists()

    def prepare(self) -> None:
        """Create the file and its folder where they are missing, and bring its schema up to date."""
        path = self.path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            _keep_from_strangers(path)
            with engine(path, mode="rwc").connect() as connection, connection.begin():
                upgrade(connection, self.name)
        except OSError as error:
            raise StoreAway(f"store.url: the folder {path.parent} cannot be made: {error.strerror}") from error
        except DBAPIError as error:
            raise StoreAway(f"store.url: {path} cannot be used: {reason(error)}") from error

    def write(self) -> Connection:
        return self._writing.connect()

    def read(self) -> Connection:
        return self._reading.connect()

    def fate(self, connection: Connection, transaction: str) -> Fate:
        """Never asked: what SQLite could not commit, it has not committed."""
        return Fate.ABORTED


def _keep_from_strangers(path: Path) -> None:
    """Passwords and hashes of PINs are in it: who is neither its owner nor of its group may not open it. SQLite gives
    the files beside it the same mode."""
    with suppress(OSError):  # whatever is wrong with it SQLite says better
        if not path.exists():  # never opened else: to close it would let go of SQLite's locks
            os.close(os.open(path, os.O_RDONLY | os.O_CREAT | os.O_EXCL, 0o600))
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & 0o007:
            path.chmod(mode & ~0o007)


def in_memory() -> Connection:
    """The only connection to a new database that lives as long as it does."""
    connection = _in_memory().connect()
    _driver(_empty()).backup(_driver(connection))
    return connection


def _driver(connection: Connection) -> Any:
    return connection.connection.driver_connection


@cache
def _in_memory() -> Engine:
    """Of all of them, so that a statement is compiled once and not in each."""
    return engine(None, mode="rw")


@cache
def _empty() -> Connection:
    """A database with nothing in it but the schema."""
    connection = _in_memory().connect()
    with connection.begin():
        schema.metadata.create_all(connection)
    return connection


def engine(path: Path | None, *, mode: str) -> Engine:
    """Connections to one database. `mode`: `rwc` creates the file, `rw` does not, `ro` reads only.

    Every transaction of a writing connection begins IMMEDIATE: it waits for its turn at the start, and
    never fails half-way because somebody else wrote in between.
    """

    def connect() -> Any:
        name = f"file:{quote(str(path))}?mode={mode}" if path else ":memory:"
        return _dbapi.connect(
            name, uri=True, isolation_level=None, check_same_thread=False, timeout=BUSY_TIMEOUT_MS / 1000
        )

    made = create_engine(IN_MEMORY, module=_dbapi, creator=connect, poolclass=NullPool, hide_parameters=True)
    event.listen(made, "connect", _prepare(path, read_only=mode == "ro"))
    event.listen(made, "begin", _begin("BEGIN" if mode == "ro" else "BEGIN IMMEDIATE"))
    return made


def _prepare(path: Path | None, *, read_only: bool) -> Callable[[Any, Any], None]:
    def prepare(connection: Any, record: Any) -> None:
        connection.execute("PRAGMA foreign_keys = ON")
        if read_only:
            connection.execute("PRAGMA query_only = ON")
        elif path is not None:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")

    return prepare


def _begin(statement: str) -> Callable[[Connection], None]:
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql(statement)

    return begin
