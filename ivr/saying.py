"""How values are said: numbers, telephone numbers, times, durations, addresses, coordinates, in each language.

The words are prompts too (`saying.*`); what is language's own arithmetic (plurals, dates, decimals) is Babel's (CLDR).
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from babel import Locale
from babel.dates import format_skeleton
from babel.numbers import format_decimal

if TYPE_CHECKING:
    from ivr.prompts import Prompts

GROUP = {"nl": 2, "de": 2, "fr": 2, "en": 3}
"""In groups of how many digits telephone numbers are said."""

_CALLING_CODE = re.compile(
    r"1|7|2[07]|3[0-469]|4[013-9]|5[1-8]|6[0-6]|8[1246]|9[0-58]|\d{3}"
)  # ITU-T E.164, list of assigned country codes
_POSTCODE = re.compile(
    r"\b[1-9]\d{3} ?[A-Z]{2}\b"  # Netherlands
    r"|\b\d{5}\b"  # Germany, France, …
    r"|\b[A-Z]{1,2}\d[A-Z\d]? ?\d[A-Z]{2}\b"  # United Kingdom
)


@dataclass(frozen=True, slots=True)
class Moment:
    """A time, said with its date if that is another one than today's."""

    at: datetime
    now: datetime


class Saying:
    """Says values in one language."""

    def __init__(self, prompts: "Prompts", language: str, timezone: str) -> None:
        self.language = language
        self.zone = ZoneInfo(timezone)
        self.locale = Locale(language)
        self._prompts = prompts

    def value(self, kind: str, name: str, value: Any) -> str:
        """A value as words. Raises KeyError for a kind that there is not."""
        return self._term(name, value) if kind == "term" else KINDS[kind](self, value)

    def plural(self, number: float) -> str:
        return str(self.locale.plural_form(number))

    def say(self, name: str, **values: Any) -> str:
        """A prompt of `saying`."""
        return self._prompts.message(self.language, f"saying.{name}").say(self, values)

    def key(self, symbol: str) -> str:
        """The name of a key."""
        return self.say(f"key.{symbol}")

    def one_by_one(self, digits: str) -> str:
        """Digits and letters, each by itself."""
        return " ".join(self.key(symbol) if symbol.isdigit() else symbol for symbol in digits)

    def _term(self, name: str, value: Any) -> str:
        known = f"{name}.{value}" if self._prompts.has(self.language, f"{name}.{value}") else f"{name}.other"
        return self._prompts.message(self.language, known).say(self, {})


def _number(saying: Saying, value: float) -> str:
    return format_decimal(value, locale=saying.locale, group_separator=False)


def _digits(saying: Saying, value: str) -> str:
    return saying.one_by_one(str(value))


def _phone(saying: Saying, value: str) -> str:
    """Digit by digit, in groups, the country's code first. A SIP address is said as it is."""
    if re.fullmatch(r"\+?\d+", value) is None:
        return value
    digits, start = value.lstrip("+"), []
    if value.startswith("+"):
        code = _CALLING_CODE.match(digits)
        country = code[0] if code else ""
        digits, start = digits[len(country) :], [f"{saying.say('plus')} {saying.one_by_one(country)}"]
    return ", ".join(start + [saying.one_by_one(group) for group in _groups(digits, GROUP[saying.language])])


def _groups(digits: str, size: int) -> Iterator[str]:
    """Groups of `size`; what does not fill one comes first. Short numbers (112) are one group."""
    if len(digits) <= 4:
        return iter((digits,))
    edges = [0, *range(len(digits) % size or size, len(digits) + 1, size)]
    return (digits[start:end] for start, end in pairwise(edges) if end > start)


def _time(saying: Saying, value: datetime) -> str:
    local = value.astimezone(saying.zone)
    return saying.say(
        "time",
        hour=local.hour,
        hour12=local.hour % 12 or 12,
        minute=local.minute,
        afternoon=local.hour >= 12,
    )


def _date(saying: Saying, value: datetime) -> str:
    return str(format_skeleton("MMMMd", value.astimezone(saying.zone), locale=saying.locale))


def _moment(saying: Saying, value: Moment) -> str:
    at, today = value.at.astimezone(saying.zone), value.now.astimezone(saying.zone)
    time = _time(saying, at)
    return time if at.date() == today.date() else saying.say("moment", time=time, date=_date(saying, at))


def _duration(saying: Saying, seconds: float) -> str:
    """In its two largest units: "2 hours and 5 minutes"."""
    minutes = int(seconds // 60)
    days, hours, left = minutes // 1440, minutes // 60 % 24, minutes % 60
    parts = [
        saying.say(unit, count=count) for unit, count in (("days", days), ("hours", hours), ("minutes", left)) if count
    ][:2]
    if not parts:
        return saying.say("moments")
    return parts[0] if len(parts) == 1 else saying.say("and", first=parts[0], second=parts[1])


def _distance(saying: Saying, metres: float) -> str:
    """Rounded upwards, as accuracies are, to what means something to a listener."""
    step = 5 if metres < 50 else 10 if metres < 200 else 50
    rounded = int(-(-max(metres, 1) // step) * step)
    if rounded >= 1000:  # from 951 on
        return saying.say("kilometres", count=-(-metres // 100) / 10)
    return saying.say("metres", count=rounded)


def _coordinates(saying: Saying, value: tuple[float, float]) -> str:
    """WGS 84, degrees with five decimals (1 m), digit by digit."""
    latitude, longitude = value
    return ", ".join(
        (
            saying.say("north" if latitude >= 0 else "south", degrees=_degrees(saying, latitude)),
            saying.say("east" if longitude >= 0 else "west", degrees=_degrees(saying, longitude)),
        )
    )


def _degrees(saying: Saying, value: float) -> str:
    whole, _, decimals = f"{abs(value):.5f}".partition(".")
    return f"{whole} {saying.say('point')} {saying.one_by_one(decimals)}"


def _address(saying: Saying, value: str) -> str:
    """Postcodes symbol by symbol; house numbers stay numbers."""
    return _POSTCODE.sub(lambda found: saying.one_by_one(found[0].replace(" ", "")), value)


KINDS: Mapping[str, Callable[[Saying, Any], str]] = {
    "": lambda saying, value: str(value),
    "number": _number,
    "digits": _digits,
    "key": lambda saying, value: saying.key(value),
    "phone": _phone,
    "time": _time,
    "date": _date,
    "moment": _moment,
    "duration": _duration,
    "distance": _distance,
    "coordinates": _coordinates,
    "address": _address,
}
"""Kind of placeholder to how it is said."""
