"""Client transactions, RFC 3261 section 17.1 and RFC 6026: one rule, one test."""

import pytest

from tests.unit.sip.conversation import ANSWER, Conversation, branch_of, name, times
from voice.sip.core import Target
from voice.sip.events import Answered, EndCause, Ended, Progress
from voice.sip.message import Request, Response, to_tag
from voice.sip.timers import Timing
from voice.sip.transactions import State


def options(talk: Conversation) -> list[Response]:
    """Send an OPTIONS; the list fills with its final response."""
    done: list[Response] = []
    talk.agent.request("OPTIONS", Target("sip:bob@198.51.100.7", flow=talk.flow), done=done.append)
    talk._drain()
    return done


def test_timer_a_doubles_the_interval_of_an_unanswered_invite_without_a_cap() -> None:
    talk = Conversation()
    talk.call()
    assert talk.sent() == ["INVITE"]
    assert times(talk, 32) == [0.5, 1.5, 3.5, 7.5, 15.5, 31.5]


def test_a_retransmission_is_the_same_to_the_byte() -> None:
    talk = Conversation()
    talk.call()
    talk.advance(0.5)
    first, second = talk.messages_sent()
    assert bytes(first) == bytes(second)


def test_timer_b_ends_an_invite_that_nobody_answers_after_64_t1_as_if_408_had_come() -> None:
    talk = Conversation()
    session = talk.call()
    talk.advance(31.9)
    assert talk.told() == []
    talk.advance(0.2)
    assert talk.told() == [Ended(EndCause.NO_ANSWER, 408, "Request Timeout")]
    assert session.ended
    assert talk.agent.load[0] == 0


def test_a_provisional_response_stops_timer_a_and_timer_b() -> None:
    talk = Conversation()
    talk.call()
    talk.peer.answer(talk.last(), 180)
    assert times(talk, 120, 1.0) == []
    assert talk.told() == [Progress(180, None)]


def test_a_call_that_rings_without_news_is_cancelled_like_timer_c_would() -> None:
    talk = Conversation()
    talk.call()
    talk.peer.answer(talk.last(), 180)
    talk.advance(100)
    talk.peer.answer(talk.last(), 180)
    talk.advance(184)
    assert talk.sent() == []
    talk.advance(1.2)
    assert talk.sent() == ["CANCEL"]
    assert talk.told()[-1] == Ended(EndCause.NO_ANSWER, 408)


def test_an_invite_over_a_stream_is_never_repeated() -> None:
    talk = Conversation(protocol="TCP")
    talk.call(flow=talk.flow)
    talk.advance(31)
    assert talk.sent() == ["INVITE"]


def test_timer_b_runs_over_a_stream_as_well() -> None:
    talk = Conversation(protocol="TCP")
    talk.call(flow=talk.flow)
    talk.advance(33)
    assert talk.told() == [Ended(EndCause.NO_ANSWER, 408, "Request Timeout")]


@pytest.mark.parametrize("code", [300, 404, 486, 503, 603])
def test_a_final_response_other_than_2xx_is_acknowledged_by_the_transaction(code: int) -> None:
    talk = Conversation()
    talk.call()
    invite = talk.last()
    talk.peer.answer(invite, code)
    ack = talk.last()
    assert isinstance(ack, Request)
    assert ack.method == "ACK"
    assert str(ack.uri) == str(invite.uri)  # type: ignore[union-attr]
    assert branch_of(ack) == branch_of(invite)
    assert ack.headers["CSeq"] == invite.headers["CSeq"].replace("INVITE", "ACK")
    assert to_tag(ack) == "bob"
    assert ack.headers["From"] == invite.headers["From"]
    assert ack.headers["Call-ID"] == invite.headers["Call-ID"]
    assert talk.told() == [Ended(EndCause.REJECTED, code, "Whatever", by_peer=True)]


def test_a_repeated_final_response_is_acknowledged_again_and_not_passed_up() -> None:
    talk = Conversation()
    talk.call()
    invite = talk.last()
    talk.peer.answer(invite, 486)
    talk.peer.answer(invite, 486)
    talk.peer.answer(invite, 486)
    assert talk.sent() == ["ACK", "ACK", "ACK"]
    assert len(talk.told()) == 1


def test_timer_d_keeps_the_transaction_for_32_seconds_over_udp() -> None:
    talk = Conversation()
    talk.call()
    invite = talk.last()
    talk.peer.answer(invite, 486)
    talk.advance(31.9)
    assert talk.agent.load[0] == 1
    talk.advance(0.2)
    assert talk.agent.load[0] == 0
    talk.sent()
    talk.peer.answer(invite, 486)
    assert talk.sent() == []
    assert talk.agent.counters.stray_responses == 1


def test_timer_d_is_zero_over_a_stream() -> None:
    talk = Conversation(protocol="TCP")
    talk.call(flow=talk.flow)
    talk.peer.answer(talk.last(), 486)
    assert talk.agent.load[0] == 0


