"""Confirmation sounds: short, soft, distinct, and never mistaken for a key."""

from itertools import combinations

import numpy as np
import pytest

from voice.media.mixing import linear
from voice.media.tones import LEVEL, Sound, clip
from voice.rtp.codecs import ALAW_SILENCE
from voice.rtp.dtmf import DtmfDetector

EVERY = list(Sound)


@pytest.mark.parametrize("sound", EVERY)
def test_a_sound_is_at_most_300_ms_of_whole_frames(sound: Sound) -> None:
    assert len(clip(sound)) % 160 == 0
    assert 0 < len(clip(sound)) <= 300 * 8


@pytest.mark.parametrize("sound", EVERY)
def test_a_sound_is_soft(sound: Sound) -> None:
    samples = linear(clip(sound)).astype(float)
    loudest = np.sqrt(np.convolve(samples**2, np.ones(160) / 160, "valid").max())
    assert 20 * np.log10(loudest / 32768) == pytest.approx(LEVEL, abs=0.7)


@pytest.mark.parametrize("sound", EVERY)
def test_a_sound_begins_and_ends_without_a_click(sound: Sound) -> None:
    samples = linear(clip(sound)).astype(int)
    assert abs(samples[0]) < 50
    assert abs(samples[-1]) < 50
    assert abs(np.diff(samples)).max() < 5000  # the slope of a sine of this level at 1050 Hz is 3600


@pytest.mark.parametrize("sound", EVERY)
def test_no_sound_is_taken_for_a_dtmf_digit(sound: Sound) -> None:
    assert not DtmfDetector().feed_alaw(ALAW_SILENCE * 800 + clip(sound) * 3 + ALAW_SILENCE * 800)


def test_no_two_sounds_together_are_taken_for_a_dtmf_digit() -> None:
    """Two sounds can meet when an operator's key and another operator's arrival coincide in one queue."""
    for first, second in combinations(EVERY, 2):
        assert not DtmfDetector().feed_alaw(clip(first) + clip(second) + ALAW_SILENCE * 800)


def test_all_sounds_differ() -> None:
    assert len({clip(sound) for sound in EVERY}) == len(EVERY)


def test_talk_on_rises_and_talk_off_falls() -> None:
    def pitch(samples: np.ndarray) -> float:
        return float(np.argmax(np.abs(np.fft.rfft(samples, 8000))))

    on, off = linear(clip(Sound.TALK_ON)), linear(clip(Sound.TALK_OFF))
    assert pitch(on[:640]) < pitch(on[-960:])
    assert pitch(off[:640]) > pitch(off[1280:2240])
