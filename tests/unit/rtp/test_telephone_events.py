"""Digits by RFC 4733: one per press, whatever is lost, repeated, reordered or odd."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voice.errors import RtpError
from voice.rtp.events import DIGITS, EventReceiver, TelephoneEvent

Packet = tuple[bytes, int, bool]


def packet(digit: str, duration: int, timestamp: int, *, end: bool = False, marker: bool = False) -> Packet:
    return TelephoneEvent(DIGITS.index(digit), duration, end).serialize(), timestamp % 2**32, marker


def press(digit: str, timestamp: int, length: int = 960, step: int = 160) -> list[Packet]:
    """All packets of one press: growing, then the end three times."""
    growing = [packet(digit, duration, timestamp, marker=duration == step) for duration in range(step, length, step)]
    return [*growing, *[packet(digit, length, timestamp, end=True)] * 3]


def heard(packets: list[Packet]) -> str:
    receiver = EventReceiver()
    return "".join(receiver.feed(*each) or "" for each in packets)


@given(
    st.builds(
        TelephoneEvent,
        code=st.integers(min_value=0, max_value=255),
        duration=st.integers(min_value=0, max_value=0xFFFF),
        end=st.booleans(),
        volume=st.integers(min_value=0, max_value=63),
    )
)
def test_what_is_written_is_read_again(event: TelephoneEvent) -> None:
    assert TelephoneEvent.parse(event.serialize()) == event


@pytest.mark.parametrize("payload", [b"", b"\x01", b"\x01\x0a\x00"])
def test_a_payload_that_is_too_short_is_refused(payload: bytes) -> None:
    with pytest.raises(RtpError):
        TelephoneEvent.parse(payload)


def test_a_press_is_one_digit_at_its_first_packet() -> None:
    receiver = EventReceiver()
    first, *rest = press("5", 8000)
    assert receiver.feed(*first) == "5"
    assert [receiver.feed(*each) for each in rest] == [None] * len(rest)


def test_quick_presses_of_the_same_digit_are_as_many_digits() -> None:
    assert heard(press("1", 0) + press("1", 1280) + press("1", 2560)) == "111"


@given(
    st.text(alphabet=DIGITS, min_size=1, max_size=12),
    st.integers(min_value=0, max_value=2**32 - 1),
    st.integers(min_value=0),
)
def test_each_press_of_which_any_packet_arrives_is_one_digit(digits: str, start: int, seed: int) -> None:
    rng = random.Random(seed)
    arriving: list[Packet] = []
    for number, digit in enumerate(digits):
        packets = press(digit, start + number * 2400)
        kept = [each for each in packets if rng.random() > 0.6] or [rng.choice(packets)]
        arriving += kept + [each for each in kept if rng.random() < 0.3]
    assert heard(arriving) == digits


def test_a_press_whose_start_was_lost_is_still_a_digit() -> None:
    assert heard(press("7", 0)[-1:]) == "7"


def test_a_press_whose_end_was_lost_does_not_swallow_the_next() -> None:
    assert heard(press("7", 0)[:-3] + press("7", 1600)[:-3]) == "77"


def test_late_repeats_of_the_press_before_say_nothing() -> None:
    assert heard(press("1", 0)[:-1] + press("2", 1600)[:2] + press("1", 0)[-1:] + press("2", 1600)[2:]) == "12"


def test_a_press_of_more_than_eight_seconds_in_segments_is_one_digit() -> None:
    first = [packet("3", duration, 1000, marker=duration == 160) for duration in range(160, 0xFFFF, 160)]
    first.append(packet("3", 0xFFFF, 1000))
    second = press("3", 1000 + 0xFFFF, 4000)
    assert heard(first + [(payload, at, False) for payload, at, _ in second]) == "3"


def test_the_last_packets_of_a_segment_may_be_lost() -> None:
    first = [packet("3", duration, 1000, marker=duration == 160) for duration in range(160, 65_000, 160)]
    second = [(payload, at, False) for payload, at, _ in press("3", 1000 + 0xFFFF, 4000)]
    assert heard(first + second) == "3"


def test_a_sender_that_moves_the_timestamp_within_a_press_is_understood() -> None:
    moving = [packet("9", 160 * (n + 1), 160 * n, marker=n == 0) for n in range(8)]
    ends = [packet("9", 1280, 1120 + 160 * n, end=True) for n in range(3)]
    assert heard(moving + ends) == "9"
    assert heard(moving + ends + press("9", 4000)) == "99"


def test_timestamps_may_wrap_within_and_between_presses() -> None:
    assert heard(press("4", 2**32 - 300) + press("4", 2**32 + 1500)) == "44"


def test_a_sender_that_starts_its_timestamps_anew_is_heard() -> None:
    assert heard(press("4", 1_000_000) + press("5", 100)) == "45"


def test_events_that_are_no_keys_say_nothing() -> None:
    receiver = EventReceiver()
    assert receiver.feed(TelephoneEvent(16, 160).serialize(), 0, True) is None
    assert receiver.feed(*press("1", 1600)[0]) == "1"
