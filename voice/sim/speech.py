"""What simulated people say: spoken clips, tones, and frames with a number, so that losses can be counted.

All audio is A-law, 8 kHz, mono. Deterministic: the same call gives the same bytes.
"""

import math
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from voice.errors import UsageError
from voice.rtp.codecs import ALAW_SILENCE, FRAME_SAMPLES, SAMPLE_RATE, pcm_to_alaw

# A mark is four bytes that say where it begins, then the number in eight digits to base 16, then their
# complement; eight marks fill a frame. The bytes are A-law code words (XOR 0x55, G.711) far enough apart to
# come back from a way through mu-law: the middle of each segment with either sign, and to begin with the top
# of the loudest one.
_LEVELS = bytes((sign | segment << 4 | 8) ^ 0x55 for sign in (0x80, 0x00) for segment in range(8))
_DIGIT = {level: digit for digit, level in enumerate(_LEVELS)}
_BEGIN = bytes([0xFF ^ 0x55, 0x7F ^ 0x55]) * 2
_REPEATS = 8
_MARK = FRAME_SAMPLES // _REPEATS


@cache
def clip(name: str) -> bytes:
    """The spoken clip `badge` (8 s, a worker in distress) or `operator` (4 s, an answer), in A-law."""
    wav = files("voice.sim").joinpath("assets", f"{name}.wav").read_bytes()
    offset = 12
    while wav[offset : offset + 4] != b"data":
        if offset >= len(wav):
            raise UsageError(f"{name}.wav has no audio")
        offset += 8 + int.from_bytes(wav[offset + 4 : offset + 8], "little")
    size = int.from_bytes(wav[offset + 4 : offset + 8], "little")
    return wav[offset + 8 : offset + 8 + size]


def frames(audio: bytes, size: int = FRAME_SAMPLES) -> Iterator[bytes]:
    """`audio` in frames of `size` samples, the last one filled up with silence."""
    for start in range(0, len(audio), size):
        yield audio[start : start + size].ljust(size, ALAW_SILENCE)


def silence(seconds: float) -> bytes:
    """Digital silence."""
    return ALAW_SILENCE * round(seconds * SAMPLE_RATE)


def tone(frequencies: float | tuple[float, ...], seconds: float, level: float = 0.3) -> bytes:
    """A steady tone, or several at once; `level` is the peak of each against full scale."""
    together = frequencies if isinstance(frequencies, tuple) else (frequencies,)
    steps = [2 * math.pi * frequency / SAMPLE_RATE for frequency in together]
    peak = 32767 * level
    samples = (round(peak * sum(math.sin(step * n) for step in steps)) for n in range(round(seconds * SAMPLE_RATE)))
    return pcm_to_alaw(array("h", samples).tobytes())


def bursts(count: int, *, on: float = 0.1, off: float = 0.4, frequency: float = 1000.0) -> bytes:
    """`count` tone bursts with pauses between: rhythm that survives a change of speed."""
    return (tone(frequency, on) + silence(off)) * count


def marked_frame(number: int) -> bytes:
    """20 ms of audio that say `number` (32 bits), to be read back by `marks`."""
    digits = [number >> shift & 15 for shift in range(28, -1, -4)]
    return (_BEGIN + bytes(_LEVELS[digit] for digit in (*digits, *(15 - digit for digit in digits)))) * _REPEATS


def marked_frames(count: int, first: int = 0) -> Iterator[bytes]:
    """`count` frames that say `first`, `first` + 1, ..."""
    return (marked_frame(number) for number in range(first, first + count))


def read_mark(frame: bytes) -> int | None:
    """The number that one 20 ms frame says; None where it is not a whole marked frame."""
    if not frame.startswith(_BEGIN) or frame != frame[:_MARK] * _REPEATS:
        return None
    digits = [_DIGIT.get(byte, 16) for byte in frame[4:_MARK]]
    if any(digit + complement != 15 for digit, complement in zip(digits[:8], digits[8:], strict=True)):
        return None
    return int("".join(f"{digit:x}" for digit in digits[:8]), 16)


@dataclass(frozen=True, slots=True)
class Marks:
    """The numbers found in a piece of audio, in the order in which they are heard."""

    found: tuple[tuple[int, int], ...]
    """(position in samples, number)"""

    @property
    def numbers(self) -> list[int]:
        return [number for _, number in self.found]

    def missing(self, expected: Iterable[int]) -> list[int]:
        """What of `expected` is not there."""
        present = set(self.numbers)
        return [number for number in expected if number not in present]

    @property
    def in_place(self) -> bool:
        """Whether each frame lies where its number says: one frame per number, none moved, none twice."""
        origins = {position - number * FRAME_SAMPLES for position, number in self.found}
        return len(origins) <= 1


def marks(audio: bytes) -> Marks:
    """Finds all marked frames in `audio`, at whatever offset they begin."""
    found: list[tuple[int, int]] = []
    position = audio.find(_BEGIN)
    while position >= 0:
        number = read_mark(audio[position : position + FRAME_SAMPLES])
        if number is not None:
            found.append((position, number))
        position = audio.find(_BEGIN, position + (1 if number is None else FRAME_SAMPLES))
    return Marks(tuple(found))
