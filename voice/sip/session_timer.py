"""Session timers (RFC 4028): every INVITE, UPDATE and its 2xx says who refreshes the session, and when.

In a message "uac" and "uas" mean the sides of that one transaction, not of the call; here they become "we"
or "they".
"""

from dataclasses import dataclass

from voice.sip.core import SessionTimerPolicy
from voice.sip.message import Message, Request, Response, headers, parse_params

LONGEST = 2**31 - 1


@dataclass(frozen=True, slots=True)
class SessionTimer:
    """What the two sides agreed on."""

    interval: int
    we_refresh: bool

    @property
    def refresh_after(self) -> float:
        """Section 10: RECOMMENDED is a refresh "once half the session interval has elapsed"."""
        return self.interval / 2

    @property
    def expires_after(self) -> float:
        """Section 10: the BYE of the side that waits goes out "slightly before the session expiration"."""
        return self.interval - min(32.0, self.interval / 3)


@dataclass(frozen=True, slots=True)
class Asked:
    """Session-Expires and Min-SE of a message."""

    interval: int | None
    refresher: str | None
    minimum: int
    supported: bool
    """Whether the sender knows session timers."""


def asked(message: Message) -> Asked:
    """Read what a message says of session timers; nonsense counts as absent."""
    value = message.headers.get("Session-Expires") or ""
    digits, _, params = value.partition(";")
    refresher = (parse_params(params).get("refresher") or "").lower() if params else ""
    return Asked(
        _seconds(digits),
        refresher if refresher in ("uac", "uas") else None,
        _seconds((message.headers.get("Min-SE") or "").partition(";")[0]) or 90,
        "timer" in headers(message, "Supported") or "timer" in headers(message, "Require"),
    )


def too_small(request: Request, policy: SessionTimerPolicy) -> bool:
    """Section 9: whether to answer 422. Only to a peer that knows timers: another could not mend it."""
    if not request.headers.getlist("Session-Expires"):
        return False
    wish = asked(request)
    return wish.supported and wish.interval is not None and wish.interval < policy.minimum


def answer(request: Request) -> tuple[SessionTimer | None, list[tuple[str, str]]]:
    """Our part in a 2xx (section 9, table 2): the agreement and the header fields that state it.

    Nobody asked: no timer, since a device that forgets its refresh would lose its alarm call. Asked without
    saying who refreshes: we do, for the same reason. A peer that does not know timers never refreshes; a
    proxy asked then.
    """
    wish = asked(request)
    if wish.interval is None:
        return None, []
    they = wish.supported and wish.refresher == "uac"
    fields = [("Session-Expires", f"{wish.interval};refresher={'uac' if they else 'uas'}")]
    if wish.supported:
        fields.append(("Require", "timer"))
    return SessionTimer(wish.interval, we_refresh=not they), fields


def settle(response: Response) -> SessionTimer | None:
    """What a 2xx to a request of ours fixed (section 7.2); None when the session does not expire."""
    wish = asked(response)
    if wish.interval is None:
        return None
    return SessionTimer(wish.interval, we_refresh=wish.refresher != "uas")


def request_fields(interval: int | None, minimum: int | None, refresher: str | None = None) -> list[tuple[str, str]]:
    """Session-Expires and Min-SE of a request of ours (section 7.1)."""
    if interval is None:
        return []
    value = f"{interval};refresher={refresher}" if refresher else str(interval)
    fields = [("Session-Expires", value)]
    if minimum is not None:
        fields.append(("Min-SE", str(minimum)))
    return fields


def _seconds(text: str) -> int | None:
    text = text.strip()
    if not text.isascii() or not text.isdigit() or len(text) > 10:
        return None
    seconds = int(text)
    return seconds if 0 < seconds <= LONGEST else None
