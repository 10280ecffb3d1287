"""HTTP to receivers, with aiohttp. A redirect is never followed, and nothing that a receiver says is read."""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

import aiohttp

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
        """`tls`: None trusts the certificates that the system trusts. Within a running loop only."""
        self._client = aiohttp.ClientSession(
            # No limit: nobody waits for another's receiver.
            connector=aiohttp.TCPConnector(ssl=tls or ssl.create_default_context(), limit=0),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            skip_auto_headers=("User-Agent",),
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
            async with self._client.post(url, headers=dict(headers), data=body, allow_redirects=False) as response:
                return Reply(response.status, _seconds(response.headers.get("Retry-After", "")))
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise ReceiverUnreachable(_why(error)) from None

    async def close(self) -> None:
        await self._client.close()


_WORDS: Mapping[type[Exception], str] = {
    aiohttp.ClientConnectorError: "no connection",
    TimeoutError: "no connection in time",
    aiohttp.NonHttpUrlClientError: "the address is no http or https URL",
    aiohttp.InvalidURL: "the address is no URL",
}


def _why(error: Exception) -> str:
    return next((words for kind, words in _WORDS.items() if isinstance(error, kind)), "the connection broke")


def _seconds(text: str) -> float:
    """`Retry-After` in seconds; its other form, a date, is not read."""
    return float(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0.0
