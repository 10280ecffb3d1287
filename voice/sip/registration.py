"""Our registration with a trunk or a PBX, as a client (RFC 3261 section 10.2); pure.

The shell sends a REGISTER whenever `due`, through `Endpoint.request`, which answers a digest challenge:

    if registration.due(now):
        fields = registration.begin(contact, now)
        response = await endpoint.request("REGISTER", target, headers=fields, ...)
        registration.answered(response, now)
"""

import enum
from random import Random

from voice.errors import UsageError
from voice.sip.message import Response, header, headers, params_of, parse_uri, uri_of
from voice.sip.uri import equivalent

REFRESH_AT = 0.8
"""Part of the granted time after which we refresh, so that two lost attempts still fit."""
FIRST_RETRY, LONGEST_RETRY = 5.0, 120.0
"""Seconds between attempts after a failure: they double, with jitter, but not to the 30 minutes of RFC 5626
section 4.5, for a trunk carries alarms."""
REFUSED_RETRY = 60.0
"""Seconds to wait at least after a refusal: a wrong password repeated fast gets us locked out."""
_LONGEST_EXPIRES = 86_400


class State(enum.Enum):
    """Where a registration stands."""

    UNREGISTERED = "unregistered"
    REGISTERED = "registered"
    FAILED = "failed"
    """The last attempt failed and nothing is left of an earlier one."""
    REMOVED = "removed"
    """We took it back."""


class Registration:
    """One address of record that we keep registered. `random` spreads attempts."""

    def __init__(self, expires: int = 3600, *, random: Random) -> None:
        """`expires` is the time that we ask for, in seconds."""
        self.reason = ""
        """Why the last attempt failed."""
        self.expires_at: float | None = None
        """Until when the peer holds our binding."""
        self._expires = expires
        self._random = random
        self._next: float | None = 0.0
        self._contact = ""
        self._failures = 0
        self._raised = False
        self._stopping = False
        self._removed = False
        self._taking_back = False
        self._pending = False

    def state(self, now: float) -> State:
        """Where it stands."""
        if self._removed:
            return State.REMOVED
        if self.expires_at is not None and self.expires_at > now:
            return State.REGISTERED
        return State.FAILED if self._failures else State.UNREGISTERED

    def next_timer(self) -> float | None:
        """When the next REGISTER is due; None while one is under way, and after the end."""
        return None if self._pending else self._next

    def due(self, now: float) -> bool:
        """Whether a REGISTER should be sent now."""
        timer = self.next_timer()
        return timer is not None and timer <= now

    def begin(self, contact: str, now: float) -> list[tuple[str, str]]:
        """A REGISTER goes out: its Contact and Expires. `contact` is the URI where the peer shall reach us.

        Raises UsageError when none is due.
        """
        if not self.due(now):
            raise UsageError("no REGISTER is due")
        self._pending = True
        self._contact = contact
        self._taking_back = self._stopping
        expires = 0 if self._stopping else self._expires
        return [("Contact", f"<{contact}>;expires={expires}"), ("Expires", str(expires))]

    def answered(self, response: Response, now: float) -> None:
        """The final response to the REGISTER (a 408 of our own when none came)."""
        if not self._pending:
            raise UsageError("no REGISTER is under way")
        self._pending = False
        if self._taking_back or (self._stopping and response.code >= 300):
            self._end()
        elif response.code < 300:
            self._accepted(response, now)
            if self._stopping:
                self._next = now
        elif response.code == 423 and self._raise_expires(response):
            self._next = now
        else:
            self._failed(response, now)

    def lost(self, now: float) -> None:
        """The connection to the peer broke, and with it the way of its calls to us: register again."""
        if not self._stopping and not self._removed:
            self.expires_at = None
            self._next = now + self._random.uniform(0.0, 1.0)

    def stop(self, now: float) -> None:
        """Take it back: one more REGISTER is due, with expiry 0, when the peer holds a binding."""
        if self._removed:
            return
        self._stopping = True
        if self._pending or self.state(now) is State.REGISTERED:
            self._next = now
        else:
            self._end()

    def _accepted(self, response: Response, now: float) -> None:
        granted = self._granted(response)
        if granted == 0:
            self.reason = "the peer answered 2xx without a binding"
            self._retry(now, FIRST_RETRY)
            return
        self.reason, self._failures, self._raised = "", 0, False
        self.expires_at = now + granted
        self._next = now + REFRESH_AT * granted

    def _granted(self, response: Response) -> int:
        """The time granted: of our contact, else of the header, else what we asked (section 10.2.4)."""
        ours = parse_uri(self._contact)
        for value in headers(response, "Contact"):
            try:
                same = equivalent(ours, parse_uri(uri_of(value)))
            except ValueError:
                continue
            if same and (granted := _number(params_of(value).get("expires"))) is not None:
                return granted
        granted = _number(header(response, "Expires"))
        return self._expires if granted is None else granted

    def _raise_expires(self, response: Response) -> bool:
        """Ask for the time that the peer wants at least (section 10.2.8); once, as some are never pleased."""
        least = _number(header(response, "Min-Expires"))
        if least is None or self._raised or not self._expires < least <= _LONGEST_EXPIRES:
            return False
        self._expires, self._raised = least, True
        return True

    def _failed(self, response: Response, now: float) -> None:
        self.reason = f"{response.code} {response.phrase}"
        wait = _number((header(response, "Retry-After") or "").partition(";")[0].partition("(")[0])
        refused = 400 <= response.code < 500 and response.code not in (408, 480)
        self._retry(now, max(REFUSED_RETRY if refused else FIRST_RETRY, float(wait or 0)))

    def _retry(self, now: float, at_least: float) -> None:
        backoff = min(LONGEST_RETRY, FIRST_RETRY * 2.0 ** min(self._failures, 10))
        self._failures += 1
        self._next = now + max(at_least, backoff) * self._random.uniform(1.0, 1.5)

    def _end(self) -> None:
        self._removed = True
        self._next = self.expires_at = None


def _number(text: str | None) -> int | None:
    text = (text or "").strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None
