"""What a worker is told before he is called: that a check-in is near, that his session ends.

By text message, and by a hook for an app on his device. Neither proves anything, and nothing waits for them. What is
said depends on nothing but the time and his settings: whoever watches the display learns nothing from it.
"""

import asyncio
import json
import ssl
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import cache
from zoneinfo import ZoneInfo

import structlog
from babel.dates import format_time

from config.models import Settings, Worker
from config.plans import Language
from voice.clock import Clock
from voice.incidents.timeline import timestamp
from voice.messages.channel import Channel, Message, MessageFailed
from voice.messages.messenger import attempt
from voice.messages.wording import NOBODY, words
from voice.webhooks.posting import HttpPoster, Poster, ReceiverUnreachable, Reply
from voice.webhooks.signing import headers

log = structlog.get_logger(__name__)

WAITS = (2.0, 5.0, 15.0, 30.0, 60.0)
"""Seconds between attempts at a text message, for as long as what it says is still to come."""
HOOK_AGAIN = 2.0
"""Seconds after which the hook is tried once more."""
PATIENCE = 10.0
"""Seconds that the receiver of the hook has."""

LOCALES: Mapping[Language, str] = {"nl": "nl_NL", "en": "en_GB", "de": "de_DE", "fr": "fr_FR"}
"""How each language writes times."""


class Notices:
    """Tells workers. What goes wrong is logged, without a name or a number, and raises nothing."""

    def __init__(
        self,
        settings: Callable[[], Settings],
        channels: Mapping[str, Channel],
        clock: Clock,
        post: Poster | None = None,
    ) -> None:
        """`settings`: those that hold now. `channels`: by name, of which "sms" is used. `post`: None: each notice has a
        connection of its own."""
        self._settings = settings
        self._channels = channels
        self._clock = clock
        self._post = post or _once

    async def warn(self, worker: Worker, due_at: datetime) -> None:
        """A check-in is due at this time."""
        await self._tell(worker, "warned", due_at, "due_at")

    async def remind(self, worker: Worker, ends_at: datetime) -> None:
        """The session ends at this time."""
        await self._tell(worker, "session_ends", ends_at, "ends_at")

    async def _tell(self, worker: Worker, what: str, at: datetime, key: str) -> None:
        name = f"{worker.id}.{what}.{timestamp(at)}"
        content = {"worker": worker.id, key: timestamp(at)}
        told = (self._text(worker, what, at, name), self._hook(f"check_in.{what}", content, name))
        for outcome in await asyncio.gather(*told, return_exceptions=True):
            if isinstance(outcome, Exception):
                log.error("a notice to a worker failed", what=what, why=type(outcome).__name__)

    # -- text messages --

    async def _text(self, worker: Worker, what: str, at: datetime, name: str) -> None:
        channel, to = self._channels.get("sms"), text_number(worker)
        if channel is None or to is None:
            return
        message = self._message(worker, what, at, name, to)
        for wait in (*WAITS, None):
            try:
                await attempt(channel, message)
            except MessageFailed as error:
                if wait is None or not error.retry_can_help or self._clock.now() >= at:
                    log.warning("a text message to a worker failed", what=what, why=str(error))
                    return
                await asyncio.sleep(wait)
            else:
                return

    def _message(self, worker: Worker, what: str, at: datetime, name: str, to: str) -> Message:
        customer = self._settings().customer_of(None, worker) or NOBODY
        language = worker.language or customer.language
        said = words(language).check_in
        text = said[what].format(time=_time(at, language, customer.timezone))
        ours = self._settings().check_in.numbers
        if ours:
            text += " " + said[f"{what}_number"].format(number=ours[0])
        return Message(name, worker.id, to, said["subject"], text, language)

    # -- the hook --

    async def _hook(self, event: str, content: Mapping[str, str], name: str) -> None:
        check_in = self._settings().check_in
        url, secret = check_in.hook, check_in.hook_secret
        if url is None or secret is None:
            return
        body = json.dumps(content, separators=(",", ":")).encode()
        why = await self._fire(url, secret, event, name, body)
        if why is not None:
            await asyncio.sleep(HOOK_AGAIN)
            why = await self._fire(url, secret, event, name, body)
        if why is not None:
            log.warning("the hook of check-ins was not reached", hook_event=event, why=why)

    async def _fire(self, url: str, secret: str, event: str, name: str, body: bytes) -> str | None:
        """Once. Why it did not arrive; None: it did."""
        timestamp = int(self._clock.now().timestamp())
        signed = headers(secret=secret, timestamp=timestamp, event=event, delivery=name, body=body)
        try:
            async with asyncio.timeout(PATIENCE):
                reply = await self._post(url, signed, body)
        except TimeoutError:
            return f"no answer within {PATIENCE:g} s"
        except ReceiverUnreachable as error:
            return str(error)
        return None if 200 <= reply.status < 300 else f"answered {reply.status}"


def text_number(worker: Worker) -> str | None:
    """Where text messages to a worker go: his first telephone number; None: he has none."""
    return next((number for number in worker.numbers if number.lstrip("+").isdigit()), None)


def _time(at: datetime, language: Language, zone: str) -> str:
    return str(format_time(at, "short", tzinfo=ZoneInfo(zone), locale=LOCALES[language]))


async def _once(url: str, signed: Mapping[str, str], body: bytes) -> Reply:
    async with HttpPoster(tls=_trusted()) as post:
        return await post(url, signed, body)


@cache
def _trusted() -> ssl.SSLContext:
    """What the system trusts. Kept: reading it takes longer than everything else here."""
    return ssl.create_default_context()
