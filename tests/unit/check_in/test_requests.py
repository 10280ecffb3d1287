"""What another process asks of sessions happens once, soon, whoever runs, and what cannot be done is told."""

import asyncio
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from pydantic import ValidationError

from config.check_ins import CheckInRules
from config.models import Settings
from ivr.session import How, Origin, Phase, Session
from voice.check_in.requests import LONGEST_INTERVAL, SHORTEST, Asked, Requests
from voice.errors import InvalidRequest, LifecycleError, UnknownSession
from voice.sim.checking_in import CheckInProcess, CheckInWorld
from voice.sim.database import Connected
from voice.sim.loop import virtual_loop, virtually
from voice.sim.session_ledger import MemorySessionLedger

HOUR = timedelta(hours=1)

SETTINGS = Settings.model_validate(
    {
        "check_ins": [{"id": "visits", "interval": 1200, "longest": 14400}],
        "workers": [
            {"id": "anna", "name": "Anna", "numbers": ["1"], "check_in": "visits"},
            {"id": "bob", "name": "Bob", "numbers": ["2"]},
            {"id": "eve", "name": "Eve"},
        ],
    }
)


class Office:
    """A process that is no node, and the nodes beside it."""

    def __init__(self, nodes: str = "a") -> None:
        self.world = CheckInWorld(sole=len(nodes) < 2)
        self.processes = [self.runs(node) for node in nodes]
        self._connected = Connected(self.world.database)
        self.requests = Requests(MemorySessionLedger(self._connected, sole=False), SETTINGS)

    def runs(self, node: str, **ways: Any) -> CheckInProcess:
        process = self.world.process(node, **ways)
        process.start()
        return process

    @property
    def now(self) -> datetime:
        return virtual_loop().clock.now()

    async def starts(self, worker: str = "anna", hours: float = 2.0, **how: Any) -> Asked:
        now = self.now
        start = partial(self.requests.start, worker_id=worker, until=now + hours * HOUR, at=now, **how)
        return await self._connected.run(start)

    async def asks(self, what: str, session: Session, **how: Any) -> Asked:
        ask = partial(getattr(self.requests, what), session=session.id, at=self.now, **how)
        asked: Asked = await self._connected.run(ask)
        return asked

    def stored(self, asked: Asked) -> Session:
        return self.world.tables.sessions[asked.session.id].session

    def log(self, asked: Asked) -> list[str]:
        return [note.kind for note in self.world.tables.session_log[asked.session.id]]

    def answered(self, asked: Asked) -> bool:
        left = self.requests.rows.left(self.world.tables, asked.letter)  # type: ignore[arg-type]
        return left is not None and left.answered

    def have(self, asked: Asked) -> list[str]:
        """The nodes that have the session in memory."""
        return [process.node for process in self.processes if process.check_ins.session(asked.session.id)]


@pytest.mark.parametrize("nodes", ["a", "abc"])
@virtually
async def test_a_session_that_is_asked_for_is_one_nodes_within_two_seconds(nodes: str) -> None:
    office = Office(nodes)
    await asyncio.sleep(5.0)
    asked = await office.starts()
    assert asked.begun
    await asyncio.sleep(2.0)
    assert len(office.have(asked)) == 1
    assert office.answered(asked)
    session = office.stored(asked)
    assert (session.origin, session.rules.interval, session.open) == (Origin.API, 1200.0, True)
    assert session.ends_at == session.started_at + 2 * HOUR
    await asyncio.sleep(1200.0)
    assert [did.session.id for did in office.world.did if type(did.command).__name__ == "Call"] == [session.id]


@virtually
async def test_a_session_that_is_asked_for_while_no_service_runs_waits_for_one() -> None:
    office = Office("")
    asked = await office.starts()
    await asyncio.sleep(60.0)
    assert not office.answered(asked)
    office.processes.append(office.runs("a"))
    await asyncio.sleep(2.0)
    assert office.have(asked) == ["a"]


@virtually
async def test_what_a_node_finds_by_its_letter_and_by_itself_it_takes_up_once() -> None:
    office = Office("")
    asked = await office.starts()
    delays = iter((0.0, 0.0, 0.0, 0.0, 0.5))  # it finds the letter before it is told what it has taken up
    office.processes.append(office.runs("a", delay=lambda: next(delays, 0.0)))
    await asyncio.sleep(5.0)
    assert office.have(asked) == ["a"]
    assert office.world.tables.sessions[asked.session.id].epoch == 1


