"""`Voice`: what is said to one person, in his language, ready to be played. Rendered ahead, so that no call waits."""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

from ivr.prompts import Prompts
from ivr.tones import pattern


class SpeechUnavailable(Exception):
    """The engine cannot speak now: it is not installed, or failed."""


class Speaker(Protocol):
    """Turns text into speech."""

    async def speak(self, text: str, language: str) -> bytes:
        """A-law, 8 kHz. Never blocks the loop. Raises SpeechUnavailable."""
        ...


class Say(Protocol):
    """Renders a prompt for one person: what a room needs of a `Voice`."""

    async def __call__(self, prompt: str, **values: Any) -> bytes: ...


@dataclass(frozen=True)
class Voice:
    """The prompts of one language in one voice. Never fails and is never mute: without speech there are tones."""

    prompts: Prompts
    speaker: Speaker
    language: str
    timezone: str = "UTC"
    """In which times of day are said."""

    async def say(self, prompt: str, **values: Any) -> bytes:
        """The clip of a prompt: A-law, 8 kHz. Raises KeyError for a prompt or a value that there is not."""
        recorded = self.prompts.recorded(self.language, prompt)
        if recorded is not None:
            return recorded
        text = self.prompts.text(self.language, prompt, values, timezone=self.timezone)
        try:
            return await self.speaker.speak(text, self.language)
        except SpeechUnavailable:
            return pattern(values.get("key"))

    def in_language(self, language: str) -> "Voice":
        return self if language == self.language else replace(self, language=language)

    async def prepare(self, wanted: Iterable[str], values: Mapping[str, Any]) -> None:
        """Render these prompts now, while the phone still rings: `say` then has them at hand."""
        await asyncio.gather(*(self.say(prompt, **values) for prompt in wanted))
