"""Nodes that share a database: the same on SQLite, where there is one of them, and on PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import Connection, select, update

from voice.errors import ConfigurationError
from voice.incidents.identifiers import SLOTS
from voice.store import Store, nodes, schema
from voice.store.nodes import Node

NOW = datetime.now(UTC)
LEASE = 30.0


@pytest.fixture(params=["sqlite", "postgresql"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    in_file = f"sqlite:///{tmp_path}/earshot.db"
    store = Store(request.getfixturevalue("postgres_url") if request.param == "postgresql" else in_file)
    yield store
    await store.close()


def enroll(store: Store, name: str) -> "asyncio.Future[Node]":
    return store.run(partial(nodes.enroll, node_id=name, now=NOW, lease_seconds=LEASE))


def renew(store: Store, node: Node) -> "asyncio.Future[bool]":
    return store.run(partial(nodes.renew, node=node, now=NOW, lease_seconds=LEASE))


async def let_die(store: Store, name: str, ago: timedelta) -> None:
    """By the clock that rules: a database's own goes on while the tests before this one run."""

    def end(connection: Connection) -> None:
        ended = nodes.database_now(connection, NOW) - ago
        connection.execute(update(schema.nodes).where(schema.nodes.c.id == name).values(lease_until=ended))

    await store.run(end)


async def test_each_node_has_a_slot_of_its_own(store: Store) -> None:
    enrolled = await asyncio.gather(*(enroll(store, f"node-{number}") for number in range(SLOTS)))
    assert sorted(node.slot for node in enrolled) == list(range(SLOTS))
    assert {node.epoch for node in enrolled} == {1}


async def test_a_node_that_starts_again_keeps_its_slot_in_a_new_epoch(store: Store) -> None:
    await enroll(store, "north")
    first = await enroll(store, "south")
    again = await enroll(store, "south")
    assert (again.slot, again.epoch) == (first.slot, first.epoch + 1)


async def test_a_process_whose_name_another_took_is_the_node_no_longer(store: Store) -> None:
    first = await enroll(store, "north")
    assert await renew(store, first)
    second = await enroll(store, "north")
    assert not await renew(store, first)
    assert await renew(store, second)


async def test_a_node_too_many_is_told_so_in_one_line(store: Store) -> None:
    for number in range(SLOTS):
        await enroll(store, f"node-{number}")
    with pytest.raises(ConfigurationError, match="8 nodes use this database already"):
        await enroll(store, "one more")


async def test_the_slot_of_a_dead_node_rests_before_another_gets_it(store: Store) -> None:
    for number in range(SLOTS):
        await enroll(store, f"node-{number}")
    await let_die(store, "node-3", timedelta(minutes=1))
    with pytest.raises(ConfigurationError):
        await enroll(store, "heir")
    await let_die(store, "node-3", nodes.SLOT_RESTS + timedelta(minutes=1))
    heir = await enroll(store, "heir")
    assert heir.slot == 3
    await let_die(store, "node-5", nodes.SLOT_RESTS + timedelta(minutes=1))
    assert (await enroll(store, "node-3")).slot == 5, "its slot is another's now"


async def test_a_lease_lasts_from_the_time_of_the_database(store: Store) -> None:
    """The caller's clock, a day late here, counts only where nobody shares the database."""
    late = NOW - timedelta(days=1)
    await store.run(partial(nodes.enroll, node_id="north", now=late, lease_seconds=LEASE))
    ends = await store.read(lambda c: c.execute(select(schema.nodes.c.lease_until)).scalar_one())
    now = await store.run(partial(nodes.database_now, fallback=late))
    shared = await store.read(lambda c: c.dialect.name) == "postgresql"
    assert (now > NOW) is shared
    assert abs((ends - now).total_seconds() - LEASE) < 60
