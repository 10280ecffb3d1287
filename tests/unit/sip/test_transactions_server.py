"""Server transactions, RFC 3261 section 17.2 and RFC 6026: one rule, one test."""

import pytest

from tests.unit.sip.conversation import ANSWER, PEER, Conversation, other_flow, times
from voice.sip.core import Limits
from voice.sip.events import EndCause, Ended
from voice.sip.message import to_tag, top_via
from voice.sip.transactions import State


def test_an_invite_that_nobody_answers_within_200_ms_gets_a_100() -> None:
    talk = Conversation()
    talk.peer.invite()
    talk.advance(0.19)
    assert talk.sent() == []
    talk.advance(0.02)
    assert talk.sent() == ["100"]
    assert to_tag(talk.last()) is None


def test_an_invite_that_is_answered_at_once_gets_no_100() -> None:
    talk = Conversation()
    talk.peer.invite()
    talk.session.ring()
    talk.advance(1)
    assert talk.sent() == ["180"]


def test_a_repeated_invite_gets_the_last_provisional_response_again() -> None:
    talk = Conversation()
    invite = talk.peer.invite()
    talk.session.ring()
    talk.receive(invite)
    assert talk.sent() == ["180", "180"]
    assert len(talk.sessions) == 1


def test_a_repeated_invite_before_any_response_is_absorbed() -> None:
    talk = Conversation()
    invite = talk.peer.invite()
    talk.receive(invite)
    assert talk.sent() == []
    assert len(talk.sessions) == 1


def test_timer_g_repeats_a_refusal_until_the_ack_with_t2_as_its_cap() -> None:
    talk = Conversation()
    talk.peer.invite()
    talk.session.reject(486)
    assert talk.sent() == ["486"]
    assert times(talk, 20) == [0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5]


def test_a_repeated_invite_gets_its_refusal_again() -> None:
    talk = Conversation()
    invite = talk.peer.invite()
    talk.session.reject(486)
    talk.receive(invite)
    assert talk.sent() == ["486", "486"]


def test_the_ack_stops_timer_g_and_timer_i_absorbs_its_repetitions() -> None:
    talk = Conversation()
    talk.peer.invite(branch="z9hG4bKone")
    talk.session.reject(486)
    tag = to_tag(talk.last())
    ack = talk.peer.request("ACK", branch="z9hG4bKone", to=f"<sip:earshot@192.0.2.1>;tag={tag}")
    talk.receive(ack)
    assert times(talk, 4.5) == []
    assert talk.agent.load[1] == 1
    assert talk.agent.counters.stray_acks == 0
    talk.advance(1)
    assert talk.agent.load[1] == 0


def test_timer_h_gives_up_waiting_for_the_ack_of_a_refusal() -> None:
    talk = Conversation()
    talk.peer.invite()
    talk.session.reject(486)
    talk.advance(31.9)
    assert talk.agent.load[1] == 1
    talk.advance(0.2)
    assert talk.agent.load[1] == 0


def test_a_refusal_over_a_stream_is_sent_once() -> None:
    talk = Conversation(protocol="TCP")
    talk.peer.invite()
    talk.session.reject(486)
    talk.advance(20)
    assert talk.sent() == ["486"]
    talk.advance(13)
    assert talk.agent.load[1] == 0


def test_timer_l_keeps_an_accepted_invite_from_looking_like_a_new_call() -> None:
    talk = Conversation()
    invite = talk.peer.invite()
    talk.session.accept(ANSWER)
    talk.peer.ack()
    talk.sent()
    talk.advance(31.9)
    talk.receive(invite)
    assert talk.sent() == []
    assert len(talk.sessions) == 1
    talk.advance(0.2)
    assert talk.agent.load[1] == 0


def test_a_repeated_request_is_answered_again_until_timer_j() -> None:
    talk = Conversation()
    request = talk.peer.request("OPTIONS")
    talk.receive(request)
    talk.advance(31.9)
    talk.receive(request)
    assert talk.sent() == ["200", "200", "200"]
    assert talk.agent.counters.retransmissions_in == 2
    talk.advance(0.2)
    assert talk.agent.load[1] == 0


def test_timer_j_is_zero_over_a_stream() -> None:
    talk = Conversation(protocol="TCP")
    talk.peer.request("OPTIONS")
    assert talk.sent() == ["200"]
    assert talk.agent.load[1] == 0


def test_the_answer_repeated_is_the_same_to_the_byte() -> None:
    talk = Conversation()
    talk.receive(talk.peer.request("OPTIONS"))
    first, second = talk.messages_sent()
    assert bytes(first) == bytes(second)


def test_requests_of_the_same_branch_but_other_sent_by_are_two() -> None:
    talk = Conversation()
    talk.peer.request("OPTIONS", via="SIP/2.0/UDP 198.51.100.7:5060;rport;branch=z9hG4bKsame")
    talk.peer.call_id = "call-2"
    talk.peer.request("OPTIONS", via="SIP/2.0/UDP 198.51.100.8:5060;rport;branch=z9hG4bKsame")
    assert talk.agent.load[1] == 2
    assert talk.agent.counters.retransmissions_in == 0


def test_a_device_that_uses_its_branch_again_for_its_next_call_is_heard() -> None:
    talk = Conversation()
    talk.peer.invite(branch="z9hG4bKalways")
    talk.peer.call_id = "call-2"
    talk.peer.invite(branch="z9hG4bKalways")
    assert len(talk.sessions) == 2


