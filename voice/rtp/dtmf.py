"""DTMF tones in the audio (ITU-T Q.23, Q.24): a detector for one leg, batched over many.

The detector looks at windows of 20 ms, each 10 ms further (Goertzel's measurement, as one matrix product for
all windows of all legs). A window counts as a tone when

- both groups have a tone of at least MINIMUM_LEVEL, with a twist (difference between the two) of at most
  TWIST;
- each tone stands out from the others of its group;
- the two tones have at least TONE_SHARE of the energy of the window: speech has harmonics, DTMF has nothing
  else;
- both frequencies are within TOLERANCE of nominal, measured by how far the phase has turned since the window
  before: finer than any filter of this length could tell. Q.24 wants 1.5 % accepted and 3.5 % refused.

TONE_WINDOWS such windows in a row may be a digit: a tone of 35 ms always covers so many, one of 20 ms (the
start of a tone that a gateway cuts out too late) never. They are one when they are also pure enough: what each has
more than USUAL_SHARE in its tones adds up to a proof. So a short tone has to be clean, and one in noise has to
last. Vowels, too, are two tones for 30 to 60 ms now and then, but within a word: the less quiet it was just
before the tone, the more proof is asked for (PROOFS), and no tone of less than LONG_WINDOWS counts that is not as pure
for two windows as no vowel is (PURE_SHARE). PAUSE_WINDOWS without the tone end the press; a shorter
break belongs to it.

Windows that touch audio that was lost (`miss`) say nothing by themselves. What is before and behind them decides: the
same key on both sides is one press, silence on either side was silence in the hole too. A hole counts as one window of
the tone that it cuts short, so that a tone is still heard of which there are two windows.

Costs 0.5 ms of CPU per second of audio and leg when fed every 20 ms, 0.12 ms when fed every 100 ms.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from voice.errors import UsageError
from voice.rtp.codecs import SAMPLE_RATE, alaw_to_pcm

LOW: Final = (697.0, 770.0, 852.0, 941.0)
HIGH: Final = (1209.0, 1336.0, 1477.0, 1633.0)
KEYS: Final = "123A456B789C*0#D"
"""Row by row: the low tone chooses the row, the high tone the column."""

WINDOW: Final = 160
HOP: Final = 80
MINIMUM_LEVEL: Final = -38.0
"""dBm0 of the weaker tone."""
TWIST: Final = 10.0
"""dB, either way. Tested at 8: the rest is for the window's own error with frequencies that are off."""
STANDS_OUT: Final = 4.0
"""dB over the next strongest tone of the group."""
TONE_SHARE: Final = 0.5
TOLERANCE: Final = 0.02
USUAL_SHARE: Final = 0.65
PROOFS: Final = ((10.0, 0.62), (4.0, 0.74), (float("-inf"), 1.1))
"""(dB by which the sound rose with the tone, at least; proof that is asked for then)"""
PROOF_OF_HOLE: Final = 0.3
"""What a hole adds that cuts a tone short: as much as a window of the tone would have."""
PURE_SHARE: Final = 0.95
"""Of the two purest windows in a row, on average: what a short tone has to have. A vowel that is two tones for as long
as a short tone had 0.93 at most, in 16 hours of speech; a tone with noise 15 dB below it has 0.97."""
LONG_WINDOWS: Final = 8
"""From which on a tone may be less pure: no vowel holds two tones for so long."""
TONE_WINDOWS: Final = 3
PAUSE_WINDOWS: Final = 3

FULL_SCALE_DBM0: Final = 3.14
"""Level of the loudest sine that A-law can carry (G.711 table 5)."""
_FULL_SCALE: Final = 32_256.0

_UNKNOWN: Final = -2
"""The key of a window of which something was lost; -1: it shows none."""

Spectrum = NDArray[np.complex64]


def amplitude(dbm0: float) -> float:
    """Peak of a sine of this level, in 16-bit units."""
    return float(_FULL_SCALE * 10.0 ** ((dbm0 - FULL_SCALE_DBM0) / 20.0))


_FREQUENCIES: Final = np.array(LOW + HIGH)
_HANN: Final = np.hanning(WINDOW + 2)[1:-1]
_KERNEL: Final = (
    _HANN[:, None] * np.exp(-2j * np.pi * np.arange(WINDOW)[:, None] * _FREQUENCIES / SAMPLE_RATE)
) / _HANN.sum()
_KERNEL_PARTS: Final = np.hstack([_KERNEL.real, _KERNEL.imag]).astype(np.float32)
"""Real and imaginary parts of all eight; a sine of amplitude a on its frequency gives a / 2."""
_WEIGHTS: Final = (_HANN**2 / (_HANN**2).sum()).astype(np.float32)
_TURN: Final = np.exp(-2j * np.pi * HOP * _FREQUENCIES / SAMPLE_RATE)
"""Undoes the turn of the phase in one hop at the nominal frequency; what is left is the error."""
_TWIST_RATIO: Final = 10 ** (TWIST / 10)
_PROOFS: Final = tuple((10 ** (rise / 10), proof) for rise, proof in PROOFS)
_STANDS_OUT_RATIO: Final = 10 ** (STANDS_OUT / 10)
_MINIMUM_POWER: Final = (amplitude(MINIMUM_LEVEL) / 2) ** 2


