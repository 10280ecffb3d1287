"""Takes deliveries to their receivers: each hook by itself, so that one that hangs keeps no other waiting.

Delivered at least once, in the order of the timeline for each incident: a receiver knows a repetition by
`Earshot-Delivery`. 2xx is delivered. 410 (Gone) gives this delivery up at once. Everything else, and no answer, is
tried again for a day (`schedule`); then the delivery is given up, which stays visible, and those behind it go.
"""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from http import HTTPStatus
from random import Random

import structlog

from config.models import Webhook
from voice.clock import Clock
from voice.errors import StoreUnavailable
from voice.store import Store, deliveries
from voice.store.deliveries import Delivery, Standing
from voice.webhooks.outgoing import Subscriptions
from voice.webhooks.posting import Poster, ReceiverUnreachable, Reply
from voice.webhooks.schedule import wait
from voice.webhooks.signing import headers

log = structlog.get_logger(__name__)

PATIENCE = 10.0
"""Seconds that a receiver has, from the connection to its status."""

CLAIM = 3 * PATIENCE
"""Seconds that a delivery is ours. Far longer than `PATIENCE`: nobody else may send it while we do."""

AT_ONCE = 8
"""Incidents of which one receiver is told at the same time."""

POLL = 1.0
"""Seconds between looks for what is due again, and for what other processes wrote."""

LOOK_ROUND = 30.0
"""Seconds between counts of what waits and what was given up."""

CLEANING = 3600.0
KEPT = timedelta(days=30)
"""How long it can be seen what was given up."""


class Webhooks:
    """The deliveries of one process."""

    def __init__(self, subscriptions: Subscriptions, store: Store, post: Poster, clock: Clock, random: Random) -> None:
        self._subscriptions = subscriptions
        self._store = store
        self._post = post
        self._clock = clock
        self._random = random
        self._lines = [_Line(hook) for hook in subscriptions.hooks]
        self.standing: Mapping[str, Standing] = {}
        """Of each hook that has anything undelivered, as it was found lately."""

    @property
    def waiting(self) -> int:
        return sum(standing.waiting for standing in self.standing.values())

    @property
    def given_up(self) -> int:
        return sum(standing.given_up for standing in self.standing.values())

    async def run(self) -> None:
        """Deliver until cancelled."""
        loop = asyncio.get_running_loop()
        self._subscriptions.on_written = partial(_call_if_open, loop, self._wake)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._look_round())
                group.create_task(self._clean())
                for line in self._lines:
                    group.create_task(self._serve(line, group))
        finally:
            self._subscriptions.on_written = lambda: None

    def _wake(self) -> None:
        for line in self._lines:
            line.woken.set()

    async def _serve(self, line: "_Line", group: asyncio.TaskGroup) -> None:
        """Keep up to `AT_ONCE` deliveries of one hook under way."""
        while True:
            line.woken.clear()
            for delivery in await self._claimed(line):
                line.under_way += 1
                group.create_task(self._deliver(line, delivery))
            if not await line.wakes_within(POLL):
                await self._until_due(line)

    async def _claimed(self, line: "_Line") -> list[Delivery]:
        free = AT_ONCE - line.under_way
        if not free:
            return []
        now = self._clock.now()
        claim = partial(deliveries.claim, hook=line.hook.id, limit=free, now=now, seconds=CLAIM)
        try:
            return await self._store.run(claim, urgent=False)
        except StoreUnavailable:
            return []

    async def _until_due(self, line: "_Line") -> None:
        """Look, without writing, until something is due or we are woken."""
        while not line.woken.is_set():
            look = partial(deliveries.anything_due, hook=line.hook.id, now=self._clock.now())
            with suppress(StoreUnavailable):
                if await self._store.read(look):
                    return
            await line.wakes_within(POLL)

    async def _deliver(self, line: "_Line", delivery: Delivery) -> None:
        try:
            with suppress(StoreUnavailable):  # not settled: the claim runs out, and it is delivered again
                await self._settle(line.hook, delivery, await self._attempt(line.hook, delivery))
        finally:
            line.under_way -= 1
            line.woken.set()

    async def _attempt(self, hook: Webhook, delivery: Delivery) -> Reply | str:
        """What the receiver answered, or why it did not."""
        body = delivery.body.encode()
        signed = headers(
            secret=hook.secret,
            timestamp=int(self._clock.now().timestamp()),
            event=delivery.kind,
            delivery=delivery.id,
            body=body,
        )
        try:
            async with asyncio.timeout(PATIENCE):
                return await self._post(hook.url, signed, body)
        except TimeoutError:
            return f"no answer within {PATIENCE:g} s"
        except ReceiverUnreachable as error:
            return str(error)
        except Exception:  # a fault of our own must not end the deliveries of all others
            log.exception("a delivery failed", hook=hook.id, delivery=delivery.id)
            return "a fault of our own"

    async def _settle(self, hook: Webhook, delivery: Delivery, outcome: Reply | str) -> None:
        if isinstance(outcome, Reply) and 200 <= outcome.status < 300:
            await self._store.run(partial(deliveries.delivered, delivery=delivery), urgent=False)
            return
        error, asked, gone = _reading(outcome)
        pause = None if gone else wait(delivery.attempts + 1, self._random, asked=asked)
        if pause is None:
            log.error("webhook given up", hook=hook.id, incident=delivery.incident_id, delivery=delivery.id, why=error)
            await self._store.run(partial(deliveries.give_up, delivery=delivery, error=error), urgent=False)
            return
        log.warning("webhook not delivered", hook=hook.id, incident=delivery.incident_id, why=error, again_s=int(pause))
        now = self._clock.now()
        again = partial(deliveries.failed, delivery=delivery, error=error, wait=pause, now=now)
        await self._store.run(again, urgent=False)

    async def _look_round(self) -> None:
        """Know how deliveries stand."""
        while True:
            with suppress(StoreUnavailable):
                self.standing = await self._store.read(deliveries.standing)
            await asyncio.sleep(LOOK_ROUND)

    async def _clean(self) -> None:
        """Forget old deliveries."""
        while True:
            await asyncio.sleep(CLEANING)
            with suppress(StoreUnavailable):
                await self._store.run(partial(deliveries.forget, before=self._clock.now() - KEPT), urgent=False)


@dataclass(slots=True, eq=False)
class _Line:
    """One hook, and what is under way to it."""

    hook: Webhook
    under_way: int = 0
    woken: asyncio.Event = field(default_factory=asyncio.Event)

    async def wakes_within(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                return await self.woken.wait()
        except TimeoutError:
            return False


def _reading(outcome: Reply | str) -> tuple[str, float, bool]:
    """(what went wrong, seconds that the receiver asked for, whether it wants no repetition)"""
    if isinstance(outcome, str):
        return outcome, 0.0, False
    return f"answered {outcome.status}", outcome.retry_after, outcome.status == HTTPStatus.GONE


def _call_if_open(loop: asyncio.AbstractEventLoop, call: Callable[[], None]) -> None:
    """From the thread of the store, which may still write when the loop is gone."""
    with suppress(RuntimeError):
        loop.call_soon_threadsafe(call)
