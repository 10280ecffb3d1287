"""Rules of recurrence (RFC 5545 section 3.3.10), as far as a session can begin by one.

The library that follows them looks for the next time by trying one after the other, and does not say when a rule has
none: an interval of 0 it tries for ever. So a rule is read here part by part before the library sees it, and it has to
come within `HORIZON` of its start.
"""

import re
from collections.abc import Callable, Mapping
from datetime import MAXYEAR, datetime, timedelta

from dateutil.rrule import rrule, rruleset, rrulestr

HORIZON = timedelta(days=8 * 366)
"""Eight years: the longest time between two leap days."""

ALLOWED = 'allowed: such as "FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR" (RFC 5545), HOURLY at most'

MOST_AN_HOUR = 6
"""Sessions that a rule may begin in an hour: each lasts ten minutes at least."""

_ANCHOR = datetime(2026, 1, 1)
_CYCLE = 400
"""Years after which the calendar is the same again, days of the week too."""
_FREQUENCIES = ("HOURLY", "DAILY", "WEEKLY", "MONTHLY", "YEARLY")
_DAYS = "MO|TU|WE|TH|FR|SA|SU"


def _matching(pattern: str) -> Callable[[str], bool]:
    return lambda text: re.fullmatch(pattern, text) is not None


def _number(low: int, high: int, *, signed: bool = False) -> Callable[[str], bool]:
    """A whole number from `low` to `high`; with `signed` also counted from the end."""

    def fits(text: str) -> bool:
        if re.fullmatch(r"[+-]?\d{1,4}" if signed else r"\d{1,4}", text) is None:
            return False
        return low <= (abs(int(text)) if signed else int(text)) <= high

    return fits


def _each(fits: Callable[[str], bool]) -> Callable[[str], bool]:
    return lambda text: all(fits(one) for one in text.split(","))


_PARTS: Mapping[str, tuple[Callable[[str], bool], str]] = {
    "FREQ": (lambda text: text in _FREQUENCIES, ", ".join(_FREQUENCIES)),
    "INTERVAL": (_number(1, 1000), "1 to 1000"),
    "COUNT": (_number(1, 9999), "1 to 9999"),
    "UNTIL": (_matching(r"\d{8}(T\d{6})?"), "a local time, as start is: such as 20261231T235959"),
    "BYMONTH": (_each(_number(1, 12)), "1 to 12"),
    "BYWEEKNO": (_each(_number(1, 53, signed=True)), "1 to 53, or -53 to -1"),
    "BYYEARDAY": (_each(_number(1, 366, signed=True)), "1 to 366, or -366 to -1"),
    "BYMONTHDAY": (_each(_number(1, 31, signed=True)), "1 to 31, or -31 to -1"),
    "BYDAY": (_each(_matching(rf"([+-]?([1-9]|[1-4]\d|5[0-3]))?({_DAYS})")), "MO to SU, such as MO,FR, or 1MO, -1FR"),
    "BYHOUR": (_each(_number(0, 23)), "0 to 23"),
    "BYMINUTE": (_each(_number(0, 59)), "0 to 59"),
    "BYSECOND": (_each(_number(0, 59)), "0 to 59"),
    "BYSETPOS": (_each(_number(1, 366, signed=True)), "1 to 366, or -366 to -1"),
    "WKST": (_matching(_DAYS), "MO to SU"),
}


def recurrence(text: str) -> str:
    """A rule without its DTSTART and without "RRULE:". Raises ValueError, which says what is allowed."""
    rule = text.removeprefix("RRULE:")
    parts = [part.partition("=") for part in rule.split(";")]
    if parts[0][0] != "FREQ" or not all(equals and value for _, equals, value in parts):
        raise ValueError(f"{text!r} is no rule of recurrence; {ALLOWED}")
    names = [name for name, _, _ in parts]
    for name, _, value in parts:
        fits, allowed = _PARTS.get(name, (None, ""))
        if fits is None:
            raise ValueError(f"{text!r} is no rule of recurrence: {name} is no part of one; {ALLOWED}")
        if names.count(name) > 1:
            raise ValueError(f"{text!r} is no rule of recurrence: {name} is there twice")
        if not fits(value):
            raise ValueError(f"{text!r} is no rule of recurrence: {name}={value} is not allowed; allowed: {allowed}")
    if "COUNT" in names and "UNTIL" in names:
        raise ValueError(f"{text!r} is no rule of recurrence: it has COUNT and UNTIL; allowed: one of them")
    values = {name: value.split(",") for name, _, value in parts}
    if "BYSETPOS" in values and values["FREQ"][0] in ("HOURLY", "DAILY"):
        raise ValueError(f"{text!r} is no rule of recurrence: BYSETPOS is not allowed there; allowed: WEEKLY at most")
    if len(set(values.get("BYMINUTE", "0"))) * len(set(values.get("BYSECOND", "0"))) > MOST_AN_HOUR:
        raise ValueError(f"{text!r} begins too many sessions; allowed: {MOST_AN_HOUR} in an hour")
    try:
        followed(rule, _ANCHOR)
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(f"{text!r} is no rule of recurrence: {error}; {ALLOWED}") from None
    return rule


def followed(rule: str, start: datetime, *, cache: bool = False) -> rrule | rruleset:
    """The library's own form of a rule that `recurrence` has read. With `cache` it remembers what it found."""
    found: rrule | rruleset = rrulestr(rule, dtstart=start, cache=cache)
    return found


def first(rule: str, start: datetime) -> datetime | None:
    """When it comes for the first time from `start` on; None: not within `HORIZON`.

    The library gives up at the end of the year 9999 only, whatever UNTIL says. So it looks from the last year on in
    which the calendar is that of `start`: then it tries less than 400 years.
    """
    later = (MAXYEAR - start.year) // _CYCLE * _CYCLE
    endless = ";".join(part for part in rule.split(";") if not part.startswith(("COUNT=", "UNTIL=")))
    shifted = next(iter(followed(endless, start.replace(year=start.year + later))), None)
    if shifted is None:
        return None
    found = shifted.replace(year=shifted.year - later)
    until = next((part.removeprefix("UNTIL=") for part in rule.split(";") if part.startswith("UNTIL=")), None)
    last = start + HORIZON
    if until is not None:
        last = min(last, datetime.strptime(until, "%Y%m%dT%H%M%S" if "T" in until else "%Y%m%d"))
    return found if found <= last else None
