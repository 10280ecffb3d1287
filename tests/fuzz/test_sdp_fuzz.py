"""Whatever arrives as a session description, nothing but SdpError or NotAcceptable comes out."""

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.sdp.in_bytes import accept_answer, answer
from voice.errors import NotAcceptable, SdpError
from voice.sdp.description import parse, serialize
from voice.sdp.negotiation import LocalMedia

LOCAL = LocalMedia(("192.0.2.1", 20_000), 20_001)
SEED = (
    b"v=0\r\no=dev 7 3 IN IP4 198.51.100.5\r\ns=-\r\nc=IN IP4 198.51.100.5\r\nt=0 0\r\na=sendrecv\r\n"
    b"m=audio 4000 RTP/AVP 8 0 101\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\n"
    b"a=fmtp:101 0-16\r\na=ptime:20\r\na=rtcp:4001 IN IP4 198.51.100.5\r\nm=video 0 RTP/AVP 96\r\n"
)
PIECES = st.sampled_from(
    b"v=0\r\n|m=audio |c=IN IP4 |0.0.0.0\r\n|::\r\n|4000 |RTP/AVP |8 0 101\r\n|a=rtpmap:|a=ptime:|a=rtcp:|"
    b"/| |=|\n|101 telephone-event/8000\r\n|\xff|999999999999".split(b"|")
)


def survive(data: bytes) -> None:
    try:
        description = parse(data)
    except SdpError:
        return
    assert parse(serialize(description)) == parse(serialize(parse(serialize(description))))
    for attempt in (lambda: answer(data, LOCAL, session_id=1, version=1), lambda: accept_answer(LOCAL, data)):
        try:
            attempt()
        except (SdpError, NotAcceptable):
            continue


@settings(max_examples=300)
@given(st.binary(max_size=400))
def test_arbitrary_bytes(data: bytes) -> None:
    survive(data)
    survive(b"v=0\r\n" + data)


@settings(max_examples=300)
@given(st.lists(PIECES, max_size=40).map(b"".join))
def test_arbitrary_orders_of_familiar_pieces(data: bytes) -> None:
    survive(b"v=0\r\n" + data)


@settings(max_examples=300)
@given(st.lists(st.tuples(st.integers(min_value=0, max_value=len(SEED)), st.binary(max_size=3)), max_size=6))
def test_a_good_offer_with_bytes_changed(changes: list[tuple[int, bytes]]) -> None:
    data = SEED
    for at, piece in changes:
        data = data[:at] + piece + data[at + 1 :]
    survive(data)


@given(st.integers(min_value=0, max_value=len(SEED)))
def test_a_good_offer_cut_short(length: int) -> None:
    survive(SEED[:length])
