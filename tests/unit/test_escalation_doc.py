"""What `docs/escalation.md` shows is what the examples say, and what the commands print."""

import re
import shlex
from pathlib import Path

import pytest

from config.plans import Customer, EmergencyRoute, Plan, Step
from voice.cli.main import main

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "escalation.md").read_text(encoding="utf-8")
HOME_CARE = (ROOT / "config" / "examples" / "home-care.toml").read_text(encoding="utf-8")

_FENCE = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
EXCERPTS = [body for kind, body in _FENCE.findall(TEXT) if kind == "toml"]
SESSIONS = [body for kind, body in _FENCE.findall(TEXT) if kind == "console"]


def flat(text: str) -> str:
    """Without line breaks and borders: a document is narrower than a terminal."""
    return " ".join(text.split())


@pytest.mark.parametrize("excerpt", EXCERPTS)
def test_an_excerpt_stands_in_the_example(excerpt: str) -> None:
    assert excerpt in HOME_CARE


@pytest.mark.parametrize("session", SESSIONS, ids=lambda session: session.split()[2])
def test_a_command_prints_what_is_shown(
    session: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`...` stands for any number of lines; behind the last line there may be more."""
    monkeypatch.chdir(ROOT)
    command, shown = session.split("\n", 1)
    prompt, program, *arguments = shlex.split(command)
    assert (prompt, program) == ("$", "earshot")
    assert main(arguments) == 0
    printed = flat(capsys.readouterr().out)
    at = 0
    for part in re.split(r"^\.\.\.$", shown, flags=re.MULTILINE):
        found = printed.find(flat(part), at)
        assert found >= 0, part
        at = found + len(flat(part))


def test_the_hole_that_is_promised_is_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    night, override = HOME_CARE.rindex("[[rotas.shifts]]"), HOME_CARE.index("[[rotas.overrides]]")
    assert 'members = ["sofie"]' in HOME_CARE[night:override]
    holed = tmp_path / "holed.toml"
    holed.write_text(HOME_CARE[:night] + HOME_CARE[override:], encoding="utf-8")
    assert main(["check-config", "--quiet", str(holed)]) == 0
    assert "warning: plan 'nurses': rota 'nurses': nobody is on duty: " in capsys.readouterr().out


def test_every_key_that_is_shown_with_a_value_exists() -> None:
    known = {name for model in (Plan, Step, EmergencyRoute, Customer) for name in model.model_fields}
    shown = set(re.findall(r"`(\w+) = [^`]+`", TEXT))
    assert {"at_end", "confirm", "link", "location"} <= shown
    assert shown <= known
