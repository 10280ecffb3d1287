"""The 49 messages of RFC 4475, SIP torture tests: what the parser makes of each, and what the core answers.

The messages lie in `messages/`, under their names in the RFC. Where the RFC leaves a choice we forgive what
does not matter to a UAS: a call is an alarm, and no alarm may be lost for a comma in a display name.
"""

from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.unit.sip.conversation import Conversation
from voice.clock import SystemClock
from voice.sip.digest import Authenticator
from voice.sip.events import IncomingCall, MessageArrived, Send
from voice.sip.flow import Flow
from voice.sip.framing import StreamFramer
from voice.sip.message import (
    MessageError,
    Request,
    Response,
    cseq,
    display_name_of,
    from_tag,
    header,
    headers,
    params_of,
    parse,
    parse_params,
    parse_via,
    serialize,
    to_tag,
    top_via,
    uri_of,
    user_of,
    via_values,
)
from voice.sip.registrar import Registrar
from voice.sip.useragent import MessageReply

MESSAGES = Path(__file__).parent / "messages"


@dataclass(frozen=True)
class Case:
    """One message and its treatment."""

    section: str
    status: int | None = None
    """What the parser refuses it with; None: it is well formed to us."""
    answers: tuple[int, ...] = ()
    """What the core sends back at once."""
    rings: bool = False
    """Whether it reaches the application as a call."""


CASES = {
    # 3.1.1 valid messages
    "wsinv": Case("3.1.1.1", answers=(481,)),  # its To has a tag: it belongs to a dialog that we do not have
    "intmeth": Case("3.1.1.2", answers=(405,)),
    "esc01": Case("3.1.1.3", rings=True),
    "escnull": Case("3.1.1.4", answers=(200,)),
    "esc02": Case("3.1.1.5", answers=(405,)),
    "lwsdisp": Case("3.1.1.6", answers=(200,)),
    "longreq": Case("3.1.1.7", rings=True),
    "dblreq": Case("3.1.1.8", answers=(200,)),
    "semiuri": Case("3.1.1.9", answers=(200,)),
    "transports": Case("3.1.1.10", answers=(200,)),
    "mpart01": Case("3.1.1.11", answers=(200,)),
    "unreason": Case("3.1.1.12"),
    "noreason": Case("3.1.1.13"),
    # 3.1.2 invalid messages
    "badinv01": Case("3.1.2.1", status=400, answers=(400,)),
    "clerr": Case("3.1.2.2", status=400, answers=(400,)),
    "ncl": Case("3.1.2.3", status=400, answers=(400,)),
    "scalar02": Case("3.1.2.4", status=400, answers=(400,)),
    "scalarlg": Case("3.1.2.5", status=400),
    "quotbal": Case("3.1.2.6", status=400, answers=(400,)),
    "ltgtruri": Case("3.1.2.7", status=400, answers=(400,)),
    "lwsruri": Case("3.1.2.8", status=400, answers=(400,)),
    "lwsstart": Case("3.1.2.9", rings=True),  # forgiven: it can be read in one way only
    "trws": Case("3.1.2.10", answers=(200,)),  # forgiven likewise
    "escruri": Case("3.1.2.11", status=400, answers=(400,)),
    "baddate": Case("3.1.2.12", rings=True),  # forgiven: nobody needs the Date
    "regbadct": Case("3.1.2.13", answers=(400,)),
    "badaspec": Case("3.1.2.14", answers=(200,)),  # forgiven: the space has one meaning only
    "baddn": Case("3.1.2.15", answers=(200,)),  # forgiven: the quotes can be inferred
    "badvers": Case("3.1.2.16", status=505, answers=(505,)),
    "mismatch01": Case("3.1.2.17", status=400, answers=(400,)),
    "mismatch02": Case("3.1.2.18", status=400, answers=(400,)),
    "bigcode": Case("3.1.2.19", status=400),
    # 3.2 transaction layer
    "badbranch": Case("3.2.1", answers=(200,)),
    # 3.3 application layer
    "insuf": Case("3.3.1", status=400, answers=(400,)),
    "unkscm": Case("3.3.2", answers=(416,)),
    "novelsc": Case("3.3.3", answers=(416,)),
    "unksm2": Case("3.3.4", answers=(404,)),
    "bext01": Case("3.3.5", answers=(420,)),
    "invut": Case("3.3.6", answers=(415,)),
    "regaut01": Case("3.3.7", answers=(200,)),  # without authentication; with it 401, see below
    "multi01": Case("3.3.8", status=400, answers=(400,)),
    "mcl01": Case("3.3.9", status=400, answers=(400,)),
    "bcast": Case("3.3.10"),  # a response to nothing that we asked
    "zeromf": Case("3.3.11", answers=(200,)),  # we do not forward
    "cparam01": Case("3.3.12", answers=(200,)),
    "cparam02": Case("3.3.13", answers=(200,)),
    "regescrt": Case("3.3.14", answers=(200,)),
    "sdp01": Case("3.3.15", rings=True),
    # 3.4 backward compatibility
    "inv2543": Case("3.4.1", rings=True),  # by UDP; by a stream it lacks a Content-Length
}


