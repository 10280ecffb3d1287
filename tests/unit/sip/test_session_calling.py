"""Calls that we make: RFC 3261 sections 8.1, 9.1, 12.1.2, 13.2, 22.2, and forks."""

import pytest

from tests.unit.sip.conversation import (
    ANSWER,
    OFFER,
    OTHER,
    PEER,
    Conversation,
    branch_of,
    credentials,
    dialled,
)
from voice.errors import UsageError
from voice.sip.events import Answered, EndCause, Ended, OfferAnswered, Progress
from voice.sip.message import Request, cseq, from_tag, serialize, to_tag, top_via

CHALLENGE = 'WWW-Authenticate: Digest realm="r", nonce="{}", algorithm=MD5, qop="auth"{}'


def test_an_invite_has_what_section_8_1_1_asks_for() -> None:
    talk = Conversation()
    talk.call(headers=[("Subject", "alarm")])
    invite = talk.last()
    assert isinstance(invite, Request)
    assert str(invite.uri) == "sip:bob@198.51.100.7"
    assert invite.headers["To"] == "<sip:bob@198.51.100.7>"
    assert to_tag(invite) is None
    assert from_tag(invite)
    assert invite.headers["Max-Forwards"] == "70"
    assert invite.headers["Contact"] == "<sip:earshot@192.0.2.1:5060>"
    assert invite.headers["Content-Type"] == "application/sdp"
    assert invite.headers["Subject"] == "alarm"
    assert "UPDATE" in invite.headers["Allow"]
    assert branch_of(invite).startswith("z9hG4bK")
    assert top_via(invite).rport == ""
    assert next(iter(invite.headers.keys())) == "Via"


def test_a_caller_may_be_named() -> None:
    talk = Conversation()
    talk.call(from_uri="sip:+31201234567@trunk.example")
    assert talk.last().headers["From"].startswith("<sip:+31201234567@trunk.example>;tag=")


def test_a_call_rings_and_is_answered() -> None:
    talk = Conversation()
    session = talk.call()
    invite = talk.last()
    talk.peer.answer(invite, 100)
    talk.peer.answer(invite, 180)
    talk.peer.answer(invite, 200, body=ANSWER)
    first, second = talk.told()
    assert first == Progress(180, None)
    assert isinstance(second, Answered)
    assert second.body == ANSWER
    assert ("Content-Type", "application/sdp") in second.headers
    assert talk.sent() == ["ACK"]
    assert not session.ended


def test_the_ack_of_a_2xx_is_a_request_of_its_own_to_the_remote_target() -> None:
    talk = Conversation()
    talk.call()
    invite = talk.last()
    talk.peer.answer(invite, 200, body=ANSWER, contact="<sip:bob@198.51.100.7:5099>")
    ack = talk.last()
    assert isinstance(ack, Request)
    assert str(ack.uri) == "sip:bob@198.51.100.7:5099"
    assert cseq(ack) == (cseq(invite)[0], "ACK")
    assert branch_of(ack) != branch_of(invite)
    assert to_tag(ack) == "bob"
    assert talk.last_flow().remote == ("198.51.100.7", 5099)


@pytest.mark.parametrize("route", ["garbage", "<sip:>", "<tel:+31201234567>", '"', "<sip:[::g];lr>"])
def test_a_2xx_with_a_record_route_that_cannot_be_read_is_acknowledged_to_its_contact(route: str) -> None:
    talk = Conversation()
    session = talk.call()
    contact = "<sip:bob@198.51.100.7:5099>"
    talk.peer.answer(talk.last(), 200, body=ANSWER, headers=(f"Record-Route: {route}",), contact=contact)
    ack = talk.last()
    assert isinstance(ack, Request)
    assert (ack.method, str(ack.uri), ack.headers.get("Route")) == ("ACK", "sip:bob@198.51.100.7:5099", None)
    assert talk.last_flow().remote == ("198.51.100.7", 5099)
    assert isinstance(talk.told()[-1], Answered)
    session.bye()
    assert talk.sent() == ["BYE"]


def test_where_one_of_several_routes_cannot_be_read_the_others_are_followed() -> None:
    talk = Conversation()
    talk.call()
    routes = ("Record-Route: <sip:[::g];lr>, <sip:198.51.100.9;lr>",)
    talk.peer.answer(talk.last(), 200, body=ANSWER, headers=routes)
    assert talk.last().headers.getlist("Route") == ["<sip:198.51.100.9;lr>"]
    assert talk.last_flow().remote == ("198.51.100.9", 5060)


