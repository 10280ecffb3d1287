"""Session descriptions, RFC 8866: lenient in, strict out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voice.errors import SdpError, UsageError
from voice.sdp.description import (
    MAX_BYTES,
    Attribute,
    Bandwidth,
    Connection,
    MediaDescription,
    Origin,
    SessionDescription,
    find,
    has,
    number,
    parse,
    serialize,
)

RFC_EXAMPLE = b"""v=0\r
o=jdoe 3724394400 3724394405 IN IP4 198.51.100.1\r
s=Call to John Smith\r
i=SDP Offer #1\r
u=http://www.jdoe.example.com/home.html\r
e=Jane Doe <jane@jdoe.example.com>\r
p=+1 617 555-6011\r
c=IN IP4 198.51.100.1\r
t=0 0\r
m=audio 49170 RTP/AVP 0\r
m=audio 49180 RTP/AVP 0\r
m=video 51372 RTP/AVP 99\r
c=IN IP6 2001:db8::2\r
a=rtpmap:99 h263-1998/90000\r
"""

TOKEN = st.text(alphabet="abcdefghijklmnopqrstuvwxyzABCXYZ0123456789-.+_", min_size=1, max_size=12)
LINE = st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\r\n\0"), min_size=1, max_size=40)
CONNECTIONS = st.one_of(
    st.builds(Connection, address=st.ip_addresses(v=4).map(str)),
    st.builds(Connection, address=st.ip_addresses(v=6).map(str), family=st.just("IP6")),
    st.builds(Connection, address=st.just("233.252.0.1"), suffix=st.sampled_from(["/127", "/127/3"])),
)
BANDWIDTHS = st.lists(
    st.builds(Bandwidth, kind=TOKEN, value=st.integers(min_value=0, max_value=10**9).map(str)), max_size=2
).map(tuple)
ATTRIBUTES = st.lists(st.builds(Attribute, name=TOKEN, value=st.none() | LINE), max_size=6).map(tuple)
MEDIA = st.builds(
    MediaDescription,
    kind=TOKEN,
    port=st.integers(min_value=0, max_value=65_535),
    protocol=st.sampled_from(["RTP/AVP", "RTP/SAVP", "udp", "TCP/MSRP"]),
    formats=st.lists(TOKEN, min_size=1, max_size=5).map(tuple),
    port_count=st.integers(min_value=1, max_value=9),
    title=st.none() | LINE,
    connections=st.lists(CONNECTIONS, max_size=2).map(tuple),
    bandwidths=BANDWIDTHS,
    key=st.none() | LINE,
    attributes=ATTRIBUTES,
)
DESCRIPTIONS = st.builds(
    SessionDescription,
    origin=st.builds(
        Origin,
        username=TOKEN,
        session_id=st.integers(min_value=0, max_value=2**64).map(str),
        version=st.integers(min_value=0, max_value=2**64).map(str),
        address=st.ip_addresses(v=4).map(str),
    ),
    name=LINE,
    information=st.none() | LINE,
    uri=st.none() | LINE,
    emails=st.lists(LINE, max_size=2).map(tuple),
    phones=st.lists(LINE, max_size=2).map(tuple),
    connection=st.none() | CONNECTIONS,
    bandwidths=BANDWIDTHS,
    timing=st.lists(st.tuples(st.sampled_from("trz"), LINE), min_size=1, max_size=3).map(tuple),
    key=st.none() | LINE,
    attributes=ATTRIBUTES,
    media=st.lists(MEDIA, max_size=4).map(tuple),
)


@given(DESCRIPTIONS)
def test_what_is_written_is_read_again(description: SessionDescription) -> None:
    assert parse(serialize(description)) == description


def test_the_example_of_the_rfc_is_written_as_it_was_read() -> None:
    assert serialize(parse(RFC_EXAMPLE)) == RFC_EXAMPLE


def test_the_parts_of_the_example_of_the_rfc() -> None:
    description = parse(RFC_EXAMPLE)
    assert description.origin == Origin("jdoe", "3724394400", "3724394405", "IN", "IP4", "198.51.100.1")
    assert description.connection == Connection("198.51.100.1")
    assert [media.port for media in description.media] == [49_170, 49_180, 51_372]
    assert description.media[2].connections == (Connection("2001:db8::2", "IP6"),)
    assert list(find(description.media[2].attributes, "rtpmap")) == ["99 h263-1998/90000"]


@pytest.mark.parametrize("line_end", [b"\n", b"\r", b"\r\n\r\n"])
def test_any_line_end_is_read(line_end: bytes) -> None:
    assert parse(RFC_EXAMPLE.replace(b"\r\n", line_end)) == parse(RFC_EXAMPLE)


def test_a_description_without_its_last_line_end_is_read() -> None:
    assert parse(RFC_EXAMPLE.rstrip()) == parse(RFC_EXAMPLE)


def test_missing_lines_for_origin_name_and_time_are_tolerated() -> None:
    description = parse(b"v=0\nm=audio 4000 RTP/AVP 8\n")
    assert description.origin == Origin()
    assert (description.name, description.timing, description.connection) == ("-", (("t", "0 0"),), None)


def test_lines_of_an_unknown_kind_are_passed_over() -> None:
    assert parse(b"v=0\r\nx=?\r\nm=audio 4000 RTP/AVP 8\r\n").media[0].port == 4000


def test_unknown_attributes_are_kept() -> None:
    description = parse(b"v=0\r\na=x-vendor:1:2\r\nm=audio 4000 RTP/AVP 8\r\na=x-flag\r\na=candidate:1 1 UDP\r\n")
    assert description.attributes == (Attribute("x-vendor", "1:2"),)
    assert description.media[0].attributes == (Attribute("x-flag"), Attribute("candidate", "1 1 UDP"))
    assert has(description.media[0].attributes, "x-flag")


def test_attributes_after_a_media_line_belong_to_it() -> None:
    description = parse(b"v=0\r\na=inactive\r\nm=audio 1 RTP/AVP 8\r\na=sendonly\r\nm=audio 2 RTP/AVP 8\r\n")
    assert has(description.attributes, "inactive")
    assert [has(media.attributes, "sendonly") for media in description.media] == [True, False]


def test_the_address_of_a_multicast_group_is_read_without_its_time_to_live() -> None:
    description = parse(b"v=0\r\nc=IN IP4 233.252.0.1/127/3\r\n")
    assert description.connection == Connection("233.252.0.1", suffix="/127/3")


def test_bytes_that_are_no_utf_8_survive() -> None:
    data = b"v=0\r\no=- 0 0 IN IP4 0.0.0.0\r\ns=caf\xe9\r\nt=0 0\r\n"
    assert serialize(parse(data)) == data


def test_nul_bytes_are_dropped_and_never_written() -> None:
    assert parse(RFC_EXAMPLE.replace(b"jdoe", b"jd\0oe") + b"\0") == parse(RFC_EXAMPLE)


def test_a_blank_in_the_name_of_the_user_is_tolerated() -> None:
    assert parse(b"v=0\r\no=My Phone 1 2 IN IP4 1.2.3.4\r\n").origin == Origin("My_Phone", "1", "2", address="1.2.3.4")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\r\n",
        b"hello",
        b"v=1\r\n",
        b"o=- 0 0 IN IP4 1.2.3.4\r\nv=0\r\n",
        b"v=0\r\nv=0\r\n",
        b"v=0\r\nnonsense\r\n",
        b"v=0\r\n m=audio 4000 RTP/AVP 8\r\n",
        b"v=0\r\no=- 0 0 IN\r\n",
        b"v=0\r\nc=IN IP4\r\n",
        b"v=0\r\nc=IN IP4 /127\r\n",
        b"v=0\r\nm=\r\n",
        b"v=0\r\nm=audio\r\n",
        b"v=0\r\nm=audio 4000\r\n",
        b"v=0\r\nm=audio x RTP/AVP 8\r\n",
        b"v=0\r\nm=audio -1 RTP/AVP 8\r\n",
        b"v=0\r\nm=audio 65536 RTP/AVP 8\r\n",
        b"v=0\r\nm=audio 4000/x RTP/AVP 8\r\n",
        b"v=0\r\nm=audio " + b"9" * 5000 + b" RTP/AVP 8\r\n",
        "v=0\r\nm=audio ４０００ RTP/AVP 8\r\n".encode(),
        b"v=0\r\n" + b"a=x\r\n" * MAX_BYTES,
    ],
)
def test_what_cannot_be_read_is_the_peers_mistake(data: bytes) -> None:
    with pytest.raises(SdpError) as caught:
        parse(data)
    assert caught.value.sip_status == 400


@pytest.mark.parametrize("name", ["a\rb", "a\nb", "a\0b", "x\r\nm=audio 1 RTP/AVP 0"])
def test_a_value_that_would_begin_another_line_is_never_written(name: str) -> None:
    with pytest.raises(UsageError):
        serialize(SessionDescription(name=name))


@pytest.mark.parametrize("text", ["", "+1", "-1", "1_0", " 1", "１", "9" * 11, "256"])
def test_only_plain_decimal_digits_within_the_limit_are_a_number(text: str) -> None:
    assert number(text, 255) is None
