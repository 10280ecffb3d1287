"""Migrations lead to the schema, and to nothing else."""

from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from pysqlite3 import dbapi2 as sqlite
from sqlalchemy import create_mock_engine
from sqlalchemy.schema import CreateTable

from voice.errors import ConfigurationError
from voice.store import Store, schema
from voice.store.engine import engine
from voice.store.migrate import MIGRATIONS, upgrade
from voice.store.reading import reading


def _objects(path: Path) -> set[tuple[str, str]]:
    """Every table, index and trigger, without white space and quotes."""
    connection = sqlite.connect(str(path))
    found = connection.execute("SELECT name, sql FROM sqlite_master WHERE name NOT LIKE '%alembic%'").fetchall()
    connection.close()
    return {(name, "".join((sql or "").replace('"', "").split())) for name, sql in found}


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


def test_a_migration_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / "earshot.db"
    connection = sqlite.connect(str(path))
    connection.execute("CREATE TABLE bindings (other TEXT)")
    connection.commit()
    connection.close()
    with pytest.raises(ConfigurationError, match="already exists"):
        Store(f"sqlite:///{path}")
    assert {name for name, _ in _objects(path)} == {"bindings"}


def test_the_schema_can_be_written_for_postgresql() -> None:
    statements: list[str] = []
    mock = create_mock_engine(
        "postgresql://", lambda statement, *_: statements.append(str(statement.compile(dialect=mock.dialect)))
    )
    for table in schema.metadata.sorted_tables:
        mock.execute(CreateTable(table))
    assert len(statements) == len(schema.metadata.tables)
    assert any("append-only" in statement for statement in schema.APPEND_ONLY["postgresql"])


def test_upgrading_is_quick_when_nothing_is_missing(tmp_path: Path) -> None:
    with engine(tmp_path / "earshot.db", mode="rwc").connect() as connection:
        for _ in range(2):
            with connection.begin():
                upgrade(connection, "earshot.db")
