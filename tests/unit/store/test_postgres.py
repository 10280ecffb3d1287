"""What only a server does: it goes away and comes back, several nodes use it at once, it asks who we are."""

import asyncio
import importlib
import os
import re
import signal
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from pg8000 import dbapi
from sqlalchemy import Connection, text

from tests.postgres import PASSWORD, PostgresServer, postgres_server
from voice import store as store_package
from voice.errors import ConfigurationError, StoreUnavailable
from voice.incidents.kinds import Kind
from voice.incidents.timeline import verify
from voice.store import Store, postgres_driver, schema
from voice.store import incidents as rows
from voice.store import postgres as server_store
from voice.store.database import database
from voice.store.engine import CONFLICTS, TRANSACTION, Fate
from voice.store.postgres import EMPTIED
from voice.store.reading import reading
from voice.store.sole_use import sole_use

AT = datetime(2026, 3, 1, 9, 15, 27, 123456, UTC)


@pytest.fixture
async def store(postgres_url: str) -> AsyncIterator[Store]:
    store = Store(postgres_url)
    yield store
    await store.close()


@pytest.fixture
async def other(store: Store, postgres_url: str) -> AsyncIterator[Store]:
    """Another node's store on the same database."""
    other = Store(postgres_url)
    yield other
    await other.close()


def opens(connection: Connection, name: str = "00000001") -> None:
    rows.open_incident(
        connection,
        incident_id=name,
        kind=Kind.PANIC,
        priority=1,
        device_id=None,
        worker_id=None,
        caller="+31612345678",
        dialled=None,
        identified_by=None,
        at=AT,
        detail={},
    )


def notes(connection: Connection, kind: str, name: str = "00000001") -> int:
    return rows.append(connection, name, kind=kind, detail={}, actor="system", at=AT).sequence


async def kinds(store: Store, name: str = "00000001") -> list[str]:
    entries = await store.read(lambda c: rows.timeline(c, name))
    assert verify(entries) is None
    return [entry.kind for entry in entries]


async def shown(store: Store, setting: str) -> object:
    return await store.run(lambda c: c.execute(text(f"SHOW {setting}")).scalar())


async def insisting(store: Store, transaction: Callable[[Connection], Any]) -> object:
    """As the journal does: the same function again, until the store is back."""
    while True:
        with suppress(StoreUnavailable):
            return await store.run(transaction)


# -- what it promises --


async def test_commits_are_on_the_disk_even_if_the_server_would_rather_not(postgres: PostgresServer) -> None:
    name = postgres.new_database()
    for setting, used in (("on", "on"), ("off", "on"), ("remote_apply", "remote_apply")):
        postgres.execute(f"ALTER DATABASE {name} SET synchronous_commit = {setting}")
        another = Store(postgres.url(name))
        assert await shown(another, "synchronous_commit") == used
        await another.close()


async def test_what_one_function_reads_is_one_state_of_the_database(store: Store, other: Store) -> None:
    """REPEATABLE READ: what others commit meanwhile is seen by the next function."""
    loop = asyncio.get_running_loop()

    def reads(connection: Connection) -> tuple[int, int]:
        before = len(rows.incidents(connection))
        asyncio.run_coroutine_threadsafe(_open_with(other), loop).result()
        return before, len(rows.incidents(connection))

    assert await store.read(reads) == (0, 0)
    assert len(await store.read(rows.incidents)) == 1


async def _open_with(store: Store) -> None:
    await store.run(opens)


async def test_reading_cannot_write(store: Store) -> None:
    with pytest.raises(StoreUnavailable, match="read-only"):
        await store.read(lambda c: rows.save_bindings(c, {"a": [{}]}))


async def test_statements_of_more_shapes_than_are_prepared_are_carried_out_all_the_same(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_driver, "MAX_PREPARED", 3)
    await store.run(opens)
    for number in range(1, 8):
        names = [f"{n:08d}" for n in range(number)]
        found = await store.run(
            lambda c, names=names: c.execute(
                schema.incidents.select().where(schema.incidents.c.id.in_(names), schema.incidents.c.priority < 9)
            ).all()
        )
        assert len(found) == (number > 1)


