"""Nobody who stands beside a worker can tell by what he hears whether help was called in silence.

Each story is told twice, in worlds of their own that differ in nothing but what the worker keys: what confirms, or what
calls for help. All that he hears must be the same: every sample, at the same time, and the line as long as before.
"""

import random
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ivr.charts import DIALOGUES
from ivr.checkin import CheckIn, check_in
from ivr.inbound import attend
from ivr.menu import HUNG_UP, TONE, Ending
from ivr.prompts import LANGUAGES
from ivr.saying import Saying
from tests.unit.ivr.conversing import PROMPTS, Person
from tests.unit.ivr.desks import CODE, DURESS, DURESS_KEYS, PIN, PretendDesk
from voice.sim.loop import run_virtual, virtual_loop

RUNS = 200
WORDS = ("duress", "dwang", "zwang", "contrainte", "silent", "stil alarm", "stiller", "silencieu")
AFTER = 300.0
"""Seconds that the worker stays on the line at most."""


@dataclass(frozen=True)
class Story:
    """What a worker does beside the entry; drawn by lot."""

    language: str
    by_key: bool
    locked: bool
    """His PIN is."""
    before: str
    """What he keys in vain first."""
    at: float
    """When he makes his entry: seconds after the call was answered, or after he was asked for a key."""
    after: str
    """What he keys later."""
    gap: float
    leaves: float
    is_last: bool
    running: bool
    known: bool

    @classmethod
    def drawn(cls, dice: random.Random) -> "Story":
        return cls(
            language=dice.choice(LANGUAGES),
            by_key=dice.random() < 0.5,
            locked=dice.random() < 0.3,
            before="".join(dice.choices("3567#", k=dice.choice([0, 0, 1, 2]))),
            at=dice.uniform(-1.0, 5.5),
            after="".join(dice.choices("0123456789*#", k=dice.randint(0, 12))),
            gap=dice.uniform(0.1, 9.0),
            leaves=dice.uniform(1.0, AFTER),
            is_last=dice.random() < 0.3,
            running=dice.random() < 0.8,
            known=dice.random() < 0.5,
        )


@dataclass(frozen=True)
class Heard:
    """All that a bystander can know."""

    transcript: list[tuple[float, bytes]]
    texts: list[str]
    """All that was rendered to be said, also what was interrupted before it began."""
    hung_up: bool
    seconds: float
    outcome: object


Told = Callable[[Story, str], Coroutine[Any, Any, tuple[Heard, PretendDesk]]]


async def _checked_in(story: Story, entry: str) -> tuple[Heard, PretendDesk]:
    person = Person()
    call = CheckIn("Anna", "Care East", "4" if story.by_key else None, (DURESS_KEYS,), is_last=story.is_last)
    desk = PretendDesk(key=call.key, is_last=story.is_last, running=story.running)
    desk.locked = story.locked and not story.by_key
    if story.by_key:
        _when_asked(person, story, PROMPTS.text(story.language, "check_in.ask", call.values), entry)
    else:
        _plan(person, story, entry)
    result = await check_in(person.phone, person.voice(story.language), desk, call)
    return _heard(person, result), desk


async def _called_in(story: Story, entry: str) -> tuple[Heard, PretendDesk]:
    person = Person()
    desk = PretendDesk(known=story.known, is_last=story.is_last, running=story.running, language=story.language)
    desk.locked = story.locked
    _plan(person, story, entry if story.known else f"{CODE}#{entry}")
    result = await attend(person.phone, person.voice(), desk, "Anna")
    return _heard(person, result), desk


def _plan(person: Person, story: Story, entry: str) -> None:
    at = 3 * (story.at + 1.0)
    virtual_loop().call_later(at / 2, person.phone.press, story.before)
    virtual_loop().call_later(at, _enters, person, story, entry)


def _when_asked(person: Person, story: Story, asked: str, entry: str) -> None:
    """No key counts before it is asked for."""

    def enter() -> None:
        _enters(person, story, entry)

    def try_in_vain() -> None:
        person.phone.press(story.before)
        person.hearing(asked, enter, after=story.at)

    person.hearing(asked, try_in_vain if story.before else enter, after=story.at)


