"""One recording file on its way to the disk: what is queued for it, and how its queue is emptied.

The media clock appends to the queue and reads from it; the disk writer empties it, in a thread of its own
or, in virtual time, in place. The lock is held for list work only, never during a system call.

A piece leaves the queue only after the disk has taken it, so reading "file, with the queue laid over it"
never misses anything. What a full buffer had to drop stays in the queue as a count of silent samples: the
file keeps its time line.
"""

from __future__ import annotations

import hashlib
import os
from collections import deque
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from threading import Lock
from typing import Protocol

from voice.errors import RecordingFault
from voice.media import wav
from voice.media.files import FileArchive, read_cached
from voice.rtp.codecs import ALAW_SILENCE, SAMPLE_RATE

_SILENCE_BLOCK = ALAW_SILENCE * 65536
_HASH_BLOCK = 1 << 18
SYNC_INTERVAL = 5.0
"""Seconds between two `fdatasync` of an open file: what a power failure may cost."""


@dataclass(frozen=True, slots=True)
class SegmentInfo:
    """A finished recording file, as evidence."""

    path: Path
    leg_id: str
    direction: str
    """`rx`: what the peer said; `tx`: what it was sent."""
    index: int
    started_at: datetime
    """The moment of its first sample (UTC)."""
    offset_ms: int
    """Its first sample on the time line of the leg."""
    duration_ms: int
    bytes: int
    """Size of the file."""
    sha256: str
    """Of the whole file, in hexadecimal."""
    lost_ms: int = 0
    """Silence in it that stands for audio which a failing disk did not take in time."""


class FileSystem(Protocol):
    """The system calls of a recording; tests put a failing disk in its place. All raise OSError."""

    def create(self, path: Path) -> int: ...
    def pwrite(self, descriptor: int, data: bytes, offset: int) -> int: ...
    def fdatasync(self, descriptor: int) -> None: ...


class SystemFiles:
    """The real file system: directories for the service's user only, files likewise, never an existing
    one."""

    def create(self, path: Path) -> int:
        for folder in reversed(path.parents):
            if not folder.is_dir():
                folder.mkdir(mode=0o700, exist_ok=True)
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)

    def pwrite(self, descriptor: int, data: bytes, offset: int) -> int:
        return os.pwrite(descriptor, data, offset)

    def fdatasync(self, descriptor: int) -> None:
        os.fdatasync(descriptor)