# -- several nodes --


async def test_entries_that_two_nodes_add_at_once_are_one_chain(store: Store, other: Store) -> None:
    await store.run(opens)
    await asyncio.gather(
        *(node.run(partial(notes, kind=f"{name}{n}")) for n in range(40) for name, node in (("a", store), ("b", other)))
    )
    found = await kinds(store)
    assert len(found) == 81
    for name in "ab":
        assert [kind for kind in found if kind.startswith(name)] == [f"{name}{n}" for n in range(40)]


async def test_nodes_that_wait_for_each_other_both_get_through(store: Store, other: Store) -> None:
    """A deadlock: the server undoes one of them, which is run again at once."""
    for name in ("00000001", "00000002"):
        await store.run(partial(opens, name=name))
    ways = [("00000001", "00000002"), ("00000002", "00000001")]

    def both(connection: Connection, way: tuple[str, str]) -> None:
        for name in way:
            notes(connection, "both", name)

    await asyncio.gather(
        *(node.run(partial(both, way=way)) for _ in range(30) for node, way in zip((store, other), ways, strict=True))
    )
    for name in ways[0]:
        assert (await kinds(store, name)).count("both") == 60


async def test_a_conflict_is_run_again_and_only_so_often(store: Store) -> None:
    state = next(iter(CONFLICTS))
    raised = 0

    def conflicts(connection: Connection, *, times: int) -> str:
        nonlocal raised
        if raised < times:
            raised += 1
            connection.execute(text(f"DO $$ BEGIN RAISE EXCEPTION 'in the way' USING ERRCODE = '{state}'; END $$"))
        return "done"

    assert await store.run(partial(conflicts, times=3)) == "done"
    assert raised == 3
    with pytest.raises(StoreUnavailable, match="in the way"):
        await store.run(partial(conflicts, times=1000))


async def test_the_same_link_said_by_two_nodes_at_once_is_said_once(store: Store, other: Store) -> None:
    for name in ("00000001", "00000002"):
        await store.run(partial(opens, name=name))
    await asyncio.gather(
        *(
            node.run(lambda c, a=a, b=b: rows.link(c, a, b, actor="system", at=AT))
            for node, a, b in ((store, "00000001", "00000002"), (other, "00000002", "00000001"))
        )
    )
    assert await kinds(store) == ["opened", "linked"]
    assert await kinds(store, "00000002") == ["opened", "linked"]


async def test_a_node_that_stands_still_in_a_transaction_does_not_stop_the_others_for_long(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_store, "IDLE_MS", 100)
    frozen, healthy = Store(postgres_url), Store(postgres_url)
    await frozen.run(opens)
    loop, free, holding = asyncio.get_running_loop(), asyncio.Event(), asyncio.Event()

    def stands_still(connection: Connection) -> int:
        notes(connection, "frozen")
        loop.call_soon_threadsafe(holding.set)
        asyncio.run_coroutine_threadsafe(free.wait(), loop).result()
        return notes(connection, "thawed")

    frozen_run = frozen.run(stands_still)
    await holding.wait()
    await healthy.run(partial(notes, kind="healthy"))
    free.set()
    with pytest.raises(StoreUnavailable):
        await frozen_run
    assert await frozen.run(partial(notes, kind="again")) == 3
    assert await kinds(healthy) == ["opened", "healthy", "again"]
    for node in (frozen, healthy):
        await node.close()


async def test_a_lock_that_is_held_for_long_is_an_outage_and_not_a_bug(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_store, "LOCK_MS", 50)
    store = Store(postgres_url)
    await store.run(opens)
    with database(postgres_url).write() as holder, holder.begin():
        notes(holder, "x")
        with pytest.raises(StoreUnavailable, match="lock timeout"):
            await store.run(partial(notes, kind="y"))
    assert await store.run(partial(notes, kind="y")) == 3
    await store.close()


def test_only_a_file_is_for_one_service_alone(postgres_url: str) -> None:
    with sole_use(postgres_url), sole_use(postgres_url):
        pass


# -- a server that goes away --


@pytest.fixture
def own() -> Iterator[PostgresServer]:
    """A server that this test may stop."""
    with PostgresServer() as server:
        yield server


