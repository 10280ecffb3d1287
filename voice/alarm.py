"""The story of an alarm call, top to bottom. Read this first.

1. Who is calling, and is there an open incident that this call belongs to?
2. One commit: incident, timeline, leg and recording. It is under way before anything else can fail.
3. Ports are opened: whatever the device says from here on is kept.
4. 200 OK, once the commit is durable, unless the store is down. The device hears digital silence, or nothing.
5. The plan begins (`escalation/`): operators ring (`operators.py`), then the phone tree, then whatever the customer
   laid down, until a person has proven that he has the alarm. Whoever joins hears it from second 0.
6. The device hanging up, crashing or calling again changes nothing about 5. Only a person resolves the incident.
"""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

import structlog
from sqlalchemy import Connection

from config.models import Device, Settings
from voice.call import Call, CallEnd, Calls, Destination
from voice.clock import Clock
from voice.directory import Caller, Directory
from voice.errors import EarshotError, PeerError
from voice.escalation.facts import facts_of
from voice.escalation.runner import Escalations
from voice.incidents.lifecycle import State
from voice.journal import Journal
from voice.legs import DeviceLeg, Legs
from voice.live_incidents import DEAD_AIR, Key, LiveIncident, LiveIncidents, unknown_caller
from voice.metrics import Metrics
from voice.sip.session import EndCause, InviteSession
from voice.store import Store
from voice.store import incidents as rows

log = structlog.get_logger(__name__)

STORE_PATIENCE = 2.0
"""Seconds that a 200 OK waits for the commit. Longer, and the device gives up: losing the alarm is worse. With a store
that has been away for so long already it waits for nothing."""

AUTO_ANSWER = (
    ("Answer-Mode", "Auto"),  # RFC 5373
    ("Call-Info", "<sip:earshot.invalid>;answer-after=0"),  # Yealink, Grandstream, Gigaset, Linphone
    ("Alert-Info", "<http://earshot.invalid>;info=alert-autoanswer;delay=0"),  # Snom, Fanvil, Polycom
    ("P-Auto-Answer", "normal"),
)
"""How a device is asked to take a call by itself, in RFC 5373's words and in those that devices really know."""


@dataclass(slots=True)
class Desk:
    """What the story needs of the service."""

    directory: Directory
    incidents: LiveIncidents
    escalations: Escalations
    store: Store
    journal: Journal
    calls: Calls
    legs: Legs
    clock: Clock
    metrics: Metrics
    ring_operators: Callable[[], None]
    """Wakes whoever rings operators: something changed in the queue."""
    contacts: Callable[[Device], list[Destination]]
    """Where a device can be called now: its registered contacts, else what the configuration says."""
    spawn: Callable[[Coroutine[Any, Any, Any]], object]
    """Runs something beside the story, supervised."""

    @property
    def settings(self) -> Settings:
        """Those that hold now."""
        return self.directory.settings


@dataclass(frozen=True, slots=True)
class Alarm:
    """An INVITE that is an alarm."""

    session: InviteSession
    caller: Caller
    dialled: str
    source: str
    """Host that the INVITE came from."""
    received_at: float
    """Monotonic seconds at which the INVITE came in."""
    gone: bool = False
    """The device gave up before it could be answered: an alarm without a call."""


def handle_alarm(alarm: Alarm, desk: Desk) -> Coroutine[Any, Any, None]:
    """Take one alarm call from INVITE to the end of its leg.

    When this returns its writing is under way, still in the turn of the event loop that read the INVITE. What is
    returned is the rest of the story.
    """
    incident, joined = _open_or_join(alarm, desk)
    leg = desk.legs.device(alarm.caller.device)
    opening = desk.journal.post(_opening(alarm, incident, leg, joined, desk), urgent=True)  # whatever fails later
    return _see_through(alarm, incident, joined, leg, opening, desk)


async def _see_through(
    alarm: Alarm, incident: LiveIncident, joined: bool, leg: DeviceLeg, opening: asyncio.Future[bool], desk: Desk
) -> None:
    call, refusal = _open_media(alarm, incident, leg, desk)

    durable = False
    with suppress(TimeoutError):
        async with asyncio.timeout(desk.journal.rest_of(STORE_PATIENCE)):
            durable = await opening
    if not durable:
        desk.metrics.answered_before_commit.inc()
        log.error("alarm answered before it was durable", incident=incident.id)
    if call is None:
        _refuse(alarm, incident, leg, refusal, desk)
        return

    if joined and incident.state is State.RESOLVED:
        await _start_anew(alarm, leg, call, desk)
        return

    call.answer()
    if call.up:
        _note_answer(alarm, incident, leg, call, durable, desk)
    await _stay_on(incident, leg, call, desk)


