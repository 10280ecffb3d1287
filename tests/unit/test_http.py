"""Health, metrics and what else is mounted, over HTTP."""

import asyncio
import socket
import urllib.request
from collections.abc import Iterator
from http import HTTPStatus
from types import SimpleNamespace
from typing import cast
from urllib.error import HTTPError

import pytest

from voice import process
from voice.app import Service
from voice.http import AT_ONCE, Answer, HttpServer
from voice.metrics import Metrics


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
    server = HttpServer(("127.0.0.1", 0), metrics.registry, lambda: health.trouble)
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
        HttpServer(("127.0.0.1", port), Metrics().registry, lambda: None)


def test_a_path_that_nobody_mounted_is_not_found(url: str) -> None:
    with pytest.raises(HTTPError) as caught:
        get(f"{url}/elsewhere")
    assert caught.value.code == 404
    caught.value.close()


def test_a_client_that_says_nothing_keeps_nobody_from_an_answer(url: str) -> None:
    host, _, port = url.removeprefix("http://").rpartition(":")
    silent = [socket.create_connection((host, int(port))) for _ in range(3)]
    assert get(f"{url}/healthz") == "ok\n"
    for client in silent:
        client.close()


def test_more_clients_than_may_be_served_at_once_are_let_go(url: str) -> None:
    host, _, port = url.removeprefix("http://").rpartition(":")
    clients = [socket.create_connection((host, int(port)), timeout=10) for _ in range(AT_ONCE + 1)]
    assert clients[-1].recv(1) == b""
    for client in clients:
        client.close()


async def test_what_is_mounted_is_answered_on_the_event_loop_of_the_service() -> None:
    loop = asyncio.get_running_loop()

    async def visit(method: str, rest: str) -> Answer:
        assert asyncio.get_running_loop() is loop
        return Answer(HTTPStatus.OK, f"{method} {rest}".encode(), [("Content-Type", "text/plain")])

    server = HttpServer(("127.0.0.1", 0), Metrics().registry, lambda: None)
    server.mount("/acknowledge", visit, loop)
    server.start()
    try:
        text = await asyncio.to_thread(get, f"http://127.0.0.1:{server.port}/acknowledge/some/token")
    finally:
        server.close()
    assert text == "GET some/token"


def test_an_address_that_cannot_be_had_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "HTTP_RETRY_SECONDS", 0.01)
    desk = SimpleNamespace(links=None)
    service = SimpleNamespace(metrics=Metrics(), trouble=None, escalation_desk=desk)

    async def story(taken: socket.socket) -> str:
        host, port = taken.getsockname()
        answering = asyncio.create_task(process._answer_http((host, port), cast(Service, service)))
        await asyncio.sleep(0.05)
        taken.close()
        while True:
            try:
                return await asyncio.to_thread(get, f"http://{host}:{port}/healthz")
            except OSError:
                await asyncio.sleep(0.01)
            finally:
                if answering.done():
                    answering.result()
                    raise AssertionError("it gave up")

    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert asyncio.run(story(taken)) == "ok\n"
