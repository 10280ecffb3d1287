"""Playing recorded speech faster than real time with its pitch kept.

WSOLA: W. Verhelst and M. Roelands, "An overlap-add technique based on waveform similarity (WSOLA) for high
quality time-scale modification of speech", ICASSP 1993. Each output frame of 20 ms is a cross-fade from the
natural continuation of the previous frame to a piece of the input near the place that the speed asks for:
the piece, within 10 ms, that resembles the continuation most. Our own rather than FFmpeg's atempo: two
pages of numpy against a wheel of 104 MB, and the position in the recording is known at every frame, which
the step to live needs.

Pauses are played faster still (see `quiet`).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from voice.media.quiet import QuietStretches, Reader, Samples
from voice.rtp.codecs import FRAME_SAMPLES

SEARCH = 80
"""Samples the search may go either way (10 ms): together one period of the lowest voice, 50 Hz."""

LOOKAHEAD = SEARCH + 2 * FRAME_SAMPLES
"""Samples behind the nominal place that one frame needs."""

SLOWEST, FASTEST = 1.0, 3.0

_PAUSE_SPEED = 8.0  # a pause is played at least so fast
_PAUSE_FRAMES = 50  # and the longer it is, the faster: its length falls by 1/50 with each frame
_SCAN_AHEAD = 240_000  # pauses are known up to 30 s ahead
_SCAN_STEP = 32_000  # at most 4 s are looked at within one frame

_RISE = (0.5 - 0.5 * np.cos(np.pi * (np.arange(FRAME_SAMPLES) + 0.5) / FRAME_SAMPLES)).astype(np.float32)
_FALL = (1.0 - _RISE).astype(np.float32)
_NEARNESS = 1.0 - 0.02 * np.abs(np.arange(-SEARCH, SEARCH + 1)) / SEARCH

Floats = npt.NDArray[np.float32]


class TimeScaler:
    """Reads a recording through `read` and hands it out in frames of 160 samples, at `speed`.

    `position` is the first sample that has not been heard yet: reading on from there, at normal speed,
    continues the last frame without a step, a gap or a repetition.
    """

    def __init__(self, read: Reader, position: int = 0, speed: float = 1.5, *, hurry: bool = True) -> None:
        self._read = read
        self.speed = speed
        self.position = position
        self._nominal = float(position)  # where the speed says that the next frame starts
        self._exact = True  # the next frame starts at `_nominal`, not at a likeness near it
        self._quiet = QuietStretches(read, position) if hurry else None

    @property
    def speed(self) -> float:
        """Seconds of recording per second of output, 1.0 to 3.0."""
        return self._speed

    @speed.setter
    def speed(self, speed: float) -> None:
        self._speed = min(max(speed, SLOWEST), FASTEST)

    def jump(self, position: int) -> None:
        """Go on from `position`: the next frame is a cross-fade to exactly there."""
        self._nominal = float(position)
        self._exact = True
        if self._quiet is not None:
            self._quiet.restart(position)

    @property
    def jumping(self) -> bool:
        """The next frame is the cross-fade of a jump."""
        return self._exact and int(self._nominal) != self.position

    def frame(self, end: int) -> Samples:
        """The next 160 samples, of a recording that is known up to `end`.

        Close to `end` the speed falls to 1, so that nothing unknown is read while `end - position` is at
        least `LOOKAHEAD + SEARCH`; past `end` there are zeros.
        """
        tail = self._read(self.position, FRAME_SAMPLES).astype(np.float32)
        if self._exact:
            start = int(self._nominal)
            fresh = self._read(start, FRAME_SAMPLES).astype(np.float32)
            self._exact = False
        else:
            self._nominal = max(min(self._nominal, float(end - LOOKAHEAD)), float(self.position))
            start, fresh = self._most_alike(tail, round(self._nominal))
        self.position = start + FRAME_SAMPLES
        self._nominal += self._step(end)
        return np.rint(tail * _FALL + fresh * _RISE).astype(np.int16)

    def _most_alike(self, tail: Floats, place: int) -> tuple[int, Floats]:
        """Where, around `place`, the recording resembles `tail` most, and what is there.

        The measure is the normalised correlation; among equals (a steady tone) the nearest to `place` wins.
        """
        if place == self.position or not tail.any():
            return place, self._read(place, FRAME_SAMPLES).astype(np.float32)
        low = max(place - SEARCH, 0)
        around = self._read(low, place + SEARCH + FRAME_SAMPLES - low).astype(np.float32)
        energy = np.concatenate(([0.0], np.cumsum(np.square(around, dtype=np.float64))))
        likeness = np.correlate(around, tail, "valid") / np.sqrt(energy[FRAME_SAMPLES:] - energy[:-FRAME_SAMPLES] + 1.0)
        best = int(np.argmax(likeness * _NEARNESS[low - (place - SEARCH) :]))
        return low + best, around[best : best + FRAME_SAMPLES]

    def _step(self, end: int) -> float:
        """How far the next frame lies ahead."""
        step = self._speed * FRAME_SAMPLES
        if self._quiet is None:
            return step
        place = int(self._nominal)
        self._quiet.scan(min(end, place + _SCAN_AHEAD, self._quiet.scanned + _SCAN_STEP))
        pause = self._quiet.skippable_until(place) - place
        return max(step, min(float(pause), max(_PAUSE_SPEED * FRAME_SAMPLES, pause / _PAUSE_FRAMES)))


def reader_of(samples: Samples) -> Reader:
    """A reader over `samples` in memory, with zeros before and after."""

    def read(position: int, count: int) -> Samples:
        piece = np.zeros(count, np.int16)
        first, last = max(position, 0), min(position + count, len(samples))
        if first < last:
            piece[first - position : last - position] = samples[first:last]
        return piece

    return read


def stretch(samples: Samples, speed: float, *, hurry: bool = False) -> Samples:
    """The whole of `samples` at `speed`: for prompts, exports and measurements."""
    scaler = TimeScaler(reader_of(samples), 0, speed, hurry=hurry)
    frames = [np.zeros(0, np.int16)]
    while scaler.position < len(samples):
        frames.append(scaler.frame(len(samples) + LOOKAHEAD))
    return np.concatenate(frames)