def _open_or_join(alarm: Alarm, desk: Desk) -> tuple[LiveIncident, bool]:
    """The incident of this call, and whether it was open already. Opening one never waits for anything."""
    caller = alarm.caller
    key = Key(caller.device.id) if caller.device else unknown_caller(caller.claimed, alarm.source)
    existing = desk.incidents.joinable(key)
    if existing is not None:
        return existing, True
    desk.metrics.alarms.inc()
    kind = desk.directory.kind(alarm.dialled, caller)
    customer = desk.settings.customer_of(caller.device, caller.worker)
    frozen = desk.settings.frozen_plan(customer.id if customer else None, kind)
    return desk.incidents.begin(caller, kind, key, frozen), False


def _open_media(
    alarm: Alarm, incident: LiveIncident, leg: DeviceLeg, desk: Desk
) -> tuple[Call | None, EarshotError | None]:
    """Open the ports, read the offer, keep what comes. An alarm that cannot have audio is an alarm all the same."""
    if alarm.gone:
        return None, PeerError("the device gave up before it was answered")
    call = None
    try:
        call = desk.calls.receive(alarm.session, leg.plan)
        call.prepare()
    except EarshotError as error:
        if call is not None:
            call.abandon()
        return None, error
    leg.attach(call, incident)
    return call, None


def _opening(
    alarm: Alarm, incident: LiveIncident, leg: DeviceLeg, joined: bool, desk: Desk
) -> Callable[[Connection], Any]:
    """The one transaction in front of the 200 OK."""
    caller, now = alarm.caller, desk.clock.now()
    call_facts = {
        "leg": leg.id,
        "call_id": alarm.session.call_id,
        "dialled": alarm.dialled,
        "proof": caller.proof,
    }
    other = desk.incidents.of_worker(caller.worker.id, beside=incident) if caller.worker and not joined else None
    begin_escalation = None if joined else escalation(incident, desk)

    def write(connection: Connection) -> None:
        if joined:
            rows.append(
                connection,
                incident.id,
                kind="device_called_again",
                detail=call_facts,
                actor=incident.actor,
                at=now,
            )
        else:
            rows.open_incident(
                connection,
                incident_id=incident.id,
                kind=incident.kind,
                priority=incident.priority,
                device_id=caller.device.id if caller.device else None,
                worker_id=caller.worker.id if caller.worker else None,
                caller=caller.claimed,
                dialled=alarm.dialled,
                identified_by=None if caller.proof == "none" else caller.proof,
                at=incident.opened_at,
                detail=call_facts | {"source": alarm.source},
                customer_id=incident.customer.id if incident.customer else None,
            )
        if begin_escalation is not None:
            begin_escalation(connection)
        if other is not None:
            rows.link(connection, incident.id, other.id, actor="system", at=now)
        leg.write(
            connection,
            incident_id=incident.id,
            opened_at=incident.opened_at,
            call_id=alarm.session.call_id,
            peer=alarm.source,
            at=now,
        )

    return write


def escalation(incident: LiveIncident, desk: Desk, spared: Sequence[str] = ()) -> Callable[[Connection], None]:
    """The plan of the incident is frozen with it: what is edited later never changes an alarm under way.

    An alarm whose plan cannot begin is an alarm all the same: it rings operators. `spared`: what it leaves alone beside
    what leads to its own worker.
    """
    facts = facts_of(
        incident.kind,
        device=incident.device,
        worker=incident.worker,
        customer=incident.customer,
        own_lines=(*desk.directory.own_lines(incident.worker, incident.device, incident.claimed), *spared),
    )
    try:
        return desk.escalations.opening(incident.id, incident.frozen, facts, incident.opened_at)
    except Exception:
        log.exception("the plan of an alarm cannot begin; operators are rung", incident=incident.id)
        incident.rings_operators = True
        desk.ring_operators()
        return lambda connection: None


