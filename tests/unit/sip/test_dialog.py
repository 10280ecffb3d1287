"""Dialogs, RFC 3261 section 12: route sets, strict routers, remote targets, paths through NATs."""

import pytest

from tests.unit.sip.conversation import ANSWER, PEER, Conversation, dialled, established, other_flow
from voice.sip.flow import Flow
from voice.sip.message import Request
from voice.sip.routing import is_loose, next_hop, plan_route, request_uri_of

LOOSE = ["<sip:a.example;lr>", "<sip:b.example;lr>"]
STRICT = ["<sip:a.example>", "<sip:b.example;lr>"]


def test_without_a_route_set_the_request_goes_to_the_remote_target() -> None:
    assert plan_route("sip:bob@h", []) == ("sip:bob@h", [], "sip:bob@h")


def test_loose_routers_stand_in_route_and_the_remote_target_in_the_request_uri() -> None:
    assert plan_route("sip:bob@h", LOOSE) == ("sip:bob@h", LOOSE, "sip:a.example;lr")


def test_a_strict_router_stands_in_the_request_uri_and_the_remote_target_at_the_end_of_route() -> None:
    uri, routes, hop = plan_route("sip:bob@h", STRICT)
    assert uri == "sip:a.example"
    assert routes == ["<sip:b.example;lr>", "<sip:bob@h>"]
    assert hop == "sip:a.example"


def test_what_a_request_uri_may_not_have_is_left_out() -> None:
    assert request_uri_of("sip:bob@h;method=INVITE;transport=tcp?subject=x") == "sip:bob@h;transport=tcp"
    assert request_uri_of("sip:bob@h;lr") == "sip:bob@h;lr"
    assert request_uri_of("sip:b?b;method=x@h?subject=x") == "sip:b?b;method=x@h"
    assert request_uri_of("sip:h?x=y") == "sip:h"


def test_lr_is_looked_for_in_the_uri_and_not_behind_it() -> None:
    assert is_loose('"P" <sip:p.example;transport=udp;lr=on>;x=1')
    assert not is_loose("<sip:p.example>;lr")


@pytest.mark.parametrize(
    ("uri", "protocol", "host", "port"),
    [
        ("sip:h", "UDP", "h", 5060),
        ("sip:h:5070;transport=tcp", "TCP", "h", 5070),
        ("sip:h;transport=TLS", "TLS", "h", 5061),
        ("sips:h", "TLS", "h", 5061),
        ("sips:h;transport=tcp", "TLS", "h", 5061),
        ("sip:u@[2001:db8::1]:5070", "UDP", "2001:db8::1", 5070),
        ("sip:h;maddr=192.0.2.9", "UDP", "192.0.2.9", 5060),
        ("sip:h;transport=sctp", "UDP", "h", 5060),
    ],
)
def test_the_next_hop_of_a_uri(uri: str, protocol: str, host: str, port: int) -> None:
    hop = next_hop(uri)
    assert (hop.protocol, hop.host, hop.port) == (protocol, host, port)


@pytest.mark.parametrize("uri", ["tel:112", "urn:service:sos", "mailto:a@b"])
def test_a_uri_without_a_host_is_no_next_hop(uri: str) -> None:
    with pytest.raises(ValueError, match="host"):
        next_hop(uri)


def test_the_route_set_of_the_called_side_is_the_record_route_as_it_came() -> None:
    talk = Conversation()
    talk.peer.invite(headers=("Record-Route: <sip:198.51.100.9;lr>, <sip:198.51.100.8:5070;lr>",))
    talk.session.accept(ANSWER)
    talk.peer.ack()
    talk.session.bye()
    bye = talk.last()
    assert bye.headers.getlist("Route") == ["<sip:198.51.100.9;lr>", "<sip:198.51.100.8:5070;lr>"]
    assert str(bye.uri) == "sip:peer@198.51.100.7:5060"  # type: ignore[union-attr]
    assert talk.last_flow().remote == ("198.51.100.9", 5060)


def test_the_route_set_of_the_calling_side_is_the_record_route_turned_round() -> None:
    talk = Conversation()
    session = talk.call()
    routes = ("Record-Route: <sip:198.51.100.8:5070;lr>", "Record-Route: <sip:198.51.100.9;lr>")
    talk.peer.answer(talk.last(), 200, body=ANSWER, headers=routes)
    assert talk.last().headers.getlist("Route") == ["<sip:198.51.100.9;lr>", "<sip:198.51.100.8:5070;lr>"]
    assert talk.last_flow().remote == ("198.51.100.9", 5060)
    session.bye()
    assert talk.last_flow().remote == ("198.51.100.9", 5060)


