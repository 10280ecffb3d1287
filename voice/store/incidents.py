"""Incidents and their timelines. Every change of state is written together with its timeline entry.

Each function takes the connection of the transaction that it is part of: run them through `Store.run` or
`Store.read`. Statements are built once; SQLAlchemy caches what it compiles from them.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, bindparam, insert, select, update

from voice.errors import LifecycleError, UnknownIncident
from voice.incidents.kinds import Kind
from voice.incidents.lifecycle import Reason, State
from voice.incidents.lifecycle import transition as lifecycle_transition
from voice.incidents.timeline import GENESIS, chain
from voice.store import schema
from voice.store.bindings import load_bindings, save_bindings
from voice.store.legs import (
    add_leg,
    add_recording,
    end_leg,
    finish_recording,
    legs,
    recording,
    recordings,
    unfinished,
)
from voice.store.rows import IncidentRow
from voice.store.text import storable
from voice.store.timeline import add_entries, append, append_all, lock_incident, timeline

__all__ = [
    "add_leg",
    "add_recording",
    "append",
    "append_all",
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
_LINKS = schema.links

_INSERT = insert(_INCIDENTS)
_INSERT_LINK = insert(_LINKS)
_SELECT = select(_INCIDENTS)
_BY_ID = _SELECT.where(_INCIDENTS.c.id == bindparam("incident_id"))
# FOR NO KEY UPDATE: rows that only refer to the incident (a leg, a command) are written beside it.
_LOCKED = _BY_ID.with_for_update(key_share=True)
_UNRESOLVED = _SELECT.where(_INCIDENTS.c.state != State.RESOLVED.value)
_QUEUE = _UNRESOLVED.order_by(_INCIDENTS.c.priority, _INCIDENTS.c.opened_at, _INCIDENTS.c.id)
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
    add_entries(connection, first)
    return row


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


def link(connection: Connection, a: str, b: str, *, actor: str, at: datetime) -> None:
    """Say on both timelines that two incidents belong together. Saying it again changes nothing."""
    if a == b:
        raise ValueError(f"incident {a!r} cannot be linked with itself")
    for name in sorted((a, b)):  # in one order, or two nodes would wait for each other
        lock_incident(connection, name)
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
