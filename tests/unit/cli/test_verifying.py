"""`earshot verify`: whatever was changed is named, and nothing that it is given makes a traceback."""

import asyncio
import json
import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from voice.cli.main import main
from voice.incidents.kinds import Kind
from voice.incidents.lifecycle import Reason, State
from voice.store import Store
from voice.store import incidents as rows

AT = datetime(2026, 3, 1, 9, 15, 27, 123456, UTC)
ID = "1k3x9a0q"
AUDIO = b"what the badge sent"
Verify = Callable[..., tuple[int, str]]
STEPS = (State.ACKNOWLEDGED, State.IN_PROGRESS, State.OPEN, State.ACKNOWLEDGED, State.RESOLVED, State.OPEN)


async def _incident(folder: Path, steps: tuple[State, ...], node: str | None = None) -> None:
    store = Store(f"sqlite:///{folder}/earshot.db")
    audio = folder / "recordings" / "2026" / "a.wav"
    audio.parent.mkdir(parents=True)
    audio.write_bytes(AUDIO)

    def write(c: Any) -> None:
        rows.open_incident(
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
        rows.add_leg(
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
        rows.add_recording(
            c,
            recording_id="recording",
            incident_id=ID,
            leg_id="leg",
            direction="received",
            index=0,
            path=str(audio),
            started_at=AT,
            offset_ms=0,
        )
        digest = sha256(AUDIO).hexdigest()
        rows.finish_recording(
            c, "recording", at=AT, duration_ms=500, bytes=len(AUDIO), sha256=digest, lost_ms=0, complete=True
        )
        for second, to in enumerate(steps, 1):
            reason, note = (Reason.FALSE, "a cat") if to is State.RESOLVED else (None, None)
            at = AT + timedelta(seconds=second)
            rows.transition(c, ID, to=to, actor="operator:olga", reason=reason, note=note, at=at)

    await store.run(write)
    await store.close()


@pytest.fixture
def configuration(tmp_path: Path) -> Path:
    path = tmp_path / "earshot.toml"
    path.write_text(f"""
[store]
url = "sqlite:///{tmp_path}/earshot.db"
[recordings]
directory = "{tmp_path}/recordings"
[[devices]]
id = "badge"
username = "badge"
""")
    return path


@pytest.fixture
def verify(configuration: Path, capsys: pytest.CaptureFixture[str]) -> Verify:
    """Its exit code, and all that it says."""

    def run(incident: str | Path = ID) -> tuple[int, str]:
        capsys.readouterr()
        code = main(["verify", str(incident), "--config", str(configuration)])
        return code, "".join(capsys.readouterr())

    return run


@pytest.fixture
def export(tmp_path: Path, configuration: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """A resolved incident, exported."""
    asyncio.run(_incident(tmp_path, STEPS[:5]))
    assert main(["incident", ID, "--json", "--config", str(configuration)]) == 0
    return dict(json.loads(capsys.readouterr().out))


def _written(folder: Path, content: object) -> Path:
    path = folder / "export" / "export.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


@pytest.mark.parametrize("count", range(len(STEPS) + 1))
def test_an_incident_is_as_its_timeline_tells_it_in_every_state(count: int, tmp_path: Path, verify: Verify) -> None:
    asyncio.run(_incident(tmp_path, STEPS[:count]))
    code, said = verify()
    assert (code, f"{count + 2} entries, the chain is whole" in said) == (0, True)
    assert "1 recordings are as they were recorded" in said


@pytest.mark.parametrize(
    ("cut", "told"),
    [
        (lambda it: it.update(timeline=[]), "the chain breaks at entry 1 of 0"),
        (lambda it: it.update(timeline=[], last_hash=None), "the chain breaks at entry 1 of 0"),
        (lambda it: it["timeline"].pop(), "breaks after entry 6: entries are missing at the end"),
        (lambda it: it.pop("last_hash"), "breaks after entry 7: entries are missing at the end"),
        (lambda it: it["timeline"][2].pop("hash"), "the chain breaks at entry 3 of 7"),
        (lambda it: it["timeline"][2].update(hash=None), "the chain breaks at entry 3 of 7"),
        (lambda it: it["timeline"][2].update(extra="x"), "the chain breaks at entry 3 of 7"),
        (lambda it: it["timeline"][2].update(detail=[1]), "the chain breaks at entry 3 of 7"),
        (lambda it: it["timeline"][2].update(detail={"a": float("nan")}), "the chain breaks at entry 3 of 7"),
        (lambda it: it["timeline"].insert(2, 7), "the chain breaks at entry 3 of 8"),
    ],
)
def test_a_chain_that_was_cut_or_damaged_is_told_in_one_line_with_exit_code_1(
    cut: Callable[[dict[str, Any]], object], told: str, tmp_path: Path, export: dict[str, Any], verify: Verify
) -> None:
    cut(export)
    code, said = verify(_written(tmp_path, export))
    assert (code, told in said) == (1, True), said
    assert "whole" not in said


@pytest.mark.parametrize(
    ("field", "value", "timeline"),
    [
        ("id", "zzz", ID),
        ("kind", "test", "panic"),
        ("priority", 5, "1"),
        ("state", "open", "resolved"),
        ("reason", "genuine", "false"),
        ("note", None, "a cat"),
        ("worker_id", "bob", "anna"),
        ("taken_by", "operator:mallory", "operator:olga"),
        ("opened_at", "2026-03-01T09:00:00.000000Z", "2026-03-01T09:15:27.123456Z"),
        ("resolved_at", None, "2026-03-01T09:15:32.123456Z"),
    ],
)
def test_a_field_of_the_head_that_the_timeline_tells_otherwise_is_named(
    field: str, value: object, timeline: str, tmp_path: Path, export: dict[str, Any], verify: Verify
) -> None:
    code, said = verify(_written(tmp_path, export | {field: value}))
    assert (code, f"{field} is " in said, f"the timeline says {timeline}\n" in said) == (1, True, True), said


def test_a_row_that_was_changed_in_the_database_is_found_out(tmp_path: Path, verify: Verify) -> None:
    asyncio.run(_incident(tmp_path, STEPS[:5]))
    with sqlite3.connect(tmp_path / "earshot.db") as database:
        database.execute("update incidents set reason = 'test', kind = 'test'")
    code, said = verify()
    assert code == 1
    assert said.splitlines() == [
        "1 recordings are as they were recorded",
        f"incident {ID}: kind is test, and the timeline says panic",
        f"incident {ID}: reason is test, and the timeline says false",
    ]


def test_a_recording_with_one_byte_changed_and_one_that_is_gone_are_named(tmp_path: Path, verify: Verify) -> None:
    asyncio.run(_incident(tmp_path, ()))
    audio = tmp_path / "recordings" / "2026" / "a.wav"
    audio.write_bytes(AUDIO.replace(b"w", b"W", 1))
    code, said = verify()
    assert (code, f"recording {audio} is not as it was recorded" in said) == (1, True)
    audio.unlink()
    code, said = verify()
    assert (code, f"recording {audio} is not here" in said) == (1, True)


def test_a_recording_that_was_changed_together_with_its_row_is_found_out(tmp_path: Path, verify: Verify) -> None:
    asyncio.run(_incident(tmp_path, STEPS[:5]))
    other = AUDIO.replace(b"w", b"W", 1)
    (tmp_path / "recordings" / "2026" / "a.wav").write_bytes(other)
    for changed, fault in (
        (f"sha256 = '{sha256(other).hexdigest()}'", "its SHA-256 is not the one that the timeline has"),
        ("sha256 = ''", "is on the timeline, and not among the recordings"),
        ("id = 'another'", "is on the timeline, and not among the recordings"),
    ):
        with sqlite3.connect(tmp_path / "earshot.db") as database:
            database.execute(f"update recordings set {changed}")
        code, said = verify()
        assert (code, f"incident {ID}: recording recording" in said, fault in said) == (1, True, True), said


def test_a_recording_that_was_left_out_of_an_export_is_found_out(
    tmp_path: Path, export: dict[str, Any], verify: Verify
) -> None:
    code, said = verify(_written(tmp_path, export | {"recordings": []}))
    assert (code, "recording recording is on the timeline, and not among the recordings" in said) == (1, True), said


def test_the_recordings_of_an_export_are_checked_only_beside_it(
    tmp_path: Path, export: dict[str, Any], verify: Verify
) -> None:
    path = _written(tmp_path, export)
    code, said = verify(path)
    assert (code, "1 of 1 recordings are not beside the export, and were not checked" in said) == (0, True)
    (path.parent / "a.wav").write_bytes(AUDIO)
    assert "1 recordings are as they were recorded" in verify(path)[1]
    (path.parent / "a.wav").write_bytes(AUDIO[1:])
    assert verify(path)[0] == 1


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "3",
        "null",
        "{}",
        '{"id": "a"}',
        '{"id": "a", "timeline": 3}',
        '{"id": "a", "timeline": []}',
        '{"id": "a", "timeline": [], "recordings": [3]}',
        '{"id": "a", "id": "b", "timeline": [], "recordings": []}',
        "[" * 100_000,
    ],
)
def test_a_file_that_is_no_export_is_told_in_one_line_with_exit_code_2(
    text: str, tmp_path: Path, verify: Verify
) -> None:
    code, said = verify(_written(tmp_path, text))
    assert (code, said.count("\n"), "is no exported incident" in said) == (2, 1, True), said
