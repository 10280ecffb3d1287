"""What became of the alarms of a mass incident, read from the service's database, its files and its peers' notes."""

from __future__ import annotations

import json
import math
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from benchmarks.machine import percentile
from benchmarks.service import Running
from benchmarks.town import OPERATORS_ALONE

_WAV_HEADER = 44
_OF_DEVICES = "caller LIKE 'mass%'"
_HUMAN = ("operator_joined", "taken")


@dataclass(frozen=True, slots=True)
class Spread:
    """A distribution."""

    count: int
    p50: float
    p99: float
    max: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread:
        found = list(values)
        largest = max(found, default=float("nan"))
        return cls(len(found), round(percentile(found, 0.5), 3), round(percentile(found, 0.99), 3), round(largest, 3))


@dataclass(slots=True)
class Alarm:
    """One incident and its times of day, in seconds."""

    id: str
    priority: int
    opened_at: float
    human_at: float = math.inf
    """When a person had it first."""
    operators: list[tuple[float, str, str]] = field(default_factory=list)
    """(when, what, operator): rung, stopped, joined."""
    rung: list[tuple[float, str]] = field(default_factory=list)
    """When a contact was decided to be rung."""
    escalated_at: float | None = None
    """When contacts were first decided to be rung."""

    @property
    def rank(self) -> tuple[int, float]:
        return self.priority, self.opened_at


@dataclass(frozen=True, slots=True)
class Findings:
    """What was to be proven."""

    incidents: int
    lost: int
    """Alarms without an incident, an escalation or audio in a recording."""
    without_human: int
    """At the end of the run."""
    human_after_s: dict[int, Spread]
    """From the opening to the first person who had it, by priority."""
    by_operators: int
    by_contacts: int
    overtaken: int
    """An operator joined a lesser alarm while a more urgent or older one of before his phone rang waited unrung."""
    doubled_calls: int
    """Calls that came to a contact without a decision of their own."""
    doubled_messages: int
    calls: int
    messages: int
    decided_late_ms: Spread
    """How late contacts were decided upon: the operators' time was over, and nobody had it."""
    to_telephone_ms: Spread
    """From the decision to ring a contact until his INVITE was there."""
    decisions: int
    timeline_entries: int
    state_bytes: Spread


def find(service: Running, alarms: int, invites: Sequence[tuple[str, int, float]]) -> Findings:
    """Read everything."""
    known = _alarms(service)
    taken = [alarm for alarm in known.values() if math.isfinite(alarm.human_at)]
    by = Counter("operator" if _by_operator(alarm) else "contact" for alarm in taken)
    doubled, delays = _compare_calls(known, invites)
    keys = _message_keys(service.folder / "messages.jsonl")
    priorities = sorted({alarm.priority for alarm in known.values()})
    return Findings(
        incidents=len(known),
        lost=alarms - len(known) + _without_escalation(service) + _unheard(service),
        without_human=len(known) - len(taken),
        human_after_s={
            priority: Spread.of(alarm.human_at - alarm.opened_at for alarm in taken if alarm.priority == priority)
            for priority in priorities
        },
        by_operators=by["operator"],
        by_contacts=by["contact"],
        overtaken=_overtaken(list(known.values())),
        doubled_calls=doubled,
        doubled_messages=len(keys) - len(set(keys)),
        calls=len(invites),
        messages=len(keys),
        decided_late_ms=Spread.of(
            (alarm.escalated_at - alarm.opened_at - OPERATORS_ALONE) * 1000
            for alarm in known.values()
            if alarm.escalated_at is not None
        ),
        to_telephone_ms=Spread.of(delay * 1000 for delay in delays),
        decisions=service.count("SELECT coalesce(sum(version), 0) FROM escalations"),
        timeline_entries=service.count("SELECT count(*) FROM timeline"),
        state_bytes=Spread.of(float(size) for (size,) in service.rows("SELECT length(state) FROM escalations")),
    )


def _by_operator(alarm: Alarm) -> bool:
    return any(at == alarm.human_at and what == "joined" for at, what, _ in alarm.operators)


