"""The command line: what it prints, and how it tells mistakes."""

import asyncio
import json
import wave
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import pytest

from voice.cli import playing
from voice.cli.main import main
from voice.incidents.kinds import Kind
from voice.incidents.lifecycle import Reason, State
from voice.media.wav import Origin, header
from voice.rtp.codecs import ALAW_SILENCE
from voice.store import Store, memos
from voice.store import incidents as rows
from voice.store.memos import Memo

AT = datetime(2026, 3, 1, 9, 15, 27, 123456, UTC)
ID = "1k3x9a0q"
Run = Callable[..., str]


@pytest.fixture
def configuration(tmp_path: Path) -> Path:
    path = tmp_path / "earshot.toml"
    path.write_text(f"""
[store]
url = "sqlite:///{tmp_path}/earshot.db"
[recordings]
directory = "{tmp_path}/recordings"
[sip]
trace_directory = "{tmp_path}/trace"
[[workers]]
id = "anna"
name = "Anna Jansen"
[[devices]]
id = "badge"
username = "badge"
worker = "anna"
""")
    return path


async def _alarm(tmp_path: Path, *, resolved: bool = False) -> None:
    """An incident with one call of the device, half a second of it recorded."""
    store = Store(f"sqlite:///{tmp_path}/earshot.db")
    audio = tmp_path / "recordings" / "a.wav"
    audio.parent.mkdir()
    audio.write_bytes(header(Origin(AT, 0)) + ALAW_SILENCE * 4000)
    await store.run(
        lambda c: rows.open_incident(
            c,
            incident_id=ID,
            kind=Kind.PANIC,
            priority=1,
            device_id="badge",
            worker_id="anna",
            caller="badge",
            dialled="101",
            identified_by="digest",
            at=AT,
            detail={},
        )
    )
    await store.run(
        lambda c: rows.add_leg(
            c,
            leg_id="leg",
            incident_id=ID,
            role="device",
            operator_id=None,
            call_id="call@device",
            peer="udp:192.0.2.1:5060",
            codec="PCMA",
            started_at=AT,
        )
    )
    await store.run(
        lambda c: rows.add_recording(
            c,
            recording_id="recording",
            incident_id=ID,
            leg_id="leg",
            direction="received",
            index=0,
            path=audio,
            started_at=AT,
            offset_ms=0,
        )
    )
    if resolved:
        at = AT + timedelta(seconds=187)
        await store.run(
            lambda c: rows.transition(c, ID, to=State.RESOLVED, actor="operator:olga", reason=Reason.FALSE, at=at)
        )
    await store.close()


