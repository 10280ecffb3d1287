"""A store that takes its time, in virtual time: the disk is busy, or the database far away. Or one that is away."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from voice.errors import StoreUnavailable
from voice.store import Store
from voice.store.lanes import Future, Lane
from voice.store.writing import Transaction


class SlowLane:
    """Takes all that waits as one group, for so many seconds, as `voice.store.lanes.ThreadLane` does; then the rest."""

    def __init__(self, lane: Lane, seconds: float) -> None:
        self._lane = lane
        self._seconds = seconds
        self._waiting: list[tuple[Transaction, bool, Future]] = []
        self._serving: list[tuple[Transaction, bool, Future]] = []

    def submit(self, transaction: Transaction, *, urgent: bool = True) -> Future:
        future: Future = asyncio.get_running_loop().create_future()
        self._waiting.append((transaction, urgent, future))
        if not self._serving:
            self._begin()
        return future

    async def close(self) -> None:
        self._serving, self._waiting = self._serving + self._waiting, []
        self._serve()
        await self._lane.close()

    def _begin(self) -> None:
        self._serving, self._waiting = self._waiting, []
        asyncio.get_running_loop().call_later(self._seconds, self._done)

    def _done(self) -> None:
        self._serve()
        if self._waiting:
            self._begin()

    def _serve(self) -> None:
        serving, self._serving = self._serving, []
        for transaction, urgent, future in serving:
            if not future.done():
                served = self._lane.submit(transaction, urgent=urgent)
                served.add_done_callback(lambda served, future=future: _copy(served, future))


def _copy(served: Future, future: Future) -> None:
    if future.done():
        return
    error = served.exception()
    if error is not None:
        future.set_exception(error)
    else:
        future.set_result(served.result())


def slow_down(store: Store, seconds: float) -> None:
    """From now on each group of writes takes so long, and each group of reads."""
    lanes: Any = store
    lanes._writes, lanes._reads = SlowLane(lanes._writes, seconds), SlowLane(lanes._reads, seconds)


class AwayLane:
    """Fails, as the lanes of a store whose database cannot be opened."""

    def __init__(self, lane: Lane) -> None:
        self.lane = lane

    def submit(self, transaction: Transaction, *, urgent: bool = True) -> Future:
        future: Future = asyncio.get_running_loop().create_future()
        future.set_exception(StoreUnavailable("the database cannot be opened"))
        return future

    async def close(self) -> None:
        await self.lane.close()


@contextmanager
def away(store: Store) -> Iterator[None]:
    """Nothing of it can be read or written."""
    lanes: Any = store
    lanes._writes, lanes._reads = AwayLane(lanes._writes), AwayLane(lanes._reads)
    try:
        yield
    finally:
        lanes._writes, lanes._reads = lanes._writes.lane, lanes._reads.lane
