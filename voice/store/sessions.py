"""Sessions of check-ins, their log and their inbox: `voice.check_in.ledger` in SQL.

Who checks its ownership locks the row of the session, and keeps it until its commit: so nobody takes the session up
between the check and what hangs on it. SQLite has one writer at a time, which does the same.
"""

import json
from asyncio import Future
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Connection, and_, bindparam, func, insert, literal, or_, select, text, update
from sqlalchemy.dialects import postgresql, sqlite

from ivr.session import Event, Note, Session
from voice.check_in.ledger import Claimed, Decided, Left, Letter, Opening, event_text, read_event
from voice.errors import Fenced, OutOfOrder, UnknownSession
from voice.owned.ledger import NOBODY, Claim, Fence
from voice.store import schema
from voice.store.nodes import database_now
from voice.store.store import Store

T = TypeVar("T")

_SESSIONS = schema.sessions
_LOG = schema.session_log
_INBOX = schema.session_inbox
_NODES = schema.nodes

_ADD_SESSION = {
    "sqlite": sqlite.insert(_SESSIONS).on_conflict_do_nothing(),
    "postgresql": postgresql.insert(_SESSIONS).on_conflict_do_nothing(),
}
"""Whichever stands in its way: itself, or another session of the worker that is open."""
_ADD_LETTER = {
    "sqlite": sqlite.insert(_INBOX).on_conflict_do_nothing(index_elements=["id"]),
    "postgresql": postgresql.insert(_INBOX).on_conflict_do_nothing(index_elements=["id"]),
}
_OURS = and_(
    _SESSIONS.c.id == bindparam("fenced_session"),
    _SESSIONS.c.owner == bindparam("fenced_node"),
    _SESSIONS.c.epoch == bindparam("fenced_epoch"),
)
_ADVANCE = (
    update(_SESSIONS)
    .where(_OURS)
    .values(
        state=bindparam("new_state"),
        version=bindparam("new_version"),
        phase=bindparam("new_phase"),
        pending=bindparam("new_pending"),
        due_at=bindparam("new_due"),
        started_at=bindparam("new_start"),
        ends_at=bindparam("new_end"),
    )
)
_ADVANCE_IN_ORDER = _ADVANCE.where(_SESSIONS.c.version == bindparam("previous"))
_ADVANCE_OVER_GAP = _ADVANCE.where(_SESSIONS.c.version < bindparam("new_version"))
_HELD = select(_SESSIONS.c.owner, _SESSIONS.c.epoch, _SESSIONS.c.version)
_HELD = _HELD.where(_SESSIONS.c.id == bindparam("fenced_session")).with_for_update()
_LAST = select(func.max(_LOG.c.sequence)).where(_LOG.c.session_id == bindparam("of_session"))
_ANSWER = update(_INBOX).where(_INBOX.c.id == bindparam("letter")).values(handled_at=bindparam("answered"))
_LETTERS = (
    select(_INBOX.c.id, _INBOX.c.session_id, _INBOX.c.event)
    .join(_SESSIONS, _SESSIONS.c.id == _INBOX.c.session_id)
    .where(_INBOX.c.handled_at.is_(None))
    .order_by(_INBOX.c.at, _INBOX.c.id)
)
"""Asked for twice a second, so it is built once. In a store that one process has all of them are its own."""
_LETTERS_OF = _LETTERS.where(
    or_(
        _SESSIONS.c.owner == bindparam("node"),
        _SESSIONS.c.owner.is_(None),
        _SESSIONS.c.owner.not_in(select(_NODES.c.id).where(_NODES.c.lease_until > bindparam("alive_at"))),
    )
)
_KEPT: ColumnElement[bool] = text("(phase <> 'ended' OR pending > 0)")  # type: ignore[assignment]
"""Written out, not bound: else SQLite cannot know that the index on what is kept fits."""
_IN_THE_WAY = select(_SESSIONS.c.id, _SESSIONS.c.owner, _SESSIONS.c.epoch).where(
    or_(_SESSIONS.c.id == bindparam("new_id"), and_(_SESSIONS.c.worker_id == bindparam("of"), text("phase <> 'ended'")))
)


@dataclass(frozen=True, slots=True)
class LogEntry:
    """What was written about a session: evidence, never altered."""

    session: str
    sequence: int
    at: datetime
    kind: str
    detail: Mapping[str, Any]


