"""Call legs and the recordings of their audio. Functions of a connection, as in `incidents`."""

from collections.abc import Collection
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, bindparam, insert, or_, select, update

from voice.store import schema
from voice.store.engine import NODE
from voice.store.rows import Direction, LegRow, RecordingRow, Role, Unfinished
from voice.store.text import storable
from voice.store.timeline import append

_LEGS = schema.legs
_RECORDINGS = schema.recordings

_INSERT_LEG = insert(_LEGS)
_INSERT_RECORDING = insert(_RECORDINGS)
_END_LEG = (
    update(_LEGS)
    .where(_LEGS.c.id == bindparam("leg_id"), _LEGS.c.ended_at.is_(None))
    .values(ended_at=bindparam("at"), cause=bindparam("why"))
)
_FINISH = (
    update(_RECORDINGS)
    .where(_RECORDINGS.c.id == bindparam("recording_id"))
    .values(
        duration_ms=bindparam("new_duration"),
        bytes=bindparam("new_bytes"),
        sha256=bindparam("new_sha256"),
        lost_ms=bindparam("new_lost"),
        complete=bindparam("is_complete"),
    )
)
_LEGS_OF = select(_LEGS).where(_LEGS.c.incident_id == bindparam("incident")).order_by(_LEGS.c.started_at, _LEGS.c.id)
_RECORDINGS_OF = (
    select(_RECORDINGS)
    .where(_RECORDINGS.c.incident_id == bindparam("incident"))
    .order_by(_RECORDINGS.c.started_at, _RECORDINGS.c.index, _RECORDINGS.c.id)
)
_UNFINISHED_LEGS = select(_LEGS).where(_LEGS.c.ended_at.is_(None)).order_by(_LEGS.c.started_at, _LEGS.c.id)
_UNFINISHED_RECORDINGS = (
    select(_RECORDINGS).where(_RECORDINGS.c.duration_ms.is_(None)).order_by(_RECORDINGS.c.started_at, _RECORDINGS.c.id)
)


def add_leg(
    connection: Connection,
    *,
    leg_id: str,
    incident_id: str,
    role: Role,
    operator_id: str | None,
    call_id: str,
    peer: str,
    codec: str | None,
    started_at: datetime,
    contact_id: str | None = None,
) -> None:
    """A call leg has joined the incident. It is of the node that the store was opened for."""
    connection.execute(
        _INSERT_LEG,
        {
            "id": leg_id,
            "incident_id": incident_id,
            "role": role,
            "operator_id": operator_id,
            "call_id": storable(call_id),
            "peer": storable(peer),
            "codec": codec,
            "started_at": started_at,
            "node": connection.info.get(NODE),
            "contact_id": contact_id,
        },
    )


def end_leg(connection: Connection, leg_id: str, *, at: datetime, cause: str) -> None:
    """The leg has ended. Of a leg that had ended already, the first end stands."""
    connection.execute(_END_LEG, {"leg_id": leg_id, "at": at, "why": storable(cause)})


def add_recording(
    connection: Connection,
    *,
    recording_id: str,
    incident_id: str,
    leg_id: str,
    direction: Direction,
    index: int,
    path: str | Path,
    started_at: datetime,
    offset_ms: int,
) -> None:
    """A segment of audio is being written to `path`."""
    connection.execute(
        _INSERT_RECORDING,
        {
            "id": recording_id,
            "incident_id": incident_id,
            "leg_id": leg_id,
            "direction": direction,
            "index": index,
            "path": str(path),
            "started_at": started_at,
            "offset_ms": offset_ms,
            "complete": False,
            "node": connection.info.get(NODE),
        },
    )


def finish_recording(
    connection: Connection,
    recording_id: str,
    *,
    at: datetime,
    duration_ms: int,
    bytes: int,
    sha256: str,
    lost_ms: int,
    complete: bool,
) -> None:
    """The segment is closed: what it holds. Its hash goes into the chain of the timeline, unless it holds nothing.

    `complete` is false for what was mended after a process died. Saying the same again changes nothing.
    """
    before = recording(connection, recording_id)
    if before is None or before.sha256 == sha256:
        return
    connection.execute(
        _FINISH,
        {
            "recording_id": recording_id,
            "new_duration": duration_ms,
            "new_bytes": bytes,
            "new_sha256": sha256,
            "new_lost": lost_ms,
            "is_complete": complete,
        },
    )
    if sha256:
        facts = {
            "recording": recording_id,
            "leg": before.leg_id,
            "direction": before.direction,
            "duration_ms": duration_ms,
            "sha256": sha256,
        }
        append(connection, before.incident_id, kind="recorded", detail=facts, actor="system", at=at)


def legs(connection: Connection, incident_id: str) -> list[LegRow]:
    """The legs of an incident in the order in which they began."""
    return [_leg(row) for row in connection.execute(_LEGS_OF, {"incident": incident_id})]


def recording(connection: Connection, recording_id: str) -> RecordingRow | None:
    """One segment of audio, by its name."""
    row = connection.execute(select(_RECORDINGS).where(_RECORDINGS.c.id == recording_id)).first()
    return None if row is None else _recording(row)


def recordings(connection: Connection, incident_id: str) -> list[RecordingRow]:
    """The segments of audio of an incident in the order in which they began."""
    return [_recording(row) for row in connection.execute(_RECORDINGS_OF, {"incident": incident_id})]


def unfinished(connection: Connection, node: str | Collection[str] | None = None) -> Unfinished:
    """Legs that never ended, segments that were never closed: what a dead process left behind.

    `node`: only those of this node, or of these. What was written for no node (by a process that had the database
    for itself) is everybody's. Without it, those of all nodes: nobody else may be using the database then.
    """
    nodes = None if node is None else [node] if isinstance(node, str) else list(node)
    return Unfinished(
        legs=tuple(_leg(row) for row in connection.execute(_of_nodes(_UNFINISHED_LEGS, _LEGS.c.node, nodes))),
        recordings=tuple(
            _recording(row) for row in connection.execute(_of_nodes(_UNFINISHED_RECORDINGS, _RECORDINGS.c.node, nodes))
        ),
    )


def _of_nodes(statement: Select[Any], column: ColumnElement[str | None], nodes: list[str] | None) -> Select[Any]:
    return statement if nodes is None else statement.where(or_(column.is_(None), column.in_(nodes)))


def _leg(row: Row[Any]) -> LegRow:
    return LegRow(**row._asdict())


def _recording(row: Row[Any]) -> RecordingRow:
    return RecordingRow(**row._asdict())
