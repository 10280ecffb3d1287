"""What the store keeps of an escalation, and who may write it.

An escalation has one owner at a time (`voice.owned.ledger`). `voice.store.escalations` has the ledger in SQL,
`voice.sim.ledger` in memory, under one contract suite.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import cache
from hashlib import sha256
from typing import Any, Protocol, get_args

from pydantic import TypeAdapter
from sqlalchemy import Connection

from config.plans import FrozenPlan
from voice.escalation.commands import CallEmergency, Cancel, Command, Ring
from voice.escalation.events import Event
from voice.escalation.state import Change, Note, State
from voice.owned import ledger as owned
from voice.owned.ledger import Fence
from voice.store.rows import IncidentRow


@dataclass(frozen=True, slots=True)
class PlanText:
    """A frozen plan as it is kept: under the hash of its content, so that a thousand incidents share one row."""

    sha256: str
    content: str

    @classmethod
    def of(cls, frozen: FrozenPlan) -> "PlanText":
        content = frozen.model_dump_json(by_alias=True)
        return cls(sha256(content.encode()).hexdigest(), content)

    def read(self) -> FrozenPlan:
        return FrozenPlan.model_validate_json(self.content)


@dataclass(frozen=True, slots=True)
class Opening:
    """The first row of an escalation, written with its incident."""

    fence: Fence
    plan: PlanText
    new_plan: bool
    """Whether the plan may be missing in the store."""
    state: State
    notes: Sequence[Note]
    at: datetime


@dataclass(frozen=True, slots=True)
class Decided:
    """One decision, with all that is written in its transaction."""

    fence: Fence
    previous: int | None
    """`decisions` of the state before it: decisions are written in their order, each once. None: whichever is there,
    for a state that stands in for decisions that the store refused."""
    state: State
    commands: Sequence[Command]
    notes: Sequence[Note]
    change: Change | None
    at: datetime
    """For the timeline."""
    call_ended: tuple[str, str] | None = None
    """An emergency call whose outcome is known with this decision: (key, outcome)."""
    inbox: str | None = None
    """The message of the inbox that this decision answers."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A command in the outbox that no process has carried out for good."""

    command: Command
    started: bool
    """A process had begun with it, and did not say what became of it."""


@dataclass(frozen=True, slots=True)
class Claimed:
    """An escalation that is now this node's."""

    incident: IncidentRow
    plan: PlanText
    state: State
    epoch: int
    outbox: Sequence[Waiting]


@dataclass(frozen=True, slots=True)
class Beat:
    """What a heartbeat found."""

    alive: bool
    """False: another process has registered under the same name since. It is the node now."""
    others: int
    """Nodes besides this one whose lease holds."""


@dataclass(frozen=True, slots=True)
class Letter:
    """An event that another process left for the owner of an incident."""

    id: str
    incident: str
    event: Event | None
    """None when it cannot be read."""
    open: bool
    """Whether its escalation is not over."""


class Ledger(owned.Ledger[Claimed, Letter, Decided], Protocol):
    """The escalations of all nodes, in one store."""

    # -- one escalation --

    def open(self, connection: Connection, opening: Opening) -> None:
        """Part of the transaction that opens the incident. Doing it again changes nothing."""
        ...

    def has_plan(self, connection: Connection, sha256: str) -> bool:
        """Whether this frozen plan is in the store."""
        ...

    def begin(self, connection: Connection, fence: Fence, key: str, at: datetime) -> None:
        """Say that a command is about to be carried out; of one that is done, nothing is said.

        Raises `Fenced`, or `OutOfOrder` when the command is not there.
        """
        ...

    def finish(self, connection: Connection, fence: Fence, key: str, outcome: str, at: datetime) -> None:
        """Say what became of a command. Of an emergency call only its owner may say so; a message was sent, or not.

        Raises `Fenced`, or `OutOfOrder` when the command is not there.
        """
        ...

    # -- nodes --

    def register(self, connection: Connection, node: str, seconds: float, at: datetime) -> int:
        """This process is the node of this name from now on. Returns its epoch."""
        ...

    def beat(self, connection: Connection, node: str, epoch: int, seconds: float, at: datetime) -> Beat:
        """Hold the lease for `seconds` more."""
        ...

    def retire(self, connection: Connection, node: str, epoch: int, at: datetime) -> None:
        """End the lease at once, so that others need not wait for it to run out."""
        ...

    def held(self, connection: Connection, node: str) -> list[str]:
        """The escalations of a node that are not over."""
        ...

    # -- the inbox --

    def leave(self, connection: Connection, letter: str, incident: str, event: Event, at: datetime) -> None:
        """Leave an event for whoever owns the incident, under a name of its own: leaving it again changes nothing."""
        ...


# -- as text --

_EVENTS: dict[str, type[Any]] = {kind.__name__: kind for kind in get_args(Event)}
_COMMANDS: dict[str, type[Any]] = {kind.__name__: kind for kind in get_args(Command)}


def event_text(event: Event) -> str:
    """An event as JSON: `{"Taken": {"leg": "3.0", "proof": "…"}}`."""
    return _text(event)


def read_event(text: str) -> Event:
    """Raises `ValueError` for a text that is no event."""
    event: Event = _read(text, _EVENTS)
    return event


def command_text(command: Command) -> str:
    return _text(command)


def read_command(text: str) -> Command:
    command: Command = _read(text, _COMMANDS)
    return command


def _text(value: Any) -> str:
    return json.dumps({type(value).__name__: asdict(value)}, separators=(",", ":"))


def _read(text: str, kinds: dict[str, type[Any]]) -> Any:
    try:
        ((name, values),) = json.loads(text).items()
        return _adapters()[name].validate_python(asdict(kinds[name](**values)))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{text[:100]!r} is none of {', '.join(sorted(kinds))}") from error


@cache
def _adapters() -> dict[str, TypeAdapter[Any]]:
    """What has another type in JSON gets its own again: the reason of `Resolved`."""
    return {name: TypeAdapter(kind) for name, kind in (_EVENTS | _COMMANDS).items()}


def key_of(command: Command) -> str | None:
    """`sequence.n`, by which doing a command again is noticed; None for one that may be done again at will."""
    match command:
        case Ring():
            return command.leg
        case CallEmergency():
            return command.call
        case Cancel():
            return None
    return command.key


def sequence_of(key: str) -> int:
    """The number of the decision that gave a command."""
    return int(key.partition(".")[0])


def survives(command: Command) -> bool:
    """Whether a command is still to be carried out when the process that decided it is gone.

    A call dies with its process: whoever takes the incident up hears that its legs are lost, and decides anew.
    """
    return not isinstance(command, (Ring, Cancel))