def _alarms(service: Running) -> dict[str, Alarm]:
    found = {
        id: Alarm(id, priority, _seconds(opened))
        for id, priority, opened in service.rows(
            "SELECT id, priority, opened_at FROM incidents WHERE caller LIKE 'mass%'"
        )
    }
    query = (
        "SELECT incident_id, at, kind, detail, actor FROM timeline WHERE kind IN "
        "('operator_joined', 'taken', 'operator_rung', 'ringing_ended', 'contact_rung') ORDER BY incident_id, sequence"
    )
    for id, at, kind, detail, actor in service.rows(query):
        if id in found:
            _tell(found[id], _seconds(at), kind, json.loads(detail), actor)
    return found


def _tell(alarm: Alarm, at: float, kind: str, detail: dict[str, str], actor: str) -> None:
    if kind in _HUMAN:
        alarm.human_at = min(alarm.human_at, at)
    match kind:
        case "operator_joined":
            alarm.operators.append((at, "joined", actor.partition(":")[2]))
        case "operator_rung":
            alarm.operators.append((at, "rung", detail["operator"]))
        case "ringing_ended":
            alarm.operators.append((at, "stopped", detail["operator"]))
        case "contact_rung":
            alarm.rung.append((at, detail["contact"]))
            if alarm.escalated_at is None:
                alarm.escalated_at = at


def _overtaken(alarms: list[Alarm]) -> int:
    """Operators who joined a lesser alarm although they could have been rung for a better one."""
    return sum(
        any(
            other.rank < alarm.rank and other.opened_at < rung_at and other.human_at > at and not _rings(other, rung_at)
            for other in alarms
        )
        for alarm in alarms
        for rung_at, at in _joined(alarm)
    )


def _joined(alarm: Alarm) -> list[tuple[float, float]]:
    """(when his phone began to ring, when he joined) of every operator who joined; only before anybody had it."""
    found = []
    for at, what, operator in alarm.operators:
        if what == "joined" and at == alarm.human_at:
            rung = [when for when, act, who in alarm.operators if act == "rung" and who == operator and when <= at]
            found.append((max(rung, default=at), at))
    return found


def _rings(alarm: Alarm, at: float) -> bool:
    """Whether an operator's phone rings for it at that moment."""
    ringing: set[str] = set()
    for when, what, operator in alarm.operators:
        if when > at:
            break
        ringing = ringing | {operator} if what == "rung" else ringing - {operator}
    return bool(ringing)


def _compare_calls(alarms: dict[str, Alarm], invites: Sequence[tuple[str, int, float]]) -> tuple[int, list[float]]:
    """Calls without a decision, and the delays of the others: each call goes with the latest decision before it."""
    decided: dict[tuple[str, str], list[float]] = defaultdict(list)
    for alarm in alarms.values():
        for at, contact in alarm.rung:
            decided[alarm.id, contact].append(at)
    doubled, delays = 0, []
    used: set[tuple[str, str, int]] = set()
    for incident, contact, at in sorted(invites, key=lambda one: one[2]):
        name = f"contact-{contact}"
        place = bisect_left(decided[incident, name], at) - 1
        if place < 0 or (incident, name, place) in used:
            doubled += 1
            continue
        used.add((incident, name, place))
        delays.append(at - decided[incident, name][place])
    return doubled, delays


def _without_escalation(service: Running) -> int:
    return service.count(
        "SELECT count(*) FROM incidents WHERE caller LIKE 'mass%' AND id NOT IN (SELECT incident_id FROM escalations)"
    )


def _unheard(service: Running) -> int:
    """Incidents of which no recording has what the device said."""
    query = (
        "SELECT incidents.id, recordings.path FROM incidents LEFT JOIN legs ON legs.incident_id = incidents.id AND "
        "legs.role = 'device' LEFT JOIN recordings ON recordings.leg_id = legs.id AND direction = 'received' "
        "WHERE caller LIKE 'mass%'"
    )
    audio = {id: False for id, _ in service.rows(query)}
    for id, path in service.rows(query):
        file = Path(path) if path else None
        audio[id] = audio[id] or (file is not None and file.exists() and file.stat().st_size > _WAV_HEADER)
    return sum(not heard for heard in audio.values())


def _message_keys(path: Path) -> list[str]:
    return [json.loads(line)["key"] for line in path.read_text().splitlines()] if path.exists() else []


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
