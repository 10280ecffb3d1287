"""The runner: what the engine decides is written, then done, once; the store may be slow, away, or refuse it."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
import structlog.testing

from config.plans import FrozenPlan, Step
from tests.unit.escalation.conversation import emergency, plan, ring
from voice.errors import EmergencyNumberRefused, LifecycleError
from voice.escalation import runner
from voice.escalation.commands import CallEmergency, Cancel, Ring, Send
from voice.escalation.delivery import EMERGENCY_PATIENCE
from voice.escalation.events import (
    Busy,
    EmergencyAsked,
    EmergencyConfirmed,
    OperatorJoined,
    Resolved,
    Taken,
    Timer,
)
from voice.escalation.state import EmergencyStatus, Phase
from voice.incidents import lifecycle
from voice.owned.delivery import STORE_PATIENCE
from voice.sim.database import Tables
from voice.sim.escalating import Done, EscalatingProcess, EscalationWorld
from voice.sim.loop import virtually

ONE = "00000001"
ANNA = plan(ring("contact:anna", seconds=30))
OPERATORS = plan(ring("operators", seconds=20), ring("contact:bob", seconds=30))
CONTROL_ROOM = plan(ring("operators", seconds=60), emergency())
MESSAGES = plan(Step(message=("contact:anna",)), ring("operators", seconds=60))


class Stage:
    """One process that has its database for itself."""

    def __init__(self, **ways: Any) -> None:
        self.world = EscalationWorld()
        self.process = self.world.process("a", **ways)
        self.process.start()

    @property
    def tables(self) -> Tables:
        return self.world.database.tables

    def raises(self, frozen: FrozenPlan) -> None:
        self.process.raises(ONE, frozen)

    def tells(self, *events: Any) -> None:
        for event in events:
            self.process.escalations.post(ONE, event)

    def rung(self) -> list[str]:
        return [command.contact for command in self.world.commands(Ring)]

    def leg(self) -> str:
        last: Ring = self.world.commands(Ring)[-1]
        return last.leg

    def notes(self) -> list[str]:
        return [note.kind for note in self.tables.timeline.values()]

    def dies(self) -> None:
        """And another process comes in its place."""
        self.process.kill()
        self.process = self.world.process("a")
        self.process.start()


def slowly(seconds: float) -> Callable[[], float]:
    return lambda: seconds


# -- written, then done --


@virtually
async def test_a_contact_is_rung_once_that_is_written() -> None:
    stage = Stage(delay=slowly(0.3))
    stage.raises(ANNA)
    await asyncio.sleep(0.5)
    assert stage.rung() == []
    await asyncio.sleep(1.0)
    assert stage.rung() == ["anna"]


@virtually
async def test_a_store_that_is_away_holds_up_a_ring_for_two_seconds_and_no_longer() -> None:
    stage = Stage()
    stage.world.database.down = True
    with structlog.testing.capture_logs():
        stage.raises(ANNA)
        await asyncio.sleep(STORE_PATIENCE - 0.1)
        assert stage.rung() == []
        await asyncio.sleep(0.2)
        assert stage.rung() == ["anna"]
        stage.world.database.down = False
        await asyncio.sleep(2.0)
    assert stage.tables.escalations[ONE].state == stage.process.escalations.state(ONE)


@virtually
async def test_an_emergency_call_waits_longer_for_the_store_but_not_for_ever() -> None:
    stage = Stage()
    stage.raises(CONTROL_ROOM)
    await asyncio.sleep(1.0)
    stage.world.database.down = True
    with structlog.testing.capture_logs() as logs:
        stage.tells(EmergencyAsked("operator:olga"))
        await asyncio.sleep(EMERGENCY_PATIENCE - 0.1)
        assert stage.world.commands(CallEmergency) == []
        await asyncio.sleep(0.2)
        assert len(stage.world.commands(CallEmergency)) == 1
        stage.world.database.down = False
        await asyncio.sleep(60)
    assert "critical" in [entry["log_level"] for entry in logs]
    assert len(stage.world.commands(CallEmergency)) == 1
    assert [order.state for order in stage.tables.outbox.values()] == ["started"]


@virtually
async def test_an_emergency_call_is_known_to_have_begun_before_it_is_placed() -> None:
    stage = Stage()
    seen = []
    stage.world.do = lambda done: seen.append([order.state for order in stage.tables.outbox.values()])
    stage.raises(CONTROL_ROOM)
    stage.tells(EmergencyAsked("operator:olga"))
    await asyncio.sleep(1.0)
    assert seen == [["started"]]


@virtually
async def test_an_emergency_call_that_is_not_wanted_any_more_is_not_placed() -> None:
    stage = Stage(delay=slowly(0.3))
    stage.raises(CONTROL_ROOM)
    await asyncio.sleep(1.0)
    stage.tells(EmergencyAsked("operator:olga"), Resolved("operator:olga"))
    await asyncio.sleep(5.0)
    assert stage.world.commands(CallEmergency) == []
    assert [order.state for order in stage.tables.outbox.values()] == ["done"]


@virtually
async def test_a_contact_is_not_rung_when_somebody_took_it_while_the_store_was_away() -> None:
    stage = Stage()
    stage.raises(OPERATORS)
    await asyncio.sleep(19.5)
    stage.world.database.down = True
    with structlog.testing.capture_logs():
        await asyncio.sleep(1.0)
        stage.tells(OperatorJoined("olga", "leg"))
        await asyncio.sleep(5.0)
    assert stage.rung() == []


@virtually
async def test_operators_ring_in_the_transaction_that_opens_the_incident() -> None:
    stage = Stage(delay=slowly(0.3))
    stage.raises(OPERATORS)
    state = stage.process.escalations.state(ONE)
    assert state is not None
    assert state.rings_operators
    await asyncio.sleep(1.0)
    assert stage.notes() == ["opened", "escalated"]
    assert stage.tables.escalations[ONE].state == state


@virtually
async def test_what_a_command_is_does_not_hold_up_the_next_one() -> None:
    """A text message that takes a minute does not keep the next phone from ringing."""
    stage = Stage()
    stage.world.do = lambda done: asyncio.sleep(60) if isinstance(done.command, Send) else None
    stage.raises(plan(Step(message=("contact:anna",)), ring("contact:bob")))
    await asyncio.sleep(1.0)
    assert stage.rung() == ["bob"]
    assert [order.kind for order in stage.tables.outbox.values() if order.state == "pending"] == ["Send"]


# -- what the shells do wrong --


@virtually
async def test_a_ring_that_fails_here_moves_on_at_once() -> None:
    stage = Stage()

    def fails(done: Done) -> None:
        if stage.rung() == ["anna"]:
            raise OSError("no socket")

    stage.world.do = fails
    stage.raises(ANNA)
    with structlog.testing.capture_logs():
        await asyncio.sleep(1.0)
    assert [command.number for command in stage.world.commands(Ring)] == ["+31611111111", "+31711111111"]


@virtually
async def test_a_ring_that_hangs_here_is_given_up() -> None:
    stage = Stage()
    stage.world.do = lambda done: asyncio.sleep(3600) if stage.rung() == ["anna"] else None
    stage.raises(ANNA)
    with structlog.testing.capture_logs():
        await asyncio.sleep(11.0)
    assert stage.rung() == ["anna", "anna"]


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (EmergencyNumberRefused("112 is not armed"), EmergencyStatus.FAILED),
        (OSError("?"), EmergencyStatus.INDETERMINATE),
    ],
)
def test_an_emergency_call_that_cannot_be_placed_failed_only_if_that_is_certain(
    error: Exception, status: EmergencyStatus
) -> None:
    @virtually
    async def story() -> None:
        stage = Stage()

        def fails(done: Done) -> None:
            raise error

        stage.world.do = fails
        stage.raises(CONTROL_ROOM)
        with structlog.testing.capture_logs():
            stage.tells(EmergencyAsked("operator:olga"))
            await asyncio.sleep(1.0)
        state = stage.process.escalations.state(ONE)
        assert state is not None
        assert state.emergency.status is status

    story()


@virtually
async def test_a_message_that_fails_is_done_and_says_how() -> None:
    stage = Stage()

    def fails(done: Done) -> None:
        raise OSError("no route")

    stage.world.do = fails
    stage.raises(MESSAGES)
    with structlog.testing.capture_logs():
        await asyncio.sleep(1.0)
    (order,) = stage.tables.outbox.values()
    assert (order.state, order.outcome) == ("done", "failed: OSError")


# -- the store --


@virtually
async def test_decisions_come_into_the_store_in_their_order_and_once_when_a_commit_fails_in_between() -> None:
    stage = Stage(delay=slowly(0.1))
    stage.raises(ANNA)
    await asyncio.sleep(1.0)
    with structlog.testing.capture_logs():
        stage.tells(Busy(stage.leg()))
        await asyncio.sleep(0.05)
        stage.tells(OperatorJoined("olga", "leg"))
        stage.world.database.down = True
        await asyncio.sleep(0.06)  # the first one fails, the second one does not
        stage.world.database.down = False
        await asyncio.sleep(5.0)
    assert stage.tables.escalations[ONE].state == stage.process.escalations.state(ONE)
    kinds = [kind for kind in stage.notes() if kind in ("contact_leg_ended", "contact_rung")]
    assert kinds == ["contact_rung", "contact_leg_ended", "contact_rung"]
    assert stage.process.journal.refused == 0


@virtually
async def test_a_commit_whose_answer_is_lost_is_not_made_twice() -> None:
    lost = iter([False, False, True, True])
    stage = Stage(loses_answer=lambda: next(lost, False))
    with structlog.testing.capture_logs():
        stage.raises(ANNA)
        await asyncio.sleep(5.0)
    assert stage.notes().count("contact_rung") == 1
    assert stage.rung() == ["anna"]
    assert stage.process.journal.refused == 0


@virtually
async def test_a_decision_that_the_store_refuses_leaves_a_gap_on_the_timeline_and_not_in_the_state(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stage = Stage()
    stage.raises(ANNA)
    await asyncio.sleep(1.0)
    record = stage.process.ledger.record

    def refuses_busy(tables: Any, decided: Any) -> None:
        if any(note.detail.get("outcome") == "busy" for note in decided.notes):
            raise ValueError("a bug")
        record(tables, decided)

    monkeypatch.setattr(stage.process.ledger, "record", refuses_busy)
    with structlog.testing.capture_logs():
        stage.tells(Busy(stage.leg()), OperatorJoined("olga", "leg"))
        await asyncio.sleep(1.0)
    assert "timeline_gap" in stage.notes()
    assert stage.tables.escalations[ONE].state == stage.process.escalations.state(ONE)
    stage.tells(Resolved("operator:olga"))
    await asyncio.sleep(1.0)
    assert stage.tables.escalations[ONE].state.phase is Phase.DONE


@virtually
async def test_the_text_of_a_plan_is_written_until_the_store_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage()
    new = []
    opens = stage.process.ledger.open

    def spied(tables: Any, opening: Any) -> None:
        new.append(opening.new_plan)
        opens(tables, opening)

    monkeypatch.setattr(stage.process.ledger, "open", spied)
    for incident in ("00000001", "00000002"):
        stage.process.raises(incident, ANNA)
    await asyncio.sleep(1.0)
    stage.process.raises("00000003", ANNA)
    await asyncio.sleep(1.0)
    assert new == [True, True, False]


# -- memory --


@virtually
async def test_a_resolved_incident_is_forgotten_once_that_is_written() -> None:
    stage = Stage(delay=slowly(0.2))
    stage.raises(ANNA)
    await asyncio.sleep(2.0)
    stage.tells(Resolved("operator:olga"))
    assert stage.process.escalations.state(ONE) is not None
    await asyncio.sleep(2.0)
    assert stage.process.escalations.state(ONE) is None
    assert [command.leg for command in stage.world.commands(Cancel)] == [stage.leg()]
    stage.tells(Taken(stage.leg(), "late"), Timer())  # changes nothing
    assert stage.tables.escalations[ONE].state.phase is Phase.DONE


@virtually
async def test_what_is_told_for_an_incident_that_nobody_knows_changes_nothing() -> None:
    stage = Stage()
    stage.tells(Timer(), Taken("1.0", "key"), EmergencyConfirmed("1.0", "key"))
    await asyncio.sleep(1.0)
    assert stage.tables.inbox == {}


@virtually
async def test_what_a_decision_brings_about_is_decided_after_it() -> None:
    """The service tells of something while it is told of a decision."""
    stage = Stage()
    told = False

    def joins(process: EscalatingProcess, incident: str, state: Any) -> None:
        nonlocal told
        if state.legs and not told:
            told = True
            process.escalations.post(incident, OperatorJoined("olga", "leg"))
            assert process.escalations.state(incident) is state

    stage.process.kill()
    stage.process = stage.world.process("a", on_state=joins)
    stage.raises(ANNA)
    await asyncio.sleep(1.0)
    state = stage.process.escalations.state(ONE)
    assert state is not None
    assert state.operators == ("olga",)
    assert stage.tables.escalations[ONE].state == state


@virtually
async def test_a_service_that_cannot_follow_a_decision_does_not_stop_it() -> None:
    stage = Stage()

    def fails(process: EscalatingProcess, incident: str, state: Any) -> None:
        raise LifecycleError("somebody was quicker")

    stage.process.kill()
    stage.process = stage.world.process("a", on_state=fails)
    with structlog.testing.capture_logs():
        stage.raises(ANNA)
        await asyncio.sleep(1.0)
    assert stage.rung() == ["anna"]


@virtually
async def test_a_change_of_the_lifecycle_is_told_and_written() -> None:
    stage = Stage()
    stage.raises(ANNA)
    await asyncio.sleep(1.0)
    stage.tells(Taken(stage.leg(), "pressed 4"))
    assert [change.to for change in stage.process.changes] == [lifecycle.State.ACKNOWLEDGED]
    await asyncio.sleep(1.0)
    assert stage.tables.incidents[ONE].state is lifecycle.State.ACKNOWLEDGED


@virtually
async def test_an_engine_that_fails_is_asked_again() -> None:
    stage = Stage()
    stage.raises(OPERATORS)
    await asyncio.sleep(1.0)
    decide, failures = runner.decide, iter(range(3))

    def fails(*args: Any) -> Any:
        if next(failures, None) is not None:
            raise ZeroDivisionError
        return decide(*args)

    with pytest.MonkeyPatch.context() as patch, structlog.testing.capture_logs():
        patch.setattr(runner, "decide", fails)
        await asyncio.sleep(30.0)
    assert stage.rung() == ["bob"]


@virtually
async def test_a_service_that_stops_decides_nothing_any_more() -> None:
    stage = Stage()
    stage.raises(OPERATORS)
    await asyncio.sleep(1.0)
    before = stage.tables.escalations[ONE].state
    stage.process.escalations.close()
    stage.tells(Resolved("nobody"))
    await asyncio.sleep(60.0)
    assert stage.tables.escalations[ONE].state == before


@virtually
async def test_an_incident_that_was_never_opened_is_forgotten() -> None:
    stage = Stage()
    stage.process.escalations.opening(ONE, ANNA, EscalatingProcess.facts, stage.process.clock.now())
    stage.process.escalations.forget(ONE)
    stage.process.escalations.forget(ONE)
    await asyncio.sleep(60.0)
    assert stage.rung() == []
