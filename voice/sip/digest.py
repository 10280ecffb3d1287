"""Digest authentication, both sides (RFC 3261 section 22, RFC 7616, RFC 8760), with qop=auth.

The server keeps no nonce: one carries its time and a seal by HMAC. It remembers only which nonce counts
were used, within a bounded memory. A right answer over a nonce that has expired, was used up or comes from
before a restart is `stale`: the client answers the new challenge without asking its user. A user that does
not exist takes as long to refuse as a wrong password and is answered the same.
"""

import hashlib
import hmac
import re
import struct
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from urllib.parse import unquote

from voice.sip.fields import quote_string, unquote_string
from voice.sip.message import Request, Response, parse_uri

Secrets = Callable[[str], str | None]
"""The password of a user, or None when there is no such user."""

DEFAULT_ALGORITHMS = ("SHA-256", "MD5")
_PREFERENCE = ("SHA-256", "SHA-512-256", "MD5")
"""Ours as a client, whatever the order of the challenges: MD5 only where nothing else is offered."""

_PARAMETER = re.compile(r'\s*([^\s=,"]+)\s*=\s*("(?:[^"\\]|\\.)*+"|[^\s,"]*+)\s*(?:,|\Z)', re.DOTALL)
_NONCE_COUNT = re.compile(r"[0-9a-fA-F]{8}")
_STAMP = struct.Struct(">QI")
_SEAL = 16
_WINDOW = 64
_REMEMBERED = 20_000


@dataclass(frozen=True, slots=True)
class Credentials:
    """What we prove ourselves with towards a peer."""

    username: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Verified:
    """The request was sent by somebody who knows the password of this user."""

    user: str


@dataclass(frozen=True, slots=True)
class Refused:
    """Nothing was proven."""

    stale: bool
    """The answer was right, but over a nonce that no longer counts: challenge again with `stale`."""
    user: str | None
    """Who it claimed to be; None without an answer to our challenge."""


class Authenticator:
    """The server side for one realm."""

    def __init__(
        self,
        realm: str,
        secrets: Secrets,
        *,
        secret_key: bytes,
        nonce_ttl: float = 300.0,
        algorithms: Sequence[str] = DEFAULT_ALGORITHMS,
        allow_without_qop: bool = False,
    ) -> None:
        """`secret_key` seals the nonces; new at each start is fine. `nonce_ttl` in seconds.

        `allow_without_qop` accepts answers as of RFC 2069, once per nonce.
        """
        self.realm = realm
        self._secrets = secrets
        self._key = secret_key
        self._ttl = nonce_ttl
        self._algorithms = {name.upper(): name for name in algorithms}
        self._allow_without_qop = allow_without_qop
        self._issued = 0
        self._used = _UsedCounts(_REMEMBERED)
        unknown = [name for name in algorithms if name not in _PREFERENCE]
        if unknown:
            raise ValueError(f"digest algorithm {unknown[0]}: allowed are {', '.join(_PREFERENCE)}")

    def challenge(self, now: float, stale: bool = False) -> list[tuple[str, str]]:
        """WWW-Authenticate headers, the strongest algorithm first (RFC 8760 section 2.4)."""
        realm, nonce = f"realm={quote_string(self.realm)}", self._nonce(now)
        tail = ", stale=true" if stale else ""
        return [
            ("WWW-Authenticate", f'Digest {realm}, nonce="{nonce}", algorithm={name}, qop="auth"{tail}')
            for name in self._algorithms.values()
        ]

    def check(self, request: Request, now: float) -> Verified | Refused:
        """What the Authorization header of a request proves for this realm."""
        for value in request.headers.getlist("Authorization"):
            answer = parse_digest(value)
            if answer is not None and answer.get("realm") == self.realm:
                return self._verify(answer, request, now)
        return Refused(stale=False, user=None)

    def _verify(self, answer: dict[str, str], request: Request, now: float) -> Verified | Refused:
        user = _username(answer)
        if user is None:
            return Refused(stale=False, user=None)
        refused = Refused(stale=False, user=user)
        algorithm = self._algorithms.get(answer.get("algorithm", "MD5").upper())
        if algorithm is None or not self._is_complete(answer) or not _same_resource(answer["uri"], request):
            return refused
        password = self._secrets(user)
        expected = digest_response(
            algorithm, user, self.realm, password or self._nobodys_password(user), request.method, answer
        )
        right = hmac.compare_digest(expected.encode(), answer["response"].lower().encode("utf-8", "replace"))
        if not right or password is None:
            return refused
        if not self._counts(answer, now):
            return Refused(stale=True, user=user)
        return Verified(user)

    def _is_complete(self, answer: dict[str, str]) -> bool:
        if not all(answer.get(name) for name in ("nonce", "uri", "response")):
            return False
        if "qop" not in answer:
            return self._allow_without_qop
        # auth-int is never offered: bodies change on the way, at every session border controller.
        return (
            answer["qop"].lower() == "auth"
            and bool(answer.get("cnonce"))
            and _NONCE_COUNT.fullmatch(answer.get("nc", "")) is not None
        )

    def _nobodys_password(self, user: str) -> str:
        return hmac.new(self._key, _bytes(user), hashlib.sha256).hexdigest()

    # -- nonces --

    def _nonce(self, now: float) -> str:
        self._issued += 1
        stamp = _STAMP.pack(int(now * 1000), self._issued & 0xFFFFFFFF)
        return b64encode(stamp + self._seal(stamp)).decode()

    def _seal(self, stamp: bytes) -> bytes:
        return hmac.new(self._key, stamp + _bytes(self.realm), hashlib.sha256).digest()[:_SEAL]

    def _counts(self, answer: dict[str, str], now: float) -> bool:
        """Whether the nonce is ours and young, and this use of it is the first with its nonce count."""
        try:
            sealed = b64decode(answer["nonce"], validate=True)
        except (Base64Error, ValueError):
            return False
        stamp, seal = sealed[: _STAMP.size], sealed[_STAMP.size :]
        if len(stamp) != _STAMP.size or not hmac.compare_digest(seal, self._seal(stamp)):
            return False
        issued_at = _STAMP.unpack(stamp)[0] / 1000
        if not -1.0 <= now - issued_at <= self._ttl:
            return False
        # An answer without a count (RFC 2069) is taken for the first, so that it cannot be used twice either.
        return self._used.take(stamp, int(answer.get("nc", "1"), 16))


