"""Connections to a PostgreSQL server: pg8000 with errors that say what they are, and statements that are sent once.

pg8000 is BSD and pure Python; psycopg is LGPL, and so not used. It asks the server three times for each statement;
here a statement is prepared when it first comes, and is asked once from then on.
"""

import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from pg8000 import dbapi
from pg8000.converters import make_params
from scramp import ScramException

MAX_PREPARED = 500
"""Statements kept on the server for each connection. Those beyond (lists of many lengths) are sent each time."""

CONNECTION_FAILURE = "08006"
_FAILED_TRANSACTION = "25P02"
_CLASSES = {
    "0A": dbapi.NotSupportedError,
    "22": dbapi.DataError,
    "23": dbapi.IntegrityError,
    "25": dbapi.InternalError,
    "26": dbapi.ProgrammingError,
    "42": dbapi.ProgrammingError,
    "XX": dbapi.InternalError,
}
"""By the class of their SQLSTATE, which errors are not the server's state: pg8000 has one class for all."""


@dataclass(frozen=True, slots=True)
class _Prepared:
    name: bytes
    columns: Any
    input_functions: Any


class Connection(dbapi.Connection):
    """A connection of DB-API 2.0. Its errors have `sqlstate`, and their text is what the server says in one line."""

    def __init__(self, *, answer_seconds: float | None, **options: Any) -> None:
        """Connect. An answer that takes longer than `answer_seconds` never comes."""
        self._prepared: dict[str, _Prepared] = {}
        self._broken = False
        with _translated(None):
            super().__init__(**options)
            self._usock.settimeout(answer_seconds)

    def cursor(self) -> "Cursor":
        return Cursor(self)

    def commit(self) -> None:
        if self._in_transaction:
            with _translated(self):
                self.execute_simple("commit")

    def rollback(self) -> None:
        """Nothing is to be done where the connection is gone: the server has rolled back, or will."""
        if self._in_transaction and not self._broken:
            with _translated(self):
                self.execute_simple("rollback")

    def close(self) -> None:
        """Close, also what is broken."""
        with suppress(dbapi.Error, OSError):
            super().close()

    def give_up(self) -> None:
        """Something is lost: whatever comes on this connection now, nobody knows what it answers."""
        self._broken = True

    def run(self, statement: str, values: Sequence[Any]) -> Any:
        """Carry out a statement that is prepared, or is from now on."""
        prepared = self._prepared.get(statement)
        if prepared is None:
            text, _ = dbapi.convert_paramstyle(dbapi.paramstyle, statement, values)
            prepared = self._prepared[statement] = _Prepared(*self.prepare_statement(text, ()))
        values = make_params(self.py_types, values)
        return self.execute_named(prepared.name, values, prepared.columns, prepared.input_functions, statement)

    def may_prepare(self, statement: str) -> bool:
        return statement in self._prepared or len(self._prepared) < MAX_PREPARED


class Cursor(dbapi.Cursor):
    """A cursor of DB-API 2.0. A statement that begins a transaction itself, with `BEGIN`, is left to do so."""

    def execute(self, operation: str, args: Sequence[Any] = (), stream: Any = None) -> None:
        connection: Connection = self._c
        with _translated(connection):
            if operation.startswith("BEGIN"):
                self._keep(connection.execute_simple(operation))
            elif args and connection._in_transaction and connection.may_prepare(operation):
                self._keep(connection.run(operation, args))
            else:
                super().execute(operation, args, stream)

    def _keep(self, answer: Any) -> None:
        self._context, self._row_iter = answer, None if answer.rows is None else iter(answer.rows)


@contextmanager
def _translated(connection: Connection | None) -> Iterator[None]:
    """Errors of pg8000, and of the socket below it, as those of DB-API 2.0."""
    try:
        yield
    except dbapi.InterfaceError as error:
        if "failed transaction" in str(error):
            raise _error(_FAILED_TRANSACTION, "a statement before it has failed") from error
        raise _lost(connection, error) from error
    except (OSError, struct.error, ScramException) as error:
        raise _lost(connection, error) from error
    except dbapi.DatabaseError as error:
        if not error.args or not isinstance(error.args[0], dict):
            raise
        fields = error.args[0]
        if connection is not None and fields.get("V", fields.get("S")) in ("FATAL", "PANIC"):
            connection.give_up()
        # The text without its detail, in which values may stand.
        raise _error(fields.get("C", "XX000"), fields.get("M", "unknown error")) from None


def _lost(connection: Connection | None, error: BaseException) -> dbapi.Error:
    if connection is not None:
        connection.give_up()
    cause = error.__cause__ if isinstance(error.__cause__, OSError) else error
    why = cause.strerror if isinstance(cause, OSError) and cause.strerror else str(cause)
    return _error(CONNECTION_FAILURE, f"the connection to the server failed: {why}")


def _error(state: str, message: str) -> dbapi.Error:
    error = _CLASSES.get(state[:2], dbapi.OperationalError)(message)
    error.sqlstate = state
    return error
