"""One escalation in the memory of the node that owns it, and the cell in which a write says that it was fenced."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection

from config.plans import FrozenPlan
from voice.errors import Fenced
from voice.escalation.commands import Command
from voice.escalation.events import Event
from voice.escalation.ledger import Fence
from voice.escalation.state import State

Write = Callable[[Connection], None]


@dataclass(slots=True, eq=False)
class Fate:
    """What a write found. It is read once the write is durable."""

    fenced: bool = False


def telling(write: Write) -> tuple[Write, Fate]:
    """A write that does not fail when it is fenced (that is no bug, and nothing was written), but says so."""
    fate = Fate()

    def told(connection: Connection) -> None:
        fate.fenced = False  # it may run again
        try:
            write(connection)
        except Fenced:
            fate.fenced = True

    return told, fate


@dataclass(slots=True, eq=False)
class Orders:
    """The commands of one decision, waiting for it to be durable."""

    commands: Sequence[Command]
    written: "asyncio.Future[bool] | None"
    """None: it is durable already."""
    fate: Fate
    since: float
    """The loop's time of the decision."""


@dataclass(slots=True, eq=False)
class Live:
    """One escalation that this node owns."""

    fence: Fence
    frozen: FrozenPlan
    state: State
    timer: asyncio.TimerHandle | None = None
    armed_for: float = 0.0
    """The loop's time at which the timer fires."""
    events: "deque[tuple[Event, str | None]]" = field(default_factory=deque)
    """What is to be decided yet, each with its letter: an event that is told while another one is being decided."""
    deciding: bool = False
    orders: deque[Orders] = field(default_factory=deque)
    delivering: bool = False
    written: int = 0
    """The last decision that is durable."""
    unwritten: int = 0
    """Decisions that are not durable."""
    gone: bool = False
    """It is another node's now, or over: nothing is done for it here any more."""

    @property
    def id(self) -> str:
        return self.fence.incident

    def disarm(self) -> None:
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None
