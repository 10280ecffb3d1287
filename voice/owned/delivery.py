"""Written before done: a command waits until its decision is durable; not for ever, for a store may be away."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

from voice.journal import Journal
from voice.owned.live import Live, Orders

Owned = TypeVar("Owned", bound=Live[Any, Any])
Command = TypeVar("Command")

STORE_PATIENCE = 2.0
"""Seconds that a command waits for its decision to be durable."""


class Delivery(ABC, Generic[Owned, Command]):
    """Brings commands to the hands, in the order of their decisions."""

    def __init__(
        self, journal: Journal, spawn: Callable[[Coroutine[Any, Any, Any]], object], idle: Callable[[Owned], None]
    ) -> None:
        self._journal = journal
        self._spawn = spawn
        self._idle = idle
        """Told when nothing of it waits here any more."""

    def order(self, live: Owned, orders: Orders[Command]) -> None:
        """Carry out the commands of a decision after those of the decisions before it."""
        live.orders.append(orders)
        if not live.delivering:
            live.delivering = True
            self._spawn(self._deliver(live))

    @abstractmethod
    async def _begin(self, live: Owned, orders: Orders[Command], command: Command) -> None:
        """Begin with a command whose time has come. What takes long goes on beside the others."""

    async def _deliver(self, live: Owned) -> None:
        try:
            while live.orders:
                orders = live.orders.popleft()
                await self._until_written(orders.written, orders.since + STORE_PATIENCE)
                for command in orders.commands:
                    if live.gone or orders.fate.fenced:
                        return
                    await self._begin(live, orders, command)
        finally:
            live.delivering = False
            self._idle(live)

    async def _until_written(self, written: "asyncio.Future[bool] | None", deadline: float) -> bool:
        """Wait for a write, until the loop's time `deadline` at most. Whether it is durable."""
        if written is None:
            return True
        if written.done():
            return written.result()
        patience = deadline - asyncio.get_running_loop().time()
        return patience > 0 and await self._journal.durable(written, patience=patience)
