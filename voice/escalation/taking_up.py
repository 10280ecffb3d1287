"""What a process left behind with an escalation, in the words of the engine. Pure."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta

from voice.escalation.commands import CallEmergency, Command
from voice.escalation.events import EmergencyIndeterminate, Event, LegLost, OperatorLeft
from voice.escalation.ledger import Claimed
from voice.escalation.state import EmergencyStatus, Phase, State


def brought_forward(item: Claimed, now: datetime) -> State:
    """The state with its deadlines as they are for who takes it up.

    None is further away than it was when it was set: the clock may have been set back. And nobody has waited for an
    emergency call that was not placed: the time in which the incident had no process does not count.
    """
    state, call = item.state, item.state.emergency
    if call.due_at is not None and (call.call, False) in _calls(item):
        gap = max(now - state.seen_at, timedelta())
        state = replace(state, emergency=replace(call, due_at=call.due_at + gap))
    earliest = min(state.deadlines, default=None)
    if earliest is None:
        return replace(state, due_at=None)
    return replace(state, due_at=min(earliest, now + timedelta(seconds=item.state.waits)))


def knowing_the_worker(state: State, own_lines: tuple[str, ...]) -> State:
    """The state of an alarm that opened before it was kept what leads to its worker: from now on that is left alone."""
    if state.facts.own_lines is not None:
        return state
    return replace(state, facts=replace(state.facts, own_lines=own_lines))


def died_with_the_process(item: Claimed) -> Iterator[Event]:
    """Calls and people on the line are gone; last the control room, so that it is known who is left beside it."""
    for call, started in _calls(item):
        if started:
            yield EmergencyIndeterminate(call, "the process that placed it is gone")
    for leg in item.state.legs:
        yield LegLost(leg.id)
    for presence in item.state.presences:
        yield OperatorLeft(presence.operator, leg=presence.leg)
    emergency = item.state.emergency
    if emergency.status is EmergencyStatus.CONFIRMED and not emergency.over:
        yield LegLost(emergency.call)


def left_undone(item: Claimed) -> tuple[Command, ...]:
    """Commands to carry out now: all but an emergency call that may have been placed."""
    return tuple(w.command for w in item.outbox if not (w.started and isinstance(w.command, CallEmergency)))


def call_ended(before: State, after: State) -> tuple[str, str] | None:
    """The emergency call of which it is known with this decision what became of it."""
    call, now = before.emergency, after.emergency
    if call.under_way and (call.call != now.call or after.phase is Phase.DONE):
        return call.call, "abandoned"
    if call.call and call.call == now.call and call.status is not now.status and not now.under_way:
        return call.call, now.status.value
    return None


def _calls(item: Claimed) -> list[tuple[str, bool]]:
    """The emergency calls in the outbox, and whether each was started."""
    return [(w.command.call, w.started) for w in item.outbox if isinstance(w.command, CallEmergency)]
