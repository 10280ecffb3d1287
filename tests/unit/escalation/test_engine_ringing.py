"""Whom a plan rings, in which order, and what comes next: one rule, one test."""

from datetime import timedelta

import pytest

from config.plans import OPERATORS_ONLY, FrozenPlan, Step
from tests.unit.escalation.conversation import CONTACTS, OPENED, Conversation, emergency, plan, ring
from voice.escalation.commands import Cancel, RaiseTechnical, Ring, Send
from voice.escalation.events import (
    Answered,
    Busy,
    Declined,
    Event,
    Failed,
    HungUp,
    LegLost,
    NoAnswer,
    Opened,
    OperatorRings,
    PassedOn,
    Rings,
    Timer,
    VoicemailSuspected,
)

STEP_ENDS = [
    lambda leg: Busy(leg),
    lambda leg: Failed(leg, 503, "no trunk"),
    lambda leg: NoAnswer(leg),
    lambda leg: NoAnswer(leg, answered=True),
    lambda leg: VoicemailSuspected(leg, "a beep"),
]


def fails(talk: Conversation, *contacts: str) -> None:
    """Every number of these contacts is busy."""
    for contact in contacts:
        for _ in CONTACTS[contact].numbers:
            talk.tells(Busy(talk.leg(contact)))


def test_an_alarm_begins_with_the_first_step_of_its_plan() -> None:
    talk = Conversation(plan(ring("contact:bob", seconds=45)))
    assert talk.state.due_at == OPENED
    talk.opens()
    assert talk.commands() == [Ring("1.0", "bob", "+31622222222", 45)]


def test_the_deadline_begins_it_if_nobody_tells_of_the_opening() -> None:
    talk = Conversation(plan(ring("contact:bob")))
    talk.tells(Timer())
    assert talk.rung() == ["bob"]


def test_being_told_twice_of_the_opening_begins_nothing_twice() -> None:
    talk = Conversation(plan(ring("contact:bob"))).opens()
    before = talk.state
    assert talk.tells(Opened()).state is not None
    assert talk.state == before
    assert talk.rung() == ["bob"]


def test_all_at_once_rings_the_first_number_of_everybody() -> None:
    talk = Conversation(plan(ring("team:guards"))).opens()
    assert talk.commands() == [
        Ring("1.0", "anna", "+31611111111", 30),
        Ring("1.1", "bob", "+31622222222", 30),
        Ring("1.2", "chris", "+31633333333", 30),
    ]


def test_in_sequence_one_person_is_rung_after_the_other() -> None:
    talk = Conversation(plan(ring("contact:bob", "contact:chris", order="sequence"))).opens()
    assert talk.rung() == ["bob"]
    talk.tells(NoAnswer(talk.leg("bob")))
    assert talk.rung() == ["chris"]


@pytest.mark.parametrize("end", STEP_ENDS)
def test_however_a_number_fails_the_next_one_of_the_person_is_tried_at_once(end: object) -> None:
    talk = Conversation(plan(ring("contact:anna", "contact:bob", order="sequence"))).opens()
    talk.commands()
    assert callable(end)
    talk.tells(end(talk.leg("anna")))
    assert talk.commands() == [Ring("2.0", "anna", "+31711111111", 30)]
    talk.tells(end(talk.leg("anna")))
    assert talk.rung() == ["bob"]


def test_who_declines_is_left_alone_on_his_other_numbers() -> None:
    talk = Conversation(plan(ring("contact:anna", "contact:bob", order="sequence"))).opens()
    talk.commands()
    talk.tells(Declined(talk.leg("anna")))
    assert talk.rung() == ["bob"]


def test_a_leg_that_was_lost_is_rung_once_more_and_then_passed_over() -> None:
    talk = Conversation(plan(ring("contact:bob", "contact:chris", order="sequence"))).opens()
    talk.tells(LegLost(talk.leg("bob")))
    assert talk.rung() == ["bob", "bob"]
    talk.tells(LegLost(talk.leg("bob")))
    assert talk.rung() == ["chris"]


