"""Dialogues as data, and `Conversation`: the pure state machine that leads one of them.

A dialogue is a set of named steps. A `Question` says something and waits for keys; an `Ending` says the last words.
Whoever leads the conversation (`ivr.runner`) tells the machine what happened and does what it answers:

    begin                       -> Play
    played   (to its end)       -> Play | Listen | End
    digit    (typed, barged in) -> Play | Listen
    timer    (listened in vain) -> Play | End
    hung_up                     -> End

Of the actions handed out at least one is pending until `End`, so a conversation always goes on. It also always ends:
silence and wrong keys are counted, and keys that lead in circles are honoured only within the dialogue's `limit`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum, StrEnum, auto
from types import MappingProxyType
from typing import Any

HUNG_UP = "hung_up"
"""The outcome of every conversation whose person hangs up before it is decided."""

NOTHING: Mapping[str, Any] = MappingProxyType({})


# -- dialogues --


@dataclass(frozen=True, slots=True)
class Choice:
    """What a key does."""

    to: str
    """The next step."""
    says: tuple[str, ...] = ()
    """How the key is confirmed by voice."""
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
    given_up: str | None = None
    """Where too many wrong keys lead; None: where silence leads."""
    machine: str | None = None
    """Where silence leads once an answering machine is suspected, after fewer repeats; None: nothing changes."""


@dataclass(frozen=True, slots=True)
class Ending:
    """The last step."""

    outcome: str
    says: tuple[str, ...] = ()
    hang_up: bool = True


@dataclass(frozen=True, slots=True)
class Dialogue:
    """A whole conversation."""

    name: str
    purpose: str
    start: str
    steps: Mapping[str, Question | Ending]
    limit: float = 60.0
    """Seconds after which no question is asked or repeated any more."""
    at_limit: str = "not_answered"
    """The ending then."""

    @property
    def prompts(self) -> tuple[str, ...]:
        """Everything that it may say, in the order in which it is written, each once."""
        return tuple(dict.fromkeys(prompt for step in self.steps.values() for prompt in _prompts_of(step)))


def _prompts_of(step: Question | Ending) -> Iterator[str]:
    if isinstance(step, Ending):
        yield from step.says
        return
    yield from step.announces + step.asks + (step.again or ()) + step.wrong
    for choice in step.keys.values():
        yield from choice.says


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
class End:
    """The conversation is over; its `result` stands."""

    hang_up: bool


Action = Play | Listen | End


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a conversation."""

    outcome: str
    hung_up: bool = False
    """The person hung up; with another outcome than `hung_up` only after it was decided."""
    digits: str = field(default="", repr=False)
    """What was collected last. Never in a log: it may be a PIN."""
    wrong_keys: int = 0
    language: str = ""


class _Phase(Enum):
    ANNOUNCING = auto()
    ASKING = auto()
    LISTENING = auto()
    CONFIRMING = auto()
    ENDING = auto()
    OVER = auto()


