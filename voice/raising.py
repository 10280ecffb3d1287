"""Incidents that no device's call opens: a missed check-in, help asked for in silence, a test, a fault of ours."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from sqlalchemy import Connection

from config.plans import FrozenPlan
from voice.alarm import Desk, escalation
from voice.directory import Caller
from voice.escalation.commands import RaiseTechnical
from voice.escalation.facts import nobody_reached
from voice.escalation.state import State as Standing
from voice.incidents.kinds import Kind
from voice.live_incidents import NOBODY, Key, LiveIncident
from voice.store import incidents as rows


@dataclass(frozen=True, slots=True)
class Raised:
    """What is to be opened, and why."""

    kind: Kind
    actor: str
    """Who opened it, as the timeline names him."""
    frozen: FrozenPlan
    caller: Caller = NOBODY
    dialled: str | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)
    cause_key: str | None = None
    """What may raise one incident only."""
    links: Sequence[str] = ()
    """Incidents that it belongs to."""
    spared: Sequence[str] = ()
    """Telephones that it must leave alone, beside those of its own worker."""
    about: str = ""
    """What an operator's phone shows in place of who calls."""


def _nothing_else(connection: Connection, incident: LiveIncident) -> None:
    return


def raise_incident(
    raised: Raised,
    desk: Desk,
    *,
    also: Callable[[Connection, LiveIncident], object] = _nothing_else,
) -> tuple[LiveIncident, asyncio.Future[bool]]:
    """Open it in memory, at once. The future is true when it is durable; `also` is part of its transaction."""
    caller = raised.caller
    incident = desk.incidents.begin(caller, raised.kind, Key(None), raised.frozen)
    incident.about = raised.about
    other = desk.incidents.of_worker(caller.worker.id, beside=incident) if caller.worker else None
    links = dict.fromkeys([*raised.links, *([other.id] if other else [])])
    begin_escalation = escalation(incident, desk, raised.spared)

    def write(connection: Connection) -> None:
        rows.open_incident(
            connection,
            incident_id=incident.id,
            kind=incident.kind,
            priority=incident.priority,
            device_id=caller.device.id if caller.device else None,
            worker_id=caller.worker.id if caller.worker else None,
            caller=caller.claimed or None,
            dialled=raised.dialled,
            identified_by=None if caller.proof == "none" else caller.proof,
            at=incident.opened_at,
            detail=raised.detail,
            customer_id=incident.customer.id if incident.customer else None,
            cause_key=raised.cause_key,
            actor=raised.actor,
        )
        begin_escalation(connection)
        for known in links:
            rows.link(connection, known, incident.id, actor="system", at=incident.opened_at)
        also(connection, incident)

    return incident, desk.journal.post(write, urgent=True)


async def raise_technical(cause: str, state: Standing, frozen: FrozenPlan, command: RaiseTechnical, desk: Desk) -> None:
    """An escalation that reaches nobody is an alarm of its own, for whoever keeps the service running. Raised once.

    It has no worker, and leaves the one alone whose alarm is its cause: his telephone rings for neither.
    """
    cause_key = f"{cause}.{command.key}"
    if await desk.store.read(partial(rows.caused, cause_key=cause_key)) is not None:
        return  # by a process that died before it could say so
    plan = desk.settings.frozen_plan(frozen.customer.id if frozen.customer else None, Kind.TECHNICAL)
    detail = {"why": command.why, "cause": cause}
    raised = Raised(
        Kind.TECHNICAL,
        "system",
        plan,
        detail=detail,
        cause_key=cause_key,
        links=(cause,),
        spared=state.facts.own_lines or (),
        about=nobody_reached(state.facts),
    )
    _, written = raise_incident(raised, desk)
    await written
