"""Amber memos: what a worker said before he went in. The sound itself is a file."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, select, update
from sqlalchemy.dialects import postgresql, sqlite

from voice.store import schema

_MEMOS = schema.memos
_KEEP = {
    "sqlite": sqlite.insert(_MEMOS).on_conflict_do_nothing(index_elements=["id"]),
    "postgresql": postgresql.insert(_MEMOS).on_conflict_do_nothing(index_elements=["id"]),
}


@dataclass(frozen=True, slots=True)
class Memo:
    id: str
    worker: str
    session: str | None
    path: str
    made_at: datetime
    expires_at: datetime
    seconds: float
    transcript: str | None = None


def keep(connection: Connection, memo: Memo) -> None:
    """Write a memo. Writing it again changes nothing."""
    row = {
        "id": memo.id,
        "worker_id": memo.worker,
        "session_id": memo.session,
        "path": memo.path,
        "made_at": memo.made_at,
        "expires_at": memo.expires_at,
        "seconds": memo.seconds,
        "transcript": memo.transcript,
    }
    connection.execute(_KEEP[connection.dialect.name], row)


def newest(connection: Connection, worker: str, now: datetime) -> Memo | None:
    """The latest memo of a worker that has not expired."""
    query = select(_MEMOS).where(_MEMOS.c.worker_id == worker, _MEMOS.c.expires_at > now)
    row = connection.execute(query.order_by(_MEMOS.c.made_at.desc(), _MEMOS.c.id.desc()).limit(1)).first()
    return None if row is None else _memo(row)


def memo(connection: Connection, id: str) -> Memo | None:
    row = connection.execute(select(_MEMOS).where(_MEMOS.c.id == id)).first()
    return None if row is None else _memo(row)


def transcribed(connection: Connection, id: str, transcript: str) -> None:
    """Say what was understood of a memo."""
    connection.execute(update(_MEMOS).where(_MEMOS.c.id == id).values(transcript=transcript))


def expired(connection: Connection, now: datetime) -> list[Memo]:
    """Memos whose sound is to be deleted, then they themselves (`forget`)."""
    found = connection.execute(select(_MEMOS).where(_MEMOS.c.expires_at <= now).order_by(_MEMOS.c.expires_at))
    return [_memo(row) for row in found]


def forget(connection: Connection, id: str) -> None:
    connection.execute(delete(_MEMOS).where(_MEMOS.c.id == id))


def _memo(row: Row[Any]) -> Memo:
    values = row._asdict()
    return Memo(worker=values.pop("worker_id"), session=values.pop("session_id"), **values)
