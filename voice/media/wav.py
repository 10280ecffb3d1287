"""A-law WAV as it is written while the call goes on: readable at any moment, also after a kill.

The header claims sizes of 0xFFFFFFFF ("until the end of the file", as every streaming writer does) until the
recording is closed; then the true sizes are put in. It has one length, 140 bytes:

    RIFF, `fmt ` (18 bytes, format tag 6 = A-law, RFC 2361), `fact` (sample count, asked for by the WAV
    specification for anything but PCM), `LIST`/`INFO` with `ICRD` (moment of the first sample) and `ICMT`
    (its place on the time line of the leg), so that a file found after a crash says where it belongs; `data`.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from datetime import datetime

from voice.rtp.codecs import SAMPLE_RATE

FORMAT_ALAW = 6
UNKNOWN_SIZE = 0xFFFFFFFF

_HEADER = struct.Struct("<4sI4s 4sIHHIIHHH 4sII 4sI4s 4sI34s 4sI20s 4sI")
_INFO_SIZE = 4 + 8 + 34 + 8 + 20
HEADER_SIZE = _HEADER.size
_COMMENT = "first sample "


@dataclass(frozen=True, slots=True)
class Origin:
    """Where the audio of a file belongs."""

    started_at: datetime
    """The moment of its first sample, with a time zone."""
    position: int
    """Its first sample, counted from the start of the leg."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the audio of a WAV file lies."""

    data_offset: int
    samples: int
    finished: bool
    """Whether the header states the true size."""
    origin: Origin | None = None


def header(origin: Origin, samples: int | None = None) -> bytes:
    """The header of an A-law file of `samples` samples; None while the length is not known."""
    if samples is None:
        riff = fact = data = UNKNOWN_SIZE
    else:
        riff, fact, data = HEADER_SIZE - 8 + samples + samples % 2, samples, samples
    created = origin.started_at.isoformat(timespec="microseconds").encode()
    return _HEADER.pack(
        b"RIFF", riff, b"WAVE",
        b"fmt ", 18, FORMAT_ALAW, 1, SAMPLE_RATE, SAMPLE_RATE, 1, 8, 0,
        b"fact", 4, fact,
        b"LIST", _INFO_SIZE, b"INFO",
        b"ICRD", 34, created,
        b"ICMT", 20, f"{_COMMENT}{origin.position}".encode()[:20],
        b"data", data,
    )  # fmt: skip


def read_layout(head: bytes, file_size: int) -> Layout | None:
    """Find the A-law audio in a file that begins with `head` (a few hundred bytes are enough).

    A size that is unknown, or larger than the file, means "until the end of the file".
    None: not an A-law mono 8 kHz WAV file.
    """
    if len(head) < 12 or head[:4] != b"RIFF" or head[8:12] != b"WAVE":
        return None
    offset, is_alaw, origin = 12, False, None
    while offset + 8 <= len(head):
        name, size = head[offset : offset + 4], int.from_bytes(head[offset + 4 : offset + 8], "little")
        body = offset + 8
        if name == b"data":
            there = file_size - body
            return Layout(body, min(size, there), size <= there, origin) if is_alaw else None
        if name == b"fmt " and body + 16 <= len(head):
            tag, channels, rate = struct.unpack_from("<HHI", head, body)
            is_alaw = (tag, channels, rate) == (FORMAT_ALAW, 1, SAMPLE_RATE)
        elif name == b"LIST" and head[body : body + 4] == b"INFO":
            origin = _read_origin(head[body + 4 : body + size])
        offset = body + size + size % 2
    return None


def _read_origin(info: bytes) -> Origin | None:
    fields, offset = {}, 0
    while offset + 8 <= len(info):
        size = int.from_bytes(info[offset + 4 : offset + 8], "little")
        text = info[offset + 8 : offset + 8 + size]
        fields[info[offset : offset + 4]] = text.rstrip(b"\0").decode("ascii", "replace")
        offset += 8 + size + size % 2
    try:
        created = datetime.fromisoformat(fields.get(b"ICRD", ""))
        return Origin(created, int(fields.get(b"ICMT", "").removeprefix(_COMMENT)))
    except ValueError:
        return None
