"""The part of ICU's MessageFormat that prompts are written in: parsed once, said often."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol


class MistakeInPrompt(ValueError):
    """A prompt is not written as `ivr.prompts` says."""


class Sayer(Protocol):
    """How values are said in one language."""

    def value(self, kind: str, name: str, value: Any) -> str:
        """A value as words; `kind` is "" for a plain one."""
        ...

    def plural(self, number: float) -> str:
        """The plural category of a number (CLDR): one, many, other."""
        ...


@dataclass(frozen=True, slots=True)
class Placeholder:
    """Where a value goes."""

    name: str
    kind: str = ""
    forms: Mapping[str, "Message"] | None = None
    """Of plural and select."""


@dataclass(frozen=True, slots=True)
class Message:
    """Text and placeholders in turn."""

    parts: tuple[str | Placeholder, ...]

    def say(self, sayer: Sayer, values: Mapping[str, Any], number: str = "#") -> str:
        """With all values. Raises KeyError for one that is not there."""
        said = (_part(part, sayer, values, number) for part in self.parts)
        return "".join(said)

    def placeholders(self) -> Iterator[tuple[str, str]]:
        """(name, kind) of every value that it needs, also within forms."""
        for part in self.parts:
            if isinstance(part, Placeholder):
                yield part.name, part.kind
                for form in (part.forms or {}).values():
                    yield from form.placeholders()


def _part(part: str | Placeholder, sayer: Sayer, values: Mapping[str, Any], number: str) -> str:
    if isinstance(part, str):
        return part.replace("#", number)
    value = values[part.name]
    if part.forms is None:
        return sayer.value(part.kind, part.name, value)
    if part.kind == "plural":
        form = part.forms.get(f"={value}") or part.forms.get(sayer.plural(value)) or part.forms["other"]
        return form.say(sayer, values, sayer.value("number", part.name, value))
    key = str(value).lower() if isinstance(value, bool) else str(value)
    return (part.forms.get(key) or part.forms["other"]).say(sayer, values, number)


def parse(text: str) -> Message:
    """Raises MistakeInPrompt."""
    reader = _Reader(text)
    message = reader.message()
    if reader.at < len(text):
        raise MistakeInPrompt(f"a closing brace too many: {text!r}")
    return message


class _Reader:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def message(self) -> Message:
        """Up to a closing brace, or the end."""
        parts: list[str | Placeholder] = []
        while self.at < len(self.text) and self.text[self.at] != "}":
            if self.text[self.at] == "{":
                self.at += 1
                parts.append(self._placeholder())
            else:
                parts.append(self._up_to("{}"))
        return Message(tuple(parts))

    def _placeholder(self) -> Placeholder:
        name = self._word()
        if self._take(",") is False:
            self._expect("}")
            return Placeholder(name)
        kind = self._word()
        if kind not in ("plural", "select"):
            self._expect("}")
            return Placeholder(name, kind)
        self._expect(",")
        forms: dict[str, Message] = {}
        while not self._take("}"):
            form = self._word()
            self._expect("{")
            forms[form] = self.message()
            self._expect("}")
        if "other" not in forms:
            raise MistakeInPrompt(f"{kind} of {name!r} needs the form other: {self.text!r}")
        return Placeholder(name, kind, forms)

    def _word(self) -> str:
        self._space()
        word = self._up_to(" \n\t,{}")
        if not word:
            raise MistakeInPrompt(f"a name is missing at {self.at}: {self.text!r}")
        self._space()
        return word

    def _up_to(self, stops: str) -> str:
        start = self.at
        while self.at < len(self.text) and self.text[self.at] not in stops:
            self.at += 1
        return self.text[start : self.at]

    def _space(self) -> None:
        while self.at < len(self.text) and self.text[self.at].isspace():
            self.at += 1

    def _take(self, symbol: str) -> bool:
        self._space()
        found = self.text.startswith(symbol, self.at)
        self.at += found
        return found

    def _expect(self, symbol: str) -> None:
        if not self._take(symbol):
            raise MistakeInPrompt(f"{symbol!r} is missing at {self.at}: {self.text!r}")
