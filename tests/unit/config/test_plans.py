"""Customers, contacts, teams, rotas, plans, routes: how they are written, and what an incident takes along."""

from collections.abc import Mapping
from datetime import date, datetime, time
from pathlib import Path
from typing import Any

import pytest

from config.freezing import everybody
from config.models import Settings
from config.plans import OPERATORS_ONLY, Customer, FrozenPlan, keyed
from config.settings import load
from voice.errors import ConfigurationError
from voice.incidents.kinds import Kind


def mistakes(tmp_path: Path, text: str) -> list[str]:
    path = tmp_path / "e.toml"
    path.write_text(text)
    with pytest.raises(ConfigurationError) as caught:
        load(path, {})
    return str(caught.value).replace(f"{path}:", "").split("\n")


def loaded(tmp_path: Path, text: str) -> Settings:
    path = tmp_path / "e.toml"
    path.write_text(text)
    return load(path, {})


CONTACT = '[[contacts]]\nid = "bert"\nname = "Bert"\n'
ROTA = f'{CONTACT}sms = "+31600000002"\n[[rotas]]\nid = "r"\n'
SHIFT = f'{ROTA}[[rotas.shifts]]\nmembers = "bert"\n'
STEP = '[[plans]]\nid = "p"\n[[plans.steps]]\n'
CUSTOMER = '[[customers]]\nid = "c"\nname = "C"\n'


# -- how values are written --


@pytest.mark.parametrize(
    ("written", "days"),
    [
        ('"sat"', "sat"),
        ('"mon-fri"', "mon tue wed thu fri"),
        ('"fri-mon"', "mon fri sat sun"),
        ('["sun", "mon", "wed-thu"]', "mon wed thu sun"),
        ('"mon-sun"', "mon tue wed thu fri sat sun"),
    ],
)
def test_days_are_one_a_span_or_a_list(tmp_path: Path, written: str, days: str) -> None:
    shift = loaded(tmp_path, f"{SHIFT}days = {written}").rotas[0].shifts[0]
    assert shift.days == tuple(days.split())


@pytest.mark.parametrize(
    ("written", "read"),
    [('"07:00"', time(7)), ('"7:30"', time(7, 30)), ("07:30:00", time(7, 30)), ('"24:00"', time(0))],
)
def test_times_of_day_are_text_or_times_of_toml(tmp_path: Path, written: str, read: time) -> None:
    assert loaded(tmp_path, f"{SHIFT}from = {written}").rotas[0].shifts[0].from_ == read


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("2026-12-24T18:00:00", datetime(2026, 12, 24, 18)),
        ('"2026-12-24T18:00"', datetime(2026, 12, 24, 18)),
        ("2026-12-24", datetime(2026, 12, 24)),
    ],
)
def test_an_override_begins_at_a_local_time_or_with_a_day(tmp_path: Path, written: str, read: datetime) -> None:
    text = f"{ROTA}[[rotas.overrides]]\nfrom = {written}\nto = 2027-01-01"
    assert loaded(tmp_path, text).rotas[0].overrides[0].from_ == read


def test_dates_are_those_of_toml(tmp_path: Path) -> None:
    rota = loaded(tmp_path, f"{ROTA}holidays = [2026-12-25]\n[[rotas.shifts]]\nmembers = 'bert'\nstarting = 2028-02-29")
    assert rota.rotas[0].holidays == (date(2026, 12, 25),)
    assert rota.rotas[0].shifts[0].starting == date(2028, 2, 29)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ('"+31 6 0000 0002"', ("+31600000002",)),
        ('"(020) 000-00.01"', ("0200000001",)),
        ('["112", "sip:a@example.org", "urn:service:sos"]', ("112", "sip:a@example.org", "urn:service:sos")),
    ],
)  # fmt: skip
def test_numbers_are_written_as_people_write_them(tmp_path: Path, written: str, read: tuple[str, ...]) -> None:
    assert loaded(tmp_path, f"{CONTACT}numbers = {written}").contacts[0].numbers == read


def test_text_messages_go_to_the_first_telephone_number(tmp_path: Path) -> None:
    contacts = loaded(
        tmp_path,
        f'{CONTACT}numbers = ["sip:b@example.org", "+31600000002"]\n'
        '[[contacts]]\nid = "c"\nname = "C"\nnumbers = "+31600000003"\nsms = "+31600000004"\n'
        '[[contacts]]\nid = "d"\nname = "D"\nnumbers = "sip:d@example.org"',
    ).contacts
    assert [contact.text_number for contact in contacts] == ["+31600000002", "+31600000004", None]


