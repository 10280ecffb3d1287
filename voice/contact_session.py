"""One contact on one incident: from the moment he has taken the alarm until his call is over.

He listens silently, live; nobody hears him until he presses 1 (the worker) or 5 (the operators). Every key is
confirmed by voice, over what he hears. What comes next (the plan goes on, another one is rung) is not decided here:
`run` says how it ended, as soon as that is known, and the last words are spoken beside it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, ClassVar, Protocol

from config.plans import Contact
from ivr.taker import Says
from voice.call import Call
from voice.code_words import CodeWords, Verdict
from voice.incidents.lifecycle import REASON_KEYS, Reason, State
from voice.live_incidents import LiveIncident
from voice.media.listening import Listener
from voice.media.room import Member, Role, Voice
from voice.media.tones import Sound, clip
from voice.rtp.codecs import ALAW_SILENCE, SAMPLE_RATE
from voice.sign_of_life import SignOfLife

ANSWER_SECONDS = 8.0
"""How long a question waits for its key, once it has been spoken."""
LONGEST_CODE = 16
KEYED_AHEAD = 1.0
"""Seconds without a key after which nothing more is taken for keyed ahead."""
SAY_PATIENCE = 3.0
"""Seconds that a prompt may take to be made. Past that a sound takes its place."""
FAREWELL_SECONDS = 20.0
"""The last words are heard out before the leg is ended, if they take no longer than this."""


class ContactEnd(StrEnum):
    """How a session ended."""

    HUNG_UP = "hung up"
    """The contact did. He still has the alarm."""
    PASSED_ON = "passed on"
    CLOSED = "closed"
    """He resolved the incident, with the code word."""
    DURESS = "duress"
    """He gave the duress word: he believes nothing of what was said, and the plan goes on without him."""
    LOST = "lost"
    """His leg died; nobody hung up."""
    RESOLVED = "resolved"
    """Somebody else resolved the incident."""
    LET_GO = "let go"
    """`ContactSession.told`: somebody else has it."""


class Say(Protocol):
    """Makes a prompt: A-law in the language of this contact. Raises nothing; empty when nothing can be said."""

    def __call__(self, prompt: str, **values: Any) -> Awaitable[bytes]: ...


@dataclass(slots=True)
class ContactHooks:
    """What a session asks of the service. Actors are named as on the timeline: `contact:anna`."""

    ring_operators: Callable[[LiveIncident, str], None]
    """A contact wants to speak with an operator, and none is on the incident."""
    ask_emergency: Callable[[LiveIncident, str], bool]
    """A contact has confirmed that the emergency services are to be called. False: the plan has no way to."""
    duress: Callable[[LiveIncident, str], None]
    """A contact gave the duress word. Whatever this does makes no sound in his call."""
    call_back: Callable[[LiveIncident, str], Awaitable[bool]]
    """Calls the device back. True when it has answered."""
    memo: Callable[[LiveIncident], Awaitable[bytes | None]]
    """The amber memo in A-law; None when there is none."""
    heard: Callable[[LiveIncident, float], None]
    """The first audio of the incident reached a human, so many seconds after the alarm."""
    spawn: Callable[[Coroutine[Any, Any, Any]], object]
    """Runs something beside the session, supervised."""


class ContactSession:
    """What a contact's keys do. The table `KEYS` is the manual; the prompt `taker.menu` reads it out."""

    def __init__(
        self,
        contact: Contact,
        incident: LiveIncident,
        call: Call,
        leg_id: str,
        say: Say,
        hooks: ContactHooks,
        *,
        speed: float = 1.5,
    ) -> None:
        self.contact = contact
        self.incident = incident
        self.call = call
        self.actor = f"contact:{contact.id}"
        self._make = say
        self._hooks = hooks
        self._end: ContactEnd | None = None
        self._last_words: tuple[str, dict[str, str]] | None = None
        self._decided: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._words = CodeWords(incident.customer)
        self._went_back = False
        self._calling_back = False
        self._bad_news: str | None = None
        self._listener = Listener(
            incident.audio,
            position=incident.audio.end,
            speed=speed,
            on_first_audio=self._first_audio,
            on_live=self._went_live,
        )
        self.member = Member(leg_id, Role.CONTACT, received=call.media.received, listener=self._listener, ducks=True)
        self.member.on_company = self._company
        self.member.on_emergency_failed = self._emergency_failed
        self.went_quiet = SignOfLife(call, hooks.spawn, self._died).went_quiet
        """For `ContactLeg.on_quiet`."""

    async def run(self) -> ContactEnd:
        """Until it is known how it ends. Who is still on the line then hears why, and is let go, beside this."""
        self._join()
        end = None
        try:
            await self._attend()
            end = self._how_it_ended()
            return end
        finally:
            self._part(end)

    def told(self, prompt: str, **values: str) -> None:
        """He is told something (`taken.by`, name) and let go: somebody else has the alarm."""
        self._decide(ContactEnd.LET_GO, prompt, **values)

    async def press(self, digit: str) -> None:
        """One key. Whatever is being said stops."""
        self.member.tones.stop()
        action = self.KEYS.get(digit)
        if action is None:
            await self._say(Says.WRONG_KEY)
            return
        if self.incident.state is State.ACKNOWLEDGED:
            self.incident.change(State.IN_PROGRESS, actor=self.actor)
        await action(self)

    # -- keys --

    async def menu(self) -> None:
        """0: the menu again. Without key 1 where it could never be obeyed."""
        await self._say(Says.MENU if self.incident.talkable else Says.MENU_LISTENING)

    async def toggle_talk(self) -> None:
        """1: the worker hears the contact, or does not any more. Without a call with the device it is called
        back; on the line of a silent alarm nobody may be heard, and when it is over nobody calls there."""
        on = self.member.voice is not Voice.TALK
        if on and not self.incident.talkable:
            await self._say(Says.UNAVAILABLE)
            return
        if on and not self.incident.connected:
            await self._call_back()
            return
        gates = self.incident.room.talk(self.member, on)
        self.incident.note("talk_on" if on else "talk_off", {"gates": gates}, actor=self.actor)
        await self._say(Says.TALK_ON if on else Says.TALK_OFF)

    async def _call_back(self) -> None:
        await self._say(Says.CALLING_BACK)
        if not self._calling_back:
            self._calling_back = True
            self._hooks.spawn(self._wait_for_device())

    async def _wait_for_device(self) -> None:
        try:
            if not await self._hooks.call_back(self.incident, self.actor):
                await self._add(Says.UNAVAILABLE)
        finally:
            self._calling_back = False

    async def from_start(self) -> None:
        """2: hear the alarm from second 0, faster than it was, until live."""
        self._went_back = True
        self._listener.back(self._listener.position / SAMPLE_RATE)
        await self._say(Says.BEGINNING)

    async def to_live(self) -> None:
        """3: leave out the rest and hear what happens now."""
        self._listener.to_live()
        await self._say(Says.LIVE)

    async def memo(self) -> None:
        """4: hear what the worker said beforehand. Any key ends it."""
        memo = await self._hooks.memo(self.incident)
        if memo is None:
            await self._say(Says.NO_MEMO)
            return
        self.incident.note("memo_heard", {"leg": self.member.id}, actor=self.actor)
        await self._say(Says.MEMO)
        self.member.tones.play(memo)

    async def join_operators(self) -> None:
        """5: be heard by the operators, not by the worker; or not any more. Rings them if none is there."""
        on = self.member.voice is not Voice.CONFER
        gates = self.incident.room.confer(self.member, on)
        self.incident.note("confer_on" if on else "confer_off", {"gates": gates}, actor=self.actor)
        if not on:
            await self._say(Says.ALONE)
        elif self._sound_for_operators(Sound.CONFER_ON):
            await self._say(Says.CONFERRING)
        else:
            self._hooks.ring_operators(self.incident, self.actor)
            await self._say(Says.OPERATORS)

    async def pass_on(self) -> None:
        """6: give the alarm to the next one."""
        self.incident.note("passed_on", {"leg": self.member.id}, actor=self.actor)
        self._decide(ContactEnd.PASSED_ON, Says.PASSED_ON)

    async def call_emergency(self) -> None:
        """8, and 8 again: call the emergency services."""
        if await self._ask(Says.EMERGENCY_ASK) != "8":
            await self._say(Says.EMERGENCY_NOT)
            return
        self._bad_news = None  # of an earlier call
        asked = self._hooks.ask_emergency(self.incident, self.actor)
        await self._say(Says.EMERGENCY_CALLED if asked else Says.EMERGENCY_IMPOSSIBLE)

    async def close(self) -> None:
        """#, the code word, #, the reason: close the alarm. The duress word does the opposite and sounds the same."""
        if not self._words.any or not self._words.tries:
            await self._say(Says.STAYS_OPEN if self._words.any else Says.UNAVAILABLE)
            return
        code = await self._code()
        if not code:
            await self._say(Says.STAYS_OPEN)
            return
        known = self._words.forced
        verdict = self._words.judge(code)
        if verdict is Verdict.WRONG:
            self.incident.note("code_word_wrong", {"left": self._words.tries}, actor=self.actor)
            await self._forget_keys()
            await self._say(Says.WRONG_WORD)
            return
        if verdict is Verdict.DURESS and not known:
            self._hooks.duress(self.incident, self.actor)
        await self._close_for_a_reason(verdict)

    async def _close_for_a_reason(self, verdict: Verdict) -> None:
        reason = REASON_KEYS.get(await self._ask(Says.REASON) or "")
        if reason not in _REASONS:
            await self._say(Says.STAYS_OPEN)
        elif self.incident.state is not State.RESOLVED:
            self._decide(ContactEnd.CLOSED, Says.CLOSED)
            if verdict is Verdict.CLOSES:
                detail = {"proof": "code word"}
                self.incident.change(State.RESOLVED, actor=self.actor, reason=reason, detail=detail)

    async def _forget_keys(self) -> None:
        """What was keyed ahead of a wrong word is no command: the reason 1 would open the way to the worker."""
        while await self._digit(KEYED_AHEAD) is not None:
            pass

    async def _code(self) -> str | None:
        """What is keyed up to the next #; None when that is broken off."""
        code = ""
        digit = await self._ask(Says.CODE_WORD)
        while digit is not None and digit != "#" and len(code) < LONGEST_CODE:
            code += digit
            digit = await self._digit(ANSWER_SECONDS)
        return code if digit == "#" else None

    KEYS: ClassVar[dict[str, Callable[["ContactSession"], Awaitable[None]]]] = {
        "0": menu,
        "1": toggle_talk,
        "2": from_start,
        "3": to_live,
        "4": memo,
        "5": join_operators,
        "6": pass_on,
        "8": call_emergency,
        "#": close,
    }

    # -- coming and going --

    def _join(self) -> None:
        room, incident = self.incident.room, self.incident
        self._sound_for_operators(Sound.OPERATOR_JOINED)
        room.join(self.member)
        self.call.media.source = room.source_for(self.member)
        incident.note("contact_joined", {"leg": self.member.id, "after_s": self._after(2)}, actor=self.actor)

    async def _attend(self) -> None:
        await self._add(Says.WELCOME if self.incident.connected else self._gone())
        while self._end is None and (digit := await self._digit(None)) is not None:
            await self.press(digit)

    def _company(self, other: Member, came: bool) -> None:
        """Somebody came or left: he hears it behind what is being said."""
        if other.role is Role.DEVICE:
            prompt = self._back() if came else None if self.incident.connected else self._gone()
        else:  # after the duress word he would hear, and whoever forces him, that it called somebody
            prompt = None if self._words.forced else _COMPANY.get((other.role, came))
        if prompt is not None and self._end is None:
            self._hooks.spawn(self._add(prompt))

    def _emergency_failed(self, certain: bool) -> None:
        """He counts on help that is not coming. He hears it at once, in place of whatever is being said, and again
        behind whatever a key has it replaced with, until he has heard it out or has another call placed."""
        if self._end is None and not self._words.forced:
            self._bad_news = None
            self.member.tones.stop()
            self._bad_news = Says.EMERGENCY_IMPOSSIBLE if certain else Says.EMERGENCY_NOT
            self._hooks.spawn(self._tell_bad_news())

    async def _tell_bad_news(self) -> None:
        if self._bad_news is not None:
            words = await self._clip(self._bad_news, {})
            if self._bad_news is not None and self._end is None and not self._words.forced and self.call.up:
                self.member.tones.play(words, self._told_bad_news)

    def _told_bad_news(self, heard_out: bool) -> None:
        if heard_out:
            self._bad_news = None
        elif self._bad_news is not None:
            self._hooks.spawn(self._tell_bad_news())

    def _gone(self) -> Says:
        """What is said when the worker is not on the line. A call-back is offered only where there is a device."""
        if self.incident.device is not None:
            return Says.DEVICE_GONE
        return Says.LINE_OVER if self.incident.silent else Says.NOBODY

    def _back(self) -> Says:
        return Says.DEVICE_BACK if self.incident.device is not None else Says.WELCOME

    def _how_it_ended(self) -> ContactEnd:
        if self._end is None and self.incident.state is State.RESOLVED:
            self._decide(ContactEnd.RESOLVED, Says.INCIDENT_CLOSED)
        end = self._end
        if end is None:
            hung_up = self.call.ended.done() and self.call.ended.result().hung_up
            end = ContactEnd.HUNG_UP if hung_up else ContactEnd.LOST
        by_others = end in (ContactEnd.RESOLVED, ContactEnd.LET_GO)
        return ContactEnd.DURESS if self._words.forced and not by_others else end

    def _decide(self, end: ContactEnd, prompt: str, **values: str) -> None:
        """How it ends, and what is said last. The first decision stands."""
        if self._end is None:
            self._end, self._last_words = end, (prompt, values)
            self._decided.set_result(None)

    def _part(self, end: ContactEnd | None) -> None:
        if end is not None and self._last_words is not None and self.call.up:
            self._hooks.spawn(self._farewell(end, *self._last_words))
        else:
            self._leave(end or ContactEnd.LOST)

    async def _farewell(self, end: ContactEnd, prompt: str, values: dict[str, str]) -> None:
        """He hears these words and nothing else. Worker and operators, still there or not, would tell a bystander
        whether the word that was keyed closed the alarm."""
        gates = self.incident.room.leave(self.member)
        self.call.media.source = self.member.tones
        try:
            spoken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            await self._say(prompt, **values)
            self.member.tones.play(_PAUSE, lambda played: spoken.set_result(None))
            either: list[asyncio.Future[Any]] = [spoken, self.call.ended]
            await asyncio.wait(either, timeout=FAREWELL_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._leave(end, gates)

    def _leave(self, end: ContactEnd, shut: Sequence[str] = ()) -> None:
        gates = [*shut, *self.incident.room.leave(self.member)]
        detail = {"leg": self.member.id, "end": end.value, "gates": gates}
        self.incident.note("contact_left", detail, actor=self.actor)
        self.call.hang_up()

    # -- small things --

    def _died(self) -> None:
        self.incident.note("no_sign_of_life", {"leg": self.member.id})

    def _sound_for_operators(self, sound: Sound) -> bool:
        """Plays it to the operators in the room. Whether there are any."""
        operators = [member for member in self.incident.room.members if member.role is Role.OPERATOR]
        for member in operators:
            member.tones.play(clip(sound))
        return bool(operators)

    async def _say(self, prompt: str, **values: str) -> None:
        """Says it to the contact alone, in place of what is being said."""
        words = await self._clip(prompt, values)
        self.member.tones.stop()
        self.member.tones.play(words)

    async def _add(self, prompt: str) -> None:
        """Says it when what is being said is over."""
        self.member.tones.play(await self._clip(prompt, {}))

    async def _clip(self, prompt: str, values: dict[str, str]) -> bytes:
        """A prompt that cannot be made in time is a sound: the key was taken all the same."""
        try:
            words = await asyncio.wait_for(self._make(prompt, **values), SAY_PATIENCE)
        except TimeoutError:
            words = b""
        return words or clip(Sound.ACCEPTED)

    async def _ask(self, prompt: str) -> str | None:
        """The key that answers a question. It may come before the question has been spoken to its end."""
        await self._say(prompt)
        digit = await self._digit(self.member.tones.queued + ANSWER_SECONDS)
        self.member.tones.stop()
        return digit

    def _after(self, digits: int) -> float:
        """Seconds since the alarm."""
        return round((self.incident.clock.now() - self.incident.opened_at).total_seconds(), digits)

    def _first_audio(self) -> None:
        begun = round(self._listener.position / SAMPLE_RATE, 2)
        self.incident.note("first_audio_heard", {"after_s": self._after(3), "from_s": begun}, actor=self.actor)
        self._hooks.heard(self.incident, self._after(3))

    def _went_live(self) -> None:
        if self._went_back:
            self.incident.note("listening_live", actor=self.actor)

    async def _digit(self, seconds: float | None) -> str | None:
        """The next key; None when the time is over, or how the session ends is known."""
        digit = asyncio.ensure_future(self.call.digits.get())
        over: set[asyncio.Future[Any]] = {digit, self.call.ended, self.incident.resolved, self._decided}
        try:
            await asyncio.wait(over, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            return digit.result() if digit.done() else None
        finally:
            digit.cancel()


_REASONS = (Reason.GENUINE, Reason.FALSE, Reason.TEST)
"""What a contact may close an alarm with."""
_COMPANY = {
    (Role.OPERATOR, True): Says.OPERATOR_JOINED,
    (Role.OPERATOR, False): Says.OPERATOR_LEFT,
    (Role.EMERGENCY, True): Says.EMERGENCY_JOINED,
}
_PAUSE = ALAW_SILENCE * round(0.2 * SAMPLE_RATE)
