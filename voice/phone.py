"""`CallPhone`: a call as the telephone of a dialogue (`ivr.phone.Phone`)."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress

from ivr.phone import Ear, HungUp
from voice.call import Call
from voice.media.player import Player
from voice.rtp.codecs import SAMPLE_RATE

PATIENCE = 2.0
"""Seconds beyond its length after which a clip is held to be played: a peer that put us on hold hears nothing, and
then nothing is asked for."""

EAR_SECONDS = 1.0
"""How often the ear is told at least."""


class CallPhone:
    """A dialogue's end of a call that is up. From the first `play` on it is the source of what the peer hears,
    until somebody else becomes it."""

    def __init__(self, call: Call) -> None:
        self.call = call
        self._player = Player()
        self._ear: Ear | None = None
        self._heard = 0

    async def play(self, clips: Sequence[bytes], *, barge_in: bool = True) -> str | None:
        digit = self._typed() if barge_in else None
        if digit is not None:
            return digit
        audio = b"".join(clips)
        self.call.media.source = self._player
        played: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if audio:
            self._player.play(audio, lambda whole: _done(played))
        else:
            _done(played)
        try:
            return await self._wait(len(audio) / SAMPLE_RATE + PATIENCE, played, digits=barge_in)
        finally:
            self._player.stop()

    async def collect(self, seconds: float) -> str | None:
        digit = self._typed()
        if digit is None and seconds > 0:
            return await self._wait(seconds)
        if digit is None and self.call.ended.done():
            raise HungUp
        return digit

    async def record(self, seconds: float, *, ends: str = "#") -> bytes:
        if self.call.ended.done():
            raise HungUp
        track, loop = self.call.media.received, asyncio.get_running_loop()
        began, deadline = track.end if track is not None else 0, loop.time() + seconds
        with suppress(HungUp):
            while (left := deadline - loop.time()) > 0 and await self._wait(left) != ends:
                pass
        return track.read(began, track.end - began) if track is not None else b""

    def stop(self) -> None:
        self._player.stop()

    async def hang_up(self) -> None:
        self.call.hang_up()

    def listen(self, ear: Ear | None) -> None:
        """See `ivr.phone.Listens`."""
        self._ear = ear
        track = self.call.media.received
        self._heard = track.end if track is not None else 0

    def _typed(self) -> str | None:
        """The oldest digit that nobody has asked for. It counts even if the call is over by now."""
        return None if self.call.digits.empty() else self.call.digits.get_nowait()

    async def _wait(
        self, seconds: float, played: "asyncio.Future[None] | None" = None, *, digits: bool = True
    ) -> str | None:
        """Until a digit comes (if asked for), `played` is done, or the time is over. Raises HungUp."""
        loop, ended = asyncio.get_running_loop(), self.call.ended
        deadline = loop.time() + seconds
        digit = loop.create_task(self.call.digits.get()) if digits else None
        first = [future for future in (digit, ended, played) if future is not None]
        try:
            while (left := deadline - loop.time()) > 0:
                await asyncio.wait(
                    first, timeout=min(left, EAR_SECONDS) if self._ear else left, return_when=asyncio.FIRST_COMPLETED
                )
                self._tell_ear()
                if digit is not None and digit.done():
                    return digit.result()
                if ended.done():
                    raise HungUp
                if played is not None and played.done():
                    return None
            return None
        finally:
            if digit is not None:
                digit.cancel()  # a digit that comes from here on stays in the queue

    def _tell_ear(self) -> None:
        track = self.call.media.received
        if self._ear is not None and track is not None and track.end > self._heard:
            piece = track.read(self._heard, track.end - self._heard)
            self._heard += len(piece)
            self._ear(piece)


def _done(played: "asyncio.Future[None]") -> None:
    if not played.done():
        played.set_result(None)
