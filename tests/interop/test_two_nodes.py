"""Two services on one PostgreSQL: when one dies or stands still, the other has its alarms within 5 s, and it alone."""

import asyncio
import os
import random
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from structlog.testing import capture_logs

from voice.incidents import lifecycle
from voice.incidents.timeline import verify
from voice.sim.phone import SimPhone
from voice.sip.transport import SocketTransport
from voice.store import schema
from voice.store.legs import legs
from voice.store.reading import reading
from voice.store.rows import LegRow

from .crashing import new_service, once_each
from .escalation import (
    HOST,
    Ear,
    Manner,
    Moment,
    People,
    Record,
    confirms,
    records,
    rtp_ports,
    takes,
    takes_and_closes,
    until,
)
from .ports import free_ports
from .service import Service

pytestmark = pytest.mark.alone

TAKEN_OVER = 5.0
"""Seconds after the death of a node within which another one has its alarms."""
LEASE = 3.0
FROZEN = 10.0
"""Seconds that a node stands still: much longer than its lease."""
WATCHED = 6.0
"""Seconds for which a node that has lost its alarms is watched: it rings nobody."""
AT_ONCE = 20
"""Alarms that each node opens at the same moment."""


@dataclass(slots=True)
class Town:
    """Two nodes, and the people around them. Who has an account is registered at A."""

    a: Service
    b: Service
    people: People
    url: str
    told: list[str] = field(default_factory=list)
    """What was measured."""

    def record(self) -> Record:
        """The one incident."""
        (record,) = records(self.url)
        return record

    def legs(self) -> list[LegRow]:
        with reading(self.url) as connection, connection.begin():
            return legs(connection, self.record().row.id)

    async def alarm(self, number: str) -> None:
        call = self.people["badge"].phone.call(f"sip:{number}@{HOST}:{self.a.port}")
        await call.established()

    def calls_by(self, node: Service, since: float) -> list[Moment]:
        """Where this node made it ring: the device's telephone, too."""
        return [m for m in self.people.book.since(since) if m.what.endswith(" rings") and m.port == node.port]

    async def rings_from(self, node: Service, who: str, since: float, within: float) -> Moment:
        await until(lambda: self._ring_at(who, node, since), f"{who} is rung by {node.name}", within)
        return self._ring_at(who, node, since)[0]

    def _ring_at(self, who: str, node: Service, since: float) -> list[Moment]:
        return [moment for moment in self.calls_by(node, since) if moment.what == f"{who} rings"]

    async def has_taken_over(self, since: float) -> float:
        """How long after that moment B had it, as the timeline says."""
        await until(lambda: self.record().entries("node_took_over", since), "B took over", TAKEN_OVER)
        (entry,) = self.record().entries("node_took_over", since)
        assert entry.detail == {"nodes": ["a"]}
        return entry.time.timestamp() - since

    async def is_resolved(self, within: float) -> Record:
        try:
            await until(lambda: self.record().row.state is lifecycle.State.RESOLVED, "it is resolved", within)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.record()}\n{self.people.book.moments}") from None
        await asyncio.sleep(0.5)  # the last words
        record = self.record()
        assert verify(record.timeline) is None
        return record

    def tell(self, what: str, seconds: float) -> None:
        self.told.append(f"{what}: {seconds:.2f} s")


