"""DTMF tones, good and bad ones, for the tests of the detector."""

import numpy as np

from voice.rtp.codecs import SAMPLE_RATE
from voice.rtp.dtmf import HIGH, KEYS, LOW, amplitude


def generate(
    digits: str,
    *,
    on: float = 0.1,
    off: float = 0.1,
    level: float = -10.0,
    twist: float = 0.0,
    detune: float = 0.0,
) -> bytes:
    """The tones of the digits as 16-bit PCM, each followed by a pause.

    `on` and `off` in seconds; `level` of the low tone in dBm0; `twist` is how many dB the high tone is
    louder; `detune` is the share by which both frequencies are off, 0.01 being 1 % too high.
    """
    times = np.arange(round(on * SAMPLE_RATE)) / SAMPLE_RATE
    pause = bytes(2 * round(off * SAMPLE_RATE))
    pieces = []
    for digit in digits.upper():
        key = KEYS.index(digit)
        low, high = LOW[key // 4] * (1 + detune), HIGH[key % 4] * (1 + detune)
        wave = amplitude(level) * np.sin(2 * np.pi * low * times)
        wave += amplitude(level + twist) * np.sin(2 * np.pi * high * times)
        pieces.append(np.clip(np.round(wave), -32_768, 32_767).astype("<i2").tobytes() + pause)
    return b"".join(pieces)
