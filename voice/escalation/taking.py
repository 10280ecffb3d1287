"""Rules about who has the alarm. A human has it who has proven it: by the key asked for, by listening, by a link.

    has it                    event                        then
    ────────────────────────  ───────────────────────────  ─────────────────────────────────────────────────────
    nobody                    contact took it, control     taken: every other leg ends, and hears by whom
                              room confirmed, operator
                              joined, link that proves
    a contact on the line     passed on                    open again: who comes after him is rung
                              hung up                      still his for `follow_up` seconds, then from the top
                              lost                         open again: he is rung first, then who comes after him
    a control room, a link                                 theirs for `follow_up` seconds
    a control room            its line was lost            still its own, and it is not called again; operators are
                                                           rung, so that a person looks whether it knows enough
    operators                 the last one left            the step anew

Whoever else has it, too, keeps it. A second contact who presses the key is told who was first.
"""

from dataclasses import replace

from voice.escalation import calling, control_room, steps
from voice.escalation.commands import Cancel
from voice.escalation.events import (
    Acknowledged,
    EmergencyConfirmed,
    HungUp,
    OperatorJoined,
    OperatorLeft,
    PassedOn,
    Taken,
)
from voice.escalation.state import Leg, Phase, Presence, Taker
from voice.escalation.turn import Turn
from voice.incidents import lifecycle

LINK = "followed the acknowledgement link"
REMEMBERED = 64
"""Legs of operators of which it is remembered that they ended."""


def taken(turn: Turn, event: Taken) -> None:
    """The first wins. Legs that the engine has ended take nothing, but hear who has it."""
    leg = turn.state.leg(event.leg)
    if leg is None:
        if turn.state.phase is Phase.TAKEN and event.leg not in turn.state.emergency.calls:
            turn.do(Cancel(event.leg, holder(turn)))
        return
    if leg.taken:
        return
    turn.set(legs=tuple(replace(leg, taken=True) if other is leg else other for other in turn.state.legs), reached=True)
    actor = _actor(leg)
    turn.note("taken", {"contact": leg.contact, "leg": leg.id, "proof": event.proof}, actor=actor)
    _hold(turn, Taker(actor, leg.id, event.proof))


def acknowledged(turn: Turn, event: Acknowledged) -> None:
    """He followed a link: that he takes it, if it is one that the plan has sent him as proof."""
    state, contact, actor = turn.state, event.contact, f"contact:{event.contact}"
    counts = event.counts and contact in state.links  # a link counts once
    if not counts and contact in state.acknowledged:
        return
    turn.set(links=tuple(who for who in state.links if who != contact or not counts))
    turn.set(acknowledged=(*(who for who in state.acknowledged if who != contact), contact))
    turn.note("acknowledged_by_link", {"contact": contact, "counts": counts}, actor=actor)
    if counts and all(taker.actor != actor for taker in state.takers):
        _hold(turn, Taker(actor, "", LINK, turn.later(turn.frozen.plan.follow_up)))


def confirmed(turn: Turn, event: EmergencyConfirmed) -> None:
    """The control room has it."""
    if not control_room.confirmed(turn, event):
        return
    actor = control_room.actor(turn.state.emergency)
    turn.note("escalated", {"to": actor}, actor=actor)
    turn.set(takers=tuple(taker for taker in turn.state.takers if taker.actor != actor))
    _hold(turn, Taker(actor, event.call, event.proof, turn.later(turn.frozen.plan.follow_up)))


def control_room_lost(turn: Turn, call: str) -> None:
    """The line to a control room that has the alarm broke, with our process, say: what it heard last is not known."""
    room = control_room.actor(turn.state.emergency)
    if not control_room.over(turn, call) or turn.state.phase is not Phase.TAKEN:
        return
    if not turn.state.presences and all(taker.actor == room for taker in turn.state.takers):
        turn.set(unwatched=True)
        turn.note("emergency_line_lost", {"call": call})


def operator_joined(turn: Turn, event: OperatorJoined) -> None:
    """He listens: that is proof. His session writes the lifecycle."""
    presence = Presence(event.operator, event.leg)
    if presence in turn.state.presences or (event.leg and event.leg in turn.state.departed):
        return
    turn.set(presences=(*turn.state.presences, presence), reached=True)
    _take(turn, f"operator:{event.operator}")


