"""Playing out one growing track: untouched while all goes well, silent when it stalls, live afterwards."""

from datetime import UTC, datetime
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voice.media.live_reader import NEARLY_LIVE, PLAYOUT_DELAY, LiveReader
from voice.media.track import Track
from voice.rtp.codecs import ALAW_SILENCE
from voice.sim.speech import clip, marked_frames, marks, tone

FRAME = 160
STARTED = datetime(2025, 3, 1, 12, 0, tzinfo=UTC)


def numbered(count: int) -> bytes:
    return b"".join(marked_frames(count))


class Wire:
    """A track, what arrives for it, and what its reader makes of it: one tick after the other."""

    def __init__(self, audio: bytes, **reader: int) -> None:
        self.audio = audio
        self.track = Track(STARTED)
        self.reader = LiveReader(self.track, **reader)
        self.heard: list[bytes | None] = []
        self.arrived = 0

    def tick(self, packets: int = 1) -> bytes | None:
        for _ in range(packets):
            self.track.write(self.arrived, self.audio[self.arrived : self.arrived + FRAME])
            self.arrived += FRAME
        self.heard.append(self.reader.frame())
        return self.heard[-1]

    def run(self, *packets: int) -> None:
        for count in packets:
            self.tick(count)

    @property
    def sound(self) -> bytes:
        return b"".join(frame for frame in self.heard if frame is not None)


def test_a_steady_track_is_handed_out_byte_for_byte() -> None:
    wire = Wire(numbered(200))
    wire.run(*[1] * 200)
    assert wire.heard[0] is None
    assert wire.sound == wire.audio[: len(wire.sound)]
    assert wire.track.end - wire.reader.position <= PLAYOUT_DELAY


def test_a_reader_without_a_position_starts_at_the_live_end() -> None:
    track = Track(STARTED)
    track.write(0, numbered(100))
    reader = LiveReader(track)
    assert reader.frame() == track.read(100 * FRAME - PLAYOUT_DELAY, FRAME)


def test_packets_that_come_in_pairs_are_heard_without_a_break() -> None:
    wire = Wire(numbered(400))
    wire.run(*[2, 0] * 200)
    first = next(n for n, frame in enumerate(wire.heard) if frame is not None)
    assert None not in wire.heard[first:]
    assert wire.sound == wire.audio[: len(wire.sound)]


def test_bursts_from_a_leg_that_is_drained_every_fourth_tick_settle_without_hastening() -> None:
    wire = Wire(numbered(1200))
    wire.run(*[4, 0, 0, 0] * 300)
    assert None not in wire.heard[20:]
    assert wire.sound == wire.audio[: len(wire.sound)]


def test_a_stall_is_silence_and_afterwards_nothing_is_missing_or_doubled() -> None:
    wire = Wire(numbered(300))
    wire.run(*[1] * 50, *[0] * 10, *[1] * 100)
    assert None in wire.heard[50:60]
    assert wire.sound == wire.audio[: len(wire.sound)]


def test_what_a_stalled_network_delivers_late_is_heard_faster_until_live() -> None:
    """Two seconds of nothing, then everything at once: it was said, so it is heard."""
    speech = clip("badge") * 3
    wire = Wire(speech)
    wire.run(*[1] * 50, *[0] * 100, 101, *[1] * 400)
    assert None not in wire.heard[151:]
    assert wire.track.end - wire.reader.position <= NEARLY_LIVE
    assert wire.heard[-1] == speech[wire.reader.position - FRAME : wire.reader.position]


def test_hastening_goes_through_all_of_the_late_audio() -> None:
    wire = Wire(tone(500, 12.0))
    wire.run(*[1] * 50, *[0] * 100, 101)
    positions = [wire.reader.position]
    while wire.reader.behind > NEARLY_LIVE:
        wire.tick()
        positions.append(wire.reader.position)
    assert max(b - a for a, b in pairwise(positions)) <= 1.5 * FRAME + 2 * 80 + 1


def test_a_delay_that_stands_is_worked_off_but_the_troughs_of_bursts_are_respected() -> None:
    wire = Wire(clip("badge") * 3)
    wire.run(*[1] * 50, 8, *[1] * 200)  # seven packets too many, at once: 140 ms more than needed
    assert wire.track.end - wire.reader.position <= NEARLY_LIVE
    assert None not in wire.heard[3:]


