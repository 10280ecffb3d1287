"""Wires check-ins into the service: what the schedule decides to telephones, text messages and incidents.

Part of the composition root (`app`), in a file of its own.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any

from config.models import Device, Worker
from ivr.session import Call, DeviceSeen, RaiseMissed, Remind, Session, TellLate, Warn
from voice.check_in.notices import Notices
from voice.check_in.pins import Pins
from voice.check_in.rosters import Rosters
from voice.check_in.runner import CheckIns
from voice.clock import SteadyClock
from voice.directory import Caller
from voice.errors import StoreUnavailable, UnknownIncident
from voice.incidents.kinds import Kind
from voice.memos import Memos
from voice.raising import Raised, raise_incident
from voice.store import incidents as rows
from voice.store.rows import IncidentRow
from voice.store.sessions import SqlSessionLedger
from voice.worker_calls import WorkerCalls
from voice.worker_desk import Office

if TYPE_CHECKING:
    from voice.app import Service
    from voice.outside import Outside

HASHING_THREADS = 2
"""A hash takes about 10 ms of a core without the interpreter's lock; check-ins come by tens a second, not hundreds."""


class CheckInDesk:
    """The check-ins of a service, wired: `voice.check_in.delivery.Hands`."""

    def __init__(self, service: Service, outside: Outside) -> None:
        self._service = service
        self._outside = outside
        settings = service.settings
        self._hashing = ThreadPoolExecutor(HASHING_THREADS, thread_name_prefix="hashing")
        self._raised: set[str] = set()
        """Causes of alarms that this process has raised: the store may be away."""
        self.memos: Memos = service.memos
        self.notices = Notices(lambda: service.settings, outside.channels, outside.clock)
        self.pins = Pins(outside.store, service.journal, outside.clock, self._hashing)
        self.check_ins = CheckIns(
            ledger=SqlSessionLedger(outside.store, sole=outside.sole),
            journal=service.journal,
            hands=self,
            clock=SteadyClock(outside.clock, asyncio.get_running_loop()),
            spawn=service.spawn,
            node=settings.node.name,
            lease_seconds=settings.node.lease_seconds,
        )
        self.calls = WorkerCalls(
            office=Office(self.check_ins, self.pins, self.memos, service.desk),
            outbound=service.escalation_desk.outbound,
            legs=service.legs,
            voice=outside.speech.voice,
            random=outside.random,
            spawn=service.spawn,
        )
        self._rosters = Rosters(self.check_ins, lambda: service.settings, outside.clock, node=settings.node.name)

    def start(self) -> None:
        """Take up the sessions of an earlier process, begin those of rosters."""
        self._service.spawn(self.check_ins.run())
        self._service.spawn(self._rosters.run())

    def close(self) -> None:
        """Decide nothing more: before calls are ended."""
        self.check_ins.close()
        self._hashing.shutdown(wait=False, cancel_futures=True)

    def seen(self, worker: str) -> None:
        """A device of his gave a sign of life."""
        session = self.check_ins.of_worker(worker)
        if session is not None:
            self.check_ins.post(session.id, DeviceSeen(self.check_ins.now()))

    # -- hands --

    async def call(self, session: Session, call: Call) -> None:
        await self.calls.check_in(session, call)

    async def warn(self, session: Session, warn: Warn) -> None:
        if worker := self._service.settings.worker(session.worker):
            await self.notices.warn(worker, self.check_ins.wall(warn.due_at))

    async def remind(self, session: Session, remind: Remind) -> None:
        if worker := self._service.settings.worker(session.worker):
            await self.notices.remind(worker, self.check_ins.wall(remind.ends_at))

    async def raise_missed(self, session: Session, missed: RaiseMissed) -> None:
        """An alarm does not wait for a store that is away: then nobody can have raised it before but this process."""
        if missed.key in self._raised or await self._is_raised(missed.key):
            return
        self._raised.add(missed.key)
        settings = self._service.settings
        worker = settings.worker(session.worker)
        device = _device_of(worker, settings.devices)
        customer = settings.customer_of(device, worker)
        raised = Raised(
            Kind.MISSED_CHECK_IN,
            "system",
            settings.frozen_plan(customer.id if customer else None, Kind.MISSED_CHECK_IN),
            Caller(device, worker, "none", ""),
            detail=self._what_is_known(session, missed),
            cause_key=missed.key,
        )
        _, written = raise_incident(raised, self._service.desk)
        await written

    async def tell_late(self, session: Session, late: TellLate) -> None:
        row = await self._caused(late.missed)
        if row is None:
            raise UnknownIncident("the alarm of a missed check-in is not written yet")
        detail = {"how": late.how.value, "at": self.check_ins.wall(late.at).isoformat()}
        append = partial(
            rows.append,
            incident_id=row.id,
            kind="worker_confirmed_late",
            detail=detail,
            actor=f"worker:{session.worker}",
            at=self._outside.clock.now(),
        )
        await self._outside.store.run(append)

    # -- inside --

    def _what_is_known(self, session: Session, missed: RaiseMissed) -> dict[str, Any]:
        """For whoever takes the alarm. Where he is stands in the facts of the escalation."""
        wall = self.check_ins.wall
        known: dict[str, Any] = {
            "session": session.id,
            "due_at": wall(missed.due_at).isoformat(),
            "why": missed.why.value,
            "session_began": wall(session.started_at).isoformat(),
        }
        if session.confirmed_at is not None and session.confirmed_by is not None:
            known |= {
                "last_confirmed": wall(session.confirmed_at).isoformat(),
                "last_confirmed_by": session.confirmed_by.value,
            }
        if session.device_seen_at is not None:
            known["device_seen"] = session.device_seen_at.isoformat()
        if session.memo is not None:
            known["memo"] = session.memo
        return known

    async def _is_raised(self, cause_key: str) -> bool:
        try:
            return await self._caused(cause_key) is not None
        except StoreUnavailable:
            return False

    async def _caused(self, cause_key: str) -> IncidentRow | None:
        return await self._outside.store.read(partial(rows.caused, cause_key=cause_key))


def _device_of(worker: Worker | None, devices: tuple[Device, ...]) -> Device | None:
    """Which device operators may call back."""
    return next((device for device in devices if worker is not None and device.worker == worker.id), None)
