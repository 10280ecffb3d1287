"""How values are said: numbers, telephone numbers, times, durations, addresses, coordinates, in each language."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from babel import Locale

if TYPE_CHECKING:
    from ivr.prompts import Prompts


class Saying:
    """Says values in one language. Words that a language needs for it are prompts too (`saying.*`)."""

    def __init__(self, prompts: "Prompts", language: str, timezone: str) -> None:
        self.prompts = prompts
        self.language = language
        self.timezone = timezone
        self.locale = Locale(language)

    def value(self, kind: str, name: str, value: Any) -> str:
        """A value as words. Raises KeyError for a kind that there is not."""
        if kind == "term":
            return self.prompts.text(self.language, f"{name}.{value}", {}, timezone=self.timezone)
        return KINDS[kind](self, value)

    def plural(self, number: float) -> str:
        return str(self.locale.plural_form(number))


KINDS: Mapping[str, Callable[[Saying, Any], str]] = {
    "": lambda saying, value: str(value),
    "number": lambda saying, value: str(value),
}
"""Kind of placeholder to how it is said."""