async def test_a_server_that_is_not_there_at_the_start_is_used_when_it_comes(own: PostgresServer) -> None:
    url = own.url(own.new_database())
    own.stop()
    store = Store(url, waits=True)
    assert "cannot be used" in (store.away or "")
    for asked in (store.run(opens), store.read(rows.incidents)):
        with pytest.raises(StoreUnavailable, match="cannot be used"):
            await asked
    own.start()
    assert await store.read(partial(rows.incidents)) == [], "whoever comes first makes the tables"
    await store.run(opens)
    assert len(await store.read(rows.incidents)) == 1
    await store.close()


@pytest.mark.parametrize("ending", ["stop", "kill"])
async def test_a_server_that_ends_is_unavailable_until_it_is_started_again(own: PostgresServer, ending: str) -> None:
    store = Store(own.url(own.new_database()))
    await store.run(opens)
    await store.read(rows.incidents)
    getattr(own, ending)()
    for _ in range(2):
        with pytest.raises(StoreUnavailable):
            await store.run(partial(notes, kind="lost"))
        with pytest.raises(StoreUnavailable):
            await store.read(rows.incidents)
    own.start()
    await insisting(store, partial(notes, kind="back"))
    assert await kinds(store) == ["opened", "back"], "what was committed survived, what failed was not written"
    await store.close()


async def test_a_connection_that_the_administrator_ends_is_made_again(store: Store, postgres: PostgresServer) -> None:
    await store.run(opens)
    await store.read(rows.incidents)
    postgres.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'earshot' "
        "AND pid <> pg_backend_pid()"
    )
    with pytest.raises(StoreUnavailable):
        await store.run(partial(notes, kind="lost"))
    assert await store.run(partial(notes, kind="back")) == 2
    await insisting(store, partial(notes, kind="again"))