def test_a_repeated_2xx_is_acknowledged_again_with_the_same_ack() -> None:
    talk = Conversation()
    talk.call()
    invite = talk.last()
    for _ in range(3):
        talk.peer.answer(invite, 200, body=ANSWER)
    acks = talk.messages_sent()
    assert len({bytes(ack) for ack in acks}) == 1
    assert len(acks) == 3
    assert len(talk.told()) == 1


def test_a_2xx_without_to_tag_of_an_rfc_2543_peer_makes_a_dialog() -> None:
    talk = Conversation()
    session = talk.call()
    talk.peer.answer(talk.last(), 200, tag=None, body=ANSWER)
    session.bye()
    assert talk.sent() == ["ACK", "BYE"]
    assert to_tag(talk.last()) is None


def test_a_2xx_without_contact_leaves_the_remote_target_at_the_request_uri() -> None:
    talk = Conversation()
    session = talk.call()
    talk.peer.answer(talk.last(), 200, body=ANSWER, contact=None)
    session.bye()
    assert str(talk.last().uri) == "sip:bob@198.51.100.7"  # type: ignore[union-attr]


def test_an_answer_that_came_only_with_early_media_counts() -> None:
    talk = Conversation()
    talk.call()
    invite = talk.last()
    talk.peer.answer(invite, 183, body=ANSWER)
    talk.peer.answer(invite, 200)
    early, answered = talk.told()
    assert early == Progress(183, ANSWER)
    assert isinstance(answered, Answered)
    assert answered.body == ANSWER


# -- late offer --


def test_an_invite_without_an_offer_is_acknowledged_when_the_application_has_an_answer() -> None:
    talk = Conversation()
    session = talk.call(body=None)
    invite = talk.last()
    assert invite.body == b""
    assert "Content-Type" not in invite.headers
    talk.peer.answer(invite, 200, body=OFFER)
    talk.peer.answer(invite, 200, body=OFFER)
    assert talk.sent() == []
    assert [type(event) for event in talk.told()] == [Answered]
    session.acknowledge(ANSWER)
    talk.peer.answer(invite, 200, body=OFFER)
    acks = talk.messages_sent()
    assert [ack.body for ack in acks] == [ANSWER, ANSWER]


def test_hanging_up_instead_of_answering_a_late_offer_acknowledges_and_says_bye() -> None:
    talk = Conversation()
    session = talk.call(body=None)
    talk.peer.answer(talk.last(), 200, body=OFFER)
    session.bye()
    assert talk.sent() == ["ACK", "BYE"]
    assert talk.told()[-1] == Ended(EndCause.LOCAL)


# -- ends --


@pytest.mark.parametrize(
    ("code", "cause"),
    [
        (302, EndCause.REJECTED),
        (403, EndCause.REJECTED),
        (404, EndCause.REJECTED),
        (408, EndCause.NO_ANSWER),
        (480, EndCause.REJECTED),
        (486, EndCause.REJECTED),
        (487, EndCause.REJECTED),
        (500, EndCause.REJECTED),
        (503, EndCause.REJECTED),
        (600, EndCause.REJECTED),
        (699, EndCause.REJECTED),
    ],
)
def test_every_final_response_maps_to_an_end(code: int, cause: EndCause) -> None:
    talk = Conversation()
    talk.call()
    talk.peer.answer(talk.last(), code)
    assert talk.told() == [Ended(cause, code, "Whatever", by_peer=True)]


def test_bye_has_the_names_of_the_dialog_and_counts_up() -> None:
    talk, session = dialled()
    invite = talk.log[0]
    session.bye("alarm taken by another")
    bye = talk.last()
    assert cseq(bye) == (cseq(invite)[0] + 1, "BYE")
    assert to_tag(bye) == "bob"
    assert bye.headers["From"] == invite.headers["From"]
    assert bye.headers["Reason"] == 'SIP;text="alarm taken by another"'
    assert talk.told() == [Ended(EndCause.LOCAL, reason="alarm taken by another")]


