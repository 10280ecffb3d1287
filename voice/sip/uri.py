"""SIP URIs as received: lenient reading by scans, the received text kept to the byte (RFC 3261 section 19.1).

`sipmessage.URI.parse` refuses host names that occur in the field (digit or underscore in the last label) and
does not keep escapes; digest is computed over the text.
"""

import re
from dataclasses import dataclass
from urllib.parse import unquote

from sipmessage import URI, Parameters

from voice.sip.fields import parse_params

_SIP = re.compile(
    r"(?:(?P<user>[^@:<>\"\s]*+)(?::(?P<password>[^@<>\"\s]*+))?@)?"
    r"(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)"
    r"(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<parameters>;[^?<>\"\s]*+)?"
    r"(?P<headers>\?[^<>\"\s]*+)?"
)
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*+")
_OPAQUE = re.compile(r"[^<>\"\s]++")


@dataclass(frozen=True)
class ReceivedURI(URI):
    """A URI that writes itself as it was received. To change one, build a `sipmessage.URI` anew."""

    text: str = ""
    headers: str = ""
    """What follows the question mark, unparsed."""

    def __str__(self) -> str:
        return self.text


def parse_uri(text: str) -> ReceivedURI:
    """Read a URI of any scheme. Of one that is not SIP, SIPS or TEL `host` holds all that follows the colon.

    Raises ValueError when the text is no URI.
    """
    scheme, colon, rest = text.partition(":")
    if not colon or not _SCHEME.fullmatch(scheme):
        raise ValueError("URI without a scheme")
    scheme = scheme.lower()
    if scheme not in ("sip", "sips"):
        if not _OPAQUE.fullmatch(rest):
            raise ValueError("URI with illegal characters")
        if scheme == "tel":
            subscriber, _, params = rest.partition(";")
            return ReceivedURI(scheme, "", subscriber, parameters=_parameters(params), text=text)
        return ReceivedURI(scheme, rest, text=text)
    match = _SIP.fullmatch(rest)
    if match is None:
        raise ValueError("SIP URI with illegal characters")
    user, password, host, port, params, headers = match.groups()
    number = int(port) if port else None
    if number is not None and not 0 < number < 65536:
        raise ValueError("SIP URI with a port out of range")
    if user == "":
        raise ValueError("SIP URI with an empty user")
    return ReceivedURI(
        scheme,
        host,
        _unescape(user),
        _unescape(password),
        number,
        _parameters(params) if params else Parameters(),
        text,
        headers[1:] if headers else "",
    )


def uri_address(uri: URI) -> tuple[str, int | None]:
    """Host without IPv6 brackets, and port when the URI names one."""
    return uri.host.strip("[]"), uri.port


def _unescape(text: str | None) -> str | None:
    return unquote(text, errors="surrogateescape") if text and "%" in text else text


def _parameters(text: str) -> Parameters:
    params = {name: _unescape(value) for name, value in parse_params(text).items()}
    params.pop("self", None)  # sipmessage.Parameters takes names as keywords and cannot hold this one
    return Parameters(**params)


def equivalent(one: URI, other: URI) -> bool:
    """Whether two URIs are equal by RFC 3261 section 19.1.4, the header part left out.

    The user compares with case, the host without. A port or one of user, ttl, method, maddr and transport
    must be in both or in neither; other parameters count only when both have them.
    """
    if (one.scheme, one.user, one.password, one.port) != (
        other.scheme,
        other.user,
        other.password,
        other.port,
    ):
        return False
    if one.host.lower() != other.host.lower():
        return False
    mine = {name: (value or "").lower() for name, value in one.parameters.items()}
    theirs = {name: (value or "").lower() for name, value in other.parameters.items()}
    decisive = {"user", "ttl", "method", "maddr", "transport"} | (mine.keys() & theirs.keys())
    return all(mine.get(name) == theirs.get(name) for name in decisive)
