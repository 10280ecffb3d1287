"""Understanding the voice on the telephone, for simulated people: which prompt was it, and which key does it ask for?

The service speaks its clips into the call unchanged, so who has the same voice finds them again in what he heard, piece
by piece. Most of the pieces are enough, for a busy machine loses a frame now and then; for the key only those count
that tell one key from the others. With another codec nothing is found, as it should be: nothing is guessed.
"""

from functools import cache
from typing import Any

from ivr.speech import Voice

KEYS = "123456789"
PIECE = 200
"""Bytes: 25 ms of A-law. No two words have the same, sample for sample."""
MOST = 0.7
"""The share of its pieces by which a prompt counts as heard."""
DISTINCT = 0.5
"""The same of the pieces that belong to one key alone."""
END = 6
"""Pieces at the end of a prompt."""
LAST = 2
"""Pieces of which one is to be heard before it has come to its end."""
_SILENT = 12
"""A piece with fewer different samples is near silence, and may occur anywhere."""


async def said(voice: Voice, audio: bytes, prompt: str, **values: Any) -> bool:
    """Whether this prompt is in what was heard (A-law), to its end."""
    return _heard(_pieces(await voice.say(prompt, **values)), audio, MOST)


async def key_asked_for(voice: Voice, audio: bytes, prompt: str = "accept.take", **values: Any) -> str | None:
    """The key that takes the alarm, or that another prompt asks for, if it has been named."""
    clips = tuple([await voice.say(prompt, key=key, **values) for key in KEYS])
    return next((key for key, own in zip(KEYS, _own(clips), strict=True) if _heard(own, audio, DISTINCT)), None)


@cache
def _own(clips: tuple[bytes, ...]) -> list[list[bytes]]:
    """The pieces of each clip that are in no other."""
    return [
        [piece for piece in _pieces(clip) if not any(piece in other for other in clips if other is not clip)]
        for clip in clips
    ]


def _pieces(clip: bytes) -> list[bytes]:
    whole = [clip[at : at + PIECE] for at in range(0, len(clip) - PIECE + 1, PIECE)]
    return [piece for piece in whole if len(set(piece)) >= _SILENT]


def _heard(pieces: list[bytes], audio: bytes, share: float) -> bool:
    """Whether so many of them were heard, and it was spoken to its end."""
    spoken = any(piece in audio for piece in pieces[-LAST:])
    return spoken and _share(pieces[-END:], audio) >= DISTINCT and _share(pieces, audio) >= share


def _share(pieces: list[bytes], audio: bytes) -> float:
    return sum(piece in audio for piece in pieces) / len(pieces) if pieces else 0.0