def test_what_is_not_set_may_be_written_as_an_empty_text(tmp_path: Path) -> None:
    text = f'{CUSTOMER}plan = ""\ncaller_id = ""\nclose_word = ""\nlatitude = ""\ntrunks = ""'
    assert loaded(tmp_path, text).customers == (Customer(id="c", name="C"),)


# -- what is refused --


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        (CONTACT, "2: contacts[1].id: needs numbers, sms or email, or he is never reached"),
        (f'{CONTACT}numbers = ["+31 6", "phone"]', "4: contacts[1].numbers[2]: 'phone' is no number; allowed: '+31"),
        (f'{CONTACT}email = "bert"', "4: contacts[1].email: 'bert' does not fit; allowed: an address such as"),
        (f'{CONTACT}sms = "+31"\nlanguage = "xx"', "5: contacts[1].language: 'xx' is not known; allowed: 'nl', 'en', "),
        (f'{CONTACT}sms = "+31"\ntimezone = "Mars"', "5: contacts[1].timezone: 'Mars' is no time zone; allowed: names"),
        (f'{SHIFT}days = "mon-fry"', "9: rotas[1].shifts[1].days: 'mon-fry' is no day; allowed: "),
        (f'{SHIFT}from = "25:00"', "9: rotas[1].shifts[1].from: '25:00' is no time of day; allowed: \"00:00\" to"),
        (f'{SHIFT}to = "24:30"', "9: rotas[1].shifts[1].to: '24:30' is no time of day; allowed: "),
        (f"{SHIFT}every = 2", "9: rotas[1].shifts[1].every: every needs starting: from which week to count"),
        (f'{SHIFT}form = "08:00"', "9: rotas[1].shifts[1].form: is not known; did you mean \"from\"?"),
        (f'{SHIFT}starting = "today"', "9: rotas[1].shifts[1].starting: 'today' is no day; allowed: such as 2026"),
        (f'{ROTA}holidays = ["12-25"]', "7: rotas[1].holidays[1]: '12-25' is no day; allowed: such as 2026-12-25"),
        (f"{ROTA}[[rotas.shifts]]\nmembers = []", "8: rotas[1].shifts[1].members: is empty; allowed: a list"),
        (
            f"{ROTA}[[rotas.overrides]]\nfrom = 2026-12-24T18:00:00\nto = 2026-12-24T18:00:00",
            "9: rotas[1].overrides[1].to: to must be after from",
        ),
        (
            f"{ROTA}[[rotas.overrides]]\nfrom = 2026-12-24T18:00:00Z\nto = 2026-12-25",
            "8: rotas[1].overrides[1].from: 2026-12-24T18:00:00+00:00 is no local time; allowed: 2026-",
        ),
        ('[[teams]]\nid = "t"\nname = "T"', "2: teams[1].id: needs members or a rota"),
        ('[[plans]]\nid = "p"\nsteps = []', "3: plans[1].steps: is empty; allowed: a list of at least one"),
        (STEP, "3: plans[1].steps[1].ring: a step does one of: ring, message, emergency, wait"),
        (f'{STEP}ring = "operators"\nwait = 5', "4: plans[1].steps[1].ring: a step does one of: ring, message, "),
        (f"{STEP}wait = 0", "4: plans[1].steps[1].wait: 0 is too small; allowed: 1 or more"),
        (f'{STEP}ring = "bert"', "4: plans[1].steps[1].ring[1]: 'bert' does not fit; allowed: "),
        (f'{STEP}message = "operators"', "4: plans[1].steps[1].message: operators get no messages; allowed: team:ID"),
        (f'{STEP}ring = "operators"\nrounds = 21', "5: plans[1].steps[1].rounds: 21 is too large; allowed: 20 or less"),
        (
            f'{STEP}emergency = "room"\nconfirm = "automatic"\nagreement = " "',
            "6: plans[1].steps[1].agreement: an automatic emergency call needs the customer's consent: say where",
        ),
        (
            '[[plans]]\nid = "p"\nat_end = "stop"\n[[plans.steps]]\nwait = 5',
            "3: plans[1].at_end: a plan that may end without a human needs an agreement: say where it is written",
        ),
        (f'{CUSTOMER}plans = {{ fire = "p" }}', "4: customers[1].plans.fire: 'fire' is no kind of alarm; "),
        (f'{CUSTOMER}country = "nl"', "4: customers[1].country: 'nl' does not fit; allowed: two capital letters"),
        (f"{CUSTOMER}latitude = 52.1", "1: customers[1].longitude: latitude and longitude belong together"),
        (f"{CUSTOMER}latitude = 91.0", "4: customers[1].latitude: 91.0 is too large; allowed: 90 or less"),
        (f"{CUSTOMER}uncertainty_m = 0.0", "4: customers[1].uncertainty_m: 0.0 is too small; allowed: more than 0"),
        (f'{CUSTOMER}close_word = "to"', "4: customers[1].close_word: does not fit; allowed: 3 to 16 letters"),
        (
            f'{CUSTOMER}close_word = "TULP"\nduress_word = "8857"',
            "5: customers[1].duress_word: is keyed like close_word; the two must differ on the keypad",
        ),
        ('[[workers]]\nid = "a"\nname = "A"\nlongitude = 5.1', "1: workers[1].latitude: latitude and longitude belong"),
        (
            '[[webhooks]]\nid = "w"\nurl = "ftp://example.org"\nsecret = "x"',
            "3: webhooks[1].url: is no URL of a web server; allowed: such as \"https://example.org/path\"",
        ),
        ('[[webhooks]]\nid = "w"\nurl = "https://x"\nsecret = ""', "4: webhooks[1].secret: is empty"),
        ('[messages]\nsmtp = "mail.example.org"', "2: messages.smtp: 'mail.example.org' is no server; allowed: "),
        ('[messages]\nsmtp = "mail.example.org:25"', "1: messages.sender: smtp needs a sender, such as"),
        ('[messages]\nlink_base = "alarms.example.org"', "2: messages.link_base: is no URL of a web server; allowed: "),
        ('[node]\nid = "a b"', "2: node.id: 'a b' does not fit; allowed: 1 to 64 letters"),
        ("[node]\nlease_seconds = 0.5", "2: node.lease_seconds: 0.5 is too small; allowed: 1 or more"),
        (
            '[store]\nurl = "postgres://earshot:s3cret@db/earshot"',
            "2: store.url: does not fit; allowed: sqlite:///relative/path, sqlite:////absolute/path or postgresql://",
        ),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_its_line_its_key_and_what_is_allowed(tmp_path: Path, text: str, mistake: str) -> None:
    (line,) = mistakes(tmp_path, text)
    assert line[: len(mistake)] == mistake


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:///earshot.db",
        "postgresql://earshot:pass@127.0.0.1:5432/earshot",
        "postgresql://earshot@db.example.org/earshot?sslmode=require",
    ],
)
def test_the_store_is_sqlite_or_postgresql(tmp_path: Path, url: str) -> None:
    assert loaded(tmp_path, f'[store]\nurl = "{url}"').store.url == url


