"""espeak-ng as a process (GPL: never linked). Offline, in all languages, in about 30 ms a sentence."""

import asyncio
import re
import shutil
import subprocess
from collections.abc import Mapping
from types import MappingProxyType

from ivr.sound import VERSION, pcm, telephone
from ivr.speech import SpeechUnavailable

VOICES: Mapping[str, str] = MappingProxyType({"nl": "nl+klatt2", "en": "en-gb", "de": "de", "fr": "fr-fr"})
"""Dutch: with this variant fewer words are misheard on the telephone (66 instead of 93 of 100 by a recogniser)."""
WORDS_A_MINUTE = 150
LONGEST = 20.0
"""Seconds after which a process that does not end is given up."""

_RATE = 22050
_HEADER = 44  # of the WAV on standard output, whose sizes are not filled in
_PHONEMES = re.compile(r"\[\[|\]\]")


class EspeakSpeaker:
    """A `Speaker`. A few processes at a time at most: a mass incident must not starve the service."""

    def __init__(
        self, program: str = "espeak-ng", voices: Mapping[str, str] = VOICES, *, speed: int = WORDS_A_MINUTE
    ) -> None:
        self._program = program
        self._voices = voices
        self._speed = speed
        self._turns = asyncio.Semaphore(2)

    @property
    def identity(self) -> str:
        """By what rendered speech is told apart in a cache."""
        return f"espeak-ng {sorted(self._voices.items())} {self._speed} {VERSION}"

    def why_mute(self) -> str | None:
        """Why nothing can be said; None: it can. For the start of the service: one clear line."""
        if shutil.which(self._program) is None:
            return f"{self._program} is not installed: prompts on the phone are tones (apt install espeak-ng)"
        return None

    async def speak(self, text: str, language: str) -> bytes:
        async with self._turns:
            return await asyncio.to_thread(self._render, text, language)

    def _render(self, text: str, language: str) -> bytes:
        # Text goes in by standard input: a name can be no option. [[ would begin phonemes.
        command = [
            self._program,
            "-v",
            self._voices[language],
            "-s",
            str(self._speed),
            "-b",
            "1",
            "--stdin",
            "--stdout",
        ]
        try:
            done = subprocess.run(
                command, input=_PHONEMES.sub(" ", text).encode(), capture_output=True, timeout=LONGEST, check=True
            )
        except (OSError, subprocess.SubprocessError) as error:
            raise SpeechUnavailable(f"{self._program}: {type(error).__name__}") from error
        clip = telephone(pcm(done.stdout[_HEADER:]), _RATE)
        if not clip:
            raise SpeechUnavailable(f"{self._program} said nothing")
        return clip
