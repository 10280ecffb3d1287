"""What a request must pass before anybody deals with it: RFC 3261 section 8.2, in its order."""

from collections.abc import Collection
from dataclasses import dataclass

from voice.sip import bodies
from voice.sip.core import SUPPORTED, Fields
from voice.sip.message import Request, headers

SCHEMES = frozenset({"sip", "sips", "tel", "urn"})
"""Of the Request-URI; `urn` for `urn:service:sos` (RFC 5031)."""
_SUPPORTED = frozenset({SUPPORTED})
_DESCRIBED = frozenset({"INVITE", "UPDATE"})


@dataclass(frozen=True, slots=True)
class Refusal:
    """A request that goes no further."""

    code: int
    headers: Fields = ()


def screen(request: Request, *, methods: Collection[str], merged: bool, max_body: int) -> Refusal | None:
    """The first rule that the request breaks, or None. Not for ACK and CANCEL, which are never refused so."""
    method = request.method
    if method not in methods:  # 8.2.1
        return Refusal(405, [("Allow", ", ".join(methods))])
    if request.uri.scheme not in SCHEMES:  # 8.2.2.1
        return Refusal(416)
    if merged:  # 8.2.2.2: the same request on another way; one of the two is enough
        return Refusal(482)
    if method != "REGISTER":  # the registrar knows other extensions than a call
        unknown = unsupported(request)
        if unknown:  # 8.2.2.3
            return Refusal(420, [("Unsupported", ", ".join(unknown))])
    if len(request.body) > max_body:  # 21.4.11
        return Refusal(413)
    if method in _DESCRIBED:  # 8.2.3
        lacking = bodies.refusal(request)
        if lacking is not None:
            return Refusal(415, [lacking])
    return None


def unsupported(request: Request) -> list[str]:
    """The option tags of Require that we do not know. Proxy-Require is for proxies alone (20.29)."""
    if not request.headers.getlist("Require"):
        return []
    return [tag for tag in headers(request, "Require") if tag.lower() not in _SUPPORTED]
