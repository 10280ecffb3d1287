"""The error tree is as its docstring draws it."""

import re

from voice import errors
from voice.errors import EarshotError
from voice.sip.message import MessageError


def drawn() -> dict[str, str]:
    """Each error in the docstring, with the one that it stands under."""
    parents: dict[str, str] = {}
    above = ["EarshotError"]
    for branch, name in re.findall(r"^((?:│   )?[├└]── )(\w+)", errors.__doc__ or "", re.MULTILINE):
        depth = len(branch) // 4
        above[depth:] = [name]
        parents[name] = above[depth - 1]
    return parents


def test_every_error_stands_where_it_is_drawn() -> None:
    defined = [each for each in vars(errors).values() if isinstance(each, type) and each is not EarshotError]
    assert {each.__name__: each.__bases__[0].__name__ for each in (*defined, MessageError)} == drawn()
