"""When a worker is called, called again, and missed. Pure: values in, values out, the time is an argument.

    phase     leaves it when                             and so
    ────────  ─────────────────────────────────────────  ─────────────────────────────────────────────────────────────
    waiting   `warn_before` the check-in is due          he is warned; before the last one: told that the session ends
    waiting   the check-in is due                        he is called → calling
    calling   he confirms (key, PIN, duress alike)       the next check-in is an `interval` from now → waiting
    calling   it came to his telephone, nobody confirmed the next of `retries` follows, not within `grace` → again
    calling   the last of them did not confirm either    the check-in is missed
    calling   it never came as far as his telephone      it does not count as an attempt: tried again → again
    again     its time has come                          he is called → calling
    again     nothing reached him `unreachable_after`    the check-in is missed: a trunk that is down may not hide it
    any       he confirms, extends, renews by himself    as if he had confirmed in a call
    any       it is ended                                → ended

A missed check-in raises the alarm once, under a key of its own, and the next one is an `interval` later: the alarm may
be taken for a false one, and then the worker is not to be forgotten. The last check-in of a session asks whether he is
still working. Whoever confirms has ended it; whoever is silent is missed, or the session ends, as the rules say.

Each round of a session ends in one of three ways, and in one only: confirmed, missed, or the session has ended. Every
deadline is a time of day, and there is always one while a session is open.
"""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from ivr.session import (
    Answered,
    Attempt,
    Call,
    CallFailed,
    Cancel,
    Command,
    Confirmed,
    Decision,
    DeviceSeen,
    Done,
    Due,
    Ended,
    Event,
    Extended,
    How,
    Lasting,
    Lost,
    MemoLeft,
    NotConfirmed,
    Note,
    Origin,
    Phase,
    PinChanged,
    RaiseMissed,
    Remind,
    Renewed,
    Rules,
    Session,
    TellLate,
    Warn,
    Why,
    offset,
    rebased,
)

UNANSWERED = timedelta(seconds=120)
"""Within which a call must be answered or over: a place on a trunk is waited for, then it rings. Or it is hung up."""

DIALOGUE = timedelta(seconds=240)
"""Within which an answered call must have told what came of it."""

TRY_AGAIN = timedelta(seconds=10)
"""After a call that did not come as far as his telephone."""

SEEN_EVERY = timedelta(minutes=1)
"""How often a device's sign of life is worth a write."""


def begin(
    id: str,
    worker: str,
    origin: Origin,
    rules: Rules,
    *,
    now: datetime,
    ends_at: datetime,
    started_at: datetime | None = None,
    spread: float = 0.0,
    how: How | None = None,
) -> Decision:
    """A session that begins now, or (a roster's, after an outage) began at `started_at`: then its first check-in may be
    due at once. `spread`: seconds over which those that begin and end together are spread, their first check-in and
    their last. `how`: by what the worker has proven that it is he who begins it."""
    started, aside = started_at or now, timedelta(seconds=offset(id, spread))
    ends = min(ends_at, started + timedelta(seconds=rules.longest)) + aside
    first = max(started + timedelta(seconds=rules.interval), now) + aside
    session = Session(id, worker, origin, rules, started, ends, seen_at=now, due_at=first)
    if how is not None:
        session = replace(session, confirmed_at=now, confirmed_by=how)
    turn = _Turn(session, now)
    turn.wait_until(max(min(first, ends), now))
    turn.note("began", origin=origin.value, due_at=_text(turn.session.due_at), ends_at=_text(ends))
    return turn.decision(session)


def decide(session: Session, event: Event, now: datetime) -> Decision:
    """What follows from an event. Doubled, late and foreign ones change nothing: then it is the same session."""
    turn = _Turn(rebased(session, now), now)
    if isinstance(event, Done):
        turn.forget(event.key)
    elif isinstance(event, PinChanged):
        turn.note("pin_changed", how=event.how.value)
    elif session.open:
        _hear(turn, event)
    elif isinstance(event, Confirmed):
        turn.prove(event.how, event.attempt)  # the alarm of its last check-in may be open
    return turn.decision(session)


