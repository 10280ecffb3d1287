"""Sounds that stand in for speech when there is none: a dialogue is never mute.

Somebody who was told of it once can still take an alarm: three rising tones, then as many beeps as the digit that he is
to press.
"""

import numpy as np

from ivr.sound import RATE, Samples, alaw

_AMPLITUDE = 10 ** (-20 / 20) * 2**0.5  # -20 dBov (RMS)
_EDGE = 64


def pattern(key: str | None = None) -> bytes:
    """An attention sound; with a digit from 1 to 9, then as many beeps. A-law, 8 kHz."""
    beeps = int(key) if key is not None and key.isdigit() else 0
    parts = [_tone(480, 0.15), _tone(620, 0.15), _tone(800, 0.25), _pause(0.5)]
    for _ in range(beeps):
        parts += [_tone(1000, 0.15), _pause(0.25)]
    return alaw(np.concatenate([*parts, _pause(0.5)]))


def beep() -> bytes:
    """The tone after which one speaks. A-law, 8 kHz."""
    return alaw(_tone(1000, 0.4))


def _tone(frequency: float, seconds: float) -> Samples:
    """One sine at a time: no telephone takes it for a key (ITU-T Q.23)."""
    count = round(RATE * seconds)
    envelope = np.ones(count)
    envelope[:_EDGE] = np.linspace(0, 1, _EDGE)
    envelope[-_EDGE:] = envelope[_EDGE - 1 :: -1]
    sine = np.sin(2 * np.pi * frequency * np.arange(count) / RATE)
    return (_AMPLITUDE * envelope * sine).astype(np.float32)


def _pause(seconds: float) -> Samples:
    return np.zeros(round(RATE * seconds), np.float32)
