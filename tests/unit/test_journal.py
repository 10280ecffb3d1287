"""The journal writes everything, in order, whatever the store is doing, and holds up nobody."""

import asyncio
from collections.abc import Callable
from typing import Any

import structlog.testing
from sqlalchemy import Connection, text

from voice.journal import RETRY_SECONDS, Journal
from voice.sim.loop import virtually
from voice.store.store import Store


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
