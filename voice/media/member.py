"""A leg in the conference of an incident: its role, its voice, what it says and what it hears."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

from voice.media.gate import Gate
from voice.media.levels import Leveller
from voice.media.listening import Listener, Mode
from voice.media.live_reader import LiveReader
from voice.media.mixing import audible
from voice.media.player import Player
from voice.media.track import Track


class Role(StrEnum):
    DEVICE = "device"
    OPERATOR = "operator"
    CONTACT = "contact"
    EMERGENCY = "emergency"


class Voice(StrEnum):
    """What becomes of what a person says."""

    LISTEN = "listen"
    """Recorded, heard by nobody."""
    CONFER = "confer"
    """Heard by the other people, and by no device."""
    TALK = "talk"
    """Heard by everybody else; opens the gates of the devices."""
    MUTED = "muted"
    """As `listen`, and `talk` and `confer` are refused until the mute is lifted: a leg on hold, say."""


SPEAKS = (Voice.TALK, Voice.CONFER)


def _ignored(other: Member, came: bool) -> None:
    return None


def _unheard(certain: bool) -> None:
    return None


@dataclass(eq=False, slots=True)
class Member:
    """One leg in a room. Made by the caller; from `join` on, `voice` belongs to the room."""

    id: str
    """The leg's."""
    role: Role
    received: Track | None = None
    """What this leg says."""
    gate: Gate | None = None
    """A device's transmit gate. Those of other roles are left alone."""
    listener: Listener | None = None
    """Where this person is in the incident; None: always live."""
    tones: Player = field(default_factory=Player)
    """Heard by this member alone. Never played to a device."""
    voice: Voice = Voice.LISTEN
    ducks: bool = False
    """Whether the devices are fainter while `tones` plays: for who is spoken to, and has to understand it."""
    on_company: Callable[[Member, bool], None] = _ignored
    """Told of everybody else who comes into the room (True) or leaves it (False)."""
    on_emergency_failed: Callable[[bool], None] = _unheard
    """Told that a call to the emergency services has failed: for certain (True), or as far as is known."""
    confers: bool = False
    """What `voice` returns to when talk ends. Belongs to the room."""
    _live: LiveReader | None = None
    _said: Leveller = field(default_factory=Leveller)
    _heard: Leveller = field(default_factory=Leveller)
    heard_past: bool = False
    """Whether he caught up when it was last told who hears whom. Belongs to the room."""

    def begin(self, delay: int) -> None:
        """What this leg says is wanted from now on; nothing of what it said before."""
        if self.received is not None:
            self._live = LiveReader(self.received, self.received.end, delay=delay)

    def speech(self, delay: int) -> bytes | None:
        """The next frame of what this leg says, levelled; None when there is nothing but silence."""
        if self._live is None:
            self.begin(delay)
        frame = self._live.frame() if self._live is not None else None
        return self._said.apply(frame) if frame is not None and audible(frame) else None

    def listen(self) -> bytes | None:
        """The next frame of the incident from where this person is in it, levelled."""
        frame = self.listener.frame() if self.listener is not None else None
        return self._heard.apply(frame) if frame is not None else None

    def hush(self) -> None:
        """What this leg says is not wanted any more."""
        self._live = None

    @property
    def speaks(self) -> bool:
        """Whether anybody hears him."""
        return self.voice in SPEAKS

    @property
    def catches_up(self) -> bool:
        """Whether this person hears the past, and so nobody else."""
        return self.listener is not None and self.listener.mode is Mode.CATCHING_UP


@dataclass(frozen=True, slots=True)
class Ear:
    """Whom one member of a room hears."""

    leg: str
    role: Role
    voice: Voice
    hears: tuple[str, ...]
    """Legs: devices, and people who speak."""
