"""Offers within the dialog: re-INVITE (RFC 3261 section 14), UPDATE (RFC 3311), glare, and their refusals."""

import pytest

from tests.unit.sip.conversation import ANSWER, OFFER, OTHER, Conversation, dialled, established, times
from voice.sip.events import (
    Confirmed,
    EndCause,
    Ended,
    OfferAnswered,
    OfferReceived,
    OfferRefused,
)
from voice.sip.message import Request, cseq


def test_a_re_invite_of_the_peer_is_shown_and_answered() -> None:
    talk = established()
    talk.peer.within("INVITE", body=OTHER)
    assert talk.told() == [OfferReceived(OTHER)]
    talk.session.answer_offer(ANSWER)
    ok = talk.last()
    assert ok.body == ANSWER
    assert ok.headers["Contact"] == "<sip:earshot@192.0.2.1:5060>"
    assert times(talk, 2) == [0.5, 1.5]
    talk.peer.ack()
    assert times(talk, 4) == []
    assert talk.told() == []


def test_a_re_invite_that_takes_long_gets_a_100() -> None:
    talk = established()
    talk.peer.within("INVITE", body=OTHER)
    talk.advance(0.3)
    assert talk.sent() == ["100"]


def test_a_refused_re_invite_leaves_the_call_as_it_was() -> None:
    talk = established()
    talk.peer.within("INVITE", body=OTHER)
    talk.session.refuse_offer()
    assert talk.sent() == ["488"]
    assert not talk.session.ended


def test_a_re_invite_without_a_description_gets_our_offer_and_answers_in_its_ack() -> None:
    talk = established()
    talk.peer.within("INVITE")
    assert talk.told() == [OfferReceived(None)]
    talk.session.answer_offer(OTHER)
    assert talk.last().body == OTHER
    talk.peer.ack(body=ANSWER)
    assert talk.told() == [OfferAnswered(ANSWER)]


def test_a_re_invite_that_is_never_acknowledged_ends_the_call() -> None:
    talk = established()
    talk.peer.within("INVITE", body=OTHER)
    talk.session.answer_offer(ANSWER)
    talk.advance(32.1)
    assert talk.sent()[-1] == "BYE"
    assert talk.told()[-1] == Ended(EndCause.NO_ACK)


def test_a_second_re_invite_before_the_answer_to_the_first_gets_500_with_retry_after() -> None:
    talk = established()
    talk.peer.within("INVITE", body=OTHER)
    talk.peer.within("INVITE", body=OTHER)
    assert talk.sent() == ["500"]
    assert 0 <= int(talk.last().headers["Retry-After"]) <= 10


def test_a_cancelled_re_invite_gets_487_and_the_call_goes_on() -> None:
    talk = established()
    talk.peer.within("INVITE", body=OTHER, branch="z9hG4bKre")
    talk.peer.within("CANCEL", branch="z9hG4bKre", seq=talk.peer.seq)
    assert talk.sent() == ["200", "487"]
    talk.session.answer_offer(ANSWER)
    assert talk.sent() == []
    assert not talk.session.ended


def test_a_re_invite_in_the_midst_of_ours_gets_491() -> None:
    talk = established()
    talk.session.reoffer(OTHER)
    talk.sent()
    talk.peer.within("INVITE", body=OFFER)
    assert talk.sent() == ["491"]


def test_a_re_invite_before_the_first_invite_is_answered_gets_500() -> None:
    talk = Conversation()
    talk.peer.invite()
    talk.session.ring()
    talk.sent()
    talk.peer.within("INVITE", body=OTHER)
    assert talk.sent() == ["500"]
    assert talk.told() == []


def test_the_remote_target_is_refreshed_by_a_re_invite() -> None:
    talk = established()
    talk.peer.within("INVITE", body=OTHER, contact="<sip:device@198.51.100.7:6000>")
    talk.session.answer_offer(ANSWER)
    talk.peer.ack()
    talk.session.bye()
    bye = talk.last()
    assert str(bye.uri) == "sip:device@198.51.100.7:6000"  # type: ignore[union-attr]
    assert talk.last_flow().remote == ("198.51.100.7", 6000)


def test_a_refused_re_invite_does_not_refresh_the_remote_target() -> None:
    talk = established()
    talk.peer.within("INVITE", body=OTHER, contact="<sip:device@198.51.100.7:6000>")
    talk.session.refuse_offer()
    talk.session.bye()
    assert talk.last_flow().remote == ("198.51.100.7", 5060)


