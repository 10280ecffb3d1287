"""G.711 tables and the digital silence that must stay silence."""

import subprocess
import sys

from hypothesis import given
from hypothesis import strategies as st

from voice.rtp.codecs import (
    ALAW_SILENCE,
    ALAW_SILENCE_FRAME,
    ALAW_TO_ULAW,
    FRAME_SAMPLES,
    ULAW_SILENCE,
    ULAW_TO_ALAW,
    alaw_to_pcm,
    pcm_to_alaw,
    pcm_to_ulaw,
    ulaw_to_pcm,
)


def samples(pcm: bytes) -> list[int]:
    return [int.from_bytes(pcm[at : at + 2], "little", signed=True) for at in range(0, len(pcm), 2)]


def test_silence_in_a_law_is_silence_in_mu_law_bit_for_bit() -> None:
    assert ALAW_SILENCE_FRAME.translate(ALAW_TO_ULAW) == ULAW_SILENCE * FRAME_SAMPLES
    assert samples(ulaw_to_pcm(ULAW_SILENCE)) == [0]


def test_silence_in_mu_law_is_silence_in_a_law_bit_for_bit() -> None:
    assert ULAW_SILENCE.translate(ULAW_TO_ALAW) == ALAW_SILENCE
    assert b"\x7f".translate(ULAW_TO_ALAW) == ALAW_SILENCE


def test_every_a_law_value_survives_linear_pcm() -> None:
    every = bytes(range(256))
    assert pcm_to_alaw(alaw_to_pcm(every)) == every


@given(st.integers(min_value=-32_000, max_value=32_000))
def test_translation_between_the_laws_is_as_good_as_the_coarser_one(level: int) -> None:
    pcm = level.to_bytes(2, "little", signed=True)
    (through_both,) = samples(ulaw_to_pcm(pcm_to_alaw(pcm).translate(ALAW_TO_ULAW)))
    (and_back,) = samples(alaw_to_pcm(pcm_to_ulaw(pcm).translate(ULAW_TO_ALAW)))
    allowed = 24 + abs(level) // 16
    assert abs(through_both - level) <= allowed
    assert abs(and_back - level) <= allowed


def test_importing_the_codecs_warns_nobody() -> None:
    outcome = subprocess.run(
        [sys.executable, "-W", "error", "-c", "import voice.rtp.codecs"], capture_output=True, text=True
    )
    assert outcome.returncode == 0, outcome.stderr
