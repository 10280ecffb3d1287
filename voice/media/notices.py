"""What a leg tells about its media, for the timeline and for the operators. Each is one fact, with its
figures."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FirstAudio:
    """The first audio of the peer has come."""

    after: float
    """Seconds since the media was agreed on."""


@dataclass(frozen=True, slots=True)
class NoAudio:
    """The leg is up and no audio comes: "answered, then silence for ever"."""

    seconds: float
    """Since when."""


@dataclass(frozen=True, slots=True)
class AudioResumed:
    """Audio comes again, after a `NoAudio`."""

    after: float
    """Seconds without any."""


@dataclass(frozen=True, slots=True)
class Loss:
    """Many packets of the last seconds did not arrive."""

    percent: float
    seconds: float


@dataclass(frozen=True, slots=True)
class LossOver:
    """Packets arrive again as they should, after a `Loss`."""


@dataclass(frozen=True, slots=True)
class Jitter:
    """Packets come so unevenly that live listening suffers."""

    milliseconds: float


@dataclass(frozen=True, slots=True)
class SilentLine:
    """Packets come, but for `seconds` there was nothing but silence in them: a covered or broken
    microphone?"""

    seconds: float


@dataclass(frozen=True, slots=True)
class SoundAgain:
    """Something can be heard again, after a `SilentLine`."""

    after: float


@dataclass(frozen=True, slots=True)
class StorageFault:
    """The recording cannot be written to the disk now; it is kept in memory meanwhile."""

    reason: str


@dataclass(frozen=True, slots=True)
class StorageBack:
    """The recording is written again; what was kept in memory is on the disk, or about to be."""

    lost_ms: int
    """Audio of this leg that the full buffer had to drop."""


@dataclass(frozen=True, slots=True)
class Faulty:
    """Our own code failed on this leg; its media goes on as far as it can."""

    error: str


Notice = (
    FirstAudio
    | NoAudio
    | AudioResumed
    | Loss
    | LossOver
    | Jitter
    | SilentLine
    | SoundAgain
    | StorageFault
    | StorageBack
    | Faulty
)
