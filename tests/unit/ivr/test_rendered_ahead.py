"""The audio that is kept with the source: complete, of these very texts, and each clip fit for a telephone."""

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from config.speech import FOLDER
from ivr import sound
from ivr.archive import Archive, read
from ivr.blocks import blocks, sentences
from ivr.espeak import EspeakSpeaker
from ivr.prompts import LANGUAGES
from ivr.rendered import composers
from ivr.saying import Moment
from tests.unit.ivr.conversing import NOW, PROMPTS

ARCHIVES = {language: read(FOLDER, language) for language in LANGUAGES}
COMPOSERS = composers(FOLDER, PROMPTS)
LARGEST = 8 << 20


@pytest.fixture(params=LANGUAGES)
def archive(request: pytest.FixtureRequest) -> Archive:
    return ARCHIVES[request.param]


def test_everything_that_can_be_rendered_is(archive: Archive) -> None:
    missing = [text for text in blocks(PROMPTS, archive.language) if text not in archive.pieces]
    assert missing == [], "prompts were changed: run deploy/render-prompts"


def test_nothing_is_kept_that_is_not_said(archive: Archive) -> None:
    assert set(archive.pieces) <= set(blocks(PROMPTS, archive.language)), "run deploy/render-prompts"


def test_every_clip_is_at_one_level_does_not_clip_and_begins_at_once(archive: Archive) -> None:
    wrong: list[str] = []
    for text in archive.pieces:
        samples = sound.linear(archive.clip(text))
        level = 20 * np.log10(sound.active_level(samples))
        start = int(np.flatnonzero(np.abs(samples) > 0.01)[0])
        if abs(level + 20) > 1 or np.abs(samples).max() > 0.95 or start > 0.3 * sound.RATE:
            wrong.append(f"{text}: {level:.1f} dBov, peak {np.abs(samples).max():.2f}, starts at sample {start}")
    assert wrong == []


def test_every_clip_is_as_long_as_its_text_takes(archive: Archive) -> None:
    """An engine that stops in the middle, or stammers, is found by the time it takes."""
    wrong: list[str] = []
    for text in archive.pieces:
        seconds, letters = len(archive.clip(text)) / sound.RATE, sum(map(_weight, text))
        if not 0.15 + letters / 45 < seconds < 1.2 + letters / 6:
            wrong.append(f"{text}: {seconds:.1f} s")
    assert wrong == []


def _weight(symbol: str) -> int:
    """Letters that it stands for: a digit is a word."""
    return 4 if symbol.isdigit() else int(symbol.isalpha())


def test_whose_voice_it_is_is_told(archive: Archive) -> None:
    assert {"engine", "voice", "made_by"} <= set(archive.about)


def test_it_stays_small() -> None:
    assert sum(len(archive.audio) for archive in ARCHIVES.values()) < LARGEST


# -- what is put together from it --


@pytest.mark.parametrize(
    ("id", "values"),
    [
        ("accept.take", {"key": "4"}),
        ("check_in.ask", {"last": False, "key": "7"}),
        ("check_in.thanks", {"next": Moment(NOW + timedelta(days=3), NOW)}),
        ("briefing.callback", {"has_callback": True, "callback": "+31201234567"}),
    ],
)
def test_within_a_sentence_there_are_short_pauses_only(archive: Archive, id: str, values: Mapping[str, Any]) -> None:
    """After a longer one it would sound as if it were over, and the key that follows like another matter."""
    composer = COMPOSERS[archive.language]
    for sentence in sentences(PROMPTS.text(archive.language, id, values), archive.language):
        clip = composer.sentence(sentence)
        assert clip is not None, sentence
        loud = np.flatnonzero(np.abs(sound.linear(clip)) > 0.01)
        assert np.diff(loud).max() < 0.3 * sound.RATE, sentence


def test_it_is_as_loud_as_the_engine_beside_it(archive: Archive) -> None:
    """By ear, not by power alone: weighted as in EBU R128. A name in between must neither shout nor whisper."""
    engine = EspeakSpeaker()
    texts = [text for text in archive.pieces if text.endswith(".")][:8]
    differences = [
        _loudness(archive.clip(text)) - _loudness(asyncio.run(engine.speak(text, archive.language))) for text in texts
    ]
    assert abs(np.mean(differences)) < 1, f"{np.mean(differences):.1f} LU"


def _loudness(clip: bytes) -> float:
    """LU of the active parts; the weighting of ITU-R BS.1770: less below 40 Hz, 4 dB more above 2 kHz."""
    samples = sound.linear(clip)
    frequencies = np.fft.rfftfreq(len(samples), 1 / sound.RATE)
    high, low = 1j * frequencies / 1682, 1j * frequencies / 38
    shelf = (1.585 * high**2 + 1.258 * high / 0.707 + 1) / (high**2 + high / 0.707 + 1)
    weight = np.abs(shelf * low**2 / (low**2 + 2 * low + 1))
    weighted = np.fft.irfft(np.fft.rfft(samples) * weight, len(samples)).astype(np.float32)
    return 20 * float(np.log10(sound.active_level(weighted)))
