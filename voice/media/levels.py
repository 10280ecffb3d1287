"""Bringing voices to one level: a worker with his badge in the pocket, an operator close to his microphone.

A `Leveller` measures one voice while it speaks (after the active speech level of ITU-T P.56: power over the frames
that hold speech, not over its pauses) and moves its gain slowly until that level is `TARGET`. In a pause the gain
stays: nothing pumps. A steady signal (a tone, a fan) is no speech and is left alone. Who is within `TOLERANCE` keeps
every byte. A gain never makes a sample clip: it gives way within the frame.

Applied only to what people and devices are sent, never to what is recorded as received. A gain is a table of
256 bytes over A-law, in steps of half a decibel: a frame costs a few microseconds.
"""

from __future__ import annotations

import math
from collections import deque

import numpy as np

from voice.media.mixing import alaw, linear
from voice.rtp.codecs import ALAW_SILENCE, ALAW_SILENCE_FRAME, alaw_to_pcm, audioop

TARGET = -22.0
"""dBov (-16 dBm0): the active level of speech that every voice is brought to, what a telephone usually gives."""
TOLERANCE = 3.0
"""dB around `TARGET` within which nothing is touched."""
MOST = 12.0
"""dB by which a voice is raised or lowered at most: more would raise the room around it."""

_STEPS = 2  # per dB
_RISE, _FALL = 0.04, 0.08  # dB per frame with speech: 2 and 4 dB per second
_NEARLY = 1.0  # dB: so close to the target that the gain goes back to nothing
_CONVINCING = 100  # frames with speech (2 s) before anything is moved
_MEMORY = 400  # frames with speech that the measured level remembers: 8 s
_FLOOR_FRAMES, _FLOOR_BLOCKS = 25, 10  # the background: the faintest frame of the last five seconds
_ABOVE_FLOOR = 3.16  # amplitude: speech stands 10 dB above it ...
_ABOVE_RECENT = 2.0  # ... and 6 dB above the faintest frame of the last second: a fan that starts is not speech
_FAINTEST = 104.0  # -50 dBov: fainter is no speech to anybody's ear
_HOLE = ALAW_SILENCE * 16  # 2 ms of digital silence, from a lost packet, say nothing about the background
_LOUDEST = 32_256.0  # the largest value of A-law


def _table(step: int) -> bytes:
    every = linear(bytes(range(256))).astype(np.float64)
    return alaw(np.rint(every * 10 ** (step / _STEPS / 20)).astype(np.int32))


_TABLES = {step: _table(step) for step in range(round(-MOST * _STEPS), round(MOST * _STEPS) + 1)}


def lowered(frame: bytes, decibels: float = MOST) -> bytes:
    """The frame, fainter by so much (at most `MOST`): what something more important is laid over."""
    return frame.translate(_TABLES[-round(decibels * _STEPS)])


class Leveller:
    """The gain of one voice. Give it every frame of that voice, in order."""

    def __init__(self) -> None:
        self._floors: deque[float] = deque(maxlen=_FLOOR_BLOCKS)
        self._faintest = math.inf  # of the block under way
        self._frames = 0  # in the block under way
        self._threshold = math.inf  # amplitude of speech; until the background is known, nothing counts as speech
        self._spoken = 0  # frames with speech so far
        self._power = 0.0  # mean over the last of them
        self._wanted = False  # the level is, or was, too far off
        self._gain = 0.0

    @property
    def gain(self) -> float:
        """dB that are added now."""
        return round(self._gain * _STEPS) / _STEPS

    @property
    def level(self) -> float | None:
        """Active level of the speech as it comes in, dBov; None until enough was heard."""
        return 10 * math.log10(self._power / 32768**2) if self._spoken >= _CONVINCING else None

    def apply(self, frame: bytes) -> bytes:
        """The frame at the level that it should have; the very same object where nothing is to be done."""
        if frame == ALAW_SILENCE_FRAME:
            return frame
        pcm = alaw_to_pcm(frame)
        loudness = float(audioop.rms(pcm, 2))
        if loudness > self._threshold:
            self._hear(loudness)
        if _HOLE not in frame:
            self._watch_background(loudness)
        step = round(self._gain * _STEPS)
        if step > 0:
            step = self._without_clipping(step, audioop.max(pcm, 2))
        return frame.translate(_TABLES[step]) if step else frame

    def _watch_background(self, loudness: float) -> None:
        self._faintest = min(self._faintest, loudness)
        self._frames += 1
        if self._frames == _FLOOR_FRAMES:
            self._floors.append(self._faintest)
            self._faintest, self._frames = math.inf, 0
            recent = min(self._floors[-1], self._floors[max(-2, -len(self._floors))])
            self._threshold = max(min(self._floors) * _ABOVE_FLOOR, recent * _ABOVE_RECENT, _FAINTEST)

    def _hear(self, loudness: float) -> None:
        self._spoken += 1
        self._power += (loudness**2 - self._power) / min(self._spoken, _MEMORY)
        level = self.level
        if level is None:
            return
        off = TARGET - level
        self._wanted = abs(off) > (_NEARLY if self._wanted else TOLERANCE)
        goal = min(max(off, -MOST), MOST) if self._wanted else 0.0
        self._gain += min(max(goal - self._gain, -_FALL), _RISE)

    def _without_clipping(self, step: int, peak: int) -> int:
        room = math.floor(20 * math.log10(_LOUDEST / max(peak, 1)) * _STEPS)
        if room >= step:
            return step
        self._gain = max(room, 0) / _STEPS
        return max(room, 0)
