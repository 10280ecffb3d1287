"""What the store keeps of sessions, and who may write them.

A session has one owner at a time (`voice.owned.ledger`). The lease by which a node is known to live is the one that the
escalations hold (`voice.escalation.ownership`); here it is only looked at.

`voice.store.sessions` has it in SQL, `voice.sim.session_ledger` in memory, under one contract suite.
"""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol, get_args

from pydantic import TypeAdapter
from sqlalchemy import Connection

from ivr.session import Event, Note, Session
from voice.owned import ledger as owned
from voice.owned.ledger import NOBODY, Fence


def unclaimed(session: str) -> Fence:
    """The fence of a session that no node has had yet."""
    return Fence(session, NOBODY, 0)


@dataclass(frozen=True, slots=True)
class Opening:
    """The first row of a session."""

    fence: Fence
    session: Session
    notes: Sequence[Note]
    at: datetime


@dataclass(frozen=True, slots=True)
class Decided:
    """One decision, with all that is written in its transaction."""

    fence: Fence
    previous: int | None
    """`decisions` of the session before it: decisions are written in their order, each once. None: whichever is there,
    for a state that stands in for decisions that the store refused."""
    session: Session
    notes: Sequence[Note]
    at: datetime
    """For the log: the time of day as people see it."""
    letter: str | None = None
    """The message of the inbox that this decision answers."""


@dataclass(frozen=True, slots=True)
class Claimed:
    """A session that is now this node's."""

    session: Session
    epoch: int


@dataclass(frozen=True, slots=True)
class Letter:
    """An event that another node left for the owner of a session."""

    id: str
    session: str
    event: Event | None
    """None when it cannot be read."""


@dataclass(frozen=True, slots=True)
class Left:
    """What became of a letter."""

    session: str
    answered: bool
    """The node that has the session has read it, and what follows from it is written."""


class Rows(Protocol):
    """What any process on the store may do with sessions. Functions take the connection of the transaction they are
    part of."""

    def open(self, connection: Connection, opening: Opening) -> str | None:
        """Write a new session. None: it is whose the fence says, also when this opening was written before. Else which
        session is in its place: itself, begun by another node or by an earlier process of this one, or another one of
        the same worker that is open, or the one that a letter of this name went to, open or not: what was to begin has
        begun as a part of that."""
        ...

    def session(self, connection: Connection, id: str) -> Session:
        """Raises `UnknownSession`."""
        ...

    def of_worker(self, connection: Connection, worker: str) -> Session | None:
        """His open session, else his latest one."""
        ...

    def leave(self, connection: Connection, letter: str, session: str, event: Event, at: datetime) -> None:
        """Leave an event for whoever owns the session, under a name of its own: leaving it again changes nothing. For a
        session that the store does not know it is dropped."""
        ...

    def left(self, connection: Connection, letter: str) -> Left | None:
        """What became of a letter; None when there never was one of this name."""
        ...


class Ledger(Rows, owned.Ledger[Claimed, Letter, Decided], Protocol):
    """The sessions of all nodes, in one store."""

    def existing(self, connection: Connection, ids: Collection[str]) -> set[str]:
        """Which of these sessions were ever begun, be it as a letter to one that was open (`open`)."""
        ...

    def lives(self, connection: Connection, node: str, at: datetime) -> bool:
        """Whether the lease of this node holds: else others may be taking up what it has."""
        ...


# -- as text --

_ADAPTERS: dict[str, TypeAdapter[Any]] = {kind.__name__: TypeAdapter(kind) for kind in get_args(Event)}


def event_text(event: Event) -> str:
    """An event as JSON: `{"Confirmed": {"how": "pin", "attempt": null}}`."""
    name = type(event).__name__
    return json.dumps({name: _ADAPTERS[name].dump_python(event, mode="json")}, separators=(",", ":"))


def read_event(text: str) -> Event | None:
    """None for a text that is no event: of a newer Earshot, say."""
    try:
        ((name, values),) = json.loads(text).items()
        event: Event = _ADAPTERS[name].validate_python(values)
    except (ValueError, KeyError, TypeError, AttributeError):  # of pydantic, too
        return None
    return event
