"""RTP packets, RFC 3550 section 5.1."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.rtp.whole_packet import Extension, RtpPacket
from voice.errors import RtpError
from voice.rtp.packet import build, is_rtcp, parse_header

WORD = st.integers(min_value=0, max_value=0xFFFFFFFF)

EXTENSIONS = st.builds(
    Extension,
    profile=st.integers(min_value=0, max_value=0xFFFF),
    data=st.binary(max_size=64).map(lambda data: data[: len(data) // 4 * 4]),
)
PACKETS = st.builds(
    RtpPacket,
    payload_type=st.integers(min_value=0, max_value=127),
    sequence=st.integers(min_value=0, max_value=0xFFFF),
    timestamp=WORD,
    ssrc=WORD,
    payload=st.binary(max_size=200),
    marker=st.booleans(),
    contributing=st.lists(WORD, max_size=15).map(tuple),
    extension=st.none() | EXTENSIONS,
    padding=st.integers(min_value=0, max_value=255),
)


@given(PACKETS)
def test_what_is_written_is_read_again(packet: RtpPacket) -> None:
    assert RtpPacket.parse(packet.serialize()) == packet


@given(PACKETS)
def test_the_fast_reader_finds_the_payload_past_sources_extension_and_padding(packet: RtpPacket) -> None:
    data = packet.serialize()
    for form in (data, memoryview(data)):
        payload_type, marker, sequence, timestamp, ssrc, start, end = parse_header(form)
        assert bytes(form[start:end]) == packet.payload
        assert (payload_type, marker) == (packet.payload_type, packet.marker)
        assert (sequence, timestamp, ssrc) == (packet.sequence, packet.timestamp, packet.ssrc)


@given(st.integers(min_value=0), st.integers(min_value=0), st.booleans())
def test_the_fast_writer_counts_on_past_the_wrap(sequence: int, timestamp: int, marker: bool) -> None:
    data = build(b"audio", 8, sequence, timestamp, 7, marker)
    assert RtpPacket.parse(data) == RtpPacket(8, sequence % 2**16, timestamp % 2**32, 7, b"audio", marker)


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"", "shorter"),
        (bytes.fromhex("800800010000000000000a"), "shorter"),
        (bytes.fromhex("400800010000000000000abc"), "version 1"),
        (bytes.fromhex("000800010000000000000abc"), "version 0"),
        (bytes.fromhex("8f0800010000000000000abc"), "beyond the end"),
        (bytes.fromhex("900800010000000000000abc"), "extension beyond"),
        (bytes.fromhex("900800010000000000000abcbede0001"), "beyond the end"),
        (bytes.fromhex("a00800010000000000000abc00"), "padding of length 0"),
        (bytes.fromhex("a00800010000000000000abc02"), "beyond the end"),
    ],
)
def test_a_packet_whose_parts_do_not_fit_is_refused(data: bytes, complaint: str) -> None:
    with pytest.raises(RtpError, match=complaint):
        parse_header(data)


def test_a_packet_of_padding_only_has_an_empty_payload() -> None:
    *_, start, end = parse_header(bytes.fromhex("a00800010000000000000abc00000004"))
    assert start == end


def test_every_cut_of_a_packet_is_a_shorter_packet_or_an_error() -> None:
    packet = RtpPacket(8, 1, 2, 3, b"payload", contributing=(4,), extension=Extension(0xBEDE, b"1234"))
    data = packet.serialize()
    for length in range(len(data)):
        try:
            *_, start, end = parse_header(data[:length])
        except RtpError:
            continue
        assert start <= end == length


@given(st.integers(min_value=0, max_value=63), st.booleans())
def test_audio_and_digits_on_a_shared_port_are_never_taken_for_rtcp(payload_type: int, marker: bool) -> None:
    assert not is_rtcp(build(b"", payload_type, 1, 1, 1, marker))
    assert not is_rtcp(build(b"", 96 + payload_type % 32, 1, 1, 1, marker))


@pytest.mark.parametrize("packet_type", [200, 201, 202, 203, 204, 205, 206, 207])
def test_rtcp_on_a_shared_port_is_known_by_its_second_byte(packet_type: int) -> None:
    assert is_rtcp(bytes([0x81, packet_type, 0, 0]))