class _UsedCounts:
    """Which nonce counts of which nonces were used: the highest of each, and a window below it.

    Requests overtake each other on UDP, hence the window. When the memory is full the oldest nonce is
    forgotten, and with it every nonce that is as old and unknown stops counting, so that forgetting allows
    no replay.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._seen: dict[bytes, tuple[int, int]] = {}
        self._forgotten = b""

    def take(self, nonce: bytes, count: int) -> bool:
        """Note a use; False when it is not the first or too old to tell."""
        highest, window = self._seen.get(nonce, (0, 0))
        if count < 1 or (highest == 0 and nonce <= self._forgotten):
            return False
        ahead = count - highest
        if ahead > 0:
            window = ((window << min(ahead, _WINDOW)) | 1) & ((1 << _WINDOW) - 1)
            highest = count
        elif -ahead >= _WINDOW or window >> -ahead & 1:
            return False
        else:
            window |= 1 << -ahead
        self._seen[nonce] = (highest, window)
        if len(self._seen) > self._size:
            oldest = next(iter(self._seen))
            self._forgotten = max(self._forgotten, oldest)
            del self._seen[oldest]
        return True


# -- the client side --


@dataclass(frozen=True, slots=True)
class Challenge:
    """A digest challenge that we can answer."""

    header: str
    """The header that carries the answer: Authorization or Proxy-Authorization."""
    algorithm: str
    parameters: dict[str, str]

    @property
    def stale(self) -> bool:
        """Whether our answer was right and only the nonce too old: answer again, the password is fine."""
        return self.parameters.get("stale", "").lower() == "true"

    def answer(self, method: str, uri: str, credentials: Credentials, nonce_count: int, cnonce: str) -> tuple[str, str]:
        """The header that proves `credentials`. `nonce_count` starts at 1 for each nonce."""
        given = {"nonce": self.parameters["nonce"], "uri": uri}
        if "auth" in _tokens(self.parameters.get("qop", "")):
            given |= {"qop": "auth", "nc": f"{nonce_count:08x}", "cnonce": cnonce}
        elif self.algorithm.endswith("-sess"):
            given["cnonce"] = cnonce
        realm = self.parameters["realm"]
        response = digest_response(self.algorithm, credentials.username, realm, credentials.password, method, given)
        parts = [
            f"username={quote_string(credentials.username)}",
            f"realm={quote_string(realm)}",
            f"nonce={quote_string(given['nonce'])}",
            f"uri={quote_string(uri)}",
            f'response="{response}"',
            f"algorithm={self.algorithm}",
        ]
        if "cnonce" in given:
            parts.append(f"cnonce={quote_string(cnonce)}")
        if "qop" in given:
            parts += ["qop=auth", f"nc={given['nc']}"]
        if "opaque" in self.parameters:
            parts.append(f"opaque={quote_string(self.parameters['opaque'])}")
        return self.header, "Digest " + ", ".join(parts)


def challenge_of(response: Response) -> Challenge | None:
    """The challenge of a 401 or 407 to answer: the strongest of those that we can, or None."""
    asks, header = ("Proxy-Authenticate", "Proxy-Authorization")
    if response.code == 401:
        asks, header = ("WWW-Authenticate", "Authorization")
    found: dict[str, Challenge] = {}
    for value in response.headers.getlist(asks):
        parameters = parse_digest(value)
        if parameters is None or not parameters.get("nonce") or "realm" not in parameters:
            continue
        base, session = _split_algorithm(parameters.get("algorithm", "MD5"))
        offered = _tokens(parameters.get("qop", ""))
        if base in _PREFERENCE and (not offered or "auth" in offered):
            found.setdefault(base, Challenge(header, base + session, parameters))
    return next((found[name] for name in _PREFERENCE if name in found), None)


# -- what both sides share --


def digest_response(algorithm: str, user: str, realm: str, password: str, method: str, answer: dict[str, str]) -> str:
    """The `response` parameter (RFC 7616 3.4.1); `answer` has nonce, uri, and with qop nc and cnonce."""
    base, session = _split_algorithm(algorithm)
    nonce, cnonce = answer["nonce"], answer.get("cnonce", "")
    secret = _hash(base, f"{user}:{realm}:{password}")
    if session:
        secret = _hash(base, f"{secret}:{nonce}:{cnonce}")
    action = _hash(base, f"{method}:{answer['uri']}")
    if "qop" in answer:
        return _hash(base, f"{secret}:{nonce}:{answer['nc']}:{cnonce}:{answer['qop']}:{action}")
    return _hash(base, f"{secret}:{nonce}:{action}")


def parse_digest(value: str) -> dict[str, str] | None:
    """The parameters of a Digest challenge or answer, names in lower case; None when it cannot be read."""
    scheme, _, rest = value.strip().partition(" ")
    if scheme.lower() != "digest":
        return None
    parameters: dict[str, str] = {}
    position = 0
    rest = rest.strip()
    while position < len(rest):
        match = _PARAMETER.match(rest, position)
        if match is None or match[1].lower() in parameters:
            return None
        parameters[match[1].lower()] = unquote_string(match[2])
        position = match.end()
    return parameters


def _split_algorithm(name: str) -> tuple[str, str]:
    """ "MD5-sess" as ("MD5", "-sess"); the base in upper case."""
    upper = name.upper()
    return (upper[:-5], "-sess") if upper.endswith("-SESS") else (upper, "")


def _hash(algorithm: str, text: str) -> str:
    data = _bytes(text)
    if algorithm == "SHA-256":
        return hashlib.sha256(data).hexdigest()
    if algorithm == "SHA-512-256":
        return hashlib.new("sha512_256", data).hexdigest()
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _tokens(value: str) -> list[str]:
    return [token.strip().lower() for token in value.split(",") if token.strip()]


def _username(answer: dict[str, str]) -> str | None:
    """The user that the answer names; `username*` is the form for UTF-8 (RFC 7616 section 3.4)."""
    if answer.get("userhash", "false").lower() != "false":
        return None  # never offered
    if "username" in answer:
        return answer["username"] or None
    charset, _, rest = answer.get("username*", "").partition("'")
    encoded = rest.partition("'")[2]
    return unquote(encoded) or None if charset.upper() == "UTF-8" else None


def _same_resource(uri: str, request: Request) -> bool:
    """Whether the answer was made for this request.

    RFC 7616 section 3.4.6 asks for an equivalent URI. Port and parameters may differ, and the user may be
    missing: session border controllers and phones disagree about them, and the nonce count already keeps an
    answer from being used twice.
    """
    if uri == str(request.uri):
        return True
    try:
        answered = parse_uri(uri)
    except ValueError:
        return False
    asked = request.uri
    return answered.user in (None, asked.user) and answered.host.lower() == asked.host.lower()
