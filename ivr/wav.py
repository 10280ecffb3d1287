"""Clips out of WAV files: PCM of 8, 16, 24 or 32 bit, any rate, any number of channels."""

import io
import wave

import numpy as np

from ivr.sound import Samples, telephone


def clip(data: bytes) -> bytes:
    """A-law, 8 kHz, at the loudness of everything else. Raises ValueError or EOFError for what is no such file."""
    try:
        with wave.open(io.BytesIO(data)) as file:
            channels, width, rate = file.getnchannels(), file.getsampwidth(), file.getframerate()
            frames = file.readframes(file.getnframes())
    except wave.Error as error:
        raise ValueError(str(error)) from None
    samples = _samples(frames, width)
    found = telephone(samples[: len(samples) // channels * channels].reshape(-1, channels).mean(axis=1), rate)
    if not found:
        raise ValueError("nothing is to be heard")
    return found


def _samples(data: bytes, width: int) -> Samples:
    if width == 1:
        return (np.frombuffer(data, np.uint8).astype(np.float32) - np.float32(128)) / np.float32(128)
    octets = np.frombuffer(data[: len(data) // width * width], np.uint8).reshape(-1, width)
    wide = np.zeros((len(octets), 4), np.uint8)
    wide[:, 4 - width :] = octets
    return wide.view("<i4")[:, 0].astype(np.float32) / np.float32(2**31)
