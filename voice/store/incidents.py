"""Incidents and their timelines. Every change of state is written together with its timeline entry.

Each function takes the connection of the transaction that it is part of: run them through `Store.run` or
`Store.read`. Statements are built once; SQLAlchemy caches what it compiles from them.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, bindparam, insert, select, update

from voice.errors import LifecycleError, UnknownIncident
from voice.incidents.kinds import Kind
from voice.incidents.lifecycle import Reason, State
from voice.incidents.lifecycle import transition as lifecycle_transition
from voice.incidents.timeline import GENESIS, Entry, canonical, chain
from voice.store import schema
from voice.store.bindings import load_bindings, save_bindings
from voice.store.engine import ON_ENTRY
from voice.store.legs import (
    add_leg,
    add_recording,
    close_recording,
    end_leg,
    legs,
    recording,
    recordings,
    unfinished,
)
from voice.store.rows import IncidentRow
from voice.store.text import storable

__all__ = [
    "add_leg",
    "add_recording",
    "append",
    "caused",
    "end_leg",
    "finish_recording",
    "incident",
    "incidents",
    "legs",
    "link",
    "linked",
    "load_bindings",
    "open_incident",
    "open_incidents",
    "recording",
    "recordings",
    "save_bindings",
    "timeline",
    "transition",
    "unfinished",
]

_INCIDENTS = schema.incidents
_TIMELINE = schema.timeline
_LINKS = schema.links

_INSERT = insert(_INCIDENTS)
_INSERT_ENTRY = insert(_TIMELINE)
_INSERT_LINK = insert(_LINKS)
_SELECT = select(_INCIDENTS)
_BY_ID = _SELECT.where(_INCIDENTS.c.id == bindparam("incident_id"))
# FOR NO KEY UPDATE: rows that only refer to the incident (a leg, a command) are written beside it.
_LOCKED = _BY_ID.with_for_update(key_share=True)
_LOCK = select(_INCIDENTS.c.id).where(_INCIDENTS.c.id == bindparam("incident_id")).with_for_update(key_share=True)
_UNRESOLVED = _SELECT.where(_INCIDENTS.c.state != State.RESOLVED.value)
_QUEUE = _UNRESOLVED.order_by(_INCIDENTS.c.priority, _INCIDENTS.c.opened_at, _INCIDENTS.c.id)
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
_CHANGE = (
    update(_INCIDENTS)
    .where(_INCIDENTS.c.id == bindparam("incident_id"))
    .values(
        state=bindparam("new_state"),
        changed_at=bindparam("at"),
        taken_by=bindparam("taker"),
        acknowledged_at=bindparam("acknowledged"),
        resolved_at=bindparam("resolved"),
        reason=bindparam("new_reason"),
        note=bindparam("new_note"),
    )
)


def open_incident(
    connection: Connection,
    *,
    incident_id: str,
    kind: Kind,
    priority: int,
    device_id: str | None,
    worker_id: str | None,
    caller: str | None,
    dialled: str | None,
    identified_by: str | None,
    at: datetime,
    detail: Mapping[str, Any],
    customer_id: str | None = None,
    cause_key: str | None = None,
    actor: str | None = None,
) -> IncidentRow:
    """Open an incident, with `opened` as the first entry of its timeline; `detail` is added to it.

    `actor` is who opened it: without one, the device that called. `cause_key` names what may open one incident only
    (`IntegrityError` for a second one).
    """
    row = IncidentRow(
        id=incident_id,
        kind=kind,
        priority=priority,
        state=State.OPEN,
        device_id=device_id,
        worker_id=worker_id,
        caller=storable(caller),
        dialled=storable(dialled),
        identified_by=identified_by,
        opened_at=at,
        changed_at=at,
        taken_by=None,
        acknowledged_at=None,
        resolved_at=None,
        reason=None,
        customer_id=customer_id,
        cause_key=cause_key,
    )
    connection.execute(
        _INSERT,
        {
            "id": row.id,
            "kind": row.kind.value,
            "priority": row.priority,
            "state": row.state.value,
            "device_id": row.device_id,
            "worker_id": row.worker_id,
            "caller": row.caller,
            "dialled": row.dialled,
            "identified_by": row.identified_by,
            "opened_at": at,
            "changed_at": at,
            "customer_id": row.customer_id,
            "cause_key": row.cause_key,
        },
    )
    facts = {
        "kind": row.kind.value,
        "priority": row.priority,
        "device": row.device_id,
        "worker": row.worker_id,
        "caller": row.caller,
        "dialled": row.dialled,
        "identified_by": row.identified_by,
    }
    first = chain(
        incident=incident_id,
        sequence=1,
        previous_hash=GENESIS,
        at=at,
        kind="opened",
        detail=facts | dict(detail),
        actor=actor or (f"device:{device_id}" if device_id else "unknown caller"),
    )
    _write(connection, first)
    return row


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
    _lock(connection, incident_id)
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
    _write(connection, *entries)
    return entries


def transition(
    connection: Connection,
    incident_id: str,
    *,
    to: State,
    actor: str,
    reason: Reason | None = None,
    at: datetime,
    detail: Mapping[str, Any] | None = None,
    note: str | None = None,
) -> IncidentRow:
    """Change the state as the lifecycle table allows (else `LifecycleError`), and say so on the timeline.

    `note` is how it was resolved, in words; it stands on the incident until that is reopened, and on its timeline.
    """
    row = connection.execute(_LOCKED, {"incident_id": incident_id}).first()
    if row is None:
        raise UnknownIncident(f"there is no incident {incident_id!r}")
    before = _incident(row)
    try:
        kind = lifecycle_transition(before.state, to, reason)
    except LifecycleError as error:
        raise LifecycleError(f"incident {incident_id}: {error}") from None
    after = _after(before, kind, to, actor=actor, reason=reason, at=at, note=storable(note))
    connection.execute(
        _CHANGE,
        {
            "incident_id": incident_id,
            "new_state": after.state.value,
            "at": at,
            "taker": after.taken_by,
            "acknowledged": after.acknowledged_at,
            "resolved": after.resolved_at,
            "new_reason": after.reason.value if after.reason else None,
            "new_note": after.note,
        },
    )
    facts = {"from": before.state.value, "to": to.value} | ({"reason": reason.value} if reason else {})
    facts |= {"note": after.note} if note and after.note else {}
    append(connection, incident_id, kind=kind, detail=facts | dict(detail or {}), actor=actor, at=at)
    return after


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
    close_recording(
        connection,
        recording_id,
        duration_ms=duration_ms,
        bytes=bytes,
        sha256=sha256,
        lost_ms=lost_ms,
        complete=complete,
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


def link(connection: Connection, a: str, b: str, *, actor: str, at: datetime) -> None:
    """Say on both timelines that two incidents belong together. Saying it again changes nothing."""
    if a == b:
        raise ValueError(f"incident {a!r} cannot be linked with itself")
    for name in sorted((a, b)):  # in one order, or two nodes would wait for each other
        _lock(connection, name)
    if b in linked(connection, a):
        return
    connection.execute(_INSERT_LINK, [{"incident_id": a, "other_id": b}, {"incident_id": b, "other_id": a}])
    append(connection, a, kind="linked", detail={"incident": b}, actor=actor, at=at)
    append(connection, b, kind="linked", detail={"incident": a}, actor=actor, at=at)


def linked(connection: Connection, incident_id: str) -> list[str]:
    """The incidents that this one is linked with, oldest first."""
    rows = connection.execute(
        select(_LINKS.c.other_id).where(_LINKS.c.incident_id == incident_id).order_by(_LINKS.c.other_id)
    )
    return list(rows.scalars())


def open_incidents(connection: Connection) -> list[IncidentRow]:
    """Every incident that is not resolved, most urgent first, then oldest first: the order of the queue."""
    return [_incident(row) for row in connection.execute(_QUEUE)]


def incident(connection: Connection, name: str) -> IncidentRow:
    """The incident of this name, or of the only one that begins or ends with it; else `UnknownIncident`."""
    row = connection.execute(_BY_ID, {"incident_id": name}).first()
    if row is not None:
        return _incident(row)
    column, part = _INCIDENTS.c.id, name.lower()  # LIKE of PostgreSQL tells capitals from small letters
    fits = column.startswith(part, autoescape=True) | column.endswith(part, autoescape=True)
    rows = connection.execute(_SELECT.where(fits).limit(6)).all() if name else []
    if len(rows) == 1:
        return _incident(rows[0])
    if not rows:
        raise UnknownIncident(f"there is no incident {name!r}")
    raise UnknownIncident(f"{name!r} fits several incidents: {', '.join(row.id for row in rows)}")


def caused(connection: Connection, cause_key: str) -> IncidentRow | None:
    """The incident that was raised by this cause, if it was."""
    row = connection.execute(_SELECT.where(_INCIDENTS.c.cause_key == cause_key)).first()
    return None if row is None else _incident(row)


def incidents(connection: Connection, limit: int = 50, state: State | None = None) -> list[IncidentRow]:
    """The newest incidents, newest first; of one state only, if given."""
    query = _SELECT if state is None else _SELECT.where(_INCIDENTS.c.state == state.value)
    newest = query.order_by(_INCIDENTS.c.opened_at.desc(), _INCIDENTS.c.id.desc()).limit(limit)
    return [_incident(row) for row in connection.execute(newest)]


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


def _lock(connection: Connection, incident_id: str) -> None:
    """Nobody else changes the incident or its timeline until the transaction ends; SQLite has one writer anyway.

    A statement of its own: what is read after it is what the one before has committed. A statement that waited for
    the lock itself would still see the timeline as it was when it began to wait.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(_LOCK, {"incident_id": incident_id})


