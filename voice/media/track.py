"""The audio of one leg in one direction: A-law, placed on a line of samples that starts when the leg starts.

A `Track` is written by the leg (in place, by position), read by any number of listeners, and emptied
towards the disk by the recorder with `take`. Memory holds what the recorder has not taken yet and the live
window; what is older is read from the `Archive`, the recorder's file. Without one, all stays in memory.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Protocol

from voice.errors import UsageError
from voice.rtp.codecs import ALAW_SILENCE, SAMPLE_RATE

LIVE_WINDOW = 5 * SAMPLE_RATE
"""Samples that stay in memory for those who listen live."""


class Archive(Protocol):
    """The part of a track that has left memory."""

    def read(self, position: int, count: int) -> bytes:
        """Exactly `count` samples from `position` on; silence where there is nothing. Never raises."""
        ...


class Track:
    """Audio of one leg and direction, in A-law samples counted from the start of the track."""

    def __init__(self, started: datetime, *, archive: Archive | None = None, window: int = LIVE_WINDOW) -> None:
        self.started = started
        """The moment of sample 0 (UTC): tracks of one call line up by it."""
        self.end = 0
        """Position after the last sample known so far."""
        self.begin = 0
        """Position of the first sample that was not forgotten."""
        self.closed = False
        self.reads = 0
        """Calls of `read` so far: a leg that somebody listens to is drained more often."""
        self.archive = archive
        self._window = window
        self._memory = bytearray()
        self._base = 0  # position of _memory[0]
        self._taken = 0  # everything below was handed to the recorder
        self._mended: list[tuple[int, bytes]] = []  # came late, after its place had been taken

    @classmethod
    def from_file(cls, path: Path, started: datetime) -> Track:
        """Open a recording, finished or left behind by a crash. Raises OSError or RecordingFault."""
        from voice.media.files import FileArchive  # the only I/O a track ever meets

        archive = FileArchive.open(path)
        track = cls(started, archive=archive)
        track.end = track._base = track._taken = archive.samples
        track.closed = True
        return track

    def write(self, position: int, payload: bytes) -> None:
        """Put `payload` at `position`. A gap becomes silence; late audio is mended in."""
        if self.closed:
            raise UsageError("audio written to a closed track")
        gap = position - self.end
        if gap == 0:
            self._memory += payload
            self.end += len(payload)
        elif gap > 0:
            self._skip(gap)
            self._memory += payload
            self.end += len(payload)
        else:
            self._mend(position, payload)

    def read(self, position: int, count: int) -> bytes:
        """Exactly `count` samples from `position` on; silence where nothing came (yet)."""
        self.reads += 1
        start = position - self._base
        if start >= 0:
            found = bytes(self._memory[start : start + count])
            return found if len(found) == count else found + ALAW_SILENCE * (count - len(found))
        older = min(-start, count)
        return self._read_archive(position, older) + (self.read(self._base, count - older) if count > older else b"")

    def tail(self, count: int) -> bytes:
        """The last samples in memory, at most `count`: for detectors, who do not count as listeners."""
        return bytes(self._memory[-count:])

    def take(self) -> list[tuple[int, bytes]]:
        """Hand over what has come since the last `take`, as (position, samples); then let old memory go.

        For the one recorder of this track. Late packets come as pieces of their own, with their old position.
        """
        pieces, self._mended = self._mended, []
        if self._taken < self.end:
            pieces.append((self._taken, bytes(self._memory[self._taken - self._base :])))
            self._taken = self.end
        if self.archive is not None:
            surplus = len(self._memory) - self._window
            if surplus > 0:
                del self._memory[:surplus]
                self._base += surplus
        return pieces

    @property
    def pending(self) -> int:
        """Samples that `take` would hand over."""
        mended = sum(len(piece) for _, piece in self._mended) if self._mended else 0
        return self.end - self._taken + mended

    def release(self) -> None:
        """Keep nothing in memory that was taken: whoever reads on reads the archive."""
        if self.archive is not None and self._taken == self.end:
            self._memory.clear()
            self._base = self.end

    def forget(self, kept: int) -> None:
        """Let all but the newest `kept` samples go, of a track that nobody records: what is gone is read as silence."""
        surplus = self.end - self._base - kept
        if self.archive is None and surplus > 0:
            del self._memory[:surplus]
            self._base += surplus
            self.begin = self._base
            self._taken = max(self._taken, self._base)

    def close(self) -> None:
        """No more audio comes. Reading goes on."""
        self.closed = True

    def _skip(self, gap: int) -> None:
        """Advance over `gap` samples of silence. When all before them was taken, they need not be."""
        self.end += gap
        if self.archive is not None and self._taken == self.end - gap:
            self._taken = self.end
            if gap > self._window:
                self._memory.clear()
                self._base = self.end
                return
        self._memory += ALAW_SILENCE * gap

    def _mend(self, position: int, payload: bytes) -> None:
        if position < 0:
            payload, position = payload[-position:], 0
        overlap = self.end - position
        if overlap < len(payload):
            self.write(self.end, payload[overlap:])
            payload = payload[:overlap]
        if not payload:
            return
        if position < self._taken:
            self._mended.append((position, payload[: self._taken - position]))
        start = position - self._base
        if start < 0:
            payload, start = payload[-start:], 0
        if payload:
            self._memory[start : start + len(payload)] = payload

    def _read_archive(self, position: int, count: int) -> bytes:
        before = min(max(-position, 0), count)
        if before or self.archive is None:
            rest = self._read_archive(0, count - before) if self.archive and count > before else b""
            return ALAW_SILENCE * (count - len(rest)) + rest
        return self.archive.read(position, count)
