"""What messages and pages say, in the language of whoever reads them. Pure once it is loaded.

The words stand in `config/messages/LANGUAGE.toml`. A message says what, who, where, since when, what the plan adds, and
gives the link; what is not known is left out.
"""

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from importlib import resources
from zoneinfo import ZoneInfo

from config.plans import Contact, Customer, Language
from voice.escalation.state import Facts

MAP_DIGITS = 5
"""Decimals of a degree in a position: about a metre."""


@dataclass(frozen=True, slots=True)
class Reader:
    """How somebody reads: in which language, by which clock on the wall."""

    language: Language
    zone: ZoneInfo

    def time(self, at: datetime) -> str:
        """`2026-03-01 10:15`: the date stands in front, for a message may be read much later."""
        return at.astimezone(self.zone).strftime("%Y-%m-%d %H:%M")


NOBODY = Customer(id="none", name="none")
"""Whose language and clock hold for contacts without a customer."""


def reader_of(contact: Contact | None, customer: Customer | None) -> Reader:
    """How a contact reads: his own language and clock, else those of his customer."""
    owner = customer or NOBODY
    language = (contact.language if contact else None) or owner.language
    return Reader(language, ZoneInfo((contact.timezone if contact else None) or owner.timezone))


@dataclass(frozen=True, slots=True)
class Words:
    """The words of one language."""

    kinds: Mapping[str, str]
    message: Mapping[str, str]
    check_in: Mapping[str, str]
    page: Mapping[str, str]

    def kind(self, kind: str) -> str:
        return self.kinds.get(kind, kind.replace("_", " "))


@cache
def words(language: Language) -> Words:
    """The words of a language."""
    text = resources.files("config").joinpath("messages", f"{language}.toml").read_text("utf-8")
    return Words(**tomllib.loads(text))


def subject(incident: str, facts: Facts, reader: Reader) -> str:
    """One line, without a name: subjects are shown on locked screens."""
    said = words(reader.language)
    return said.message["subject"].format(incident=incident, kind=said.kind(facts.kind))


@dataclass(frozen=True, slots=True)
class Extra:
    """What a message says besides the facts."""

    added: str = ""
    """By the plan, in its own words."""
    link: str | None = None
    counts: bool = False
    """Whether following the link takes the alarm."""


def text(incident: str, facts: Facts, opened_at: datetime, extra: Extra, reader: Reader) -> str:
    """The message, a fact a line."""
    return "\n".join(_lines(incident, facts, opened_at, extra, reader))


def _lines(incident: str, facts: Facts, opened_at: datetime, extra: Extra, reader: Reader) -> Iterator[str]:
    said = words(reader.language)
    yield said.message["what"].format(incident=incident, kind=said.kind(facts.kind))
    if facts.worker:
        yield said.message["worker"].format(worker=_line(facts.worker))
    elif facts.device:
        yield said.message["device"].format(device=facts.device)
    if facts.address:
        yield said.message["address"].format(address=_line(facts.address))
    if position := _position(facts, reader):
        yield said.message["position"].format(position=position)
    yield said.message["since"].format(time=reader.time(opened_at))
    if extra.added:
        yield extra.added
    if extra.link:
        yield said.message["proof" if extra.counts else "information"].format(link=extra.link)


def _position(facts: Facts, reader: Reader) -> str:
    if facts.latitude is None or facts.longitude is None:
        return ""
    said = words(reader.language).message
    parts = [f"{facts.latitude:.{MAP_DIGITS}f}, {facts.longitude:.{MAP_DIGITS}f}"]
    if facts.uncertainty_m is not None:
        parts.append(said["metres"].format(metres=round(facts.uncertainty_m)))
    if facts.located_at is not None:
        parts.append(said["measured"].format(time=reader.time(facts.located_at)))
    return ", ".join(parts)


def _line(text: str) -> str:
    return " ".join(text.split())
