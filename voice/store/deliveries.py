"""Deliveries of webhooks: written beside timeline entries, claimed by one node at a time, in order for each incident.

Only the oldest delivery of an incident that is still waiting is ever claimed, so a receiver hears of an incident in
the order of its timeline. A claim is for a time: that of a process which died runs out. What was delivered leaves
the table; what was given up stays a while, to be seen.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import (
    ColumnElement,
    Connection,
    and_,
    delete,
    exists,
    func,
    insert,
    literal_column,
    or_,
    select,
    update,
)

from voice.store import schema
from voice.store.nodes import database_now

WAITING, GIVEN_UP = "waiting", "given up"

_TABLE = schema.deliveries
_EARLIER = _TABLE.alias("earlier")
_INSERT = insert(_TABLE)
_WAITS: ColumnElement[str] = literal_column(f"'{WAITING}'")
"""Written out, not bound: else SQLite cannot know that the indexes on what waits fit."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One entry of a timeline on its way to one receiver."""

    id: str
    hook: str
    incident_id: str
    sequence: int
    kind: str
    body: str
    attempts: int
    """Of earlier times; the one that this claim is for is not among them."""
    claimed_until: datetime


@dataclass(frozen=True, slots=True)
class Standing:
    """How the deliveries to one hook stand."""

    waiting: int
    given_up: int


def kind_and_state(connection: Connection, incident_id: str) -> tuple[str, str]:
    """Of the incident as it stands in this transaction."""
    table = schema.incidents
    row = connection.execute(select(table.c.kind, table.c.state).where(table.c.id == incident_id)).one()
    return row.kind, row.state


def add(
    connection: Connection,
    *,
    delivery_id: str,
    hook: str,
    incident_id: str,
    sequence: int,
    kind: str,
    body: str,
    at: datetime,
) -> None:
    """A delivery that is due at once."""
    connection.execute(
        _INSERT,
        {
            "id": delivery_id,
            "hook": hook,
            "incident_id": incident_id,
            "sequence": sequence,
            "kind": kind,
            "body": body,
            "due_at": at,
            "attempts": 0,
            "state": WAITING,
        },
    )


def anything_due(connection: Connection, hook: str, now: datetime) -> bool:
    """Whether a claim would give anything. Only reads."""
    ready = select(_TABLE.c.id).where(_ready(hook, database_now(connection, now))).limit(1)
    return connection.execute(ready).first() is not None


def claim(connection: Connection, hook: str, *, limit: int, now: datetime, seconds: float) -> list[Delivery]:
    """Deliveries that are due, for this process alone for so many seconds. On PostgreSQL the database's clock rules."""
    moment = database_now(connection, now)
    until = moment + timedelta(seconds=seconds)
    rows = connection.execute(
        select(_TABLE)
        .where(_ready(hook, moment))
        .order_by(_TABLE.c.due_at, _TABLE.c.incident_id, _TABLE.c.sequence)
        .limit(limit)
        .with_for_update(skip_locked=True)
    ).all()
    if rows:
        mine = _TABLE.c.id.in_([row.id for row in rows])
        connection.execute(update(_TABLE).where(mine).values(claimed_until=until))
    return [
        Delivery(row.id, row.hook, row.incident_id, row.sequence, row.kind, row.body, row.attempts, until)
        for row in rows
    ]


def delivered(connection: Connection, delivery: Delivery) -> bool:
    """The receiver took it. False: the claim had run out, and somebody else has it."""
    return connection.execute(delete(_TABLE).where(_still(delivery))).rowcount == 1


def failed(connection: Connection, delivery: Delivery, *, error: str, wait: float, now: datetime) -> bool:
    """It is tried again in `wait` seconds. False: the claim had run out."""
    due = database_now(connection, now) + timedelta(seconds=wait)
    return _settle(connection, delivery, state=WAITING, error=error, due_at=due)


def give_up(connection: Connection, delivery: Delivery, *, error: str) -> bool:
    """It is never tried again; those behind it may go. False: the claim had run out."""
    return _settle(connection, delivery, state=GIVEN_UP, error=error)


def standing(connection: Connection) -> Mapping[str, Standing]:
    """How the deliveries to each hook stand that has any which were not delivered."""
    query = select(_TABLE.c.hook, _TABLE.c.state, func.count()).group_by(_TABLE.c.hook, _TABLE.c.state)
    rows = connection.execute(query).all()
    counts = {(hook, state): number for hook, state, number in rows}
    hooks = {hook for hook, _ in counts}
    return {hook: Standing(counts.get((hook, WAITING), 0), counts.get((hook, GIVEN_UP), 0)) for hook in sorted(hooks)}


def forget(connection: Connection, *, before: datetime) -> int:
    """Delete what was due before then and was given up, or is for a hook that is no more. Number of rows."""
    return connection.execute(delete(_TABLE).where(_TABLE.c.due_at < before)).rowcount


def _ready(hook: str, now: datetime) -> ColumnElement[bool]:
    """Due, claimed by nobody, and the first of its incident that waits."""
    earlier = exists().where(
        _EARLIER.c.hook == _TABLE.c.hook,
        _EARLIER.c.incident_id == _TABLE.c.incident_id,
        _EARLIER.c.state == _WAITS,
        _EARLIER.c.sequence < _TABLE.c.sequence,
    )
    return and_(
        _TABLE.c.hook == hook,
        _TABLE.c.state == _WAITS,
        _TABLE.c.due_at <= now,
        or_(_TABLE.c.claimed_until.is_(None), _TABLE.c.claimed_until <= now),
        ~earlier,
    )


def _settle(connection: Connection, delivery: Delivery, **values: object) -> bool:
    settled = update(_TABLE).where(_still(delivery))
    settled = settled.values(attempts=delivery.attempts + 1, claimed_until=None, **values)
    return connection.execute(settled).rowcount == 1


def _still(delivery: Delivery) -> ColumnElement[bool]:
    """Nobody else has claimed it since."""
    return and_(_TABLE.c.id == delivery.id, _TABLE.c.state == _WAITS, _TABLE.c.claimed_until == delivery.claimed_until)
