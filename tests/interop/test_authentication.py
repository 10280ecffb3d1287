"""Digest, by SIPp: who may register, and what becomes of a device that proves nothing."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from .peers.sipp import Sipp
from .phones import BADGE, OPERATORS, SECRETS, WORKERS
from .service import Service

pytestmark = pytest.mark.needs("sipp")


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("service")
    with Service(folder, devices=[BADGE], workers=WORKERS, operators=OPERATORS, trusted=False) as running:
        yield running


@pytest.mark.parametrize("transport", ["u1", "t1"])
@pytest.mark.parametrize("user", ["olga", "badge"])
def test_a_phone_registers_with_its_password_and_unregisters(
    tmp_path: Path, service: Service, user: str, transport: str
) -> None:
    Sipp(tmp_path, "register", service.address, user=user, password=SECRETS[user], transport=transport).run()


@pytest.mark.parametrize(("user", "password"), [("olga", "wrong"), ("nobody", "wrong")])
def test_a_phone_without_the_right_password_is_not_registered(
    tmp_path: Path, service: Service, user: str, password: str
) -> None:
    Sipp(tmp_path, "register_refused", service.address, user=user, password=password).run()


def test_a_device_outside_the_trusted_networks_proves_who_it_is(tmp_path: Path, service: Service) -> None:
    Sipp(tmp_path, "alarm_authenticated", service.address, user="badge", password=SECRETS["badge"], talk=1).run()
    incident = service.wait_for_entry("answered", "device_hung_up", caller="badge")
    assert incident.row["identified_by"] == "digest"
    assert incident.row["worker_id"] == "wim"
    assert incident.kind == "panic"


def test_a_device_with_a_wrong_password_is_answered_as_unidentified(tmp_path: Path) -> None:
    with Service(tmp_path, devices=[BADGE], workers=WORKERS, trusted=False) as service:
        Sipp(tmp_path, "alarm_authenticated", service.address, user="badge", password="wrong", talk=1).run()
        incident = service.wait_for_entry("answered", "device_hung_up")
        assert incident.kind == "unidentified"
        assert incident.row["device_id"] is None


def test_an_operator_is_never_let_in_without_the_password(tmp_path: Path, service: Service) -> None:
    sipp = Sipp(
        tmp_path, "operator_dials_unproven", service.address, service="next", user="olga", password="wrong"
    ).run()
    assert not sipp.received(200, "INVITE")
