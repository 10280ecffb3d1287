"""What was told to be written is on the disk, whatever happens to the process or the disk."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from pysqlite3 import dbapi2 as sqlite
from sqlalchemy import text

from voice.errors import ConfigurationError, StoreUnavailable
from voice.incidents.timeline import verify
from voice.store import Store
from voice.store import incidents as rows
from voice.store import sqlite as sqlite_store
from voice.store.reading import reading

ROOT = Path(__file__).parents[3]

VICTIM = """
import asyncio, sys
from datetime import UTC, datetime
from voice.incidents.kinds import Kind
from voice.store import Store, incidents as rows

async def main():
    store = Store(sys.argv[1])
    at = datetime.now(UTC)
    for number in range(1_000_000):
        name = f"{number:08d}"
        def opens(c):
            rows.open_incident(
                c, incident_id=name, kind=Kind.PANIC, priority=1, device_id=None, worker_id=None, caller=None,
                dialled=None, identified_by=None, at=at, detail={},
            )
            rows.append(c, name, kind="answered", detail={}, actor="system", at=at)
        await store.run(opens)
        print(name, flush=True)

asyncio.run(main())
"""


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_every_incident_that_was_told_to_be_written_survives_kill_9(
    database: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    shared = database == "postgresql"
    url = request.getfixturevalue("postgres_url") if shared else f"sqlite:///{tmp_path}/earshot.db"
    victim = subprocess.Popen(
        [sys.executable, "-c", VICTIM, url],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    if victim.stdout is None:
        raise RuntimeError("no pipe")
    with victim:
        told = [victim.stdout.readline().strip() for _ in range(50)]
        victim.send_signal(signal.SIGKILL)
        told += [line.strip() for line in victim.stdout if line.endswith("\n")]
    with reading(url) as connection, connection.begin():
        kept = {row.id for row in rows.incidents(connection, limit=1_000_000)}
        for name in kept:
            entries = rows.timeline(connection, name)
            assert [entry.kind for entry in entries] == ["opened", "answered"]
            assert verify(entries) is None
    assert set(told) <= kept
    assert len(kept) <= len(told) + 1


async def test_commits_go_through_the_disk_cache(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path}/earshot.db")

    def setting(name: str) -> "asyncio.Future[object]":
        return store.run(lambda c: c.execute(text(f"PRAGMA {name}")).scalar())

    assert await setting("synchronous") == 2, "FULL"
    assert await setting("journal_mode") == "wal"
    assert await setting("foreign_keys") == 1
    await store.close()


def test_sqlite_is_one_without_the_wal_reset_bug() -> None:
    assert sqlite.sqlite_version_info >= (3, 51, 3)


async def test_a_database_that_another_process_holds_is_unavailable_and_comes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_store, "BUSY_TIMEOUT_MS", 50)
    store = Store(f"sqlite:///{tmp_path}/earshot.db")
    holder = sqlite.connect(f"{tmp_path}/earshot.db", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailable, match="locked"):
        await store.run(lambda c: rows.save_bindings(c, {"a": [{}]}))
    assert await store.read(rows.load_bindings) == {}, "reading goes on"
    holder.execute("ROLLBACK")
    holder.close()
    await store.run(lambda c: rows.save_bindings(c, {"a": [{}]}))
    assert await store.read(rows.load_bindings) == {"a": [{}]}
    await store.close()


async def test_a_full_disk_fails_the_whole_group_and_the_store_goes_on_after_it(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path}/earshot.db")
    pages = await store.run(lambda c: c.execute(text("PRAGMA page_count")).scalar())
    await store.run(lambda c: c.execute(text(f"PRAGMA max_page_count = {pages}")))
    huge = [{"x": "x" * 1_000_000}]
    outcomes = await asyncio.gather(
        store.run(lambda c: rows.save_bindings(c, {"small": [{}]})),
        store.run(lambda c: rows.save_bindings(c, {"huge": huge})),
        return_exceptions=True,
    )
    assert isinstance(outcomes[1], StoreUnavailable)
    assert "full" in str(outcomes[1])
    kept = await store.read(rows.load_bindings)
    assert kept == ({} if isinstance(outcomes[0], StoreUnavailable) else {"small": [{}]})
    await store.run(lambda c: rows.save_bindings(c, {"huge": huge}))
    assert "huge" in await store.read(rows.load_bindings)
    await store.close()


async def test_closing_leaves_one_file_that_holds_everything(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path}/earshot.db")
    await store.read(rows.load_bindings)
    await store.run(lambda c: rows.save_bindings(c, {"a": [{}]}))
    await store.close()
    assert _files(tmp_path) == ["earshot.db"]


def _files(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


async def test_a_group_is_one_commit(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path}/earshot.db")
    await asyncio.gather(*(store.run(lambda c: None) for _ in range(200)))
    assert store.statistics.transactions == 200
    assert store.statistics.commits < 20
    await store.close()


async def test_reading_cannot_write(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path}/earshot.db")
    with pytest.raises(StoreUnavailable, match="readonly"):
        await store.read(lambda c: rows.save_bindings(c, {"a": [{}]}))
    await store.close()


async def test_the_command_line_reads_while_the_service_writes(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/earshot.db"
    store = Store(url)
    with reading(url) as connection:
        for number in range(5):
            await store.run(lambda c, n=number: rows.save_bindings(c, {f"u{n}": [{}]}))
            with connection.begin():
                assert len(rows.load_bindings(connection)) == number + 1
    await store.close()


@pytest.mark.parametrize("mode", [None, 0o644, 0o660])
def test_strangers_on_the_machine_cannot_open_the_database(tmp_path: Path, mode: int | None) -> None:
    """Passwords and hashes of PINs are in it. Whom its owner has let in by the group stays in."""
    path = tmp_path / "earshot.db"
    if mode is not None:
        path.touch()
        path.chmod(mode)
    made = sqlite_store.SqliteFile(path)
    made.prepare()
    with made.write() as connection, connection.begin():
        connection.execute(text("DELETE FROM bindings"))
        modes = [file.stat().st_mode & 0o777 for file in tmp_path.glob("earshot.db*")]
    assert modes == [0o600 if mode is None else mode & 0o770] * 3


def test_a_folder_that_cannot_be_made_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match=r"store\.url: the folder .*/file/x cannot be made"):
        Store(f"sqlite:///{tmp_path}/file/x/earshot.db")


def test_a_file_that_is_no_database_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "earshot.db").write_text("not a database, but long enough to be looked at" * 40)
    with pytest.raises(ConfigurationError, match="not a database"):
        Store(f"sqlite:///{tmp_path}/earshot.db")


@pytest.mark.parametrize("url", ["mysql://x/y", "nonsense", "sqlite://"])
def test_a_database_that_is_not_supported_is_one_clear_line(url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"store\.url"):
        Store(url)
