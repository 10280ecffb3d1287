"""SIP messages: reading what arrives, cheap reads for the hot path, building of requests and responses.

Stands on the types of `sipmessage` (Request, Response, URI) and adds what that parser leaves out: unfolding of
lines, white space before the colon, bytes that are not UTF-8, the checks of RFC 3261 sections 7, 8.2 and 18.3, and
reading without a typed parse. Bytes that are not UTF-8 are kept as surrogate escapes and leave as they came.
"""

import re
from collections.abc import Iterable
from random import Random
from typing import NamedTuple, TypeVar

import sipmessage
from sipmessage import URI, Request, Response

from voice.errors import PeerError, UsageError
from voice.sip.fields import (
    HeaderFields,
    canonical_name,
    display_name_of,
    params_of,
    parse_params,
    quote_string,
    split_list,
    tag_of,
    unquote_string,
    uri_of,
    user_of,
)
from voice.sip.flow import Address
from voice.sip.reasons import REASONS
from voice.sip.uri import ReceivedURI, parse_uri

__all__ = [
    "REASONS", "HeaderFields", "Message", "MessageError", "ReceivedURI", "Request", "Response", "ViaInfo",
    "call_id", "cseq", "display_name_of", "from_tag", "header", "headers", "new_branch", "new_call_id",
    "new_request", "new_tag", "params_of", "parse", "parse_params", "parse_uri", "parse_via", "quote_string",
    "reason_phrase", "response_to", "serialize", "split_list", "stamp_via", "to_tag", "top_via",
    "unquote_string", "uri_of", "user_of", "via_values",
]  # fmt: skip

Message = Request | Response
_M = TypeVar("_M", Request, Response)

BRANCH_COOKIE = "z9hG4bK"
"""Every branch of RFC 3261 begins with it (section 8.1.1.7)."""
MAX_CSEQ = 2**31 - 1
DEFAULT_PORTS = {"UDP": 5060, "TCP": 5060, "TLS": 5061}

_TOKEN = r"[A-Za-z0-9\-.!%*_+`'~]++"
_METHOD = re.compile(_TOKEN)
_FOLD = re.compile(r"[ \t]*\r\n[ \t]+")
_CSEQ = re.compile(rf"([0-9]{{1,10}})[ \t]+({_TOKEN})")
_QUOTED = r'"(?:[^"\\]|\\.)*+"'
_PARAMS = rf"(?:\s*;\s*{_TOKEN}(?:\s*=\s*(?:{_QUOTED}|[^\s;,\"<>]++))?)*+\s*"
_NAME_ADDR = re.compile(
    rf"\s*(?:{_QUOTED}\s*|(?:{_TOKEN}\s*)*+)<\s*[A-Za-z][A-Za-z0-9+.-]*+:[^<>\"\s]++\s*>{_PARAMS}"
    rf"|\s*[A-Za-z][A-Za-z0-9+.-]*+:[^<>\"\s;?,]++{_PARAMS}",
    re.DOTALL,
)
_VIA = re.compile(
    rf"\s*SIP\s*/\s*2\.0\s*/\s*({_TOKEN})\s+(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?:\s*:\s*([0-9]{{1,5}}))?({_PARAMS})",
    re.IGNORECASE | re.DOTALL,
)
_ONCE = ("Max-Forwards", "Content-Length", "Content-Type", "Expires", "Min-Expires", "Date")
_DIGITS = re.compile(r"[0-9]+")


class MessageError(PeerError):
    """A SIP message that cannot be understood.

    `status` and `reason` are what to answer; `partial` is the request as far as it could be read, or None when there
    is nothing that an answer could be built from. A response that cannot be understood is dropped (`partial` None).
    """

    def __init__(self, status: int, reason: str, partial: Request | None = None) -> None:
        super().__init__(f"{status} {reason}")
        self.status = status
        self.reason = reason
        self.partial = partial


