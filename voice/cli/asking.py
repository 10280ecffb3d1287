"""Sessions begun, extended and ended from the command line: requests that the running service carries out."""

import sys
from argparse import Namespace
from collections.abc import Callable
from datetime import UTC, datetime

from sqlalchemy import Connection

from config.settings import Settings
from ivr.session import Session
from voice.check_in.requests import Asked, Requests
from voice.cli.deciding import ourselves, wait_until, writing
from voice.cli.defined import everything
from voice.cli.planning import span
from voice.cli.sessions import SHORT, clock, name_of
from voice.escalation.phrases import duration
from voice.store import sessions as rows
from voice.store.reading import reading
from voice.store.sessions import SqlSessionRows

SettingsOf = Callable[[Namespace], Settings]
Ask = Callable[[Connection, Requests, datetime], Asked]


def start(options: Namespace, settings_of: SettingsOf) -> int:
    settings = everything(options, settings_of)
    lasting, every = span(options.lasting), options.every and span(options.every).total_seconds()

    def ask(connection: Connection, requests: Requests, now: datetime) -> Asked:
        until = now + lasting
        return requests.start(connection, options.worker, until=until, at=now, interval=every, key=options.key)

    def done(asked: Asked, session: Session) -> str:
        until = f"until {clock(session.ends_at)}"
        if not asked.begun:
            return f"was open already; it goes on {until}, by its own rules"
        each = f"a check-in each {duration(session.rules.interval)}"
        return f"has begun and lasts {until}; {each}, the next is due {clock(session.due_at)}"

    return _ask(settings, ask, done)


def extend(options: Namespace, settings_of: SettingsOf) -> int:
    by = options.by and span(options.by).total_seconds()

    def ask(connection: Connection, requests: Requests, now: datetime) -> Asked:
        return requests.extend(connection, rows.named(connection, options.session).id, at=now, by=by, key=options.key)

    return _ask(everything(options, settings_of), ask, lambda asked, session: f"ends {clock(session.ends_at)}")


def end(options: Namespace, settings_of: SettingsOf) -> int:
    def ask(connection: Connection, requests: Requests, now: datetime) -> Asked:
        return requests.end(connection, rows.named(connection, options.session).id, by=ourselves(), at=now)

    return _ask(
        everything(options, settings_of), ask, lambda asked, session: "has ended; alarms that are open stay open"
    )


def _ask(settings: Settings, ask: Ask, done: Callable[[Asked, Session], str]) -> int:
    """Leave the request, wait a moment until it was read, and tell how the session stands then."""
    url, requests = settings.store.url, Requests(SqlSessionRows(), settings)
    with reading(url) as connection:
        with writing(url) as written:
            asked = ask(written, requests, datetime.now(UTC))
        read = wait_until(connection, lambda: _is_answered(connection, requests, asked))
        with connection.begin():
            session = rows.session(connection, asked.session.id)
    of = f"session {session.id[:SHORT]} of {name_of(session.worker, settings)}"
    if read:
        print(f"{of} {done(asked, session)}")
    else:
        print(f"{of}: left for the service, which does not answer: is it running?", file=sys.stderr)
    return 0


def _is_answered(connection: Connection, requests: Requests, asked: Asked) -> bool:
    left = requests.rows.left(connection, asked.letter)
    return left is not None and left.answered
