"""What the service counts. Names follow Prometheus' habits: base units, `_total` for counters.

Each service has a registry of its own, so that many of them can live in one test process.
"""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

ANSWER_BUCKETS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
HEARD_BUCKETS = (0.5, 1, 2, 5, 10, 15, 20, 30, 40, 60, 120, 300)


class Metrics:
    """Counters of one service."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.alarms = Counter("earshot_alarms", "Incidents opened by a call", registry=self.registry)
        self.calls_refused = Counter(
            "earshot_alarm_calls_refused", "Alarm calls without possible audio", registry=self.registry
        )
        self.rate_limited = Counter(
            "earshot_rate_limited",
            "INVITEs of unknown, untrusted sources over the limit",
            registry=self.registry,
        )
        self.answered_before_commit = Counter(
            "earshot_answered_before_commit",
            "Alarms answered while the store was away",
            registry=self.registry,
        )
        self.answer_seconds = Histogram(
            "earshot_answer_seconds", "INVITE to 200 OK", buckets=ANSWER_BUCKETS, registry=self.registry
        )
        self.heard_seconds = Histogram(
            "earshot_heard_seconds",
            "Alarm to the first audio that an operator hears",
            buckets=HEARD_BUCKETS,
            registry=self.registry,
        )

    def watch(self, name: str, text: str, value: Callable[[], float]) -> None:
        """Publish a value that is read when somebody asks."""
        Gauge(name, text, registry=self.registry).set_function(value)
