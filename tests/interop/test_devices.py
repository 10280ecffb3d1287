"""Real phones as devices: they register with digest, call, are kept in every word, and are called back."""

import time
from pathlib import Path

import pytest

from .certificates import Certificates
from .peers.baresip import Baresip
from .peers.linphone import Linphone
from .phones import BADGE, DIGEST, OPERATOR_TONE, OPERATORS, WORKERS, Sound, phone
from .program import wait_until
from .service import Service
from .sounds import loudest, order_of, seconds_of

WAYS = [
    pytest.param("baresip", "tcp", "127.0.0.1", id="baresip-tcp", marks=pytest.mark.needs("baresip")),
    pytest.param("baresip", "tls", "127.0.0.1", id="baresip-tls", marks=pytest.mark.needs("baresip")),
    pytest.param("linphone", "udp", "127.0.0.1", id="linphone-udp", marks=pytest.mark.needs("linphonec")),
    pytest.param("linphone", "tls", "127.0.0.1", id="linphone-tls", marks=pytest.mark.needs("linphonec")),
    pytest.param("linphone", "udp", "::1", id="linphone-udp6", marks=pytest.mark.needs("linphonec")),
]


@pytest.mark.parametrize(("program", "transport", "host"), WAYS)
def test_a_device_is_challenged_answered_heard_and_hears_nothing(
    tmp_path: Path, sound: Sound, certificates: Certificates, program: str, transport: str, host: str
) -> None:
    with (
        Service(
            tmp_path,
            devices=[BADGE],
            workers=WORKERS,
            trusted=False,
            certificates=certificates,
            ipv6=":" in host,
            settings=DIGEST[program],
        ) as service,
        phone(
            program,
            tmp_path,
            "badge",
            sound(400, 1900, seconds=2),
            service,
            transport=transport,
            host=host,
            certificates=certificates if transport == "tls" else None,
        ) as device,
    ):
        where = f"[{host}]" if ":" in host else host
        port = service.tls_port if transport == "tls" else service.port
        device.dial(f"sip:alarm@{where}:{port};transport={transport}")
        device.wait_for_call()
        incident = service.wait_for_entry("answered")
        assert incident.row["device_id"] == "badge-7"
        assert incident.row["worker_id"] == "wim"
        assert incident.kind == "panic"
        wait_until(lambda: seconds_of(service.incident().recorded(), 1900) > 0.7, "both tones in the recording", 30)
        assert order_of(service.incident().recorded(), (400, 1900)) == [400, 1900]
        assert loudest(device.heard) <= 300, "digital silence, but for what the phone's own decoder makes of it"
        device.hang_up()
        device.wait_for_end()
        assert service.wait_for_entry("device_hung_up").state == "open"


def test_a_phone_that_acknowledges_with_a_tag_of_its_own_making_is_heard_all_the_same(
    tmp_path: Path, sound: Sound
) -> None:
    """pyVoIP: its ACK has the branch of the INVITE and a random To tag; it calls with mu-law."""
    with (
        Service(tmp_path, devices=[BADGE], workers=WORKERS, trusted=False, settings=DIGEST["pyvoip"]) as service,
        phone("pyvoip", tmp_path, "badge", sound(400, 1900, seconds=2), service) as device,
    ):
        with service.store_held():  # a 200 without a 100 before it leaves pyVoIP waiting for ever
            device.dial("alarm")
            time.sleep(0.6)
        device.wait_for_call()
        incident = service.wait_for_entry("answered")
        assert incident.row["device_id"] == "badge-7"
        assert incident.entries("answered")[0]["codec"] == "PCMU"
        wait_until(lambda: seconds_of(service.incident().recorded(), 1900) > 0.7, "both tones in the recording")
        assert order_of(service.incident().recorded(), (400, 1900)) == [400, 1900]
        assert loudest(device.heard) <= 300
        device.hang_up()
        assert service.wait_for_entry("device_hung_up").entries("device_hung_up")[0]["cause"] == "bye"


@pytest.mark.needs("baresip", "linphonec")
def test_a_device_that_hung_up_is_called_back_on_the_same_incident(tmp_path: Path, sound: Sound) -> None:
    with (
        Service(tmp_path, devices=[BADGE], operators=OPERATORS[:1], workers=WORKERS) as service,
        phone("linphone", tmp_path, "olga", sound(OPERATOR_TONE), service) as olga,
        phone("baresip", tmp_path, "badge", sound(1900), service, answers="auto") as badge,
    ):
        if not isinstance(badge, Baresip) or not isinstance(olga, Linphone):
            raise TypeError("other phones than asked for")
        badge.dial(f"sip:alarm@127.0.0.1:{service.port}")
        badge.wait_for_call()
        olga.wait_for_ring()
        olga.answer()
        olga.wait_for_call()
        badge.hang_up()
        service.wait_for_entry("device_hung_up")
        olga.digit("5")
        incident = service.wait_for_entry("calling_back", "device_answered_call_back")
        assert incident.state != "resolved"
        assert len(incident.legs_of("device")) == 2
        olga.digit("1")
        wait_until(lambda: seconds_of(badge.heard, OPERATOR_TONE) > 0.5, "the device to hear the operator")
