"""`earshot hash-pin`: what the configuration keeps of a PIN."""

import io

import pytest

from config.models import Worker
from voice.check_in.pins import Hashes, compare
from voice.cli.main import main


def entered(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(text))


def test_it_prints_a_hash_that_the_configuration_takes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    entered(monkeypatch, "4729\n")
    assert main(["hash-pin"]) == 0
    printed = capsys.readouterr().out.strip()
    assert "4729" not in printed
    worker = Worker(id="anna", name="Anna", pin=printed)
    assert compare(Hashes(worker.pin), "4729") == (True, False)


@pytest.mark.parametrize("pin", ["", "12", "1234", "0042", "abcd"])
def test_what_will_not_do_is_told_and_not_repeated(
    pin: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    entered(monkeypatch, pin)
    assert main(["hash-pin"]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert "this PIN will not do" in told.err
    assert not pin or pin not in told.err


def test_at_a_keyboard_it_asks_twice(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    class Keyboard(io.StringIO):
        def isatty(self) -> bool:
            return True

    answers = iter(["4729", "4729", "4729", "4792"])
    monkeypatch.setattr("sys.stdin", Keyboard())
    monkeypatch.setattr("voice.cli.pins.getpass", lambda prompt: next(answers))
    assert main(["hash-pin"]) == 0
    assert capsys.readouterr().out.startswith("$argon2id$")
    assert main(["hash-pin"]) == 2
    assert "not the same" in capsys.readouterr().err
