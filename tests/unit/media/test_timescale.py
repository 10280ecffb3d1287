"""Faster than real time, with the pitch kept: measured, not listened to."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voice.media.mixing import linear
from voice.media.quiet import Samples
from voice.media.timescale import LOOKAHEAD, SEARCH, TimeScaler, reader_of, stretch
from voice.sim.speech import clip

SPEEDS = [1.25, 1.5, 2.0, 2.7, 3.0]


def tone(frequency: float, seconds: float = 3.0, amplitude: float = 8000) -> Samples:
    return np.rint(amplitude * np.sin(2 * np.pi * frequency * np.arange(int(seconds * 8000)) / 8000)).astype(np.int16)


def frequency_of(samples: Samples) -> float:
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples)), 1 << 18))
    return float(np.argmax(spectrum)) * 8000 / (1 << 18)


def envelope(samples: Samples, frame: float) -> np.ndarray:
    """RMS per `frame` samples, smoothed over a tenth of a second of output."""
    edges = np.arange(0, len(samples) - frame, frame).astype(int)
    levels = [np.sqrt(np.mean(samples[a : a + int(frame)].astype(float) ** 2)) for a in edges]
    return np.convolve(levels, np.ones(5) / 5, "same")


@pytest.mark.parametrize("speed", SPEEDS)
@pytest.mark.parametrize("frequency", [200, 317, 440, 697, 1000])
def test_a_tone_keeps_its_frequency_within_one_percent(frequency: float, speed: float) -> None:
    assert frequency_of(stretch(tone(frequency), speed)[400:-400]) == pytest.approx(frequency, rel=0.01)


@pytest.mark.parametrize("speed", [1.0, *SPEEDS])
def test_the_duration_is_what_the_speed_says_within_two_percent(speed: float) -> None:
    speech = linear(clip("badge"))
    assert len(stretch(speech, speed)) == pytest.approx(len(speech) / speed, rel=0.02)


@pytest.mark.parametrize("speed", SPEEDS)
def test_a_tone_gets_neither_clicks_nor_holes(speed: float) -> None:
    original = tone(440)
    played = stretch(original, speed)[:-400].astype(int)
    assert np.abs(np.diff(played)).max() <= 1.02 * np.abs(np.diff(original.astype(int))).max()
    peaks = np.abs(played[: len(played) // 80 * 80].reshape(-1, 80)).max(axis=1)
    assert peaks.min() > 0.97 * 8000


@pytest.mark.parametrize("speed", SPEEDS)
def test_speech_gets_no_clicks(speed: float) -> None:
    """A cross-fade of two pieces can bend a curve no more sharply than the pieces themselves did."""
    speech = linear(clip("badge"))
    bend = np.abs(np.diff(speech.astype(int), 2)).max()
    assert np.abs(np.diff(stretch(speech, speed).astype(int), 2)).max() <= 1.1 * bend


@pytest.mark.parametrize(("speed", "likeness"), [(1.25, 0.95), (1.5, 0.95), (2.0, 0.93), (3.0, 0.85)])
def test_speech_keeps_its_rhythm(speed: float, likeness: float) -> None:
    speech = linear(clip("badge"))
    was, now = envelope(speech, 160 * speed), envelope(stretch(speech, speed), 160)
    common = min(len(was), len(now))
    assert np.corrcoef(was[:common], now[:common])[0, 1] > likeness


def test_speech_keeps_its_spectrum() -> None:
    def spectrum(samples: Samples) -> np.ndarray:
        frames = samples[: len(samples) // 256 * 256].reshape(-1, 256) * np.hanning(256)
        power = (np.abs(np.fft.rfft(frames)) ** 2).mean(axis=0)
        return 10 * np.log10(power[4:112])  # 125 to 3500 Hz

    speech = linear(clip("badge"))
    assert np.abs(spectrum(stretch(speech, 1.5)) - spectrum(speech)).mean() < 1.0  # dB


def test_at_speed_one_nothing_is_changed() -> None:
    speech = linear(clip("badge"))
    assert np.array_equal(stretch(speech, 1.0)[: len(speech)], speech)


def test_speeds_outside_what_can_be_understood_are_bounded() -> None:
    read = reader_of(tone(440))
    assert TimeScaler(read, speed=0.2).speed == 1.0
    assert TimeScaler(read, speed=9.0).speed == 3.0


@pytest.mark.parametrize("speed", SPEEDS)
def test_reading_on_from_the_position_continues_without_a_step(speed: float) -> None:
    original = tone(317)
    scaler = TimeScaler(reader_of(original), 0, speed)
    step = np.abs(np.diff(original.astype(int))).max()
    for _ in range(30):
        last = scaler.frame(len(original))
        seam = np.concatenate((last, original[scaler.position : scaler.position + 8])).astype(int)
        assert np.abs(np.diff(seam)).max() <= 1.02 * step


@given(st.lists(st.integers(0, 400), min_size=5, max_size=60), st.floats(1.0, 3.0))
@settings(max_examples=60, deadline=None)
def test_nothing_unknown_is_read_while_the_end_is_60_ms_away(growth: list[int], speed: float) -> None:
    speech = linear(clip("badge"))
    end = 2000
    furthest = 0

    def read(position: int, count: int) -> Samples:
        nonlocal furthest
        furthest = max(furthest, position + count)
        return reader_of(speech)(position, count)

    scaler = TimeScaler(read, 0, speed)
    for grown in growth:
        if end - scaler.position >= LOOKAHEAD + SEARCH:
            before = scaler.position
            scaler.frame(end)
            assert furthest <= end
            assert scaler.position > before
        end += grown


def test_a_jump_is_a_cross_fade_to_exactly_the_place_asked_for() -> None:
    original = np.concatenate((tone(440, 1.0), tone(300, 1.0)))
    scaler = TimeScaler(reader_of(original), 4000, 1.5)
    scaler.frame(len(original))
    scaler.jump(9000)
    assert scaler.jumping
    fading = scaler.frame(len(original))
    assert scaler.position == 9160
    assert not scaler.jumping
    assert np.abs(np.diff(fading.astype(int))).max() < 2 * np.abs(np.diff(original.astype(int))).max()
    assert abs(int(fading[-1]) - int(original[9159])) < 50


def test_an_empty_recording_gives_nothing() -> None:
    assert len(stretch(np.zeros(0, np.int16), 1.5)) == 0