SECRETS = """
[store]
url = "postgresql://earshot:s3cret@db.example.org/earshot"
[messages]
smtp = "mail.example.org:587"
smtp_username = "earshot"
smtp_password = "s3cret"
sender = "a@example.org"
[[webhooks]]
id = "w"
url = "https://hooks.example.org/s3cret"
secret = "s3cret"
[[customers]]
id = "c"
name = "C"
close_word = "s3cret"
duress_word = "S3CRET2"
"""


def test_secrets_do_not_show_when_settings_are_printed(tmp_path: Path) -> None:
    settings = loaded(tmp_path, SECRETS)
    assert settings.messages.smtp_password == settings.webhooks[0].secret == "s3cret"
    assert settings.messages.smtp == ("mail.example.org", 587)
    assert "s3cret" not in repr(settings).lower()


def test_a_word_is_keyed_as_on_a_telephone() -> None:
    assert keyed("Tulp") == "8857"
    assert keyed("abc9wxyz0") == "222999990"


# -- what an incident takes along --


def settings_of(**tables: Any) -> Settings:
    return Settings.model_validate(tables)


def ring(*targets: str) -> Mapping[str, Any]:
    return {"ring": list(targets)}


REACH = settings_of(
    contacts=[{"id": name, "name": name, "sms": "+31600000002"} for name in "abcdefgh"],
    teams=[
        {"id": "one", "name": "One", "members": ["a"], "rota": "r"},
        {"id": "other", "name": "Other", "members": ["g"], "rota": "unused"},
    ],
    rotas=[
        {
            "id": "r",
            "shifts": [{"members": ["b", "a"]}, {"members": ["c"]}],
            "overrides": [{"from": "2026-01-01T00:00", "to": "2026-01-02T00:00", "members": ["d"], "replaces": ["b"]}],
        },
        {"id": "unused", "shifts": [{"members": ["h"]}]},
    ],
    plans=[
        {"id": "p", "steps": [ring("operators", "team:one"), {"message": ["contact:e"]}, {"emergency": "room"}]},
        {"id": "q", "steps": [ring("contact:f")]},
        {"id": "t", "steps": [ring("contact:g")]},
    ],
    emergency_routes=[
        {"id": "room", "name": "Room", "number": "112"},
        {"id": "other-room", "name": "Other", "number": "112"},
    ],
    customers=[
        {"id": "own", "name": "Own", "plan": "p", "plans": {"gas": "q", "test": "t"}},
        {"id": "plain", "name": "Plain"},
    ],
    escalation={"default_plan": "q"},
)


