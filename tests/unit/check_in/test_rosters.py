"""Rosters, followed: sessions begin by themselves, once, also after an outage."""

import asyncio
from datetime import timedelta

import structlog.testing

from config.check_ins import CheckIn, CheckInRules, Roster
from config.models import Settings, Worker
from ivr.session import Call, Confirmed, Ended, How, Origin, Session
from voice.check_in import rosters
from voice.check_in.roster import due
from voice.check_in.rosters import Rosters
from voice.sim.checking_in import CheckInProcess, CheckInWorld, Did
from voice.sim.loop import DAWN, virtual_loop, virtually

WORKERS = 25


def settings(workers: int = WORKERS) -> Settings:
    """Everybody begins an hour after dawn, for four hours."""
    start = (DAWN + timedelta(hours=2)).replace(tzinfo=None)  # Amsterdam, in winter
    return Settings(
        check_in=CheckIn(spread_seconds=60.0),
        check_ins=(CheckInRules(id="visits", interval=900.0, warn_before=0.0),),
        rosters=(Roster(id="day", rrule="FREQ=DAILY", start=start, duration=4 * 3600, check_in="visits"),),
        workers=tuple(Worker(id=f"w{n}", name=f"W {n}", roster=("day",)) for n in range(workers)),
    )


def _faultless(roster: Roster, error: Exception) -> None:
    raise AssertionError(roster.id) from error


class Stage:
    def __init__(self, nodes: str = "a") -> None:
        self.world = CheckInWorld(sole=len(nodes) == 1)
        self.world.do = self._do
        self.settings = settings()
        self.processes = {node: self.starts(node) for node in nodes}

    def starts(self, node: str) -> CheckInProcess:
        process = self.world.process(node)
        process.start()
        follows = Rosters(process.check_ins, lambda: self.settings, process.clock, node=node)
        process.spawn(follows.run())
        return process

    async def _do(self, did: Did) -> None:
        if isinstance(did.command, Call):
            did.process.check_ins.post(did.session.id, Confirmed(How.KEY, did.command.key))

    @property
    def sessions(self) -> list[Session]:
        return [row.session for row in self.world.tables.sessions.values()]


@virtually
async def test_everybody_on_the_roster_is_called_spread_over_the_minute() -> None:
    stage = Stage()
    await asyncio.sleep(3599)
    assert stage.sessions == []
    await asyncio.sleep(10)
    assert len(stage.sessions) == WORKERS
    assert {session.origin for session in stage.sessions} == {Origin.ROSTER}
    assert {session.started_at for session in stage.sessions} == {DAWN + timedelta(hours=1)}
    await asyncio.sleep(960)
    moments = sorted(did.at for did in stage.world.did)
    assert len(moments) == WORKERS
    first = virtual_loop().time() - (virtual_loop().clock.now() - DAWN).total_seconds() + 4500
    assert first <= moments[0] < moments[-1] < first + 61
    assert moments[-1] - moments[0] > 30


@virtually
async def test_two_nodes_begin_each_session_once() -> None:
    stage = Stage("ab")
    await asyncio.sleep(3700)
    assert len(stage.sessions) == WORKERS
    owned = [process.check_ins.sessions for process in stage.processes.values()]
    assert sum(owned) == WORKERS


@virtually
async def test_a_worker_who_goes_home_early_is_not_called_again_after_a_restart() -> None:
    stage = Stage()
    await asyncio.sleep(3700)
    stage.processes["a"].check_ins.post(stage.sessions[0].id, Ended())
    await asyncio.sleep(10)
    stage.processes["a"].kill()
    process = stage.starts("a")
    await asyncio.sleep(60)
    assert (process.check_ins.sessions, len(stage.sessions)) == (WORKERS - 1, WORKERS)


@virtually
async def test_after_an_outage_those_who_are_at_work_are_called_soon() -> None:
    stage = Stage()
    stage.processes["a"].kill()
    await asyncio.sleep(2 * 3600)
    assert stage.sessions == []
    stage.starts("a")
    await asyncio.sleep(80)
    assert len(stage.world.commands(Call)) == WORKERS


@virtually
async def test_a_worker_with_a_session_of_his_own_has_it_last_as_long_as_his_roster() -> None:
    stage = Stage()
    await asyncio.sleep(3000)
    stage.processes["a"].begins("w3", hours=1.0)
    await asyncio.sleep(700)
    own = stage.processes["a"].check_ins.of_worker("w3")
    assert own is not None
    assert (own.origin, own.ends_at) == (Origin.WORKER, DAWN + timedelta(hours=5))


