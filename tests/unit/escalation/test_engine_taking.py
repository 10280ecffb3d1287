"""Who has the alarm, how others hear of it, and what happens when he lets it go: one rule, one test."""

import pytest

from config.plans import FrozenPlan, Step
from tests.unit.escalation.conversation import Conversation, emergency, plan, ring
from voice.escalation.commands import Cancel, Ring
from voice.escalation.events import (
    Acknowledged,
    Busy,
    Declined,
    Event,
    Failed,
    HungUp,
    LegLost,
    NoAnswer,
    Opened,
    OperatorJoined,
    OperatorLeft,
    PassedOn,
    Reopened,
    Resolved,
    Taken,
    Timer,
    VoicemailSuspected,
    WorkerSafe,
)
from voice.escalation.state import Change, Phase
from voice.incidents.lifecycle import State

KEY = "pressed the key asked for"


def guards(**more: object) -> FrozenPlan:
    return plan(ring("operators", "team:guards", **more), follow_up=900)


def in_turn() -> FrozenPlan:
    return plan(ring("contact:anna", "contact:bob", "contact:chris", order="sequence"), ring("contact:dora"))


def taken_by(contact: str, frozen: FrozenPlan | None = None) -> Conversation:
    """An alarm that a contact has taken."""
    talk = Conversation(frozen or guards()).opens()
    talk.tells(Taken(talk.leg(contact), KEY))
    talk.commands(), talk.take_notes()
    return talk


# -- taking --


def test_a_contact_who_takes_it_stops_every_other_phone_and_they_hear_by_whom() -> None:
    talk = Conversation(guards()).opens()
    bob, others = talk.leg("bob"), [talk.leg("anna"), talk.leg("chris")]
    talk.commands()
    talk.tells(Taken(bob, KEY))
    assert talk.cancelled() == [(leg, "contact:bob") for leg in others]
    assert talk.changes == [Change(State.ACKNOWLEDGED, "contact:bob", {"proof": KEY})]
    assert talk.taken
    assert not talk.state.rings_operators
    assert talk.state.due_at is None
    assert [(taker.actor, taker.proof) for taker in talk.state.takers] == [("contact:bob", KEY)]


def test_the_timeline_says_who_took_it_and_how_that_is_proven() -> None:
    talk = Conversation(guards()).opens()
    talk.take_notes()
    leg = talk.leg("bob")
    talk.tells(Taken(leg, KEY))
    (note,) = talk.take_notes()
    assert (note.kind, note.actor) == ("taken", "contact:bob")
    assert note.detail == {"contact": "bob", "leg": leg, "proof": KEY}


def test_a_second_contact_who_presses_the_key_is_told_who_was_first() -> None:
    talk = Conversation(guards()).opens()
    bob, chris = talk.leg("bob"), talk.leg("chris")
    talk.tells(Taken(bob, KEY))
    talk.commands()
    talk.tells(Taken(chris, KEY))
    assert talk.commands() == [Cancel(chris, "contact:bob")]
    assert [taker.actor for taker in talk.state.takers] == ["contact:bob"]


def test_taking_it_twice_on_one_leg_is_taking_it_once() -> None:
    talk = Conversation(guards()).opens()
    leg = talk.leg("bob")
    talk.tells(Taken(leg, KEY))
    before = talk.state
    talk.tells(Taken(leg, KEY))
    assert talk.state == before


def test_while_somebody_has_it_no_deadline_rings_anybody() -> None:
    talk = taken_by("bob")
    talk.passes(86_400)
    assert talk.rung() == []


# -- letting it go --


def test_who_passes_it_on_in_a_sequence_has_the_next_one_rung() -> None:
    talk = Conversation(in_turn()).opens()
    talk.tells(Declined(talk.leg("anna")))
    talk.tells(Taken(talk.leg("bob"), KEY))
    talk.commands()
    talk.tells(PassedOn(talk.leg("bob")))
    assert talk.rung() == ["chris"]
    assert talk.changes[-1] == Change(State.OPEN, "contact:bob", {"why": "passed on"})


