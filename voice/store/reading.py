"""The database opened for reading only, beside the service that writes it."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from voice.errors import ConfigurationError, StoreUnavailable
from voice.store import schema
from voice.store.database import database
from voice.store.engine import reason
from voice.store.migrate import refuse_newer, version


@contextmanager
def reading(url: str) -> Iterator[Connection]:
    """A connection whose transactions each see the database as it is when they begin, and change nothing."""
    found = database(url)
    if not found.exists():
        raise ConfigurationError(f"there is no database at {found.name}: is --config missing?")
    try:
        with found.read() as connection:
            with connection.begin():
                _check(version(connection), found.name)
            yield connection
    except DBAPIError as error:
        raise StoreUnavailable(f"{found.name} cannot be read: {reason(error)}") from error


def _check(found: str | None, name: str) -> None:
    refuse_newer(found, name)
    if found != schema.VERSION:
        raise ConfigurationError(
            f"{name} is no database of this Earshot (schema {found or 'none'}, not {schema.VERSION}): "
            "`earshot serve` brings an older one up to date"
        )
