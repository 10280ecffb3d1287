"""Watches what a leg receives and tells when a person should know: no audio, loss, jitter, a silent line.

Pure: `look` is called twice a second with the figures of the leg and returns notices.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

from voice.media.notices import (
    AudioResumed,
    FirstAudio,
    Jitter,
    Loss,
    LossOver,
    NoAudio,
    Notice,
    SilentLine,
    SoundAgain,
)
from voice.rtp.codecs import alaw_to_pcm, audioop

FLOOR = -96.0
"""dBov reported for digital silence."""


@dataclass(frozen=True, slots=True)
class Thresholds:
    """When a figure becomes a notice, and when that is over."""

    no_audio: float = 3.0
    """Seconds without a packet. Doubled after each pause up to `no_audio_most`: some devices send only
    speech."""
    no_audio_most: float = 30.0
    loss: float = 10.0
    """Percent of the packets of `window` seconds."""
    loss_over: float = 2.0
    window: float = 5.0
    jitter: float = 60.0
    """Milliseconds."""
    jitter_over: float = 30.0
    silent: float = 30.0
    """Seconds below `silence_level`."""
    silence_level: float = -65.0
    """dBov, over one second. The quietest room over a badge's microphone measures about -60."""


@dataclass(frozen=True, slots=True)
class Figures:
    """What the watch looks at."""

    received: int
    expected: int
    jitter: float
    """Milliseconds."""
    last_arrival: float | None
    receives: bool
    """Whether audio is to be expected: false on hold."""
    second: bytes | None
    """The last second of audio (A-law) if it is time to measure its level."""


def level(alaw: bytes) -> float:
    """RMS level in dBov (RFC 6464: 0 is the overload of the codec); `FLOOR` for silence."""
    rms = audioop.rms(alaw_to_pcm(alaw), 2) if alaw else 0
    return max(FLOOR, 20 * math.log10(rms / 32768)) if rms > 8 else FLOOR


class Watch:
    """The watch over one leg, from the moment at which its media was agreed on."""

    def __init__(self, started: float, thresholds: Thresholds = Thresholds()) -> None:
        self.level = FLOOR
        """dBov of the last second measured."""
        self._thresholds = thresholds
        self._started = started
        self._heard_at = started  # the last time that all was well
        self._first = True
        self._patience = thresholds.no_audio
        self._missing = False
        self._counts: deque[tuple[float, int, int]] = deque([(started, 0, 0)])
        self._lossy = False
        self._jittery = False
        self._sounded_at: float | None = None
        self._silent = False

    def look(self, now: float, figures: Figures) -> list[Notice]:
        """What has become worth saying since the last look."""
        notices = self._flow(now, figures)
        if figures.received and figures.receives:
            notices += self._loss(now, figures) + self._jitter(figures)
            if figures.second is not None and not self._missing:
                notices += self._silence(now, figures.second)
        return notices

    def first_audio(self, now: float) -> list[Notice]:
        """The first packet is here: told at once, not at the next look."""
        if not self._first:
            return []
        self._first = False
        return [FirstAudio(round(now - self._started, 3))]

    def _flow(self, now: float, figures: Figures) -> list[Notice]:
        if not figures.receives:
            self._heard_at, self._missing = now, False
            return []
        arrival = figures.last_arrival
        if arrival is not None and arrival > self._heard_at:
            before, self._heard_at = self._heard_at, arrival
            if self._missing and now - arrival < self._patience:
                self._missing = False
                self._patience = min(2 * self._patience, self._thresholds.no_audio_most)
                return [AudioResumed(round(arrival - before, 3))]
        if not self._missing and now - self._heard_at >= self._patience:
            self._missing = True
            return [NoAudio(round(now - self._heard_at, 3))]
        return []

    def _loss(self, now: float, figures: Figures) -> list[Notice]:
        counts = self._counts
        counts.append((now, figures.received, figures.expected))
        while now - counts[0][0] > self._thresholds.window + 0.25:
            counts.popleft()
        since, received, expected = counts[0]
        promised = figures.expected - expected
        if now - since < self._thresholds.window - 0.25 or promised <= 0:
            return []
        percent = 100 * max(0.0, 1 - (figures.received - received) / promised)
        if not self._lossy and percent >= self._thresholds.loss:
            self._lossy = True
            return [Loss(round(percent, 1), round(now - since, 1))]
        if self._lossy and percent <= self._thresholds.loss_over:
            self._lossy = False
            return [LossOver()]
        return []

    def _jitter(self, figures: Figures) -> list[Notice]:
        if not self._jittery and figures.jitter >= self._thresholds.jitter:
            self._jittery = True
            return [Jitter(round(figures.jitter, 1))]
        if figures.jitter <= self._thresholds.jitter_over:
            self._jittery = False
        return []

    def _silence(self, now: float, second: bytes) -> list[Notice]:
        # Every fourth sample has the same level as all of them, at a quarter of the cost.
        self.level = level(second[::4])
        if self._sounded_at is None:
            self._sounded_at = now
        elif self.level >= self._thresholds.silence_level:
            before, self._sounded_at = self._sounded_at, now
            if self._silent:
                self._silent = False
                return [SoundAgain(round(now - before, 1))]
        elif not self._silent and now - self._sounded_at >= self._thresholds.silent:
            self._silent = True
            return [SilentLine(round(now - self._sounded_at, 1))]
        return []
