"""The runner of check-ins: what the schedule decides is written, then done; what dies is taken up."""

import asyncio
from datetime import timedelta
from typing import Any

import structlog.testing

from ivr.session import (
    Call,
    CallFailed,
    Confirmed,
    Ended,
    Extended,
    How,
    NotConfirmed,
    Phase,
    RaiseMissed,
    Remind,
    Rules,
    Session,
    TellLate,
    Warn,
)
from voice.errors import LifecycleError
from voice.owned.delivery import STORE_PATIENCE
from voice.sim.checking_in import CheckInProcess, CheckInWorld, Did
from voice.sim.loop import virtual_loop, virtually

RULES = Rules(interval=600.0, grace=60.0, retries=(60.0,), warn_before=0.0)
WARNED = Rules(interval=600.0, retries=(), warn_before=60.0)


class Stage:
    """Processes on one database, and a worker who does what is said."""

    def __init__(self, nodes: str = "a", **ways: Any) -> None:
        self.world = CheckInWorld(sole=len(nodes) == 1)
        self.world.do = self._do
        self.answer: Any = None
        """What comes of a call: an event, made of its key; None: the call hangs."""
        self.cancelled: list[str] = []
        self.failures = 0
        self.processes = {node: self._starts(node, **ways) for node in nodes}
        self.ways = ways

    def _starts(self, node: str, **ways: Any) -> CheckInProcess:
        process = self.world.process(node, **ways)
        process.start()
        return process

    @property
    def process(self) -> CheckInProcess:
        return self.processes["a"]

    def dies(self, node: str = "a", *, again: bool = True) -> None:
        self.processes[node].kill()
        if again:
            self.processes[node] = self._starts(node, **self.ways)

    async def _do(self, did: Did) -> None:
        if isinstance(did.command, RaiseMissed) and self.failures:
            self.failures -= 1
            raise LifecycleError("not now")
        if not isinstance(did.command, Call):
            return
        if self.answer is not None:
            did.process.check_ins.post(did.session.id, self.answer(did.command.key))
            return
        try:
            await virtual_loop().create_future()
        except asyncio.CancelledError:
            self.cancelled.append(did.command.key)
            raise

    def stored(self, session: Session) -> Session:
        return self.world.tables.sessions[session.id].session

    def kinds(self, session: Session) -> list[str]:
        return [note.kind for note in self.world.tables.session_log[session.id]]


def no_answer(key: str) -> NotConfirmed:
    return NotConfirmed(key, "no answer")


def well(key: str) -> Confirmed:
    return Confirmed(How.KEY, key)


@virtually
async def test_a_worker_is_called_when_he_is_due_and_again_an_interval_after_he_confirmed() -> None:
    stage = Stage()
    stage.answer = well
    session = stage.process.begins("anna", RULES)
    await asyncio.sleep(599)
    assert stage.world.did == []
    await asyncio.sleep(2)
    assert [call.key for call in stage.world.commands(Call)] == ["1.1"]
    await asyncio.sleep(600)
    assert [call.key for call in stage.world.commands(Call)] == ["1.1", "2.1"]
    assert stage.kinds(session) == ["began", "called", "confirmed", "called", "confirmed"]


@virtually
async def test_a_worker_who_does_not_answer_is_missed_once() -> None:
    stage = Stage()
    stage.answer = no_answer
    session = stage.process.begins("anna", RULES)
    await asyncio.sleep(800)
    assert [missed.key for missed in stage.world.commands(RaiseMissed)] == [f"{session.id}:1:missed"]
    assert stage.stored(session).pending == ()
    assert stage.kinds(session)[-1] == "missed"


@virtually
async def test_an_alarm_that_cannot_be_raised_is_tried_again() -> None:
    stage = Stage()
    stage.answer, stage.failures = no_answer, 3
    with structlog.testing.capture_logs() as logs:
        session = stage.process.begins("anna", RULES)
        await asyncio.sleep(720)
    assert len(stage.world.commands(RaiseMissed)) == 4
    assert stage.stored(session).pending == ()
    assert [entry["event"] for entry in logs].count("a command failed") == 3


@virtually
async def test_an_alarm_that_could_not_be_raised_before_a_crash_is_raised_after_it() -> None:
    stage = Stage()
    stage.answer, stage.failures = no_answer, 1000
    session = stage.process.begins("anna", RULES)
    with structlog.testing.capture_logs():
        await asyncio.sleep(725)
        stage.dies()
        stage.failures = 0
        await asyncio.sleep(2)
    assert stage.world.raised == {f"{session.id}:1:missed"}
    assert stage.stored(session).pending == ()


