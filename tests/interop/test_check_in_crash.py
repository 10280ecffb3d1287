"""`kill -9` around a check-in: the worker is called again, and whoever asked for help has asked. Two nodes, too."""

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from structlog.testing import capture_logs

from config.models import Speech
from ivr.session import How, Session
from ivr.speech import Voice
from voice.sim.habits import Answers, Habits
from voice.sim.phone import SimPhone
from voice.sim.phone_call import PhoneCall
from voice.sim.recognising import key_asked_for
from voice.sip.message import header
from voice.sip.transport import SocketTransport
from voice.speaking import open_speech
from voice.store import schema
from voice.store.reading import reading

from .escalation import HOST, rtp_ports, until
from .ports import free_ports
from .service import Service

AGAIN = 15.0
"""Seconds from the start of the new process within which the worker is called again; it has 3 s once it answers."""


@dataclass(slots=True)
class Shift:
    """A worker whose check-in is due when the service starts, and his telephone."""

    services: Sequence[Service]
    phone: SimPhone
    voice: Voice
    url: str

    async def rings(self, number: int) -> PhoneCall:
        """His telephone rings for this call, counted from 1."""
        await until(lambda: len(self.phone.calls) >= number, f"call {number}", AGAIN)
        return self.phone.calls[number - 1]

    async def key(self, call: PhoneCall) -> str:
        while (key := await key_asked_for(self.voice, call.hearing.audio(), "check_in.ask", last=False)) is None:
            assert not call.is_over, "the service hung up"
            await asyncio.sleep(0.2)
        return key

    @property
    def service(self) -> Service:
        """The one that called last."""
        session = self.phone.calls[-1].session if self.phone.calls else None
        contact = header(session.request, "Contact") or "" if session is not None else ""
        return next((service for service in self.services if f":{service.port}" in contact), self.services[0])

    def dies(self) -> Service:
        """The process that has called him. His telephone notices nothing of that by itself."""
        service = self.service
        service.crash()
        for call in self.phone.live_calls:
            call.hang_up()
        return service

    async def crashes(self) -> None:
        """The process dies, and another one takes its place."""
        await asyncio.to_thread(self.dies().restart)

    async def confirms(self, number: int) -> None:
        call = await self.rings(number)
        call.pick_up()
        await call.established()
        call.press(await self.key(call))
        await until(lambda: self.session().confirmed_by is How.KEY, "the session is confirmed", 10)
        call.hang_up()

    def session(self) -> Session:
        """His session, as it stands in the store."""
        with reading(self.url) as connection, connection.begin():
            return Session.from_json(connection.scalars(select(schema.sessions.c.state)).one())


@asynccontextmanager
async def _shift(folder: Path, url: str | None = None) -> AsyncIterator[Shift]:
    """`url`: of a database that two nodes share."""
    began = (datetime.now(UTC) - timedelta(hours=1)).replace(tzinfo=None, microsecond=0)
    port = free_ports()
    worker = {"id": "wim", "name": "Wim de Boer", "customer": "east", "numbers": [f"sip:wim@{HOST}:{port}"],
              "check_in": "often", "roster": ["today"]}  # fmt: skip
    rows = {
        "customers": [{"id": "east", "name": "East", "language": "en", "timezone": "UTC"}],
        "check_ins": [{"id": "often", "interval": 1200.0, "grace": 0.0, "retries": [5.0, 5.0], "warn_before": 0.0}],
        "rosters": [{"id": "today", "rrule": "FREQ=DAILY;COUNT=1", "start": began.isoformat(), "duration": 21600,
                     "timezone": "UTC"}],
    }  # fmt: skip
    settings: dict[str, dict[str, Any]] = {
        "check_in": {"spread_seconds": 0.0},
        "speech": {"directory": str(folder / "speech")},
    }
    voice = open_speech(Speech(directory=folder / "speech")).voice("en", "UTC")
    with capture_logs(), ExitStack() as stack:
        services = []
        for name in ("a", "b") if url else ("a",):
            own = settings | ({"store": {"url": url}, "node": {"id": name}} if url else {})
            services.append(stack.enter_context(Service(folder, workers=[worker], settings=own, rows=rows, name=name)))
        service = services[0]
        phone = SimPhone(
            "wim",
            plug=lambda: SocketTransport(udp=[(HOST, port)]),
            ports=rtp_ports(40),
            server=("UDP", service.address),
            habits=Habits(answers=Answers.NEVER),
            dice=random.Random(7),
        )
        await phone.start()
        try:
            yield Shift(services, phone, voice, url or f"sqlite:///{service.directory / 'earshot.db'}")
        finally:
            await phone.die()


@pytest.mark.needs("espeak-ng")
async def test_another_node_calls_the_worker_when_the_one_that_called_is_killed(
    tmp_path: Path, postgres_url: str
) -> None:
    async with _shift(tmp_path, postgres_url) as shift:
        await shift.rings(1)
        dead = shift.dies()
        await shift.confirms(2)
        assert shift.service is not dead


@pytest.mark.needs("espeak-ng")
async def test_a_worker_is_called_again_when_the_process_dies_while_his_telephone_rings(tmp_path: Path) -> None:
    async with _shift(tmp_path) as shift:
        await shift.rings(1)
        await shift.crashes()
        await shift.confirms(2)


@pytest.mark.needs("espeak-ng")
async def test_a_worker_is_asked_again_when_the_process_dies_in_the_dialogue(tmp_path: Path) -> None:
    async with _shift(tmp_path) as shift:
        call = await shift.rings(1)
        call.pick_up()
        await shift.key(call)
        await shift.crashes()
        await shift.confirms(2)


@pytest.mark.needs("espeak-ng")
async def test_help_that_was_asked_for_before_the_process_died_is_asked_for(tmp_path: Path) -> None:
    async with _shift(tmp_path) as shift:
        call = await shift.rings(1)
        call.pick_up()
        await shift.key(call)
        call.press("00")
        await until(lambda: shift.session().confirmed_by is How.DURESS, "the check-in counts", 10)
        await shift.crashes()
        incident = await asyncio.to_thread(shift.service.wait_for_entry, "service_restarted")
        assert (incident.kind, incident.state) == ("duress", "open")
        assert len(incident.recorded()) > 0
        await asyncio.sleep(3.0)
        assert len(shift.phone.calls) == 1, (
            "a confirmed worker is not called again, nor is the caller of a silent alarm"
        )