def test_a_strict_router_on_the_way_of_a_dialog() -> None:
    talk = Conversation()
    talk.peer.invite(headers=("Record-Route: <sip:198.51.100.9>", "Record-Route: <sip:198.51.100.8;lr>"))
    talk.session.accept(ANSWER)
    talk.peer.ack()
    talk.session.bye()
    bye = talk.last()
    assert str(bye.uri) == "sip:198.51.100.9"  # type: ignore[union-attr]
    assert bye.headers.getlist("Route") == ["<sip:198.51.100.8;lr>", "<sip:peer@198.51.100.7:5060>"]
    assert talk.last_flow().remote == ("198.51.100.9", 5060)


def test_a_preloaded_route_leads_the_invite() -> None:
    talk = Conversation()
    talk.call("sip:bob@pbx.example", route=("<sip:198.51.100.20:5080;transport=tcp;lr>",))
    invite = talk.last()
    assert str(invite.uri) == "sip:bob@pbx.example"  # type: ignore[union-attr]
    assert talk.last_flow() == Flow("TCP", ("192.0.2.1", 5060), ("198.51.100.20", 5080), 1)


def test_a_caller_behind_a_nat_is_reached_by_its_flow() -> None:
    talk = Conversation()
    flow = other_flow(talk.flow, 31337)
    talk.peer.invite(via="SIP/2.0/UDP 10.1.1.1:5060;rport;branch=z9hG4bKn", contact="<sip:d@10.1.1.1:5060>", flow=flow)
    talk.session.accept(ANSWER)
    talk.peer.ack(flow=flow)
    talk.session.bye()
    assert str(talk.last().uri) == "sip:d@10.1.1.1:5060"  # type: ignore[union-attr]
    assert talk.last_flow() == flow


def test_a_caller_behind_a_proxy_without_record_route_is_reached_at_its_contact() -> None:
    talk = Conversation()
    talk.peer.invite(
        headers=("Via: SIP/2.0/UDP 203.0.113.40:5062;branch=z9hG4bKdevice",),
        contact="<sip:d@203.0.113.40:5062>",
    )
    talk.session.accept(ANSWER)
    talk.peer.ack()
    talk.session.bye()
    assert talk.last_flow().remote == ("203.0.113.40", 5062)


def test_a_contact_with_a_name_is_looked_up_and_the_flow_used_until_then() -> None:
    talk = Conversation()
    talk.peer.invite(headers=("Via: SIP/2.0/UDP 203.0.113.40;branch=z9hG4bKd",), contact="<sip:d@device.example>")
    talk.session.accept(ANSWER)
    talk.peer.ack()
    talk.session.info("application/dtmf-relay", b"Signal=1")
    assert talk.last_flow() == talk.flow
    talk.lookups[0].found("203.0.113.40")
    talk.session.bye()
    assert talk.last_flow().remote == ("203.0.113.40", 5060)


def test_a_connection_is_used_again_though_the_contact_names_another_port() -> None:
    talk = established(protocol="TCP")
    talk.session.reoffer(ANSWER)
    assert talk.last_flow() == talk.flow


def test_a_closed_connection_is_replaced_for_the_next_request() -> None:
    talk = established(protocol="TCP")
    talk.fail(talk.flow)
    talk.session.bye()
    assert talk.last_flow().protocol == "UDP"  # its Contact names no transport
    talk = Conversation(protocol="TCP")
    talk.peer.invite(contact="<sip:d@198.51.100.7:5060;transport=tcp>")
    talk.session.accept(ANSWER)
    talk.peer.ack()
    talk.fail(talk.flow)
    talk.session.bye()
    assert talk.last_flow().protocol == "TCP"
    assert talk.last_flow() != talk.flow


def test_the_2xx_counts_for_the_route_set_and_not_the_180() -> None:
    talk = Conversation()
    session = talk.call()
    invite = talk.last()
    talk.peer.answer(invite, 180, headers=("Record-Route: <sip:198.51.100.8;lr>",))
    talk.peer.answer(invite, 200, body=ANSWER)
    session.bye()
    assert talk.last().headers.getlist("Route") == []
    assert talk.last_flow().remote == PEER


def test_a_contact_that_leads_nowhere_is_passed_over() -> None:
    talk = Conversation()
    talk.peer.invite(contact="<tel:+31612345678>")
    talk.session.accept(ANSWER)
    talk.peer.ack()
    talk.session.bye()
    assert talk.last_flow() == talk.flow


def test_requests_of_a_dialog_have_the_names_of_the_dialog() -> None:
    talk, session = dialled()
    session.info("text/plain", b"x")
    info = talk.last()
    assert isinstance(info, Request)
    assert info.headers["To"].endswith(";tag=bob")
    assert info.headers["Call-ID"] == session.call_id
    assert info.headers["Max-Forwards"] == "70"
