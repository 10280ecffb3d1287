"""PostgreSQL: a server that several nodes share.

Isolation. Writers run at READ COMMITTED, and every function that reads before it writes locks the row that it depends
on (`SELECT … FOR UPDATE`): of an incident for its timeline, of an escalation for its owner. What is read behind the
lock is then what the one before has committed. That is all that correctness needs; at SERIALIZABLE, groups of
transactions that share a commit would undo each other on suspicion. Readers run at REPEATABLE READ, READ ONLY: one
function sees one state.

Durability. `synchronous_commit` is on, whatever the server's default (stricter settings stay). A commit whose answer
never comes may have happened: each transaction asks for its name when it begins, so that the server can be asked about
it later (`fate`).

No transaction may hold what others need for long: one that waits for a lock, computes, or stands still with its
process is ended by the server, and its connection lost.
"""

import ssl
from collections.abc import Callable
from getpass import getuser
from typing import Any

from sqlalchemy import URL, Engine, NullPool, create_engine, event, text
from sqlalchemy import Connection as Connected
from sqlalchemy.exc import DBAPIError

from voice.errors import ConfigurationError, StoreAway
from voice.store import schema
from voice.store.engine import TRANSACTION, Fate, reason, sqlstate
from voice.store.migrate import upgrade, version
from voice.store.postgres_driver import Connection

PORT = 5432
OLDEST = 13
"""The first version that says what became of a transaction (`pg_xact_status` of 64-bit names)."""

CONNECT_SECONDS = 3.0
LOCK_MS = 2000
"""How long a transaction waits for one of another node before the store is called unavailable."""
STATEMENT_MS = 8000
IDLE_MS = 2000
"""How long a transaction may stand still (with its process, say) before the server ends it and frees its locks: less
than a lease, or the node that takes over could write nothing."""
ANSWER_SECONDS = 10.0
"""A server that says nothing for so long is gone: it would have ended the statement itself before that."""

_MIGRATION_LOCK = 0x6561_7273_686F_7400
"""Two nodes that start together do not both migrate. Any number, that of `earshot` in ASCII."""

_BEGIN_WRITING = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; SELECT pg_current_xact_id()::text"
_BEGIN_READING = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
_BEGIN_MIGRATING = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE"

_SSL_MODES = ("disable", "prefer", "require", "verify-full")
_OPTIONS = ("host", "port", "user", "password", "sslmode", "sslrootcert")

_MISSING_RIGHTS = text(
    "SELECT relname FROM pg_class WHERE relnamespace = current_schema()::regnamespace AND relname = ANY(:tables) "
    "AND NOT (has_table_privilege(oid, 'SELECT') AND has_table_privilege(oid, 'INSERT') "
    "AND (relname = ANY(:kept) OR has_table_privilege(oid, 'UPDATE')) "
    "AND (relname <> ALL(:emptied) OR has_table_privilege(oid, 'DELETE'))) ORDER BY relname"
)
EMPTIED = ["bindings", "credentials", "deliveries", "failures", "memos"]
"""Tables from which rows are deleted."""

_KEPT = ["session_log", "timeline"]
"""Tables to which rows are only added."""