def _window_response(error: NDArray[np.float64]) -> NDArray[np.float64]:
    """How much of its power a tone keeps that is `error` Hz off: the Hann window's transform, squared."""
    x = error * WINDOW / SAMPLE_RATE
    return np.asarray(np.square(np.sinc(x) / (1.0 - np.square(np.clip(x, -0.99, 0.99)))))


class DtmfDetector:
    """The state of one leg's detector. Feed it all audio of the leg, in pieces of any length."""

    __slots__ = (
        "_absent",
        "_before",
        "_candidate",
        "_energies",
        "_holes",
        "_key",
        "_previous",
        "_proof",
        "_purest",
        "_rest",
        "_run",
        "_share",
        "_unknown",
    )

    def __init__(self) -> None:
        self._rest = bytes(2 * HOP)  # as if silence had gone before
        self._previous: Spectrum = np.zeros(8, np.complex64)
        self._candidate: int = -1
        self._run = 0
        self._key: int = -1
        self._absent = 0
        self._proof = 0.0
        self._share = 0.0  # of the last window of the tone
        self._purest = 0.0  # mean share of its two purest windows in a row
        self._before = 0.0  # energy just before the tone
        self._energies = (0.0, 0.0)  # of the last two windows
        self._unknown = 0  # windows of the hole so far
        self._holes: list[tuple[int, int]] = []  # samples lost, counted from the beginning of `_rest`

    def miss(self, samples: int) -> None:
        """So much audio was lost before what is fed next."""
        have = len(self._rest) // 2
        self._holes.append((have, have + samples))
        self._rest += bytes(2 * samples)

    def feed(self, pcm: bytes) -> str:
        """Digits heard in this audio (16-bit PCM, 8 kHz), 35 to 45 ms after each began."""
        return detect([self], [pcm])[0]

    def feed_alaw(self, alaw: bytes) -> str:
        """`feed` for A-law."""
        return self.feed(alaw_to_pcm(alaw))


def detect(detectors: Sequence[DtmfDetector], pcm: Sequence[bytes]) -> list[str]:
    """`feed` for many legs at once, one piece of audio each: the digits of each leg."""
    windows, counts = _windows(detectors, pcm)
    if not len(windows):
        return [""] * len(detectors)
    spectra, keys, shares, energies = _measure(windows, detectors, counts)
    digits = []
    end = 0
    for detector, count in zip(detectors, counts, strict=True):
        start, end = end, end + count
        if detector._holes:
            _hide(detector, keys, start, end)
        heard = zip(keys[start:end], shares[start:end], energies[start:end], strict=True)
        digits.append("".join(_follow(detector, *window) for window in heard))
        if count:
            detector._previous = spectra[end - 1]
    return digits


