"""Rules about the course of a plan: when a step begins, what holds it, what comes after it.

    step        begins with                          goes on when
    ──────────  ───────────────────────────────────  ──────────────────────────────────────────────────────────
    ring        everybody's first number, or the     nobody is left on the line or in the queue; where operators
                first person's; operators too        are rung, `seconds` are over, too. Then the next round
    message     the messages                         at once
    emergency   see `control_room`                   the call is over, or nobody confirmed it in `seconds`
    wait        nothing                              the time is over

After the last step the plan starts again from the top, or stops where that is agreed in writing. Whatever happens, a
state that escalates has a deadline: each rule here ends in a call that has one, in a moment to wait for, or goes on.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

from voice.escalation import calling, control_room
from voice.escalation.commands import Channel, RaiseTechnical, Send
from voice.escalation.sparing import WHY, Reach, reach
from voice.escalation.state import Sent
from voice.escalation.targets import OPERATORS, callable_now, people
from voice.escalation.turn import Turn
from voice.incidents.kinds import Kind

FAULT_WAIT = 1.0
"""Seconds after which a step begins anew that came to no rest, or would wait for ever."""

TRANSITIONS = 10_000
"""Beginnings and ends of steps in one decision that no plan needs: each lap ends with a wait. A fault in a rule may
cost the node a moment, and never its other alarms."""

REMIND = 600.0
"""Seconds before a step sends its messages again. A plan whose calls all fail is through in seconds, and starts again
every few seconds: that may not bury people in text messages."""


def advance(turn: Turn) -> None:
    """Go on with the plan until something holds it."""
    for _ in range(TRANSITIONS):
        if not turn.escalating or turn.state.exhausted:
            return
        if turn.state.begun and turn.is_due(turn.state.step_due):
            turn.set(step_due=None)  # that wait is over, even if phones still ring
        if turn.state.begun and turn.state.queue and not turn.state.ringing:
            _ring_next(turn)
        elif _held(turn):
            return
        elif turn.state.begun:
            _next(turn)
        else:
            _begin(turn)
    turn.note("engine_fault", {"step": turn.state.step + 1, "why": "the plan does not come to rest"})
    turn.set(begun=False, queue=(), step_due=turn.later(FAULT_WAIT))


def again(turn: Turn) -> None:
    """The step from its first round, now; the plan from the top, if it had ended."""
    if turn.state.exhausted:
        from_the_top(turn)
    else:
        turn.set(begun=False, round=0, queue=(), step_due=turn.now)


def onwards(turn: Turn, first: str | None = None) -> None:
    """Who comes after a contact that was rung: with `first`, before anybody else."""
    if turn.state.exhausted:
        from_the_top(turn)
    elif turn.step.order == "all":
        turn.set(begun=False, queue=(), step_due=turn.now)
    else:
        queue = (() if first is None else (first,)) + turn.state.queue
        turn.set(begun=True, queue=queue, step_due=_operators_until(turn))


def from_the_top(turn: Turn, wait: float = 0.0) -> None:
    """A new lap, after `wait` seconds."""
    turn.set(step=0, round=0, lap=turn.state.lap + 1, begun=False, queue=(), step_due=turn.later(wait))
    turn.set(passed=(), tried=False, reached=False, exhausted=False)


def _held(turn: Turn) -> bool:
    state = turn.state
    if state.step_due is not None and not turn.is_due(state.step_due):
        return True
    calls_emergency = turn.step.emergency is not None and state.emergency.under_way
    return state.begun and (bool(state.ringing) or calls_emergency)


def _begin(turn: Turn) -> None:
    step = turn.step
    turn.set(begun=True, step_due=None)
    if step.ring:
        _begin_ringing(turn)
    elif step.message:
        _send(turn)
    elif step.emergency is not None:
        control_room.begin(turn, step.emergency)
    elif step.wait is not None:
        turn.tell(waits=step.wait)
        turn.set(step_due=turn.later(step.wait))


def _begin_ringing(turn: Turn) -> None:
    """The people of this moment: rotas are read now."""
    step, state = turn.step, turn.state
    everybody = callable_now(turn.frozen, step.ring, turn.now, turn.own)
    left = tuple(who for who in everybody if who not in state.passed)
    operators = OPERATORS in step.ring
    turn.tell(rings=[OPERATORS] * operators + list(left))
    if turn.own:
        rung = [who for who in people(turn.frozen, step.ring, turn.now) if turn.frozen.contacts[who].numbers]
        _tell_of_spared(turn, (who for who in rung if not _reach(turn, who).numbers))
    if not everybody and set(step.ring) != {OPERATORS}:
        turn.note("nobody_on_duty", {"step": state.step + 1})
    turn.set(operators_ring=state.operators_ring or operators, step_due=_operators_until(turn))
    if step.order == "sequence":
        turn.set(queue=left)
        return
    for contact in _another_first(left, state.round + state.lap):
        calling.ring(turn, contact)


def _another_first(people: tuple[str, ...], turns: int) -> tuple[str, ...]:
    """All at once, but where the trunks have fewer lines than people, who is named last may get none: so each round
    begins with another one."""
    first = turns % len(people) if people else 0
    return people[first:] + people[:first]


def _operators_until(turn: Turn) -> datetime | None:
    return turn.later(turn.step.seconds) if OPERATORS in turn.step.ring else None


def _ring_next(turn: Turn) -> None:
    contact, *rest = turn.state.queue
    turn.set(queue=tuple(rest))
    calling.ring(turn, contact)


def _send(turn: Turn) -> None:
    """A message to each person on each channel that he has."""
    step, state = turn.step, turn.state
    if any(sent.step == state.step and turn.now < sent.at + timedelta(seconds=REMIND) for sent in state.sent):
        return
    meant = people(turn.frozen, step.message, turn.now)
    spared = {who for who in meant if _reach(turn, who).nothing}
    to = tuple(who for who in meant if who not in spared)
    turn.tell(messages=list(to))
    _tell_of_spared(turn, (who for who in meant if who in spared))
    if not to:
        turn.note("nobody_on_duty", {"step": state.step + 1})
    for who in to:
        for channel in _channels(_reach(turn, who), step.by):
            turn.do(Send(turn.name(), who, channel, step.text, link=step.link != "none", counts=step.link == "proof"))
    sent = (*(sent for sent in state.sent if sent.step != state.step), Sent(state.step, turn.now))
    links = state.links + tuple(who for who in to if step.link == "proof" and who not in state.links)
    acknowledged = tuple(who for who in state.acknowledged if who not in to)
    turn.set(sent=sent, links=links, acknowledged=acknowledged)


def _reach(turn: Turn, contact: str) -> Reach:
    return reach(turn.frozen.contacts[contact], turn.own)


def _tell_of_spared(turn: Turn, contacts: Iterable[str]) -> None:
    """Who is left out because his telephone would betray the worker: it is the worker's own."""
    for who in contacts:
        turn.note("contact_spared", {"contact": who, "step": turn.state.step + 1, "why": WHY})


