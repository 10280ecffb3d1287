"""The timer values of RFC 3261 (table 4) and one queue for every deadline of the core.

The queue has no clock: `run(now)` is told the time and `next()` says when it wants to be told again.
"""

import heapq
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count


@dataclass(frozen=True, slots=True)
class Timing:
    """The base values, in seconds. Everything else follows from them."""

    t1: float = 0.5
    """Estimate of the round-trip time (section 17.1.1.1)."""
    t2: float = 4.0
    """Longest interval between retransmissions of a non-INVITE request or an INVITE response."""
    t4: float = 5.0
    """Longest time for which a message stays in the network."""
    trying: float = 0.2
    """An INVITE unanswered for so long gets a 100 (section 17.2.1); 0: every one, at once."""
    completed: float = 32.0
    """Timer D over UDP: at least 32 s (section 17.1.1.2)."""
    ringing: float = 185.0
    """An INVITE that rings for longer without any new response is cancelled (Timer C, section 16.6)."""

    @property
    def timeout(self) -> float:
        """64*T1: Timers B, F, H, J, L and M."""
        return 64 * self.t1


class Timer:
    """One deadline. Cancelling is cheap: the entry stays in the queue and is skipped when it comes up."""

    __slots__ = ("_action", "_queue", "when")

    def __init__(self, queue: "TimerQueue", when: float, action: Callable[[], None]) -> None:
        self.when = when
        self._queue = queue
        self._action: Callable[[], None] | None = action

    @classmethod
    def idle(cls) -> "Timer":
        """A timer that never fires: stands where none has been set yet."""
        return _IDLE

    @property
    def pending(self) -> bool:
        """Whether it will still fire."""
        return self._action is not None

    def cancel(self) -> None:
        """Never fire; harmless when it has fired or is cancelled already."""
        if self._action is not None:
            self._action = None
            self._queue.cancelled()

    def take(self) -> Callable[[], None] | None:
        """The action, which then counts as done."""
        action, self._action = self._action, None
        return action


class TimerQueue:
    """A heap of deadlines with lazy deletion, rebuilt when more than half of it is cancelled."""

    _KEPT = 256  # below this many cancelled entries a rebuild is not worth it

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Timer]] = []
        self._order = count()
        self._cancelled = 0

    def __len__(self) -> int:
        return len(self._heap) - self._cancelled

    def at(self, when: float, action: Callable[[], None]) -> Timer:
        """Call `action` at the first `run(now)` with `now >= when`; equal deadlines in order of setting."""
        timer = Timer(self, when, action)
        heapq.heappush(self._heap, (when, next(self._order), timer))
        return timer

    def next(self) -> float | None:
        """The earliest deadline, or None."""
        heap = self._heap
        while heap and not heap[0][2].pending:
            heapq.heappop(heap)
            self._cancelled -= 1
        return heap[0][0] if heap else None

    def run(self, now: float) -> None:
        """Fire what is due. An action that raises loses none of the others: they fire at the next run."""
        while (when := self.next()) is not None and when <= now:
            action = heapq.heappop(self._heap)[2].take()
            if action is not None:
                action()

    def cancelled(self) -> None:
        """Told by a timer that its entry is now dead."""
        self._cancelled += 1
        if self._cancelled > self._KEPT and self._cancelled * 2 > len(self._heap):
            self._heap = [entry for entry in self._heap if entry[2].pending]
            heapq.heapify(self._heap)
            self._cancelled = 0


def _idle() -> Timer:
    timer = Timer(TimerQueue(), 0.0, lambda: None)
    timer.take()
    return timer


_IDLE = _idle()
