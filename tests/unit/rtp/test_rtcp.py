"""RTCP packets, RFC 3550 section 6."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voice.errors import RtpError, UsageError
from voice.rtp.rtcp import (
    CNAME,
    ApplicationPacket,
    Chunk,
    Goodbye,
    OtherPacket,
    ReceiverReport,
    ReportBlock,
    RtcpPacket,
    SenderReport,
    SourceDescription,
    build_compound,
    parse_compound,
)

WORD = st.integers(min_value=0, max_value=0xFFFFFFFF)
TEXT = (
    st.text(max_size=60)
    .filter(lambda text: len(text.encode("utf-8", "replace")) <= 255)
    .map(lambda text: text.encode("utf-8", "replace").decode("utf-8"))
)
BLOCKS = st.lists(
    st.builds(
        ReportBlock,
        ssrc=WORD,
        fraction_lost=st.integers(min_value=0, max_value=255),
        cumulative_lost=st.integers(min_value=-0x800000, max_value=0x7FFFFF),
        highest_sequence=WORD,
        jitter=WORD,
        last_report=WORD,
        delay=WORD,
    ),
    max_size=31,
).map(tuple)
ITEMS = st.lists(st.tuples(st.integers(min_value=1, max_value=255), TEXT), max_size=4).map(tuple)
WORDS = st.binary(max_size=80).map(lambda data: data[: len(data) // 4 * 4])
PACKETS: st.SearchStrategy[RtcpPacket] = st.one_of(
    st.builds(
        SenderReport,
        ssrc=WORD,
        ntp=st.integers(min_value=0, max_value=2**64 - 1),
        timestamp=WORD,
        packets=WORD,
        octets=WORD,
        reports=BLOCKS,
    ),
    st.builds(ReceiverReport, ssrc=WORD, reports=BLOCKS),
    st.builds(
        SourceDescription,
        chunks=st.lists(st.builds(Chunk, ssrc=WORD, items=ITEMS), max_size=31).map(tuple),
    ),
    st.builds(Goodbye, sources=st.lists(WORD, max_size=31).map(tuple), reason=TEXT),
    st.builds(
        ApplicationPacket,
        subtype=st.integers(min_value=0, max_value=31),
        ssrc=WORD,
        name=st.binary(min_size=4, max_size=4),
        data=WORDS,
    ),
    st.builds(
        OtherPacket,
        payload_type=st.integers(min_value=205, max_value=223),
        count=st.integers(min_value=0, max_value=31),
        body=WORDS,
    ),
)


@given(st.lists(PACKETS, min_size=1, max_size=6).map(tuple))
def test_what_is_written_is_read_again(packets: tuple[RtcpPacket, ...]) -> None:
    assert parse_compound(build_compound(packets)) == packets


def test_a_sender_report_as_it_stands_in_the_rfc() -> None:
    data = bytes.fromhex(
        "81c8000c 0000002a c1b2c3d4e5f60718 00003e80 00000064 00003e80"
        "0000002b 40000003 00010064 00000010 b2c3e5f6 00010000"
    )
    (packet,) = parse_compound(data)
    block = ReportBlock(43, 0x40, 3, 0x10064, 16, 0xB2C3E5F6, 65_536)
    assert packet == SenderReport(42, 0xC1B2C3D4E5F60718, 16_000, 100, 16_000, (block,))


def test_cumulative_loss_is_signed() -> None:
    data = build_compound([ReceiverReport(1, (ReportBlock(2, 0, -5, 0, 0, 0, 0),))])
    (packet,) = parse_compound(data)
    assert isinstance(packet, ReceiverReport)
    assert packet.reports[0].cumulative_lost == -5


def test_a_goodbye_alone_is_read_though_a_compound_packet_should_begin_with_a_report() -> None:
    assert parse_compound(bytes.fromhex("81cb0001 00000007")) == (Goodbye((7,)),)


def test_padding_at_the_end_of_the_last_packet_is_taken_off() -> None:
    data = bytes.fromhex("80c90001 00000001 a1cb0002 00000007 00000004")
    assert parse_compound(data) == (ReceiverReport(1), Goodbye((7,)))


def test_the_extension_of_a_profile_behind_a_report_is_passed_over() -> None:
    assert parse_compound(bytes.fromhex("80c90002 00000001 deadbeef")) == (ReceiverReport(1),)


@pytest.mark.parametrize(
    ("data", "flaw"),
    [
        ("", "empty"),
        ("80c9", "header beyond"),
        ("80c90002 00000001", "packet beyond"),
        ("40c90001 00000001", "version 1"),
        ("80c90000", "0 bytes where 4"),
        ("81c90001 00000001", "4 bytes where 28"),
        ("80c80001 00000001", "4 bytes where 24"),
        ("82cb0001 00000001", "4 bytes where 8"),
        ("81cb0002 00000001 05616263", "4 bytes where 6"),
        ("81ca0001 00000001", "4 bytes where 5"),
        ("81ca0002 00000001 01ff6162", "4 where|8 bytes where 261"),
        ("80cc0001 00000001", "4 bytes where 8"),
        ("a0c90001 00000000", "padding"),
        ("a0c90001 00000003", "padding"),
        ("a0c90001 00000008", "padding"),
        ("a0c90001 00000004 80c90001 00000001", "padding"),
    ],
)
def test_a_packet_whose_parts_do_not_fit_is_refused(data: str, flaw: str) -> None:
    with pytest.raises(RtpError, match=flaw):
        parse_compound(bytes.fromhex(data))


@pytest.mark.parametrize(
    "packet",
    [
        ReceiverReport(1, (ReportBlock(2, 0, 0, 0, 0, 0, 0),) * 32),
        Goodbye(tuple(range(32))),
        Goodbye((1,), "x" * 256),
        SourceDescription((Chunk(1, ((CNAME, "é" * 128),)),)),
        ApplicationPacket(0, 1, b"abc"),
        ApplicationPacket(0, 1, b"abcd", b"123"),
    ],
)
def test_what_does_not_fit_its_field_is_our_own_mistake(packet: RtcpPacket) -> None:
    with pytest.raises(UsageError):
        build_compound([packet])
