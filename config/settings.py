"""`load(path)`: the settings of the service, from defaults, then a TOML file, then the environment.

`EARSHOT_SIP__UDP=0.0.0.0:5070` sets `udp` of `[sip]`, written as in TOML or without quotes.
Every mistake is reported, one line each: the file, the line, the key, and what is allowed.
"""

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from pydantic import ValidationError

from config.mistakes import Mistake, in_reading
from config.models import (
    Alarms,
    Api,
    Device,
    Log,
    Operator,
    Recordings,
    Rtp,
    Settings,
    Sip,
    Store,
    Trunk,
    Worker,
)
from config.places import Place, Places
from config.references import in_references
from voice.errors import ConfigurationError

__all__ = [
    "Alarms",
    "Api",
    "ConfigurationError",
    "Device",
    "Log",
    "Operator",
    "Recordings",
    "Rtp",
    "Settings",
    "Sip",
    "Store",
    "Trunk",
    "Worker",
    "load",
    "parse",
    "read",
]

PREFIX = "EARSHOT_"


def load(path: Path | None = None, environment: Mapping[str, str] | None = None) -> Settings:
    """The settings. Without a path: the defaults. Raises `ConfigurationError` that names every mistake."""
    if path is None:
        return parse("", "configuration", environment)
    return parse(read(path), str(path), environment)


def parse(text: str, name: str, environment: Mapping[str, str] | None = None) -> Settings:
    """The settings that a file of this name sets. Raises as `load` does."""
    try:
        written = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{name}:{_syntax(error, text)}") from None
    places = Places(text)
    variables: dict[Place, str] = {}
    for variable, (table, key), value in _overrides(environment or {}):
        section = written.setdefault(table, {})
        if isinstance(section, dict):
            section[key] = value
            variables[table, key] = variables[table,] = variable
    settings, mistakes = _validate(written)
    if settings is None:
        raise ConfigurationError("\n".join(_tell(mistakes, name, places, variables)))
    return settings


def _validate(written: dict[str, object]) -> tuple[Settings | None, list[Mistake]]:
    try:
        settings = Settings.model_validate(written)
    except ValidationError as error:
        return None, in_reading(error)
    mistakes = in_references(settings)
    return (None if mistakes else settings), mistakes


def _tell(mistakes: Iterable[Mistake], name: str, places: Places, variables: Mapping[Place, str]) -> Iterator[str]:
    """One line for each mistake, in the order of the file; those of the environment come last."""
    for mistake in sorted(mistakes, key=lambda mistake: (mistake.path[:2] in variables, places.line(mistake.path))):
        where = variables.get(mistake.path[:2]) or f"{name}:{places.line(mistake.path)}"
        yield f"{where}: {mistake.key}: {mistake.text}"


def read(path: Path) -> str:
    """The text of a file. Raises `ConfigurationError`."""
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path}: is not UTF-8 text (byte {error.start})") from None


def _syntax(error: tomllib.TOMLDecodeError, text: str) -> str:
    """The line, and what the reader of TOML says about it; it names the place at the end of its message."""
    message, _, place = str(error).rpartition(" (at ")
    numbers = re.findall(r"\d+", place)
    line = numbers[0] if numbers else str(text.count("\n") + 1)
    return f"{line}: {(message or str(error)).lower()}"


def _overrides(environment: Mapping[str, str]) -> Iterator[tuple[str, tuple[str, str], object]]:
    """What the environment sets: the variable, the table and key, the value."""
    for variable, text in sorted(environment.items()):
        table, separator, key = variable.removeprefix(PREFIX).lower().partition("__")
        if variable.startswith(PREFIX) and separator:
            yield variable, (table, key), _value(table, key, text)


def _value(table: str, key: str, text: str) -> object:
    """Text stays text where the key takes nothing else; everywhere else it is read as TOML if it can be."""
    section = Settings.model_fields.get(table)
    fields = getattr(section.annotation, "model_fields", {}) if section is not None else {}
    if key in fields and fields[key].annotation is str:
        return text
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
