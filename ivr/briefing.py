"""What a control room is told: who, what, where, since when, whom to call back. Repeated, then connected.

Not every control room can press keys, so nothing depends on them: after the last repeat the call taker is connected.
Confirming (9) or asking to be connected (2) proves that a person has understood; asking for a repeat (1) does not.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from ivr.menu import Dialogue
from ivr.phone import Phone
from ivr.speech import Voice

REPEAT, CONNECT, CONFIRM = "1", "2", "9"
PROOF = {CONNECT: "asked to be connected by key", CONFIRM: "confirmed by key that the briefing was understood"}

BRIEFING = Dialogue(name="briefing", purpose="", start="facts", steps={}, limit=600.0, at_limit="unconfirmed")


class Outcome(StrEnum):
    CONNECT = "connect"
    """A person asked to be connected."""
    CONFIRMED = "confirmed"
    """A person confirmed, and needs no connection."""
    UNCONFIRMED = "unconfirmed"
    """No key came. The call is up; perhaps somebody listens: connect him."""
    HUNG_UP = "hung_up"


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known. What is not known is said to be unknown."""

    customer: str
    worker: str
    kind: str
    since: datetime
    callback: str
    """Telephone number."""
    address: str = ""
    latitude: float | None = None
    longitude: float | None = None
    uncertainty_m: float | None = None
    located_at: datetime | None = None

    def values(self, now: datetime) -> dict[str, Any]:
        return {}


async def brief(
    phone: Phone,
    voice: Voice,
    facts: Facts,
    *,
    now: datetime,
    on_confirmed: Callable[[str], None] | None = None,
) -> Outcome:
    """Brief the call taker. `on_confirmed` is told the proof at the key press. The call is up unless `hung_up`."""
    raise NotImplementedError
