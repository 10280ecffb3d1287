"""The small HTTP front of the service: health, metrics, and whatever else is mounted, such as acknowledgement links.

It runs on threads of its own, so that nobody who asks slowly holds up a call. Meant to stand behind a reverse proxy,
which brings TLS and shows the world only what the world needs.
"""

import asyncio
import socket
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from socketserver import ThreadingMixIn
from threading import BoundedSemaphore, Thread
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

import structlog
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import make_wsgi_app

from voice.address import Address

log = structlog.get_logger(__name__)

SLOW_CLIENT = 10.0
"""Seconds that a client may be silent within a request."""

ANSWER_PATIENCE = 10.0
"""Seconds that a request waits for the event loop of the service."""

AT_ONCE = 32
"""Requests that are served at the same time; more are let go, without a thread for each of them."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a browser gets."""

    status: HTTPStatus
    body: bytes
    headers: Sequence[tuple[str, str]] = ()


Visit = Callable[[str, str], Coroutine[Any, Any, Answer]]
"""(method, rest of the path) to the answer, on the event loop of the service."""


class HttpServer:
    """`/metrics` for Prometheus, `/healthz` for whoever watches the process, and what `mount` adds."""

    def __init__(self, address: Address, registry: CollectorRegistry, healthy: Callable[[], str | None]) -> None:
        """`healthy` returns None, or what is wrong in a few words. Raises OSError if the port is taken."""
        self._mounted: dict[str, WSGIApplication] = {"/healthz": _health(healthy), "/metrics": make_wsgi_app(registry)}
        self._server = _Server(address, _Requests)
        self._server.set_app(self._respond)
        self._thread = Thread(target=self._server.serve_forever, name="http", daemon=True)

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def mount(self, prefix: str, visit: Visit, loop: asyncio.AbstractEventLoop) -> None:
        """Let `visit` answer everything under `prefix` (`/acknowledge`)."""
        self._mounted[prefix] = _on_the_loop(visit, loop)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _respond(self, environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        first = "/" + path.lstrip("/").partition("/")[0]
        app = self._mounted.get(first)
        if app is None:
            return _send(Answer(HTTPStatus.NOT_FOUND, b"not found\n", _PLAIN), environ, start)
        return app(environ, start)


_PLAIN = (("Content-Type", "text/plain; charset=utf-8"),)


def _health(healthy: Callable[[], str | None]) -> WSGIApplication:
    def respond(environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        trouble = healthy()
        status = HTTPStatus.SERVICE_UNAVAILABLE if trouble else HTTPStatus.OK
        return _send(Answer(status, f"{trouble or 'ok'}\n".encode(), _PLAIN), environ, start)

    return respond


def _on_the_loop(visit: Visit, loop: asyncio.AbstractEventLoop) -> WSGIApplication:
    def respond(environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        rest = environ.get("PATH_INFO", "").lstrip("/").partition("/")[2]
        asked = asyncio.run_coroutine_threadsafe(visit(environ["REQUEST_METHOD"], rest), loop)
        try:
            answer = asked.result(ANSWER_PATIENCE)
        except TimeoutError:
            asked.cancel()
            answer = Answer(HTTPStatus.SERVICE_UNAVAILABLE, b"try again\n", (*_PLAIN, ("Retry-After", "5")))
        return _send(answer, environ, start)

    return respond


def _send(answer: Answer, environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
    length = ("Content-Length", str(len(answer.body)))
    start(f"{answer.status.value} {answer.status.phrase}", [*answer.headers, length])
    return [b"" if environ["REQUEST_METHOD"] == "HEAD" else answer.body]


class _Requests(WSGIRequestHandler):
    timeout = SLOW_CLIENT

    def log_message(self, format: str, *args: object) -> None:
        """Scrapes are not worth a log line, and the paths of links must never be in one."""


class _Server(ThreadingMixIn, WSGIServer):
    """A thread for each request, up to `AT_ONCE`: a client that hangs keeps nobody else from an answer."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(self, address: Address, handler: type[WSGIRequestHandler]) -> None:
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self._free = BoundedSemaphore(AT_ONCE)
        super().__init__(address, handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self._free.acquire(blocking=False):
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that broke off or fell silent: its own affair."""
        log.debug("an HTTP request broke off", exc_info=True)
