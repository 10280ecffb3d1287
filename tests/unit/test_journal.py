"""The journal writes everything, in order, whatever the store is doing, and holds up nobody."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import pytest
import structlog.testing
from sqlalchemy import Connection, text

from voice.errors import StoreUnavailable
from voice.escalation.engine import begin
from voice.escalation.ledger import Decided, Opening, PlanText
from voice.escalation.state import Facts, Note, State
from voice.incidents.kinds import Kind
from voice.journal import RETRY_SECONDS, Journal
from voice.owned.ledger import Fence
from voice.sim.loop import virtually
from voice.store import incidents as rows
from voice.store.escalations import SqlLedger
from voice.store.lanes import ThreadLane
from voice.store.store import Store
from voice.store.writing import Outcome, Transaction, Writer

AT = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)


class Scene:
    """A journal over a store in memory, and a list of what was written."""

    def __init__(self) -> None:
        self.store = Store.inline()
        self.faults: list[bool] = []
        self.journal = Journal(self.store, on_fault=self.faults.append)
        self.written: list[str] = []

    def write(self, name: str) -> Callable[[Connection], Any]:
        def transaction(connection: Connection) -> None:
            connection.execute(text("SELECT 1"))
            if self.store_is_well:
                self.written.append(name)

        return transaction

    @property
    def store_is_well(self) -> bool:
        return self.store._writer.fault is None

    def fail(self) -> None:
        self.store.fail_with(OSError("no space"))

    def mend(self) -> None:
        self.store.fail_with(None)


def wrong(connection: Connection) -> None:
    raise ValueError("a bug")


@virtually
async def test_a_write_is_durable_at_once_while_the_store_is_well() -> None:
    scene = Scene()
    assert await scene.journal.durable(scene.journal.post(scene.write("a")), patience=1.0)
    assert scene.written == ["a"]
    assert scene.journal.backlog == 0


@virtually
async def test_whoever_waits_for_a_store_that_fails_waits_no_longer_than_his_patience() -> None:
    scene = Scene()
    scene.fail()
    began = asyncio.get_running_loop().time()
    with structlog.testing.capture_logs():
        assert not await scene.journal.durable(scene.journal.post(scene.write("a")), patience=2.0)
    assert asyncio.get_running_loop().time() - began == 2.0
    assert scene.journal.backlog == 1


@virtually
async def test_what_waited_is_written_in_its_order_when_the_store_is_back() -> None:
    scene = Scene()
    with structlog.testing.capture_logs():
        scene.fail()
        for name in "abc":
            scene.journal.post(scene.write(name))
            await asyncio.sleep(0.1)
        scene.mend()
        last = scene.journal.post(scene.write("d"))  # it does not overtake those before it
        await asyncio.sleep(RETRY_SECONDS + 0.1)
    assert scene.written == ["a", "b", "c", "d"]
    assert last.result() is True
    assert scene.faults == [True, False]


@virtually
async def test_a_write_that_the_store_refuses_stops_none_behind_it() -> None:
    scene = Scene()
    with structlog.testing.capture_logs() as log:
        refused, good = scene.journal.post(wrong), scene.journal.post(scene.write("a"))
        await asyncio.sleep(0)
        assert await refused is False
        assert await good is True
    assert scene.journal.refused == 1
    assert [entry["event"] for entry in log] == ["the store refused a write"]


@virtually
async def test_a_write_that_the_store_refuses_in_the_line_stops_none_behind_it() -> None:
    scene = Scene()
    with structlog.testing.capture_logs():
        scene.fail()
        scene.journal.post(scene.write("a"))
        await asyncio.sleep(0.1)
        refused = scene.journal.post(wrong)
        scene.journal.post(scene.write("b"))
        scene.mend()
        await asyncio.sleep(RETRY_SECONDS + 0.1)
    assert scene.written == ["a", "b"]
    assert refused.result() is False


@virtually
async def test_flush_waits_until_everything_is_durable() -> None:
    scene = Scene()
    with structlog.testing.capture_logs():
        scene.fail()
        scene.journal.post(scene.write("a"))
        assert not await scene.journal.flush(0.5)
        scene.mend()
        assert await scene.journal.flush(5.0)
    assert scene.written == ["a"]


@virtually
async def test_an_abandoned_journal_writes_nothing_more() -> None:
    scene = Scene()
    with structlog.testing.capture_logs():
        scene.fail()
        scene.journal.post(scene.write("a"))
        await asyncio.sleep(0.1)
        scene.journal.abandon()
        scene.mend()
        never = scene.journal.post(scene.write("b"))
        await asyncio.sleep(5)
    assert scene.written == []
    assert not never.done()


@virtually
async def test_a_write_that_fails_late_keeps_its_place_before_those_that_were_posted_after_it() -> None:
    for turns in range(6):  # in which of the turns the store's refusal becomes known does not matter
        scene = Scene()
        scene.fail()
        with structlog.testing.capture_logs():
            scene.journal.post(scene.write("first"))
            for _ in range(turns):
                await asyncio.sleep(0)
            scene.journal.post(scene.write("second"))
            await asyncio.sleep(0)
            scene.journal.post(scene.write("third"))
            await asyncio.sleep(0.5)
            scene.mend()
            await asyncio.sleep(2 * RETRY_SECONDS)
        assert scene.written == ["first", "second", "third"], turns


@virtually
async def test_an_abandoned_journal_calls_nothing_refused_whose_answer_was_on_its_way() -> None:
    """The line is gone on which it would have waited for the write before it."""
    scene = Scene()
    scene.journal.post(wrong)
    await asyncio.sleep(0)  # the answer is there, and nobody has been told
    scene.journal.abandon()
    await asyncio.sleep(1)
    assert scene.journal.refused == 0


class Flaky:
    """Serves a real store's writes, or does not, or does and loses the answer: by a seed.

    A decision that comes again is known by its number. Other writes are known by the server's word (`Writer`, fate).
    """

    def __init__(self, writer: Writer, seed: int) -> None:
        self._writer = writer
        self._random = Random(seed)
        self.trouble = False

    def __call__(self, group: Sequence[Transaction]) -> list[Outcome]:
        luck = self._random.random() if self.trouble else 1.0
        gone = [Outcome(error=StoreUnavailable("no answer"))] * len(group)
        if luck < 0.2:
            return gone
        outcomes = self._writer(group)
        return gone if luck < 0.4 else outcomes

    def give_up(self) -> None:
        self._writer.give_up()


@pytest.mark.parametrize("seed", range(5))
async def test_what_builds_on_each_other_is_never_refused_urgent_or_not_whatever_answers_are_lost(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a thread of its own and a real database, as in the service: decisions of three incidents, interleaved."""
    monkeypatch.setattr("voice.journal.RETRY_SECONDS", 0.005)
    store, dice = Store(f"sqlite:///{tmp_path}/earshot.db"), Random(seed)
    await store._writes.close()
    flaky = Flaky(store._writer, seed)
    store._writes = ThreadLane(flaky, "flaky")
    ledger, journal = SqlLedger(store, sole=True), Journal(store)
    states = {name: begin(name, Facts("panic", 1), AT) for name in ("00000001", "00000002", "00000003")}
    writes: list[asyncio.Future[bool]] = []
    with structlog.testing.capture_logs() as log:
        for state in states.values():
            writes.append(journal.post(partial(opened, ledger=ledger, state=state), urgent=True))
        await asyncio.gather(*writes)
        flaky.trouble = True
        for number in range(300):
            name = dice.choice(list(states))
            before = states[name]
            states[name] = after = replace(before, decisions=before.decisions + 1)
            note = (Note("step", {"number": after.decisions}),)
            decided = Decided(Fence(name, "a", 1), before.decisions, after, (), note, None, AT)
            writes.append(journal.post(partial(ledger.record, decided=decided), urgent=dice.random() < 0.5))
            if number % 7 == 0:
                await asyncio.sleep(dice.choice((0.0, 0.001, 0.01)))
        flaky.trouble = False
        assert await journal.flush(30)
        await asyncio.sleep(0)
    assert [entry["error"] for entry in log if entry["event"] == "the store refused a write"] == []
    assert all(write.result() for write in writes)
    for name, state in states.items():
        entries = await store.read(partial(rows.timeline, incident_id=name))
        numbers = [entry.detail["number"] for entry in entries if entry.kind == "step"]
        assert numbers == list(range(1, state.decisions + 1))
    await store.close()


