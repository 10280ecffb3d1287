"""Where the functions of the store run: on a thread of their own, or inline where time is virtual.

A lane serves what is submitted strictly in order. Results come back on the event loop of the submitter.
"""

import asyncio
import threading
from collections.abc import Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any, Protocol

from voice.errors import StoreUnavailable
from voice.store.writing import Outcome, Transaction

MAX_GROUP = 256
"""A commit of so many transactions takes no more: bounds what the first of them waits for."""

GATHERING = 0.02
"""Seconds that a transaction which nobody waits for may wait for others, to share their commit."""

Future = asyncio.Future[Any]
_Job = tuple[Transaction, Future]


class Server(Protocol):
    """Serves a group of functions, in order, with one outcome each; never raises."""

    def __call__(self, group: Sequence[Transaction]) -> list[Outcome]: ...

    def give_up(self) -> None: ...


class Lane(Protocol):
    """Serves functions in the order in which they are submitted."""

    def submit(self, transaction: Transaction, *, urgent: bool = True) -> Future: ...

    async def close(self) -> None: ...


class ThreadLane:
    """A thread that takes all that waits, serves it as one group, and wakes each event loop once for all.

    Each wake-up of the thread costs a commit and makes the event loop compete for the interpreter. So what is not
    urgent is held back until something urgent comes, or for `GATHERING` seconds. The order stays.

    A caller that stops waiting (cancels) before the thread came to his function withdraws it; afterwards it
    is carried out, and the outcome is dropped.
    """

    def __init__(self, serve: Server, name: str) -> None:
        self._serve = serve
        self._queue: SimpleQueue[list[_Job] | None] = SimpleQueue()
        self._held: list[_Job] = []
        self._closed = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def submit(self, transaction: Transaction, *, urgent: bool = True) -> Future:
        loop = asyncio.get_running_loop()
        future: Future = loop.create_future()
        if self._closed:
            future.set_exception(StoreUnavailable("the store is closed"))
            return future
        self._held.append((transaction, future))
        if urgent:
            self._release()
        elif len(self._held) == 1:
            loop.call_later(GATHERING, self._release)
        return future

    def _release(self) -> None:
        """Wake the thread."""
        if self._held:
            held, self._held = self._held, []
            self._queue.put(held)

    async def close(self) -> None:
        """Serve what was submitted, then end the thread."""
        if not self._closed:
            self._closed = True
            self._release()
            self._queue.put(None)
        await asyncio.to_thread(self._thread.join)

    def _run(self) -> None:
        going_on = True
        while going_on:
            group, going_on = self._next_group()
            wanted = [job for job in group if not job[1].cancelled()]
            if wanted:
                _deliver(wanted, self._serve([transaction for transaction, _ in wanted]))
        self._serve.give_up()

    def _next_group(self) -> tuple[list[_Job], bool]:
        """What waits now, at least one job; False when the lane is to close after it."""
        group: list[_Job] = []
        jobs = self._queue.get()
        with suppress(Empty):
            while jobs is not None:
                group += jobs
                if len(group) >= MAX_GROUP:
                    break
                jobs = self._queue.get_nowait()
        return group, jobs is not None


class InlineLane:
    """Serves at once, on the caller's thread; the result comes with the next turn of the event loop."""

    def __init__(self, serve: Server) -> None:
        self._serve = serve
        self._closed = False

    def submit(self, transaction: Transaction, *, urgent: bool = True) -> Future:
        loop = asyncio.get_running_loop()
        future: Future = loop.create_future()
        if self._closed:
            future.set_exception(StoreUnavailable("the store is closed"))
        else:
            (outcome,) = self._serve([transaction])
            loop.call_soon(_settle, [(future, outcome)])
        return future

    async def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._serve.give_up()


def _deliver(jobs: Sequence[_Job], outcomes: Sequence[Outcome]) -> None:
    """Hand the outcomes to the event loops that wait for them, waking each loop once."""
    by_loop: dict[asyncio.AbstractEventLoop, list[tuple[Future, Outcome]]] = {}
    for (_, future), outcome in zip(jobs, outcomes, strict=True):
        by_loop.setdefault(future.get_loop(), []).append((future, outcome))
    for loop, results in by_loop.items():
        with suppress(RuntimeError):  # that loop was closed meanwhile: nobody waits any more
            loop.call_soon_threadsafe(_settle, results)


def _settle(results: Sequence[tuple[Future, Outcome]]) -> None:
    for future, outcome in results:
        if future.done():
            continue
        if outcome.error is not None:
            future.set_exception(outcome.error)
        else:
            future.set_result(outcome.value)