def test_all_at_once_tries_the_next_number_of_one_while_others_still_ring() -> None:
    talk = Conversation(plan(ring("contact:anna", "contact:bob"))).opens()
    talk.commands()
    talk.tells(Busy(talk.leg("anna")))
    assert talk.commands() == [Ring("2.0", "anna", "+31711111111", 30)]
    assert {leg.contact for leg in talk.state.legs} == {"anna", "bob"}


def test_the_next_step_begins_at_once_when_everybody_has_failed() -> None:
    talk = Conversation(plan(ring("contact:anna", "contact:bob"), ring("contact:chris"))).opens()
    talk.commands()
    fails(talk, "bob", "anna")
    assert talk.rung() == ["anna", "chris"]


def test_rounds_repeat_the_step_with_a_pause_between() -> None:
    talk = Conversation(plan(ring("contact:bob", rounds=2, pause=40), ring("contact:chris"))).opens()
    fails(talk, "bob")
    assert talk.rung() == ["bob"]
    talk.passes(39)
    assert talk.rung() == []
    talk.passes(1)
    assert talk.rung() == ["bob"]
    fails(talk, "bob")
    assert talk.rung() == ["chris"]


def test_rounds_without_a_pause_follow_at_once() -> None:
    talk = Conversation(plan(ring("contact:bob", "contact:chris", rounds=3, order="sequence"))).opens()
    for _ in range(3):
        fails(talk, "bob", "chris")
    assert talk.rung() == ["bob", "chris"] * 3


def test_each_round_begins_with_another_person_for_the_trunks_may_have_too_few_lines() -> None:
    talk = Conversation(plan(ring("contact:bob", "contact:chris", rounds=2), lap_pause=5)).opens()
    for _ in range(2):
        fails(talk, "bob", "chris")
    assert talk.rung() == ["bob", "chris", "chris", "bob"]
    talk.passes(5)
    assert talk.rung() == ["chris", "bob"]


def test_a_step_for_operators_lasts_its_seconds_and_they_ring_on_in_later_steps() -> None:
    talk = Conversation(plan(ring("operators", seconds=20), ring("contact:bob"))).opens()
    assert talk.state.rings_operators
    talk.passes(19)
    assert talk.rung() == []
    talk.passes(1)
    assert talk.rung() == ["bob"]
    assert talk.state.rings_operators


def test_operators_are_not_rung_before_the_plan_comes_to_them() -> None:
    talk = Conversation(plan(ring("contact:bob"), ring("operators"))).opens()
    assert not talk.state.rings_operators
    fails(talk, "bob")
    assert talk.state.rings_operators


def test_operators_and_contacts_ring_together() -> None:
    talk = Conversation(plan(ring("operators", "contact:bob", seconds=20), ring("contact:chris"))).opens()
    assert talk.state.rings_operators
    fails(talk, "bob")
    assert talk.rung() == ["bob"]
    talk.passes(20)
    assert talk.rung() == ["chris"]


def test_operators_do_not_hold_up_the_sequence_of_contacts_beside_them() -> None:
    talk = Conversation(plan(ring("operators", "contact:bob", "contact:chris", order="sequence"))).opens()
    fails(talk, "bob")
    assert talk.rung() == ["bob", "chris"]


def test_a_wait_step_begins_nothing_until_it_is_over() -> None:
    talk = Conversation(plan(Step(wait=90), ring("contact:bob"))).opens()
    talk.passes(89)
    assert talk.rung() == []
    talk.passes(1)
    assert talk.rung() == ["bob"]


# -- who is meant --


def test_several_targets_keep_their_order_and_ring_nobody_twice() -> None:
    talk = Conversation(plan(ring("contact:chris", "team:guards", "contact:anna"))).opens()
    assert talk.rung() == ["chris", "anna", "bob"]


def test_a_rota_is_read_when_the_step_begins_not_when_the_incident_opened() -> None:
    evening = OPENED.replace(hour=18, minute=59)  # 19:59 in Amsterdam
    talk = Conversation(plan(Step(wait=120), ring("team:night")), opened_at=evening).opens()
    talk.passes(120)
    assert talk.rung() == ["bob"]