def test_silence_that_was_heard_during_a_pause_of_the_peer_is_not_heard_again() -> None:
    """A peer with silence suppression: no packets in its pauses, and timestamps that go on."""
    wire = Wire(numbered(100) + ALAW_SILENCE * (100 * FRAME) + numbered(100))
    wire.run(*[1] * 100, *[0] * 100)
    wire.arrived = 200 * FRAME
    wire.run(*[1] * 60)
    assert 0 <= wire.track.end - wire.reader.position <= PLAYOUT_DELAY + FRAME
    assert marks(wire.sound).numbers[-1] >= 55


def test_a_line_that_is_continued_with_silence_during_a_pause_keeps_the_reader_live() -> None:
    """What a leg does when packets stop: twice a second its track is extended to half a second before now."""
    wire = Wire(numbered(100))
    wire.run(*[1] * 100)
    for second in range(1, 11):
        wire.run(*[0] * 25)
        wire.track.write((100 + 25 * second - 25) * FRAME, b"")
    wire.arrived = 350 * FRAME
    wire.audio = ALAW_SILENCE * wire.arrived + numbered(100)
    wire.run(*[1] * 60)
    assert 0 <= wire.track.end - wire.reader.position <= PLAYOUT_DELAY + FRAME
    assert marks(wire.sound).numbers[-1] >= 55


@pytest.mark.parametrize("since_the_line_was_continued", range(0, 50, 7))
def test_the_first_word_after_a_pause_is_heard_at_once_and_untouched(since_the_line_was_continued: int) -> None:
    """An operator presses 1 and speaks; his phone had sent nothing while he only listened."""
    wire = Wire(b"")
    for second in range(1, 6):
        wire.run(*[0] * 50)
        wire.track.write((50 * second - 25) * FRAME, b"")
    wire.run(*[0] * since_the_line_was_continued)
    wire.arrived = (250 + since_the_line_was_continued) * FRAME
    wire.audio = bytes(wire.arrived) + numbered(50)
    pause = len(wire.heard)
    wire.run(*[1] * 50)
    spoken = b"".join(frame or b"" for frame in wire.heard[pause:]).lstrip(ALAW_SILENCE)
    assert len(spoken) >= 46 * FRAME
    assert numbered(50).lstrip(ALAW_SILENCE).startswith(spoken)


@pytest.mark.parametrize("after", [1, 10, 24])
def test_who_begins_to_listen_in_a_pause_hears_the_first_word_at_once(after: int) -> None:
    """Talk is turned on while nothing comes: the track ends more than half a second before now."""
    wire = Wire(b"")
    wire.track.write(225 * FRAME, b"")
    wire.reader = LiveReader(wire.track, wire.track.end)
    wire.run(*[0] * after)
    wire.arrived = (275 + after) * FRAME
    wire.audio = bytes(wire.arrived) + numbered(50)
    wire.run(*[1] * 50)
    assert numbered(50).lstrip(ALAW_SILENCE).startswith(wire.sound.lstrip(ALAW_SILENCE))
    assert len(wire.sound) >= 46 * FRAME


def test_a_closed_track_is_heard_to_its_last_sample_and_then_finished() -> None:
    wire = Wire(numbered(20))
    wire.run(*[1] * 20)
    wire.track.close()
    wire.run(*[0] * 5)
    assert wire.sound == wire.audio
    assert wire.reader.finished
    assert wire.heard[-1] is None


def test_the_last_piece_of_a_closed_track_is_filled_up_with_silence() -> None:
    track = Track(STARTED)
    track.write(0, numbered(2)[:200])
    reader = LiveReader(track, 0)
    track.close()
    assert reader.frame() == numbered(1)
    assert reader.frame() == numbered(2)[160:200] + ALAW_SILENCE * 120
    assert reader.finished
    assert reader.frame() is None


@given(st.lists(st.integers(0, 4), min_size=1, max_size=300))
@settings(max_examples=60, deadline=None)
def test_however_packets_arrive_the_reader_never_goes_back_nor_beyond_what_is_known(
    packets: list[int],
) -> None:
    wire = Wire(clip("badge") * (sum(packets) // 400 + 2))
    before = 0
    for count in packets:
        heard = wire.tick(count)
        assert before <= wire.reader.position <= wire.track.end
        assert heard is None or len(heard) == FRAME
        before = wire.reader.position
    wire.run(*[1] * 20)
    assert wire.heard[-1] is not None
