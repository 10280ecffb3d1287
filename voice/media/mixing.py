"""Adding A-law signals: linear sums of 32 bit, one saturation at the end.

Digital silence (0xD5) counts as zero here, not as the +8 that G.711 decodes it to: silence added to a
signal leaves every byte of it as it was.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from voice.rtp.codecs import ALAW_SILENCE, ALAW_SILENCE_FRAME, alaw_to_pcm, pcm_to_alaw

Linear = npt.NDArray[np.int16]
Sum = npt.NDArray[np.int32]


def _table() -> Linear:
    table = np.frombuffer(alaw_to_pcm(bytes(range(256))), np.int16).copy()
    table[ALAW_SILENCE[0]] = 0
    return table


_LINEAR = _table()
_WIDE = _LINEAR.astype(np.int32)
_ALAW = np.frombuffer(pcm_to_alaw(np.arange(-32768, 32768, dtype=np.int16).tobytes()), np.uint8)


def linear(alaw: bytes) -> Linear:
    """A-law to linear samples."""
    return _LINEAR[np.frombuffer(alaw, np.uint8)]


def wide(alaw: bytes) -> Sum:
    """A-law to linear samples with room for a sum."""
    return _WIDE[np.frombuffer(alaw, np.uint8)]


def alaw(samples: Linear | Sum) -> bytes:
    """Linear samples, saturated at 16 bit, to A-law."""
    if samples.dtype == np.int16:
        return pcm_to_alaw(samples.tobytes())
    return _ALAW.take(samples + 32768, mode="clip").tobytes()  # what lies outside is the loudest there is


def audible(frame: bytes | None) -> bool:
    """Whether there is anything in the frame but digital silence."""
    return frame is not None and frame != ALAW_SILENCE_FRAME


def mix(signals: Sequence[bytes]) -> bytes | None:
    """The sum of signals of equal length. None of nothing; a single signal is handed out untouched."""
    if len(signals) < 2:
        return signals[0] if signals else None
    total = wide(signals[0])
    for signal in signals[1:]:
        total += linear(signal)
    return alaw(total)
