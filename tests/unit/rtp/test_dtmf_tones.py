"""DTMF in the audio: ITU-T Q.24 on generated tones, and silence about everything else."""

from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.unit.rtp.tones import generate
from voice.errors import UsageError
from voice.rtp.codecs import alaw_to_pcm, pcm_to_alaw
from voice.rtp.dtmf import KEYS, DtmfDetector, detect

Samples = NDArray[np.float64]


def in_noise(pcm: bytes, ratio: float, seed: int, lead: int = 0) -> bytes:
    """The tones as A-law after `lead` samples, in white noise `ratio` dB below them."""
    clean = np.frombuffer(pcm, "<i2").astype(np.float64)
    power = np.mean(np.square(clean[clean != 0]))
    clean = np.concatenate((np.zeros(lead), clean))
    noisy = clean + np.random.default_rng(seed).normal(0.0, np.sqrt(power / 10 ** (ratio / 10)), len(clean))
    return pcm_to_alaw(as_pcm(noisy))


def as_pcm(samples: Samples) -> bytes:
    return np.clip(np.round(samples), -32_768, 32_767).astype("<i2").tobytes()


@pytest.mark.parametrize(
    ("on", "off", "level", "twist", "detune"),
    [
        (0.04, 0.04, -10.0, 0.0, 0.0),
        (0.04, 0.04, -10.0, 0.0, 0.015),
        (0.04, 0.04, -10.0, 0.0, -0.015),
        (0.04, 0.04, -10.0, 4.0, 0.0),
        (0.04, 0.04, -18.0, 8.0, 0.015),
        (0.04, 0.04, -10.0, -8.0, -0.015),
        (0.1, 0.1, 0.0, 0.0, 0.0),
        (0.1, 0.1, -36.0, 0.0, 0.0),
        (1.5, 0.1, -10.0, 0.0, 0.0),
    ],
)
@pytest.mark.parametrize("lead", [0, 13, 40, 79])
def test_every_digit_is_heard_once(on: float, off: float, level: float, twist: float, detune: float, lead: int) -> None:
    tones = generate(KEYS + KEYS[::-1], on=on, off=off, level=level, twist=twist, detune=detune)
    assert DtmfDetector().feed_alaw(pcm_to_alaw(bytes(2 * lead) + tones)) == KEYS + KEYS[::-1]


@pytest.mark.parametrize(("on", "ratio"), [(0.04, 15.0), (0.05, 15.0), (0.1, 10.0), (0.1, 5.0)])
def test_digits_are_heard_in_noise(on: float, ratio: float) -> None:
    for seed in range(5):
        noisy = in_noise(generate(KEYS, on=on, off=on), ratio, seed, lead=17 * seed)
        assert DtmfDetector().feed_alaw(noisy) == KEYS


@pytest.mark.parametrize("detune", [0.035, -0.035, 0.05, -0.05])
def test_frequencies_that_are_off_by_three_and_a_half_per_cent_are_refused(detune: float) -> None:
    assert DtmfDetector().feed(generate(KEYS, detune=detune)) == ""


@pytest.mark.parametrize("twist", [14.0, -14.0])
def test_two_tones_of_very_different_level_are_refused(twist: float) -> None:
    assert DtmfDetector().feed(generate(KEYS, level=-16.0, twist=twist)) == ""


def test_the_beginning_of_a_tone_that_a_gateway_cuts_out_late_is_no_digit() -> None:
    for on in (0.01, 0.015, 0.02):
        assert DtmfDetector().feed(generate(KEYS * 4, on=on, off=0.063)) == ""


def test_two_presses_of_a_key_forty_milliseconds_apart_are_two() -> None:
    for lead in range(0, 80, 9):
        tones = bytes(2 * lead) + generate("55#", on=0.04, off=0.04)
        assert DtmfDetector().feed(tones) == "55#"


def test_a_break_of_ten_milliseconds_does_not_part_a_press() -> None:
    tone = generate("8", on=0.06, off=0.0)
    for lead in range(0, 80, 9):
        assert DtmfDetector().feed(bytes(2 * lead) + tone + bytes(160) + tone) == "8"


def test_a_press_that_slides_into_another_key_is_two_digits() -> None:
    assert DtmfDetector().feed(generate("12", on=0.08, off=0.0)) == "12"


@pytest.mark.parametrize("size", [1, 7, 80, 160, 333, 4000])
def test_the_size_of_the_pieces_makes_no_difference(size: int) -> None:
    tones = generate("159D*", on=0.05, off=0.05)
    detector = DtmfDetector()
    pieces = [tones[at : at + 2 * size] for at in range(0, len(tones), 2 * size)]
    assert "".join(detector.feed(piece) for piece in pieces) == "159D*"