@virtually
async def test_the_same_request_again_starts_nothing_new() -> None:
    office = Office()
    first = await office.starts(key="order 7")
    await asyncio.sleep(2.0)
    again = await office.starts(key="order 7")
    assert (again.letter, again.session.id, again.begun) == (first.letter, first.session.id, True)
    await office.asks("end", first.session, by="api:office")
    await asyncio.sleep(2.0)
    assert office.stored(first).phase is Phase.ENDED
    assert (await office.starts(key="order 7")).session.id == first.session.id
    assert list(office.world.tables.sessions) == [first.session.id]
    with pytest.raises(InvalidRequest, match="another worker"):
        await office.starts("bob", key="order 7")


@virtually
async def test_a_worker_with_a_session_keeps_it_at_least_as_long() -> None:
    office = Office()
    first = await office.starts(hours=1.0)
    await asyncio.sleep(2.0)
    longer = await office.starts(hours=3.0, key="longer")
    assert (longer.session.id, longer.begun) == (first.session.id, False)
    await asyncio.sleep(2.0)
    end = office.stored(first).ends_at
    assert end == longer.session.started_at + 3 * HOUR + timedelta(seconds=2)
    await office.starts(hours=0.5)
    await asyncio.sleep(2.0)
    assert office.stored(first).ends_at == end
    await office.asks("end", first.session, by="api:office")
    await asyncio.sleep(2.0)
    assert (await office.starts(hours=3.0, key="longer")).session.id == first.session.id
    assert len(office.world.tables.sessions) == 1


@virtually
async def test_a_session_is_extended_once_and_not_confirmed_by_it() -> None:
    office = Office()
    asked = await office.starts()
    await asyncio.sleep(2.0)
    before = office.stored(asked)
    for _ in range(2):
        await office.asks("extend", asked.session, by=600.0, key="later")
        await asyncio.sleep(2.0)
    after = office.stored(asked)
    assert (after.ends_at - before.ends_at, after.due_at) == (timedelta(seconds=600), before.due_at)
    await office.asks("extend", asked.session)
    await asyncio.sleep(2.0)
    assert office.stored(asked).ends_at - before.ends_at == timedelta(seconds=1500)
    assert office.stored(asked).confirmed_at is None


@virtually
async def test_an_app_confirms_and_a_session_is_ended_with_the_name_of_whoever_did() -> None:
    office = Office("ab")
    await asyncio.sleep(5.0)
    asked = await office.starts()
    await asyncio.sleep(600.0)
    await office.asks("confirm", asked.session, how=How.API)
    await asyncio.sleep(2.0)
    assert office.stored(asked).confirmed_by is How.API
    ended = await office.asks("end", asked.session, by="shell:root", key="end")
    await asyncio.sleep(2.0)
    assert office.log(asked) == ["began", "confirmed", "ended"]
    assert office.world.tables.session_log[asked.session.id][-1].detail["by"] == "shell:root"
    assert (await office.asks("end", asked.session, by="shell:root", key="end")).letter == ended.letter
    for what, how in {"end": {"by": "x"}, "extend": {}, "confirm": {"how": How.API}}.items():
        with pytest.raises(LifecycleError, match="has ended already"):
            await office.asks(what, asked.session, **how)


@virtually
async def test_what_cannot_be_done_is_told_and_nothing_is_written() -> None:
    office = Office()
    for worker, how, told in (
        ("zoe", {}, "there is no worker 'zoe'"),
        ("eve", {}, "'eve' has no telephone number"),
        ("anna", {"hours": 5.0}, "no session of 'anna' lasts longer than 4 hours"),
        ("anna", {"hours": -1.0}, "a session lasts 1 minute at least"),
        ("anna", {"interval": 5.0}, "a check-in each 5 seconds cannot be; allowed: from 1 minute to 24 hours"),
    ):
        with pytest.raises(InvalidRequest, match=told):
            await office.starts(worker, **how)
    assert not office.world.tables.sessions
    asked = await office.starts(interval=300.0)
    assert asked.session.rules.interval == 300.0
    for what, how, told in (
        ("extend", {"by": 20.0}, "by 1 minute at least"),
        ("extend", {"by": 8000.0}, "no session of anna lasts longer than 4 hours, and this one would"),
        ("confirm", {"how": How.PIN}, "in a call only"),
        ("confirm", {"how": How.DURESS}, "in a call only"),
    ):
        with pytest.raises(InvalidRequest, match=told):
            await office.asks(what, asked.session, **how)
    with pytest.raises(UnknownSession):
        await office._connected.run(partial(office.requests.end, session="none", by="x", at=datetime.now(UTC)))
    assert len(office.world.tables.session_inbox) == 1


@pytest.mark.parametrize(("seconds", "good"), [(SHORTEST, True), (SHORTEST - 1, False), (LONGEST_INTERVAL + 1, False)])
def test_intervals_have_the_limits_of_the_configuration(seconds: float, good: bool) -> None:
    if good:
        assert CheckInRules(id="a", interval=seconds).interval == seconds
    else:
        with pytest.raises(ValidationError):
            CheckInRules(id="a", interval=seconds)
