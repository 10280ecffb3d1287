"""Calls the emergency services: rings the control room, briefs whoever picks up, connects him to the room.

One call is one function, `_see_through`, that reads from top to bottom. Its outcome is told to the engine as one of

*   *confirmed*: the call taker pressed a key that the briefing asked for, or a person in the room spoke with him;
*   *failed*: it is certain that nobody was reached. On every trunk the interlock held the call back, nothing led
    there, the network refused it (a final response of 300 or above), or it did not say a single word in answer to the
    INVITE. In that last case the call may, in theory, have come through with every answer lost. Yet what follows a
    call that failed is another call, and a control room that is called twice does less harm than a worker whom nobody
    is called for; if the lost call is answered after all, it is hung up at once.
*   *indeterminate*: anything else. Something picked up and no key came; the network took the call and fell silent; it
    was answered in the moment in which it was given up. Never repeated but by a person or by the plan's own rule.

A call that rings out is withdrawn, and has failed when the network confirms that (487).
"""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import structlog

from config.plans import EmergencyRoute, FrozenPlan
from ivr import briefing
from ivr.phone import Phone
from ivr.runner import say
from ivr.speech import Voice
from voice.call import Call, CallEnd
from voice.clock import Clock
from voice.emergency_session import EmergencySession, RoomEnd
from voice.escalation.commands import CallEmergency, Cancel
from voice.escalation.control_room import PLAN
from voice.escalation.events import (
    EmergencyAnswered,
    EmergencyConfirmed,
    EmergencyFailed,
    EmergencyIndeterminate,
    Event,
    HungUp,
    LegLost,
)
from voice.escalation.location import briefing_facts, conveyed, pidf_lo
from voice.escalation.state import State
from voice.incidents.lifecycle import State as Standing
from voice.legs import EmergencyLeg, Legs
from voice.lines import EMERGENCY
from voice.live_incidents import LiveIncident
from voice.media.room import Role
from voice.outbound import Outbound, Rung
from voice.phone import CallPhone
from voice.sip.bodies import BodyPart
from voice.sip.session import EndCause

log = structlog.get_logger(__name__)

RINGING = 90.0
"""Seconds that a control room is rung on each trunk; the engine waits for 180 s."""

Report = Callable[[str, Event], None]
"""Tells the escalation of an incident what happened."""


class Brief(Protocol):
    """How a call taker is briefed (`ivr.briefing.brief`)."""

    async def __call__(
        self,
        phone: Phone,
        voice: Voice,
        facts: briefing.Facts,
        *,
        now: Any,
        on_confirmed: Callable[[str], None] | None = None,
    ) -> briefing.Outcome: ...


@dataclass(eq=False, slots=True)
class _Placed:
    """One emergency call."""

    incident: LiveIncident
    command: CallEmergency
    route: EmergencyRoute
    frozen: FrozenPlan
    facts: briefing.Facts
    voice: Voice
    leg: EmergencyLeg
    headers: tuple[tuple[str, str], ...]
    parts: tuple[BodyPart, ...]
    tell: Callable[[Event], None]
    cancelled: "asyncio.Future[Cancel]"
    sent: bool = False
    """INVITE went out."""
    call: Call | None = None
    proven: bool = False
    session: EmergencySession | None = None
    lost: bool = False
    """His leg died; nobody hung up."""
    over: bool = False
    """Its outcome has been told."""