def _hear(turn: "_Turn", event: Event) -> None:
    match event:
        case Due():
            _pass_time(turn)
        case Answered(attempt):
            turn.answered(attempt)
        case Confirmed(how, attempt):
            turn.prove(how, attempt)
        case NotConfirmed(attempt, why):
            if turn.end_call(attempt):
                turn.note("not_confirmed", attempt=attempt, why=why)
                _not_confirmed(turn)
        case CallFailed(attempt, status, why):
            if turn.end_call(attempt):
                turn.note("call_failed", attempt=attempt, status=status, why=why, reached=event.reached)
                _not_confirmed(turn) if event.reached else _not_reached(turn, TRY_AGAIN)
        case Lost(attempt):
            if turn.end_call(attempt):
                turn.note("call_lost", attempt=attempt)
                _not_reached(turn, timedelta())
        case Extended():
            _extend(turn, event)
        case Renewed():
            _renew(turn, event)
        case Ended(by):
            turn.end(by)
        case MemoLeft(memo):
            turn.become(memo=memo)
            turn.note("memo", memo=memo)
        case DeviceSeen(at):
            known = turn.session.device_seen_at
            if known is None or at - known >= SEEN_EVERY:
                turn.become(device_seen_at=at)


# -- time passes --


def _pass_time(turn: "_Turn") -> None:
    session, now = turn.session, turn.now
    match session.phase:
        case Phase.WAITING if now >= session.due_at:
            turn.call()
        case Phase.WAITING if session.warn_at is not None and now >= session.warn_at:
            turn.warn()
        case Phase.AGAIN if session.next_at is not None and now >= session.next_at:
            if why := _is_missed(session, now):
                turn.miss(why)
            else:
                turn.call()
        case Phase.CALLING if session.attempt is not None and now >= session.attempt.deadline:
            turn.note("not_confirmed", attempt=session.attempt.key, why="took too long")
            turn.stop_ringing()
            turn.become(attempt=None)
            _not_confirmed(turn)


def _is_missed(session: Session, now: datetime) -> Why | None:
    """Whether there is nothing left to try."""
    if session.counted > len(session.rules.retries):
        return Why.NOT_CONFIRMED
    since = session.unreached_since
    if since is not None and now >= since + timedelta(seconds=session.rules.unreachable_after):
        return Why.UNREACHABLE
    return None


def _not_confirmed(turn: "_Turn") -> None:
    """A call came as far as his telephone."""
    session, rules = turn.session, turn.session.rules
    counted = session.counted + 1
    wait = rules.retries[counted - 1] if counted <= len(rules.retries) else 0.0
    began = max(session.due_at, session.began_at or session.due_at)
    again = max(turn.now + timedelta(seconds=wait), began + timedelta(seconds=rules.grace))
    turn.become(phase=Phase.AGAIN, counted=counted, unreached_since=None, next_at=again)
    _pass_time(turn)


def _not_reached(turn: "_Turn", wait: timedelta) -> None:
    """A call did not: that is no miss of his, unless it goes on."""
    session = turn.session
    since = session.unreached_since or (session.began_at if session.began_at and not session.counted else turn.now)
    over = since + timedelta(seconds=session.rules.unreachable_after)
    turn.become(phase=Phase.AGAIN, unreached_since=since, next_at=min(turn.now + wait, over))
    _pass_time(turn)


# -- what people do --


def _extend(turn: "_Turn", event: Extended) -> None:
    session = turn.session
    later = timedelta(seconds=session.rules.extend_by if event.by is None else event.by)
    wanted = event.until if event.until is not None else max(session.ends_at, turn.now) + later
    ends_at = max(session.ends_at, min(wanted, session.latest_end))
    if ends_at != session.ends_at:
        turn.become(ends_at=ends_at)
        turn.note("extended", ends_at=_text(ends_at))
    if event.how is not None:
        turn.prove(event.how, None)


def _renew(turn: "_Turn", event: Renewed) -> None:
    longest = turn.now + timedelta(seconds=event.rules.longest)
    ends_at = max(min(event.ends_at, longest), turn.now)
    turn.become(rules=event.rules, started_at=turn.now, ends_at=ends_at)
    turn.note("renewed", ends_at=_text(ends_at))
    turn.prove(event.how, None)


# -- a decision in the making --


