"""Dialogues as data, and what a conversation wants done. `ivr.conversation` leads through them.

A dialogue is a set of named steps. A `Question` says something and waits for keys; an `Act` has something done by
whoever the dialogue speaks for (`ivr.desk`) and goes on as he answers; a `Recording` takes down what the person says;
an `Ending` says the last words.

A prompt is said in the language of the conversation, or with `nl:` before it in that one. `TONE` and `RECORDED` are
prompts too.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any

HUNG_UP = "hung_up"
"""The outcome of every conversation whose person hangs up before it is decided."""

AGAIN = "again"
"""In place of a step, for an `Act`: back to the question before, as after a wrong key. A conversation in which this
happened hangs up at no `Ending`: what was refused may have called for help, and the line is his (`ivr.checkin`)."""

TONE = "{tone}"
"""Said: the tone after which one speaks."""

RECORDED = "{recorded}"
"""Said: what was recorded last."""

NOTHING: Mapping[str, Any] = MappingProxyType({})


# -- dialogues --


@dataclass(frozen=True, slots=True)
class Choice:
    """What a key does, or an answer."""

    to: str
    """The next step."""
    says: tuple[str, ...] = ()
    """How it is confirmed by voice."""
    language: str | None = None
    """The language from here on, or `{value}` of one."""


@dataclass(frozen=True, slots=True)
class Digits:
    """Several digits are collected: a PIN, a code word, a number."""

    to: str
    maximum: int
    """So many digits are complete by themselves."""
    terminator: str = "#"
    between: float = 5.0
    """Seconds after a digit in which the next one is waited for; then what was keyed is taken as complete."""
    lowest: int = 0
    highest: int | None = None
    """Other numbers are wrong keys."""
    entries: str | None = None
    """The `{value}` with entries that are complete as soon as they are keyed (a collection of strings), also while
    keys count for nothing."""


@dataclass(frozen=True, slots=True)
class Question:
    """A step that waits for an answer."""

    asks: tuple[str, ...]
    """Prompts; an accepted key interrupts them."""
    silence: str
    """Where it goes when nothing is keyed, even after the last repeat."""
    keys: Mapping[str, Choice] = field(default_factory=dict)
    """By key, or by `{value}`, where the value is a key that is chosen per call."""
    digits: Digits | None = None
    enters: str = ""
    """Under which name what is keyed is kept, for an `Act` that takes it. Never in a log: it may be a PIN."""
    announces: tuple[str, ...] = ()
    """Prompts before `asks`. Keys pressed before they were heard to the end count for nothing, not even as wrong."""
    again: tuple[str, ...] | None = None
    """What a repeat says; None: all of it. Here every key counts: it has been announced."""
    waits: float = 5.0
    """Seconds of silence after the prompts."""
    repeats: int = 2
    mistakes: int = 2
    """At the so-manyth wrong key the question is given up."""
    wrong: tuple[str, ...] = ("menu.wrong_key",)
    """Says that a key was wrong, and then all is repeated. Keys pressed meanwhile count for nothing: whoever tries
    them all in one go gets no second guess."""
    eager: bool = False
    """They do count: what is asked for cannot be guessed, or does no harm."""
    given_up: str | None = None
    """Where too many wrong keys lead; None: where silence leads."""
    machine: str | None = None
    """Where silence leads once an answering machine is suspected, after fewer repeats; None: nothing changes."""
    late: str | None = None
    """The ending in place of this question after the dialogue's limit; None: the dialogue's own."""
    left: str = HUNG_UP
    """The outcome if the person hangs up here."""


@dataclass(frozen=True, slots=True)
class Act:
    """A step in which something is done, silently."""

    does: str
    """An errand of `ivr.desk`."""
    ways: Mapping[str, Choice]
    """Where it goes, by answer. To `AGAIN`: what was keyed was wrong."""
    takes: tuple[str, ...] = ()
    """What was keyed before, by name (`Question.enters`); it is forgotten then."""


@dataclass(frozen=True, slots=True)
class Recording:
    """A step in which the person speaks. Hanging up ends it and loses nothing."""

    announces: tuple[str, ...]
    """Keys pressed before they were heard to the end count for nothing."""
    to: str
    nothing: str
    """Where it goes when less than `shortest` was recorded."""
    ends: str = "#"
    longest: float = 120.0
    shortest: float = 1.0
    """Seconds."""
    late: str | None = None
    left: str = HUNG_UP
    """Both as in a `Question`."""


@dataclass(frozen=True, slots=True)
class Ending:
    """The last step."""

    outcome: str
    says: tuple[str, ...] = ()
    hang_up: bool = True


Step = Question | Act | Recording | Ending


@dataclass(frozen=True, slots=True)
class Dialogue:
    """A whole conversation."""

    name: str
    purpose: str
    start: str
    steps: Mapping[str, Step]
    limit: float = 60.0
    """Seconds after which no question is asked or repeated any more."""
    at_limit: str = "not_answered"
    """The ending then."""

    @property
    def prompts(self) -> tuple[str, ...]:
        """Every prompt that it may say, in the order in which they are written, each once."""
        said = (prompt for step in self.steps.values() for prompt in _prompts_of(step))
        return tuple(dict.fromkeys(prompt for prompt in said if prompt not in (TONE, RECORDED)))


def _prompts_of(step: Step) -> Iterator[str]:
    match step:
        case Ending():
            yield from step.says
        case Recording():
            yield from step.announces
        case Act():
            for choice in step.ways.values():
                yield from choice.says
        case Question():
            yield from step.announces + step.asks + (step.again or ()) + step.wrong
            for choice in step.keys.values():
                yield from choice.says


def language_of(prompt: str, language: str) -> tuple[str, str]:
    """The language that a prompt is said in, and its id."""
    own, _, id = prompt.rpartition(":")
    return own or language, id


# -- what a conversation wants done --


class Keys(StrEnum):
    """What a key does while something is played."""

    INTERRUPT = "interrupt"
    KEPT = "kept"
    """It is answered to afterwards."""
    DROPPED = "dropped"
    """It counts for nothing."""


@dataclass(frozen=True, slots=True)
class Play:
    prompts: tuple[str, ...]
    keys: Keys
    language: str


@dataclass(frozen=True, slots=True)
class Listen:
    seconds: float


@dataclass(frozen=True, slots=True)
class Record:
    """Take down what the person says."""

    seconds: float
    """At most."""
    ends: str
    """The key that ends it."""


@dataclass(frozen=True, slots=True)
class Do:
    """Something is to be done. Needs no person on the line."""

    does: str
    entries: tuple[str, ...] = field(default=(), repr=False)
    """What was keyed. Never in a log: it may be a PIN."""
    clip: bytes = field(default=b"", repr=False)
    """What was recorded last."""


@dataclass(frozen=True, slots=True)
class End:
    """The conversation is over; its `result` stands."""

    hang_up: bool


Action = Play | Listen | Record | Do | End


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a `Do`."""

    way: str
    """One of `Act.ways`."""
    values: Mapping[str, Any] = field(default_factory=dict)
    """Values of prompts from here on."""
    language: str | None = None
    """The language from here on, if the person has not chosen one by key."""


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a conversation."""

    outcome: str
    hung_up: bool = False
    """The person hung up; with another outcome than `hung_up` only after it was decided."""
    digits: str = field(default="", repr=False)
    """What was collected last and taken by nobody. Never in a log."""
    wrong_keys: int = 0
    language: str = ""