def test_after_the_end_every_call_is_without_effect() -> None:
    talk, session = dialled()
    session.bye()
    talk.sent(), talk.told()
    session.bye()
    session.reoffer(OTHER)
    session.answer_offer(ANSWER)
    session.refuse_offer()
    session.info("application/dtmf-relay", b"Signal=1")
    assert talk.sent() == []
    assert talk.told() == []


def test_a_bye_that_is_lost_is_repeated() -> None:
    talk, session = dialled()
    session.bye()
    talk.advance(4)
    assert talk.sent() == ["BYE"] * 4


def test_a_bye_of_the_peer_ends_the_call() -> None:
    talk, session = dialled()
    talk.peer.within("BYE", session, headers=("Reason: Q.850;cause=16",))
    assert talk.sent() == ["200"]
    assert talk.told() == [Ended(EndCause.BYE, reason="Q.850;cause=16", by_peer=True)]


def test_what_only_the_called_side_does_is_a_bug_on_ours() -> None:
    _, session = dialled()
    for act in (session.ring, session.challenge, lambda: session.accept(b""), lambda: session.reject(486)):
        with pytest.raises(UsageError):
            act()


# -- CANCEL and its races --


def test_hanging_up_while_it_rings_sends_cancel_with_the_names_of_the_invite() -> None:
    talk = Conversation()
    session = talk.call()
    invite = talk.last()
    talk.peer.answer(invite, 180)
    session.bye()
    cancel = talk.last()
    assert isinstance(cancel, Request)
    assert cancel.method == "CANCEL"
    assert cancel.headers.getlist("Via") == invite.headers.getlist("Via")
    assert cseq(cancel) == (cseq(invite)[0], "CANCEL")
    assert cancel.headers["To"] == invite.headers["To"]
    assert str(cancel.uri) == str(invite.uri)  # type: ignore[union-attr]
    assert talk.told()[-1] == Ended(EndCause.CANCELLED, 487)
    talk.peer.answer(cancel, 200)
    talk.peer.answer(invite, 487)
    assert talk.sent() == ["ACK"]
    assert talk.told() == []


def test_cancel_waits_for_the_first_provisional_response() -> None:
    talk = Conversation()
    session = talk.call()
    invite = talk.last()
    session.bye()
    assert talk.sent() == []
    assert talk.told() == [Ended(EndCause.CANCELLED, 487)]
    talk.peer.answer(invite, 100)
    assert talk.sent() == ["CANCEL"]
    talk.peer.answer(invite, 180)
    assert talk.sent() == []


def test_a_2xx_that_crosses_the_cancel_is_acknowledged_and_hung_up() -> None:
    talk = Conversation()
    session = talk.call()
    invite = talk.last()
    talk.peer.answer(invite, 180)
    session.bye()
    talk.sent(), talk.told()
    talk.peer.answer(invite, 200, body=ANSWER)
    assert talk.sent() == ["ACK", "BYE"]
    talk.peer.answer(invite, 200, body=ANSWER)
    assert talk.sent() == ["ACK"]
    assert talk.told() == []


def test_a_2xx_instead_of_the_awaited_provisional_response_is_acknowledged_and_hung_up() -> None:
    talk = Conversation()
    session = talk.call()
    invite = talk.last()
    session.bye()
    talk.peer.answer(invite, 200, body=ANSWER)
    assert talk.sent() == ["ACK", "BYE"]


def test_a_cancelled_invite_without_final_response_is_forgotten_after_64_t1() -> None:
    talk = Conversation()
    session = talk.call()
    talk.peer.answer(talk.last(), 180)
    session.bye()
    talk.advance(70)
    assert talk.agent.load == (0, 0, 0, 0)


# -- forks --


def test_several_early_dialogs_are_told_of_and_the_first_2xx_is_the_call() -> None:
    talk = Conversation()
    talk.call()
    invite = talk.last()
    talk.peer.answer(invite, 180, tag="one")
    talk.peer.answer(invite, 180, tag="two")
    assert talk.agent.load[2] == 2
    talk.peer.answer(invite, 200, tag="two", body=ANSWER)
    assert [type(event) for event in talk.told()] == [Progress, Progress, Answered]
    assert talk.agent.load[2] == 1


