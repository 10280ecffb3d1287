"""What is wrong with a value of the configuration, in words that say what is allowed instead."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from pydantic import BaseModel, ValidationError

from config.models import Settings
from config.places import Place


@dataclass(frozen=True, slots=True)
class Mistake:
    """One thing that is wrong, and where."""

    path: Place
    text: str

    @property
    def key(self) -> str:
        """`devices[2].username`: tables of an array are counted from 1, as people do."""
        key = ""
        for part in self.path:
            key += f"[{part + 1}]" if isinstance(part, int) else f".{part}" if key else part
        return key


def in_reading(error: ValidationError, above: Place = ()) -> list[Mistake]:
    """What pydantic found, in our words. `above`: the table of which one row was read."""
    found = error.errors(include_url=False)
    return [_mistake(details, above) for details in found if not _follows(details, found)]


def _follows(details: Any, found: Iterable[Any]) -> bool:
    """Whether it comes from mistakes that are told anyway: pydantic takes a list for too short without its bad rows."""
    path = details["loc"]
    return details["type"] == "too_short" and any(
        other["loc"][: len(path)] == path and len(other["loc"]) > len(path) for other in found
    )


def _mistake(details: Any, above: Place) -> Mistake:
    path = (*above, *(part for part in details["loc"] if part != "[key]"))
    context: dict[str, Any] = details.get("ctx", {})
    if details["type"] == "extra_forbidden":
        return Mistake(path, _unknown_key(path))
    if "key" in context:  # a rule over several keys names the one to look at
        return Mistake((*path, context["key"]), details["msg"])
    describe = _DESCRIPTIONS.get(details["type"])
    if describe is None:
        return Mistake(path, details["msg"].removeprefix("Value error, "))
    return Mistake(path, describe(_shown(details["input"]), context))


def _no_day(value: str, context: dict[str, Any]) -> str:
    return f"{value} is no day; allowed: such as 2026-12-25"


_DESCRIPTIONS: dict[str, Callable[[str, dict[str, Any]], str]] = {
    "missing": lambda value, context: "is missing; it has no default",
    "bool_type": lambda value, context: f"{value} is neither; allowed: true, false",
    "int_type": lambda value, context: f"{value} is no whole number",
    "float_type": lambda value, context: f"{value} is no number",
    "string_type": lambda value, context: f'{value} is no text; allowed: text in quotes, such as "…"',
    "path_type": lambda value, context: f'{value} is no path; allowed: text in quotes, such as "folder/file"',
    "tuple_type": lambda value, context: f"{value} is no list; allowed: […]",
    "mapping_type": lambda value, context: f'{value} is no table; allowed: {{ "key" = "value" }}',
    "dict_type": lambda value, context: f'{value} is no table; allowed: {{ "key" = "value" }}',
    "date_type": _no_day,
    "date_from_datetime_parsing": _no_day,
    "date_from_datetime_inexact": _no_day,
    "model_type": lambda value, context: f"{value} is no table; allowed: a header in brackets, then its keys",
    "model_attributes_type": lambda value, context: f"{value} is no table; allowed: a header in brackets",
    "literal_error": lambda value, context: f"{value} is not known; allowed: {context['expected']}",
    "greater_than_equal": lambda value, context: f"{value} is too small; allowed: {context['ge']:g} or more",
    "greater_than": lambda value, context: f"{value} is too small; allowed: more than {context['gt']:g}",
    "less_than_equal": lambda value, context: f"{value} is too large; allowed: {context['le']:g} or less",
    "string_too_short": lambda value, context: "is empty",
    "too_short": lambda value, context: "is empty; allowed: a list of at least one",
}


def _shown(value: object) -> str:
    text = repr(value) if isinstance(value, str) else str(value).lower() if isinstance(value, bool) else str(value)
    return text if len(text) <= 60 else text[:57] + "…"


def _unknown_key(path: Place) -> str:
    known = _keys_of(path[:-1])
    close = get_close_matches(str(path[-1]), known, n=1)
    meant = f'; did you mean "{close[0]}"?' if close else ""
    return f"is not known{meant} (allowed here: {', '.join(known)})"


def _keys_of(path: Place) -> list[str]:
    """The keys that the table at `path` may have."""
    model: type[BaseModel] = Settings
    for part in path:
        if isinstance(part, str):
            model = _models_in(model.model_fields[part].annotation)
    return [field.alias or name for name, field in model.model_fields.items()]


def _models_in(annotation: Any) -> type[BaseModel]:
    candidates = [annotation, *getattr(annotation, "__args__", ())]
    return next(kind for kind in candidates if isinstance(kind, type) and issubclass(kind, BaseModel))
