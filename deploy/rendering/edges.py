"""The end of a clip: engines go on with breath and hum for up to half a second: a pause in the midst of a sentence."""

import numpy as np

from ivr.sound import RATE, linear

_FRAME = RATE // 200
_QUIET = 10 ** (-33 / 20)
"""Of the loudest 5 ms: below are breath and hum, above the s of "six", which is weak on the telephone."""
_AFTER = round(0.04 * RATE)


def without_tail(clip: bytes) -> bytes:
    """A-law up to 40 ms after the last sound that is no click: one of at least 10 ms."""
    samples = linear(clip)
    frames = samples[: len(samples) // _FRAME * _FRAME].reshape(-1, _FRAME)
    levels = np.sqrt(np.mean(frames**2, axis=1))
    heard = np.minimum(levels[1:], levels[:-1]) > _QUIET * levels.max(initial=0)
    last = int(np.flatnonzero(heard).max(initial=0)) + 2
    return clip[: last * _FRAME + _AFTER]
