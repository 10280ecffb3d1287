"""Listening to an incident: from second 0, faster than real time, until live; then live.

`IncidentAudio` lines up everything the devices of an incident have said. A `Listener` is one operator's
place in it, and the source of what that operator hears.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from voice.media.live_reader import NEARLY_LIVE, PLAYOUT_DELAY, LiveReader
from voice.media.mixing import alaw, linear, mix
from voice.media.quiet import Samples
from voice.media.timescale import LOOKAHEAD, TimeScaler
from voice.media.track import Track
from voice.rtp.codecs import ALAW_SILENCE, FRAME_SAMPLES, SAMPLE_RATE


@dataclass(frozen=True, slots=True)
class Placed:
    """A track and where its first sample lies in the incident."""

    track: Track
    offset: int

    @property
    def end(self) -> int:
        return self.offset + self.track.end


class IncidentAudio:
    """The device tracks of one incident on one line of samples.

    A device that calls again continues where its last call ended: the time between is not waited through. Two
    devices (or two calls) at the same time lie over each other as they happened, and are heard together.
    """

    def __init__(self, tracks: Sequence[Track] = ()) -> None:
        self._placed: list[Placed] = []
        for track in tracks:
            self.append(track)

    def append(self, track: Track) -> None:
        """Add the track of a further device leg, in the order of their calls. A track is added only once."""
        if any(placed.track is track for placed in self._placed):
            return
        self._placed.append(Placed(track, self._place_of(track)))

    def prepend(self, tracks: Sequence[Track]) -> None:
        """Put older tracks in front, from before a restart. To be called before anybody listens."""
        known, self._placed = self._placed, []
        for track in (*tracks, *(placed.track for placed in known)):
            self.append(track)

    @property
    def placed(self) -> Sequence[Placed]:
        """All tracks with their places, in order."""
        return self._placed

    @property
    def end(self) -> int:
        """Position after the last sample known so far."""
        return max((placed.end for placed in self._placed), default=0)

    @property
    def closed(self) -> bool:
        """There was a device and all its legs are gone. A new track opens it again."""
        return bool(self._placed) and all(placed.track.closed for placed in self._placed)

    def read(self, position: int, count: int) -> bytes:
        """Exactly `count` samples of A-law from `position` on; silence where there is nothing."""
        return (
            mix(
                [
                    placed.track.read(position - placed.offset, count)
                    for placed in self._placed
                    if placed.offset < position + count and position < placed.end
                ]
            )
            or ALAW_SILENCE * count
        )

    def _place_of(self, track: Track) -> int:
        if not self._placed:
            return 0
        last = self._placed[-1]
        apart = round((track.started - last.track.started).total_seconds() * SAMPLE_RATE)
        return last.offset + min(max(apart, 0), self.end - last.offset)


class Mode(StrEnum):
    """What a listener is doing."""

    CATCHING_UP = "catching_up"
    """Hears what was, faster than it was."""
    LIVE = "live"
    """Hears what is."""
    ENDED = "ended"
    """Has heard everything, and no device leg is left. A new one is heard at once."""


def _nothing() -> None:
    return None


class Listener:
    """One listener's place in an incident; a `Source` of 160 bytes A-law every 20 ms.

    `position` counts samples of the incident; `speed` is for catching up. `on_first_audio` is called once,
    with the first frame that carries audio of the incident; `on_live` whenever catching up has led to live.
    """

    def __init__(
        self,
        audio: IncidentAudio,
        *,
        position: int = 0,
        speed: float = 1.5,
        delay: int = PLAYOUT_DELAY,
        on_first_audio: Callable[[], None] = _nothing,
        on_live: Callable[[], None] = _nothing,
    ) -> None:
        self.on_first_audio = on_first_audio
        self.on_live = on_live
        self._audio = audio
        self._speed = speed
        self._delay = delay
        self._position = position
        self._mode = Mode.CATCHING_UP
        self._scaler = TimeScaler(self._read, position, speed)
        self._readers: list[tuple[int, LiveReader]] = []  # one per device leg, with its offset
        self._known = 0  # tracks that have been taken over into `_readers`, or were over before
        self._silent = True  # nothing has been heard yet

    @property
    def mode(self) -> Mode:
        return self._mode

    @property
    def position(self) -> int:
        """The next sample of the incident to be heard."""
        return self._position

    @property
    def behind(self) -> float:
        """Seconds between what is heard and what is known."""
        return max(self._audio.end - self._position, 0) / SAMPLE_RATE

    def back(self, seconds: float) -> None:
        """Hear the last `seconds` again, and catch up from there. Repeated, it leads further back."""
        target = max(self._position - round(seconds * SAMPLE_RATE), 0)
        if self._mode is not Mode.CATCHING_UP:
            self._scaler = TimeScaler(self._read, self._position, self._speed)
            self._mode = Mode.CATCHING_UP
        self._scaler.jump(target)
        self._position = target

    def to_live(self) -> None:
        """Leave out what is between here and now."""
        if self._mode is not Mode.CATCHING_UP:
            return
        rest = 0 if self._audio.closed else max(self._delay, FRAME_SAMPLES)
        self._position = max(self._position, self._audio.end - rest)
        self._scaler.jump(self._position)

    def frame(self) -> bytes | None:
        """The next 160 samples; None for silence."""
        frame = self._catch_up() if self._mode is Mode.CATCHING_UP else self._live()
        if frame is not None and self._silent:
            self._silent = False
            self.on_first_audio()
        return frame

    def _catch_up(self) -> bytes | None:
        end = self._audio.end
        if self._audio.closed:
            if self._position >= end and not self._scaler.jumping:
                self._tune_in()
                return None
            end += LOOKAHEAD  # the last samples are played too, into silence
        elif not self._scaler.jumping and end - self._position <= max(self._delay + FRAME_SAMPLES, NEARLY_LIVE):
            self._tune_in()
            self.on_live()
            return self._live()
        samples = self._scaler.frame(end)
        self._position = min(self._scaler.position, self._audio.end)
        return alaw(samples)

    def _tune_in(self) -> None:
        """Go on live with exactly the sample that catching up would have come to next."""
        self._readers = [
            (placed.offset, self._reader(placed.track, self._position - placed.offset))
            for placed in self._audio.placed
            if not placed.track.closed or self._position < placed.end
        ]
        self._known = len(self._audio.placed)
        self._mode = Mode.ENDED if self._audio.closed and not self._readers else Mode.LIVE

    def _live(self) -> bytes | None:
        self._welcome()
        frames = [frame for _, reader in self._readers if (frame := reader.frame()) is not None]
        for offset, reader in self._readers:
            self._position = max(self._position, offset + reader.position)
        self._readers = [(offset, reader) for offset, reader in self._readers if not reader.finished]
        if self._audio.closed and not self._readers:
            self._mode = Mode.ENDED
        return mix(frames)

    def _welcome(self) -> None:
        """Hear device legs that came after the step to live, from their first sample."""
        for placed in self._audio.placed[self._known :]:
            self._readers.append((placed.offset, self._reader(placed.track, 0)))
            self._known += 1
            self._mode = Mode.LIVE

    def _reader(self, track: Track, position: int) -> LiveReader:
        position = min(max(position, 0), track.end)
        return LiveReader(track, position, delay=self._delay, speed=self._speed)

    def _read(self, position: int, count: int) -> Samples:
        return linear(self._audio.read(position, count))