@pytest.mark.parametrize("via", ["SIP/2.0/UDP 198.51.100.7:5060", "SIP/2.0/UDP 198.51.100.7:5060;branch=1"])
def test_a_peer_of_rfc_2543_is_matched_by_uri_tags_call_id_cseq_and_via(via: str) -> None:
    talk = Conversation()
    invite = talk.peer.invite(via=via)
    talk.receive(invite)
    assert len(talk.sessions) == 1
    talk.session.reject(486)
    tag = to_tag(talk.last())
    talk.peer.request("ACK", via=via, to="<sip:earshot@192.0.2.1>;tag=someone-else")
    assert times(talk, 1) == [0.5]
    talk.peer.request("ACK", via=via, to=f"<sip:earshot@192.0.2.1>;tag={tag}")
    assert times(talk, 4) == []


def test_a_cancel_of_rfc_2543_finds_its_invite() -> None:
    talk = Conversation()
    via = "SIP/2.0/UDP 198.51.100.7:5060"
    talk.peer.invite(via=via)
    talk.peer.request("CANCEL", via=via)
    assert talk.sent() == ["200", "487"]


def test_an_ack_that_has_the_branch_of_its_accepted_invite_is_understood() -> None:
    talk = Conversation()
    talk.peer.invite(branch="z9hG4bKold")
    talk.session.accept(ANSWER)
    talk.peer.ack(branch="z9hG4bKold")
    talk.told()
    talk.peer.within("BYE")
    assert talk.sent() == ["200", "200"]


def test_received_and_rport_are_put_into_the_via() -> None:
    talk = Conversation()
    talk.peer.request("OPTIONS", flow=other_flow(talk.flow, 40000))
    via = top_via(talk.last())
    assert (via.received, via.rport) == (PEER[0], "40000")
    assert talk.last_flow().remote == (PEER[0], 40000)


def test_without_rport_the_response_goes_to_the_port_of_sent_by() -> None:
    talk = Conversation()
    talk.peer.request("OPTIONS", via="SIP/2.0/UDP 198.51.100.7:5070;branch=z9hG4bK1", flow=other_flow(talk.flow, 40000))
    assert talk.last_flow().remote == (PEER[0], 5070)


def test_without_rport_but_behind_a_nat_the_response_goes_to_the_source() -> None:
    talk = Conversation()
    talk.peer.request("OPTIONS", via="SIP/2.0/UDP 10.0.0.5:5070;branch=z9hG4bK1", flow=other_flow(talk.flow, 40000))
    assert talk.last_flow().remote == (PEER[0], 40000)
    assert top_via(talk.last()).received == PEER[0]


def test_maddr_is_ignored() -> None:
    talk = Conversation()
    talk.peer.request("OPTIONS", via="SIP/2.0/UDP 198.51.100.7:5060;maddr=224.0.1.75;branch=z9hG4bK1")
    assert talk.last_flow().remote == PEER


def test_responses_go_back_by_the_connection_of_the_request() -> None:
    talk = Conversation(protocol="TCP")
    talk.peer.request("OPTIONS", via="SIP/2.0/TCP 198.51.100.7:5070;branch=z9hG4bK1")
    assert talk.last_flow() == talk.flow


def test_when_that_connection_is_gone_the_response_goes_to_the_sent_by() -> None:
    talk = Conversation(protocol="TCP")
    talk.peer.request("INVITE", via="SIP/2.0/TCP 198.51.100.7:5070;branch=z9hG4bK1")
    talk.fail(talk.flow)
    talk.session.reject(486)
    assert talk.sent() == ["486"]
    assert talk.last_flow().remote == (PEER[0], 5070)
    assert talk.last_flow().connection != talk.flow.connection


def test_a_response_that_the_closed_connection_may_have_lost_goes_again() -> None:
    talk = Conversation(protocol="TCP")
    talk.peer.invite()
    talk.session.reject(486)
    talk.fail(talk.flow)
    assert talk.sent() == ["486", "486"]
    talk.fail(talk.last_flow())
    assert talk.sent() == []


def test_an_acknowledged_answer_does_not_go_again_when_its_connection_closes() -> None:
    talk = Conversation(protocol="TCP")
    talk.peer.invite()
    talk.session.accept(ANSWER)
    talk.peer.ack()
    talk.sent()
    talk.fail(talk.flow)
    assert talk.sent() == []


def test_an_unacknowledged_answer_is_repeated_by_another_connection() -> None:
    talk = Conversation(protocol="TCP")
    talk.peer.invite()
    talk.session.accept(ANSWER)
    talk.sent()
    talk.fail(talk.flow)
    talk.advance(0.5)
    assert talk.sent() == ["200"]
    assert talk.last_flow() != talk.flow


def test_a_merged_request_is_answered_482() -> None:
    talk = Conversation()
    talk.peer.invite(branch="z9hG4bKway1")
    talk.peer.invite(branch="z9hG4bKway2")
    assert talk.sent() == ["482"]
    assert len(talk.sessions) == 1


def test_a_bye_to_an_unanswered_call_ends_it_with_487() -> None:
    talk = Conversation()
    talk.peer.invite()
    talk.session.ring()
    talk.sent()
    talk.peer.within("BYE")
    assert talk.sent() == ["487", "200"]
    assert talk.told() == [Ended(EndCause.BYE, by_peer=True)]


def test_more_transactions_than_memory_allows_are_answered_503_without_state() -> None:
    talk = Conversation(limits=Limits(transactions=2))
    for n in range(3):
        talk.peer.call_id = f"call-{n}"
        talk.peer.request("OPTIONS")
    assert talk.sent() == ["200", "200", "503"]
    assert talk.last().headers["Retry-After"]
    assert talk.agent.load[1] == 2


def test_a_terminated_transaction_leaves_nothing_behind() -> None:
    talk = Conversation()
    talk.peer.invite()
    talk.session.reject(486)
    talk.advance(60)
    assert talk.agent.load == (0, 0, 0, 0)
    assert State.TERMINATED.value == "terminated"
