"""HTTP to receivers, with httpx. A redirect is never followed, and nothing that a receiver says is read."""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

import httpx

from voice.errors import EarshotError

CONNECT_TIMEOUT = 5.0


class ReceiverUnreachable(EarshotError):
    """No answer came. The text holds no address: those of webhooks often carry a secret."""

    retry_can_help = True


@dataclass(frozen=True, slots=True)
class Reply:
    """What a receiver answered."""

    status: int
    retry_after: float = 0.0
    """Seconds that it asked for (RFC 9110 section 10.2.3); 0: none."""


class Poster(Protocol):
    """Sends one POST."""

    async def __call__(self, url: str, headers: Mapping[str, str], body: bytes) -> Reply:
        """Raises `ReceiverUnreachable`."""
        ...


class HttpPoster:
    """Connections of one process to all receivers. No proxy and no password of the environment is used."""

    def __init__(self, *, tls: ssl.SSLContext | None = None) -> None:
        """`tls`: None trusts the certificates that the system trusts."""
        self._client = httpx.AsyncClient(
            verify=tls or ssl.create_default_context(),
            trust_env=False,
            follow_redirects=False,
            timeout=httpx.Timeout(None, connect=CONNECT_TIMEOUT),
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=64),  # nobody waits for another's
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def __call__(self, url: str, headers: Mapping[str, str], body: bytes) -> Reply:
        """`Poster`. How long it may take altogether is the caller's affair."""
        try:
            async with self._client.stream("POST", url, headers=dict(headers), content=body) as response:
                return Reply(response.status_code, _seconds(response.headers.get("Retry-After", "")))
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise ReceiverUnreachable(_WORDS.get(type(error), "the connection broke")) from None

    async def close(self) -> None:
        await self._client.aclose()


_WORDS: Mapping[type[Exception], str] = {
    httpx.ConnectError: "no connection",
    httpx.ConnectTimeout: "no connection in time",
    httpx.UnsupportedProtocol: "the address is no http or https URL",
    httpx.InvalidURL: "the address is no URL",
}


def _seconds(text: str) -> float:
    """`Retry-After` in seconds; its other form, a date, is not read."""
    return float(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0.0
