"""Rules about the legs to contacts who have not taken the alarm: ring, next number, next person.

    the leg ended               then
    ──────────────────────────  ─────────────────────────────────────────────
    busy, failed, no answer,    his next number at once; he has none: the next person, or the round is over
    voicemail, no report
    declined                    his other numbers are left alone in this round
    lost (with its process)     the same number once more, then as busy

A shell that never reports is held to be dead at the leg's deadline.
"""

from dataclasses import replace

from voice.escalation.commands import Cancel, Ring
from voice.escalation.events import (
    Busy,
    Declined,
    Failed,
    HungUp,
    LegLost,
    NoAnswer,
    PassedOn,
    VoicemailSuspected,
)
from voice.escalation.sparing import reach
from voice.escalation.state import Leg
from voice.escalation.turn import Turn

SETUP = 20.0
"""Seconds beyond its ringing that a call may take to report: fail-over to other trunks, a turn in a queue."""

DIALOGUE = 60.0
"""Seconds from the answer in which the contact can take the alarm."""

Ended = Busy | Declined | Failed | HungUp | LegLost | NoAnswer | PassedOn | VoicemailSuspected

_OUTCOMES: dict[type[Ended], str] = {
    Busy: "busy",
    Declined: "declined",
    Failed: "failed",
    HungUp: "no answer",  # late: of a contact whose acceptance never came
    LegLost: "lost",
    NoAnswer: "no answer",
    PassedOn: "declined",
    VoicemailSuspected: "voicemail",
}


def ring(turn: Turn, contact: str, number: int = 0, *, again: bool = False) -> None:
    """Call a contact on this number, or the first behind it that does not lead to the worker himself."""
    left = (n for n in reach(turn.frozen.contacts[contact], turn.own).numbers if n >= number)
    if (free := next(left, None)) is None:
        return
    number, again = free, again and free == number
    leg = Leg(turn.name(), contact, number, turn.later(turn.step.seconds + SETUP), again=again)
    turn.do(Ring(leg.id, contact, turn.frozen.contacts[contact].numbers[number], turn.step.seconds))
    turn.set(legs=(*turn.state.legs, leg), tried=True)
    turn.note("contact_rung", {"contact": contact, "leg": leg.id, "number": number + 1})


def rings(turn: Turn, leg: Leg) -> None:
    """His phone rings: somebody can be reached."""
    if not (leg.rang or leg.taken):
        _put(turn, replace(leg, rang=True))
        turn.set(reached=True)
        turn.note("contact_rings", {"contact": leg.contact, "leg": leg.id})


def answered(turn: Turn, leg: Leg) -> None:
    """Something picked up, and has some time to prove that it is a person."""
    if not (leg.answered or leg.taken):
        _put(turn, replace(leg, answered=True, deadline=max(leg.deadline, turn.later(DIALOGUE))))
        turn.set(reached=True)  # the shell notes it, with what it knows of the call


def ended(turn: Turn, leg: Leg, event: Ended) -> None:
    """A leg ended without acceptance."""
    detail = {"status": event.status, "why": event.why} if isinstance(event, Failed) else {}
    if isinstance(event, VoicemailSuspected):
        detail["why"] = event.why
    over(turn, leg, _OUTCOMES[type(event)], **detail)
    if isinstance(event, LegLost) and not leg.again:
        ring(turn, leg.contact, leg.number, again=True)
    elif not isinstance(event, (Declined, PassedOn)):
        _next_number(turn, leg)


def silent(turn: Turn) -> None:
    """Legs that should have reported by now are dead: ended, should they live, and passed over."""
    for leg in turn.state.ringing:
        if turn.is_due(leg.deadline):
            turn.do(Cancel(leg.id))
            over(turn, leg, "no report")
            _next_number(turn, leg)


def over(turn: Turn, leg: Leg, outcome: str, **detail: str | int | None) -> None:
    """Forget a leg."""
    turn.set(legs=tuple(other for other in turn.state.legs if other.id != leg.id))
    told = {key: value for key, value in detail.items() if value not in (None, "")}
    turn.note("contact_leg_ended", {"contact": leg.contact, "leg": leg.id, "outcome": outcome} | told)


def _next_number(turn: Turn, leg: Leg) -> None:
    ring(turn, leg.contact, leg.number + 1)


def _put(turn: Turn, leg: Leg) -> None:
    turn.set(legs=tuple(leg if other.id == leg.id else other for other in turn.state.legs))
