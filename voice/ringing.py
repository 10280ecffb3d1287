"""Ringing one operator: every phone he registered rings at once, the first to answer wins, the others stop.

Nothing here knows of queues or incidents. The outcome is one of five; each final SIP status maps to one.
"""

import asyncio
from collections.abc import Callable, Sequence
from enum import StrEnum

from voice.call import Call, CallEnd
from voice.errors import EarshotError
from voice.sip.session import EndCause


class Outcome(StrEnum):
    """What became of ringing an operator."""

    ANSWERED = "answered"
    BUSY = "busy"
    DECLINED = "declined"
    NO_ANSWER = "no_answer"
    UNREACHABLE = "unreachable"
    STOPPED = "stopped"
    """We stopped it: somebody else took the alarm, or it ended."""


_BY_STATUS = {486: Outcome.BUSY, 600: Outcome.BUSY, 603: Outcome.DECLINED, 480: Outcome.DECLINED}
_BY_STATUS |= {408: Outcome.NO_ANSWER, 487: Outcome.NO_ANSWER}

_TELLING = [Outcome.DECLINED, Outcome.BUSY, Outcome.NO_ANSWER, Outcome.UNREACHABLE]
"""When phones of one operator answer differently: what a person did counts before what a network said."""


def outcome_of(end: CallEnd) -> Outcome:
    """What the end of an unanswered leg means."""
    if end.cause is EndCause.LOCAL:
        return Outcome.STOPPED
    if end.cause is EndCause.NO_ANSWER:
        return Outcome.NO_ANSWER
    return _BY_STATUS.get(end.code or 0, Outcome.UNREACHABLE)


async def ring(dials: Sequence[Callable[[], Call]], seconds: float) -> tuple[Outcome, Call | None]:
    """Dial all of one operator's phones and wait for the first that answers, `seconds` at most.

    Cancelling this task stops the ringing on every phone. A phone that cannot be dialled (no port is free, say)
    leaves the others ringing; raises its error when there are no others.
    """
    calls: list[Call] = []
    winner: Call | None = None
    try:
        _dial_all(dials, calls)
        winner = await _first_answered(calls, seconds)
    finally:
        for call in calls:
            if call is not winner:
                call.hang_up()
    if winner is not None:
        return Outcome.ANSWERED, winner
    seen = {outcome_of(call.ended.result()) for call in calls if call.ended.done()} - {Outcome.STOPPED}
    if any(call.ended.result().cause is EndCause.LOCAL for call in calls):
        seen.add(Outcome.NO_ANSWER)  # it still rang when the time was over
    return next((outcome for outcome in _TELLING if outcome in seen), Outcome.UNREACHABLE), None


def _dial_all(dials: Sequence[Callable[[], Call]], calls: list[Call]) -> None:
    """Each call is in `calls` as soon as it rings, whatever happens to the next."""
    refusal: EarshotError | None = None
    for dial in dials:
        try:
            calls.append(dial())
        except EarshotError as error:
            refusal = error
    if refusal is not None and not calls:
        raise refusal


async def _first_answered(calls: Sequence[Call], seconds: float) -> Call | None:
    """The call that answers first; None once all have failed or the time is over."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    pending = {call.answered: call for call in calls}
    while pending:
        done, _ = await asyncio.wait(
            pending, timeout=max(deadline - loop.time(), 0), return_when=asyncio.FIRST_COMPLETED
        )
        if not done:
            return None
        for answered in done:
            call = pending.pop(answered)
            if call.up:
                return call
    return None
