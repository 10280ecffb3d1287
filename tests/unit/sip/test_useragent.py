"""What a user agent answers and when: RFC 3261 sections 8.2, 9.2, 11, 12.2.2, 16.3, and RFC 3428."""

import random

import pytest

from tests.unit.sip.conversation import ANSWER, OFFER, Conversation, credentials, established
from voice.clock import SystemClock
from voice.sip.core import Limits, Target
from voice.sip.message import Request, Response, cseq, response_to, to_tag
from voice.sip.registrar import Registrar
from voice.sip.useragent import MessageReply


def reply(talk: Conversation) -> Response:
    last = talk.last()
    assert isinstance(last, Response)
    return last


# -- what cannot be understood --


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\r\n\r\n",
        b"\0",
        b"hello",
        b"\xff\xfe\x00\x01",
        b"INVITE sip:a SIP/2.0\r\n\r\n",
        b"SIP/2.0 200 OK\r\n\r\n",
        b"SIP/2.0 999999 Huh\r\nVia: x\r\n\r\n",
        bytes(range(256)),
    ],
)
def test_nothing_that_a_peer_sends_raises(data: bytes) -> None:
    talk = Conversation()
    talk.receive(data)
    assert talk.sent() == []


def test_keep_alives_are_no_messages() -> None:
    talk = Conversation()
    talk.receive(b"\r\n\r\n")
    assert talk.agent.counters.keepalives == 1
    assert talk.agent.counters.unparseable == 0
    assert talk.agent.counters.received == 0


def test_a_bad_request_is_counted_and_answered_400() -> None:
    talk = Conversation()
    data = talk.peer.request("OPTIONS", send=False).replace(b"CSeq: 100 OPTIONS", b"CSeq: 100 INVITE")
    talk.receive(data)
    talk.receive(data)
    first, second = talk.messages_sent()
    assert b" 400 " in bytes(first)[:12]
    assert to_tag(first) == to_tag(second)
    assert (talk.agent.counters.unparseable, talk.agent.counters.answered_400) == (2, 2)
    assert talk.agent.load[1] == 0


def test_a_bad_ack_is_never_answered() -> None:
    talk = Conversation()
    talk.receive(talk.peer.request("ACK", send=False).replace(b"CSeq: 100 ACK", b"CSeq: 100 BYE"))
    assert talk.sent() == []
    assert talk.agent.counters.unparseable == 1


def test_a_bad_response_is_dropped() -> None:
    talk = Conversation()
    talk.call()
    invite = talk.last()
    data = talk.peer.answer(invite, 486).replace(b"Call-ID", b"X-Call-ID")
    talk.sent()
    talk.receive(data)
    assert talk.sent() == []
    assert talk.agent.counters.unparseable == 1


def test_another_version_is_answered_505() -> None:
    talk = Conversation()
    talk.receive(talk.peer.request("OPTIONS", send=False).replace(b" SIP/2.0\r\n", b" SIP/7.0\r\n", 1))
    assert talk.sent() == ["505"]


def test_every_message_of_a_flipped_bit_is_survived() -> None:
    dice = random.Random(5)
    talk = established()
    seeds = [
        talk.peer.invite(send=False),
        talk.peer.within("BYE", send=False),
        talk.peer.within("INVITE", body=OFFER, send=False),
        talk.peer.answer(talk.log[0], 200) if isinstance(talk.log[0], Request) else b"SIP/2.0 200 OK\r\n\r\n",
    ]
    for _ in range(2000):
        data = bytearray(dice.choice(seeds))
        for _ in range(dice.randrange(1, 6)):
            data[dice.randrange(len(data))] = dice.randrange(256)
        talk.receive(bytes(data))
        talk.advance(0.001)
    talk.advance(100)


# -- 8.2 --


@pytest.mark.parametrize("method", ["SUBSCRIBE", "NOTIFY", "REFER", "PUBLISH", "PRACK", "REGISTER", "FOO", "invite"])
def test_a_method_that_is_not_allowed_gets_405_with_allow(method: str) -> None:
    talk = Conversation()
    talk.peer.request(method)
    assert talk.sent() == ["405"]
    assert reply(talk).headers["Allow"] == "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE, MESSAGE"


def test_a_scheme_that_is_not_ours_gets_416() -> None:
    talk = Conversation()
    talk.peer.request("OPTIONS", uri="http://192.0.2.1/")
    assert talk.sent() == ["416"]


@pytest.mark.parametrize("uri", ["sips:a@192.0.2.1", "tel:+31201234567", "urn:service:sos"])
def test_calls_to_other_kinds_of_addresses_are_calls(uri: str) -> None:
    talk = Conversation()
    talk.peer.invite(uri=uri)
    assert str(talk.session.request.uri) == uri


def test_an_extension_that_we_lack_gets_420_and_is_named() -> None:
    talk = Conversation()
    talk.peer.invite(headers=("Require: 100rel, timer", "Require: gin"))
    assert talk.sent() == ["420"]
    assert reply(talk).headers["Unsupported"] == "100rel, gin"
    assert talk.sessions == []


