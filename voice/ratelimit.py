"""A limit on what strangers may ask for, so that a scanner on the internet does not drown the operators.

Trusted networks, known devices and authenticated callers never meet it.
"""

from collections import OrderedDict


class RateLimit:
    """A token bucket for each source: `per_minute` on average, and as many at once. 0 lets everything pass."""

    def __init__(self, per_minute: int, *, sources: int = 10_000) -> None:
        self._burst = float(per_minute)
        self._rate = per_minute / 60.0
        self._limit = sources
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def allows(self, source: str, now: float) -> bool:
        """Whether one more may pass from this source now (monotonic seconds); if so, it is counted."""
        if not self._burst:
            return True
        tokens, at = self._buckets.pop(source, (self._burst, now))
        tokens = min(self._burst, tokens + (now - at) * self._rate)
        allowed = tokens >= 1.0
        self._buckets[source] = (tokens - 1.0 if allowed else tokens, now)
        while len(self._buckets) > self._limit:
            self._buckets.popitem(last=False)
        return allowed
