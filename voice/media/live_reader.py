"""Playing out a track while it grows, with a small fixed delay against jitter.

The reader follows the track, not the clock of the peer, and finds back to its delay after every disturbance.
When the track stalls there is silence until the playout delay is filled again. What then arrives late is
played a little faster until the delay is small again, rather than dropped.
"""

from __future__ import annotations

from voice.media.mixing import alaw, linear
from voice.media.quiet import Samples
from voice.media.timescale import LOOKAHEAD, SEARCH, TimeScaler
from voice.media.track import Track
from voice.rtp.codecs import ALAW_SILENCE, FRAME_SAMPLES, SAMPLE_RATE

PLAYOUT_DELAY = 320
"""Samples kept between the end of a track and what is heard: 40 ms."""

NEARLY_LIVE = LOOKAHEAD + SEARCH
"""The least distance from the end (60 ms) at which playing faster still works."""

_IMPATIENT = 4000  # half a second behind: hasten at once
_STANDING = 480  # 60 ms more than the delay, kept up ...
_WINDOW = 50  # ... for a second: hasten. Bursts alone are no reason: their troughs show that the delay is needed
_LONGEST_OWED = 60 * SAMPLE_RATE


class LiveReader:
    """Reads one growing `Track` in frames of 160 samples, untouched while all goes well.

    `position` is the first sample to be heard; without it the reader starts at the live end.
    """

    def __init__(
        self, track: Track, position: int | None = None, *, delay: int = PLAYOUT_DELAY, speed: float = 1.5
    ) -> None:
        self.track = track
        self.position = max(track.end - delay, 0) if position is None else position
        """The first sample that has not been handed out."""
        self._delay = delay
        self._speed = speed
        self._hastening: TimeScaler | None = None
        self._filling = self.behind < delay  # silent until the delay is filled
        # Samples of silence that were heard in place of the track. Who begins at its end may begin in a pause, which
        # the track does not have yet: whatever silence it then turns out to have is over.
        self._owed = _LONGEST_OWED if self._filling else 0
        self._least = self.behind  # smallest distance in this window
        self._window = 0

    @property
    def behind(self) -> int:
        """Samples known but not handed out."""
        return self.track.end - self.position

    @property
    def finished(self) -> bool:
        """The track is closed and has been heard to its end."""
        return self.track.closed and self.behind <= 0

    def frame(self) -> bytes | None:
        """The next 160 samples; None where the track has nothing to give."""
        if self._hastening is not None:
            return self._hasten(self._hastening)
        if self._filling or self.behind < FRAME_SAMPLES:
            return self._starve()
        if self._too_late():
            return self._hasten(TimeScaler(self._read, self.position, self._speed))
        return self._take()

    def _take(self) -> bytes:
        chunk = self.track.read(self.position, FRAME_SAMPLES)
        self.position = min(self.position + FRAME_SAMPLES, self.track.end)
        return chunk

    def _starve(self) -> bytes | None:
        if self.track.closed:
            self._filling = False
            return self._take() if self.behind > 0 else None
        if self.behind >= max(self._delay, FRAME_SAMPLES):
            self._filling = False
            self._forget_heard_silence()
            self._begin_window()
            return self.frame()
        self._filling = True
        self._owed = min(self._owed + FRAME_SAMPLES, _LONGEST_OWED)
        return None

    def _forget_heard_silence(self) -> None:
        """Silence that already stood in for a gap is not played again when the gap turns out to be silence.

        So a peer that sends nothing in its pauses (silence suppression), or packets that are lost for good,
        do not leave the listener behind.
        """
        chunk = self.track.read(self.position, min(self._owed, self.behind - self._delay))
        silent = len(chunk) - len(chunk.lstrip(ALAW_SILENCE))
        self.position += silent
        # While the gap goes on, what the track has of it lies behind now by as much as is still owed.
        self._owed = self._owed - silent if silent == len(chunk) else 0

    def _too_late(self) -> bool:
        self._least = min(self._least, self.behind)
        self._window += 1
        if self._window < _WINDOW:
            return self.behind > self._delay + _IMPATIENT
        standing = self._least > self._delay + _STANDING
        self._begin_window()
        return standing

    def _begin_window(self) -> None:
        self._window = 0
        self._least = self.behind

    def _hasten(self, scaler: TimeScaler) -> bytes | None:
        if self.behind <= max(self._delay + FRAME_SAMPLES, NEARLY_LIVE):
            self._hastening = None
            self._begin_window()
            return self.frame()
        self._hastening = scaler
        samples = scaler.frame(self.track.end)
        self.position = scaler.position
        return alaw(samples)

    def _read(self, position: int, count: int) -> Samples:
        return linear(self.track.read(position, count))