def test_a_team_without_anybody_on_duty_falls_back_to_its_members() -> None:
    talk = Conversation(plan(ring("team:night"))).opens()
    assert talk.rung() == ["anna"]


def test_who_is_outside_his_hours_is_not_rung() -> None:
    assert Conversation(plan(ring("contact:dora", "contact:bob"))).opens().rung() == ["bob"]


def test_who_is_outside_his_hours_is_rung_if_nobody_else_is_left() -> None:
    assert Conversation(plan(ring("contact:dora"))).opens().rung() == ["dora"]


def test_who_has_no_number_is_not_rung() -> None:
    assert Conversation(plan(ring("contact:mail", "contact:bob"))).opens().rung() == ["bob"]


def test_a_step_that_means_nobody_is_noted_and_stepped_over_at_once() -> None:
    talk = Conversation(plan(ring("team:ghosts"), ring("contact:bob"))).opens()
    assert talk.rung() == ["bob"]
    assert "nobody_on_duty" in talk.notes()


def test_a_plan_that_means_nobody_at_all_goes_round_with_pauses_and_raises_an_alarm() -> None:
    talk = Conversation(plan(ring("team:ghosts"), lap_pause=5)).opens()
    assert talk.wait == 5
    talk.passes(60)
    assert talk.technical() == 1
    assert talk.wait is not None


# -- legs that never report --


def test_a_leg_that_never_reports_is_cancelled_and_the_plan_goes_on() -> None:
    talk = Conversation(plan(ring("contact:bob", seconds=30), ring("contact:chris"))).opens()
    dead = talk.leg("bob")
    talk.commands()
    talk.passes(50)
    assert talk.commands() == [Cancel(dead), Ring("2.1", "chris", "+31633333333", 30)]


def test_who_answers_has_a_minute_to_take_it() -> None:
    talk = Conversation(plan(ring("contact:bob", seconds=30))).opens()
    talk.passes(29)
    talk.tells(Answered(talk.leg("bob")))
    assert talk.wait == 60
    talk.passes(20)
    talk.tells(Answered(talk.leg("bob")))
    assert talk.wait == 40, "told twice, the minute does not begin again"


@pytest.mark.parametrize("event", [Rings, Answered, Busy, Declined, NoAnswer, LegLost, HungUp, PassedOn])
def test_what_happens_on_an_unknown_leg_changes_nothing(event: type[Event]) -> None:
    talk = Conversation(plan(ring("contact:bob"))).opens()
    before = talk.state
    decision = talk.tells(event("99.0"))  # type: ignore[call-arg]
    assert talk.state == before
    assert decision.commands == decision.notes == ()


def test_a_timer_that_comes_too_early_changes_nothing() -> None:
    talk = Conversation(plan(ring("contact:bob"))).opens()
    before = talk.state
    talk.now += timedelta(seconds=10)
    assert talk.tells(Timer()).state == before


def test_the_end_of_a_leg_counts_once() -> None:
    talk = Conversation(plan(ring("contact:anna"), ring("contact:bob"))).opens()
    leg = talk.leg("anna")
    talk.tells(Busy(leg), Busy(leg), NoAnswer(leg))
    assert talk.rung() == ["anna", "anna"]


# -- the end of the plan --


def test_the_plan_starts_again_from_the_top_after_its_pause() -> None:
    talk = Conversation(plan(ring("contact:bob"), ring("contact:chris"), lap_pause=7)).opens()
    fails(talk, "bob", "chris")
    assert talk.rung() == ["bob", "chris"]
    assert talk.wait == 7
    talk.passes(7)
    assert talk.rung() == ["bob"]
    assert talk.state.lap == 1


