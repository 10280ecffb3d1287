"""A-law WAV as it is written while the call goes on: readable at any moment, also after a kill.

The header claims sizes of 0xFFFFFFFF ("until the end of the file", as every streaming writer does) until the
recording is closed; then the true sizes are put in. Layout: RIFF, `fmt ` (18 bytes, format tag 6 = A-law,
RFC 2361), `fact` (sample count, asked for by the WAV specification for anything but PCM), `data`. 58 bytes.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

RATE = 8000
"""Samples a second; with A-law also bytes a second."""

SILENCE = b"\xd5"
"""One sample of A-law silence."""

FORMAT_ALAW = 6
UNKNOWN_SIZE = 0xFFFFFFFF

_HEADER = struct.Struct("<4sI4s4sIHHIIHHH4sII4sI")
HEADER_SIZE = _HEADER.size


def header(samples: int | None = None) -> bytes:
    """The header of an A-law file of `samples` samples; None while the length is not known."""
    if samples is None:
        riff = fact = data = UNKNOWN_SIZE
    else:
        riff, fact, data = HEADER_SIZE - 8 + samples + samples % 2, samples, samples
    return _HEADER.pack(
        b"RIFF", riff, b"WAVE",
        b"fmt ", 18, FORMAT_ALAW, 1, RATE, RATE, 1, 8, 0,
        b"fact", 4, fact,
        b"data", data,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the audio of a WAV file lies."""

    data_offset: int
    samples: int


def read_layout(head: bytes, file_size: int) -> Layout | None:
    """Find the A-law audio in a file that begins with `head` (a few hundred bytes are enough).

    A size that is unknown, or larger than the file, means "until the end of the file".
    None: not an A-law mono 8 kHz WAV file.
    """
    if len(head) < 12 or head[:4] != b"RIFF" or head[8:12] != b"WAVE":
        return None
    offset, is_alaw = 12, False
    while offset + 8 <= len(head):
        name, size = head[offset : offset + 4], int.from_bytes(head[offset + 4 : offset + 8], "little")
        body = offset + 8
        if name == b"data":
            return Layout(body, max(0, min(size, file_size - body))) if is_alaw else None
        if name == b"fmt " and body + 16 <= len(head):
            tag, channels, rate = struct.unpack_from("<HHI", head, body)
            is_alaw = (tag, channels, rate) == (FORMAT_ALAW, 1, RATE)
        offset = body + size + size % 2
    return None
