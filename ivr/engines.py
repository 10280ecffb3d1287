"""The speech engine that the configuration names."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from ivr.cache import CachedSpeaker
from ivr.command import CommandSpeaker
from ivr.espeak import EspeakSpeaker
from ivr.speech import Speaker, SpeechUnavailable


class NoSpeaker:
    """A service that is to use no engine: own recordings, what was rendered ahead, and tones for the rest."""

    async def speak(self, text: str, language: str) -> bytes:
        raise SpeechUnavailable("speech.engine is none")


def open_speaker(engine: str, directory: Path | None, command: Sequence[str] = ()) -> tuple[Speaker, str | None]:
    """The speaker for `speech.engine`, and why it is mute (None: it is not), to be told at the start."""
    if engine == "none":
        return NoSpeaker(), "speech.engine is none: prompts without an own recording are tones"
    if engine == "command":
        found = shutil.which(command[0])
        why = None if found else f"{command[0]} is not installed: prompts on the phone are tones"
        return CachedSpeaker(CommandSpeaker(command), directory), why
    espeak = EspeakSpeaker()
    return CachedSpeaker(espeak, directory), espeak.why_mute()
