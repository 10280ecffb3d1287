"""What is practised in a check-in for practice, and the desk that stands in for the service."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from ivr.checkin import CheckIn
from ivr.desk import Standing
from voice.clock import Clock

PACE = 0.3
"""Seconds that an answer to an entry takes, whatever it was: as with the desk that is meant (`voice.worker_desk`)."""


class Proof(StrEnum):
    """What an entry that counted was."""

    KEY = "key"
    PIN = "PIN"
    DURESS = "duress"


@dataclass(frozen=True, slots=True)
class Practice:
    """What is to be practised."""

    uri: str
    asked: CheckIn
    language: str
    timezone: str
    pin: str | None = None
    """Asked for where `asked` has no key."""
    duress: tuple[str, ...] = ()
    """What calls for help in silence."""
    rings: float = 30.0
    """Seconds."""
    interval: float = 1800.0
    """Seconds until the next check-in, as it is told."""


class PracticeDesk:
    """Keeps the contract of `ivr.desk.Desk` as far as a check-in asks for it, and remembers what was proven."""

    def __init__(self, practice: Practice, clock: Clock, tell: Callable[[str], None]) -> None:
        self.proof: Proof | None = None
        self.is_late = False
        self._practice = practice
        self._clock = clock
        self._tell = tell

    async def verify(self, entry: str) -> bool:
        await asyncio.sleep(PACE)
        proof = self._means(entry)
        if self.proof is not Proof.DURESS:
            self.proof = proof or self.proof
        self._tell("you keyed something that counts" if proof else "you keyed something that does not count")
        return proof is not None

    def heard_late(self, entry: str) -> None:
        """What was keyed when the dialogue was over may still call for help; it is good for nothing else."""
        if entry in self._practice.duress and self.proof is not Proof.DURESS:
            self.proof, self.is_late = Proof.DURESS, True

    def _means(self, entry: str) -> Proof | None:
        if entry in self._practice.duress:
            return Proof.DURESS
        if entry == self._practice.asked.key:
            return Proof.KEY
        return Proof.PIN if entry == self._practice.pin else None

    async def confirm(self) -> Standing | None:
        now = self._clock.now()
        return Standing(now, now + timedelta(seconds=self._practice.interval))

    async def language(self) -> str | None:
        return None

    async def extend(self) -> Standing | None:
        return None

    # What a worker may do who calls us; in a check-in none of it is asked for.

    async def knows_caller(self) -> bool:
        return True

    async def identify(self, code: str) -> None:
        return

    async def standing(self) -> Standing | None:
        return None

    async def start(self, hours: int, minutes: int) -> Standing | None:
        return None

    async def end(self) -> bool:
        return False

    async def leave_memo(self, clip: bytes) -> bool:
        return False

    async def change_pin(self, new: str) -> bool:
        return False

    async def test_alarm(self) -> bool:
        return False
