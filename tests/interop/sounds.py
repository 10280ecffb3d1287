"""Test signals, and what of them can be found again in a recording: 8 kHz, mono, 16-bit samples in numpy."""

import struct
import warnings
import wave
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    import audioop

RATE = 8000
FRAME = 160
ALAW_SILENCE = 0xD5

Samples = NDArray[np.int16]


def tone(frequency: float, seconds: float, level: float = 0.4) -> Samples:
    """A sine; `level` is the peak, 1.0 full scale. Faded over 5 ms at both ends, against clicks."""
    count = round(seconds * RATE)
    wave_form = np.sin(2 * np.pi * frequency * np.arange(count) / RATE)
    fade = np.minimum(1.0, np.minimum(np.arange(count), np.arange(count)[::-1]) / (0.005 * RATE))
    return np.round(wave_form * fade * level * 32767).astype(np.int16)


def silence(seconds: float) -> Samples:
    return np.zeros(round(seconds * RATE), np.int16)


def ladder(frequencies: tuple[float, ...], seconds: float) -> Samples:
    """Tones one after another, each `seconds` long: what is heard tells from which second it is."""
    return np.concatenate([tone(frequency, seconds) for frequency in frequencies])


def to_alaw(samples: Samples) -> bytes:
    return audioop.lin2alaw(samples.astype("<i2").tobytes(), 2)


def from_alaw(data: bytes) -> Samples:
    return np.frombuffer(audioop.alaw2lin(data, 2), "<i2").astype(np.int16)


def write_wav(path: Path, samples: Samples) -> Path:
    """A WAV as every one of the peers takes it: linear, 16 bits, 8 kHz, mono."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(samples.astype("<i2").tobytes())
    return path


def read_wav(path: Path) -> Samples:
    """Linear or A-law WAV, also one that is still being written to: its header may not know its length."""
    data = path.read_bytes()
    if len(data) < 44:
        return silence(0)
    if data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        raise ValueError(f"{path} is no WAV file")
    position, encoding, bits = 12, 0, 0
    while position + 8 <= len(data):
        name, size = struct.unpack_from("<4sI", data, position)
        position += 8
        if name == b"fmt ":
            encoding, channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", data, position)
            if (channels, rate) != (1, RATE):
                raise ValueError(f"{path} has {channels} channels at {rate} Hz")
        if name == b"data":
            body = data[position : position + size] if size else data[position:]
            if encoding == 6:
                return from_alaw(body)
            if (encoding, bits) == (1, 16):
                return np.frombuffer(body[: len(body) // 2 * 2], "<i2").astype(np.int16)
            raise ValueError(f"{path} holds format {encoding} with {bits} bits")
        position += size + size % 2
    return silence(0)


@dataclass(frozen=True, slots=True)
class Moment:
    """50 ms of a recording: when it begins, its strongest frequency, its loudness (RMS, 1.0 full scale)."""

    at: float
    frequency: float
    level: float


def moments(samples: Samples) -> list[Moment]:
    """A recording in steps of 50 ms. Frequencies are exact to a few Hz."""
    length = RATE // 20
    window = np.hanning(length)
    found = []
    for begin in range(0, len(samples) - length + 1, length):
        piece = samples[begin : begin + length].astype(float) / 32768
        level = float(np.sqrt(np.mean(piece**2)))
        spectrum = np.abs(np.fft.rfft(piece * window, 4096))
        found.append(Moment(begin / RATE, float(np.argmax(spectrum)) * RATE / 4096, level))
    return found


def seconds_of(samples: Samples, frequency: float, *, within: float = 25.0, louder_than: float = 0.02) -> float:
    """For how long a tone is the strongest thing in a recording."""
    return 0.05 * sum(
        moment.level > louder_than and abs(moment.frequency - frequency) <= within for moment in moments(samples)
    )


def order_of(samples: Samples, frequencies: tuple[float, ...], *, at_least: float = 0.15) -> list[float]:
    """Which of these tones are heard, in the order of their first lasting appearance."""
    first: dict[float, float] = {}
    for frequency in frequencies:
        times = [
            moment.at for moment in moments(samples) if moment.level > 0.02 and abs(moment.frequency - frequency) <= 25
        ]
        if 0.05 * len(times) >= at_least:
            first[frequency] = times[0]
    return sorted(first, key=first.__getitem__)


def loudest(samples: Samples) -> int:
    """The greatest absolute sample value; A-law's own silence is 8."""
    return int(np.abs(samples.astype(np.int32)).max()) if len(samples) else 0
