"""Who is on duty at a moment, by a rota that is written in times of a wall clock. Pure: the moment is an argument.

A shift is turned into two instants before anything is compared, by one rule that never goes backwards:

- A time that the clock shows twice (02:30 when summer time ends) means the first of the two.
- A time that the clock jumps over (02:30 when summer time begins) means the moment of the jump.

So one who ends at 02:30 and one who begins at 02:30 hand over at the same instant in every night of the year: there is
no hole and nobody is on duty twice. A night shift from 18:00 to 08:00 lasts 13 hours or 15 in those nights, as people
expect, and a shift that lies wholly in the hour that is left out does not take place.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from typing import Protocol
from zoneinfo import ZoneInfo

from config.plans import DAYS, Hours, Override, Rota, Shift

_DAY = timedelta(days=1)
_LONGEST = timedelta(days=3)
"""No shift lasts longer, not even over a change of the clock by a whole day (Samoa, 2011)."""


@dataclass(frozen=True, slots=True)
class Duty:
    """A time in which the same people are on duty. `end` is the first moment after it."""

    start: datetime
    end: datetime
    members: tuple[str, ...]


def on_duty(rota: Rota, at: datetime) -> tuple[str, ...]:
    """Contacts on duty at `at` (with a time zone), in the order of the shifts, nobody twice; empty in a gap."""
    return _members(_shifts_around(rota, at, at), _overrides(rota), at)


def within(hours: Sequence[Hours], timezone: str, at: datetime) -> bool:
    """Whether `at` lies in one of the weekly spans, on the clock of `timezone`. No spans: always."""
    zone = ZoneInfo(timezone)
    spans = (
        _span(day, hour, zone) for day in _days(at, at, zone) for hour in hours if DAYS[day.weekday()] in hour.days
    )
    return not hours or any(start <= at < end for start, end in spans)


def gaps(rota: Rota, since: datetime, until: datetime) -> list[tuple[datetime, datetime]]:
    """When nobody is on duty from `since` to `until`: (start, end) in UTC, in order, none touching the next."""
    return [(duty.start, duty.end) for duty in duties(rota, since, until) if not duty.members]


def duties(rota: Rota, since: datetime, until: datetime) -> list[Duty]:
    """Who is on duty from `since` to `until`, from one change to the next, gaps included. Times in UTC."""
    shifts, overrides = _shifts_around(rota, since, until), _overrides(rota)
    starts = [shift[0] for shift in shifts]
    edges = {edge for span in (*_spans(shifts), *_spans(overrides)) for edge in span if since < edge < until}
    changes = sorted({since.astimezone(UTC), until.astimezone(UTC), *edges})
    found: list[Duty] = []
    for start, end in pairwise(changes):
        near = shifts[bisect_left(starts, start - _LONGEST) : bisect_left(starts, end)]
        members = _members(near, overrides, start)
        if found and found[-1].members == members:
            found[-1] = Duty(found[-1].start, end, members)
        else:
            found.append(Duty(start, end, members))
    return found


# -- from the wall clock to instants --


class _Weekly(Protocol):
    @property
    def from_(self) -> time: ...
    @property
    def to(self) -> time: ...


def instant(local: datetime, zone: ZoneInfo) -> datetime:
    """The moment in UTC that a wall clock time (without a zone) means, by the rule above."""
    first = local.replace(tzinfo=zone, fold=0).astimezone(UTC)
    if first.astimezone(zone).replace(tzinfo=None, fold=0) == local:
        return first
    return _jump(local.replace(tzinfo=zone, fold=1).astimezone(UTC), first, zone)


def _jump(before: datetime, after: datetime, zone: ZoneInfo) -> datetime:
    """The second between the two at which the clock is put forward."""
    offset = after.astimezone(zone).utcoffset()
    while after - before > timedelta(seconds=1):
        middle = before + timedelta(seconds=(after - before) // timedelta(seconds=2))
        if middle.astimezone(zone).utcoffset() == offset:
            after = middle
        else:
            before = middle
    return after


def _days(since: datetime, until: datetime, zone: ZoneInfo) -> Iterator[date]:
    """Days on which a shift can begin that holds at some moment from `since` to `until`."""
    day, last = since.astimezone(zone).date() - _DAY, until.astimezone(zone).date() + _DAY
    while day <= last:
        yield day
        day += _DAY


def _span(day: date, hours: _Weekly, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """From when to when hours hold that begin on this day."""
    last = day if hours.to > hours.from_ else day + _DAY
    return instant(datetime.combine(day, hours.from_), zone), instant(datetime.combine(last, hours.to), zone)


# -- who holds when --

_Taken = tuple[datetime, datetime, int, Shift]
"""Start, end, place in the rota."""
_Stood = tuple[datetime, datetime, Override]


def _shifts_around(rota: Rota, since: datetime, until: datetime) -> list[_Taken]:
    """Shifts that may hold from `since` to `until`, by their beginning."""
    zone = ZoneInfo(rota.timezone)
    taken = [
        (*_span(day, shift, zone), place, shift)
        for day in _days(since, until, zone)
        for place, shift in enumerate(rota.shifts)
        if _takes_place(shift, day, day in rota.holidays)
    ]
    return sorted(taken, key=lambda shift: shift[0])


def _takes_place(shift: Shift, day: date, holiday: bool) -> bool:
    """Whether the shift begins on this day. Weeks are counted from Monday to Sunday."""
    if shift.holidays != "as usual" and holiday != (shift.holidays == "only"):
        return False
    if DAYS[day.weekday()] not in shift.days or (shift.starting and day < shift.starting):
        return False
    return shift.starting is None or (_monday(day) - _monday(shift.starting)).days // 7 % shift.every == 0


def _monday(day: date) -> date:
    return day - timedelta(days=day.weekday())


def _overrides(rota: Rota) -> list[_Stood]:
    zone = ZoneInfo(rota.timezone)
    return [(instant(override.from_, zone), instant(override.to, zone), override) for override in rota.overrides]


def _spans(rows: Iterable[_Taken | _Stood]) -> list[tuple[datetime, datetime]]:
    return [(row[0], row[1]) for row in rows]


def _members(shifts: Iterable[_Taken], overrides: Iterable[_Stood], at: datetime) -> tuple[str, ...]:
    present = sorted((place, shift.members) for start, end, place, shift in shifts if start <= at < end)
    people = [name for _, members in present for name in members]
    for start, end, override in overrides:
        if start <= at < end:
            people = _with(override, people)
    return tuple(dict.fromkeys(people))


def _with(override: Override, people: list[str]) -> list[str]:
    """Those who stand in come where the first of the replaced was; if none of them is on duty, nobody stands in."""
    if not override.replaces:
        return list(override.members)
    replaced = [name in override.replaces for name in people]
    if True not in replaced:
        return people
    place = replaced.index(True)
    kept = [name for name in people if name not in override.replaces]
    return [*kept[:place], *override.members, *kept[place:]]
