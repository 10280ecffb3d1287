"""Bringing a database to the schema of this program, at start."""

from pathlib import Path

from sqlalchemy import Connection, inspect, text

from voice.errors import ConfigurationError
from voice.store import schema

MIGRATIONS = Path(__file__).with_name("migrations")


def version(connection: Connection) -> str | None:
    """The migration that the database stands at; None for an empty one."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def refuse_newer(found: str | None, name: str) -> None:
    """A database that a newer program wrote is left alone."""
    if found is not None and found > schema.VERSION:
        raise ConfigurationError(
            f"{name} was written by a newer Earshot (schema {found}; this one knows up to {schema.VERSION}): "
            "install that version, or use another database"
        )


def upgrade(connection: Connection, name: str) -> None:
    """Run the migrations that are missing, all or none, within the transaction of `connection`."""
    found = version(connection)
    refuse_newer(found, name)
    if found == schema.VERSION:
        return
    migrate(connection)


def migrate(connection: Connection, to: str = "head") -> None:
    """Run the migrations up to one of them."""
    # Imported late: it takes a quarter of a second, and is seldom needed.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, to)
