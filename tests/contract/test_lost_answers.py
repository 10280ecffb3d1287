"""A server that commits, and whose answer never arrives: what is written again by the journal is there once.

The connection is a real one, to a real server, through a relay that breaks it around a COMMIT.
"""

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from enum import Enum
from functools import partial

import pytest
from sqlalchemy import Connection, make_url

from voice import journal as journal_module
from voice.incidents.kinds import Kind
from voice.incidents.lifecycle import State
from voice.incidents.timeline import verify
from voice.journal import Journal
from voice.store import Store, writing
from voice.store import incidents as rows

AT = datetime(2026, 3, 1, 9, 15, 27, 123456, UTC)
BEGIN, COMMIT = b"READ COMMITTED READ WRITE", b"commit\x00"
"""Of the queries by which a transaction of the store begins and ends."""


class Break(Enum):
    """When a connection dies."""

    BEFORE = "before the server has got the COMMIT"
    AT_ONCE = "when the server has got it, whatever it has done of it by then"
    AFTER = "when the server has done it, and before anybody hears of it"


class Relay:
    """Stands between a store and its server."""

    def __init__(self, server: tuple[str, int]) -> None:
        self._server = server
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address: tuple[str, int] = self._listener.getsockname()
        self.breaks: list[Break] = []
        """What becomes of the next commits."""
        self.broken = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._server)
                gate = _Gate()
                threading.Thread(target=self._to_server, args=(client, server, gate), daemon=True).start()
                threading.Thread(target=self._to_client, args=(client, server, gate), daemon=True).start()

    def _to_server(self, client: socket.socket, server: socket.socket, gate: "_Gate") -> None:
        writes = False  # connecting commits, too
        with suppress(OSError), client, server:
            while data := client.recv(65536):
                writes = writes or BEGIN in data
                if not (self.breaks and writes and data.endswith(COMMIT)):
                    server.sendall(data)
                    continue
                how = self.breaks.pop(0)
                gate.shut.set()
                if how is not Break.BEFORE:
                    server.sendall(data)
                if how is Break.AFTER:
                    gate.answered.wait(10.0)
                self.broken += 1
                for end in (client, server):
                    end.shutdown(socket.SHUT_RDWR)

    def _to_client(self, client: socket.socket, server: socket.socket, gate: "_Gate") -> None:
        with suppress(OSError):
            while data := server.recv(65536):
                if gate.shut.is_set():
                    gate.answered.set()
                else:
                    client.sendall(data)


class _Gate:
    """Of one connection: what the server says does not pass any more once it is shut."""

    def __init__(self) -> None:
        self.shut = threading.Event()
        self.answered = threading.Event()


@pytest.fixture
def relay(postgres_url: str) -> Iterator[Relay]:
    url = make_url(postgres_url)
    assert url.host is not None
    assert url.port is not None
    relay = Relay((url.host, url.port))
    yield relay
    relay.close()


@pytest.fixture
async def store(relay: Relay, postgres_url: str) -> AsyncIterator[Store]:
    host, port = relay.address
    url = make_url(postgres_url).set(host=host, port=port, query={"sslmode": "disable"})
    store = Store(url.render_as_string(hide_password=False))
    yield store
    await store.close()


@pytest.fixture
def journal(store: Store, monkeypatch: pytest.MonkeyPatch) -> Journal:
    monkeypatch.setattr(journal_module, "RETRY_SECONDS", 0.01)
    return Journal(store)


def opens(connection: Connection) -> None:
    rows.open_incident(
        connection,
        incident_id="00000001",
        kind=Kind.PANIC,
        priority=1,
        device_id="badge",
        worker_id="anna",
        caller="+31612345678",
        dialled="101",
        identified_by="digest",
        at=AT,
        detail={},
    )


def notes(connection: Connection, kind: str) -> None:
    rows.append(connection, "00000001", kind=kind, detail={}, actor="system", at=AT)


def takes(connection: Connection) -> None:
    rows.transition(connection, "00000001", to=State.ACKNOWLEDGED, actor="operator:olga", at=AT)


async def written(journal: Journal, *writes: Callable[[Connection], object]) -> list[bool]:
    """What the journal says of each, once the store has it."""
    return [await journal.post(write, urgent=True) for write in writes]


@pytest.mark.parametrize(
    "breaks",
    [
        [Break.BEFORE],
        [Break.AT_ONCE],
        [Break.AFTER],
        [Break.AFTER, Break.BEFORE, Break.AT_ONCE, Break.AFTER],
    ],
    ids=lambda breaks: " ".join(how.name.lower() for how in breaks),
)
async def test_an_incident_whose_commit_was_not_answered_is_there_once_and_its_timeline_whole(
    store: Store, relay: Relay, journal: Journal, breaks: list[Break]
) -> None:
    relay.breaks += breaks
    assert await written(journal, opens) == [True]
    relay.breaks += breaks
    said = [partial(notes, kind=f"said {n}") for n in range(5)]
    assert await written(journal, *said[:3], takes, *said[3:]) == [True] * 6
    assert await written(journal, partial(notes, kind="last")) == [True]
    assert (relay.broken, relay.breaks, journal.refused) == (2 * len(breaks), [], 0)
    (incident,) = await store.read(rows.incidents)
    assert (incident.id, incident.state) == ("00000001", State.ACKNOWLEDGED)
    assert await kinds(store) == [
        "opened", "said 0", "said 1", "said 2", "acknowledged", "said 3", "said 4", "last"
    ]  # fmt: skip


async def test_however_much_was_in_a_commit_that_was_not_answered_all_of_it_is_known_when_it_comes_again(
    store: Store, relay: Relay, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "REMEMBERED", 2)
    said = [f"said {n}" for n in range(6)]
    await written(journal, opens)
    relay.breaks += [Break.AFTER]
    done = [journal.post(partial(notes, kind=kind)) for kind in said]  # not urgent: they share a commit
    assert await asyncio.gather(*done) == [True] * len(said)
    assert await kinds(store) == ["opened", *said]


async def kinds(store: Store) -> list[str]:
    entries = await store.read(lambda c: rows.timeline(c, "00000001"))
    assert verify(entries) is None
    return [entry.kind for entry in entries]
