"""What is wrong with a configuration, in words that say what is allowed instead."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
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


def in_reading(error: ValidationError) -> list[Mistake]:
    """What pydantic found, in our words."""
    return [_mistake(details) for details in error.errors(include_url=False)]


def _mistake(details: Any) -> Mistake:
    path = tuple(part for part in details["loc"] if part != "[key]")
    context: dict[str, Any] = details.get("ctx", {})
    if details["type"] == "extra_forbidden":
        return Mistake(path, _unknown_key(path))
    if "key" in context:  # a rule over several keys names the one to look at
        return Mistake((*path, context["key"]), details["msg"])
    describe = _DESCRIPTIONS.get(details["type"])
    if describe is None:
        return Mistake(path, details["msg"].removeprefix("Value error, "))
    return Mistake(path, describe(_shown(details["input"]), context))


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
    "model_type": lambda value, context: f"{value} is no table; allowed: a header in brackets, then its keys",
    "model_attributes_type": lambda value, context: f"{value} is no table; allowed: a header in brackets",
    "literal_error": lambda value, context: f"{value} is not known; allowed: {context['expected']}",
    "greater_than_equal": lambda value, context: f"{value} is too small; allowed: {context['ge']} or more",
    "less_than_equal": lambda value, context: f"{value} is too large; allowed: {context['le']} or less",
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


def in_references(settings: Settings) -> list[Mistake]:
    """Names that stand twice, names that nothing has, files that are not there."""
    return [
        *_twice("devices", settings.devices, "id"),
        *_twice("workers", settings.workers, "id"),
        *_twice("operators", settings.operators, "id"),
        *_twice("trunks", settings.trunks, "id"),
        *_users_twice(settings),
        *_numbers_twice("devices", settings.devices),
        *_numbers_twice("workers", settings.workers),
        *_dangling(settings),
        *_no_files(settings),
    ]


def _twice(table: str, rows: Sequence[BaseModel], key: str) -> Iterator[Mistake]:
    places: dict[str, int] = {}
    for number, row in enumerate(rows):
        value = getattr(row, key)
        first = places.setdefault(value, number)
        if first != number:
            yield Mistake((table, number, key), f"{value!r} is taken already by {table}[{first + 1}]")


def _users_twice(settings: Settings) -> Iterator[Mistake]:
    """Devices and operators register at one registrar: their user names are one name space."""
    taken: dict[str, str] = {}
    tables: tuple[tuple[str, Iterable[Any]], ...] = (
        ("devices", settings.devices),
        ("operators", settings.operators),
    )
    for table, rows in tables:
        for number, row in enumerate(rows):
            if row.username is None:
                continue
            place = f"{table}[{number + 1}]"
            first = taken.setdefault(row.username, place)
            if first != place:
                yield Mistake((table, number, "username"), f"{row.username!r} is taken already by {first}")


def _numbers_twice(table: str, rows: Iterable[Any]) -> Iterator[Mistake]:
    """A number that two of one kind have would identify neither."""
    holders: dict[str, set[int]] = defaultdict(set)
    for number, row in enumerate(rows):
        for telephone in row.numbers:
            first = min(holders[telephone], default=number)
            holders[telephone].add(number)
            if first != number:
                text = f"{telephone!r} is taken already by {table}[{first + 1}]"
                yield Mistake((table, number, "numbers"), text)


def _dangling(settings: Settings) -> Iterator[Mistake]:
    workers = [worker.id for worker in settings.workers]
    trunks = [trunk.id for trunk in settings.trunks]
    for number, device in enumerate(settings.devices):
        for key, wanted, known in (("worker", device.worker, workers), ("trunk", device.trunk, trunks)):
            if wanted is not None and wanted not in known:
                allowed = f"allowed: {', '.join(known)}" if known else f"there are no [[{key}s]]"
                yield Mistake(("devices", number, key), f"no {key} has the id {wanted!r}; {allowed}")


def _no_files(settings: Settings) -> Iterator[Mistake]:
    for key in ("certificate", "private_key", "ca"):
        path: Path | None = getattr(settings.sip, key)
        if path is not None and not path.is_file():
            yield Mistake(("sip", key), f"there is no file {str(path)!r}; allowed: a PEM file")
