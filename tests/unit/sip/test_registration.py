"""Our registration with a trunk (RFC 3261 section 10.2)."""

from random import Random

import pytest

from voice.errors import UsageError
from voice.sip.message import Response, new_request, response_to
from voice.sip.registration import FIRST_RETRY, LONGEST_RETRY, REFUSED_RETRY, Registration, State

CONTACT = "sip:earshot@192.0.2.10:5060"


def response(code: int, *fields: tuple[str, str]) -> Response:
    return response_to(new_request("REGISTER", "sip:trunk.example"), code, headers=fields)


def granting(seconds: int) -> Response:
    return response(200, ("Contact", f"<sip:other@h>;expires=9, <{CONTACT}>;expires={seconds}"))


def registration(expires: int = 3600) -> Registration:
    return Registration(expires, random=Random(1))


def attempt(ours: Registration, answer: Response, now: float) -> list[tuple[str, str]]:
    assert ours.due(now)
    fields = ours.begin(CONTACT, now)
    ours.answered(answer, now)
    return fields


def test_it_registers_at_once_and_asks_for_its_time() -> None:
    fields = attempt(registration(600), granting(600), 0.0)
    assert fields == [("Contact", f"<{CONTACT}>;expires=600"), ("Expires", "600")]


def test_it_refreshes_at_80_per_cent_of_the_time_that_was_granted() -> None:
    ours = registration(3600)
    attempt(ours, granting(100), 50.0)
    assert (ours.state(60.0), ours.next_timer(), ours.expires_at) == (State.REGISTERED, 130.0, 150.0)
    assert not ours.due(129.9)
    assert ours.due(130.0)


def test_the_expires_header_counts_where_our_contact_is_not_listed() -> None:
    ours = registration()
    attempt(ours, response(200, ("Expires", "200")), 0.0)
    assert ours.expires_at == 200.0


def test_without_any_time_in_the_answer_what_we_asked_for_counts() -> None:
    ours = registration(300)
    attempt(ours, response(200, ("Contact", "<nonsense>")), 0.0)
    assert ours.expires_at == 300.0


def test_a_423_is_honoured_at_once() -> None:
    ours = registration(60)
    attempt(ours, response(423, ("Min-Expires", "300")), 0.0)
    assert attempt(ours, granting(300), 0.0)[1] == ("Expires", "300")
    assert ours.state(1.0) is State.REGISTERED


@pytest.mark.parametrize("least", ["60", "nonsense", "9999999", ""])
def test_a_423_that_makes_no_sense_is_a_failure(least: str) -> None:
    ours = registration(60)
    attempt(ours, response(423, ("Min-Expires", least)), 0.0)
    assert ours.state(0.0) is State.FAILED
    assert not ours.due(1.0)


def test_a_peer_that_raises_its_minimum_again_and_again_is_a_failure() -> None:
    ours = registration(60)
    attempt(ours, response(423, ("Min-Expires", "300")), 0.0)
    attempt(ours, response(423, ("Min-Expires", "600")), 0.0)
    assert not ours.due(1.0)


def test_failures_are_retried_ever_less_often_with_jitter() -> None:
    ours, now, waits = registration(), 0.0, []
    for _ in range(8):
        attempt(ours, response(408), now)
        waits.append((ours.next_timer() or 0.0) - now)
        now = ours.next_timer() or 0.0
    steps = [min(LONGEST_RETRY, FIRST_RETRY * 2**n) for n in range(8)]
    assert all(step <= wait <= 1.5 * step for step, wait in zip(steps, waits, strict=True))
    assert len({wait / step for step, wait in zip(steps, waits, strict=True)}) > 1
    assert ours.reason == "408 Request Timeout"


def test_a_success_starts_the_backoff_anew() -> None:
    ours = registration()
    for _ in range(5):
        attempt(ours, response(503), ours.next_timer() or 0.0)
    attempt(ours, granting(100), ours.next_timer() or 0.0)
    now = ours.next_timer() or 0.0
    attempt(ours, response(503), now)
    assert (ours.next_timer() or 0.0) - now <= 1.5 * FIRST_RETRY
    assert ours.state(now) is State.REGISTERED  # 20 % of the granted time are left
    assert ours.state(now + 20.0) is State.FAILED


@pytest.mark.parametrize("code", [401, 403, 404, 407])
def test_a_refusal_is_not_repeated_fast(code: int) -> None:
    ours = registration()
    attempt(ours, response(code), 0.0)
    assert (ours.next_timer() or 0.0) >= REFUSED_RETRY


def test_retry_after_is_honoured() -> None:
    ours = registration()
    attempt(ours, response(503, ("Retry-After", "77 (soon);duration=3600")), 0.0)
    assert (ours.next_timer() or 0.0) >= 77.0


def test_a_broken_connection_is_registered_anew_within_a_second() -> None:
    ours = registration()
    attempt(ours, granting(3600), 0.0)
    ours.lost(100.0)
    assert ours.state(100.0) is State.UNREGISTERED
    assert ours.due(101.0)


def test_it_is_taken_back_with_expiry_0() -> None:
    ours = registration()
    attempt(ours, granting(3600), 0.0)
    ours.stop(10.0)
    assert attempt(ours, response(200), 10.0) == [("Contact", f"<{CONTACT}>;expires=0"), ("Expires", "0")]
    assert (ours.state(10.0), ours.next_timer()) == (State.REMOVED, None)


def test_what_was_never_registered_ends_without_a_request() -> None:
    ours = registration()
    ours.stop(0.0)
    assert (ours.state(0.0), ours.due(0.0)) == (State.REMOVED, False)


def test_a_registration_that_succeeds_while_we_stop_is_taken_back() -> None:
    ours = registration()
    ours.begin(CONTACT, 0.0)
    ours.stop(0.1)
    ours.answered(granting(60), 0.2)
    assert attempt(ours, response(200), 0.2)[1] == ("Expires", "0")
    assert ours.state(0.2) is State.REMOVED


def test_an_attempt_that_fails_while_we_stop_is_the_last() -> None:
    ours = registration()
    ours.begin(CONTACT, 0.0)
    ours.stop(0.1)
    ours.answered(response(408), 0.2)
    assert (ours.state(0.2), ours.next_timer()) == (State.REMOVED, None)


def test_out_of_turn_is_a_bug_of_ours() -> None:
    ours = registration()
    with pytest.raises(UsageError):
        ours.answered(response(200), 0.0)
    ours.begin(CONTACT, 0.0)
    assert ours.next_timer() is None
    with pytest.raises(UsageError):
        ours.begin(CONTACT, 0.0)
