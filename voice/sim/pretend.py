"""`PretendPhone`: the telephone of a dialogue without a network, for tests of what is said and pressed.

It keeps the contract of `ivr.phone.Phone` in the time of the running loop; `tests/contract/test_phone.py` holds it to
the same promises as a real call.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ivr.phone import Ear, HungUp
from voice.rtp.codecs import ALAW_SILENCE, SAMPLE_RATE


@dataclass(frozen=True, slots=True)
class Played:
    """One `play`, as far as it was heard."""

    at: float
    audio: bytes
    whole: bool


class PretendPhone:
    """A phone and the person who holds it."""

    def __init__(self) -> None:
        self.played: list[Played] = []
        self.on_play: Callable[[bytes], None] | None = None
        """Told what begins to be played, so that a person can act on it."""
        self.hung_up = False
        """We hung up."""
        self.is_over = False
        self._typed: deque[str] = deque()
        self._changed = asyncio.Event()
        self._stopped = False
        self._ear: Ear | None = None
        self._recording: list[tuple[float, bytes]] | None = None

    # -- what the person does --

    def press(self, digits: str) -> None:
        self._typed.extend(digits)
        self._changed.set()

    def press_after(self, seconds: float, digits: str) -> None:
        asyncio.get_running_loop().call_later(seconds, self.press, digits)

    def leave(self) -> None:
        """The person hangs up."""
        self.is_over = True
        self._changed.set()

    def say(self, alaw: bytes) -> None:
        """Says something, to whoever listens."""
        if self._ear is not None:
            self._ear(alaw)
        if self._recording is not None:
            self._recording.append((asyncio.get_running_loop().time(), alaw))

    # -- `ivr.phone.Phone` --

    async def play(self, clips: Sequence[bytes], *, barge_in: bool = True) -> str | None:
        if barge_in and self._typed:
            return self._typed.popleft()
        audio, began = b"".join(clips), asyncio.get_running_loop().time()
        self._stopped = False
        if self.on_play is not None:
            self.on_play(audio)
        try:
            return await self._wait(len(audio) / SAMPLE_RATE, digits=barge_in)
        finally:
            heard = round((asyncio.get_running_loop().time() - began) * SAMPLE_RATE)
            self.played.append(Played(began, audio[:heard], heard >= len(audio)))

    async def collect(self, seconds: float) -> str | None:
        self._stopped = False
        return await self._wait(seconds, digits=True)

    async def record(self, seconds: float, *, ends: str = "#") -> bytes:
        if self.is_over:
            raise HungUp
        loop = asyncio.get_running_loop()
        began, self._stopped, self._recording = loop.time(), False, []
        try:
            while (left := began + seconds - loop.time()) > 0 and await self._wait(left, digits=True) != ends:
                pass
        except HungUp:
            pass
        said, self._recording = self._recording, None
        return _line(said, began, round((loop.time() - began) * SAMPLE_RATE))

    def stop(self) -> None:
        self._stopped = True
        self._changed.set()

    async def hang_up(self) -> None:
        self.hung_up = self.is_over = True
        self._changed.set()

    def listen(self, ear: Ear | None) -> None:
        self._ear = ear

    async def _wait(self, seconds: float, *, digits: bool) -> str | None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while True:
            if digits and self._typed:
                return self._typed.popleft()
            if self.is_over:
                raise HungUp
            left = deadline - loop.time()
            if left <= 0 or self._stopped:
                return None
            self._changed.clear()
            timer = loop.call_later(left, self._changed.set)
            await self._changed.wait()
            timer.cancel()


def _line(said: Sequence[tuple[float, bytes]], began: float, samples: int) -> bytes:
    """What was said, each piece at its time, and silence between."""
    line = b""
    for at, piece in said:
        line = line.ljust(round((at - began) * SAMPLE_RATE), ALAW_SILENCE) + piece
    return line[:samples].ljust(samples, ALAW_SILENCE)
