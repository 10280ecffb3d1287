"""The ready examples: whoever starts from one has a configuration without complaint that reaches nobody for real."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from config.advice import advice
from config.models import Settings
from config.settings import load
from voice.check_in.explaining import explained, warnings
from voice.check_in.pins import Hashes, compare
from voice.cli.main import main
from voice.escalation.rota import gaps
from voice.incidents.kinds import Kind
from voice.interlock import Interlock

EXAMPLES = sorted((Path(__file__).parents[3] / "config" / "examples").glob("*.toml"))

FICTITIOUS = re.compile(
    r"\+31[26]00000\d{3}|[47]\d{3}"  # nobody has them; extensions of the exchange in the example
    r"|sip:[a-z0-9+-]+@(127\.0\.0\.1|192\.0\.2\.\d+|198\.51\.100\.\d+)(:\d+)?"  # RFC 5737
)


@pytest.fixture(params=EXAMPLES, ids=lambda path: path.stem)
def path(request: pytest.FixtureRequest) -> Path:
    found: Path = request.param
    return found


@pytest.fixture
def settings(path: Path) -> Settings:
    return load(path, {})


def test_there_is_one_for_home_care_for_a_security_company_and_for_industry() -> None:
    assert [path.stem for path in EXAMPLES] == ["home-care", "industry-gas", "security-company"]


def test_check_config_has_no_complaint(path: Path, settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    assert list(advice(settings)) == []
    assert main(["check-config", str(path)]) == 0
    assert "note:" not in capsys.readouterr().out


def test_somebody_is_on_duty_at_every_moment_of_every_year(settings: Settings) -> None:
    since, until = datetime(2026, 2, 1, tzinfo=UTC), datetime(2030, 2, 1, tzinfo=UTC)
    assert settings.rotas
    assert {rota.id: gaps(rota, since, until) for rota in settings.rotas} == {rota.id: [] for rota in settings.rotas}


def test_every_alarm_about_a_person_comes_to_contacts_and_can_come_to_the_emergency_services(
    settings: Settings,
) -> None:
    for customer in settings.customers:
        for kind in set(Kind) - {Kind.TEST, Kind.TECHNICAL}:
            frozen = settings.frozen_plan(customer.id, kind)
            assert frozen.customer == customer
            assert frozen.plan.at_end == "start again"
            assert frozen.contacts
            assert frozen.routes


def test_a_test_alarm_wakes_nobody(settings: Settings) -> None:
    for customer in settings.customers:
        frozen = settings.frozen_plan(customer.id, Kind.TEST)
        assert frozen.plan.steps[0].ring == ("operators",)
        assert not frozen.contacts
        assert not frozen.routes


def test_an_emergency_call_has_a_place_to_send_help_to(settings: Settings) -> None:
    for customer in settings.customers:
        assert customer.address
        assert customer.latitude is not None
        assert customer.callback_number


def test_every_number_is_one_that_nobody_has_and_every_control_room_is_simulated(settings: Settings) -> None:
    assert [number for number in _numbers(settings) if FICTITIOUS.fullmatch(number) is None] == []
    assert all(route.number.endswith("@127.0.0.1:5099") for route in settings.emergency_routes)
    assert settings.emergency.armed == ()


def test_no_number_is_refused_by_the_interlock(settings: Settings) -> None:
    interlock = Interlock(())
    for number in _numbers(settings):
        uri = number if number.startswith("sip:") else f"sip:{number}@192.0.2.10"
        for trunk in settings.trunks:
            interlock.permit(uri, trunk.id)


def _numbers(settings: Settings) -> Iterator[str]:
    for contact in settings.contacts:
        yield from contact.numbers
    for row in (*settings.devices, *settings.workers):
        yield from row.numbers
    for customer in settings.customers:
        yield from filter(None, (customer.caller_id, customer.callback_number))
    for route in settings.emergency_routes:
        yield from filter(None, (route.number, route.caller_id))
    yield from (operator.uri for operator in settings.operators if operator.uri)
    yield from (device.callback for device in settings.devices if device.callback)


def test_somebody_is_asked_whether_he_is_well(settings: Settings) -> None:
    """In each by other means: by the key of a call that a roster brings about, or by PIN, when he has called."""
    now = datetime(2026, 3, 1, tzinfo=UTC)
    told = "\n".join(explained(settings, now))
    assert told.count("Check-ins '") == 1
    assert list(warnings(settings, now)) == []
    assert bool(settings.rosters) != bool(settings.check_in.numbers)


def test_no_pin_of_an_example_is_known_to_anybody(settings: Settings) -> None:
    for worker in settings.workers:
        for known in ("0000", "1234", "4711", "8162", "9054"):
            assert compare(Hashes(worker.pin, worker.duress_pin), known) == (False, False)
