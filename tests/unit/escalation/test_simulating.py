"""Plans in virtual time, with telephones that exist only there."""

from datetime import timedelta
from typing import Any

from config.plans import FrozenPlan, Step
from tests.unit.escalation.conversation import OPENED, emergency, plan, ring
from voice.escalation.simulating import Behaviour, End, Story, simulate

LIMIT = timedelta(minutes=30)


def played(frozen: FrozenPlan, *, stops: bool = True, limit: timedelta = LIMIT, **people: Any) -> Story:
    return simulate(frozen, OPENED, Behaviour(**people), limit, stops=stops)


def told(story: Story) -> list[tuple[float, str, str]]:
    """After how many seconds, what, whom it is about."""
    return [
        ((moment.at - OPENED).total_seconds(), moment.note.kind, _about(moment.note.detail)) for moment in story.moments
    ]


def _about(detail: Any) -> str:
    listed = detail.get("rings") or detail.get("messages")
    return ", ".join(listed) if listed else str(detail.get("contact") or detail.get("route") or "")


def test_nobody_answers_and_everybody_is_rung_in_turn() -> None:
    story = played(plan(ring("operators", seconds=20), ring("contact:bob"), ring("contact:anna", seconds=40)))
    assert told(story) == [
        (0, "escalated", "operators"),
        (20, "escalated", "bob"),
        (50, "contact_leg_ended", "bob"),
        (50, "escalated", "anna"),
        (90, "contact_leg_ended", "anna"),
        (90, "contact_rung", "anna"),  # her second number
        (130, "contact_leg_ended", "anna"),
        (130, "lap_ended", ""),
    ]
    assert (story.end, story.ended_at - OPENED) == (End.LAP, timedelta(seconds=130))


def test_who_is_rung_one_after_the_other_is_told_one_after_the_other() -> None:
    story = played(plan(ring("contact:bob", "contact:chris", order="sequence")))
    assert told(story)[:4] == [
        (0, "escalated", "bob, chris"),
        (0, "contact_rung", "bob"),
        (30, "contact_leg_ended", "bob"),
        (30, "contact_rung", "chris"),
    ]


def test_a_busy_line_moves_the_plan_on_at_once() -> None:
    story = played(plan(ring("contact:bob"), ring("contact:chris")), busy=frozenset({"bob"}))
    assert told(story)[:3] == [
        (0, "escalated", "bob"),
        (2, "contact_leg_ended", "bob"),
        (2, "escalated", "chris"),
    ]
    assert story.moments[1].note.detail["outcome"] == "busy"


def test_whoever_takes_the_alarm_ends_it() -> None:
    story = played(plan(ring("contact:bob"), ring("contact:chris", "contact:bob")), taken_by="chris")
    assert told(story)[-1] == (52, "taken", "chris")
    assert story.end is End.TAKEN
    assert story.state.takers[0].actor == "contact:chris"


def test_whoever_is_rung_too_short_cannot_take_it() -> None:
    assert played(plan(ring("contact:bob", seconds=5)), taken_by="bob").end is End.LAP


def test_messages_are_told_and_not_sent() -> None:
    story = played(plan(Step(message=("contact:anna", "contact:bob"), by=("sms", "email")), ring("contact:bob")))
    assert told(story)[:4] == [
        (0, "escalated", "anna, bob"),
        (0, "would_send", "anna"),
        (0, "would_send", "anna"),
        (0, "would_send", "bob"),
    ]


def test_an_emergency_call_is_told_and_the_simulation_ends_there() -> None:
    story = played(plan(ring("contact:bob"), emergency("police", confirm="automatic", after=120)))
    assert told(story)[-2:] == [(120, "escalated", ""), (120, "would_call", "police")]
    assert story.end is End.EMERGENCY


def test_a_simulation_of_a_certain_length_goes_on_behind_everything() -> None:
    frozen = plan(ring("contact:bob"), emergency("police", confirm="automatic", after=0), lap_pause=10)
    story = played(frozen, stops=False, limit=timedelta(minutes=5))
    kinds = [kind for _, kind, _ in told(story)]
    assert kinds.count("would_call") == 3
    assert "emergency_failed" in kinds
    assert (story.end, story.ended_at - OPENED) == (End.TIME, timedelta(minutes=5))
    assert told(story)[-1][0] <= 300


def test_a_plan_that_ends_without_a_human_ends_the_simulation() -> None:
    story = played(plan(ring("contact:bob"), at_end="stop", agreement="contract 9"))
    assert (told(story)[-1][1], story.end) == ("ended_without_human", End.WITHOUT_HUMAN)


def test_a_plan_whose_operators_are_not_there_raises_a_technical_alarm() -> None:
    frozen = plan(Step(message=("contact:bob",)), ring("operators"))
    assert "would_raise" not in [kind for _, kind, _ in told(played(frozen))]
    frozen = plan(Step(message=("contact:bob",)), Step(wait=10))
    assert "would_raise" in [kind for _, kind, _ in told(played(frozen, operators=False))]


def test_who_is_on_duty_is_looked_up_at_the_time_of_the_simulation() -> None:
    frozen = plan(ring("team:night"))
    by_day = simulate(frozen, OPENED, Behaviour(), LIMIT)
    by_night = simulate(frozen, OPENED + timedelta(hours=12), Behaviour(), LIMIT)
    assert [story.moments[0].note.detail["rings"] for story in (by_day, by_night)] == [["anna"], ["bob"]]


def test_the_same_simulation_tells_the_same() -> None:
    frozen = plan(ring("operators"), ring("team:guards", order="sequence", rounds=2), emergency("police"))
    assert played(frozen) == played(frozen)
