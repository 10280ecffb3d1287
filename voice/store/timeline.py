"""The timelines of incidents: entries are only ever added. Functions of a connection, as in `incidents`."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, insert, select

from voice.errors import UnknownIncident
from voice.incidents.timeline import Entry, canonical, chain
from voice.store import schema
from voice.store.engine import ON_ENTRY

_INCIDENTS = schema.incidents
_TIMELINE = schema.timeline

_INSERT_ENTRY = insert(_TIMELINE)
# FOR NO KEY UPDATE: rows that only refer to the incident (a leg, a command) are written beside it.
_LOCK = select(_INCIDENTS.c.id).where(_INCIDENTS.c.id == bindparam("incident_id")).with_for_update(key_share=True)
_LAST_ENTRY = (
    select(_TIMELINE.c.sequence, _TIMELINE.c.hash)
    .where(_TIMELINE.c.incident_id == bindparam("incident_id"))
    .order_by(_TIMELINE.c.sequence.desc())
    .limit(1)
)
_ENTRIES = (
    select(_TIMELINE)
    .where(_TIMELINE.c.incident_id == bindparam("incident_id"), _TIMELINE.c.sequence > bindparam("after"))
    .order_by(_TIMELINE.c.sequence)
)


def append(
    connection: Connection,
    incident_id: str,
    *,
    kind: str,
    detail: Mapping[str, Any],
    actor: str,
    at: datetime,
) -> Entry:
    """Add an entry to the timeline of an incident. Two nodes that do so at once take turns."""
    return append_all(connection, incident_id, [(kind, detail, actor)], at=at)[0]


def append_all(
    connection: Connection,
    incident_id: str,
    said: Sequence[tuple[str, Mapping[str, Any], str]],
    *,
    at: datetime,
) -> list[Entry]:
    """`append` for several entries of one moment, each (kind, detail, actor), at the cost of little more than one."""
    lock_incident(connection, incident_id)
    last = connection.execute(_LAST_ENTRY, {"incident_id": incident_id}).first()
    if last is None:
        raise UnknownIncident(f"there is no incident {incident_id!r}")
    entries: list[Entry] = []
    previous = last.hash
    for sequence, (kind, detail, actor) in enumerate(said, last.sequence + 1):
        entry = chain(
            incident=incident_id,
            sequence=sequence,
            previous_hash=previous,
            at=at,
            kind=kind,
            detail=detail,
            actor=actor,
        )
        entries.append(entry)
        previous = entry.hash
    add_entries(connection, *entries)
    return entries


def timeline(connection: Connection, incident_id: str, after: int = 0) -> list[Entry]:
    """The entries of an incident in order; only those with a sequence number above `after`."""
    rows = connection.execute(_ENTRIES, {"incident_id": incident_id, "after": after})
    return [
        Entry(
            incident=row.incident_id,
            sequence=row.sequence,
            at=row.at,
            kind=row.kind,
            detail=_detail(row.detail),
            actor=row.actor,
            previous_hash=row.previous_hash,
            hash=row.hash,
        )
        for row in rows
    ]


def lock_incident(connection: Connection, incident_id: str) -> None:
    """Nobody else changes the incident or its timeline until the transaction ends; SQLite has one writer anyway.

    A statement of its own: what is read after it is what the one before has committed. A statement that waited for
    the lock itself would still see the timeline as it was when it began to wait.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(_LOCK, {"incident_id": incident_id})


def add_entries(connection: Connection, *entries: Entry) -> None:
    connection.execute(
        _INSERT_ENTRY,
        [
            {
                "incident_id": entry.incident,
                "sequence": entry.sequence,
                "at": entry.at,
                "kind": entry.kind,
                "detail": canonical(entry.detail),
                "actor": entry.actor,
                "previous_hash": entry.previous_hash,
                "hash": entry.hash,
            }
            for entry in entries
        ],
    )
    on_entry = connection.info.get(ON_ENTRY)
    if on_entry is not None:
        for entry in entries:
            on_entry(connection, entry)


def _detail(text: str) -> Mapping[str, Any]:
    """The detail of an entry; one that somebody made unreadable shows as such, and its hash does not fit."""
    try:
        detail = json.loads(text)
    except ValueError:
        return {"unreadable": text}
    return detail if isinstance(detail, dict) else {"unreadable": text}