def test_who_passes_it_on_is_not_rung_again_in_this_lap_but_in_the_next() -> None:
    talk = taken_by("bob", plan(ring("team:guards", rounds=2), lap_pause=5))
    talk.tells(PassedOn(talk.leg("bob")))
    assert talk.rung() == ["anna", "chris"]
    for _ in range(2):
        talk.tells(Declined(talk.leg("anna")), Declined(talk.leg("chris")))
    assert talk.rung() == ["chris", "anna"]  # another one first
    talk.passes(5)
    assert talk.rung() == ["bob", "chris", "anna"]


def test_when_the_last_of_a_sequence_passes_it_on_the_next_step_begins() -> None:
    talk = Conversation(plan(ring("contact:bob", order="sequence"), ring("contact:chris"))).opens()
    talk.tells(Taken(talk.leg("bob"), KEY))
    talk.commands()
    talk.tells(PassedOn(talk.leg("bob")))
    assert talk.rung() == ["chris"]


def test_a_taker_whose_leg_is_lost_is_rung_again_first_and_then_who_comes_after_him() -> None:
    talk = taken_by("anna", in_turn())
    talk.tells(LegLost(talk.leg("anna")))
    assert talk.rung() == ["anna"]
    assert talk.changes[-1].to is State.OPEN
    talk.tells(Declined(talk.leg("anna")))
    assert talk.rung() == ["bob"]


def test_a_taker_whose_leg_is_lost_has_everybody_rung_again_who_was_rung_with_him() -> None:
    talk = taken_by("bob")
    talk.tells(LegLost(talk.leg("bob")))
    assert talk.rung() == ["anna", "bob", "chris"]
    assert talk.state.rings_operators


@pytest.mark.parametrize("event", [Busy, Declined, Failed, NoAnswer, VoicemailSuspected])
def test_however_a_takers_leg_ends_but_by_his_own_act_it_was_lost(event: type[Event]) -> None:
    talk = taken_by("bob")
    talk.tells(event(talk.leg("bob")))  # type: ignore[call-arg]
    assert talk.state.phase is Phase.ESCALATING
    assert talk.rung() == ["anna", "bob", "chris"]


def test_a_taker_who_hangs_up_keeps_it_for_the_time_in_which_he_is_to_close_it() -> None:
    talk = taken_by("bob")
    talk.tells(HungUp(talk.leg("bob")))
    assert talk.taken
    assert talk.wait == 900
    talk.passes(899)
    assert talk.rung() == []
    assert talk.lifecycle == [State.ACKNOWLEDGED]


def test_an_alarm_that_its_taker_forgot_starts_again_from_the_top() -> None:
    talk = Conversation(plan(ring("contact:chris"), ring("contact:bob"), follow_up=900)).opens()
    talk.tells(Busy(talk.leg("chris")))
    talk.tells(Taken(talk.leg("bob"), KEY))
    talk.tells(HungUp(talk.leg("bob")))
    talk.commands(), talk.take_notes()
    talk.passes(900)
    assert talk.rung() == ["chris"]
    assert talk.changes[-1] == Change(State.OPEN, "system", {"why": "nobody has closed it"})
    assert "follow_up_missed" in talk.notes()


# -- operators --


def test_an_operator_who_joins_stops_every_phone_and_writes_the_lifecycle_himself() -> None:
    talk = Conversation(guards()).opens()
    legs = [leg.id for leg in talk.state.legs]
    talk.commands()
    talk.tells(OperatorJoined("olga", "op1"))
    assert talk.cancelled() == [(leg, "operator:olga") for leg in legs]
    assert talk.changes == []
    assert talk.taken
    assert talk.state.due_at is None


def test_an_operator_who_joins_leaves_the_taker_on_the_line() -> None:
    talk = taken_by("bob")
    talk.tells(OperatorJoined("olga", "op1"))
    assert talk.commands() == []
    assert [leg.contact for leg in talk.state.legs] == ["bob"]