def test_the_2xx_of_another_fork_is_acknowledged_and_hung_up() -> None:
    talk = Conversation()
    session = talk.call()
    invite = talk.last()
    talk.peer.answer(invite, 200, tag="one", body=ANSWER)
    talk.sent()
    talk.peer.answer(invite, 200, tag="two", body=ANSWER)
    assert talk.sent() == ["ACK", "BYE"]
    assert to_tag(talk.last()) == "two"
    talk.peer.answer(invite, 200, tag="two", body=ANSWER)
    assert talk.sent() == ["ACK"]
    assert not session.ended
    session.bye()
    assert to_tag(talk.last()) == "one"


def test_a_bye_that_overtakes_the_2xx_of_its_fork_ends_the_call_with_it() -> None:
    talk = Conversation()
    session = talk.call()
    invite = talk.last()
    talk.peer.answer(invite, 180)
    talk.sent(), talk.told()
    talk.peer.call_id, talk.peer.tag = session.call_id, "bob"
    talk.peer.request("BYE", to=f"<sip:earshot@192.0.2.1>;tag={from_tag(invite)}")
    assert talk.sent() == ["200"]
    talk.peer.answer(invite, 200, body=ANSWER)
    assert talk.sent() == ["ACK"]
    assert talk.told() == [Ended(EndCause.BYE, by_peer=True)]


# -- credentials --


@pytest.mark.parametrize(("code", "asks", "gives"), [
    (401, "WWW-Authenticate", "Authorization"),
    (407, "Proxy-Authenticate", "Proxy-Authorization"),
])  # fmt: skip
def test_a_challenge_is_answered_by_a_new_invite_of_the_same_call(code: int, asks: str, gives: str) -> None:
    talk = Conversation()
    session = talk.call(credentials=credentials())
    first = talk.last()
    challenge = CHALLENGE.format("n1", "").replace("WWW-Authenticate", asks)
    talk.peer.answer(first, code, headers=(challenge,))
    ack, second = talk.messages_sent()
    assert branch_of(ack) == branch_of(first)
    assert cseq(second)[0] == cseq(first)[0] + 1
    assert second.headers["Call-ID"] == first.headers["Call-ID"]
    assert second.headers["From"] == first.headers["From"]
    assert to_tag(second) is None
    assert branch_of(second) != branch_of(first)
    assert 'nonce="n1"' in second.headers[gives]
    assert talk.told() == []
    talk.peer.answer(second, 200, body=ANSWER)
    ack = talk.last()
    assert ack.headers[gives] == second.headers[gives]  # 22.1: the ACK has the credentials of its INVITE
    assert cseq(ack)[0] == cseq(second)[0]
    session.bye()
    assert cseq(talk.last())[0] == cseq(second)[0] + 1


def test_a_second_challenge_means_that_the_password_is_wrong() -> None:
    talk = Conversation()
    talk.call(credentials=credentials())
    talk.peer.answer(talk.last(), 401, headers=(CHALLENGE.format("n1", ""),))
    talk.peer.answer(talk.last(), 401, headers=(CHALLENGE.format("n2", ""),))
    assert talk.told() == [Ended(EndCause.REJECTED, 401, "Whatever", by_peer=True)]


def test_a_stale_nonce_is_answered_once_more() -> None:
    talk = Conversation()
    talk.call(credentials=credentials())
    talk.peer.answer(talk.last(), 401, headers=(CHALLENGE.format("n1", ""),))
    talk.peer.answer(talk.last(), 401, headers=(CHALLENGE.format("n2", ", stale=true"),))
    assert 'nonce="n2"' in talk.last().headers["Authorization"]
    assert talk.told() == []


def test_the_same_nonce_is_never_answered_twice() -> None:
    talk = Conversation()
    talk.call(credentials=credentials())
    talk.peer.answer(talk.last(), 401, headers=(CHALLENGE.format("n1", ", stale=true"),))
    talk.peer.answer(talk.last(), 401, headers=(CHALLENGE.format("n1", ", stale=true"),))
    assert isinstance(talk.told()[0], Ended)


def test_a_peer_that_never_stops_calling_nonces_stale_is_not_followed_for_ever() -> None:
    talk = Conversation()
    talk.call(credentials=credentials())
    for n in range(10):
        talk.peer.answer(talk.last(), 401, headers=(CHALLENGE.format(f"n{n}", ", stale=true"),))
    assert talk.sent().count("INVITE") <= 5
    assert isinstance(talk.told()[0], Ended)


