"""Migrations lead to the schema, and to nothing else."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from pysqlite3 import dbapi2 as sqlite
from sqlalchemy import Connection, insert, inspect, text
from sqlalchemy.exc import IntegrityError

from voice.errors import ConfigurationError
from voice.incidents.timeline import GENESIS, chain, verify
from voice.store import Store, schema
from voice.store import incidents as rows
from voice.store.database import database, sqlite_path
from voice.store.migrate import MIGRATIONS, migrate, upgrade
from voice.store.reading import reading
from voice.store.sqlite import engine

AT = datetime(2026, 3, 1, 9, 15, 27, 123456, UTC)


def _objects(path: Path) -> set[tuple[str, ...]]:
    """Every column, foreign key, index and trigger, without white space and quotes.

    Not the texts of the tables: a column that was added later stands at another place in them.
    """
    connection = sqlite.connect(str(path))
    found = connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_master").fetchall()
    objects = {_plain(row) for row in found if row[0] != "table" and "alembic" not in row[2]}
    for table in {row[2] for row in found if "alembic" not in row[2]}:
        for pragma in ("table_xinfo", "foreign_key_list"):
            rows = connection.execute(f"PRAGMA {pragma}({table})").fetchall()
            # The number of a foreign key is that of its clause: it may stand at another place.
            objects |= {_plain((table, *(row[2:] if pragma == "foreign_key_list" else row))) for row in rows}
    connection.close()
    return objects


def _plain(row: tuple[object, ...]) -> tuple[str, ...]:
    return tuple("".join(str(value).replace('"', "").split()) for value in row)


async def test_migrations_build_exactly_the_schema(tmp_path: Path) -> None:
    await Store(f"sqlite:///{tmp_path}/migrated.db").close()
    with engine(tmp_path / "created.db", mode="rwc").connect() as connection, connection.begin():
        schema.metadata.create_all(connection)
    assert _objects(tmp_path / "migrated.db") == _objects(tmp_path / "created.db")


async def test_alembic_sees_no_difference(tmp_path: Path) -> None:
    await Store(f"sqlite:///{tmp_path}/earshot.db").close()
    with engine(tmp_path / "earshot.db", mode="rw").connect() as connection:
        context = MigrationContext.configure(connection)
        assert compare_metadata(context, schema.metadata) == []


def _written_by_the_first_version(connection: Connection) -> None:
    """An incident with its timeline, a leg under way and a recording: as schema 0001 kept them."""
    migrate(connection, "0001")
    for statement in (
        "INSERT INTO incidents (id, kind, priority, state, device_id, opened_at, changed_at) VALUES "
        "('1k3x9a0q', 'panic', 1, 'open', 'badge', '2026-03-01T09:15:27.123456Z', '2026-03-01T09:15:27.123456Z')",
        "INSERT INTO legs (id, incident_id, role, call_id, peer, started_at) VALUES "
        "('leg', '1k3x9a0q', 'device', 'c', 'p', '2026-03-01T09:15:27.123456Z')",
        'INSERT INTO recordings (id, incident_id, leg_id, direction, "index", path, started_at, offset_ms, complete) '
        "VALUES ('recording', '1k3x9a0q', 'leg', 'received', 0, '/a.wav', '2026-03-01T09:15:27.123456Z', 0, FALSE)",
    ):
        connection.execute(text(statement))
    first = chain(
        incident="1k3x9a0q", sequence=1, previous_hash=GENESIS, at=AT, kind="opened", detail={}, actor="device:badge"
    )
    connection.execute(
        insert(schema.timeline),
        {
            "incident_id": first.incident,
            "sequence": 1,
            "at": first.at,
            "kind": first.kind,
            "detail": "{}",
            "actor": first.actor,
            "previous_hash": first.previous_hash,
            "hash": first.hash,
        },
    )


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    in_file = f"sqlite:///{tmp_path}/earshot.db"
    return request.getfixturevalue("postgres_url") if request.param == "postgresql" else in_file


def _connected(url: str) -> Connection:
    """To a database that may not be there yet."""
    path = sqlite_path(url)
    return engine(path, mode="rwc").connect() if path else database(url).write()


async def test_what_the_first_version_wrote_is_kept_and_used_by_this_one(url: str) -> None:
    with _connected(url) as connection, connection.begin():
        _written_by_the_first_version(connection)
    store = Store(url, node="north")
    (row,) = await store.read(rows.open_incidents)
    assert (row.id, row.opened_at, row.customer_id, row.note) == ("1k3x9a0q", AT, None, None)
    left = await store.read(lambda c: rows.unfinished(c, "north"))
    assert [leg.id for leg in left.legs] == ["leg"], "of no node: everybody's"
    assert [recording.node for recording in left.recordings] == [None]
    await store.run(lambda c: rows.append(c, "1k3x9a0q", kind="x", detail={}, actor="system", at=AT))
    assert verify(await store.read(lambda c: rows.timeline(c, "1k3x9a0q"))) is None
    with pytest.raises(IntegrityError, match="append-only"):
        await store.run(lambda c: c.execute(text("DELETE FROM timeline")))
    await store.close()


def test_the_newest_migration_is_the_version_of_the_schema() -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    assert ScriptDirectory.from_config(config).get_current_head() == schema.VERSION


async def test_a_database_is_opened_again_as_it_is(tmp_path: Path) -> None:
    for _ in range(2):
        await Store(f"sqlite:///{tmp_path}/earshot.db").close()


async def test_a_database_of_a_newer_program_is_refused(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/earshot.db"
    await Store(url).close()
    connection = sqlite.connect(f"{tmp_path}/earshot.db")
    connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.commit()
    connection.close()
    with pytest.raises(ConfigurationError, match=r"was written by a newer Earshot \(schema 9999"):
        Store(url)
    with pytest.raises(ConfigurationError, match="newer Earshot"), reading(url):
        pass


def test_a_strange_database_is_not_read(tmp_path: Path) -> None:
    sqlite.connect(f"{tmp_path}/earshot.db").execute("CREATE TABLE other (x)").connection.close()
    with (
        pytest.raises(ConfigurationError, match="no database of this Earshot"),
        reading(f"sqlite:///{tmp_path}/earshot.db"),
    ):
        pass


def test_a_migration_that_fails_leaves_nothing_behind(url: str) -> None:
    with _connected(url) as connection, connection.begin():
        connection.execute(text("CREATE TABLE bindings (other TEXT)"))
    with pytest.raises(ConfigurationError, match="already exists"):
        Store(url)
    with _connected(url) as connection, connection.begin():
        assert inspect(connection).get_table_names() == ["bindings"]


def test_upgrading_is_quick_when_nothing_is_missing(tmp_path: Path) -> None:
    with engine(tmp_path / "earshot.db", mode="rwc").connect() as connection:
        for _ in range(2):
            with connection.begin():
                upgrade(connection, "earshot.db")
