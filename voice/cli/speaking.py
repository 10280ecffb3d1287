"""`earshot say` and `earshot dialogue`: what people hear on the telephone, on this machine."""

import asyncio
import re
import shutil
import subprocess
import sys
import tempfile
import wave
from argparse import Namespace
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from config.settings import Settings
from ivr.charts import DIALOGUES, in_words, mermaid
from ivr.prompts import Prompts
from ivr.saying import Moment
from voice.cli.playing import PLAYERS
from voice.errors import ConfigurationError
from voice.rtp.codecs import SAMPLE_RATE, alaw_to_pcm
from voice.speaking import open_speech

SettingsOf = Callable[[Namespace], Settings]


def say(options: Namespace, settings_of: SettingsOf) -> int:
    """Play a prompt, or write it as a WAV file; without a prompt list them."""
    speech = open_speech(settings_of(options).speech)
    if options.prompt is None:
        for id in speech.prompts.ids:
            print(f"{id:30} {' '.join(speech.prompts.written(options.language, id).split())}")
        return 0
    timezone = _timezone(options.timezone)
    values = _values(speech.prompts, options.language, options.prompt, options.values)
    print(speech.prompts.text(options.language, options.prompt, values, timezone=timezone))
    for why in (*speech.mistakes, *([speech.why_mute] if speech.why_mute else [])):
        print(f"earshot: {why}", file=sys.stderr)
    clip = asyncio.run(speech.voice(options.language, timezone).say(options.prompt, **values))
    if options.wav is not None:
        _write(clip, options.wav)
        print(f"{options.wav}: {len(clip) / SAMPLE_RATE:.1f} s, PCM, 8 kHz, mono")
    else:
        _play(clip)
    return 0


def dialogue(options: Namespace, settings_of: SettingsOf) -> int:
    """Print a dialogue in words, or as a chart."""
    chosen = DIALOGUES[options.name]
    if options.graph:
        print(mermaid(chosen))
        return 0
    prompts = open_speech(settings_of(options).speech).prompts
    print("\n".join(in_words(chosen, prompts, options.language)))
    return 0


def _timezone(name: str) -> str:
    try:
        return ZoneInfo(name).key
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ConfigurationError(f"{name!r} is no time zone; an example: Europe/Amsterdam") from None


def _values(prompts: Prompts, language: str, id: str, given: Sequence[str]) -> dict[str, Any]:
    """A value for each placeholder: as given (`name=value`), else an example.

    Raises ConfigurationError, which says what a prompt takes.
    """
    if not prompts.has(language, id):
        raise ConfigurationError(f"there is no prompt {id!r}; `earshot say` without one lists them")
    written = dict(value.partition("=")[::2] for value in given)
    needed = dict(prompts.message(language, id).placeholders())
    if unknown := [name for name in written if name not in needed]:
        takes = ", ".join(f"{name}={_example(kind, name)}" for name, kind in needed.items()) or "no values"
        raise ConfigurationError(f"{id} has no value {unknown[0]!r}; it takes {takes}")
    return {name: _value(kind, name, written.get(name, _example(kind, name))) for name, kind in needed.items()}


def _example(kind: str, name: str) -> str:
    """What is said every day. A name stands for itself: "Earshot check-in for worker"."""
    return "false" if name in _SELDOM else _EXAMPLES.get(kind, name)


def _value(kind: str, name: str, text: str) -> Any:
    try:
        return _READERS.get(kind, str)(text)
    except ValueError:
        unit = f" ({_UNITS[kind]})" if kind in _UNITS else ""
        raise ConfigurationError(f"{name}={text} is no {kind}; an example: {_EXAMPLES[kind]}{unit}") from None


def _moment(text: str) -> Moment:
    now = datetime.now(UTC)
    return Moment(_time(text), now)


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def _only(allowed: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if re.fullmatch(allowed, text) is None:
            raise ValueError(text)
        return text

    return read


def _coordinates(text: str) -> tuple[float, float]:
    latitude, longitude = text.split(",")
    return float(latitude), float(longitude)


_READERS: Mapping[str, Callable[[str], Any]] = {
    "plural": float,
    "number": float,
    "duration": float,
    "distance": float,
    "time": _time,
    "date": _time,
    "moment": _moment,
    "coordinates": _coordinates,
    "key": _only(r"[0-9*#]"),
    "digits": _only(r"[0-9]+"),
    "phone": _only(r"\+?[0-9]+"),
}
_EXAMPLES = {
    "plural": "3",
    "number": "3.5",
    "duration": "90",
    "distance": "25",
    "time": "2026-03-01T14:05",
    "date": "2026-03-01",
    "moment": "2026-03-01T14:05",
    "coordinates": "52.37031,4.90012",
    "key": "4",
    "digits": "1234",
    "phone": "+31201234567",
    "term": "panic",
    "select": "true",
}
_SELDOM = ("last", "has_place")
"""What is not so if not said otherwise: each stands in prompts that are heard, or differ, just when it is seldom so."""
_UNITS: Mapping[str, str] = {"duration": "seconds", "distance": "metres"}


def _write(clip: bytes, path: Path) -> None:
    with path.open("wb") as opened, wave.open(opened, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes(alaw_to_pcm(clip))


def _play(clip: bytes) -> None:
    player = next((name for name in PLAYERS if shutil.which(name)), None)
    if player is None:
        raise ConfigurationError(f"no player found ({', '.join(PLAYERS)}): write a file with --wav FILE")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "prompt.wav"
        _write(clip, path)
        done = subprocess.run([player, *PLAYERS[player], str(path)], check=False, capture_output=True)
    if done.returncode:
        raise ConfigurationError(f"{player} could not play it: write a file with --wav FILE")
