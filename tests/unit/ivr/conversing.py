"""A conversation in a test: what happens goes in, what is to be done comes out."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from config.prompts import FOLDER
from ivr.conversation import Conversation
from ivr.menu import Action, Answer, Dialogue, Do, End, Listen, Play, Record
from ivr.prompts import Prompts
from ivr.speech import Voice
from voice.sim.loop import virtual_loop
from voice.sim.pretend import PretendPhone
from voice.sim.spoken import SimSpeaker

PROMPTS = Prompts.load(FOLDER)
NOW = datetime(2026, 3, 1, 13, 5, tzinfo=UTC)


class Talk:
    """A `Conversation`, its clock, and the action that is pending."""

    def __init__(self, dialogue: Dialogue, language: str = "en", **values: Any) -> None:
        self.conversation = Conversation(dialogue, language=language, values=values)
        self.now = 100.0
        self.action: Action = self.conversation.begin(self.now)

    def plays(self, *prompts: str) -> "Talk":
        assert isinstance(self.action, Play), self.action
        assert self.action.prompts == prompts
        return self

    def listens(self, seconds: float) -> "Talk":
        assert self.action == Listen(seconds)
        return self

    def ends(self, outcome: str) -> "Talk":
        assert isinstance(self.action, End), self.action
        assert self.conversation.result is not None
        assert self.conversation.result.outcome == outcome
        return self

    def hears_it_out(self) -> "Talk":
        self.now += 1.0
        self.action = self.conversation.played(self.now)
        return self

    def waits(self) -> "Talk":
        """In vain, for as long as is listened."""
        assert isinstance(self.action, Listen), self.action
        self.now += self.action.seconds
        self.action = self.conversation.timer(self.now) or self.action
        return self

    def presses(self, digits: str) -> "Talk":
        for digit in digits:
            self.now += 0.3
            self.action = self.conversation.digit(digit, self.now) or self.action
        return self

    def does(self, what: str, *entries: str) -> "Talk":
        assert isinstance(self.action, Do), self.action
        assert (self.action.does, self.action.entries) == (what, entries)
        return self

    def is_answered(self, way: str, language: str | None = None, **values: Any) -> "Talk":
        self.action = self.conversation.answered(Answer(way, values, language), self.now)
        return self

    def records(self, seconds: float, ends: str) -> "Talk":
        assert self.action == Record(seconds, ends)
        return self

    def speaks(self, clip: bytes) -> "Talk":
        self.now += len(clip) / 8000
        self.action = self.conversation.recorded(clip, self.now)
        return self

    def leaves(self) -> "Talk":
        self.action = self.conversation.hung_up(self.now)
        return self


class Person:
    """Somebody on a pretended phone who acts on what he hears."""

    def __init__(self) -> None:
        self.phone = PretendPhone()
        self.speaker = SimSpeaker()
        self.began = virtual_loop().time()
        self._rules: list[tuple[str, float, Callable[[], None]]] = []
        self.phone.on_play = self._hears

    def voice(self, language: str = "en") -> Voice:
        return Voice(PROMPTS, self.speaker, language, "Europe/Amsterdam")

    def hearing(self, words: str, do: Callable[[], None], after: float = 0.5) -> None:
        """When these words are said, do this so long after they were said, once."""
        self._rules.append((words, after, do))

    def presses_on(self, words: str, digits: str, after: float = 0.5) -> None:
        self.hearing(words, lambda: self.phone.press(digits), after)

    def presses_in_turn(self, words: str, *digits: str) -> None:
        """Something else each time that these words are said."""

        def press() -> None:
            self.phone.press(digits[0])
            if digits[1:]:
                self.presses_in_turn(words, *digits[1:])

        self.hearing(words, press)

    @property
    def heard(self) -> list[str]:
        """Every text of which anything was heard."""
        return [text.text for played in self.phone.played for text in self.speaker.read(played.audio)]

    def heard_often(self, words: str) -> int:
        return sum(words in text for text in self.heard)

    @property
    def transcript(self) -> list[tuple[float, bytes]]:
        """What was heard, sample by sample, and when. Exact between stories that have a world of their own."""
        return [(played.at - self.began, played.audio) for played in self.phone.played]

    @property
    def seconds(self) -> float:
        return virtual_loop().time() - self.began

    def _hears(self, audio: bytes) -> None:
        if not self._rules:
            return
        for text in self.speaker.read(audio):
            for rule in list(self._rules):
                words, after, do = rule
                if words in text.text:
                    self._rules.remove(rule)
                    virtual_loop().call_later(text.until + after, do)
