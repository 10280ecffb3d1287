"""`Conversation`: the pure state machine that leads through one dialogue (`ivr.menu`).

Whoever leads the conversation (`ivr.runner`) tells the machine what happened and does what it answers:

    begin                       -> Play | Do
    played   (to its end)       -> Play | Listen | Record | Do | End
    digit    (typed, barged in) -> Play | Listen | Do
    timer    (listened in vain) -> Play | Do
    recorded (or hung up)       -> Play | Do
    answered (what was done)    -> Play | Do
    hung_up                     -> Do | End

Of the actions handed out at least one is pending until `End`, so a conversation always goes on. It also always ends:
silence and wrong keys are counted, and keys that lead in circles are honoured only within the dialogue's `limit`.
What was keyed to its end counts even if the person hangs up at once; so does a number without its terminator.
"""

from collections.abc import Collection, Mapping
from enum import Enum, auto
from typing import Any

from ivr.menu import (
    AGAIN,
    HUNG_UP,
    NOTHING,
    Act,
    Action,
    Answer,
    Choice,
    Dialogue,
    Digits,
    Do,
    End,
    Ending,
    Keys,
    Listen,
    Play,
    Question,
    Record,
    Recording,
    Result,
)

_SAMPLES = 8000  # a second


class _Phase(Enum):
    ANNOUNCING = auto()
    ASKING = auto()
    LISTENING = auto()
    RECORDING = auto()
    DOING = auto()
    CONFIRMING = auto()
    ENDING = auto()
    OVER = auto()


