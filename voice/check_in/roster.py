"""Which sessions a roster begins, and when. Pure: the moment is an argument.

A rule of RFC 5545 is followed on the wall clock, as people write it, and only then turned into instants, by the rule of
`voice.escalation.rota`: a time that the clock shows twice is the first of the two, one that it jumps over is the moment
of the jump. A session lasts its seconds, whatever the clock does in it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from hashlib import sha256
from zoneinfo import ZoneInfo

from dateutil.rrule import rrule, rruleset

from config.check_ins import CheckInRules, Roster
from config.models import Settings, Worker
from config.recurrence import followed
from ivr.session import Rules
from voice.escalation.rota import instant

_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Span:
    """A session as the roster has it, in UTC. `end` is the first moment after it."""

    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class Beginning:
    """A session of a worker that is to be there."""

    id: str
    """The same whoever finds it, and whenever: so it begins once."""
    worker: Worker
    rules: Rules
    span: Span


def beginnings(roster: Roster, since: datetime, until: datetime) -> list[Span]:
    """The sessions that begin from `since` up to (and without) `until`, in order, none twice."""
    zone = ZoneInfo(roster.timezone)
    first, last = ((moment.astimezone(zone).replace(tzinfo=None)) for moment in (since - _DAY, until + _DAY))
    local = _rule(roster.rrule, roster.start).between(first, last, inc=True)
    starts = {instant(moment, zone) for moment in local if moment.date() not in roster.holidays}
    lasts = timedelta(seconds=roster.duration)
    return [Span(start, start + lasts) for start in sorted(starts) if since <= start < until]


def under_way(roster: Roster, at: datetime) -> list[Span]:
    """The sessions that have begun, and are not over."""
    began = beginnings(roster, at - timedelta(seconds=roster.duration), at + timedelta(microseconds=1))
    return [span for span in began if span.start <= at < span.end]


def due(settings: Settings, at: datetime, on_fault: Callable[[Roster, Exception], None]) -> list[Beginning]:
    """The sessions of all workers that are to be there at this moment.

    A roster that cannot be followed has none, and `on_fault` is told: it stops none of the others.
    """
    spans: dict[str, list[Span]] = {}
    for roster in settings.rosters:
        try:
            spans[roster.id] = under_way(roster, at)
        except Exception as error:  # noqa: BLE001 - whatever is wrong with it, the workers of the others are asked
            spans[roster.id] = []
            on_fault(roster, error)
    found = []
    for worker in settings.workers:
        for roster in filter(None, map(settings.roster, worker.roster)):
            rules = rules_of(settings.check_in_of(worker, roster))
            found += [Beginning(name(roster, worker, span), worker, rules, span) for span in spans[roster.id]]
    return found


def name(roster: Roster, worker: Worker, span: Span) -> str:
    """What the session of a worker is called that begins by a roster."""
    return sha256(f"{roster.id} {worker.id} {span.start.isoformat()}".encode()).hexdigest()[:32]


def rules_of(rules: CheckInRules) -> Rules:
    """As the schedule knows them."""
    return Rules(
        confirm=rules.confirm,
        interval=rules.interval,
        grace=rules.grace,
        retries=tuple(rules.retries),
        warn_before=rules.warn_before,
        unreachable_after=rules.unreachable_after,
        longest=rules.longest,
        extend_by=rules.extend_by,
        forgotten=rules.forgotten,
    )


@lru_cache(maxsize=1000)
def _rule(text: str, start: datetime) -> rrule | rruleset:
    """It remembers what it found: a rule is followed from its start each time."""
    return followed(text, start, cache=True)
