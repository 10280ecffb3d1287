"""What is shown of an incident whose plan rings people: names, and in red what a person must see to."""

from dataclasses import replace
from datetime import UTC, datetime
from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from config.models import Settings
from voice.cli import showing
from voice.escalation.engine import begin
from voice.escalation.state import Emergency, EmergencyStatus, Facts
from voice.escalation.state import State as Escalation
from voice.incidents.kinds import Kind
from voice.incidents.lifecycle import State
from voice.incidents.timeline import GENESIS, Entry, chain
from voice.store.rows import IncidentRow, LegRow

AT = datetime(2026, 3, 1, 9, 15, 27, tzinfo=UTC)
SETTINGS = Settings.model_validate(
    {
        "operators": [{"id": "olga", "name": "Olga", "uri": "sip:o@192.0.2.1"}],
        "contacts": [{"id": "bob", "name": "Bob", "numbers": ["+31600000001"]}],
        "emergency_routes": [{"id": "police", "name": "Police", "number": "+31880000001"}],
    }
)
PLACED = begin("1k3x9a0q", Facts("panic", 1), AT)
EXHAUSTED = replace(PLACED, exhausted=True)
UNKNOWN = replace(PLACED, emergency=Emergency(status=EmergencyStatus.INDETERMINATE))
ENDED = "The plan has ended, and no human has the alarm."
DOUBT = "It is not known whether the emergency services were reached."


def incident(state: State = State.OPEN) -> IncidentRow:
    return IncidentRow(
        id="1k3x9a0q",
        kind=Kind.PANIC,
        priority=1,
        state=state,
        device_id="badge",
        worker_id=None,
        caller="badge",
        dialled="101",
        identified_by="digest",
        opened_at=AT,
        changed_at=AT,
        taken_by=None,
        acknowledged_at=None,
        resolved_at=None,
        reason=None,
    )


def leg(id: str, role: Any, **whose: str) -> LegRow:
    facts = {"operator_id": None} | whose
    return LegRow(
        id=id,
        incident_id="1k3x9a0q",
        role=role,
        call_id=f"{id}@here",
        peer="udp:192.0.2.1:5060",
        codec="PCMA",
        started_at=AT,
        ended_at=None,
        cause=None,
        **facts,  # type: ignore[arg-type]
    )


def entry(kind: str, **detail: Any) -> Entry:
    return chain(
        incident="1k3x9a0q", sequence=1, previous_hash=GENESIS, at=AT, kind=kind, detail=detail, actor="system"
    )


@pytest.mark.parametrize(
    ("escalation", "lines"),
    [(None, []), (PLACED, []), (EXHAUSTED, [ENDED]), (UNKNOWN, [DOUBT]),
     (replace(UNKNOWN, exhausted=True), [ENDED, DOUBT])],
)  # fmt: skip
def test_an_incident_that_needs_a_person_says_so_in_red(escalation: Escalation | None, lines: list[str]) -> None:
    text = showing.headline(incident(), SETTINGS, escalation)
    first, *rest = text.plain.split("\n")
    assert first.startswith("1k3x9a0q  panic (priority 1)  open  badge  opened ")
    assert rest == lines
    assert [text.plain[s.start : s.end].strip() for s in text.spans if s.style == showing.RED][1:] == lines


def test_an_incident_that_is_resolved_needs_nobody() -> None:
    assert "\n" not in showing.headline(incident(State.RESOLVED), SETTINGS, EXHAUSTED).plain


@pytest.mark.parametrize(
    ("kind", "red"),
    [
        ("ended_without_human", True),
        ("emergency_indeterminate", True),
        ("nobody_reached", True),
        ("engine_fault", True),
        ("duress_word", True),
        ("contact_rung", False),
        ("resolved", False),
    ],
)
def test_entries_that_must_alarm_a_reader_are_red(kind: str, red: bool) -> None:
    text = showing.entry_line(entry(kind), incident(), showing.names_of(SETTINGS, ()))
    assert any(span.style == showing.RED for span in text.spans) is red


def test_a_technical_alarm_names_the_incident_for_which_nobody_was_reached() -> None:
    row = replace(incident(), kind=Kind.TECHNICAL, device_id=None, caller=None, cause_key="1k3x9a0p.3.0")
    text = showing.headline(row, SETTINGS).plain
    assert "nobody reached for incident 1k3x9a0p" in text
    assert "unknown caller" not in text


def test_calls_are_named_by_who_is_on_them() -> None:
    legs = [
        leg("d", "device"),
        leg("o", "operator", operator_id="olga"),
        leg("c", "contact", contact_id="bob"),
        leg("g", "contact", contact_id="gone"),
        leg("e", "emergency"),
    ]
    names = showing.names_of(SETTINGS, legs)
    assert names.legs == {"d": "the device", "o": "Olga", "c": "Bob", "g": "gone", "e": "Police"}
    two = SETTINGS.model_copy(update={"emergency_routes": SETTINGS.emergency_routes * 2})
    assert showing.names_of(two, legs).legs["e"] == "Police"  # both are called so
    assert showing.names_of(Settings(), legs).legs["e"] == "the control room"


def test_the_table_tells_the_plan_with_names() -> None:
    entries = [entry("escalated", step=2, round=1, lap=1, rings=["bob"]), entry("contact_rung", contact="bob")]
    story = showing.Story(incident(), entries, [leg("c", "contact", contact_id="bob")], [], [], EXHAUSTED)
    console = Console(width=120, record=True, file=StringIO())
    console.print(story.table(SETTINGS))
    told = console.export_text()
    assert ENDED in told
    assert "comes to step 2: rings Bob" in told
    assert "c@here" in told
