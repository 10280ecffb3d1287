"""One operator on one incident: from the moment he answers until his leg is gone.

He hears the alarm from second 0 and works it with keys. Each key is confirmed by a sound that only he hears. Whoever
leaves without having resolved the incident, by choice or because his leg died, gives it back to the queue.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, ClassVar

from config.models import Operator
from voice.call import Call
from voice.escalation.events import EmergencyAsked, OperatorJoined, OperatorLeft
from voice.incidents.lifecycle import REASON_KEYS, State
from voice.live_incidents import LiveIncident
from voice.media.listening import Listener
from voice.media.player import Playback
from voice.media.room import Member, Role, Voice
from voice.media.tones import Sound, clip
from voice.rtp.codecs import ALAW_SILENCE, SAMPLE_RATE
from voice.sign_of_life import SignOfLife

BACK_SECONDS = 10.0
REASON_SECONDS = 8.0
"""How long `#` waits for the reason code, and `8` for the second 8."""
FAREWELL_SECONDS = 0.4
"""The last confirmation is heard out before the leg is ended."""
FAILURE_ERRORS = 4
"""How often the sound of an error is heard when a call to the emergency services has failed: for about two seconds."""
_GAP = ALAW_SILENCE * round(0.2 * SAMPLE_RATE)


@dataclass(slots=True)
class SessionHooks:
    """What a session asks of the service."""

    ask_help: Callable[[LiveIncident, Operator], None]
    call_back: Callable[[LiveIncident, str], Awaitable[bool]]
    confirm_emergency: Callable[[str, str], bool]
    """(incident, actor): a person of the control room has the alarm. False: no such call is up."""
    heard: Callable[[LiveIncident, float], None]
    """The first audio of the incident reached a human, so many seconds after the alarm."""
    spawn: Callable[[Coroutine[Any, Any, Any]], object]
    """Runs something beside the session, supervised."""
    account: Callable[[LiveIncident], Awaitable[bytes]]
    """Whose alarm it is and of which kind, spoken (A-law)."""
    memo: Callable[[LiveIncident], Awaitable[bytes | None]]
    """The amber memo in A-law; None when there is none."""


class ListeningSession:
    """What an operator's keys do. The table `KEYS` is the manual."""

    def __init__(
        self,
        operator: Operator,
        incident: LiveIncident,
        call: Call,
        leg_id: str,
        hooks: SessionHooks,
        speed: float,
    ) -> None:
        self.operator = operator
        self.incident = incident
        self.call = call
        self.actor = f"operator:{operator.id}"
        self._hooks = hooks
        self._given_back = False
        self._asked = 0
        self._spoken: Playback | None = None
        self._listener = Listener(
            incident.audio, speed=speed, on_first_audio=self._first_audio, on_live=self._went_live
        )
        self.went_quiet = SignOfLife(call, hooks.spawn, self._died).went_quiet
        """For `OperatorLeg.on_quiet`."""
        self.member = Member(leg_id, Role.OPERATOR, received=call.media.received, listener=self._listener)
        self.member.on_emergency_failed = self._emergency_failed

    @property
    def gave_back(self) -> bool:
        """Whether the operator asked to be rid of it, so that others ring before him."""
        return self._given_back

    async def run(self) -> None:
        """Until the leg ends or the incident is resolved."""
        while not self.call.ended.done() and self.incident.state is not State.RESOLVED:
            digit = await self._digit(None)
            if digit is not None:
                await self.press(digit)

    async def press(self, digit: str) -> None:
        """One key. Any ends what is spoken: what it is answered with is heard at once."""
        action = self.KEYS.get(digit)
        if self._spoken is not None:
            self._spoken.stop()
        if action is None:
            self._sound(Sound.ERROR)
            return
        if self.incident.state is State.ACKNOWLEDGED:
            self.incident.change(State.IN_PROGRESS, actor=self.actor)
        await action(self)

    # -- keys --

    async def toggle_talk(self) -> None:
        """1: the worker hears the operator, or does not any more. The only thing that opens a device's gate."""
        on = self.member.voice is not Voice.TALK
        if on and not self.incident.connected:
            self._sound(Sound.ERROR)
            return
        if on and self.incident.deaf:
            self._sound(Sound.ERROR)
            return
        legs = self.incident.room.talk(self.member, on)
        self.incident.note("talk_on" if on else "talk_off", {"gates": legs}, actor=self.actor)
        self._sound(Sound.TALK_ON if on else Sound.TALK_OFF)

    async def back(self) -> None:
        """2: hear the last ten seconds again."""
        self._listener.back(BACK_SECONDS)
        self._sound(Sound.BACK)

    async def to_live(self) -> None:
        """3: leave out the rest and hear what happens now."""
        self._listener.to_live()
        self._sound(Sound.LIVE)

    async def toggle_confer(self) -> None:
        """4: contacts, control room and other operators hear the operator, the worker does not; or not any more."""
        on = self.member.voice is not Voice.CONFER
        legs = self.incident.room.confer(self.member, on)
        self.incident.note("confer_on" if on else "confer_off", {"gates": legs}, actor=self.actor)
        self._sound(Sound.CONFER_ON if on else Sound.CONFER_OFF)

    async def call_device_back(self) -> None:
        """5: call the device back, if its call is over, or dead."""
        if self.incident.heard:
            self._sound(Sound.ERROR)
            return
        self._sound(Sound.ACCEPTED)
        self._hooks.spawn(self._call_back())

    async def _call_back(self) -> None:
        if not await self._hooks.call_back(self.incident, self.actor):
            self._sound(Sound.ERROR)

    async def hear_memo(self) -> None:
        """6: hear what the worker said before he went in. The alarm goes on behind it, fainter; any key ends it."""
        memo = await self._hooks.memo(self.incident)
        if memo is None:
            self._sound(Sound.ERROR)
            return
        self.incident.note("memo_heard", {"leg": self.member.id}, actor=self.actor)
        self._speak(memo)

    def _speak(self, audio: bytes) -> None:
        self.member.ducks = True
        self._spoken = self.member.tones.play(audio, self._spoke)

    def _spoke(self, heard_out: bool) -> None:
        self._spoken = None
        self.member.ducks = False

    async def _introduce(self) -> None:
        """Where nobody called, silence would tell him nothing: he is told what it is. A sound says that there is a
        memo."""
        if self._no_line:
            account = await self._hooks.account(self.incident)
            if account and self._no_line and self._spoken is None:
                self._speak(account)
        if await self._hooks.memo(self.incident) is not None:
            self._sound(Sound.MEMO)

    @property
    def _no_line(self) -> bool:
        """There is nothing to be heard: no call of the device or the worker is up, is being answered, or was there."""
        return not self.incident.audio.placed

    async def mark(self) -> None:
        """7: mark this moment of the recording."""
        seconds = round(self._listener.position / SAMPLE_RATE, 2)
        self.incident.note("marked", {"position_s": seconds, "mode": self._listener.mode.value}, actor=self.actor)
        self._sound(Sound.MARK)

    async def call_emergency(self) -> None:
        """8, and 8 again: have the emergency services called, or, while a control room is on the line, confirm for it
        that a person there has the alarm."""
        self._sound(Sound.RESOLVE_PROMPT)
        if await self._digit(REASON_SECONDS) != "8" or not self.incident.frozen.routes:
            self._sound(Sound.ERROR)
            return
        if not self._hooks.confirm_emergency(self.incident.id, self.actor):
            self._asked += 1
            self.incident.tell(EmergencyAsked(self.actor, f"{self.member.id}.{self._asked}"))
        self._sound(Sound.ACCEPTED)

    async def ask_help(self) -> None:
        """9: ring the other operators too."""
        self.incident.note("help_asked", actor=self.actor)
        self._hooks.ask_help(self.incident, self.operator)
        self._sound(Sound.HELP_ASKED)

    async def give_back(self) -> None:
        """*: give the alarm back to the queue and leave."""
        self._given_back = True
        self.incident.note("gave_back", actor=self.actor)
        self._sound(Sound.GIVEN_BACK)
        await self._farewell()

    async def resolve(self) -> None:
        """#: resolve, with the reason code that is pressed next: 1 genuine, 2 false, 3 test, 4 duress, 5 drill."""
        self._sound(Sound.RESOLVE_PROMPT)
        reason = REASON_KEYS.get(await self._digit(REASON_SECONDS) or "")
        if reason is None or self.incident.state is State.RESOLVED:
            self._sound(Sound.ERROR)
            return
        self.incident.change(State.RESOLVED, actor=self.actor, reason=reason)
        self._sound(Sound.RESOLVED)
        await self._farewell()

    KEYS: ClassVar[dict[str, Callable[["ListeningSession"], Awaitable[None]]]] = {
        "1": toggle_talk,
        "2": back,
        "3": to_live,
        "4": toggle_confer,
        "5": call_device_back,
        "6": hear_memo,
        "7": mark,
        "8": call_emergency,
        "9": ask_help,
        "*": give_back,
        "#": resolve,
    }

    # -- coming and going --

    def joined_by_another(self) -> None:
        """Another operator listens too: a sound, for this one alone."""
        self._sound(Sound.OPERATOR_JOINED)

    def join(self) -> None:
        """He is in the room, and the incident has somebody."""
        room, incident = self.incident.room, self.incident
        room.join(self.member)
        self.call.media.source = room.source_for(self.member)
        incident.listeners.add(self.operator.id)
        incident.wants_help = False
        waited = (incident.clock.now() - incident.opened_at).total_seconds()
        incident.note("operator_joined", {"leg": self.member.id, "after_s": round(waited, 2)}, actor=self.actor)
        incident.tell(OperatorJoined(self.operator.id, self.member.id))
        self._hooks.spawn(self._introduce())
        if incident.state is State.OPEN:
            incident.change(State.ACKNOWLEDGED, actor=self.actor, detail={"proof": "answered as a known operator"})
        else:
            incident.on_change(incident)

    def leave(self) -> None:
        """The incident must never be left with nobody and no ringing."""
        incident = self.incident
        shut = incident.room.leave(self.member)
        incident.listeners.discard(self.operator.id)
        incident.note("operator_left", {"leg": self.member.id, "gates": shut}, actor=self.actor)
        self.call.hang_up()
        if not incident.attended and incident.state in (State.ACKNOWLEDGED, State.IN_PROGRESS):
            why = "asked for" if self._given_back else "leg ended"
            incident.change(State.OPEN, actor=self.actor, detail={"why": why})
        else:
            incident.on_change(incident)
        incident.tell(OperatorLeft(self.operator.id, self._given_back, self.member.id))

    async def _farewell(self) -> None:
        await asyncio.wait([self.call.ended], timeout=FAREWELL_SECONDS)
        self.call.hang_up()

    def _emergency_failed(self, certain: bool) -> None:
        """Nobody in a control room has it: a long row of errors, which no single key is answered with."""
        if self._spoken is not None:
            self._spoken.stop()
        for _ in range(FAILURE_ERRORS):
            self._sound(Sound.ERROR)
            self.member.tones.play(_GAP)

    # -- small things --

    def _died(self) -> None:
        self.incident.note("no_sign_of_life", {"leg": self.member.id})

    def _sound(self, sound: Sound) -> None:
        self.member.tones.play(clip(sound))

    def _first_audio(self) -> None:
        waited = (self.incident.clock.now() - self.incident.opened_at).total_seconds()
        self.incident.note("first_audio_heard", {"after_s": round(waited, 3)}, actor=self.actor)
        self._hooks.heard(self.incident, waited)

    def _went_live(self) -> None:
        self.incident.note("listening_live", actor=self.actor)

    async def _digit(self, seconds: float | None) -> str | None:
        """The next key; None when the time is over, the leg ends, or somebody else resolves the incident."""
        digit = asyncio.ensure_future(self.call.digits.get())
        over: set[asyncio.Future[Any]] = {digit, self.call.ended, self.incident.resolved}
        try:
            await asyncio.wait(over, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            return digit.result() if digit.done() else None
        finally:
            digit.cancel()
