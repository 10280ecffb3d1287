"""Any program as a speech engine: a better voice on this machine, or a small script that asks one elsewhere."""

import asyncio
import subprocess
from collections.abc import Sequence

from ivr.sound import VERSION
from ivr.speech import SpeechUnavailable
from ivr.wav import clip

LONGEST = 20.0
"""Seconds after which a program that does not end is given up."""


class CommandSpeaker:
    """A `Speaker`. The program reads the text (UTF-8) from its standard input and writes a WAV file to its output."""

    def __init__(self, command: Sequence[str]) -> None:
        """`{language}` in an argument is replaced by nl, en, de or fr."""
        self._command = tuple(command)
        self._turns = asyncio.Semaphore(2)

    @property
    def identity(self) -> str:
        """By what rendered speech is told apart in a cache."""
        return f"{self._command} {VERSION}"

    async def speak(self, text: str, language: str) -> bytes:
        async with self._turns:
            return await asyncio.to_thread(self._render, text, language)

    def _render(self, text: str, language: str) -> bytes:
        command = [argument.replace("{language}", language) for argument in self._command]
        try:
            done = subprocess.run(command, input=text.encode(), capture_output=True, timeout=LONGEST, check=True)
            return clip(done.stdout)
        except (OSError, subprocess.SubprocessError, EOFError, ValueError) as error:
            raise SpeechUnavailable(f"{command[0]}: {type(error).__name__}") from error
