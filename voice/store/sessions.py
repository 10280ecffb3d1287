"""Sessions of check-ins, their log and their inbox: `voice.check_in.ledger` in SQL."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, bindparam, func, insert, or_, select, text

from ivr.session import Event, Note, Session
from voice.check_in.ledger import Claimed, Decided, Left, Letter, Opening, event_text, read_event
from voice.errors import UnknownSession
from voice.owned.ledger import NOBODY, Claim
from voice.store import schema
from voice.store.inserting import if_missing
from voice.store.nodes import alive
from voice.store.owned import OwnedLedger, OwnedRows

_SESSIONS = schema.sessions
_LOG = schema.session_log
_INBOX = schema.session_inbox
_NODES = schema.nodes

_OWNED = OwnedRows(
    _SESSIONS,
    _INBOX,
    key="id",
    of="session_id",
    what="session",
    unknown=UnknownSession,
    kept=("state", "phase", "pending", "due_at", "started_at", "ends_at"),
)
_ADD_SESSION = if_missing(_SESSIONS)
"""Whichever stands in its way: itself, or another session of the worker that is open."""
_LAST = select(func.max(_LOG.c.sequence)).where(_LOG.c.session_id == bindparam("of_session"))
_BEGAN = select(_LOG.c.at).where(_LOG.c.session_id == bindparam("of_session"), _LOG.c.sequence == 1)
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
        row = _row(session) | {
            "id": session.id,
            "worker_id": session.worker,
            "origin": session.origin.value,
            "version": session.decisions,
            "owner": fence.node or None,
            "epoch": fence.epoch,
        }
        if connection.execute(_ADD_SESSION[connection.dialect.name], row).rowcount:
            _note(connection, session.id, opening.notes, opening.at)
            return None
        found = connection.execute(_IN_THE_WAY, {"new_id": session.id, "of": session.worker}).all()
        itself = next((row for row in found if row.id == session.id), None)
        if itself is not None:
            if (itself.owner or NOBODY, itself.epoch) != (fence.node, fence.epoch):
                return session.id
            if connection.execute(_BEGAN, {"of_session": session.id}).scalar() == opening.at:
                return None
            # An earlier life of this process began it, and this one could not know: what it decided of it is fenced.
            _OWNED.take(connection, fence.node, [session.id])
            return session.id
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
            _OWNED.leave(connection, letter, session, event_text(event), at)

    def left(self, connection: Connection, letter: str) -> Left | None:
        """See `Rows`."""
        row = connection.execute(select(_INBOX.c.session_id, _INBOX.c.handled_at).where(_INBOX.c.id == letter)).first()
        return None if row is None else Left(row.session_id, row.handled_at is not None)


class SqlSessionLedger(SqlSessionRows, OwnedLedger):
    """The sessions in a store. `sole`: no other process can use it."""

    owned = _OWNED

    # -- one session --

    def record(self, connection: Connection, decided: Decided) -> None:
        """See `Ledger`."""
        session = decided.session
        if not _OWNED.advance(connection, decided.fence, decided.previous, session.decisions, _row(session)):
            return  # it is written already
        _note(connection, session.id, decided.notes, decided.at)
        if decided.letter is not None:
            self.answered(connection, [decided.letter], decided.at)

    # -- nodes --

    def lives(self, connection: Connection, node: str, at: datetime) -> bool:
        """See `Ledger`."""
        return connection.execute(alive(connection, at).where(_NODES.c.id == node)).first() is not None

    def claim(self, connection: Connection, claim: Claim) -> list[Claimed]:
        """See `Ledger`. Names are looked for first: of those that are known, only they are read."""
        which = _OWNED.claimable(connection, claim, sole=self.sole, kept=_KEPT)
        known = frozenset(claim.known)
        names = connection.execute(select(_SESSIONS.c.id).where(which).order_by(_SESSIONS.c.due_at, _SESSIONS.c.id))
        chosen = [name for name in names.scalars() if name not in known][: claim.limit]
        if not chosen:
            return []
        locked = select(_SESSIONS).where(_SESSIONS.c.id.in_(chosen), which)
        locked = locked.order_by(_SESSIONS.c.due_at, _SESSIONS.c.id).with_for_update(skip_locked=True)
        found = connection.execute(locked).all()
        _OWNED.take(connection, claim.node, [row.id for row in found])
        return [Claimed(Session.from_json(row.state), row.epoch + 1) for row in found]

    # -- the inbox --

    def letters(self, connection: Connection, node: str, at: datetime) -> list[Letter]:
        """See `Ledger`."""
        found = _OWNED.letters(connection, node, at, sole=self.sole)
        return [Letter(row.id, row.name, read_event(row.event)) for row in found]


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


def _row(session: Session) -> dict[str, Any]:
    """What each decision writes."""
    return {
        "state": session.to_json(),
        "phase": session.phase.value,
        "pending": len(session.pending),
        "due_at": session.due_at,
        "started_at": session.started_at,
        "ends_at": session.ends_at,
    }


def _note(connection: Connection, id: str, notes: Sequence[Note], at: datetime) -> None:
    if notes:
        last = connection.execute(_LAST, {"of_session": id}).scalar() or 0
        rows = [
            {"session_id": id, "sequence": last + n, "at": at, "kind": note.kind, "detail": json.dumps(note.detail)}
            for n, note in enumerate(notes, 1)
        ]
        connection.execute(insert(_LOG), rows)