class Postgres:
    """A database on a server."""

    def __init__(self, url: URL) -> None:
        """`postgresql://user:password@host:port/database`, or `…/database?host=/folder/of/the/socket`."""
        self._options = _options(url)
        where = self._options.get("unix_sock") or f"{_bracketed(self._options['host'])}:{self._options['port']}"
        self._name = f"database {url.database!r} on {where}"
        guards = {
            "lock_timeout": str(LOCK_MS),
            "statement_timeout": str(STATEMENT_MS),
            "idle_in_transaction_session_timeout": str(IDLE_MS),
        }
        self._writing = self._engine(_BEGIN_WRITING, ANSWER_SECONDS, guards)
        self._reading = self._engine(_BEGIN_READING, ANSWER_SECONDS, guards)

    @property
    def name(self) -> str:
        return self._name

    def exists(self) -> bool:
        return True

    def write(self) -> Connected:
        return self._writing.connect()

    def read(self) -> Connected:
        return self._reading.connect()

    def fate(self, connection: Connected, transaction: str) -> Fate:
        """A name that the server has forgotten is millions of transactions old: nobody waits for it any more."""
        with connection.begin():
            status = connection.execute(text("SELECT pg_xact_status(CAST(:id AS xid8))"), {"id": transaction}).scalar()
        return Fate(status or "aborted")

    def prepare(self) -> None:
        """Bring the schema up to date: one node does, the others that start meanwhile wait."""
        try:
            with self._engine(_BEGIN_MIGRATING, None, {}).connect() as connection, connection.begin():
                self._check_server(connection)
                if version(connection) != schema.VERSION:
                    connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK})
                    upgrade(connection, self.name)
                self._check_rights(connection)
        except DBAPIError as error:
            lacking = " (the user needs the right to create tables)" if sqlstate(error) == "42501" else ""
            raise StoreAway(f"store.url: {self.name} cannot be used: {reason(error)}{lacking}") from error

    def _check_server(self, connection: Connected) -> None:
        found = int(connection.execute(text("SHOW server_version_num")).scalar_one()) // 10_000
        if found < OLDEST:
            raise ConfigurationError(
                f"store.url: {self.name} is on PostgreSQL {found}; {OLDEST} is the oldest that can be used"
            )
        encoding = connection.execute(text("SHOW server_encoding")).scalar()
        if encoding != "UTF8":
            raise ConfigurationError(f"store.url: {self.name} keeps text as {encoding}; its encoding must be UTF8")

    def _check_rights(self, connection: Connected) -> None:
        values = {"tables": list(schema.metadata.tables), "emptied": EMPTIED, "kept": _KEPT}
        lacking = connection.execute(_MISSING_RIGHTS, values).scalars().all()
        if lacking:
            raise ConfigurationError(
                f"store.url: {self.name}: the user lacks rights (SELECT, INSERT, UPDATE, DELETE) "
                f"to the tables {', '.join(lacking)}"
            )

    def _engine(self, begin: str, answer_seconds: float | None, guards: dict[str, str]) -> Engine:
        parameters = {"client_encoding": "utf8", "timezone": "UTC", **guards}

        def connect() -> Connection:
            return Connection(answer_seconds=answer_seconds, startup_params=parameters, **self._options)

        made = create_engine("postgresql+pg8000://", creator=connect, poolclass=NullPool, hide_parameters=True)
        event.listen(made, "connect", _synchronous)
        event.listen(made, "begin", _begin(begin))
        return made


def _synchronous(connection: Connection, record: Any) -> None:
    cursor = connection.cursor()
    cursor.execute(
        "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'"
    )
    connection.commit()


def _begin(statement: str) -> Callable[[Connected], None]:
    def begin(connection: Connected) -> None:
        began = connection.exec_driver_sql(statement)
        if began.returns_rows:
            connection.info[TRANSACTION] = began.scalar()

    return begin


def _options(url: URL) -> dict[str, Any]:
    """What the driver is told, as libpq reads it from such a URL."""
    given: dict[str, Any] = {key: value for key, value in url.query.items() if isinstance(value, str)}
    if unknown := sorted(set(url.query) - set(_OPTIONS)):
        raise ConfigurationError(f"store.url: {unknown[0]!r} is no option; allowed: {', '.join(_OPTIONS)}")
    host, port = str(given.get("host") or url.host or "localhost"), int(given.get("port") or url.port or PORT)
    if not url.database:
        raise ConfigurationError("store.url names no database: postgresql://user:password@host:port/database")
    options: dict[str, Any] = {
        "user": given.get("user") or url.username or getuser(),
        "password": given.get("password") or url.password or "",
        "database": url.database,
        "application_name": "earshot",
        "timeout": CONNECT_SECONDS,
    }
    if host.startswith("/"):
        return options | {"unix_sock": f"{host}/.s.PGSQL.{port}", "ssl_context": False}
    return options | {"host": host, "port": port, "ssl_context": _ssl(given)}


def _ssl(given: dict[str, Any]) -> ssl.SSLContext | bool | None:
    """As libpq: `prefer` takes what the server has and trusts it, `verify-full` also asks who the server is."""
    mode = given.get("sslmode", "prefer")
    if mode not in _SSL_MODES:
        raise ConfigurationError(f"store.url: sslmode {mode!r} is not supported; allowed: {', '.join(_SSL_MODES)}")
    modes: dict[str, Callable[[], ssl.SSLContext | bool | None]] = {
        "disable": lambda: False,
        "prefer": lambda: None,
        "require": lambda: True,
        "verify-full": lambda: _verifying(given.get("sslrootcert")),
    }
    return modes[mode]()


def _verifying(certificates: str | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=certificates)
    except OSError as error:
        raise ConfigurationError(f"store.url: sslrootcert {certificates} cannot be read: {error.strerror}") from error


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