def data(name: str) -> bytes:
    return (MESSAGES / f"{name}.dat").read_bytes()


def request(name: str) -> Request:
    message = parse(data(name))
    assert isinstance(message, Request)
    return message


def response(name: str) -> Response:
    message = parse(data(name))
    assert isinstance(message, Response)
    return message


def refused(name: str) -> MessageError:
    with pytest.raises(MessageError) as caught:
        parse(data(name))
    return caught.value


def test_all_49_messages_are_here_and_each_has_its_treatment() -> None:
    assert len(CASES) == 49
    assert {path.stem for path in MESSAGES.glob("*.dat")} == set(CASES)


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.status is None])
def test_it_is_taken_and_keeps_its_meaning_when_written_again(name: str) -> None:
    message = parse(data(name))
    again = parse(serialize(message))
    assert type(again) is type(message)
    assert (again.body, top_via(again), cseq(again)) == (message.body, top_via(message), cseq(message))
    for header_name in set(message.headers.keys()) - {"Content-Length"}:
        assert again.headers.getlist(header_name) == message.headers.getlist(header_name)
    if isinstance(message, Request) and isinstance(again, Request):
        assert (str(again.uri), again.method) == (str(message.uri), message.method)


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.status is not None])
def test_it_is_refused_with_its_status(name: str) -> None:
    error = refused(name)
    assert error.status == CASES[name].status
    assert (error.partial is not None) == bool(CASES[name].answers)


def answers(talk: Conversation, octets: bytes, flow: Flow) -> tuple[list[int], int]:
    """The status codes of what the core sends at once, and how many calls it presents."""
    talk.agent.receive(octets, flow, talk.clock)
    codes, calls = [], 0
    while (output := talk.agent.next_output()) is not None:
        match output:
            case Send(data=sent):
                version, code, _ = sent.split(b" ", 2)
                assert version == b"SIP/2.0", "a torture message makes us send no request"
                codes.append(int(code))
            case IncomingCall():
                calls += 1
            case MessageArrived(transaction=transaction):
                talk.agent.reply_message(transaction, MessageReply(), ["text/plain"])
    return codes, calls


DATAGRAM = Flow("UDP", ("192.0.2.1", 5060), ("198.51.100.7", 5060))
STREAM = Flow("TCP", ("192.0.2.1", 5060), ("198.51.100.7", 40000), 7)


@pytest.mark.parametrize("flow", [DATAGRAM, STREAM], ids=["udp", "tcp"])
@pytest.mark.parametrize("name", CASES)
def test_the_core_answers_as_it_should_and_the_next_message_is_not_harmed(name: str, flow: Flow) -> None:
    unframed = name == "inv2543" and flow is STREAM
    case = Case("3.4.1", answers=(400,)) if unframed else CASES[name]
    talk = Conversation(registrar=Registrar(None, clock=SystemClock()))
    assert answers(talk, data(name), flow) == (list(case.answers), int(case.rings))
    following = data("lwsdisp").replace(b"z9hG4bKkdjuw", b"z9hG4bKnext").replace(b"lwsdisp", b"next")
    assert answers(talk, following, flow) == ([200], 0)


