"""The interlock in front of the emergency services: what every INVITE of ours passes, whatever it is for.

A number that reaches emergency services is refused on every way out, unless `emergency.armed` names the trunk that
it goes through. Enforced in `voice.call.Calls.dial`, the only place from which an INVITE leaves.

A URI is read as generously as the most careless network may read it. Everything in front of the host is a number
that may be dialled, with its escapes undone, its digits of any script made ASCII and what people write between digits
left out. What is left is refused when it is, for some exchange on the way,

*   an emergency number of any country (`emergency_numbers.toml`), alone or behind the digits that lead out of an
    exchange (`0112`, `9112`), hide the caller (`*31#112`, `141112`) or choose a country (`+31112`, `0031112`, `31112`);
*   shorter than any subscriber's number of its country, and begins or ends with an emergency number (`+4989112`).

So ordinary subscriber numbers pass whatever digits they hold, for they are longer. A name with letters (`badge-112`)
is no number, but for the names of emergency services (`sos`). Every URN is refused: those that can be called are
emergency services (RFC 5031).
"""

import re
import tomllib
import unicodedata
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from voice.address import is_numeric
from voice.errors import EmergencyNumberRefused

DATA = Path(__file__).with_name("emergency_numbers.toml")

NAMES = frozenset({"sos", "emergency", "e911", "ng911", "e112", "ng112", "e999", "notruf"})
"""User parts that are no digits and mean emergency services all the same."""

_TOO_DEEP = 5
"""Layers of percent-encoding that are undone; nobody honest uses more than one."""

_DIALLED = re.compile(r"[a-d]*([0-9+*#]+)[a-d]*((?:p|w|x|ext)[0-9*#pwx]*)?")
"""What can be dialled: digits; the tones A to D around them, which no network counts; behind a pause or for an
extension what is dialled later. Anything else with letters is a name."""

_LONG = 7
"""Digits from which a number may be a subscriber's; of the configuration, one that is recognised behind any prefix."""


@dataclass(frozen=True, slots=True)
class Country:
    """What one country calling code leads to."""

    numbers: frozenset[str]
    shortest: int
    """Least digits of a subscriber's number."""


@dataclass(frozen=True, slots=True)
class Numbers:
    """What is known of emergency numbers and of how they are dialled."""

    all: frozenset[str]
    everywhere: frozenset[str]
    """Refused behind any single digit, too: some exchange is left by it."""
    countries: Mapping[str, Country]
    """By country calling code."""
    services: tuple[str, ...]
    international: tuple[str, ...]
    long: tuple[str, ...] = ()
    """Numbers of the configuration that are as long as a subscriber's."""

    def and_also(self, extra: Collection[str]) -> "Numbers":
        """With numbers of the configuration."""
        if not extra:
            return self
        digits = {re.sub(r"\D", "", _plain(number)).removeprefix("00") for number in extra} - {""}
        short = frozenset(number for number in digits if len(number) < _LONG)
        whole = {number.lstrip("0") for number in digits - short}
        national = {number[len(_country(number, self)[0]) :].lstrip("0") for number in whole}
        return replace(
            self,
            all=self.all | short,
            everywhere=self.everywhere | short,
            long=tuple(whole | {number for number in national if len(number) >= _LONG}),
        )


@lru_cache(1)
def known_numbers() -> Numbers:
    """The numbers of the data file."""
    return _read(tomllib.loads(DATA.read_text(encoding="utf-8")))


def _read(data: Mapping[str, Any]) -> Numbers:
    everywhere = frozenset(data["everywhere"])
    codes: dict[str, Country] = {code: Country(frozenset(), 7) for code in data["codes"]}
    for row in data["countries"].values():
        before = codes.get(row["code"], Country(frozenset(), 9))
        shortest = min(before.shortest, row.get("shortest", 7)) if before.numbers else row.get("shortest", 7)
        codes[row["code"]] = Country(before.numbers | frozenset(row["numbers"]), shortest)
    own = frozenset(number for country in codes.values() for number in country.numbers)
    return Numbers(
        own | everywhere | frozenset(data["others"]),
        everywhere,
        codes,
        tuple(data["services"]),
        tuple(data["international"]),
    )


