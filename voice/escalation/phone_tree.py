"""The phone tree: calls a contact, asks him to take the alarm, and stays with him for as long as he has it.

One call is one function, `_see_through`, that reads from top to bottom: ring, say who calls and why, ask for the key,
join the incident. What becomes of it is told to the escalation as events; whether another phone rings next is decided
there. A call that is not needed any more is cancelled from there too (`cancel`): if it was answered, the person
hears why first.
"""

import asyncio
import random
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import structlog

from config.models import Settings
from config.plans import Contact, FrozenPlan
from ivr.accept import Acceptance, Alarm, accept, prepare, random_key
from ivr.accept import Outcome as Accepted
from ivr.runner import say
from ivr.speech import Voice
from voice.call import Call
from voice.contact_session import ContactEnd, ContactHooks, ContactSession
from voice.errors import EarshotError
from voice.escalation.commands import Cancel, Ring
from voice.escalation.events import (
    Answered,
    Busy,
    Declined,
    Event,
    Failed,
    HungUp,
    LegLost,
    NoAnswer,
    PassedOn,
    Rings,
    Taken,
    VoicemailSuspected,
)
from voice.escalation.state import Facts
from voice.legs import ContactLeg, Legs
from voice.live_incidents import LiveIncident
from voice.outbound import Outbound, Rung
from voice.phone import CallPhone
from voice.ringing import Outcome

log = structlog.get_logger(__name__)

T = TypeVar("T")

Report = Callable[[str, Event], None]
"""Tells the escalation of an incident what happened."""


class _Cancelled(Exception):
    """The call is not needed any more."""


@dataclass(eq=False, slots=True)
class _Offer:
    """One call to a contact."""

    incident: LiveIncident
    contact: Contact
    frozen: FrozenPlan
    command: Ring
    voice: Voice
    alarm: Alarm
    cancelled: "asyncio.Future[Cancel]"
    leg: ContactLeg
    report: Callable[[Event], None]
    call: Call | None = None
    session: ContactSession | None = None
    taken: bool = False


