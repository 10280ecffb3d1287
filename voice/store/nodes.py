"""The nodes that share a store, and their leases, which count on the database's own clock."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Double,
    Select,
    and_,
    cast,
    func,
    insert,
    literal,
    literal_column,
    select,
    update,
)

from voice.store import schema

_NODES = schema.nodes


def register(connection: Connection, node: str, seconds: float, at: datetime) -> int:
    """A process takes this name, with a lease. Returns its epoch: one more than that of the process before it.

    A new node gets the lowest slot that no node has.
    """
    lease = _now(connection, at, seconds)
    epoch = connection.execute(select(_NODES.c.epoch).where(_NODES.c.id == node).with_for_update()).scalar()
    if epoch is not None:
        renewed = {"epoch": epoch + 1, "lease_until": lease, "started_at": at}
        connection.execute(update(_NODES).where(_NODES.c.id == node).values(renewed))
        return int(epoch) + 1
    taken = set(connection.execute(select(_NODES.c.slot)).scalars())
    slot = next(n for n in range(len(taken) + 1) if n not in taken)
    values = {"id": node, "epoch": 1, "lease_until": lease, "started_at": at, "slot": slot}
    connection.execute(insert(_NODES).values(values))
    return 1


def renew(connection: Connection, node: str, epoch: int, seconds: float, at: datetime) -> bool:
    """The lease holds for `seconds` from now on. False: another process has taken the name since."""
    ours = and_(_NODES.c.id == node, _NODES.c.epoch == epoch)
    renewed = update(_NODES).where(ours).values(lease_until=_now(connection, at, seconds))
    return bool(connection.execute(renewed).rowcount)


def others(connection: Connection, node: str, at: datetime) -> int:
    """How many nodes besides this one are alive."""
    found = alive(connection, at).where(_NODES.c.id != node).subquery()
    return connection.execute(select(func.count()).select_from(found)).scalar_one()


def alive(connection: Connection, at: datetime) -> Select[tuple[str]]:
    """The names of nodes whose lease holds, as a query."""
    return select(_NODES.c.id).where(_NODES.c.lease_until > _now(connection, at))


def _now(connection: Connection, at: datetime, seconds: float = 0.0) -> ColumnElement[Any]:
    """`seconds` from now: by the database's clock where nodes share it, else by that of the caller."""
    if connection.dialect.name != "postgresql":
        return literal(at + timedelta(seconds=seconds), schema.Moment())
    moment = func.clock_timestamp() + cast(seconds, Double) * literal_column("interval '1 second'")
    in_utc = func.timezone(literal_column("'UTC'"), moment)
    return func.to_char(in_utc, literal_column("""'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'"""))
