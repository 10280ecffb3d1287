"""Escalations, and the nodes that own them: `voice.escalation.ledger` in SQL."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, and_, bindparam, func, select

from voice.errors import LifecycleError, OutOfOrder, UnknownIncident
from voice.escalation.events import Event
from voice.escalation.ledger import Beat, Claimed, Decided, Letter, Opening, PlanText, event_text, read_event
from voice.escalation.state import Change, Note, Phase, State
from voice.owned.ledger import Claim, Fence
from voice.store import incidents as rows
from voice.store import nodes, outbox, schema
from voice.store.inserting import if_missing
from voice.store.owned import OwnedLedger, OwnedRows

_ESCALATIONS = schema.escalations
_PLANS = schema.frozen_plans
_NODES = schema.nodes
_INBOX = schema.inbox

_OWNED = OwnedRows(
    _ESCALATIONS,
    _INBOX,
    key="incident_id",
    of="incident_id",
    what="escalation of incident",
    unknown=UnknownIncident,
    kept=("state", "phase", "due_at"),
)
_ADD_PLAN = if_missing(_PLANS, "sha256")
_ADD_ESCALATION = if_missing(_ESCALATIONS, "incident_id")
_PLAN = select(_PLANS.c.sha256).where(_PLANS.c.sha256 == bindparam("wanted"))


class SqlLedger(OwnedLedger):
    """The ledger in a store. `sole`: no other process can use it."""

    owned = _OWNED

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
        outbox.add(connection, incident, decided.commands, at)
        if decided.call_ended is not None:
            key, outcome = decided.call_ended
            outbox.finish(connection, incident, key, outcome, at)
        if decided.inbox is not None:
            self.answered(connection, [decided.inbox], at)

    def begin(self, connection: Connection, fence: Fence, key: str, at: datetime) -> None:
        """See `Ledger`."""
        _OWNED.hold(connection, fence)
        if not outbox.begin(connection, fence.name, key, at):
            raise OutOfOrder(f"incident {fence.name} has no command {key} yet")

    def finish(self, connection: Connection, fence: Fence, key: str, outcome: str, at: datetime) -> None:
        """See `Ledger`."""
        if outbox.finish(connection, fence.name, key, outcome, at, calls=False):
            return
        _OWNED.hold(connection, fence)
        if not outbox.finish(connection, fence.name, key, outcome, at):
            raise OutOfOrder(f"incident {fence.name} has no command {key} yet")

    # -- nodes --

    def register(self, connection: Connection, node: str, seconds: float, at: datetime) -> int:
        """See `Ledger`."""
        return nodes.enroll(connection, node, at, seconds).epoch

    def beat(self, connection: Connection, node: str, epoch: int, seconds: float, at: datetime) -> Beat:
        """See `Ledger`."""
        alive = nodes.renew(connection, nodes.Node(node, epoch, 0), at, seconds)
        others = nodes.alive(connection, at).where(_NODES.c.id != node).subquery()
        return Beat(alive, connection.execute(select(func.count()).select_from(others)).scalar_one())

    def retire(self, connection: Connection, node: str, epoch: int, at: datetime) -> None:
        """See `Ledger`."""
        nodes.renew(connection, nodes.Node(node, epoch, 0), at, 0.0)

    def held(self, connection: Connection, node: str) -> list[str]:
        """See `Ledger`."""
        under_way = and_(_ESCALATIONS.c.owner == node, _ESCALATIONS.c.phase != Phase.DONE.value)
        return list(connection.execute(select(_ESCALATIONS.c.incident_id).where(under_way)).scalars())

    def claim(self, connection: Connection, claim: Claim) -> list[Claimed]:
        """See `Ledger`."""
        if claim.epoch is not None:
            nodes.hold(connection, claim.node, claim.epoch)
        wanted = [row for row in self._claimable(connection, claim) if row.incident_id not in claim.known]
        chosen = wanted[: claim.limit]
        if not chosen:
            return []
        _OWNED.take(connection, claim.node, [row.incident_id for row in chosen])
        plans = _plans(connection, {row.plan for row in chosen})
        return [_claimed(connection, row, plans[row.plan]) for row in chosen]

    def _claimable(self, connection: Connection, claim: Claim) -> Sequence[Row[Any]]:
        under_way = _ESCALATIONS.c.phase != Phase.DONE.value
        incidents = schema.incidents
        query = (
            select(_ESCALATIONS)
            .join(incidents, incidents.c.id == _ESCALATIONS.c.incident_id)
            .where(_OWNED.claimable(connection, claim, sole=self.sole, kept=under_way))
            .order_by(incidents.c.priority, incidents.c.opened_at, incidents.c.id)
            .limit(claim.limit + len(claim.known))
            .with_for_update(of=_ESCALATIONS, skip_locked=True)
        )
        return connection.execute(query).all()

    # -- the inbox --

    def leave(self, connection: Connection, letter: str, incident: str, event: Event, at: datetime) -> None:
        """See `Ledger`."""
        leave(connection, letter, incident, event, at)

    def letters(self, connection: Connection, node: str, at: datetime) -> list[Letter]:
        """See `Ledger`."""
        found = _OWNED.letters(connection, node, at, sole=self.sole)
        return [Letter(row.id, row.name, _event(row.event), row.phase != Phase.DONE.value) for row in found]


def leave(connection: Connection, letter: str, incident: str, event: Event, at: datetime) -> None:
    """Leave an event for the process that owns the incident, under a name of its own, at most 64 characters long."""
    _OWNED.leave(connection, letter, incident, event_text(event), at)


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


def _advance(connection: Connection, decided: Decided) -> bool:
    """Write the state; False when this decision, or one that builds on it, is there already."""
    state = decided.state
    values = {"state": state.to_json(), "phase": state.phase.value, "due_at": state.due_at}
    return _OWNED.advance(connection, decided.fence, decided.previous, state.decisions, values)


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


def _plans(connection: Connection, names: Collection[str]) -> dict[str, PlanText]:
    found = connection.execute(select(_PLANS.c.sha256, _PLANS.c.content).where(_PLANS.c.sha256.in_(names)))
    return {row.sha256: PlanText(row.sha256, row.content) for row in found}


def _claimed(connection: Connection, row: Row[Any], plan: PlanText) -> Claimed:
    return Claimed(
        incident=rows.incident(connection, row.incident_id),
        plan=plan,
        state=State.from_json(row.state),
        epoch=row.epoch + 1,
        outbox=outbox.undone(connection, row.incident_id),
    )


def _event(text: str) -> Event | None:
    try:
        return read_event(text)
    except ValueError:
        return None
