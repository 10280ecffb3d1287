"""Wires the escalation into the service: the engine's decisions to telephones, messages and control rooms, and what
people do there back to the engine. Part of the composition root (`app`), in a file of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial
from math import inf
from typing import TYPE_CHECKING, Any

from config.plans import FrozenPlan
from ivr.accept import Alarm, account
from voice.alarm import call_back
from voice.clock import SteadyClock
from voice.contact_session import ContactHooks
from voice.escalation.commands import RaiseTechnical
from voice.escalation.emergency import EmergencyCalls
from voice.escalation.events import EmergencyAsked, Event
from voice.escalation.hands import ServiceHands
from voice.escalation.phone_tree import PhoneTree
from voice.escalation.runner import Escalations, TakenUp
from voice.escalation.sparing import WHY, is_own
from voice.escalation.state import Change, Phase, State
from voice.incidents.lifecycle import State as Standing
from voice.live_incidents import LiveIncident
from voice.messages.links import Links
from voice.messages.messenger import Messenger
from voice.outbound import Outbound
from voice.raising import raise_technical
from voice.restart import adopt, let_hear_what_was_said
from voice.store import incidents as rows
from voice.store.escalations import SqlLedger, leave
from voice.store.rows import IncidentRow

if TYPE_CHECKING:
    from voice.app import Service
    from voice.outside import Outside


class EscalationDesk:
    """The escalations of a service, wired. It follows them in memory, so that the queue and the sessions know."""

    def __init__(self, service: Service, outside: Outside, *, sole: bool) -> None:
        self._service = service
        self._outside = outside
        settings = service.settings
        self.outbound = Outbound(service.calls, service.trunks.lines)
        self.links = self._links(settings.messages.link_base)
        self.steady = SteadyClock(outside.clock, asyncio.get_running_loop())
        self.emergency = EmergencyCalls(
            outbound=self.outbound,
            legs=service.legs,
            incident=service.incidents.get,
            voice=outside.speech.voice,
            report=self._report,
            clock=outside.clock,
            domain=settings.sip.realm,
            ring_operators=self._ring_operators,
            spawn=service.spawn,
        )
        self.hands = self._hands()
        self.escalations = Escalations(
            ledger=SqlLedger(outside.store, sole=sole),
            journal=service.journal,
            hands=self.hands,
            clock=self.steady,
            spawn=service.spawn,
            node=settings.node.name,
            lease_seconds=settings.node.lease_seconds,
            own_lines=self._own_lines,
            on_take_up=self._taken_up,
            on_lost=service.incidents.let_go,
            on_state=self._follow,
            on_change=self._changed,
        )

    # -- the hands --

    def _hands(self) -> ServiceHands:
        service, outside = self._service, self._outside
        return ServiceHands(
            phone_tree=PhoneTree(
                settings=lambda: service.settings,
                outbound=self.outbound,
                legs=service.legs,
                incident=service.incidents.get,
                voice=outside.speech.voice,
                report=self._report,
                hooks=ContactHooks(
                    call_back=lambda incident, actor: call_back(incident, service.desk, asked_by=actor),
                    ring_operators=self._ring_operators,
                    ask_emergency=self._ask_emergency,
                    duress=self._duress,
                    memo=self.memo,
                    heard=service.heard,
                    spawn=service.spawn,
                ),
                random=outside.random,
                spawn=service.spawn,
            ),
            emergency=self.emergency,
            messenger=Messenger(
                outside.channels,
                note=self._note,
                random=outside.random,
                links=self.links,
                wanted=lambda incident: service.incidents.get(incident) is not None,
            ),
            raise_technical=self._raise_technical,
        )

    def _links(self, base: str | None) -> Links | None:
        if not base:
            return None
        service, outside = self._service, self._outside
        return Links(
            base,
            store=outside.store,
            journal=service.journal,
            leave=leave,
            clock=outside.clock,
            random=outside.random,
        )

    async def _raise_technical(self, cause: str, state: State, frozen: FrozenPlan, command: RaiseTechnical) -> None:
        await raise_technical(cause, state, frozen, command, self._service.desk)

    def _own_lines(self, row: IncidentRow) -> tuple[str, ...]:
        """What leads to the worker of an incident, as far as he is still known."""
        settings = self._service.settings
        worker = settings.worker(row.worker_id) if row.worker_id else None
        device = settings.device(row.device_id) if row.device_id else None
        return self._service.desk.directory.own_lines(worker, device, row.caller or "")

    def _report(self, incident: str, event: Event) -> None:
        self.escalations.post(incident, event)

    def _note(self, incident: str, kind: str, detail: Mapping[str, Any]) -> None:
        write = partial(rows.append, kind=kind, detail=detail, actor="system", at=self._outside.clock.now())
        self._service.journal.post(partial(write, incident_id=incident))

    # -- what contacts ask for --

    def _ring_operators(self, incident: LiveIncident, actor: str) -> None:
        incident.note("help_asked", actor=actor)
        incident.wants_help = True
        incident.on_change(incident)

    def _ask_emergency(self, incident: LiveIncident, actor: str) -> bool:
        if not incident.frozen.routes:
            return False
        incident.tell(EmergencyAsked(actor))
        return True

    def _duress(self, incident: LiveIncident, actor: str) -> None:
        """Somebody forces the contact: operators are rung at once, and see why."""
        incident.note("duress_word", actor=actor)
        self._ring_operators(incident, actor)

    async def memo(self, incident: LiveIncident) -> bytes | None:
        """The amber memo (A-law) that the worker had left when the incident was opened; None: there is none."""
        if incident.worker is None:
            return None
        memos = self._service.memos
        memo = await memos.newest(incident.worker.id, incident.opened_at)
        return None if memo is None else await memos.clip(memo)

    async def account(self, incident: LiveIncident) -> bytes:
        """What is to be said of an alarm behind which there is no line (A-law)."""
        customer = incident.customer
        who = incident.worker.name if incident.worker else incident.device.id if incident.device else ""
        language, zone = (customer.language, customer.timezone) if customer else ("en", "UTC")
        alarm = Alarm(customer.name if customer else "", who, incident.kind.value)
        return await account(self._outside.speech.voice(language, zone), alarm)

    # -- following the engine in memory --

    def _follow(self, incident_id: str, state: State) -> None:
        """Whom the queue rings, and who has it."""
        incident = self._service.incidents.get(incident_id)
        if incident is None or (state.phase is Phase.DONE and incident.state is Standing.RESOLVED):
            return  # one that is about to be opened again would be forgotten
        if state.decisions == 1 and incident.worker is not None:  # it has just been opened
            self._service.spawn(self._service.memos.attach(incident_id, incident.worker.id, incident.opened_at))
        self._spare_the_worker(incident, state.facts.own_lines or ())
        incident.rings_operators = state.rings_operators
        incident.holders = frozenset(taker.actor for taker in state.takers)
        forsaken = state.phase is Phase.ESCALATING and not incident.attended
        if forsaken and incident.state in (Standing.ACKNOWLEDGED, Standing.IN_PROGRESS):
            incident.change(Standing.OPEN, actor="system", detail={"why": "nobody has it any more"})
        else:
            incident.on_change(incident)

    def _spare_the_worker(self, incident: LiveIncident, own: tuple[str, ...]) -> None:
        """An operator whose telephone is the worker's own is never rung: it would betray him."""
        for operator in self._service.settings.operators if own else ():
            if incident.not_before.get(operator.id) != inf and any(
                is_own(line, own) for line in (operator.uri, operator.username) if line
            ):
                incident.not_before[operator.id] = inf
                detail = {"operator": operator.id, "why": WHY}
                asyncio.get_running_loop().call_soon(incident.note, "operator_spared", detail)  # behind its opening

    def _changed(self, incident_id: str, change: Change) -> None:
        incident = self._service.incidents.get(incident_id)
        if incident is not None:
            incident.follow(change.to, actor=change.actor, reason=change.reason)

    async def _taken_up(self, taken: TakenUp) -> None:
        """Escalations of a process that is gone: ours of the last life, those of a node that died, or one that was
        resolved and is now opened again."""
        service, outside = self._service, self._outside
        known = service.incidents.get
        foreign = [row for row, _, _ in taken if known(row.id) is None]
        adopted = await adopt(foreign, outside.store, service.desk)
        for row, _, frozen in taken:
            incident = known(row.id)
            if incident is not None:
                incident.frozen = frozen
        if orphans := [incident for incident in adopted if incident.state is not Standing.RESOLVED]:
            service.spawn(self._bring_to_life(orphans))

    async def _bring_to_life(self, adopted: Sequence[LiveIncident]) -> None:
        """Incidents of another node: its operators' phones, its devices, its recordings, as far as we reach them."""
        service = self._service
        await service.restore_registrations()
        calling = [call_back(i, service.desk, asked_by="system") for i in adopted if i.key.device is not None]
        await asyncio.gather(let_hear_what_was_said(adopted, self._outside.store, service.desk), *calling)
