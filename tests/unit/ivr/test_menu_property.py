"""Random keys, silences and machines walk through every dialogue: it always ends, always in a defined outcome."""

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ivr.charts import DIALOGUES
from ivr.conversation import Conversation
from ivr.desk import ERRANDS
from ivr.menu import (
    AGAIN,
    HUNG_UP,
    Act,
    Answer,
    Dialogue,
    Do,
    End,
    Ending,
    Listen,
    Play,
    Question,
    Record,
    Recording,
    Step,
    language_of,
)
from tests.unit.ivr.conversing import PROMPTS

MOVES = st.lists(st.sampled_from([*"0123456789*#", "wait", "wait", "hear", "hear", "machine", "leave"]), max_size=120)


VALUES = {"key": "4", "entries": ("00",)}


def _walk(dialogue: Dialogue, moves: list[str], seconds: float) -> Conversation:
    conversation = Conversation(dialogue, language="en", values=VALUES)
    now, action = 0.0, conversation.begin(0.0)
    for move in [*moves, *["wait"] * 400]:
        if isinstance(action, End):
            break
        now += seconds
        if isinstance(action, Do):
            ways = sorted(ERRANDS[action.does].ways)
            action = conversation.answered(Answer(ways[len(move) % len(ways)]), now)
        elif move == "leave":
            action = conversation.hung_up(now)
        elif isinstance(action, Record):
            action = conversation.recorded(bytes(8000 * (len(move) % 3)), now)
        elif move == "machine":
            conversation.suspicion = min(2, conversation.suspicion + 1)
        elif len(move) == 1:
            action = conversation.digit(move, now) or action
        elif isinstance(action, Play):
            action = conversation.played(now)
        elif move == "wait":
            now += action.seconds
            action = conversation.timer(now) or action
    assert isinstance(action, End)
    return conversation


@pytest.mark.parametrize("name", [name for name in DIALOGUES if name != "taker"])
@given(moves=MOVES, seconds=st.floats(0.02, 5.0))
@settings(max_examples=300, deadline=None)
def test_every_walk_ends_in_a_defined_outcome(name: str, moves: list[str], seconds: float) -> None:
    dialogue = DIALOGUES[name]
    conversation = _walk(dialogue, moves, seconds)
    outcomes = {step.outcome for step in dialogue.steps.values() if isinstance(step, Ending)} | {HUNG_UP}
    outcomes |= {step.left for step in dialogue.steps.values() if isinstance(step, Question | Recording)}
    assert conversation.result is not None
    assert conversation.result.outcome in outcomes


@given(moves=MOVES.map(lambda moves: [move for move in moves if move != "4"]), seconds=st.floats(0.02, 5.0))
@settings(max_examples=500, deadline=None)
def test_nothing_but_the_key_accepts_an_alarm(moves: list[str], seconds: float) -> None:
    result = _walk(DIALOGUES["accept"], moves, seconds).result
    assert result is not None
    assert result.outcome != "accepted"


def _targets(step: Step) -> Iterator[str]:
    match step:
        case Question():
            yield from (target for target in (step.silence, step.given_up, step.machine, step.late) if target)
            yield from (choice.to for choice in step.keys.values())
            yield from (step.digits.to,) if step.digits else ()
        case Act():
            yield from (choice.to for choice in step.ways.values())
        case Recording():
            yield from (target for target in (step.to, step.nothing, step.late) if target)


@pytest.mark.parametrize("dialogue", DIALOGUES.values(), ids=list(DIALOGUES))
def test_a_dialogue_leads_only_to_steps_that_it_has_and_to_all_of_them(dialogue: Dialogue) -> None:
    reached = {dialogue.start, dialogue.at_limit, AGAIN}
    for step in dialogue.steps.values():
        reached |= set(_targets(step))
    assert reached - {AGAIN} == set(dialogue.steps)
    assert isinstance(dialogue.steps[dialogue.at_limit], Ending)


@pytest.mark.parametrize("dialogue", DIALOGUES.values(), ids=list(DIALOGUES))
@pytest.mark.parametrize("language", ["nl", "en", "de", "fr"])
def test_every_prompt_of_a_dialogue_is_written_in_every_language(dialogue: Dialogue, language: str) -> None:
    spoken = [language_of(prompt, language) for prompt in dialogue.prompts]
    assert [prompt for prompt in spoken if not PROMPTS.has(*prompt)] == []


@pytest.mark.parametrize("dialogue", DIALOGUES.values(), ids=list(DIALOGUES))
def test_a_dialogue_has_done_only_what_a_desk_can_do_and_expects_all_its_answers(dialogue: Dialogue) -> None:
    for step in dialogue.steps.values():
        if isinstance(step, Act):
            assert set(step.ways) == ERRANDS[step.does].ways


@pytest.mark.parametrize("dialogue", DIALOGUES.values(), ids=list(DIALOGUES))
def test_nothing_is_said_between_a_key_and_what_it_has_done(dialogue: Dialogue) -> None:
    """Else hanging up at that moment would lose it."""
    for step in dialogue.steps.values():
        for choice in step.keys.values() if isinstance(step, Question) else ():
            assert not (choice.says and isinstance(dialogue.steps[choice.to], Act))


@pytest.mark.parametrize("name", ["check_in", "check_in_pin", "inbound"])
def test_once_an_entry_was_accepted_no_way_leads_to_hanging_up(name: str) -> None:
    dialogue = DIALOGUES[name]
    after = {"standing"} if name == "inbound" else {"confirm"}
    while more := {target for step in after for target in _targets(dialogue.steps[step])} - after:
        after |= more
    endings = [step for step in (dialogue.steps[name] for name in after) if isinstance(step, Ending)]
    assert endings
    assert not any(ending.hang_up for ending in endings)
    questions = [step for step in (dialogue.steps[name] for name in after) if isinstance(step, Question | Recording)]
    assert all(question.late in after and question.left != HUNG_UP for question in questions)


def test_a_walk_listens_before_it_gives_up() -> None:
    conversation = Conversation(DIALOGUES["accept"], language="en", values={"key": "4"})
    conversation.begin(0.0)
    conversation.played(1.0)
    assert isinstance(conversation.played(2.0), Listen)
