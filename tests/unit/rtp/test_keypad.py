"""Packets are put in order before they are listened to, and nothing waits where nothing is missing."""

import itertools

import pytest

from tests.unit.rtp.tones import generate
from voice.errors import RtpError
from voice.rtp.codecs import FRAME_SAMPLES, pcm_to_alaw
from voice.rtp.events import DIGITS, TelephoneEvent
from voice.rtp.keypad import PATIENCE, Keypad, Packet

SILENT = b"\xd5" * FRAME_SAMPLES


def frames(alaw: bytes, *, first: int = 65_534, ssrc: int = 7) -> list[Packet]:
    """Audio in packets of 20 ms; sequence numbers and timestamps wrap."""
    alaw += SILENT[: -len(alaw) % FRAME_SAMPLES]
    pieces = [alaw[at : at + FRAME_SAMPLES] for at in range(0, len(alaw), FRAME_SAMPLES)]
    return [
        Packet(ssrc, (first + number) & 0xFFFF, 1, (2**32 - 160 + number * FRAME_SAMPLES) % 2**32, piece)
        for number, piece in enumerate(pieces)
    ]


def tones(keys: str, *, on: float = 0.1, off: float = 0.1, lead: int = 0) -> list[Packet]:
    return frames(SILENT + SILENT[:lead] + pcm_to_alaw(generate(keys, on=on, off=off)) + SILENT * 3)


def event(key: str, sequence: int, timestamp: int = 0) -> Packet:
    payload = TelephoneEvent(DIGITS.index(key), 160).serialize()
    return Packet(7, sequence & 0xFFFF, 1, timestamp, payload, event=True, marker=True)


def heard(packets: list[Packet], keypad: Keypad | None = None, *, settled: bool = True) -> str:
    """What comes of these packets, 20 ms from one to the next, and of waiting for no more."""
    keypad = keypad or Keypad(inband=True)
    found = [digit for number, packet in enumerate(packets) for digit in keypad.packet(packet, number * 0.02)]
    if settled:
        found += keypad.settle(len(packets) * 0.02 + PATIENCE)
    return "".join(digit.symbol for digit in found)


def test_packets_that_overtake_each_other_are_listened_to_in_order() -> None:
    packets = tones("147#")
    for at in range(2, len(packets) - 3, 3):
        packets[at], packets[at + 2] = packets[at + 2], packets[at]
    assert heard(packets) == "147#"


@pytest.mark.parametrize("lead", [0, 40, 80, 120])
@pytest.mark.parametrize(("on", "off"), [(0.05, 0.05), (0.08, 0.06), (0.1, 0.1)])
def test_a_packet_that_is_lost_parts_no_press_and_joins_no_two(on: float, off: float, lead: int) -> None:
    """Whichever it is: a tone of 80 ms is heard though any packet of it is lost, one of 50 ms in nearly all cases."""
    packets = tones("00#", on=on, off=off, lead=lead)
    found = [heard([*packets[:lost], *packets[lost + 1 :]]) for lost in range(1, len(packets) - 1)]
    assert {each for each in found if each != "00#"} <= ({"0#", "00"} if on < 0.08 else set())
    assert found.count("00#") >= len(found) - 3


def test_a_pause_of_which_a_packet_is_lost_is_still_a_pause() -> None:
    packets = tones("55", on=0.08, off=0.04)
    for lost in range(5, 7):
        assert heard([*packets[:lost], *packets[lost + 1 :]]) == "55"


def test_behind_a_long_hole_the_same_key_is_another_press() -> None:
    packets = tones("8", on=0.4)
    assert heard([*packets[:6], *packets[9:]]) == "8"
    assert heard([*packets[:6], *packets[11:]]) == "88"


def test_nothing_waits_while_nothing_is_missing() -> None:
    packets = tones("9")
    assert heard(packets[:4], settled=False) == "9"  # 60 ms of tone behind 20 ms of silence


def test_what_follows_a_lost_packet_waits_for_it_no_longer_than_its_time() -> None:
    keypad = Keypad(inband=True)
    keypad.packet(event("1", 10), 0.0)
    assert keypad.packet(event("2", 12, 1600), 1.0) == []
    assert keypad.settle(1.0 + PATIENCE - 0.01) == []
    assert [digit.symbol for digit in keypad.settle(1.0 + PATIENCE)] == ["2"]
    assert keypad.packet(event("3", 11, 800), 2.0) == []  # too late for its place
    assert [digit.symbol for digit in keypad.packet(event("4", 13, 2400), 2.1)] == ["4"]


