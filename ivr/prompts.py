"""The texts of prompts in every language, with their values said rightly.

A prompt is named `group.name` and written in `<language>.toml` in a small part of ICU's MessageFormat:

    {worker}                                          as it is
    {count, plural, =0 {none} one {# minute} other {# minutes}}
    {operator, select, true {press 2} other {}}
    {callback, phone}                                 any of `ivr.saying.KINDS`: phone, time, duration, …
    {kind, term}                                      the prompt `kind.<value>`, in the same language

Within a form of plural or select `#` is the number, and there may be placeholders again.
"""

import tomllib
from collections.abc import Mapping
from functools import cached_property
from importlib.resources.abc import Traversable
from typing import Any

from ivr.message import Message, parse
from ivr.saying import Saying

LANGUAGES = ("nl", "en", "de", "fr")


class Prompts:
    """All texts, and the recordings that take the place of speech."""

    def __init__(
        self,
        texts: Mapping[str, Mapping[str, str]],
        recordings: Mapping[tuple[str, str], bytes] | None = None,
    ) -> None:
        """`texts`: by language, then by id. `recordings`: A-law by (language, id)."""
        self._texts = texts
        self._recordings = recordings or {}
        self._parsed: dict[tuple[str, str], Message] = {}
        self._sayings: dict[tuple[str, str], Saying] = {}

    @classmethod
    def load(cls, folder: Traversable) -> "Prompts":
        """Read `<language>.toml` of every language."""
        return cls({language: _flat(_read(folder, language)) for language in LANGUAGES})

    @cached_property
    def ids(self) -> tuple[str, ...]:
        """Every prompt that is in any language."""
        return tuple(dict.fromkeys(id for texts in self._texts.values() for id in texts))

    def text(self, language: str, id: str, values: Mapping[str, Any], *, timezone: str = "UTC") -> str:
        """What is said. Raises KeyError for a prompt or a value that there is not."""
        return " ".join(self.message(language, id).say(self._saying(language, timezone), values).split())

    def _saying(self, language: str, timezone: str) -> Saying:
        """Kept: Babel reads a locale from the disk when it is first asked."""
        found = self._sayings.get((language, timezone))
        if found is None:
            found = self._sayings[language, timezone] = Saying(self, language, timezone)
        return found

    def written(self, language: str, id: str) -> str:
        """A prompt as it is written, with its placeholders."""
        return self._texts[language][id]

    def has(self, language: str, id: str) -> bool:
        return id in self._texts[language]

    def message(self, language: str, id: str) -> Message:
        """A prompt, parsed."""
        found = self._parsed.get((language, id))
        if found is None:
            found = self._parsed[language, id] = parse(self.written(language, id))
        return found

    def recorded_as(self, recordings: Mapping[tuple[str, str], bytes]) -> "Prompts":
        """The same texts with these recordings, A-law by (language, id)."""
        return Prompts(self._texts, recordings)

    def recorded(self, language: str, id: str) -> bytes | None:
        """A customer's own recording of a prompt without values, in A-law."""
        return self._recordings.get((language, id))


def _read(folder: Traversable, language: str) -> Mapping[str, Any]:
    return tomllib.loads((folder / f"{language}.toml").read_text("utf-8"))


def _flat(table: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in table.items():
        found |= _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {f"{prefix}{name}": str(value)}
    return found
