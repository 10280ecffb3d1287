"""Sessions as any process on the store may ask for them that is no node: the command line, an API.

A request is one transaction. It begins a session that is nobody's yet, or finds the one that it is about, and leaves a
letter: the node that has the session, or takes it up for the letter, reads it within a second and does what it says.
So it makes no difference how many nodes there are, and none is lost when there is none at the moment.

Each request has a name, made of the key that the asker gives it. Asked again under the same key it changes nothing, and
says what it did the first time; so whoever is not sure that he was heard may ask again.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from hashlib import sha256
from secrets import token_hex

from sqlalchemy import Connection

from config.models import Settings, Worker
from ivr.schedule import begin
from ivr.session import Confirmed, Due, Ended, Event, Extended, How, Origin, Rules, Session
from voice.check_in.ledger import Opening, Rows, unclaimed
from voice.check_in.roster import rules_of
from voice.errors import InvalidRequest, LifecycleError
from voice.escalation.phrases import duration

SHORTEST = 60.0
"""Seconds that a session, and the time between its check-ins, last at least."""

LONGEST_INTERVAL = 86400.0
"""Seconds between two check-ins at most, as in the configuration."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked of the node that has the session, or will have it."""

    letter: str
    """Under this name it can be seen whether the node has read it (`Rows.left`)."""
    session: Session
    """As it stood when it was asked."""
    begun: bool = False
    """The request has begun this session; else it is about one that was there."""


@dataclass(frozen=True, slots=True)
class Requests:
    """What can be asked for, by the settings that hold now."""

    rows: Rows
    settings: Settings

    def start(
        self,
        connection: Connection,
        worker_id: str,
        *,
        until: datetime,
        at: datetime,
        interval: float | None = None,
        key: str | None = None,
    ) -> Asked:
        """Begin a session of a worker, with his own rules but for the `interval` (seconds). Where one of his is open it
        goes on by its own rules, at least as long.

        Raises `InvalidRequest` for what cannot be done.
        """
        worker = self._worker(worker_id)
        rules = self._rules(worker, interval)
        _check_span(worker, rules, (until - at).total_seconds())
        letter, id = _names(key)
        if known := self._asked(connection, letter):
            if known.session.worker != worker.id:
                raise InvalidRequest("this request was made before, for another worker")
            return replace(known, begun=known.session.id == id)
        first = begin(id, worker.id, Origin.API, rules, now=at, ends_at=until)
        there = self.rows.open(connection, Opening(unclaimed(id), first.session, first.notes, at))
        if there is None or there == id:
            return self._leave(connection, letter, first.session, Due(), at, begun=True)
        return self._leave(connection, letter, self.rows.session(connection, there), Extended(until=until), at)

    def extend(
        self, connection: Connection, session: str, *, at: datetime, by: float | None = None, key: str | None = None
    ) -> Asked:
        """Let a session end later. `by` seconds; None: as its rules say. It is no confirmation: the next check-in stays
        as it is.

        Raises `InvalidRequest`; `LifecycleError` for a session that has ended; `UnknownSession`.
        """
        letter, _ = _names(key)
        if known := self._asked(connection, letter):
            return known
        found = self._open(connection, session)
        later = found.rules.extend_by if by is None else by
        if later < SHORTEST:
            raise InvalidRequest(
                f"{duration(later)} is too short: a session is extended by {duration(SHORTEST)} at least"
            )
        if max(found.ends_at, at) + timedelta(seconds=later) > found.latest_end:
            longest = duration(found.rules.longest)
            raise InvalidRequest(f"no session of {found.worker} lasts longer than {longest}, and this one would")
        return self._leave(connection, letter, found, Extended(by=later), at)

    def end(self, connection: Connection, session: str, *, by: str, at: datetime, key: str | None = None) -> Asked:
        """End a session. `by`: who does, for its log. An alarm of it stays open.

        Raises `LifecycleError` for one that has ended; `UnknownSession`.
        """
        letter, _ = _names(key)
        known = self._asked(connection, letter)
        return known or self._leave(connection, letter, self._open(connection, session), Ended(by), at)

    def confirm(self, connection: Connection, session: str, *, how: How, at: datetime, key: str | None = None) -> Asked:
        """The worker has confirmed by other means than a call: `How.API` (his app), `How.DEVICE`. Nobody may do it in
        his place. After a check-in was missed it is told on the alarm, which stays open.

        Raises `InvalidRequest`; `LifecycleError` for a session that has ended; `UnknownSession`.
        """
        if how not in (How.API, How.DEVICE):
            raise InvalidRequest(f"{how.value}: a key or a PIN is taken in a call only")
        letter, _ = _names(key)
        known = self._asked(connection, letter)
        return known or self._leave(connection, letter, self._open(connection, session), Confirmed(how), at)

    # -- parts --

    def _worker(self, id: str) -> Worker:
        worker = self.settings.worker(id)
        if worker is None:
            raise InvalidRequest(f"there is no worker {id!r} in the configuration")
        if not worker.numbers:
            raise InvalidRequest(f"worker {id!r} has no telephone number: every check-in would be missed")
        return worker

    def _rules(self, worker: Worker, interval: float | None) -> Rules:
        rules = rules_of(self.settings.check_in_of(worker))
        if interval is None:
            return rules
        if not SHORTEST <= interval <= LONGEST_INTERVAL:
            allowed = f"from {duration(SHORTEST)} to {duration(LONGEST_INTERVAL)}"
            raise InvalidRequest(f"a check-in each {duration(interval)} cannot be; allowed: {allowed}")
        return replace(rules, interval=interval)

    def _asked(self, connection: Connection, letter: str) -> Asked | None:
        """What this request did, if it was made before."""
        left = self.rows.left(connection, letter)
        return None if left is None else Asked(letter, self.rows.session(connection, left.session))

    def _open(self, connection: Connection, session: str) -> Session:
        found = self.rows.session(connection, session)
        if not found.open:
            raise LifecycleError(f"session {found.id} of {found.worker} has ended already")
        return found

    def _leave(
        self, connection: Connection, letter: str, session: Session, event: Event, at: datetime, *, begun: bool = False
    ) -> Asked:
        self.rows.leave(connection, letter, session.id, event, at)
        return Asked(letter, session, begun)


def _check_span(worker: Worker, rules: Rules, seconds: float) -> None:
    """Told, not mended: who asks for two days shall not believe that he has them."""
    if seconds < SHORTEST:
        raise InvalidRequest(f"a session lasts {duration(SHORTEST)} at least, and from now on")
    if seconds > rules.longest:
        raise InvalidRequest(f"no session of {worker.id!r} lasts longer than {duration(rules.longest)}")


def _names(key: str | None) -> tuple[str, str]:
    """The names of a letter and of a session: for the same key the same, without one others each time."""
    unique = token_hex(16) if key is None else f"key {key}"
    letter, session = (sha256(f"{kind} {unique}".encode()).hexdigest()[:32] for kind in ("letter", "session"))
    return letter, session
