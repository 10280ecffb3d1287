"""Speech made by the test itself: espeak-ng in four languages, many voices, none of it twice."""

import random
import re
import subprocess
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from itertools import cycle, islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from config.prompts import FOLDER
from ivr.sound import RATE, pcm, resampled

Samples = NDArray[np.float64]

ENGINE_RATE = 22_050
HEADER = 44
LANGUAGES = ("en", "nl", "de", "fr")
VOICES = (
    "",
    "+m1",
    "+m3",
    "+m5",
    "+m7",
    "+f1",
    "+f2",
    "+f3",
    "+f4",
    "+f5",
    "+Andy",
    "+Annie",
    "+Michael",
    "+aunty",
    "+max",
)
"""Men and women, low and high; the engine's own names for them."""
QUIET = 0.0015
"""Peak, 1.0 full scale: below it is a pause."""
LEVELS = (-30.0, -22.0, -16.0, -10.0)
"""dB below full scale, RMS: from whispered to shouted."""


def words_of(folder: Path = FOLDER) -> Mapping[str, Sequence[str]]:
    """By language, the words of all prompts: some hundreds, with all sounds of the language."""
    return {language: _words((folder / f"{language}.toml").read_text()) for language in LANGUAGES}


def _words(text: str) -> Sequence[str]:
    said = " ".join(str(value) for value in _leaves(tomllib.loads(text)))
    return sorted(set(re.findall(r"[^\W\d_]{2,}", said)))


def _leaves(table: object) -> Iterator[object]:
    if isinstance(table, Mapping):
        for value in table.values():
            yield from _leaves(value)
    else:
        yield table


def speech(seconds: float, *, seed: int = 0) -> Iterator[Samples]:
    """Pieces of about half a minute, 16-bit samples at 8 kHz: a voice, a pitch, a pace, a level and a text for each."""
    dice, words, spoken = random.Random(seed), words_of(), 0.0
    for language, voice in zip(cycle(LANGUAGES), cycle(VOICES), strict=False):
        if spoken >= seconds:
            return
        text = ". ".join(" ".join(dice.choices(words[language], k=dice.randint(3, 9))) for _ in range(12))
        numbers = ", ".join(str(dice.randint(0, 99_999)) for _ in range(4))
        piece = _speak(f"{text}. {numbers}.", language + voice, dice.randint(20, 90), dice.randint(120, 210))
        spoken += len(piece) / RATE
        loud = np.sqrt(np.mean(np.square(piece[np.abs(piece) > QUIET])))
        yield np.clip(piece * 32_768.0 * 10 ** (dice.choice(LEVELS) / 20) / loud, -32_768, 32_767)


def babble(seconds: float, voices: int, *, seed: int = 0) -> Iterator[Samples]:
    """Several people at once, none of them much louder than the others."""
    speakers = [speech(seconds * 1.2, seed=seed + number) for number in range(voices)]
    for pieces in islice(zip(*speakers, strict=False), round(seconds / 25)):
        length = min(map(len, pieces))
        yield np.clip(sum(piece[:length] for piece in pieces) / voices**0.5, -32_768, 32_767)


def _speak(text: str, voice: str, pitch: int, pace: int) -> Samples:
    command = ["espeak-ng", "-v", voice, "-p", str(pitch), "-s", str(pace), "--stdin", "--stdout"]
    done = subprocess.run(command, input=text.encode(), capture_output=True, timeout=60, check=True)
    return np.asarray(resampled(pcm(done.stdout[HEADER:]), ENGINE_RATE), np.float64)