@dataclass(slots=True)
class _Turn:
    """The session as it becomes, what is to be done, and what is to be written."""

    session: Session
    now: datetime
    commands: list[Command] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)

    def become(self, **changes: Any) -> None:
        self.session = replace(self.session, **changes)

    def note(self, kind: str, **detail: Any) -> None:
        self.notes.append(Note(kind, {"round": self.session.round, **detail}))

    def decision(self, before: Session) -> Decision:
        """The commands that last are kept in the state until they are known to be done."""
        if not (self.commands or self.notes) and self.session == before:
            return Decision(before)
        wake_at = min(self.session.deadlines, default=None)
        waits = max((wake_at - self.now).total_seconds(), 0.0) if wake_at else 0.0
        number = before.decisions + 1
        session = replace(self.session, decisions=number, seen_at=self.now, wake_at=wake_at, waits=waits)
        return Decision(session, tuple(self.commands), tuple(self.notes))

    def do(self, command: Lasting) -> None:
        self.commands.append(command)
        self.become(pending=(*self.session.pending, command))

    def forget(self, key: str) -> None:
        kept = tuple(command for command in self.session.pending if command.key != key)
        if kept != self.session.pending:
            self.become(pending=kept)

    # calls

    def call(self) -> None:
        session = self.session
        key = f"{session.round}.{session.calls + 1}"
        attempt = Attempt(key, session.counted + 1, self.now + UNANSWERED)
        if session.began_at is None:
            self._forget_warnings()
        self.become(
            phase=Phase.CALLING,
            attempt=attempt,
            calls=session.calls + 1,
            began_at=session.began_at or self.now,
            next_at=None,
            warn_at=None,
        )
        self.commands.append(Call(key, attempt.number, session.final, bool(session.missed)))
        self.note("called", attempt=key, number=attempt.number, due_at=_text(session.due_at))

    def answered(self, key: str) -> None:
        attempt = self.session.attempt
        if attempt is not None and attempt.key == key and not attempt.answered:
            self.become(attempt=replace(attempt, answered=True, deadline=self.now + DIALOGUE))
            self.note("answered", attempt=key)

    def end_call(self, key: str) -> bool:
        """Whether this is the call that is under way: it is no longer."""
        attempt = self.session.attempt
        if attempt is None or attempt.key != key:
            return False
        self.become(attempt=None)
        return True

    def stop_ringing(self) -> None:
        """An answered call is left to those who are in it: nothing there may tell that he has confirmed elsewhere."""
        attempt = self.session.attempt
        if attempt is not None and not attempt.answered:
            self.commands.append(Cancel(attempt.key))

    def warn(self) -> None:
        session = self.session
        if session.final:
            self.do(Remind(f"{session.id}:{session.round}:remind", session.ends_at))
        else:
            self.do(Warn(f"{session.id}:{session.round}:warn", session.due_at))
        self.note("reminded" if session.final else "warned")
        self.become(warn_at=None)

    def _forget_warnings(self) -> None:
        """Of what is there already nobody is warned."""
        kept = tuple(command for command in self.session.pending if not isinstance(command, Warn | Remind))
        self.become(pending=kept)

    # how a round ends

    def prove(self, how: How, attempt: str | None) -> None:
        """The worker is there. From here on nothing depends on how he has shown it."""
        session = self.session
        for missed in session.missed[-1:]:
            self.do(TellLate(f"{missed}:late", missed, how, self.now))
        self.note("confirmed", how=how.value, attempt=attempt, late=bool(session.missed))
        self.become(confirmed_at=self.now, confirmed_by=how, missed=())
        if not session.open:
            return
        if session.attempt is not None and session.attempt.key != attempt:
            self.stop_ringing()
        asked_last = session.final and session.began_at is not None
        if asked_last or self.now >= session.ends_at:
            self.end("confirmed at its end")
        else:
            self.wait_until(min(self.now + timedelta(seconds=session.rules.interval), session.ends_at))

    def miss(self, why: Why) -> None:
        session = self.session
        key = f"{session.id}:{session.round}:missed"
        silent = why is Why.NOT_CONFIRMED  # who could not be asked has not been silent
        if silent and session.final and session.rules.forgotten == "end":
            self.note("forgotten", why=why.value)
            self.end("nobody answered at its end")
            return
        self.do(RaiseMissed(key, session.due_at, why))
        self.note("missed", due_at=_text(session.due_at), why=why.value)
        self.become(missed=(*session.missed, key))
        if session.final or self.now >= session.ends_at:
            self.end("missed at its end")
        else:
            self.wait_until(min(self.now + timedelta(seconds=session.rules.interval), session.ends_at))

    def wait_until(self, due_at: datetime) -> None:
        """The next round."""
        session = self.session
        self._forget_warnings()
        warn_at = due_at - timedelta(seconds=session.rules.warn_before)
        warned = session.rules.warn_before > 0 and warn_at > self.now
        self.become(
            phase=Phase.WAITING,
            round=session.round + 1 if session.decisions else 1,
            due_at=due_at,
            warn_at=warn_at if warned else None,
            began_at=None,
            attempt=None,
            calls=0,
            counted=0,
            unreached_since=None,
            next_at=None,
        )

    def end(self, by: str) -> None:
        if self.session.attempt is not None:
            self.stop_ringing()
        self._forget_warnings()
        self.become(phase=Phase.ENDED, attempt=None, next_at=None, warn_at=None)
        self.note("ended", by=by)


def _text(moment: datetime) -> str:
    return moment.isoformat()
