"""SIP messages: reading what arrives, cheap reads for the hot path, writing; the front door of this package.

Stands on the types of `sipmessage` (Request, Response, URI) and adds what that parser leaves out: unfolding
of lines, white space before the colon, bytes that are not UTF-8, the checks of RFC 3261 sections 7, 8.2 and
18.3, and reads without a typed parse. Bytes that are not UTF-8 are kept as surrogate escapes.
"""

import re

import sipmessage
from sipmessage import URI, Request, Response

from voice.errors import PeerError, UsageError
from voice.sip.building import (
    BRANCH_COOKIE,
    new_branch,
    new_call_id,
    new_request,
    new_tag,
    reason_phrase,
    response_to,
)
from voice.sip.fields import (
    NAME_ADDR,
    TOKEN,
    HeaderFields,
    canonical_name,
    display_name_of,
    elements,
    params_of,
    parse_params,
    quote_string,
    split_list,
    tag_of,
    unquote_string,
    uri_of,
    user_of,
)
from voice.sip.reasons import REASONS
from voice.sip.uri import ReceivedURI, parse_uri
from voice.sip.via import DEFAULT_PORTS, ViaInfo, parse_via, stamp_via, top_via, via_is_sound, via_values

__all__ = [
    "BRANCH_COOKIE", "DEFAULT_PORTS", "REASONS", "HeaderFields", "Message", "MessageError",
    "ReceivedURI", "Request", "Response", "ViaInfo", "call_id", "cseq", "display_name_of",
    "from_tag", "header", "headers", "new_branch", "new_call_id", "new_request", "new_tag",
    "params_of", "parse", "parse_params", "parse_uri", "parse_via", "quote_string", "reason_phrase",
    "response_to", "serialize", "split_list", "stamp_via", "to_tag", "top_via", "unquote_string",
    "uri_of", "user_of", "via_values",
]  # fmt: skip

Message = Request | Response

MAX_CSEQ = 2**31 - 1

_METHOD = re.compile(TOKEN)
_FOLD = re.compile(r"[ \t]*\r\n[ \t]+")
_CSEQ = re.compile(rf"([0-9]{{1,10}})[ \t]+({TOKEN})")
_ONCE = ("Content-Length", "Content-Type")
_DIGITS = re.compile(r"[0-9]+")
_NO_URI = ReceivedURI("sip", "invalid.invalid", text="sip:invalid.invalid")
"""Stands in a partial request whose Request-URI could not be read."""


class MessageError(PeerError):
    """A SIP message that cannot be understood.

    `status` and `reason` are what to answer; `partial` is the request as far as it could be read, or None if
    no answer can be built from it. A response not understood is dropped (`partial` is None).
    """

    def __init__(self, status: int, reason: str, partial: Request | None = None) -> None:
        super().__init__(f"{status} {reason}")
        self.status = status
        self.reason = reason
        self.partial = partial


def parse(data: bytes, *, stream: bool = False) -> Message:
    """Read one whole message; of a datagram, what follows the body is cut off (RFC 3261 section 18.3).

    `stream` tells that the message came by a stream, where Content-Length is mandatory (section 20.14).
    Raises MessageError, and nothing else, whatever the bytes are.
    """
    head, blank, body = data.lstrip(b"\r\n").partition(b"\r\n\r\n")
    text = head.decode("utf-8", "surrogateescape")
    if "\r\n " in text or "\r\n\t" in text:
        text = _FOLD.sub(" ", text)
    lines = text.split("\r\n")
    message, problem = _start_line(lines[0])
    problem = _read_fields(message.headers, lines) or problem
    problem = problem or (None if blank else (400, "Header Not Terminated"))
    problem = problem or _unsound(message) or _take_body(message, body)
    if stream and problem is None and header(message, "Content-Length") is None:
        problem = (400, "Missing Content-Length Header Field")
    if problem is not None:
        raise MessageError(*problem, _answerable(message))
    return message


_Problem = tuple[int, str] | None


def _start_line(line: str) -> tuple[Message, _Problem]:
    """The message with its start line (RFC 3261 sections 7.1 and 7.2)."""
    if line[:4].upper() == "SIP/":
        return _status_line(line)
    method, _, rest = line.partition(" ")
    target, _, version = rest.rstrip().rpartition(" ")  # too much white space around the URI harms nobody
    problem: _Problem = None
    uri: URI = _NO_URI
    try:
        uri = parse_uri(target.strip())
    except ValueError:
        problem = (400, "Bad Request-URI")
    else:
        if uri.headers:  # section 19.1.1, table 1: not allowed in a Request-URI
            problem = (400, "Headers in Request-URI")
    if version.upper() != "SIP/2.0":
        is_version = version[:4].upper() == "SIP/" and version[4:5].isdigit()
        problem = (505, REASONS[505]) if is_version and problem is None else (400, "Bad Request-Line")
    if not _METHOD.fullmatch(method):
        problem = (400, "Bad Method")
    request = Request(method, uri)
    request.headers = HeaderFields()
    return request, problem


