"""The lifecycle of an incident, as a table.

An incident opens when an alarm arrives, and only a person ends it. Somebody *acknowledges* it (an operator
answers and listens), works on it (*in progress*: talks, calls, escalates) and *resolves* it with a reason.
Whoever has it can give it back to the queue, by choice or because the leg died: it is open again and rings.
It can pass from one person to another without returning to the queue (handed over). A resolved incident can
be reopened. A device that hangs up, a call that fails or a process that dies changes nothing here.

                    ┌──────────── given back ────────────┐
                    ▼                                    │
    alarm ──▶ open ──▶ acknowledged ──▶ in progress ─────┤
                │          │ ▲ handed over │             │
                └──────────┴───▶ resolved ◀┘             │
                                    └───── reopened ──▶ open
"""

from enum import StrEnum

from voice.errors import LifecycleError


class State(StrEnum):
    """Where an incident stands."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    IN_PROGRESS = "in_progress"
    RESOLVED = "resolved"


class Reason(StrEnum):
    """Why an incident was resolved."""

    GENUINE = "genuine"
    FALSE = "false"
    TEST = "test"
    DURESS = "duress"
    DRILL = "drill"


REASON_KEYS = {
    "1": Reason.GENUINE,
    "2": Reason.FALSE,
    "3": Reason.TEST,
    "4": Reason.DURESS,
    "5": Reason.DRILL,
}
"""The key that an operator presses after `#` to resolve with this reason."""

TRANSITIONS: dict[tuple[State, State], str] = {
    (State.OPEN, State.ACKNOWLEDGED): "acknowledged",
    (State.ACKNOWLEDGED, State.ACKNOWLEDGED): "handed_over",
    (State.ACKNOWLEDGED, State.IN_PROGRESS): "in_progress",
    (State.ACKNOWLEDGED, State.OPEN): "given_back",
    (State.IN_PROGRESS, State.ACKNOWLEDGED): "handed_over",
    (State.IN_PROGRESS, State.OPEN): "given_back",
    (State.OPEN, State.RESOLVED): "resolved",
    (State.ACKNOWLEDGED, State.RESOLVED): "resolved",
    (State.IN_PROGRESS, State.RESOLVED): "resolved",
    (State.RESOLVED, State.OPEN): "reopened",
}
"""(from, to) → the kind of the timeline entry that records it. What is not here is refused."""


def transition(state: State, to: State, reason: Reason | None) -> str:
    """The kind of the timeline entry for this change; raises `LifecycleError` for one that may not be."""
    kind = TRANSITIONS.get((state, to))
    if kind is None:
        allowed = ", ".join(target for source, target in TRANSITIONS if source is state)
        raise LifecycleError(f"an incident that is {state} cannot become {to}; allowed: {allowed}")
    if to is State.RESOLVED and reason is None:
        raise LifecycleError(f"an incident is resolved with a reason; allowed: {', '.join(Reason)}")
    return kind
