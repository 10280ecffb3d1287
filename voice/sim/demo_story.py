"""The story of the demo: one alarm from the button to the resolved incident, told by the people and the service.

It runs on real sockets in `earshot demo` and in virtual time in its test; what it leaves behind (`Played`) is
what `demo_findings` judges.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from voice.app import Service
from voice.incidents.timeline import Entry
from voice.rtp.codecs import SAMPLE_RATE
from voice.sim.demo_telling import POLL, Tell, Telling
from voice.sim.phone import SimPhone
from voice.sim.phone_call import PhoneCall
from voice.sim.speech import clip
from voice.store import incidents as rows
from voice.store.rows import IncidentRow, LegRow, RecordingRow

SECOND_WORDS = 2.5
"""Seconds that the worker speaks once more, when the operator listens live."""


@dataclass(slots=True)
class Played:
    """What came of the story. Times are loop times."""

    pressed: float
    """When the button was pressed."""
    badge: PhoneCall
    operator: PhoneCall
    talk_pressed: float
    """When the operator pressed the key to talk; before it, the badge must be silent."""
    talk_off: float
    """When his talk was off again; after it too."""
    spoke_again: float
    """When the worker spoke once more, heard live."""
    incident: IncidentRow
    timeline: Sequence[Entry]
    legs: Sequence[LegRow]
    recordings: Sequence[RecordingRow]


class Story(Telling[Played]):
    """Anna presses the button of her badge; Olga takes the alarm."""

    patience = 45.0

    def __init__(
        self,
        service: Service,
        badge: SimPhone,
        operator: SimPhone,
        *,
        tell: Tell,
        zero: Callable[[datetime], None] = lambda at: None,
    ) -> None:
        """`zero` hears when the button is pressed."""
        super().__init__(service, tell, zero)
        self._badge, self._operator = badge, operator

    async def _play(self) -> Played:
        await self._register(self._badge, "badge-7")
        await self._register(self._operator, "Olga's phone")

        self.doing = "the badge calls"
        pressed, at = self._loop.time(), self._now()
        self._zero(at)
        self._tell(at, "badge-7", "Anna presses the button: the badge calls and she speaks")
        badge = self._badge.call(f"sip:alarm@{self._service.settings.sip.realm}")
        badge.say(clip("badge"))
        await badge.established()
        took = (self._loop.time() - pressed) * 1000
        self._say("badge-7", f"has its 200 OK, {took:.0f} ms after its INVITE")

        self.doing = "the operator's phone rings"
        operator = await self._operator.called()
        self._say("Olga's phone", "rings")
        await operator.established()
        incident = next(iter(self._follower.entries))

        self.doing = "the operator listens from second 0 until live"
        await self._follower.until("listening_live", incident)
        await asyncio.sleep(0.5)

        self.doing = "the operator talks"
        talk_pressed = self._press(operator, "1", "talk")
        await self._follower.until("talk_on", incident)
        operator.say(clip("operator"))
        self._say("Olga's phone", "Olga speaks to Anna")
        await operator.said()
        await asyncio.sleep(0.3)
        self._press(operator, "1", "talk off")
        await self._follower.until("talk_off", incident)
        await asyncio.sleep(0.1)
        talk_off = self._loop.time()
        await asyncio.sleep(0.6)

        self.doing = "the worker answers"
        spoke_again = self._loop.time()
        self._say("badge-7", "Anna speaks again; Olga hears it live")
        badge.say(clip("badge")[: round(SECOND_WORDS * SAMPLE_RATE)])
        await badge.said()
        await asyncio.sleep(0.5)

        self.doing = "the operator resolves the incident"
        self._press(operator, "#", "resolve")
        await asyncio.sleep(0.5)
        self._press(operator, "1", "reason: genuine")
        await self._follower.until("resolved", incident)
        operator.hang_up()
        self._say("Olga's phone", "Olga hangs up")
        await badge.over()
        self._say("badge-7", "its call is ended")
        await self._follower.until("operator_left", incident)

        self.doing = "the recordings are completed"
        return await self._completed(
            partial(Played, pressed, badge, operator, talk_pressed, talk_off, spoke_again), incident
        )

    async def _register(self, phone: SimPhone, name: str) -> None:
        self.doing = f"{name} registers"
        response = await phone.register()
        if response.code != 200:
            raise ConnectionError(f"{response.code} {response.phrase}")
        self._say(name, "is registered, its password proved by digest")

    def _press(self, phone: PhoneCall, key: str, meaning: str) -> float:
        self._say("Olga's phone", f"Olga presses {key} ({meaning})")
        phone.press(key)
        return self._loop.time()

    async def _completed(self, played: Callable[..., Played], incident: str) -> Played:
        """Everything that is on disk, once every recording is complete; the time-out of the story is the limit."""
        read = self._service.outside.store.read
        while True:
            recordings = await read(partial(rows.recordings, incident_id=incident))
            if all(recording.complete for recording in recordings):
                break
            await asyncio.sleep(POLL)
        await self._follower.look()
        return played(
            incident=await read(partial(rows.incident, name=incident)),
            timeline=await read(partial(rows.timeline, incident_id=incident)),
            legs=await read(partial(rows.legs, incident_id=incident)),
            recordings=recordings,
        )
