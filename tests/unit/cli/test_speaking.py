"""`earshot say` and `earshot dialogue`."""

import re
import wave
from pathlib import Path

import pytest

from config.prompts import FOLDER
from ivr.charts import DIALOGUES
from ivr.prompts import Prompts
from voice.cli import speaking
from voice.cli.main import main


@pytest.fixture
def configuration(tmp_path: Path) -> str:
    path = tmp_path / "earshot.toml"
    path.write_text(f'[speech]\ndirectory = "{tmp_path}/speech"\n')
    return str(path)


def _say(configuration: str, *arguments: str) -> int:
    return main(["say", "--config", configuration, *arguments])


def test_a_prompt_is_written_as_a_wav_file(
    configuration: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "take.wav"
    assert _say(configuration, "--language", "nl", "accept.take", "key=4", "--wav", str(path)) == 0
    assert capsys.readouterr().out.startswith("Om dit alarm aan te nemen, druk op vier.\n")
    with wave.open(str(path)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (8000, 1, 2)
        assert 1.0 < file.getnframes() / 8000 < 10.0


def test_values_may_stand_after_an_option(
    configuration: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(tmp_path / "take.wav")
    assert _say(configuration, "accept.take", "--language", "nl", "key=4", "--wav", path) == 0
    assert capsys.readouterr().out.startswith("Om dit alarm aan te nemen, druk op vier.\n")
    for mistake in (["say", "goodbye", "--laguage", "nl"], ["incidents", "key=4"]):
        with pytest.raises(SystemExit, match="2"):
            main(mistake)
        assert "unrecognized arguments" in capsys.readouterr().err


def test_every_prompt_says_something_if_nothing_is_said_of_its_values(capsys: pytest.CaptureFixture[str]) -> None:
    prompts = Prompts.load(FOLDER)
    for id in prompts.ids:
        values = speaking._values(prompts, "en", id, [])
        assert prompts.text("en", id, values, timezone="UTC").strip(), id


def test_values_of_every_kind_have_an_example(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Who looks for the right prompt wants to hear it, not to look up what it needs."""
    prompts = Prompts.load(FOLDER)
    of_kind = {kind: id for id in prompts.ids for _, kind in prompts.message("en", id).placeholders()}
    configuration = tmp_path / "mute.toml"
    configuration.write_text('[speech]\nengine = "none"\n')
    for id in sorted(set(of_kind.values())):
        assert _say(str(configuration), id, "--wav", str(tmp_path / "a.wav")) == 0, id
    assert "{" not in capsys.readouterr().out
    assert _say(str(configuration), "check_in.ask", "last=false", "--wav", str(tmp_path / "a.wav")) == 0
    assert capsys.readouterr().out.startswith("If you are well, press four.\n")


def test_a_prompt_is_played(configuration: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speaking, "PLAYERS", {"true": ()})
    assert _say(configuration, "goodbye") == 0


def test_without_a_player_a_file_is_suggested(
    configuration: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for players in ({}, {"false": ()}):
        monkeypatch.setattr(speaking, "PLAYERS", players)
        assert _say(configuration, "goodbye") == 2
        assert "--wav FILE" in capsys.readouterr().err


def test_all_kinds_of_values_are_read(configuration: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(tmp_path / "a.wav")
    for arguments, text in [
        (["briefing.coordinates", "coordinates=52.5,-4"], "52 point five zero zero zero zero degrees north"),
        (["briefing.accuracy", "uncertainty=23"], "Accurate to about 25 metres."),
        (["briefing.since", "since=2020-03-01T14:05+01:00", "ago=95"], "2 oh 5 p m on March 1, one minute ago."),
        (["accept.who", "customer=X", "worker=Y"], "Earshot alarm for X: Y."),
        (["accept.who", "customer=X", "worker=Y", "known=false", "has_worker=no"], "Earshot alarm: an unknown worker."),
        (["accept.what", "kind=gas"], "This is a gas alarm."),
    ]:
        assert _say(configuration, *arguments, "--wav", path) == 0
        assert text in capsys.readouterr().out


def test_what_is_said_without_values_is_what_is_said_every_day(
    configuration: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _say(configuration, "check_in.ask", "--wav", str(tmp_path / "a.wav")) == 0
    assert "session is over" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["nope"], "there is no prompt 'nope'"),
        (["briefing.since", "ago=soon"], "ago=soon is no duration; an example: 90 (seconds)"),
        (["goodbye", "--timezone", "Mars/Olympus"], "'Mars/Olympus' is no time zone"),
        (["briefing.coordinates", "coordinates=north"], "an example: 52.37031,4.90012"),
        (["check_in.ask", "key=x"], "key=x is no key; an example: 4"),
        (["check_in.ask", "kee=4"], "check_in.ask has no value 'kee'; it takes "),
        (["goodbye", "--wav", "/nowhere/a.wav"], "/nowhere/a.wav"),
    ],
)
def test_mistakes_are_told_in_one_line(
    configuration: str, arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _say(configuration, *arguments) == 2
    error = capsys.readouterr().err
    assert told in error
    assert error.count("\n") == 1


def test_without_a_prompt_all_are_listed(configuration: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert _say(configuration, "--language", "fr") == 0
    assert "accept.take" in capsys.readouterr().out


def test_without_an_engine_tones_are_played_and_said_to_be(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "mute.toml"
    path.write_text('[speech]\nengine = "none"\n')
    assert _say(str(path), "goodbye", "--wav", str(tmp_path / "a.wav")) == 0
    assert "tones" in capsys.readouterr().err


def test_recordings_that_cannot_be_used_are_a_mistake_in_the_configuration(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "prompts" / "nl").mkdir(parents=True)
    (tmp_path / "prompts" / "nl" / "goodbye.wav").write_bytes(b"no wave")
    path = tmp_path / "earshot.toml"
    path.write_text(f'[speech]\nprompts = "{tmp_path}/prompts"\n')
    assert main(["check-config", str(path)]) == 2
    assert "speech.prompts: " in capsys.readouterr().err
    assert _say(str(path), "goodbye", "--language", "nl", "--wav", str(tmp_path / "a.wav")) == 0
    assert "nl/goodbye.wav" in capsys.readouterr().err, "told, and spoken all the same"


@pytest.mark.parametrize("name", sorted(DIALOGUES))
@pytest.mark.parametrize("language", ["nl", "en", "de", "fr"])
def test_a_dialogue_can_be_read_in_words(name: str, language: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dialogue", name, "--language", language]) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"{name}: ")
    assert "silence" in out


def test_a_dialogue_can_be_drawn(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dialogue", "accept", "--graph"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("flowchart TD\n")
    assert 'Ask -->|"{key}"| Accepted' in out
    assert 'Ask -->|"silence, wrong keys"| Not_accepted' in out
    assert main(["dialogue", "check_in", "--graph"]) == 0
    out = capsys.readouterr().out
    assert 'Ask -->|"{key}, digits"| Verify' in out
    assert "Verify[[verify]]" in out
    assert 'Verify -->|"refused"| Ask' in out
    assert main(["dialogue", "inbound", "--graph"]) == 0
    out = capsys.readouterr().out
    assert 'Memo["memo<br>worker.memo<br>tone"]' in out
    assert 'Memo -->|"spoken"| Keep' in out
    assert re.search(r"^ *end\b|\| end$", out, re.MULTILINE) is None, "Mermaid would not read it"
