"""Whatever arrives on an RTP port, nothing but RtpError comes out."""

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.media.reports import reported
from tests.unit.rtp.whole_packet import RtpPacket
from voice.errors import RtpError
from voice.media.inflow import Inflow
from voice.rtp.digits import info_digit
from voice.rtp.dtmf import DtmfDetector
from voice.rtp.events import EventReceiver
from voice.rtp.latch import Latch
from voice.rtp.packet import build, is_rtcp, parse_header


@settings(max_examples=500)
@given(st.binary(max_size=120), st.integers(min_value=0, max_value=63))
def test_arbitrary_bytes_are_a_packet_or_an_error(data: bytes, low_bits: int) -> None:
    for form in (data, bytes([0x80 | low_bits]) + data):
        is_rtcp(form)
        try:
            *_, start, end = parse_header(form)
        except RtpError:
            continue
        assert 12 <= start <= end <= len(form)
        assert len(RtpPacket.parse(form).serialize()) == len(form)


@given(st.lists(st.tuples(st.binary(max_size=8), st.integers(0, 2**32 - 1), st.booleans()), max_size=30))
def test_arbitrary_event_payloads_are_digits_or_errors(packets: list[tuple[bytes, int, bool]]) -> None:
    receiver = EventReceiver()
    for payload, timestamp, marker in packets:
        try:
            digit = receiver.feed(payload, timestamp, marker)
        except RtpError:
            continue
        assert digit is None or digit in "0123456789*#ABCD"


@given(
    st.lists(
        st.tuples(st.integers(0, 0xFFFF), st.integers(0, 2**32 - 1), st.floats(0, 1e6), st.sampled_from("ab")),
        max_size=60,
    )
)
def test_arbitrary_streams_give_a_report_that_fits_its_fields(
    packets: list[tuple[int, int, float, str]],
) -> None:
    latch = Latch(("192.0.2.1", 4000), {8})
    inflow = Inflow(None, latch, {8: None}, 0.0)
    for sequence, timestamp, at, host in packets:
        inflow.receive([(build(bytes(160), 8, sequence, timestamp, 7), (host, 1))], at)
    block = reported(inflow, latch, 1e6)
    if block is not None:
        assert 0 <= block.fraction_lost <= 255
        assert -0x800000 <= block.cumulative_lost <= 0x7FFFFF
        assert 0 <= block.jitter <= 0xFFFFFFFF
        assert 0 <= block.highest_sequence <= 0xFFFFFFFF


@given(st.binary(max_size=4000).map(lambda data: data[: len(data) // 2 * 2]))
def test_arbitrary_audio_is_heard_without_complaint(pcm: bytes) -> None:
    assert set(DtmfDetector().feed(pcm)) <= set("0123456789*#ABCD")


@given(st.text(max_size=30), st.binary(max_size=60))
def test_arbitrary_bodies_of_an_info_are_a_digit_or_none(content_type: str, body: bytes) -> None:
    for kind in (content_type, "application/dtmf-relay", "application/dtmf"):
        digit = info_digit(kind, body)
        assert digit is None or digit in "0123456789*#ABCD"
