"""The conference of one incident: who hears whom.

=========  ==================================================================================================
device     the people who talk, and nothing else. Its gate is open only while somebody talks.
operator   its `Listener` (the incident from second 0), the other people who talk, its own confirmation sounds
others     contacts and emergency services: the devices live, the other people who talk, their own sounds
=========  ==================================================================================================

Nobody hears himself (mix-minus): the sum of all who talk is made once per tick, and each talker's own part
is taken off his copy, exactly, before the one saturation at the end. Who has only one signal to hear gets
its bytes untouched.

While an operator is catching up, he hears the past, and only the past: another operator's "the ambulance is
there" laid over the moment of the fall would make two times one. What was said meanwhile is not lost to
him: he is told by a sound that others are there, and key 3 leads to live. (His own sounds are always
heard.)

The room is driven by its legs, which ask for their frames once per tick; `tick` tells it when a new one has
begun.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np

from voice.errors import UsageError
from voice.media.gate import Gate, Source
from voice.media.listening import IncidentAudio, Listener, Mode
from voice.media.live_reader import PLAYOUT_DELAY, LiveReader
from voice.media.mixing import Linear, Sum, alaw, audible, linear
from voice.media.player import Player
from voice.media.track import Track
from voice.rtp.codecs import FRAME_SAMPLES


class Role(StrEnum):
    DEVICE = "device"
    OPERATOR = "operator"
    CONTACT = "contact"
    EMERGENCY = "emergency"


class Voice(StrEnum):
    """What becomes of what a person says."""

    LISTEN = "listen"
    """Recorded, heard by nobody."""
    TALK = "talk"
    """Heard by everybody else; opens the gates of the devices."""
    MUTED = "muted"
    """As `listen`, and `talk` is refused until the mute is lifted: a leg on hold, say."""


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
    _live: LiveReader | None = None

    def begin(self, delay: int) -> None:
        """What this leg says is wanted from now on; nothing of what it said before."""
        if self.received is not None:
            self._live = LiveReader(self.received, self.received.end, delay=delay)

    def speech(self, delay: int) -> bytes | None:
        """The next frame of what this leg says; None when there is nothing but silence."""
        if self._live is None:
            self.begin(delay)
        frame = self._live.frame() if self._live is not None else None
        return frame if audible(frame) else None

    def hush(self) -> None:
        """What this leg says is not wanted any more."""
        self._live = None


class Room:
    """Mixes for the members of one incident, and opens and shuts the gates of its devices.

    `tick` returns the number of the current tick of the media clock. `audio` is what the devices say, over
    all their calls: the track of a device that joins is added to it.
    """

    def __init__(
        self, tick: Callable[[], int], audio: IncidentAudio | None = None, *, delay: int = PLAYOUT_DELAY
    ) -> None:
        self.audio = IncidentAudio() if audio is None else audio
        self._tick = tick
        self._delay = delay
        self._members: dict[str, Member] = {}
        self._mixed_at: int | None = None
        self._said: dict[str, bytes] = {}  # this tick, by talker
        self._from_devices: list[bytes] = []  # this tick, for those without a listener
        self._linear: dict[str, Linear] = {}
        self._total: Sum = np.zeros(FRAME_SAMPLES, np.int32)
        self._to_all: bytes | None = None  # the sum of all talkers, once somebody has needed it

    @property
    def members(self) -> Sequence[Member]:
        return tuple(self._members.values())

    @property
    def talking(self) -> Sequence[Member]:
        """Those whom the devices hear."""
        return tuple(member for member in self._members.values() if member.voice is Voice.TALK)

    def join(self, member: Member) -> list[str]:
        """Take a leg in. Returns the ids of the legs whose gates opened."""
        if member.id in self._members:
            raise UsageError(f"leg {member.id} is in the room already")
        self._members[member.id] = member
        if member.role is Role.DEVICE and member.received is not None:
            self.audio.append(member.received)
        return self._settle_gates()

    def leave(self, member: Member) -> list[str]:
        """Let a leg go, or take note that it is gone. Returns the ids of the legs whose gates shut."""
        if self._members.pop(member.id, None) is None:
            return []
        member.voice = Voice.LISTEN
        member.hush()
        shut = [member.id] if member.role is Role.DEVICE and member.gate and member.gate.set(False) else []
        return shut + self._settle_gates()

    def talk(self, member: Member, on: bool) -> list[str]:
        """Let a person be heard, or not any more. Returns the ids of the legs whose gates changed.

        Refused (nothing changes) while the person is muted.
        """
        if member.voice is Voice.MUTED:
            return []
        return self._set_voice(member, Voice.TALK if on else Voice.LISTEN)

    def mute(self, member: Member, on: bool) -> list[str]:
        """Take the voice from a person, or lift that: then he listens, and may talk. Returns as `talk`."""
        if on == (member.voice is Voice.MUTED):
            return []
        return self._set_voice(member, Voice.MUTED if on else Voice.LISTEN)

    def source_for(self, member: Member) -> Source:
        """What `member` is to hear, for its leg to ask once per tick."""
        return _Seat(self, member)

    def hears(self, member: Member) -> bytes | None:
        """What `member` hears in this tick; None for silence. To be asked once per tick."""
        if member.id not in self._members:
            return None
        now = self._tick()
        if now != self._mixed_at:
            self._mixed_at = now
            self._collect()
        if member.role is Role.DEVICE:
            return self._combine(member, (), others=True)
        others = True
        heard = list(self._from_devices)
        if member.listener is not None:
            frame = member.listener.frame()
            heard = [frame] if frame is not None else []
            others = member.listener.mode is not Mode.CATCHING_UP
        tone = member.tones.frame()
        if tone is not None:
            heard.append(tone)
        return self._combine(member, heard, others=others)

    def _set_voice(self, member: Member, voice: Voice) -> list[str]:
        if self._members.get(member.id) is not member:
            raise UsageError(f"leg {member.id} is not in the room")
        if member.role is Role.DEVICE:
            raise UsageError("a device is always heard; only people talk or do not")
        if voice is not member.voice:
            member.voice = voice
            member.hush()
            if voice is Voice.TALK:
                member.begin(self._delay)
        return self._settle_gates()

    def _settle_gates(self) -> list[str]:
        """A device's gate is open exactly while somebody talks."""
        open = bool(self.talking)
        return [
            member.id
            for member in self._members.values()
            if member.role is Role.DEVICE and member.gate is not None and member.gate.set(open)
        ]

    def _collect(self) -> None:
        """Once per tick: what everybody says."""
        members = self._members.values()
        self._said = {member.id: frame for member in self.talking if (frame := member.speech(self._delay)) is not None}
        self._from_devices = []
        if any(member.role is not Role.DEVICE and member.listener is None for member in members):
            devices = (member.speech(self._delay) for member in members if member.role is Role.DEVICE)
            self._from_devices = [frame for frame in devices if frame is not None]
        self._linear = {}
        self._to_all = None
        if len(self._said) > 1:
            self._linear = {id: linear(frame) for id, frame in self._said.items()}
            self._total = np.sum(list(self._linear.values()), axis=0, dtype=np.int32)

    def _combine(self, member: Member, heard: Sequence[bytes], *, others: bool) -> bytes | None:
        """The signals of `heard` and, if wanted, of all who talk but `member`."""
        talkers = [id for id in self._said if id != member.id] if others else []
        if not talkers and len(heard) < 2:
            return heard[0] if heard else None
        if len(talkers) == 1 and not heard:
            return self._said[talkers[0]]
        if not heard and len(talkers) == len(self._said):
            if self._to_all is None:
                self._to_all = alaw(self._total)
            return self._to_all
        return alaw(self._sum(member, talkers, heard))

    def _sum(self, member: Member, talkers: Sequence[str], heard: Sequence[bytes]) -> Sum:
        if len(talkers) > 1:
            own = self._linear.get(member.id)
            total = self._total.copy() if own is None else self._total - own
        else:
            total = np.zeros(FRAME_SAMPLES, np.int32)
            for id in talkers:
                total += linear(self._said[id])
        for frame in heard:
            total += linear(frame)
        return total


@dataclass(frozen=True, slots=True)
class _Seat:
    """A member's ear."""

    room: Room
    member: Member

    def frame(self) -> bytes | None:
        return self.room.hears(self.member)