def _hide(detector: DtmfDetector, keys: list[int], start: int, end: int) -> None:
    """Windows `start` to `end` are the leg's: mark those of which something was lost."""
    count = end - start
    for begin, stop in detector._holes:
        for window in range(max(0, (begin - WINDOW) // HOP + 1), min(count, (stop - 1) // HOP + 1)):
            keys[start + window] = _UNKNOWN
    passed = HOP * count
    detector._holes = [(begin - passed, stop - passed) for begin, stop in detector._holes if stop > passed]


def _windows(detectors: Sequence[DtmfDetector], pcm: Sequence[bytes]) -> tuple[NDArray[np.float32], list[int]]:
    """All whole windows of all legs, one below the other, and how many each has; keeps the rest for later."""
    pieces = []
    counts = []
    for detector, new in zip(detectors, pcm, strict=True):
        if len(new) % 2:
            raise UsageError("half a sample")
        audio = detector._rest + new
        count = max(0, (len(audio) // 2 - WINDOW) // HOP + 1)
        detector._rest = audio[2 * HOP * count :]
        counts.append(count)
        if count:
            # Every window where it lies; numpy's own function for it takes longer than all the rest.
            pieces.append(np.ndarray((count, WINDOW), "<i2", audio, strides=(2 * HOP, 2)))
    if not pieces:
        return np.empty((0, WINDOW), np.float32), counts
    return np.concatenate(pieces).astype(np.float32), counts


def _measure(
    windows: NDArray[np.float32], detectors: Sequence[DtmfDetector], counts: Sequence[int]
) -> tuple[Spectrum, list[int], list[float], list[float]]:
    """Of each window the spectrum, the key that it shows (-1 for none), how pure its tones are, and its energy."""
    parts = windows @ _KERNEL_PARTS
    spectra: Spectrum = parts[:, :8] + np.complex64(1j) * parts[:, 8:]
    powers = np.square(parts[:, :8]) + np.square(parts[:, 8:])
    energies = np.square(windows) @ _WEIGHTS
    keys, shares = [-1] * len(windows), [0.0] * len(windows)
    low = powers[:, :4].max(axis=1)
    high = powers[:, 4:].max(axis=1)
    weaker = np.minimum(low, high)
    candidates = np.flatnonzero((weaker > _MINIMUM_POWER) & (weaker * _TWIST_RATIO > np.maximum(low, high)))
    if len(candidates):
        before = np.concatenate((np.zeros((1, 8), np.complex64), spectra[:-1]))
        starts = np.cumsum([0, *counts[:-1]])
        for detector, count, start in zip(detectors, counts, starts, strict=True):
            if count:
                before[start] = detector._previous
        found, pure = _judge(energies[candidates], spectra[candidates], before[candidates], powers[candidates])
        for at, key, share in zip(candidates.tolist(), found.tolist(), pure.tolist(), strict=True):
            keys[at], shares[at] = key, share
    return spectra, keys, shares, energies.tolist()


def _judge(
    energies: NDArray[np.float32],
    spectra: Spectrum,
    before: Spectrum,
    powers: NDArray[np.float32],
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """The key of each window that has a loud tone in either group, -1 where it is no DTMF; and its tones' share."""
    rows = np.arange(len(energies))
    row, column = powers[:, :4].argmax(axis=1), powers[:, 4:].argmax(axis=1)
    valid = np.ones(len(energies), np.bool_)
    tones = np.zeros(len(energies))
    for index, group in ((row, slice(0, 4)), (column + 4, slice(4, 8))):
        others = powers[:, group].copy()
        power = powers[rows, index]
        others[rows, index - group.start] = 0.0
        valid &= power > others.max(axis=1) * _STANDS_OUT_RATIO
        turned = spectra[rows, index] * np.conj(before[rows, index]) * _TURN[index]
        error = np.angle(turned) * (SAMPLE_RATE / HOP / (2 * np.pi))
        valid &= np.abs(error) < _FREQUENCIES[index] * TOLERANCE
        tones += power / _window_response(error)
    share = 2.0 * tones / energies
    valid &= share > TONE_SHARE
    return np.where(valid, 4 * row + column, -1), np.minimum(share, 1.0)


def _follow(detector: DtmfDetector, key: int, share: float, energy: float) -> str:
    """One more window of a leg: the digit that is heard by now, or ""."""
    if key == _UNKNOWN:
        return _unseen(detector)
    digit = _seen(detector, key, share, energy)
    detector._energies = detector._energies[1], energy
    return digit


def _unseen(detector: DtmfDetector) -> str:
    """A window of which something was lost: the first of a hole counts for the tone that is cut short."""
    detector._unknown += 1
    energy = detector._energies[1]
    detector._energies = 0.0, 0.0
    if detector._unknown > 1 or detector._candidate < 0:
        return ""
    detector._run += 1
    detector._proof += PROOF_OF_HOLE
    _weigh(detector, USUAL_SHARE + PROOF_OF_HOLE)
    return _begun(detector, energy)


def _seen(detector: DtmfDetector, key: int, share: float, energy: float) -> str:
    """A whole window that shows this key, or none."""
    hole, detector._unknown = detector._unknown, 0
    if key != detector._candidate:
        detector._candidate, detector._before = key, detector._energies[0]
        detector._run, detector._proof = (1, PROOF_OF_HOLE) if hole and key >= 0 else (0, 0.0)
        detector._share, detector._purest = (USUAL_SHARE + PROOF_OF_HOLE if hole and key >= 0 else 0.0), 0.0
    detector._run += 1
    _weigh(detector, share)
    detector._proof = max(0.0, detector._proof) + share - USUAL_SHARE
    if key != detector._key:
        detector._absent += 1 + hole
    elif hole and detector._absent:
        detector._absent += hole
    else:
        detector._absent = 0
    if detector._absent >= PAUSE_WINDOWS:
        detector._key = -1
    elif key == detector._key:
        detector._absent = 0
        return ""
    return _begun(detector, energy)


def _weigh(detector: DtmfDetector, share: float) -> None:
    """How pure is the tone, with one more window?"""
    detector._purest = max(detector._purest, (detector._share + share) / 2)
    detector._share = share


def _begun(detector: DtmfDetector, energy: float) -> str:
    """The digit, if its tone has been there for long enough, and purely enough."""
    key = detector._candidate
    if key < 0 or key == detector._key or detector._run < TONE_WINDOWS:
        return ""
    if detector._proof < next(proof for ratio, proof in _PROOFS if energy >= ratio * detector._before):
        return ""
    if detector._run < LONG_WINDOWS and detector._purest < PURE_SHARE:
        return ""
    detector._key, detector._absent = key, 0
    return KEYS[key]
