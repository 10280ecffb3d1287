"""A message says what is known, in the language and by the clock of its reader."""

import string
from datetime import UTC, datetime
from typing import get_args
from zoneinfo import ZoneInfo

import pytest

from config.plans import Contact, Customer, Language
from voice.escalation.state import Facts
from voice.incidents.kinds import Kind
from voice.messages.wording import Extra, Reader, reader_of, subject, text, words

LANGUAGES: tuple[Language, ...] = get_args(Language)
OPENED = datetime(2026, 3, 1, 9, 15, tzinfo=UTC)
EVERYTHING = Facts(
    kind="man_down",
    priority=1,
    worker="Bo Visser",
    device="badge-7",
    address="Kade 3, Delft",
    latitude=52.0116,
    longitude=4.3571,
    uncertainty_m=24.6,
    located_at=OPENED,
)
AMSTERDAM = ZoneInfo("Europe/Amsterdam")


def fields(template: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(template) if name}


def test_a_message_says_what_who_where_since_when_what_the_plan_adds_and_the_link() -> None:
    extra = Extra("Sleutel bij de receptie.", "https://a.example/acknowledge/x", counts=True)
    assert text("1k3x9a0q", EVERYTHING, OPENED, extra, Reader("nl", AMSTERDAM)).splitlines() == [
        "ALARM 1k3x9a0q: persoon gevallen.",
        "Wie: Bo Visser.",
        "Waar: Kade 3, Delft.",
        "Positie: 52.01160, 4.35710, binnen 25 m, gemeten 2026-03-01 10:15.",
        "Sinds 2026-03-01 10:15.",
        "Sleutel bij de receptie.",
        "Neem dit alarm aan: https://a.example/acknowledge/x",
    ]


def test_what_is_not_known_is_left_out() -> None:
    facts = Facts("unidentified", 2, device="badge-7")
    assert text("1k3x9a0q", facts, OPENED, Extra(), Reader("en", AMSTERDAM)).splitlines() == [
        "ALARM 1k3x9a0q: unknown caller.",
        "Device: badge-7.",
        "Since 2026-03-01 10:15.",
    ]


def test_a_subject_names_nobody_for_it_shows_on_a_locked_screen() -> None:
    assert subject("1k3x9a0q", EVERYTHING, Reader("de", AMSTERDAM)) == "ALARM 1k3x9a0q: Person gestürzt"


def test_a_name_cannot_add_lines_to_a_message() -> None:
    facts = Facts("panic", 1, worker="Bo\nSince yesterday.")
    assert "Who: Bo Since yesterday.." in text("1k3x9a0q", facts, OPENED, Extra(), Reader("en", AMSTERDAM))


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_says_the_same(language: Language) -> None:
    ours, english = words(language), words("en")
    assert {kind.value for kind in Kind} == set(ours.kinds)
    for name in ("message", "check_in", "page"):
        table, model = getattr(ours, name), getattr(english, name)
        assert {key: fields(line) for key, line in table.items()} == {key: fields(line) for key, line in model.items()}


def test_a_contact_reads_in_his_own_language_else_in_that_of_his_customer() -> None:
    customer = Customer(id="acme", name="Acme", language="fr", timezone="Europe/Paris")
    anna = Contact(id="anna", name="Anna", numbers=("+31612345678",))
    ben = Contact(id="ben", name="Ben", numbers=("+31612345679",), language="de", timezone="Europe/Berlin")
    assert reader_of(anna, customer) == Reader("fr", ZoneInfo("Europe/Paris"))
    assert reader_of(ben, customer) == Reader("de", ZoneInfo("Europe/Berlin"))
    assert reader_of(anna, None).language == "nl"
