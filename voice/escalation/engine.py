"""What follows from an event, for one incident: `decide(frozen, state, event, now) -> Decision`. Pure, and total.

An escalation ends only by a person. At every moment one of these holds:

- *taken*: a human has proven that he has it, by the key asked for, by listening, as the control room, by a link
  where the plan says that it proves something;
- *escalating*, with a deadline (`due_at`) at which it goes on by itself;
- *exhausted*: the plan has ended without a human, because its `at_end` says so and names the agreement;
- *done*: a person has resolved the incident.

                         somebody has it
            escalating ──────────────────▶ taken
                ▲  ▲  ◀───────────────────   │
       reopened │  │     nobody is left      │ resolved
                │  └── the plan, again       │
                │        and again           ▼
                └───────────────────────── done

An event changes who is called and who has it (`calling`, `taking`, `control_room`: each has its table). Then
`steps.advance` goes on with the plan as far as nothing holds it. So no rule about an event needs to know
what comes next, and no event can be forgotten there.

Events come twice, late and out of order. What they speak of is looked up by the name that the engine gave it
(legs, calls) or that its leg has (operators): what is not in the state any more changes nothing. Time comes with
the event; a clock that was set back moves all deadlines with it (`state.rebased`).
"""

from datetime import datetime

from config.plans import FrozenPlan
from voice.escalation import calling, control_room, steps, taking
from voice.escalation.commands import Cancel
from voice.escalation.events import (
    Acknowledged,
    Answered,
    Busy,
    Declined,
    EmergencyAnswered,
    EmergencyAsked,
    EmergencyConfirmed,
    EmergencyFailed,
    EmergencyIndeterminate,
    Event,
    Failed,
    HungUp,
    LegLost,
    NoAnswer,
    Opened,
    OperatorJoined,
    OperatorLeft,
    OperatorRings,
    PassedOn,
    Reopened,
    Resolved,
    Rings,
    Taken,
    Timer,
    VoicemailSuspected,
    WorkerSafe,
)
from voice.escalation.state import Decision, Facts, Phase, State, rebased
from voice.escalation.turn import Turn
from voice.incidents import lifecycle


def begin(incident: str, facts: Facts, opened_at: datetime) -> State:
    """The state of an incident that has just opened: its plan begins at once."""
    return State(
        incident=incident,
        facts=facts,
        opened_at=opened_at,
        seen_at=opened_at,
        alone_since=opened_at,
        step_due=opened_at,
        due_at=opened_at,
    )


def decide(frozen: FrozenPlan, state: State, event: Event, now: datetime) -> Decision:
    """The next state, and what is to be done and noted. The same state object: the event changed nothing."""
    turn = Turn(frozen, rebased(state, now), now)
    if turn.state.phase is Phase.DONE:
        _when_done(turn, event)
    else:
        _when_open(turn, event)
    steps.advance(turn)
    _never_wait_for_ever(turn)
    return turn.decision(state)


def _when_open(turn: Turn, event: Event) -> None:
    match event:
        case Opened():
            pass  # `advance` begins what is to be begun
        case Timer():
            _deadlines(turn)
        case Rings() | Answered() | Taken() | Declined() | NoAnswer() | Busy() | Failed() | VoicemailSuspected():
            _leg(turn, event)
        case LegLost() | HungUp() | PassedOn():
            _leg(turn, event)
        case OperatorRings():
            turn.set(reached=True)
        case OperatorJoined():
            taking.operator_joined(turn, event)
        case OperatorLeft():
            taking.operator_left(turn, event)
        case Acknowledged():
            taking.acknowledged(turn, event)
        case WorkerSafe():
            turn.note("worker_safe", {"proof": event.proof})
            if event.proof:
                control_room.no_longer_automatic(turn)
        case EmergencyAsked():
            control_room.asked(turn, event)
        case EmergencyAnswered():
            control_room.answered(turn, event.call)
        case EmergencyConfirmed():
            taking.confirmed(turn, event)
        case EmergencyFailed():
            control_room.failed(turn, event)
        case EmergencyIndeterminate():
            control_room.indeterminate(turn, event.call, event.why)
        case Resolved():
            _resolved(turn, event)
        case Reopened():
            pass  # it is open


def _when_done(turn: Turn, event: Event) -> None:
    """Only a person opens it again. What a control room says late is kept all the same."""
    match event:
        case Reopened():
            turn.change(lifecycle.State.OPEN, event.by)
            turn.set(phase=Phase.ESCALATING, alone_since=turn.now, confirm_only=False, technical=False)
            turn.set(unwatched=False)
            turn.set(emergency=control_room.renewed(turn.state.emergency), operators_ring=False, sent=())
            steps.from_the_top(turn)
        case EmergencyConfirmed():
            control_room.confirmed(turn, event)
        case _:
            pass


def _leg(turn: Turn, event: Rings | Answered | Taken | calling.Ended) -> None:
    """What happened on a leg that is up, by whether its contact has the alarm."""
    leg = turn.state.leg(event.leg)
    match event:
        case Taken():
            taking.taken(turn, event)
        case HungUp() if leg is None:
            control_room.over(turn, event.leg)
        case LegLost() if leg is None:
            taking.control_room_lost(turn, event.leg)
        case _ if leg is None:
            pass
        case Rings():
            calling.rings(turn, leg)
        case Answered():
            calling.answered(turn, leg)
        case _ if leg.taken:
            taking.contact_ended(turn, leg, event)
        case _:
            calling.ended(turn, leg, event)


def _deadlines(turn: Turn) -> None:
    """Everything that is due; nothing, if it comes too early. What the step waits for is up to `advance`."""
    taking.follow_up(turn)
    control_room.watch(turn)
    calling.silent(turn)


def _resolved(turn: Turn, event: Resolved) -> None:
    """A person has ended it: so does everything that is under way."""
    if event.reason is not None:
        note = {"note": event.note} if event.note else {}
        turn.change(lifecycle.State.RESOLVED, event.by, reason=event.reason, **note)
    for leg in turn.state.legs:
        turn.do(Cancel(leg.id))
    control_room.abandon(turn)
    taking.depart(turn, *(presence.leg for presence in turn.state.presences))
    turn.set(phase=Phase.DONE, legs=(), takers=(), presences=(), queue=(), step_due=None, exhausted=False)


def _never_wait_for_ever(turn: Turn) -> None:
    """The last rule, should another one be wrong: nobody has it and nothing is due, so the step begins anew.

    The property tests show that it never comes to this.
    """
    state = turn.state
    match state.phase:
        case Phase.DONE:
            return
        case Phase.TAKEN if state.attended:
            return
        case Phase.ESCALATING if any(True for _ in state.deadlines):
            return
        case Phase.ESCALATING if state.exhausted and turn.frozen.plan.at_end == "stop":
            return
    turn.note("engine_fault", {"phase": state.phase.value, "step": state.step + 1, "begun": state.begun})
    turn.set(phase=Phase.ESCALATING, begun=False, queue=(), exhausted=False, step_due=turn.later(steps.FAULT_WAIT))