# -- what the single messages are about --


def test_wsinv_white_space_folding_and_compact_names_are_read_through() -> None:
    message = request("wsinv")
    vias = [top_via_of(value) for value in via_values(message)]
    assert vias == [
        ("UDP", "192.0.2.2", "390skdjuw"),
        ("TCP", "spindle.example.com", "z9hG4bK9ikj8"),
        ("UDP", "192.168.255.111", "z9hG4bK30239"),
    ]
    assert (to_tag(message), from_tag(message), cseq(message)) == ("1918181833n", "98asjd8", (9, "INVITE"))
    assert display_name_of(message.headers["From"]) == 'J Rosenberg \\"'
    assert header(message, "Subject") == ""
    assert header(message, "NewFangledHeader") == "newfangled value continued newfangled value"
    assert header(message, "UnknownHeaderWithUnusualValue") == ";;,,;;,;"
    contact = message.headers["Contact"]
    assert params_of(contact) == {"newparam": "newvalue", "secondparam": None, "q": "0.33"}
    assert uri_of(message.headers["Route"]) == "sip:services.example.com;lr;unknownwith=value;unknown-no-value"
    assert len(message.body) == 150


def top_via_of(value: str) -> tuple[str, str, str | None]:
    via = parse_via(value)
    assert via is not None
    return via.transport, via.host, via.branch


def test_intmeth_unusual_characters_are_kept() -> None:
    message = request("intmeth")
    assert message.method == "!interesting-Method0123456789_*+`.%indeed'~"
    assert message.uri.user == "1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*"
    assert message.uri.password == "&it+has=1,weird!*pas$wo~d_too.(doesn't-it)"
    assert display_name_of(message.headers["To"]) == "BEL:\x07 NUL:\x00 DEL:\x7f"
    assert params_of(message.headers["From"])["fromparam''~+*_!.-%"] == "работающий"
    assert from_tag(message) == "_token~1'+`*%!-."
    assert header(message, "extensionHeader-!.%*+_`'~") == "\ufeff大停電"
    assert message.headers["Call-ID"] == "intmeth.word%ZK-!.*_+'@word`~)(><:\\/\"][?}{"


def test_esc01_escapes_mean_their_characters_and_are_not_undone_twice() -> None:
    message = request("esc01")
    assert message.uri.user == "sips:user@example.com"
    assert str(message.uri) == "sip:sips%3Auser%40example.com@example.net"
    assert user_of(message.headers["To"]) == "user"
    assert user_of(message.headers["From"]) == "I have spaces"
    params = parse_params(uri_of(message.headers["Contact"]).partition(";")[2])
    assert params == {"%6c%72": None, "n%61me": "v%61lue%25%34%31"}


def test_escnull_a_null_does_not_shorten_a_user() -> None:
    message = request("escnull")
    assert user_of(message.headers["To"]) == "null-\0-null"
    assert [user_of(contact) for contact in headers(message, "Contact")] == ["\0", "\0\0"]


def test_esc02_a_percent_sign_is_no_escape_outside_of_uris() -> None:
    message = request("esc02")
    assert message.method == "RE%47IST%45R"
    assert display_name_of(message.headers["To"]) == "%Z%45"
    assert len(headers(message, "Contact")) == 2
    assert header(message, "C%6Fntact") == "<sip:alias2@host2.example.com>"


def test_lwsdisp_no_space_is_needed_before_the_bracket() -> None:
    value = request("lwsdisp").headers["From"]
    assert (display_name_of(value), uri_of(value)) == ("caller", "sip:caller@example.com")


def test_longreq_long_values_and_34_vias_are_kept() -> None:
    message = request("longreq")
    assert len(via_values(message)) == 34
    assert top_via(message).host == "sip33.example.com"
    assert len(user_of(message.headers["From"])) == 5 * len("amazinglylongcallername")


def test_dblreq_what_follows_the_body_is_ignored() -> None:
    message = request("dblreq")
    assert (message.method, message.body) == ("REGISTER", b"")


