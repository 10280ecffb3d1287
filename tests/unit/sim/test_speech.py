"""What simulated people say: audible, and countable where it has to be."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voice.rtp.codecs import ALAW_TO_ULAW, ULAW_TO_ALAW, alaw_to_pcm, audioop
from voice.sim.speech import (
    bursts,
    clip,
    frames,
    marked_frame,
    marked_frames,
    marks,
    read_mark,
    silence,
    tone,
)


@pytest.mark.parametrize(("name", "seconds"), [("badge", 8), ("operator", 4)])
def test_the_spoken_clips_are_audible_telephone_speech(name: str, seconds: int) -> None:
    audio = clip(name)
    assert len(audio) == pytest.approx(seconds * 8000, rel=0.1)
    assert audioop.max(alaw_to_pcm(audio), 2) > 15_000
    assert audioop.rms(alaw_to_pcm(audio), 2) > 1_500


@given(st.integers(min_value=0, max_value=2**32 - 1))
def test_a_marked_frame_says_its_number(number: int) -> None:
    frame = marked_frame(number)
    assert len(frame) == 160
    assert read_mark(frame) == number


@given(st.integers(min_value=0, max_value=2**32 - 1))
def test_a_mark_survives_the_way_through_mu_law(number: int) -> None:
    assert read_mark(marked_frame(number).translate(ALAW_TO_ULAW).translate(ULAW_TO_ALAW)) == number


def test_what_is_no_mark_is_not_read_as_one() -> None:
    for audio in (silence(0.02), tone(440, 0.02), clip("badge")[8000:8160], b"", marked_frame(7)[:159]):
        assert read_mark(audio) is None


def test_marks_are_found_at_any_offset_and_losses_are_named() -> None:
    said = list(marked_frames(50))
    said[10] = silence(0.02)
    said[30] = tone(440, 0.02)
    heard = marks(silence(0.0131) + b"".join(said) + silence(1))
    assert heard.missing(range(50)) == [10, 30]
    assert heard.in_place


def test_a_frame_that_is_missing_without_a_gap_or_out_of_order_is_out_of_place() -> None:
    said = list(marked_frames(6))
    assert not marks(b"".join(said[:3] + said[4:])).in_place
    assert marks(b"".join([said[1], said[0]])).numbers == [1, 0]
    assert not marks(b"".join([said[1], said[0]])).in_place


def test_a_number_that_straddles_two_frames_is_not_invented() -> None:
    audio = b"".join(marked_frames(100))
    for offset in range(1, 160, 7):
        assert marks(audio[offset:]).numbers == list(range(1, 100))


def test_frames_fill_up_the_last_one_with_silence() -> None:
    assert list(frames(b"\x00" * 200)) == [b"\x00" * 160, b"\x00" * 40 + b"\xd5" * 120]


def test_bursts_have_their_rhythm() -> None:
    audio = bursts(3, on=0.1, off=0.2)
    assert len(audio) == round(3 * 0.3 * 8000)
    loud = [audioop.rms(alaw_to_pcm(frame), 2) > 1000 for frame in frames(audio)]
    assert loud == ([True] * 5 + [False] * 10) * 3