@pytest.fixture(scope="module")
def speech(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where spoken texts are kept: spoken once for all tests."""
    return tmp_path_factory.mktemp("speech")


@asynccontextmanager
async def town(folder: Path, speech: Path, url: str) -> AsyncIterator[Town]:
    ear = Ear(speech)
    await ear.learn()
    people = People(ear, rtp_ports())
    a, b = (_node(name, folder, speech, url, people) for name in ("a", "b"))
    try:
        with capture_logs():  # of the simulated phones, which call into the void
            await asyncio.gather(_run(a), _run(b))
            began = time.monotonic()
            await people.start(a.address)
            await asyncio.sleep(max(began + LEASE + 1 - time.monotonic(), 0))  # B knows by now who else lives
            there = Town(a, b, people, url)
            yield there
    finally:
        await people.close()
        a.crash()
        b.crash()


def _node(name: str, folder: Path, speech: Path, url: str, people: People) -> Service:
    more: dict[str, dict[str, Any]] = {"store": {"url": url}, "node": {"id": name, "lease_seconds": LEASE}}
    return new_service(folder, f"node-{name}", people, speech, more)


async def _run(service: Service) -> None:
    service.start()
    await asyncio.to_thread(service.ready)


@pytest.mark.needs("espeak-ng")
async def test_a_node_that_is_killed_is_taken_over_and_rings_for_none_of_it_afterwards(
    tmp_path: Path, speech: Path, postgres_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    async with town(tmp_path, speech, postgres_url) as here:
        people = here.people
        await here.alarm("201")
        await here.rings_from(here.a, "anna", 0, within=15)
        people.behave({"anna": takes_and_closes})
        here.a.crash()
        killed = time.time()
        people.hang_up()
        here.tell("killed to taken over", await here.has_taken_over(killed))
        for who in ("anna", "bas", "olga"):
            rung = await here.rings_from(here.b, who, killed, within=killed + TAKEN_OVER - time.time())
            here.tell(f"killed to {who}'s phone", rung.at - killed)
        back = await here.rings_from(here.b, "badge", killed, within=TAKEN_OVER)
        here.tell("killed to the device's being called back", back.at - killed)

        restarted = time.time()
        await _run(here.a)
        record = await here.is_resolved(60)
        assert record.entries("resolved")[0].actor == "contact:anna"
        (taken,) = record.entries("contact_joined")
        assert [leg.node for leg in here.legs() if leg.id == taken.detail["leg"]] == ["b"]
        assert here.calls_by(here.a, restarted) == []
        assert "the chain is whole" in await asyncio.to_thread(here.b.earshot, "verify", record.row.id)
    _show(here, capsys)


@pytest.mark.needs("espeak-ng")
async def test_a_node_that_is_back_before_its_lease_is_over_goes_on_with_its_own(
    tmp_path: Path, speech: Path, postgres_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """`systemd` is quicker than the other node, which then has no reason to do anything."""
    async with town(tmp_path, speech, postgres_url) as here:
        await here.alarm("203")
        await here.rings_from(here.a, "anna", 0, within=10)
        here.people.behave({"anna": takes_and_closes, "bas": takes_and_closes})
        here.a.crash()
        killed = time.time()
        here.people.hang_up()
        here.a.start()
        await until(lambda: here.people.rings(killed), "a phone rings", 15)
        record = await here.is_resolved(60)
        went_on = here.people.rings(killed)[0]
        here.tell("killed to the next ring", went_on.at - killed)
        taken_over = bool(record.entries("node_took_over"))
        assert bool(record.entries("service_restarted")) is not taken_over
        rang_by = {here.b.port if taken_over else here.a.port}
        assert {moment.port for moment in here.people.rings(killed)} == rang_by, "one of them, never both"
    _show(here, capsys)


@pytest.mark.needs("espeak-ng")
@pytest.mark.parametrize(
    ("number", "frozen_at", "manners"),
    [
        pytest.param("201", "anna", {"anna": takes}, id="while a contact's phone rings"),
        pytest.param("202", "room", {"room": confirms}, id="while the control room's phone rings"),
    ],
)
async def test_a_node_that_stood_still_lets_go_and_rings_nobody(
    number: str,
    frozen_at: str,
    manners: dict[str, Manner],
    tmp_path: Path,
    speech: Path,
    postgres_url: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """It does not know that it was taken for dead; all its deadlines are over when it wakes."""
    async with town(tmp_path, speech, postgres_url) as here:
        people = here.people
        await here.alarm(number)
        before = await here.rings_from(here.a, frozen_at, 0, within=15)
        if frozen_at == "anna":  # his INVITE is as good as sent: it would go out when the node wakes, before it knows
            await here.rings_from(here.a, "bas", 0, within=5)
        people.behave(manners)
        _send(here.a, signal.SIGSTOP)
        frozen = time.time()
        here.tell("stood still to taken over", await here.has_taken_over(frozen))
        await here.rings_from(here.b, "badge", frozen, within=TAKEN_OVER)
        await asyncio.sleep(frozen + FROZEN - time.time())
        _send(here.a, signal.SIGCONT)
        woken = time.time()
        await until(lambda: "another node's now" in here.a.text(), "A knows that it has lost it", WATCHED)
        await asyncio.sleep(WATCHED)
        assert here.calls_by(here.a, woken) == []
        await until(lambda: _who_has_it(here.record()), "somebody has it, by B", 30)
        assert _who_has_it(here.record()) <= {"contact:anna", "emergency:room"}
        assert _owners(here) == ["b"]
        if frozen_at == "anna":
            assert before.call is not None
            assert before.call.is_over, "A has ended the call that it had begun"
        once_each(here.record(), [moment.at for moment in people.book.since(0, "room rings")])
        await asyncio.to_thread(here.a.earshot, "resolve", here.record().row.id, "genuine")
        await here.is_resolved(15)
        assert here.calls_by(here.a, woken) == []
    _show(here, capsys)


@pytest.mark.needs("espeak-ng")
async def test_names_given_by_two_nodes_at_one_moment_never_meet(
    tmp_path: Path, speech: Path, postgres_url: str
) -> None:
    async with town(tmp_path, speech, postgres_url) as here:
        crowds = [_crowd(node) for node in (here.a, here.b)]
        try:
            for crowd in crowds:
                await crowd.start()
            calls = [crowd.call("sip:alarm@earshot") for _ in range(AT_ONCE) for crowd in crowds]
            await asyncio.gather(*(call.established() for call in calls))
        finally:
            for crowd in crowds:
                await crowd.close()
        found = records(here.url)
        assert len({record.row.id for record in found}) == len(found) == 2 * AT_ONCE
        assert [record for record in found if verify(record.timeline) is not None] == []
        assert Counter(_owners(here)) == {"a": AT_ONCE, "b": AT_ONCE}


def _crowd(node: Service) -> SimPhone:
    """A telephone from which many call, none of whom says who he is: each call is an alarm of its own."""
    port = free_ports()
    return SimPhone(
        "anonymous",
        plug=lambda: SocketTransport(udp=[(HOST, port)]),
        ports=rtp_ports(2 * AT_ONCE + 20),
        server=("UDP", node.address),
        dice=random.Random(node.name),
    )


def _who_has_it(record: Record) -> set[str]:
    return {taker.actor for taker in record.state.takers} if record.state else set()


def _owners(here: Town) -> list[str]:
    """Which node has each alarm, as the store says."""
    with reading(here.url) as connection, connection.begin():
        return list(connection.execute(select(schema.escalations.c.owner)).scalars())


def _send(service: Service, sign: signal.Signals) -> None:
    assert service.process is not None
    os.killpg(service.process.pid, sign)


def _show(here: Town, capsys: pytest.CaptureFixture[str]) -> None:
    with capsys.disabled():
        print(f"\n{'; '.join(here.told)}")
