"""What a control room is told: who, what, where, since when, whom to call back. Repeated, then connected.

Not every control room can press keys, so nothing depends on them: after the last repeat the call taker is connected.
Confirming (9) or asking to be connected (2) proves that a person has understood; asking for a repeat (1) does not.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from ivr.menu import Choice, Dialogue, Ending, Question
from ivr.phone import Phone
from ivr.runner import converse
from ivr.saying import Moment
from ivr.speech import Voice

REPEAT, CONNECT, CONFIRM = "1", "2", "9"

PROOF = {
    CONNECT: "asked by key to be connected",
    CONFIRM: "confirmed by key that the report was understood",
}
"""What these keys prove, for the timeline."""

FACTS = (
    "briefing.what",
    "briefing.address",
    "briefing.coordinates",
    "briefing.accuracy",
    "briefing.age",
    "briefing.nowhere",
    "briefing.since",
    "briefing.callback",
)

_CONNECT = Choice("connect", says=("briefing.connecting",))

BRIEFING = Dialogue(
    name="briefing",
    purpose="tells a control room what is known of an emergency",
    start="report",
    steps={
        "report": Question(
            announces=("briefing.who",),
            asks=("briefing.hint", *FACTS, "briefing.keys"),
            again=(*FACTS, "briefing.keys"),
            keys={
                REPEAT: Choice("repeat"),
                CONNECT: _CONNECT,
                CONFIRM: Choice("confirmed", says=("briefing.confirmed",)),
            },
            waits=6.0,
            repeats=2,
            mistakes=4,
            silence="unconfirmed",
        ),
        "repeat": Question(
            asks=(*FACTS, "briefing.keys"),
            keys={
                REPEAT: Choice("repeat"),
                CONNECT: _CONNECT,
                CONFIRM: Choice("confirmed", says=("briefing.confirmed",)),
            },
            waits=6.0,
            repeats=1,
            mistakes=4,
            silence="unconfirmed",
        ),
        "confirmed": Question(
            asks=("briefing.more",),
            keys={REPEAT: Choice("repeat_confirmed"), CONNECT: _CONNECT},
            waits=6.0,
            repeats=0,
            silence="understood",
        ),
        "repeat_confirmed": Question(
            asks=(*FACTS, "briefing.more"),
            keys={REPEAT: Choice("repeat_confirmed"), CONNECT: _CONNECT},
            waits=6.0,
            repeats=0,
            silence="understood",
        ),
        "connect": Ending("connect", hang_up=False),
        "unconfirmed": Ending("unconfirmed", says=("briefing.connecting",), hang_up=False),
        "understood": Ending("confirmed", says=("goodbye",)),
    },
    limit=600.0,
    at_limit="unconfirmed",
)


class Outcome(StrEnum):
    CONNECT = "connect"
    """A person asked to be connected."""
    CONFIRMED = "confirmed"
    """A person confirmed and needs no connection. We hung up."""
    UNCONFIRMED = "unconfirmed"
    """No key came. The call is up, and perhaps somebody listens: connect him."""
    HUNG_UP = "hung_up"


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known. What is not known is left out; an unknown place is said to be unknown."""

    customer: str
    """"" where there is none, as with all that follows."""
    worker: str
    kind: str
    since: datetime
    callback: str = ""
    """Telephone number."""
    address: str = ""
    latitude: float | None = None
    longitude: float | None = None
    uncertainty_m: float | None = None
    located_at: datetime | None = None

    def values(self, now: datetime) -> dict[str, Any]:
        """The values of the prompts."""
        is_located = self.latitude is not None and self.longitude is not None
        return {
            "known": bool(self.customer),
            "customer": self.customer,
            "has_worker": bool(self.worker),
            "worker": self.worker,
            "kind": self.kind,
            "has_address": bool(self.address),
            "address": self.address,
            "has_coordinates": is_located,
            "coordinates": (self.latitude or 0.0, self.longitude or 0.0),
            "has_accuracy": is_located and self.uncertainty_m is not None,
            "uncertainty": self.uncertainty_m or 0.0,
            "has_age": is_located and self.located_at is not None,
            "located": Moment(self.located_at or now, now),
            "has_place": is_located or bool(self.address),
            "since": Moment(self.since, now),
            "ago": max(0.0, (now - self.since).total_seconds()),
            "has_callback": bool(self.callback),
            "callback": self.callback,
        }


async def prepare(voice: Voice, facts: Facts, now: datetime) -> None:
    """Have everything ready that `brief` may say, while the line still rings."""
    await voice.prepare(BRIEFING.prompts, facts.values(now))


async def brief(
    phone: Phone,
    voice: Voice,
    facts: Facts,
    *,
    now: datetime,
    on_confirmed: Callable[[str], None] | None = None,
) -> Outcome:
    """Brief the call taker.

    `on_confirmed` is told the proof at the first key press that proves a person, before it is confirmed by voice.
    The call is up afterwards if the outcome is `connect` or `unconfirmed`.
    """
    proven = False

    def pressed(step: str, key: str) -> None:
        nonlocal proven
        if key in PROOF and not proven and on_confirmed is not None:
            on_confirmed(PROOF[key])
        proven = proven or key in PROOF

    result = await converse(BRIEFING, phone, voice, values=facts.values(now), on_key=pressed)
    if result.hung_up:
        return Outcome.CONFIRMED if proven else Outcome.HUNG_UP
    return Outcome(result.outcome)
