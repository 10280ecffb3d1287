"""Acknowledgement links: only the hash of a token is kept, it works once, and it ends with its incident."""

from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

from sqlalchemy import Connection, insert, select, update

from voice.incidents.lifecycle import State
from voice.store import schema

_TABLE = schema.acknowledgements
_INCIDENTS = schema.incidents


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """What a token stands for, while its incident is open."""

    incident_id: str
    contact_id: str
    counts: bool
    """Whether following it counts as a person taking the alarm."""
    opened_at: datetime
    """When the incident opened."""
    used_at: datetime | None
    taken: bool
    """Somebody has the alarm."""


def add(connection: Connection, token: str, *, incident_id: str, contact_id: str, counts: bool, at: datetime) -> None:
    """A link that may be followed once."""
    connection.execute(
        insert(_TABLE),
        {
            "token_sha256": name(token),
            "incident_id": incident_id,
            "contact_id": contact_id,
            "counts": counts,
            "created_at": at,
        },
    )


def plan(connection: Connection, incident_id: str) -> str | None:
    """The frozen plan of an incident, as JSON: it knows in which language its contacts read."""
    plans, escalations = schema.frozen_plans, schema.escalations
    joined = select(plans.c.content).join(escalations, escalations.c.plan == plans.c.sha256)
    return connection.execute(joined.where(escalations.c.incident_id == incident_id)).scalar()


def find(connection: Connection, token: str) -> Acknowledgement | None:
    """What the token stands for; None: nothing, or its incident is over."""
    row = connection.execute(
        select(_TABLE, _INCIDENTS.c.opened_at, _INCIDENTS.c.state)
        .join(_INCIDENTS, _INCIDENTS.c.id == _TABLE.c.incident_id)
        .where(_TABLE.c.token_sha256 == name(token), _INCIDENTS.c.state != State.RESOLVED.value)
    ).first()
    if row is None:
        return None
    taken = row.state != State.OPEN.value
    return Acknowledgement(row.incident_id, row.contact_id, row.counts, row.opened_at, row.used_at, taken)


def use(connection: Connection, token: str, at: datetime) -> bool:
    """Use the token up. False: it was used before, be it by another process at this very moment."""
    unused = update(_TABLE).where(_TABLE.c.token_sha256 == name(token), _TABLE.c.used_at.is_(None))
    return connection.execute(unused.values(used_at=at)).rowcount == 1


def name(token: str) -> str:
    """What a token is called where it must not stand itself: its SHA-256."""
    return sha256(token.encode("utf-8", "replace")).hexdigest()
