"""G.711: the one place that imports `audioop`, and what the service knows about A-law and mu-law.

Inside the service audio is A-law (ITU-T G.711), 8 kHz, mono, 20 ms = 160 bytes a frame.
A leg that speaks mu-law is translated byte for byte at its edge with a 256-byte table.
"""

import warnings
from typing import Final

with warnings.catch_warnings():
    # Deprecated in 3.11, gone from the standard library in 3.13; there `audioop-lts` carries the same name.
    warnings.simplefilter("ignore", DeprecationWarning)
    import audioop

__all__ = [
    "ALAW_SILENCE",
    "ALAW_SILENCE_FRAME",
    "ALAW_TO_ULAW",
    "FRAME_SAMPLES",
    "SAMPLE_RATE",
    "ULAW_SILENCE",
    "ULAW_TO_ALAW",
    "alaw_to_pcm",
    "audioop",
    "pcm_to_alaw",
    "pcm_to_ulaw",
    "ulaw_to_pcm",
]

SAMPLE_RATE: Final = 8000
"""Samples, and G.711 bytes, per second."""
FRAME_SAMPLES: Final = 160
"""Samples in one 20 ms frame; also its length in G.711 bytes and its step in RTP timestamp units."""

ALAW_SILENCE: Final = b"\xd5"
"""One sample of digital silence: the smallest positive A-law value (A-law has no zero)."""
ULAW_SILENCE: Final = b"\xff"
"""One sample of digital silence in mu-law: positive zero."""
ALAW_SILENCE_FRAME: Final = ALAW_SILENCE * FRAME_SAMPLES
"""20 ms of it."""

_EVERY_BYTE = bytes(range(256))


def alaw_to_pcm(alaw: bytes) -> bytes:
    """A-law to signed 16-bit PCM in the byte order of the machine; twice as many bytes."""
    return audioop.alaw2lin(alaw, 2)


def pcm_to_alaw(pcm: bytes) -> bytes:
    """Signed 16-bit PCM to A-law; half as many bytes."""
    return audioop.lin2alaw(pcm, 2)


def ulaw_to_pcm(ulaw: bytes) -> bytes:
    """mu-law to signed 16-bit PCM; twice as many bytes."""
    return audioop.ulaw2lin(ulaw, 2)


def pcm_to_ulaw(pcm: bytes) -> bytes:
    """Signed 16-bit PCM to mu-law; half as many bytes."""
    return audioop.lin2ulaw(pcm, 2)


def _alaw_to_ulaw_table() -> bytes:
    """Digital silence stays digital silence.

    G.711's own conversion turns A-law silence (+8 of 32768) into mu-law's first step above zero. A device
    that is sent nothing but silence must receive mu-law zero, bit for bit, so A-law's two smallest values
    map to zero.
    """
    table = bytearray(pcm_to_ulaw(alaw_to_pcm(_EVERY_BYTE)))
    table[0xD5] = 0xFF
    table[0x55] = 0x7F
    return bytes(table)


ULAW_TO_ALAW: Final = pcm_to_alaw(ulaw_to_pcm(_EVERY_BYTE))
"""`ulaw.translate(ULAW_TO_ALAW)` is the same audio in A-law."""
ALAW_TO_ULAW: Final = _alaw_to_ulaw_table()
"""`alaw.translate(ALAW_TO_ULAW)` is the same audio in mu-law; A-law silence becomes mu-law zero."""
