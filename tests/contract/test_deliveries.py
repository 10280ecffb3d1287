"""Deliveries of webhooks that several processes claim: the same on SQLite and on PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import Connection

from voice.incidents.kinds import Kind
from voice.store import Store, deliveries
from voice.store import incidents as rows
from voice.store.deliveries import Delivery

AT = datetime(2026, 3, 1, 9, tzinfo=UTC)
NOW = datetime.now(UTC)
"""Later than all of them are due, by the clock of the test and by that of a server."""
INCIDENTS = [f"{number:08d}" for number in range(12)]
ENTRIES = 5


@pytest.fixture(params=["sqlite", "postgresql"])
async def stores(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[list[Store]]:
    """Those of two nodes, or of one where there can be no other."""
    if request.param == "sqlite":
        stores = [Store(f"sqlite:///{tmp_path}/earshot.db")]
    else:
        stores = [Store(request.getfixturevalue("postgres_url")) for _ in range(2)]
    await stores[0].run(_fill)
    yield stores
    for store in stores:
        await store.close()


def _fill(connection: Connection) -> None:
    for incident in INCIDENTS:
        rows.open_incident(
            connection,
            incident_id=incident,
            kind=Kind.PANIC,
            priority=1,
            device_id=None,
            worker_id=None,
            caller=None,
            dialled=None,
            identified_by=None,
            at=AT,
            detail={},
        )
        for sequence in range(1, ENTRIES + 1):
            deliveries.add(
                connection,
                delivery_id=f"{incident}.{sequence}",
                hook="dispatch",
                incident_id=incident,
                sequence=sequence,
                kind="x",
                body="{}",
                at=AT,
            )


async def test_each_delivery_is_claimed_by_one_process_and_each_incident_in_its_order(stores: list[Store]) -> None:
    sent: list[Delivery] = []

    async def deliver(store: Store) -> None:
        claim = partial(deliveries.claim, hook="dispatch", limit=3, now=NOW, seconds=60.0)
        while len(sent) < len(INCIDENTS) * ENTRIES:
            for delivery in await store.run(claim):
                sent.append(delivery)
                assert await store.run(partial(deliveries.delivered, delivery=delivery))

    await asyncio.gather(*(deliver(store) for store in [*stores, *stores]))
    assert len({delivery.id for delivery in sent}) == len(sent) == len(INCIDENTS) * ENTRIES
    for incident in INCIDENTS:
        assert [one.sequence for one in sent if one.incident_id == incident] == list(range(1, ENTRIES + 1))
    assert await stores[0].read(deliveries.standing) == {}


async def test_a_claim_that_has_run_out_is_another_ones(stores: list[Store]) -> None:
    claim = partial(deliveries.claim, hook="dispatch", limit=1, now=NOW)
    (late,) = await stores[0].run(partial(claim, seconds=-1.0))
    (taken,) = await stores[-1].run(partial(claim, seconds=60.0))
    assert taken.id == late.id
    assert not await stores[0].run(partial(deliveries.delivered, delivery=late))
    assert not await stores[0].run(partial(deliveries.failed, delivery=late, error="x", wait=1.0, now=NOW))
    assert await stores[-1].run(partial(deliveries.give_up, delivery=taken, error="410"))
    standing = (await stores[0].read(deliveries.standing))["dispatch"]
    assert (standing.waiting, standing.given_up) == (len(INCIDENTS) * ENTRIES - 1, 1)


async def test_what_is_long_over_is_forgotten(stores: list[Store]) -> None:
    assert not await stores[0].read(partial(deliveries.anything_due, hook="another", now=NOW))
    assert await stores[0].read(partial(deliveries.anything_due, hook="dispatch", now=NOW))
    assert await stores[0].run(partial(deliveries.forget, before=NOW)) == len(INCIDENTS) * ENTRIES
    assert not await stores[0].read(partial(deliveries.anything_due, hook="dispatch", now=NOW))
