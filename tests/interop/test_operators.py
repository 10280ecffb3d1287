"""Real softphones as operators: they register, ring, listen from second 0 in silence, talk, and resolve."""

import time
from pathlib import Path

import pytest

from .badge import Badge
from .certificates import Certificates
from .peers.sipp import Sipp
from .phones import BADGE, DEVICE_TONES, DIGEST, OPERATOR_TONE, OPERATORS, WORKERS, Sound, phone
from .program import wait_until
from .service import Service
from .sounds import ladder, order_of, seconds_of, tone

SPEECH = ladder(DEVICE_TONES, 1.2)

WAYS = [
    pytest.param("baresip", "udp", "127.0.0.1", id="baresip-udp", marks=pytest.mark.needs("baresip")),
    pytest.param("baresip", "tls", "127.0.0.1", id="baresip-tls", marks=pytest.mark.needs("baresip")),
    pytest.param("baresip", "udp", "::1", id="baresip-udp6", marks=pytest.mark.needs("baresip")),
    pytest.param("linphone", "udp", "127.0.0.1", id="linphone-udp", marks=pytest.mark.needs("linphonec")),
    pytest.param("linphone", "tcp", "127.0.0.1", id="linphone-tcp", marks=pytest.mark.needs("linphonec")),
    pytest.param("linphone", "tls", "127.0.0.1", id="linphone-tls", marks=pytest.mark.needs("linphonec")),
]


@pytest.mark.needs("sipp")
@pytest.mark.parametrize(("program", "transport", "host"), WAYS)
def test_an_operator_hears_the_alarm_from_second_0_in_silence_then_talks_and_resolves_it(
    tmp_path: Path, sound: Sound, certificates: Certificates, program: str, transport: str, host: str
) -> None:
    with (
        Service(
            tmp_path,
            operators=OPERATORS[:1],
            devices=[BADGE],
            workers=WORKERS,
            certificates=certificates,
            ipv6=":" in host,
            settings=DIGEST[program],
        ) as service,
        phone(
            program,
            tmp_path,
            "olga",
            sound(OPERATOR_TONE),
            service,
            transport=transport,
            host=host,
            certificates=certificates if transport == "tls" else None,
        ) as operator,
        Badge(tmp_path, service, SPEECH, host=host) as badge,
    ):
        operator.wait_for_ring()
        wait_until(lambda: badge.has_said(1.5), "the first tone to be over before anybody listens")
        operator.answer()
        operator.wait_for_call()
        wait_until(lambda: seconds_of(operator.heard, 1900) > 0.5, "the operator to hear the fourth tone")
        heard = order_of(operator.heard, DEVICE_TONES[:4])
        assert heard == list(DEVICE_TONES[:4]), "all of it, in its order"
        assert not badge.disturbed, "not a sound at the device through ring, join and catch-up"

        operator.digit("1")
        wait_until(lambda: badge.heard(OPERATOR_TONE) > 0.5, "the device to hear the operator talk")
        operator.digit("1")
        service.wait_for_entry("talk_off")
        time.sleep(0.3)
        spoken = len(badge.rtp.sounds)
        time.sleep(0.7)
        assert len(badge.rtp.sounds) == spoken, "nothing is heard after talk is off"

        operator.digit("#")
        time.sleep(0.5)
        operator.digit("2")
        operator.wait_for_end()
        incident = service.wait_for_entry("resolved", "operator_left")
        assert incident.row["device_id"] == "badge-7"
        assert incident.row["reason"] == "false"
        assert len(badge.rtp.sounds) == spoken
    in_order = [
        kind for kind in incident.kinds if kind in {"opened", "operator_joined", "talk_on", "talk_off", "resolved"}
    ]
    assert in_order == ["opened", "operator_joined", "talk_on", "talk_off", "resolved"]


