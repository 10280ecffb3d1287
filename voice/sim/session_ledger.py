"""The ledger of sessions in memory. The contract suite holds it to what the SQL one does."""

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from ivr.session import Event, Note, Session
from voice.check_in.ledger import Claimed, Decided, Left, Letter, Opening, event_text, read_event
from voice.clock import Clock
from voice.errors import Fenced, OutOfOrder, UnknownSession
from voice.owned.ledger import NOBODY, Claim, Fence
from voice.sim.database import ConnectedLedger, Database, Node, Tables


@dataclass(frozen=True, slots=True)
class Row:
    session: Session
    owner: str | None
    epoch: int
    opened: datetime
    """When it was begun, by the clock of who began it."""

    @property
    def kept(self) -> bool:
        return self.session.open or bool(self.session.pending)


@dataclass(frozen=True, slots=True)
class Post:
    """A row of the inbox."""

    session: str
    event: str
    at: datetime
    handled: bool = False


@dataclass(slots=True, eq=False)
class SessionTables(Tables):
    sessions: dict[str, Row] = field(default_factory=dict)
    session_log: dict[str, tuple[Note, ...]] = field(default_factory=dict)
    session_inbox: dict[str, Post] = field(default_factory=dict)

    def lives(self, node: str | None, at: datetime) -> bool:
        row = self.nodes.get(node or "")
        return row is not None and row.lease_until > self.now(at)

    def beat(self, node: str, seconds: float, at: datetime) -> None:
        """What the escalations of a node do, which hold its lease."""
        epoch = self.nodes[node].epoch if node in self.nodes else 1
        self.put(self.nodes, node, Node(epoch, self.now(at) + timedelta(seconds=seconds)))


class SessionDatabase(Database):
    """What the processes share."""

    def __init__(self, clock: Clock | None = None) -> None:
        super().__init__(clock)
        self.tables: SessionTables = SessionTables(clock=clock)


class MemorySessionLedger(ConnectedLedger):
    """`voice.check_in.ledger.Ledger` on `SessionTables`, which stand for the connection."""

    # -- one session --

    def open(self, connection: Any, opening: Opening) -> str | None:
        t: SessionTables = connection
        fence, session = opening.fence, opening.session
        if part_of := self.left(t, session.id):
            return part_of.session
        there = t.sessions.get(session.id)
        if there is not None:
            if (there.owner or NOBODY, there.epoch) != (fence.node, fence.epoch):
                return session.id
            if there.opened == opening.at:
                return None
            self._claim(t, session.id, fence.node)
            return session.id
        for row in t.sessions.values():
            if row.session.worker == session.worker and row.session.open:
                return row.session.id
        t.put(t.sessions, session.id, Row(session, fence.node or None, fence.epoch, opening.at))
        _note(t, session.id, opening.notes)
        return None

    def session(self, connection: Any, id: str) -> Session:
        t: SessionTables = connection
        if id not in t.sessions:
            raise UnknownSession(f"there is no session {id!r}")
        return Session.from_json(t.sessions[id].session.to_json())

    def record(self, connection: Any, decided: Decided) -> None:
        t: SessionTables = connection
        fence, session = decided.fence, decided.session
        row = t.sessions.get(fence.name)
        if row is None:
            raise UnknownSession(f"there is no session {fence.name!r}")
        if (row.owner, row.epoch) != (fence.node, fence.epoch):
            raise Fenced(f"session {fence.name} is {row.owner}'s in epoch {row.epoch}")
        if row.session.decisions >= session.decisions:
            return
        if decided.previous not in (None, row.session.decisions):
            raise OutOfOrder(f"session {fence.name}: decision {decided.previous} is not written yet")
        t.put(t.sessions, fence.name, replace(row, session=session))
        _note(t, session.id, decided.notes)
        if decided.letter is not None:
            self.answered(t, [decided.letter], decided.at)

    def of_worker(self, connection: Any, worker: str) -> Session | None:
        t: SessionTables = connection
        found = [row.session for row in t.sessions.values() if row.session.worker == worker]
        found.sort(key=lambda session: (session.open, session.started_at, session.id))
        return Session.from_json(found[-1].to_json()) if found else None

    def existing(self, connection: Any, ids: Collection[str]) -> set[str]:
        t: SessionTables = connection
        return {id for id in ids if id in t.sessions or id in t.session_inbox}

    # -- nodes --

    def lives(self, connection: Any, node: str, at: datetime) -> bool:
        t: SessionTables = connection
        return t.lives(node, at)

    def fences(self, connection: Any, names: Collection[str]) -> dict[str, Fence]:
        t: SessionTables = connection
        found = [(id, t.sessions[id]) for id in names if id in t.sessions]
        return {id: Fence(id, row.owner or NOBODY, row.epoch) for id, row in found}

    def claim(self, connection: Any, claim: Claim) -> list[Claimed]:
        t: SessionTables = connection
        ids = [id for id, row in t.sessions.items() if id not in claim.known and self._claimable(t, id, row, claim)]
        ids.sort(key=lambda id: (t.sessions[id].session.due_at, id))
        return [self._claim(t, id, claim.node) for id in ids[: claim.limit]]

    def _claim(self, t: SessionTables, id: str, node: str) -> Claimed:
        row = replace(t.sessions[id], owner=node, epoch=t.sessions[id].epoch + 1)
        t.put(t.sessions, id, row)
        return Claimed(Session.from_json(row.session.to_json()), row.epoch)

    def _claimable(self, t: SessionTables, id: str, row: Row, claim: Claim) -> bool:
        which = id == claim.only if claim.only is not None else row.kept
        ours = claim.own and row.owner == claim.node
        return which and (ours or (claim.orphans and self._orphan(t, row, claim.at)))

    def _orphan(self, t: SessionTables, row: Row, at: datetime) -> bool:
        return self._sole or not t.lives(row.owner, at)

    # -- the inbox --

    def leave(self, connection: Any, letter: str, session: str, event: Event, at: datetime) -> None:
        t: SessionTables = connection
        if session in t.sessions:
            t.add(t.session_inbox, letter, Post(session, event_text(event), at))

    def left(self, connection: Any, letter: str) -> Left | None:
        t: SessionTables = connection
        post = t.session_inbox.get(letter)
        return None if post is None else Left(post.session, post.handled)

    def letters(self, connection: Any, node: str, at: datetime) -> list[Letter]:
        t: SessionTables = connection
        found = []
        for name, post in sorted(t.session_inbox.items(), key=lambda item: (item[1].at, item[0])):
            row = t.sessions[post.session]
            if not post.handled and (row.owner == node or self._orphan(t, row, at)):
                found.append(Letter(name, post.session, read_event(post.event)))
        return found

    def answered(self, connection: Any, letters: Collection[str], at: datetime) -> None:
        t: SessionTables = connection
        for letter in t.session_inbox.keys() & set(letters):
            t.put(t.session_inbox, letter, replace(t.session_inbox[letter], handled=True))


def _note(t: SessionTables, id: str, notes: Collection[Note]) -> None:
    t.put(t.session_log, id, (*t.session_log.get(id, ()), *notes))
