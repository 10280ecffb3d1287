"""Confirmation sounds: what an operator hears, and nobody else, when a key has taken effect.

Short (at most 300 ms), soft (-20 dBov) and distinct by melody: what opens rises, what closes falls. One
sine at a time, so that no DTMF receiver, ours or the operator's exchange, can take a sound for a digit
(ITU-T Q.23 digits are two tones at once). Raised-cosine edges keep them free of clicks.
"""

from __future__ import annotations

from enum import StrEnum
from functools import cache

import numpy as np
import numpy.typing as npt

from voice.media.mixing import alaw
from voice.rtp.codecs import FRAME_SAMPLES, SAMPLE_RATE

LEVEL = -20.0
"""dBov (RMS) of a sound."""

_EDGE = 64  # samples of rise and fall: 8 ms


class Sound(StrEnum):
    """What can be confirmed."""

    ACCEPTED = "accepted"
    """The key was understood."""
    TALK_ON = "talk_on"
    """From now on the worker hears you."""
    TALK_OFF = "talk_off"
    """The worker does not hear you any more."""
    CONFER_ON = "confer_on"
    """From now on the other people hear you, and the worker does not."""
    CONFER_OFF = "confer_off"
    BACK = "back"
    LIVE = "live"
    MARK = "mark"
    HELP_ASKED = "help_asked"
    GIVEN_BACK = "given_back"
    RESOLVE_PROMPT = "resolve_prompt"
    """Now press the reason code."""
    RESOLVED = "resolved"
    ERROR = "error"
    """The key means nothing here, or could not be obeyed."""
    OPERATOR_JOINED = "operator_joined"
    """Another operator listens too."""
    MEMO = "memo"
    """The worker left a memo: press 6 to hear it."""


_MELODIES: dict[Sound, tuple[tuple[int, int], ...]] = {  # (Hz, ms); 0 Hz is a rest
    Sound.ACCEPTED: ((1000, 60),),
    Sound.TALK_ON: ((440, 80), (660, 80), (880, 120)),
    Sound.TALK_OFF: ((880, 80), (660, 80), (440, 120)),
    Sound.CONFER_ON: ((500, 60), (0, 40), (625, 60), (0, 40), (780, 80)),
    Sound.CONFER_OFF: ((780, 60), (0, 40), (625, 60), (0, 40), (500, 80)),
    Sound.BACK: ((600, 60), (0, 40), (600, 60), (0, 40), (480, 80)),
    Sound.LIVE: ((600, 80), (900, 120)),
    Sound.MARK: ((1050, 40), (0, 40), (1050, 40)),
    Sound.HELP_ASKED: ((520, 60), (780, 60), (520, 60), (780, 80)),
    Sound.GIVEN_BACK: ((780, 80), (520, 120)),
    Sound.RESOLVE_PROMPT: ((500, 120), (0, 40), (750, 120)),
    Sound.RESOLVED: ((523, 60), (659, 60), (784, 60), (1047, 100)),
    Sound.ERROR: ((220, 120), (0, 40), (220, 120)),
    Sound.OPERATOR_JOINED: ((700, 40), (0, 60), (900, 40), (0, 60), (700, 40)),
    Sound.MEMO: ((580, 80), (0, 40), (870, 80), (580, 80)),
}


@cache
def clip(sound: Sound) -> bytes:
    """The sound in A-law, in whole frames."""
    notes = [_note(frequency, milliseconds) for frequency, milliseconds in _MELODIES[sound]]
    samples = np.concatenate(notes)
    return alaw(np.pad(samples, (0, -len(samples) % FRAME_SAMPLES)))


def _note(frequency: int, milliseconds: int) -> npt.NDArray[np.int16]:
    count = SAMPLE_RATE * milliseconds // 1000
    if not frequency:
        return np.zeros(count, np.int16)
    amplitude = 32768 * 10 ** (LEVEL / 20) * np.sqrt(2)
    envelope = np.ones(count)
    envelope[:_EDGE] = 0.5 - 0.5 * np.cos(np.pi * (np.arange(_EDGE) + 0.5) / _EDGE)
    envelope[-_EDGE:] = envelope[_EDGE - 1 :: -1]
    sine = np.sin(2 * np.pi * frequency * np.arange(count) / SAMPLE_RATE)
    note: npt.NDArray[np.int16] = np.rint(amplitude * envelope * sine).astype(np.int16)
    return note
