"""A call taker of a control room in the incident's room: hears the worker live, speaks with the people, never with
the worker, whose badge stays silent.

A call with a machine never ends, so this one does: who has not proven to be a person and finds nobody of ours in the
room is let go after a while, and who has, much later.
"""

import asyncio
from collections.abc import Callable, Coroutine
from enum import StrEnum
from typing import Any

from ivr.briefing import CONFIRM, FACTS, PROOF, REPEAT
from ivr.speech import Voice
from voice.call import Call
from voice.live_incidents import LiveIncident
from voice.media.room import Member, Role
from voice.sign_of_life import SignOfLife

UNPROVEN_ALONE = 30.0
"""Seconds that a call taker who pressed no key, alone with the device, stays connected: long enough to find the key."""
PROVEN_ALONE = 1800.0
"""The same for one who has proven to be a person: he may listen to the worker for long."""
FAREWELL_SECONDS = 10.0


class RoomEnd(StrEnum):
    """How it ended."""

    HUNG_UP = "hung up"
    LOST = "lost"
    """His leg died; nobody hung up."""
    LET_GO = "let go"
    """We ended it."""


class EmergencySession:
    """The call taker's time in the room. 1: the report again; 9: he confirms it."""

    def __init__(
        self,
        incident: LiveIncident,
        call: Call,
        leg_id: str,
        voice: Voice,
        values: dict[str, Any],
        *,
        proven: bool,
        on_confirmed: Callable[[str], None],
        spawn: Callable[[Coroutine[Any, Any, Any]], object],
    ) -> None:
        self._incident = incident
        self._call = call
        self._voice = voice
        self._values = values
        self._proven = proven
        self._confirmed = on_confirmed
        self._spawn = spawn
        self._lost = False
        self._changed = asyncio.Event()
        self.member = Member(
            leg_id, Role.EMERGENCY, received=call.media.received, ducks=True, on_company=lambda who, came: self._wake()
        )
        self.went_quiet = SignOfLife(call, spawn, self._died).went_quiet

    async def run(self) -> RoomEnd:
        """From joining the room to the end of the call. Being cancelled leaves the call up."""
        room = self._incident.room
        room.join(self.member)
        self._call.media.source = room.source_for(self.member)
        room.confer(self.member, True)
        keys = asyncio.ensure_future(self._hear_keys())
        try:
            await self._until_over()
            if self._call.up:
                await self._say_goodbye()
        finally:
            keys.cancel()
            await asyncio.gather(keys, return_exceptions=True)
            room.leave(self.member)
        if not self._call.ended.done():
            self._call.hang_up()
            return RoomEnd.LET_GO
        return RoomEnd.HUNG_UP if self._call.ended.result().hung_up and not self._lost else RoomEnd.LOST

    def prove(self) -> None:
        """Somebody in the room says that a person is on this line."""
        self._proven = True
        self._wake()

    @property
    def accompanied(self) -> bool:
        """Whether a person of ours is in the room."""
        return any(member.role in (Role.OPERATOR, Role.CONTACT) for member in self._incident.room.members)

    async def _until_over(self) -> None:
        """Until the call or the incident is over, or he was alone for too long."""
        over: list[asyncio.Future[Any]] = [self._call.ended, self._incident.resolved]
        while not any(future.done() for future in over):
            self._changed.clear()
            limit = None if self.accompanied else PROVEN_ALONE if self._proven else UNPROVEN_ALONE
            change = asyncio.ensure_future(self._changed.wait())
            done, _ = await asyncio.wait([*over, change], timeout=limit, return_when=asyncio.FIRST_COMPLETED)
            change.cancel()
            if not done:
                return

    async def _hear_keys(self) -> None:
        while True:
            key = await self._call.digits.get()
            if key == REPEAT:
                await self._say(*FACTS, **self._values)
            elif key == CONFIRM:
                if not self._proven:
                    self._confirmed(PROOF[CONFIRM])
                self.prove()
                await self._say("briefing.confirmed")

    async def _say(self, *prompts: str, **values: Any) -> "asyncio.Future[None]":
        """Over what he hears. The future is done when it was heard."""
        heard: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        clips = [await self._voice.say(prompt, **values) for prompt in prompts]
        self.member.tones.play(b"".join(clips), lambda whole: _done(heard))
        return heard

    async def _say_goodbye(self) -> None:
        prompts = ("taken.closed", "goodbye") if self._incident.resolved.done() else ("goodbye",)
        either: list[asyncio.Future[Any]] = [await self._say(*prompts), self._call.ended]
        await asyncio.wait(either, timeout=FAREWELL_SECONDS, return_when=asyncio.FIRST_COMPLETED)

    def _wake(self) -> None:
        self._changed.set()

    def _died(self) -> None:
        self._lost = True


def _done(heard: "asyncio.Future[None]") -> None:
    if not heard.done():
        heard.set_result(None)