class SqlSessionRows:
    """What any process may do with the sessions in a database."""

    def open(self, connection: Connection, opening: Opening) -> str | None:
        """See `Rows`."""
        fence, session = opening.fence, opening.session
        if part_of := self.left(connection, session.id):
            return part_of.session
        row = {
            "id": session.id,
            "worker_id": session.worker,
            "origin": session.origin.value,
            "state": session.to_json(),
            "version": session.decisions,
            "phase": session.phase.value,
            "pending": len(session.pending),
            "due_at": session.due_at,
            "started_at": session.started_at,
            "ends_at": session.ends_at,
            "owner": fence.node or None,
            "epoch": fence.epoch,
        }
        if connection.execute(_ADD_SESSION[connection.dialect.name], row).rowcount:
            _note(connection, session.id, opening.notes, opening.at)
            return None
        found = connection.execute(_IN_THE_WAY, {"new_id": session.id, "of": session.worker}).all()
        itself = next((row for row in found if row.id == session.id), None)
        if itself is not None:
            ours = (itself.owner or NOBODY, itself.epoch) == (fence.node, fence.epoch)
            return None if ours else session.id
        return str(found[0].id) if found else session.id

    def session(self, connection: Connection, id: str) -> Session:
        """See `Rows`."""
        return session(connection, id)

    def of_worker(self, connection: Connection, worker: str) -> Session | None:
        """See `Rows`."""
        return of_worker(connection, worker)

    def existing(self, connection: Connection, ids: Collection[str]) -> set[str]:
        """See `Ledger`."""
        begun, told = (select(column).where(column.in_(ids)) for column in (_SESSIONS.c.id, _INBOX.c.id))
        return set(connection.execute(begun.union_all(told)).scalars())

    def leave(self, connection: Connection, letter: str, session: str, event: Event, at: datetime) -> None:
        """See `Rows`."""
        if connection.execute(select(_SESSIONS.c.id).where(_SESSIONS.c.id == session)).first() is not None:
            values = {"id": letter, "session_id": session, "event": event_text(event), "at": at}
            connection.execute(_ADD_LETTER[connection.dialect.name], values)

    def left(self, connection: Connection, letter: str) -> Left | None:
        """See `Rows`."""
        row = connection.execute(select(_INBOX.c.session_id, _INBOX.c.handled_at).where(_INBOX.c.id == letter)).first()
        return None if row is None else Left(row.session_id, row.handled_at is not None)


class SqlSessionLedger(SqlSessionRows):
    """The sessions in a store. `sole`: no other process can use it."""

    def __init__(self, store: Store, *, sole: bool) -> None:
        self._store = store
        self._sole = sole

    @property
    def sole(self) -> bool:
        return self._sole

    def run(self, transaction: Callable[[Connection], T]) -> "Future[T]":
        return self._store.run(transaction)

    def read(self, function: Callable[[Connection], T]) -> "Future[T]":
        return self._store.read(function)

    # -- one session --

    def record(self, connection: Connection, decided: Decided) -> None:
        """See `Ledger`."""
        if not _advance(connection, decided):
            return  # it is written already
        _note(connection, decided.session.id, decided.notes, decided.at)
        if decided.letter is not None:
            self.answered(connection, [decided.letter], decided.at)

    # -- nodes --

    def lives(self, connection: Connection, node: str, at: datetime) -> bool:
        """See `Ledger`."""
        return connection.execute(_alive(connection, at).where(_NODES.c.id == node)).first() is not None

    def fences(self, connection: Connection, names: Collection[str]) -> dict[str, Fence]:
        """See `Ledger`."""
        columns = (_SESSIONS.c.id, _SESSIONS.c.owner, _SESSIONS.c.epoch)
        found = connection.execute(select(*columns).where(_SESSIONS.c.id.in_(names)))
        return {row.id: Fence(row.id, row.owner or NOBODY, row.epoch) for row in found}

    def claim(self, connection: Connection, claim: Claim) -> list[Claimed]:
        """See `Ledger`. Names are looked for first: of those that are known, only they are read."""
        which = self._claimable(connection, claim)
        known = frozenset(claim.known)
        names = connection.execute(select(_SESSIONS.c.id).where(which).order_by(_SESSIONS.c.due_at, _SESSIONS.c.id))
        chosen = [name for name in names.scalars() if name not in known][: claim.limit]
        if not chosen:
            return []
        locked = select(_SESSIONS).where(_SESSIONS.c.id.in_(chosen), which)
        locked = locked.order_by(_SESSIONS.c.due_at, _SESSIONS.c.id).with_for_update(skip_locked=True)
        found = connection.execute(locked).all()
        taken = update(_SESSIONS).where(_SESSIONS.c.id.in_([row.id for row in found]))
        connection.execute(taken.values(owner=claim.node, epoch=_SESSIONS.c.epoch + 1))
        return [Claimed(Session.from_json(row.state), row.epoch + 1) for row in found]

    def _claimable(self, connection: Connection, claim: Claim) -> ColumnElement[bool]:
        whose = []
        if claim.own:
            whose.append(_SESSIONS.c.owner == claim.node)
        if claim.orphans:
            whose.append(self._without_owner(connection, claim.at))
        which = _SESSIONS.c.id == claim.only if claim.only is not None else _KEPT
        return and_(which, or_(*whose))

    def _without_owner(self, connection: Connection, at: datetime) -> ColumnElement[bool]:
        if self.sole:
            return literal(True)
        return or_(_SESSIONS.c.owner.is_(None), _SESSIONS.c.owner.not_in(_alive(connection, at)))

    # -- the inbox --

    def letters(self, connection: Connection, node: str, at: datetime) -> list[Letter]:
        """See `Ledger`."""
        if self.sole:
            found = connection.execute(_LETTERS)
        else:
            found = connection.execute(_LETTERS_OF, {"node": node, "alive_at": database_now(connection, at)})
        return [Letter(row.id, row.session_id, read_event(row.event)) for row in found]

    def answered(self, connection: Connection, letters: Collection[str], at: datetime) -> None:
        """See `Ledger`."""
        connection.execute(_ANSWER, [{"letter": letter, "answered": at} for letter in letters])


