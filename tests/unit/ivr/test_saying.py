"""Values as they are said, language by language."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ivr.saying import KINDS, Moment, Saying
from tests.unit.ivr.conversing import PROMPTS

AT = datetime(2026, 3, 1, 13, 5, tzinfo=UTC)


def said(language: str, kind: str, value: Any) -> str:
    return " ".join(KINDS[kind](Saying(PROMPTS, language, "Europe/Amsterdam"), value).split())


@pytest.mark.parametrize(
    ("language", "number", "text"),
    [
        ("nl", "+31612345678", "plus drie één, zes, één twee, drie vier, vijf zes, zeven acht"),
        ("nl", "0612345678", "nul zes, één twee, drie vier, vijf zes, zeven acht"),
        ("nl", "112", "één één twee"),
        ("en", "+447700900123", "plus four four, seven, seven zero zero, nine zero zero, one two three"),
        ("en", "+12125550123", "plus one, two, one two five, five five zero, one two three"),
        ("de", "+4930123456", "plus Vier Neun, Drei Null, Eins Zwei, Drei Vier, Fünf Sechs"),
        ("fr", "+33612345678", "plus trois trois, six, un deux, trois quatre, cinq six, sept huit"),
        ("fr", "+352123456", "plus trois cinq deux, un deux, trois quatre, cinq six"),
        ("en", "sip:desk@example.org", "sip:desk@example.org"),
    ],
)
def test_telephone_numbers_are_said_digit_by_digit_in_groups(language: str, number: str, text: str) -> None:
    assert said(language, "phone", number) == text


@pytest.mark.parametrize(
    ("language", "hour", "minute", "text"),
    [
        ("nl", 14, 5, "14 uur 5"),
        ("nl", 0, 0, "0 uur"),
        ("en", 14, 5, "2 oh 5 p m"),
        ("en", 0, 30, "12 30 a m"),
        ("en", 12, 0, "12 p m"),
        ("de", 14, 5, "14 Uhr 5"),
        ("de", 1, 1, "ein Uhr eins"),
        ("fr", 14, 5, "14 heures 5"),
        ("fr", 1, 0, "une heure"),
        ("fr", 0, 1, "zéro heure une"),
    ],
)
def test_times_of_day_are_local(language: str, hour: int, minute: int, text: str) -> None:
    at = datetime(2026, 3, 1, tzinfo=UTC) + timedelta(hours=hour - 1, minutes=minute)  # Amsterdam is an hour ahead
    assert said(language, "time", at) == text


def test_times_follow_summer_time() -> None:
    assert said("nl", "time", datetime(2026, 3, 29, 0, 59, tzinfo=UTC)) == "1 uur 59"
    assert said("nl", "time", datetime(2026, 3, 29, 1, 0, tzinfo=UTC)) == "3 uur"


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("nl", "14 uur 5 op 1 maart"),
        ("en", "2 oh 5 p m on March 1"),
        ("de", "14 Uhr 5 am 1. März"),
        ("fr", "14 heures 5 le 1 mars"),
    ],
)
def test_a_moment_of_another_day_is_said_with_its_date(language: str, text: str) -> None:
    assert said(language, "moment", Moment(AT, AT + timedelta(hours=11))) == text
    assert said(language, "moment", Moment(AT, AT + timedelta(hours=9))) == said(language, "time", AT)


@pytest.mark.parametrize(
    ("seconds", "nl", "en", "de", "fr"),
    [
        (0, "minder dan een minuut", "less than a minute", "weniger als einer Minute", "moins d'une minute"),
        (60, "een minuut", "one minute", "einer Minute", "une minute"),
        (720, "12 minuten", "12 minutes", "12 Minuten", "12 minutes"),
        (3600, "een uur", "one hour", "einer Stunde", "une heure"),
        (7500, "2 uur en 5 minuten", "2 hours and 5 minutes", "2 Stunden und 5 Minuten", "2 heures et 5 minutes"),
        (90_060, "een dag en een uur", "one day and one hour", "einem Tag und einer Stunde", "un jour et une heure"),
    ],
)
def test_durations_are_said_in_their_two_largest_units(seconds: int, nl: str, en: str, de: str, fr: str) -> None:
    assert [said(language, "duration", seconds) for language in ("nl", "en", "de", "fr")] == [nl, en, de, fr]


@pytest.mark.parametrize(
    ("metres", "nl", "fr"),
    [
        (0.4, "5 meter", "5 mètres"),
        (23, "25 meter", "25 mètres"),
        (101, "110 meter", "110 mètres"),
        (999, "1 kilometer", "1 kilomètre"),
        (950, "950 meter", "950 mètres"),
        (951, "1 kilometer", "1 kilomètre"),
        (1000, "1 kilometer", "1 kilomètre"),
        (1501, "1,6 kilometer", "1,6 kilomètre"),
        (12_000, "12 kilometer", "12 kilomètres"),
    ],
)
def test_distances_are_rounded_up_to_what_means_something(metres: float, nl: str, fr: str) -> None:
    assert said("nl", "distance", metres) == nl
    assert said("fr", "distance", metres) == fr


@pytest.mark.parametrize(
    ("language", "latitude", "longitude"),
    [
        (
            "nl",
            "52 komma drie zeven nul drie één graden noorderbreedte",
            "4 komma negen nul nul één twee graden westerlengte",
        ),
        (
            "en",
            "52 point three seven zero three one degrees north",
            "4 point nine zero zero one two degrees west",
        ),
        (
            "de",
            "52 Komma Drei Sieben Null Drei Eins Grad nördlicher Breite",
            "4 Komma Neun Null Null Eins Zwei Grad westlicher Länge",
        ),
        (
            "fr",
            "52 virgule trois sept zéro trois un degrés de latitude nord",
            "4 virgule neuf zéro zéro un deux degrés de longitude ouest",
        ),
    ],
)
def test_coordinates_are_spelt(language: str, latitude: str, longitude: str) -> None:
    assert said(language, "coordinates", (52.37031, -4.90012)) == f"{latitude}, {longitude}"


def test_coordinates_name_their_half_of_the_world() -> None:
    assert said("en", "coordinates", (-33.5, 18.0)).count("south") == 1
    assert said("en", "coordinates", (0.0, 0.0)).endswith("zero degrees east")


@pytest.mark.parametrize(
    ("language", "address", "text"),
    [
        ("nl", "Damrak 12-A, 1012 LG Amsterdam", "Damrak 12-A, één nul één twee L G Amsterdam"),
        ("nl", "Kade 1500, 3011AB Rotterdam", "Kade 1500, drie nul één één A B Rotterdam"),
        ("de", "Hauptstraße 5, 10115 Berlin", "Hauptstraße 5, Eins Null Eins Eins Fünf Berlin"),
        ("fr", "5 rue de Rivoli, 75004 Paris", "5 rue de Rivoli, sept cinq zéro zéro quatre Paris"),
        ("en", "10 Downing Street, London SW1A 2AA", "10 Downing Street, London S W one A two A A"),
    ],
)
def test_postcodes_are_spelt_and_house_numbers_are_not(language: str, address: str, text: str) -> None:
    assert said(language, "address", address) == text


@pytest.mark.parametrize(("language", "text"), [("nl", "1234,5"), ("en", "1234.5"), ("de", "1234,5"), ("fr", "1234,5")])
def test_numbers_have_the_decimal_sign_of_the_language(language: str, text: str) -> None:
    assert said(language, "number", 1234.5) == text


@pytest.mark.parametrize(("key", "text"), [("4", "vier"), ("1", "één"), ("*", "sterretje"), ("#", "hekje")])
def test_keys_have_names(key: str, text: str) -> None:
    assert said("nl", "key", key) == text
