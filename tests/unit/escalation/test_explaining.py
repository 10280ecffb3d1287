"""Plans in plain words."""

from typing import Any

import pytest

from config.plans import FrozenPlan, Hours, Step
from tests.unit.escalation.conversation import emergency, plan, ring
from voice.escalation.explaining import explain, title
from voice.escalation.phrases import days, duration, hours, listed


def only(frozen: FrozenPlan) -> str:
    return explain(frozen)[0]


def message(*targets: str, **more: Any) -> Step:
    return Step(message=targets, **more)


@pytest.mark.parametrize(
    ("step", "sentence"),
    [
        (
            ring("operators", seconds=20),
            "1. Rings the operators for 20 seconds; they go on ringing from here on until somebody has the alarm.",
        ),
        (ring("contact:bob", seconds=45), "1. Rings Bob for 45 seconds."),
        (
            ring("contact:bob", "contact:chris", order="sequence", rounds=3, pause=5),
            "1. Rings Bob and Chris, one after the other, each for 30 seconds; 3 rounds, 5 seconds between them.",
        ),
        (
            ring("team:guards", "operators", rounds=2),
            "1. Rings Guards (Anna, Bob and Chris) and the operators, all at once, each for 30 seconds; 2 rounds; "
            "the operators go on ringing from here on until somebody has the alarm. "
            "Anna has 2 numbers, which are tried in turn.",
        ),
        (
            ring("team:night"),
            "1. Rings Night (by the rota: Bob), all at once, each for 30 seconds. "
            "Anna has 2 numbers, which are tried in turn.",
        ),
        (
            ring("contact:dora"),
            "1. Rings Dora for 30 seconds. Dora is rung only each day from 18:00 to 22:00, unless nobody else is left.",
        ),
        (
            message("contact:bob", "contact:mail", by=("sms", "email"), text="Come.", link="proof"),
            "1. Sends Bob and Mail a text message and an e-mail, which adds “Come.”, with a link; who follows it has "
            "taken the alarm; goes on at once. Not again before 10 minutes are over.",
        ),
        (
            emergency("police", seconds=90),
            "1. Asks whether to call Police (+31880000000), and waits 1 minute 30 seconds for an answer. "
            "Operators, and whoever has taken the alarm, can have it called at any time. "
            "If it cannot be known whether somebody there was reached, a person decides whether to call again.",
        ),
        (
            emergency(confirm="automatic", after=600, indeterminate="call again"),
            "1. If nobody has taken it 10 minutes after the alarm, calls 112 (112) by itself, as agreed in "
            "“contract 7”. If a person has had it before, asks for confirmation instead. "
            "If it cannot be known whether somebody there was reached, calls again after 2 minutes, 2 calls at most.",
        ),
        (Step(wait=3600), "1. Waits 1 hour."),
    ],
)
def test_a_step_is_a_sentence(step: Step, sentence: str) -> None:
    assert only(plan(step)) == sentence


def test_who_is_in_a_team_is_said_once() -> None:
    told = explain(plan(ring("team:guards"), ring("team:guards")))
    assert "Guards (Anna, Bob and Chris)" in told[0]
    assert "Guards, all at once" in told[1]


def test_operators_go_on_ringing_from_their_first_step_on() -> None:
    told = explain(plan(ring("operators"), ring("operators", "contact:bob")))
    assert "go on ringing" in told[0]
    assert "go on ringing" not in told[1]


def test_what_comes_after_the_last_step_is_said() -> None:
    assert explain(plan(ring("operators"), lap_pause=7, follow_up=600))[1:] == [
        "Then it starts again from the top after 7 seconds, until a person has the alarm.",
        "Who takes the alarm and hangs up has 10 minutes to have it closed; then it starts again from the top.",
    ]


def test_a_plan_that_ends_without_a_human_says_so_and_where_that_was_agreed() -> None:
    (_, ending, _) = explain(plan(ring("operators"), at_end="stop", agreement="contract 9"))
    assert ending == "Then it ends without a human, as agreed in “contract 9”; the incident stays open, in red."


def test_a_name_that_leads_nowhere_is_told_as_it_stands() -> None:
    frozen = plan(ring("team:gone", "contact:lost"), emergency("112"))
    told = explain(frozen.model_copy(update={"routes": {}}))
    assert "Rings gone and lost" in told[0]
    assert "Asks whether to call 112, and waits" in told[1]


def test_a_plan_has_a_title() -> None:
    assert title(plan(ring("operators"), name="Night")) == "plan 'plan' (Night)"
    assert title(plan(ring("operators"))) == "plan 'plan'"


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "0 seconds"), (1, "1 second"), (90, "1 minute 30 seconds"), (7200, "2 hours"), (86400.4, "24 hours")],
)
def test_times_are_said_in_whole_units(seconds: float, said: str) -> None:
    assert duration(seconds) == said


def test_of_many_names_the_first_few_are_said() -> None:
    assert listed([]) == ""
    assert listed(["A"]) == "A"
    assert listed(["A", "B"], last="or") == "A or B"
    assert listed(list("ABCDE"), most=4) == "A, B, C and 2 more"


@pytest.mark.parametrize(
    ("chosen", "said"),
    [
        (("mon", "tue", "wed", "thu", "fri", "sat", "sun"), "each day"),
        (("mon", "tue", "wed", "thu", "fri"), "Monday to Friday"),
        (("sat", "sun"), "Saturday and Sunday"),
        (("mon", "wed", "thu", "fri"), "Monday and Wednesday to Friday"),
    ],
)
def test_days_of_the_week_are_said_as_spans(chosen: Any, said: str) -> None:
    assert days(chosen) == said


def test_hours_until_midnight_end_at_24() -> None:
    assert hours([Hours.model_validate({"days": "mon", "from": "18:00", "to": "24:00"})]) == (
        "Monday from 18:00 to 24:00"
    )