def operator_left(turn: Turn, event: OperatorLeft) -> None:
    left = [p for p in turn.state.presences if p.operator == event.operator and event.leg in ("", p.leg)]
    depart(turn, event.leg, *(p.leg for p in left))
    if not left:
        return
    turn.set(presences=tuple(p for p in turn.state.presences if p not in left))
    if event.gave_back:
        control_room.no_longer_automatic(turn)
    if _nobody_has_it(turn, "the operator left"):
        steps.again(turn)


def depart(turn: Turn, *legs: str) -> None:
    """These legs of operators are over for good."""
    new = dict.fromkeys(leg for leg in legs if leg and leg not in turn.state.departed)
    turn.set(departed=(*turn.state.departed, *new)[-REMEMBERED:])


def contact_ended(turn: Turn, leg: Leg, event: calling.Ended) -> None:
    """The leg of one who has it is over. However it ended, but by his own act: it was lost."""
    turn.set(legs=tuple(other for other in turn.state.legs if other is not leg))
    match event:
        case HungUp():
            _hung_up(turn, leg)
        case PassedOn():
            _passed_on(turn, leg)
        case _:
            _lost(turn, leg)


def follow_up(turn: Turn) -> None:
    """Who took it and has not closed it in time is held to have forgotten it."""
    forgotten = [taker for taker in turn.state.takers if turn.is_due(taker.until)]
    for taker in forgotten:
        turn.set(takers=tuple(other for other in turn.state.takers if other is not taker))
        turn.note("follow_up_missed", {"by": taker.actor})
        control_room.forgotten(turn, taker.leg)
        control_room.no_longer_automatic(turn)
    if forgotten and _nobody_has_it(turn, "nobody has closed it", lifecycle_actor="system"):
        steps.from_the_top(turn)


def holder(turn: Turn) -> str | None:
    """Who is named to those who come too late."""
    takers = [taker.actor for taker in turn.state.takers]
    operators = [f"operator:{name}" for name in turn.state.operators]
    return next(iter(takers + operators), None)


def _hung_up(turn: Turn, leg: Leg) -> None:
    seconds = turn.frozen.plan.follow_up
    until = turn.later(seconds)
    turn.set(takers=tuple(replace(t, until=until) if t.leg == leg.id else t for t in turn.state.takers))
    turn.note("taker_hung_up", {"contact": leg.contact, "leg": leg.id, "follow_up": seconds}, actor=_actor(leg))


def _passed_on(turn: Turn, leg: Leg) -> None:
    _forget_taker(turn, leg)
    turn.set(passed=(*turn.state.passed, leg.contact))
    control_room.no_longer_automatic(turn)
    if _nobody_has_it(turn, "passed on", lifecycle_actor=_actor(leg)):
        steps.onwards(turn)


def _lost(turn: Turn, leg: Leg) -> None:
    _forget_taker(turn, leg)
    turn.note("contact_leg_ended", {"contact": leg.contact, "leg": leg.id, "outcome": "lost"})
    if _nobody_has_it(turn, "the taker's leg was lost", lifecycle_actor="system"):
        steps.onwards(turn, first=leg.contact)


def _forget_taker(turn: Turn, leg: Leg) -> None:
    turn.set(takers=tuple(taker for taker in turn.state.takers if taker.leg != leg.id))


def _hold(turn: Turn, taker: Taker) -> None:
    if turn.escalating:
        turn.change(lifecycle.State.ACKNOWLEDGED, taker.actor, proof=taker.proof)
    turn.set(takers=(*turn.state.takers, taker))
    _take(turn, taker.actor)


def _take(turn: Turn, by: str) -> None:
    """Nobody is rung any more. Where the plan was is kept."""
    turn.cancel_ringing(by)
    turn.set(phase=Phase.TAKEN, step_due=None, unwatched=False)


def _nobody_has_it(turn: Turn, why: str, *, lifecycle_actor: str | None = None) -> bool:
    """After somebody let it go: whether nobody is left. Then it escalates again, as of now."""
    if turn.state.attended or turn.state.phase is not Phase.TAKEN:
        return False
    if lifecycle_actor is not None:
        turn.change(lifecycle.State.OPEN, lifecycle_actor, why=why)
    turn.set(phase=Phase.ESCALATING, alone_since=turn.now, unwatched=False)
    turn.note("escalation_resumed", {"why": why})
    return True


def _actor(leg: Leg) -> str:
    return f"contact:{leg.contact}"