def test_proxy_require_is_for_proxies() -> None:
    talk = Conversation()
    talk.peer.invite(headers=("Proxy-Require: gin",))
    assert len(talk.sessions) == 1


@pytest.mark.parametrize("method", ["ACK", "CANCEL"])
def test_require_in_ack_and_cancel_is_ignored(method: str) -> None:
    talk = Conversation()
    talk.peer.invite(branch="z9hG4bKr")
    talk.session.reject(486)
    talk.sent()
    talk.peer.request(method, branch="z9hG4bKr", headers=("Require: gin",))
    assert "420" not in talk.sent()


def test_a_body_that_is_too_large_gets_413() -> None:
    talk = Conversation(limits=Limits(body=1000))
    talk.peer.invite(body=OFFER + b"x" * 1000)
    assert talk.sent() == ["413"]


def test_a_body_that_an_invite_may_not_have_gets_415_with_accept() -> None:
    talk = Conversation()
    talk.peer.invite(body=b"<x/>", content_type="application/xml")
    assert talk.sent() == ["415"]
    assert "application/sdp" in reply(talk).headers["Accept"]


def test_an_optional_body_is_passed_over() -> None:
    talk = Conversation()
    talk.peer.invite(
        body=b"<x/>",
        content_type="application/xml",
        headers=("Content-Disposition: render; handling=optional",),
    )
    assert talk.session.offer is None


def test_an_encoding_gets_415_with_accept_encoding() -> None:
    talk = Conversation()
    talk.peer.invite(headers=("Content-Encoding: gzip",))
    assert talk.sent() == ["415"]
    assert reply(talk).headers["Accept-Encoding"] == "identity"


def test_max_forwards_of_zero_is_enough_to_reach_us() -> None:
    talk = Conversation()
    data = talk.peer.request("OPTIONS", send=False).replace(b"Max-Forwards: 70", b"Max-Forwards: 0")
    talk.receive(data)
    assert talk.sent() == ["200"]


# -- OPTIONS --


def test_options_are_answered_with_what_we_can() -> None:
    talk = Conversation()
    talk.peer.request("OPTIONS")
    fields = reply(talk).headers
    assert "INVITE" in fields["Allow"]
    assert "application/sdp" in fields["Accept"]
    assert fields["Accept-Encoding"] == "identity"
    assert fields["Supported"] == "timer"
    assert to_tag(reply(talk))


# -- dialogs that do not exist --


@pytest.mark.parametrize("method", ["BYE", "INFO", "UPDATE", "INVITE", "OPTIONS"])
def test_a_request_within_a_dialog_that_we_do_not_know_gets_481(method: str) -> None:
    talk = Conversation()
    talk.peer.request(method, to="<sip:earshot@192.0.2.1>;tag=gone")
    assert talk.sent() == ["481"]
    assert talk.sessions == []


@pytest.mark.parametrize("method", ["BYE", "INFO", "UPDATE"])
def test_a_request_that_belongs_into_a_dialog_and_has_none_gets_481(method: str) -> None:
    talk = Conversation()
    talk.peer.request(method)
    assert talk.sent() == ["481"]


def test_an_ack_of_nothing_is_counted_and_dropped() -> None:
    talk = Conversation()
    talk.peer.request("ACK", to="<sip:earshot@192.0.2.1>;tag=gone")
    assert talk.sent() == []
    assert talk.agent.counters.stray_acks == 1


def test_a_method_that_is_not_allowed_gets_405_within_a_dialog_too() -> None:
    talk = established()
    talk.peer.within("REFER")
    assert talk.sent() == ["405"]


# -- MESSAGE --


def test_a_message_is_for_the_application() -> None:
    talk = Conversation()
    talk.message_reply = MessageReply(202, [("X-Seen", "1")], b"<mrs/>", "application/scaip+xml")
    talk.peer.request("MESSAGE", body=b"<mrq/>", content_type="application/scaip+xml")
    assert talk.messages[0].body == b"<mrq/>"
    answer = reply(talk)
    assert (answer.code, answer.body, answer.headers["X-Seen"]) == (202, b"<mrs/>", "1")
    assert answer.headers["Content-Type"] == "application/scaip+xml"


def test_a_message_that_nobody_takes_gets_415_with_accept() -> None:
    talk = Conversation()
    talk.message_reply = None
    talk.peer.request("MESSAGE", body=b"?", content_type="image/png")
    assert talk.sent() == ["415"]
    assert reply(talk).headers["Accept"] == "text/plain"


# -- REGISTER --


def test_a_registration_goes_to_the_registrar() -> None:
    registrar = Registrar(None, clock=SystemClock())
    talk = Conversation(registrar=registrar)
    talk.peer.request(
        "REGISTER", to="<sip:alice@192.0.2.1>", headers=("Contact: <sip:alice@198.51.100.7>", "Expires: 60")
    )
    assert talk.sent() == ["200"]
    assert to_tag(reply(talk))
    assert len(registrar.bindings("alice", talk.clock)) == 1


