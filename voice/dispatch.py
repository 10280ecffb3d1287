"""Which operators ring for which alarm: a pure decision over what waits and who is free.

The queue is ordered by priority, then by age (`domain.md`). Nobody who is free is left idle while an alarm waits
that he may take, and no alarm waits behind a lesser one.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from math import inf
from typing import Literal, Protocol

Policy = Literal["all", "longest_idle"]


class Queued(Protocol):
    """What the order of the queue looks at."""

    @property
    def priority(self) -> int: ...

    @property
    def opened_at(self) -> datetime: ...


def urgency(incident: Queued) -> tuple[int, datetime]:
    """Sort key: the most urgent, then the oldest, first."""
    return incident.priority, incident.opened_at


@dataclass(frozen=True, slots=True)
class Waiting:
    """An alarm that no operator is listening to, in the order of the queue."""

    incident_id: str
    ringing: frozenset[str] = frozenset()
    """Operators whose phones ring for it now."""
    not_before: Mapping[str, float] = field(default_factory=dict)
    """Operators who gave it back or refused it, and from when on they may be rung for it again (monotonic s); never,
    where it is infinite."""


@dataclass(frozen=True, slots=True)
class Free:
    """An operator who could be rung now."""

    operator_id: str
    idle_since: float
    """Monotonic seconds of the last thing that he did, or failed to do (a call not answered counts)."""


def assign(waiting: Sequence[Waiting], free: Iterable[Free], policy: Policy, now: float) -> list[tuple[str, str]]:
    """Pairs (incident, operator) to ring now.

    `all`: every free operator rings for the first alarm in line that he may take; those left over ring for the next.
    `longest_idle`: one phone at a time for each alarm, the operator first who has been idle longest.
    """
    idle = {f.operator_id: f for f in sorted(free, key=lambda f: (f.idle_since, f.operator_id))}
    pairs: list[tuple[str, str]] = []
    for alarm in waiting:
        if not idle:
            break
        if policy == "longest_idle" and alarm.ringing:
            continue
        may = [o for o in idle if alarm.not_before.get(o, now) <= now]
        chosen = may[:1] if policy == "longest_idle" else may
        for operator in chosen:
            pairs.append((alarm.incident_id, operator))
            del idle[operator]
    return pairs


def next_chance(waiting: Iterable[Waiting], now: float) -> float | None:
    """When an operator may next be rung for an alarm that he gave back or refused."""
    later = [at for alarm in waiting for at in alarm.not_before.values() if now < at < inf]
    return min(later, default=None)
