"""The trunks as calls of ours see them: which is up, which has a place free, and who waits for one.

A trunk has a place when it is up, fewer than `max_calls` calls of ours are on it, and its last call began long enough
ago (`calls_per_second`). When every trunk that somebody may use is full, as in a mass incident, he waits: the most
urgent first, then whoever came first. Emergency calls never wait.

A trunk is *down* while it does not answer OPTIONS, and for a while after it let a call of ours run into silence
or said when it will be back (503 with Retry-After).
"""

import asyncio
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from config.models import Trunk
from voice.call import Call

EMERGENCY = 0
"""The priority that passes every limit."""


@dataclass(slots=True)
class Line:
    """One trunk."""

    trunk: Trunk
    calls: int = 0
    """Calls of ours on it, whatever they are for."""
    reserved: int = 0
    """Places given to calls that have not begun."""
    next_start: float = -math.inf
    cold_until: float = -math.inf
    """It did not answer a call: left alone until then, or until it answers OPTIONS."""
    closed_until: float = -math.inf
    """It asked to be left alone until then."""
    word_at: float = -math.inf
    """When it last said anything about a call of ours."""
    why: str = ""
    """Why it is down."""
    silent: bool = False
    """It does not answer OPTIONS."""

    def up(self, now: float) -> bool:
        return not self.silent and now >= self.cold_until and now >= self.closed_until

    @property
    def full(self) -> bool:
        return 0 < self.trunk.max_calls <= self.calls + self.reserved

    def free(self, now: float) -> bool:
        return self.up(now) and not self.full and now >= self.next_start

    def reserve(self, now: float) -> None:
        self.reserved += 1
        if self.trunk.calls_per_second:
            self.next_start = max(now, self.next_start) + 1 / self.trunk.calls_per_second

    def changes_at(self, now: float) -> float:
        """When time alone may make it free; infinity when only an event can."""
        when = max(self.cold_until, self.closed_until, self.next_start)
        return math.inf if self.silent or self.full or when <= now else when


@dataclass(frozen=True, slots=True, order=True)
class _Rank:
    priority: int
    came: int


@dataclass(frozen=True, slots=True)
class _Waiting:
    rank: _Rank
    lines: tuple[Line, ...]
    given: "asyncio.Future[Line | None]"


@dataclass(slots=True)
class Lines:
    """All trunks, in the order of the configuration."""

    lines: Mapping[str, Line]
    _waiting: list[_Waiting] = field(default_factory=list)
    _came: int = 0
    _alarm: asyncio.TimerHandle | None = None

    @classmethod
    def of(cls, trunks: Iterable[Trunk]) -> "Lines":
        return cls({trunk.id: Line(trunk) for trunk in trunks})

    def chosen(self, wanted: Sequence[str]) -> tuple[Line, ...]:
        """The trunks that a call may use, in order; all when none is named. Names of trunks that are gone are
        passed over."""
        names = wanted or tuple(self.lines)
        return tuple(self.lines[name] for name in dict.fromkeys(names) if name in self.lines)

    @property
    def calls(self) -> int:
        return sum(line.calls for line in self.lines.values())

    @property
    def waiting(self) -> int:
        """Calls that wait for a place."""
        return len(self._waiting)

    def down(self, now: float) -> dict[str, str]:
        """Trunks that are down, and why. May be asked on any thread."""
        return {id: line.why for id, line in self.lines.items() if not line.up(now)}

    # -- places --

    async def place(self, lines: Sequence[Line], *, priority: int, patience: float) -> Line | None:
        """Reserve a place on the first of `lines` that has one; to be given back by `release` once the call began.

        None when all of them are down, and when none had a place within `patience` seconds.
        """
        now = asyncio.get_running_loop().time()
        if priority <= EMERGENCY:
            line = next((line for line in lines if line.up(now)), None) or next(iter(lines), None)
            if line is not None:
                line.reserve(now)
            return line
        self._came += 1
        given: asyncio.Future[Line | None] = asyncio.get_running_loop().create_future()
        waiting = _Waiting(_Rank(priority, self._came), tuple(lines), given)
        self._waiting.append(waiting)
        self._serve()
        try:
            await asyncio.wait([given], timeout=patience)
        except asyncio.CancelledError:
            if given.done() and (line := given.result()) is not None:
                self.release(line)
            raise
        finally:
            if waiting in self._waiting:
                self._waiting.remove(waiting)
        return given.result() if given.done() else None

    def release(self, line: Line) -> None:
        """A reserved place is not needed any more: its call has begun (and counts by itself), or never will."""
        line.reserved -= 1
        self._serve()

    def begun(self, trunk: str, call: Call) -> None:
        """A call went out through a trunk. It has its place until it ends, also when nobody asked for one."""
        line = self.lines.get(trunk)
        if line is not None:
            line.calls += 1
            call.ended.add_done_callback(lambda _: self._ended(line))

    def _ended(self, line: Line) -> None:
        line.calls -= 1
        self._serve()

    def _serve(self) -> None:
        """Give places to those who wait; whose trunks are all down waits no longer."""
        now = asyncio.get_running_loop().time()
        for waiting in sorted(self._waiting, key=lambda one: one.rank):
            up = [line for line in waiting.lines if line.up(now)]
            line = next((line for line in up if line.free(now)), None)
            if line is None and up:
                continue
            self._waiting.remove(waiting)
            if not waiting.given.done():
                if line is not None:
                    line.reserve(now)
                waiting.given.set_result(line)
        self._arm(now)

    def _arm(self, now: float) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        due = min((line.changes_at(now) for waiting in self._waiting for line in waiting.lines), default=math.inf)
        if due < math.inf:
            self._alarm = asyncio.get_running_loop().call_at(due, self._serve)

    # -- health --

    def spoke(self, line: Line) -> None:
        """It said something about a call: it is there, whatever became of others."""
        line.word_at = asyncio.get_running_loop().time()
        if line.cold_until > line.word_at:
            line.cold_until = -math.inf
            self._serve()

    def cool(self, line: Line, seconds: float, why: str) -> None:
        """It did not answer: leave it alone for so long, or until it answers OPTIONS."""
        line.cold_until = max(line.cold_until, asyncio.get_running_loop().time() + seconds)
        line.why = why
        self._serve()

    def close(self, line: Line, seconds: float, why: str) -> None:
        """It asked to be left alone for so long."""
        line.closed_until = max(line.closed_until, asyncio.get_running_loop().time() + seconds)
        line.why = why
        self._serve()

    def heard(self, line: Line, *, healthy: bool, why: str = "") -> None:
        """What came of asking for its health."""
        line.silent, line.why = not healthy, why
        if healthy:
            line.cold_until = -math.inf
        self._serve()
