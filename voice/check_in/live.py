"""One session in the memory of the node that owns it."""

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from ivr.session import Command, Event, Session
from voice.check_in.ledger import Fence
from voice.escalation.live import Fate


@dataclass(slots=True, eq=False)
class Orders:
    """The commands of one decision, waiting for it to be durable."""

    commands: Sequence[Command]
    written: "asyncio.Future[bool] | None"
    """None: it is durable already."""
    fate: Fate
    since: float
    """The loop's time of the decision."""


@dataclass(frozen=True, slots=True)
class Unheard:
    """What somebody did, whose decision is not known to be durable: should another node have the session by now, it is
    told there."""

    event: Event
    letter: str | None
    """The message of the inbox that it came by: there it still is."""
    decision: int


@dataclass(slots=True, eq=False)
class Live:
    """One session that this node owns."""

    fence: Fence
    session: Session
    timer: asyncio.TimerHandle | None = None
    armed_for: float = 0.0
    """The loop's time at which the timer fires."""
    events: "deque[tuple[Event, str | None]]" = field(default_factory=deque)
    """What is to be decided yet, each with its letter: an event that is told while another one is being decided."""
    deciding: bool = False
    orders: deque[Orders] = field(default_factory=deque)
    delivering: bool = False
    calls: "dict[str, asyncio.Task[None]]" = field(default_factory=dict)
    """Calls to the worker that are under way."""
    answered: set[str] = field(default_factory=set)
    """Those of them that were answered, and are therefore never ended from here."""
    unheard: deque[Unheard] = field(default_factory=deque)
    unwritten: int = 0
    """Decisions that are not durable."""
    gone: bool = False
    """It is another node's now, or over: nothing is done for it here any more."""

    @property
    def id(self) -> str:
        return self.fence.session

    def disarm(self) -> None:
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None