def test_a_frozen_plan_holds_what_the_plan_reaches_and_nothing_else() -> None:
    frozen = REACH.frozen_plan("own", Kind.PANIC)
    assert frozen.plan == REACH.plans[0]
    assert frozen.customer == REACH.customers[0]
    assert list(frozen.contacts) == ["e", "a", "b", "c", "d"]
    assert list(frozen.teams) == ["one"]
    assert list(frozen.rotas) == ["r"]
    assert list(frozen.routes) == ["room"]


@pytest.mark.parametrize(
    ("customer", "kind", "plan"),
    [
        ("own", Kind.PANIC, "p"),
        ("own", Kind.GAS, "q"),
        ("own", Kind.TEST, "t"),
        ("own", Kind.TECHNICAL, "operators-only"),
        ("plain", Kind.PANIC, "q"),
        ("plain", Kind.TEST, "operators-only"),
        (None, Kind.UNIDENTIFIED, "q"),
        (None, Kind.TECHNICAL, "operators-only"),
        ("nobody's", Kind.PANIC, "q"),
    ],
)
def test_the_plan_is_that_of_the_kind_of_the_customer_or_the_default_one(
    customer: str | None, kind: Kind, plan: str
) -> None:
    """Tests and technical alarms follow a plan only where it is named for them."""
    assert REACH.plan_for(customer, kind).id == REACH.frozen_plan(customer, kind).plan.id == plan


def test_without_any_plan_operators_are_rung_until_one_takes_it() -> None:
    assert Settings().frozen_plan(None, Kind.PANIC) == FrozenPlan(plan=OPERATORS_ONLY)


def test_a_plan_that_is_frozen_again_is_the_very_same_object() -> None:
    settings = REACH.model_copy()
    frozen = settings.frozen_plan("own", Kind.PANIC)
    assert settings.frozen_plan("own", Kind.MEDICAL) is frozen
    assert settings.frozen_plan("plain", Kind.PANIC) is not settings.frozen_plan(None, Kind.PANIC)
    assert settings == REACH


def test_a_copy_of_the_settings_freezes_plans_of_its_own() -> None:
    frozen = REACH.frozen_plan("own", Kind.PANIC)
    changed = REACH.model_copy(update={"contacts": REACH.contacts[1:]})
    assert "a" in frozen.contacts
    assert "a" not in changed.frozen_plan("own", Kind.PANIC).contacts


def test_a_frozen_plan_is_read_back_from_json_the_same() -> None:
    frozen = REACH.frozen_plan("own", Kind.PANIC)
    assert FrozenPlan.model_validate_json(frozen.model_dump_json(by_alias=True)) == frozen


def test_everybody_whom_a_target_can_ever_mean() -> None:
    frozen = REACH.frozen_plan("own", Kind.PANIC)
    found = everybody(frozen, ("contact:e", "team:one", "contact:e", "operators"))
    assert [contact.id for contact in found] == ["e", "a", "b", "c", "d"]


@pytest.mark.parametrize(
    ("worker", "device", "customer"),
    [("own", "plain", "own"), (None, "plain", "plain"), ("own", None, "own"), (None, None, None), ("", "gone", None)],
)
def test_an_alarm_is_the_workers_customers_else_the_devices(
    worker: str | None, device: str | None, customer: str | None
) -> None:
    settings = REACH.model_copy(
        update=dict(
            settings_of(
                workers=[{"id": "w", "name": "W", "customer": worker or ""}],
                devices=[{"id": "d", "username": "d", "customer": device or ""}],
            )
        )
    )
    found = REACH.customer_of(settings.devices[0], settings.workers[0])
    assert (found.id if found else None) == customer
    assert REACH.customer_of(None, None) is None
