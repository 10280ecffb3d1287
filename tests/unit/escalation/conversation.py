"""A conversation with the engine in virtual time: what happens, time passing, what is commanded and noted.

talk = Conversation(plan(ring("contact:anna")))
talk.opens()
assert talk.rung() == ["anna"]      # everybody who was rung since the last look
talk.tells(Busy(talk.leg("anna")))
talk.passes(30)                     # time, with the deadlines that come by
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from config.plans import Contact, Customer, EmergencyRoute, FrozenPlan, Hours, Plan, Rota, Shift, Step, Team
from voice.escalation.commands import CallEmergency, Cancel, Command, RaiseTechnical, Ring, Send
from voice.escalation.engine import begin, decide
from voice.escalation.events import Event, Opened, Timer
from voice.escalation.state import Change, Decision, Facts, Note, Phase, State
from voice.incidents import lifecycle

OPENED = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
"""A Monday; ten in the morning in Amsterdam."""

CONTACTS = {
    "anna": Contact(id="anna", name="Anna", numbers=("+31611111111", "+31711111111"), email="anna@example.org"),
    "bob": Contact(id="bob", name="Bob", numbers=("+31622222222",)),
    "chris": Contact(id="chris", name="Chris", numbers=("+31633333333",)),
    "dora": Contact(
        id="dora",
        name="Dora",
        numbers=("+31644444444",),
        hours=(Hours.model_validate({"from": "18:00", "to": "22:00"}),),
    ),
    "mail": Contact(id="mail", name="Mail", email="mail@example.org"),
}
NIGHT = Rota(id="night", shifts=(Shift.model_validate({"from": "20:00", "to": "06:00", "members": ["bob"]}),))
DAY = Rota(id="day", shifts=(Shift.model_validate({"from": "08:00", "to": "18:00", "members": ["chris"]}),))
TEAMS = {
    "guards": Team(id="guards", name="Guards", members=("anna", "bob", "chris")),
    "night": Team(id="night", name="Night", members=("anna",), rota="night"),
    "day": Team(id="day", name="Day", members=("anna",), rota="day"),
    "ghosts": Team(id="ghosts", name="Ghosts", members=("nobody",)),
}
ROUTES = {
    "police": EmergencyRoute(id="police", name="Police", number="+31880000000"),
    "112": EmergencyRoute(id="112", name="112", number="112"),
}


def ring(*targets: str, **more: Any) -> Step:
    return Step(ring=targets, **more)


def emergency(route: str = "112", **more: Any) -> Step:
    agreed = {"agreement": "contract 7"} if more.get("confirm") == "automatic" else {}
    return Step(emergency=route, **agreed, **more)


def plan(*steps: Step, **more: Any) -> FrozenPlan:
    """A plan with everybody of this file in it."""
    return FrozenPlan(
        plan=Plan(id="plan", steps=steps, **more),
        customer=Customer(id="care", name="Care"),
        contacts=CONTACTS,
        teams=TEAMS,
        rotas={"night": NIGHT, "day": DAY},
        routes=ROUTES,
    )


class Conversation:
    """One escalation, with a clock that the test moves. Every state that it comes to survives being written down."""

    def __init__(self, frozen: FrozenPlan, *, kind: str = "panic", opened_at: datetime = OPENED) -> None:
        self.frozen = frozen
        self.now = opened_at
        self.state = begin("1k3x9a0q", Facts(kind, 1, worker="Wim"), opened_at)
        self.changes: list[Change] = []
        self._commands: list[Command] = []
        self._notes: list[Note] = []

    def opens(self) -> "Conversation":
        self.tells(Opened())
        return self

    def tells(self, *events: Event) -> Decision:
        """Events happen now. The decision on the last one."""
        decision = Decision(self.state)
        for event in events:
            decision = decide(self.frozen, self.state, event, self.now)
            self.state = State.from_json(decision.state.to_json())
            assert self.state == decision.state
            self._commands += decision.commands
            self._notes += decision.notes
            self.changes += [decision.change] if decision.change else []
        return decision

    def passes(self, seconds: float) -> None:
        """Time passes, and the deadlines that come with it."""
        end = self.now + timedelta(seconds=seconds)
        while self.state.due_at is not None and self.state.due_at <= end:
            self.now = max(self.now, self.state.due_at)
            self.tells(Timer())
        self.now = end

    def crashes(self) -> None:
        """What whoever takes the incident up does to its deadline: none is later than its wait from then."""
        if self.state.due_at is not None:
            latest = self.now + timedelta(seconds=self.state.waits)
            self.state = replace(self.state, due_at=min(self.state.due_at, latest))

    # -- what came of it, since the last look --

    def commands(self) -> list[Command]:
        taken, self._commands = self._commands, []
        return taken

    def rung(self) -> list[str]:
        """Contacts who were rung; other commands are dropped."""
        return [command.contact for command in self.commands() if isinstance(command, Ring)]

    def cancelled(self) -> list[tuple[str, str | None]]:
        return [(c.leg, c.taken_by) for c in self.commands() if isinstance(c, Cancel)]

    def sent(self) -> list[tuple[str, str]]:
        return [(c.contact, c.channel) for c in self.commands() if isinstance(c, Send)]

    def emergency_calls(self) -> list[CallEmergency]:
        return [c for c in self.commands() if isinstance(c, CallEmergency)]

    def technical(self) -> int:
        return sum(isinstance(c, RaiseTechnical) for c in self.commands())

    def notes(self) -> list[str]:
        return [note.kind for note in self.take_notes()]

    def take_notes(self) -> list[Note]:
        taken, self._notes = self._notes, []
        return taken

    def leg(self, contact: str) -> str:
        """The leg of a contact that is up."""
        return next(leg.id for leg in self.state.legs if leg.contact == contact)

    @property
    def wait(self) -> float | None:
        """Seconds to the deadline."""
        return None if self.state.due_at is None else (self.state.due_at - self.now).total_seconds()

    @property
    def lifecycle(self) -> Sequence[lifecycle.State]:
        return [change.to for change in self.changes]

    @property
    def taken(self) -> bool:
        return self.state.phase is Phase.TAKEN
