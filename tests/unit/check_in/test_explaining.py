"""Check-ins in plain words, as `earshot check-config` tells them."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from config.check_ins import CheckInRules
from config.models import Settings
from ivr.schedule import begin, decide
from ivr.session import Due, NotConfirmed, Origin
from voice.check_in.explaining import explain, explained, warnings
from voice.check_in.roster import rules_of
from voice.cli.main import main

NOW = datetime(2026, 3, 1, tzinfo=UTC)  # a Sunday


def rules(**keys: Any) -> CheckInRules:
    return CheckInRules.model_validate({"id": "visits", **keys})


def test_one_way_of_asking_is_told_a_sentence_for_each_thing() -> None:
    assert explain(rules()) == [
        "Each 30 minutes the worker is called, and presses the key that he is asked for, another one each time. From "
        "then on the time counts anew.",
        "He is told 5 minutes before.",
        "He is called again 1 minute then 2 minutes after a call that he did not confirm. After the last call the "
        "check-in is missed, 3 minutes after it was due at the earliest, and an alarm rings.",
        "If no call comes as far as his telephone, it is missed 5 minutes after the first try.",
        "A session lasts 12 hours at most, however often he extends it; each time by 15 minutes.",
        "At the end of a session he is asked whether he is still working; if he does not answer, that is a missed "
        "check-in like any other.",
    ]


@pytest.mark.parametrize(
    ("keys", "sentence"),
    [
        (
            {"confirm": "pin"},
            "Each 30 minutes the worker is called, and keys his PIN. From then on the time counts anew.",
        ),
        (
            {"retries": []},
            "He is called once. Without a confirmation the check-in is missed 1 minute after it was due at the "
            "earliest, and an alarm rings.",
        ),
        (
            {"retries": [], "grace": 0},
            "He is called once. Without a confirmation the check-in is missed at once, and an alarm rings.",
        ),
        (
            {"forgotten": "end", "agreement": "contract 12"},
            "At the end of a session he is asked whether he is still working; if he does not answer, it ends without "
            "an alarm, as agreed in “contract 12”.",
        ),
    ],
)
def test_what_is_configured_is_what_is_told(keys: dict[str, Any], sentence: str) -> None:
    assert sentence in explain(rules(**keys))


@pytest.mark.parametrize("warn_before", [0, 1800])
def test_whoever_is_not_told_before_is_not_said_to_be(warn_before: float) -> None:
    assert not any("before" in line for line in explain(rules(warn_before=warn_before)))


@pytest.mark.parametrize("grace", [0.0, 60.0, 500.0])
@pytest.mark.parametrize("retries", [(), (60.0,), (60.0, 120.0), (5.0, 5.0, 300.0)])
def test_a_check_in_is_missed_when_the_schedule_misses_it(grace: float, retries: tuple[float, ...]) -> None:
    """Every call is over at once."""
    asked = rules(grace=grace, retries=retries, warn_before=0)
    session = begin("one", "anna", Origin.API, rules_of(asked), now=NOW, ends_at=NOW.replace(hour=8)).session
    due = session.due_at
    while not session.missed:
        assert session.wake_at is not None
        now = session.wake_at
        session = decide(session, Due(), now).session
        if session.attempt is not None:
            session = decide(session, NotConfirmed(session.attempt.key), now).session
    assert (now - due).total_seconds() == asked.earliest_missed


SETTINGS: dict[str, Any] = {
    "check_ins": [{"id": "visits"}, {"id": "nights", "interval": 900}],
    "rosters": [
        {"id": "early", "rrule": "FREQ=WEEKLY;BYDAY=MO,TU", "start": datetime(2026, 1, 5, 7), "duration": 28800,
         "check_in": "nights"},
        {"id": "past", "rrule": "FREQ=DAILY;COUNT=2", "start": datetime(2026, 1, 5, 7), "duration": 28800},
    ],
    "workers": [
        {"id": "anna", "name": "Anna", "roster": ["early"]},
        {"id": "bob", "name": "Bob", "check_in": "visits", "roster": ["early", "past"]},
        {"id": "eve", "name": "Eve"},
    ],
}  # fmt: skip


def test_it_is_told_who_is_asked_how_and_when_sessions_begin_by_themselves() -> None:
    told = list(explained(Settings.model_validate(SETTINGS), NOW))
    heads = [told[n : n + 2] for n, line in enumerate(told) if line and not line.startswith(" ")]
    assert heads == [
        ["Check-ins 'visits'", "  for Bob"],
        ["Check-ins 'nights'", "  for Anna and Bob"],
        ["Roster 'early'", "  for Anna and Bob"],
        ["Roster 'past'", "  for Bob"],
    ]
    assert "  The next ones: Monday 2026-03-02 07:00, Tuesday 2026-03-03 07:00 and Monday 2026-03-09 07:00." in told


def test_a_roster_by_which_nothing_begins_any_more_is_told() -> None:
    told = list(warnings(Settings.model_validate(SETTINGS), NOW))
    assert told == ["roster 'past': no session begins within a year from now"]


def test_check_config_tells_check_ins(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "my.toml"
    path.write_text('[[check_ins]]\nid = "visits"\n[[workers]]\nid = "anna"\nname = "Anna"\ncheck_in = "visits"\n')
    assert main(["check-config", str(path)]) == 0
    assert "\n\nCheck-ins 'visits'\n  for Anna\n  Each 30 minutes" in capsys.readouterr().out
    assert main(["check-config", "--quiet", str(path)]) == 0
    assert "Check-ins" not in capsys.readouterr().out
