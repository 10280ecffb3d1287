"""Numbers and addresses as people write them, and whether two of them lead to one telephone. Pure."""

import re
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import unquote

_SUBSCRIBER = 8
"""Least digits by which a number is recognised that is written without its country."""
_AREA = 4
"""Most digits that a number with its country has in front of them: calling code, and a 0 that is not dialled."""


def normal_number(text: str) -> str:
    """A number as it is compared: no separators, international prefix `00` as `+`, otherwise as it stands."""
    plain = text.translate(_SEPARATORS).lower()
    return f"+{plain[2:]}" if plain.startswith("00") and plain[2:].isdigit() else plain


_SEPARATORS = str.maketrans("", "", " -.()/")


def lead_to_one(line: str, other: str) -> bool:
    """Whether two numbers, accounts, SIP or e-mail addresses are one, however they are written.

    In doubt they are: who asks is about to betray a worker to whoever stands beside him. A name without a host, such as
    an account, is that name at any host, as `Directory.identify` takes it.
    """
    return _same(_read(line), _read(other))


# -- inside --


@dataclass(frozen=True, slots=True)
class _Line:
    user: str
    """A number as it is compared, or a name."""
    host: str
    """"" where it is not said."""


@lru_cache(8192)
def _read(line: str) -> _Line:
    """A number, an account, a SIP or e-mail address, without what does not tell where it leads."""
    rest = re.sub(r"^sips?:", "", line.strip(), flags=re.IGNORECASE)
    user, at, host = rest.rpartition("@")
    if not at and rest != line.strip():
        return _Line("", _bare(rest))  # a SIP URI without a user
    user = re.split(r"[;:?]", unquote(user if at else rest))[0]
    return _Line(normal_number(user), _host(host) if at else "")


def _host(text: str) -> str:
    return re.sub(r":\d+$", "", _bare(text))


def _bare(text: str) -> str:
    return re.split(r"[;?]", text.lower())[0]


def _same(one: _Line, other: _Line) -> bool:
    """A number leads to one telephone whatever the host; a name does so only at its host, where both say which."""
    if _is_number(one.user) and _is_number(other.user) and _same_number(one.user, other.user):
        return True
    if one.user != other.user:
        return False
    return one.host == other.host or (bool(one.user) and "" in (one.host, other.host))


def _is_number(user: str) -> bool:
    digits = user.removeprefix("+")
    return digits.isdecimal() and len(digits) >= _SUBSCRIBER


def _same_number(one: str, other: str) -> bool:
    """`+31612345678` is `31612345678` and `0612345678`, too."""
    if one.startswith("+") and other.startswith("+"):
        return one == other
    short, long = sorted((one.removeprefix("+"), other.removeprefix("+")), key=len)
    rest = short.lstrip("0")
    return len(rest) >= _SUBSCRIBER and long.endswith(rest) and len(long) - len(rest) <= _AREA
