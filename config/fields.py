"""How values are written in a table of the configuration: the types that every model of it is made of."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal, Protocol

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PlainValidator, Strict
from pydantic_core import PydanticCustomError

from config.values import (
    Network,
    PortRange,
    parse_address,
    parse_addresses,
    parse_host,
    parse_network,
    parse_number,
    parse_ports,
    parse_server,
    parse_sip_uri,
    parse_web_url,
)
from voice.address import Address
from voice.incidents.kinds import Kind


def _optional(parse: Callable[[object], object]) -> BeforeValidator:
    """An empty string means: not set."""
    return BeforeValidator(lambda value: None if value in ("", None) else parse(value))


def _text(value: object) -> object:
    return value


UNSET = _optional(_text)
"""For a type with None: an empty string means None, because TOML has no word for it."""


def one_or_more(value: object) -> object:
    """A list may be written as its only element; an empty string is an empty list."""
    return ((value,) if value else ()) if isinstance(value, str) else value


def matching(pattern: str, allowed: str, *, secret: bool = False) -> AfterValidator:
    compiled = re.compile(pattern)

    def check(value: str) -> str:
        if compiled.fullmatch(value) is None:
            raise ValueError(f"{'' if secret else f'{value!r} '}does not fit; allowed: {allowed}")
        return value

    return AfterValidator(check)


def _kind(value: object) -> Kind:
    try:
        return Kind(str(value))
    except ValueError:
        raise ValueError(f"{value!r} is no kind of alarm; allowed: {', '.join(Kind)}") from None


def _expand(path: Path) -> Path:
    return path.expanduser().absolute()


Addresses = Annotated[tuple[Address, ...], PlainValidator(parse_addresses)]
OptionalAddress = Annotated[
    Address | None, _optional(lambda value: value if isinstance(value, tuple) else parse_address(value))
]
Host = Annotated[str | None, _optional(parse_host)]
Networks = tuple[Annotated[Network, PlainValidator(parse_network)], ...]
SipUri = Annotated[str, PlainValidator(parse_sip_uri)]
OptionalSipUri = Annotated[str | None, _optional(parse_sip_uri)]
Server = Annotated[Address | None, _optional(lambda value: value if isinstance(value, tuple) else parse_server(value))]
"""A host by name or address, and its port; None: not set."""
WebUrl = Annotated[str, PlainValidator(parse_web_url)]
OptionalWebUrl = Annotated[str | None, _optional(parse_web_url)]
OptionalPath = Annotated[Path | None, UNSET]
Folder = Annotated[Path, AfterValidator(_expand)]
AlarmKind = Annotated[Kind, BeforeValidator(_kind)]
Ports = Annotated[PortRange, PlainValidator(parse_ports)]
Whole = Annotated[int, Strict()]
Number = Annotated[float, Strict()]
Flag = Annotated[bool, Strict()]
Name = Annotated[str, matching(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", "1 to 64 letters, digits, '.', '_', '-'")]
Email = Annotated[
    Annotated[str, matching(r"[^@\s<>,;]+@[^@\s<>,;]+", "an address such as 'anna@example.org'")] | None, UNSET
]
Reference = Annotated[str | None, UNSET]
References = Annotated[tuple[Name, ...], BeforeValidator(one_or_more)]
"""Identifiers of rows of another table."""
Secret = Annotated[str | None, UNSET, Field(repr=False)]
Latitude = Annotated[Annotated[float, Strict(), Field(ge=-90, le=90)] | None, UNSET]
Longitude = Annotated[Annotated[float, Strict(), Field(ge=-180, le=180)] | None, UNSET]
Metres = Annotated[Annotated[float, Strict(), Field(gt=0, le=100_000)] | None, UNSET]
UserPart = Annotated[
    str, matching(r"[A-Za-z0-9._~+!*'()&=$,;?/%-]{1,128}", "the user part of a SIP URI, such as 'badge-7'")
]
User = Annotated[UserPart | None, UNSET]
Numbers = tuple[
    Annotated[str, matching(r"\+?[A-Za-z0-9*#._-]{1,64}", "a telephone number such as '+31612345678'")], ...
]
Telephones = tuple[
    Annotated[
        str,
        matching(
            r"\+?[A-Za-z0-9*#._-]{1,64}|sips?:[^\s@]+@[^\s@]+",
            "a telephone number such as '+31612345678', or a SIP address such as 'sip:anna@example.org'",
        ),
    ],
    ...,
]
"""What can be called, and calls."""
StoreUrl = Annotated[
    str,
    matching(
        r"sqlite:///.+|postgresql://[^\s/@]+(:[^\s/@]*)?@[^\s/@]+/[^\s/?#]+(\?\S*)?|postgresql:///\S+",
        "sqlite:///relative/path, sqlite:////absolute/path or postgresql://user:password@host:5432/database",
        secret=True,
    ),
    Field(repr=False),
]
PhoneNumber = Annotated[str, BeforeValidator(parse_number)]
Codec = Literal["PCMA", "PCMU"]
DigestAlgorithm = Literal["SHA-256", "MD5"]


class Table(BaseModel):
    """A table of the file: frozen, and without unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


class _Placed(Protocol):
    @property
    def latitude(self) -> float | None: ...
    @property
    def longitude(self) -> float | None: ...


def whole_position(table: _Placed, kind: str) -> None:
    """For a validator: latitude and longitude stand together or not at all."""
    if (table.latitude is None) != (table.longitude is None):
        missing = "latitude" if table.latitude is None else "longitude"
        raise PydanticCustomError(kind, "latitude and longitude belong together", {"key": missing})
