"""Which prompt does somebody hear? For machines so busy that a frame is lost now and then.

Who has the same voice finds a prompt again in what he heard, piece by piece. Where `voice.sim.recognising` wants every
byte, here most of the pieces are enough; and for the key only those that tell one key from the others.
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
_SILENT = 12
"""A piece with fewer different samples is near silence, and may occur anywhere."""


async def which_key(voice: Voice, audio: bytes, prompt: str = "accept.take", **values: Any) -> str | None:
    """The key that is asked for (the one that takes the alarm), if it has been named in what was heard (A-law)."""
    clips = tuple([await voice.say(prompt, key=key, **values) for key in KEYS])
    return next((key for key, own in zip(KEYS, _own(clips), strict=True) if _heard(own, audio, DISTINCT)), None)


async def was_said(voice: Voice, audio: bytes, prompt: str, **values: Any) -> bool:
    """Whether a prompt is in what was heard, to its end."""
    return _heard(_pieces(await voice.say(prompt, **values)), audio, MOST)


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
    return _share(pieces[-END:], audio) >= DISTINCT and _share(pieces, audio) >= share


def _share(pieces: list[bytes], audio: bytes) -> float:
    return sum(piece in audio for piece in pieces) / len(pieces) if pieces else 0.0
