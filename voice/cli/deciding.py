"""Decisions about an incident from the command line. The service that has the incident carries them out: they are left
as letters in its inbox, which it reads twice a second."""

import getpass
import sys
import time
from argparse import Namespace
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from secrets import token_hex

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from config.settings import Settings
from voice.errors import ConfigurationError, LifecycleError, StoreUnavailable
from voice.escalation.events import Event, Reopened, Resolved, WorkerSafe
from voice.incidents.lifecycle import State
from voice.store import escalations
from voice.store import incidents as rows
from voice.store.database import database
from voice.store.engine import reason
from voice.store.reading import reading

SettingsOf = Callable[[Namespace], Settings]

PATIENCE = 5.0
"""Seconds in which a running service has read its inbox."""
LOOK_SECONDS = 0.1

UNRESOLVED = frozenset(State) - {State.RESOLVED}


def resolve(options: Namespace, settings_of: SettingsOf) -> int:
    event = Resolved(ourselves(), options.reason, options.note)
    return _leave(options, settings_of, event, UNRESOLVED, f"resolved: {options.reason.value}")


def reopen(options: Namespace, settings_of: SettingsOf) -> int:
    return _leave(options, settings_of, Reopened(ourselves()), {State.RESOLVED}, "open again, and rings")


def safe(options: Namespace, settings_of: SettingsOf) -> int:
    event = WorkerSafe(f"{options.proof}, noted by {ourselves()}")
    return _leave(options, settings_of, event, UNRESOLVED, "noted as safe; it stays open until somebody resolves it")


def _leave(options: Namespace, settings_of: SettingsOf, event: Event, wanted: Collection[State], done: str) -> int:
    """Leave a letter, and wait a moment until it was read."""
    url = settings_of(options).store.url
    letter, now = token_hex(16), datetime.now(UTC)
    with reading(url) as connection:
        with connection.begin():
            row = rows.incident(connection, options.incident)
            known = escalations.escalation(connection, row.id) is not None
        if row.state not in wanted:
            raise LifecycleError(f"incident {row.id} is {row.state.replace('_', ' ')} already")
        if not known:
            raise ConfigurationError(f"incident {row.id} is older than escalations: `earshot serve` takes it up")
        with writing(url) as written:
            escalations.leave(written, letter, row.id, event, now)
        read = wait_until(connection, lambda: escalations.is_answered(connection, letter))
    if read:
        print(f"incident {row.id}: {done}")
    else:
        print(f"incident {row.id}: left for the service, which does not answer: is it running?", file=sys.stderr)
    return 0


def wait_until(connection: Connection, answered: Callable[[], bool]) -> bool:
    """Whether the service read the letter in time. Each look is a transaction of its own."""
    deadline = time.monotonic() + PATIENCE
    while True:
        with connection.begin():
            if answered():
                return True
        if time.monotonic() >= deadline:
            return False
        time.sleep(LOOK_SECONDS)


@contextmanager
def writing(url: str) -> Iterator[Connection]:
    """One transaction beside the service that has the database."""
    found = database(url)
    try:
        with found.write() as connection, connection.begin():
            yield connection
    except DBAPIError as error:
        raise StoreUnavailable(f"{found.name} cannot be written: {reason(error)}") from error


def ourselves() -> str:
    """Who does it, for the timeline."""
    try:
        return f"shell:{getpass.getuser()}"
    except (OSError, KeyError):  # a user without a name
        return "shell:unknown"
