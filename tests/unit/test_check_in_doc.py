"""What `docs/check-in.md` shows is what the schedule does, what the keys are, and what the commands print."""

import re
import shlex
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from config.check_ins import CheckIn, CheckInRules
from config.models import EVERYBODYS
from ivr.inbound import Key
from ivr.schedule import TRY_AGAIN, begin, decide
from ivr.session import Call, Due, NotConfirmed, Origin, RaiseMissed, Warn
from voice.check_in.pins import FAILURES, WITHIN
from voice.check_in.roster import rules_of
from voice.cli.main import main
from voice.incidents.kinds import Kind
from voice.worker_calls import RING_SECONDS
from voice.worker_line import REMEMBERED

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "check-in.md").read_text(encoding="utf-8")
HOME_CARE = (ROOT / "config" / "examples" / "home-care.toml").read_text(encoding="utf-8")
AT = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
FENCES = _FENCE.findall(TEXT)


def flat(text: str) -> str:
    """Without line breaks and borders: a document is narrower than a terminal."""
    return " ".join(text.split())


def table(heading: str) -> list[list[str]]:
    """The rows of the table with this heading."""
    lines = TEXT[TEXT.index(heading) :].splitlines()
    rows = [line for line in lines[: lines.index("")] if line.startswith("|")][2:]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]


# -- minute by minute --


def played() -> Iterator[tuple[float, type]]:
    """What the schedule does about a worker who never picks up, in seconds after the due time."""
    session = begin("one", "anna", Origin.WORKER, rules_of(EVERYBODYS), now=AT, ends_at=AT + timedelta(hours=8)).session
    due, now = session.due_at, AT
    while not session.missed:
        if session.attempt is not None:
            now += timedelta(seconds=RING_SECONDS)
            decision = decide(session, NotConfirmed(session.attempt.key), now)
        else:
            now = max(now, session.wake_at or now)
            decision = decide(session, Due(), now)
        for command in decision.commands:
            yield (now - due).total_seconds(), type(command)
        session = decision.session


def test_a_check_in_goes_minute_by_minute_as_it_is_told() -> None:
    told = []
    for at, what, *_ in table("| after it was due |"):
        minutes, seconds = at.lstrip("-").split(":")
        after = (int(minutes) * 60 + int(seconds)) * (-1 if at.startswith("-") else 1)
        kind = RaiseMissed if "missed" in what else Warn if "told" in what else Call
        told.append((float(after), kind))
    assert told == list(played())
    assert f"{RING_SECONDS:.0f} seconds" in TEXT


def test_the_figures_are_those_of_the_code() -> None:
    assert f"repeated every {TRY_AGAIN.total_seconds():.0f} seconds" in TEXT
    assert FAILURES == 10
    assert timedelta(hours=1) == WITHIN
    assert "Ten wrong PINs within an hour" in TEXT
    assert REMEMBERED == 60.0
    assert "the last minute is in memory" in flat(TEXT)
    assert f"a `duress` alarm of priority {Kind.DURESS.priority}" in TEXT


# -- keys --


def test_the_keys_are_those_of_the_dialogue() -> None:
    words = {
        Key.START: "start", Key.CONFIRM: "confirm", Key.EXTEND: "extend", Key.MEMO: "memo", Key.END: "end",
        Key.TEST: "test alarm", Key.NEXT: "next", Key.PIN: "PIN", Key.LANGUAGE: "language", Key.MENU: "again",
    }  # fmt: skip
    rows = table("| key | | key | |")
    shown = {row[n].strip("`"): row[n + 1] for row in rows for n in (0, 2)}
    assert set(shown) == set(Key)
    assert [key for key in Key if words[key] not in shown[key]] == []


# -- configuration --


def test_the_rules_that_hold_unless_configured_are_told() -> None:
    told = {name.strip("`"): value for name, value, _ in table("| `[[check_ins]]` |")}
    defaults = {
        name: getattr(EVERYBODYS, name) for name in CheckInRules.model_fields if name not in ("id", "agreement")
    }
    for name, value in defaults.items():
        if isinstance(value, str):
            assert told.pop(name) == f'`"{value}"`'
        else:
            numbers = value if isinstance(value, tuple) else (value,)
            assert told.pop(name) == f"{', '.join(f'{number:g}' for number in numbers)} s"
    assert not told


def test_every_key_that_is_named_exists() -> None:
    named = set(re.findall(r"`\[check_in\] (\w+)`", TEXT)) | set(re.findall(r"`\[check_in\.(\w+)\]`", TEXT))
    assert named
    assert named <= set(CheckIn.model_fields)


@pytest.mark.parametrize("excerpt", [body for kind, body in FENCES if kind == "toml"])
def test_an_excerpt_stands_in_the_example(excerpt: str) -> None:
    assert excerpt in HOME_CARE


# -- commands --


def test_a_command_prints_what_is_shown(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    (session,) = (body for kind, body in FENCES if kind == "console")
    command, shown = session.split("\n", 1)
    assert main(shlex.split(command)[2:]) == 0
    printed, at = flat(capsys.readouterr().out), 0
    for part in re.split(r"^\.\.\.$", shown, flags=re.MULTILINE):
        found = printed.find(flat(part), at)
        assert found >= 0, part
        at = found + len(flat(part))


def test_every_option_of_a_command_that_is_shown_exists(capsys: pytest.CaptureFixture[str]) -> None:
    shown = [line for kind, body in FENCES if not kind for line in body.splitlines()]
    commands = [line for line in shown if line.startswith("earshot ")]
    assert len(commands) >= 7
    for line in commands:
        name, options = line.split()[1], re.findall(r"--[a-z]+", line.split("   ")[0])
        with pytest.raises(SystemExit):
            main([name, "--help"])
        printed = capsys.readouterr().out
        assert [option for option in options if option not in printed] == []
