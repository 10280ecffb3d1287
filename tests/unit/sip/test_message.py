"""Reading and writing of SIP messages (RFC 3261 sections 7, 8.1.1, 8.2.6, 18.2, 18.3, 20; RFC 3581)."""

from random import Random

import pytest
import sipmessage

from voice.errors import PeerError, UsageError
from voice.sip.fields import HeaderFields, elements
from voice.sip.message import (
    MessageError,
    Request,
    Response,
    call_id,
    cseq,
    display_name_of,
    from_tag,
    header,
    headers,
    new_branch,
    new_call_id,
    new_request,
    new_tag,
    params_of,
    parse,
    parse_uri,
    parse_via,
    quote_string,
    reason_phrase,
    response_to,
    serialize,
    split_list,
    stamp_via,
    to_tag,
    top_via,
    unquote_string,
    uri_of,
    user_of,
    via_values,
)
from voice.sip.uri import equivalent

REQUIRED = {
    "Via": "SIP/2.0/UDP 192.0.2.4:5070;branch=z9hG4bK776",
    "From": '"Badge 12" <sip:badge12@example.org>;tag=abc',
    "To": "<sip:alarm@example.org>",
    "Call-ID": "a84b4c76e66710",
    "CSeq": "314159 INVITE",
}


def invite(
    *lines: str, body: bytes = b"", start: str = "INVITE sip:alarm@example.org SIP/2.0", **changes: str
) -> bytes:
    """An INVITE. Fields are changed by name, with `_` for `-`; an empty one is left out."""
    fields = REQUIRED | {name.replace("_", "-"): value for name, value in changes.items()}
    written = [f"{name}: {value}" for name, value in fields.items() if value]
    return "\r\n".join([start, *written, *lines]).encode("utf-8", "surrogateescape") + b"\r\n\r\n" + body


def read(data: bytes) -> Request:
    message = parse(data)
    assert isinstance(message, Request)
    return message


def fault(data: bytes, stream: bool = False) -> MessageError:
    with pytest.raises(MessageError) as caught:
        parse(data, stream=stream)
    return caught.value


# -- start line --


def test_a_request_is_read() -> None:
    message = read(invite("Content-Length: 4", body=b"body"))
    assert isinstance(message, sipmessage.Request)
    assert (message.method, message.uri.user, message.uri.host, message.body) == (
        "INVITE",
        "alarm",
        "example.org",
        b"body",
    )
    assert (call_id(message), cseq(message), from_tag(message), to_tag(message)) == (
        "a84b4c76e66710",
        (314159, "INVITE"),
        "abc",
        None,
    )


def test_a_response_is_read() -> None:
    message = parse(invite(start="SIP/2.0 180 Ringing now"))
    assert isinstance(message, Response)
    assert (message.code, message.phrase) == (180, "Ringing now")


@pytest.mark.parametrize("version", ["SIP/3.0", "SIP/1.0", "sip/2.1"])
def test_another_version_is_answered_505(version: str) -> None:
    error = fault(invite(start=f"INVITE sip:a@b {version}"))
    assert (error.status, error.partial is not None) == (505, True)


@pytest.mark.parametrize(
    "start",
    [
        "",
        "INVITE",
        "INVITE sip:a@b",
        "INVITE sip:a@b HTTP/1.1",
        "INVITE sip:a@b SIP/2.0 x",
        "INVITE  SIP/2.0",
        "IN\tVITE sip:a@b SIP/2.0",
        "INVITE sip:a b@c SIP/2.0",
        "INVITE sip:@b SIP/2.0",
        "INVITE sip:a@b:0 SIP/2.0",
        "INVITE sip:a@b:99999 SIP/2.0",
        "INVITE a@b SIP/2.0",
        "INVITE sip: SIP/2.0",
    ],
)
def test_a_request_line_that_makes_no_sense_is_answered_400(start: str) -> None:
    assert fault(invite(start=start)).status == 400


@pytest.mark.parametrize(
    "start", ["SIP/2.0 99 Low", "SIP/2.0 700 High", "SIP/2.0 abc No", "SIP/2.0", "SIP/2.0 2000 OK", "SIP/2.0 200 O\nK"]
)
def test_a_response_that_makes_no_sense_is_dropped(start: str) -> None:
    assert fault(invite(start=start)).partial is None