def test_semiuri_a_semicolon_before_the_at_sign_belongs_to_the_user() -> None:
    message = request("semiuri")
    assert (message.uri.user, message.uri.host, dict(message.uri.parameters)) == (
        "user;par=u@example.net",
        "example.com",
        {},
    )
    assert len(headers(message, "Accept")) == 6


def test_transports_unknown_transports_are_read() -> None:
    vias = [top_via_of(value)[0] for value in via_values(request("transports"))]
    assert vias == ["UDP", "SCTP", "TLS", "UNKNOWN", "TCP"]


def test_mpart01_a_binary_body_is_kept_to_the_byte() -> None:
    message = request("mpart01")
    assert len(message.body) == 553
    assert b"\x00" in message.body
    assert b"0\x82\x01R\x06\t*\x86H\x86" in message.body


def test_unreason_the_phrase_may_be_any_text() -> None:
    assert response("unreason").phrase == "= 2**3 * 5**2 но сто девяносто девять - простое"


def test_noreason_the_phrase_may_be_empty() -> None:
    assert (response("noreason").code, response("noreason").phrase) == (100, "")


def test_multi01_two_values_where_one_is_allowed_are_refused() -> None:
    assert "Multiple" in refused("multi01").reason


def test_mcl01_two_lengths_are_refused_even_where_one_would_do() -> None:
    assert "Content-Length" in refused("mcl01").reason


def test_inv2543_a_request_of_rfc_2543_has_no_tag_no_branch_and_no_length() -> None:
    message = request("inv2543")
    assert (from_tag(message), top_via(message).branch, header(message, "Content-Length")) == (
        None,
        None,
        None,
    )
    assert len(message.body) == 105


def registered(name: str) -> list[str]:
    known = Registrar(None, clock=SystemClock())
    flow = Flow("UDP", ("192.0.2.1", 5060), ("198.51.100.7", 5060))
    message = request(name)
    assert known.register(message, flow, 0.0).code == 200
    return [binding.contact_uri for binding in known.bindings(user_of(message.headers["To"]), 1.0)]


@pytest.mark.parametrize(
    ("name", "contacts"),
    [
        ("cparam01", ["sip:+19725552222@gw1.example.net"]),
        ("cparam02", ["sip:+19725552222@gw1.example.net;unknownparam"]),
        ("regescrt", ["sip:user@example.com?Route=%3Csip:sip.example.com%3E"]),
        ("escnull", ["sip:%00@host5.example.com", "sip:%00%00@host5.example.com"]),
    ],
)
def test_a_contact_is_registered_as_it_was_meant(name: str, contacts: list[str]) -> None:
    assert registered(name) == contacts


def test_regaut01_an_unknown_scheme_of_authorization_is_challenged() -> None:
    authenticator = Authenticator("example.com", {"j.user": "secret"}.get, secret_key=b"k")
    known = Registrar(authenticator, clock=SystemClock())
    answer = known.register(request("regaut01"), Flow("TCP", ("192.0.2.1", 5060), ("192.0.2.253", 9), 1), 0.0)
    assert answer.code == 401


# -- by a stream --


@pytest.mark.parametrize("name", [name for name in CASES if name not in ("clerr", "ncl", "mcl01", "inv2543")])
def test_on_a_stream_it_is_cut_out_whole_or_byte_by_byte(name: str) -> None:
    octets = data(name)
    whole, single = StreamFramer(), StreamFramer()
    frames = whole.feed(octets)
    assert frames == [frame for octet in octets for frame in single.feed(bytes([octet]))]
    if name == "dblreq":
        assert [frame.partition(b" ")[0] for frame in frames] == [b"REGISTER", b"INVITE"]
    elif name != "multi01":
        assert octets.startswith(frames[0])
    if CASES[name].status is None:
        assert parse(frames[0]).body == parse(octets).body


@pytest.mark.parametrize("name", ["ncl", "mcl01", "inv2543"])
def test_on_a_stream_it_ends_the_connection_but_can_be_answered(name: str) -> None:
    framer = StreamFramer()
    (head,) = framer.feed(data(name))
    assert framer.broken
    with pytest.raises(MessageError) as caught:
        parse(head, stream=True)
    assert caught.value.status == 400
    assert caught.value.partial is not None
