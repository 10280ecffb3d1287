"""Does this sound like an answering machine? Advisory only: it never decides whether a person has taken an alarm.

Three signs, none of them sure:

- a greeting: speech for `GREETING` seconds, with pauses only for breath; people say a name and wait;
- silence after a greeting of some length, as before a beep;
- the beep: one steady tone between 350 and 2000 Hz that begins and ends.

The clock starts at the first speech, for networks send seconds of silence after the answer. Ring-back of North America
(440 + 480 Hz) is two tones and no beep; ring-back and busy of Europe (425 Hz, France 440 Hz) are told from one by their
pitch; keys (DTMF) are two tones too.
"""

import numpy as np
import numpy.typing as npt

from ivr.sound import FRAME, RATE, linear

GREETING = 4.5
"""Seconds of speech without a real pause that no person says on picking up."""
PAUSE = 1.0
"""Seconds of silence that end a greeting: somebody waits for an answer."""
SHORT_GREETING = 3.0
"""A greeting of this length, followed by `WAITS` of silence, is suspicious too."""
WAITS = 2.5

QUIETEST = -45.0
"""dBov (RMS of 20 ms) below which nothing is speech."""
BEEP = (345.0, 2010.0)
"""Hz: 350 to 2000, as exactly as it is measured here."""
BEEP_SECONDS = (0.16, 3.0)
TELEPHONE_TONES = (405.0, 465.0)
"""Hz: what a single tone in here means is not known: ring-back, busy, or a low beep."""

_WINDOW = 4 * FRAME  # 80 ms: tones 40 Hz apart are two
_PURE = 0.85  # share of the energy in one spectral line
_STEADY = 15.0  # Hz that a tone may wander
_FRAME_SECONDS = FRAME / RATE
_HANN = np.hanning(_WINDOW + 1)[:-1]


class Machine:
    """Listens to what the called side says, in pieces of any length."""

    def __init__(self) -> None:
        self.suspected: str | None = None
        """Why a machine is suspected, for the timeline; None: it is not."""
        self.suspicion = 0
        """0 none; 1 a greeting, which may be a talkative person or an echo; 2 a beep."""
        self._rest = b""
        self._before = np.zeros(_WINDOW - FRAME)  # what the next window begins with
        self._greeting = 0.0  # seconds of it so far, breaths included
        self._pause = 0.0
        self._spoke = False
        self._tone: tuple[float, float] | None = None  # (Hz, seconds so far)

    def hear(self, alaw: bytes) -> None:
        """Take in the next piece of audio: A-law, 8 kHz."""
        data = self._rest + alaw
        whole = len(data) // FRAME * FRAME
        self._rest = data[whole:]
        if whole:
            self._take(linear(data[:whole]).astype(np.float64))

    def _take(self, samples: npt.NDArray[np.float64]) -> None:
        """Whole frames, all at once."""
        heard = np.concatenate((self._before, samples))
        self._before = heard[len(samples) :]
        loud = _levels(samples.reshape(-1, FRAME)) > QUIETEST
        windows = np.lib.stride_tricks.sliding_window_view(heard, _WINDOW)[::FRAME]
        pitches = iter(_pitches(windows[loud]))
        for is_loud in loud.tolist():
            self._listen_for_beep(next(pitches) if is_loud else None)
            if self._tone is None:
                self._listen_for_greeting(is_loud)

    def _listen_for_greeting(self, is_loud: bool) -> None:
        if is_loud:
            self._greeting = self._greeting + self._pause + _FRAME_SECONDS if self._pause < PAUSE else _FRAME_SECONDS
            self._pause, self._spoke = 0.0, True
        elif self._spoke:
            self._pause += _FRAME_SECONDS
        if self._greeting >= GREETING:
            self._suspect(f"a greeting of more than {GREETING:g} s")
        elif self._greeting >= SHORT_GREETING and self._pause >= WAITS:
            self._suspect(f"{self._greeting:.1f} s of greeting, then silence")

    def _listen_for_beep(self, pitch: float | None) -> None:
        if self._tone is not None and pitch is not None and abs(pitch - self._tone[0]) <= _STEADY:
            self._tone = self._tone[0], self._tone[1] + _FRAME_SECONDS
            return
        if self._tone is not None:
            frequency, seconds = self._tone
            # The window holds 60 ms more of the tone than there were pure windows.
            if _is_beep(frequency, seconds + 0.06):
                self._suspect(f"a beep of {frequency:.0f} Hz", 2)
        self._tone = None if pitch is None else (pitch, _FRAME_SECONDS)

    def _suspect(self, why: str, suspicion: int = 1) -> None:
        if suspicion > self.suspicion:
            self.suspicion = suspicion
            self.suspected = f"sounded like an answering machine: {why}"


def _is_beep(frequency: float, seconds: float) -> bool:
    low, high = TELEPHONE_TONES
    return (
        BEEP[0] <= frequency <= BEEP[1]
        and not low <= frequency <= high
        and BEEP_SECONDS[0] <= seconds <= BEEP_SECONDS[1]
    )


def _levels(frames: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """dBov of each, of samples between -1 and 1."""
    return np.asarray(10 * np.log10(np.mean(frames**2, axis=1) + 1e-12))


def _pitches(windows: npt.NDArray[np.float64]) -> list[float | None]:
    """Of each window the frequency of a single steady tone that fills it; None where it is anything else."""
    powers = np.abs(np.fft.rfft(windows * _HANN)) ** 2
    return [_pitch(power) for power in powers]


def _pitch(power: npt.NDArray[np.float64]) -> float | None:
    peak = int(np.argmax(power))
    near = slice(max(0, peak - 2), peak + 3)  # the main lobe: the line and two beside it
    weights = power[near]
    if weights.sum() < _PURE * power.sum():
        return None
    return float(weights @ np.arange(near.start, near.start + len(weights)) / weights.sum()) * RATE / _WINDOW
