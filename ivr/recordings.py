"""A customer's own recordings of prompts: `<folder>/<language>/<id>.wav` takes the place of speech.

Only prompts without values can be recorded. PCM of 8, 16, 24 or 32 bit, any rate, mono or stereo; they are brought to
the loudness of everything else.
"""

import wave
from pathlib import Path

import numpy as np

from ivr.prompts import LANGUAGES, Prompts
from ivr.sound import Samples, telephone


class MistakeInRecording(ValueError):
    """A file in the folder of recordings cannot be used. The text names it."""


def with_recordings(prompts: Prompts, folder: Path) -> Prompts:
    """The same prompts with what is recorded in `folder`. Raises MistakeInRecording with every mistake."""
    recordings: dict[tuple[str, str], bytes] = {}
    mistakes: list[str] = []
    for path in sorted(folder.glob("*/*.wav")):
        language, id = path.parent.name, path.stem
        why = _why_not(prompts, language, id)
        if why is None:
            try:
                recordings[language, id] = _clip(path)
            except (OSError, EOFError, wave.Error, ValueError) as error:
                why = str(error) or type(error).__name__
        if why is not None:
            mistakes.append(f"{path}: {why}")
    if mistakes:
        raise MistakeInRecording("\n".join(mistakes))
    return prompts.recorded_as(recordings)


def _why_not(prompts: Prompts, language: str, id: str) -> str | None:
    if language not in LANGUAGES:
        return f"{language!r} is no language; allowed: {', '.join(LANGUAGES)}"
    if not prompts.has(language, id):
        return f"there is no prompt {id!r}"
    if next(prompts.message(language, id).placeholders(), None) is not None:
        return f"the prompt {id!r} has values and can only be spoken"
    return None


def _clip(path: Path) -> bytes:
    with wave.open(str(path), "rb") as file:
        channels, width, rate = file.getnchannels(), file.getsampwidth(), file.getframerate()
        data = file.readframes(file.getnframes())
    samples = _samples(data, width)
    clip = telephone(samples[: len(samples) // channels * channels].reshape(-1, channels).mean(axis=1), rate)
    if not clip:
        raise ValueError("nothing is to be heard")
    return clip


def _samples(data: bytes, width: int) -> Samples:
    if width == 1:
        return (np.frombuffer(data, np.uint8).astype(np.float32) - np.float32(128)) / np.float32(128)
    octets = np.frombuffer(data[: len(data) // width * width], np.uint8).reshape(-1, width)
    wide = np.zeros((len(octets), 4), np.uint8)
    wide[:, 4 - width :] = octets
    return wide.view("<i4")[:, 0].astype(np.float32) / np.float32(2**31)