class ViaInfo(NamedTuple):
    """One Via value (RFC 3261 section 20.42)."""

    transport: str
    """In upper case: "UDP", "TCP", "TLS"."""
    host: str
    """Without IPv6 brackets."""
    port: int
    """As given, else the default of the transport."""
    branch: str | None
    rport: str | None
    """None when absent, "" when asked for and not filled in (RFC 3581)."""
    received: str | None
    sent_by: str
    """Host and port as written, in lower case: part of the key of a transaction (section 17.2.3)."""


# ---- reading -------------------------------------------------------------------------------------------------


def parse(data: bytes) -> Message:
    """Read one whole message; of a datagram, what follows the body is cut off (RFC 3261 section 18.3).

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
    problem = problem or _unsound(message)
    problem = problem or _take_body(message, body)
    if problem is not None:
        raise MessageError(*problem, _answerable(message))
    return message


_Problem = tuple[int, str] | None


def _start_line(line: str) -> tuple[Message, _Problem]:
    """The message with its start line (RFC 3261 sections 7.1 and 7.2)."""
    if line[:4].upper() == "SIP/":
        return _status_line(line)
    method, _, rest = line.partition(" ")
    target, _, version = rest.rpartition(" ")
    problem: _Problem = None
    uri: URI = _NO_URI
    try:
        uri = parse_uri(target)
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
    if len(code) != 3 or not code.isascii() or not code.isdigit() or not "1" <= code[0] <= "6":
        return response, (400, "Bad Status-Line")
    response.code = int(code)
    return response, None


def _read_fields(fields: sipmessage.Headers, lines: list[str]) -> _Problem:
    problem: _Problem = None
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        known = canonical_name(name)
        if not colon or known is None or "\r" in line or "\n" in line:
            problem = problem or (400, "Bad Header Line")
            continue
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
        if not _NAME_ADDR.fullmatch(fields[name]):
            return 400, f"Bad {name} Header Field"
    for value in fields.getlist("Via"):
        if not _via_is_sound(value):
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
    return _number_out_of_range(fields)


def _number_out_of_range(fields: sipmessage.Headers) -> _Problem:
    hops = fields.get("Max-Forwards")
    if hops is not None and not (_DIGITS.fullmatch(hops) and len(hops) < 10 and int(hops) <= 255):
        return 400, "Bad Max-Forwards Header Field"
    length = fields.get("Content-Length")
    if length is not None and not (_DIGITS.fullmatch(length) and len(length) < 10):
        return 400, "Bad Content-Length Header Field"
    return None


def _via_is_sound(value: str) -> bool:
    if "," not in value:
        return _VIA.fullmatch(value) is not None
    return all(map(_VIA.fullmatch, split_list(value)))


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
    """The request when an answer to it can be built and sent: a Via to answer to and the fields to copy."""
    if not isinstance(message, Request):
        return None
    fields = message.headers
    complete = all(fields.getlist(name) for name in ("Via", "From", "To", "Call-ID", "CSeq"))
    return message if complete and parse_via(next(iter(via_values(message)), "")) else None


# ---- cheap reads -----------------------------------------------------------------------------------------------


def header(message: Message, name: str) -> str | None:
    """The first value of the header, or None."""
    return message.headers.get(name)


def headers(message: Message, name: str) -> list[str]:
    """Every element of a header that may be a comma-separated list, over all its lines."""
    return [part for value in message.headers.getlist(name) for part in split_list(value)]


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


def via_values(message: Message) -> list[str]:
    """Every Via value, topmost first."""
    return headers(message, "Via")


def top_via(message: Message) -> ViaInfo:
    """The topmost Via. Raises UsageError on a message that `parse` would not have accepted."""
    value = message.headers["Via"]
    via = parse_via(value if "," not in value else split_list(value)[0])
    if via is None:
        raise UsageError(f"message without a usable Via: {value!r}")
    return via


def parse_via(value: str) -> ViaInfo | None:
    """Read one Via value; None when it cannot be read."""
    match = _VIA.fullmatch(value)
    if match is None:
        return None
    transport, host, port, tail = match.groups()
    transport = transport.upper()
    host = host.lower()
    params = parse_params(tail)
    rport = (params["rport"] or "") if "rport" in params else None
    return ViaInfo(
        transport,
        host.strip("[]"),
        int(port) if port else DEFAULT_PORTS.get(transport, 5060),
        params.get("branch"),
        rport,
        params.get("received"),
        f"{host}:{port}" if port else host,
    )


def stamp_via(request: Request, source: Address) -> None:
    """Note in the topmost Via where the request came from.

    RFC 3261 section 18.2.1: `received` when the host of sent-by is not the source address; RFC 3581 section 4:
    with `rport` both are always set.
    """
    via = top_via(request)
    host, port = source
    if via.rport is None and via.host == host:
        return
    first, *others = via_values(request)
    head, *params = [part.strip() for part in first.split(";")]
    kept = [part for part in params if part.partition("=")[0].strip().lower() not in ("rport", "received")]
    added = [f"received={host}"] if via.rport is None else [f"received={host}", f"rport={port}"]
    request.headers.setlist("Via", [";".join([head, *kept, *added]), *others])


# ---- building --------------------------------------------------------------------------------------------------


def serialize(message: Message) -> bytes:
    """The message as bytes, with the Content-Length of its body.

    Raises UsageError when a value holds a line end: that would let a value become a header (header injection).
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