def opened(connection: Connection, ledger: SqlLedger, state: State) -> None:
    rows.open_incident(
        connection, incident_id=state.incident, kind=Kind.PANIC, priority=1, device_id=None, worker_id=None,
        caller=None, dialled=None, identified_by=None, at=AT, detail={},
    )  # fmt: skip
    plan = PlanText("0" * 64, "{}")
    ledger.open(connection, Opening(Fence(state.incident, "a", 1), plan, True, state, (), AT))


@virtually
async def test_who_waits_for_a_store_that_has_been_away_for_long_waits_for_nothing() -> None:
    scene = Scene()
    assert scene.journal.rest_of(2.0) == 2.0
    scene.fail()
    scene.journal.post(scene.write("a"))
    await asyncio.sleep(0.5)
    assert scene.journal.rest_of(2.0) == pytest.approx(1.5, abs=0.01)
    await asyncio.sleep(5)
    assert scene.journal.rest_of(2.0) == 0.0
    scene.mend()
    await asyncio.sleep(2)
    assert scene.journal.rest_of(2.0) == 2.0


@virtually
async def test_a_store_that_could_not_be_opened_is_away_until_something_is_written_or_read() -> None:
    journal = Scene().journal
    for again in (lambda: journal.post(lambda connection: None), journal.store_is_back):
        journal.store_is_away()
        await asyncio.sleep(3)
        assert journal.rest_of(2.0) == 0.0
        again()
        await asyncio.sleep(0.1)
        assert journal.rest_of(2.0) == 2.0
