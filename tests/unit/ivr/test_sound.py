"""Arrays in, telephone audio out."""

import numpy as np
import pytest

from ivr import sound
from ivr.tones import pattern
from voice.rtp.codecs import alaw_to_pcm, pcm_to_alaw
from voice.rtp.dtmf import DtmfDetector


def _sine(frequency: float, rate: int, seconds: float = 1.0, peak: float = 0.5) -> sound.Samples:
    samples: sound.Samples = (peak * np.sin(2 * np.pi * frequency * np.arange(round(rate * seconds)) / rate)).astype(
        np.float32
    )
    return samples


def _decibel(samples: sound.Samples, reference: float) -> float:
    middle = samples[len(samples) // 4 : -len(samples) // 4]
    return float(20 * np.log10(np.sqrt(np.mean(middle**2)) / reference + 1e-9))


def test_a_law_is_that_of_g711_for_every_value() -> None:
    every = np.arange(-32768, 32768, dtype=np.int16)
    assert sound.alaw(every.astype(np.float32) / 32768) == pcm_to_alaw(every.tobytes())


def test_a_law_is_read_as_g711_says() -> None:
    every = bytes(range(256))
    assert np.array_equal(sound.linear(every) * 32768, np.frombuffer(alaw_to_pcm(every), np.int16))


@pytest.mark.parametrize("rate", [8000, 11025, 16000, 22050, 44100, 48000, 6000])
def test_speech_keeps_its_pitch_and_level_at_any_rate(rate: int) -> None:
    clip = sound.resampled(_sine(1000, rate), rate)
    assert len(clip) == 8000
    assert _decibel(clip, 0.5 / 2**0.5) == pytest.approx(0.0, abs=0.1)
    assert np.abs(clip[2000:6000] - _sine(1000, 8000)[2000:6000]).max() < 0.01


@pytest.mark.parametrize(("frequency", "least"), [(300, -0.2), (3000, -0.2), (3400, -0.5)])
def test_the_band_of_the_telephone_passes(frequency: float, least: float) -> None:
    assert _decibel(sound.resampled(_sine(frequency, 22050), 22050), 0.5 / 2**0.5) > least


@pytest.mark.parametrize("frequency", [4200, 5000, 7000, 7900, 10000])
def test_what_is_above_the_band_does_not_fold_into_it(frequency: float) -> None:
    assert _decibel(sound.resampled(_sine(frequency, 22050), 22050), 0.5 / 2**0.5) < -55


@pytest.mark.parametrize("peak", [0.001, 0.05, 0.9])
def test_any_level_becomes_the_same(peak: float) -> None:
    levelled = sound.levelled(_sine(500, 8000, peak=peak))
    assert 20 * np.log10(sound.active_level(levelled)) == pytest.approx(-20, abs=0.1)


def test_pauses_do_not_count_for_the_level() -> None:
    speech = np.concatenate([_sine(500, 8000), np.zeros(40_000, np.float32)])
    assert 20 * np.log10(sound.active_level(sound.levelled(speech))) == pytest.approx(-20, abs=0.1)


def test_peaks_are_bent_below_the_ceiling_and_the_rest_is_left_alone() -> None:
    samples = np.linspace(-3, 3, 1001, dtype=np.float32)
    limited = sound.limited(samples)
    assert np.abs(limited).max() <= sound.CEILING
    assert np.all(np.diff(limited) >= 0)
    quiet = np.abs(samples) < 0.6
    assert np.array_equal(limited[quiet], samples[quiet])


def test_silence_around_speech_is_cut_to_a_breath() -> None:
    silence = np.zeros(16_000, np.float32)
    clip = sound.trimmed(np.concatenate([silence, _sine(500, 8000), silence]))
    first = int(np.flatnonzero(np.abs(clip) > 0.01)[0])
    last = int(np.flatnonzero(np.abs(clip) > 0.01)[-1])
    assert first <= 0.05 * 8000
    assert 0.15 * 8000 <= len(clip) - last <= 0.25 * 8000


@pytest.mark.parametrize("samples", [np.zeros(0, np.float32), np.zeros(30, np.float32), np.zeros(8000, np.float32)])
@pytest.mark.parametrize("rate", [8000, 22050])
def test_nothing_stays_nothing(samples: sound.Samples, rate: int) -> None:
    assert sound.telephone(samples, rate) == b""


def test_a_short_click_is_no_trouble() -> None:
    assert sound.telephone(np.ones(50, np.float32), 8000) is not None


def test_the_tones_that_stand_in_for_speech_are_loud_enough_and_no_key() -> None:
    for key in (None, *"123456789", "*"):
        clip = pattern(key)
        level = 20 * np.log10(sound.active_level(sound.linear(clip)))
        assert -25 < level < -15
        assert list(DtmfDetector().feed_alaw(clip)) == []


def test_the_tones_count_the_key() -> None:
    for digit in range(1, 10):
        samples = np.abs(sound.linear(pattern(str(digit))))[round(1.05 * 8000) :]
        loud = np.convolve(samples, np.ones(160) / 160, "same") > 0.02
        assert int(np.sum(np.diff(loud.astype(int)) == 1)) + int(loud[0]) == digit


def test_a_clip_is_parted_where_the_pause_behind_its_last_word_begins() -> None:
    spoken = sound.alaw(_sine(400, 8000, 0.5))
    pause = sound.alaw(_sine(400, 8000, 0.3, peak=0.002))
    assert sound.parted(spoken + pause) == (spoken, pause)
    assert sound.parted(spoken[:-50] + pause) == (spoken[:-50] + pause[:50], pause[50:]), "in whole frames"
    for whole in (spoken, b"", sound.alaw(np.zeros(800, np.float32))):
        assert sound.parted(whole) == (whole, b"")
