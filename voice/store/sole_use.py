"""One service for one database: a second one would take the alarms of the first for those of a dead process."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from voice.errors import ConfigurationError
from voice.store.database import sqlite_path

log = structlog.get_logger(__name__)


@contextmanager
def sole_use(url: str) -> Iterator[None]:
    """Hold the lock beside the database; the kernel lets go of it when the process dies, however it dies.

    Raises `ConfigurationError` when another service has it. Where there can be no lock, as the disk is away, nobody has
    one, and the service starts without. Commands that only read do not ask. A database on a
    server is for several nodes: there, leases say whose an alarm is.
    """
    path = sqlite_path(url)
    if path is None:
        yield
        return
    lock = path.with_name(f"{path.name}.lock")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = lock.open("ab")
    except OSError as error:
        log.error("the database has no lock: see to it that no other service uses it", why=f"{lock}: {error.strerror}")
        yield
        return
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise ConfigurationError(f"store.url: {path} is in use by another earshot") from error
        yield
