"""The Session Description Protocol, RFC 8866: a lenient reader and a strict writer.

Lenient, because a device in alarm may not be refused for the form of its letters. Accepted although
forbidden: line ends of LF or CR alone, NUL bytes (dropped), blank lines, missing `o=`, `s=` and `t=`, lines
out of order, unknown kinds of line (section 5 would have the whole description ignored; here only the line
is). Unknown attributes are kept. Refused with SdpError: no `v=0` at the start, lines that are no `x=value`,
fields that are needed and unreadable.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from voice.errors import SdpError, UsageError

MAX_BYTES = 65_536
"""Longer descriptions are refused: the longest seen in the field, with all of WebRTC in it, have 20 kB."""

_LINE_END = re.compile("\r\n|\n|\r")
_UNWRITABLE = re.compile("[\r\n\0]")


@dataclass(frozen=True, slots=True)
class Origin:
    """`o=`: who made the description, and its version (section 5.2). Numbers stay text: they are only
    compared."""

    username: str = "-"
    session_id: str = "0"
    version: str = "0"
    network: str = "IN"
    family: str = "IP4"
    address: str = "0.0.0.0"

    def __str__(self) -> str:
        return " ".join((self.username, self.session_id, self.version, self.network, self.family, self.address))


@dataclass(frozen=True, slots=True)
class Connection:
    """`c=`: where the media is to be sent (section 5.7)."""

    address: str
    family: str = "IP4"
    network: str = "IN"
    suffix: str = ""
    """What follows the address of a multicast group: time to live and number of addresses, as `/127/3`."""

    def __str__(self) -> str:
        return f"{self.network} {self.family} {self.address}{self.suffix}"


@dataclass(frozen=True, slots=True)
class Bandwidth:
    """`b=` (section 5.8)."""

    kind: str
    value: str

    def __str__(self) -> str:
        return f"{self.kind}:{self.value}"


@dataclass(frozen=True, slots=True)
class Attribute:
    """`a=`: a property (`a=sendrecv`, value None) or a value (`a=ptime:20`), section 5.13."""

    name: str
    value: str | None = None

    def __str__(self) -> str:
        return self.name if self.value is None else f"{self.name}:{self.value}"


def find(attributes: Sequence[Attribute], name: str) -> Iterator[str]:
    """The values, without blanks around them, of the attributes of this name; "" for a property."""
    return ((each.value or "").strip() for each in attributes if each.name == name)


def has(attributes: Sequence[Attribute], name: str) -> bool:
    """Whether there is an attribute of this name."""
    return any(each.name == name for each in attributes)


@dataclass(frozen=True, slots=True)
class MediaDescription:
    """`m=` and the lines that belong to it (section 5.14)."""

    kind: str
    port: int
    protocol: str
    formats: tuple[str, ...]
    port_count: int = 1
    title: str | None = None
    connections: tuple[Connection, ...] = ()
    bandwidths: tuple[Bandwidth, ...] = ()
    key: str | None = None
    attributes: tuple[Attribute, ...] = ()

    def __str__(self) -> str:
        port = f"{self.port}/{self.port_count}" if self.port_count != 1 else f"{self.port}"
        return " ".join((self.kind, port, self.protocol, *self.formats))


@dataclass(frozen=True, slots=True)
class SessionDescription:
    """A whole description, in the order of section 5."""

    origin: Origin = Origin()
    name: str = "-"
    information: str | None = None
    uri: str | None = None
    emails: tuple[str, ...] = ()
    phones: tuple[str, ...] = ()
    connection: Connection | None = None
    bandwidths: tuple[Bandwidth, ...] = ()
    timing: tuple[tuple[str, str], ...] = (("t", "0 0"),)
    """The lines `t=`, `r=` and `z=` as letter and value."""
    key: str | None = None
    attributes: tuple[Attribute, ...] = ()
    media: tuple[MediaDescription, ...] = ()


def parse(data: bytes) -> SessionDescription:
    """Read a description; raises SdpError. Bytes that are no UTF-8 survive as lone surrogates."""
    if len(data) > MAX_BYTES:
        raise SdpError(f"description of {len(data)} bytes")
    text = data.replace(b"\0", b"").decode("utf-8", "surrogateescape")
    lines = [line for line in _LINE_END.split(text) if line.strip()]
    if not lines or lines[0].rstrip() != "v=0":
        raise SdpError("does not begin with v=0")
    reader = _Reader()
    for line in lines[1:]:
        if line[1:2] != "=":
            raise SdpError(f"not of the form x=value: {line[:40]!r}")
        reader.line(line[0], line[2:])
    return reader.description()


@dataclass(slots=True)
class _Section:
    """The lines that may stand in the session part as well as below an `m=`."""

    media: tuple[str, int, int, str, tuple[str, ...]] | None = None
    information: str | None = None
    connections: list[Connection] = field(default_factory=list)
    bandwidths: list[Bandwidth] = field(default_factory=list)
    key: str | None = None
    attributes: list[Attribute] = field(default_factory=list)


class _Reader:
    def __init__(self) -> None:
        self._sections = [_Section()]
        self._origin = Origin()
        self._name = "-"
        self._uri: str | None = None
        self._emails: list[str] = []
        self._phones: list[str] = []
        self._timing: list[tuple[str, str]] = []

    def line(self, letter: str, value: str) -> None:
        section = self._sections[-1]
        match letter:
            case "m":
                self._sections.append(_Section(media=_media(value)))
            case "a":
                name, colon, text = value.partition(":")
                section.attributes.append(Attribute(name.strip(), text if colon else None))
            case "c":
                section.connections.append(_connection(value))
            case "b":
                kind, _, amount = value.partition(":")
                section.bandwidths.append(Bandwidth(kind, amount))
            case "i":
                section.information = value
            case "k":
                section.key = value
            case "o":
                self._origin = _origin(value)
            case "s":
                self._name = value or "-"
            case "u":
                self._uri = value
            case "e":
                self._emails.append(value)
            case "p":
                self._phones.append(value)
            case "t" | "r" | "z":
                self._timing.append((letter, value))
            case "v":
                raise SdpError("a second v= line")
            case _:
                pass

    def description(self) -> SessionDescription:
        session, *media = self._sections
        return SessionDescription(
            origin=self._origin,
            name=self._name,
            information=session.information,
            uri=self._uri,
            emails=tuple(self._emails),
            phones=tuple(self._phones),
            connection=session.connections[0] if session.connections else None,
            bandwidths=tuple(session.bandwidths),
            timing=tuple(self._timing) or (("t", "0 0"),),
            key=session.key,
            attributes=tuple(session.attributes),
            media=tuple(_media_description(each) for each in media),
        )


def _media_description(section: _Section) -> MediaDescription:
    kind, port, port_count, protocol, formats = section.media or ("", 0, 1, "", ())
    return MediaDescription(
        kind=kind,
        port=port,
        port_count=port_count,
        protocol=protocol,
        formats=formats,
        title=section.information,
        connections=tuple(section.connections),
        bandwidths=tuple(section.bandwidths),
        key=section.key,
        attributes=tuple(section.attributes),
    )


def number(text: str, highest: int) -> int | None:
    """A decimal number from 0 to `highest`, in ASCII digits; else None."""
    if len(text) > 10 or not text.isascii() or not text.isdigit():
        return None
    value = int(text)
    return value if value <= highest else None


def _media(value: str) -> tuple[str, int, int, str, tuple[str, ...]]:
    kind, *rest = value.split(" ")
    fields = [each for each in rest if each]
    if len(fields) < 2 or not kind:
        raise SdpError(f"m={value[:40]!r}: not kind, port, protocol and formats")
    port_text, _, count_text = fields[0].partition("/")
    port = number(port_text, 65_535)
    count = number(count_text, 65_535) if count_text else 1
    if port is None or count is None:
        raise SdpError(f"m={value[:40]!r}: no port")
    return kind, port, count, fields[1], tuple(fields[2:])


def _connection(value: str) -> Connection:
    fields = value.split()
    if len(fields) != 3:
        raise SdpError(f"c={value[:40]!r}: not network, family and address")
    address, slash, suffix = fields[2].partition("/")
    if not address:
        raise SdpError(f"c={value[:40]!r}: no address")
    return Connection(address, fields[1].upper(), fields[0].upper(), slash + suffix)


def _origin(value: str) -> Origin:
    fields = value.split()
    if len(fields) < 6:
        raise SdpError(f"o={value[:40]!r}: less than six fields")
    # Devices with a blank in their name exist: what is too much belongs to the first field.
    return Origin("_".join(fields[:-5]), *fields[-5:])


def serialize(description: SessionDescription) -> bytes:
    """The description as bytes, CRLF after each line; UsageError for a value that would break its line."""
    lines: list[tuple[str, object]] = [("v", 0), ("o", description.origin), ("s", description.name)]
    lines += _optional("i", description.information)
    lines += _optional("u", description.uri)
    lines += [("e", each) for each in description.emails]
    lines += [("p", each) for each in description.phones]
    lines += _optional("c", description.connection)
    lines += [("b", each) for each in description.bandwidths]
    lines += description.timing
    lines += _optional("k", description.key)
    lines += [("a", each) for each in description.attributes]
    for media in description.media:
        lines.append(("m", media))
        lines += _optional("i", media.title)
        lines += [("c", each) for each in media.connections]
        lines += [("b", each) for each in media.bandwidths]
        lines += _optional("k", media.key)
        lines += [("a", each) for each in media.attributes]
    return "".join(_written(letter, value) for letter, value in lines).encode("utf-8", "surrogateescape")


def _optional(letter: str, value: object | None) -> list[tuple[str, object]]:
    return [] if value is None else [(letter, value)]


def _written(letter: str, value: object) -> str:
    text = str(value)
    if _UNWRITABLE.search(text):
        raise UsageError(f"{letter}= with a line end in it: {text[:40]!r}")
    return f"{letter}={text}\r\n"
