"""Rules about the call to the emergency services. One at a time; each has a deadline until its outcome is known.

    status                         event                       becomes
    ─────────────────────────────  ──────────────────────────  ──────────────────────────────────────────────────
    none, awaiting, failed,        asked for by a person       placing (indeterminate: the old call is cancelled)
    indeterminate, confirmed and   the step is automatic and   placing
    over                           its time has come
    placing                        answered                    answered
    placing, answered              confirmed                   confirmed: a human has it
    placing                        failed, for certain         failed: the plan goes on, the next lap calls again
    answered                       failed                      indeterminate: somebody did pick up
    placing, answered              indeterminate, no report    indeterminate: a person is asked, or the plan's rule
    indeterminate                  confirmed, failed           as above: late, but certain
    indeterminate; failed after    its time has come           placing, where the plan says "call again"
    one that was indeterminate

No rule places a call by itself while an earlier one may have reached somebody, but the plan's own "call again".
"""

from config.plans import Step
from voice.escalation.commands import CallEmergency, Cancel
from voice.escalation.events import EmergencyAsked, EmergencyConfirmed, EmergencyFailed
from voice.escalation.state import Emergency, EmergencyStatus
from voice.escalation.turn import Turn

RINGING = 180.0
"""Seconds without an answer or a report after which the outcome of a call counts as unknown."""

BRIEFING = 600.0
"""The same after the answer: the briefing may be repeated, and the call taker may talk."""

PLAN = "plan"
"""Who asked for the call of an automatic step."""


def begin(turn: Turn, route: str) -> None:
    """The emergency step: ask for a confirmation, or call when the time has come."""
    step, emergency = turn.step, turn.state.emergency
    if route not in turn.frozen.routes:
        turn.note("emergency_impossible", {"route": route, "why": "the route is not known"})
    elif emergency.under_way or emergency.due_at is not None:
        turn.tell(emergency=route)  # asked for by a person, or about to be called again
    elif not _by_itself(turn, step):
        turn.tell(emergency=route)
        _await_confirmation(turn, route, step.seconds)
    elif turn.is_due(ripe := turn.after_alone(step.after)):
        turn.tell(emergency=route)
        _place(turn, route, PLAN)
    else:
        turn.note("emergency_waits", {"route": route, "until": ripe.isoformat()})
        turn.set(begun=False, step_due=ripe)


def no_longer_automatic(turn: Turn) -> None:
    """From now on a person decides; a step that waits for its time asks him at once."""
    if turn.state.confirm_only:
        return
    turn.set(confirm_only=True)
    if turn.escalating and turn.step.emergency and not turn.state.begun:
        turn.set(step_due=turn.now)


def asked(turn: Turn, event: EmergencyAsked) -> None:
    """A person wants it: at any time, unless a call is under way."""
    emergency = turn.state.emergency
    if event.request and event.request in emergency.asks:
        return
    if event.request:
        turn.emergency(asks=(*emergency.asks, event.request))
    route = _route(turn)
    if emergency.under_way or (emergency.status is EmergencyStatus.CONFIRMED and not emergency.over):
        turn.note("emergency_under_way", {"call": emergency.call}, actor=event.by)
    elif route is None:
        turn.note("emergency_impossible", {"why": "the plan has no route"}, actor=event.by)
    else:
        _place(turn, route, event.by)
        if turn.escalating and turn.step.emergency:
            turn.set(begun=True, step_due=None)  # the step waits for the call now


def answered(turn: Turn, call: str) -> None:
    emergency = turn.state.emergency
    if call == emergency.call and emergency.status is EmergencyStatus.PLACING:
        turn.emergency(status=EmergencyStatus.ANSWERED, answered=True, due_at=turn.later(BRIEFING))
        turn.set(reached=True)
        turn.note("emergency_answered", {"call": call, "route": emergency.route})


def confirmed(turn: Turn, event: EmergencyConfirmed) -> bool:
    """True when it is news. Who takes it by that is the rule of `taking`. Of an earlier call it counts, too."""
    emergency = turn.state.emergency
    if event.call not in emergency.calls:
        return False
    if emergency.status is EmergencyStatus.CONFIRMED and (not emergency.over or event.call == emergency.call):
        return False
    if emergency.under_way and event.call != emergency.call:
        turn.do(Cancel(emergency.call, actor(emergency)))
    turn.emergency(status=EmergencyStatus.CONFIRMED, answered=True, call=event.call, due_at=None, over=False)
    told = {"call": event.call, "route": emergency.route, "proof": event.proof}
    turn.note("emergency_confirmed", told, actor=actor(emergency))
    no_longer_automatic(turn)
    return True


def failed(turn: Turn, event: EmergencyFailed) -> None:
    emergency = turn.state.emergency
    if event.call != emergency.call:
        return
    if emergency.status is EmergencyStatus.ANSWERED:
        _indeterminate(turn, event.why or "failed after the answer")
    elif emergency.status in (EmergencyStatus.PLACING, EmergencyStatus.INDETERMINATE):
        doubtful = tuple(call for call in emergency.doubtful if call != event.call)
        turn.emergency(status=EmergencyStatus.FAILED, doubtful=doubtful)
        _call_again_later(turn)
        told = {"status": event.status, "why": event.why}
        turn.note("emergency_failed", {"call": event.call} | {k: v for k, v in told.items() if v not in (None, "")})


