"""What a node owns, in its memory, and the cell in which a write says that it was fenced."""

import asyncio
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass, field
from datetime import datetime
from typing import Generic, TypeVar

from sqlalchemy import Connection

from voice.errors import Fenced
from voice.owned.ledger import Fence

Event = TypeVar("Event")
Command = TypeVar("Command")

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
class Orders(Generic[Command]):
    """The commands of one decision, waiting for it to be durable."""

    commands: Sequence[Command]
    written: "asyncio.Future[bool] | None"
    """None: it is durable already."""
    fate: Fate
    since: float
    """The loop's time of the decision."""


def durable_orders(commands: Sequence[Command]) -> Orders[Command]:
    """Commands that are in the store, found there by who took them up."""
    return Orders(commands, None, Fate(), asyncio.get_running_loop().time())


@dataclass(slots=True, eq=False)
class Live(ABC, Generic[Event, Command]):
    """One escalation, or session, that this node owns."""

    fence: Fence
    _: KW_ONLY
    timer: asyncio.TimerHandle | None = None
    armed_for: float = 0.0
    """The loop's time at which the timer fires."""
    events: deque[tuple[Event, str | None]] = field(default_factory=deque)
    """What is to be decided yet, each with its letter: an event that is told while another one is being decided."""
    deciding: bool = False
    orders: deque[Orders[Command]] = field(default_factory=deque)
    delivering: bool = False
    unwritten: int = 0
    """Decisions that are not durable."""
    gone: bool = False
    """It is another node's now, or over: nothing is done for it here any more."""

    @property
    def id(self) -> str:
        return self.fence.name

    @property
    @abstractmethod
    def due(self) -> datetime | None:
        """When it is to be decided again, whatever happens, on the clock of deadlines."""

    def disarm(self) -> None:
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None