def test_a_bye_while_an_offer_waits_for_its_answer_gets_that_a_487() -> None:
    talk = established()
    talk.peer.within("INVITE", body=OTHER)
    talk.peer.within("BYE")
    assert talk.sent() == ["200", "487"]
    talk.session.answer_offer(ANSWER)
    assert talk.sent() == []


def test_hanging_up_stops_the_repetition_of_an_unacknowledged_answer() -> None:
    talk = established()
    talk.peer.within("INVITE", body=OTHER)
    talk.session.answer_offer(ANSWER)
    talk.session.bye()
    talk.peer.answer(talk.last(), 200)
    talk.sent()
    assert times(talk, 10) == []


# -- ours --


def test_reoffer_sends_a_re_invite_and_tells_of_the_answer() -> None:
    talk, session = dialled()
    session.reoffer(OTHER)
    invite = talk.last()
    assert isinstance(invite, Request)
    assert (invite.method, invite.body) == ("INVITE", OTHER)
    assert cseq(invite)[0] == cseq(talk.log[0])[0] + 1
    assert invite.headers["Contact"]
    talk.peer.answer(invite, 100)
    talk.peer.answer(invite, 200, body=ANSWER, contact="<sip:bob@198.51.100.7:5088>")
    assert talk.sent() == ["ACK"]
    assert talk.told() == [OfferAnswered(ANSWER)]
    talk.peer.answer(invite, 200, body=ANSWER)
    assert talk.sent() == ["ACK"]
    assert talk.told() == []
    session.bye()
    assert talk.last_flow().remote == ("198.51.100.7", 5088)


def test_a_refused_reoffer_leaves_the_call_as_it_was() -> None:
    talk, session = dialled()
    session.reoffer(OTHER)
    talk.peer.answer(talk.last(), 488)
    assert talk.sent() == ["ACK"]
    assert talk.told() == [OfferRefused(488)]
    assert not session.ended


def test_an_offer_that_cannot_be_brought_to_the_peer_was_not_refused_by_it() -> None:
    talk, session = dialled()
    session.reoffer(OTHER)
    talk.fail(talk.last_flow())  # "port unreachable": nobody is at home there any more
    assert talk.told() == [OfferRefused(503, by_peer=False)]


@pytest.mark.parametrize(
    ("code", "end"),
    [
        (481, Ended(EndCause.BYE, 481, "Whatever", by_peer=True)),
        (408, Ended(EndCause.TRANSPORT, 408, "Whatever")),
    ],
)
def test_481_or_408_to_a_re_invite_means_that_the_dialog_is_gone(code: int, end: Ended) -> None:
    talk, session = dialled()
    session.reoffer(OTHER)
    talk.peer.answer(talk.last(), code)
    assert talk.sent() == ["ACK", "BYE"]
    assert talk.told() == [end]


def test_a_re_invite_without_any_answer_ends_the_call() -> None:
    talk, session = dialled()
    session.reoffer(OTHER)
    talk.advance(32.1)
    assert talk.told() == [Ended(EndCause.TRANSPORT, 408, "Request Timeout")]


def test_a_re_invite_that_is_only_ever_being_tried_ends_the_call() -> None:
    talk, session = dialled()
    session.reoffer(OTHER)
    talk.peer.answer(talk.last(), 100)
    talk.advance(190)
    assert talk.told() == [Ended(EndCause.TRANSPORT, 408, "Request Timeout")]


def glare(talk: Conversation) -> float:
    """Answer our re-INVITE with 491; after how many seconds it comes again."""
    start = talk.clock
    talk.peer.answer(talk.last(), 491)
    assert talk.sent() == ["ACK"]
    while not talk.sent():
        talk.advance(0.01)
        assert talk.clock < start + 10
    return talk.clock - start


def test_after_a_glare_the_owner_of_the_call_id_waits_2_1_to_4_seconds() -> None:
    for _ in range(5):
        talk, session = dialled()
        session.reoffer(OTHER)
        assert 2.1 <= glare(talk) <= 4.02


def test_after_a_glare_the_other_side_waits_0_to_2_seconds() -> None:
    for _ in range(5):
        talk = established()
        talk.session.reoffer(OTHER)
        assert 0 <= glare(talk) <= 2.02


def test_a_glare_is_resolved_without_the_application() -> None:
    talk, session = dialled()
    session.reoffer(OTHER)
    glare(talk)
    talk.peer.answer(talk.last(), 200, body=ANSWER)
    assert talk.told() == [OfferAnswered(ANSWER)]