@dataclass(slots=True)
class EmergencyCalls:
    """Knows every emergency call that is up, by incident and by the engine's name of the call."""

    outbound: Outbound
    legs: Legs
    incident: Callable[[str], LiveIncident | None]
    voice: Callable[[str, str], Voice]
    """(language, time zone) to how a person is spoken to."""
    report: Report
    clock: Clock
    domain: str
    """Ours, for what names the location within a call."""
    ring_operators: Callable[[LiveIncident, str], None]
    """A call taker is in the room, and nobody of ours is; or a person asked for a call, and it failed."""
    spawn: Callable[[Coroutine[Any, Any, Any]], object]
    brief: Brief = briefing.brief
    _placed: dict[tuple[str, str], _Placed] = field(default_factory=dict)

    async def call(self, incident_id: str, state: State, frozen: FrozenPlan, command: CallEmergency) -> None:
        """Place a call. It is under way when this returns. One that is under way already is not placed again."""
        key, incident, route = (incident_id, command.call), self.incident(incident_id), frozen.routes.get(command.route)
        if key in self._placed:
            return
        if incident is None or route is None:
            why = "the plan has no such route" if route is None else "the incident is not on this node"
            self.report(incident_id, EmergencyFailed(command.call, None, why))
            if incident is not None:
                self._failed(incident, command.asked_by, certain=True)
            return
        self._placed[key] = placed = self._prepared(incident, state, frozen, route, command)
        self.spawn(self._see_through(key, placed))

    def cancel(self, incident_id: str, command: Cancel) -> None:
        """End a call, whatever it has come to; who had answered hears why. Twice is harmless."""
        placed = self._placed.get((incident_id, command.leg))
        if placed is not None and not placed.cancelled.done():
            placed.cancelled.set_result(command)

    def confirm(self, incident_id: str, by: str) -> bool:
        """Somebody in the room (actor `by`) says that a person of the control room has it. False: no call is up."""
        for (incident, _), placed in self._placed.items():
            if incident == incident_id and placed.session is not None and not placed.over:
                self._confirmed(placed, f"confirmed by {by}")
                placed.session.prove()
                return True
        return False

    def _prepared(
        self, incident: LiveIncident, state: State, frozen: FrozenPlan, route: EmergencyRoute, command: CallEmergency
    ) -> _Placed:
        headers: tuple[tuple[str, str], ...] = (("Priority", "emergency"),)
        parts: tuple[BodyPart, ...] = ()
        names = {"incident": incident.id, "domain": self.domain}
        document = pidf_lo(state.facts, country=route.country, **names) if route.location == "header" else None
        if document is not None:
            located, part = conveyed(document, **names)
            headers, parts = headers + located, (part,)
        zone = frozen.customer.timezone if frozen.customer else "UTC"
        return _Placed(
            incident=incident,
            command=command,
            route=route,
            frozen=frozen,
            facts=briefing_facts(state.facts, state.opened_at, frozen, route),
            voice=self.voice(route.language, zone),
            leg=self.legs.emergency(),
            headers=headers,
            parts=parts,
            tell=lambda event: self.report(incident.id, event),
            cancelled=asyncio.get_running_loop().create_future(),
        )

    # -- one call, from top to bottom --

    async def _see_through(self, key: tuple[str, str], placed: _Placed) -> None:
        """One call to its end. Whatever happens to it, the engine hears of it."""
        call = placed.command.call
        try:
            await self._place(placed)
        except asyncio.CancelledError:
            raise  # the process ends: whoever takes the incident up knows that the outcome is not known
        except Exception:
            self._outcome(placed, _unknown(call, placed, "a fault of ours"))
            raise
        finally:
            self._placed.pop(key, None)
            if placed.call is not None:
                placed.call.hang_up()
                placed.leg.ended(placed.call.ended.result())

    async def _place(self, placed: _Placed) -> None:
        call, incident = placed.command.call, placed.incident
        self.spawn(briefing.prepare(placed.voice, placed.facts, self.clock.now()))
        rung = await self._unless_cancelled(placed, self._ring(placed))
        if rung is None or rung.call is None:
            self._outcome(placed, _unanswered(call, rung))
            return
        placed.call = rung.call
        placed.leg.attach(rung.call, incident)
        detail = {"leg": placed.leg.id, "call": call, "route": placed.route.id, "trunk": rung.trunk}
        incident.note("control_room_answered", detail)
        placed.tell(EmergencyAnswered(call))
        outcome = await self._unless_cancelled(placed, self._brief(placed, rung.call))
        if outcome in (briefing.Outcome.CONNECT, briefing.Outcome.UNCONFIRMED):
            placed.lost = await self._unless_cancelled(placed, self._connect(placed, rung.call)) is RoomEnd.LOST
        if placed.cancelled.done():
            await self._say_why(placed, rung.call)
        rung.call.hang_up()
        self._outcome(placed, _ended(call, placed, await rung.call.ended))

    async def _ring(self, placed: _Placed) -> Rung:
        customer, route = placed.frozen.customer, placed.route
        return await self.outbound.ring(
            route.number,
            placed.leg.plan,
            seconds=RINGING,
            trunks=route.trunks,
            caller_id=route.caller_id or (customer.caller_id if customer else None),
            display_name=customer.name if customer else "",
            headers=placed.headers,
            body=placed.parts,
            priority=EMERGENCY,
            on_attempt=lambda trunk: self._attempted(placed, trunk),
        )

    def _attempted(self, placed: _Placed, trunk: str | None) -> None:
        placed.sent = True
        detail = {"call": placed.command.call, "route": placed.route.id, "trunk": trunk}
        placed.incident.note("control_room_rung", detail)

    async def _brief(self, placed: _Placed, call: Call) -> briefing.Outcome:
        return await self.brief(
            CallPhone(call),
            placed.voice,
            placed.facts,
            now=self.clock.now(),
            on_confirmed=lambda proof: self._confirmed(placed, proof),
        )

    async def _connect(self, placed: _Placed, call: Call) -> RoomEnd:
        """The call taker is in the room: with the worker's live audio, and with people of ours."""
        placed.session = session = EmergencySession(
            placed.incident,
            call,
            placed.leg.id,
            placed.voice,
            placed.facts.values(self.clock.now()),
            proven=placed.proven,
            on_confirmed=lambda proof: self._confirmed(placed, proof),
            spawn=self.spawn,
        )
        placed.leg.on_quiet = session.went_quiet
        placed.incident.note("control_room_connected", {"leg": placed.leg.id, "call": placed.command.call})
        if not session.accompanied:
            self.ring_operators(placed.incident, f"emergency:{placed.route.id}")
        return await session.run()

    def _confirmed(self, placed: _Placed, proof: str) -> None:
        if not placed.proven:
            placed.proven = True
            placed.tell(EmergencyConfirmed(placed.command.call, proof))

    async def _say_why(self, placed: _Placed, call: Call) -> None:
        if call.up:
            await say(CallPhone(call), placed.voice, "taken.closed", "goodbye")

    def _outcome(self, placed: _Placed, event: Event) -> None:
        """Told once."""
        if not placed.over:
            placed.over = True
            placed.tell(event)
            if isinstance(event, EmergencyFailed | EmergencyIndeterminate) and not placed.cancelled.done():
                self._failed(placed.incident, placed.command.asked_by, certain=isinstance(event, EmergencyFailed))

    def _failed(self, incident: LiveIncident, asked_by: str, *, certain: bool) -> None:
        """Who is on the incident hears it at once: he believes that help was called. Where a person had asked for the
        call, operators are rung if none is there and none is rung for it."""
        if incident.state is Standing.RESOLVED:
            return
        members = incident.room.members
        for member in members:
            member.on_emergency_failed(certain)
        attended = incident.wants_help or any(member.role is Role.OPERATOR for member in members)
        if asked_by != PLAN and not attended:
            self.ring_operators(incident, asked_by)

    async def _unless_cancelled(self, placed: _Placed, work: Coroutine[Any, Any, Any]) -> Any:
        """The result of `work`; None when the call is cancelled first: then `work` is stopped."""
        task = asyncio.ensure_future(work)
        either: Sequence[asyncio.Future[Any]] = [task, placed.cancelled]
        try:
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            return task.result() if task.done() else None
        finally:
            if not task.done():
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)


def _unanswered(call: str, rung: Rung | None) -> Event:
    if rung is None:
        return EmergencyIndeterminate(call, "cancelled while it rang")
    if rung.certain:
        return EmergencyFailed(call, rung.status, rung.reason)
    return EmergencyIndeterminate(call, rung.reason)


def _ended(call: str, placed: _Placed, end: CallEnd) -> Event:
    """What it means that an answered call is over."""
    if placed.proven:
        hung_up = not placed.lost and (end.hung_up or end.cause is EndCause.LOCAL)
        return HungUp(call) if hung_up else LegLost(call)
    if placed.cancelled.done():
        return EmergencyIndeterminate(call, "cancelled before it was confirmed")
    return EmergencyIndeterminate(call, "it was answered, and ended without a confirmation")


def _unknown(call: str, placed: _Placed, why: str) -> Event:
    if placed.proven:
        return LegLost(call)
    return EmergencyIndeterminate(call, why) if placed.sent else EmergencyFailed(call, None, why)
