"""A track: audio placed on a line of samples, in memory and beyond."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voice.errors import RecordingFault, UsageError
from voice.media import wav
from voice.media.track import Track
from voice.rtp.codecs import ALAW_SILENCE

STARTED = datetime(2026, 1, 1, 6, 0, tzinfo=UTC)


class Shelf:
    """An archive that a test fills with what the track hands over."""

    def __init__(self) -> None:
        self.audio = bytearray()

    def keep(self, pieces: list[tuple[int, bytes]]) -> None:
        for position, piece in pieces:
            self.audio += ALAW_SILENCE * (position - len(self.audio))
            self.audio[position : position + len(piece)] = piece

    def read(self, position: int, count: int) -> bytes:
        found = bytes(self.audio[position : position + count])
        return found + ALAW_SILENCE * (count - len(found))


def test_what_is_written_is_read_back() -> None:
    track = Track(STARTED)
    track.write(0, b"abc")
    track.write(3, b"def")
    assert track.read(0, 6) == b"abcdef"
    assert track.end == 6


def test_a_gap_is_silence_of_its_length() -> None:
    track = Track(STARTED)
    track.write(0, b"ab")
    track.write(5, b"c")
    assert track.read(0, 6) == b"ab" + ALAW_SILENCE * 3 + b"c"


def test_late_audio_is_mended_into_its_place() -> None:
    track = Track(STARTED)
    track.write(0, b"ab")
    track.write(4, b"ef")
    track.write(2, b"cd")
    assert track.read(0, 6) == b"abcdef"
    assert track.end == 6


def test_late_audio_that_reaches_beyond_the_end_extends_the_track() -> None:
    track = Track(STARTED)
    track.write(0, b"abcd")
    track.write(2, b"CDEF")
    assert track.read(0, 6) == b"abCDEF"


def test_audio_from_before_the_start_is_cut_off() -> None:
    track = Track(STARTED)
    track.write(-2, b"abcd")
    assert track.read(0, 2) == b"cd"
    assert track.end == 2


def test_what_has_not_come_yet_reads_as_silence() -> None:
    track = Track(STARTED)
    track.write(0, b"ab")
    assert track.read(1, 3) == b"b" + ALAW_SILENCE * 2
    assert track.read(100, 2) == ALAW_SILENCE * 2
    assert track.read(-2, 3) == ALAW_SILENCE * 2 + b"a"


def test_a_track_without_an_archive_keeps_everything() -> None:
    track = Track(STARTED, window=4)
    track.write(0, b"abcdefgh")
    track.take()
    track.write(8, b"ij")
    assert track.read(0, 10) == b"abcdefghij"


def test_each_sample_is_handed_over_once() -> None:
    track = Track(STARTED)
    track.write(0, b"abc")
    assert track.pending == 3
    assert track.take() == [(0, b"abc")]
    assert track.take() == []
    track.write(3, b"de")
    assert track.take() == [(3, b"de")]
    assert track.pending == 0


def test_audio_that_comes_after_its_place_was_handed_over_is_handed_over_by_itself() -> None:
    track = Track(STARTED)
    track.write(0, b"ab")
    track.write(4, b"ef")
    track.take()
    track.write(6, b"g")
    track.write(2, b"cd")
    assert track.take() == [(2, b"cd"), (6, b"g")]


def test_memory_keeps_the_live_window_and_the_archive_has_the_rest() -> None:
    shelf = Shelf()
    track = Track(STARTED, archive=shelf, window=4)
    for start in range(0, 40, 4):
        track.write(start, bytes(range(start, start + 4)))
        shelf.keep(track.take())
    assert len(track._memory) == 4
    assert track.read(0, 40) == bytes(range(40))
    assert track.read(34, 4) == bytes(range(34, 38))


def test_a_long_pause_costs_no_memory() -> None:
    shelf = Shelf()
    track = Track(STARTED, archive=shelf, window=1000)
    track.write(0, b"ab")
    shelf.keep(track.take())
    track.write(1_000_000, b"cd")
    assert len(track._memory) == 2
    assert track.take() == [(1_000_000, b"cd")]
    assert track.read(0, 3) == b"ab" + ALAW_SILENCE


def test_silence_after_everything_was_handed_over_need_not_be() -> None:
    track = Track(STARTED, archive=Shelf())
    track.write(0, b"ab")
    track.take()
    track.write(6, b"")
    assert track.end == 6
    assert track.take() == []
    assert track.read(2, 4) == ALAW_SILENCE * 4


def test_detectors_who_look_at_the_tail_do_not_count_as_listeners() -> None:
    track = Track(STARTED)
    track.write(0, b"abcdef")
    assert track.tail(2) == b"ef"
    assert track.tail(100) == b"abcdef"
    assert track.reads == 0
    track.read(0, 1)
    assert track.reads == 1


def test_a_closed_track_can_be_read_and_not_written() -> None:
    track = Track(STARTED)
    track.write(0, b"ab")
    track.close()
    assert track.read(0, 2) == b"ab"
    with pytest.raises(UsageError):
        track.write(2, b"c")


writes = st.lists(st.tuples(st.integers(-20, 300), st.binary(min_size=1, max_size=30), st.booleans()), max_size=30)


@given(writes, st.integers(0, 60), st.booleans())
def test_any_order_of_writes_and_handovers_gives_the_same_audio(
    steps: list[tuple[int, bytes, bool]], window: int, archived: bool
) -> None:
    shelf = Shelf() if archived else None
    track = Track(STARTED, archive=shelf, window=window)
    expected = bytearray()
    for position, payload, hand_over in steps:
        track.write(position, payload)
        kept = payload[max(0, -position) :]
        at = max(0, position)
        if kept:
            expected += ALAW_SILENCE * (at - len(expected))
            expected[at : at + len(kept)] = kept
        if hand_over:
            pieces = track.take()
            if shelf is not None:
                shelf.keep(pieces)
    if shelf is not None:
        shelf.keep(track.take())
        assert shelf.read(0, len(expected)) == bytes(expected)
    assert track.read(0, len(expected)) == bytes(expected)
    assert track.end == len(expected)


@given(st.binary(max_size=300), st.integers(-20, 320), st.integers(0, 100))
def test_a_finished_file_reads_like_the_track_that_it_was(audio: bytes, position: int, count: int) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "leg-rx-000.wav"
        path.write_bytes(wav.header(wav.Origin(STARTED, 0), len(audio)) + audio)
        track = Track.from_file(path, STARTED)
        live = Track(STARTED)
        live.write(0, audio)
        assert track.end == len(audio)
        assert track.closed
        assert track.read(position, count) == live.read(position, count)


def test_a_file_that_a_crash_left_behind_is_read_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "leg-rx-000.wav"
    path.write_bytes(wav.header(wav.Origin(STARTED, 0)) + b"abcde")
    track = Track.from_file(path, STARTED)
    assert track.end == 5
    assert track.read(0, 7) == b"abcde" + ALAW_SILENCE * 2


def test_a_file_that_is_no_recording_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.wav"
    path.write_bytes(b"RIFF\0\0\0\0WAVE nothing that we know")
    with pytest.raises(RecordingFault):
        Track.from_file(path, STARTED)
