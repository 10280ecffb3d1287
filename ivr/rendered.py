"""A speaker that plays what was rendered ahead, put together from pieces, and leaves the rest to an engine.

The unit is the sentence: one that can be put together whole is; any other is spoken whole by the engine, with the ones
beside it that cannot either. So no sentence changes its voice in the middle, and a name that ends in a full stop is not
torn from its sentence.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources.abc import Traversable
from itertools import groupby

from ivr.archive import Archive, read
from ivr.blocks import bare, marked, sentences
from ivr.prompts import LANGUAGES, Prompts
from ivr.sound import RATE
from ivr.speech import Speaker

_SILENCE = b"\xd5"
_JOINT, _COMMA, _SENTENCE, _END = (_SILENCE * round(seconds * RATE) for seconds in (0.03, 0.15, 0.25, 0.2))
"""Pauses within a phrase, after a comma, after a sentence, and at the end (there is one after each sentence, too)."""
_MOST = 40
"""Words of the longest piece that is looked for."""


@dataclass(frozen=True)
class Composer:
    """Puts sentences of one language together."""

    archive: Archive
    point: str
    """How a decimal point is called."""

    def spans(self, text: str) -> list[str | bytes]:
        """A text in turns of what was rendered, as A-law, and what is to be spoken by an engine, as text."""
        found = [(sentence, self.sentence(sentence)) for sentence in sentences(text, self.archive.language)]
        spans: list[str | bytes] = []
        for rendered, group in groupby(found, key=lambda pair: pair[1] is not None):
            if rendered:
                spans.append(_SENTENCE.join(clip or b"" for _, clip in group))
            else:
                spans.append(" ".join(sentence for sentence, _ in group))
        return spans

    def sentence(self, text: str) -> bytes | None:
        """The clip of one sentence; None: it cannot be put together."""
        words = marked(text, self.archive.language, self.point).split()
        pieces = self._pieces(words)
        if not pieces:
            return None
        clips = [self.archive.clip(piece) + _pause(last) for piece, last in pieces[:-1]]
        return b"".join(clips) + self.archive.clip(pieces[-1][0]) + _END

    def _pieces(self, words: list[str]) -> list[tuple[str, str]] | None:
        """The fewest pieces that make up all words, each with its last word as written."""
        best: list[list[tuple[str, str]] | None] = [None] * len(words) + [[]]
        for start in range(len(words) - 1, -1, -1):
            for end in range(min(len(words), start + _MOST), start, -1):
                rest = best[end]
                piece = None if rest is None else self._piece(words[start:end])
                now = best[start]
                if rest is not None and piece is not None and (now is None or len(rest) + 1 < len(now)):
                    best[start] = [(piece, words[end - 1]), *rest]
        return best[0]

    def _piece(self, words: list[str]) -> str | None:
        whole = " ".join(words)
        return next((text for text in (whole, bare(whole)) if text in self.archive.pieces), None)


def _pause(word: str) -> bytes:
    return _COMMA if word[-1] in ",;:" else _JOINT


class RenderedSpeaker:
    """A `Speaker` in front of an engine. Deterministic: the same text is the same clip, sample by sample."""

    def __init__(self, composers: Mapping[str, Composer], engine: Speaker) -> None:
        self._composers = composers
        self._engine = engine

    async def speak(self, text: str, language: str) -> bytes:
        composer = self._composers.get(language)
        if composer is None:
            return await self._engine.speak(text, language)
        spans = composer.spans(text)
        clips = [span if isinstance(span, bytes) else await self._engine.speak(span, language) for span in spans]
        return _SENTENCE.join(clips)


def composers(folder: Traversable, prompts: Prompts) -> dict[str, Composer]:
    """Of every language in which something was rendered."""
    archives = (read(folder, language) for language in LANGUAGES)
    return {
        archive.language: Composer(archive, prompts.written(archive.language, "saying.point"))
        for archive in archives
        if archive.pieces
    }
