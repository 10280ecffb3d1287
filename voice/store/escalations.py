"""Escalations, their outbox and inbox, and the nodes that own them: `voice.escalation.ledger` in SQL.

Who checks its ownership locks the row of the escalation, and keeps it until its commit: so nobody takes the incident
up between the check and what hangs on it. SQLite has one writer at a time, which does the same.
"""

from asyncio import Future
from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import (
    ColumnElement,
    Connection,
    Insert,
    Row,
    Select,
    Table,
    and_,
    bindparam,
    func,
    literal,
    or_,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from voice.errors import Fenced, LifecycleError, OutOfOrder, UnknownIncident
from voice.escalation.commands import CallEmergency, Command
from voice.escalation.events import Event
from voice.escalation.ledger import (
    Beat,
    Claimed,
    Decided,
    Letter,
    Opening,
    PlanText,
    Waiting,
    command_text,
    event_text,
    key_of,
    read_command,
    read_event,
    survives,
)
from voice.escalation.state import Change, Note, Phase, State
from voice.owned.ledger import NOBODY, Claim, Fence
from voice.store import incidents as rows
from voice.store import nodes, schema
from voice.store.store import Store

T = TypeVar("T")

_ESCALATIONS = schema.escalations
_PLANS = schema.frozen_plans
_NODES = schema.nodes
_OUTBOX = schema.outbox
_INBOX = schema.inbox

_CALL = CallEmergency.__name__


def _if_missing(table: Table, *key: str) -> dict[str, Insert]:
    """INSERT of a row that may be there already, by dialect."""
    return {
        "sqlite": sqlite.insert(table).on_conflict_do_nothing(index_elements=key),
        "postgresql": postgresql.insert(table).on_conflict_do_nothing(index_elements=key),
    }


_ADD_PLAN = _if_missing(_PLANS, "sha256")
_ADD_ESCALATION = _if_missing(_ESCALATIONS, "incident_id")
_ADD_COMMAND = _if_missing(_OUTBOX, "incident_id", "sequence", "n")
_ADD_LETTER = _if_missing(_INBOX, "id")

_OURS = and_(
    _ESCALATIONS.c.incident_id == bindparam("fenced_incident"),
    _ESCALATIONS.c.owner == bindparam("fenced_node"),
    _ESCALATIONS.c.epoch == bindparam("fenced_epoch"),
)
_ADVANCE = (
    update(_ESCALATIONS)
    .where(_OURS)
    .values(
        state=bindparam("new_state"),
        version=bindparam("new_version"),
        phase=bindparam("new_phase"),
        due_at=bindparam("new_due"),
    )
)
_ADVANCE_IN_ORDER = _ADVANCE.where(_ESCALATIONS.c.version == bindparam("previous"))
_ADVANCE_OVER_GAP = _ADVANCE.where(_ESCALATIONS.c.version < bindparam("new_version"))
_HELD = select(_ESCALATIONS.c.owner, _ESCALATIONS.c.epoch, _ESCALATIONS.c.version).where(
    _ESCALATIONS.c.incident_id == bindparam("fenced_incident")
)
_HELD_LOCKED = _HELD.with_for_update()
_COMMAND = and_(
    _OUTBOX.c.incident_id == bindparam("of_incident"),
    _OUTBOX.c.sequence == bindparam("of_sequence"),
    _OUTBOX.c.n == bindparam("of_n"),
)
_BEGIN = update(_OUTBOX).where(_COMMAND, _OUTBOX.c.state != "done").values(state="started", changed_at=bindparam("at"))
_THERE = select(_OUTBOX.c.state).where(_COMMAND)
_FINISH = update(_OUTBOX).where(_COMMAND)
_FINISH = _FINISH.values(state="done", outcome=bindparam("what"), changed_at=bindparam("at"))
_FINISH_OTHERS = _FINISH.where(_OUTBOX.c.kind != _CALL)
_PLAN = select(_PLANS.c.sha256).where(_PLANS.c.sha256 == bindparam("wanted"))
_LETTERS = (
    select(_INBOX.c.id, _INBOX.c.incident_id, _INBOX.c.event, _ESCALATIONS.c.phase)
    .join(_ESCALATIONS, _ESCALATIONS.c.incident_id == _INBOX.c.incident_id)
    .where(_INBOX.c.handled_at.is_(None))
    .order_by(_INBOX.c.at, _INBOX.c.id)
)
"""Asked for twice a second, so it is built once. In a store that one process has all of them are its own."""
_LETTERS_OF = _LETTERS.where(
    or_(
        _ESCALATIONS.c.owner == bindparam("node"),
        _ESCALATIONS.c.owner.is_(None),
        _ESCALATIONS.c.owner.not_in(select(_NODES.c.id).where(_NODES.c.lease_until > bindparam("alive_at"))),
    )
)
_ANSWER = update(_INBOX).where(_INBOX.c.id == bindparam("letter")).values(handled_at=bindparam("answered"))
_UNDONE = (
    select(_OUTBOX.c.command, _OUTBOX.c.state)
    .where(_OUTBOX.c.incident_id == bindparam("of_incident"), _OUTBOX.c.state.in_(("pending", "started")))
    .order_by(_OUTBOX.c.sequence, _OUTBOX.c.n)
)


class SqlLedger:
    """The ledger in a store. `sole`: no other process can use it."""

    def __init__(self, store: Store, *, sole: bool) -> None:
        self._store = store
        self._sole = sole

    @property
    def sole(self) -> bool:
        return self._sole

    def run(self, transaction: Callable[[Connection], T]) -> "Future[T]":
        return self._store.run(transaction)

    def read(self, function: Callable[[Connection], T]) -> "Future[T]":
        return self._store.read(function)

    # -- one escalation --

    def open(self, connection: Connection, opening: Opening) -> None:
        """See `Ledger`."""
        plan, state, fence = opening.plan, opening.state, opening.fence
        if opening.new_plan:
            values = {"sha256": plan.sha256, "content": plan.content, "at": opening.at}
            connection.execute(_ADD_PLAN[connection.dialect.name], values)
        added = connection.execute(
            _ADD_ESCALATION[connection.dialect.name],
            {
                "incident_id": fence.name,
                "plan": plan.sha256,
                "state": state.to_json(),
                "version": state.decisions,
                "phase": state.phase.value,
                "due_at": state.due_at,
                "owner": fence.node,
                "epoch": fence.epoch,
            },
        )
        if added.rowcount:
            _note(connection, fence.name, opening.notes, opening.at)

    def has_plan(self, connection: Connection, sha256: str) -> bool:
        """See `Ledger`."""
        return connection.execute(_PLAN, {"wanted": sha256}).first() is not None

    def record(self, connection: Connection, decided: Decided) -> None:
        """See `Ledger`."""
        if not _advance(connection, decided):
            return  # it is written already
        incident, at = decided.fence.name, decided.at
        if decided.change is not None:
            _change(connection, incident, decided.change, at)
        _note(connection, incident, decided.notes, at)
        if commands := [command for command in decided.commands if key_of(command) is not None]:
            values = [_row(incident, command, at) for command in commands]
            connection.execute(_ADD_COMMAND[connection.dialect.name], values)
        if decided.call_ended is not None:
            key, outcome = decided.call_ended
            connection.execute(_FINISH, _named(incident, key) | {"what": outcome, "at": at})
        if decided.inbox is not None:
            self.answered(connection, [decided.inbox], at)

    def begin(self, connection: Connection, fence: Fence, key: str, at: datetime) -> None:
        """See `Ledger`."""
        _hold(connection, fence)
        if connection.execute(_BEGIN, _named(fence.name, key) | {"at": at}).rowcount:
            return
        if connection.execute(_THERE, _named(fence.name, key)).first() is None:
            raise OutOfOrder(f"incident {fence.name} has no command {key} yet")

    def finish(self, connection: Connection, fence: Fence, key: str, outcome: str, at: datetime) -> None:
        """See `Ledger`."""
        values = _named(fence.name, key) | {"what": outcome, "at": at}
        if connection.execute(_FINISH_OTHERS, values).rowcount:
            return
        _hold(connection, fence)
        if not connection.execute(_FINISH, values).rowcount:
            raise OutOfOrder(f"incident {fence.name} has no command {key} yet")

    # -- nodes --

    def register(self, connection: Connection, node: str, seconds: float, at: datetime) -> int:
        """See `Ledger`."""
        return nodes.enroll(connection, node, at, seconds).epoch

    def beat(self, connection: Connection, node: str, epoch: int, seconds: float, at: datetime) -> Beat:
        """See `Ledger`."""
        alive = nodes.renew(connection, nodes.Node(node, epoch, 0), at, seconds)
        others = _alive(connection, at).where(_NODES.c.id != node).subquery()
        return Beat(alive, connection.execute(select(func.count()).select_from(others)).scalar_one())

    def retire(self, connection: Connection, node: str, epoch: int, at: datetime) -> None:
        """See `Ledger`."""
        nodes.renew(connection, nodes.Node(node, epoch, 0), at, 0.0)

    def fences(self, connection: Connection, names: Collection[str]) -> dict[str, Fence]:
        """See `Ledger`."""
        columns = (_ESCALATIONS.c.incident_id, _ESCALATIONS.c.owner, _ESCALATIONS.c.epoch)
        found = connection.execute(select(*columns).where(_ESCALATIONS.c.incident_id.in_(names)))
        return {row.incident_id: Fence(row.incident_id, row.owner or NOBODY, row.epoch) for row in found}

    def held(self, connection: Connection, node: str) -> list[str]:
        """See `Ledger`."""
        under_way = and_(_ESCALATIONS.c.owner == node, _ESCALATIONS.c.phase != Phase.DONE.value)
        return list(connection.execute(select(_ESCALATIONS.c.incident_id).where(under_way)).scalars())

    def claim(self, connection: Connection, claim: Claim) -> list[Claimed]:
        """See `Ledger`."""
        if claim.epoch is not None:
            _be_the_node(connection, claim.node, claim.epoch)
        wanted = [row for row in self._claimable(connection, claim) if row.incident_id not in claim.known]
        chosen = wanted[: claim.limit]
        if not chosen:
            return []
        names = [row.incident_id for row in chosen]
        taken = update(_ESCALATIONS).where(_ESCALATIONS.c.incident_id.in_(names))
        connection.execute(taken.values(owner=claim.node, epoch=_ESCALATIONS.c.epoch + 1))
        plans = _plans(connection, {row.plan for row in chosen})
        return [_claimed(connection, row, plans[row.plan]) for row in chosen]

    def _claimable(self, connection: Connection, claim: Claim) -> Sequence[Row[Any]]:
        whose = []
        if claim.own:
            whose.append(_ESCALATIONS.c.owner == claim.node)
        if claim.orphans:
            whose.append(self._without_owner(connection, claim.at))
        which = _ESCALATIONS.c.phase != Phase.DONE.value
        if claim.only is not None:
            which = _ESCALATIONS.c.incident_id == claim.only
        incidents = schema.incidents
        query = (
            select(_ESCALATIONS)
            .join(incidents, incidents.c.id == _ESCALATIONS.c.incident_id)
            .where(which, or_(*whose))
            .order_by(incidents.c.priority, incidents.c.opened_at, incidents.c.id)
            .limit(claim.limit + len(claim.known))
            .with_for_update(of=_ESCALATIONS, skip_locked=True)
        )
        return connection.execute(query).all()

    def _without_owner(self, connection: Connection, at: datetime) -> ColumnElement[bool]:
        if self.sole:
            return literal(True)
        return or_(_ESCALATIONS.c.owner.is_(None), _ESCALATIONS.c.owner.not_in(_alive(connection, at)))

    # -- the inbox --

    def leave(self, connection: Connection, letter: str, incident: str, event: Event, at: datetime) -> None:
        """See `Ledger`."""
        leave(connection, letter, incident, event, at)

    def letters(self, connection: Connection, node: str, at: datetime) -> list[Letter]:
        """See `Ledger`."""
        if self.sole:
            found = connection.execute(_LETTERS)
        else:
            found = connection.execute(_LETTERS_OF, {"node": node, "alive_at": nodes.database_now(connection, at)})
        return [Letter(row.id, row.incident_id, _event(row.event), row.phase != Phase.DONE.value) for row in found]

    def answered(self, connection: Connection, letters: Collection[str], at: datetime) -> None:
        """See `Ledger`."""
        connection.execute(_ANSWER, [{"letter": letter, "answered": at} for letter in letters])


def leave(connection: Connection, letter: str, incident: str, event: Event, at: datetime) -> None:
    """Leave an event for the process that owns the incident, under a name of its own, at most 64 characters long."""
    values = {"id": letter, "incident_id": incident, "event": event_text(event), "at": at}
    connection.execute(_ADD_LETTER[connection.dialect.name], values)


def is_answered(connection: Connection, letter: str) -> bool:
    """Whether the process that owns the incident has read this letter."""
    handled = select(_INBOX.c.id).where(_INBOX.c.id == letter, _INBOX.c.handled_at.is_not(None))
    return connection.execute(handled).first() is not None


def escalation(connection: Connection, incident: str) -> State | None:
    """Where the escalation of an incident stands; None for an incident without one."""
    text = connection.execute(select(_ESCALATIONS.c.state).where(_ESCALATIONS.c.incident_id == incident)).scalar()
    return None if text is None else State.from_json(text)


def without_escalation(connection: Connection) -> list[str]:
    """Incidents that are open and have none: those of an Earshot that had no escalations yet."""
    incidents = schema.incidents
    missing = _ESCALATIONS.c.incident_id.is_(None)
    joined = select(incidents.c.id).outerjoin(_ESCALATIONS, _ESCALATIONS.c.incident_id == incidents.c.id)
    return list(connection.execute(joined.where(incidents.c.state != "resolved", missing)).scalars())


def _alive(connection: Connection, at: datetime) -> Select[tuple[str]]:
    """The names of nodes whose lease holds."""
    return select(_NODES.c.id).where(_NODES.c.lease_until > nodes.database_now(connection, at))


def _be_the_node(connection: Connection, node: str, epoch: int) -> None:
    """Nobody else becomes the node until the transaction ends."""
    found = select(_NODES.c.epoch).where(_NODES.c.id == node).with_for_update(read=True)
    if connection.execute(found).scalar() != epoch:
        raise Fenced(f"another process is node {node} now")


def _advance(connection: Connection, decided: Decided) -> bool:
    """Write the state; False when this decision, or one that builds on it, is there already."""
    fence, state = decided.fence, decided.state
    values = _fenced(fence) | {
        "new_state": state.to_json(),
        "new_version": state.decisions,
        "new_phase": state.phase.value,
        "new_due": state.due_at,
    }
    if decided.previous is None:
        advanced = connection.execute(_ADVANCE_OVER_GAP, values)
    else:
        advanced = connection.execute(_ADVANCE_IN_ORDER, values | {"previous": decided.previous})
    if advanced.rowcount:
        return True
    if _hold(connection, fence) < state.decisions:
        raise OutOfOrder(f"incident {fence.name}: decision {decided.previous} is not written yet")
    return False


def _hold(connection: Connection, fence: Fence) -> int:
    """Keep the escalation until the transaction ends; returns the number of its last decision."""
    row = connection.execute(_HELD_LOCKED, {"fenced_incident": fence.name}).first()
    if row is None:
        raise UnknownIncident(f"there is no escalation of incident {fence.name!r}")
    if (row.owner, row.epoch) != (fence.node, fence.epoch):
        raise Fenced(f"incident {fence.name} is {row.owner}'s in epoch {row.epoch}")
    return int(row.version)


def _change(connection: Connection, incident: str, change: Change, at: datetime) -> None:
    try:
        rows.transition(
            connection,
            incident,
            to=change.to,
            actor=change.actor,
            reason=change.reason,
            at=at,
            detail=change.detail,
            note=change.detail.get("note"),
        )
    except LifecycleError as error:  # somebody was quicker: what was decided stands, the state does not follow
        detail = {"wanted": change.to.value, "why": str(error)}
        rows.append(connection, incident, kind="state_kept", detail=detail, actor=change.actor, at=at)


def _note(connection: Connection, incident: str, notes: Sequence[Note], at: datetime) -> None:
    if notes:
        rows.append_all(connection, incident, [(note.kind, note.detail, note.actor) for note in notes], at=at)


def _row(incident: str, command: Command, at: datetime) -> dict[str, Any]:
    sequence, n = _place(key_of(command) or "")
    return {
        "incident_id": incident,
        "sequence": sequence,
        "n": n,
        "kind": type(command).__name__,
        "command": command_text(command),
        "state": "pending" if survives(command) else "done",
        "created_at": at,
        "changed_at": at,
        "outcome": None if survives(command) else "ends with its process",
    }


def _place(key: str) -> tuple[int, int]:
    sequence, _, n = key.partition(".")
    return int(sequence), int(n)


def _named(incident: str, key: str) -> dict[str, Any]:
    sequence, n = _place(key)
    return {"of_incident": incident, "of_sequence": sequence, "of_n": n}


def _fenced(fence: Fence) -> dict[str, Any]:
    return {"fenced_incident": fence.name, "fenced_node": fence.node, "fenced_epoch": fence.epoch}


def _plans(connection: Connection, names: Collection[str]) -> dict[str, PlanText]:
    found = connection.execute(select(_PLANS.c.sha256, _PLANS.c.content).where(_PLANS.c.sha256.in_(names)))
    return {row.sha256: PlanText(row.sha256, row.content) for row in found}


def _claimed(connection: Connection, row: Row[Any], plan: PlanText) -> Claimed:
    undone = connection.execute(_UNDONE, {"of_incident": row.incident_id})
    return Claimed(
        incident=rows.incident(connection, row.incident_id),
        plan=plan,
        state=State.from_json(row.state),
        epoch=row.epoch + 1,
        outbox=[Waiting(read_command(item.command), item.state == "started") for item in undone],
    )


def _event(text: str) -> Event | None:
    try:
        return read_event(text)
    except ValueError:
        return None
