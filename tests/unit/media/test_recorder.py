"""Recordings on a disk that works, fills up, fails, hangs and comes back."""

import errno
import hashlib
import os
import random
import shutil
import stat
import subprocess
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from voice.errors import RecordingFault, UsageError
from voice.media import wav
from voice.media.disk import DiskThread, DiskWriter, InlineDisk
from voice.media.files import FileArchive
from voice.media.notices import Notice, StorageBack, StorageFault
from voice.media.recorder import Recorder, Recording, recover
from voice.media.segment import SegmentInfo, SystemFiles
from voice.media.track import Track
from voice.rtp.codecs import ALAW_SILENCE

STARTED = datetime(2026, 1, 1, 6, 0, tzinfo=UTC)
SECOND = 8000


class Day:
    """The time of day of the tests."""

    def now(self) -> datetime:
        return STARTED


class Disk(SystemFiles):
    """A disk that fails when a test says so."""

    def __init__(self) -> None:
        self.fault = 0
        self.synced = 0

    def _check(self) -> None:
        if self.fault:
            raise OSError(self.fault, os.strerror(self.fault))

    def create(self, path: Path) -> int:
        self._check()
        return super().create(path)

    def pwrite(self, descriptor: int, data: bytes, offset: int) -> int:
        if self.fault == errno.ENOSPC and len(data) > 100:
            return super().pwrite(descriptor, data[:100], offset)  # a full disk takes a part first
        self._check()
        return super().pwrite(descriptor, data, offset)

    def fdatasync(self, descriptor: int) -> None:
        self._check()
        self.synced += 1


class Bench:
    """One track being recorded, on a clock that a test moves."""

    def __init__(self, folder: Path, *, track_limit: int = 600 * SECOND, total_limit: int = 1 << 28) -> None:
        self.now = 1000.0
        self.files = Disk()
        self.disk = InlineDisk(lambda: self.now, files=self.files, total_limit=total_limit)
        self.segments: list[SegmentInfo] = []
        self.notices: list[Notice] = []
        self.recorder = Recorder(folder, self.disk, Day(), self.segments.append, track_limit=track_limit)
        self.track = Track(STARTED)
        self.recording = self.record(self.track)
        self.spoken = bytearray()

    def record(self, track: Track, direction: str = "rx", leg: str = "leg1") -> Recording:
        return self.recorder.record(
            track, incident_id="inc1", leg_id=leg, direction=direction, on_notice=self.notices.append
        )

    def speak(self, seconds: float, *, flush: bool = True) -> None:
        for _ in range(round(seconds * 2)):
            audio = random.Random(len(self.spoken)).randbytes(SECOND // 2)
            self.track.write(self.track.end, audio)
            self.spoken += audio
            self.now += 0.5
            if flush:
                self.recording.flush()
                self.disk.attend(self.now)

    def finish(self) -> SegmentInfo:
        self.track.close()
        self.recording.close()
        self.disk.attend(self.now)
        return self.segments[-1]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def audio_of(path: Path) -> bytes:
    archive = FileArchive.open(path)
    return archive.read(0, archive.samples)


def test_a_recording_is_a_wav_file_with_all_that_was_said(bench: Bench) -> None:
    bench.speak(20)
    info = bench.finish()
    assert audio_of(info.path) == bench.spoken
    assert info.duration_ms == 20_000
    assert info.lost_ms == 0
    assert info.started_at == STARTED
    assert info.bytes == info.path.stat().st_size == wav.HEADER_SIZE + 20 * SECOND


def test_the_digest_is_that_of_the_whole_file(bench: Bench) -> None:
    bench.speak(3)
    info = bench.finish()
    assert info.sha256 == hashlib.sha256(info.path.read_bytes()).hexdigest()


def test_names_are_made_of_ids_and_the_day(bench: Bench, tmp_path: Path) -> None:
    bench.speak(1)
    assert bench.finish().path == tmp_path / "2026/01/01/inc1/leg1-rx-000.wav"


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".hidden", "Jan Jansen"])
def test_what_could_leave_the_folder_or_name_a_person_is_refused(bench: Bench, name: str) -> None:
    with pytest.raises(UsageError):
        bench.recorder.record(Track(STARTED), incident_id=name, leg_id="leg1", direction="rx")
    with pytest.raises(UsageError):
        bench.recorder.record(Track(STARTED), incident_id="inc1", leg_id=name, direction="rx")


def test_only_the_service_may_read_recordings(bench: Bench, tmp_path: Path) -> None:
    bench.speak(1)
    path = bench.finish().path
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    for folder in path.relative_to(tmp_path).parents[:-1]:
        assert stat.S_IMODE((tmp_path / folder).stat().st_mode) == 0o700


