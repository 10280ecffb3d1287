"""A session of check-ins: what is kept of it, what it hears of, and what it asks for. Values only; `schedule` decides.

A state holds no clock and no handle: it is all that a process needs to go on with the session, as one JSON text. Every
moment in it is aware UTC. Rules are frozen into the session, so that what is edited later never changes one under way.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cache
from typing import Any, Literal

from pydantic import TypeAdapter


class Phase(StrEnum):
    """What it waits for."""

    WAITING = "waiting"
    """The next check-in."""
    CALLING = "calling"
    """A call to the worker that is under way."""
    AGAIN = "again"
    """The next call: the one before did not confirm, or could not be made."""
    ENDED = "ended"


class Origin(StrEnum):
    """Who began it."""

    WORKER = "worker"
    ROSTER = "roster"
    API = "api"
    DEVICE = "device"


class How(StrEnum):
    """By what a worker has shown that he is there. Duress is a confirmation like any other, as far as the schedule
    goes: nothing that follows from here may differ. Whoever hears of it raises the silent alarm."""

    KEY = "key"
    PIN = "pin"
    DURESS = "duress"
    DEVICE = "device"
    API = "api"


class Why(StrEnum):
    """Why a check-in is missed."""

    NOT_CONFIRMED = "not confirmed"
    """His telephone was reached as often as the rules say."""
    UNREACHABLE = "unreachable"
    """No call came as far as his telephone for too long. Whoever cannot be asked may be in danger."""


@dataclass(frozen=True, slots=True)
class Rules:
    """How a worker is asked whether he is well. Seconds."""

    confirm: Literal["key", "pin"] = "key"
    interval: float = 1800.0
    """From one confirmation to the next check-in."""
    grace: float = 60.0
    """After the due time, in which he is called once only, and nothing is missed."""
    retries: tuple[float, ...] = (60.0, 120.0)
    """How long after a call that did not confirm the next one follows. After the last of them it is missed."""
    warn_before: float = 300.0
    """How long before the due time he is warned; 0: never."""
    unreachable_after: float = 300.0
    """After how long without any call that came as far as his telephone the check-in counts as missed."""
    longest: float = 43200.0
    """No session lasts longer, however often it is extended."""
    extend_by: float = 900.0
    forgotten: Literal["alarm", "end"] = "alarm"
    """What follows when nobody answers the last question of a session, whether he is still working."""


# -- what it hears of --


@dataclass(frozen=True, slots=True)
class Due:
    """A deadline may have come."""


@dataclass(frozen=True, slots=True)
class Answered:
    """A call to the worker was answered. By whom is not known yet: it only gives the dialogue its time."""

    attempt: str


@dataclass(frozen=True, slots=True)
class Confirmed:
    """The worker has proven that he is there: in the call `attempt`, or (None) by himself."""

    how: How
    attempt: str | None = None


@dataclass(frozen=True, slots=True)
class NotConfirmed:
    """A call came as far as his telephone, and nobody confirmed: no answer, voicemail, wrong keys, hung up."""

    attempt: str
    why: str = ""


@dataclass(frozen=True, slots=True)
class CallFailed:
    """A call could not be made, or was refused. `status`: the SIP status, None when there was no answer at all."""

    attempt: str
    status: int | None = None
    why: str = ""
    rang: bool = False
    """His telephone rang before."""

    @property
    def reached(self) -> bool:
        """Whether it came as far as his telephone: 486 and 600 come from one that is in use, 603 from one that
        declines (RFC 3261 sections 21.4.24, 21.6.1, 21.6.2). All else may be a trunk that is down."""
        return self.rang or self.status in (486, 600, 603)


@dataclass(frozen=True, slots=True)
class Lost:
    """The process that made the call is gone, and the call with it."""

    attempt: str


@dataclass(frozen=True, slots=True)
class Extended:
    """It is to end later. `by` seconds; None: as the rules say. `until`: not before then."""

    by: float | None = None
    until: datetime | None = None
    how: How | None = None
    """By what the worker has proven that he is there; None: somebody else extends it, which is no confirmation."""


@dataclass(frozen=True, slots=True)
class Renewed:
    """The worker begins a session anew while one is open: other rules, another end."""

    rules: Rules
    ends_at: datetime
    how: How


@dataclass(frozen=True, slots=True)
class Ended:
    """The session ends. `by`: `worker`, `operator:ID`, …"""

    by: str = "worker"


@dataclass(frozen=True, slots=True)
class MemoLeft:
    """The worker left an amber memo."""

    memo: str


@dataclass(frozen=True, slots=True)
class PinChanged:
    """The worker was told that his PIN is changed: worth knowing, but no confirmation. `how`: `PIN`; `DURESS` for his
    duress PIN, with which nothing is changed (`voice.check_in.pins`)."""

    how: How


@dataclass(frozen=True, slots=True)
class DeviceSeen:
    """A device of his gave a sign of life: worth knowing in an alarm, but no confirmation."""

    at: datetime


@dataclass(frozen=True, slots=True)
class Done:
    """A command that stands in `Session.pending` was carried out."""

    key: str


Event = (
    Due
    | Answered
    | Confirmed
    | NotConfirmed
    | CallFailed
    | Lost
    | Extended
    | Renewed
    | Ended
    | MemoLeft
    | PinChanged
    | DeviceSeen
    | Done
)


# -- what it asks for --


@dataclass(frozen=True, slots=True)
class Call:
    """Call the worker and ask him. Its key names the attempt."""

    key: str
    number: int
    """Which call of this check-in, from 1. Those that never came as far as his telephone are not counted."""
    final: bool
    """The session is over: ask whether he is still working."""
    late: bool = False
    """A check-in was missed before this one, and he has not been heard since."""


@dataclass(frozen=True, slots=True)
class Cancel:
    """Stop ringing him: he has confirmed by other means, or it takes too long. Never a call that was answered."""

    key: str


@dataclass(frozen=True, slots=True)
class Warn:
    """Tell him that a check-in is near."""

    key: str
    due_at: datetime
    do: Literal["warn"] = "warn"


@dataclass(frozen=True, slots=True)
class Remind:
    """Tell him that the session ends soon."""

    key: str
    ends_at: datetime
    do: Literal["remind"] = "remind"


@dataclass(frozen=True, slots=True)
class RaiseMissed:
    """Raise `missed_check_in`. Its key is the cause of the incident, which is therefore raised once."""

    key: str
    due_at: datetime
    why: Why
    do: Literal["missed"] = "missed"


@dataclass(frozen=True, slots=True)
class TellLate:
    """The worker has confirmed after his check-in was missed: told on the incident `missed`, which stays as it is."""

    key: str
    missed: str
    how: How
    at: datetime
    do: Literal["late"] = "late"


Lasting = Warn | Remind | RaiseMissed | TellLate
"""What is to be done even if the process dies before: it stands in the state until it is done."""
Command = Call | Cancel | Lasting


# -- what is kept --


@dataclass(frozen=True, slots=True)
class Attempt:
    """A call to the worker that is under way."""

    key: str
    number: int
    deadline: datetime
    """When it must have ended, or been answered."""
    answered: bool = False


@dataclass(frozen=True, slots=True)
class Session:
    """Where a session stands."""

    id: str
    worker: str
    origin: Origin
    rules: Rules
    started_at: datetime
    ends_at: datetime
    seen_at: datetime
    """When the last decision was made: what a clock that steps back is measured against."""
    due_at: datetime
    """When the check-in of this round is due: what the worker is told."""
    phase: Phase = Phase.WAITING
    decisions: int = 0
    """Sequence of the last decision."""

    round: int = 1
    """Number of the check-in."""
    warn_at: datetime | None = None
    """When he is to be warned of it; None: he was, or not at all."""
    began_at: datetime | None = None
    """When he was called first in this round; None: not yet."""
    attempt: Attempt | None = None
    calls: int = 0
    """Calls of this round."""
    counted: int = 0
    """Those that came as far as his telephone."""
    unreached_since: datetime | None = None
    """Since when no call does."""
    next_at: datetime | None = None
    """When he is called again."""

    confirmed_at: datetime | None = None
    """When he was last known to be there; None: not since the session began."""
    confirmed_by: How | None = None
    missed: tuple[str, ...] = ()
    """Keys of the alarms since then, newest last."""
    memo: str | None = None
    device_seen_at: datetime | None = None

    pending: tuple[Lasting, ...] = ()
    """Commands that are not known to be done."""
    wake_at: datetime | None = None
    """The earliest deadline: the only one that whoever keeps the session has to watch."""
    waits: float = 0.0
    """Seconds from `seen_at` to `wake_at`."""

    @property
    def final(self) -> bool:
        """Whether this round asks if he is still working: no check-in comes after it."""
        return self.due_at >= self.ends_at

    @property
    def open(self) -> bool:
        return self.phase is not Phase.ENDED

    @property
    def latest_end(self) -> datetime:
        return self.started_at + timedelta(seconds=self.rules.longest)

    @property
    def deadlines(self) -> Iterator[datetime]:
        """All that are to be watched now; the earliest is `wake_at`."""
        moments: tuple[datetime | None, ...]
        match self.phase:
            case Phase.WAITING:
                moments = (self.warn_at, self.due_at)
            case Phase.CALLING:
                moments = (self.attempt.deadline if self.attempt else self.due_at,)
            case Phase.AGAIN:
                moments = (self.next_at or self.due_at,)
            case Phase.ENDED:
                moments = ()
        return (moment for moment in moments if moment is not None)

    def to_json(self) -> str:
        return _adapter().dump_json(self).decode()

    @staticmethod
    def from_json(text: str) -> "Session":
        return _adapter().validate_json(text)


@cache
def _adapter() -> TypeAdapter[Session]:
    return TypeAdapter(Session)


@dataclass(frozen=True, slots=True)
class Note:
    """An entry for the log of the session, which is evidence: it is only ever added to."""

    kind: str
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Decision:
    """What follows from an event. Nothing at all: the session is the same object."""

    session: Session
    commands: tuple[Command, ...] = ()
    notes: tuple[Note, ...] = ()


def offset(id: str, seconds: float) -> float:
    """Where in a span of so many seconds the check-ins of this session lie: sessions that begin together (a roster)
    are spread over it evenly, and each at the same place whichever node begins it."""
    place = int.from_bytes(hashlib.sha256(id.encode()).digest()[:8], "big")
    return seconds * place / 2**64


def shifted(session: Session, by: timedelta) -> Session:
    """The same session on a clock that was set by so much: every wait is as long as it was."""

    def moved(moment: datetime | None) -> datetime | None:
        return None if moment is None else moment + by

    attempt = session.attempt
    return replace(
        session,
        started_at=session.started_at + by,
        ends_at=session.ends_at + by,
        seen_at=session.seen_at + by,
        due_at=session.due_at + by,
        warn_at=moved(session.warn_at),
        began_at=moved(session.began_at),
        attempt=attempt and replace(attempt, deadline=attempt.deadline + by),
        unreached_since=moved(session.unreached_since),
        next_at=moved(session.next_at),
        wake_at=moved(session.wake_at),
    )


def rebased(session: Session, now: datetime) -> Session:
    """The session on the clock of `now`: a clock that was set back pushes no deadline away. It waits no longer than it
    was to wait when its deadline was set."""
    if session.wake_at is None:
        return session
    latest = now + timedelta(seconds=session.waits)
    return session if session.wake_at <= latest else shifted(session, latest - session.wake_at)
