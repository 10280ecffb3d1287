"""Processes die, stall and are cut off: who takes an incident up, what he does, and what the other one may not do."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog.testing

from config.plans import FrozenPlan, Step
from tests.unit.escalation.conversation import emergency, plan, ring
from voice.errors import StoreUnavailable
from voice.escalation.commands import CallEmergency, Cancel, Ring, Send
from voice.escalation.events import (
    EmergencyAnswered,
    EmergencyAsked,
    EmergencyConfirmed,
    EmergencyFailed,
    OperatorJoined,
    Reopened,
    Resolved,
    Taken,
)
from voice.escalation.ledger import Decided
from voice.escalation.state import EmergencyStatus, Phase, State
from voice.sim.database import Tables
from voice.sim.escalating import EscalatingProcess, EscalationWorld
from voice.sim.loop import virtual_loop, virtually

ONE = "00000001"
ANNA = plan(ring("contact:anna", seconds=30))
OPERATORS = plan(ring("operators", seconds=20), ring("contact:bob", seconds=30))
CONTROL_ROOM = plan(ring("operators", seconds=600), emergency())
BY_ITSELF = plan(ring("operators", seconds=20), emergency(confirm="automatic", after=30))
MESSAGES = plan(Step(message=("contact:anna",)), ring("operators", seconds=60))


class Stage:
    """Processes on one database, by name."""

    def __init__(self, *names: str) -> None:
        self.world = EscalationWorld(sole=len(names) == 1)
        self.processes = {name: self.starts(name) for name in names}

    def starts(self, name: str, **ways: Any) -> EscalatingProcess:
        process = self.world.process(name, **ways)
        process.start()
        return process

    def __getitem__(self, name: str) -> EscalatingProcess:
        return self.processes[name]

    @property
    def tables(self) -> Tables:
        return self.world.database.tables

    def dies(self, name: str) -> None:
        self[name].kill()

    def comes_back(self, name: str, **ways: Any) -> None:
        self.processes[name] = self.starts(name, **ways)

    def raises(self, frozen: FrozenPlan, at: str = "a") -> None:
        self[at].raises(ONE, frozen)

    def tells(self, *events: Any, at: str = "a") -> None:
        for event in events:
            self[at].escalations.post(ONE, event)

    def state(self, at: str = "a") -> State:
        state = self[at].escalations.state(ONE)
        assert state is not None
        return state

    def calls(self) -> list[str]:
        return [done.process.node for done in self.world.done if isinstance(done.command, CallEmergency)]

    def rung(self) -> list[str]:
        return [command.contact for command in self.world.commands(Ring)]

    def leg(self) -> str:
        last: Ring = self.world.commands(Ring)[-1]
        return last.leg

    def notes(self) -> list[str]:
        return [note.kind for note in self.tables.timeline.values()]


# -- one process after the other --


@virtually
async def test_who_was_being_rung_is_rung_again_at_once() -> None:
    stage = Stage("a")
    stage.raises(ANNA)
    await asyncio.sleep(5.0)
    stage.dies("a")
    await asyncio.sleep(60.0)
    stage.comes_back("a")
    await asyncio.sleep(1.0)
    assert stage.rung() == ["anna", "anna"]
    assert stage["a"].taken_up == [ONE]
    assert "contact_leg_ended" in stage.notes()


@virtually
async def test_a_deadline_that_passed_while_nobody_was_there_is_met_at_once() -> None:
    stage = Stage("a")
    stage.raises(OPERATORS)
    await asyncio.sleep(5.0)
    stage.dies("a")
    await asyncio.sleep(60.0)
    stage.comes_back("a")
    await asyncio.sleep(1.0)
    assert stage.rung() == ["bob"]


@virtually
async def test_an_operator_whose_leg_died_with_the_process_does_not_have_it_any_more() -> None:
    stage = Stage("a")
    stage.raises(ANNA)
    await asyncio.sleep(1.0)
    stage.tells(OperatorJoined("olga", "leg"))
    await asyncio.sleep(1.0)
    stage.dies("a")
    stage.comes_back("a")
    await asyncio.sleep(1.0)
    assert stage.state().operators == ()
    assert stage.rung() == ["anna", "anna"]


@virtually
async def test_an_alarm_that_an_earlier_version_opened_spares_its_worker_once_it_is_taken_up() -> None:
    stage = Stage("a")
    stage.raises(plan(ring("contact:bob", "contact:chris", order="sequence")))
    await asyncio.sleep(1.0)
    assert stage.rung() == ["bob"]
    stage.dies("a")
    stage.comes_back("a")
    stage["a"].own_lines = ("+31622222222",)
    await asyncio.sleep(1.0)
    assert stage.rung() == ["bob", "chris"]
    assert stage.state().facts.own_lines == ("+31622222222",)


@virtually
async def test_a_message_that_may_not_have_gone_out_is_sent_under_the_same_key() -> None:
    stage = Stage("a")
    stage.world.do = lambda done: asyncio.sleep(60) if isinstance(done.command, Send) else None
    stage.raises(MESSAGES)
    await asyncio.sleep(1.0)
    stage.dies("a")
    stage.world.do = lambda done: None
    for _ in range(2):
        stage.comes_back("a")
        await asyncio.sleep(1.0)
        stage.dies("a")
    first, second = stage.world.commands(Send)
    assert first == second


@virtually
async def test_an_emergency_call_that_was_never_begun_is_placed_by_whoever_comes_next_however_late() -> None:
    stage = Stage("a")
    stage.dies("a")
    stage.comes_back("a", at_point=lambda process: process.kill() if stage.tables.outbox else None)
    stage.raises(CONTROL_ROOM)
    await asyncio.sleep(1.0)
    stage.tells(EmergencyAsked("operator:olga"))
    await asyncio.sleep(3600.0)
    assert [order.state for order in stage.tables.outbox.values()] == ["pending"]
    stage.comes_back("a")
    await asyncio.sleep(10.0)
    assert stage.calls() == ["a"]
    assert stage.state().emergency.status is EmergencyStatus.PLACING
    await asyncio.sleep(180.0)
    assert stage.state().emergency.status is EmergencyStatus.INDETERMINATE


@virtually
async def test_an_emergency_call_that_may_have_been_placed_is_not_placed_again() -> None:
    stage = Stage("a")
    stage.raises(CONTROL_ROOM)
    stage.tells(EmergencyAsked("operator:olga"))
    await asyncio.sleep(1.0)
    stage.dies("a")
    stage.comes_back("a")
    await asyncio.sleep(300.0)
    assert stage.calls() == ["a"]
    assert stage.state().emergency.status is EmergencyStatus.INDETERMINATE
    stage.tells(EmergencyAsked("operator:olga"))
    await asyncio.sleep(1.0)
    assert stage.calls() == ["a", "a"]


@virtually
async def test_an_emergency_call_whose_outcome_is_known_stays_known() -> None:
    stage = Stage("a")
    stage.raises(CONTROL_ROOM)
    stage.tells(EmergencyAsked("operator:olga"))
    await asyncio.sleep(1.0)
    (call,) = stage.world.commands(CallEmergency)
    stage.tells(EmergencyAnswered(call.call), EmergencyConfirmed(call.call, "pressed 1"))
    await asyncio.sleep(1.0)
    stage.dies("a")
    stage.comes_back("a")
    await asyncio.sleep(1.0)
    assert stage.state().phase is Phase.TAKEN
    assert stage.state().emergency.over
    assert [(order.state, order.outcome) for order in stage.tables.outbox.values()] == [("done", "confirmed")]


@virtually
async def test_a_call_that_failed_for_certain_is_placed_again_after_a_crash_by_the_plan_alone() -> None:
    stage = Stage("a")
    stage.raises(CONTROL_ROOM)
    stage.tells(EmergencyAsked("operator:olga"))
    await asyncio.sleep(1.0)
    (call,) = stage.world.commands(CallEmergency)
    stage.tells(EmergencyFailed(call.call, 503))
    await asyncio.sleep(1.0)
    stage.dies("a")
    stage.comes_back("a")
    await asyncio.sleep(60.0)
    assert stage.calls() == ["a"]


@virtually
async def test_a_second_start_takes_nothing_from_an_alarm_that_came_before_it_looked() -> None:
    stage = Stage("a")
    stage.raises(ANNA)
    await asyncio.sleep(5.0)
    assert stage["a"].taken_up == []
    assert stage.tables.escalations[ONE].epoch == 1


# -- the clock --


class Adjusted:
    """The wall clock of a machine that somebody sets."""

    def __init__(self) -> None:
        self.by = timedelta()

    def now(self) -> datetime:
        return virtual_loop().clock.now() + self.by


@virtually
async def test_somebody_who_sets_the_clock_moves_no_deadline() -> None:
    stage, clock = Stage(), Adjusted()
    stage.processes = {"a": stage.starts("a", clock=clock)}
    stage.raises(OPERATORS)
    await asyncio.sleep(10.0)
    clock.by = timedelta(days=-1)
    await asyncio.sleep(9.9)
    assert stage.rung() == []
    await asyncio.sleep(0.2)
    assert stage.rung() == ["bob"]
    clock.by = timedelta(days=1)
    await asyncio.sleep(5.0)
    assert stage.rung() == ["bob"]


@virtually
async def test_a_clock_that_was_set_back_while_nobody_was_there_puts_off_no_deadline() -> None:
    stage, clock = Stage("a"), Adjusted()
    stage.raises(OPERATORS)
    await asyncio.sleep(5.0)
    stage.dies("a")
    clock.by = timedelta(days=-1)
    stage.comes_back("a", clock=clock)
    await asyncio.sleep(20.5)
    assert stage.rung() == ["bob"]


@virtually
async def test_the_time_of_day_is_taken_over_while_nothing_is_open() -> None:
    stage, clock = Stage(), Adjusted()
    clock.by = datetime(1970, 1, 1, tzinfo=UTC) - virtual_loop().clock.now()
    stage.processes = {"a": stage.starts("a", clock=clock)}
    await asyncio.sleep(1.0)
    clock.by = timedelta()
    await asyncio.sleep(1.0)
    stage.raises(OPERATORS)
    await asyncio.sleep(1.0)
    assert stage.state().opened_at.year == 2026


# -- two nodes --


@virtually
async def test_a_node_takes_up_what_a_dead_one_had_within_five_seconds() -> None:
    stage = Stage("a", "b")
    await asyncio.sleep(10.0)
    stage.raises(ANNA)
    await asyncio.sleep(5.0)
    stage.dies("a")
    await asyncio.sleep(2.0)
    assert stage.rung() == ["anna"]
    await asyncio.sleep(3.0)
    assert stage.rung() == ["anna", "anna"]
    assert stage["b"].taken_up == [ONE]


@virtually
async def test_a_node_that_stops_in_order_hands_over_at_once() -> None:
    stage = Stage("a", "b")
    await asyncio.sleep(10.0)
    stage.raises(ANNA)
    await asyncio.sleep(5.0)
    await stage["a"].escalations.retire()
    stage.dies("a")
    await asyncio.sleep(1.1)
    assert stage["b"].taken_up == [ONE]


@virtually
async def test_a_node_that_was_cut_off_lets_go_of_what_another_one_took_up() -> None:
    stage = Stage("a", "b")
    await asyncio.sleep(10.0)
    stage.raises(OPERATORS)
    await asyncio.sleep(1.0)
    with structlog.testing.capture_logs():
        stage["a"].connected.cut_off = True
        await asyncio.sleep(30.0)
        assert stage.rung() == ["bob", "bob"]
        stage["a"].connected.cut_off = False
        await asyncio.sleep(3.0)
    assert stage["a"].lost == [ONE]
    assert stage["a"].escalations.state(ONE) is None
    assert [done.process.node for done in stage.world.done if isinstance(done.command, Cancel)] == ["a"]
    assert stage.tables.escalations[ONE].state == stage.state("b")


@virtually
async def test_a_node_that_has_nothing_to_write_hears_all_the_same_that_it_was_cut_off() -> None:
    stage = Stage("a", "b")
    await asyncio.sleep(10.0)
    stage.raises(CONTROL_ROOM)
    await asyncio.sleep(1.0)
    with structlog.testing.capture_logs():
        stage["a"].connected.cut_off = True
        await asyncio.sleep(10.0)
        stage["a"].connected.cut_off = False
        await asyncio.sleep(3.0)
    assert stage["a"].lost == [ONE]


@virtually
async def test_a_node_that_is_cut_off_leaves_the_automatic_call_to_who_has_the_store() -> None:
    stage = Stage("a", "b")
    await asyncio.sleep(10.0)
    stage.raises(BY_ITSELF)
    await asyncio.sleep(10.0)
    with structlog.testing.capture_logs():
        stage["a"].connected.cut_off = True
        await asyncio.sleep(65.0)
        assert stage.calls() == ["b"]
        stage["a"].connected.cut_off = False
        await asyncio.sleep(60.0)
    assert stage.calls() == ["b"]


@virtually
async def test_a_person_who_asks_a_node_without_store_for_the_call_waits_fifteen_seconds_only() -> None:
    stage = Stage("a", "b")
    await asyncio.sleep(10.0)
    stage.raises(CONTROL_ROOM)
    await asyncio.sleep(1.0)
    with structlog.testing.capture_logs():
        stage["a"].connected.cut_off = True
        await asyncio.sleep(5.0)
        stage.tells(EmergencyAsked("operator:olga"))
        await asyncio.sleep(15.5)
    assert stage.calls() == ["a"]


@virtually
async def test_a_store_that_was_away_for_all_makes_nobody_lose_what_he_has() -> None:
    stage = Stage("a", "b")  # in each of their rounds a is first, so it could take from b what b has not renewed yet
    await asyncio.sleep(10.0)
    stage.raises(CONTROL_ROOM, at="b")
    await asyncio.sleep(1.0)
    with structlog.testing.capture_logs():
        stage.world.database.down = True
        await asyncio.sleep(30.0)
        stage.world.database.down = False
        await asyncio.sleep(30.0)
    assert stage["a"].taken_up == []
    assert stage["b"].lost == []


@virtually
async def test_what_became_of_the_call_of_a_node_that_lost_the_incident_is_told_to_its_owner() -> None:
    stage = Stage("a", "b")
    await asyncio.sleep(10.0)
    stage.raises(CONTROL_ROOM)
    stage.tells(EmergencyAsked("operator:olga"))
    await asyncio.sleep(1.0)
    with structlog.testing.capture_logs():
        stage["a"].connected.cut_off = True
        await asyncio.sleep(10.0)
        assert stage.state("b").emergency.status is EmergencyStatus.INDETERMINATE
        stage["a"].connected.cut_off = False
        await asyncio.sleep(3.0)
        (call,) = stage.world.commands(CallEmergency)
        stage.tells(EmergencyConfirmed(call.call, "pressed 1"))
        await asyncio.sleep(1.0)
    assert stage.state("b").emergency.status is EmergencyStatus.CONFIRMED
    assert stage.calls() == ["a"]


@virtually
async def test_a_node_that_decides_for_an_incident_of_another_one_lets_go_of_it() -> None:
    """Its lease never ran out as far as it knows: its own write tells it."""
    stage = Stage("a", "b")
    await asyncio.sleep(10.0)
    stage.raises(CONTROL_ROOM)
    await asyncio.sleep(1.0)
    hand_to(stage, "b")
    with structlog.testing.capture_logs():
        stage.tells(EmergencyAsked("operator:olga"))
        await asyncio.sleep(1.0)
    assert stage["a"].lost == [ONE]
    assert stage.calls() == []
    assert stage.tables.escalations[ONE].state.decisions == 1


@virtually
async def test_what_the_store_holds_for_a_node_that_does_not_have_it_is_found() -> None:
    stage = Stage("a", "b")
    await asyncio.sleep(10.0)
    stage.raises(CONTROL_ROOM)
    await asyncio.sleep(1.0)
    hand_to(stage, "b")
    await asyncio.sleep(12.0)
    assert stage["b"].taken_up == [ONE]


def hand_to(stage: Stage, node: str) -> None:
    """As a process of this name does that dies right after."""
    row = stage.tables.escalations[ONE]
    stage.tables.escalations[ONE] = replace(row, owner=node, epoch=row.epoch + 1)


@virtually
async def test_what_became_of_a_call_that_nobody_else_knows_of_is_told_to_nobody() -> None:
    """Its key may be that of another call: one that the node has placed which has the incident now."""
    stage = Stage("a", "b")
    await asyncio.sleep(10.0)
    stage.raises(CONTROL_ROOM)
    await asyncio.sleep(1.0)
    with structlog.testing.capture_logs():
        stage["a"].connected.cut_off = True
        stage.tells(EmergencyAsked("operator:olga"))
        await asyncio.sleep(16.0)
        (call,) = stage.world.commands(CallEmergency)
        stage.tells(EmergencyAsked("operator:otto"), at="b")
        stage["a"].connected.cut_off = False
        await asyncio.sleep(3.0)
        stage.tells(EmergencyFailed(call.call, 503))
        await asyncio.sleep(1.0)
    assert stage.state("b").emergency.status is EmergencyStatus.PLACING


@virtually
async def test_a_process_whose_name_another_one_has_now_lets_go_of_everything() -> None:
    stage = Stage("a", "b")
    await asyncio.sleep(10.0)
    stage.raises(ANNA)
    await asyncio.sleep(1.0)
    old = stage["a"]
    with structlog.testing.capture_logs():
        stage.comes_back("a")
        await asyncio.sleep(3.0)
    assert old.lost == [ONE]
    assert stage["a"].taken_up == [ONE]


@virtually
async def test_a_claim_whose_answer_is_lost_is_found_again() -> None:
    stage = Stage("a", "b")
    await asyncio.sleep(10.0)
    stage.raises(ANNA)
    await asyncio.sleep(1.0)
    stage.dies("a")
    stage.dies("b")
    once = iter([True])
    with structlog.testing.capture_logs():
        stage.comes_back("a", loses_answer=lambda: stage.tables.escalations[ONE].epoch == 2 and next(once, False))
        await asyncio.sleep(5.0)
    assert stage["a"].taken_up == [ONE]
    assert stage.tables.escalations[ONE].epoch == 3


# -- the inbox --


def leave(stage: Stage, name: str, event: Any) -> None:
    stage.tables.transact(lambda tables: stage["a"].ledger.leave(tables, name, ONE, event, virtual_loop().clock.now()))


@virtually
async def test_what_another_process_leaves_is_decided_once() -> None:
    stage = Stage("a")
    stage.raises(CONTROL_ROOM)
    await asyncio.sleep(1.0)
    leave(stage, "letter", EmergencyAsked("operator:olga"))
    await asyncio.sleep(10.0)
    assert stage.calls() == ["a"]
    assert stage.tables.inbox["letter"].handled


@virtually
async def test_a_letter_that_is_read_again_while_its_answer_is_written_is_answered_once() -> None:
    stage = Stage()
    stage.processes = {"a": stage.starts("a")}
    stage.raises(CONTROL_ROOM)
    await asyncio.sleep(1.0)
    record = stage["a"].ledger.record
    refuse = iter([True] * 3)

    def late(tables: Tables, decided: Decided) -> None:
        if next(refuse, False):
            raise StoreUnavailable("not now")
        record(tables, decided)

    stage["a"].ledger.record = late  # type: ignore[method-assign]
    leave(stage, "letter", EmergencyAsked("operator:olga"))
    await asyncio.sleep(30.0)
    assert stage.notes().count("emergency_placed") == 1
    assert "emergency_under_way" not in stage.notes()


@virtually
async def test_a_letter_that_changes_nothing_or_comes_too_late_is_taken_out_of_the_inbox() -> None:
    stage = Stage("a")
    stage.raises(ANNA)
    await asyncio.sleep(1.0)
    leave(stage, "nothing", Taken("9.9", "key"))
    await asyncio.sleep(1.0)
    stage.tells(Resolved("operator:olga"))
    await asyncio.sleep(1.0)
    with structlog.testing.capture_logs():
        leave(stage, "late", OperatorJoined("olga", "leg"))
        await asyncio.sleep(1.0)
    assert all(post.handled for post in stage.tables.inbox.values())


@virtually
async def test_a_letter_that_nobody_can_read_does_not_hold_up_the_next_one() -> None:
    stage = Stage("a")
    stage.raises(CONTROL_ROOM)
    await asyncio.sleep(1.0)
    leave(stage, "broken", OperatorJoined("olga", "leg"))
    broken = stage.tables.inbox["broken"]
    stage.tables.inbox["broken"] = type(broken)(broken.incident, "{", broken.at)
    leave(stage, "whole", EmergencyAsked("operator:olga"))
    with structlog.testing.capture_logs():
        await asyncio.sleep(5.0)
    assert stage.calls() == ["a"]
    assert all(post.handled for post in stage.tables.inbox.values())


@virtually
async def test_a_resolved_incident_is_opened_again_here_and_by_letter() -> None:
    stage = Stage("a")
    stage.raises(ANNA)
    for times in (1, 2, 3):
        await asyncio.sleep(2.0)
        assert len(stage.rung()) == times
        stage.tells(Resolved("operator:olga"))
        await asyncio.sleep(2.0)
        if times == 1:
            stage.tells(Reopened("operator:olga"))
        else:
            leave(stage, f"letter {times}", Reopened("operator:olga"))
    await asyncio.sleep(2.0)
    assert len(stage.rung()) == 4
