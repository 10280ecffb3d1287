"""Amber memos: what a worker said before he went in. The sound itself is a file."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, and_, delete, select, update

from voice.store import schema
from voice.store.inserting import if_missing
from voice.store.rows import IncidentRow
from voice.store.text import storable

_MEMOS = schema.memos
_INCIDENTS = schema.incidents
_KEEP = if_missing(_MEMOS, "id")


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
    """The latest memo of a worker that was valid at this moment."""
    query = select(_MEMOS).where(_MEMOS.c.worker_id == worker, _MEMOS.c.made_at <= now, _MEMOS.c.expires_at > now)
    row = connection.execute(query.order_by(_MEMOS.c.made_at.desc(), _MEMOS.c.id.desc()).limit(1)).first()
    return None if row is None else _memo(row)


def of_incident(connection: Connection, incident: IncidentRow) -> Memo | None:
    """The memo that people hear in an incident: the latest of its worker that was valid when it was opened."""
    return newest(connection, incident.worker_id, incident.opened_at) if incident.worker_id else None


def memo(connection: Connection, id: str) -> Memo | None:
    row = connection.execute(select(_MEMOS).where(_MEMOS.c.id == id)).first()
    return None if row is None else _memo(row)


def transcribed(connection: Connection, id: str, transcript: str) -> None:
    """Say what was understood of a memo."""
    connection.execute(update(_MEMOS).where(_MEMOS.c.id == id).values(transcript=storable(transcript)))


def untranscribed(connection: Connection, now: datetime) -> list[Memo]:
    """Memos that are valid and of which nobody has said yet what is said in them, oldest first."""
    query = select(_MEMOS).where(_MEMOS.c.transcript.is_(None), _MEMOS.c.expires_at > now)
    return [_memo(row) for row in connection.execute(query.order_by(_MEMOS.c.made_at, _MEMOS.c.id))]


def expired(connection: Connection, now: datetime) -> list[Memo]:
    """Memos whose sound is to be deleted, then they themselves (`forget`): none that belongs to an incident, that is,
    was valid when one of its worker was opened."""
    opened = _INCIDENTS.c.opened_at
    belongs = and_(
        _MEMOS.c.worker_id == _INCIDENTS.c.worker_id, _MEMOS.c.made_at <= opened, _MEMOS.c.expires_at > opened
    )
    # Incidents are read once, and each finds its memos by their index; the other way round all would be, for each memo.
    evidence = select(_MEMOS.c.id).select_from(_INCIDENTS.join(_MEMOS, belongs))
    alone = select(_MEMOS).where(_MEMOS.c.expires_at <= now, _MEMOS.c.id.not_in(evidence.correlate(None)))
    return [_memo(row) for row in connection.execute(alone.order_by(_MEMOS.c.expires_at))]


def ids(connection: Connection) -> frozenset[str]:
    """Of all memos that there are."""
    return frozenset(connection.execute(select(_MEMOS.c.id)).scalars())


def forget(connection: Connection, id: str) -> None:
    connection.execute(delete(_MEMOS).where(_MEMOS.c.id == id))


def _memo(row: Row[Any]) -> Memo:
    values = row._asdict()
    return Memo(worker=values.pop("worker_id"), session=values.pop("session_id"), **values)
