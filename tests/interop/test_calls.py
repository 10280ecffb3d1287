"""Dialogs word for word, by SIPp: what RFC 3261 and its friends ask of the answering side."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from .badge import Badge
from .peers.sipp import Sipp
from .program import wait_until
from .racing import RacingCall
from .service import Service
from .sounds import from_alaw, ladder, seconds_of, to_alaw, tone

pytestmark = pytest.mark.needs("sipp")

UDP4, UDP6, TCP4, TCP6 = ("127.0.0.1", "u1"), ("::1", "u1"), ("127.0.0.1", "t1"), ("::1", "t1")
EVERYWHERE = pytest.mark.parametrize(
    ("host", "transport"), [UDP4, UDP6, TCP4, TCP6], ids=["udp", "udp6", "tcp", "tcp6"]
)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with Service(tmp_path_factory.mktemp("service"), ipv6=True) as running:
        yield running


@EVERYWHERE
def test_an_alarm_is_answered_and_kept_bit_for_bit_and_stays_open_when_the_device_hangs_up(
    tmp_path: Path, service: Service, host: str, transport: str
) -> None:
    says = ladder((400, 800, 1150), 0.8)
    user = f"plain-{transport}-{'6' if ':' in host else '4'}"
    with Badge(tmp_path, service, says, user=user, host=host, transport=transport, hangs_up=3.0) as badge:
        badge.sipp.succeed()
    incident = service.wait_for_entry("answered", "device_hung_up", caller=user)
    assert incident.state == "open"
    assert incident.kind == "unidentified"
    sent = from_alaw(to_alaw(says)).tobytes()
    wait_until(
        lambda: sent in service.incident(user).recorded().tobytes(),
        "every sample that the device sent, in its place",
    )
    assert not badge.disturbed
    assert len(badge.rtp.audible) > 50, "the silence that keeps gateways and NATs open"


def test_audio_that_sipp_plays_is_kept(tmp_path: Path, service: Service) -> None:
    Sipp(tmp_path, "alarm_rtp", service.address, user="plays", alaw=to_alaw(tone(1900, 3)), talk=2.5).run()
    wait_until(lambda: seconds_of(service.incident("plays").recorded(), 1900) > 1.5, "the tone in the recording")


def test_an_invite_that_comes_twice_is_one_call(tmp_path: Path, service: Service) -> None:
    sipp = Sipp(tmp_path, "retransmitted_invite", service.address, user="twice", retransmits=False).run()
    assert len({answer.text for answer in sipp.received(200, "INVITE")}) == 1, "the same answer, if it came twice"
    incident = service.wait_for_entry("device_hung_up", caller="twice")
    assert len(incident.legs_of("device")) == 1
    assert incident.kinds.count("opened") == 1


def test_the_200_is_repeated_until_an_ack_arrives_and_not_after(tmp_path: Path, service: Service) -> None:
    sipp = Sipp(tmp_path, "lost_ack", service.address, user="lost-ack", retransmits=False).run()
    assert len({answer.text for answer in sipp.received(200, "INVITE")}) == 1
    assert len(service.wait_for_entry("device_hung_up", caller="lost-ack").legs_of("device")) == 1


def test_a_lost_200_comes_again_when_the_invite_is_repeated(tmp_path: Path, service: Service) -> None:
    sipp = Sipp(tmp_path, "lost_200", service.address, user="lost-200", retransmits=False).run()
    assert len({answer.text for answer in sipp.received(200, "INVITE")}) == 1
    assert len(service.wait_for_entry("device_hung_up", caller="lost-200").legs_of("device")) == 1


def test_a_call_that_is_cancelled_before_the_answer_is_an_alarm_all_the_same(tmp_path: Path, service: Service) -> None:
    with service.store_held():  # the answer waits for the commit, and the CANCEL comes first
        Sipp(tmp_path, "cancelled", service.address, user="cancels").run()
    incident = service.wait_for_entry("opened", caller="cancels")
    assert incident.state == "open"
    wait_until(lambda: all(leg["ended_at"] for leg in service.incident("cancels").legs), "the end of the leg")


def test_a_cancel_that_comes_too_late_is_answered_and_the_call_stands(tmp_path: Path, service: Service) -> None:
    Sipp(tmp_path, "cancel_too_late", service.address, user="cancels-late").run()
    service.wait_for_entry("answered", "device_hung_up", caller="cancels-late")


def test_many_cancels_race_the_answer_and_none_is_left_hanging(service: Service) -> None:
    waits = [number * 0.0004 for number in range(40)]
    outcomes = {RacingCall(service.address, "races", number, wait).run() for number, wait in enumerate(waits)}
    assert outcomes <= {200, 487}
    wait_until(
        lambda: all(leg["ended_at"] for leg in service.incident("races").legs),
        "every leg of the raced calls to end",
    )


@EVERYWHERE
def test_a_device_may_hold_the_call_and_take_it_back(
    tmp_path: Path, service: Service, host: str, transport: str
) -> None:
    user = f"holds-{transport}-{'6' if ':' in host else '4'}"
    Sipp(tmp_path, "hold", (host, service.port), user=user, transport=transport, talk=1).run()
    assert len(service.wait_for_entry("device_hung_up", caller=user).legs_of("device")) == 1


def test_an_invite_without_an_offer_is_given_one(tmp_path: Path, service: Service) -> None:
    Sipp(tmp_path, "late_offer", service.address, user="late-offer", talk=1).run()
    service.wait_for_entry("answered", "device_hung_up", caller="late-offer")


def test_a_session_timer_is_agreed_and_refreshed(tmp_path: Path, service: Service) -> None:
    Sipp(tmp_path, "session_timer", service.address, user="timer").run()


def test_a_digit_by_info_is_accepted(tmp_path: Path, service: Service) -> None:
    Sipp(tmp_path, "info_digit", service.address, user="info").run()


@EVERYWHERE
@pytest.mark.parametrize(
    "scenario",
    ["bye_unknown", "options", "method_unknown", "message_unknown", "require_unknown", "interval_too_small"],
)
def test_what_cannot_be_served_gets_the_answer_of_the_rfc(
    tmp_path: Path, service: Service, scenario: str, host: str, transport: str
) -> None:
    Sipp(tmp_path, scenario, (host, service.port), user="refused", transport=transport).run()


def test_an_alarm_without_a_usable_codec_is_refused_and_opens_an_incident(tmp_path: Path, service: Service) -> None:
    Sipp(tmp_path, "no_common_codec", service.address, user="no-codec").run()
    assert service.wait_for_entry("call_refused", caller="no-codec").state == "open"
