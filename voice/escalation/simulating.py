"""What an escalation would do, in virtual time: the engine with telephones that exist only here. Pure.

Nobody answers, unless it is asked that somebody does. No call is made, no message is sent; a call to the emergency
services is told (`would_call`), and no more than that.
"""

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from config.plans import FrozenPlan
from voice.escalation.commands import CallEmergency, Cancel, Command, RaiseTechnical, Ring, Send
from voice.escalation.engine import begin, decide
from voice.escalation.events import (
    Answered,
    Busy,
    EmergencyFailed,
    Event,
    NoAnswer,
    Opened,
    OperatorRings,
    Rings,
    Taken,
    Timer,
)
from voice.escalation.state import Decision, Facts, Note, Phase, State

BUSY_AFTER = 2.0
ANSWERS_AFTER = 8.0
"""Seconds of ringing until somebody answers who does."""
TAKES_AFTER = 14.0
"""Seconds from the answer to the key: who calls and why is said, then which key."""
UNHEARD = 60.0
"""Seconds after which nobody has answered an emergency call, where the simulation goes on behind it."""

DECISIONS = 100_000
"""More than any plan needs in a day."""


class End(StrEnum):
    """Why it stops."""

    TAKEN = "taken"
    LAP = "lap"
    EMERGENCY = "emergency"
    WITHOUT_HUMAN = "without human"
    TIME = "time"


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What the people do. Who is not named does not answer."""

    taken_by: str | None = None
    """Contact who takes the alarm as soon as his telephone rings."""
    busy: frozenset[str] = frozenset()
    operators: bool = True
    """Whether the telephone of some operator rings."""


@dataclass(frozen=True, slots=True)
class Moment:
    """Something that happens."""

    at: datetime
    note: Note


@dataclass(frozen=True, slots=True)
class Story:
    """The whole of it, in order."""

    opened_at: datetime
    moments: tuple[Moment, ...]
    end: End
    ended_at: datetime
    state: State


def simulate(
    frozen: FrozenPlan,
    opened_at: datetime,
    behaviour: Behaviour,
    limit: timedelta,
    *,
    kind: str = "panic",
    stops: bool = True,
    own_lines: tuple[str, ...] = (),
) -> Story:
    """From the alarm on, for `limit` at most. `stops`: after the first lap, or at the first emergency call.

    `own_lines`: what leads to the worker whose alarm it is, and is left alone.
    """
    facts = Facts(kind, 1, own_lines=own_lines)
    return _Run(frozen, begin("simulated", facts, opened_at), behaviour, opened_at + limit, stops).story()


@dataclass(slots=True)
class _Run:
    frozen: FrozenPlan
    state: State
    behaviour: Behaviour
    until: datetime
    stops: bool
    moments: list[Moment] = field(default_factory=list)
    _waiting: list[tuple[datetime, int, Event]] = field(default_factory=list)
    _told: int = 0

    def story(self) -> Story:
        opened_at = self.state.opened_at
        end, at = self._play()
        return Story(opened_at, tuple(self.moments), end, at, self.state)

    def _play(self) -> tuple[End, datetime]:
        now = self.state.opened_at
        self._happens(now, Opened())
        for _ in range(DECISIONS):
            if (end := self._end()) is not None:
                return end, now
            following = self._next(now)
            if following is None or following[0] > self.until:
                break
            now, event = following
            self._happens(now, event)
        return End.TIME, self.until

    def _end(self) -> End | None:
        if self.state.phase is Phase.TAKEN:
            return End.TAKEN
        if self.state.exhausted:
            return End.WITHOUT_HUMAN
        if self.stops and self.state.emergency.calls:
            return End.EMERGENCY
        return End.LAP if self.stops and self.state.lap else None

    def _next(self, now: datetime) -> tuple[datetime, Event] | None:
        """What happens next: what people do, before a deadline of the same moment."""
        due = self.state.due_at
        if self._waiting and (due is None or self._waiting[0][0] <= due):
            at, _, event = heapq.heappop(self._waiting)
            return at, event
        return None if due is None else (max(due, now), Timer())

    def _happens(self, now: datetime, event: Event) -> None:
        rang = self.state.rings_operators
        decision = decide(self.frozen, self.state, event, now)
        self.state = decision.state
        self._note(now, decision)
        for command in decision.commands:
            for seconds, answer in self._answers(command):
                self._later(now, seconds, answer)
        if self.behaviour.operators and self.state.rings_operators and not rang:
            self._later(now, 0.0, OperatorRings("any"))

    def _note(self, now: datetime, decision: Decision) -> None:
        self.moments += [Moment(now, note) for note in _all_said(decision, self.frozen)]

    def _later(self, now: datetime, seconds: float, event: Event) -> None:
        self._told += 1
        heapq.heappush(self._waiting, (now + timedelta(seconds=seconds), self._told, event))

    def _answers(self, command: Command) -> Iterator[tuple[float, Event]]:
        """What people do about a command, and after how many seconds."""
        match command:
            case Ring(leg, contact) if contact in self.behaviour.busy:
                yield BUSY_AFTER, Busy(leg)
            case Ring(leg, contact) if contact == self.behaviour.taken_by and command.seconds > ANSWERS_AFTER:
                yield 0.0, Rings(leg)
                yield ANSWERS_AFTER, Answered(leg)
                yield ANSWERS_AFTER + TAKES_AFTER, Taken(leg, "pressed the key asked for")
            case Ring(leg):
                yield 0.0, Rings(leg)
                yield command.seconds, NoAnswer(leg)
            case CallEmergency(call):
                yield UNHEARD, EmergencyFailed(call, None, "nobody answers in a simulation")
            case _:
                pass


_UNSAID = frozenset({"contact_rings", "emergency_placed"})
"""Notes that say nothing here that is not said otherwise."""


def _all_said(decision: Decision, frozen: FrozenPlan) -> Iterator[Note]:
    """The notes, and behind the beginning of a step what it would do."""
    commands = [told for command in decision.commands if (told := _told(command)) is not None]
    at_once: frozenset[str] = frozenset()
    for note in decision.notes:
        rung = note.kind == "contact_rung" and note.detail["number"] == 1 and note.detail["contact"] in at_once
        if note.kind not in _UNSAID and not rung:
            yield note
        if note.kind == "escalated" and "step" in note.detail:
            at_once = _rung_at_once(note, frozen)
            if not at_once:
                yield from commands
                commands = []
    yield from commands


def _rung_at_once(note: Note, frozen: FrozenPlan) -> frozenset[str]:
    """Whom the beginning of a step names as those who are rung now."""
    step = frozen.plan.steps[note.detail["step"] - 1]
    return frozenset(note.detail.get("rings", ())) if step.order == "all" else frozenset()


def _told(command: Command) -> Note | None:
    """Commands that have no note of their own, as what would be done."""
    match command:
        case Send():
            detail = {"contact": command.contact, "channel": command.channel, "link": command.link}
            return Note("would_send", detail)
        case CallEmergency():
            return Note("would_call", {"route": command.route, "by": command.asked_by})
        case RaiseTechnical():
            return Note("would_raise", {"why": command.why})
        case Cancel() | Ring():
            return None
