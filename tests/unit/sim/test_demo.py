"""The demo: its story in virtual time, its verdicts when something is wrong, its view, and once as a user runs it."""

import io
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from rich.console import Console

from config.models import Settings
from voice.incidents.lifecycle import State
from voice.sim.control_room import ControlRoom
from voice.sim.demo_duress import SEES_IT_LATER, CheckedIn, CheckInStory
from voice.sim.demo_duress import findings as check_in_findings
from voice.sim.demo_escalation import Cast, Escalation
from voice.sim.demo_escalation import findings as escalation_findings
from voice.sim.demo_findings import findings
from voice.sim.demo_place import prepare
from voice.sim.demo_story import Played, Story
from voice.sim.demo_view import Finding, View
from voice.sim.habits import Answers, Habits
from voice.sim.loop import run_virtual
from voice.sim.speech import silence
from voice.sim.stage import Stage

AT = datetime(2026, 3, 1, 9, 15, 27, tzinfo=UTC)


def settings(folder: Path) -> Settings:
    return Settings.model_validate(
        {
            "recordings": {"directory": folder / "recordings"},
            "store": {"url": f"sqlite:///{folder}/earshot.db"},
            "workers": [{"id": "anna", "name": "Anna Jansen"}],
            "devices": [{"id": "badge-7", "username": "badge-7", "password": "x", "worker": "anna"}],
            "operators": [{"id": "olga", "name": "Olga de Vries", "username": "olga", "password": "y"}],
        }
    )


def play(folder: Path, habits: Habits | None = None, judge: Callable[[Played], Played] | None = None) -> list[Finding]:
    """The story in virtual time, and what is found; `judge` may falsify it before."""

    async def story() -> list[Finding]:
        stage = await Stage.open(settings(folder))
        badge = await stage.phone("badge-7", "10.0.0.7", password="x")
        olga = await stage.phone("olga", "10.0.0.9", password="y", habits=habits or Habits(after=3.0))
        told: list[str] = []
        played = await Story(stage.service, badge, olga, tell=lambda at, who, what: told.append(what)).play()
        assert any("resolves the incident: genuine" in line for line in told)
        return list(findings(judge(played) if judge else played))

    return run_virtual(story())


def failed(found: list[Finding]) -> set[str]:
    return {finding.what for finding in found if not finding.holds}


def test_everything_in_the_story_is_as_it_should_be(tmp_path: Path) -> None:
    found = play(tmp_path)
    assert not failed(found)
    told = {finding.what: finding.told for finding in found}
    assert "seconds 0.0 to 7." in told["from second 0"]
    assert "after Olga picked up" in told["a human hears it"]
    assert "digital silence, bit for bit" in told["silent badge"]
    assert "bit for bit" in told["talk to the badge"]
    assert "the chain is whole" in told["timeline"]


HOSTS = {"manager": "10.6.0.1", "bas": "10.6.0.2", "control-room": "10.6.0.3"}


def on_the_simulated_network(configured: Settings) -> Settings:
    """The same plan; people have addresses there."""
    contacts = [c.model_copy(update={"numbers": (f"sip:{c.id}@{HOSTS[c.id]}",)}) for c in configured.contacts]
    routes = [r.model_copy(update={"number": f"sip:room@{HOSTS[r.id]}"}) for r in configured.emergency_routes]
    return configured.model_copy(update={"contacts": tuple(contacts), "emergency_routes": tuple(routes)})


async def escalated(configured: Settings) -> list[Finding]:
    stage = await Stage.open(on_the_simulated_network(configured))
    device, operator = configured.devices[0], configured.operators[0]
    room = await stage.phone("room", HOSTS["control-room"], habits=Habits(after=1.0))
    cast = Cast(
        badge=await stage.phone("badge-7", "10.0.0.7", password=device.password),
        olga=await stage.phone("olga", "10.0.0.9", password=operator.password, habits=Habits(answers=Answers.NEVER)),
        manager=await stage.phone("manager", HOSTS["manager"], habits=Habits(after=2.0)),
        bas=await stage.phone("bas", HOSTS["bas"], habits=Habits(after=3.0)),
        room=ControlRoom(room, stage.speaker, presses="2", after=22.0),
    )
    played = await Escalation(stage.service, cast, tell=lambda at, who, what: None).play()
    return list(escalation_findings(played))


def test_the_plan_goes_on_until_a_person_has_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second story: nobody is at the desk."""
    monkeypatch.chdir(tmp_path)
    found = run_virtual(escalated(prepare(datetime.now(), "escalation").settings))
    assert not failed(found)
    assert {finding.what for finding in found} >= {"a person has it", "voicemail", "silent badge", "emergency call"}


async def checked_in(configured: Settings) -> CheckedIn:
    worker = configured.workers[0].model_copy(update={"numbers": ("sip:anna@10.6.0.4",)})
    stage = await Stage.open(configured.model_copy(update={"workers": (worker,)}))
    anna = await stage.phone("anna", "10.6.0.4", habits=Habits(after=1.0))
    password = configured.operators[0].password
    olga = await stage.phone("olga", "10.0.0.9", password=password, habits=Habits(after=SEES_IT_LATER))
    return await CheckInStory(stage.service, anna, olga, tell=lambda at, who, what: None).play()


def test_a_check_in_under_threat_sounds_like_any_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The third story; and what would betray her is found out."""
    monkeypatch.chdir(tmp_path)
    played = run_virtual(checked_in(prepare(datetime.now(), "check-in").settings))
    found = list(check_in_findings(played))
    assert not failed(found)
    assert {finding.what for finding in found} >= {"the same words", "silent line", "hers to end", "heard"}
    assert failed(list(check_in_findings(replace(played, talked=played.forced_pressed)))) == {"silent line"}
    assert failed(list(check_in_findings(replace(played, resolved_before=False)))) == {"hers to end"}


