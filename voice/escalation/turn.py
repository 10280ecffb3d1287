"""One decision in the making: what the rules of the engine read and write."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from config.plans import FrozenPlan, Step
from voice.escalation.commands import Cancel, Command
from voice.escalation.state import Change, Decision, Note, Phase, State
from voice.incidents import lifecycle


class Turn:
    """The state as it is becoming, with the commands and notes that go with it."""

    def __init__(self, frozen: FrozenPlan, state: State, now: datetime) -> None:
        self.frozen = frozen
        self.now = now
        self.state = state
        self._before = state
        self._commands: list[Command] = []
        self._notes: list[Note] = []
        self._change: Change | None = None

    @property
    def step(self) -> Step:
        """The step at which the plan is."""
        return self.frozen.plan.steps[self.state.step]

    @property
    def own(self) -> tuple[str, ...]:
        """What leads to the worker himself: in his alarm it is neither rung nor written to."""
        return self.state.facts.own_lines or ()

    @property
    def escalating(self) -> bool:
        return self.state.phase is Phase.ESCALATING

    def set(self, **changes: Any) -> None:
        """Change fields of the state."""
        self.state = replace(self.state, **changes)

    def emergency(self, **changes: Any) -> None:
        """Change fields of the state's emergency call."""
        self.set(emergency=replace(self.state.emergency, **changes))

    def tell(self, **what: Any) -> None:
        """Note which step begins, and what it does. Steps, rounds and laps are counted from 1 for people."""
        state = self.state
        self.note("escalated", {"step": state.step + 1, "round": state.round + 1, "lap": state.lap + 1} | what)

    def after_alone(self, seconds: float) -> datetime:
        """So long after the last human let it go, or after the alarm."""
        return self.state.alone_since + timedelta(seconds=seconds)

    def later(self, seconds: float) -> datetime:
        return self.now + timedelta(seconds=seconds)

    def is_due(self, moment: datetime | None) -> bool:
        return moment is not None and moment <= self.now

    def name(self) -> str:
        """The key of the next command: sequence of the decision, and place in it."""
        return f"{self._before.decisions + 1}.{len(self._commands)}"

    def do(self, command: Command) -> None:
        self._commands.append(command)

    def note(self, kind: str, detail: dict[str, Any] | None = None, *, actor: str = "system") -> None:
        self._notes.append(Note(kind, detail or {}, actor))

    def change(self, to: lifecycle.State, actor: str, *, reason: lifecycle.Reason | None = None, **detail: Any) -> None:
        """Ask for a change of the lifecycle. A decision brings one at most."""
        self._change = Change(to, actor, detail, reason)

    def cancel_ringing(self, taken_by: str | None) -> None:
        """End the legs of all who have not taken it, and forget them."""
        for leg in self.state.ringing:
            self.do(Cancel(leg.id, taken_by))
        self.set(legs=tuple(leg for leg in self.state.legs if leg.taken))

    def decision(self, given: State) -> Decision:
        """What was decided; `given` itself when nothing was."""
        due_at = min(self.state.deadlines, default=None)
        self.set(due_at=due_at)
        if self.state == given and not (self._commands or self._notes or self._change):
            return Decision(given)
        waits = 0.0 if due_at is None else max((due_at - self.now).total_seconds(), 0.0)
        self.set(decisions=given.decisions + 1, seen_at=self.now, waits=waits)
        return Decision(self.state, tuple(self._commands), tuple(self._notes), self._change)
