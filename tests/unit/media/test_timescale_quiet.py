"""Pauses pass quickly; nothing that rises above the background is ever hurried."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voice.media.mixing import linear
from voice.media.quiet import BLOCK, EDGE, QuietStretches, Samples
from voice.media.timescale import SEARCH, TimeScaler, reader_of, stretch
from voice.rtp.codecs import FRAME_SAMPLES as FRAME
from voice.sim.speech import clip

SECOND = 8000


def noise(seconds: float, rms: float, seed: int = 1) -> Samples:
    return np.rint(np.random.default_rng(seed).normal(0, rms, int(seconds * SECOND))).astype(np.int16)


def silence(seconds: float) -> Samples:
    return np.zeros(int(seconds * SECOND), np.int16)


def word(seconds: float, amplitude: float = 3000) -> Samples:
    return np.rint(amplitude * np.sin(2 * np.pi * 300 * np.arange(int(seconds * SECOND)) / SECOND)).astype(np.int16)


def path(samples: Samples, speed: float = 1.5) -> list[tuple[int, int]]:
    """Where each output frame begins, and where the next one does."""
    scaler = TimeScaler(reader_of(samples), 0, speed)
    steps = []
    while scaler.position < len(samples):
        before = scaler.position
        scaler.frame(len(samples) + 1000)
        steps.append((before, scaler.position))
    return steps


def hurried(samples: Samples, speed: float = 1.5) -> list[tuple[int, int]]:
    return [(a, b) for a, b in path(samples, speed) if b - a > speed * FRAME + 2 * SEARCH + 1]


def test_a_long_pause_passes_much_faster_than_the_speech() -> None:
    recording = np.concatenate((word(2), silence(60), word(2)))
    assert len(stretch(recording, 1.5, hurry=True)) / SECOND < 4 / 1.5 + 4.0
    assert len(stretch(recording, 1.5, hurry=False)) / SECOND == pytest.approx(64 / 1.5, rel=0.02)


def test_the_edges_of_a_pause_keep_the_rhythm() -> None:
    recording = np.concatenate((word(2), silence(5), word(2)))
    jumps = hurried(recording)
    assert jumps
    assert min(a for a, _ in jumps) >= 2 * SECOND + EDGE - FRAME - SEARCH
    assert max(b for _, b in jumps) <= 7 * SECOND - EDGE + FRAME + SEARCH


def test_a_pause_between_two_words_is_left_alone() -> None:
    assert not hurried(np.concatenate([word(0.5), silence(0.28)] * 20))


def test_steady_noise_between_words_is_recognised_as_background() -> None:
    words = np.concatenate([word(2), silence(6)] * 4)
    recording = words + noise(32, 60)
    jumps = hurried(recording)
    assert jumps
    assert len(stretch(recording, 1.5, hurry=True)) < 0.75 * len(stretch(recording, 1.5))


def test_a_whisper_over_noise_is_never_hurried() -> None:
    """A word only 8 dB above a noise that the listener has got used to."""
    recording = noise(30, 60)
    start = 20 * SECOND
    recording[start : start + SECOND] += noise(1, 150, seed=2)
    assert not [(a, b) for a, b in hurried(recording) if b > start and a < start + SECOND]
    assert hurried(recording)


def test_loud_steady_noise_is_played_in_full() -> None:
    """A machine, an alarm bell, a crowd: above -40 dBov it is part of what the operator must hear."""
    assert not hurried(noise(20, 500))


def test_lost_packets_do_not_change_what_counts_as_noise() -> None:
    recording = noise(30, 60)
    for lost in range(0, len(recording), 4000):
        recording[lost : lost + FRAME] = 0
    assert len(path(recording)) < 0.3 * len(recording) / FRAME


def test_the_first_two_seconds_do_not_teach_that_a_cry_is_background() -> None:
    """A recording that begins in a steady sound at -43 dBov: nothing is known yet, so all is played."""
    recording = np.concatenate((noise(1.9, 230), silence(4), word(1)))
    assert not [(a, b) for a, b in hurried(recording) if a < 1.9 * SECOND]


def test_speech_is_whole_after_hurrying() -> None:
    speech = linear(clip("badge"))
    recording = np.concatenate((speech, silence(20), speech))
    assert not [(a, b) for a, b in hurried(recording) if any_loud(recording[a + 2 * FRAME : b - 2 * FRAME])]


def any_loud(samples: Samples) -> bool:
    return bool(len(samples)) and float(np.sqrt(np.mean(samples.astype(float) ** 2))) > 330


@given(
    st.lists(st.tuples(st.floats(0.02, 2.0), st.sampled_from([0, 8, 60, 400, 4000])), min_size=1, max_size=12),
    st.floats(1.0, 3.0),
)
@settings(max_examples=60, deadline=None)
def test_no_frame_above_minus_40_dbov_is_ever_hurried(parts: list[tuple[float, int]], speed: float) -> None:
    recording = np.concatenate([noise(seconds, rms, seed) for seed, (seconds, rms) in enumerate(parts)])
    for a, b in hurried(recording, speed):
        between = recording[a + EDGE // 4 : b - EDGE // 4]
        whole = between[: len(between) // FRAME * FRAME].reshape(-1, FRAME).astype(float)
        assert not whole.size or np.sqrt((whole**2).mean(axis=1)).max() < 328 * 1.1


def test_a_pause_that_still_lasts_is_skippable_up_to_its_last_known_150_ms() -> None:
    quiet = QuietStretches(reader_of(silence(10)), 0)
    quiet.scan(4 * SECOND)
    assert quiet.skippable_until(0) == 4 * SECOND - EDGE
    assert quiet.skippable_until(4 * SECOND - EDGE) == 4 * SECOND - EDGE
    quiet.restart(2 * SECOND)
    assert quiet.skippable_until(2 * SECOND) == 2 * SECOND
    assert quiet.scanned == 2 * SECOND


def test_only_whole_blocks_are_looked_at() -> None:
    quiet = QuietStretches(reader_of(silence(10)), 0)
    quiet.scan(2 * BLOCK + 100)
    assert quiet.scanned == 2 * BLOCK
