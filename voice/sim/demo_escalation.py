"""The second story of the demo: nobody takes the alarm at the desk, so the plan goes on until a person has it.

Olga's phone rings and nobody picks up. A voicemail answers at the manager's: it takes nothing. Bas presses the key that
the voice asks for; every other phone stops. He has the emergency services called, as the plan allows: a control room
that is simulated, and says so. Then he closes the alarm with the code word.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from config.plans import keyed
from ivr.speech import Voice
from voice.app import Service
from voice.incidents.lifecycle import State
from voice.incidents.timeline import Entry
from voice.rtp.codecs import SAMPLE_RATE
from voice.sim.control_room import SAYS, ControlRoom
from voice.sim.demo_telling import Tell, Telling, chain
from voice.sim.demo_view import Finding
from voice.sim.phone import SimPhone
from voice.sim.phone_call import PhoneCall
from voice.sim.recognising import key_asked_for, said
from voice.sim.speech import clip, silence, tone
from voice.store import incidents as rows
from voice.store.rows import IncidentRow

GREETING = clip("operator") + silence(0.4) + tone(1000.0, 0.8)
"""What a voicemail says: words, then its beep."""

REACTS = 0.4
"""Seconds from the word to the key: as quick as people are."""


@dataclass(frozen=True, slots=True)
class Cast:
    """The people of the story. Olga's phone rings until the caller gives up."""

    badge: SimPhone
    olga: SimPhone
    manager: SimPhone
    """A voicemail."""
    bas: SimPhone
    room: ControlRoom

    @property
    def phones(self) -> Sequence[SimPhone]:
        return (self.badge, self.olga, self.manager, self.bas, self.room.phone)


@dataclass(frozen=True, slots=True)
class Escalated:
    """What came of the story. Times are loop times."""

    pressed: float
    badge: PhoneCall
    voicemail: PhoneCall
    bas: PhoneCall
    control_room: PhoneCall
    briefed: bool
    """The control room was told who needs help."""
    incident: IncidentRow
    timeline: Sequence[Entry]


class Escalation(Telling[Escalated]):
    """Anna presses the button of her badge, and nobody is at the desk."""

    patience = 150.0

    def __init__(
        self,
        service: Service,
        cast: Cast,
        *,
        tell: Tell,
        zero: Callable[[datetime], None] = lambda at: None,
    ) -> None:
        """`zero` hears when the button is pressed."""
        super().__init__(service, tell, zero)
        self._cast = cast
        self._voice: Voice = service.outside.speech.voice("en", "Europe/Amsterdam")

    async def _play(self) -> Escalated:
        cast = self._cast
        for phone in (cast.badge, cast.olga):
            await phone.register()
        self.doing = "the badge calls"
        pressed = self._loop.time()
        self._zero(self._now())
        self._say("badge-7", "Anna presses the button: the badge calls and she speaks")
        badge = cast.badge.call(f"sip:alarm@{self._service.settings.sip.realm}")
        badge.say(clip("badge"))
        await badge.established()

        self.doing = "nobody is at the desk"
        await cast.olga.called()
        self._say("Olga's phone", "rings; nobody is at the desk")
        incident = await self._follower.first()

        self.doing = "a voicemail and Bas are called"
        voicemail, bas = await asyncio.gather(cast.manager.called(), cast.bas.called())
        await asyncio.gather(voicemail.established(), bas.established())
        voicemail.say(GREETING)
        self._say("the manager's phone", "a voicemail picks up, and speaks its greeting")
        self._say("Bas's phone", "Bas picks up")

        self.doing = "Bas is asked for a key"
        key = await self._key(bas)
        await asyncio.sleep(REACTS)
        self._say("Bas's phone", f"the voice asks for {key}; Bas presses it")
        bas.press(key)
        await self._follower.until("taken", incident)
        await voicemail.over()
        self._say("the manager's phone", "is let go")
        await self._follower.until("contact_joined", incident)
        badge.say(clip("badge"))
        await asyncio.sleep(3.0)

        self.doing = "Bas has the emergency services called"
        self._say("Bas's phone", "Bas presses 8, and 8 again: call the emergency services")
        await self._keys(bas, "88", pause=1.0)
        answered = await cast.room.phone.called()
        await answered.established()
        self._say("control room", f"“{SAYS['en']}”")
        await self._follower.until("emergency_confirmed", incident)
        await asyncio.sleep(4.0)

        self.doing = "Bas closes the alarm"
        self._say("Bas's phone", "Bas keys #, the code word, #, and 1 for genuine")
        await self._keys(bas, "#", pause=1.5)
        await self._keys(bas, keyed("TULP") + "#", pause=0.4)
        await asyncio.sleep(1.5)
        await self._keys(bas, "1", pause=0.0)
        await self._follower.until("resolved", incident)
        await asyncio.gather(badge.over(), answered.over(), bas.over())
        await asyncio.sleep(0.3)
        await self._follower.look()
        read = self._service.outside.store.read
        return Escalated(
            pressed,
            badge,
            voicemail,
            bas,
            answered,
            await self._briefed(answered),
            await read(partial(rows.incident, name=incident)),
            await read(partial(rows.timeline, incident_id=incident)),
        )

    async def _key(self, call: PhoneCall) -> str:
        """The key that the voice asks Bas for."""
        while (key := await key_asked_for(self._voice, call.hearing.audio())) is None:
            if call.is_over:
                raise ConnectionError("Bas was hung up on")
            await asyncio.sleep(0.2)
        return key

    async def _briefed(self, call: PhoneCall) -> bool:
        """Whether the control room heard who needs help, word for word."""
        facts = {"kind": "panic", "worker": "Anna Jansen", "has_worker": True}
        return await said(self._voice, call.hearing.audio(), "briefing.what", **facts)

    async def _keys(self, call: PhoneCall, keys: str, *, pause: float) -> None:
        for key in keys:
            call.press(key)
            await asyncio.sleep(pause)


def findings(played: Escalated) -> Iterator[Finding]:
    """What the story proves, measured on the phones and in the database."""
    kinds = [entry.kind for entry in played.timeline]
    taken = next((entry for entry in played.timeline if entry.kind == "taken"), None)
    opened = played.timeline[0].time
    after = f"{(taken.time - opened).total_seconds():.1f} s after the alarm" if taken else "by nobody"
    yield Finding(
        "a person has it", taken is not None and taken.actor == "contact:bas", f"{after}, by the key asked for"
    )
    yield Finding("voicemail", played.voicemail.is_over, "answered, was spoken to, and took nothing")
    sounds = played.badge.hearing.sounds()
    packets = sum(1 for _ in played.badge.hearing.packets())
    yield Finding("silent badge", not sounds and packets > 0, f"{packets} packets: digital silence, bit for bit")
    seconds = len(played.control_room.hearing.audio()) / SAMPLE_RATE
    told = f"{seconds:.0f} s with the simulated control room, which was told who needs help and confirmed by key"
    yield Finding("emergency call", played.briefed and kinds.count("emergency_placed") == 1, told)
    by = next((entry.actor for entry in played.timeline if entry.kind == "resolved"), "nobody")
    closed = played.incident.state is State.RESOLVED and by == "contact:bas"
    yield Finding(
        "closed", closed, f"incident {played.incident.id}: {played.incident.state.value} by {by}, with the code word"
    )
    yield chain(played.timeline)
