"""A database in memory, with commits that take time, fail, or succeed without saying so.

Several simulated processes share one `Database`, each through a `Connected` of its own, which stands for `Store` in
front of a `Journal`. `voice.sim.ledger` reads and writes its tables.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

from voice.clock import Clock
from voice.errors import StoreUnavailable
from voice.escalation.state import Note, State
from voice.incidents import lifecycle
from voice.incidents.kinds import Kind
from voice.store.rows import IncidentRow

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Escalation:
    plan: str
    state: State
    owner: str | None
    epoch: int


@dataclass(frozen=True, slots=True)
class Order:
    """A row of the outbox."""

    command: str
    kind: str
    state: str
    outcome: str | None = None


@dataclass(frozen=True, slots=True)
class Node:
    epoch: int
    lease_until: datetime


@dataclass(frozen=True, slots=True)
class Post:
    """A row of the inbox."""

    incident: str
    event: str
    at: datetime
    handled: bool = False


Table = dict[Any, Any]


@dataclass(slots=True, eq=False)
class Tables:
    """What is committed, and how the transaction under way is undone."""

    incidents: dict[str, IncidentRow] = field(default_factory=dict)
    timeline: dict[tuple[str, int], Note] = field(default_factory=dict)
    plans: dict[str, str] = field(default_factory=dict)
    escalations: dict[str, Escalation] = field(default_factory=dict)
    nodes: dict[str, Node] = field(default_factory=dict)
    outbox: dict[tuple[str, int, int], Order] = field(default_factory=dict)
    inbox: dict[str, Post] = field(default_factory=dict)
    lengths: dict[str, int] = field(default_factory=dict)
    """How many entries the timeline of each incident has."""
    clock: Clock | None = None
    undo: list[tuple[Table, Any, Any]] = field(default_factory=list)

    def put(self, table: Table, key: Any, row: Any) -> None:
        self.undo.append((table, key, table.get(key)))
        table[key] = row

    def add(self, table: Table, key: Any, row: Any) -> bool:
        """A row that may be there already: then it stays as it is, and the answer is False."""
        if key in table:
            return False
        self.put(table, key, row)
        return True

    def now(self, at: datetime) -> datetime:
        """The time of the database, to a process for which it is `at`."""
        return at if self.clock is None else self.clock.now()

    def transact(self, transaction: Callable[[Any], T]) -> T:
        """Run a function; undone as a whole if it raises."""
        self.undo.clear()
        try:
            return transaction(self)
        except BaseException:
            for table, key, before in reversed(self.undo):
                if before is None:
                    table.pop(key, None)
                else:
                    table[key] = before
            raise

    def note(self, incident: str, *notes: Note) -> None:
        for note in notes:
            length = self.lengths.get(incident, 0) + 1
            self.put(self.lengths, incident, length)
            self.put(self.timeline, (incident, length), note)

    def open_incident(self, incident: str, at: datetime, priority: int = 1, kind: Kind = Kind.PANIC) -> None:
        """An incident without anything but its opening. Doing it again changes nothing."""
        row = IncidentRow(
            id=incident,
            kind=kind,
            priority=priority,
            state=lifecycle.State.OPEN,
            opened_at=at,
            changed_at=at,
            **dict.fromkeys(_UNKNOWN),
        )
        if self.add(self.incidents, incident, row):
            self.note(incident, Note("opened"))


_UNKNOWN = (
    "device_id",
    "worker_id",
    "caller",
    "dialled",
    "identified_by",
    "taken_by",
    "acknowledged_at",
    "resolved_at",
    "reason",
)


class Database:
    """What the processes share. `clock`: its own, by which leases count; None: each process's."""

    def __init__(self, clock: Clock | None = None) -> None:
        self.tables = Tables(clock=clock)
        self.down = False


@dataclass(slots=True)
class _Lane:
    """Transactions that are carried out one after the other, and answered in that order."""

    next: float = 0.0
    """The loop's time at which the last one is carried out."""
    answer: float = 0.0
    """The loop's time at which the last one is answered."""


class Connected:
    """One process's way to the database: a `Store` in virtual time.

    Writes are carried out one after the other, each after `delay()` seconds, and answered `delay()` seconds later. So
    are reads, beside them: one may overtake a write that was handed in before it.
    """

    def __init__(
        self,
        database: Database,
        *,
        delay: Callable[[], float] = lambda: 0.0,
        loses_answer: Callable[[], bool] = lambda: False,
        at_point: Callable[[], None] = lambda: None,
    ) -> None:
        self._database = database
        self._delay = delay
        self._loses_answer = loses_answer
        self._at_point = at_point
        """Told at each point at which a process may die: before and after a commit, after its answer."""
        self._writes, self._reads = _Lane(), _Lane()
        self.unanswered = 0
        """Transactions whose caller has not heard of them yet."""
        self.cut_off = False
        self.dead = False

    @property
    def lag(self) -> float:
        """Seconds until what was handed in last is carried out."""
        return max(self._writes.next, self._reads.next, loop_time := asyncio.get_running_loop().time()) - loop_time

    def run(self, transaction: Callable[[Any], T], *, urgent: bool = True) -> "asyncio.Future[T]":
        return self._submit(self._writes, transaction)

    def read(self, function: Callable[[Any], T]) -> "asyncio.Future[T]":
        return self._submit(self._reads, function)

    def _submit(self, lane: _Lane, transaction: Callable[[Any], T]) -> "asyncio.Future[T]":
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[T] = loop.create_future()
        self.unanswered += 1
        answer.add_done_callback(self._answered)
        lane.next = max(lane.next, loop.time() + self._delay())
        loop.call_at(lane.next, self._commit, lane, transaction, answer)
        return answer

    def _answered(self, answer: "asyncio.Future[Any]") -> None:
        self.unanswered -= 1

    def _commit(self, lane: _Lane, transaction: Callable[[Any], T], answer: "asyncio.Future[T]") -> None:
        self._at_point()
        if self.dead:
            return
        if self._database.down or self.cut_off:
            self._say(lane, _fail, answer, StoreUnavailable("the database cannot be reached"))
            return
        try:
            result = self._database.tables.transact(transaction)
        except Exception as error:  # noqa: BLE001 - as a store does: the caller hears of it
            self._say(lane, _fail, answer, error)
            return
        self._at_point()
        if self._loses_answer():
            self._say(lane, _fail, answer, StoreUnavailable("the connection broke at the commit"))
        else:
            self._say(lane, self._answer, answer, result)

    def _say(self, lane: _Lane, say: Callable[[Any, Any], None], answer: "asyncio.Future[Any]", result: object) -> None:
        loop = asyncio.get_running_loop()
        lane.answer = max(lane.answer, loop.time() + self._delay())
        loop.call_at(lane.answer, say, answer, result)

    def _answer(self, answer: "asyncio.Future[T]", result: T) -> None:
        if not (self.dead or answer.done()):
            answer.set_result(result)
            self._at_point()


class ConnectedLedger:
    """What the ledgers in memory have in common. `sole`: no other process can use the database."""

    def __init__(self, connected: Connected, *, sole: bool) -> None:
        self._connected = connected
        self._sole = sole

    @property
    def sole(self) -> bool:
        return self._sole

    def run(self, transaction: Callable[[Any], T]) -> "asyncio.Future[T]":
        return self._connected.run(transaction)

    def read(self, function: Callable[[Any], T]) -> "asyncio.Future[T]":
        return self._connected.read(function)


def _fail(answer: "asyncio.Future[Any]", error: Exception) -> None:
    if not answer.done():
        answer.set_exception(error)