class Interlock:
    """Lets calls out, or not."""

    def __init__(self, armed: Collection[str] = (), extra: Collection[str] = ()) -> None:
        """`armed`: trunks through which emergency services may be called; `extra`: more numbers to refuse."""
        self._armed = frozenset(armed)
        self._numbers = known_numbers().and_also(extra)
        self._seen = lru_cache(2048)(self._look)  # the same few phones ring again and again

    def permit(self, uri: str, trunk: str | None, *, account: str | None = None) -> None:
        """Raise `EmergencyNumberRefused` if this leads to emergency services, and this way is not armed for it.

        `trunk` is None for a URI that is called directly. `account`: the name under which a telephone registered with
        us, whose own contact this is. An extension may be called `101`: it is reached by its own registration, and
        was named by whoever wrote the configuration.
        """
        if trunk in self._armed or (account is not None and _user(uri) == account):
            return
        if self.is_emergency(uri, by_trunk=trunk is not None):
            way = f"over trunk {trunk}: emergency.armed does not name it" if trunk else "without a trunk"
            raise EmergencyNumberRefused(f"an emergency number is not called {way}")

    def is_emergency(self, uri: str, *, by_trunk: bool = True) -> bool:
        """Whether some network on the way may take this for an emergency call."""
        return self._seen(uri, by_trunk)

    def _look(self, uri: str, by_trunk: bool) -> bool:
        text = _plain(uri)
        if text is _UNREADABLE or text.startswith("urn:") or re.search(r"\burn:(service|nena|emergency)", text):
            return True
        return any(self._leads_to_help(word, by_trunk) for word in _words(uri))

    def _leads_to_help(self, word: str, by_trunk: bool) -> bool:
        if word in NAMES or word.startswith("sos."):
            return True
        return any(reaches_emergency(number, self._numbers, by_trunk=by_trunk) for number in _dialled(word))


# -- what is dialled --

_UNREADABLE = "\0"


def _plain(text: str) -> str:
    """Escapes undone, letters small, digits of every script as ASCII, marks and invisible characters left out."""
    for _ in range(_TOO_DEEP):
        decoded = unicodedata.normalize("NFKC", unquote(text, errors="replace"))
        if decoded == text:
            break
        text = decoded
    else:
        return _UNREADABLE
    kept = (c for c in text if unicodedata.category(c) not in ("Cf", "Cc", "Mn", "Me", "Cn", "Co"))
    return "".join(str(unicodedata.digit(c, c)) for c in kept).casefold().strip()


def _user(uri: str) -> str | None:
    """The user part of a plain SIP URI; None for one that is anything but plain."""
    found = re.fullmatch(r"sips?:([^@:;?%]+)@[^@?]+", uri, re.IGNORECASE)
    return found[1] if found else None


def _words(uri: str) -> Iterator[str]:
    """Every piece of a URI that a network may take for a number or a name of a service."""
    address, _, headers = uri.partition("?") if "@" not in uri.partition("?")[2] else (uri, "", "")
    scheme, colon, rest = address.partition(":")
    if not colon or re.fullmatch(r"\s*[A-Za-z][A-Za-z0-9+.-]*", scheme) is None:
        scheme, rest = "", address
    user, at, host = rest.rpartition("@")
    if not at and scheme.strip().lower() not in ("sip", "sips"):
        user, host = rest, ""
    yield from _split(_plain(user))
    yield from _in_context(_plain(f"{user};{host}"))
    yield from _split(_plain(headers))
    yield from _hosts(_plain(host))


def _split(text: str) -> list[str]:
    return [word for word in re.split(r"[;:@?&=<>,/\"]", text) if word]


def _in_context(text: str) -> Iterator[str]:
    """A local number with the context in which it is dialled (RFC 3966 section 5.1.5)."""
    number = next(iter(_split(text)), "")
    for context in re.findall(r"(?:phone-context|cc|npdi|rn)=([^;@?&]*)", text):
        yield re.sub(r"[^0-9+]", "", context) + number.lstrip("+")


def _hosts(text: str) -> Iterator[str]:
    """Hosts that are no address and no name: digits where a host belongs."""
    if "@" in text:
        yield from _split(text)
    first, *parameters = text.split(";")
    for host in [first, *(value for name, _, value in (p.partition("=") for p in parameters) if name == "maddr")]:
        bare = host[1:].partition("]")[0] if host.startswith("[") else re.sub(r":\d*$", "", host)
        if not is_numeric(bare) and re.search(r"[a-z]", bare) is None:
            yield bare


def _dialled(word: str) -> Iterator[str]:
    """The number that a word is, if it is one, and what is left of it without the codes in front."""
    found = _DIALLED.fullmatch(re.sub(r"[^0-9a-z+*#]", "", word))
    if found is None:
        return
    number, later = found[1], found[2] or ""
    yield re.sub(r"[*#]", "", number)
    if later and len(number) < _LONG:  # it may only lead out of an exchange: 9, a pause, and then the number
        yield re.sub(r"[^0-9+]", "", number + later)
        yield from filter(None, re.split(r"[^0-9]+", later))
    for at, sign in enumerate(number):
        if sign in "*#+":
            rest = number[at + 1 :]
            yield from re.split(r"[*#]", rest)
            yield from (re.sub(r"[*#]", "", rest[skipped:]) for skipped in ((0,) if sign == "+" else (0, 2, 3, 4)))


