"""`kill -9` around a check-in: the worker is called again, and whoever asked for help has asked."""

import asyncio
import json
import random
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from config.models import Speech
from ivr.speech import Voice
from voice.sim.habits import Answers, Habits
from voice.sim.phone import SimPhone
from voice.sim.phone_call import PhoneCall
from voice.sim.recognising import key_asked_for
from voice.sip.transport import SocketTransport
from voice.speaking import open_speech

from .escalation import HOST, rtp_ports, until
from .ports import free_ports
from .service import Service

AGAIN = 15.0
"""Seconds from the start of the new process within which the worker is called again; it has 3 s once it answers."""


@dataclass(slots=True)
class Shift:
    """A worker whose check-in is due when the service starts, and his telephone."""

    service: Service
    phone: SimPhone
    voice: Voice

    async def rings(self, number: int) -> PhoneCall:
        """His telephone rings for this call, counted from 1."""
        await until(lambda: len(self.phone.calls) >= number, f"call {number}", AGAIN)
        return self.phone.calls[number - 1]

    async def key(self, call: PhoneCall) -> str:
        while (key := await key_asked_for(self.voice, call.hearing.audio(), "check_in.ask", last=False)) is None:
            assert not call.is_over, "the service hung up"
            await asyncio.sleep(0.2)
        return key

    async def crashes(self) -> None:
        """The process dies, and another one takes its place. His telephone notices nothing of that by itself."""
        self.service.crash()
        for call in self.phone.live_calls:
            call.hang_up()
        await asyncio.to_thread(self.service.restart)

    async def confirms(self, number: int) -> None:
        call = await self.rings(number)
        call.pick_up()
        await call.established()
        call.press(await self.key(call))
        await until(lambda: self.session()["confirmed_by"] == "key", "the session is confirmed", 10)
        call.hang_up()

    def session(self) -> dict[str, object]:
        """His session, as it stands in the store."""
        with closing(sqlite3.connect(self.service.evidence.database, timeout=30)) as database:
            ((text,),) = database.execute("SELECT state FROM sessions").fetchall()
        state: dict[str, object] = json.loads(text)
        return state


@asynccontextmanager
async def _shift(folder: Path) -> AsyncIterator[Shift]:
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
    settings = {"check_in": {"spread_seconds": 0.0}, "speech": {"directory": str(folder / "speech")}}
    voice = open_speech(Speech(directory=folder / "speech")).voice("en", "UTC")
    with capture_logs(), Service(folder, workers=[worker], settings=settings, rows=rows) as service:
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
            yield Shift(service, phone, voice)
        finally:
            await phone.die()


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
        await until(lambda: shift.session()["confirmed_by"] == "duress", "the check-in counts", 10)
        await shift.crashes()
        incident = await asyncio.to_thread(shift.service.wait_for_entry, "service_restarted")
        assert (incident.kind, incident.state) == ("duress", "open")
        assert len(incident.recorded()) > 0
        await asyncio.sleep(3.0)
        assert len(shift.phone.calls) == 1, (
            "a confirmed worker is not called again, nor is the caller of a silent alarm"
        )