def test_a_proxy_and_the_callee_may_both_ask() -> None:
    talk = Conversation()
    talk.call(credentials=credentials())
    proxy = CHALLENGE.format("p", "").replace("WWW-Authenticate", "Proxy-Authenticate")
    talk.peer.answer(talk.last(), 407, headers=(proxy,))
    talk.peer.answer(talk.last(), 401, headers=(CHALLENGE.format("c", ""),))
    last = talk.last()
    assert "Proxy-Authorization" in last.headers
    assert "Authorization" in last.headers


def test_without_credentials_a_challenge_is_the_end() -> None:
    talk = Conversation()
    talk.call()
    talk.peer.answer(talk.last(), 401, headers=(CHALLENGE.format("n1", ""),))
    assert talk.told() == [Ended(EndCause.REJECTED, 401, "Whatever", by_peer=True)]


def test_a_challenge_after_hanging_up_is_not_answered() -> None:
    talk = Conversation()
    session = talk.call(credentials=credentials())
    invite = talk.last()
    session.bye()
    talk.peer.answer(invite, 401, headers=(CHALLENGE.format("n1", ""),))
    assert talk.sent() == ["ACK"]


def test_a_challenged_bye_is_answered() -> None:
    talk = Conversation()
    session = talk.call(credentials=credentials())
    talk.peer.answer(talk.last(), 200, body=ANSWER)
    session.bye()
    bye = talk.last()
    talk.peer.answer(bye, 401, headers=(CHALLENGE.format("n1", ""),))
    again = talk.last()
    assert cseq(again) == (cseq(bye)[0] + 1, "BYE")
    assert "Authorization" in again.headers


# -- ways --


def test_a_call_to_a_name_waits_for_its_address() -> None:
    talk = Conversation()
    session = talk.call("sip:bob@phone.example:5066;transport=tcp")
    assert talk.sent() == []
    with pytest.raises(UsageError):
        _ = session.flow
    (lookup,) = talk.lookups
    assert (lookup.hop.host, lookup.hop.port, lookup.hop.protocol) == ("phone.example", 5066, "TCP")
    lookup.found("203.0.113.4")
    assert talk.sent() == ["INVITE"]
    assert (talk.last_flow().protocol, talk.last_flow().remote) == ("TCP", ("203.0.113.4", 5066))


def test_a_name_that_nobody_knows_is_no_way_to_the_peer() -> None:
    talk = Conversation()
    talk.call("sip:bob@phone.example")
    talk._drain()
    talk.lookups[0].found(None)
    assert talk.told() == [Ended(EndCause.TRANSPORT, 503, "No Way To The Peer")]


def test_hanging_up_while_the_name_is_looked_up_sends_nothing() -> None:
    talk = Conversation()
    session = talk.call("sip:bob@phone.example")
    talk._drain()
    session.bye()
    talk.lookups[0].found("203.0.113.4")
    assert talk.sent() == []
    assert talk.told() == [Ended(EndCause.CANCELLED, 487)]


def test_a_next_hop_may_be_a_name_too() -> None:
    talk = Conversation()
    talk.call("sip:112@provider.example", next_hop=("tls", ("edge.provider.example", 5061)))
    talk._drain()
    talk.lookups[0].found("203.0.113.9")
    assert talk.sent() == ["INVITE"]
    assert (talk.last_flow().protocol, talk.last_flow().remote) == ("TLS", ("203.0.113.9", 5061))


def test_a_registered_phone_is_called_by_its_flow() -> None:
    talk = Conversation()
    session = talk.call("sip:bob@10.0.0.9:5060", flow=talk.flow)
    assert talk.last_flow() == talk.flow
    talk.peer.answer(talk.last(), 200, body=ANSWER, contact="<sip:bob@10.0.0.9:5060>")
    assert talk.last_flow() == talk.flow  # its address behind the NAT leads nowhere
    session.bye()
    assert talk.last_flow() == talk.flow


def test_ipv6_hosts_stand_in_brackets() -> None:
    talk = Conversation()
    talk.call("sip:bob@[2001:db8::7]:5070")
    invite = talk.last()
    assert str(invite.uri) == "sip:bob@[2001:db8::7]:5070"  # type: ignore[union-attr]
    assert invite.headers["Via"].startswith("SIP/2.0/UDP [2001:db8::1]:5060;")
    assert invite.headers["Contact"] == "<sip:earshot@[2001:db8::1]:5060>"
    assert talk.last_flow().remote == ("2001:db8::7", 5070)