class Conversation:
    """One conversation. Times are seconds of any steady clock."""

    def __init__(self, dialogue: Dialogue, *, language: str, values: Mapping[str, Any] = NOTHING) -> None:
        self.dialogue = dialogue
        self.language = language
        self.values = values
        self.step = dialogue.start
        self.result: Result | None = None
        self.suspicion = 0
        """Set from outside: how many repeats an answering machine that was heard is not worth. No key counts less."""
        self._phase = _Phase.OVER
        self._next = dialogue.start
        self._announced: tuple[str, ...] = ()
        self._ends_at = 0.0
        self._due_at = 0.0
        self._repeats = 0
        self._mistakes = 0
        self._wrong_keys = 0
        self._digits = ""
        self.keyed: str | None = None
        """The key that was accepted in the last call of `digit`."""

    # -- what happens --

    def begin(self, now: float) -> Action:
        self._ends_at = now + self.dialogue.limit
        return self._enter(self.dialogue.start, now)

    def played(self, now: float) -> Action:
        """What was to be played was heard to its end."""
        match self._phase:
            case _Phase.ANNOUNCING:
                return self._ask(self._announced)
            case _Phase.CONFIRMING:
                return self._enter(self._next, now)
            case _Phase.ENDING:
                return self._end()
            case _:
                return self._listen(self._question.waits, now)

    def digit(self, symbol: str, now: float) -> Action | None:
        """A key was pressed. None: it counts for nothing, go on as before."""
        self.keyed = None
        if self._phase not in (_Phase.ASKING, _Phase.LISTENING):
            return None
        if self._digits:
            return self._collect(symbol, now)
        choice = self._choice(symbol)
        if choice is not None:
            self.keyed = symbol
            if choice.language is not None:
                self.language = self._resolved(choice.language)
            return self._confirm(choice, now)
        if self._question.digits is not None and symbol != "*":
            return self._collect(symbol, now)
        return self._wrong(now)

    def timer(self, now: float) -> Action | None:
        """Time has passed while it listened. None: it does not listen."""
        if self._phase is not _Phase.LISTENING:
            return None
        if now < self._due_at:
            return Listen(self._due_at - now)
        question = self._question
        if self._digits and question.digits is not None:
            return self._enter(question.digits.to, now)
        suspicion = self.suspicion if question.machine is not None else 0
        if self._repeats < question.repeats - suspicion and now < self._ends_at:
            self._repeats += 1
            return self._ask(self._again)
        return self._enter(question.machine if suspicion and question.machine else question.silence, now)

    def hung_up(self, now: float) -> End:
        """The person has hung up. What his key decided stays decided."""
        target = self.dialogue.steps[self._next if self._phase is _Phase.CONFIRMING else self.step]
        self._finish(target.outcome if isinstance(target, Ending) else HUNG_UP, hung_up=True)
        return End(hang_up=False)

    # -- inside --

    @property
    def _question(self) -> Question:
        step = self.dialogue.steps[self.step]
        if not isinstance(step, Question):
            raise TypeError(f"{self.dialogue.name}.{self.step} asks nothing")
        return step

    @property
    def _again(self) -> tuple[str, ...]:
        question = self._question
        return question.announces + question.asks if question.again is None else question.again

    def _resolved(self, name: str) -> str:
        return str(self.values[name[1:-1]]) if name.startswith("{") else name

    def _choice(self, symbol: str) -> Choice | None:
        return next((choice for key, choice in self._question.keys.items() if self._resolved(key) == symbol), None)

    def _enter(self, name: str, now: float) -> Action:
        step = self.dialogue.steps[name]
        if isinstance(step, Question) and now >= self._ends_at:
            name = self.dialogue.at_limit
            step = self.dialogue.steps[name]
        self.step = name
        if isinstance(step, Ending):
            self._phase = _Phase.ENDING
            return Play(step.says, Keys.KEPT, self.language)
        self._repeats, self._mistakes, self._digits = 0, 0, ""
        return self._announce(step.announces, step.asks) if step.announces else self._ask(step.asks)

    def _announce(self, prompts: tuple[str, ...], asks: tuple[str, ...]) -> Action:
        self._phase, self._announced = _Phase.ANNOUNCING, asks
        return Play(prompts, Keys.DROPPED, self.language)

    def _ask(self, prompts: tuple[str, ...]) -> Action:
        self._phase = _Phase.ASKING
        return Play(prompts, Keys.INTERRUPT, self.language)

    def _listen(self, seconds: float, now: float) -> Action:
        self._phase = _Phase.LISTENING
        self._due_at = now + seconds
        return Listen(seconds)

    def _confirm(self, choice: Choice, now: float) -> Action:
        if not choice.says:
            return self._enter(choice.to, now)
        self._phase, self._next = _Phase.CONFIRMING, choice.to
        return Play(choice.says, Keys.KEPT, self.language)

    def _collect(self, symbol: str, now: float) -> Action:
        wanted = self._question.digits
        if wanted is None:
            return self._wrong(now)
        if symbol == "*":  # start over
            self._digits = ""
            return self._wrong(now) if now >= self._ends_at else self._listen(self._question.waits, now)
        if symbol != wanted.terminator:
            self._digits += symbol
        elif not self._digits:
            return self._wrong(now)
        if symbol == wanted.terminator or len(self._digits) >= wanted.maximum:
            return self._enter(wanted.to, now)
        return self._listen(wanted.between, now)

    def _wrong(self, now: float) -> Action:
        self._mistakes += 1
        self._wrong_keys += 1
        question = self._question
        if self._mistakes >= question.mistakes or now >= self._ends_at:
            return self._enter(question.given_up or question.silence, now)
        return self._announce(question.wrong, self._again) if question.wrong else self._ask(self._again)

    def _end(self) -> Action:
        step = self.dialogue.steps[self.step]
        if not isinstance(step, Ending):
            raise TypeError(f"{self.dialogue.name}.{self.step} is no ending")
        self._finish(step.outcome, hung_up=False)
        return End(step.hang_up)

    def _finish(self, outcome: str, *, hung_up: bool) -> None:
        self._phase = _Phase.OVER
        self.result = Result(outcome, hung_up, self._digits, self._wrong_keys, self.language)