@pytest.mark.parametrize("uri", ["urn:service:sos", "tel:+31612345678;phone-context=x", "sips:a@b", "isbn:123"])
def test_the_scheme_of_the_request_uri_is_not_judged(uri: str) -> None:
    assert str(read(invite(start=f"INVITE {uri} SIP/2.0")).uri) == uri


def test_line_ends_before_a_message_are_skipped() -> None:
    assert read(b"\r\n\r\n" + invite()).method == "INVITE"


# -- headers --


def test_names_compare_without_case_and_compact_forms_are_written_out() -> None:
    message = read(invite("s: hello", "K: timer", "m: <sip:a@b>", "x: 90"))
    assert (header(message, "SUBJECT"), header(message, "supported")) == ("hello", "timer")
    assert b"\r\nSession-Expires: 90\r\n" in serialize(message)


def test_white_space_before_the_colon_and_folded_lines_are_read_through() -> None:
    message = read(invite("Subject \t:  one\r\n  two\r\n\tthree  "))
    assert header(message, "Subject") == "one two three"


def test_bytes_that_are_no_utf_8_leave_as_they_came() -> None:
    data = invite(From="\udce9 <sip:caf\udce9@example.org>;tag=1")
    assert b"From: \xe9 <sip:caf\xe9@example.org>;tag=1\r\n" in serialize(parse(data))


def test_a_display_name_without_the_quotes_it_needs_loses_no_call() -> None:
    assert user_of(read(invite(From="Jürgen, Badge <sip:j@example.org>;tag=1")).headers["From"]) == "j"


def test_a_line_that_is_no_header_is_passed_over() -> None:
    message = read(invite("no colon here", "bad name: x", ": empty", "Subject: kept"))
    assert header(message, "Subject") == "kept"


@pytest.mark.parametrize("line", ["Subject: a\rb", "Subject: a\nVia: x"])
def test_a_bare_line_end_within_a_header_is_answered_400(line: str) -> None:
    assert fault(invite(line)).status == 400


@pytest.mark.parametrize("name", ["Via", "From", "To", "Call_ID", "CSeq"])
def test_a_missing_mandatory_header_is_answered_400_where_a_via_allows(name: str) -> None:
    error = fault(invite(**{name: ""}))
    assert (error.status, error.reason) == (400, f"Missing {name.replace('_', '-')} Header Field")
    assert (error.partial is None) is (name == "Via")


@pytest.mark.parametrize("name", ["From", "To", "Call-ID", "CSeq"])
def test_a_second_value_of_a_single_header_is_answered_400(name: str) -> None:
    assert fault(invite(f"{name}: {REQUIRED[name]}")).status == 400


@pytest.mark.parametrize(
    "value", ["1 BYE", "x INVITE", "INVITE", "1", "-1 INVITE", "2147483648 INVITE", "1INVITE", "1 IN VITE"]
)
def test_a_cseq_that_does_not_fit_is_answered_400(value: str) -> None:
    assert fault(invite(CSeq=value)).status == 400


def test_the_largest_cseq_is_taken() -> None:
    assert cseq(read(invite(CSeq="2147483647 INVITE")))[0] == 2**31 - 1


@pytest.mark.parametrize("value", ['"open <sip:a@b>', "<sip:a@b", "alarm", "<>", "<sip:a@b> trailing"])
def test_an_address_that_cannot_be_read_is_answered_400(value: str) -> None:
    assert fault(invite(To=value)).status == 400


@pytest.mark.parametrize(
    "value",
    ["SIP/2.0/UDP", "UDP 192.0.2.4", "SIP/2.0/UDP 192.0.2.4:x", "SIP/2.0/UDP a b", "SIP/2.0/UDP h, x"],
)
def test_a_via_that_cannot_be_read_is_answered_400(value: str) -> None:
    assert fault(invite(Via=value)).status == 400


def test_a_broken_ack_is_never_answered() -> None:
    assert fault(invite(start="ACK sip:a@b SIP/2.0")).partial is None


def test_a_message_error_is_the_fault_of_the_peer() -> None:
    assert isinstance(fault(b""), PeerError)


# -- body --


def test_what_follows_the_body_in_a_datagram_is_cut_off() -> None:
    assert read(invite("Content-Length: 2", body=b"body")).body == b"bo"


