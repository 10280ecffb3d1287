"""What the end of one attempt says: about the person who was called, or about the trunk. Pure.

What a person or his telephone said ends the search: another trunk leads to the same telephone. What a trunk said of
itself leads to the next one. RFC 3261 section 16.7 and RFC 3398 section 8.2.6.1 (which cause becomes which status):

===============  ==========================================================================================
next trunk
408              nobody answered the trunk in time; but if the telephone rang, nobody picked it up: stop
401, 407, 402    our account with this trunk: password, credit
403              this trunk does not let us: destination barred, caller id not ours, limit reached
404              this trunk knows no way to the number. A number that does not exist costs one more attempt
405 to 488, 49x  this trunk and we do not understand each other (media, extensions, an incomplete number)
5xx              the trunk or something behind it failed. 501, too: what one does not implement another may
3xx              we are sent elsewhere. Never followed: where that leads no interlock has been asked
no answer        not a word within seconds, no way to the trunk
===============  ==========================================================================================

===============  ==========================================================================================
stop
486, 600         busy
603, 607, 608    declined: by the person, or by what he has set up
480              cannot be reached now, or does not want to be
410, 604         the number is gone, and exists nowhere
606              his telephone cannot take the call
487              the call was withdrawn
2xx              something picked up
===============  ==========================================================================================

A `Reason` header with a Q.850 cause (RFC 3326) says it more exactly than the status: busy (17), no answer (18, 19),
rejected (21), number changed (22) are about the person whatever the status. After it rang, 4xx are about him, too.
"""

import re
from dataclasses import dataclass

from voice.ringing import Outcome

OF_THE_PERSON = frozenset({410, 480, 486, 487, 600, 603, 604, 606, 607, 608})

_CAUSES = {17: Outcome.BUSY, 18: Outcome.NO_ANSWER, 19: Outcome.NO_ANSWER, 21: Outcome.DECLINED}
_CHANGED = 22
_STATUSES = {486: Outcome.BUSY, 600: Outcome.BUSY, 603: Outcome.DECLINED, 480: Outcome.DECLINED, 487: Outcome.NO_ANSWER}
_STATUSES |= {607: Outcome.DECLINED, 608: Outcome.DECLINED}


@dataclass(frozen=True, slots=True)
class Attempt:
    """How one attempt ended that nobody answered."""

    status: int | None
    """The final status of the peer; None when there was none."""
    rang: bool = False
    reason: str = ""
    """The `Reason` header."""

    @property
    def cause(self) -> int | None:
        """The cause of ITU-T Q.850, where the network gives it."""
        found = re.search(r"q\.850[^,]*?;\s*cause\s*=\s*(\d{1,3})", self.reason, re.IGNORECASE)
        return int(found[1]) if found else None


def tries_next(attempt: Attempt) -> bool:
    """Whether another trunk may do better."""
    status = attempt.status
    if attempt.cause in _CAUSES or attempt.cause == _CHANGED:
        return False
    if status is None:
        return not attempt.rang
    if status < 300 or status in OF_THE_PERSON or status >= 600:
        return False
    return not (attempt.rang and 400 <= status < 500)


def outcome_of(attempt: Attempt) -> Outcome:
    """What it means for the person who was to be reached."""
    if attempt.cause in _CAUSES:
        return _CAUSES[attempt.cause]
    if attempt.status in _STATUSES:
        return _STATUSES[attempt.status]
    return Outcome.NO_ANSWER if attempt.rang and attempt.status in (None, 408) else Outcome.UNREACHABLE


def retry_after(value: str | None) -> float | None:
    """Seconds of a Retry-After header (RFC 3261 section 20.33); None without one that can be read."""
    found = re.match(r"\s*(\d{1,6})", value or "")
    return float(found[1]) if found else None
