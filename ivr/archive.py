"""Speech that was rendered ahead, as it lies in a folder: for each language an index and one file of audio.

`<language>.json`: whose voice it is, and for each text where its audio begins and how many bytes it has.
`<language>.adpcm`: IMA ADPCM, 4 bits a sample, 8 kHz, one text after the other, each begun anew. Half the size of
A-law; a clip of 3 s is decoded in 0.1 ms.
"""

import json
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

with warnings.catch_warnings():
    # Deprecated in 3.11, gone from the standard library in 3.13; there `audioop-lts` carries the same name.
    warnings.simplefilter("ignore", DeprecationWarning)
    import audioop

FORMAT = 1
KEPT = 2048
"""Clips that are kept decoded: all of two languages."""


@dataclass(frozen=True)
class Archive:
    """What was rendered in one language."""

    language: str
    pieces: Mapping[str, tuple[int, int]]
    """Text to where its audio is: offset, bytes."""
    audio: bytes
    about: Mapping[str, Any]
    """Voice, licence, how it was made: for people."""

    def __hash__(self) -> int:
        return id(self)

    @lru_cache(maxsize=KEPT)  # noqa: B019 - an archive lives as long as the service
    def clip(self, text: str) -> bytes:
        """A-law, 8 kHz, without silence at its end. Raises KeyError for a text that was not rendered."""
        pcm, _ = audioop.adpcm2lin(self.packed(text), 2, None)
        return audioop.lin2alaw(pcm, 2)

    def packed(self, text: str) -> bytes:
        """As it is kept. Raises KeyError for a text that was not rendered."""
        offset, size = self.pieces[text]
        return self.audio[offset : offset + size]


def read(folder: Traversable, language: str) -> Archive:
    """What there is: an empty archive where nothing was rendered."""
    index = folder / f"{language}.json"
    if not index.is_file():
        return Archive(language, {}, b"", {})
    data = json.loads(index.read_text("utf-8"))
    if data["format"] != FORMAT:
        return Archive(language, {}, b"", {})
    pieces = {text: (offset, size) for text, (offset, size) in data["pieces"].items()}
    return Archive(language, pieces, (folder / f"{language}.adpcm").read_bytes(), data["about"])


def write(folder: Path, language: str, clips: Mapping[str, bytes], about: Mapping[str, Any]) -> Archive:
    """Write a language anew. `clips`: A-law, or what `packed` made of it before."""
    pieces: dict[str, tuple[int, int]] = {}
    audio = bytearray()
    for text, clip in clips.items():
        pieces[text] = (len(audio), len(clip))
        audio += clip
    folder.mkdir(parents=True, exist_ok=True)
    lines = ",\n".join(f"  {json.dumps(text, ensure_ascii=False)}: {list(where)}" for text, where in pieces.items())
    head = json.dumps(dict(about), ensure_ascii=False)
    text = f'{{"format": {FORMAT},\n"about": {head},\n"pieces": {{\n{lines}\n}}}}\n'
    (folder / f"{language}.adpcm").write_bytes(audio)
    (folder / f"{language}.json").write_text(text, "utf-8")
    return Archive(language, pieces, bytes(audio), about)


def packed(clip: bytes) -> bytes:
    """A-law as it is kept."""
    found, _ = audioop.lin2adpcm(audioop.alaw2lin(clip, 2), 2, None)
    return found