class Conversation:
    """One conversation. Times are seconds of any steady clock."""

    def __init__(self, dialogue: Dialogue, *, language: str, values: Mapping[str, Any] = NOTHING) -> None:
        self.dialogue = dialogue
        self.language = language
        self.values = values
        """Of the prompts; answers add to them."""
        self.step = dialogue.start
        self.result: Result | None = None
        self.suspicion = 0
        """Set from outside: how many repeats an answering machine that was heard is not worth. No key counts less."""
        self.keyed: str | None = None
        """The key that was accepted in the last call of `digit`."""
        self.clip = b""
        """What was recorded last: A-law, 8 kHz."""
        self._phase = _Phase.OVER
        self._next = dialogue.start
        self._asked = dialogue.start
        self._announced: tuple[str, ...] = ()
        self._ends_at = 0.0
        self._due_at = 0.0
        self._repeats = 0
        self._mistakes = 0
        self._wrong_keys = 0
        self._digits = ""
        self._early = ""
        self._collected = ""
        self._entries: dict[str, str] = {}
        self._chose_language = False
        self._refused = False

    # -- what happens --

    def begin(self, now: float) -> Action:
        self._ends_at = now + self.dialogue.limit
        return self._enter(self.dialogue.start, now)

    def played(self, now: float) -> Action:
        """What was to be played was heard to its end."""
        match self._phase:
            case _Phase.ANNOUNCING if isinstance(step := self.dialogue.steps[self.step], Recording):
                self._phase = _Phase.RECORDING
                return Record(step.longest, step.ends)
            case _Phase.ANNOUNCING:
                return self._complete(self._early, now) if self._early else self._ask(self._announced)
            case _Phase.CONFIRMING:
                return self._enter(self._next, now)
            case _Phase.ENDING:
                return self._end()
            case _:
                return self._listen(self._question.waits, now)

    def missed(self, digits: str) -> None:
        """These were pressed while keys counted for nothing. Entries that are known (`Digits.entries`) count."""
        if self._phase is _Phase.ANNOUNCING and isinstance(question := self.dialogue.steps[self.step], Question):
            entries = self._known(question.digits)
            self._early = next((entry for entry in entries if entry in digits), self._early)

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
            if self._question.enters:
                self._entries[self._question.enters] = symbol
            return self._follow(choice, now)
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
        if self._digits:
            return self._complete(self._digits, now)
        suspicion = self.suspicion if question.machine is not None else 0
        if self._repeats < question.repeats - suspicion and now < self._ends_at:
            self._repeats += 1
            return self._ask(self._again)
        return self._enter(question.machine if suspicion and question.machine else question.silence, now)

    def recorded(self, clip: bytes, now: float) -> Action:
        """This was said."""
        step = self.dialogue.steps[self.step]
        if not isinstance(step, Recording):
            raise TypeError(f"{self.dialogue.name}.{self.step} records nothing")
        enough = len(clip) >= step.shortest * _SAMPLES
        self.clip = clip if enough else b""
        return self._enter(step.to if enough else step.nothing, now)

    def answered(self, answer: Answer, now: float) -> Action:
        """What was to be done is done."""
        step = self.dialogue.steps[self.step]
        if not isinstance(step, Act):
            raise TypeError(f"{self.dialogue.name}.{self.step} has nothing done")
        self.values = {**self.values, **answer.values}
        if answer.language is not None and not self._chose_language:
            self.language = answer.language
        choice = step.ways[answer.way]
        if choice.to != AGAIN:
            return self._follow(choice, now)
        self.step, self._refused = self._asked, True
        return self._wrong(now)

    def hung_up(self, now: float) -> Do | End:
        """The person has hung up. What he keyed counts, what it decided stays decided."""
        entry = self._early or self._digits
        wanted = self._asks_for
        if entry and wanted is not None and isinstance(self.dialogue.steps[wanted.to], Act):
            action = self._complete(entry, now)
            if isinstance(action, Do):
                return action
        self._finish(self._left_with, hung_up=True)
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

    @property
    def _asks_for(self) -> Digits | None:
        """The digits that are asked for now."""
        if self._phase not in (_Phase.ANNOUNCING, _Phase.ASKING, _Phase.LISTENING):
            return None
        step = self.dialogue.steps[self.step]
        return step.digits if isinstance(step, Question) else None

    @property
    def _left_with(self) -> str:
        """The outcome if the person hangs up now."""
        match self.dialogue.steps[self._next if self._phase is _Phase.CONFIRMING else self.step]:
            case Ending(outcome=outcome):
                return outcome
            case Question(left=left) | Recording(left=left):
                return left
            case Act():
                return HUNG_UP

    def _resolved(self, name: str) -> Any:
        return self.values[name[1:-1]] if name.startswith("{") else name

    def _choice(self, symbol: str) -> Choice | None:
        return next((choice for key, choice in self._question.keys.items() if self._resolved(key) == symbol), None)

    def _known(self, wanted: Digits | None) -> Collection[str]:
        entries: Collection[str] = () if wanted is None or wanted.entries is None else self._resolved(wanted.entries)
        return entries

    def _keep(self, entry: str) -> None:
        """What is kept under a name is for the step that takes it, and for nobody else."""
        if self._question.enters:
            self._entries[self._question.enters] = entry
        elif self._question.digits is not None:
            self._collected = entry

    def _follow(self, choice: Choice, now: float) -> Action:
        if choice.language is not None:
            self.language, self._chose_language = str(self._resolved(choice.language)), True
        if not choice.says:
            return self._enter(choice.to, now)
        self._phase, self._next = _Phase.CONFIRMING, choice.to
        return Play(choice.says, Keys.KEPT, self.language)

    def _enter(self, name: str, now: float) -> Action:
        step = self.dialogue.steps[name]
        if isinstance(step, Question | Recording) and now >= self._ends_at:
            name = step.late or self.dialogue.at_limit
            step = self.dialogue.steps[name]
        self.step = name
        match step:
            case Ending():
                self._phase = _Phase.ENDING
                return Play(step.says, Keys.KEPT, self.language)
            case Act():
                return self._do(step)
            case Recording():
                return self._announce(step.announces, ())
            case Question():
                self._asked = name
                self._repeats, self._mistakes, self._digits, self._early = 0, 0, "", ""
                return self._announce(step.announces, step.asks) if step.announces else self._ask(step.asks)

    def _do(self, step: Act) -> Do:
        self._phase = _Phase.DOING
        return Do(step.does, tuple(self._entries.pop(name) for name in step.takes), self.clip)

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

    def _collect(self, symbol: str, now: float) -> Action:
        wanted = self._question.digits
        if wanted is None:
            return self._wrong(now)
        if symbol == "*":  # start over
            self._digits = ""
            return self._wrong(now) if now >= self._ends_at else self._listen(self._question.waits, now)
        if symbol == wanted.terminator:
            return self._complete(self._digits, now) if self._digits else self._wrong(now)
        self._digits += symbol
        if len(self._digits) >= wanted.maximum or self._digits in self._known(wanted):
            return self._complete(self._digits, now)
        return self._listen(wanted.between, now)

    def _complete(self, entry: str, now: float) -> Action:
        wanted = self._question.digits
        if wanted is None or not _is_within(wanted, entry):
            return self._wrong(now)
        self._early = self._digits = ""
        self._keep(entry)
        return self._enter(wanted.to, now)

    def _wrong(self, now: float) -> Action:
        self._digits, self._early = "", ""
        self._mistakes += 1
        self._wrong_keys += 1
        question = self._question
        if self._mistakes >= question.mistakes or now >= self._ends_at:
            return self._enter(question.given_up or question.silence, now)
        if question.eager or not question.wrong:
            return self._ask(question.wrong + self._again)
        return self._announce(question.wrong, self._again)

    def _end(self) -> Action:
        step = self.dialogue.steps[self.step]
        if not isinstance(step, Ending):
            raise TypeError(f"{self.dialogue.name}.{self.step} is no ending")
        self._finish(step.outcome, hung_up=False)
        return End(step.hang_up and not self._refused)

    def _finish(self, outcome: str, *, hung_up: bool) -> None:
        self._phase = _Phase.OVER
        self.result = Result(outcome, hung_up, self._collected, self._wrong_keys, self.language)


def _is_within(wanted: Digits, entry: str) -> bool:
    if wanted.highest is None:
        return True
    return entry.isdigit() and wanted.lowest <= int(entry) <= wanted.highest