def test_a_body_shorter_than_its_length_is_answered_400() -> None:
    assert fault(invite("Content-Length: 5", body=b"body")).status == 400


def test_without_a_length_the_body_is_the_rest_of_the_datagram_but_a_stream_needs_one() -> None:
    assert read(invite(body=b"body")).body == b"body"
    assert fault(invite(body=b"body"), stream=True).status == 400


@pytest.mark.parametrize("value", ["-1", "x", "1.0", "99999999999", "4\r\nContent-Length: 3"])
def test_a_length_that_cannot_be_used_is_answered_400(value: str) -> None:
    assert fault(invite(f"Content-Length: {value}", body=b"body")).status == 400


def test_the_same_length_twice_is_one_length() -> None:
    assert read(invite("Content-Length: 4", "l: 4", body=b"body")).body == b"body"


def test_a_head_that_does_not_end_is_answered_400() -> None:
    assert fault(invite().rstrip(b"\r\n")).status == 400


# -- scans --


@pytest.mark.parametrize(
    ("value", "parts"),
    [
        ("", []),
        ("a", ["a"]),
        ("a, b ,c", ["a", "b", "c"]),
        ('"x, y" <sip:a@b>, <sip:c,d@e;p=",">', ['"x, y" <sip:a@b>', '<sip:c,d@e;p=",">']),
        (r'"a\",b" <sip:a>, x', [r'"a\",b" <sip:a>', "x"]),
        ("a,,b,", ["a", "b"]),
        ('"open, a', ['"open, a']),
    ],
)
def test_a_list_is_split_outside_quotes_and_brackets(value: str, parts: list[str]) -> None:
    assert split_list(value) == parts


def test_lists_go_over_lines() -> None:
    message = read(invite("Route: <sip:a>, <sip:b>", "Route: <sip:c>"))
    assert headers(message, "Route") == elements(message.headers, "Route") == ["<sip:a>", "<sip:b>", "<sip:c>"]


@pytest.mark.parametrize(
    ("value", "name", "uri", "params"),
    [
        ('"A \\"q\\" <x>" <sip:a@b;lr>;tag=1;Q=0.5', 'A "q" <x>', "sip:a@b;lr", {"tag": "1", "q": "0.5"}),
        ("Anna Berg <sip:a@b>", "Anna Berg", "sip:a@b", {}),
        ("sip:a@b;tag=1;flag", "", "sip:a@b", {"tag": "1", "flag": None}),
        ('<sip:a@b>;x="y;z=1";tag=2', "", "sip:a@b", {"x": "y;z=1", "tag": "2"}),
        ("<sip:a@b> ; tag = 1 ;; ;tag=2", "", "sip:a@b", {"tag": "1"}),
        ("<sip:a@b", "", "sip:a@b", {}),
    ],
)
def test_an_address_is_taken_apart(value: str, name: str, uri: str, params: dict[str, str | None]) -> None:
    assert (display_name_of(value), uri_of(value), params_of(value)) == (name, uri, params)


@pytest.mark.parametrize(
    ("value", "user"),
    [
        ("<sip:anna@b>;tag=1", "anna"),
        ("sip:anna:secret@b;p=1", "anna"),
        ("sip:%61nn%C3%A9@b", "anné"),
        ("tel:+31-6;phone-context=x", "+31-6"),
        ("sip:b", ""),
        ("sip:user;par=u%40x@b", "user;par=u@x"),
        ('"sip:x@y" <sip:anna@b>', "anna"),
        ("nonsense", ""),
        ("", ""),
    ],
)
def test_the_user_of_a_uri(value: str, user: str) -> None:
    assert user_of(value) == user


@pytest.mark.parametrize(
    ("value", "tag"),
    [
        ("<sip:a@b>;tag=1", "1"),
        ("<sip:a;tag=2@b>", None),
        ("sip:a@b;tag=1;x=2", "1"),
        ("<sip:a@b> ; TAG = 1", "1"),
        ('"x>;tag=9" <sip:a@b>;tag=1', "1"),
        ('<sip:a@b>;x=";tag=9";tag=1', "1"),
        ("<sip:a@b>;xtag=1", None),
        ("<sip:a@b>;tag=", None),
        ("<sip:a@b>", None),
    ],
)
def test_the_tag_is_found_where_it_is_and_nowhere_else(value: str, tag: str | None) -> None:
    assert to_tag(read(invite(To=value))) == tag