def _status_line(line: str) -> tuple[Message, _Problem]:
    version, _, rest = line.partition(" ")
    code, _, phrase = rest.partition(" ")
    response = Response(0, phrase)
    response.headers = HeaderFields()
    if version.upper() != "SIP/2.0":
        return response, (505, REASONS[505])
    if "\r" in phrase or "\n" in phrase:
        return response, (400, "Line End Within The Status-Line")
    if len(code) != 3 or not code.isascii() or not code.isdigit() or not "1" <= code[0] <= "6":
        return response, (400, "Bad Status-Line")
    response.code = int(code)
    return response, None


def _read_fields(fields: sipmessage.Headers, lines: list[str]) -> _Problem:
    """Take the header lines; one that is none is passed over (section 8.2.2)."""
    problem: _Problem = None
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        known = canonical_name(name)
        if "\r" in line or "\n" in line:
            problem = (400, "Line End Within A Header")
        elif colon and known is not None:
            fields.add(known, value.strip())
    return problem


def _unsound(message: Message) -> _Problem:
    """The first fault in the fields that every message must have (RFC 3261 section 8.1.1), or None."""
    fields = message.headers
    for name in ("Via", "From", "To", "Call-ID", "CSeq"):
        values = fields.getlist(name)
        if not values or not values[0]:
            return 400, f"Missing {name} Header Field"
        if len(values) > 1 and name != "Via":
            return 400, f"Multiple {name} Header Fields"
    for name in ("From", "To"):
        if not NAME_ADDR.fullmatch(fields[name]):
            return 400, f"Bad {name} Header Field"
    for value in fields.getlist("Via"):
        if not via_is_sound(value):
            return 400, "Bad Via Header Field"
    match = _CSEQ.fullmatch(fields["CSeq"])
    if match is None or int(match[1]) > MAX_CSEQ:
        return 400, "Bad CSeq Header Field"
    if isinstance(message, Request) and match[2] != message.method:
        return 400, "CSeq Method Does Not Match"
    for name in _ONCE:
        values = fields.getlist(name)
        if len(values) > 1 and len(set(values)) > 1:
            return 400, f"Multiple {name} Header Fields"
    length = fields.get("Content-Length")
    if length is not None and not (_DIGITS.fullmatch(length) and len(length) < 10):
        return 400, "Bad Content-Length Header Field"
    return None


def _take_body(message: Message, body: bytes) -> _Problem:
    length = message.headers.get("Content-Length")
    if length is not None:
        size = int(length)
        if size > len(body):
            return 400, "Content-Length Larger Than Body"
        body = body[:size]
    message.body = body
    return None


def _answerable(message: Message) -> Request | None:
    """The request when it can be answered, that is, when it has a Via to send the answer to."""
    if not isinstance(message, Request) or message.method == "ACK":
        return None
    return message if parse_via(next(iter(via_values(message)), "")) else None


def serialize(message: Message) -> bytes:
    """The message as bytes, with the Content-Length of its body.

    Raises UsageError when a value holds a line end, which would make a header of it (header injection).
    """
    if isinstance(message, Request):
        lines = [f"{message.method} {message.uri} SIP/2.0"]
    else:
        lines = [f"SIP/2.0 {message.code} {message.phrase}"]
    fields = message.headers
    for name in fields.keys():  # noqa: SIM118 (sipmessage.Headers is no mapping)
        if name != "Content-Length":
            lines += [f"{name}: {value}" for value in fields.getlist(name)]
    text = "\r\n".join(lines)
    if text.count("\n") != len(lines) - 1 or text.count("\r") != len(lines) - 1:
        raise UsageError("a header value holds a line end")
    return f"{text}\r\nContent-Length: {len(message.body)}\r\n\r\n".encode("utf-8", "surrogateescape") + message.body


# -- cheap reads: string scans, no typed parse --


def header(message: Message, name: str) -> str | None:
    """The first value of the header, or None."""
    return message.headers.get(name)


def headers(message: Message, name: str) -> list[str]:
    """Every element of a header that may be a comma-separated list, over all its lines."""
    return elements(message.headers, name)


def call_id(message: Message) -> str:
    """The Call-ID; of a message that `parse` accepted it is never empty."""
    return message.headers.get("Call-ID") or ""


def cseq(message: Message) -> tuple[int, str]:
    """Sequence number and method of the CSeq."""
    number, method = message.headers["CSeq"].split(None, 1)
    return int(number), method


def from_tag(message: Message) -> str | None:
    """The tag of the From."""
    return tag_of(message.headers.get("From") or "")


def to_tag(message: Message) -> str | None:
    """The tag of the To; None outside a dialog."""
    return tag_of(message.headers.get("To") or "")
