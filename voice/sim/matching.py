"""Which moment of a recording does somebody hear? Found by likeness of the sound, so it also holds for time-scaled
speech, in which no sample need be what it was.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from voice.rtp.codecs import SAMPLE_RATE, alaw_to_pcm

Samples = npt.NDArray[np.float64]

WINDOW = SAMPLE_RATE // 20
"""Samples that are compared: 50 ms hold several periods of any voice, and little enough to survive WSOLA."""
ALIKE = 0.9
"""Normalised correlation from which on two pieces of speech count as the same."""
_LOUD = 300.0  # RMS, of 16-bit full scale: what is softer is not compared


@dataclass(frozen=True, slots=True)
class Match:
    """A piece of what was heard, and where it lies in the original; both in seconds."""

    heard_at: float
    position: float
    likeness: float


def follow(heard: bytes, original: bytes, *, step: float = 0.1) -> list[Match]:
    """Every loud piece of `heard` that occurs in `original`, both A-law, looked at every `step` seconds."""
    sound, whole = _linear(heard), _linear(original)
    energy = np.concatenate(([0.0], np.cumsum(whole**2)))
    norms = np.sqrt(energy[WINDOW:] - energy[:-WINDOW]) + 1.0
    found = []
    for start in range(0, len(sound) - WINDOW + 1, round(step * SAMPLE_RATE)):
        piece = sound[start : start + WINDOW]
        norm = float(np.sqrt(np.sum(piece**2)))
        if norm < _LOUD * WINDOW**0.5:
            continue
        likeness = np.correlate(whole, piece, "valid") / (norms * norm)
        best = int(np.argmax(likeness))
        if likeness[best] >= ALIKE:
            found.append(Match(start / SAMPLE_RATE, best / SAMPLE_RATE, float(likeness[best])))
    return found


def in_order(matches: Sequence[Match], *, longest_pause: float) -> list[Match]:
    """The longest run of matches that goes on through the original, never over more than `longest_pause` of it.

    Speech has sounds that are alike: a few pieces are found where they do not belong, and are left out here.
    """
    best: list[
        tuple[int, int | None]
    ] = []  # for each match: length of the best run that ends in it, and its forerunner
    for index, match in enumerate(matches):
        before = [
            (best[earlier][0], earlier)
            for earlier in range(index)
            if 0 < match.position - matches[earlier].position <= longest_pause
        ]
        length, forerunner = max(before, default=(0, None), key=lambda run: run[0])
        best.append((length + 1, forerunner))
    run: list[Match] = []
    at = max(range(len(best)), key=lambda index: best[index][0], default=None)
    while at is not None:
        run.append(matches[at])
        at = best[at][1]
    return run[::-1]


def loud_seconds(audio: bytes, *, step: float = 0.1) -> float:
    """Seconds of A-law audio in which there is something to compare."""
    sound = _linear(audio)
    starts = range(0, len(sound) - WINDOW + 1, round(step * SAMPLE_RATE))
    return step * sum(float(np.sqrt(np.mean(sound[start : start + WINDOW] ** 2))) >= _LOUD for start in starts)


def _linear(audio: bytes) -> Samples:
    return np.frombuffer(alaw_to_pcm(audio), dtype="<i2").astype(np.float64)