def test_quoted_strings_come_back() -> None:
    for text in ("", "plain", 'a "b"', "back\\slash", "\\"):
        assert unquote_string(quote_string(text)) == text
    assert unquote_string("bare") == "bare"


# -- Via --


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("SIP/2.0/UDP h", ("UDP", "h", 5060, None, None, None, "h")),
        ("SIP/2.0/tls H:5070;branch=z;rport", ("TLS", "h", 5070, "z", "", None, "h:5070")),
        ("SIP/2.0/TLS h;rport=9;received=1.2.3.4", ("TLS", "h", 5061, None, "9", "1.2.3.4", "h")),
        (
            "SIP / 2.0 / TCP  [2001:DB8::1]:5080 ; branch = z",
            ("TCP", "2001:db8::1", 5080, "z", None, None, "[2001:db8::1]:5080"),
        ),
    ],
)
def test_a_via_is_read(value: str, expected: tuple[object, ...]) -> None:
    assert parse_via(value) == expected


def test_the_top_via_is_the_first_of_the_first_line() -> None:
    message = read(invite("Via: SIP/2.0/UDP c", Via="SIP/2.0/UDP a, SIP/2.0/UDP b"))
    assert top_via(message).host == "a"
    assert via_values(message) == ["SIP/2.0/UDP a", "SIP/2.0/UDP b", "SIP/2.0/UDP c"]


def test_received_is_added_when_the_source_is_not_what_the_via_says() -> None:
    message = read(invite())
    stamp_via(message, ("192.0.2.4", 9))
    assert message.headers["Via"] == REQUIRED["Via"]
    stamp_via(message, ("198.51.100.1", 9))
    assert message.headers["Via"] == REQUIRED["Via"] + ";received=198.51.100.1"


def test_rport_gets_the_source_port_and_received_always() -> None:
    message = read(invite(Via="SIP/2.0/UDP 192.0.2.4;rport;branch=z, SIP/2.0/UDP b"))
    stamp_via(message, ("192.0.2.4", 40123))
    via = top_via(message)
    assert (via.received, via.rport, via.branch) == ("192.0.2.4", "40123", "z")
    assert via_values(message)[1:] == ["SIP/2.0/UDP b"]


def test_what_a_peer_claims_as_received_is_replaced() -> None:
    message = read(invite(Via="SIP/2.0/UDP x;received=203.0.113.9;branch=z"))
    stamp_via(message, ("198.51.100.1", 9))
    assert top_via(message).received == "198.51.100.1"


# -- writing --


def test_the_content_length_is_that_of_the_body() -> None:
    message = read(invite("Content-Length: 4", body=b"body"))
    message.body = b"longer body"
    data = serialize(message)
    assert data.count(b"Content-Length") == 1
    assert data.endswith(b"\r\nContent-Length: 11\r\n\r\nlonger body")


@pytest.mark.parametrize("value", ["a\r\nVia: evil", "a\nb", "a\rb"])
def test_a_line_end_in_a_value_of_ours_is_a_bug_and_never_sent(value: str) -> None:
    with pytest.raises(UsageError):
        serialize(new_request("OPTIONS", "sip:a@b", [("Subject", value)]))


def test_a_response_repeats_what_it_must() -> None:
    request = read(
        invite("Record-Route: <sip:p1;lr>", "Record-Route: <sip:p2;lr>", "Timestamp: 54", "Via: SIP/2.0/UDP p")
    )
    ok = response_to(
        request,
        200,
        to_tag="ours",
        headers=[("Contact", "<sip:us>")],
        body=b"v=0",
        content_type="application/sdp",
    )
    assert (ok.code, ok.phrase) == (200, "OK")
    assert ok.headers.getlist("Via") == [REQUIRED["Via"], "SIP/2.0/UDP p"]
    assert ok.headers.getlist("Record-Route") == ["<sip:p1;lr>", "<sip:p2;lr>"]
    assert (ok.headers["From"], ok.headers["To"]) == (REQUIRED["From"], REQUIRED["To"] + ";tag=ours")
    assert (ok.headers["Call-ID"], ok.headers["CSeq"]) == (REQUIRED["Call-ID"], REQUIRED["CSeq"])
    assert (ok.headers["Content-Type"], header(ok, "Timestamp")) == ("application/sdp", None)