class Segment:
    """A file being recorded. `append`, `read` and `finish` are for the media clock, `drain` for the
    writer."""

    def __init__(
        self,
        path: Path,
        leg_id: str,
        direction: str,
        index: int,
        started_at: datetime,
        start: int,
        limit: int,
    ) -> None:
        """`start`: position of its first sample on the track. `limit`: bytes to hold while the disk fails."""
        self.path = path
        self.leg_id = leg_id
        self.direction = direction
        self.index = index
        self.started_at = started_at
        self.start = start
        self.end = start
        self.queued = 0
        """Bytes of audio in the queue."""
        self.lost = 0
        """Samples that the full buffer dropped."""
        self._limit = limit
        self._lock = Lock()
        self._queue: deque[tuple[int, bytes | int]] = deque()  # offset in the audio, samples or a count
        self._descriptor = -1
        self._synced = 0.0
        self._dirty = False
        self._finishing = False
        self._completed = False
        self._reader: FileArchive | None = None
        self._origin = wav.Origin(started_at, start)
        self._head = wav.header(self._origin)

    # -- the media clock's side --

    def append(self, position: int, audio: bytes) -> None:
        """Queue audio. Over the limit the oldest in the queue becomes silence, and counts as lost."""
        with self._lock:
            self._fill_to(position)
            self._queue.append((position - self.start, audio))
            self.queued += len(audio)
            self.end = max(self.end, position + len(audio))
            while self.queued > self._limit:
                self._drop_oldest()

    def drop_oldest(self) -> int:
        """Give up the oldest queued audio; how many bytes that freed."""
        with self._lock:
            return self._drop_oldest()

    def read(self, position: int, count: int, *, may_block: bool) -> bytes:
        """Exactly `count` samples of the track from `position` on, from the file and from the queue."""
        offset = position - self.start
        with self._lock:
            waiting = [piece for piece in self._queue if piece[0] < offset + count]
        found = b""
        if self._descriptor >= 0:
            found = read_cached(self._descriptor, len(self._head) + offset, count, may_block=may_block)
        elif self._completed:
            found = self._read_completed(offset, count)
        audio = bytearray(found[: max(0, self.end - position)])
        audio += ALAW_SILENCE * (count - len(audio))
        for at, piece in waiting:
            samples = piece if isinstance(piece, bytes) else ALAW_SILENCE * piece
            first, last = max(at, offset), min(at + len(samples), offset + count)
            if first < last:
                audio[first - offset : last - offset] = samples[first - at : last - at]
        return bytes(audio)

    def finish(self, end: int) -> None:
        """No more audio comes, the track ends (or falls silent) at `end`: the file is completed up to
        there."""
        with self._lock:
            self._fill_to(end)
        self._finishing = True

    def release(self) -> None:
        """Give the file back, once the writer has completed it. On the clock's thread, which reads from
        it."""
        descriptor, self._descriptor = self._descriptor, -1
        self._completed = True
        if descriptor >= 0:
            os.close(descriptor)

    def _read_completed(self, offset: int, count: int) -> bytes:
        """The writer is done with the file; who still listens to it has it opened anew, once."""
        if self._reader is None:
            try:
                self._reader = FileArchive.open(self.path)
            except (OSError, RecordingFault):  # deleted since, by whoever may
                return b""
        return self._reader.read(offset, count)

    def _fill_to(self, position: int) -> None:
        """A gap is silence, which in A-law is not the zeros of a hole in a file."""
        if position > self.end:
            self._queue.append((self.end - self.start, position - self.end))
            self.end = position

    def _drop_oldest(self) -> int:
        index = next((i for i, (_, piece) in enumerate(self._queue) if isinstance(piece, bytes)), None)
        if index is None:
            return 0
        offset, piece = self._queue[index]
        size = len(piece) if isinstance(piece, bytes) else piece
        previous = self._queue[index - 1] if index else None
        if previous is not None and isinstance(previous[1], int) and previous[0] + previous[1] == offset:
            self._queue[index - 1] = (previous[0], previous[1] + size)
            del self._queue[index]
        else:
            self._queue[index] = (offset, size)
        self.queued -= size
        self.lost += size
        return size

    # -- the writer's side --

    def drain(self, files: FileSystem, now: float) -> SegmentInfo | None:
        """Write what is queued; when finished, close the file and describe it. Raises OSError, losing
        nothing."""
        if self._descriptor < 0:
            self._create(files, now)
        while self._queue:
            with self._lock:
                offset, piece = self._queue[0]
            self._write_piece(files, offset, piece)
            with self._lock:
                # The clock's side may meanwhile have dropped this piece: then its silence is next.
                if self._queue[0][1] is piece:
                    self._queue.popleft()
                    self.queued -= len(piece) if isinstance(piece, bytes) else 0
            self._dirty = True
        if self._finishing:
            return self._close(files)
        if self._dirty and now - self._synced >= SYNC_INTERVAL:
            self._synced, self._dirty = now, False
            files.fdatasync(self._descriptor)
        return None

    def _create(self, files: FileSystem, now: float) -> None:
        while True:
            try:
                descriptor = files.create(self.path)
                break
            except FileExistsError:  # of an earlier process: never touched
                self.index += 1
                self.path = segment_path(self.path.parent, self.leg_id, self.direction, self.index)
        try:
            _write_all(files, descriptor, self._head, 0)
        except OSError:
            os.close(descriptor)
            self.path.unlink(missing_ok=True)
            raise
        self._descriptor, self._synced = descriptor, now

    def _write_piece(self, files: FileSystem, offset: int, piece: bytes | int) -> None:
        at = len(self._head) + offset
        if isinstance(piece, bytes):
            _write_all(files, self._descriptor, piece, at)
            return
        for done in range(0, piece, len(_SILENCE_BLOCK)):
            _write_all(files, self._descriptor, _SILENCE_BLOCK[: piece - done], at + done)

    def _close(self, files: FileSystem) -> SegmentInfo:
        samples = self.end - self.start
        head = wav.header(self._origin, samples)
        if samples % 2:
            _write_all(files, self._descriptor, b"\0", len(head) + samples)
        _write_all(files, self._descriptor, head, 0)
        files.fdatasync(self._descriptor)
        size, digest = hash_file(self._descriptor)
        return SegmentInfo(
            path=self.path,
            leg_id=self.leg_id,
            direction=self.direction,
            index=self.index,
            started_at=self.started_at,
            offset_ms=self.start * 1000 // SAMPLE_RATE,
            duration_ms=samples * 1000 // SAMPLE_RATE,
            bytes=size,
            sha256=digest,
            lost_ms=self.lost * 1000 // SAMPLE_RATE,
        )


def segment_path(folder: Path, leg_id: str, direction: str, index: int) -> Path:
    """The name of a recording file: made of ids only, so that it tells nothing about a person."""
    return folder / f"{leg_id}-{direction}-{index:03d}.wav"


def hash_file(descriptor: int) -> tuple[int, str]:
    """Size and SHA-256 of an open file. Raises OSError."""
    digest, size = hashlib.sha256(), 0
    while block := os.pread(descriptor, _HASH_BLOCK, size):
        digest.update(block)
        size += len(block)
    return size, digest.hexdigest()


def _write_all(files: FileSystem, descriptor: int, data: bytes, offset: int) -> None:
    """A full disk may take a part and then refuse: the rest raises OSError."""
    written = files.pwrite(descriptor, data, offset)
    while written < len(data):
        written += files.pwrite(descriptor, data[written:], offset + written)
