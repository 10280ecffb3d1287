"""A desk for tests of dialogues: knows one worker, and notes what was asked of it."""

import asyncio
from datetime import datetime, timedelta

from ivr.desk import Standing
from tests.unit.ivr.conversing import NOW
from voice.sim.loop import virtual_loop

CODE, PIN, DURESS, DURESS_KEYS = "31", "4711", "9902", "00"
VERIFYING = 0.2
"""Seconds that it takes to verify an entry."""


class PretendDesk:
    """Keeps the contract of `ivr.desk.Desk`, with everything in memory."""

    def __init__(
        self,
        *,
        key: str | None = None,
        known: bool = True,
        running: bool = True,
        is_last: bool = False,
        language: str | None = None,
    ) -> None:
        self.done: list[str] = []
        """What was done, in order."""
        self.duress = False
        self.locked = False
        """The PIN is: what calls for help in its place is answered as wrong."""
        self.memo: bytes | None = None
        self.pin = PIN
        self.refuses: set[str] = set()
        self._key = key
        self._began = virtual_loop().time()
        self._known = known
        self._language = language
        self._code: str | None = CODE if known else None
        self._is_last = is_last
        self._next: datetime | None = NOW + timedelta(minutes=30) if running else None
        self._ends: datetime | None = NOW + timedelta(hours=2) if running else None

    async def knows_caller(self) -> bool:
        return self._known

    async def identify(self, code: str) -> None:
        self._code = code

    async def verify(self, entry: str) -> bool:
        await asyncio.sleep(VERIFYING)
        duress = entry in (DURESS, DURESS_KEYS)
        self.duress = self.duress or (duress and self._code == CODE)
        if not (duress or entry in (self._key, self.pin)) or self._code != CODE or (self.locked and entry != self._key):
            self.done.append("refuse")
            return False
        self.done.append("accept")
        return True

    async def language(self) -> str | None:
        return self._language

    async def standing(self) -> Standing | None:
        return None if self._ends is None else Standing(self._now, self._next, self._ends)

    async def start(self, hours: int, minutes: int) -> Standing | None:
        if not self._can("start"):
            return None
        self.done.append(f"start {hours} h, each {minutes} min")
        self._next, self._ends = self._now + timedelta(minutes=minutes), self._now + timedelta(hours=hours)
        return await self.standing()

    async def confirm(self) -> Standing | None:
        self.done.append("confirm")
        if self._ends is not None:
            self._next = None if self._is_last else self._now + timedelta(minutes=30)
        return await self.standing()

    async def extend(self) -> Standing | None:
        if self._ends is None or not self._can("extend"):
            return None
        self.done.append("extend")
        self._next, self._ends = self._now + timedelta(minutes=30), self._ends + timedelta(minutes=15)
        return await self.standing()

    async def end(self) -> bool:
        if self._ends is None:
            return False
        self.done.append("end")
        self._next = self._ends = None
        return True

    async def leave_memo(self, clip: bytes) -> bool:
        if self._can("memo"):
            self.done.append("memo")
            self.memo = clip
        return self._can("memo")

    async def change_pin(self, new: str) -> bool:
        if len(set(new)) < 3:
            return False
        self.done.append("change PIN")
        self.pin = self.pin if new == DURESS else new
        return True

    async def test_alarm(self) -> bool:
        if self._can("test"):
            self.done.append("test alarm")
        return self._can("test")

    def _can(self, errand: str) -> bool:
        return errand not in self.refuses

    @property
    def _now(self) -> datetime:
        return NOW + timedelta(seconds=virtual_loop().time() - self._began)
