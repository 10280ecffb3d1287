"""How the database is reached: connections to SQLite with the settings that make a commit durable.

Python's own SQLite may be one with the WAL-reset bug that SQLite 3.51.3 mended; the `pysqlite3` wheel
brings a good one.
"""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import quote

import pysqlite3.dbapi2
from sqlalchemy import Connection, Engine, NullPool, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, OperationalError

from voice.errors import ConfigurationError

_dbapi: ModuleType = pysqlite3.dbapi2

BUSY_TIMEOUT_MS = 2000
"""How long a commit waits for another process that writes before the store is called unavailable."""

_OUTAGES = frozenset({5, 6, 7, 8, 9, 10, 11, 13, 14, 15, 26})
"""Primary result codes of SQLite that speak of the state of the database and not of the statement:
busy, locked, no memory, read-only, interrupted, I/O error, corrupt, full, cannot open, locking protocol,
not a database."""

IN_MEMORY = "sqlite://"

NODE, ON_ENTRY = "earshot.node", "earshot.on_entry"
"""What the store tells its functions by `Connection.info`: the node that writes; who hears of timeline entries."""


def sqlite_path(url: str) -> Path | None:
    """The file of an SQLite URL, None for a database in memory; `ConfigurationError` for any other URL."""
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise ConfigurationError(f'store.url {url!r} is no URL; allowed: "sqlite:///path"') from None
    if parsed.get_backend_name() != "sqlite":
        raise ConfigurationError(f"store.url {parsed.render_as_string()!r}: only sqlite is supported")
    return Path(parsed.database).expanduser() if parsed.database else None


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

    made = create_engine(IN_MEMORY, module=_dbapi, creator=connect, poolclass=NullPool)
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


def is_outage(error: BaseException) -> bool:
    """Whether an error tells of a database that cannot commit now, rather than of a wrong statement."""
    if not isinstance(error, DBAPIError):
        return False
    code = getattr(error.orig, "sqlite_errorcode", None)
    if code is None:
        return error.connection_invalidated or isinstance(error, OperationalError)
    return code & 0xFF in _OUTAGES


def reason(error: BaseException) -> str:
    """An error of the database in a few words."""
    return str(error.orig) if isinstance(error, DBAPIError) and error.orig is not None else str(error)
