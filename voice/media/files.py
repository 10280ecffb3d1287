"""Recording files as something to read from: a finished one, a crashed one, or one still being written."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Self

from voice.errors import RecordingFault
from voice.media import wav
from voice.rtp.codecs import ALAW_SILENCE

_HEAD = 512


class FileArchive:
    """The audio in one A-law WAV file, read by position."""

    def __init__(self, descriptor: int, layout: wav.Layout) -> None:
        self._descriptor = descriptor
        self._layout = layout

    @classmethod
    def open(cls, path: Path) -> Self:
        """Raises OSError, and RecordingFault when the file is no recording of ours."""
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        layout = wav.read_layout(os.pread(descriptor, _HEAD, 0), os.fstat(descriptor).st_size)
        if layout is None:
            os.close(descriptor)
            raise RecordingFault(f"{path} is not an A-law WAV recording")
        return cls(descriptor, layout)

    @property
    def samples(self) -> int:
        return self._layout.samples

    def read(self, position: int, count: int) -> bytes:
        """Exactly `count` samples from `position` on, silence past the end or when the disk fails."""
        count_there = min(count, self._layout.samples - position)
        found = b""
        if count_there > 0:
            found = read_cached(self._descriptor, self._layout.data_offset + position, count_there)
        return found + ALAW_SILENCE * (count - len(found))

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __del__(self) -> None:
        self.close()


def read_cached(descriptor: int, offset: int, count: int, *, may_block: bool = True) -> bytes:
    """Read without waiting for the disk where the page cache has it; wait only if `may_block`.

    The media clock reads through this: audio written seconds ago is in the page cache, and while the
    disk hangs (`may_block` false) the rest is silence instead of a clock that stands still. Never raises.
    """
    buffer = bytearray(count)
    try:
        got = os.preadv(descriptor, [buffer], offset, os.RWF_NOWAIT)
        if got == count:
            return bytes(buffer)
    except OSError as error:
        if error.errno not in (errno.EAGAIN, errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS):
            return b""
    if not may_block:
        return b""
    try:
        return os.pread(descriptor, count, offset)
    except OSError:
        return b""
