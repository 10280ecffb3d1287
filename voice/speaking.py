"""What the service says on the telephone, put together from its settings: prompts, recordings and a speech engine."""

from dataclasses import dataclass
from functools import cache

import structlog

from config.models import Speech as SpeechSettings
from config.prompts import FOLDER
from config.speech import FOLDER as RENDERED
from ivr.engines import open_speaker
from ivr.prompts import Prompts
from ivr.recordings import with_recordings
from ivr.rendered import RenderedSpeaker, composers
from ivr.speech import Speaker, Voice

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Speech:
    """One for the whole service."""

    prompts: Prompts
    speaker: Speaker
    mistakes: tuple[str, ...] = ()
    """Recordings that cannot be used, a line for each. Their prompts are spoken: calls are answered all the same."""
    why_mute: str | None = None
    """Why tones are played in place of speech, to be told at the start; None: there is speech."""

    def voice(self, language: str, timezone: str = "UTC") -> Voice:
        """What one person hears."""
        return Voice(self.prompts, self.speaker, language, timezone, on_failure=self._failed)

    def _failed(self, why: str) -> None:
        if self.why_mute is None:  # else it was told at the start
            log.error("speech failed, tones are played in its place", why=why)


def open_speech(settings: SpeechSettings, speaker: Speaker | None = None) -> Speech:
    """Read prompts and recordings. `speaker` takes the place of the engine that is configured."""
    prompts, mistakes = open_prompts(settings)
    if speaker is not None:
        return Speech(prompts, speaker, mistakes)
    engine, why_mute = open_speaker(settings.engine, settings.directory, settings.command)
    if not settings.rendered:
        return Speech(prompts, engine, mistakes, why_mute)
    why = None if why_mute is None else f"{why_mute}, but for those that were rendered ahead"
    return Speech(prompts, RenderedSpeaker(composers(RENDERED, prompts), engine), mistakes, why)


def open_prompts(settings: SpeechSettings) -> tuple[Prompts, tuple[str, ...]]:
    """Prompts, with what was recorded of them, and a line for each recording that cannot be used."""
    prompts = _written()
    if settings.prompts is None:
        return prompts, ()
    prompts, mistakes = with_recordings(prompts, settings.prompts)
    return prompts, tuple(f"speech.prompts: {mistake}" for mistake in mistakes)


@cache
def _written() -> Prompts:
    """They come with Earshot, so they are read once."""
    return Prompts.load(FOLDER)
