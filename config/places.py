"""Where in a TOML file a key stands. The standard reader says what a file holds, but not on which line.

A place is a path such as `("sip", "udp")` or `("devices", 1, "username")`: tables of an array count from 0.
Only text that `tomllib` has accepted is scanned, so the scan follows structure and need not check it.
"""

import re
import tomllib
from collections.abc import Iterator

Place = tuple[str | int, ...]

_HEADER = re.compile(r"\s*(\[\[?)(.+?)(\]\]?)\s*(#.*)?")
_KEY = re.compile(r"\s*((?:[A-Za-z0-9_-]+|\"(?:[^\"\\]|\\.)*\"|'[^']*'|\s*\.\s*)+?)\s*=")
_OPENING, _CLOSING = "[{", "]}"
_TRIPLE = ('"""', "'''")


class Places:
    """The line of every table and key of one file."""

    def __init__(self, text: str) -> None:
        self._lines = dict(_scan(text))

    def line(self, path: Place) -> int:
        """The line (from 1) where `path` stands; or, if that is not written out, where what holds it does."""
        while path and path not in self._lines:
            path = path[:-1]
        return self._lines.get(path, 1)


def _scan(text: str) -> Iterator[tuple[Place, int]]:
    table: Place = ()
    counts: dict[Place, int] = {}
    pending = _Value()
    for number, line in enumerate(text.splitlines(), 1):
        if pending.unfinished:
            pending.feed(line)
        elif (header := _HEADER.fullmatch(line)) is not None and line.lstrip().startswith("["):
            table = _table(_keys(header[2]), header[1] == "[[", counts)
            if table[-1] == 0:
                yield table[:-1], number  # an array of tables stands where its first table does
            yield table, number
        elif (key := _KEY.match(line)) is not None:
            path = table + _keys(key[1])
            for length in range(len(table) + 1, len(path) + 1):
                yield path[:length], number
            pending.feed(line[key.end() :])


def _keys(dotted: str) -> Place:
    """`a."b.c".d` as `("a", "b.c", "d")`, by the standard reader, so that quoting means the same."""
    value: object = tomllib.loads(f"{dotted} = 0")
    keys: list[str] = []
    while isinstance(value, dict):
        ((key, value),) = value.items()
        keys.append(key)
    return tuple(keys)


def _table(keys: Place, is_array: bool, counts: dict[Place, int]) -> Place:
    """The path of a table from its header; tables of arrays get their number, within subtables too."""
    path: Place = ()
    for position, key in enumerate(keys):
        path = (*path, key)
        if is_array and position == len(keys) - 1:
            counts[path] = counts.get(path, -1) + 1
        if path in counts:
            path = (*path, counts[path])
    return path


class _Value:
    """Follows one value over its lines: brackets that are open, and a multi-line string."""

    def __init__(self) -> None:
        self._depth = 0
        self._quote = ""

    @property
    def unfinished(self) -> bool:
        return self._depth > 0 or bool(self._quote)

    def feed(self, line: str) -> None:
        position = 0
        while position < len(line):
            position = self._string(line, position) if self._quote else self._plain(line, position)
        if self._quote not in _TRIPLE:
            self._quote = ""

    def _plain(self, line: str, position: int) -> int:
        character = line[position]
        if character == "#":
            return len(line)
        if character in "\"'":
            self._quote = line[position : position + 3] if line[position : position + 3] in _TRIPLE else character
            return position + len(self._quote)
        self._depth += (character in _OPENING) - (character in _CLOSING)
        return position + 1

    def _string(self, line: str, position: int) -> int:
        if line[position] == "\\" and self._quote[0] == '"':
            return position + 2
        if line.startswith(self._quote, position):
            position += len(self._quote)
            self._quote = ""
            return position
        return position + 1
