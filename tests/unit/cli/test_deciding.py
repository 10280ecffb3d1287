"""`earshot resolve`, `reopen` and `safe`: letters for the service that has the incident."""

import asyncio
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import Connection

from config.plans import OPERATORS_ONLY, FrozenPlan
from voice.cli import deciding
from voice.cli.main import main
from voice.escalation.engine import begin
from voice.escalation.events import Event, Reopened, Resolved, WorkerSafe
from voice.escalation.ledger import Opening, PlanText
from voice.escalation.state import Facts
from voice.incidents.kinds import Kind
from voice.incidents.lifecycle import Reason, State
from voice.owned.ledger import Fence
from voice.store import Store
from voice.store import incidents as rows
from voice.store.escalations import SqlLedger

AT = datetime(2026, 3, 1, 9, 15, 27, 123456, UTC)
ID, OLD = "1k3x9a0q", "0k3x9a0q"


@pytest.fixture
def configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(deciding, "PATIENCE", 0.0)
    monkeypatch.setattr("getpass.getuser", lambda: "root")
    path = tmp_path / "earshot.toml"
    path.write_text(f'[store]\nurl = "sqlite:///{tmp_path}/earshot.db"\n')
    asyncio.run(_incidents(tmp_path))
    return path


async def _incidents(tmp_path: Path) -> None:
    """One incident with an escalation, one of an Earshot that had none."""
    store = Store(f"sqlite:///{tmp_path}/earshot.db")
    ledger = SqlLedger(store, sole=True)
    state = begin(ID, Facts("panic", 1), AT)
    plan = PlanText.of(FrozenPlan(plan=OPERATORS_ONLY))
    for name in (ID, OLD):
        await store.run(partial(_open, name=name))
    await store.run(partial(ledger.open, opening=Opening(Fence(ID, "node", 1), plan, True, state, (), AT)))
    await store.close()


def _open(connection: Connection, name: str) -> None:
    rows.open_incident(
        connection,
        incident_id=name,
        kind=Kind.PANIC,
        priority=1,
        device_id="badge",
        worker_id=None,
        caller="badge",
        dialled="101",
        identified_by="digest",
        at=AT,
        detail={},
    )


def left(tmp_path: Path) -> list[Event | None]:
    """What is in the inbox."""

    async def read() -> list[Event | None]:
        store = Store(f"sqlite:///{tmp_path}/earshot.db")
        ledger = SqlLedger(store, sole=True)
        letters = await store.read(partial(ledger.letters, node="node", at=AT))
        await store.close()
        return [letter.event for letter in letters]

    return asyncio.run(read())


async def _resolved(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path}/earshot.db")
    transition = partial(rows.transition, to=State.RESOLVED, actor="operator:olga", reason=Reason.FALSE, at=AT)
    await store.run(lambda c: transition(c, ID))
    await store.close()


@pytest.mark.parametrize(
    ("arguments", "event"),
    [
        (("resolve", ID, "false", "--note", "at home"), Resolved("shell:root", Reason.FALSE, "at home")),
        (("resolve", "1k3", "genuine"), Resolved("shell:root", Reason.GENUINE)),
        (("safe", ID, "--proof", "her voice"), WorkerSafe("her voice, noted by shell:root")),
    ],
)
def test_a_decision_is_a_letter_and_without_a_service_it_waits(
    arguments: tuple[str, ...], event: Event, tmp_path: Path, configuration: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*arguments, "--config", str(configuration)]) == 0
    assert capsys.readouterr().err == (f"incident {ID}: left for the service, which does not answer: is it running?\n")
    assert left(tmp_path) == [event]


def test_what_the_service_has_read_is_told_as_done(
    configuration: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("voice.store.escalations.is_answered", lambda connection, letter: True)
    assert main(["resolve", ID, "drill", "--config", str(configuration)]) == 0
    assert capsys.readouterr() == (f"incident {ID}: resolved: drill\n", "")


def test_a_resolved_incident_is_reopened_and_no_other(
    tmp_path: Path, configuration: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["reopen", ID, "--config", str(configuration)]) == 2
    assert capsys.readouterr().err == f"earshot: incident {ID} is open already\n"
    asyncio.run(_resolved(tmp_path))
    assert main(["reopen", ID, "--config", str(configuration)]) == 0
    assert left(tmp_path) == [Reopened("shell:root")]
    capsys.readouterr()
    assert main(["resolve", ID, "false", "--config", str(configuration)]) == 2
    assert capsys.readouterr().err == f"earshot: incident {ID} is resolved already\n"


def test_an_incident_without_an_escalation_is_told(configuration: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["resolve", OLD, "false", "--config", str(configuration)]) == 2
    assert f"incident {OLD} is older than escalations" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("resolve", "zzz", "false"), "there is no incident 'zzz'"),
        (("resolve", ID, "boring"), "boring"),
        (("safe", ID), "--proof"),
    ],
)
def test_a_mistake_is_told_in_one_line(
    arguments: tuple[str, ...], told: str, configuration: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        code = main([*arguments, "--config", str(configuration)])
    except SystemExit as ended:
        code = int(ended.code or 0)
    assert code == 2
    error = capsys.readouterr().err
    assert told in error
    assert error.count("\n") == 1