@virtually
async def test_a_confirmation_after_the_alarm_is_told_and_begins_the_next_interval() -> None:
    stage = Stage()
    stage.answer = no_answer
    session = stage.process.begins("anna", RULES)
    await asyncio.sleep(725)
    after = stage.process.check_ins.post(session.id, Confirmed(How.PIN))
    assert after is not None
    assert after.due_at == virtual_loop().clock.now() + timedelta(seconds=600)
    await asyncio.sleep(1)
    (late,) = stage.world.commands(TellLate)
    assert (late.missed, late.how) == (f"{session.id}:1:missed", How.PIN)


@virtually
async def test_a_worker_is_warned_of_a_check_in_and_reminded_of_the_end() -> None:
    stage = Stage()
    stage.answer = well
    session = stage.process.begins("anna", WARNED, hours=0.3)
    await asyncio.sleep(545)
    assert stage.world.commands(Warn) == [Warn(f"{session.id}:1:warn", session.due_at)]
    await asyncio.sleep(600)
    assert len(stage.world.commands(Remind)) == 1
    assert stage.stored(session).phase is Phase.ENDED
    assert stage.process.check_ins.sessions == 0
    assert stage.process.check_ins.session(session.id) is None


@virtually
async def test_a_call_that_ends_without_a_word_is_made_again() -> None:
    stage = Stage()
    stage.answer = lambda key: Extended()
    stage.process.begins("anna", RULES)
    await asyncio.sleep(625)
    assert [call.key for call in stage.world.commands(Call)] == ["1.1", "1.2", "1.3"]
    assert [call.number for call in stage.world.commands(Call)] == [1, 1, 1], "none of them reached him"


@virtually
async def test_a_call_is_made_once_it_is_written() -> None:
    stage = Stage(delay=lambda: 0.3)
    stage.process.begins("anna", RULES)
    await asyncio.sleep(600.2)
    assert stage.world.did == []
    await asyncio.sleep(1)
    assert len(stage.world.did) == 1


@virtually
async def test_a_store_that_is_away_holds_up_a_call_for_two_seconds() -> None:
    stage = Stage()
    session = stage.process.begins("anna", RULES)
    with structlog.testing.capture_logs():
        await asyncio.sleep(599)
        stage.world.database.down = True
        await asyncio.sleep(1 + STORE_PATIENCE - 0.1)
        assert stage.world.did == []
        await asyncio.sleep(0.2)
        assert len(stage.world.did) == 1
        stage.world.database.down = False
        await asyncio.sleep(3)
    assert stage.stored(session) == stage.process.check_ins.session(session.id)


@virtually
async def test_a_worker_who_confirms_by_himself_is_not_rung_any_longer() -> None:
    stage = Stage()
    session = stage.process.begins("anna", RULES)
    await asyncio.sleep(605)
    stage.process.check_ins.post(session.id, Confirmed(How.PIN))
    await asyncio.sleep(1)
    assert stage.cancelled == ["1.1"]
    assert stage.kinds(session) == ["began", "called", "confirmed"]


@virtually
async def test_a_call_that_hangs_is_ended_and_the_worker_called_again() -> None:
    stage = Stage()
    stage.process.begins("anna", RULES)
    await asyncio.sleep(600 + 120 + 61)
    assert stage.cancelled == ["1.1"]
    assert [call.number for call in stage.world.commands(Call)] == [1, 2]


@virtually
async def test_a_restart_at_the_minute_of_a_call_loses_nothing() -> None:
    stage = Stage()
    session = stage.process.begins("anna", RULES)
    await asyncio.sleep(601)
    stage.dies()
    await asyncio.sleep(1)
    assert [call.key for call in stage.world.commands(Call)] == ["1.1", "1.2"]
    assert stage.kinds(session) == ["began", "called", "call_lost", "called"]


@virtually
async def test_a_check_in_that_fell_due_while_nobody_was_there_is_called_at_once_and_not_missed() -> None:
    stage = Stage()
    stage.answer = well
    session = stage.process.begins("anna", RULES)
    await asyncio.sleep(1)
    stage.processes["a"].kill()
    await asyncio.sleep(4000)
    stage.processes["a"] = stage._starts("a")
    await asyncio.sleep(1)
    assert stage.kinds(session) == ["began", "called", "confirmed"]


@virtually
async def test_a_clock_that_is_set_moves_no_deadline() -> None:
    class Wall:
        by = timedelta()

        def now(self) -> Any:
            return virtual_loop().clock.now() + self.by

    wall = Wall()
    stage = Stage(clock=wall)
    stage.process.begins("anna", RULES)
    await asyncio.sleep(300)
    wall.by = timedelta(days=-1)
    await asyncio.sleep(10)
    stage.dies()
    await asyncio.sleep(580)
    assert stage.world.did == []
    await asyncio.sleep(60)
    assert len(stage.world.did) == 1