def indeterminate(turn: Turn, call: str, why: str) -> None:
    """Its outcome is not known, or a confirmed call is over."""
    emergency = turn.state.emergency
    if call == emergency.call and emergency.under_way:
        _indeterminate(turn, why)
    else:
        over(turn, call)


def over(turn: Turn, call: str) -> bool:
    """A confirmed call has ended: another one may be asked for. True when it is news."""
    emergency = turn.state.emergency
    if call != emergency.call or emergency.status is not EmergencyStatus.CONFIRMED or emergency.over:
        return False
    turn.emergency(over=True)
    turn.note("emergency_call_ended", {"call": call})
    return True


def forgotten(turn: Turn, call: str) -> None:
    """Nobody closed the incident after the control room had it: whether that call is still up is not known."""
    if call == turn.state.emergency.call:
        turn.emergency(over=True)


def watch(turn: Turn) -> None:
    """Its deadline: no report came, or it is to be placed again."""
    emergency = turn.state.emergency
    if not turn.is_due(emergency.due_at):
        return
    if emergency.under_way:
        _indeterminate(turn, "no report of its outcome")
    elif emergency.asked_by != PLAN or _by_itself(turn, _rule(turn)):
        _place(turn, emergency.route, emergency.asked_by)
    else:  # somebody has it now, or had it: he is asked
        turn.emergency(due_at=None)
        turn.note("emergency_awaits_confirmation", {"route": emergency.route})


def abandon(turn: Turn) -> None:
    """The incident is over: a call that is up ends."""
    emergency = turn.state.emergency
    if emergency.under_way or (emergency.status is EmergencyStatus.CONFIRMED and not emergency.over):
        turn.do(Cancel(emergency.call))
    if emergency.under_way:
        turn.emergency(status=EmergencyStatus.INDETERMINATE, doubtful=(*emergency.doubtful, emergency.call))
    turn.emergency(due_at=None)


def renewed(emergency: Emergency) -> Emergency:
    """Of an incident that is reopened: a new escalation, which still knows the calls of the old one."""
    return Emergency(calls=emergency.calls, asks=emergency.asks)


def actor(emergency: Emergency) -> str:
    return f"emergency:{emergency.route}"


def _by_itself(turn: Turn, step: Step | None) -> bool:
    """Whether the plan may call without a person: nobody has it, nobody has let it go, nobody may be reached yet."""
    if step is None or step.confirm != "automatic" or turn.state.confirm_only or not turn.escalating:
        return False
    return not turn.state.emergency.doubtful or turn.is_due(turn.state.emergency.due_at)


def _await_confirmation(turn: Turn, route: str, seconds: float) -> None:
    if turn.state.emergency.status in (EmergencyStatus.NONE, EmergencyStatus.FAILED):
        turn.emergency(status=EmergencyStatus.AWAITING)
    turn.note("emergency_awaits_confirmation", {"route": route, "seconds": seconds})
    turn.set(step_due=turn.later(seconds))


def _place(turn: Turn, route: str, asked_by: str) -> None:
    emergency = turn.state.emergency
    if emergency.status is EmergencyStatus.INDETERMINATE:
        turn.do(Cancel(emergency.call))  # should it still be up: never two at a time
    call = turn.name()
    turn.do(CallEmergency(call, route, asked_by))
    turn.emergency(
        status=EmergencyStatus.PLACING,
        call=call,
        route=route,
        asked_by=asked_by,
        due_at=turn.later(RINGING),
        over=False,
        calls=(*emergency.calls, call),
    )
    turn.note("emergency_placed", {"call": call, "route": route}, actor="system" if asked_by == PLAN else asked_by)


def _indeterminate(turn: Turn, why: str) -> None:
    emergency = turn.state.emergency
    turn.emergency(status=EmergencyStatus.INDETERMINATE, doubtful=(*emergency.doubtful, emergency.call))
    after = _call_again_later(turn)
    told = {"call": emergency.call, "why": why, "again_after": after}
    turn.note("emergency_indeterminate", {key: value for key, value in told.items() if value is not None})
    if after is None and not turn.state.operators_ring:  # a person is asked, and the plan may ring nobody who is one
        turn.set(operators_ring=True)
        turn.note("operators_asked", {"lap": turn.state.lap + 1})


def _call_again_later(turn: Turn) -> float | None:
    """Where a call may have reached somebody, the plan's own rule says when another is placed: in how many seconds.

    `attempts` counts the calls that may have. Calls that certainly failed are no reason to stop.
    """
    doubtful, rule = turn.state.emergency.doubtful, _rule(turn)
    again = rule is not None and rule.indeterminate == "call again" and 0 < len(doubtful) < rule.attempts
    after = rule.again_after if rule is not None and again else None
    turn.emergency(due_at=None if after is None else turn.later(after))
    return after


def _rule(turn: Turn) -> Step | None:
    """The step whose rules hold for the route of the latest call."""
    steps = [step for step in turn.frozen.plan.steps if step.emergency is not None]
    fitting = [step for step in steps if step.emergency == turn.state.emergency.route]
    return next(iter(fitting or steps), None)


def _route(turn: Turn) -> str | None:
    """Where a person's call goes: the route of the step at which the plan is, else of another, else any."""
    known = turn.frozen.routes
    wanted = [turn.step.emergency, *(step.emergency for step in turn.frozen.plan.steps), *known]
    return next((route for route in wanted if route is not None and route in known), None)