def test_a_100_has_no_tag_but_the_timestamp() -> None:
    trying = response_to(read(invite("Timestamp: 54")), 100, to_tag="ours")
    assert (to_tag(trying), header(trying, "Timestamp")) == (None, "54")


def test_a_failure_has_no_record_route_and_a_tag_that_is_there_stays() -> None:
    request = read(invite("Record-Route: <sip:p1;lr>", To="<sip:a@b>;tag=theirs"))
    busy = response_to(request, 486, "Not now", to_tag="ours")
    assert (busy.phrase, header(busy, "Record-Route"), to_tag(busy)) == ("Not now", None, "theirs")


def test_answering_does_not_change_the_request() -> None:
    request = read(invite("Record-Route: <sip:p1;lr>"))
    before = serialize(request)
    answer = response_to(request, 200, to_tag="ours")
    answer.headers.getlist("Via").append("SIP/2.0/UDP other")
    answer.headers.getlist("Record-Route").clear()
    assert serialize(request) == before


def test_names_of_ours_are_random_and_of_their_form() -> None:
    random = Random(1)
    assert new_branch(random).startswith("z9hG4bK")
    for make in (new_branch, new_tag, new_call_id):
        assert len({make(random) for _ in range(100)}) == 100


def test_an_unknown_code_has_the_phrase_of_its_class() -> None:
    assert [reason_phrase(code) for code in (200, 299, 499, 699, 799)] == [
        "OK",
        "OK",
        "Bad Request",
        "Busy Everywhere",
        "Unknown",
    ]


# -- header fields as a whole --


def test_header_fields_behave_like_those_of_sipmessage() -> None:
    ours, theirs = HeaderFields(), sipmessage.Headers()
    for fields in (ours, theirs):
        fields.add("Via", "1")
        fields.add("X-One", "a")
        fields.add("via", "2")
        fields.set("x-one", "b")
        fields.setlist("Route", ["r1", "r2"])
        fields.add("To", "t")
        fields.remove("TO")
        fields.remove("nothing")
    assert (ours.keys(), str(ours)) == (theirs.keys(), str(theirs))
    assert (ours.get("VIA"), ours.getlist("route"), ours["x-ONE"]) == ("1", ["r1", "r2"], "b")
    assert (ours.get("none"), ours.get("none", "d"), ours.getlist("none")) == (None, "d", [])
    with pytest.raises(KeyError):
        ours["none"]


# -- URIs --


@pytest.mark.parametrize(
    ("text", "user", "host", "port"),
    [
        ("sip:a@node01", "a", "node01", None),
        ("sip:a@my_service:5080", "a", "my_service", 5080),
        ("sip:[2001:db8::1]:5060;transport=tcp", None, "[2001:db8::1]", 5060),
        ("SIPS:a:b@h?Subject=x", "a", "h", None),
        ("sip:h;self=1;lr", None, "h", None),
    ],
)
def test_uris_of_the_field_are_read_and_kept_as_they_are(
    text: str, user: str | None, host: str, port: int | None
) -> None:
    uri = parse_uri(text)
    assert (uri.user, uri.host, uri.port, str(uri)) == (user, host, port, text)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [  # of RFC 3261 section 19.1.4, as far as they are without headers
        ("sip:%61lice@atlanta.com;transport=TCP", "sip:alice@AtLanTa.CoM;Transport=tcp", True),
        ("sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5", True),
        ("sip:carol@chicago.com;newparam=5", "sip:carol@chicago.com;security=on", True),
        ("SIP:ALICE@AtLanTa.CoM;Transport=udp", "sip:alice@AtLanTa.CoM;Transport=UDP", False),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060", False),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp", False),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com:6000;transport=tcp", False),
        ("sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4", False),
        ("sip:carol@chicago.com;security=off", "sip:carol@chicago.com;security=on", False),
    ],
)
def test_uris_are_equal_by_the_rules_of_the_rfc(one: str, other: str, same: bool) -> None:
    assert equivalent(parse_uri(one), parse_uri(other)) is same
    assert equivalent(parse_uri(other), parse_uri(one)) is same