def _enters(person: Person, story: Story, entry: str) -> None:
    person.phone.press(entry)
    for n, key in enumerate(story.after, 1):
        person.phone.press_after(n * story.gap, key)
    virtual_loop().call_later(story.leaves, person.phone.leave)


def _heard(person: Person, outcome: object) -> Heard:
    return Heard(
        person.transcript, [text.text for text in person.speaker.texts], person.phone.hung_up, person.seconds, outcome
    )


def _entries(story: Story, told: Told) -> tuple[str, str]:
    if told is _checked_in and story.by_key:
        return "4", DURESS_KEYS
    return f"{PIN}#", f"{DURESS}#"


@pytest.mark.parametrize("told", [_checked_in, _called_in])
def test_confirming_and_calling_for_help_sound_the_same_to_the_last_sample(told: Told) -> None:
    dice, helped = random.Random(4), 0
    for run in range(RUNS):
        story = Story.drawn(dice)
        confirms, calls = _entries(story, told)
        (first, well), (second, ill) = run_virtual(told(story, confirms)), run_virtual(told(story, calls))
        assert first == second, (run, story)
        assert well.done == ill.done, (run, story)
        assert DURESS_KEYS in story.after or not well.duress
        helped += ill.duress
    assert helped > RUNS / 4


def test_a_silent_call_for_help_before_the_key_is_named_is_never_lost() -> None:
    """Also where a key would have counted for nothing, so that no second story can be told."""
    for at in range(40):
        story = Story("en", True, False, "", at / 20, "", 1.0, 60.0, False, True, True)
        _, desk = run_virtual(_checked_in(story, DURESS_KEYS))
        assert desk.duress


KEYS = st.text("0123456789*#", max_size=6)
ENTRIES = st.sampled_from([f"{PIN}#", f"{DURESS}#", DURESS_KEYS, "4"])
MOVES = st.lists(st.tuples(st.floats(0.0, 12.0), KEYS | ENTRIES), max_size=15)


@given(
    moves=MOVES,
    leaves=st.none() | st.floats(0.0, 200.0),
    by_key=st.booleans(),
    calls_in=st.booleans(),
    running=st.booleans(),
    language=st.sampled_from(LANGUAGES),
)
@settings(max_examples=200, deadline=None)
def test_every_conversation_ends_as_defined_and_says_no_secret(
    moves: list[tuple[float, str]],
    leaves: float | None,
    by_key: bool,
    calls_in: bool,
    running: bool,
    language: str,
) -> None:
    async def told() -> tuple[Heard, PretendDesk]:
        person = Person()
        call = CheckIn("Anna", "Care East", "4" if by_key else None, (DURESS_KEYS,))
        desk = PretendDesk(key=call.key, running=running, known=by_key, language=language)
        at = 0.0
        for gap, keys in moves:
            at += gap
            person.phone.press_after(at, keys)
        if leaves is not None:
            virtual_loop().call_later(leaves, person.phone.leave)
        voice = person.voice(language)
        if calls_in:
            return _heard(person, await attend(person.phone, voice, desk, "Anna")), desk
        return _heard(person, await check_in(person.phone, voice, desk, call)), desk

    heard, desk = run_virtual(told())
    assert heard.seconds < 1200.0
    assert heard.hung_up is (not desk.done and not _left(heard.outcome)), "the line is his once an entry was made"
    said = " ".join(heard.texts)
    assert not any(secret in f"{said} {heard.outcome!r}" for secret in (PIN, DURESS))
    assert not any(Saying(PROMPTS, language, "UTC").one_by_one(secret) in said for secret in (PIN, DURESS))
    assert not any(word in said.lower() for word in WORDS)


def _left(result: object) -> bool:
    return bool(result.hung_up)


@pytest.mark.parametrize("name", ["check_in", "check_in_pin", "inbound", "sign_in"])
def test_no_dialogue_has_a_step_for_a_call_for_help(name: str) -> None:
    dialogue = DIALOGUES[name]
    named = [*dialogue.steps, *(step.outcome for step in dialogue.steps.values() if isinstance(step, Ending))]
    assert not any("duress" in part for part in (*named, *dialogue.prompts))
    assert HUNG_UP not in named
    assert TONE not in dialogue.prompts
