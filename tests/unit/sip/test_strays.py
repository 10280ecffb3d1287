"""A call that was answered for a process that is gone: acknowledged and hung up by the next one (13.2.2.4, 15)."""

import pytest

from tests.unit.sip.conversation import ANSWER, Conversation, dialled
from voice.sip.message import Request, cseq, headers


def invite_of_a_dead_process() -> Request:
    talk = Conversation()
    talk.call()
    invite = talk.last()
    assert isinstance(invite, Request)
    return invite


def requests(talk: Conversation) -> list[Request]:
    return [message for message in talk.messages_sent() if isinstance(message, Request)]


def test_a_2xx_that_nobody_waits_for_is_acknowledged_and_hung_up() -> None:
    invite, talk = invite_of_a_dead_process(), Conversation()
    talk.peer.answer(invite, 200, body=ANSWER)
    ack, bye = requests(talk)
    assert (ack.method, bye.method) == ("ACK", "BYE")
    assert str(ack.uri) == str(bye.uri) == "sip:bob@198.51.100.7:5060"
    assert (cseq(ack)[0], cseq(bye)[0]) == (cseq(invite)[0], cseq(invite)[0] + 1)
    for request in (ack, bye):
        assert request.headers["From"] == invite.headers["From"]
        assert request.headers["To"].endswith(";tag=bob")
        assert request.headers["Call-ID"] == invite.headers["Call-ID"]
    assert talk.last_flow() == talk.flow
    assert talk.agent.counters.orphans == 1
    talk.peer.answer(bye, 200)
    talk.advance(70)
    assert talk.sent() == []
    assert talk.agent.load == (0, 0, 0, 0)


def test_its_repetition_is_acknowledged_again_and_not_hung_up_twice() -> None:
    invite, talk = invite_of_a_dead_process(), Conversation()
    talk.peer.answer(invite, 200, body=ANSWER)
    ack, _ = talk.messages_sent()
    talk.peer.answer(invite, 200, body=ANSWER)
    (again,) = talk.messages_sent()
    assert bytes(again) == bytes(ack)


def test_a_bye_that_is_lost_is_repeated() -> None:
    invite, talk = invite_of_a_dead_process(), Conversation()
    talk.peer.answer(invite, 200, body=ANSWER)
    talk.sent()
    talk.advance(0.6)
    assert talk.sent() == ["BYE"]


def test_both_go_along_the_recorded_route_backwards() -> None:
    invite, talk = invite_of_a_dead_process(), Conversation()
    route = ("Record-Route: <sip:far.example;lr>, <sip:198.51.100.7;lr>",)
    talk.peer.answer(invite, 200, body=ANSWER, headers=route, contact="<sip:bob@203.0.113.80>")
    for request in requests(talk):
        assert str(request.uri) == "sip:bob@203.0.113.80"
        assert headers(request, "Route") == ["<sip:198.51.100.7;lr>", "<sip:far.example;lr>"]


def test_nothing_is_sent_to_where_a_contact_points_but_only_back_to_where_the_answer_came_from() -> None:
    """Or anybody could have us send BYEs to a third party."""
    invite, talk = invite_of_a_dead_process(), Conversation()
    talk.peer.answer(invite, 200, body=ANSWER, contact="<sip:victim@203.0.113.80>")
    talk.advance(10)
    assert {flow.remote for flow in talk.flows} == {talk.flow.remote}
    assert talk.lookups == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Via", "SIP/2.0/UDP 203.0.113.9:5060;rport;branch=z9hG4bK0123456789abcdef0123"),
        ("Via", "SIP/2.0/UDP 192.0.2.1:5060;rport;branch=z9hG4bKother"),
        ("Via", "SIP/2.0/UDP 192.0.2.1:5060;rport"),
        ("From", "<sip:earshot@192.0.2.1>;tag=scanner"),
        ("From", "<sip:earshot@192.0.2.1>"),
        ("CSeq", "7 BYE"),
    ],
)
def test_what_does_not_look_like_ours_is_discarded(name: str, value: str) -> None:
    invite, talk = invite_of_a_dead_process(), Conversation()
    invite.headers.set(name, value)
    talk.peer.answer(invite, 200, body=ANSWER)
    assert talk.sent() == []
    assert talk.agent.counters.stray_responses == 1