def test_while_we_wait_after_a_glare_the_offer_of_the_peer_is_welcome_and_ours_comes_after_it() -> None:
    talk, session = dialled()
    session.reoffer(OTHER)
    talk.peer.answer(talk.last(), 491)
    talk.peer.within("INVITE", session, body=OFFER)
    talk.sent()
    talk.advance(5)
    assert "INVITE" not in talk.sent()
    session.answer_offer(ANSWER)
    talk.sent()
    talk.peer.ack(session)
    assert talk.sent() == ["INVITE"]
    assert talk.last().body == OTHER


def test_of_several_waiting_offers_the_last_one_counts() -> None:
    talk, session = dialled()
    session.reoffer(OTHER)
    first = talk.last()
    session.reoffer(ANSWER)
    session.reoffer(OFFER)
    assert talk.sent() == []
    talk.peer.answer(first, 200, body=ANSWER)
    assert talk.sent() == ["ACK", "INVITE"]
    assert talk.last().body == OFFER


def test_the_answer_to_a_re_invite_of_a_call_that_has_ended_is_acknowledged() -> None:
    talk, session = dialled()
    session.reoffer(OTHER)
    invite = talk.last()
    session.bye()
    talk.sent(), talk.told()
    talk.peer.answer(invite, 200, body=ANSWER)
    assert talk.sent() == ["ACK"]
    assert talk.told() == []


# -- UPDATE --


def test_an_update_with_an_offer_is_shown_and_answered_in_its_200() -> None:
    talk = established()
    talk.peer.within("UPDATE", body=OTHER)
    assert talk.told() == [OfferReceived(OTHER)]
    talk.session.answer_offer(ANSWER)
    assert talk.sent() == ["200"]
    assert talk.last().body == ANSWER
    talk.advance(40)
    assert talk.sent() == []


def test_an_update_without_an_offer_refreshes_the_session_by_itself() -> None:
    talk = established()
    talk.peer.within("UPDATE", contact="<sip:device@198.51.100.7:6000>")
    assert talk.sent() == ["200"]
    assert talk.told() == []
    talk.session.bye()
    assert talk.last_flow().remote == ("198.51.100.7", 6000)


def test_an_update_with_an_offer_in_the_midst_of_ours_gets_491() -> None:
    talk = established()
    talk.session.reoffer(OTHER)
    talk.sent()
    talk.peer.within("UPDATE", body=OFFER)
    assert talk.sent() == ["491"]


def test_an_update_with_an_offer_before_the_answer_to_another_gets_500() -> None:
    talk = established()
    talk.peer.within("UPDATE", body=OTHER)
    talk.peer.within("UPDATE", body=OTHER)
    assert talk.sent() == ["500"]
    assert talk.last().headers["Retry-After"]


def test_an_update_with_an_offer_while_our_late_offer_waits_for_its_answer_gets_491() -> None:
    talk = established()
    talk.peer.within("INVITE")
    talk.session.answer_offer(OTHER)
    talk.sent()
    talk.peer.within("UPDATE", body=OFFER)
    assert talk.sent() == ["491"]


def test_an_update_in_an_early_dialog_of_ours_gets_491_as_our_offer_is_open() -> None:
    talk = Conversation()
    session = talk.call()
    invite = talk.last()
    talk.peer.answer(invite, 180)
    talk.sent()
    talk.peer.call_id, talk.peer.tag = session.call_id, "bob"
    talk.peer.request("UPDATE", to=f"<sip:earshot@192.0.2.1>;tag={session.local_tag}", body=OFFER)
    assert talk.sent() == ["491"]


# -- CSeq (12.2.2) --


def test_a_lower_cseq_within_the_dialog_gets_500() -> None:
    talk = established()
    talk.peer.within("INFO", seq=50)
    assert talk.sent() == ["500"]
    assert talk.told() == []


def test_a_gap_in_the_cseq_is_no_fault() -> None:
    talk = established()
    talk.peer.within("INFO", seq=5000)
    talk.peer.within("BYE", seq=9000)
    assert talk.sent() == ["200", "200"]


def test_a_bye_with_the_cseq_of_the_invite_is_taken() -> None:
    talk = established()
    talk.peer.within("BYE", seq=talk.peer.seq)
    assert talk.sent() == ["200"]


def test_an_ack_with_another_cseq_confirms_nothing() -> None:
    talk = Conversation()
    talk.peer.invite()
    talk.session.accept(ANSWER)
    talk.peer.ack(seq=99)
    assert talk.told() == []
    talk.peer.ack()
    assert talk.told() == [Confirmed(None)]
