"""The check-in call: we call a worker, and he says that he is well.

He presses a key that is drawn anew for each call, or keys his PIN. What calls for help in silence goes the same way to
the last sample: the desk accepts the one as the other, and nothing here knows which it was.

Once an entry was made we never hang up. The line stays open and silent for as long as the worker leaves it, after every
check-in; so an open line tells a bystander nothing. That holds for entries that were refused, too: while a PIN is
locked, one that calls for help is answered as a wrong one, and somebody listens on the line afterwards. We hang up on
silence: nobody has said anything there, and a voicemail would go on recording.
"""

import random
from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from ivr.desk import Desk
from ivr.machine import Machine
from ivr.menu import AGAIN, Act, Choice, Dialogue, Digits, Ending, Question, Step
from ivr.phone import Phone
from ivr.runner import converse, heard_by
from ivr.runner import prepare as render
from ivr.speech import Voice

PATIENCE = 2.5
"""Seconds after a key that was not asked for, within which the next one belongs to the same entry."""

_ANSWERED: dict[str, Step] = {
    "verify": Act("verify", takes=("entry",), ways={"accepted": Choice("confirm"), "refused": Choice(AGAIN)}),
    "confirm": Act(
        "confirm",
        ways={"confirmed": Choice("thanks"), "over": Choice("over"), "none": Choice("thanks_only")},
    ),
    "over": Question(
        asks=("check_in.over",),
        keys={"1": Choice("extend")},
        waits=6.0,
        repeats=1,
        silence="ended",
        eager=True,
        late="ended",
        left="over",
    ),
    "extend": Act("extend", ways={"extended": Choice("extended"), "refused": Choice("not_extended")}),
    "thanks": Ending("accepted", says=("check_in.thanks",), hang_up=False),
    "thanks_only": Ending("accepted", says=("check_in.thanks_only",), hang_up=False),
    "extended": Ending("extended", says=("worker.extended",), hang_up=False),
    "not_extended": Ending("over", says=("worker.not_possible",), hang_up=False),
    "ended": Ending("over", hang_up=False),
    "not_confirmed": Ending("not_confirmed", says=("check_in.not_confirmed",)),
    "voicemail_suspected": Ending("voicemail_suspected"),
}

CHECK_IN = Dialogue(
    name="check_in",
    purpose="asks a worker by key whether he is well",
    start="ask",
    steps={
        "ask": Question(
            announces=("check_in.who",),
            asks=("check_in.ask",),
            keys={"{key}": Choice("verify")},
            digits=Digits("verify", maximum=8, between=PATIENCE, entries="{entries}"),
            enters="entry",
            waits=6.0,
            repeats=2,
            mistakes=3,
            wrong=("check_in.again",),
            silence="not_confirmed",
            machine="voicemail_suspected",
        ),
        **_ANSWERED,
    },
    limit=75.0,
    at_limit="not_confirmed",
)

CHECK_IN_PIN = Dialogue(
    name="check_in_pin",
    purpose="asks a worker by PIN whether he is well",
    start="ask",
    steps={
        "ask": Question(
            asks=("check_in.who", "check_in.pin"),
            digits=Digits("verify", maximum=12, between=4.0),
            enters="entry",
            again=("check_in.pin",),
            waits=8.0,
            repeats=2,
            mistakes=3,
            wrong=("check_in.again",),
            eager=True,
            silence="not_confirmed",
            machine="voicemail_suspected",
        ),
        **_ANSWERED,
    },
    limit=90.0,
    at_limit="not_confirmed",
)


class Outcome(StrEnum):
    ACCEPTED = "accepted"
    """The entry counted. The call is up."""
    OVER = "over"
    """The same, and the session is over with it. The call is up."""
    EXTENDED = "extended"
    """The same, and then he extended the session. The call is up."""
    NOT_CONFIRMED = "not_confirmed"
    """Silence, or what did not count. We hung up, unless an entry was refused: then the call is up."""
    VOICEMAIL_SUSPECTED = "voicemail_suspected"
    """Silence, after something that sounded like an answering machine. We hung up."""
    HUNG_UP = "hung_up"
    """He hung up before an entry counted."""

    @property
    def is_answered(self) -> bool:
        """A person has made an entry that counted."""
        return self in (Outcome.ACCEPTED, Outcome.OVER, Outcome.EXTENDED)


@dataclass(frozen=True, slots=True)
class CheckedIn:
    """What came of a check-in call."""

    outcome: Outcome
    why: str = ""
    """For the timeline: what the detector heard, how many entries did not count."""
    hung_up: bool = False
    """The worker has hung up."""


@dataclass(frozen=True, slots=True)
class CheckIn:
    """What one check-in call says and asks."""

    worker: str
    """The worker's name."""
    customer: str = ""
    """"" where there is none."""
    key: str | None = None
    """The key that is asked for (`random_key`); None: the PIN is."""
    entries: Collection[str] = ()
    """What else counts as soon as it is keyed (the worker's `duress_keys`). Never said."""
    is_last: bool = False
    """The session is over: he is asked once more."""
    is_repeated: bool = True
    """He is called again if this one is not confirmed."""

    @property
    def dialogue(self) -> Dialogue:
        return CHECK_IN_PIN if self.key is None else CHECK_IN

    @property
    def values(self) -> dict[str, Any]:
        return {
            "known": bool(self.customer),
            "customer": self.customer,
            "worker": self.worker,
            "key": self.key or "",
            "entries": tuple(self.entries),
            "last": self.is_last,
            "repeated": self.is_repeated,
        }


def random_key(dice: random.Random, entries: Collection[str] = ()) -> str:
    """The key that confirms, 1 to 9, in one call only: none that begins an entry with another meaning."""
    begins = {entry[0] for entry in entries if entry}
    return dice.choice([key for key in "123456789" if key not in begins])


async def prepare(voice: Voice, call: CheckIn) -> None:
    """Have everything ready that can be, while the phone still rings."""
    await render(voice, call.dialogue.prompts, call.values)


async def check_in(phone: Phone, voice: Voice, desk: Desk, call: CheckIn) -> CheckedIn:
    """Ask. The call is up afterwards if an entry was made and he has not hung up; it is his to end."""
    machine = Machine()
    with heard_by(machine, phone):
        result = await converse(
            call.dialogue, phone, voice, values=call.values, desk=desk, suspicion=lambda: machine.suspicion
        )
    outcome = Outcome(result.outcome)
    return CheckedIn(outcome, "" if outcome.is_answered else _why(result.wrong_keys, machine), result.hung_up)


def _why(wrong: int, machine: Machine) -> str:
    told = [f"{wrong} wrong {'entries' if wrong > 1 else 'entry'}"] if wrong else []
    return ", ".join(told + ([machine.suspected] if machine.suspected else []))