# -- for whoever asks --


def of_worker(connection: Connection, worker: str) -> Session | None:
    """His open session, else the one that began last."""
    query = select(_SESSIONS.c.state).where(_SESSIONS.c.worker_id == worker)
    query = query.order_by(text("phase = 'ended'"), _SESSIONS.c.started_at.desc(), _SESSIONS.c.id.desc()).limit(1)
    state = connection.execute(query).scalar()
    return None if state is None else Session.from_json(state)


def session(connection: Connection, id: str) -> Session:
    """Raises `UnknownSession`."""
    state = connection.execute(select(_SESSIONS.c.state).where(_SESSIONS.c.id == id)).scalar()
    if state is None:
        raise UnknownSession(f"there is no session {id!r}")
    return Session.from_json(state)


def named(connection: Connection, name: str) -> Session:
    """The session of this worker, or of this name, or the only one whose name begins or ends so; else
    `UnknownSession`. A worker's is his open one, else his latest."""
    found = of_worker(connection, name)
    if found is not None:
        return found
    column, part = _SESSIONS.c.id, name.lower()  # LIKE of PostgreSQL tells capitals from small letters
    fits = column.startswith(part, autoescape=True) | column.endswith(part, autoescape=True)
    ids = connection.execute(select(column).where(fits).limit(6)).scalars().all() if name else []
    if not ids:
        raise UnknownSession(f"there is no session {name!r}, and no worker of this name has had one")
    if len(ids) > 1 and name not in ids:
        raise UnknownSession(f"{name!r} fits several sessions: {', '.join(ids)}")
    return session(connection, name if name in ids else ids[0])


def latest_sessions(connection: Connection, limit: int) -> list[Session]:
    """Those that began last, open or not, newest first."""
    query = select(_SESSIONS.c.state).order_by(_SESSIONS.c.started_at.desc(), _SESSIONS.c.id.desc()).limit(limit)
    return [Session.from_json(state) for state in connection.execute(query).scalars()]


def open_sessions(connection: Connection) -> list[Session]:
    """All that are open, the one that is due first in front."""
    query = select(_SESSIONS.c.state).where(text("phase <> 'ended'")).order_by(_SESSIONS.c.due_at, _SESSIONS.c.id)
    return [Session.from_json(state) for state in connection.execute(query).scalars()]


def session_log(connection: Connection, id: str) -> list[LogEntry]:
    """What happened in a session, in order."""
    found = connection.execute(select(_LOG).where(_LOG.c.session_id == id).order_by(_LOG.c.sequence))
    return [LogEntry(row.session_id, row.sequence, row.at, row.kind, json.loads(row.detail)) for row in found]


# -- parts --


def _alive(connection: Connection, at: datetime) -> Any:
    """The names of nodes whose lease holds."""
    return select(_NODES.c.id).where(_NODES.c.lease_until > database_now(connection, at))


def _advance(connection: Connection, decided: Decided) -> bool:
    """Write the state; False when this decision, or one that builds on it, is there already."""
    fence, session = decided.fence, decided.session
    values = {
        "fenced_session": fence.name,
        "fenced_node": fence.node,
        "fenced_epoch": fence.epoch,
        "new_state": session.to_json(),
        "new_version": session.decisions,
        "new_phase": session.phase.value,
        "new_pending": len(session.pending),
        "new_due": session.due_at,
        "new_start": session.started_at,
        "new_end": session.ends_at,
    }
    if decided.previous is None:
        advanced = connection.execute(_ADVANCE_OVER_GAP, values)
    else:
        advanced = connection.execute(_ADVANCE_IN_ORDER, values | {"previous": decided.previous})
    if advanced.rowcount:
        return True
    if _hold(connection, fence) < session.decisions:
        raise OutOfOrder(f"session {fence.name}: decision {decided.previous} is not written yet")
    return False


def _hold(connection: Connection, fence: Fence) -> int:
    """Keep the session until the transaction ends; returns the number of its last decision."""
    row = connection.execute(_HELD, {"fenced_session": fence.name}).first()
    if row is None:
        raise UnknownSession(f"there is no session {fence.name!r}")
    if (row.owner, row.epoch) != (fence.node, fence.epoch):
        raise Fenced(f"session {fence.name} is {row.owner}'s in epoch {row.epoch}")
    return int(row.version)


def _note(connection: Connection, id: str, notes: Sequence[Note], at: datetime) -> None:
    if notes:
        last = connection.execute(_LAST, {"of_session": id}).scalar() or 0
        rows = [
            {"session_id": id, "sequence": last + n, "at": at, "kind": note.kind, "detail": json.dumps(note.detail)}
            for n, note in enumerate(notes, 1)
        ]
        connection.execute(insert(_LOG), rows)
