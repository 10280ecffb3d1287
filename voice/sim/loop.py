"""Virtual time: an asyncio event loop whose clock jumps to the next timer whenever nothing is left to do.

A story of an hour costs only the CPU of what happens in it, and the same story always happens in the same
order: timers fire by deadline, and those of equal deadline in the order in which they were set. There is no
I/O; what would block in real life (`run_in_executor`, `asyncio.to_thread`) takes no virtual time.

    async def story() -> None:
        await asyncio.sleep(3600)

    run_virtual(story(), start=datetime(2026, 1, 1, tzinfo=UTC))
"""

import asyncio
import contextvars
import functools
import heapq
import random
from collections import deque
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from contextvars import Context
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any, ParamSpec, TypeVar, TypeVarTuple

from voice.errors import UsageError

T = TypeVar("T")
P = ParamSpec("P")
Ts = TypeVarTuple("Ts")

DAWN = datetime(2026, 1, 1, 6, 0, tzinfo=UTC)
"""The time of day at which a virtual world begins unless its story says otherwise."""

_EPOCH = 1000.0  # loop.time() at the start. Not zero: on a real machine no monotonic time is ever falsy.
_STANDSTILL = 200_000  # rounds of callbacks without any passing of time that no honest story needs


class StoryStuck(UsageError):
    """A virtual story cannot go on, or goes on for ever. The text says what every task waits for."""


def _nothing() -> None:
    """What a cancelled handle holds, so that what it would have called can be freed."""


class _Handle(asyncio.TimerHandle):
    """A callback that is ready, or due at a time. Leaner than asyncio's own: there is no debug mode here."""

    __slots__ = ()

    def __init__(
        self,
        when: float,
        callback: Callable[..., object],
        args: tuple[Any, ...],
        loop: asyncio.AbstractEventLoop,
        context: Context | None,
    ) -> None:
        self._when = when
        self._callback = callback
        self._args = args
        self._loop = loop
        self._context = contextvars.copy_context() if context is None else context
        self._cancelled = False
        self._source_traceback = None
        self._repr = None

    def cancel(self) -> None:
        self._cancelled = True
        self._callback = _nothing
        self._args = ()


class VirtualLoop(asyncio.BaseEventLoop):
    """An event loop in virtual time, with the randomness (`random`) and the clock (`clock`) of its world.

    `limit` is the virtual seconds after which a story that has not ended is stuck: a media clock ticks on
    and on, so a story that waits in vain beside one would never run out of timers.
    """

    def __init__(self, *, start: datetime = DAWN, seed: int = 0, limit: float = 86_400.0) -> None:
        super().__init__()
        self._now = _EPOCH
        self._limit = _EPOCH + limit
        self._soon: deque[_Handle] = deque()
        self._timers: list[tuple[float, int, _Handle]] = []
        self._order = count()
        self._rounds = 0
        self.seed = seed
        self.random = random.Random(seed)
        self.clock = VirtualClock(self, start)
        self.unhandled: list[Exception] = []
        """Errors of callbacks and forgotten tasks, which a real loop would only log."""

    def default_exception_handler(self, context: dict[str, Any]) -> None:
        error = context.get("exception")
        self.unhandled.append(error if isinstance(error, Exception) else UsageError(context.get("message")))
        super().default_exception_handler(context)

    def time(self) -> float:
        """Virtual monotonic seconds."""
        return self._now

    def call_soon(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        self._refuse_when_closed()
        handle = _Handle(self._now, callback, args, self, context)
        self._soon.append(handle)
        return handle

    call_soon_threadsafe = call_soon  # deque.append is atomic, and a loop that never sleeps needs no waking

    def call_at(
        self, when: float, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.TimerHandle:
        self._refuse_when_closed()
        handle = _Handle(when, callback, args, self, context)
        heapq.heappush(self._timers, (when, next(self._order), handle))
        return handle

    def call_later(
        self, delay: float, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.TimerHandle:
        return self.call_at(self._now + delay, callback, *args, context=context)

    def run_in_executor(self, executor: Executor | None, func: Callable[[*Ts], T], *args: *Ts) -> asyncio.Future[T]:
        """Runs `func` on the loop itself: with a thread the order of things would be a matter of luck."""

        async def inline() -> T:
            return func(*args)

        return self.create_task(inline())

    def close(self) -> None:
        self._soon.clear()
        self._timers.clear()
        super().close()

    def _refuse_when_closed(self) -> None:
        if self.is_closed():
            raise RuntimeError("Event loop is closed")

    def _run_once(self) -> None:
        """One round, called by `run_forever`: what is ready now, or else what the next deadline makes so."""
        soon = self._soon
        if not soon:
            self._jump()
        for _ in range(len(soon)):
            handle = soon.popleft()
            if not handle._cancelled:
                handle._run()
        self._rounds += 1
        if self._rounds > _STANDSTILL:
            raise StoryStuck(f"time stands still: {_STANDSTILL} rounds without a pause\n{self._waiting()}")

    def _jump(self) -> None:
        timers = self._timers
        while timers and timers[0][2]._cancelled:
            heapq.heappop(timers)
        if not timers:
            raise StoryStuck(f"everybody waits and no timer is set\n{self._waiting()}")
        when = timers[0][0]
        if when > self._now:
            if when > self._limit:
                limit = self._limit - _EPOCH
                raise StoryStuck(f"not ended after {limit:g} virtual seconds\n{self._waiting()}")
            self._now = when
            self._rounds = 0
        while timers and timers[0][0] <= when:
            self._soon.append(heapq.heappop(timers)[2])

    def _waiting(self) -> str:
        return "\n".join(sorted(_where(task) for task in asyncio.all_tasks(self))) or "no task is left"


def _where(task: "asyncio.Task[Any]") -> str:
    frames = task.get_stack(limit=1)
    if not frames:
        return f"  {task.get_name()}: not started or done"
    frame = frames[-1]
    return f"  {task.get_name()}: {frame.f_code.co_qualname}, {frame.f_code.co_filename}:{frame.f_lineno}"


class VirtualClock:
    """A `voice.clock.Clock` of a virtual world: its start plus the virtual time that has passed."""

    def __init__(self, loop: VirtualLoop, start: datetime) -> None:
        self._loop = loop
        self._start = start

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self._loop.time() - _EPOCH)


def run_virtual(story: Coroutine[Any, Any, T], *, start: datetime = DAWN, seed: int = 0, limit: float = 86_400.0) -> T:
    """Runs `story` to its end in a virtual world of its own; tasks left over are then cancelled.

    Raises `StoryStuck` when nothing can happen any more, or it is not over after `limit` virtual seconds;
    an `ExceptionGroup` when callbacks or forgotten tasks had errors that nobody handled.
    """
    loop = VirtualLoop(start=start, seed=seed, limit=limit)
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        result = runner.run(story)
    if loop.unhandled:
        raise ExceptionGroup("errors that nobody handled", loop.unhandled)
    return result


def virtual_loop() -> VirtualLoop:
    """The running loop of this virtual world, typed."""
    loop = asyncio.get_running_loop()
    if not isinstance(loop, VirtualLoop):
        raise UsageError("this part of the simulation runs in virtual time only: use run_virtual()")
    return loop


def virtually(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Decorates an asynchronous test: it runs as a plain one, in a virtual world with seed 0."""

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        run_virtual(test(*args, **kwargs))

    return run