def test_nothing_that_was_said_before_the_recording_began_is_missing(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    late = Track(STARTED)
    late.write(0, b"from the first sample on")
    recording = bench.record(late, leg="leg2")
    late.write(late.end, b", always")
    recording.close()
    assert audio_of(bench.segments[-1].path) == b"from the first sample on, always"


def test_an_unfinished_file_is_readable_up_to_the_last_half_second(bench: Bench, tmp_path: Path) -> None:
    bench.speak(7)
    path = tmp_path / "2026/01/01/inc1/leg1-rx-000.wav"
    assert audio_of(path) == bench.spoken


def test_old_audio_is_read_from_the_file_while_it_is_being_written(bench: Bench) -> None:
    bench.speak(30)
    assert len(bench.track._memory) == 5 * SECOND
    assert bench.track.read(0, 30 * SECOND) == bench.spoken
    assert bench.track.read(SECOND, 160) == bench.spoken[SECOND : SECOND + 160]
    bench.finish()
    assert bench.track.read(0, 30 * SECOND) == bench.spoken


def test_late_audio_finds_its_place_in_the_file(bench: Bench) -> None:
    bench.speak(1)
    bench.track.write(bench.track.end + 160, b"b" * 160)
    bench.recording.flush()
    bench.track.write(SECOND, b"a" * 160)
    info = bench.finish()
    assert audio_of(info.path) == bench.spoken + b"a" * 160 + b"b" * 160


def test_a_pause_is_silence_in_the_file_and_not_a_hole(bench: Bench) -> None:
    bench.speak(1)
    bench.track.write(20 * SECOND, b"again")
    bench.recording.flush()
    bench.track.write(30 * SECOND, b"")
    info = bench.finish()
    audio = audio_of(info.path)
    assert audio[SECOND : 20 * SECOND] == ALAW_SILENCE * 19 * SECOND
    assert audio[20 * SECOND : 20 * SECOND + 5] == b"again"
    assert len(audio) == 30 * SECOND
    assert bench.track.read(5 * SECOND, 100) == ALAW_SILENCE * 100


def test_what_a_peer_was_sent_is_one_file_for_each_time_the_gate_was_open(bench: Bench) -> None:
    sent = Track(STARTED)
    recording = bench.record(sent, "tx")
    for start in (10, 12, 40):
        sent.write(start * SECOND, b"x" * SECOND)
        recording.flush()
        recording.pause()
        recording.pause()
    recording.close()
    assert [(info.index, info.offset_ms, info.duration_ms) for info in bench.segments] == [
        (0, 10_000, 1000),
        (1, 12_000, 1000),
        (2, 40_000, 1000),
    ]
    assert bench.segments[2].started_at == STARTED + timedelta(seconds=40)
    assert sent.read(11 * SECOND - 2, 4) == b"xx" + ALAW_SILENCE * 2


def test_an_earlier_recording_of_the_same_name_is_never_touched(bench: Bench, tmp_path: Path) -> None:
    folder = tmp_path / "2026/01/01/inc1"
    folder.mkdir(parents=True)
    (folder / "leg1-rx-000.wav").write_bytes(b"evidence")
    bench.speak(1)
    info = bench.finish()
    assert info.path == folder / "leg1-rx-001.wav"
    assert info.index == 1
    assert (folder / "leg1-rx-000.wav").read_bytes() == b"evidence"


def test_the_file_is_put_on_the_medium_every_five_seconds(bench: Bench) -> None:
    bench.speak(21)
    assert bench.files.synced == 4


def test_nothing_is_written_for_a_track_without_audio(bench: Bench, tmp_path: Path) -> None:
    bench.recording.close()
    assert list(tmp_path.iterdir()) == []


def test_a_peer_that_never_says_anything_is_recorded_as_silence(bench: Bench) -> None:
    bench.track.write(3 * SECOND, b"")
    bench.recording.flush()
    info = bench.finish()
    assert audio_of(info.path) == ALAW_SILENCE * 3 * SECOND


def test_the_recording_of_a_peer_begins_with_the_answer(bench: Bench) -> None:
    bench.track.write(SECOND, b"hello")
    info = bench.finish()
    assert info.offset_ms == 0
    assert audio_of(info.path) == ALAW_SILENCE * SECOND + b"hello"


# -- a disk that fails --


@pytest.mark.parametrize("fault", [errno.ENOSPC, errno.EIO, errno.EROFS])
def test_a_failing_disk_is_reported_once_and_nothing_is_lost_when_it_comes_back(bench: Bench, fault: int) -> None:
    bench.speak(3)
    bench.files.fault = fault
    bench.speak(20)
    assert bench.notices == [StorageFault(os.strerror(fault))]
    assert bench.track.read(0, 23 * SECOND) == bench.spoken, "what is not on the disk is read from memory"
    bench.files.fault = 0
    bench.speak(2)
    assert bench.notices[1:] == [StorageBack(0)]
    assert audio_of(bench.finish().path) == bench.spoken


def test_a_disk_that_fails_before_the_first_sample_is_tried_again_each_second(bench: Bench) -> None:
    bench.files.fault = errno.EACCES
    bench.speak(10)
    bench.files.fault = 0
    bench.speak(1)
    assert [type(notice) for notice in bench.notices] == [StorageFault, StorageBack]
    assert audio_of(bench.finish().path) == bench.spoken


def test_a_recording_that_begins_during_a_fault_says_so_at_once(bench: Bench) -> None:
    bench.files.fault = errno.EIO
    bench.speak(1)
    bench.notices.clear()
    bench.record(Track(STARTED), leg="leg2")
    assert bench.notices == [StorageFault(os.strerror(errno.EIO))]


def test_a_call_that_ends_while_the_disk_fails_is_completed_when_it_is_back(bench: Bench) -> None:
    bench.speak(1)
    bench.files.fault = errno.ENOSPC
    bench.speak(5)
    bench.track.close()
    bench.recording.close()
    assert bench.segments == []
    bench.files.fault = 0
    bench.now += 1
    bench.disk.attend(bench.now)
    assert audio_of(bench.segments[0].path) == bench.spoken


def test_a_fault_after_the_end_is_no_news_of_a_call_that_is_on_the_disk(bench: Bench) -> None:
    bench.speak(2)
    bench.finish()
    other = bench.recorder.record(Track(STARTED), incident_id="inc2", leg_id="leg2", direction="rx")
    bench.files.fault = errno.EIO
    other._track.write(0, b"x" * SECOND)
    other.flush()
    assert bench.disk.fault is not None
    assert bench.notices == []


def test_over_the_bound_of_a_track_the_oldest_is_dropped_and_counted_and_the_time_line_stays(
    tmp_path: Path,
) -> None:
    bench = Bench(tmp_path, track_limit=4 * SECOND)
    bench.speak(2)
    bench.files.fault = errno.EIO
    bench.speak(10)
    bench.files.fault = 0
    bench.speak(1)
    info = bench.finish()
    audio = audio_of(info.path)
    assert len(audio) == 13 * SECOND
    assert audio[: 2 * SECOND] == bench.spoken[: 2 * SECOND]
    lost = info.lost_ms * 8
    assert 5 * SECOND <= lost <= 7 * SECOND
    assert audio[2 * SECOND : 2 * SECOND + lost] == ALAW_SILENCE * lost
    assert audio[2 * SECOND + lost :] == bench.spoken[2 * SECOND + lost :]
    assert bench.notices[-1] == StorageBack(info.lost_ms)


def test_the_bound_of_all_recordings_together_takes_from_the_fullest(tmp_path: Path) -> None:
    bench = Bench(tmp_path, total_limit=5 * SECOND)
    other = Track(STARTED)
    recording = bench.record(other, leg="leg2")
    bench.files.fault = errno.EIO
    other.write(0, b"y" * SECOND)
    recording.flush()
    bench.speak(10)
    assert bench.disk.queued <= 5 * SECOND
    bench.files.fault = 0
    bench.speak(1)
    recording.close()
    bench.finish()
    lost = {info.leg_id: info.lost_ms for info in bench.segments}
    assert lost["leg2"] == 0
    assert lost["leg1"] >= 6000


# -- the disk thread --


class Posted:
    """The clock's thread of the tests: callbacks run when a test lets them."""

    def __init__(self) -> None:
        self.callbacks: list[Callable[[], None]] = []

    def __call__(self, callback: Callable[[], None]) -> None:
        self.callbacks.append(callback)

    def run_until(self, condition: Callable[[], bool], attend: Callable[[], None] = lambda: None) -> None:
        deadline = time.monotonic() + 10
        while not condition():
            assert time.monotonic() < deadline, "it did not happen"
            attend()
            while self.callbacks:
                self.callbacks.pop(0)()
            time.sleep(0.005)


class Hanging(SystemFiles):
    """A disk whose writes do not return until a test lets them."""

    def __init__(self) -> None:
        self.flows = threading.Event()
        self.flows.set()

    def pwrite(self, descriptor: int, data: bytes, offset: int) -> int:
        self.flows.wait(10)
        return super().pwrite(descriptor, data, offset)


def speak(track: Track, recording: Recording, seconds: int) -> None:
    for _ in range(seconds):
        track.write(track.end, random.Random(track.end).randbytes(SECOND))
        recording.flush()


def test_a_disk_that_hangs_stops_nobody_and_loses_nothing(tmp_path: Path) -> None:
    post, files = Posted(), Hanging()
    disk = DiskThread(post, files=files, retry=0.05, hanging=0.1)
    segments: list[SegmentInfo] = []
    notices: list[Notice] = []
    recorder = Recorder(tmp_path, disk, Day(), segments.append)
    track = Track(STARTED)
    recording = recorder.record(track, incident_id="inc1", leg_id="leg1", direction="rx", on_notice=notices.append)
    speak(track, recording, 2)
    files.flows.clear()
    began = time.monotonic()
    speak(track, recording, 20)
    assert time.monotonic() - began < 1.0
    post.run_until(lambda: bool(notices), lambda: disk.attend(0.0))
    assert notices == [StorageFault("the disk does not answer")]
    expected = b"".join(random.Random(at * SECOND).randbytes(SECOND) for at in range(22))
    assert track.read(2 * SECOND, 20 * SECOND) == expected[2 * SECOND :]
    files.flows.set()
    post.run_until(lambda: len(notices) == 2, lambda: disk.attend(0.0))
    assert notices[1] == StorageBack(0)
    track.close()
    recording.close()
    post.run_until(lambda: bool(segments))
    assert audio_of(segments[0].path) == expected
    assert disk.close()


def test_closing_the_disk_thread_writes_what_is_queued(tmp_path: Path) -> None:
    disk = DiskThread(lambda callback: None)
    track = Track(STARTED)
    recording = Recorder(tmp_path, disk, Day()).record(track, incident_id="inc1", leg_id="leg1", direction="rx")
    speak(track, recording, 3)
    track.close()
    recording.close()
    assert disk.close()
    assert len(audio_of(tmp_path / "2026/01/01/inc1/leg1-rx-000.wav")) == 3 * SECOND


def test_closing_with_an_unfinished_recording_says_so(tmp_path: Path) -> None:
    disk: DiskWriter = DiskThread(lambda callback: None)
    track = Track(STARTED)
    recording = Recorder(tmp_path, disk, Day()).record(track, incident_id="inc1", leg_id="leg1", direction="rx")
    speak(track, recording, 1)
    assert not disk.close()


# -- after a crash --


def test_a_recording_that_a_crash_left_behind_is_completed(bench: Bench, tmp_path: Path) -> None:
    bench.speak(5)
    path = tmp_path / "2026/01/01/inc1/leg1-rx-000.wav"
    info = recover(path)
    assert info.duration_ms == 5000
    assert (info.leg_id, info.direction, info.index) == ("leg1", "rx", 0)
    assert info.started_at == STARTED
    assert info.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    layout = wav.read_layout(path.read_bytes()[:500], path.stat().st_size)
    assert layout is not None
    assert layout.finished
    assert audio_of(path) == bench.spoken


def test_recovering_twice_changes_nothing(bench: Bench) -> None:
    bench.speak(2)
    info = bench.finish()
    assert recover(info.path) == info
    assert recover(info.path) == info


@pytest.mark.parametrize("torn", [1, 77, 4096])
def test_a_torn_tail_costs_no_more_than_itself(bench: Bench, tmp_path: Path, torn: int) -> None:
    bench.speak(3)
    path = tmp_path / "2026/01/01/inc1/leg1-rx-000.wav"
    os.truncate(path, path.stat().st_size - torn)
    recover(path)
    assert audio_of(path) == bench.spoken[:-torn]


def test_a_file_without_a_whole_header_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "leg1-rx-000.wav"
    for content in (b"", wav.header(wav.Origin(STARTED, 0))[:60]):
        path.write_bytes(content)
        with pytest.raises(RecordingFault):
            recover(path)


@pytest.mark.skipif(shutil.which("sox") is None, reason="sox is not installed")
def test_a_common_tool_reads_unfinished_and_finished_files_alike(bench: Bench, tmp_path: Path) -> None:
    bench.speak(4)
    unfinished = tmp_path / "2026/01/01/inc1/leg1-rx-000.wav"
    assert sox_audio(unfinished) == bench.spoken
    info = bench.finish()
    assert sox_audio(info.path) == bench.spoken


def sox_audio(path: Path) -> bytes:
    """What sox hears in it, as raw A-law."""
    command = ["sox", str(path), "-t", "al", "-"]
    return subprocess.run(command, check=True, capture_output=True).stdout
