"""What the engine wants done. Delivered at least once, in order; each has a key by which doing it again is noticed.

The key of a command is `sequence.n`: the number of the decision within its incident, and its place in it. The leg or
call that a command starts is named by that key.
"""

from dataclasses import dataclass
from typing import Literal

Channel = Literal["sms", "email"]


@dataclass(frozen=True, slots=True)
class Ring:
    """Call a contact on one of his numbers, and ask him to take the alarm."""

    leg: str
    contact: str
    number: str
    seconds: float
    """How long it may ring."""


@dataclass(frozen=True, slots=True)
class Cancel:
    """End a leg that is not needed any more. A leg that was answered is told why first."""

    leg: str
    taken_by: str | None = None
    """Actor who has the alarm now: said as "has been taken by …"; None: the incident is over."""


@dataclass(frozen=True, slots=True)
class Send:
    """Send a message to a contact."""

    key: str
    contact: str
    channel: Channel
    text: str = ""
    """What the plan adds to the standard text."""
    link: bool = False
    """Whether it carries an acknowledgement link."""
    counts: bool = False
    """Whether following the link counts as a person taking the alarm."""


@dataclass(frozen=True, slots=True)
class CallEmergency:
    """Call the emergency services. Never blindly repeated once INVITE may have been sent."""

    call: str
    route: str
    asked_by: str
    """Actor who confirmed it, or `plan` for the automatic step."""


@dataclass(frozen=True, slots=True)
class RaiseTechnical:
    """Raise a technical alarm: this escalation reaches nobody."""

    key: str
    why: str


Command = Ring | Cancel | Send | CallEmergency | RaiseTechnical
