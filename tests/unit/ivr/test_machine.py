"""What sounds like an answering machine, and what does not."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ivr.machine import Machine
from voice.sim.speaking import dtmf_tone
from voice.sim.speech import clip, silence, tone

HELLO = clip("operator")[8000:14000]
"""A second of speech, with a breath."""


def _heard(audio: bytes, piece: int = 8000) -> Machine:
    machine = Machine()
    for start in range(0, len(audio), piece):
        machine.hear(audio[start : start + piece])
    return machine


def test_a_short_greeting_and_silence_is_a_person() -> None:
    assert _heard(HELLO + silence(10)).suspected is None


def test_a_person_who_says_hello_again_and_again_is_a_person() -> None:
    assert _heard((HELLO + silence(2)) * 6).suspected is None


def test_silence_before_the_first_word_is_not_counted() -> None:
    assert _heard(silence(7) + HELLO + silence(5)).suspected is None


def test_a_long_greeting_is_suspicious() -> None:
    machine = _heard(silence(3) + clip("badge"))
    assert machine.suspicion == 1
    assert "greeting" in (machine.suspected or "")


def test_silence_after_a_greeting_of_some_length_is_suspicious() -> None:
    assert _heard(clip("operator")).suspicion == 0
    assert _heard(clip("operator") + silence(3)).suspicion == 1


@pytest.mark.parametrize("frequency", [350, 500, 850, 1000, 1400, 2000])
@pytest.mark.parametrize("seconds", [0.2, 0.5, 2.0])
@pytest.mark.parametrize("level", [0.03, 0.3])
def test_a_steady_tone_that_ends_is_a_beep(frequency: int, seconds: float, level: float) -> None:
    machine = _heard(HELLO + silence(0.5) + tone(frequency, seconds, level) + silence(0.5))
    assert machine.suspicion == 2
    assert "beep" in (machine.suspected or "")


@pytest.mark.parametrize(
    "audio",
    [
        pytest.param((tone((440, 480), 2.0) + silence(4)) * 3, id="ring-back of North America"),
        pytest.param((tone((400, 450), 0.4) + silence(0.2)) * 4, id="ring-back of Britain"),
        pytest.param((tone(425, 1.0) + silence(4)) * 3, id="ring-back of Europe"),
        pytest.param((tone(440, 1.5) + silence(3.5)) * 2, id="ring-back of France"),
        pytest.param((tone((350, 440), 1.0) + silence(1)) * 2, id="dial tone of North America"),
        pytest.param(tone(1000, 0.06) + silence(1), id="a click"),
        pytest.param(tone(300, 0.5) + silence(1), id="too low"),
        pytest.param(tone(2600, 0.5) + silence(1), id="too high"),
        pytest.param(tone(1000, 6.0) + silence(1), id="a tone without end"),
        pytest.param(tone(1000, 0.5, 0.002) + silence(1), id="too faint"),
        pytest.param(silence(30), id="silence"),
    ],
)
def test_other_tones_are_no_beep(audio: bytes) -> None:
    assert _heard(audio).suspicion < 2


@pytest.mark.parametrize("digit", "0123456789*#")
def test_a_pressed_key_is_no_beep(digit: str) -> None:
    assert _heard(dtmf_tone(digit, 0.4) + silence(1)).suspected is None


@given(st.integers(1, 4000))
@settings(max_examples=20, deadline=None)
def test_it_does_not_matter_in_which_pieces_the_audio_comes(piece: int) -> None:
    machine = _heard(HELLO + silence(0.5) + tone(1400, 0.3) + silence(0.5), piece)
    assert machine.suspected == "sounded like an answering machine: a beep of 1400 Hz"


def test_a_beep_after_a_greeting_is_the_stronger_sign() -> None:
    assert _heard(clip("badge") + tone(1000, 0.4) + silence(1)).suspicion == 2
