"""Plans as Mermaid flow charts."""

import re
from pathlib import Path

import pytest

from config.plans import Contact, FrozenPlan, Step
from config.settings import load
from tests.unit.escalation.conversation import emergency, plan, ring
from voice.escalation.drawing import mermaid
from voice.incidents.kinds import Kind

EXAMPLES = sorted((Path(__file__).parents[3] / "config" / "examples").glob("*.toml"))

_NAME = r"(?:alarm|human|last|step\d+)"
_QUOTED = r'"[^"]*"'
_SHAPES = (r"\(\[Q\]\)", r"\[/Q/\]", r"\(\(Q\)\)", r"\{\{Q\}\}", r">Q\]", r"\[Q\]", r"\(Q\)")
_NODE = f"(?:{'|'.join(_SHAPES)})".replace("Q", _QUOTED)
_LINK = rf"(?:-->(?:\|{_QUOTED}\|)?|-\. {_QUOTED} \.->)"
_LINE = re.compile(rf"    (?:{_NAME}{_NODE}?(?: {_LINK} {_NAME})?|style {_NAME} [\w:#,-]+)")
"""What these charts use of Mermaid's grammar."""


def lines(frozen: FrozenPlan) -> list[str]:
    first, *rest = mermaid(frozen).splitlines()
    assert first == "flowchart TD"
    assert [line for line in rest if not _LINE.fullmatch(line)] == []
    return [line.strip() for line in rest]


def named(name: str) -> FrozenPlan:
    frozen = plan(ring("contact:bob"))
    return frozen.model_copy(update={"contacts": {"bob": Contact(id="bob", name=name, numbers=("1001",))}})


ALL = plan(
    ring("operators", seconds=20),
    ring("team:guards", order="sequence", rounds=3),
    Step(message=("contact:bob",), link="proof"),
    emergency("police"),
    Step(wait=60),
)


def test_every_step_is_a_node_and_leads_to_the_next() -> None:
    drawn = lines(ALL)
    for number in range(1, 6):
        assert any(re.match(rf"step{number}\W", line) for line in drawn)
    following = [line for line in drawn if "-->" in line]
    assert [(line.split()[0].split("(")[0], line.split()[-1]) for line in following] == [
        ("alarm", "step1"),
        ("step1", "step2"),
        ("step2", "step3"),
        ("step3", "step4"),
        ("step4", "step5"),
        ("step5", "last"),
        ("last", "step1"),
    ]


def test_every_step_on_which_a_person_can_take_the_alarm_leads_to_him() -> None:
    assert [line for line in lines(ALL) if line.endswith(".-> human")] == [
        'step1 -. "takes it" .-> human',
        'step2 -. "takes it" .-> human',
        'step3 -. "follows the link" .-> human',
        'step4 -. "confirmed there" .-> human',
    ]


def test_a_step_says_what_it_does() -> None:
    drawn = lines(ALL)
    assert 'step1["1. Ring the operators<br>20 seconds"]' in drawn
    assert 'step2["2. Ring Guards<br>one after the other, 30 seconds<br>3 rounds"]' in drawn
    assert 'step3>"3. Message to Bob<br>text message"]' in drawn
    assert 'step4{{"4. Emergency call<br>Police<br>on request"}}' in drawn
    assert 'step5("5. Wait")' in drawn


def test_an_automatic_call_says_when_it_is_made() -> None:
    drawn = lines(plan(emergency("police", confirm="automatic", after=600)))
    assert 'step1{{"1. Emergency call<br>Police<br>by itself, 10 minutes after the alarm"}}' in drawn


def test_a_plan_that_ends_without_a_human_is_drawn_so() -> None:
    drawn = lines(plan(ring("operators"), at_end="stop", agreement='contract "9"'))
    assert 'last[/"Ends without a human, as agreed in “contract #quot;9#quot;”"/]' in drawn
    assert not any(line.startswith("last") and "-->" in line for line in drawn)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ('the "boss"', "the #quot;boss#quot;"),
        ("<b>Bob</b>", "#lt;b#gt;Bob#lt;/b#gt;"),
        ("A & B #1", "A #amp; B #35;1"),
        ("`end` --> step9]", "#96;end#96; --#gt; step9]"),
        ("two\nlines", "two lines"),
        ("Zoë 李", "Zoë 李"),
    ],
)
def test_a_name_cannot_break_the_chart(name: str, shown: str) -> None:
    assert f'step1["1. Ring {shown}<br>30 seconds"]' in lines(named(name))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_the_examples_can_be_drawn(path: Path) -> None:
    settings = load(path, {})
    for customer in settings.customers:
        for kind in Kind:
            assert lines(settings.frozen_plan(customer.id, kind))
