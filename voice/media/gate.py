"""The transmit gate: the one place that decides what may leave towards a leg.

Everything a leg sends passes through `Gate.outgoing`. While the gate is shut the source is not even asked,
so no mixing, prompt or tone can ever be heard at a discreet device, whatever is wired behind the gate.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Protocol

from voice.rtp.codecs import ALAW_SILENCE_FRAME

KEEPALIVE_TICKS = 50
"""With the profile `keepalive`, one silent packet every so many ticks: one a second."""


class Profile(StrEnum):
    """What leaves while the gate is shut."""

    SILENCE = "silence"
    """Digital silence, 50 packets a second: what every gateway and NAT expects."""
    KEEPALIVE = "keepalive"
    """One silent packet a second: keeps a NAT binding open."""
    RECVONLY = "recvonly"
    """Nothing at all; the session description says `recvonly` too."""
    FULL = "full"
    """For operators and contacts: the gate is always open."""


class Source(Protocol):
    """Where the audio for a leg comes from."""

    def frame(self) -> bytes | None:
        """The next 160 samples of A-law; None for silence."""
        ...


class Gate:
    """Shut from the start (except profile `full`); only `set(True)` lets sound through."""

    def __init__(
        self, profile: Profile | str = Profile.SILENCE, on_change: Callable[[bool], None] | None = None
    ) -> None:
        self.profile = Profile(profile)
        self.on_change = on_change
        """Called with the new state at each opening and closing, for the timeline."""
        self._open = self.profile is Profile.FULL
        self.active = self.profile is not Profile.RECVONLY
        """Whether `outgoing` may yield anything now; the clock passes over legs that cannot send."""
        self.on_activity: Callable[[], None] | None = None
        """Called at each change, before `on_change`, for the leg that sends through this gate."""
        self._sealed = False
        self._quiet_ticks = KEEPALIVE_TICKS  # the first packet leaves at once, so that the peer can latch

    @property
    def open(self) -> bool:
        return self._open

    def set(self, open: bool) -> bool:
        """Open or shut it. True when that changed anything; profile `full` never shuts, a sealed gate never opens."""
        if open == self._open or self.profile is Profile.FULL or (open and self._sealed):
            return False
        self._open = open
        self.active = open or self.profile is not Profile.RECVONLY
        self._quiet_ticks = 0
        if self.on_activity is not None:
            self.on_activity()
        if self.on_change is not None:
            self.on_change(open)
        return True

    def seal(self) -> None:
        """Shut it for good: whatever is asked of it later, nothing opens it any more."""
        self._sealed = True
        self.set(False)

    def outgoing(self, source: Source | None) -> bytes | None:
        """What leaves in this tick: 160 samples, or None for no packet."""
        if self._open:
            return (source.frame() if source is not None else None) or ALAW_SILENCE_FRAME
        if self.profile is Profile.SILENCE:
            return ALAW_SILENCE_FRAME
        if self.profile is Profile.KEEPALIVE:
            self._quiet_ticks += 1
            if self._quiet_ticks >= KEEPALIVE_TICKS:
                self._quiet_ticks = 0
                return ALAW_SILENCE_FRAME
        return None