@pytest.mark.parametrize("code", [100, 180, 302, 486, 603])
def test_only_a_2xx_is(code: int) -> None:
    invite, talk = invite_of_a_dead_process(), Conversation()
    talk.peer.answer(invite, code)
    assert talk.sent() == []


def test_without_a_contact_the_to_says_where() -> None:
    invite, talk = invite_of_a_dead_process(), Conversation()
    talk.peer.answer(invite, 200, body=ANSWER, contact=None)
    assert [str(request.uri) for request in requests(talk)] == ["sip:bob@198.51.100.7"] * 2


def test_where_nothing_says_where_nothing_is_sent() -> None:
    invite, talk = invite_of_a_dead_process(), Conversation()
    invite.headers.set("To", "<tel:+31201234567>")
    talk.peer.answer(invite, 200, body=ANSWER, contact=None)
    assert talk.sent() == []


def test_a_source_cannot_make_us_send_without_end() -> None:
    invite, talk = invite_of_a_dead_process(), Conversation()
    for number in range(2000):
        talk.peer.answer(invite, 200, body=ANSWER, tag=f"fork{number}")
    assert talk.agent.counters.orphans == 600
    assert talk.sent().count("BYE") == 600
    talk.advance(60)
    talk.peer.answer(invite, 200, body=ANSWER, tag="later")
    assert "ACK" in talk.sent()


def test_a_late_repetition_within_a_call_that_is_up_does_not_end_it() -> None:
    """The peer gives up repeating a moment after our transaction has."""
    talk = Conversation()
    talk.call()
    invite = talk.last()
    talk.peer.answer(invite, 200, body=ANSWER)
    talk.advance(33)
    assert talk.agent.load[0] == 0
    talk.sent(), talk.told()
    talk.peer.answer(invite, 200, body=ANSWER)
    assert talk.sent() == []
    assert talk.told() == []
    assert talk.agent.load[2] == 1


def test_a_2xx_that_comes_long_after_a_cancel_is_hung_up() -> None:
    talk = Conversation()
    session = talk.call()
    invite = talk.last()
    talk.peer.answer(invite, 180)
    session.bye()
    talk.advance(70)
    talk.sent()
    talk.peer.answer(invite, 200, body=ANSWER)
    assert talk.sent() == ["ACK", "BYE"]


def test_what_a_stream_brings_is_answered_on_that_stream() -> None:
    first = Conversation(protocol="TCP")
    first.call(flow=first.flow)
    invite, talk = first.last(), Conversation(protocol="TCP")
    talk.peer.answer(invite, 200, body=ANSWER, flow=talk.flow)
    assert talk.sent() == ["ACK", "BYE"]
    assert talk.last_flow() == talk.flow


def test_the_2xx_of_a_reoffer_of_a_dead_process_ends_its_call_too() -> None:
    first, session = dialled()
    session.reoffer(ANSWER)
    invite, talk = first.last(), Conversation()
    assert cseq(invite)[1] == "INVITE"
    talk.peer.answer(invite, 200, body=ANSWER)
    assert [cseq(request) for request in requests(talk)] == [
        (cseq(invite)[0], "ACK"), (cseq(invite)[0] + 1, "BYE"),
    ]  # fmt: skip


@pytest.mark.parametrize("route", ["<garbage>", "<tel:+31201234567>", "<sip:;lr>", "%%%", "<sip:[::1;lr>"])
def test_a_route_that_cannot_be_read_is_no_reason_to_stumble(route: str) -> None:
    invite, talk = invite_of_a_dead_process(), Conversation()
    talk.peer.answer(invite, 200, body=ANSWER, headers=(f"Record-Route: {route}",))
    talk.advance(1)