def _write(connection: Connection, *entries: Entry) -> None:
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


def _after(
    before: IncidentRow, kind: str, to: State, *, actor: str, reason: Reason | None, at: datetime, note: str | None
) -> IncidentRow:
    """The row as it stands after the transition that the timeline calls `kind`."""
    changed = replace(before, state=to, changed_at=at)
    match kind:
        case "acknowledged" | "handed_over":
            return replace(changed, taken_by=actor, acknowledged_at=before.acknowledged_at or at)
        case "given_back":
            return replace(changed, taken_by=None)
        case "resolved":
            return replace(changed, resolved_at=at, reason=reason, note=note)
        case "reopened":
            return replace(changed, taken_by=None, acknowledged_at=None, resolved_at=None, reason=None, note=None)
    return changed


def _incident(row: Row[Any]) -> IncidentRow:
    values = row._asdict()
    values["kind"] = Kind(row.kind)
    values["state"] = State(row.state)
    values["reason"] = Reason(row.reason) if row.reason else None
    return IncidentRow(**values)


def _detail(text: str) -> Mapping[str, Any]:
    """The detail of an entry; one that somebody made unreadable shows as such, and its hash does not fit."""
    try:
        detail = json.loads(text)
    except ValueError:
        return {"unreadable": text}
    return detail if isinstance(detail, dict) else {"unreadable": text}
