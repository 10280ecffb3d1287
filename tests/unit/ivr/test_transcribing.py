"""A configured program writes down what is said; whatever it does, it holds nothing up and gives nothing away."""

import asyncio
import os
import sys
import time
from pathlib import Path

import pytest

from ivr import transcribing
from ivr.transcribing import CommandTranscriber, NotTranscribed, transcriber


def python(code: str) -> CommandTranscriber:
    return CommandTranscriber([sys.executable, "-c", code, "{file}"])


async def test_the_program_is_given_the_file_and_its_output_is_the_text(tmp_path: Path) -> None:
    heard = await python("import sys; print('', open(sys.argv[1]).read(), 'é')")(_file(tmp_path))
    assert heard == "at the pump é"


async def test_it_runs_when_nothing_more_urgent_does(tmp_path: Path) -> None:
    nice = await python("import os, time; time.sleep(0.5); print(os.getpriority(os.PRIO_PROCESS, 0))")(tmp_path)
    assert int(nice) >= transcribing.NICENESS


@pytest.mark.parametrize("code", ["print('secret'); raise SystemExit(3)", "import os; os.abort()"])
async def test_what_fails_tells_nothing_of_what_it_wrote(tmp_path: Path, code: str) -> None:
    with pytest.raises(NotTranscribed) as told:
        await python(code)(tmp_path)
    assert "secret" not in str(told.value)


async def test_a_program_that_is_not_there_is_said_to_be_so() -> None:
    with pytest.raises(NotTranscribed, match="No such file"):
        await CommandTranscriber(["/nowhere/hear", "{file}"])(Path("x.wav"))


async def test_a_program_that_does_not_end_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transcribing, "LONGEST", 0.2)
    with pytest.raises(NotTranscribed, match="longer"):
        await python("import time; time.sleep(60)")(tmp_path)


async def test_a_service_that_stops_leaves_no_program_behind(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    code = f"import os, time; open({str(pid)!r}, 'w').write(f'{{os.getpid()}} '); time.sleep(60)"
    running = asyncio.ensure_future(python(code)(tmp_path))
    number = await asyncio.to_thread(_text, pid)
    running.cancel()
    await asyncio.wait([running])
    assert running.cancelled()
    with pytest.raises(ProcessLookupError):
        os.kill(int(number), 0)


def test_without_a_program_there_is_none() -> None:
    assert transcriber(()) is None
    assert transcriber(("hear", "{file}")) is not None


def _file(folder: Path) -> Path:
    path = folder / "memo.wav"
    path.write_text("at the pump")
    return path


def _text(path: Path) -> str:
    """What the program writes there, as soon as it has."""
    while not path.exists() or not (text := path.read_text()).endswith(" "):
        time.sleep(0.02)
    return text
