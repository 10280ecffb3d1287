"""What holds for the engine as a whole: it is deterministic, survives being written down, and no clock fools it."""

from dataclasses import replace
from datetime import timedelta

import pytest

from config.plans import Step
from tests.unit.escalation.conversation import Conversation, emergency, plan, ring
from voice.escalation import steps
from voice.escalation.engine import decide
from voice.escalation.events import Busy, EmergencyAsked, HungUp, Opened, OperatorJoined, Taken, Timer
from voice.escalation.state import Decision, Phase, State
from voice.incidents.lifecycle import State as Lifecycle

HOUR = timedelta(hours=1)


def test_the_same_event_at_the_same_time_gives_the_same_decision() -> None:
    talk = Conversation(plan(ring("team:guards")))
    assert decide(talk.frozen, talk.state, Opened(), talk.now) == decide(talk.frozen, talk.state, Opened(), talk.now)


def test_a_state_is_the_same_after_it_was_written_down() -> None:
    talk = Conversation(plan(ring("team:guards"), emergency())).opens()
    talk.tells(EmergencyAsked("operator:olga", "r1"), OperatorJoined("olga", "op1"))
    assert State.from_json(talk.state.to_json()) == talk.state


def test_a_state_of_an_older_version_is_read() -> None:
    """What a newer version adds has a default; what it leaves out is ignored."""
    talk = Conversation(plan(ring("contact:bob"))).opens()
    text = talk.state.to_json().replace('"departed":[],', '"gone":[1],')
    assert State.from_json(text) == talk.state
    with_memo = talk.state.to_json().replace('"located_at":null', '"located_at":null,"memo":null')
    assert "memo" in with_memo
    assert State.from_json(with_memo) == talk.state, "as facts were before memos were found by their worker"


def test_decisions_are_counted_and_name_what_they_command() -> None:
    talk = Conversation(plan(ring("contact:bob"), ring("contact:chris"))).opens()
    assert talk.state.decisions == 1
    talk.tells(Busy("1.0"))
    assert talk.state.decisions == 2
    assert talk.leg("chris") == "2.0"


def test_an_event_that_changes_nothing_is_no_decision() -> None:
    talk = Conversation(plan(ring("contact:bob"))).opens()
    decision = decide(talk.frozen, talk.state, Busy("7.0"), talk.now)
    assert decision == Decision(talk.state)
    assert decision.state is talk.state


# -- clocks --


def test_a_clock_that_is_set_back_pushes_no_deadline_away() -> None:
    talk = Conversation(plan(Step(wait=60), ring("contact:bob"))).opens()
    talk.now -= HOUR
    talk.tells(Timer())
    assert talk.wait == 60
    talk.passes(60)
    assert talk.rung() == ["bob"]


def test_a_clock_that_is_set_back_again_and_again_makes_no_wait_longer() -> None:
    talk = Conversation(plan(Step(wait=60), ring("contact:bob"))).opens()
    for _ in range(10):
        talk.now -= HOUR
        talk.tells(Timer())
        assert talk.wait == 60


def test_whoever_takes_an_incident_up_on_a_clock_that_is_behind_waits_no_longer_than_was_left() -> None:
    talk = Conversation(plan(Step(wait=60), ring("contact:bob"))).opens()
    talk.now -= HOUR
    talk.crashes()
    assert talk.wait == 60
    talk.passes(60)
    assert talk.rung() == ["bob"]


def test_every_deadline_moves_with_the_clock() -> None:
    talk = Conversation(plan(ring("contact:bob"), emergency(confirm="automatic", after=600), follow_up=900)).opens()
    talk.tells(EmergencyAsked("operator:olga"))
    talk.now -= HOUR
    talk.tells(Timer())
    assert talk.wait == 50
    assert talk.state.emergency.due_at == talk.now + timedelta(seconds=180)
    talk.tells(Taken(talk.leg("bob"), "key"))
    talk.tells(HungUp(talk.leg("bob")))
    talk.now -= HOUR
    talk.tells(Timer())
    assert talk.state.takers[0].until == talk.now + timedelta(seconds=900)


def test_a_clock_that_is_set_back_does_not_delay_the_automatic_call() -> None:
    talk = Conversation(plan(ring("contact:bob"), emergency(confirm="automatic", after=600))).opens()
    talk.passes(10)
    talk.tells(Busy(talk.leg("bob")))
    talk.now -= HOUR
    talk.tells(Timer())
    assert talk.wait == 590


def test_a_clock_that_is_set_forward_lets_deadlines_come_early_at_worst() -> None:
    talk = Conversation(plan(Step(wait=60), ring("contact:bob"))).opens()
    talk.now += HOUR
    talk.tells(Timer())
    assert talk.rung() == ["bob"]


# -- the last rule --


@pytest.mark.parametrize(
    "broken",
    [
        {"phase": Phase.ESCALATING, "begun": True, "legs": (), "step_due": None, "due_at": None, "exhausted": True},
        {"phase": Phase.TAKEN, "legs": (), "step_due": None, "due_at": None},
    ],
    ids=["ended though the plan starts again", "taken by nobody"],
)
def test_a_state_that_would_wait_for_ever_begins_its_step_anew_and_says_so(broken: dict[str, object]) -> None:
    """No rule makes such a state; a fault in one might."""
    talk = Conversation(plan(ring("contact:bob"))).opens()
    talk.commands()
    talk.state = replace(talk.state, **broken)  # type: ignore[arg-type]
    talk.tells(Timer())
    assert "engine_fault" in talk.notes()
    talk.passes(1)
    assert talk.rung() == ["bob"]
    assert Lifecycle.ACKNOWLEDGED not in talk.lifecycle


def test_a_plan_that_came_to_no_rest_would_be_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    """No plan does; a fault in a rule might, and a node has other alarms."""
    monkeypatch.setattr(steps, "_next", lambda turn: turn.set(begun=False, step_due=turn.now))
    talk = Conversation(plan(ring("team:ghosts"))).opens()
    assert "engine_fault" in talk.notes()
    assert talk.wait == 1
