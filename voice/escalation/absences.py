"""When nobody would be rung: gaps of rotas, hours of contacts; as spans that a person can check against a calendar.

A gap that comes each week is said once (`Sunday 22:00 to Monday 06:00, each week`); one that comes each day, or on some
days of the week, is said for all of them. Pure: the moment from which on it is looked is an argument.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

from config.freezing import everybody
from config.plans import DAYS, Contact, FrozenPlan, Rota, Shift
from voice.escalation.phrases import DAY_NAMES, clock, counted, days
from voice.escalation.rota import duties, gaps, within
from voice.escalation.targets import OPERATORS, TIME_ZONE, callable_now

Span = tuple[datetime, datetime]

LOOK = timedelta(days=14)
"""How far ahead it is looked."""
_WEEK = timedelta(days=7)
_SHOWN = 4
"""Spans that one warning names."""


@dataclass(frozen=True, slots=True)
class _Local:
    """A span on the clock of the wall."""

    start: datetime
    end: datetime

    @property
    def weekly(self) -> tuple[time, time, int]:
        """What it has in common with the spans of other days: from, to, how many days later."""
        return self.start.time(), self.end.time(), (self.end.date() - self.start.date()).days


def off_duty(rota: Rota, now: datetime) -> list[Span]:
    """When nobody is on duty, in the fortnight from `now` on, and the weeks beside it."""
    return gaps(rota, now - LOOK, now + 2 * LOOK)


def rung_nobody(frozen: FrozenPlan, targets: Sequence[str], now: datetime) -> list[Span]:
    """When these targets mean nobody who can be rung."""
    return _when(frozen, targets, now, lambda at: not callable_now(frozen, targets, at))


def out_of_hours(frozen: FrozenPlan, targets: Sequence[str], now: datetime) -> list[Span]:
    """When there are people to ring, and all of them are outside their hours."""

    def all_out(at: datetime) -> bool:
        rung = callable_now(frozen, targets, at)
        return bool(rung) and not any(_in_hours(frozen, frozen.contacts[who], at) for who in rung)

    if OPERATORS in targets or not any(contact.hours for contact in everybody(frozen, targets)):
        return []
    return _when(frozen, targets, now, all_out)


def _when(frozen: FrozenPlan, targets: Sequence[str], now: datetime, holds: Callable[[datetime], bool]) -> list[Span]:
    """The spans in which something holds that changes only when a shift or somebody's hours begin or end."""
    found: list[Span] = []
    for start, end in pairwise(_edges(frozen, targets, now - LOOK, now + 2 * LOOK)):
        if not holds(start):
            continue
        if found and found[-1][1] == start:
            found[-1] = (found[-1][0], end)
        else:
            found.append((start, end))
    return found


def _edges(frozen: FrozenPlan, targets: Sequence[str], since: datetime, until: datetime) -> list[datetime]:
    edges = {since, until}
    for rota in (*_rotas(frozen, targets), *_hours(frozen, everybody(frozen, targets))):
        edges |= {duty.start for duty in duties(rota, since, until)}
    return sorted(edges)


def _rotas(frozen: FrozenPlan, targets: Sequence[str]) -> Iterator[Rota]:
    for target in targets:
        team = frozen.teams.get(target.removeprefix("team:"))
        rota = frozen.rotas.get(team.rota) if team and team.rota else None
        if rota is not None:
            yield rota


def _hours(frozen: FrozenPlan, contacts: Iterable[Contact]) -> Iterator[Rota]:
    """Hours are a rota of one."""
    for contact in contacts:
        spans = tuple(
            Shift.model_validate({"days": span.days, "from": span.from_, "to": span.to, "members": (contact.id,)})
            for span in contact.hours
        )
        yield Rota(id=contact.id, timezone=zone_of(frozen, contact), shifts=spans)


def _in_hours(frozen: FrozenPlan, contact: Contact, at: datetime) -> bool:
    return within(contact.hours, zone_of(frozen, contact), at)


def zone_of(frozen: FrozenPlan, contact: Contact | None = None) -> str:
    """On whose clock hours are meant."""
    own = contact.timezone if contact else None
    return own or (frozen.customer.timezone if frozen.customer else TIME_ZONE)


# -- in words --


def in_words(spans: Iterable[Span], timezone: str, now: datetime) -> str:
    """The spans of the fortnight from `now` on; "" when there is none."""
    zone, until = ZoneInfo(timezone), now + LOOK
    everything = list(spans)
    near = [(start, end) for start, end in everything if start < until and end > now]
    if any(start <= now and end >= until for start, end in near):
        return f"at any time of the next {counted(LOOK.days, 'day')}"
    local = {_Local(_wall(start, zone), _wall(end, zone)) for start, end in everything}
    kept = [_Local(_wall(start, zone), _wall(end, zone)) for start, end in near]
    weekly = [span for span in kept if _comes_again(span, local)]
    told = [*_by_the_week(weekly), *(_once(span) for span in kept if span not in weekly)]
    more = [f"{len(told) - _SHOWN} more"] if len(told) > _SHOWN else []
    return "; ".join([*told[:_SHOWN], *more])


def _wall(at: datetime, zone: ZoneInfo) -> datetime:
    return at.astimezone(zone).replace(tzinfo=None, fold=0)


def _comes_again(span: _Local, among: set[_Local]) -> bool:
    return any(_Local(span.start + shift, span.end + shift) in among for shift in (_WEEK, -_WEEK))


def _by_the_week(spans: Iterable[_Local]) -> Iterator[str]:
    """Spans of the same times of day in one phrase."""
    by_times: dict[tuple[time, time, int], set[int]] = defaultdict(set)
    for span in spans:
        by_times[span.weekly].add(span.start.weekday())
    for (start, end, nights), weekdays in by_times.items():
        if len(weekdays) > 1 and nights <= 1:
            of = days([DAYS[day] for day in sorted(weekdays)])
            yield f"{of} from {clock(start)} to {clock(end)}" + (", each week" if len(weekdays) < len(DAYS) else "")
        else:
            yield from (_weekly(day, start, end, nights) for day in sorted(weekdays))


def _weekly(day: int, start: time, end: time, nights: int) -> str:
    return f"{DAY_NAMES[day]} {clock(start)} to {_last_day(day, nights)}{clock(end)}, each week"


def _last_day(day: int, nights: int) -> str:
    return f"{DAY_NAMES[(day + nights) % len(DAYS)]} " if nights else ""


def _once(span: _Local) -> str:
    last = f"{_dated(span.end)} " if span.end.date() != span.start.date() else ""
    return f"{_dated(span.start)} {clock(span.start.time())} to {last}{clock(span.end.time())}"


def _dated(at: datetime) -> str:
    return f"{DAY_NAMES[at.weekday()]} {at:%Y-%m-%d}"
