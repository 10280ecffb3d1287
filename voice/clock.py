"""Wall-clock time as an argument: whoever writes a time of day is handed a `Clock`."""

from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Tells the time of day. Deadlines never use it: they stand on the event loop's monotonic time."""

    def now(self) -> datetime:
        """The time of day, in UTC, with microseconds."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)


class Monotonic(Protocol):
    """Seconds that only grow: an event loop, for one."""

    def time(self) -> float: ...


class SteadyClock:
    """The time of day when it was made, and from then on as it passes: it never jumps.

    Deadlines of an escalation are times of day, for they outlive the process. Somebody who sets the machine's clock
    must not move them: so within a process they are reckoned by this clock, and waited for on the loop's own time.
    """

    def __init__(self, clock: Clock, loop: Monotonic) -> None:
        self._clock = clock
        self._loop = loop
        self.settle()

    def settle(self) -> None:
        """Take over the time of day as it is now: for when no deadline is pending."""
        self._wall, self._since = self._clock.now(), self._loop.time()

    def now(self) -> datetime:
        return self._wall + timedelta(seconds=self._loop.time() - self._since)

    def wall(self) -> datetime:
        """The time of day as people see it now."""
        return self._clock.now()

    def of(self, wall: datetime) -> datetime:
        """A time that was just read from the wall clock, on this clock."""
        return wall + (self.now() - self._clock.now())

    def when(self, at: datetime) -> float:
        """The loop's time at which it is `at` on this clock."""
        return self._since + (at - self._wall).total_seconds()