@pytest.fixture
def earshot(configuration: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command that is to succeed; what it prints."""

    def run(*arguments: str) -> str:
        capsys.readouterr()
        code = main([*arguments, "--config", str(configuration)])
        out, err = capsys.readouterr()
        assert (code, err) == (0, "")
        return out

    return run


def mistake(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """What a command says that ends with exit code 2."""
    try:
        code = main(arguments)
    except SystemExit as exit:
        code = int(exit.code or 0)
    out, err = capsys.readouterr()
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    return err


def test_incidents_are_listed_for_people_and_for_programs(tmp_path: Path, earshot: Run) -> None:
    asyncio.run(_alarm(tmp_path))
    listed = earshot("incidents")
    for word in (ID, "panic", "Anna Jansen", "open"):
        assert word in listed
    (row,) = json.loads(earshot("incidents", "--json"))
    assert (row["id"], row["kind"], row["opened_at"]) == (ID, "panic", "2026-03-01T09:15:27.123456Z")
    assert earshot("incidents", "--state", "resolved") == "No incidents that are resolved.\n"


def test_a_narrow_terminal_cuts_nothing_off_what_one_copies(
    tmp_path: Path, earshot: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    asyncio.run(_alarm(tmp_path, resolved=True))
    listed = earshot("incidents")
    assert ID in listed
    assert "3:07 min" in listed
    assert "\N{HORIZONTAL ELLIPSIS}" not in listed


def test_an_incident_is_shown_by_a_part_of_its_name(tmp_path: Path, earshot: Run) -> None:
    asyncio.run(_alarm(tmp_path))
    for name in (ID, "1k3", "a0q"):
        shown = earshot("incident", name)
        for word in (ID, "badge", "raises the alarm", "+0.000 s", "proved by its password", "call@device", "a.wav"):
            assert word in shown


def test_an_incident_as_json_has_timeline_legs_and_recordings(tmp_path: Path, earshot: Run) -> None:
    asyncio.run(_alarm(tmp_path))
    told = json.loads(earshot("incident", ID, "--json"))
    assert [entry["kind"] for entry in told["timeline"]] == ["opened"]
    assert told["last_hash"] == told["timeline"][-1]["hash"]
    assert [leg["call_id"] for leg in told["legs"]] == ["call@device"]
    assert [recording["direction"] for recording in told["recordings"]] == ["received"]


def test_following_an_incident_ends_when_it_is_resolved(tmp_path: Path, earshot: Run) -> None:
    asyncio.run(_alarm(tmp_path, resolved=True))
    followed = earshot("incident", ID, "--follow")
    assert followed.index("raises the alarm") < followed.index("resolves the incident: false")
    assert "3:07 min" in followed
    lines = [json.loads(line) for line in earshot("incident", ID, "--follow", "--json").splitlines()]
    assert [line["kind"] for line in lines] == ["opened", "resolved"]


def test_a_recording_is_exported_as_pcm(tmp_path: Path, earshot: Run) -> None:
    asyncio.run(_alarm(tmp_path))
    told = earshot("play", ID, "--export", str(tmp_path / "out.wav"))
    assert str(tmp_path / "recordings" / "a.wav") in told
    with wave.open(str(tmp_path / "out.wav")) as file:
        assert (file.getframerate(), file.getsampwidth(), file.getnchannels()) == (8000, 2, 1)
        assert file.getnframes() == 4000
        assert set(file.readframes(4000)) == {8, 0}


def test_a_recording_that_is_another_than_was_recorded_is_played_and_said_to_be(
    tmp_path: Path, configuration: Path, earshot: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    asyncio.run(_alarm(tmp_path))
    asyncio.run(_finished(tmp_path))
    command = ["play", ID, "--export", str(tmp_path / "out.wav")]
    earshot(*command)  # and nothing on standard error
    audio = tmp_path / "recordings" / "a.wav"
    audio.write_bytes(audio.read_bytes()[:-1] + b"\x55")
    assert main([*command, "--config", str(configuration)]) == 0
    assert capsys.readouterr().err == f"earshot: {audio} is not as it was recorded: its SHA-256 is another\n"


async def _finished(tmp_path: Path) -> None:
    """The recording of `_alarm` is complete."""
    audio = (tmp_path / "recordings" / "a.wav").read_bytes()
    store = Store(f"sqlite:///{tmp_path}/earshot.db")
    facts = {"duration_ms": 500, "bytes": len(audio), "sha256": sha256(audio).hexdigest(), "lost_ms": 0}
    await store.run(lambda c: rows.finish_recording(c, "recording", at=AT, complete=True, **facts))
    await store.close()


async def _memo(tmp_path: Path, transcript: str | None) -> None:
    """What the worker said twelve minutes before `_alarm`: a second of it."""
    path = tmp_path / "recordings" / "memos" / "m.wav"
    path.parent.mkdir()
    made_at = AT - timedelta(minutes=12)
    path.write_bytes(header(Origin(made_at, 0), 8000) + ALAW_SILENCE * 8000)
    store = Store(f"sqlite:///{tmp_path}/earshot.db")
    memo = Memo("m", "anna", None, str(path), made_at, made_at + timedelta(hours=12), 1.0, transcript)
    await store.run(lambda c: memos.keep(c, memo))
    await store.close()


@pytest.mark.parametrize(
    ("transcript", "told"),
    [
        (None, "--memo`)\n"),
        ("", "in which no words were understood"),
        ("At the pump,\nwith Bob.", "“At the pump, with Bob.”"),
    ],
)
def test_a_memo_is_shown_before_all_else_and_can_be_played(
    tmp_path: Path, earshot: Run, transcript: str | None, told: str
) -> None:
    asyncio.run(_alarm(tmp_path))
    asyncio.run(_memo(tmp_path, transcript))
    shown = "\n".join(line.rstrip() for line in earshot("incident", ID).splitlines())
    assert "Amber memo of 1.0 s, 12:00 min before the alarm (`earshot play" in shown
    assert told.strip("\n") in shown.replace("\n", " ")
    assert json.loads(earshot("incident", ID, "--json"))["memo"]["transcript"] == transcript
    assert str(tmp_path / "recordings" / "memos" / "m.wav") in earshot(
        "play", ID, "--memo", "--export", str(tmp_path / "out.wav")
    )
    with wave.open(str(tmp_path / "out.wav")) as file:
        assert file.getnframes() == 8000


def test_that_there_is_no_memo_is_told(tmp_path: Path, configuration: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asyncio.run(_alarm(tmp_path))
    assert main(["play", ID, "--memo", "--config", str(configuration)]) == 2
    assert capsys.readouterr().err == f"earshot: incident {ID} has no memo\n"


def test_a_recording_is_found_when_its_folder_was_moved(tmp_path: Path, earshot: Run) -> None:
    asyncio.run(_alarm(tmp_path))
    before = tmp_path / "recordings"
    moved = tmp_path / "elsewhere"
    before.rename(moved)
    (tmp_path / "earshot.toml").write_text(
        f'[store]\nurl = "sqlite:///{tmp_path}/earshot.db"\n[recordings]\ndirectory = "{moved}"'
    )
    assert str(moved / "a.wav") in earshot("play", ID, "--export", str(tmp_path / "out.wav"))


def test_calls_of_one_incident_are_exported_with_a_short_silence_between_them(tmp_path: Path) -> None:
    segments = []
    for number, start in enumerate((AT, AT + timedelta(seconds=1.5), AT + timedelta(hours=1))):
        path = tmp_path / f"{number}.wav"
        path.write_bytes(header(Origin(start, 0)) + ALAW_SILENCE * 8000)
        segments.append(playing.Segment(path, start))
    assert playing.export(segments, tmp_path / "out.wav") == pytest.approx(3 + 0.5 + 2)


def test_without_a_player_it_is_said_what_to_do(
    tmp_path: Path, configuration: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asyncio.run(_alarm(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main(["play", ID, "--config", str(configuration)]) == 2
    error = capsys.readouterr().err
    assert error.startswith("earshot: no player found (ffplay, aplay, paplay, play)")
    assert "--export" in error


def test_the_first_player_that_is_installed_plays(
    tmp_path: Path, earshot: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    asyncio.run(_alarm(tmp_path))
    player = tmp_path / "aplay"
    player.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/played\n/bin/sleep 0.5\n')
    player.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/nowhere")
    earshot("play", ID)
    assert (tmp_path / "played").read_text().startswith("-q ")


@pytest.mark.parametrize("exit_code", [0, 1])
def test_a_player_without_a_sound_device_is_told_in_one_line_with_what_to_do_instead(
    exit_code: int,
    tmp_path: Path,
    configuration: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asyncio.run(_alarm(tmp_path))
    player = tmp_path / "ffplay"
    player.write_text(f"#!/bin/sh\necho 'ALSA lib: cannot find card' >&2\nexit {exit_code}\n")
    player.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/nowhere")
    assert main(["play", ID, "--config", str(configuration)]) == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith("earshot: nothing could be played: ffplay found no sound device")
    assert f"`earshot play {ID} --export FILE.wav`" in line


def test_certificates_that_cannot_be_used_are_all_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, key = tmp_path / "tls.toml", tmp_path / "key.pem"
    key.write_text("no key")
    path.write_text(f'[sip]\ncertificate = "{tmp_path}/gone.pem"\nprivate_key = "{key}"\nca = "{key}"\n')
    assert main(["check-config", str(path)]) == 2
    certificate, authority = capsys.readouterr().err.splitlines()
    assert certificate == f"earshot: sip.certificate: {tmp_path}/gone.pem: No such file or directory"
    assert authority.startswith(f"earshot: sip.ca: {key}: no certificate in PEM form")


def test_a_whole_timeline_is_verified_from_the_store_and_from_an_export(tmp_path: Path, earshot: Run) -> None:
    asyncio.run(_alarm(tmp_path, resolved=True))
    assert "2 entries, the chain is whole" in earshot("verify", ID)
    export = tmp_path / "export.json"
    export.write_text(earshot("incident", ID, "--json"))
    assert "2 entries, the chain is whole" in earshot("verify", str(export))


def test_an_altered_export_is_found_out(tmp_path: Path, earshot: Run, capsys: pytest.CaptureFixture[str]) -> None:
    asyncio.run(_alarm(tmp_path, resolved=True))
    told = earshot("incident", ID, "--json")
    export = tmp_path / "export.json"
    altered = json.loads(told)
    altered["timeline"][1]["detail"]["reason"] = "genuine"
    export.write_text(json.dumps(altered))
    assert main(["verify", str(export)]) == 1
    assert "the chain breaks at entry 2 of 2" in capsys.readouterr().err
    shortened = json.loads(told)
    del shortened["timeline"][-1]
    export.write_text(json.dumps(shortened))
    assert main(["verify", str(export)]) == 1
    assert "entries are missing at the end" in capsys.readouterr().err


def test_a_good_configuration_is_counted_and_commented(configuration: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check-config", str(configuration)]) == 0
    out = capsys.readouterr().out
    assert "is good: 1 device, 1 worker, 0 operators, 0 trunks." in out
    assert "note: there are no [[operators]]" in out


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("check-config", "/none.toml"), "/none.toml: cannot be read: No such file or directory"),
        (("serve", "--config", "/none.toml"), "/none.toml: cannot be read"),
        (("incidents", "--state", "lost"), "--state"),
        (("incidents", "--limit", "-1"), "'-1' is no number of rows; allowed: 1 and more"),
        (("resolve", "1k3x9a0q", "maybe"), "'maybe' is no reason; allowed: genuine, false, test, duress, drill"),
        (("safe", "1k3x9a0q", "--proof", " "), "say how you know"),
        (("nonsense",), "nonsense"),
        (("incident",), "required: ID"),
    ],
)
def test_a_mistake_is_told_in_one_line(
    arguments: tuple[str, ...], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    line = mistake(capsys, *arguments)
    assert line.startswith("earshot")
    assert told in line


def test_an_unknown_incident_and_a_missing_database_are_told_in_one_line(
    tmp_path: Path, configuration: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "there is no database at" in mistake(capsys, "incidents", "--config", str(configuration))
    asyncio.run(_alarm(tmp_path))
    for command in ("incident", "play", "verify"):
        told = mistake(capsys, command, "zzz", "--config", str(configuration))
        assert told == "earshot: there is no incident 'zzz'\n"


def test_an_unknown_call_is_told(configuration: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "has no call 'x'" in mistake(capsys, "trace", "x", "--config", str(configuration))


def test_help_has_examples(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    out = capsys.readouterr().out
    for command in ("serve", "check-config", "incidents", "incident", "play", "trace", "verify", "demo"):
        assert f"\n    {command} " in out or f"\n    {command}\n" in out
    assert "examples:" in out


def test_the_configuration_can_be_named_by_the_environment(
    tmp_path: Path, configuration: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asyncio.run(_alarm(tmp_path))
    monkeypatch.setenv("EARSHOT_CONFIG", str(configuration))
    assert main(["incidents"]) == 0
    assert ID in capsys.readouterr().out
