"""Which database a URL means."""

from pathlib import Path

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from voice.errors import ConfigurationError
from voice.store.engine import Database
from voice.store.sqlite import SqliteFile

_ALLOWED = '"sqlite:///path" or "postgresql://user:password@host:port/database"'


def database(url: str) -> Database:
    """The database that `store.url` names; `ConfigurationError` for one that a service cannot use."""
    if is_shared(url):
        from voice.store.postgres import Postgres  # late: whoever uses SQLite need not load a driver for it

        return Postgres(_parsed(url))
    path = sqlite_path(url)
    if path is None:
        raise ConfigurationError(f"store.url needs a file or a server; allowed: {_ALLOWED}")
    return SqliteFile(path)


def is_shared(url: str) -> bool:
    """Whether several nodes can use this database at once."""
    return _parsed(url).get_backend_name() == "postgresql"


def sqlite_path(url: str) -> Path | None:
    """The file of an SQLite URL, None for a database in memory or on a server; `ConfigurationError` for any other."""
    parsed = _parsed(url)
    is_file = parsed.get_backend_name() == "sqlite" and parsed.database
    return Path(str(parsed.database)).expanduser() if is_file else None


def _parsed(url: str) -> URL:
    """What is wrong is said without the URL: a password may stand in it."""
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise ConfigurationError(f"store.url is no URL; allowed: {_ALLOWED}") from None
    if parsed.drivername not in ("sqlite", "postgresql"):
        raise ConfigurationError(f"store.url: {parsed.drivername!r} is not supported; allowed: {_ALLOWED}")
    return parsed