@virtually
async def test_another_node_goes_on_with_the_sessions_of_one_that_died() -> None:
    stage = Stage("ab")
    stage.answer = well
    session = stage.process.begins("anna", RULES)
    await asyncio.sleep(5)
    stage.dies("a", again=False)
    await asyncio.sleep(10)
    assert stage.processes["b"].check_ins.session(session.id) is not None
    await asyncio.sleep(600)
    assert stage.kinds(session) == ["began", "called", "confirmed"]


@virtually
async def test_what_one_node_hears_of_a_session_of_another_one_is_told_there() -> None:
    stage = Stage("ab")
    session = stage.process.begins("anna", RULES)
    await asyncio.sleep(5)
    other = stage.processes["b"].check_ins
    assert await other.find("anna") == stage.process.check_ins.session(session.id)
    assert other.post(session.id, Confirmed(How.DURESS)) is None
    await asyncio.sleep(1)
    assert stage.kinds(session) == ["began", "confirmed"]


@virtually
async def test_a_node_that_was_taken_for_dead_stops_ringing_and_its_confirmation_is_not_lost() -> None:
    stage = Stage("ab")
    session = stage.process.begins("anna", RULES)
    await asyncio.sleep(590)
    with structlog.testing.capture_logs():
        stage.process.connected.cut_off = True
        await asyncio.sleep(30)
        assert [did.process.node for did in stage.world.did] == ["b", "a"], "both, for neither knows of the other"
        stage.process.check_ins.post(session.id, Confirmed(How.PIN))
        stage.process.connected.cut_off = False
        await asyncio.sleep(5)
    assert stage.process.check_ins.session(session.id) is None
    assert stage.kinds(session) == ["began", "called", "confirmed"]
    assert stage.cancelled == ["1.1", "1.1"]


@virtually
async def test_a_worker_who_begins_again_goes_on_in_his_session() -> None:
    stage = Stage()
    session = stage.process.begins("anna", RULES)
    await asyncio.sleep(100)
    again = stage.process.begins("anna", WARNED, hours=1.0, how=How.PIN)
    assert again.id == session.id
    assert (again.rules, again.due_at) == (WARNED, virtual_loop().clock.now() + timedelta(seconds=600))


@virtually
async def test_a_worker_who_begins_again_at_another_node_goes_on_in_his_session() -> None:
    stage = Stage("ab")
    session = stage.process.begins("anna", RULES)
    await asyncio.sleep(5)
    stage.processes["b"].begins("anna", WARNED, how=How.PIN)
    await asyncio.sleep(5)
    assert stage.processes["b"].check_ins.sessions == 0
    known = stage.process.check_ins.session(session.id)
    assert known is not None
    assert known.rules == WARNED


@virtually
async def test_two_nodes_that_begin_the_same_session_begin_it_once() -> None:
    stage = Stage("ab")
    for process in stage.processes.values():
        process.begins("anna", RULES, id="roster 1")
    await asyncio.sleep(5)
    assert sum(process.check_ins.sessions for process in stage.processes.values()) == 1
    stage.answer = well
    await asyncio.sleep(600)
    assert len(stage.world.commands(Call)) == 1


@virtually
async def test_a_confirmation_after_the_last_alarm_of_a_session_is_told_too() -> None:
    stage = Stage()
    stage.answer = no_answer
    session = stage.process.begins("anna", RULES, hours=0.1)
    await asyncio.sleep(600)
    assert stage.stored(session).phase is Phase.ENDED
    assert stage.process.check_ins.session(session.id) is None
    stage.process.check_ins.post(session.id, Confirmed(How.PIN))
    await asyncio.sleep(2)
    assert len(stage.world.commands(TellLate)) == 1


@virtually
async def test_a_session_that_was_ended_calls_nobody() -> None:
    stage = Stage()
    session = stage.process.begins("anna", RULES)
    await asyncio.sleep(5)
    stage.process.check_ins.post(session.id, Ended())
    await asyncio.sleep(2000)
    assert stage.world.did == []
    found = await stage.process.check_ins.find("anna")
    assert found is not None
    assert found.phase is Phase.ENDED


@virtually
async def test_what_the_service_makes_of_a_session_does_not_stop_it() -> None:
    def fails(process: CheckInProcess, session: Session) -> None:
        raise ValueError("a bug")

    stage = Stage(on_session=fails)
    stage.answer = lambda key: CallFailed(key, 486)
    stage.process.begins("anna", RULES)
    with structlog.testing.capture_logs():
        await asyncio.sleep(800)
    assert len(stage.world.commands(RaiseMissed)) == 1


@virtually
async def test_times_are_told_as_the_clock_shows_them() -> None:
    stage = Stage()
    session = stage.process.begins("anna", RULES)
    assert stage.process.check_ins.wall(session.due_at) == session.due_at
