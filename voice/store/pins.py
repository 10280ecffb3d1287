"""PINs that were changed by telephone, as hashes, and failed entries. Never a PIN, nor a digit of one."""

from datetime import datetime

from sqlalchemy import Connection, delete, select
from sqlalchemy.dialects import postgresql, sqlite

from voice.store import schema
from voice.store.inserting import if_missing

PIN, DURESS = "pin", "duress"
KEPT = "kept"
"""When the worker last keyed his duress PIN as a new PIN, and kept the one that he had. Compared with nothing."""

_CREDENTIALS = schema.credentials
_FAILURES = schema.failures
_CHANGE = {
    dialect: add.on_conflict_do_update(
        index_elements=["worker_id", "kind"],
        set_={"hash": add.excluded.hash, "changed_at": add.excluded.changed_at},
    )
    for dialect, add in (("sqlite", sqlite.insert(_CREDENTIALS)), ("postgresql", postgresql.insert(_CREDENTIALS)))
}
_FAIL = if_missing(_FAILURES, "id")


def credentials(connection: Connection, worker: str) -> dict[str, str]:
    """The hashes of a worker that count instead of those of the configuration, by kind."""
    found = connection.execute(select(_CREDENTIALS).where(_CREDENTIALS.c.worker_id == worker))
    return {row.kind: row.hash for row in found}


def change(connection: Connection, worker: str, kind: str, hash: str, at: datetime) -> None:
    """Give a worker another PIN."""
    row = {"worker_id": worker, "kind": kind, "hash": hash, "changed_at": at}
    connection.execute(_CHANGE[connection.dialect.name], row)


def forget(connection: Connection, worker: str) -> None:
    """Let the PINs of the configuration count again: somebody has forgotten his."""
    connection.execute(delete(_CREDENTIALS).where(_CREDENTIALS.c.worker_id == worker))


def failures(connection: Connection, worker: str, since: datetime) -> dict[str, datetime]:
    """When wrong PINs were entered for a worker, by the name of the failure."""
    query = select(_FAILURES.c.id, _FAILURES.c.at).where(_FAILURES.c.worker_id == worker, _FAILURES.c.at > since)
    return {row.id: row.at for row in connection.execute(query)}


def fail(connection: Connection, id: str, worker: str, at: datetime) -> None:
    """A wrong PIN was entered. Writing it again under the same name changes nothing."""
    connection.execute(_FAIL[connection.dialect.name], {"id": id, "worker_id": worker, "at": at})


def expire_failures(connection: Connection, before: datetime) -> None:
    """Forget failures that count no more."""
    connection.execute(delete(_FAILURES).where(_FAILURES.c.at < before))
