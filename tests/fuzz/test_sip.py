"""Whatever arrives, nothing but a MessageError comes out of the reader, and what is read is written again unchanged."""

import string
from itertools import pairwise
from pathlib import Path
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.sip.answers import answer_challenge
from voice.clock import SystemClock
from voice.sip.digest import Authenticator, Credentials, Refused, Verified, parse_digest
from voice.sip.fields import (
    display_name_of,
    elements,
    params_of,
    quote_string,
    split_list,
    tag_of,
    unquote_string,
    uri_of,
    user_of,
)
from voice.sip.flow import Flow
from voice.sip.framing import PING, StreamFramer
from voice.sip.masking import masked
from voice.sip.message import (
    Message,
    MessageError,
    Request,
    call_id,
    cseq,
    from_tag,
    new_request,
    new_tag,
    parse,
    parse_uri,
    parse_via,
    response_to,
    serialize,
    stamp_via,
    to_tag,
    top_via,
)
from voice.sip.registrar import Registrar
from voice.sip.trace import Trace

TORTURE = [path.read_bytes() for path in sorted((Path(__file__).parents[1] / "torture" / "messages").glob("*.dat"))]
FLOW = Flow("UDP", ("192.0.2.1", 5060), ("198.51.100.7", 5060))

token = st.text(string.ascii_letters + string.digits + "-.!%*_+`'~", min_size=1, max_size=12)
text = st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]), max_size=30)
unlike = st.one_of(
    text, st.sampled_from(['"', "<", ">", ";", ",", "=", "\\", "\t", "%", "%zz", "sip:", "@", "[::1]", ":", "tag="])
)
soup = st.lists(unlike, max_size=12).map("".join)
user = st.text(string.ascii_letters + string.digits + "-_.!~*'()&=+$,;?/", min_size=1, max_size=12)
host = st.one_of(
    st.from_regex(r"[a-z][a-z0-9-]{0,8}(\.[a-z0-9_]{1,8}){0,3}", fullmatch=True),
    st.ip_addresses(v=4).map(str),
    st.ip_addresses(v=6).map(lambda address: f"[{address}]"),
)
display_name = st.one_of(st.just(""), text.map(lambda name: quote_string(name.strip()) + " "))


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A torture message with a few octets changed, lost, doubled or cut."""
    data = bytearray(draw(st.sampled_from(TORTURE)))
    for _ in range(draw(st.integers(1, 4))):
        if not data:
            break
        at = draw(st.integers(0, len(data) - 1))
        match draw(st.integers(0, 3)):
            case 0:
                data[at] = draw(st.integers(0, 255))
            case 1:
                del data[at : at + draw(st.integers(1, 20))]
            case 2:
                data[at:at] = draw(st.one_of(st.binary(max_size=6), st.sampled_from([b"\r\n", b" ", b'"', b"<", b";"])))
            case 3:
                data[at:at] = data[at : at + draw(st.integers(1, 40))]
    return bytes(data)


@st.composite
def requests(draw: st.DrawFn) -> Request:
    """A well formed request of any kind."""
    method = draw(token)
    uri = f"sip:{draw(user)}@{draw(host)}:{draw(st.integers(1, 65535))}"
    address = st.builds(lambda name, u, h: f"{name}<sip:{u}@{h}>", display_name, user, host)
    fields = [
        (
            "Via",
            f"SIP/2.0/{draw(st.sampled_from(['UDP', 'TCP', 'TLS']))} {draw(host)};branch=z9hG4bK{draw(token)};rport",
        ),
        ("From", f"{draw(address)};tag={draw(token)}"),
        ("To", draw(address)),
        ("Call-ID", draw(st.text(string.ascii_letters + string.digits + "-@.", min_size=1))),
        ("CSeq", f"{draw(st.integers(0, 2**31 - 1))} {method}"),
    ]
    extra = draw(st.lists(st.tuples(token.map("X-{}".format), text.map(str.strip)), max_size=5))
    return new_request(method, uri, [*fields, *extra], body=draw(st.binary(max_size=200)))


def read_all(message: Message) -> None:
    """Every lazy read that the core may do."""
    call_id(message), cseq(message), from_tag(message), to_tag(message), top_via(message)
    for name in list(message.headers.keys()):
        for value in [*message.headers.getlist(name), *elements(message.headers, name)]:
            uri_of(value), user_of(value), params_of(value), display_name_of(value), tag_of(value)


def digested(data: bytes) -> None:
    """What the service does with anything that arrives."""
    masked(data)
    masked(data, personal=False)
    for stream in (False, True):
        try:
            message = parse(data, stream=stream)
        except MessageError as error:
            refused(error)
        else:
            read_all(message)
            written_again(message)
            answered(message)


def refused(error: MessageError) -> None:
    if error.partial is not None:
        stamp_via(error.partial, FLOW.remote)
        response = serialize(response_to(error.partial, error.status, error.reason, to_tag="t"))
        assert response.startswith((b"SIP/2.0 400 ", b"SIP/2.0 505 "))


def written_again(message: Message) -> None:
    again = parse(serialize(message))
    assert again.body == message.body
    for name in set(message.headers.keys()) - {"Content-Length"}:
        assert again.headers.getlist(name) == message.headers.getlist(name)
    if isinstance(message, Request):
        assert isinstance(again, Request)
        assert (again.method, str(again.uri)) == (message.method, str(message.uri))


def answered(message: Message) -> None:
    if isinstance(message, Request):
        stamp_via(message, FLOW.remote)
        answer = parse(serialize(response_to(message, 200, to_tag="t")))
        assert top_via(answer).received in (FLOW.remote[0], None)
        Registrar(None, clock=SystemClock()).register(message, FLOW, 0.0)


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.binary(max_size=400), soup.map(lambda value: value.encode("utf-8", "replace"))))
def test_any_octets_are_survived(data: bytes) -> None:
    digested(data)


@settings(max_examples=600, deadline=None)
@given(mutated())
def test_mutated_torture_messages_are_survived(data: bytes) -> None:
    digested(data)


@settings(max_examples=200, deadline=None)
@given(requests())
def test_what_is_written_is_read_as_the_same(request: Request) -> None:
    data = serialize(request)
    again = parse(data)
    assert serialize(again) == data
    assert isinstance(again, Request)
    assert (again.method, again.body) == (request.method, request.body)
    digested(data)


@settings(max_examples=300, deadline=None)
@given(soup)
def test_the_scans_take_any_text(value: str) -> None:
    for scan in (
        uri_of,
        user_of,
        params_of,
        display_name_of,
        tag_of,
        split_list,
        parse_via,
        parse_digest,
        unquote_string,
    ):
        scan(value)  # type: ignore[operator]
    try:
        parse_uri(value)
    except ValueError:
        return
    assert str(parse_uri(value)) == value


@given(text)
def test_quoting_is_undone_by_unquoting(value: str) -> None:
    assert unquote_string(quote_string(value)) == value


@given(st.lists(text.map(lambda value: f'"{value.translate({34: None, 92: None})}" <sip:a,b@c>'), max_size=5))
def test_lists_are_split_where_they_were_joined(values: list[str]) -> None:
    assert split_list(", ".join(values)) == values


# -- framing --

stream_message = st.builds(
    lambda body, spaced: b"MESSAGE sip:a SIP/2.0\r\nContent-Length%b: %d\r\n\r\n%b" % (b" " * spaced, len(body), body),
    st.binary(max_size=60),
    st.integers(0, 2),
)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.one_of(stream_message, st.just(PING)), max_size=6), st.lists(st.integers(0, 500), max_size=12))
def test_a_stream_may_be_split_anywhere(frames: list[bytes], cuts: list[int]) -> None:
    data = b"".join(frames)
    framer = StreamFramer()
    bounds = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    pieces = [data[start:end] for start, end in pairwise(bounds)]
    assert [frame for piece in pieces for frame in framer.feed(piece)] == frames
    assert framer.broken is None


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.binary(max_size=300), mutated()), st.lists(st.integers(0, 400), max_size=6))
def test_any_stream_is_cut_alike_however_it_arrives_and_stays_within_bounds(data: bytes, cuts: list[int]) -> None:
    whole, split = StreamFramer(2000), StreamFramer(2000)
    bounds = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    pieces = [data[start:end] for start, end in pairwise(bounds)]
    assert whole.feed(data) == [frame for piece in pieces for frame in split.feed(piece)]
    assert whole.broken == split.broken


# -- digest --

name = st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]), min_size=1, max_size=20)


@settings(max_examples=200, deadline=None)
@given(
    name.map(str.strip).filter(bool),
    name,
    name.map(str.strip).filter(bool),
    st.sampled_from(["MD5", "SHA-256", "SHA-512-256"]),
)
def test_who_knows_the_password_is_verified_whatever_the_characters(
    username: str, password: str, realm: str, algorithm: str
) -> None:
    server = Authenticator(realm, {username: password}.get, secret_key=b"k", algorithms=(algorithm,))
    request = new_request("REGISTER", "sip:example.org")
    challenge = parse(serialize(response_to(_required(request), 401, headers=server.challenge(0.0))))
    answer = answer_challenge(challenge, "REGISTER", "sip:example.org", Credentials(username, password), 1, "c")  # type: ignore[arg-type]
    request.headers.add(*answer)
    received = parse(serialize(request))
    assert isinstance(received, Request)
    assert server.check(received, 1.0) == Verified(username)


@settings(max_examples=300, deadline=None)
@given(soup, st.booleans())
def test_no_authorization_header_breaks_the_authenticator(value: str, digest: bool) -> None:
    server = Authenticator("r", {"a": "b"}.get, secret_key=b"k", allow_without_qop=True)
    request = _required(new_request("REGISTER", "sip:example.org"))
    prefix = 'Digest realm="r", username="a", nonce="n", uri="sip:example.org", response="0", ' if digest else ""
    request.headers.add("Authorization", prefix + value.replace("\r", "").replace("\n", ""))
    assert isinstance(server.check(request, 0.0), Refused)


@given(soup)
def test_no_contact_breaks_the_registrar(value: str) -> None:
    request = _required(new_request("REGISTER", "sip:example.org"))
    request.headers.add("Contact", value)
    assert Registrar(None, clock=SystemClock()).register(request, FLOW, 0.0).code in (200, 400, 423)


@given(st.one_of(st.binary(max_size=300), mutated()))
def test_no_message_breaks_the_trace(data: bytes) -> None:
    trace = Trace(SystemClock())
    trace.record("received", data, FLOW)
    for known in list(trace._known):
        trace.ladder(known)


def _required(request: Request) -> Request:
    for field, value in [
        ("Via", "SIP/2.0/UDP h;branch=z9hG4bKx"),
        ("From", f"<sip:a@h>;tag={new_tag(Random(1))}"),
        ("To", "<sip:a@h>"),
        ("Call-ID", "c"),
        ("CSeq", "1 REGISTER"),
    ]:
        request.headers.add(field, value)
    return request