# -- where that leads --


def reaches_emergency(number: str, numbers: Numbers, *, by_trunk: bool = True) -> bool:
    """Whether digits, with `+` in front or without, lead to emergency services somewhere."""
    digits = number.replace("+", "")
    if any(digits.endswith(long) for long in numbers.long):
        return True
    if number.startswith("+"):
        return _abroad(digits, numbers) or _behind_an_exchange(digits, numbers)
    if by_trunk and digits.startswith(("112", "911")) and len(digits) <= 6:
        return True  # a network that listens digit by digit has heard enough
    return _led_out(digits, numbers) or _without_plus(digits, numbers) or _led_abroad(digits, numbers)


def _led_out(digits: str, numbers: Numbers) -> bool:
    """An emergency number, alone or behind what leads out of an exchange or hides the caller."""
    rests = (digits.removeprefix(service) for service in numbers.services)
    short = (rest for rest in (digits, *rests) if len(rest) < _LONG or rest.startswith("00"))
    return any(_behind_an_exchange(rest, numbers) for rest in short)


def _behind_an_exchange(digits: str, numbers: Numbers) -> bool:
    """`0112`, `9112`, `00112`; any one digit before 112 and the like."""
    if digits in numbers.all or (digits[1:] in numbers.everywhere and digits[0] in "1678"):
        return True
    return any(
        digits.startswith(lead)
        and digits[len(lead) :] in numbers.all
        and (len(digits) - len(lead) > 2 or lead in _ZERO)
        for lead in _LEADS
    )


_NATIONAL = 10
"""Digits from which a number is one of a subscriber, as dialled within his country: 0113 491112 is in Zeeland, though
011 leads abroad from America, and 34 is the code of Spain."""

_ZERO = ("0", "00", "9")
"""What may stand before an emergency number of two digits: more would refuse many an extension, such as 9018."""
_LEADS = (*_ZERO, "09", "90", "99", "000", "009", "090", "099", "900", "909", "990", "999")


def _led_abroad(digits: str, numbers: Numbers) -> bool:
    """Behind an international prefix. Only behind a plain `00` is it certain that a calling code follows."""
    if digits.startswith("00") and _abroad(digits[2:], numbers):
        return True
    if len(digits) >= _NATIONAL and digits.startswith("0") and not digits.startswith("00"):
        return False
    starts = {digits} | {digits.removeprefix(service) for service in numbers.services}
    starts |= {start.removeprefix(lead) for start in starts for lead in ("0", "9", "00", "99")}
    rests = {start[2:] for start in starts if start.startswith("00")}
    short = [start for start in starts if len(start) < _NATIONAL]
    rests |= {one.removeprefix(prefix) for one in short for prefix in numbers.international if one.startswith(prefix)}
    return any(_is_national(rest, numbers) for rest in rests)


def _is_national(digits: str, numbers: Numbers) -> bool:
    """Calling code and emergency number, with or without the 0 that is dialled within the country."""
    code, country = _country(digits, numbers)
    rest = digits[len(code) :]
    zeros = min(len(rest) - len(rest.lstrip("0")), 2)
    return country is not None and any(rest[skipped:] in numbers.all for skipped in range(zeros + 1))


def _without_plus(digits: str, numbers: Numbers) -> bool:
    """`31112`: as trunks write it that leave the plus out. Two digits of code at least, or it is an extension."""
    code, country = _country(digits, numbers)
    rest = digits[len(code) :].removeprefix("0")
    return country is not None and len(code) > 1 and len(rest) > 2 and rest in country.numbers | numbers.everywhere


def _abroad(digits: str, numbers: Numbers) -> bool:
    """An emergency number behind a country calling code, or behind an area code of that country."""
    if _is_national(digits, numbers):
        return True
    code, country = _country(digits, numbers)
    rest = digits[len(code) :].lstrip("0")
    if country is None or len(rest) >= country.shortest:
        return False
    own = [number for number in country.numbers | numbers.everywhere if len(number) > 2]
    return any(rest.endswith(number) or rest.startswith(number) for number in own)


def _country(digits: str, numbers: Numbers) -> tuple[str, Country | None]:
    """The calling code at the start of an international number. No code begins another (ITU-T E.164)."""
    for length in (1, 2, 3):
        if (country := numbers.countries.get(digits[:length])) is not None:
            return digits[:length], country
    return "", None
