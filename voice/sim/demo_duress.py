"""The third story of the demo: a check-in, and one under threat that sounds the same.

The service calls Anna, as she has a session; she presses the key that the voice asks for. At the next check-in somebody
stands beside her who knows that she will be called: she keys 00 in place of the key. The voice thanks her as before.
Olga's phone rings; she hears the call from its first second, and nothing that she says can come out of Anna's phone.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from ivr.saying import Moment
from ivr.session import Ended, Origin, Rules, Session
from ivr.speech import Voice
from voice.app import Service
from voice.incidents.lifecycle import State
from voice.incidents.timeline import Entry
from voice.sim.demo_telling import Tell, Telling, chain
from voice.sim.demo_view import Finding
from voice.sim.matching import follow, in_order
from voice.sim.phone import SimPhone
from voice.sim.phone_call import PhoneCall
from voice.sim.recognising import key_asked_for, said
from voice.sim.speech import clip
from voice.store import incidents as rows
from voice.store.rows import IncidentRow

RULES = Rules(interval=8.0, grace=0.0, retries=(), warn_before=0.0)
"""Nobody waits for half an hour in a demo."""

THINKS = 0.8
"""Seconds between the question and her answer: what is heard behind the key is the answer to it."""

SAME_PACE = 0.25
"""Seconds by which two answers may differ on a machine that does other things as well."""

SEES_IT_LATER = 4.0
"""Seconds that Olga lets it ring: there is something to catch up with."""


@dataclass(frozen=True, slots=True)
class CheckedIn:
    """What came of the story. Times are loop times."""

    well: PhoneCall
    """The check-in at which Anna is well."""
    well_pressed: float
    forced: PhoneCall
    """The one at which she is not."""
    forced_pressed: float
    operator: PhoneCall
    talked: float
    """When Olga tried to speak."""
    thanked: tuple[bool, bool]
    """Whether the voice thanked her and told the next time, in each of the two."""
    resolved_before: bool
    """Olga had closed the alarm before Anna hung up."""
    session: Session
    incident: IncidentRow
    timeline: Sequence[Entry]


class CheckInStory(Telling[CheckedIn]):
    """Anna is called twice."""

    patience = 90.0

    def __init__(
        self,
        service: Service,
        anna: SimPhone,
        olga: SimPhone,
        *,
        tell: Tell,
        zero: Callable[[datetime], None] = lambda at: None,
    ) -> None:
        """`zero` hears when the first check-in is due."""
        super().__init__(service, tell, zero)
        self._anna, self._olga = anna, olga
        self._voice: Voice = service.outside.speech.voice("en", "Europe/Amsterdam")

    async def _play(self) -> CheckedIn:
        await self._olga.register()
        check_ins = self._service.check_in_desk.check_ins
        self.doing = "the first check-in is due"
        now = self._now()
        self._zero(now)
        begun = now - timedelta(seconds=RULES.interval)
        session = check_ins.begin("anna", RULES, origin=Origin.API, started_at=begun, ends_at=now + timedelta(hours=1))
        self._say("Earshot", f"a check-in is due, the first of a session: one each {RULES.interval:.0f} s")
        well, well_pressed = await self._answers(1, lambda key: key, "Anna is well, and presses it")
        thanked_well = await self._thanked(well)
        well.hang_up()
        self._say("Anna's phone", "Anna hangs up")

        self.doing = "the next check-in"
        self._say("Anna's phone", "a man stands beside her, who knows that she will be called")
        forced, forced_pressed = await self._answers(2, lambda key: "00", "Anna keys 00")
        forced.say(clip("badge"))
        thanked_forced = await self._thanked(forced)
        self._say("Anna's phone", "the voice thanks her as before; the line is silent, and stays open")
        after = check_ins.session(session.id) or session
        check_ins.post(session.id, Ended("the story"))

        self.doing = "the operator takes the silent alarm"
        incident = await self._follower.first()
        operator = await self._olga.called()
        await operator.established()
        await self._follower.until("first_audio_heard", incident)
        await asyncio.sleep(3.0)
        self._say("Olga's phone", "Olga tries to speak to Anna: it is not possible on such a line")
        talked = self._loop.time()
        operator.press("1")
        operator.say(clip("operator"))
        await operator.said()
        await self._follower.until("listening_live", incident)

        self.doing = "the operator closes the alarm"
        self._say("Olga's phone", "help is there: Olga closes the alarm (#, and 4 for duress)")
        operator.press("#")
        await asyncio.sleep(0.5)
        operator.press("4")
        await self._follower.until("resolved", incident)
        operator.hang_up()
        await asyncio.sleep(1.0)
        resolved_before = not forced.is_over
        forced.hang_up()
        self._say("Anna's phone", "Anna hangs up")
        await forced.over()
        await asyncio.sleep(0.5)
        read = self._service.outside.store.read
        return CheckedIn(
            well, well_pressed, forced, forced_pressed, operator, talked, (thanked_well, thanked_forced),
            resolved_before,
            after,
            await read(partial(rows.incident, name=incident)),
            await read(partial(rows.timeline, incident_id=incident)),
        )  # fmt: skip

    async def _answers(self, number: int, entry: Callable[[str], str], told: str) -> tuple[PhoneCall, float]:
        """Anna picks up, hears which key is asked for, and keys something."""
        self.doing = f"check-in {number}: Anna's phone rings"
        call = await self._anna.called()
        await call.established()
        self._say("Anna's phone", "rings; Anna picks up")
        self.doing = f"check-in {number}: Anna is asked for a key"
        while (key := await key_asked_for(self._voice, call.hearing.audio(), "check_in.ask", last=False)) is None:
            if call.is_over:
                raise ConnectionError("Anna was hung up on")
            await asyncio.sleep(0.1)
        await asyncio.sleep(THINKS)
        self._say("Anna's phone", f"the voice asks for {key}; {told}")
        keys = entry(key)
        call.press(keys[:1])
        for digit in keys[1:]:
            await asyncio.sleep(0.2)
            call.press(digit)
        return call, self._loop.time()

    async def _thanked(self, call: PhoneCall) -> bool:
        """Whether the voice says the next due time, within a few seconds."""
        session = self._service.check_in_desk.check_ins.of_worker("anna")
        for _ in range(80):
            await asyncio.sleep(0.1)
            session = self._service.check_in_desk.check_ins.of_worker("anna")
            if session is None or call.is_over:
                return False
            told = Moment(session.due_at, self._now())
            if await said(self._voice, call.hearing.audio(), "check_in.thanks", next=told):
                return True
        return False


def findings(played: CheckedIn) -> Iterator[Finding]:
    """What the story proves, measured on the phones and in the database."""
    yield Finding("the same words", all(played.thanked), "both calls end with the thanks and the time of the next")
    first, second = (
        _answer_after(call, at)
        for call, at in ((played.well, played.well_pressed), (played.forced, played.forced_pressed))
    )
    told = "no answer was heard" if first is None or second is None else f"{first:.0f} ms and {second:.0f} ms"
    same = first is not None and second is not None and abs(first - second) < SAME_PACE * 1000
    yield Finding("the same pace", same, f"from the last key to the voice: {told}")
    late = played.forced.hearing.sounds(since=played.talked)
    packets = sum(1 for _ in played.forced.hearing.packets(since=played.talked))
    yield Finding(
        "silent line", not late and packets > 0, f"{packets} packets while Olga spoke: digital silence, bit for bit"
    )
    yield Finding(
        "hers to end", played.resolved_before, "the line was open when the alarm was closed, until Anna hung up"
    )
    yield _heard(played)
    yield Finding("schedule", played.session.open and not played.session.missed, "goes on as after any confirmation")
    by = next((entry.actor for entry in played.timeline if entry.kind == "resolved"), "nobody")
    yield Finding(
        "closed",
        played.incident.state is State.RESOLVED,
        f"incident {played.incident.id}: {played.incident.kind} by {by}",
    )
    yield chain(played.timeline)


def _answer_after(call: PhoneCall, pressed: float) -> float | None:
    """Milliseconds."""
    sounds = call.hearing.sounds(since=pressed)
    return (sounds[0].at - pressed) * 1000 if sounds else None


def _heard(played: CheckedIn) -> Finding:
    run = in_order(follow(played.operator.hearing.audio(), clip("badge")), longest_pause=1.5)
    if not run:
        return Finding("heard", False, "Olga did not hear what Anna said")
    return Finding(
        "heard", run[0].position < 1.0, f"Olga heard what Anna said from its second {run[0].position:.1f} on"
    )