@dataclass(slots=True)
class PhoneTree:
    """Rings contacts. Knows every call to a contact that is up, by incident and by the engine's name of the leg."""

    settings: Callable[[], Settings]
    """Those that hold now."""
    outbound: Outbound
    legs: Legs
    incident: Callable[[str], LiveIncident | None]
    voice: Callable[[str, str], Voice]
    """(language, time zone) to how a person is spoken to."""
    report: Report
    hooks: ContactHooks
    random: random.Random
    spawn: Callable[[Coroutine[Any, Any, Any]], object]
    _offers: dict[tuple[str, str], _Offer] = field(default_factory=dict)

    def ring(self, incident_id: str, facts: Facts, frozen: FrozenPlan, command: Ring) -> None:
        """Begin a call. A leg that is under way already is not rung a second time."""
        key, incident = (incident_id, command.leg), self.incident(incident_id)
        contact = frozen.contacts.get(command.contact)
        if incident is None or contact is None:
            self.report(incident_id, Failed(command.leg, None, "the incident is not on this node"))
        elif key not in self._offers:
            self._offers[key] = offer = self._offer(incident, contact, facts, frozen, command)
            self.spawn(self._see_through(key, offer))

    def cancel(self, incident_id: str, command: Cancel) -> None:
        """End a call, whatever it has come to. Twice is harmless."""
        offer = self._offers.get((incident_id, command.leg))
        if offer is None:
            return
        if offer.session is not None:
            prompt, values = self._farewell(offer, command)
            offer.session.told(prompt, **values)
        elif not offer.cancelled.done():
            offer.cancelled.set_result(command)

    def _offer(
        self, incident: LiveIncident, contact: Contact, facts: Facts, frozen: FrozenPlan, command: Ring
    ) -> _Offer:
        customer = frozen.customer
        language = contact.language or (customer.language if customer else "en")
        zone = contact.timezone or (customer.timezone if customer else "UTC")
        return _Offer(
            incident=incident,
            contact=contact,
            frozen=frozen,
            command=command,
            voice=self.voice(language, zone),
            alarm=Alarm(customer.name if customer else "", facts.worker or facts.device, facts.kind),
            cancelled=asyncio.get_running_loop().create_future(),
            leg=self.legs.contact(contact),
            report=lambda event: self.report(incident.id, event),
        )

    # -- one call, from top to bottom --

    async def _see_through(self, key: tuple[str, str], offer: _Offer) -> None:
        """One call to its end. Whatever happens to it, the escalation hears of it."""
        try:
            await self._call(offer)
        except _Cancelled:
            await self._tell_why(offer, offer.cancelled.result())
        except EarshotError as error:
            offer.report(Failed(offer.command.leg, None, str(error)))
        except Exception:
            offer.report(Failed(offer.command.leg, None, "a fault of ours"))
            raise
        finally:
            self._offers.pop(key, None)
            if offer.call is not None:
                offer.call.hang_up()
                offer.leg.ended(offer.call.ended.result())

    async def _call(self, offer: _Offer) -> None:
        leg, key = offer.command.leg, random_key(self.random)
        rung = await self._unless_cancelled(offer, self._ring(offer, key))
        if rung.call is None:
            offer.report(_unanswered(leg, rung))
            return
        offer.call = rung.call
        offer.leg.attach(rung.call, offer.incident)
        detail = {"leg": offer.leg.id, "contact": offer.contact.id, "call": leg, "trunk": rung.trunk}
        offer.incident.note("contact_answered", detail)
        offer.report(Answered(leg))
        acceptance = await self._unless_cancelled(offer, self._ask(offer, rung.call, key))
        if acceptance.outcome is not Accepted.ACCEPTED:
            offer.report(_refused(leg, acceptance, rung.call))
        elif acceptance.hung_up:
            offer.report(HungUp(leg))
        else:
            await self._stay_with(offer, rung.call)

    async def _ring(self, offer: _Offer, key: str) -> Rung:
        customer, command = offer.frozen.customer, offer.command

        def rings() -> None:
            """The prompts are made while the phone rings: for one that is busy nothing need be said."""
            offer.report(Rings(command.leg))
            self.spawn(prepare(offer.voice, offer.alarm, key))

        return await self.outbound.ring(
            command.number,
            offer.leg.plan,
            seconds=command.seconds,
            trunks=customer.trunks if customer else (),
            caller_id=customer.caller_id if customer else None,
            display_name=offer.alarm.customer or "Earshot",
            headers=(("Priority", "emergency"), ("Subject", f"{offer.incident.kind.value} {offer.incident.id}")),
            priority=offer.incident.priority,
            on_ringing=rings,
        )

    async def _ask(self, offer: _Offer, call: Call, key: str) -> Acceptance:
        leg = offer.command.leg

        def accepted() -> None:
            """At the press of the key, before it is confirmed by voice: other phones stop ringing now."""
            offer.taken = True
            offer.report(Taken(leg, "pressed the key asked for"))

        return await accept(CallPhone(call), offer.voice, offer.alarm, key=key, on_accepted=accepted)

    async def _stay_with(self, offer: _Offer, call: Call) -> None:
        """He has the alarm: he listens, talks, passes on, closes; until his call is over."""
        if offer.cancelled.done():
            raise _Cancelled
        session = ContactSession(
            offer.contact,
            offer.incident,
            call,
            offer.leg.id,
            offer.voice.say,
            self.hooks,
            speed=self.settings().alarms.catch_up_speed,
        )
        offer.leg.on_quiet = session.went_quiet
        offer.session = session
        end = await session.run()
        event = _after_session(offer.command.leg, end)
        if event is not None:
            offer.report(event)
        await call.ended  # the last words are spoken beside this

    async def _unless_cancelled(self, offer: _Offer, work: Coroutine[Any, Any, T]) -> T:
        """The result of `work`; if the call is cancelled first, `work` is stopped."""
        task = asyncio.ensure_future(work)
        either: list[asyncio.Future[Any]] = [task, offer.cancelled]
        try:
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                return task.result()
            raise _Cancelled
        finally:
            if not task.done():
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

    # -- last words --

    async def _tell_why(self, offer: _Offer, command: Cancel) -> None:
        """Who had answered hears why nothing is asked of him any more."""
        if offer.call is None or not offer.call.up:
            return
        prompt, values = self._farewell(offer, command)
        await say(CallPhone(offer.call), offer.voice, prompt, "goodbye", **values)

    def _farewell(self, offer: _Offer, command: Cancel) -> tuple[str, dict[str, str]]:
        if command.taken_by is None:
            return "taken.closed", {}
        name = self._name(command.taken_by, offer.frozen)
        return ("taken.by", {"name": name}) if name else ("taken.somebody", {})

    def _name(self, actor: str, frozen: FrozenPlan) -> str | None:
        """What people call somebody whom the timeline knows as `contact:anna`."""
        role, _, id = actor.partition(":")
        found: Any = None
        match role:
            case "contact":
                found = frozen.contacts.get(id)
            case "operator":
                found = self.settings().operator(id)
            case "emergency":
                found = frozen.routes.get(id)
        return found.name if found is not None else None


_UNANSWERED: Mapping[Outcome, Callable[[str], Event]] = {
    Outcome.BUSY: Busy,
    Outcome.DECLINED: Declined,
    Outcome.NO_ANSWER: NoAnswer,
}


def _unanswered(leg: str, rung: Rung) -> Event:
    """What a call that nothing picked up means to the plan."""
    made = _UNANSWERED.get(rung.outcome)
    return made(leg) if made is not None else Failed(leg, rung.status, rung.reason)


def _refused(leg: str, acceptance: Acceptance, call: Call) -> Event:
    """What it means that something picked up and the alarm was not taken."""
    match acceptance.outcome:
        case Accepted.DECLINED:
            return Declined(leg)
        case Accepted.VOICEMAIL_SUSPECTED:
            return VoicemailSuspected(leg, acceptance.why)
        case Accepted.HUNG_UP if _broke(call):
            return LegLost(leg)
        case _:
            return NoAnswer(leg, answered=True)


def _broke(call: Call) -> bool:
    """Whether the connection ended by itself: nobody hung up."""
    return call.ended.done() and not call.ended.result().hung_up


def _after_session(leg: str, end: ContactEnd) -> Event | None:
    """What the end of a taker's call means to the plan; None where somebody has decided it elsewhere."""
    match end:
        case ContactEnd.HUNG_UP | ContactEnd.CLOSED:  # the runner hears of `closed` before
            return HungUp(leg)
        case ContactEnd.PASSED_ON | ContactEnd.DURESS:
            return PassedOn(leg)
        case ContactEnd.LOST:
            return LegLost(leg)
        case ContactEnd.RESOLVED | ContactEnd.LET_GO:
            return None