async def _goes_home(process: CheckInProcess, worker: str) -> None:
    """An hour after dawn his own session became his roster's; then he ends it."""
    own = process.check_ins.of_worker(worker)
    assert own is not None
    assert (own.origin, own.ends_at) == (Origin.WORKER, DAWN + timedelta(hours=5))
    process.check_ins.post(own.id, Ended())
    await asyncio.sleep(10)
    assert process.check_ins.of_worker(worker) is None


@virtually
async def test_who_had_a_session_of_his_own_and_goes_home_early_is_not_called_again_after_a_restart() -> None:
    stage = Stage()
    await asyncio.sleep(3000)
    stage.processes["a"].begins("w3", hours=1.0)
    await asyncio.sleep(700)
    await _goes_home(stage.processes["a"], "w3")
    stage.processes["a"].kill()
    process = stage.starts("a")
    await asyncio.sleep(60)
    assert process.check_ins.of_worker("w3") is None
    assert (process.check_ins.sessions, len(stage.sessions)) == (WORKERS - 1, WORKERS)


@virtually
async def test_who_had_a_session_of_his_own_in_one_node_is_not_called_again_by_another() -> None:
    stage = Stage("ab")
    await asyncio.sleep(3000)
    stage.processes["a"].begins("w3", hours=1.0)
    await asyncio.sleep(700)
    await _goes_home(stage.processes["a"], "w3")
    stage.processes["b"].kill()
    stage.processes["a"].kill()
    await asyncio.sleep(10)
    stage.starts("b")
    await asyncio.sleep(60)
    assert (len(stage.sessions), sum(session.open for session in stage.sessions)) == (WORKERS, WORKERS - 1)


@virtually
async def test_a_node_that_could_not_ask_what_had_begun_learns_it_when_it_writes() -> None:
    stage = Stage("ab")
    await asyncio.sleep(3000)
    stage.processes["a"].begins("w3", hours=1.0)
    await asyncio.sleep(700)
    await _goes_home(stage.processes["a"], "w3")
    worker = next(worker for worker in stage.settings.workers if worker.id == "w3")
    again = next(b for b in due(stage.settings, virtual_loop().clock.now(), _faultless) if b.worker is worker)
    check_ins = stage.processes["b"].check_ins
    check_ins.begin("w3", again.rules, origin=Origin.ROSTER, ends_at=again.span.end, id=again.id)
    await asyncio.sleep(1)
    assert check_ins.of_worker("w3") is None
    assert len(stage.sessions) == WORKERS


@virtually
async def test_a_roster_that_cannot_be_followed_is_told_of_once_and_the_others_are_followed() -> None:
    stage = Stage()
    broken = stage.settings.rosters[0].model_copy(update={"id": "broken", "rrule": "FREQ=HOURLY;BYMINUTE=75"})
    stage.settings = stage.settings.model_copy(update={"rosters": (broken, *stage.settings.rosters)})
    with structlog.testing.capture_logs() as log:
        await asyncio.sleep(3700)
    assert len(stage.sessions) == WORKERS
    told = [entry["roster"] for entry in log if entry["event"].startswith("a roster cannot be followed")]
    assert told == ["broken"]


@virtually
async def test_while_the_store_is_away_sessions_begin_in_memory() -> None:
    stage = Stage()
    await asyncio.sleep(3500)
    with structlog.testing.capture_logs():
        stage.world.database.down = True
        await asyncio.sleep(200)
        assert stage.processes["a"].check_ins.sessions == WORKERS
        stage.world.database.down = False
        await asyncio.sleep(10)
    assert len(stage.sessions) == WORKERS


@virtually
async def test_many_begin_in_portions() -> None:
    stage = Stage()
    stage.settings = settings(3 * rosters.AT_ONCE)
    await asyncio.sleep(3605)
    begun = len(stage.sessions)
    assert 0 < begun <= 3 * rosters.AT_ONCE
    await asyncio.sleep(5)
    assert len(stage.sessions) == 3 * rosters.AT_ONCE


@virtually
async def test_sessions_that_have_begun_go_on_when_a_worker_leaves_the_roster() -> None:
    stage = Stage()
    await asyncio.sleep(3700)
    stage.settings = settings(1)
    await asyncio.sleep(6 * 3600)
    assert len(stage.sessions) == WORKERS
