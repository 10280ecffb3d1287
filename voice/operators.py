"""The operators: who is free, whose phones ring, who listens to what.

One loop looks at the queue whenever something changed and rings whoever should ring. Ringing never ends by itself:
as long as an alarm waits, it starts anew. What to ring is decided in `dispatch.py`, how in `ringing.py`, and what
an operator can do once he listens in `listening_session.py`.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

import structlog

from config.models import Operator, Settings
from voice.call import Call, Calls, Destination
from voice.dispatch import Free, Waiting, assign, next_chance
from voice.errors import EarshotError
from voice.escalation.events import OperatorRings
from voice.legs import Legs, OperatorLeg
from voice.listening_session import ListeningSession, SessionHooks
from voice.live_incidents import LiveIncident, LiveIncidents
from voice.ringing import Outcome, ring
from voice.sip.session import InviteSession

log = structlog.get_logger(__name__)

PAUSE = {
    Outcome.BUSY: 5.0,
    Outcome.DECLINED: 15.0,
    Outcome.NO_ANSWER: 2.0,
    Outcome.UNREACHABLE: 5.0,
    Outcome.STOPPED: 0.0,
}
"""Seconds until an operator is rung again for the same alarm. A refusal pauses; it never ends the ringing."""

GIVEN_BACK_PAUSE = 20.0
"""Seconds for which others ring first, after an operator gave an alarm back."""


@dataclass(slots=True)
class _Seat:
    """One operator, as the queue sees him."""

    operator: Operator
    idle_since: float = 0.0
    ringing: asyncio.Task[None] | None = None
    rings_for: LiveIncident | None = None
    session: ListeningSession | None = None
    retired: bool = False
    """He is no operator any more."""


class Operators:
    """Rings operators for the alarms that wait, and runs their sessions."""

    def __init__(
        self,
        *,
        settings: Settings,
        incidents: LiveIncidents,
        calls: Calls,
        legs: Legs,
        phones: Callable[[Operator], list[Destination]],
        hooks: SessionHooks,
        spawn: Callable[[Coroutine[Any, Any, Any]], asyncio.Task[Any]],
    ) -> None:
        self._settings = settings
        self._incidents = incidents
        self._calls = calls
        self._legs = legs
        self._phones = phones
        self._hooks = hooks
        self._spawn = spawn
        self._seats: dict[str, _Seat] = {}
        self._changed = asyncio.Event()
        self._stopped = False
        self.follow(settings.operators)

    def follow(self, operators: Iterable[Operator]) -> None:
        """From now on these are the operators. Who is none any more is rung no more, and ends what he listens to."""
        present = {operator.id: operator for operator in operators}
        for id, operator in present.items():
            self._seats.setdefault(id, _Seat(operator)).operator = operator
        for id, seat in self._seats.items():
            seat.retired = id not in present
            if seat.retired and seat.ringing is not None:
                seat.ringing.cancel()
        self.wake()

    def stop(self) -> None:
        """Ring nobody any more: what waits is rung for at the next start."""
        self._stopped = True
        for seat in self._seats.values():
            if seat.ringing is not None:
                seat.ringing.cancel()

    def wake(self) -> None:
        """Something changed: an alarm, a registration, an operator who is free again."""
        self._changed.set()

    @property
    def listening(self) -> int:
        """How many operators are on an incident."""
        return sum(seat.session is not None for seat in self._seats.values())

    async def run(self) -> None:
        """Look at the queue whenever something changed, and when a pause is over."""
        while True:
            again = self._look()
            self._changed.clear()
            loop = asyncio.get_running_loop()
            try:
                async with asyncio.timeout(None if again is None else max(again - loop.time(), 0.0)):
                    await self._changed.wait()
            except TimeoutError:
                pass

    # -- ringing --

    def _look(self) -> float | None:
        """Start and stop ringing as the queue demands. Returns when to look again, if nothing changes before."""
        self._stop_what_is_not_needed()
        if self._stopped:
            return None
        now = asyncio.get_running_loop().time()
        free = [Free(s.operator.id, s.idle_since) for s in self._seats.values() if self._is_free(s)]
        if not free:
            return None
        waiting = [self._waiting(incident) for incident in self._incidents.waiting()]
        for incident_id, operator_id in assign(waiting, free, self._settings.alarms.ring, now):
            incident = self._incidents.get(incident_id)
            if incident is not None:
                self._start_ringing(self._seats[operator_id], incident)
        return next_chance(waiting, now)

    def _is_free(self, seat: _Seat) -> bool:
        return not seat.retired and seat.session is None and seat.ringing is None and bool(self._phones(seat.operator))

    def _waiting(self, incident: LiveIncident) -> Waiting:
        ringing = frozenset(s.operator.id for s in self._seats.values() if s.rings_for is incident)
        return Waiting(incident.id, ringing, incident.not_before)

    def _stop_what_is_not_needed(self) -> None:
        for seat in self._seats.values():
            if seat.rings_for is not None and seat.ringing is not None and not seat.rings_for.waits:
                seat.ringing.cancel()

    def _start_ringing(self, seat: _Seat, incident: LiveIncident) -> None:
        seat.rings_for = incident
        seat.ringing = self._spawn(self._ring(seat, incident))

    async def _ring(self, seat: _Seat, incident: LiveIncident) -> None:
        operator = seat.operator
        loop = asyncio.get_running_loop()
        incident.note("operator_rung", {"operator": operator.id})
        legs = {leg.id: (leg, to) for to in self._phones(operator) if (leg := self._legs.operator(operator))}
        dials = [partial(self._dial, to, leg, incident) for leg, to in legs.values()]
        outcome, call = Outcome.UNREACHABLE, None  # whatever fails here is tried again after the pause
        try:
            outcome, call = await ring(dials, self._settings.alarms.ring_seconds)
        except asyncio.CancelledError:
            outcome = Outcome.STOPPED
            raise
        except EarshotError as error:
            log.warning("an operator could not be rung", why=str(error))  # such as: no port is free
        finally:
            seat.ringing, seat.rings_for = None, None
            seat.idle_since = loop.time()
            if outcome is not Outcome.ANSWERED:
                incident.not_before[operator.id] = loop.time() + PAUSE[outcome]
                incident.note("ringing_ended", {"operator": operator.id, "outcome": outcome.value})
            self.wake()
        if call is not None:
            self._answered(seat, incident, call, legs[call.media.id][0])

    def _dial(self, to: Destination, leg: OperatorLeg, incident: LiveIncident) -> Call:
        headers = (
            ("Alert-Info", "<urn:alert:service:priority>"),  # RFC 7462
            ("Priority", "emergency"),
            ("Subject", f"{incident.kind.value} {incident.id}"),
        )
        call = self._calls.dial(to, leg.plan, headers=headers, user=incident.extension, display_name=incident.label)
        call.on_progress = lambda code: incident.tell(OperatorRings(leg.operator_id or "")) if code == 180 else None
        return call

    def _answered(self, seat: _Seat, incident: LiveIncident, call: Call, leg: OperatorLeg) -> None:
        """First to answer listens. Who is second takes the next alarm that waits, or is let go."""
        if not incident.waits:
            waiting = self._incidents.waiting()
            if not waiting:
                incident.note("answered_too_late", {"operator": seat.operator.id})
                call.hang_up("taken by another operator")
                return
            incident = waiting[0]
        self._listen(seat, incident, call, leg)

    # -- listening --

    def _listen(self, seat: _Seat, incident: LiveIncident, call: Call, leg: OperatorLeg) -> None:
        """The operator is on the incident from this moment on."""
        leg.attach(call, incident)
        session = ListeningSession(
            seat.operator, incident, call, leg.id, self._hooks, self._settings.alarms.catch_up_speed
        )
        leg.on_quiet = session.went_quiet
        for other in self._sessions_on(incident):
            other.joined_by_another()
        seat.session = session
        session.join()
        self._spawn(self._attend(seat, session, leg))

    async def _attend(self, seat: _Seat, session: ListeningSession, leg: OperatorLeg) -> None:
        try:
            await session.run()
        finally:
            loop = asyncio.get_running_loop()
            if session.gave_back:
                session.incident.not_before[seat.operator.id] = loop.time() + GIVEN_BACK_PAUSE
            seat.session = None
            seat.idle_since = loop.time()
            session.leave()
            leg.ended(session.call.ended.result())
            self.wake()

    def _sessions_on(self, incident: LiveIncident) -> list[ListeningSession]:
        return [s.session for s in self._seats.values() if s.session and s.session.incident is incident]

    # -- what an operator dials --

    def incoming(self, session: InviteSession, operator: Operator, dialled: str) -> None:
        """`next`: the most urgent alarm that waits. `listen-<incident>`: that one, beside whoever is on it."""
        seat = self._seats[operator.id]
        if seat.session is not None:
            session.reject(486)
            return
        if dialled == "next":
            incident = next(iter(self._incidents.waiting()), None)
        elif dialled.startswith("listen-"):
            incident = self._incidents.get(dialled.removeprefix("listen-").partition(".")[0].lower())
        else:
            session.reject(404)
            return
        if incident is None:
            why = "no alarm waits" if dialled == "next" else "no such open incident"
            session.reject(480, (("Warning", f'399 earshot "{why}"'),))
            return
        self._accept(seat, incident, session)

    def _accept(self, seat: _Seat, incident: LiveIncident, session: InviteSession) -> None:
        call, leg = None, self._legs.operator(seat.operator)
        try:
            call = self._calls.receive(session, leg.plan)
            call.prepare()
        except EarshotError as error:
            if call is not None:
                call.abandon()
            session.reject(error.sip_status)
            return
        if seat.ringing is not None:
            seat.ringing.cancel()
        call.answer()
        self._listen(seat, incident, call, leg)
