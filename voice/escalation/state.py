"""Where the escalation of one incident stands: all that a process needs to go on with it, as one JSON text.

A state holds no clock and no handle. Every moment in it is aware UTC. `due_at` is the earliest of its deadlines
(`State.deadlines`): the only one that whoever keeps the state has to watch.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cache
from typing import Any

from pydantic import TypeAdapter

from voice.escalation.commands import Command
from voice.incidents import lifecycle


class Phase(StrEnum):
    """Whether a person has it."""

    ESCALATING = "escalating"
    TAKEN = "taken"
    DONE = "done"


class EmergencyStatus(StrEnum):
    """How far the call to the emergency services came."""

    NONE = "none"
    AWAITING = "awaiting"
    """A person is asked to confirm it."""
    PLACING = "placing"
    ANSWERED = "answered"
    CONFIRMED = "confirmed"
    """A person there has confirmed that he has it."""
    FAILED = "failed"
    """It is certain that nobody was reached."""
    INDETERMINATE = "indeterminate"
    """It is not known whether somebody was reached."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What is said about the alarm, as it was when the incident opened."""

    kind: str
    priority: int
    worker: str = ""
    """His name, "" when it is not known who he is."""
    device: str = ""
    address: str = ""
    latitude: float | None = None
    longitude: float | None = None
    uncertainty_m: float | None = None
    located_at: datetime | None = None
    own_lines: tuple[str, ...] | None = field(default=None, repr=False)
    """What leads to the worker himself, and is not rung nor written to (`sparing`). None: opened by an Earshot that
    did not keep it."""


@dataclass(frozen=True, slots=True)
class Leg:
    """A call to a contact that is under way."""

    id: str
    contact: str
    number: int
    """Which of his numbers, from 0."""
    deadline: datetime
    """When its shell must have told how it ended; counts until the contact has taken the alarm."""
    rang: bool = False
    answered: bool = False
    again: bool = False
    """The same number was called before, and that call was lost."""
    taken: bool = False


@dataclass(frozen=True, slots=True)
class Taker:
    """Who has proven that he has the alarm: a contact, a control room."""

    actor: str
    """`contact:ID` or `emergency:ROUTE`."""
    leg: str
    """"" for one who acknowledged by a link."""
    proof: str
    until: datetime | None = None
    """When he is held to have forgotten it; None while he is on the line."""


@dataclass(frozen=True, slots=True)
class Presence:
    """An operator on the incident."""

    operator: str
    leg: str = ""


@dataclass(frozen=True, slots=True)
class Emergency:
    """The call to the emergency services. There is one at a time."""

    status: EmergencyStatus = EmergencyStatus.NONE
    call: str = ""
    """The latest."""
    route: str = ""
    asked_by: str = ""
    due_at: datetime | None = None
    """Under way: when it counts as indeterminate. Indeterminate: when it is placed again."""
    over: bool = False
    """A confirmed call has ended."""
    calls: tuple[str, ...] = ()
    """All that were placed."""
    answered: bool = False
    """Somebody has picked up one of them."""
    doubtful: tuple[str, ...] = ()
    """Those of which it is not known whether they reached somebody."""
    asks: tuple[str, ...] = ()
    """Requests of people that were heeded, where they have names."""

    @property
    def under_way(self) -> bool:
        return self.status in (EmergencyStatus.PLACING, EmergencyStatus.ANSWERED)


@dataclass(frozen=True, slots=True)
class Sent:
    """When the messages of a step went out last."""

    step: int
    at: datetime