def _refuse(alarm: Alarm, incident: LiveIncident, leg: DeviceLeg, refusal: EarshotError | None, desk: Desk) -> None:
    """No audio is possible (no port is free, or nothing in the offer fits). The incident is open and rings."""
    if alarm.gone:
        incident.note("gave_up", {"leg": leg.id, "why": str(refusal)}, actor=incident.actor)
        leg.ended(CallEnd(EndCause.CANCELLED))
        return
    status = refusal.sip_status if refusal else 500
    alarm.session.reject(status, (("Retry-After", "2"),) if refusal and refusal.retry_can_help else ())
    incident.note("call_refused", {"leg": leg.id, "status": status, "why": str(refusal)})
    leg.ended(CallEnd(EndCause.LOCAL, status))
    desk.metrics.calls_refused.inc()


async def _start_anew(alarm: Alarm, leg: DeviceLeg, call: Call, desk: Desk) -> None:
    """Somebody resolved the incident while this call was joining it: then this call is an alarm of its own."""
    call.abandon()
    leg.ended(CallEnd(EndCause.LOCAL))
    await handle_alarm(alarm, desk)


def _note_answer(alarm: Alarm, incident: LiveIncident, leg: DeviceLeg, call: Call, durable: bool, desk: Desk) -> None:
    seconds = asyncio.get_running_loop().time() - alarm.received_at
    desk.metrics.answer_seconds.observe(seconds)
    detail: dict[str, Any] = {"leg": leg.id, "after_ms": round(seconds * 1000, 1)}
    if call.media.agreed is not None:
        detail["codec"] = call.media.agreed.codec
    if not durable:
        detail["before_commit"] = True
    incident.note("answered", detail)


async def _stay_on(incident: LiveIncident, leg: DeviceLeg, call: Call, desk: Desk) -> None:
    """From the answer to the end of the leg. A leg that ends leaves the incident as it is."""
    if incident.state is State.RESOLVED:  # while the device was being called back
        call.hang_up("incident resolved")
    for stale_id, stale in list(incident.device_calls.items()):
        if stale.media.quiet_for >= DEAD_AIR:
            incident.note("leg_replaced", {"leg": stale_id, "by": leg.id})
            stale.hang_up("replaced by a newer call")
    leg.join(call, incident)
    try:
        end = await call.ended
    finally:
        leg.leave(incident)
    leg.ended(end)
    hung_up = end.hung_up or end.cause is EndCause.CANCELLED
    incident.note(
        "device_hung_up" if hung_up else "device_leg_ended",
        {"leg": leg.id, "cause": end.cause.value, **({"status": end.code} if end.code else {})},
        actor=incident.actor if hung_up else "system",
    )
    desk.ring_operators()


async def call_back(incident: LiveIncident, desk: Desk, *, asked_by: str, ring_seconds: float = 45.0) -> bool:
    """Call the device of an incident back, asking it to answer by itself and without a sound. True if it answered.

    Its leg is a device leg like any other: silent by construction, recorded, joined to the same incident.
    """
    device = incident.device
    destinations = desk.contacts(device) if device else []
    if device is None or not destinations:
        incident.note("call_back_impossible", {"why": "no contact of the device is known"}, actor=asked_by)
        return False
    for destination in destinations:
        if incident.resolved.done():
            return False
        leg = desk.legs.device(device)
        incident.note("calling_back", {"leg": leg.id}, actor=asked_by)
        try:
            call = desk.calls.dial(destination, leg.plan, headers=AUTO_ANSWER)
        except EarshotError as error:
            incident.note("call_back_failed", {"leg": leg.id, "why": str(error)})
            continue
        leg.attach(call, incident)
        incident.journal.post(
            partial(
                leg.write,
                incident_id=incident.id,
                opened_at=incident.opened_at,
                call_id=call.call_id,
                peer=destination.host,
                at=desk.clock.now(),
            )
        )
        if await _answers(call, incident, ring_seconds):
            incident.note("device_answered_call_back", {"leg": leg.id}, actor=incident.actor)
            desk.spawn(_stay_on(incident, leg, call, desk))
            return True
        call.hang_up()
        end = await call.ended
        leg.ended(end)
        if incident.resolved.done():
            incident.note("call_back_stopped", {"leg": leg.id})
            return False
        incident.note("call_back_failed", {"leg": leg.id, "cause": end.cause.value, "status": end.code})
    return False


async def _answers(call: Call, incident: LiveIncident, seconds: float) -> bool:
    """Whether the device answers within this time. Resolved meanwhile, nobody needs it any more: a device that rings
    on would betray the worker. If not, the call is still on: hang up."""
    either: list[asyncio.Future[None]] = [call.answered, incident.resolved]
    await asyncio.wait(either, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    return call.up