def test_a_call_to_a_sips_uri_goes_by_tls_and_has_a_sips_contact() -> None:
    talk = Conversation()
    talk.call("sips:bob@198.51.100.7")
    assert (talk.last_flow().protocol, talk.last_flow().remote) == ("TLS", ("198.51.100.7", 5061))
    assert talk.last().headers["Contact"] == "<sips:earshot@192.0.2.1:5060>"


def test_a_tel_uri_without_a_next_hop_leads_nowhere() -> None:
    talk = Conversation()
    talk.call("tel:+31201234567")
    assert talk.told() == [Ended(EndCause.TRANSPORT, 503, "No Way To The Peer")]


def test_a_tel_uri_goes_by_the_trunk() -> None:
    talk = Conversation()
    talk.call("tel:+31201234567", next_hop=("UDP", PEER))
    assert str(talk.last().uri) == "tel:+31201234567"  # type: ignore[union-attr]


# -- 1300 octets (18.1.1) --

LARGE = OFFER + b"a=x-padding:" + b"x" * 1400 + b"\r\n"


def test_an_invite_of_more_than_1300_octets_goes_by_tcp() -> None:
    talk = Conversation()
    talk.call(body=LARGE)
    assert talk.last_flow().protocol == "TCP"
    invite = talk.last()
    assert invite.headers["Via"].startswith("SIP/2.0/TCP ")
    assert invite.headers["Contact"] == "<sip:earshot@192.0.2.1:5060;transport=tcp>"


def test_it_falls_back_to_udp_when_the_peer_takes_no_tcp() -> None:
    talk = Conversation()
    talk.call(body=LARGE)
    first = talk.last()
    talk.fail(talk.last_flow())
    second = talk.last()
    assert talk.last_flow().protocol == "UDP"
    assert second.headers["Via"].startswith("SIP/2.0/UDP ")
    assert cseq(second) == cseq(first)
    assert talk.told() == []
    talk.fail(talk.flow)
    assert talk.told() == [Ended(EndCause.TRANSPORT, 503, "Service Unavailable")]


def test_it_stays_with_udp_when_our_transport_has_no_tcp() -> None:
    talk = Conversation()
    talk.paths.spoken = frozenset({"UDP"})
    talk.call(body=LARGE)
    assert talk.last_flow().protocol == "UDP"


def test_it_stays_with_udp_when_the_peer_stands_behind_a_nat() -> None:
    talk = Conversation()
    talk.call("sip:bob@10.0.0.9:5060", flow=talk.flow, body=LARGE)
    assert talk.last_flow() == talk.flow


def test_an_invite_of_1300_octets_stays_with_udp() -> None:
    talk = Conversation()
    talk.call()
    padding = 1300 - len(serialize(talk.last()))
    talk.call(body=OFFER + b"x" * (padding - 1))  # one more digit in Content-Length
    assert len(serialize(talk.last())) == 1300
    assert talk.last_flow().protocol == "UDP"
    talk.call(body=OFFER + b"x" * padding)
    assert talk.last_flow().protocol == "TCP"


def test_info_is_sent_within_the_dialog() -> None:
    talk, session = dialled()
    session.info("application/dtmf-relay", b"Signal=5")
    info = talk.last()
    assert isinstance(info, Request)
    assert (info.method, info.body, info.headers["Content-Type"]) == (
        "INFO",
        b"Signal=5",
        "application/dtmf-relay",
    )
    talk.peer.answer(info, 481)
    assert talk.told() == [Ended(EndCause.BYE, 481, "Whatever", by_peer=True)]


def test_reoffer_right_after_dialling_waits_for_the_answer() -> None:
    talk = Conversation()
    session = talk.call()
    invite = talk.last()
    session.reoffer(OTHER)
    assert talk.sent() == []
    talk.peer.answer(invite, 200, body=ANSWER)
    assert talk.sent() == ["ACK", "INVITE"]
    talk.peer.answer(talk.last(), 200, body=ANSWER)
    assert talk.told()[-1] == OfferAnswered(ANSWER)
