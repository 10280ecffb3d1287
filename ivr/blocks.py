"""What is rendered ahead: every sentence that is fixed, and what sentences with values are put together from.

A sentence is cut where its values go. Values are said by `ivr.saying` as texts of a few words; which words that can be
is known for all kinds but plain text and addresses: a sentence with one of those is left to the engine.
"""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from itertools import product

from babel import Locale

from ivr.message import Message, Placeholder
from ivr.prompts import Prompts

_VALUE, _FREE = "\ue000", "\ue001"
_OPEN_KINDS = ("", "address")
_ORDINAL = "·"
"""Marks the day in "22. November": it is said otherwise than the number at the end of a sentence."""


def sentences(text: str, language: str) -> list[str]:
    """A text, cut where sentences end."""
    return _ends(language).split(text)


def marked(text: str, language: str, point: str) -> str:
    """As it is looked up: days before months are told from numbers, and decimals are words of their own."""
    text = _days(language).sub(rf"\1.{_ORDINAL} ", text)
    return re.sub(r"(?<=\d)[.,](?=\d)", f" {point} ", text)


def bare(piece: str) -> str:
    """Without the punctuation at its end, which only tells how long to pause."""
    return piece.rstrip(" .,:;!?")


@cache
def _ends(language: str) -> re.Pattern[str]:
    """Space after a full stop, but not after that of a day before its month."""
    return re.compile(rf"(?<=[.!?])(?<!\d\.)\s+|(?<=\d\.)\s+(?!(?:{'|'.join(months(language))})\b)")


@cache
def _days(language: str) -> re.Pattern[str]:
    return re.compile(rf"\b(\d\d?)\. (?=(?:{'|'.join(months(language))})\b)")


@cache
def months(language: str) -> tuple[str, ...]:
    found: Mapping[int, str] = Locale(language).months["format"]["wide"]
    return tuple(found.values())


def blocks(prompts: Prompts, language: str) -> tuple[str, ...]:
    """Everything that is to be rendered in a language; the order is that of the prompts."""
    found: dict[str, None] = {}
    for id in prompts.ids:
        if prompts.has(language, id):
            open_kinds = () if id.startswith("saying.") else _OPEN_KINDS  # what `saying` puts together are values
            found |= dict.fromkeys(_fixed(prompts.message(language, id), language, open_kinds))
    found |= dict.fromkeys(_values(prompts, language))
    return tuple(found)


def _fixed(message: Message, language: str, open_kinds: tuple[str, ...]) -> Iterator[str]:
    """The fixed parts of one prompt, with every form of its plurals and selects."""
    for text in _expanded(message, open_kinds):
        for sentence in sentences(" ".join(text.split()), language):
            if _FREE in sentence:
                continue
            for piece in sentence.split(_VALUE):
                piece = piece.strip(" ,;:") if piece.strip(" ,;:.!?") else ""
                if piece:
                    yield piece


def _expanded(message: Message, open_kinds: tuple[str, ...]) -> Iterator[str]:
    names = dict(_choices(message))
    for chosen in product(*names.values()):
        yield _text(message, dict(zip(names, chosen, strict=True)), "#", open_kinds)


def _choices(message: Message) -> Iterator[tuple[str, list[str]]]:
    for part in message.parts:
        if isinstance(part, Placeholder) and part.forms is not None:
            yield part.name, list(part.forms)
            for form in part.forms.values():
                yield from _choices(form)


def _text(message: Message, chosen: Mapping[str, str], number: str, open_kinds: tuple[str, ...]) -> str:
    said = []
    for part in message.parts:
        if isinstance(part, str):
            said.append(part.replace("#", number))
        elif part.forms is None:
            said.append(_FREE if part.kind in open_kinds else _VALUE)
        else:
            form = part.forms.get(chosen[part.name]) or part.forms["other"]
            said.append(_text(form, chosen, _VALUE if part.kind == "plural" else number, open_kinds))
    return "".join(said)


def _values(prompts: Prompts, language: str) -> Iterator[str]:
    """Numbers, months, days of a month; the words for keys, terms and units are prompts themselves."""
    yield from (str(number) for number in _NUMBERS)
    yield from months(language)
    if language == "de":
        yield from (f"{day}.{_ORDINAL}" for day in range(1, 32))
    for hour in range(24):
        yield from _spoken(prompts, language, "time", hour=hour, hour12=hour % 12 or 12, minute=0, afternoon=hour >= 12)
    for unit in ("minutes", "hours", "days"):
        for count in range(1, _TOGETHER + 1):
            yield from _spoken(prompts, language, unit, count=count)


_NUMBERS = (*range(101), *range(110, 200, 10), *range(200, 1000, 50))
"""Times, durations, degrees, and the distances that `ivr.saying` rounds to."""
_TOGETHER = 5
"""Up to how many a unit is rendered with its number; with more it is put together, which saves a megabyte."""


def _spoken(prompts: Prompts, language: str, name: str, **values: object) -> Iterator[str]:
    yield prompts.text(language, f"saying.{name}", values)
