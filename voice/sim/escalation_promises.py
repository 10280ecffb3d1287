"""What every escalation promises, whatever happens to processes, store and clocks; looked at while a script plays.

1. A human has it, or a deadline is pending, or the plan has ended as it says in writing.
2. A command is carried out once: a contact is rung once for each leg, an emergency call is placed once for each key.
3. It is carried out only once it is written down, or after a wait of 2 seconds for that; 15 for an emergency call.
4. The emergency call is never doubled: it is placed by the owner of the incident, and while no other one is up.
5. It is never lost: each that was written down is placed, or the timeline says why not.
6. Who presses the key has the alarm, at once.
7. Everything is written down once, in its order, and in the end the store knows what the memory knows.
"""

import asyncio
from collections import Counter
from dataclasses import dataclass, field

from config.plans import FrozenPlan
from voice.escalation.commands import CallEmergency, Cancel, RaiseTechnical, Send
from voice.escalation.delivery import BY_ITSELF, EMERGENCY_PATIENCE
from voice.escalation.events import Taken
from voice.escalation.state import Phase, State
from voice.owned.delivery import STORE_PATIENCE
from voice.sim.database import Order, Tables
from voice.sim.escalating import Done, EscalatingProcess, EscalationWorld

ONCE = ("contact_rung", "contact_leg_ended", "taken", "emergency_placed")


@dataclass(slots=True, eq=False)
class Placed:
    """An emergency call in the world."""

    done: Done
    written: bool
    """It was written down, by the owner of the incident."""
    up: bool = True

    @property
    def call(self) -> str:
        return self.done.key or ""


