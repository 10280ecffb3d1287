"""`Voice`: what is said to one person, in his language, ready to be played. Rendered ahead, so that no call waits."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
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
    on_failure: Callable[[str], None] | None = None
    """Told why tones were played in place of speech."""

    async def say(self, prompt: str, **values: Any) -> bytes:
        """The clip of a prompt: A-law, 8 kHz; empty where its values leave nothing to say.

        Raises KeyError for a prompt or a value that there is not.
        """
        recorded = self.prompts.recorded(self.language, prompt)
        if recorded is not None:
            return recorded
        text = self.prompts.text(self.language, prompt, values, timezone=self.timezone)
        if not text:
            return b""
        try:
            return await self.speaker.speak(text, self.language)
        except SpeechUnavailable as error:
            if self.on_failure is not None:
                self.on_failure(str(error))
            return pattern(values["key"] if self._names_key(prompt) else None)

    def _names_key(self, prompt: str) -> bool:
        return ("key", "key") in self.prompts.message(self.language, prompt).placeholders()

    def in_language(self, language: str) -> "Voice":
        return self if language == self.language else replace(self, language=language)

    async def prepare(self, wanted: Iterable[str], values: Mapping[str, Any]) -> None:
        """Render these prompts now, while the phone still rings: `say` then has them at hand."""
        await asyncio.gather(*(self.say(prompt, **values) for prompt in wanted))
