"""Any program as a speech engine."""

import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from config.models import Speech
from ivr.command import CommandSpeaker
from ivr.engines import open_speaker
from ivr.sound import RATE
from ivr.speech import SpeechUnavailable

PROGRAM = """
import array, math, sys, wave
text = sys.stdin.read()
with wave.open(sys.stdout.buffer, "wb") as file:
    file.setparams((1, 2, 16000, 0, "NONE", ""))
    seconds = len(text) / 10 if sys.argv[1] == "nl" else 0.1
    file.writeframes(array.array("h", (int(9000 * math.sin(i / 5)) for i in range(int(16000 * seconds)))).tobytes())
"""


def engine(tmp_path: Path, program: str = PROGRAM) -> CommandSpeaker:
    path = tmp_path / "engine.py"
    path.write_text(program)
    return CommandSpeaker((sys.executable, str(path), "{language}"))


async def test_a_program_speaks_the_text_in_the_language_that_it_is_told(tmp_path: Path) -> None:
    speaker = engine(tmp_path)
    dutch, english = await speaker.speak("a" * 20, "nl"), await speaker.speak("a" * 20, "en")
    assert len(dutch) == pytest.approx(2.2 * RATE, abs=0.1 * RATE)
    assert len(english) < 0.5 * RATE


@pytest.mark.parametrize("program", ["raise SystemExit(1)", "print('no sound')", ""])
async def test_a_program_that_fails_is_told(tmp_path: Path, program: str) -> None:
    with pytest.raises(SpeechUnavailable):
        await engine(tmp_path, program).speak("Hello", "en")


async def test_a_program_that_is_missing_is_told_at_the_start_and_at_each_use(tmp_path: Path) -> None:
    speaker, why = open_speaker("command", tmp_path, ("no-such-engine",))
    assert "not installed" in (why or "")
    with pytest.raises(SpeechUnavailable, match="no-such-engine"):
        await speaker.speak("Hello", "en")
    assert open_speaker("command", tmp_path, (sys.executable,))[1] is None


def test_another_command_does_not_speak_from_the_cache_of_the_first() -> None:
    assert CommandSpeaker(("one",)).identity != CommandSpeaker(("two",)).identity


@pytest.mark.parametrize(
    "settings", [{"engine": "command"}, {"command": ("say",)}, {"engine": "none", "command": "say"}]
)
def test_a_command_belongs_to_its_engine(settings: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match="belongs to"):
        Speech.model_validate(settings)
    assert Speech.model_validate({"engine": "command", "command": ["say", "{language}"]}).command == (
        "say",
        "{language}",
    )