async def test_a_server_that_says_nothing_any_more_is_given_up(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(postgres_url)
    await store.close()
    monkeypatch.setattr(server_store, "ANSWER_SECONDS", 0.2)
    store = Store(postgres_url)
    backend: int = await store.run(lambda c: c.execute(text("SELECT pg_backend_pid()")).scalar_one())
    os.kill(backend, signal.SIGSTOP)
    try:
        with pytest.raises(StoreUnavailable, match="timed out"):
            await store.run(opens)
    finally:
        os.kill(backend, signal.SIGCONT)
    await insisting(store, opens)
    await store.close()


# -- a commit that is not answered --


def lose_the_answer(monkeypatch: pytest.MonkeyPatch, *, committed: bool) -> None:
    """The next commit loses the connection, after or before the server did it."""
    real = postgres_driver.Connection.commit

    def commit(self: postgres_driver.Connection) -> None:
        monkeypatch.setattr(postgres_driver.Connection, "commit", real)
        if committed:
            real(self)
        self.give_up()
        self.close()
        error = dbapi.OperationalError("the connection to the server failed")
        error.sqlstate = postgres_driver.CONNECTION_FAILURE
        raise error

    monkeypatch.setattr(postgres_driver.Connection, "commit", commit)


@pytest.mark.parametrize("committed", [True, False])
async def test_what_comes_again_after_an_answer_was_lost_is_written_once(
    store: Store, monkeypatch: pytest.MonkeyPatch, committed: bool
) -> None:
    await store.run(opens)
    first, second = partial(notes, kind="first"), partial(notes, kind="second")
    lose_the_answer(monkeypatch, committed=committed)
    lost = await asyncio.gather(store.run(first), store.run(second), return_exceptions=True)
    assert all(isinstance(outcome, StoreUnavailable) for outcome in lost)
    third = partial(notes, kind="third")
    assert await asyncio.gather(store.run(first), store.run(second), store.run(third)) == [2, 3, 4]
    assert await kinds(store) == ["opened", "first", "second", "third"]
    assert await store.run(first) == 5, "its outcome was told: now it is something new"


async def test_the_server_says_what_became_of_a_transaction(postgres_url: str) -> None:
    found = database(postgres_url)
    found.prepare()
    with found.write() as asking, found.write() as working:
        names: dict[Fate, str] = {}
        with working.begin():
            names[Fate.COMMITTED] = working.info[TRANSACTION]
        with working.begin() as transaction:
            names[Fate.ABORTED] = working.info[TRANSACTION]
            transaction.rollback()
        with working.begin():
            names[Fate.IN_PROGRESS] = working.info[TRANSACTION]
            assert {fate: found.fate(asking, name) for fate, name in names.items()} == {fate: fate for fate in names}


# -- who we are, and what we may --


def test_a_server_on_a_unix_socket_is_used(postgres: PostgresServer) -> None:
    found = database(postgres.socket_url(postgres.new_database()))
    found.prepare()
    with found.write() as connection, connection.begin():
        opens(connection)


def test_a_server_that_is_not_there_is_one_clear_line() -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        port = nobody.getsockname()[1]
        with pytest.raises(ConfigurationError) as told:
            Store(f"postgresql://earshot:{PASSWORD}@127.0.0.1:{port}/alarms")
    said = str(told.value)
    assert said.startswith(f"store.url: database 'alarms' on 127.0.0.1:{port} cannot be used: ")
    assert said.endswith("Connection refused")
    assert PASSWORD not in said


def test_what_the_server_refuses_is_one_clear_line_without_the_password(postgres: PostgresServer) -> None:
    name = postgres.new_database()
    refused = {
        postgres.url(name, password="wr0ng"): 'password authentication failed for user "earshot"',
        postgres.url(name, password=""): "password authentication failed",
        postgres.url(name, user="nobody"): 'password authentication failed for user "nobody"',
        postgres.url("nothing"): 'database "nothing" does not exist',
    }
    for url, said in refused.items():
        for use in (Store, lambda url: reading(url).__enter__()):
            with pytest.raises((ConfigurationError, StoreUnavailable), match=said) as told:
                use(url)
            assert "wr0ng" not in str(told.value)
            assert PASSWORD not in str(told.value)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("postgresql://earshot:s3cret@127.0.0.1:x/alarms", "is no URL"),
        ("postgresql://earshot:s3cret@127.0.0.1/", "names no database"),
        ("postgresql://earshot:s3cret@127.0.0.1/alarms?sslmod=require", "'sslmod' is no option; allowed: host"),
        ("postgresql://earshot:s3cret@127.0.0.1/alarms?sslmode=allow", "sslmode 'allow' is not supported"),
        ("postgresql://earshot:s3cret@127.0.0.1/alarms?sslmode=verify-full&sslrootcert=/nothing", "cannot be read"),
        ("postgresql+psycopg://earshot:s3cret@127.0.0.1/alarms", "'postgresql\\+psycopg' is not supported"),
    ],
)
def test_a_url_that_cannot_be_used_is_one_clear_line_without_the_password(url: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said) as told:
        Store(url)
    assert str(told.value).startswith("store.url")
    assert PASSWORD not in str(told.value)


def test_a_user_without_rights_is_told_which_are_missing(postgres: PostgresServer) -> None:
    name = postgres.new_database()
    postgres.execute(f"CREATE USER {name} PASSWORD '{PASSWORD}'")
    url = postgres.url(name, user=name)
    with pytest.raises(ConfigurationError, match=r"permission denied for schema public \(the user needs the right"):
        Store(url)
    database(postgres.url(name)).prepare()
    postgres.execute(f"GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA public TO {name}", name)
    with pytest.raises(ConfigurationError, match=r"the user lacks rights .* to the tables acknowledgements, bindings"):
        Store(url)
    postgres.execute(f"GRANT UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {name}", name)
    postgres.execute(f"REVOKE UPDATE, DELETE ON timeline, session_log FROM {name}", name)
    database(url).prepare()
    postgres.execute(f"REVOKE DELETE ON ALL TABLES IN SCHEMA public FROM {name}", name)
    emptied = ", ".join(EMPTIED)
    with pytest.raises(ConfigurationError, match=f"to the tables {emptied}$"):
        Store(url)
    postgres.execute(f"GRANT DELETE ON {emptied} TO {name}", name)
    database(url).prepare()


