"""Playing clips one after the other, without a gap: confirmation sounds and prompts."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import numpy as np

from voice.media.mixing import alaw, linear
from voice.rtp.codecs import ALAW_SILENCE, FRAME_SAMPLES, SAMPLE_RATE

Done = Callable[[bool], None]
"""Called once: True when the clip was handed out to its last sample, False when it was stopped."""

_FALL = (0.5 + 0.5 * np.cos(np.pi * (np.arange(FRAME_SAMPLES) + 0.5) / FRAME_SAMPLES)).astype(np.float32)


class Playback:
    """One clip on its way through a `Player`."""

    def __init__(self, player: Player, clip: bytes, done: Done | None) -> None:
        self._player = player
        self._clip = clip
        self._done = done
        self._at = 0
        self.outcome: bool | None = None
        """None while it waits or plays; then True for played to the end, False for stopped."""

    @property
    def left(self) -> int:
        """Samples still to be handed out."""
        return len(self._clip) - self._at if self.outcome is None else 0

    def stop(self) -> None:
        """Take this clip out of its player; what was queued behind it moves up."""
        self._player.drop(self)

    def _take(self, count: int) -> bytes:
        piece = self._clip[self._at : self._at + count]
        self._at += len(piece)
        return piece

    def _finish(self, outcome: bool) -> None:
        if self.outcome is None:
            self.outcome = outcome
            if self._done is not None:
                self._done(outcome)


class Player:
    """A queue of A-law clips as a `Source`. Clips of any length follow each other without a gap."""

    def __init__(self) -> None:
        self._queue: deque[Playback] = deque()
        self._fading = b""  # the frame that a stopped clip would have come to

    def play(self, clip: bytes, done: Done | None = None) -> Playback:
        """Play `clip` when all that was queued before has been played."""
        playback = Playback(self, clip, done)
        self._queue.append(playback)
        return playback

    def stop(self) -> None:
        """Stop everything: what is being heard fades within the next frame (20 ms), then there is silence."""
        queue, self._queue = list(self._queue), deque()
        if queue:
            self._fade(queue[0])
        for playback in queue:
            playback._finish(False)

    def drop(self, playback: Playback) -> None:
        """Stop this one clip."""
        if playback in self._queue:
            if playback is self._queue[0]:
                self._fade(playback)
            self._queue.remove(playback)
            playback._finish(False)

    @property
    def playing(self) -> bool:
        """Whether the next frame has something to be heard."""
        return bool(self._queue or self._fading)

    @property
    def queued(self) -> float:
        """Seconds until the queue is empty."""
        return sum(playback.left for playback in self._queue) / SAMPLE_RATE

    def frame(self) -> bytes | None:
        """The next 160 samples; None when nothing is queued."""
        if self._fading:
            frame, self._fading = self._fading, b""
            return frame
        frame = b""
        finished: list[Playback] = []
        while self._queue and len(frame) < FRAME_SAMPLES:
            frame += self._queue[0]._take(FRAME_SAMPLES - len(frame))
            if not self._queue[0].left:
                finished.append(self._queue.popleft())
        for playback in finished:  # after the queue is in order: `done` may play the next clip
            playback._finish(True)
        return frame.ljust(FRAME_SAMPLES, ALAW_SILENCE) if frame else None

    def _fade(self, playback: Playback) -> None:
        if playback._at and playback.left:
            ahead = linear(playback._take(FRAME_SAMPLES).ljust(FRAME_SAMPLES, ALAW_SILENCE))
            self._fading = alaw(np.rint(ahead * _FALL).astype(np.int16))
