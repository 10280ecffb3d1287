"""Keeps tracks as files: one A-law WAV per leg, direction and stretch of audio.

    <recordings>/<YYYY>/<MM>/<DD>/<incident>/<leg>-<rx|tx>-<nnn>.wav

What a peer says (`rx`) is one file from the first sample on. What it is sent (`tx`) is a file for each
time that its gate was open. Nothing here waits for the disk or raises because of it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from weakref import WeakKeyDictionary

from voice.clock import Clock
from voice.errors import RecordingFault, UsageError
from voice.media import wav
from voice.media.disk import DiskWriter
from voice.media.notices import Notice, StorageBack, StorageFault
from voice.media.segment import Segment, SegmentInfo, hash_file, segment_path
from voice.media.track import Track
from voice.rtp.codecs import ALAW_SILENCE, SAMPLE_RATE

TRACK_LIMIT = 600 * SAMPLE_RATE
"""Bytes of one track that are kept in memory while the disk fails: ten minutes."""

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_NAME = re.compile(r"(?P<leg>.+)-(?P<direction>rx|tx)-(?P<index>\d{3,})\.wav")
_HEAD = 512


class Recorder:
    """Starts recordings, and tells them all when the disk fails or comes back."""

    def __init__(
        self,
        directory: Path,
        disk: DiskWriter,
        clock: Clock,
        on_segment: Callable[[SegmentInfo], None] = lambda info: None,
        *,
        track_limit: int = TRACK_LIMIT,
    ) -> None:
        self.directory = directory
        self.disk = disk
        self.on_segment = on_segment
        self.track_limit = track_limit
        self._clock = clock
        self._live: WeakKeyDictionary[Recording, None] = WeakKeyDictionary()  # in order of their beginning
        disk.on_state = self._disk_changed

    def record(
        self,
        track: Track,
        *,
        incident_id: str,
        leg_id: str,
        direction: str,
        opened_at: datetime | None = None,
        on_notice: Callable[[Notice], None] | None = None,
    ) -> Recording:
        """Keep this track, from its first sample, whenever this is called.

        `opened_at`, by default now, is the day under which the incident's recordings are kept together.
        """
        if not _ID.fullmatch(incident_id) or not _ID.fullmatch(leg_id) or direction not in ("rx", "tx"):
            raise UsageError(f"not fit for a file name: {incident_id!r}, {leg_id!r}, {direction!r}")
        folder = self.folder(incident_id, opened_at or self._clock.now())
        recording = Recording(self, track, folder, leg_id, direction, on_notice)
        self._live[recording] = None
        if on_notice is not None and self.disk.fault is not None:
            on_notice(StorageFault(self.disk.fault))
        return recording

    def folder(self, incident_id: str, opened_at: datetime) -> Path:
        """Where the recordings of an incident are."""
        return self.directory / opened_at.strftime("%Y/%m/%d") / incident_id

    def _disk_changed(self, fault: str | None) -> None:
        for recording in list(self._live):
            recording.disk_changed(fault)


class Recording:
    """One track on its way to files. Also the track's archive: what has left memory is read from here."""

    def __init__(
        self,
        recorder: Recorder,
        track: Track,
        folder: Path,
        leg_id: str,
        direction: str,
        on_notice: Callable[[Notice], None] | None,
    ) -> None:
        self._recorder = recorder
        self._track = track
        self._folder = folder
        self._leg_id = leg_id
        self._direction = direction
        self._on_notice = on_notice
        self._segments: list[Segment] = []
        self._current: Segment | None = None
        self._closed = False
        track.archive = self

    def flush(self) -> None:
        """Hand what has come since the last time to the disk writer. The clock calls this twice a second."""
        for position, audio in self._track.take():
            if self._current is None:
                # What the peer says is one file from the answer on; what it is sent, one for each talk.
                self._current = self._begin(self._track.begin if self._is_first_received else position)
            early = self._current.start - position
            if early < len(audio):
                self._current.append(max(position, self._current.start), audio[max(0, early) :])
        if self._current is not None:
            self._recorder.disk.kick(self._current)

    def pause(self) -> None:
        """Complete the present file; the next audio begins another one."""
        if self._current is None and not self._track.pending:
            return
        self.flush()
        if self._current is not None:
            self._finish(self._current.end)

    def close(self) -> None:
        """Complete the recording up to the end of its track. Twice is harmless."""
        self._closed = True
        self.flush()
        if self._is_first_received and self._track.end > 0:
            self._current = self._begin(self._track.begin)  # a peer that never said anything: that is evidence, too
        if self._current is not None:
            self._finish(self._track.end)
        self._track.release()

    def read(self, position: int, count: int) -> bytes:
        """Exactly `count` samples from `position` on; silence where there is nothing (`Archive`)."""
        may_block = not self._recorder.disk.hangs
        audio = bytearray(ALAW_SILENCE * count)
        for segment in self._segments:
            first, last = max(position, segment.start), min(position + count, segment.end)
            if first < last:
                part = segment.read(first, last - first, may_block=may_block)
                audio[first - position : last - position] = part
        return bytes(audio)

    def disk_changed(self, fault: str | None) -> None:
        """The disk failed, or is back: of interest while audio comes, or waits for the disk."""
        waits = any(segment.queued for segment in self._segments)
        if self._on_notice is not None and (waits or not self._closed):
            lost = sum(segment.lost for segment in self._segments) * 1000 // SAMPLE_RATE
            self._on_notice(StorageBack(lost) if fault is None else StorageFault(fault))

    @property
    def _is_first_received(self) -> bool:
        return self._direction == "rx" and not self._segments

    def _finish(self, end: int) -> None:
        segment, self._current = self._current, None
        if segment is not None:
            segment.finish(end)
            self._recorder.disk.kick(segment)

    def _begin(self, position: int) -> Segment:
        index = len(self._segments)
        segment = Segment(
            segment_path(self._folder, self._leg_id, self._direction, index),
            self._leg_id,
            self._direction,
            index,
            self._track.started + timedelta(seconds=position / SAMPLE_RATE),
            position,
            self._recorder.track_limit,
        )
        self._segments.append(segment)
        self._recorder.disk.add(segment, self._recorder.on_segment)
        return segment


def recover(path: Path) -> SegmentInfo:
    """Put the true sizes into a file that a crash left behind, and describe it; a finished one is left as
    it is.

    Raises OSError, and RecordingFault when the file holds no recording.
    """
    name = _NAME.fullmatch(path.name)
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        size = os.fstat(descriptor).st_size
        layout = wav.read_layout(os.pread(descriptor, _HEAD, 0), size)
        if name is None or layout is None or layout.origin is None:
            raise RecordingFault(f"{path} is not a recording of ours")
        if not layout.finished:
            if layout.samples % 2:
                os.pwrite(descriptor, b"\0", size)
            os.pwrite(descriptor, wav.header(layout.origin, layout.samples), 0)
            os.fdatasync(descriptor)
        file_size, digest = hash_file(descriptor)
    finally:
        os.close(descriptor)
    return SegmentInfo(
        path=path,
        leg_id=name["leg"],
        direction=name["direction"],
        index=int(name["index"]),
        started_at=layout.origin.started_at,
        offset_ms=layout.origin.position * 1000 // SAMPLE_RATE,
        duration_ms=layout.samples * 1000 // SAMPLE_RATE,
        bytes=file_size,
        sha256=digest,
    )