def test_a_digit_is_heard_within_fifty_milliseconds_of_its_beginning() -> None:
    detector = DtmfDetector()
    tone = generate("3", on=0.2, off=0.0)
    fed = 0
    while not detector.feed(tone[fed : fed + 320]):
        fed += 320
    assert fed + 320 <= 2 * 8 * 50


def test_many_legs_at_once_hear_what_each_alone_hears() -> None:
    audio = [in_noise(generate(KEYS[n:] + KEYS[:n], on=0.05, off=0.05), 20.0, n, lead=n * 7) for n in range(16)]
    pcm = [alaw_to_pcm(each) for each in audio]
    together = [""] * 16
    detectors = [DtmfDetector() for _ in range(16)]
    for at in range(0, max(map(len, pcm)), 320):
        for leg, digits in enumerate(detect(detectors, [each[at : at + 320] for each in pcm])):
            together[leg] += digits
    assert together == [DtmfDetector().feed(each) for each in pcm]
    assert together[3] == KEYS[3:] + KEYS[:3]


def test_no_legs_and_no_audio_are_fine() -> None:
    assert detect([], []) == []
    assert detect([DtmfDetector(), DtmfDetector()], [b"", bytes(2)]) == ["", ""]


def test_half_a_sample_is_our_own_mistake() -> None:
    with pytest.raises(UsageError):
        DtmfDetector().feed(b"123")


def voices(seconds: int) -> Iterator[Samples]:
    """Speech-like sound: gliding harmonics through formants, in syllables; a new voice every two seconds."""
    rng = np.random.default_rng(5)
    count = 16_000
    for _ in range(seconds // 2):
        pitch = rng.uniform(80, 300) * np.exp(np.cumsum(rng.normal(0, 0.0006, count)))
        phase = np.cumsum(pitch) * (2 * np.pi / 8000)
        formants = [
            (rng.uniform(300, 900), 80),
            (rng.uniform(900, 2300), 120),
            (rng.uniform(2300, 3200), 200),
        ]
        sound = np.zeros(count)
        for harmonic in range(1, 40):
            frequency = harmonic * pitch
            strength = sum(1 / (1 + np.square((frequency - center) / width)) for center, width in formants)
            sound += np.where(frequency < 3800, strength, 0.0) * np.sin(harmonic * phase + rng.uniform(0, 6))
        sound *= np.abs(np.sin(np.arange(count) * (np.pi * rng.uniform(2, 6) / 8000)))
        yield sound / np.abs(sound).max() * rng.uniform(2000, 25_000)


def test_speech_is_no_digit() -> None:
    detector = DtmfDetector()
    assert "".join(detector.feed_alaw(pcm_to_alaw(as_pcm(sound))) for sound in voices(120)) == ""


def test_two_voices_at_once_are_no_digit() -> None:
    detector = DtmfDetector()
    pairs = zip(voices(60), list(voices(120))[30:], strict=True)
    assert "".join(detector.feed(as_pcm((one + other) / 2)) for one, other in pairs) == ""


@pytest.mark.parametrize("level", [100.0, 3000.0, 20_000.0])
def test_noise_is_no_digit(level: float) -> None:
    noise = np.random.default_rng(1).normal(0.0, level, 8000 * 60)
    assert DtmfDetector().feed(as_pcm(noise)) == ""


@pytest.mark.parametrize(
    "frequencies",
    [(440.0, 480.0), (425.0,), (350.0, 440.0), (1400.0,), (2300.0,), (697.0,), (1209.0,), (941.0, 1400.0)],
)
def test_the_tones_of_the_network_and_of_contact_id_are_no_digits(frequencies: tuple[float, ...]) -> None:
    times = np.arange(16_000) / 8000
    sound = sum(6000 * np.sin(2 * np.pi * frequency * times) for frequency in frequencies)
    assert DtmfDetector().feed(as_pcm(np.asarray(sound))) == ""


def test_digits_are_heard_over_a_voice_that_is_fifteen_decibels_quieter() -> None:
    tones = np.frombuffer(generate(KEYS, on=0.1, off=0.1, level=-8.0), "<i2").astype(np.float64)
    speech = np.concatenate(list(voices(4)))[: len(tones)]
    speech *= np.std(tones[:800]) / np.std(speech) / 10 ** (15 / 20)
    assert DtmfDetector().feed(as_pcm(tones + speech)) == KEYS
