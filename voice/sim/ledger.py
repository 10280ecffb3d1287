"""The ledger of escalations in memory. The contract suite holds it to what the SQL one does."""

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from voice.errors import Fenced, LifecycleError, OutOfOrder, UnknownIncident
from voice.escalation.commands import CallEmergency
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
from voice.escalation.state import Note, Phase, State
from voice.incidents import lifecycle
from voice.owned.ledger import NOBODY, Claim, Fence
from voice.sim.database import ConnectedLedger, Escalation, Node, Order, Post, Tables


class MemoryLedger(ConnectedLedger):
    """`voice.escalation.ledger.Ledger` on `Tables`, which stand for the connection."""

    # -- one escalation --

    def open(self, connection: Any, opening: Opening) -> None:
        t: Tables = connection
        plan, fence, state = opening.plan, opening.fence, opening.state
        if opening.new_plan:
            t.add(t.plans, plan.sha256, plan.content)
        if plan.sha256 not in t.plans or fence.name not in t.incidents:
            raise UnknownIncident(f"there is no incident {fence.name} or no such plan")
        row = Escalation(plan.sha256, state, fence.node, fence.epoch)
        if t.add(t.escalations, fence.name, row):
            t.note(fence.name, *opening.notes)

    def has_plan(self, connection: Any, sha256: str) -> bool:
        t: Tables = connection
        return sha256 in t.plans

    def record(self, connection: Any, decided: Decided) -> None:
        t: Tables = connection
        fence, state = decided.fence, decided.state
        row = _held(t, fence)
        if row.state.decisions >= state.decisions:
            return
        if decided.previous not in (None, row.state.decisions):
            raise OutOfOrder(f"{fence.name}: decision {decided.previous} is not written yet")
        t.put(t.escalations, fence.name, replace(row, state=state))
        if decided.change is not None:
            self._change(t, decided)
        t.note(fence.name, *decided.notes)
        for command in decided.commands:
            key = key_of(command)
            if key is not None:
                pending = "pending" if survives(command) else "done"
                outcome = None if survives(command) else "ends with its process"
                order = Order(command_text(command), type(command).__name__, pending, outcome)
                t.add(t.outbox, _place(fence.name, key), order)
        if decided.call_ended is not None:
            _end(t, fence.name, *decided.call_ended)
        if decided.inbox is not None:
            self.answered(t, [decided.inbox], decided.at)

    def _change(self, t: Tables, decided: Decided) -> None:
        change = decided.change
        if change is None:
            return
        row = t.incidents[decided.fence.name]
        try:
            kind = lifecycle.transition(row.state, change.to, change.reason)
        except LifecycleError as error:
            t.note(row.id, Note("state_kept", {"wanted": change.to.value, "why": str(error)}, change.actor))
            return
        t.put(t.incidents, row.id, replace(row, state=change.to, changed_at=decided.at))
        t.note(row.id, Note(kind, change.detail, change.actor))

    def begin(self, connection: Any, fence: Fence, key: str, at: datetime) -> None:
        t: Tables = connection
        _held(t, fence)
        order = t.outbox.get(_place(fence.name, key))
        if order is None:
            raise OutOfOrder(f"{fence.name} has no command {key} yet")
        if order.state != "done":
            t.put(t.outbox, _place(fence.name, key), replace(order, state="started"))

    def finish(self, connection: Any, fence: Fence, key: str, outcome: str, at: datetime) -> None:
        t: Tables = connection
        order = t.outbox.get(_place(fence.name, key))
        if order is None or order.kind == CallEmergency.__name__:
            _held(t, fence)
        if order is None:
            raise OutOfOrder(f"{fence.name} has no command {key} yet")
        _end(t, fence.name, key, outcome)

    # -- nodes --

    def register(self, connection: Any, node: str, seconds: float, at: datetime) -> int:
        t: Tables = connection
        epoch = t.nodes[node].epoch + 1 if node in t.nodes else 1
        t.put(t.nodes, node, Node(epoch, t.now(at) + timedelta(seconds=seconds)))
        return epoch

    def beat(self, connection: Any, node: str, epoch: int, seconds: float, at: datetime) -> Beat:
        t: Tables = connection
        others = sum(row.lease_until > t.now(at) for name, row in t.nodes.items() if name != node)
        if node not in t.nodes or t.nodes[node].epoch != epoch:
            return Beat(False, others)
        t.put(t.nodes, node, Node(epoch, t.now(at) + timedelta(seconds=seconds)))
        return Beat(True, others)

    def retire(self, connection: Any, node: str, epoch: int, at: datetime) -> None:
        t: Tables = connection
        if node in t.nodes and t.nodes[node].epoch == epoch:
            t.put(t.nodes, node, Node(epoch, t.now(at)))

    def fences(self, connection: Any, names: Collection[str]) -> dict[str, Fence]:
        t: Tables = connection
        found = [(name, t.escalations[name]) for name in names if name in t.escalations]
        return {name: Fence(name, row.owner or NOBODY, row.epoch) for name, row in found}

    def held(self, connection: Any, node: str) -> list[str]:
        t: Tables = connection
        rows = t.escalations.items()
        return [name for name, row in rows if row.owner == node and row.state.phase is not Phase.DONE]

    def claim(self, connection: Any, claim: Claim) -> list[Claimed]:
        t: Tables = connection
        if claim.epoch is not None and (claim.node not in t.nodes or t.nodes[claim.node].epoch != claim.epoch):
            raise Fenced(f"another process is node {claim.node} now")
        names = [name for name in t.escalations if name not in claim.known and self._claimable(t, name, claim)]
        names.sort(key=lambda name: (t.incidents[name].priority, t.incidents[name].opened_at, name))
        return [self._claim(t, name, claim.node) for name in names[: claim.limit]]

    def _claim(self, t: Tables, name: str, node: str) -> Claimed:
        row = t.escalations[name]
        row = replace(row, owner=node, epoch=row.epoch + 1)
        t.put(t.escalations, name, row)
        undone = sorted((key, o) for key, o in t.outbox.items() if key[0] == name and o.state != "done")
        return Claimed(
            incident=t.incidents[name],
            plan=PlanText(row.plan, t.plans[row.plan]),
            state=State.from_json(row.state.to_json()),
            epoch=row.epoch,
            outbox=[Waiting(read_command(order.command), order.state == "started") for _, order in undone],
        )

    def _claimable(self, t: Tables, name: str, claim: Claim) -> bool:
        row = t.escalations[name]
        which = name == claim.only if claim.only is not None else row.state.phase is not Phase.DONE
        return which and ((claim.own and row.owner == claim.node) or (claim.orphans and self._orphan(t, row, claim.at)))

    def _orphan(self, t: Tables, row: Escalation, at: datetime) -> bool:
        owner = t.nodes.get(row.owner or NOBODY)
        return self._sole or owner is None or owner.lease_until <= t.now(at)

    # -- the inbox --

    def leave(self, connection: Any, letter: str, incident: str, event: Event, at: datetime) -> None:
        t: Tables = connection
        t.add(t.inbox, letter, Post(incident, event_text(event), at))

    def letters(self, connection: Any, node: str, at: datetime) -> list[Letter]:
        t: Tables = connection
        found = []
        for name, post in sorted(t.inbox.items(), key=lambda item: (item[1].at, item[0])):
            row = t.escalations.get(post.incident)
            if row is not None and not post.handled and (row.owner == node or self._orphan(t, row, at)):
                found.append(Letter(name, post.incident, _event(post.event), row.state.phase is not Phase.DONE))
        return found

    def answered(self, connection: Any, letters: Collection[str], at: datetime) -> None:
        t: Tables = connection
        for letter in letters:
            t.put(t.inbox, letter, replace(t.inbox[letter], handled=True))


def _held(t: Tables, fence: Fence) -> Escalation:
    row = t.escalations.get(fence.name)
    if row is None:
        raise UnknownIncident(f"there is no escalation of incident {fence.name!r}")
    if (row.owner, row.epoch) != (fence.node, fence.epoch):
        raise Fenced(f"incident {fence.name} is {row.owner}'s in epoch {row.epoch}")
    return row


def _end(t: Tables, incident: str, key: str, outcome: str) -> None:
    place = _place(incident, key)
    if place in t.outbox:
        t.put(t.outbox, place, replace(t.outbox[place], state="done", outcome=outcome))


def _place(incident: str, key: str) -> tuple[str, int, int]:
    sequence, _, n = key.partition(".")
    return incident, int(sequence), int(n)


def _event(text: str) -> Event | None:
    try:
        return read_event(text)
    except ValueError:
        return None
