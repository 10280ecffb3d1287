"""A plan never reaches the worker who is in danger: his telephone would betray him."""

import json
from typing import Any

import pytest

from config.models import Device, Settings, Worker
from config.plans import Contact, FrozenPlan, Step
from tests.unit.escalation.conversation import CONTACTS, OPENED, Conversation, plan, ring
from voice.directory import Directory
from voice.escalation.commands import Ring
from voice.escalation.engine import begin
from voice.escalation.events import Busy, LegLost
from voice.escalation.facts import facts_of
from voice.escalation.sparing import Reach, own_lines, reach
from voice.escalation.state import Facts, State
from voice.escalation.taking_up import knowing_the_worker
from voice.incidents.kinds import Kind

ANNA, BOB = "+31611111111", "+31622222222"
TELL = Step(message=("team:guards",), by=("sms", "email"))


def alarm(frozen: FrozenPlan, *own: str) -> Conversation:
    """An alarm of a worker whom these lines lead to."""
    talk = Conversation(frozen, kind="duress")
    talk.state = begin("1k3x9a0q", Facts("duress", 1, worker="Wim", own_lines=own), OPENED)
    return talk.opens()


def person(**ways: Any) -> Contact:
    return Contact(id="anna", name="Anna", **ways)


# -- whom they lead to --


def test_numbers_and_accounts_of_all_that_he_wears_are_the_workers() -> None:
    worker = Worker(id="w", name="W", numbers=(ANNA,))
    devices = (
        Device(id="badge", username="badge-7", numbers=("31700000001",), worker="w"),
        Device(id="watch", numbers=("31700000002",), callback="sip:watch@192.0.2.1", worker="w"),
        Device(id="other", username="badge-8", worker="x"),
    )
    assert own_lines(worker, devices[0], devices) == (
        ANNA, "31700000001", "badge-7", "31700000002", "sip:watch@192.0.2.1",
    )  # fmt: skip
    assert own_lines(None, devices[2], devices) == ("badge-8",)
    assert own_lines(None, None, devices) == ()


@pytest.mark.parametrize("kind", Kind)
def test_the_facts_of_every_kind_of_alarm_hold_them_and_show_them_to_nobody(kind: Kind) -> None:
    facts = facts_of(kind, device=None, worker=None, customer=None, own_lines=(ANNA,))
    assert facts.own_lines == (ANNA,)
    assert ANNA not in repr(facts)


@pytest.mark.parametrize("claimed", ["badge-7", "0031 6 1111 1111"])
def test_who_proves_nothing_is_spared_by_what_he_claims_to_be(claimed: str) -> None:
    worker = Worker(id="w", name="W", numbers=(ANNA,))
    settings = Settings(workers=(worker,), devices=(Device(id="badge", username="badge-7", worker="w"),))
    directory = Directory(settings)
    assert directory.own_lines(None, None, claimed) == (ANNA, "badge-7")
    assert directory.own_lines(worker, None) == (ANNA, "badge-7")
    assert directory.own_lines(None, None, "+31699999999") == ()


def test_a_worker_without_a_device_who_calls_for_help_is_spared_too() -> None:
    settings = Settings(workers=(Worker(id="w", name="W", numbers=(ANNA,)),))
    assert Directory(settings).own_lines(None, None, ANNA) == (ANNA,)


@pytest.mark.parametrize(
    ("contact", "left"),
    [
        (person(numbers=(ANNA,)), Reach((), None, None)),
        (person(numbers=("0031 6 1111 1111",)), Reach((), None, None)),
        (person(numbers=("sip:+31611111111@192.0.2.1",), email="a@example.org"), Reach((), None, None)),
        (person(numbers=(ANNA,), sms=BOB, email="a@example.org"), Reach((), None, None)),
        (person(numbers=(ANNA, BOB), email="a@example.org"), Reach((1,), BOB, None)),
        (person(numbers=(BOB,), sms=ANNA), Reach((0,), BOB, None)),
        (person(sms="0611111111", email="a@example.org"), Reach((), None, None)),
        (person(numbers=(BOB,), email="a@example.org"), Reach((0,), BOB, "a@example.org")),
    ],
)
def test_a_contact_is_reached_only_where_the_worker_is_not(contact: Contact, left: Reach) -> None:
    assert reach(contact, (ANNA,)) == left


# -- what a plan does --


def test_the_worker_is_not_rung_and_his_colleagues_are() -> None:
    talk = alarm(plan(ring("team:guards")), BOB)
    assert talk.rung() == ["anna", "chris"]
    (note,) = [note for note in talk.take_notes() if note.kind == "contact_spared"]
    assert note.detail == {"contact": "bob", "step": 1, "why": "is the worker himself"}


def test_in_sequence_he_is_passed_over_at_once() -> None:
    talk = alarm(plan(ring("contact:bob", "contact:chris", order="sequence")), BOB)
    assert talk.rung() == ["chris"]


def test_a_step_with_nobody_else_is_passed_over_at_once() -> None:
    talk = alarm(plan(ring("contact:bob"), ring("contact:chris")), BOB)
    assert talk.rung() == ["chris"]
    assert {"nobody_on_duty", "contact_spared"} <= set(talk.notes())


def test_a_plan_with_nobody_else_goes_round_and_raises_an_alarm() -> None:
    talk = alarm(plan(ring("contact:bob"), lap_pause=5), BOB)
    assert talk.wait == 5
    talk.passes(60)
    assert talk.technical() == 1
    assert talk.wait is not None


def test_somebody_outside_his_hours_is_rung_when_only_the_worker_would_be_inside() -> None:
    assert alarm(plan(ring("contact:bob", "contact:dora")), BOB).rung() == ["dora"]


def test_the_number_of_a_contact_that_leads_to_the_worker_is_passed_over_and_his_others_are_tried() -> None:
    first = alarm(plan(ring("contact:anna", "contact:bob", order="sequence")), ANNA)
    assert first.commands() == [Ring("1.0", "anna", "+31711111111", 30)]
    second = alarm(plan(ring("contact:anna", "contact:bob", order="sequence")), "+31711111111")
    assert second.rung() == ["anna"]
    second.tells(Busy(second.leg("anna")))
    assert second.rung() == ["bob"]


def test_nothing_is_sent_to_the_worker_by_any_channel() -> None:
    talk = alarm(plan(TELL, ring("operators")), ANNA, "+31711111111")
    assert talk.sent() == [("bob", "sms"), ("chris", "sms")]
    assert [note.detail["contact"] for note in talk.take_notes() if note.kind == "contact_spared"] == ["anna"]


# -- alarms of an Earshot that did not keep it --


def old_row(talk: Conversation) -> State:
    row = json.loads(talk.state.to_json())
    del row["facts"]["own_lines"]
    return State.from_json(json.dumps(row))


def test_an_old_row_is_read_and_learns_who_is_in_danger_once() -> None:
    state = old_row(Conversation(plan(ring("contact:bob"))))
    assert state.facts.own_lines is None
    known = knowing_the_worker(state, (BOB,))
    assert known.facts.own_lines == (BOB,)
    assert knowing_the_worker(known, (ANNA,)) is known


def test_the_telephone_of_the_worker_that_an_old_process_rang_is_not_rung_again() -> None:
    talk = Conversation(plan(ring("contact:bob", "contact:anna", order="sequence"))).opens()
    talk.commands()
    talk.state = knowing_the_worker(old_row(talk), (BOB,))
    talk.tells(LegLost(talk.leg("bob")))
    assert talk.rung() == ["anna"]
    assert CONTACTS["bob"].numbers == (BOB,)
