"""From an engine's speech to what a telephone plays: 8 kHz, A-law, at one loudness, without silence at the start.

All pure: arrays in, bytes out. Samples are floats from -1 to 1.
"""

import math
from functools import cache

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.float32]

RATE = 8000
FRAME = 160
"""Samples in 20 ms."""
VERSION = 1
"""Raised when the same speech comes out otherwise: what was cached before is then made anew."""

LEVEL = -20.0
"""dBov (RMS) of the parts in which somebody speaks: as tones and people are in this service."""
CEILING = 0.89
"""The highest peak (-1 dBov)."""

_KNEE = 0.6  # peaks above are compressed rather than cut
_PASS = 0.925  # of half the lower rate: what the low-pass leaves
_CROSSINGS = 24  # zero crossings of the kernel on each side
_BEFORE, _AFTER = round(0.03 * RATE), round(0.2 * RATE)  # silence that stays around speech
_FAINT = 0.02  # of the peak of a clip: what is weaker at its end is no speech
_EDGE = 40  # samples of fade in and out (5 ms)


def telephone(samples: Samples, rate: int) -> bytes:
    """Speech at any rate as a clip."""
    clip = resampled(samples, rate)
    return alaw(limited(levelled(trimmed(clip - clip.mean() if len(clip) else clip))))


def resampled(samples: Samples, rate: int) -> Samples:
    """At 8 kHz: a windowed-sinc low-pass, evaluated where the new samples lie (Kaiser, beta 8)."""
    if rate == RATE or not len(samples):
        return samples
    divisor = math.gcd(rate, RATE)
    step, phases = rate // divisor, RATE // divisor
    kernel = _kernel(rate)
    half = kernel.shape[1] // 2
    count = len(samples) * RATE // rate
    padded = np.concatenate((np.zeros(half, np.float32), samples, np.zeros(half + 1, np.float32)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, kernel.shape[1])
    out = np.empty(count, np.float32)
    for phase in range(min(phases, count)):
        at = np.arange(phase, count, phases, dtype=np.int64) * step // phases + 1
        out[phase::phases] = windows[at] @ kernel[phase]
    return out


@cache
def _kernel(rate: int) -> Samples:
    """A row of taps for each phase that a new sample can have between two old ones."""
    divisor = math.gcd(rate, RATE)
    step, phases = rate // divisor, RATE // divisor
    cutoff = _PASS * min(rate, RATE) / rate  # 1 is half the old rate
    half = math.ceil(_CROSSINGS / cutoff)
    fraction = (np.arange(phases) * step % phases / phases)[:, None]
    distance = np.arange(1 - half, half + 1)[None, :] - fraction
    window = np.i0(8.0 * np.sqrt(np.clip(1 - (distance / half) ** 2, 0, None))) / np.i0(8.0)
    taps = np.sinc(cutoff * distance) * window
    normal: Samples = (taps / taps.sum(axis=1, keepdims=True)).astype(np.float32)
    return normal


def trimmed(samples: Samples) -> Samples:
    """Without the silence around it but for a breath, and without clicks at its edges."""
    size = FRAME // 4
    levels = _levels(samples, size)
    loud = np.flatnonzero(levels > levels.max(initial=0) * 1e-2) if len(levels) else levels
    if not len(loud) or levels.max() == 0:
        return samples[:0]
    start, end = max(0, int(loud[0]) * size - _BEFORE), (int(loud[-1]) + 1) * size
    clip = np.concatenate((samples[start:end], np.zeros(max(0, end - len(samples)), np.float32)))
    edge = min(_EDGE, len(clip) // 2)
    fade = np.linspace(0, 1, edge, dtype=np.float32)
    clip[:edge] *= fade
    clip[len(clip) - edge :] *= fade[::-1]
    return np.concatenate((clip, np.zeros(_AFTER, np.float32)))


def active_level(samples: Samples) -> float:
    """RMS of the 20 ms frames that are within 30 dB of the loudest one."""
    levels = _levels(samples, FRAME)
    if not len(levels) or levels.max() == 0:
        return 0.0
    active = levels[levels > levels.max() * 10 ** (-30 / 20)]
    return float(np.sqrt(np.mean(active**2)))


def levelled(samples: Samples, level: float = LEVEL) -> Samples:
    """With speech at `level` dBov."""
    found = active_level(samples)
    return samples if found == 0 else samples * np.float32(10 ** (level / 20) / found)


def limited(samples: Samples) -> Samples:
    """No peak above the ceiling; what is below the knee stays as it is."""
    over = np.abs(samples) - _KNEE
    room = CEILING - _KNEE
    bent = np.sign(samples) * (_KNEE + room * np.tanh(over / room))
    return np.where(over > 0, bent, samples).astype(np.float32)


def _levels(samples: Samples, size: int) -> npt.NDArray[np.float64]:
    whole = len(samples) // size * size
    if not whole:
        return np.zeros(0)
    levels: npt.NDArray[np.float64] = np.sqrt(
        np.mean(samples[:whole].astype(np.float64).reshape(-1, size) ** 2, axis=1)
    )
    return levels


def pcm(data: bytes) -> Samples:
    """16-bit little-endian PCM, mono."""
    return np.frombuffer(data[: len(data) // 2 * 2], "<i2").astype(np.float32) / np.float32(32768)


# -- A-law, ITU-T G.711 --


def alaw(samples: Samples) -> bytes:
    """To A-law; what is beyond full scale is cut."""
    linear = np.clip(np.rint(samples * 32768), -32768, 32767).astype(np.int32)
    return _ENCODE[linear + 32768].tobytes()


def linear(data: bytes) -> Samples:
    """From A-law."""
    return _DECODE[np.frombuffer(data, np.uint8)]


def _encoding() -> npt.NDArray[np.uint8]:
    """For each 16-bit value: 13 bits, as sign, segment and four bits; even bits inverted (table 1a/G.711)."""
    value = np.arange(-32768, 32768) >> 3
    magnitude = np.where(value >= 0, value, -value - 1)
    segment = np.searchsorted([0x1F, 0x3F, 0x7F, 0xFF, 0x1FF, 0x3FF, 0x7FF], magnitude)
    steps = magnitude >> np.maximum(segment, 1) & 15
    code = (segment << 4 | steps) ^ np.where(value >= 0, 0xD5, 0x55)
    return code.astype(np.uint8)


def _decoding() -> Samples:
    code = np.arange(256) ^ 0x55
    segment, steps = code >> 4 & 7, code & 15
    magnitude = np.where(segment == 0, steps * 16 + 8, (steps * 16 + 264) << np.maximum(segment - 1, 0))
    values: Samples = (np.where(code & 0x80, magnitude, -magnitude) / 32768).astype(np.float32)
    return values


_ENCODE = _encoding()
_DECODE = _decoding()


def parted(clip: bytes) -> tuple[bytes, bytes]:
    """What is spoken, in whole frames, and the pause behind it."""
    levels = np.abs(linear(clip[: len(clip) // FRAME * FRAME])).reshape(-1, FRAME).max(axis=1, initial=0.0)
    loud = np.flatnonzero(levels > _FAINT * levels.max(initial=0.0))
    end = (int(loud[-1]) + 1) * FRAME if len(loud) else len(clip)
    return clip[:end], clip[end:]