def new_request(
    method: str,
    uri: str | URI,
    fields: Iterable[tuple[str, str]] = (),
    *,
    body: bytes = b"",
    content_type: str | None = None,
) -> Request:
    """A request of ours. Raises ValueError when `uri` is no URI."""
    request = Request(method, parse_uri(uri) if isinstance(uri, str) else uri, body)
    return _fill(request, fields, content_type)


def response_to(
    request: Request,
    code: int,
    reason: str | None = None,
    *,
    to_tag: str | None = None,
    headers: Iterable[tuple[str, str]] = (),
    body: bytes = b"",
    content_type: str | None = None,
) -> Response:
    """The response to a request with the fields that it must repeat (RFC 3261 sections 8.2.6.2 and 12.1.1).

    `to_tag` is added unless the request has one already or the response is a 100.
    """
    received = request.headers
    response = Response(code, reason_phrase(code) if reason is None else reason, body)
    fields = response.headers = HeaderFields()
    fields.setlist("Via", list(received.getlist("Via")))
    if code < 300 and (route := received.getlist("Record-Route")):
        fields.setlist("Record-Route", list(route))
    fields.setlist("From", received.getlist("From")[:1])
    recipient = received.get("To") or ""
    if to_tag and code != 100 and tag_of(recipient) is None:
        recipient = f"{recipient};tag={to_tag}"
    fields.set("To", recipient)
    fields.setlist("Call-ID", received.getlist("Call-ID")[:1])
    fields.setlist("CSeq", received.getlist("CSeq")[:1])
    if code == 100 and (stamp := received.get("Timestamp")):
        fields.set("Timestamp", stamp)
    return _fill(response, headers, content_type)


def _fill(message: _M, fields: Iterable[tuple[str, str]], content_type: str | None) -> _M:
    if not isinstance(message.headers, HeaderFields):
        message.headers = HeaderFields()
    for name, value in fields:
        message.headers.add(name, value)
    if content_type is not None:
        message.headers.set("Content-Type", content_type)
    return message


def reason_phrase(code: int) -> str:
    """The usual phrase of a status code, else that of its class."""
    return REASONS.get(code) or REASONS.get(code // 100 * 100) or "Unknown"


def new_tag(random: Random) -> str:
    """A From or To tag: 64 random bits (RFC 3261 section 19.3 asks for at least 32)."""
    return f"{random.getrandbits(64):016x}"


def new_branch(random: Random) -> str:
    """A branch, unique across space and time (RFC 3261 section 8.1.1.7)."""
    return f"{BRANCH_COOKIE}{random.getrandbits(80):020x}"


def new_call_id(random: Random) -> str:
    """A Call-ID without host part (RFC 3261 section 8.1.1.4)."""
    return f"{random.getrandbits(128):032x}"


_NO_URI = ReceivedURI("sip", "invalid.invalid", text="sip:invalid.invalid")
"""Stands in a partial request whose Request-URI could not be read."""
