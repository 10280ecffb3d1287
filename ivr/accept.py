"""Asking somebody to take an alarm. Only the key that is asked for proves a person; it is drawn anew for each call.

A voicemail, a call screener, a child with the phone: none of them presses it. Keys pressed before the key was named
count for nothing, so that no stray or typed-ahead digit accepts by accident.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from ivr.machine import Machine
from ivr.menu import Choice, Dialogue, Ending, Question
from ivr.phone import Phone
from ivr.runner import converse, heard_by
from ivr.speech import Voice

DECLINE = "*"
"""The key with which an alarm is declined. Fixed, and none of the keys that accept."""

PROOF = "pressed the key asked for"

ACCEPT = Dialogue(
    name="accept",
    purpose="asks a contact whether he takes an alarm",
    start="ask",
    steps={
        "ask": Question(
            announces=("accept.who", "accept.what", "accept.take"),
            asks=("accept.decline",),
            again=("accept.who", "accept.take", "accept.decline"),
            keys={
                "{key}": Choice("accepted", says=("accept.accepted",)),
                DECLINE: Choice("declined", says=("accept.declined",)),
            },
            waits=4.0,
            repeats=2,
            mistakes=2,
            silence="not_accepted",
            machine="voicemail_suspected",
        ),
        "accepted": Ending("accepted", hang_up=False),
        "declined": Ending("declined", says=("goodbye",)),
        "not_accepted": Ending("not_accepted", says=("accept.nobody",)),
        "voicemail_suspected": Ending("voicemail_suspected"),
    },
    limit=35.0,  # no repeat begins later, so that it all ends within the 60 s that an answered leg is given
    at_limit="not_accepted",
)


class Outcome(StrEnum):
    ACCEPTED = "accepted"
    DECLINED = "declined"
    NOT_ACCEPTED = "not_accepted"
    """Silence, or wrong keys."""
    VOICEMAIL_SUSPECTED = "voicemail_suspected"
    """Silence, after something that sounded like an answering machine."""
    HUNG_UP = "hung_up"


@dataclass(frozen=True, slots=True)
class Acceptance:
    """What came of asking."""

    outcome: Outcome
    why: str = ""
    """For the timeline: what the detector heard, how many wrong keys there were."""
    hung_up: bool = False
    """The call is over: also after `accepted`, when he pressed the key and hung up."""


@dataclass(frozen=True, slots=True)
class Alarm:
    """What is said of an alarm to whom it is offered."""

    customer: str
    """"" where there is none."""
    worker: str
    """Name of the worker; "" where none is known."""
    kind: str
    """`panic`, `man_down`, … (prompts `kind.*`)"""

    def values(self, key: str) -> dict[str, Any]:
        return {
            "known": bool(self.customer),
            "customer": self.customer,
            "has_worker": bool(self.worker),
            "worker": self.worker,
            "kind": self.kind,
            "key": key,
        }


def random_key(dice: random.Random) -> str:
    """The key that takes the alarm, 1 to 9: in one call only."""
    return str(dice.randint(1, 9))


async def account(voice: Voice, alarm: Alarm) -> bytes:
    """What an alarm is, for somebody who has it already and is asked for no key: whose it is, if that is known, and of
    which kind. A-law, 8 kHz."""
    prompts = ("accept.who", "accept.what") if alarm.worker else ("accept.what",)
    return b"".join([await voice.say(prompt, **alarm.values("")) for prompt in prompts])


async def prepare(voice: Voice, alarm: Alarm, key: str) -> None:
    """Have everything ready that `accept` may say, while the phone still rings."""
    await voice.prepare(ACCEPT.prompts, alarm.values(key))


async def accept(
    phone: Phone,
    voice: Voice,
    alarm: Alarm,
    *,
    key: str,
    on_accepted: Callable[[], None] | None = None,
) -> Acceptance:
    """Ask. `on_accepted` is called at the key press, before it is confirmed by voice: other phones stop ringing then.

    The call is up afterwards only if the outcome is `accepted` (and he has not hung up).
    """
    machine = Machine()

    def pressed(step: str, pressed_key: str) -> None:
        if pressed_key == key and on_accepted is not None:
            on_accepted()

    with heard_by(machine, phone):
        result = await converse(
            ACCEPT,
            phone,
            voice,
            values=alarm.values(key),
            on_key=pressed,
            suspicion=lambda: machine.suspicion,
        )
    outcome = Outcome(result.outcome)
    return Acceptance(outcome, _why(outcome, result.wrong_keys, machine), result.hung_up)


def _why(outcome: Outcome, wrong_keys: int, machine: Machine) -> str:
    if outcome is Outcome.ACCEPTED:
        return PROOF
    told = [f"{wrong_keys} wrong key{'s' if wrong_keys > 1 else ''}"] if wrong_keys else []
    return ", ".join(told + ([machine.suspected] if machine.suspected else []))
