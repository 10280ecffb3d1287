"""Building of requests and responses, and of the random names that RFC 3261 asks for."""

from collections.abc import Iterable
from random import Random
from typing import TypeVar

from sipmessage import URI, Request, Response

from voice.sip.fields import HeaderFields, tag_of
from voice.sip.reasons import REASONS
from voice.sip.uri import parse_uri

BRANCH_COOKIE = "z9hG4bK"
"""Every branch of RFC 3261 begins with it (section 8.1.1.7)."""

_M = TypeVar("_M", Request, Response)


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
    recipient = received.get("To")
    if recipient is not None:
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
