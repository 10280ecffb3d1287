"""Timeline entries in plain words."""

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

import voice
from voice.incidents.lifecycle import TRANSITIONS
from voice.incidents.timeline import GENESIS, Entry, chain
from voice.incidents.wording import _TOLD, ALARMING, Names, what, who
from voice.legs import ENTRY

NAMES = Names(
    operators={"olga": "Olga"},
    workers={"anna": "Anna"},
    legs={"a1": "the device"},
    contacts={"bob": "Bob", "chris": "Chris"},
    routes={"police": "Police"},
    zone=ZoneInfo("Europe/Amsterdam"),
)


def entry(kind: str, /, **detail: Any) -> Entry:
    at = datetime(2026, 3, 1, tzinfo=UTC)
    return chain(incident="x", sequence=1, previous_hash=GENESIS, at=at, kind=kind, detail=detail, actor="system")


@pytest.mark.parametrize(
    ("actor", "name"),
    [
        ("system", "Earshot"),
        ("operator:olga", "Olga"),
        ("operator:piet", "piet"),
        ("device:badge-7", "badge-7"),
        ("unknown caller", "unknown caller"),
        ("contact:bob", "Bob"),
        ("contact:gone", "gone"),
        ("emergency:police", "Police"),
        ("shell:root", "root (command line)"),
    ],
)
def test_everybody_has_a_name(actor: str, name: str) -> None:
    assert who(actor, NAMES) == name


@pytest.mark.parametrize(
    ("told", "words"),
    [
        (
            entry("opened", kind="man_down", worker="anna", device="badge-7", proof="digest"),
            "raises the alarm: man down for Anna (proved by its password)",
        ),
        (
            entry("opened", kind="technical", why="no phone of the plan rang", cause="1k3x9a0p"),
            "raises the alarm: technical, as nobody was reached for incident 1k3x9a0p (no phone of the plan rang)",
        ),
        (
            entry("opened", kind="unidentified", caller="+3161", proof="none"),
            "raises the alarm: unidentified, caller +3161 (unknown caller)",
        ),
        (
            entry("answered", leg="a1", after_ms=4.2),
            "answers the device within 4.2 ms and stays silent; the incident is on disk",
        ),
        (
            entry("answered", leg="a1", after_ms=2000, before_commit=True),
            "answers the device within 2000 ms and stays silent; the incident is not on disk yet",
        ),
        (entry("operator_rung", operator="olga"), "rings Olga"),
        (entry("control_room_rung", route="police", trunk="kpn"), "rings the control room (Police) by trunk kpn"),
        (entry("control_room_rung", route="police", trunk=None), "rings the control room (Police) directly"),
        (entry("emergency_failed", status=503), "certainly did not reach the control room: 503"),
        (
            entry("emergency_indeterminate", why="it fell silent", again_after=120.0),
            "DOES NOT KNOW whether the control room was reached: it fell silent; calls again in 120.0 s",
        ),
        (entry("ringing_ended", operator="olga", outcome="no_answer"), "rings Olga no more: no answer"),
        (entry("call_back_failed", cause="rejected", status=486), "could not reach the device: rejected 486"),
        (entry("call_back_failed", leg="a1", why="no port"), "could not reach the device: no port"),
        (entry("resolved", reason="false"), "resolves the incident: false"),
        (entry("resolved", reason="genuine", note="at home"), "resolves the incident: genuine (“at home”)"),
        (
            entry("escalated", step=2, round=1, lap=1, rings=["operators", "bob", "gone"]),
            "comes to step 2: rings the operators, Bob and gone",
        ),
        (entry("escalated", step=2, round=2, lap=3, rings=[]), "comes to step 2, round 2, lap 3: rings nobody"),
        (entry("escalated", step=3, round=1, lap=1, messages=["bob"]), "comes to step 3: messages to Bob"),
        (entry("escalated", step=4, round=1, lap=1, waits=15.0), "comes to step 4: waits 15 s"),
        (entry("escalated", step=5, emergency="police"), "comes to step 5: the emergency call to Police"),
        (entry("escalated", to="emergency:police"), "takes the alarm over"),
        (entry("contact_rung", contact="bob", number=1), "rings Bob"),
        (entry("contact_rung", contact="bob", number=2), "rings Bob, number 2"),
        (entry("contact_leg_ended", contact="bob", outcome="no answer"), "rings Bob no more: no answer"),
        (
            entry("contact_leg_ended", contact="bob", outcome="failed", status=503, why="Service Unavailable"),
            "rings Bob no more: failed (503 Service Unavailable)",
        ),
        (entry("acknowledged_by_link", contact="bob", counts=True), "takes the alarm by following the link"),
        (entry("acknowledged_by_link", contact="bob", counts=False), "follows the link: has read the message"),
        (entry("follow_up_missed", by="contact:bob"), "has not seen Bob close it in time"),
        (
            entry("emergency_waits", route="police", until="2026-03-01T12:00:30+00:00"),
            "calls the emergency services (Police) by itself at 13:00:30, unless somebody has the alarm",
        ),
        (entry("node_took_over", nodes=["a", ""]), "goes on with the incident in place of a"),
        (entry("would_call", route="police", by="plan"), "would call Police now, by itself"),
        (entry("storage_back", leg="a1", lost_ms=0), "writes the recording of the device to disk again"),
        (
            entry("storage_back", leg="a1", lost_ms=20),
            "writes the recording of the device to disk again; 20 ms were lost",
        ),
    ],
)
def test_an_entry_reads_as_a_sentence(told: Entry, words: str) -> None:
    assert what(told, NAMES) == words


def test_an_entry_of_a_kind_that_is_not_known_is_told_with_all_its_details() -> None:
    assert what(entry("aliens_landed", count=3, where="roof", why=None), NAMES) == "aliens landed: count 3, where roof"


def test_a_detail_that_is_missing_is_no_error() -> None:
    for kind in _TOLD:
        assert what(entry(kind), NAMES)


def test_everything_that_the_service_writes_has_words() -> None:
    written = set(ENTRY.values()) | set(TRANSITIONS.values())
    package = Path(voice.__file__).parent
    for path in (
        path for folder in (".", "store", "escalation", "messages") for path in package.glob(f"{folder}/*.py")
    ):
        source = path.read_text(encoding="utf-8")
        written |= set(re.findall(r'\bnote\(\s*"(\w+)"', source))
        written |= set(re.findall(r'\bNote\("(\w+)"', source))
        written |= set(re.findall(r'\._note\((?:self\.)?\w+, "(\w+)"', source))
        written |= set(re.findall(r'\bkind="(\w+)"', source))
    assert {"opened", "leg_lost", "talk_on", "storage_fault", "given_back"} <= written
    assert {"contact_rung", "emergency_failed", "message_sent", "timeline_gap", "control_room_rung"} <= written
    assert written >= ALARMING
    assert written - set(_TOLD) == set()
