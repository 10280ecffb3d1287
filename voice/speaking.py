"""What the service says on the telephone, put together from its settings: prompts, recordings and a speech engine."""

from dataclasses import dataclass

import structlog

from config.models import Speech as SpeechSettings
from config.prompts import FOLDER
from config.speech import FOLDER as RENDERED
from ivr.engines import open_speaker
from ivr.prompts import Prompts
from ivr.recordings import MistakeInRecording, with_recordings
from ivr.rendered import RenderedSpeaker, composers
from ivr.speech import Speaker, Voice
from voice.errors import ConfigurationError

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Speech:
    """One for the whole service."""

    prompts: Prompts
    speaker: Speaker
    why_mute: str | None = None
    """Why tones are played in place of speech, to be told at the start; None: there is speech."""

    def voice(self, language: str, timezone: str = "UTC") -> Voice:
        """What one person hears."""
        return Voice(self.prompts, self.speaker, language, timezone, on_failure=self._failed)

    def _failed(self, why: str) -> None:
        if self.why_mute is None:  # else it was told at the start
            log.error("speech failed, tones are played in its place", why=why)


def open_speech(settings: SpeechSettings, speaker: Speaker | None = None) -> Speech:
    """Read prompts and recordings. `speaker` takes the place of the engine that is configured.

    Raises ConfigurationError for recordings that cannot be used.
    """
    prompts = open_prompts(settings)
    if speaker is not None:
        return Speech(prompts, speaker)
    engine, why_mute = open_speaker(settings.engine, settings.directory, settings.command)
    if not settings.rendered:
        return Speech(prompts, engine, why_mute)
    why = None if why_mute is None else f"{why_mute}, but for those that were rendered ahead"
    return Speech(prompts, RenderedSpeaker(composers(RENDERED, prompts), engine), why)


def open_prompts(settings: SpeechSettings) -> Prompts:
    """Prompts, with what was recorded of them. Raises ConfigurationError for recordings that cannot be used."""
    prompts = Prompts.load(FOLDER)
    if settings.prompts is None:
        return prompts
    try:
        return with_recordings(prompts, settings.prompts)
    except MistakeInRecording as error:
        raise ConfigurationError(f"speech.prompts: {error}") from None