def test_a_sound_at_the_badge_before_talk_is_found_out(tmp_path: Path) -> None:
    def falsify(played: Played) -> Played:
        return replace(played, talk_pressed=played.talk_off)

    assert "silent badge" in failed(play(tmp_path, judge=falsify))


def test_a_recording_that_was_altered_is_found_out(tmp_path: Path) -> None:
    def falsify(played: Played) -> Played:
        (row,) = (
            row
            for row in played.recordings
            if Path(row.path).name.endswith("rx-000.wav")
            and row.offset_ms == 0
            and row.leg_id in {leg.id for leg in played.legs if leg.role == "device"}
        )
        content = bytearray(Path(row.path).read_bytes())
        content[20_000] ^= 1
        Path(row.path).write_bytes(content)
        return played

    assert failed(play(tmp_path, judge=falsify)) == {"recorded", "SHA-256"}


def test_a_timeline_that_was_altered_is_found_out(tmp_path: Path) -> None:
    def falsify(played: Played) -> Played:
        entries = list(played.timeline)
        entries[3] = replace(entries[3], actor="operator:nobody")
        return replace(played, timeline=entries)

    assert failed(play(tmp_path, judge=falsify)) == {"timeline"}


def test_an_incident_that_is_not_resolved_is_found_out(tmp_path: Path) -> None:
    def falsify(played: Played) -> Played:
        return replace(played, incident=replace(played.incident, state=State.OPEN))

    assert failed(play(tmp_path, judge=falsify)) == {"resolved"}


def test_an_operator_who_heard_nothing_is_found_out(tmp_path: Path) -> None:
    def falsify(played: Played) -> Played:
        played.operator.hearing.raw = [
            (at, data[:12] + silence(0.02), source) for at, data, source in played.operator.hearing.raw
        ]
        return played

    assert {"a human hears it", "from second 0", "live"} <= failed(play(tmp_path, judge=falsify))


def test_an_operator_who_heard_only_the_end_is_found_out(tmp_path: Path) -> None:
    def falsify(played: Played) -> Played:
        hearing = played.operator.hearing
        hearing.raw = [packet for packet in hearing.raw if packet[0] >= hearing.raw[0][0] + 2.0]
        return played

    assert "from second 0" in failed(play(tmp_path, judge=falsify))


def test_a_story_that_stops_says_where(tmp_path: Path) -> None:
    async def story() -> str:
        stage = await Stage.open(settings(tmp_path))
        badge = await stage.phone("badge-7", "10.0.0.7", password="x")
        olga = await stage.phone("olga", "10.0.0.9", password="y", habits=Habits(answers=Answers.NEVER))
        told = Story(stage.service, badge, olga, tell=lambda at, who, what: None)
        with pytest.raises((TimeoutError, ConnectionError)):
            await told.play()
        return told.doing

    assert run_virtual(story()) == "the operator's phone rings"


def test_lines_stand_in_the_order_in_which_things_happened() -> None:
    out = io.StringIO()
    view = View(Console(file=out, width=100))
    view.begin(AT)
    view.add(AT + timedelta(seconds=2), "Earshot", "second")
    view.add(AT + timedelta(seconds=1), "badge-7", "first")
    view.show(AT + timedelta(seconds=1.1))
    assert out.getvalue() == ""  # a line that is told late may still come before
    view.show()
    first, second = out.getvalue().splitlines()
    assert "+1.000" in first
    assert first.endswith("first")
    assert second.endswith("second")


def test_lines_fit_into_80_columns_without_blanks_at_their_end_and_without_colours() -> None:
    out = io.StringIO()
    view = View(Console(file=out, width=80))
    view.add(AT, "Olga's phone", "words " * 30)
    view.show()
    view.findings([Finding("from second 0", True, "words " * 30), Finding("live", False, "no")])
    lines = out.getvalue().splitlines()
    assert all(len(line) <= 80 and line == line.rstrip() and "\x1b" not in line for line in lines)
    assert lines[-1].startswith("FAILED  live")


def test_each_demo_has_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    one, two = prepare(AT), prepare(AT)
    assert one.folder != two.folder
    assert one.folder.parent == tmp_path / "earshot-data"
    assert one.configuration.stat().st_mode & 0o077 == 0  # it has passwords
    assert one.settings.operators[0].password != two.settings.operators[0].password


def test_where_no_folder_can_be_made_the_demo_takes_a_temporary_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "earshot-data").touch()
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    assert prepare(AT).folder.name.startswith("earshot-demo-")


@pytest.mark.interop
def test_the_demo_runs_on_real_sockets_and_succeeds(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "voice", "demo"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Everything was as it should be." in done.stdout
    assert "\x1b" not in done.stdout
    (heard,) = tmp_path.glob("earshot-data/demo-*/heard-by-olga.wav")
    assert heard.stat().st_size > 100_000