@pytest.mark.needs("sipp")
def test_a_phone_without_digits_listens_too(tmp_path: Path, sound: Sound) -> None:
    with (
        Service(tmp_path, operators=OPERATORS[:1], settings=DIGEST["pyvoip"]) as service,
        phone("pyvoip", tmp_path, "olga", sound(OPERATOR_TONE), service) as operator,
        Badge(tmp_path, service, SPEECH) as badge,
    ):
        operator.wait_for_ring()
        wait_until(lambda: badge.has_said(1.5), "the first tone to be over before anybody listens")
        operator.answer()
        operator.wait_for_call()
        wait_until(lambda: seconds_of(operator.heard, 1900) > 0.5, "the operator to hear the fourth tone")
        assert order_of(operator.heard, DEVICE_TONES[:4]) == list(DEVICE_TONES[:4])
        operator.hang_up()
        assert service.wait_for_entry("operator_left", "given_back").state == "open"
        assert not badge.disturbed


@pytest.mark.needs("sipp", "baresip", "linphonec")
def test_all_operators_ring_and_the_first_to_answer_stops_the_others(tmp_path: Path, sound: Sound) -> None:
    with (
        Service(tmp_path, operators=OPERATORS) as service,
        phone("baresip", tmp_path, "olga", sound(OPERATOR_TONE), service) as olga,
        phone("linphone", tmp_path, "otto", sound(OPERATOR_TONE), service) as otto,
        Badge(tmp_path, service, SPEECH) as badge,
    ):
        olga.wait_for_ring()
        otto.wait_for_ring()
        otto.answer()
        otto.wait_for_call()
        olga.wait_for_end()
        wait_until(lambda: order_of(otto.heard, DEVICE_TONES), "otto to hear the alarm")
        otto.hang_up()
        olga.wait_for_ring()
        incident = service.wait_for_entry("operator_joined", "given_back", "operator_rung")
        assert incident.state == "open", "the alarm of an operator who hangs up goes back to the queue, and rings"
        assert not badge.disturbed


@pytest.mark.needs("sipp")
def test_a_busy_operator_is_rung_again_until_somebody_answers(tmp_path: Path) -> None:
    with Sipp(tmp_path, "operator_busy", calls=2, patience=40) as busy:
        olga = {"id": "olga", "name": "Olga", "uri": f"sip:olga@127.0.0.1:{busy.port}"}
        with Service(tmp_path, operators=[olga]) as service, Badge(tmp_path, service, tone(400, 4)):
            busy.succeed()
            assert service.wait_for_entry("ringing_ended", times=2).state == "open"


@pytest.mark.needs("sipp", "baresip")
def test_a_phone_that_still_rings_is_cancelled_when_another_operator_answers(tmp_path: Path, sound: Sound) -> None:
    with Sipp(tmp_path, "operator_rings_until_cancelled", patience=40) as slow:
        otto = {"id": "otto", "name": "Otto", "uri": f"sip:otto@127.0.0.1:{slow.port}"}
        with (
            Service(tmp_path, operators=[OPERATORS[0], otto]) as service,
            phone("baresip", tmp_path, "olga", sound(OPERATOR_TONE), service) as olga,
            Badge(tmp_path, service, tone(400, 4)),
        ):
            olga.wait_for_ring()
            olga.answer()
            olga.wait_for_call()
            slow.succeed()


@pytest.mark.needs("sipp")
def test_a_200_of_an_operator_that_comes_again_is_acknowledged_again(tmp_path: Path) -> None:
    with Sipp(tmp_path, "operator_lost_ack", retransmits=False, patience=40) as phone_of_olga:
        olga = {"id": "olga", "name": "Olga", "uri": f"sip:olga@127.0.0.1:{phone_of_olga.port}"}
        with Service(tmp_path, operators=[olga]) as service:
            with Badge(tmp_path, service, tone(400, 4)):
                service.wait_for_entry("operator_joined")
            service.stop()
            acknowledgements = [message for message in phone_of_olga.received() if message.method == "ACK"]
            assert len(acknowledgements) == 2
