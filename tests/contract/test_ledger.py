"""What every ledger of escalations does, in SQL and in memory: the same suite for each."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest

from config.plans import Contact, FrozenPlan, Plan, Step
from voice.errors import Fenced, OutOfOrder
from voice.escalation.commands import CallEmergency, Cancel, Command, Ring, Send
from voice.escalation.engine import begin
from voice.escalation.events import EmergencyAsked, Reopened, Taken
from voice.escalation.ledger import Beat, Claimed, Decided, Ledger, Opening, PlanText
from voice.escalation.state import Change, Facts, Note, Phase, State
from voice.incidents import lifecycle
from voice.incidents.kinds import Kind
from voice.owned.ledger import Claim, Fence
from voice.sim.database import Connected, Database
from voice.sim.ledger import MemoryLedger
from voice.store import Store
from voice.store import incidents as rows
from voice.store.escalations import SqlLedger

AT = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
FROZEN = FrozenPlan(
    plan=Plan(id="plan", steps=(Step(ring=("contact:anna",)),)),
    contacts={"anna": Contact(id="anna", name="Anna", numbers=("+31612345678",))},
)
PLAN = PlanText.of(FROZEN)
RING = Ring("1.0", "anna", "+31612345678", 30.0)
SEND = Send("1.1", "anna", "sms")
CALL = CallEmergency("1.2", "room", "plan")


@dataclass
class Bench:
    """A ledger, how an incident is opened beside it, and what stands on a timeline."""

    ledger: Ledger
    open_incident: Callable[[Any, str, datetime, int], object]
    timeline: Callable[[Any, str], list[tuple[str, str]]]
    lifecycle: Callable[[Any, str], lifecycle.State]

    async def run(self, function: Callable[..., Any], *args: Any, **named: Any) -> Any:
        return await self.ledger.run(lambda connection: function(connection, *args, **named))

    async def opens(self, name: str = "00000001", node: str = "a", at: datetime = AT, priority: int = 1) -> State:
        """An incident with its escalation, owned by `node`."""
        state = begin(name, Facts(kind="panic", priority=priority), at)
        opening = Opening(Fence(name, node, 1), PLAN, True, state, (Note("escalated"),), at)
        await self.run(self.open_incident, name, at, priority)
        await self.run(self.ledger.open, opening)
        return state

    async def decides(self, state: State, epoch: int = 1, node: str = "a", **changes: Any) -> State:
        """The next decision, written."""
        after = replace(state, decisions=state.decisions + 1, **changes.pop("becomes", {}))
        decided = Decided(Fence(state.incident, node, epoch), state.decisions, after, (), (), None, AT)
        decided = replace(decided, **changes)
        await self.run(self.ledger.record, decided)
        return decided.state

    async def claims(self, node: str, at: datetime = AT, **claim: Any) -> list[Claimed]:
        found: list[Claimed] = await self.run(self.ledger.claim, Claim(node, at, **claim))
        return found

    async def dies(self, node: str) -> None:
        """A node whose lease has run out."""
        epoch = await self.run(self.ledger.register, node, 60.0, AT)
        await self.run(self.ledger.retire, node, epoch, AT)


def in_memory(sole: bool) -> Bench:
    return Bench(
        MemoryLedger(Connected(Database()), sole=sole),
        lambda t, name, at, priority: t.open_incident(name, at, priority),
        lambda t, name: [(note.kind, note.actor) for (incident, _), note in t.timeline.items() if incident == name],
        lambda t, name: t.incidents[name].state,
    )


def in_sql(store: Store, sole: bool) -> Bench:
    return Bench(
        SqlLedger(store, sole=sole),
        lambda c, name, at, priority: rows.open_incident(
            c,
            incident_id=name,
            kind=Kind.PANIC,
            priority=priority,
            device_id=None,
            worker_id=None,
            caller=None,
            dialled=None,
            identified_by=None,
            at=at,
            detail={},
        ),
        lambda c, name: [(entry.kind, entry.actor) for entry in rows.timeline(c, name)],
        lambda c, name: rows.incident(c, name).state,
    )


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
async def make(request: pytest.FixtureRequest) -> AsyncIterator[Callable[[bool], Bench]]:
    if request.param == "memory":
        yield in_memory
    else:
        shared = request.param == "postgresql"
        store = Store.inline(request.getfixturevalue("postgres_url")) if shared else Store.inline()
        yield partial(in_sql, store)
        await store.close()


@pytest.fixture
def bench(make: Callable[[bool], Bench]) -> Bench:
    """Several nodes share the store."""
    return make(False)


@pytest.fixture
def sole(make: Callable[[bool], Bench]) -> Bench:
    """One process has the store for itself."""
    return make(True)


# -- one escalation --


async def test_what_was_opened_is_taken_up_as_it_was(bench: Bench) -> None:
    state = await bench.opens()
    (found,) = await bench.claims("b")
    assert (found.state, found.plan.read(), found.epoch, found.outbox) == (state, FROZEN, 2, [])
    assert (found.incident.id, found.incident.kind, found.incident.opened_at) == ("00000001", Kind.PANIC, AT)


async def test_the_notes_of_an_opening_come_after_that_of_the_incident(bench: Bench) -> None:
    await bench.opens()
    assert await bench.run(bench.timeline, "00000001") == [
        ("opened", "unknown caller" if isinstance(bench.ledger, SqlLedger) else "system"),
        ("escalated", "system"),
    ]


async def test_opening_again_changes_nothing(bench: Bench) -> None:
    state = await bench.opens()
    await bench.decides(state)
    opening = Opening(Fence("00000001", "a", 1), PLAN, True, state, (Note("escalated"),), AT)
    await bench.run(bench.ledger.open, opening)
    (found,) = await bench.claims("b")
    assert found.state.decisions == 1
    assert len(await bench.run(bench.timeline, "00000001")) == 2


async def test_an_incident_without_its_plan_in_the_store_is_refused(bench: Bench) -> None:
    await bench.run(bench.open_incident, "00000001", AT, 1)
    state = begin("00000001", Facts(kind="panic", priority=1), AT)
    with pytest.raises(Exception, match=r"FOREIGN|foreign|no such plan"):
        await bench.run(bench.ledger.open, Opening(Fence("00000001", "a", 1), PLAN, False, state, (), AT))


async def test_the_store_tells_whether_it_has_a_plan(bench: Bench) -> None:
    assert not await bench.run(bench.ledger.has_plan, PLAN.sha256)
    await bench.opens()
    assert await bench.run(bench.ledger.has_plan, PLAN.sha256)


async def test_state_lifecycle_and_timeline_of_a_decision_are_written_together(bench: Bench) -> None:
    state = await bench.opens()
    change = Change(lifecycle.State.ACKNOWLEDGED, "contact:anna", {"proof": "pressed 4"})
    await bench.decides(state, notes=(Note("taken", {"contact": "anna"}, "contact:anna"),), change=change)
    assert await bench.run(bench.lifecycle, "00000001") is lifecycle.State.ACKNOWLEDGED
    entries = await bench.run(bench.timeline, "00000001")
    assert set(entries[2:]) == {("acknowledged", "contact:anna"), ("taken", "contact:anna")}


async def test_a_change_that_the_lifecycle_does_not_have_leaves_the_decision_as_it_is(bench: Bench) -> None:
    state = await bench.opens()
    await bench.decides(state, change=Change(lifecycle.State.OPEN, "system"))
    assert await bench.run(bench.lifecycle, "00000001") is lifecycle.State.OPEN
    assert (await bench.run(bench.timeline, "00000001"))[-1] == ("state_kept", "system")
    assert (await bench.claims("b"))[0].state.decisions == 1


async def test_a_decision_that_is_written_twice_is_there_once(bench: Bench) -> None:
    state = await bench.opens()
    decided = Decided(
        Fence("00000001", "a", 1), 0, replace(state, decisions=1), (SEND,), (Note("contact_rung"),), None, AT
    )
    for _ in range(2):
        await bench.run(bench.ledger.record, decided)
    await bench.decides(replace(state, decisions=1))
    await bench.run(bench.ledger.record, decided)
    assert len(await bench.run(bench.timeline, "00000001")) == 3
    (found,) = await bench.claims("b")
    assert (found.state.decisions, len(found.outbox)) == (2, 1)


async def test_a_decision_is_not_written_before_the_one_that_it_builds_on(bench: Bench) -> None:
    state = await bench.opens()
    with pytest.raises(OutOfOrder):
        await bench.decides(replace(state, decisions=1))
    assert (await bench.claims("b"))[0].state.decisions == 0


async def test_a_state_that_stands_in_for_refused_decisions_is_written_over_the_gap(bench: Bench) -> None:
    state = await bench.opens()
    await bench.decides(replace(state, decisions=6), previous=None)
    await bench.decides(replace(state, decisions=7))
    assert (await bench.claims("b"))[0].state.decisions == 8


async def test_who_lost_an_incident_writes_nothing_of_it(bench: Bench) -> None:
    state = await bench.opens()
    await bench.claims("b")
    for write in (
        partial(bench.decides, state),
        partial(bench.decides, state, previous=None),
        partial(bench.run, bench.ledger.begin, Fence("00000001", "a", 1), "1.2", AT),
    ):
        with pytest.raises(Fenced):
            await write()
    await bench.decides(state, node="b", epoch=2)


async def test_a_process_of_the_same_name_is_fenced_by_the_epoch(sole: Bench) -> None:
    state = await sole.opens(node="a")
    await sole.claims("a", own=True)
    with pytest.raises(Fenced):
        await sole.decides(state, node="a", epoch=1)
    await sole.decides(state, node="a", epoch=2)


# -- the outbox --


async def outbox(bench: Bench, *commands: Command) -> None:
    state = await bench.opens()
    await bench.decides(state, commands=commands)


async def test_what_outlives_a_process_waits_in_the_outbox_in_its_order(bench: Bench) -> None:
    await outbox(bench, RING, SEND, CALL, Cancel("0.9"))
    (found,) = await bench.claims("b")
    assert [(waiting.command, waiting.started) for waiting in found.outbox] == [(SEND, False), (CALL, False)]


async def test_a_call_that_has_begun_is_known_to_have(bench: Bench) -> None:
    await outbox(bench, RING, SEND, CALL)
    for _ in range(2):
        await bench.run(bench.ledger.begin, Fence("00000001", "a", 1), "1.2", AT)
    (found,) = await bench.claims("b")
    assert [waiting.started for waiting in found.outbox] == [False, True]


async def test_a_command_begins_and_ends_only_behind_its_decision(bench: Bench) -> None:
    await bench.opens()
    with pytest.raises(OutOfOrder):
        await bench.run(bench.ledger.begin, Fence("00000001", "a", 1), "1.2", AT)
    with pytest.raises(OutOfOrder):
        await bench.run(bench.ledger.finish, Fence("00000001", "a", 1), "1.2", "", AT)


async def test_what_is_done_is_not_in_the_outbox_any_more_and_does_not_begin_again(bench: Bench) -> None:
    await outbox(bench, RING, SEND, CALL)
    fence = Fence("00000001", "a", 1)
    await bench.run(bench.ledger.finish, fence, "1.1", "", AT)
    await bench.run(bench.ledger.finish, fence, "1.2", "not wanted any more", AT)
    await bench.run(bench.ledger.begin, fence, "1.2", AT)
    assert (await bench.claims("b"))[0].outbox == []


async def test_a_decision_says_what_became_of_an_emergency_call(bench: Bench) -> None:
    state = await bench.opens()
    state = await bench.decides(state, commands=(RING, SEND, CALL))
    await bench.decides(state, call_ended=("1.2", "confirmed"))
    assert [waiting.command for waiting in (await bench.claims("b"))[0].outbox] == [SEND]


async def test_who_lost_an_incident_may_say_that_a_message_was_sent_but_nothing_about_the_call(bench: Bench) -> None:
    await outbox(bench, RING, SEND, CALL)
    await bench.claims("b")
    await bench.run(bench.ledger.finish, Fence("00000001", "a", 1), "1.1", "", AT)
    with pytest.raises(Fenced):
        await bench.run(bench.ledger.finish, Fence("00000001", "a", 1), "1.2", "", AT)
    assert [waiting.command for waiting in (await bench.claims("b", own=True))[0].outbox] == [CALL]


# -- nodes --


async def test_each_process_of_a_name_has_an_epoch_of_its_own(bench: Bench) -> None:
    assert [await bench.run(bench.ledger.register, "a", 3.0, AT) for _ in range(3)] == [1, 2, 3]
    assert await bench.run(bench.ledger.register, "b", 3.0, AT) == 1


async def test_a_heartbeat_tells_who_else_is_alive(bench: Bench) -> None:
    epoch = await bench.run(bench.ledger.register, "a", 60.0, AT)
    await bench.run(bench.ledger.register, "b", 60.0, AT)
    await bench.dies("c")
    assert await bench.run(bench.ledger.beat, "a", epoch, 60.0, AT) == Beat(alive=True, others=1)


async def test_a_process_hears_that_another_one_has_its_name_now(bench: Bench) -> None:
    epoch = await bench.run(bench.ledger.register, "a", 60.0, AT)
    await bench.run(bench.ledger.register, "a", 60.0, AT)
    assert not (await bench.run(bench.ledger.beat, "a", epoch, 60.0, AT)).alive
    await bench.run(bench.ledger.retire, "a", epoch, AT)
    assert (await bench.run(bench.ledger.beat, "b", 1, 60.0, AT)).others == 1


async def test_what_a_living_node_has_is_left_to_it(bench: Bench) -> None:
    await bench.opens(node="a")
    await bench.run(bench.ledger.register, "a", 60.0, AT)
    assert await bench.claims("b") == []
    fences = await bench.run(bench.ledger.fences, ["00000001", "unknown"])
    assert fences == {"00000001": Fence("00000001", "a", 1)}


async def test_what_a_dead_node_had_is_taken_up_once(bench: Bench) -> None:
    await bench.opens(node="a")
    await bench.dies("a")
    for node in ("b", "c"):
        await bench.run(bench.ledger.register, node, 60.0, AT)
    found = await asyncio.gather(bench.claims("b"), bench.claims("c"))
    assert sorted(len(claimed) for claimed in found) == [0, 1]
    (fence,) = (await bench.run(bench.ledger.fences, ["00000001"])).values()
    assert (fence.node in ("b", "c"), fence.epoch) == (True, 2)


async def test_the_most_urgent_are_taken_up_first_and_no_more_than_asked_for(bench: Bench) -> None:
    await bench.opens("00000001", priority=2)
    await bench.opens("00000002", at=AT + timedelta(seconds=1))
    await bench.opens("00000003")
    assert [item.incident.id for item in await bench.claims("b", limit=2)] == ["00000003", "00000002"]
    await bench.run(bench.ledger.register, "b", 60.0, AT)
    assert [item.incident.id for item in await bench.claims("c", limit=2)] == ["00000001"]


async def test_a_process_takes_up_what_one_of_its_name_had_but_not_what_it_has_itself(bench: Bench) -> None:
    await bench.opens("00000001")
    await bench.opens("00000002")
    await bench.run(bench.ledger.register, "a", 60.0, AT)
    found = await bench.claims("a", own=True, orphans=False, known=["00000002"])
    assert [item.incident.id for item in found] == ["00000001"]
    fences = await bench.run(bench.ledger.fences, ["00000001", "00000002"])
    assert {name: fence.epoch for name, fence in fences.items()} == {"00000001": 2, "00000002": 1}


async def test_a_process_whose_name_another_one_has_takes_nothing_up(bench: Bench) -> None:
    await bench.opens("00000001", node="z")
    old, new = [await bench.run(bench.ledger.register, "a", 60.0, AT) for _ in range(2)]
    with pytest.raises(Fenced):
        await bench.claims("a", epoch=old)
    assert len(await bench.claims("a", epoch=new)) == 1


async def test_what_a_node_holds_is_what_it_owns_and_is_not_over(bench: Bench) -> None:
    await bench.opens("00000001")
    over = await bench.opens("00000002")
    await bench.opens("00000003", node="b")
    await bench.decides(over, becomes={"phase": Phase.DONE, "due_at": None})
    assert await bench.run(bench.ledger.held, "a") == ["00000001"]


async def test_alone_with_its_store_a_process_takes_up_everything(sole: Bench) -> None:
    await sole.opens("00000001", node="another name")
    await sole.run(sole.ledger.register, "another name", 60.0, AT)
    assert len(await sole.claims("a")) == 1


async def test_what_is_over_is_taken_up_only_by_name(bench: Bench) -> None:
    state = await bench.opens()
    await bench.decides(state, becomes={"phase": Phase.DONE, "due_at": None})
    assert await bench.claims("b") == []
    (found,) = await bench.claims("b", only="00000001")
    assert found.state.phase is Phase.DONE


# -- the inbox --


async def test_a_letter_waits_for_the_owner_of_its_incident_until_it_is_answered(bench: Bench) -> None:
    state = await bench.opens()
    await bench.run(bench.ledger.register, "a", 60.0, AT)
    for _ in range(2):
        await bench.run(bench.ledger.leave, "letter", "00000001", EmergencyAsked("operator:olga"), AT)
    (letter,) = await bench.run(bench.ledger.letters, "a", AT)
    assert (letter.incident, letter.event, letter.open) == ("00000001", EmergencyAsked("operator:olga"), True)
    assert await bench.run(bench.ledger.letters, "b", AT) == []
    await bench.decides(state, inbox="letter")
    assert await bench.run(bench.ledger.letters, "a", AT) == []


async def test_letters_come_in_the_order_in_which_they_were_left(bench: Bench) -> None:
    await bench.opens()
    events = [Taken("1.0", "key"), EmergencyAsked("operator:olga"), Reopened("operator:olga")]
    for number, event in enumerate(events):
        name, at = f"letter {9 - number}", AT + timedelta(seconds=number)
        await bench.run(bench.ledger.leave, name, "00000001", event, at)
    letters = await bench.run(bench.ledger.letters, "a", AT)
    assert [letter.event for letter in letters] == events
    await bench.run(bench.ledger.answered, [letter.id for letter in letters[:2]], AT)
    assert [letter.event for letter in await bench.run(bench.ledger.letters, "a", AT)] == events[2:]


async def test_a_letter_to_what_is_over_says_so_and_reaches_any_node_when_its_owner_is_gone(bench: Bench) -> None:
    state = await bench.opens()
    await bench.decides(state, becomes={"phase": Phase.DONE, "due_at": None})
    await bench.dies("a")
    await bench.run(bench.ledger.leave, "letter", "00000001", Reopened("operator:olga"), AT)
    (letter,) = await bench.run(bench.ledger.letters, "b", AT)
    assert not letter.open
