"""Which stretches of recorded audio hold nothing above the background, so that one may hurry through them.

The level of each 20 ms frame is compared with a threshold that adapts to the noise floor: the lowest frame
of the last ten seconds (minimum statistics, after R. Martin, "Noise power spectral density estimation based
on optimal smoothing and minimum statistics", IEEE Trans. SAP 9(5), 2001; the smoothing is left out). Errors
fall to the safe side: a floor that is estimated too low means that less is skipped. The threshold stays
between -64 and -40 dBov: loud steady noise is always played, and what is fainter than a whisper in a pocket
never holds the listener up.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from voice.rtp.codecs import FRAME_SAMPLES

Samples = npt.NDArray[np.int16]
"""Linear 8 kHz mono."""

Reader = Callable[[int, int], Samples]
"""`read(position, count)`: exactly `count` samples from `position` on, zeros where there is nothing."""

BLOCK = 25 * FRAME_SAMPLES
"""Samples that are looked at in one step: half a second."""

SHORTEST = 15 * FRAME_SAMPLES
"""A pause up to this long (300 ms) belongs to the speech and keeps its rhythm."""

EDGE = 1200
"""Samples at either end of a pause that are never skipped (150 ms): soft onsets and endings live there."""

_FLOOR_BLOCKS = 20  # ten seconds: longer than anybody speaks without a gap of one frame
_WARM_UP_BLOCKS = 4  # until two seconds are known, only what is under the lowest threshold is quiet
_FLOOR_FACTOR = 4.0  # in power: 6 dB above the floor
_LOWEST = 20.0**2  # -64 dBov
_HIGHEST = 328.0**2  # -40 dBov
_HOLE = 9.0**2  # digital silence (A-law's is +-8): a lost packet says nothing about the noise of the room


class QuietStretches:
    """Finds quiet stretches ahead of a listener, half a second at a time."""

    def __init__(self, read: Reader, position: int) -> None:
        self._read = read
        self._floors: deque[float] = deque(maxlen=_FLOOR_BLOCKS)
        self.restart(position)

    def restart(self, position: int) -> None:
        """Look again from `position` on. What is known about the noise floor is kept."""
        self._scanned = position
        self._stretches: deque[tuple[int, int]] = deque()  # finished, in order, edges already taken off
        self._since = position  # start of the pause that reaches up to `_scanned`
        self._fresh = True  # nothing heard before `position`: its first pause has no ending to keep

    def scan(self, until: int) -> None:
        """Look at the audio up to `until`, in whole blocks."""
        while self._scanned + BLOCK <= until:
            self._scan_block()

    def skippable_until(self, position: int) -> int:
        """The end of the skippable stretch around `position`; `position` itself where there is none."""
        while self._stretches and self._stretches[0][1] <= position:
            self._stretches.popleft()
        if self._stretches:
            start, end = self._stretches[0]
        elif self._scanned - self._since > SHORTEST:
            start, end = self._start_of_pause(), self._scanned - EDGE
        else:
            return position
        return end if start <= position < end else position

    @property
    def scanned(self) -> int:
        """Position up to which the audio is known."""
        return self._scanned

    def _scan_block(self) -> None:
        samples = self._read(self._scanned, BLOCK).astype(np.float32).reshape(-1, FRAME_SAMPLES)
        powers = np.einsum("ij,ij->i", samples, samples) / FRAME_SAMPLES
        for index in np.flatnonzero(powers > self._threshold(powers)):
            self._heard(self._scanned + int(index) * FRAME_SAMPLES)
        self._scanned += BLOCK

    def _threshold(self, powers: npt.NDArray[np.float32]) -> float:
        real = powers[powers > _HOLE]
        if real.size:
            self._floors.append(float(real.min()))
        if len(self._floors) <= _WARM_UP_BLOCKS:
            return _LOWEST
        return min(max(min(self._floors) * _FLOOR_FACTOR, _LOWEST), _HIGHEST)

    def _heard(self, frame: int) -> None:
        """The frame at this position is above the threshold: the pause before it ends."""
        if frame - self._since > SHORTEST:
            stretch = self._start_of_pause(), frame - EDGE
            if stretch[0] < stretch[1]:
                self._stretches.append(stretch)
        self._since = frame + FRAME_SAMPLES
        self._fresh = False

    def _start_of_pause(self) -> int:
        return self._since if self._fresh else self._since + EDGE