def test_a_lap_in_which_no_phone_rang_raises_one_technical_alarm() -> None:
    talk = Conversation(plan(ring("operators", seconds=5), ring("contact:bob"))).opens()
    for _ in range(3):
        talk.passes(5)
        talk.tells(Failed(talk.leg("bob"), 503))
        talk.passes(5)
    assert [c for c in talk.commands() if isinstance(c, RaiseTechnical)] == [
        RaiseTechnical("3.0", "no phone of the plan rang")
    ]
    assert talk.notes().count("nobody_reached") == 1


@pytest.mark.parametrize("kind", ["medical", "technical"])
def test_an_alarm_for_which_no_phone_rang_rings_operators_whatever_its_plan_rings(kind: str) -> None:
    talk = Conversation(plan(ring("contact:bob")), kind=kind).opens()
    assert not talk.state.rings_operators
    fails(talk, "bob")
    assert talk.state.rings_operators


@pytest.mark.parametrize("sign", [Rings, Answered])
def test_a_phone_that_rings_shows_that_people_can_be_reached(sign: type[Rings | Answered]) -> None:
    talk = Conversation(plan(ring("contact:bob"))).opens()
    talk.tells(sign(talk.leg("bob")))
    fails(talk, "bob")
    assert talk.technical() == 0


def test_an_operators_phone_that_rings_shows_it_too() -> None:
    talk = Conversation(plan(ring("operators", "contact:bob", seconds=5))).opens()
    talk.tells(OperatorRings("olga"))
    fails(talk, "bob")
    talk.passes(5)
    assert talk.technical() == 0


def test_operators_who_are_busy_are_no_fault() -> None:
    talk = Conversation(FrozenPlan(plan=OPERATORS_ONLY)).opens()
    talk.passes(600)
    assert talk.technical() == 0
    assert talk.state.rings_operators


def test_a_technical_alarm_that_reaches_nobody_raises_no_further_one() -> None:
    talk = Conversation(plan(ring("contact:bob")), kind="technical").opens()
    fails(talk, "bob")
    assert talk.technical() == 0
    assert "nobody_reached" in talk.notes()


def test_a_plan_may_end_without_a_human_where_that_is_agreed_and_says_so() -> None:
    frozen = plan(ring("operators", "contact:bob", seconds=5), at_end="stop", agreement="contract 7")
    talk = Conversation(frozen).opens()
    fails(talk, "bob")
    talk.passes(5)
    assert "ended_without_human" in talk.notes()
    assert talk.state.exhausted
    assert talk.state.due_at is None
    assert talk.state.rings_operators, "operators who ring already ring on"


# -- messages --


def test_a_message_goes_to_each_person_on_each_channel_he_has_and_waits_for_nothing() -> None:
    step = Step(message=("contact:anna", "contact:mail", "contact:bob"), by=("sms", "email"), text="Come")
    talk = Conversation(plan(step, ring("contact:chris"))).opens()
    commands = talk.commands()
    assert commands[:2] == [Send("1.0", "anna", "sms", "Come"), Send("1.1", "anna", "email", "Come")]
    assert [(c.contact, c.channel) for c in commands[2:4] if isinstance(c, Send)] == [("mail", "email"), ("bob", "sms")]
    assert isinstance(commands[4], Ring)


def test_messages_are_not_repeated_with_every_lap_of_a_plan_whose_calls_fail() -> None:
    talk = Conversation(plan(Step(message=("contact:bob",)), ring("team:ghosts"), lap_pause=5)).opens()
    talk.passes(599)
    assert talk.sent() == [("bob", "sms")]
    talk.passes(10)
    assert talk.sent() == [("bob", "sms")]


def test_a_message_for_nobody_is_noted() -> None:
    talk = Conversation(plan(Step(message=("team:ghosts",)), ring("contact:bob"))).opens()
    assert talk.rung() == ["bob"]
    assert "nobody_on_duty" in talk.notes()


def test_the_timeline_says_which_step_begins_and_whom_it_rings_by_their_ids() -> None:
    talk = Conversation(plan(ring("operators", "team:guards"), emergency())).opens()
    first = talk.take_notes()[0]
    assert first.kind == "escalated"
    assert first.detail == {"step": 1, "round": 1, "lap": 1, "rings": ["operators", "anna", "bob", "chris"]}