def test_the_ack_of_a_failure_has_the_route_of_the_invite() -> None:
    talk = Conversation()
    talk.call(route=("<sip:proxy.invalid;lr>",), next_hop=("UDP", ("198.51.100.7", 5060)))
    talk.peer.answer(talk.last(), 486)
    assert talk.last().headers.getlist("Route") == ["<sip:proxy.invalid;lr>"]


def test_the_accepted_state_passes_every_2xx_up_until_timer_m() -> None:
    talk = Conversation()
    talk.call()
    invite = talk.last()
    talk.peer.answer(invite, 200, body=ANSWER)
    assert talk.sent() == ["ACK"]
    talk.advance(31.9)
    talk.peer.answer(invite, 200, body=ANSWER)
    assert talk.sent() == ["ACK"]
    talk.advance(0.2)
    talk.peer.answer(invite, 200, body=ANSWER)
    assert talk.sent() == []
    assert [type(event) for event in talk.told()] == [Answered]


def test_timer_e_doubles_up_to_t2() -> None:
    talk = Conversation()
    options(talk)
    talk.sent()
    assert times(talk, 31.9) == [0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5]


def test_timer_e_is_t2_once_a_provisional_response_came() -> None:
    talk = Conversation()
    options(talk)
    talk.peer.answer(talk.last(), 100)
    assert times(talk, 10) == [0.5, 4.5, 8.5]


def test_timer_f_ends_a_request_without_final_response_even_in_proceeding() -> None:
    talk = Conversation()
    done = options(talk)
    talk.advance(10)
    talk.peer.answer(talk.last(), 100)
    talk.advance(22.1)
    assert [response.code for response in done] == [408]


def test_timer_k_absorbs_repeated_responses_for_t4() -> None:
    talk = Conversation()
    done = options(talk)
    request = talk.last()
    talk.peer.answer(request, 200)
    talk.peer.answer(request, 200)
    assert [response.code for response in done] == [200]
    talk.advance(4.9)
    assert talk.agent.load[0] == 1
    talk.advance(0.2)
    assert talk.agent.load[0] == 0


def test_a_request_over_a_stream_is_not_repeated_and_forgotten_at_once() -> None:
    talk = Conversation(protocol="TCP")
    options(talk)
    talk.advance(10)
    assert len(talk.log) == 1
    talk.peer.answer(talk.last(), 200)
    assert talk.agent.load[0] == 0


def test_a_transport_error_ends_a_request_as_if_503_had_come() -> None:
    talk = Conversation()
    done = options(talk)
    talk.fail(talk.flow)
    assert [response.code for response in done] == [503]
    assert talk.agent.load[0] == 0


def test_a_transport_error_ends_an_invite_that_was_not_answered_yet() -> None:
    talk = Conversation()
    talk.call(flow=talk.flow)
    talk.fail(talk.flow)
    assert talk.told() == [Ended(EndCause.TRANSPORT, 503, "Service Unavailable")]


def test_a_transport_error_does_not_end_an_invite_that_rings() -> None:
    talk = Conversation()
    talk.call(flow=talk.flow)
    talk.peer.answer(talk.last(), 180)
    talk.fail(talk.flow)
    assert talk.told() == [Progress(180, None)]


def test_a_transport_error_elsewhere_concerns_nobody() -> None:
    talk = Conversation()
    talk.call(flow=talk.flow)
    talk.fail(talk.paths.flow("TCP", ("203.0.113.9", 5060)))
    assert talk.told() == []


def test_a_response_with_another_branch_is_discarded() -> None:
    talk = Conversation()
    talk.call()
    invite = talk.last()
    invite.headers.set("Via", "SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKother")
    talk.peer.answer(invite, 200, body=ANSWER)
    assert talk.sent() == []
    assert talk.agent.counters.stray_responses == 1


def test_a_response_with_another_cseq_method_is_discarded() -> None:
    talk = Conversation()
    talk.call()
    invite = talk.last()
    invite.headers.set("CSeq", invite.headers["CSeq"].replace("INVITE", "CANCEL"))
    talk.peer.answer(invite, 200)
    assert talk.agent.counters.stray_responses == 1


def test_a_response_with_two_vias_was_misrouted_and_is_discarded() -> None:
    talk = Conversation()
    talk.call()
    invite = talk.last()
    invite.headers.setlist("Via", [invite.headers["Via"], "SIP/2.0/UDP 203.0.113.1;branch=z9hG4bKx"])
    talk.peer.answer(invite, 200, body=ANSWER)
    assert talk.sent() == []
    assert talk.agent.counters.stray_responses == 1


def test_the_timers_follow_t1() -> None:
    talk = Conversation(timing=Timing(t1=0.1, t2=0.4))
    talk.call()
    talk.advance(6.5)
    assert [name(message) for message in talk.log] == ["INVITE"] * 7
    assert isinstance(talk.told()[0], Ended)


def test_the_states_have_the_names_of_the_figures() -> None:
    assert {state.value for state in State} >= {"calling", "proceeding", "completed", "terminated", "trying"}
