"""A customer's own recordings of prompts: `<folder>/<language>/<id>.wav` takes the place of speech.

Only prompts without values can be recorded. PCM of 8, 16, 24 or 32 bit, any rate, mono or stereo; they are brought to
the loudness of everything else.
"""

from pathlib import Path

from ivr.prompts import LANGUAGES, Prompts
from ivr.wav import clip

_SOUNDS = (".wav", ".wave", ".mp3", ".ogg", ".opus", ".flac", ".m4a", ".aac")
"""What somebody may have put there to be played. Anything else, a list of speakers say, stops nobody."""


def with_recordings(prompts: Prompts, folder: Path) -> tuple[Prompts, tuple[str, ...]]:
    """The same prompts with what is recorded in `folder`, and a line for each file that cannot be used: its prompt is
    spoken as if it had not been recorded."""
    if not folder.is_dir():
        return prompts, (f"{folder}: there is no such folder",)
    recordings: dict[tuple[str, str], bytes] = {}
    mistakes: list[str] = []
    for path in sorted(path for path in folder.rglob("*") if path.is_file() and path.suffix.lower() in _SOUNDS):
        language, id = path.parent.name, path.stem
        if path.parent.parent != folder or path.suffix.lower() != ".wav":
            why: str | None = "is not used; recordings are LANGUAGE/PROMPT.wav, such as nl/goodbye.wav"
        else:
            why = _why_not(prompts, language, id)
        if why is None:
            try:
                recordings[language, id] = clip(path.read_bytes())
            except (OSError, ValueError) as error:
                why = str(error) or type(error).__name__
        if why is not None:
            mistakes.append(f"{path}: {why}")
    return prompts.recorded_as(recordings), tuple(mistakes)


def _why_not(prompts: Prompts, language: str, id: str) -> str | None:
    if language not in LANGUAGES:
        return f"{language!r} is no language; allowed: {', '.join(LANGUAGES)}"
    if not prompts.has(language, id):
        return f"there is no prompt {id!r}"
    if next(prompts.message(language, id).placeholders(), None) is not None:
        return f"the prompt {id!r} has values and can only be spoken"
    return None
