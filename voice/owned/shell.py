"""The shell around what decides: what it decides happens, once, whatever crashes in between.

*Memory first.* The node that owns something has its state in memory and decides there at once; the decision is posted
to the journal in the same breath, as one transaction. A store that is slow or away holds up no decision. Each write
names its predecessor, so decisions come into the store in their order, each once, also when a commit succeeds whose
answer is lost.

*Written before done.* A command is carried out when its decision is durable. What is found by whoever goes on after a
crash stands with each runner.

*Fenced.* Each write names owner and epoch. A node that was taken for dead, and is not, learns it from its next write:
it lets go, and decides nothing for it any more.

*Deadlines* are times of day; timers stand on the loop's time (`SteadyClock`), so that a clock that is set moves none.
Whoever takes something up after the clock was set back waits no longer than its deadline was to last.
"""

import asyncio
from abc import ABC, abstractmethod
from functools import partial
from typing import Any, Generic, Protocol, TypeVar

import structlog

from voice.clock import SteadyClock
from voice.journal import Journal
from voice.owned.ledger import Fence, Ledger
from voice.owned.live import Fate, Live, telling

log = structlog.get_logger(__name__)

HAIR = 2e-6
"""Seconds after its deadline at which a timer fires: times of day count microseconds, and early is not due."""

AGAIN = 1.0
"""Seconds after which a deadline is tried again that was not answered with another one."""


class Numbered(Protocol):
    """A decision as it is written."""

    @property
    def previous(self) -> int | None:
        """The number of the decision before it. None: whichever is there, for a state that stands in for decisions
        that the store refused."""


Owned = TypeVar("Owned", bound=Live[Any, Any])
Event = TypeVar("Event")
Decided = TypeVar("Decided", bound=Numbered)


class Shell(ABC, Generic[Owned, Event, Decided]):
    """What this node owns: in memory, with a timer, decided in turn, written in order."""

    def __init__(
        self, ledger: Ledger[Any, Any, Decided], journal: Journal, clock: SteadyClock, node: str, passed: Event
    ) -> None:
        """`passed`: the event that is told when a deadline has passed."""
        self._ledger = ledger
        self._journal = journal
        self._clock = clock
        self._node = node
        self._passed = passed
        self._live: dict[str, Owned] = {}
        self._letters: set[str] = set()
        """Letters whose answer is decided and perhaps not durable."""
        self._closed = False

    def close(self) -> None:
        """Decide nothing more: what is open is left as it is, for whoever takes it up."""
        self._closed = True
        for live in self._live.values():
            live.disarm()

    # -- what each makes of it --

    @abstractmethod
    def _decide(self, live: Owned, event: Event, letter: str | None) -> None: ...

    @abstractmethod
    def _make_up(self, live: Owned) -> None:
        """The store refused a decision, which is a bug: write the state without what it would not take."""

    @abstractmethod
    def _is_written(self, live: Owned, decided: Decided) -> None:
        """A decision is durable."""

    @abstractmethod
    def _lose(self, live: Owned) -> None:
        """Another node has it."""

    # -- deciding --

    def _tell(self, live: Owned, event: Event, letter: str | None = None) -> None:
        """One event at a time: what a decision brings about may tell of the next one at once."""
        live.events.append((event, letter))
        if live.deciding:
            return
        live.deciding = True
        try:
            while live.events and not (live.gone or self._closed):
                self._decide(live, *live.events.popleft())
        finally:
            live.deciding = False

    def _arm(self, live: Owned, *, again: bool = False) -> None:
        """Set the timer to the deadline. `again`: the deadline is there, and what was decided left it as it is."""
        due, loop = live.due, asyncio.get_running_loop()
        if due is None or self._closed:
            live.disarm()
            return
        when = max(self._clock.when(due) + HAIR, loop.time() + (AGAIN if again else 0.0))
        if live.timer is not None and live.armed_for == when:
            return
        live.disarm()
        live.armed_for = when
        live.timer = loop.call_at(when, self._ring_out, live)

    def _ring_out(self, live: Owned) -> None:
        live.timer = None
        self._tell(live, self._passed)

    # -- writing --

    def _post(self, live: Owned, decided: Decided, *, urgent: bool) -> tuple[asyncio.Future[bool], Fate]:
        told, fate = telling(partial(self._ledger.record, decided=decided))
        live.unwritten += 1
        done = self._journal.post(told, urgent=urgent)
        done.add_done_callback(partial(self._written, live, decided, fate))
        return done, fate

    def _written(self, live: Owned, decided: Decided, fate: Fate, done: asyncio.Future[bool]) -> None:
        live.unwritten -= 1
        if done.cancelled() or self._closed or live.gone:
            return
        if fate.fenced and done.result():
            self._lose(live)
        elif done.result():
            self._is_written(live, decided)
        elif not live.unwritten and decided.previous is not None:
            # Those behind it will be refused as well, for they build on it; and what makes up for one is not made up.
            self._make_up(live)

    def _answered(self, letter: str) -> None:
        self._journal.post(partial(self._ledger.answered, letters=[letter], at=self._clock.wall()))

    # -- in memory or not --

    def _drop(self, live: Owned) -> None:
        live.gone = True
        live.disarm()
        live.orders.clear()
        if self._live.get(live.id) is live:
            del self._live[live.id]

    def _settle_clock(self) -> None:
        """Nothing waits for a deadline: then the time of day may be what the machine says it is."""
        if not self._live:
            self._clock.settle()

    def _compare(self, fences: dict[str, Fence]) -> None:
        """Let go of what the store says is another node's. What is not in the store yet is ours."""
        for name, fence in fences.items():
            live = self._live.get(name)
            if live is not None and live.fence != fence:
                self._lose(live)