def _channels(contact: Reach, by: tuple[Channel, ...]) -> tuple[Channel, ...]:
    has = {"sms": contact.sms, "email": contact.email}
    return tuple(channel for channel in by if has[channel])


def _next(turn: Turn) -> None:
    """The next round, the next step, or the end of the lap."""
    step, state = turn.step, turn.state
    if step.ring and state.round + 1 < step.rounds:
        turn.set(begun=False, round=state.round + 1, step_due=turn.later(step.pause))
    elif state.step + 1 < len(turn.frozen.plan.steps):
        turn.set(begun=False, step=state.step + 1, round=0, step_due=turn.now)
    else:
        _end_lap(turn)


def _end_lap(turn: Turn) -> None:
    plan, state = turn.frozen.plan, turn.state
    if not state.reached and (state.tried or not state.operators_ring):
        if state.emergency.answered and not state.tried:
            _ring_operators(turn)
        else:
            _nobody_reached(turn)
    if plan.at_end == "stop":
        turn.note("ended_without_human", {"agreement": plan.agreement})
        turn.set(exhausted=True, step_due=None)
    else:
        turn.note("lap_ended", {"lap": turn.state.lap + 1, "pause": plan.lap_pause})
        from_the_top(turn, plan.lap_pause)


def _ring_operators(turn: Turn) -> None:
    """No telephone is broken: a control room picked up in an earlier lap, and now the plan waits for a person, whom
    it does not ring itself."""
    turn.set(operators_ring=True)
    turn.note("operators_asked", {"lap": turn.state.lap + 1})


def _nobody_reached(turn: Turn) -> None:
    """No phone rang in a whole lap: somebody has to see to it. A technical alarm raises no further ones.

    Operators are rung for the alarm itself too, whatever the plan rings: whoever answers hears the worker.
    """
    if turn.state.technical:
        return
    turn.set(technical=True, operators_ring=True)
    turn.note("nobody_reached", {"lap": turn.state.lap + 1})
    if turn.state.facts.kind != Kind.TECHNICAL:
        turn.do(RaiseTechnical(turn.name(), "no phone of the plan rang"))
