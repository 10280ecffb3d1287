"""Whatever arrives as RTCP, nothing but RtpError comes out."""

from hypothesis import given, settings
from hypothesis import strategies as st

from voice.errors import RtpError
from voice.rtp.rtcp import build_compound, parse_compound

PLAUSIBLE = st.builds(
    lambda count, kind, words, body: bytes([0x80 | count, kind]) + words.to_bytes(2, "big") + body,
    count=st.integers(min_value=0, max_value=63),
    kind=st.integers(min_value=198, max_value=210),
    words=st.integers(min_value=0, max_value=30),
    body=st.binary(max_size=130),
)
ALIGNED = st.builds(
    lambda count, kind, body: bytes([0x80 | count, kind]) + (len(body) // 4).to_bytes(2, "big") + body,
    count=st.integers(min_value=0, max_value=63),
    kind=st.integers(min_value=198, max_value=210),
    body=st.binary(max_size=130).map(lambda body: body[: len(body) // 4 * 4]),
)


def survive(data: bytes) -> None:
    try:
        packets = parse_compound(data)
    except RtpError:
        return
    assert packets
    assert len(packets) <= len(data) // 4


@settings(max_examples=500)
@given(st.one_of(st.binary(max_size=200), PLAUSIBLE, st.lists(ALIGNED, max_size=4).map(b"".join)))
def test_arbitrary_bytes_are_packets_or_an_error(data: bytes) -> None:
    survive(data)


@settings(max_examples=300)
@given(ALIGNED)
def test_what_could_be_read_and_written_is_read_the_same_again(data: bytes) -> None:
    try:
        packets = parse_compound(data)
    except RtpError:
        return
    again = parse_compound(build_compound(packets))
    assert parse_compound(build_compound(again)) == again