def test_the_tables_from_which_rows_are_deleted_are_those_for_which_that_right_is_asked() -> None:
    """Read from the source: whatever the store deletes from."""
    found = set()
    for path in Path(store_package.__file__).parent.glob("*.py"):
        module = importlib.import_module(f"voice.store.{path.stem}") if path.stem != "__init__" else store_package
        found |= {getattr(module, table).name for table in re.findall(r"\bdelete\((_?[A-Z_]+)\)", path.read_text())}
    assert sorted(found) == EMPTIED


def test_a_database_that_cannot_keep_all_text_is_refused(postgres: PostgresServer) -> None:
    postgres.execute("CREATE DATABASE latin ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0")
    with pytest.raises(ConfigurationError, match="keeps text as LATIN1; its encoding must be UTF8"):
        Store(postgres.url("latin"))


async def test_errors_tell_no_values(store: Store) -> None:
    """They end up in log lines, and the values are personal data."""
    await store.run(opens)
    with pytest.raises(Exception, match="duplicate key") as told:
        await store.run(opens)
    assert "612345678" not in repr(told.value)
    assert "612345678" not in str(told.value)


# -- the schema --


OBJECTS = text(
    "SELECT 'column', table_name, column_name, "
    "data_type || coalesce(character_maximum_length::text, '') || is_nullable "
    "FROM information_schema.columns WHERE table_schema = current_schema() AND table_name <> 'alembic_version' "
    "UNION SELECT 'index', tablename, indexname, indexdef FROM pg_indexes "
    "WHERE schemaname = current_schema() AND tablename <> 'alembic_version' "
    "UNION SELECT 'constraint', conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint "
    "WHERE connamespace = current_schema()::regnamespace AND conrelid <> 'alembic_version'::regclass "
    "UNION SELECT 'trigger', tgrelid::regclass::text, tgname, pg_get_triggerdef(oid) FROM pg_trigger "
    "WHERE NOT tgisinternal"
)


def test_migrations_build_exactly_the_schema(postgres: PostgresServer) -> None:
    migrated = database(postgres.url(postgres.new_database()))
    migrated.prepare()
    with migrated.write() as connection, connection.begin():
        assert compare_metadata(MigrationContext.configure(connection), schema.metadata) == []
        built = set(connection.execute(OBJECTS).all())
    with database(postgres.url(postgres.new_database())).write() as connection, connection.begin():
        schema.metadata.create_all(connection)
        connection.execute(text("CREATE TABLE alembic_version (version_num text)"))
        assert set(connection.execute(OBJECTS).all()) == built


async def test_nodes_that_start_together_migrate_once(postgres_url: str) -> None:
    stores = await asyncio.gather(*(asyncio.to_thread(lambda: database(postgres_url).prepare()) for _ in range(4)))
    assert stores == [None] * 4
    await Store(postgres_url).close()


async def test_a_database_of_a_newer_program_is_refused(postgres_url: str) -> None:
    store = Store(postgres_url)
    await store.run(lambda c: c.execute(text("UPDATE alembic_version SET version_num = '9999'")))
    await store.close()
    with pytest.raises(ConfigurationError, match=r"was written by a newer Earshot \(schema 9999"):
        Store(postgres_url)
    with pytest.raises(ConfigurationError, match="newer Earshot"), reading(postgres_url):
        pass


def test_an_empty_database_is_not_read(postgres_url: str) -> None:
    with pytest.raises(ConfigurationError, match="no database of this Earshot"), reading(postgres_url):
        pass


async def test_the_command_line_reads_while_the_service_writes(store: Store, postgres_url: str) -> None:
    with reading(postgres_url) as connection:
        for number in range(3):
            await store.run(lambda c, n=number: rows.save_bindings(c, {f"u{n}": [{}]}))
            with connection.begin():
                assert len(rows.load_bindings(connection)) == number + 1


def test_a_server_for_one_test_is_gone_with_it() -> None:
    with postgres_server() as url:
        database(url).prepare()
    with pytest.raises(ConfigurationError, match="Connection refused"):
        database(url).prepare()


def test_a_missing_server_fails_the_tests_and_does_not_skip_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("tests.postgres.DEBIAN", tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RuntimeError, match="install the Debian package postgresql"), PostgresServer():
        pass