def test_a_contact_who_presses_the_key_after_an_operator_joined_hears_of_him() -> None:
    talk = Conversation(guards()).opens()
    bob = talk.leg("bob")
    talk.tells(OperatorJoined("olga", "op1"))
    talk.commands()
    talk.tells(Taken(bob, KEY))
    assert talk.commands() == [Cancel(bob, "operator:olga")]


@pytest.mark.parametrize("gave_back", [True, False])
def test_when_the_last_operator_leaves_the_step_begins_anew(gave_back: bool) -> None:
    talk = Conversation(plan(ring("operators", seconds=20), ring("contact:bob", "contact:chris"))).opens()
    talk.passes(20)
    talk.tells(OperatorJoined("olga", "op1"))
    talk.commands()
    talk.tells(OperatorLeft("olga", gave_back, "op1"))
    assert talk.rung() == ["bob", "chris"]
    assert talk.state.rings_operators
    assert talk.changes == []


def test_when_one_of_two_operators_leaves_it_stays_taken() -> None:
    talk = Conversation(guards()).opens()
    talk.tells(OperatorJoined("olga", "op1"), OperatorJoined("otto", "op2"), OperatorLeft("olga", leg="op1"))
    assert talk.taken
    assert talk.state.operators == ("otto",)


def test_when_the_operator_leaves_and_a_contact_has_it_it_stays_taken() -> None:
    talk = taken_by("bob")
    talk.tells(OperatorJoined("olga", "op1"), OperatorLeft("olga", leg="op1"))
    assert talk.taken
    assert talk.rung() == []


@pytest.mark.parametrize("event", [PassedOn, LegLost])
def test_when_the_contact_lets_it_go_and_an_operator_has_it_it_stays_taken(event: type[PassedOn | LegLost]) -> None:
    talk = taken_by("bob")
    talk.tells(OperatorJoined("olga", "op1"), event(talk.leg("bob")))
    assert talk.taken
    assert talk.lifecycle == [State.ACKNOWLEDGED], "the operator's session writes the lifecycle"
    talk.tells(OperatorLeft("olga", leg="op1"))
    assert talk.state.phase is Phase.ESCALATING


def test_an_operator_who_left_is_not_brought_back_by_an_event_that_comes_late_or_twice() -> None:
    talk = Conversation(guards()).opens()
    joined, left = OperatorJoined("olga", "op1"), OperatorLeft("olga", leg="op1")
    talk.tells(left, joined)
    assert not talk.taken
    talk.tells(OperatorJoined("olga", "op2"), OperatorLeft("olga"), OperatorJoined("olga", "op2"))
    assert not talk.taken


def test_the_leaving_of_an_operator_who_was_never_there_changes_nothing() -> None:
    talk = taken_by("bob")
    talk.tells(OperatorLeft("olga"))
    assert talk.taken


def test_an_operator_who_leaves_after_the_plan_had_ended_has_it_start_from_the_top() -> None:
    frozen = plan(ring("contact:bob"), ring("operators", seconds=5), at_end="stop", agreement="contract 7")
    talk = Conversation(frozen).opens()
    talk.tells(Busy(talk.leg("bob")))
    talk.passes(5)
    assert talk.state.exhausted
    talk.tells(OperatorJoined("olga", "op1"))
    talk.commands()
    talk.tells(OperatorLeft("olga", leg="op1"))
    assert talk.rung() == ["bob"]
    assert not talk.state.exhausted


# -- links --


def messages(link: str) -> FrozenPlan:
    return plan(Step(message=("contact:bob",), link=link), ring("contact:chris"), follow_up=900)  # type: ignore[arg-type]


def test_a_link_that_the_plan_counts_as_proof_takes_the_alarm_for_a_time() -> None:
    talk = Conversation(messages("proof")).opens()
    chris = talk.leg("chris")
    talk.commands()
    talk.tells(Acknowledged("bob", counts=True))
    assert talk.cancelled() == [(chris, "contact:bob")]
    assert talk.changes == [Change(State.ACKNOWLEDGED, "contact:bob", {"proof": "followed the acknowledgement link"})]
    assert talk.wait == 900
    talk.passes(900)
    assert not talk.taken


