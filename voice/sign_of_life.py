"""A phone that died must not keep an alarm: one from which nothing comes is asked whether it is still there."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from voice.call import Call

LIFE_SECONDS = 4.0
"""How long a phone that has fallen silent may take to show that it is still there: three times it is asked."""
LIFE_EVERY = 10.0
"""Seconds until a phone that is there, and silent, is asked again."""


class SignOfLife:
    """Watches over one call with a person. `went_quiet` is for the leg to call when nothing comes from it."""

    def __init__(self, call: Call, spawn: Callable[[Coroutine[Any, Any, Any]], object], dead: Callable[[], None]):
        self._call = call
        self._spawn = spawn
        self._dead = dead
        self._asking = False

    def went_quiet(self) -> None:
        """Nothing comes from his phone: muted perhaps, or dead."""
        if not self._asking:
            self._asking = True
            self._spawn(self._ask())

    async def _ask(self) -> None:
        """Without a sign of life the leg is over."""
        try:
            while self._call.up and self._call.media.quiet_for >= 1.0:
                if not await self._call.gives_sign_of_life(LIFE_SECONDS):
                    self._dead()
                    self._call.hang_up("no sign of life")
                    return
                await asyncio.wait([self._call.ended], timeout=LIFE_EVERY)
        finally:
            self._asking = False
