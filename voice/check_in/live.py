"""One session in the memory of the node that owns it."""

import asyncio
from collections import deque
from dataclasses import dataclass, field
from datetime import datetime

from ivr.session import Command, Event, Session
from voice.owned import live


@dataclass(frozen=True, slots=True)
class Unheard:
    """What somebody did, whose decision is not known to be durable: should another node have the session by now, it is
    told there."""

    event: Event
    letter: str | None
    """The message of the inbox that it came by: there it still is."""
    decision: int


@dataclass(slots=True, eq=False)
class Live(live.Live[Event, Command]):
    """One session that this node owns."""

    session: Session
    calls: "dict[str, asyncio.Task[None]]" = field(default_factory=dict)
    """Calls to the worker that are under way."""
    answered: set[str] = field(default_factory=set)
    """Those of them that were answered, and are therefore never ended from here."""
    unheard: deque[Unheard] = field(default_factory=deque)

    @property
    def due(self) -> datetime | None:
        return self.session.wake_at