def test_a_link_for_information_is_noted_once_and_takes_nothing() -> None:
    talk = Conversation(messages("information")).opens()
    talk.tells(Acknowledged("bob"), Acknowledged("bob"))
    assert not talk.taken
    assert talk.notes().count("acknowledged_by_link") == 1


def test_a_link_for_information_does_not_use_up_the_one_that_proves() -> None:
    talk = Conversation(messages("proof")).opens()
    talk.tells(Acknowledged("bob"), Acknowledged("bob", counts=True))
    assert talk.taken


def test_a_link_that_was_never_sent_proves_nothing() -> None:
    talk = Conversation(messages("proof")).opens()
    talk.tells(Acknowledged("anna", counts=True))
    assert not talk.taken


def test_a_link_proves_once() -> None:
    talk = Conversation(
        plan(Step(message=("contact:bob",), link="proof"), ring("contact:chris"), follow_up=300)
    ).opens()
    talk.tells(Acknowledged("bob", counts=True))
    talk.passes(300)
    assert talk.sent() == [("bob", "sms")]
    talk.tells(Acknowledged("bob", counts=True))
    assert not talk.taken


# -- the worker, and the end --


def test_a_worker_who_says_he_is_safe_is_noted_and_ends_nothing() -> None:
    talk = Conversation(guards()).opens()
    talk.take_notes()
    talk.tells(WorkerSafe("pin"))
    assert talk.notes() == ["worker_safe"]
    assert talk.state.phase is Phase.ESCALATING
    assert len(talk.state.ringing) == 3


def test_resolving_it_ends_every_leg_that_of_the_taker_too() -> None:
    talk = taken_by("bob")
    leg = talk.leg("bob")
    talk.tells(Resolved("contact:bob"))
    assert talk.commands() == [Cancel(leg)]
    assert talk.state.phase is Phase.DONE
    assert talk.state.due_at is None


def test_resolving_it_while_phones_ring_ends_them() -> None:
    talk = Conversation(guards()).opens()
    legs = [leg.id for leg in talk.state.legs]
    talk.commands()
    talk.tells(Resolved("operator:olga"))
    assert talk.cancelled() == [(leg, None) for leg in legs]
    assert not talk.state.rings_operators


EVERYTHING_LATE: list[Event] = [
    Opened(),
    Timer(),
    Taken("1.0", KEY),
    NoAnswer("1.0"),
    HungUp("1.0"),
    OperatorJoined("olga", "op1"),
    OperatorLeft("olga", leg="op1"),
    Acknowledged("bob", counts=True),
    WorkerSafe("pin"),
    Resolved("operator:olga"),
]


@pytest.mark.parametrize("event", EVERYTHING_LATE, ids=lambda event: type(event).__name__)
def test_what_comes_late_after_the_end_changes_nothing(event: Event) -> None:
    talk = Conversation(guards()).opens()
    talk.tells(Resolved("operator:olga"))
    before = talk.state
    assert talk.tells(event).commands == ()
    assert talk.state == before


def test_reopened_it_begins_with_the_first_step() -> None:
    talk = Conversation(plan(ring("contact:bob"), emergency(confirm="automatic", after=600))).opens()
    talk.tells(WorkerSafe("pin"), Resolved("operator:olga"))
    talk.passes(3600)
    talk.commands()
    talk.tells(Reopened("operator:olga"))
    assert [(c.contact, c.leg) for c in talk.commands() if isinstance(c, Ring)] == [("bob", "4.0")]
    talk.tells(Busy("4.0"))
    assert talk.wait == 600, "a new escalation: its automatic call has its whole time"


def test_an_open_incident_is_not_reopened() -> None:
    talk = taken_by("bob")
    before = talk.state
    talk.tells(Reopened("operator:olga"))
    assert talk.state == before


def test_an_operator_of_the_resolved_incident_is_not_on_the_reopened_one() -> None:
    talk = Conversation(guards()).opens()
    talk.tells(OperatorJoined("olga", "op1"), Resolved("operator:olga"), Reopened("operator:olga"))
    talk.tells(OperatorJoined("olga", "op1"))
    assert not talk.taken
