"""Voices are brought to one level: slowly, while they speak, and never touched where that is not needed."""

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voice.media.levels import MOST, TARGET, TOLERANCE, Leveller, lowered
from voice.media.mixing import alaw, linear
from voice.rtp.codecs import ALAW_SILENCE, ALAW_SILENCE_FRAME, FRAME_SAMPLES, alaw_to_pcm, audioop
from voice.sim.speech import clip, frames, marked_frames, tone

Voice = list[bytes]


def speech(decibels: float = 0.0, name: str = "badge", times: int = 6) -> Voice:
    """The clip, louder or fainter: 8 s each time."""
    louder = np.rint(linear(clip(name)) * 10 ** (decibels / 20)).astype(np.int32)
    return list(frames(alaw(louder) * times))


def noise(seconds: float, dbov: float) -> Voice:
    samples = np.random.default_rng(1).normal(0, 32768 * 10 ** (dbov / 20), round(seconds * 8000))
    return list(frames(alaw(np.rint(samples).astype(np.int32))))


def loudness(voice: Voice) -> npt.NDArray[np.float64]:
    """RMS of each frame."""
    return np.array([audioop.rms(alaw_to_pcm(frame), 2) for frame in voice], float)


def active_level(voice: Voice) -> float:
    """dBov over what is louder than -45 dBov."""
    heard = loudness(voice)
    return float(10 * np.log10(np.mean(heard[heard > 184] ** 2) / 32768**2))


@pytest.mark.parametrize("name", ["badge", "operator"])
def test_a_voice_within_3_db_of_the_level_keeps_every_byte(name: str) -> None:
    leveller, said = Leveller(), speech(name=name)
    assert abs(active_level(said) - TARGET) < TOLERANCE
    assert all(leveller.apply(frame) is frame for frame in said)
    assert leveller.gain == 0.0


@pytest.mark.parametrize("decibels", [-12, -8, 6, 10])
def test_a_voice_that_is_too_faint_or_too_loud_is_brought_to_the_level(decibels: float) -> None:
    leveller, said = Leveller(), speech(decibels)
    heard = [leveller.apply(frame) for frame in said]
    assert abs(active_level(said) - TARGET) > TOLERANCE
    assert active_level(heard[-800:]) == pytest.approx(TARGET, abs=1.5)


def test_two_voices_20_db_apart_end_up_alike() -> None:
    faint, loud = Leveller(), Leveller()
    ends = [[one.apply(f) for f in speech(db)][-800:] for one, db in ((faint, -10), (loud, 10))]
    assert abs(active_level(ends[0]) - active_level(ends[1])) < 2


def test_no_more_than_12_db_are_added() -> None:
    leveller = Leveller()
    for frame in speech(-20):
        leveller.apply(frame)
    assert leveller.gain == MOST


def test_nothing_moves_before_two_seconds_of_speech_were_heard() -> None:
    leveller = Leveller()
    assert all(leveller.apply(frame) is frame for frame in speech(-12)[:125])


def test_the_gain_moves_slowly() -> None:
    leveller, gains = Leveller(), [0.0]
    for frame in speech(-12):
        leveller.apply(frame)
        gains.append(leveller.gain)
    steps = np.abs(np.diff(gains))
    assert steps.max() <= 0.5
    per_second = [abs(gains[n + 50] - gains[n]) for n in range(len(gains) - 50)]
    assert max(per_second) <= 2.5


@pytest.mark.parametrize("pause", [noise(20, -60), noise(20, -48), [ALAW_SILENCE_FRAME] * 1000], ids=["60", "48", "0"])
def test_a_pause_pumps_nothing(pause: Voice) -> None:
    leveller = Leveller()
    said = [(np.rint(linear(frame) * 0.25)).astype(np.int32) for frame in speech()]
    background = noise(len(said) / 50, -60)
    for words, room in zip(said, background, strict=True):
        leveller.apply(alaw(words + linear(room)))
    gain = leveller.gain
    assert gain > 6
    for frame in pause:
        leveller.apply(frame)
    assert leveller.gain == pytest.approx(gain, abs=1.0)


@pytest.mark.parametrize(
    "steady",
    [tone(440.0, 20.0, 0.02), tone(440.0, 20.0, 0.9), b"".join(marked_frames(1000)), b"".join(noise(20, -35))],
    ids=["faint tone", "loud tone", "marks", "fan"],
)
def test_a_steady_signal_is_no_speech(steady: bytes) -> None:
    leveller = Leveller()
    assert all(leveller.apply(frame) is frame for frame in frames(steady))


def test_lost_packets_within_a_steady_signal_make_no_speech_of_it() -> None:
    leveller = Leveller()
    for number, frame in enumerate(marked_frames(1000)):
        holed = ALAW_SILENCE * (number % 160) + frame[number % 160 :] if number % 20 == 0 else frame
        assert leveller.apply(holed) is holed


def test_digital_silence_stays_digital_silence() -> None:
    leveller = Leveller()
    for frame in speech(-12):
        leveller.apply(frame)
    assert leveller.gain > 0
    assert leveller.apply(ALAW_SILENCE_FRAME) is ALAW_SILENCE_FRAME
    half = ALAW_SILENCE * 80 + tone(440.0, 0.01, 0.1)
    assert leveller.apply(half).startswith(ALAW_SILENCE * 80)


def test_a_shout_after_a_whisper_is_not_clipped() -> None:
    leveller = Leveller()
    for frame in speech(-20):
        leveller.apply(frame)
    shout = alaw(np.rint(32_000 * np.sin(np.arange(FRAME_SAMPLES) * 0.3)).astype(np.int32))
    assert leveller.apply(shout) == shout  # no room for more, so nothing is added
    assert leveller.gain == 0


@given(st.binary(min_size=FRAME_SAMPLES, max_size=FRAME_SAMPLES))
@settings(max_examples=200, deadline=None)
def test_no_gain_ever_drives_a_sample_past_the_loudest_one(frame: bytes) -> None:
    leveller = _whispered()
    gain = leveller.gain
    before, after = linear(frame).astype(float), linear(leveller.apply(frame)).astype(float)
    assert np.all(np.abs(after) <= np.abs(before) * 10 ** (gain / 20) * 1.04 + 24)  # half a step of A-law
    loudest = np.abs(before).argmax()
    assert np.abs(after).argmax() == loudest or np.abs(after[loudest]) == np.abs(after).max()


def _whispered() -> Leveller:
    leveller = Leveller()
    for frame in speech(-12, times=2):
        leveller.apply(frame)
    return leveller


def test_what_a_prompt_is_laid_over_is_12_db_fainter() -> None:
    frame = tone(440.0, 0.02, 0.5)
    assert 20 * np.log10(loudness([lowered(frame)])[0] / loudness([frame])[0]) == pytest.approx(-12, abs=0.3)
