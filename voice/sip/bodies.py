"""Bodies: the session description, alone or within multipart/mixed (RFC 3261 section 8.2.3, RFC 5621)."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256

from voice.sip.fields import HeaderFields, canonical_name
from voice.sip.message import Message, parse_params

SDP = "application/sdp"
ACCEPTED = f"{SDP}, multipart/mixed"
_MAX_PARTS = 16
_MAX_DEPTH = 2
_BREAK = re.compile(rb"\r?\n\r?\n")


@dataclass(frozen=True, slots=True)
class Part:
    """One body part."""

    content_type: str
    """Type and subtype in lower case, without parameters."""
    optional: bool
    """Content-Disposition says `handling=optional`: whoever does not know it may pass it over."""
    encoding: str
    body: bytes


@dataclass(frozen=True, slots=True)
class BodyPart:
    """One part of a body of ours."""

    content_type: str
    body: bytes
    content_id: str = ""
    """By which a header names it: `Geolocation: <cid:...>` (RFC 6442 section 4.1; RFC 2392)."""
    disposition: str = ""


def multipart(sections: Sequence[BodyPart]) -> tuple[bytes, str]:
    """Several parts as one body, and its Content-Type (RFC 5621 section 3.1, RFC 2046 section 5.1)."""
    digest = sha256(b"\0".join(section.body for section in sections)).hexdigest()
    boundary = f"earshot-{digest[:24]}"  # in no part: it would have to hold the hash of itself
    lines = []
    for section in sections:
        lines += [f"--{boundary}".encode(), f"Content-Type: {section.content_type}".encode()]
        if section.content_id:
            lines.append(f"Content-ID: <{section.content_id}>".encode())
        if section.disposition:
            lines.append(f"Content-Disposition: {section.disposition}".encode())
        lines += [b"", section.body]
    return b"\r\n".join([*lines, f"--{boundary}--".encode(), b""]), f'multipart/mixed;boundary="{boundary}"'


def media_type(value: str | None) -> str:
    """Type and subtype of a Content-Type, in lower case."""
    return (value or "").partition(";")[0].strip().lower()


def parts(message: Message) -> list[Part]:
    """The leaves of the body; none when there is no body."""
    if not message.body:
        return []
    fields = message.headers
    content_type = fields.get("Content-Type") or ""
    disposition, encoding = fields.get("Content-Disposition") or "", fields.get("Content-Encoding") or ""
    return list(_walk(content_type, disposition, encoding, message.body, _MAX_DEPTH))


def session_description(message: Message) -> bytes | None:
    """The SDP of a message, or None."""
    body = message.body
    if not body:
        return None
    if media_type(message.headers.get("Content-Type")) in (SDP, ""):
        return body
    return next((part.body for part in parts(message) if part.content_type == SDP), None)


def description_in(content_type: str | None, body: bytes) -> bytes | None:
    """The session description in a body of ours."""
    sections = _walk(content_type or SDP, "", "", body, _MAX_DEPTH)
    return next((part.body for part in sections if part.content_type == SDP), None)


def refusal(message: Message) -> tuple[str, str] | None:
    """The header field of a 415 when a part must be understood and is not (8.2.3), else None."""
    if not message.body:
        return None
    found = parts(message)
    if any(part.encoding not in ("", "identity") for part in found):
        return "Accept-Encoding", "identity"
    if any(part.content_type == SDP for part in found):
        return None  # the session is described; what else comes with it (a location, say) may be passed over
    if all(part.optional for part in found):
        return None
    return "Accept", ACCEPTED


def _walk(content_type: str, disposition: str, encoding: str, body: bytes, depth: int) -> Iterator[Part]:
    kind = media_type(content_type)
    boundary = parse_params(content_type.partition(";")[2]).get("boundary")
    if kind.startswith("multipart/") and boundary and depth:
        delimiter = b"--" + boundary.encode("utf-8", "surrogateescape")
        for section in body.split(delimiter)[1 : _MAX_PARTS + 1]:
            if section.startswith(b"--"):
                return
            yield from _section(section, depth - 1)
        return
    handling = parse_params(disposition.partition(";")[2]).get("handling")
    yield Part(kind or SDP, handling == "optional", encoding.strip().lower(), body)


def _section(section: bytes, depth: int) -> Iterator[Part]:
    section = section.removeprefix(b"\r\n").removeprefix(b"\n")
    head, body = section, b""
    if section.startswith(b"\r\n"):
        head, body = b"", section[2:]
    elif (found := _BREAK.search(section)) is not None:
        head, body = section[: found.start()], section[found.end() :]
    fields = HeaderFields()
    for line in head.decode("utf-8", "surrogateescape").splitlines():
        name, colon, value = line.partition(":")
        known = canonical_name(name)
        if colon and known is not None:
            fields.add(known, value.strip())
    body = body.removesuffix(b"\n").removesuffix(b"\r") if body.endswith(b"\n") else body
    yield from _walk(
        fields.get("Content-Type") or "text/plain",
        fields.get("Content-Disposition") or "",
        fields.get("Content-Encoding") or "",
        body,
        depth,
    )
