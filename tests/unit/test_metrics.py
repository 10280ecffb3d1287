"""Health and metrics over HTTP."""

import urllib.request
from collections.abc import Iterator
from urllib.error import HTTPError

import pytest

from voice.metrics import Metrics, MetricsServer


class Health:
    trouble: str | None = None


@pytest.fixture
def health() -> Health:
    return Health()


@pytest.fixture
def url(health: Health) -> Iterator[str]:
    metrics = Metrics()
    metrics.alarms.inc()
    metrics.watch("earshot_open_incidents", "Incidents not resolved", lambda: 3.0)
    server = MetricsServer(("127.0.0.1", 0), metrics, lambda: health.trouble)
    server.start()
    yield f"http://127.0.0.1:{server.port}"
    server.close()


def get(url: str) -> str:
    with urllib.request.urlopen(url, timeout=10) as response:
        text: str = response.read().decode()
    return text


def test_metrics_show_what_was_counted_and_what_is_read_when_asked(url: str) -> None:
    text = get(f"{url}/metrics")
    assert "earshot_alarms_total 1.0" in text
    assert "earshot_open_incidents 3.0" in text


def test_health_is_ok_when_nothing_is_wrong(url: str) -> None:
    assert get(f"{url}/healthz") == "ok\n"


def test_health_names_the_trouble_with_503(url: str, health: Health) -> None:
    health.trouble = "recordings not written: No space left on device"
    with pytest.raises(HTTPError) as caught:
        get(f"{url}/healthz")
    assert caught.value.code == 503
    assert "No space left" in caught.value.read().decode()


def test_a_port_in_use_is_an_oserror(url: str) -> None:
    port = int(url.rpartition(":")[2])
    with pytest.raises(OSError, match="in use"):
        MetricsServer(("127.0.0.1", port), Metrics(), lambda: None)
