"""The call to the emergency services: when it is placed, and that it is neither lost nor doubled."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from config.plans import FrozenPlan
from tests.unit.escalation.conversation import Conversation, emergency, plan, ring
from voice.escalation.commands import CallEmergency, Cancel
from voice.escalation.events import (
    Acknowledged,
    Busy,
    EmergencyAnswered,
    EmergencyAsked,
    EmergencyConfirmed,
    EmergencyFailed,
    EmergencyIndeterminate,
    Failed,
    HungUp,
    LegLost,
    OperatorJoined,
    OperatorLeft,
    PassedOn,
    Resolved,
    Taken,
    WorkerSafe,
)
from voice.escalation.state import Change, EmergencyStatus, Phase
from voice.incidents.lifecycle import State

KEY = "pressed the key asked for"
OLGA = "operator:olga"


def confirmed_by_operator(**more: object) -> FrozenPlan:
    return plan(emergency("police", seconds=60, **more), ring("contact:bob"))


def automatic(**more: object) -> FrozenPlan:
    return plan(ring("contact:bob"), emergency(confirm="automatic", after=600, **more), lap_pause=5)


def placed(frozen: FrozenPlan | None = None) -> Conversation:
    """A call that a person asked for is under way, as `2.0`."""
    talk = Conversation(frozen or confirmed_by_operator()).opens()
    talk.tells(EmergencyAsked(OLGA))
    talk.commands(), talk.take_notes()
    return talk


def by_itself(frozen: FrozenPlan | None = None) -> Conversation:
    """An automatic call is under way."""
    talk = Conversation(frozen or automatic()).opens()
    talk.tells(Busy(talk.leg("bob")))
    talk.passes(600)
    assert [c.asked_by for c in talk.emergency_calls()] == ["plan"]
    return talk


def call(talk: Conversation) -> str:
    return talk.state.emergency.call


def status(talk: Conversation) -> EmergencyStatus:
    return talk.state.emergency.status


# -- a person confirms it --


def test_a_step_that_a_person_confirms_waits_for_him_and_goes_on_without_him() -> None:
    talk = Conversation(confirmed_by_operator()).opens()
    assert talk.notes() == ["escalated", "emergency_awaits_confirmation"]
    assert status(talk) is EmergencyStatus.AWAITING
    talk.passes(59)
    assert talk.commands() == []
    talk.passes(1)
    assert talk.rung() == ["bob"]


def test_a_person_confirms_it_and_the_call_is_placed() -> None:
    talk = Conversation(confirmed_by_operator()).opens()
    talk.passes(30)
    talk.tells(EmergencyAsked(OLGA))
    assert talk.commands() == [CallEmergency("2.0", "police", OLGA)]
    assert status(talk) is EmergencyStatus.PLACING
    talk.passes(60)
    assert talk.commands() == [], "the step waits for the outcome, not for the confirmation"


@pytest.mark.parametrize("phase", ["ringing", "waiting for the next lap", "taken", "exhausted"])
def test_a_person_can_ask_for_it_at_any_time(phase: str) -> None:
    frozen = plan(ring("contact:bob"), emergency(seconds=5), at_end="stop", agreement="contract 7")
    if phase == "waiting for the next lap":
        frozen = plan(ring("contact:bob"), emergency(seconds=5))
    talk = Conversation(frozen).opens()
    if phase == "taken":
        talk.tells(Taken(talk.leg("bob"), KEY))
    elif phase != "ringing":
        talk.tells(Busy(talk.leg("bob")))
        talk.passes(5)
    talk.tells(EmergencyAsked("contact:bob"))
    assert [c.asked_by for c in talk.emergency_calls()] == ["contact:bob"]
    assert talk.state.due_at is not None, "its outcome is waited for"


def test_it_is_not_placed_for_an_incident_that_is_over() -> None:
    talk = Conversation(confirmed_by_operator()).opens()
    talk.tells(Resolved(OLGA), EmergencyAsked(OLGA))
    assert talk.emergency_calls() == []


def test_without_a_step_for_it_the_first_route_is_taken() -> None:
    talk = Conversation(plan(ring("contact:bob"))).opens()
    talk.tells(EmergencyAsked(OLGA))
    assert [c.route for c in talk.emergency_calls()] == ["police"]


def test_without_any_route_it_is_noted_as_impossible() -> None:
    frozen = plan(ring("contact:bob"))
    talk = Conversation(frozen.model_copy(update={"routes": {}})).opens()
    talk.tells(EmergencyAsked(OLGA))
    assert "emergency_impossible" in talk.notes()
    assert talk.emergency_calls() == []


def test_a_step_whose_route_is_not_known_is_stepped_over() -> None:
    talk = Conversation(plan(emergency("mars"), ring("contact:bob"))).opens()
    assert talk.rung() == ["bob"]
    assert "emergency_impossible" in talk.notes()


def test_asked_for_again_while_a_call_is_under_way_no_second_one_is_placed() -> None:
    talk = placed()
    talk.tells(EmergencyAsked(OLGA), EmergencyAnswered("2.0"), EmergencyAsked("contact:bob"))
    assert talk.commands() == []
    assert talk.notes().count("emergency_under_way") == 2


def test_one_request_that_is_delivered_twice_places_one_call() -> None:
    talk = Conversation(confirmed_by_operator()).opens()
    asked = EmergencyAsked(OLGA, request="r1")
    talk.tells(asked)
    talk.tells(EmergencyIndeterminate(call(talk)), asked)
    assert len(talk.emergency_calls()) == 1


def test_a_call_asked_for_elsewhere_does_not_stop_the_plan() -> None:
    talk = Conversation(plan(ring("contact:bob"), ring("contact:chris"), emergency())).opens()
    talk.tells(EmergencyAsked(OLGA))
    talk.commands()
    talk.tells(Busy(talk.leg("bob")))
    assert talk.rung() == ["chris"]


def test_the_step_waits_for_a_call_that_was_asked_for_before_it() -> None:
    talk = Conversation(plan(ring("contact:bob"), emergency(seconds=5), ring("contact:chris"))).opens()
    talk.tells(EmergencyAsked(OLGA), Busy(talk.leg("bob")))
    talk.commands()
    talk.passes(60)
    assert talk.commands() == []
    talk.tells(EmergencyFailed(call(talk), 503))
    assert talk.rung() == ["chris"]


# -- by itself --


def test_an_automatic_call_is_placed_when_nobody_had_the_alarm_for_the_agreed_time() -> None:
    talk = Conversation(automatic()).opens()
    talk.passes(10)
    talk.tells(Busy(talk.leg("bob")))
    talk.commands()
    talk.passes(589)
    assert talk.commands() == []
    talk.passes(1)
    assert talk.commands() == [CallEmergency("3.0", "112", "plan")]


def test_an_automatic_call_whose_time_has_come_is_placed_at_once() -> None:
    talk = Conversation(plan(ring("operators", seconds=600), emergency(confirm="automatic", after=60))).opens()
    talk.passes(600)
    assert len(talk.emergency_calls()) == 1


@pytest.mark.parametrize(
    "judged",
    [
        [WorkerSafe("pin")],
        [OperatorJoined("olga", "op1"), OperatorLeft("olga", gave_back=True, leg="op1")],
        [Taken("1.0", KEY), PassedOn("1.0")],
    ],
    ids=["the worker says he is safe", "an operator gave it back", "a contact passed it on"],
)
def test_once_a_human_has_judged_it_only_a_person_decides(judged: Sequence[WorkerSafe]) -> None:
    talk = Conversation(automatic()).opens()
    talk.tells(*judged)
    if talk.state.ringing:
        talk.tells(Busy(talk.leg("bob")))
    talk.passes(3600)
    assert talk.emergency_calls() == []
    assert "emergency_awaits_confirmation" in talk.notes()


def test_a_worker_who_is_safe_ends_the_wait_for_the_automatic_call() -> None:
    talk = Conversation(automatic(seconds=60)).opens()
    talk.tells(Busy(talk.leg("bob")))
    assert talk.wait == 600
    talk.tells(WorkerSafe("pin"))
    assert talk.wait == 60
    assert "emergency_awaits_confirmation" in talk.notes()


def test_a_worker_who_is_safe_without_proof_changes_nothing() -> None:
    talk = Conversation(automatic()).opens()
    talk.tells(Busy(talk.leg("bob")), WorkerSafe(""))
    talk.passes(600)
    assert len(talk.emergency_calls()) == 1


def test_a_human_whose_leg_died_has_judged_nothing_and_the_time_without_a_human_begins_again() -> None:
    talk = Conversation(automatic()).opens()
    talk.passes(30)
    talk.tells(OperatorJoined("olga", "op1"))
    talk.passes(300)
    talk.tells(OperatorLeft("olga", leg="op1"))
    talk.tells(Busy(talk.leg("bob")))
    talk.passes(599)
    assert talk.emergency_calls() == []
    talk.passes(1)
    assert len(talk.emergency_calls()) == 1


def test_nothing_is_called_by_itself_while_a_human_has_it() -> None:
    talk = Conversation(automatic()).opens()
    talk.tells(Busy(talk.leg("bob")), OperatorJoined("olga", "op1"))
    talk.passes(3600)
    assert talk.emergency_calls() == []


# -- outcomes --


def test_a_control_room_that_confirms_has_the_alarm() -> None:
    talk = by_itself()
    talk.tells(EmergencyAnswered(call(talk)), EmergencyConfirmed(call(talk), KEY))
    assert talk.taken
    assert [taker.actor for taker in talk.state.takers] == ["emergency:112"]
    assert talk.changes == [Change(State.ACKNOWLEDGED, "emergency:112", {"proof": KEY})]
    assert {"emergency_confirmed", "escalated"} <= set(talk.notes())


def test_a_control_room_that_confirms_while_an_operator_has_it_changes_no_lifecycle() -> None:
    talk = placed()
    talk.tells(OperatorJoined("olga", "op1"), EmergencyConfirmed(call(talk), KEY))
    assert talk.changes == []
    talk.tells(OperatorLeft("olga", leg="op1"))
    assert talk.taken, "the control room has it"


def test_confirmed_twice_is_confirmed_once() -> None:
    talk = placed()
    talk.tells(EmergencyConfirmed("2.0", KEY))
    before = talk.state
    talk.tells(EmergencyConfirmed("2.0", KEY))
    assert talk.state == before


def test_an_incident_that_nobody_closes_after_the_control_room_had_it_rings_again() -> None:
    talk = placed()
    talk.tells(EmergencyConfirmed("2.0", KEY))
    talk.passes(900)
    assert not talk.taken
    assert talk.changes[-1].to is State.OPEN
    talk.tells(EmergencyAsked(OLGA))
    assert len(talk.emergency_calls()) == 1, "and it can be called again"


@pytest.mark.parametrize("end", [HungUp, LegLost, EmergencyIndeterminate])
def test_after_a_confirmed_call_is_over_a_person_may_ask_for_another(
    end: type[HungUp | LegLost | EmergencyIndeterminate],
) -> None:
    talk = placed()
    talk.tells(EmergencyConfirmed("2.0", KEY), EmergencyAsked(OLGA))
    assert talk.emergency_calls() == []
    talk.tells(end("2.0"), EmergencyAsked(OLGA))
    assert len(talk.emergency_calls()) == 1
    assert talk.taken


def test_operators_are_rung_when_the_line_to_the_control_room_that_has_it_is_lost() -> None:
    """It has the alarm still, and is not called again; a person has to look."""
    talk = by_itself()
    talk.tells(EmergencyConfirmed(call(talk), KEY))
    assert not talk.state.rings_operators
    talk.commands(), talk.notes()
    talk.tells(LegLost(talk.state.emergency.call))
    assert talk.taken
    assert talk.state.rings_operators
    assert talk.notes() == ["emergency_call_ended", "emergency_line_lost"]
    talk.tells(OperatorJoined("olga", "op1"))
    assert not talk.state.rings_operators
    talk.tells(OperatorLeft("olga", leg="op1"))
    assert talk.taken
    assert not talk.state.rings_operators, "she has looked"
    talk.passes(900)
    assert not talk.taken, "and nobody has closed it"
    talk.passes(3600)
    assert talk.emergency_calls() == []


def test_operators_are_not_rung_when_the_control_room_hangs_up() -> None:
    talk = by_itself()
    talk.tells(EmergencyConfirmed(call(talk), KEY), HungUp(talk.state.emergency.call))
    assert talk.taken
    assert not talk.state.rings_operators


@pytest.mark.parametrize("who", [OperatorJoined("olga", "op1"), Acknowledged("anna", counts=True)])
def test_operators_are_not_rung_for_a_lost_line_while_somebody_else_has_it(
    who: OperatorJoined | Acknowledged,
) -> None:
    talk = by_itself()
    talk.state = replace(talk.state, links=("anna",))
    talk.tells(who, EmergencyConfirmed(call(talk), KEY), LegLost(talk.state.emergency.call))
    assert talk.taken
    assert not talk.state.rings_operators


def test_when_nobody_closes_it_after_a_lost_line_the_plan_begins_again() -> None:
    talk = by_itself()
    talk.tells(EmergencyConfirmed(call(talk), KEY), LegLost(talk.state.emergency.call))
    talk.passes(900)
    assert not talk.taken
    assert not talk.state.unwatched


def test_a_call_that_certainly_failed_lets_the_plan_go_on_and_is_placed_again_in_the_next_lap() -> None:
    talk = by_itself()
    talk.tells(EmergencyFailed(call(talk), 503, "no trunk"))
    assert status(talk) is EmergencyStatus.FAILED
    assert talk.wait == 5
    talk.passes(5)
    talk.tells(Busy(talk.leg("bob")))
    assert len(talk.emergency_calls()) == 1


def test_a_call_that_was_answered_did_not_certainly_fail() -> None:
    talk = placed()
    talk.tells(EmergencyAnswered("2.0"), EmergencyFailed("2.0", 500))
    assert status(talk) is EmergencyStatus.INDETERMINATE


def test_it_is_told_to_people_when_it_is_not_known_whether_anybody_was_reached() -> None:
    talk = placed()
    talk.tells(EmergencyIndeterminate("2.0", "the process died"))
    assert status(talk) is EmergencyStatus.INDETERMINATE
    notes = {note.kind: note.detail for note in talk.take_notes()}
    assert notes["emergency_indeterminate"] == {"call": "2.0", "why": "the process died"}
    assert talk.rung() == ["bob"], "the plan goes on"


@pytest.mark.parametrize("proven", [False, True])
def test_a_plan_of_nothing_but_that_call_is_no_technical_fault_once_somebody_picked_up(proven: bool) -> None:
    """The plan asks a person, and rings none: operators are rung instead."""
    talk = Conversation(plan(emergency(confirm="automatic", after=0, seconds=60), lap_pause=5)).opens()
    talk.tells(EmergencyAnswered(call(talk)))
    talk.tells(*([EmergencyConfirmed(call(talk), KEY)] if proven else []), HungUp(call(talk)))
    talk.tells(EmergencyIndeterminate(call(talk), "nobody pressed a key"))
    talk.passes(900 if proven else 0)
    assert not talk.taken
    assert talk.state.rings_operators is not proven, "at once where nobody may have it"
    talk.commands()
    talk.passes(70)
    assert talk.state.rings_operators
    talk.passes(600)
    assert not talk.commands(), "no call, no technical alarm"
    assert talk.notes().count("operators_asked") == 1


def test_a_plan_of_nothing_but_a_call_that_nobody_picks_up_is_a_technical_fault() -> None:
    talk = Conversation(plan(emergency(confirm="automatic", after=0, seconds=60), lap_pause=5)).opens()
    talk.tells(EmergencyFailed(call(talk), 503, "no trunk"))
    assert talk.technical() == 1


def test_contacts_whose_telephones_are_dead_are_a_technical_fault_whoever_picked_up_at_the_control_room() -> None:
    talk = by_itself()
    talk.tells(EmergencyAnswered(call(talk)), EmergencyIndeterminate(call(talk), "nobody pressed a key"))
    talk.passes(5)
    talk.tells(Failed(talk.leg("bob"), 503))
    talk.passes(120)
    assert talk.technical() == 1


def test_an_indeterminate_call_is_never_repeated_without_being_asked_for() -> None:
    talk = by_itself()
    talk.tells(EmergencyIndeterminate(call(talk)))
    for _ in range(50):
        talk.passes(120)
    assert talk.emergency_calls() == []
    talk.tells(EmergencyAsked(OLGA))
    assert len(talk.emergency_calls()) == 1


def test_whoever_is_asked_about_an_indeterminate_call_is_rung_though_the_plan_rings_no_operators() -> None:
    talk = by_itself()
    assert not talk.state.rings_operators
    talk.tells(EmergencyIndeterminate(call(talk)))
    assert talk.state.rings_operators
    assert talk.notes().count("operators_asked") == 1


def test_a_call_placed_by_a_person_after_an_indeterminate_one_cancels_that_first() -> None:
    talk = placed()
    talk.tells(EmergencyIndeterminate("2.0"))
    talk.commands()
    talk.tells(EmergencyAsked(OLGA))
    assert talk.commands() == [Cancel("2.0"), CallEmergency("4.1", "police", OLGA)]


def test_after_an_indeterminate_call_a_certain_failure_does_not_make_it_automatic_again() -> None:
    talk = by_itself()
    talk.tells(EmergencyIndeterminate(call(talk)), EmergencyAsked(OLGA), EmergencyFailed("5.1"))
    talk.commands()
    for _ in range(50):
        talk.passes(120)
    assert talk.emergency_calls() == []


def test_the_plans_own_rule_calls_again_as_often_as_it_says() -> None:
    talk = by_itself(automatic(indeterminate="call again", again_after=120, attempts=3))
    times = []
    for _ in range(5):
        talk.tells(EmergencyIndeterminate(call(talk)))
        talk.passes(119)
        assert talk.emergency_calls() == []
        talk.passes(1)
        times.append(len(talk.emergency_calls()))
    assert times == [1, 1, 0, 0, 0]


def test_a_certain_failure_between_does_not_end_calling_again() -> None:
    talk = by_itself(automatic(indeterminate="call again", again_after=120, attempts=2))
    talk.tells(EmergencyIndeterminate(call(talk)))
    talk.passes(120)
    talk.tells(EmergencyFailed(call(talk), 503))
    talk.commands()
    talk.passes(120)
    assert len(talk.emergency_calls()) == 1


def test_the_plan_does_not_call_again_what_it_called_by_itself_once_a_human_has_it() -> None:
    talk = by_itself(automatic(indeterminate="call again", again_after=120))
    talk.tells(EmergencyIndeterminate(call(talk)), OperatorJoined("olga", "op1"))
    talk.take_notes()
    talk.passes(600)
    assert talk.emergency_calls() == []
    assert talk.notes() == ["emergency_awaits_confirmation"]


def test_what_a_person_asked_for_is_called_again_by_the_plans_rule_whoever_has_it() -> None:
    talk = placed(confirmed_by_operator(indeterminate="call again", again_after=120))
    talk.tells(OperatorJoined("olga", "op1"), EmergencyIndeterminate("2.0"))
    talk.passes(120)
    assert [c.asked_by for c in talk.emergency_calls()] == [OLGA]


def test_a_call_whose_shell_never_reports_counts_as_indeterminate() -> None:
    talk = placed()
    talk.passes(179)
    assert status(talk) is EmergencyStatus.PLACING
    talk.passes(1)
    assert status(talk) is EmergencyStatus.INDETERMINATE


def test_a_call_that_was_answered_has_time_for_the_briefing() -> None:
    talk = placed()
    talk.passes(170)
    talk.tells(EmergencyAnswered("2.0"))
    talk.passes(599)
    assert status(talk) is EmergencyStatus.ANSWERED
    talk.passes(1)
    assert status(talk) is EmergencyStatus.INDETERMINATE


def test_a_confirmation_that_comes_late_counts_and_ends_the_call_that_followed() -> None:
    talk = placed()
    talk.passes(180)
    talk.tells(EmergencyAsked(OLGA))
    second = call(talk)
    talk.commands()
    talk.tells(EmergencyConfirmed("2.0", KEY))
    assert Cancel(second, "emergency:police") in talk.commands()
    assert talk.taken


def test_a_certain_failure_that_comes_late_makes_it_certain() -> None:
    talk = by_itself()
    talk.tells(EmergencyIndeterminate(call(talk)), EmergencyFailed(call(talk), 503))
    assert status(talk) is EmergencyStatus.FAILED
    talk.passes(5)
    talk.tells(Busy(talk.leg("bob")))
    assert len(talk.emergency_calls()) == 1


def test_what_is_said_of_an_unknown_call_changes_nothing() -> None:
    talk = placed()
    before = talk.state
    talk.tells(EmergencyAnswered("9.9"), EmergencyFailed("9.9"), EmergencyIndeterminate("9.9"))
    talk.tells(EmergencyConfirmed("9.9", KEY))
    assert talk.state == before


def test_a_contact_who_takes_the_alarm_does_not_end_the_call() -> None:
    talk = Conversation(plan(ring("contact:bob"), emergency())).opens()
    talk.tells(EmergencyAsked(OLGA))
    talk.commands()
    talk.tells(Taken(talk.leg("bob"), KEY))
    assert talk.commands() == []
    assert status(talk) is EmergencyStatus.PLACING


def test_resolving_the_incident_ends_the_call() -> None:
    talk = placed()
    talk.tells(Resolved(OLGA))
    assert talk.commands() == [Cancel("2.0")]
    assert talk.state.phase is Phase.DONE
    assert talk.state.due_at is None
