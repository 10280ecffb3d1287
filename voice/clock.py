"""Wall-clock time as an argument: whoever writes a time of day is handed a `Clock`."""

from datetime import UTC, datetime
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
