"""Two nodes on one PostgreSQL reach for the same escalations at once: each goes to one of them, once."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial

import pytest
from sqlalchemy import Connection, select

from config.plans import Contact, FrozenPlan, Plan, Step
from voice.errors import Fenced
from voice.escalation.engine import begin
from voice.escalation.ledger import Claimed, Decided, Opening, PlanText
from voice.escalation.state import Facts, Note
from voice.incidents.kinds import Kind
from voice.incidents.timeline import verify
from voice.owned.ledger import Claim, Fence
from voice.store import Store, schema
from voice.store import incidents as rows
from voice.store.escalations import SqlLedger

AT = datetime(2026, 3, 1, 9, tzinfo=UTC)
PLAN = PlanText.of(
    FrozenPlan(
        plan=Plan(id="plan", steps=(Step(ring=("contact:anna",)),)),
        contacts={"anna": Contact(id="anna", name="Anna", numbers=("+31612345678",))},
    )
)
ORPHANS = [f"{number:08d}" for number in range(30)]
FACTS = Facts(kind="panic", priority=1)


@pytest.fixture
async def ledgers(postgres_url: str) -> AsyncIterator[dict[str, SqlLedger]]:
    stores = {name: Store(postgres_url, node=name) for name in ("north", "south")}
    yield {name: SqlLedger(store, sole=False) for name, store in stores.items()}
    for store in stores.values():
        await store.close()


def opens(connection: Connection, name: str, node: str, ledger: SqlLedger) -> None:
    rows.open_incident(
        connection,
        incident_id=name,
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
    ledger.open(connection, Opening(Fence(name, node, 1), PLAN, True, begin(name, FACTS, AT), (), AT))


async def test_the_escalations_of_a_dead_node_are_shared_out_and_none_is_taken_twice(
    ledgers: dict[str, SqlLedger],
) -> None:
    north = ledgers["north"]
    for name in ORPHANS:
        await north.run(partial(opens, name=name, node="dead", ledger=north))
    for name, ledger in ledgers.items():
        await ledger.run(partial(ledger.register, node=name, seconds=60.0, at=AT))
    taken: list[Claimed] = []

    async def takes(name: str) -> None:
        ledger = ledgers[name]
        while len(taken) < len(ORPHANS):
            taken.extend(await ledger.run(partial(ledger.claim, claim=Claim(name, AT, limit=2))))

    await asyncio.gather(*(takes(name) for name in ledgers for _ in range(2)))
    assert Counter(one.incident.id for one in taken) == dict.fromkeys(ORPHANS, 1)
    assert {one.epoch for one in taken} == {2}


async def test_of_two_nodes_that_decide_only_the_owner_writes(ledgers: dict[str, SqlLedger]) -> None:
    """The first owner was only slow: what it writes while another takes over is either before that, or refused."""
    for name in ORPHANS[:10]:
        await _hand_over_while_the_first_decides(name, ledgers)


async def _hand_over_while_the_first_decides(name: str, ledgers: dict[str, SqlLedger]) -> None:
    north, south = ledgers["north"], ledgers["south"]
    await north.run(partial(opens, name=name, node="north", ledger=north))
    state = begin(name, FACTS, AT)

    async def decides() -> int:
        for number in range(1, 20):
            after = replace(state, decisions=number)
            note = Note("decided", {"n": number})
            decided = Decided(Fence(name, "north", 1), number - 1, after, (), (note,), None, AT)
            try:
                await north.run(partial(north.record, decided=decided))
            except Fenced:
                return number - 1
        return 19

    async def takes_over() -> Claimed:
        while True:  # a row that its owner is just writing is passed over, and found the next time
            for found in await south.run(partial(south.claim, claim=Claim("south", AT, only=name))):
                return found

    written, found = await asyncio.gather(decides(), takes_over())
    assert found.state.decisions == written, "nothing was written behind the back of the new owner"
    entries = await south.read(lambda c: rows.timeline(c, name))
    assert verify(entries) is None
    assert [entry.detail["n"] for entry in entries[1:]] == list(range(1, written + 1))


async def test_nodes_that_open_alarms_at_once_share_one_frozen_plan(ledgers: dict[str, SqlLedger]) -> None:
    names = iter(ORPHANS)
    await asyncio.gather(
        *(
            ledger.run(partial(opens, name=next(names), node=node, ledger=ledger))
            for _ in range(10)
            for node, ledger in ledgers.items()
        )
    )
    plans = await ledgers["north"].read(lambda c: c.execute(select(schema.frozen_plans.c.sha256)).scalars().all())
    assert plans == [PLAN.sha256]
