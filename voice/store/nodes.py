"""The nodes that share a database: which of them lives, and the number that keeps the names they give apart.

Several processes may open incidents at one moment, and an incident's name is given before the database is asked. So
each node has a slot, which becomes part of the names it gives (`voice.incidents.identifiers`).
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, Select, and_, bindparam, func, insert, select, text, update

from voice.errors import ConfigurationError, Fenced
from voice.incidents.identifiers import SLOTS
from voice.store import schema

SLOT_RESTS = timedelta(minutes=10)
"""How long the slot of a node that is gone is given to nobody: it may only be cut off, and still be giving names."""

_NODES = schema.nodes
_NODE = select(_NODES).where(_NODES.c.id == bindparam("node_id"))
_CLOCK = select(func.clock_timestamp())
_ONE_AT_A_TIME = text("LOCK TABLE nodes IN SHARE ROW EXCLUSIVE MODE")
_OURS = and_(_NODES.c.id == bindparam("node_id"), _NODES.c.epoch == bindparam("node_epoch"))
_RENEW = update(_NODES).where(_OURS).values(lease_until=bindparam("until"))
_RENEW_ROW = update(_NODES).where(_NODES.c.id == bindparam("node_id"))
_RENEW_ROW = _RENEW_ROW.values(
    epoch=bindparam("new_epoch"), lease_until=bindparam("until"), started_at=bindparam("began"), slot=bindparam("place")
)


@dataclass(frozen=True, slots=True)
class Node:
    """A process that uses the database."""

    id: str
    epoch: int
    """Grows each time that a process becomes this node: an earlier one is not it any more."""
    slot: int
    """0 to 7, different from that of every other node that lives."""


def database_now(connection: Connection, fallback: datetime) -> datetime:
    """Now, by the one clock that all nodes share: PostgreSQL's own. SQLite has one process, whose clock it is."""
    if connection.dialect.name != "postgresql":
        return fallback
    moment: datetime = connection.execute(_CLOCK).scalar_one()
    return moment.astimezone(UTC)


def enroll(connection: Connection, node_id: str, now: datetime, lease_seconds: float) -> Node:
    """This process is the node of this name from now on, and lives for `lease_seconds`.

    `ConfigurationError` when as many others live as can.
    """
    if connection.dialect.name == "postgresql":  # or two that start together would take one slot
        connection.execute(_ONE_AT_A_TIME)
    now = database_now(connection, now)
    known = connection.execute(_NODE, {"node_id": node_id}).first()
    node = Node(
        node_id, known.epoch + 1 if known else 1, _free_slot(connection, node_id, known.slot if known else None, now)
    )
    until = now + timedelta(seconds=lease_seconds)
    if known is None:
        row = {"id": node.id, "epoch": node.epoch, "lease_until": until, "started_at": now, "slot": node.slot}
        connection.execute(insert(_NODES), row)
    else:
        row = {"node_id": node_id, "new_epoch": node.epoch, "until": until, "began": now, "place": node.slot}
        connection.execute(_RENEW_ROW, row)
    return node


def renew(connection: Connection, node: Node, now: datetime, lease_seconds: float) -> bool:
    """Live for `lease_seconds` more. False: another process has become this node since."""
    until = database_now(connection, now) + timedelta(seconds=lease_seconds)
    values = {"node_id": node.id, "node_epoch": node.epoch, "until": until}
    return connection.execute(_RENEW, values).rowcount == 1


def alive(connection: Connection, at: datetime) -> Select[tuple[str]]:
    """The names of nodes whose lease holds."""
    return select(_NODES.c.id).where(_NODES.c.lease_until > database_now(connection, at))


def hold(connection: Connection, node_id: str, epoch: int) -> None:
    """Nobody else becomes the node until the transaction ends. Raises `Fenced` when somebody has."""
    found = select(_NODES.c.epoch).where(_NODES.c.id == node_id).with_for_update(read=True)
    if connection.execute(found).scalar() != epoch:
        raise Fenced(f"another process is node {node_id} now")


def _free_slot(connection: Connection, node_id: str, had: int | None, now: datetime) -> int:
    """The slot that the node had, or the first that nobody has."""
    others = select(_NODES.c.slot).where(_NODES.c.id != node_id, _NODES.c.lease_until > now - SLOT_RESTS)
    taken = set(connection.execute(others).scalars())
    wanted = range(SLOTS) if had is None else [had, *range(SLOTS)]
    free = next((slot for slot in wanted if slot not in taken), None)
    if free is None:
        raise ConfigurationError(
            f"store.url: {SLOTS} nodes use this database already, or did within the last "
            f"{SLOT_RESTS.seconds // 60} minutes; more than {SLOTS} are not possible"
        )
    return free
