"""The conference of one incident: who hears whom.

=========  ==================================================================================================
device     the people who talk, and nothing else. Its gate is open only while somebody talks.
operator   its `Listener` (the incident from second 0), the other people who talk or confer, its own sounds
others     contacts and emergency services: the same; without a listener, the devices live
=========  ==================================================================================================

Who *talks* is heard by everybody; who *confers* is heard by the people and by no device: so operator, contact and
control room can speak about a silent alarm while the worker's badge stays silent.

Nobody hears himself (mix-minus): the sum of all who speak is made once per tick, and each speaker's own part
is taken off his copy, exactly, before the one saturation at the end. Who has only one signal to hear gets
its bytes untouched. Before that, each voice is brought to a common level (`levels.py`) if it is far from it; what is
recorded is what was received.

While an operator is catching up, he hears the past, and only the past: another operator's "the ambulance is
there" laid over the moment of the fall would make two times one. What was said meanwhile is not lost to
him: he is told by a sound that others are there, and key 3 leads to live. (His own sounds are always
heard.)

The room is driven by its legs, which ask for their frames once per tick; `tick` tells it when a new one has
begun. Whenever the set of who hears whom changes, `on_hearing` is told, for the timeline.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from voice.errors import UsageError
from voice.media.gate import Source
from voice.media.levels import lowered
from voice.media.listening import IncidentAudio
from voice.media.live_reader import PLAYOUT_DELAY
from voice.media.member import SPEAKS, Ear, Member, Role, Voice
from voice.media.mixing import Sum, alaw, wide
from voice.rtp.codecs import FRAME_SAMPLES

__all__ = ["Ear", "Member", "Role", "Room", "Voice"]


def _nobody_asks(ears: Sequence[Ear]) -> None:
    return None


class Room:
    """Mixes for the members of one incident, and opens and shuts the gates of its devices.

    `tick` returns the number of the current tick of the media clock. `audio` is what the devices say, over
    all their calls: the track of a device that joins is added to it.
    """

    def __init__(
        self, tick: Callable[[], int], audio: IncidentAudio | None = None, *, delay: int = PLAYOUT_DELAY
    ) -> None:
        self.audio = IncidentAudio() if audio is None else audio
        self.on_hearing: Callable[[Sequence[Ear]], None] = _nobody_asks
        """Called whenever the set of who hears whom has changed, after the gates have."""
        self._tick = tick
        self._delay = delay
        self._members: dict[str, Member] = {}
        self._known: dict[str, tuple[str, ...]] = {}  # who heard whom when `on_hearing` was last called
        self._mixed_at: int | None = None
        self._said: dict[str, bytes] = {}  # this tick, by speaker
        self._to_devices: list[str] = []  # this tick, whose speech is for the devices
        self._from_devices: list[bytes] = []  # this tick, for those without a listener
        self._widened: dict[bytes, Sum] = {}  # this tick, by frame
        self._total: Sum = _NOTHING  # this tick, of all who speak
        self._mixed: dict[tuple[bytes | str, ...], bytes] = {}  # this tick, by what is in it

    @property
    def members(self) -> Sequence[Member]:
        return tuple(self._members.values())

    @property
    def talking(self) -> Sequence[Member]:
        """Those whom the devices hear."""
        return tuple(member for member in self._members.values() if member.voice is Voice.TALK)

    @property
    def hearing(self) -> Sequence[Ear]:
        """Who hears whom."""
        return tuple(Ear(m.id, m.role, m.voice, self._heard_by(m)) for m in self._members.values())

    def join(self, member: Member) -> list[str]:
        """Take a leg in. Returns the ids of the legs whose gates opened."""
        if member.id in self._members:
            raise UsageError(f"leg {member.id} is in the room already")
        self._members[member.id] = member
        member.heard_past = member.catches_up
        if member.role is Role.DEVICE and member.received is not None:
            self.audio.append(member.received)
        changed = self._settle()
        self._announce(member, True)
        return changed

    def leave(self, member: Member) -> list[str]:
        """Let a leg go, or take note that it is gone. Returns the ids of the legs whose gates shut."""
        if self._members.pop(member.id, None) is None:
            return []
        member.voice, member.confers = Voice.LISTEN, False
        member.hush()
        shut = [member.id] if member.role is Role.DEVICE and member.gate and member.gate.set(False) else []
        shut += self._settle()
        self._announce(member, False)
        return shut

    def talk(self, member: Member, on: bool) -> list[str]:
        """Let a person be heard, or not any more. Returns the ids of the legs whose gates changed.

        Who conferred before he talked confers again when he stops. Refused (nothing changes) while he is muted.
        """
        if member.voice is Voice.MUTED:
            return []
        return self._set_voice(member, Voice.TALK if on else Voice.CONFER if member.confers else Voice.LISTEN)

    def confer(self, member: Member, on: bool) -> list[str]:
        """Let the other people hear a person, and no device; or not any more. Ends `talk`. Returns as `talk`."""
        if member.voice is Voice.MUTED:
            return []
        return self._set_voice(member, Voice.CONFER if on else Voice.LISTEN)

    def mute(self, member: Member, on: bool) -> list[str]:
        """Take the voice from a person, or lift that: then he listens, and may speak. Returns as `talk`."""
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
            return self._combine((), self._to_devices)
        heard = list(self._from_devices)
        if member.listener is not None:
            frame = member.listen()
            heard = [frame] if frame is not None else []
            self._follow(member)
        tone = member.tones.frame()
        if tone is not None:
            heard = [*(map(lowered, heard) if member.ducks else heard), tone]
        return self._combine(heard, [] if member.catches_up else [id for id in self._said if id != member.id])

    # -- who speaks, who hears --

    def _set_voice(self, member: Member, voice: Voice) -> list[str]:
        if self._members.get(member.id) is not member:
            raise UsageError(f"leg {member.id} is not in the room")
        if member.role is Role.DEVICE:
            raise UsageError("a device is always heard; only people talk or do not")
        member.confers = voice is Voice.CONFER or (voice is Voice.TALK and member.confers)
        if voice is not member.voice:
            spoke, member.voice = member.speaks, voice
            if voice not in SPEAKS:
                member.hush()
            elif voice is Voice.TALK or not spoke:  # what he said to the people alone is not for the device
                member.begin(self._delay)
        return self._settle()

    def _settle(self) -> list[str]:
        """A device's gate is open exactly while somebody talks. Returns the ids of the legs whose gates changed."""
        open = bool(self.talking)
        changed = [
            member.id
            for member in self._members.values()
            if member.role is Role.DEVICE and member.gate is not None and member.gate.set(open)
        ]
        self._tell()
        return changed

    def _announce(self, member: Member, came: bool) -> None:
        for other in self.members:
            if other is not member:
                other.on_company(member, came)

    def _follow(self, member: Member) -> None:
        """Who comes from the past into the present hears the others, and the other way round."""
        if member.catches_up is not member.heard_past:
            member.heard_past = member.catches_up
            self._tell()

    def _tell(self) -> None:
        ears = self.hearing
        heard = {ear.leg: ear.hears for ear in ears if ear.hears}
        if heard != self._known:
            self._known = heard
            self.on_hearing(ears)

    def _heard_by(self, member: Member) -> tuple[str, ...]:
        others = [other for other in self._members.values() if other is not member]
        if member.role is Role.DEVICE:
            return tuple(other.id for other in others if other.voice is Voice.TALK)
        people = not member.catches_up
        return tuple(o.id for o in others if o.role is Role.DEVICE or (people and o.speaks))

    # -- mixing --

    def _collect(self) -> None:
        """Once per tick: what everybody says."""
        members = self._members.values()
        speakers = [member for member in members if member.speaks]
        self._said = {member.id: frame for member in speakers if (frame := member.speech(self._delay)) is not None}
        self._to_devices = [member.id for member in speakers if member.voice is Voice.TALK and member.id in self._said]
        self._from_devices = []
        if any(member.role is not Role.DEVICE and member.listener is None for member in members):
            devices = (member.speech(self._delay) for member in members if member.role is Role.DEVICE)
            self._from_devices = [frame for frame in devices if frame is not None]
        self._widened = {}
        self._mixed = {}
        if len(self._said) > 1:
            self._total = sum((self._wide(frame) for frame in self._said.values()), _NOTHING)

    def _combine(self, heard: Sequence[bytes], speakers: Sequence[str]) -> bytes | None:
        """The signals of `heard` and of `speakers`, as one. Those who hear the same share one sum."""
        if len(heard) + len(speakers) < 2:
            return next(iter((*heard, *(self._said[id] for id in speakers))), None)
        key: tuple[bytes | str, ...] = (*heard, *speakers)
        found = self._mixed.get(key)
        if found is None:
            found = self._mixed[key] = alaw(self._sum(heard, speakers))
        return found

    def _sum(self, heard: Sequence[bytes], speakers: Sequence[str]) -> Sum:
        if len(speakers) > 1 and len(speakers) >= len(self._said) - 1:  # everybody but himself
            total = self._total
            for id in self._said:
                if id not in speakers:
                    total = total - self._wide(self._said[id])
            parts = heard
        else:
            total = self._wide(self._said[speakers[0]]) if speakers else _NOTHING
            parts = (*heard, *(self._said[id] for id in speakers[1:]))
        for frame in parts:
            total = total + self._wide(frame)
        return total

    def _wide(self, frame: bytes) -> Sum:
        found = self._widened.get(frame)
        if found is None:
            found = self._widened[frame] = wide(frame)
        return found


_NOTHING: Sum = np.zeros(FRAME_SAMPLES, np.int32)


@dataclass(frozen=True, slots=True)
class _Seat:
    """A member's ear."""

    room: Room
    member: Member

    def frame(self) -> bytes | None:
        return self.room.hears(self.member)