def test_with_a_registrar_register_is_allowed() -> None:
    talk = Conversation(registrar=Registrar(None, clock=SystemClock()))
    talk.peer.request("OPTIONS")
    assert reply(talk).headers["Allow"].endswith("REGISTER")


# -- requests of ours --


def ask(talk: Conversation, method: str = "MESSAGE", **options: object) -> list[Response]:
    done: list[Response] = []
    talk.agent.request(method, Target("sip:bob@198.51.100.7"), done=done.append, **options)  # type: ignore[arg-type]
    talk._drain()
    return done


def test_a_request_outside_a_dialog_has_what_8_1_1_asks_for() -> None:
    talk = Conversation()
    done = ask(talk, body=b"hello", content_type="text/plain", from_uri="sip:a@h", to_uri="sip:b@h")
    request = talk.last()
    assert isinstance(request, Request)
    assert request.headers["From"].startswith("<sip:a@h>;tag=")
    assert request.headers["To"] == "<sip:b@h>"
    assert request.headers["Content-Type"] == "text/plain"
    assert request.body == b"hello"
    talk.peer.answer(request, 202)
    assert [response.code for response in done] == [202]


def test_header_fields_of_the_caller_replace_our_own() -> None:
    talk = Conversation()
    ask(talk, "REGISTER", headers=[("Call-ID", "same-for-every-refresh"), ("Contact", "<sip:me@h>")])
    assert talk.last().headers.getlist("Call-ID") == ["same-for-every-refresh"]


def test_registrations_keep_their_call_id_and_count_up() -> None:
    talk = Conversation()
    first, other, second = (
        (ask(talk, "REGISTER", to_uri=to), talk.last())[1] for to in ("sip:a@h", "sip:b@h", "sip:a@h")
    )
    assert first.headers["Call-ID"] == second.headers["Call-ID"] != other.headers["Call-ID"]
    assert cseq(second)[0] == cseq(first)[0] + 1


def test_a_request_answers_a_challenge_once() -> None:
    talk = Conversation()
    done = ask(talk, credentials=credentials())
    challenge = 'WWW-Authenticate: Digest realm="r", nonce="{}"'
    talk.peer.answer(talk.last(), 401, headers=(challenge.format("1"),))
    assert "Authorization" in talk.last().headers
    talk.peer.answer(talk.last(), 401, headers=(challenge.format("2"),))
    assert [response.code for response in done] == [401]


def test_silence_is_a_408_of_our_own_making() -> None:
    talk = Conversation()
    done = ask(talk)
    talk.advance(33)
    assert [response.code for response in done] == [408]


def test_a_name_that_nobody_knows_is_a_503_of_our_own_making() -> None:
    talk = Conversation()
    done: list[Response] = []
    talk.agent.request("OPTIONS", Target("sip:nobody.example"), done=done.append)
    talk._drain()
    talk.lookups[0].found(None)
    talk._drain()
    assert [response.code for response in done] == [503]


def test_a_protocol_that_we_do_not_speak_is_no_way_to_the_peer() -> None:
    talk = Conversation()
    talk.paths.spoken = frozenset({"UDP"})
    done: list[Response] = []
    talk.agent.request("OPTIONS", Target("sip:198.51.100.7;transport=tcp"), done=done.append)
    talk._drain()
    assert [response.code for response in done] == [503]


def test_a_uri_that_leaves_the_protocol_open_goes_by_the_one_that_we_speak() -> None:
    talk = Conversation()
    talk.paths.spoken = frozenset({"TCP"})
    ask(talk)
    assert talk.last_flow().protocol == "TCP"


# -- bugs of ours --


def test_a_bug_over_a_request_costs_that_request_a_500() -> None:
    talk = Conversation(registrar=_Broken(None, clock=SystemClock()))
    with pytest.raises(ZeroDivisionError):
        talk.peer.request("REGISTER")
    assert talk.sent() == ["500"]


class _Broken(Registrar):
    def register(self, *_: object) -> Response:
        raise ZeroDivisionError


# -- memory --


def test_a_thousand_calls_leave_nothing_behind() -> None:
    talk = Conversation()
    for n in range(1000):
        talk.peer.call_id = f"call-{n}"
        talk.peer.invite()
        talk.session.accept(ANSWER)
        talk.peer.ack()
        talk.peer.within("BYE")
        talk.advance(0.01)
    assert talk.agent.load[2] == 0
    talk.advance(64)
    assert talk.agent.load == (0, 0, 0, 0)
    assert talk.agent._inbound._merged == {}


def test_what_we_send_can_be_read_by_ourselves() -> None:
    talk = established()
    request = talk.session.request
    assert response_to(request, 200).headers["Call-ID"] == "call-1"
    talk.session.bye('quotes " and \\ and \r\n lines')
    assert talk.last().headers["Reason"] == 'SIP;text="quotes  and  and  lines"'