@dataclass(frozen=True, slots=True)
class State:
    """Where an escalation stands. Steps, rounds and laps count from 0."""

    incident: str
    facts: Facts
    opened_at: datetime
    seen_at: datetime
    """When the last decision was made: what a clock that steps back is measured against."""
    alone_since: datetime
    """Since when no human has it."""
    phase: Phase = Phase.ESCALATING
    decisions: int = 0
    """Sequence of the last decision."""

    step: int = 0
    round: int = 0
    lap: int = 0
    begun: bool = False
    """Whether this round of the step has begun; else it begins at `step_due`."""
    step_due: datetime | None = None
    """Until when the step waits: for its beginning, for operators, for a confirmation, for nothing."""
    queue: tuple[str, ...] = ()
    """Contacts that this round has yet to ring, one after the other."""
    passed: tuple[str, ...] = ()
    """Contacts who gave the alarm on: not rung again in this lap."""
    tried: bool = False
    """Somebody was called in this lap."""
    reached: bool = False
    """A phone rang in this lap."""
    operators_ring: bool = False
    """The plan has come to the operators."""
    technical: bool = False
    """A technical alarm was raised: once is enough."""
    exhausted: bool = False
    """The plan has ended without a human, as it says in writing."""
    sent: tuple[Sent, ...] = ()
    links: tuple[str, ...] = ()
    """Contacts who were sent a link that proves acceptance, and have not followed it yet."""
    acknowledged: tuple[str, ...] = ()
    """Contacts who followed a link of the latest messages."""

    legs: tuple[Leg, ...] = ()
    """Every leg that is up, those of takers too: what is lost with a process."""
    takers: tuple[Taker, ...] = ()
    presences: tuple[Presence, ...] = ()
    departed: tuple[str, ...] = ()
    """Legs of operators that have ended: what comes late of them is ignored."""
    unwatched: bool = False
    """The line to the control room broke that has it, and nobody of ours does: operators are rung all the same."""
    confirm_only: bool = False
    """A human had it and let it go, or the worker says he is safe: no automatic call any more."""
    emergency: Emergency = field(default_factory=Emergency)

    due_at: datetime | None = None
    """The earliest deadline."""
    waits: float = 0.0
    """Seconds from the moment at which it was set to `due_at`."""

    @property
    def rings_operators(self) -> bool:
        """Whether operators are rung now."""
        if self.phase is Phase.TAKEN:
            return self.unwatched
        return self.operators_ring and self.phase is Phase.ESCALATING

    @property
    def operators(self) -> tuple[str, ...]:
        """Who of them is on it."""
        return tuple(presence.operator for presence in self.presences)

    @property
    def attended(self) -> bool:
        """Whether a human has proven that he has it."""
        return bool(self.presences or self.takers)

    @property
    def ringing(self) -> tuple[Leg, ...]:
        """The legs of those who have not taken it."""
        return tuple(leg for leg in self.legs if not leg.taken)

    @property
    def deadlines(self) -> Iterator[datetime]:
        """All of them; the earliest is `due_at`."""
        moments = [self.step_due, self.emergency.due_at]
        moments += [leg.deadline for leg in self.ringing]
        moments += [taker.until for taker in self.takers]
        return (moment for moment in moments if moment is not None)

    def leg(self, leg_id: str) -> Leg | None:
        return next((leg for leg in self.legs if leg.id == leg_id), None)

    def to_json(self) -> str:
        return _adapter().dump_json(self).decode()

    @staticmethod
    def from_json(text: str) -> "State":
        return _adapter().validate_json(text)


@cache
def _adapter() -> TypeAdapter[State]:
    return TypeAdapter(State)


@dataclass(frozen=True, slots=True)
class Note:
    """An entry for the timeline. Contacts are named by their ids."""

    kind: str
    detail: Mapping[str, Any] = field(default_factory=dict)
    actor: str = "system"


@dataclass(frozen=True, slots=True)
class Change:
    """A change of the incident's lifecycle that is to commit with the state."""

    to: lifecycle.State
    actor: str
    detail: Mapping[str, Any] = field(default_factory=dict)
    reason: lifecycle.Reason | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """What follows from an event. Nothing at all: the state is the same object."""

    state: State
    commands: tuple[Command, ...] = ()
    notes: tuple[Note, ...] = ()
    change: Change | None = None


def shifted(state: State, by: timedelta) -> State:
    """The same state on a clock that was set by so much: every wait is as long as it was."""

    def moved(moment: datetime | None) -> datetime | None:
        return None if moment is None else moment + by

    return replace(
        state,
        seen_at=state.seen_at + by,
        alone_since=state.alone_since + by,
        step_due=moved(state.step_due),
        due_at=moved(state.due_at),
        legs=tuple(replace(leg, deadline=leg.deadline + by) for leg in state.legs),
        takers=tuple(replace(taker, until=moved(taker.until)) for taker in state.takers),
        sent=tuple(replace(sent, at=sent.at + by) for sent in state.sent),
        emergency=replace(state.emergency, due_at=moved(state.emergency.due_at)),
    )


def rebased(state: State, now: datetime) -> State:
    """The state on the clock of `now`: a clock that was set back pushes no deadline away.

    Two signs of it: `now` is before the last decision; or whoever took the incident up has brought `due_at` forward
    (to `waits` seconds from then) and the deadlines behind it are later.
    """
    earliest = min(state.deadlines, default=None)
    if earliest is not None and state.due_at is not None and state.due_at < earliest:
        due_at = state.due_at
        state = replace(shifted(state, due_at - earliest), due_at=due_at)
    if now < state.seen_at:
        state = shifted(state, now - state.seen_at)
    return state