@dataclass(slots=True)
class Promises:
    """What was promised, and what was broken."""

    world: EscalationWorld
    broken: list[str] = field(default_factory=list)
    placed: list[Placed] = field(default_factory=list)
    excused: int = 0
    """Emergency calls beside another one, because no store could be told of one of them in time; or because a person
    asked for another one while that of a node which lost the incident was still up."""
    of_owner: Counter[tuple[str, str | None]] = field(default_factory=Counter)
    """How often each call was begun by the owner of its incident. What another node decides that was not written
    down may have the same name, for it is the same decision of the same escalation."""
    joined: dict[tuple[str, str], list[EscalatingProcess]] = field(default_factory=dict)
    """At which processes each leg of an operator is."""
    decided: dict[tuple[EscalatingProcess, str, int], float] = field(default_factory=dict)
    """When each process made each decision (the loop's time)."""

    @property
    def tables(self) -> Tables:
        return self.world.database.tables

    def breaks(self, what: str) -> None:
        self.broken.append(f"{asyncio.get_running_loop().time() - 1000.0:.3f} s: {what}")

    # -- while it plays --

    def decides(self, process: EscalatingProcess, incident: str, state: State, frozen: FrozenPlan) -> None:
        """A process has decided."""
        if not _safe(state, frozen):
            self.breaks(f"{incident}: nobody has it and nothing is pending: {state}")
        self.decided.setdefault((process, incident, state.decisions), asyncio.get_running_loop().time())

    def does(self, done: Done) -> None:
        """A command has its effect."""
        placed_in_time = not isinstance(done.command, CallEmergency) or (done.incident, done.key) in done.process.begun
        if self._is_known(done) and self._owns(done) and placed_in_time:
            self.of_owner[done.incident, done.key] += 1
        match done.command:
            case CallEmergency():
                self._calls(done, done.command)
            case Cancel():
                self.is_over(done.incident, done.command.leg)
            case _:
                if not (self._is_known(done) or self._waited(done, STORE_PATIENCE)):
                    self.breaks(f"{done.incident}: {done.command} before it was written down")

    def _calls(self, done: Done, command: CallEmergency) -> None:
        placed = Placed(done, (done.incident, done.key) in done.process.begun)
        if not placed.written and not self._waited(done, EMERGENCY_PATIENCE):
            self.breaks(f"{done.incident}: {done.command} by {done.process.node} is not written down as begun by it")
        state = done.process.escalations.state(done.incident)
        doubtful = state.emergency.doubtful if state is not None else ()
        for other in self.placed:
            beside = other.up and other.done.incident == done.incident and not other.done.process.dead
            if beside and other.done.key not in doubtful:
                by_person = command.asked_by != BY_ITSELF and not self._owns(other.done)
                if other.written and placed.written and not by_person:
                    self.breaks(f"{done.incident}: {done.command} while {other.done.command} is up")
                else:
                    self.excused += 1
        self.placed.append(placed)

    def _is_known(self, done: Done) -> bool:
        return (done.incident, *_place(done.key)) in self.tables.outbox

    def _owns(self, done: Done) -> bool:
        row, fence = self.tables.escalations.get(done.incident), done.process.escalations.fence(done.incident)
        return row is not None and fence is not None and (row.owner, row.epoch) == (fence.node, fence.epoch)

    def _waited(self, done: Done, patience: float) -> bool:
        """Whether the process has waited so long for its decision to be durable."""
        since = self.decided.get((done.process, done.incident, _place(done.key)[0]), 0.0)
        return asyncio.get_running_loop().time() - since >= patience - 0.001

    def is_over(self, incident: str, call: str) -> None:
        """An emergency call has ended."""
        for placed in self.placed:
            if (placed.done.incident, placed.done.key) == (incident, call):
                placed.up = False

    def takes(self, event: Taken, before: State, after: State) -> None:
        """Somebody pressed the key."""
        if before.leg(event.leg) is not None and after.phase is not Phase.TAKEN:
            self.breaks(f"{before.incident}: {event} was lost")

    def joins(self, process: EscalatingProcess, incident: str, leg: str) -> None:
        """An operator's leg is at this process."""
        self.joined.setdefault((incident, leg), []).append(process)

    def knows(self, process: EscalatingProcess, incident: str, state: State) -> None:
        """What the owner takes for alive has not died with another process."""
        for leg in state.legs:
            if (process, incident, _place(leg.id)[0]) not in self.decided:
                self.breaks(f"{incident}: {leg} is that of another process")
        for presence in state.presences:
            at = self.joined.get((incident, presence.leg), [process])
            if presence.leg and process not in at:
                self.breaks(f"{incident}: {presence} is at another process")

    # -- in the end --

    def ends(self, processes: list[EscalatingProcess], killed: bool) -> None:
        """Everything has come to rest. `killed`: a process died, or lost an incident, in the course of it."""
        sent = Counter((d.incident, d.key) for d in self.world.done if isinstance(d.command, (Send, RaiseTechnical)))
        effects = Counter((d.incident, d.key) for d in self.world.done if isinstance(d.command, CallEmergency))
        for name, times in self.of_owner.items():
            if times > 1 and not (name in sent and killed):
                self.breaks(f"{name} was carried out {times} times")
        for (incident, sequence, n), order in self.tables.outbox.items():
            key = f"{sequence}.{n}"
            over = self.tables.escalations[incident].state.phase is Phase.DONE
            if order.state != "done" and not (over or self._still_up(incident, key)):
                self.breaks(f"{incident}: {order.command} is left {order.state}")
            if order.kind == "CallEmergency" and not (effects[incident, key] or self._still_up(incident, key)):
                begun = any((incident, key) in process.begun for process in processes)
                self._never_placed(incident, order, begun and killed)
            if order.kind == "Send" and not (over or sent[incident, key]):
                self.breaks(f"{incident}: {order.command} was never sent")
        self._check_timelines()
        for process in processes:
            if process.journal.refused:
                self.breaks(f"the store refused {process.journal.refused} writes of {process.node}")
        self._compare([process for process in processes if not process.dead])

    def _never_placed(self, incident: str, order: Order, interrupted: bool) -> None:
        """An emergency call that was written down: why was it not placed? `interrupted`: it was about to be."""
        unwanted = order.outcome in ("not wanted any more", "abandoned", "failed")
        unknown = order.outcome == "indeterminate" and interrupted
        if not (unwanted or unknown):
            self.breaks(f"{incident}: {order.command} is {order.outcome or order.state} and was never placed")

    def _still_up(self, incident: str, key: str) -> bool:
        state = self.tables.escalations[incident].state
        return state.emergency.call == key and state.emergency.under_way

    def _check_timelines(self) -> None:
        told: Counter[tuple[str, str, str]] = Counter()
        for (incident, _), note in self.tables.timeline.items():
            if note.kind == "opened":
                told[incident, "opened", ""] += 1
            elif note.kind in ONCE:
                told[incident, note.kind, str(note.detail.get("leg") or note.detail.get("call"))] += 1
            elif note.kind in ("timeline_gap", "engine_fault"):
                self.breaks(f"{incident}: {note.kind} on the timeline: {note.detail}")
        for what, times in told.items():
            if times > 1:
                self.breaks(f"{what} stands {times} times on the timeline")

    def _compare(self, living: list[EscalatingProcess]) -> None:
        """Memory and store."""
        for incident, row in self.tables.escalations.items():
            found = {p: state for p in living if (state := p.escalations.state(incident)) is not None}
            if any(process.node != row.owner for process in found) or len(found) > 1:
                self.breaks(f"{incident} is {row.owner}'s and in memory at {[process.node for process in found]}")
            known = [state.decisions for state in found.values()]
            if row.state.phase is not Phase.DONE and known != [row.state.decisions]:
                self.breaks(f"{incident}: decisions {known} in memory, {row.state.decisions} in the store")


def _safe(state: State, frozen: FrozenPlan) -> bool:
    if state.phase is Phase.DONE:
        return True
    if state.phase is Phase.TAKEN:
        return state.attended
    return state.due_at is not None or (state.exhausted and frozen.plan.at_end == "stop")


def _place(key: str | None) -> tuple[int, int]:
    sequence, _, n = (key or "0.0").partition(".")
    return int(sequence), int(n)
