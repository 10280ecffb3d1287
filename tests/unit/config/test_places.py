"""The line of a key, whatever TOML allows around it."""

import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from config.places import Place, Places

TEXT = '''# comment
title = "x"  # with a # inside "
[a]
b.c = 1
"quoted.key" = """
[not.a.table]
k = 2
"""
list = [
  "one", # ]
  "two]",
]
after = 1
literal = \'\'\'
[no]\'\'\'
inline = { x = 1, y = { z = 2 } }
escaped = "a \\" b = {"
last = 1

[[rows]]
id = 1
[rows.sub]
k = 1
[[rows]]
id = 2
[[rows.inner]]
k = 1
[[rows.inner]]
k = 2
[ spaced . "out" ]
k = 3
'''


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("title",), 2),
        (("a",), 3),
        (("a", "b"), 4),
        (("a", "b", "c"), 4),
        (("a", "quoted.key"), 5),
        (("a", "list"), 9),
        (("a", "list", 1), 9),
        (("a", "after"), 13),
        (("a", "literal"), 14),
        (("a", "inline", "y", "z"), 16),
        (("a", "last"), 18),
        (("rows",), 20),
        (("rows", 0), 20),
        (("rows", 0, "id"), 21),
        (("rows", 0, "sub", "k"), 23),
        (("rows", 1, "id"), 25),
        (("rows", 1, "inner"), 26),
        (("rows", 1, "inner", 0, "k"), 27),
        (("rows", 1, "inner", 1, "k"), 29),
        (("spaced", "out", "k"), 31),
        (("rows", 1, "missing"), 24),
        (("nothing",), 1),
    ],
)
def test_a_key_is_found_on_its_line(path: Place, line: int) -> None:
    assert Places(TEXT).line(path) == line


def test_the_text_is_what_the_standard_reader_takes() -> None:
    assert tomllib.loads(TEXT)["a"]["last"] == 1


def test_every_key_of_the_example_is_found_on_a_line_that_names_it() -> None:
    text = (Path(__file__).parents[3] / "config" / "example.toml").read_text()
    lines, places = text.splitlines(), Places(text)
    keys = list(_keys(tomllib.loads(text)))
    assert ("plans", 0, "steps", 0, "ring") in keys
    for path in keys:
        assert str(path[-1]) in lines[places.line(path) - 1], path


def _keys(content: dict[str, object], above: Place = ()) -> Iterator[Place]:
    for key, value in content.items():
        yield (*above, key)
        if isinstance(value, list):
            rows = [row for row in value if isinstance(row, dict)]
            for number, row in enumerate(rows):
                yield from _keys(row, (*above, key, number))