def test_an_event_that_another_has_overtaken_keeps_its_place() -> None:
    for order in itertools.permutations([event("1", 11, 0), event("2", 12, 1600), event("3", 13, 3200)]):
        assert heard([event("0", 10, 2**32 - 1600), *order]) == "0123"


def test_events_and_tones_share_one_order() -> None:
    packets = tones("1")
    after = event("2", packets[-1].sequence + 1, 50_000)
    assert heard([*packets[:3], after, *packets[3:]]) == "12"


def test_without_tones_an_event_waits_for_nothing() -> None:
    keypad = Keypad(inband=False)
    found = [keypad.packet(event(key, at, at * 1600), 0.0) for at, key in ((10, "1"), (12, "2"))]
    assert [digit.symbol for digits in found for digit in digits] == ["1", "2"]


def test_a_silence_that_was_not_sent_is_a_pause() -> None:
    """Phones with voice activity detection send nothing between two tones; the sequence numbers go on."""
    tone = frames(pcm_to_alaw(generate("6", on=0.1, off=0.0)))
    again = [packet._replace(sequence=packet.sequence + 5, timestamp=packet.timestamp + 2400) for packet in tone]
    assert heard([*tone, *again]) == "66"


def test_a_stream_that_starts_anew_is_listened_to_at_once() -> None:
    keypad = Keypad(inband=True)
    assert heard(tones("1"), keypad) == "1"
    assert heard(frames(SILENT + pcm_to_alaw(generate("1")), first=9000, ssrc=8), keypad) == "1"
    assert heard(frames(SILENT + pcm_to_alaw(generate("2")), first=30_000, ssrc=8), keypad) == "2"


def test_what_waits_is_listened_to_when_the_call_ends() -> None:
    packets = tones("3")
    keypad = Keypad(inband=True)
    assert heard([packets[0], *packets[2:]], keypad, settled=False) == ""
    assert [digit.symbol for digit in keypad.flush(1.0)] == ["3"]


def test_an_event_that_is_none_is_refused_when_it_comes() -> None:
    with pytest.raises(RtpError):
        Keypad(inband=True).packet(event("1", 1)._replace(payload=b"\x01"), 0.0)


def test_info_does_not_wait_for_packets() -> None:
    keypad = Keypad(inband=True)
    keypad.packet(event("1", 10), 0.0)
    keypad.packet(event("2", 12, 1600), 0.1)
    assert [digit.symbol for digit in keypad.info("5", 0.1)] == ["5"]


@pytest.mark.parametrize("by_info", [False, True])
def test_behind_a_key_that_came_otherwise_no_tone_counts(by_info: bool) -> None:
    """The telephone has shown how it sends keys: what sounds like one is a voice."""
    keypad = Keypad(inband=True)
    if by_info:
        assert [digit.symbol for digit in keypad.info("1", 0.0)] == ["1"]
        assert heard(frames(SILENT * 2), keypad) == ""
    else:
        assert heard([event("1", 65_533)], keypad) == "1"
    assert heard(tones("159#"), keypad) == ""


def test_a_press_of_which_the_tone_is_heard_first_counts_once_and_is_the_last_by_tone() -> None:
    packets, keypad = tones("1"), Keypad(inband=True)
    assert heard([*packets, event("1", packets[-1].sequence + 1, 50_000)], keypad) == "1"
    assert heard(frames(SILENT + pcm_to_alaw(generate("12")), first=9000, ssrc=8), keypad) == ""
    assert [digit.symbol for digit in keypad.info("2", 9.0)] == ["2"]


def test_where_another_telephone_sends_tones_count_again() -> None:
    keypad = Keypad(inband=True)
    keypad.info("1", 0.0)
    keypad.moved()
    assert heard(tones("2"), keypad) == "2"


def test_tones_do_not_begin_to_count_on_a_leg_that_does_not_listen_for_them() -> None:
    keypad = Keypad(inband=False)
    keypad.moved()
    assert heard(tones("2"), keypad) == ""
