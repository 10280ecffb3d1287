"""Clips out of WAV files: PCM of 8, 16, 24 or 32 bit, any rate, any number of channels."""

import io
import wave

import numpy as np

from ivr.sound import Samples, telephone

_PCM = (1).to_bytes(2, "little")
_EXTENSIBLE = (0xFFFE).to_bytes(2, "little")


def clip(data: bytes) -> bytes:
    """A-law, 8 kHz, at the loudness of everything else. Raises ValueError for what is no such file."""
    try:
        with wave.open(io.BytesIO(_plain(data))) as file:
            channels, width, rate = file.getnchannels(), file.getsampwidth(), file.getframerate()
            frames = file.readframes(file.getnframes())
    except (wave.Error, EOFError, ValueError) as error:
        why = str(error) or "it ends too early"
        raise ValueError(f"is no WAV file with PCM of 8, 16, 24 or 32 bit: {why}") from None
    samples = _samples(frames, width)
    found = telephone(samples[: len(samples) // channels * channels].reshape(-1, channels).mean(axis=1), rate)
    if not found:
        raise ValueError("nothing is to be heard")
    return found


def _plain(data: bytes) -> bytes:
    """A file whose format is WAVE_FORMAT_EXTENSIBLE, as programs write it for 24 bit, as the PCM that it is.

    Python before 3.12 does not read the former.
    """
    at = 12
    while at + 34 <= len(data):
        if data[at : at + 4] == b"fmt ":
            is_pcm = data[at + 8 : at + 10] == _EXTENSIBLE and data[at + 32 : at + 34] == _PCM
            return data[: at + 8] + _PCM + data[at + 10 :] if is_pcm else data
        at += 8 + int.from_bytes(data[at + 4 : at + 8], "little") + 1 & ~1
    return data


def _samples(data: bytes, width: int) -> Samples:
    if width == 1:
        return (np.frombuffer(data, np.uint8).astype(np.float32) - np.float32(128)) / np.float32(128)
    octets = np.frombuffer(data[: len(data) // width * width], np.uint8).reshape(-1, width)
    wide = np.zeros((len(octets), 4), np.uint8)
    wide[:, 4 - width :] = octets
    return wide.view("<i4")[:, 0].astype(np.float32) / np.float32(2**31)
