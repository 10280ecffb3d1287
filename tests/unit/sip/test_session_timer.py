"""Session timers, RFC 4028, both ways."""

import pytest

from tests.unit.sip.conversation import ANSWER, OFFER, OTHER, Conversation, dialled, established
from voice.sip.core import SessionTimerPolicy
from voice.sip.events import EndCause, Ended, OfferAnswered
from voice.sip.message import Request
from voice.sip.session import InviteSession
from voice.sip.session_timer import SessionTimer, asked


def called(*headers: str) -> Conversation:
    """A call that came in with these header fields and is up."""
    talk = Conversation()
    talk.peer.invite(headers=headers)
    talk.session.accept(ANSWER)
    talk.peer.ack()
    talk.told()
    return talk


def calling(*headers: str, interval: int | None = 1800) -> tuple[Conversation, InviteSession]:
    """A call that we made, answered with these header fields."""
    talk = Conversation(session_timer=SessionTimerPolicy(interval=interval))
    session = talk.call()
    talk.peer.answer(talk.last(), 200, body=ANSWER, headers=headers)
    talk.sent(), talk.told()
    return talk, session


def test_half_the_interval_until_the_refresh_and_bye_a_little_before_the_end() -> None:
    assert SessionTimer(1800, we_refresh=True).refresh_after == 900
    assert SessionTimer(1800, we_refresh=False).expires_after == 1768
    assert SessionTimer(90, we_refresh=False).expires_after == 60


# -- the peer calls --


def test_a_caller_who_asks_for_nothing_gets_no_timer() -> None:
    talk = called("Supported: timer")
    assert "Session-Expires" not in talk.log[0].headers
    talk.advance(10_000)
    assert not talk.session.ended


def test_a_caller_who_leaves_it_open_who_refreshes_is_refreshed_by_us() -> None:
    talk = called("Supported: timer", "Session-Expires: 600", "Allow: INVITE, UPDATE")
    ok = talk.log[0]
    assert ok.headers["Session-Expires"] == "600;refresher=uas"
    assert ok.headers["Require"] == "timer"
    talk.sent()
    talk.advance(300)
    update = talk.last()
    assert isinstance(update, Request)
    assert update.method == "UPDATE"
    assert update.body == b""
    assert update.headers["Session-Expires"] == "600;refresher=uac"
    talk.peer.answer(update, 200, headers=("Session-Expires: 600;refresher=uac",))
    talk.sent()
    talk.advance(299)
    assert talk.sent() == []
    talk.advance(2)
    assert talk.sent()[0] == "UPDATE"


def test_a_peer_that_knows_no_update_is_refreshed_by_a_re_invite_that_changes_nothing() -> None:
    talk = called("Supported: timer", "Session-Expires: 600", "Allow: INVITE, ACK, BYE")
    talk.sent()
    talk.advance(300)
    invite = talk.last()
    assert isinstance(invite, Request)
    assert (invite.method, invite.body) == ("INVITE", ANSWER)
    talk.peer.answer(invite, 200, body=OFFER, headers=("Session-Expires: 600;refresher=uac",))
    assert talk.told() == []  # the answer is what it was
    assert not talk.session.ended


def test_a_refresh_whose_answer_differs_is_told_of() -> None:
    talk = called("Supported: timer", "Session-Expires: 600")
    talk.advance(300)
    talk.peer.answer(talk.last(), 200, body=OTHER, headers=("Session-Expires: 600;refresher=uac",))
    assert talk.told() == [OfferAnswered(OTHER)]


def test_a_caller_who_refreshes_and_forgets_it_gets_a_bye_before_the_session_expires() -> None:
    talk = called("Supported: timer", "Session-Expires: 600;refresher=uac")
    assert talk.log[0].headers["Session-Expires"] == "600;refresher=uac"
    talk.advance(567)
    assert not talk.session.ended
    talk.advance(2)
    assert talk.sent()[-1] == "BYE"
    assert talk.told() == [Ended(EndCause.SESSION_EXPIRED)]


@pytest.mark.parametrize("method", ["UPDATE", "INVITE"])
def test_a_caller_who_refreshes_keeps_the_call(method: str) -> None:
    talk = called("Supported: timer", "Session-Expires: 600;refresher=uac")
    for _ in range(4):
        talk.advance(300)
        body = OFFER if method == "INVITE" else b""
        timer = ("Supported: timer", "Session-Expires: 600;refresher=uac")
        talk.peer.within(method, headers=timer, body=body)
        if method == "INVITE":
            talk.session.answer_offer(ANSWER)
            talk._drain()
            talk.peer.ack()
        assert talk.last().headers["Session-Expires"] == "600;refresher=uac"
    assert not talk.session.ended
    talk.advance(570)
    assert talk.session.ended


def test_an_interval_that_is_too_small_gets_422_with_min_se() -> None:
    talk = Conversation()
    talk.peer.invite(headers=("Supported: timer", "Session-Expires: 30"))
    assert talk.sent() == ["422"]
    assert talk.last().headers["Min-SE"] == "90"
    assert talk.sessions == []


def test_a_small_interval_of_a_proxy_for_a_caller_without_timers_is_ours_to_keep() -> None:
    talk = called("Session-Expires: 60")
    ok = talk.log[0]
    assert ok.headers["Session-Expires"] == "60;refresher=uas"
    assert "Require" not in ok.headers


def test_a_refresh_with_a_smaller_interval_gets_422_and_the_call_goes_on() -> None:
    talk = called("Supported: timer", "Session-Expires: 600;refresher=uac")
    talk.sent()
    talk.peer.within("UPDATE", headers=("Supported: timer", "Session-Expires: 20"))
    assert talk.sent() == ["422"]
    assert not talk.session.ended


def test_nonsense_in_session_expires_counts_as_absent() -> None:
    talk = called("Supported: timer", "Session-Expires: soon")
    assert "Session-Expires" not in talk.log[0].headers


def test_an_update_in_an_early_dialog_starts_no_timer() -> None:
    talk = Conversation()
    session = talk.call()
    talk.peer.answer(talk.last(), 180)
    talk.peer.call_id, talk.peer.tag = session.call_id, "bob"
    timer = ("Supported: timer", "Session-Expires: 90;refresher=uac")
    talk.peer.request("UPDATE", to=f"<sip:earshot@192.0.2.1>;tag={session.local_tag}", headers=timer)
    talk.advance(150)
    assert not session.ended


# -- we call --


def test_our_invite_asks_for_the_timer() -> None:
    talk = Conversation(session_timer=SessionTimerPolicy(interval=1200))
    talk.call()
    invite = talk.last()
    assert invite.headers["Session-Expires"] == "1200"
    assert asked(invite).supported


def test_a_callee_that_sets_no_timer_has_none() -> None:
    talk, session = calling()
    talk.advance(10_000)
    assert not session.ended
    assert talk.sent() == []


def test_a_callee_that_wants_us_to_refresh_is_refreshed() -> None:
    talk, session = calling("Session-Expires: 1800;refresher=uac", "Require: timer", "Allow: UPDATE")
    talk.advance(900)
    update = talk.last()
    assert isinstance(update, Request)
    assert update.method == "UPDATE"
    talk.peer.answer(update, 200, headers=("Session-Expires: 1800;refresher=uac",))
    talk.advance(899)
    assert not session.ended


def test_a_callee_that_refreshes_and_forgets_it_gets_a_bye() -> None:
    talk, session = calling("Session-Expires: 1800;refresher=uas", "Require: timer")
    talk.advance(1767)
    assert not session.ended
    talk.advance(2)
    assert talk.told() == [Ended(EndCause.SESSION_EXPIRED)]


def test_a_422_to_our_invite_is_met_with_a_longer_interval() -> None:
    talk = Conversation(session_timer=SessionTimerPolicy(interval=300))
    talk.call()
    talk.peer.answer(talk.last(), 422, headers=("Min-SE: 900",))
    _, invite = talk.messages_sent()
    assert invite.headers["Session-Expires"] == "900"
    assert invite.headers["Min-SE"] == "900"
    talk.peer.answer(invite, 200, body=ANSWER)
    assert [type(event).__name__ for event in talk.told()] == ["Answered"]


def test_a_422_that_asks_for_no_more_than_before_is_the_end() -> None:
    talk = Conversation(session_timer=SessionTimerPolicy(interval=300))
    talk.call()
    talk.peer.answer(talk.last(), 422, headers=("Min-SE: 900",))
    talk.peer.answer(talk.last(), 422, headers=("Min-SE: 900",))
    assert talk.told() == [Ended(EndCause.REJECTED, 422, "Whatever", by_peer=True)]


def test_a_422_to_a_refresh_is_met_with_a_longer_interval() -> None:
    talk, session = calling("Session-Expires: 600;refresher=uac", "Allow: UPDATE")
    talk.advance(300)
    talk.peer.answer(talk.last(), 422, headers=("Min-SE: 1000",))
    again = talk.last()
    assert again.headers["Session-Expires"] == "1000;refresher=uac"
    assert not session.ended


def test_a_refresh_that_nobody_answers_ends_the_call() -> None:
    talk, session = calling("Session-Expires: 600;refresher=uac", "Allow: UPDATE")
    talk.advance(300 + 33)
    assert session.ended
    assert talk.told() == [Ended(EndCause.TRANSPORT, 408, "Request Timeout")]


def test_a_refresh_that_meets_a_busy_peer_is_tried_again() -> None:
    talk, session = calling("Session-Expires: 600;refresher=uac", "Allow: UPDATE")
    talk.advance(300)
    talk.peer.answer(talk.last(), 491)
    talk.sent()
    talk.advance(11)
    assert talk.sent()[0] == "UPDATE"
    assert not session.ended


def test_a_peer_that_names_update_and_refuses_it_is_refreshed_by_re_invite() -> None:
    talk, _ = calling("Session-Expires: 600;refresher=uac", "Allow: UPDATE")
    talk.advance(300)
    talk.peer.answer(talk.last(), 405)
    talk.sent()
    talk.advance(11)
    assert talk.sent()[0] == "INVITE"


def test_a_refused_refresh_does_not_keep_a_dead_session_alive() -> None:
    talk, session = calling("Session-Expires: 600;refresher=uac", "Allow: UPDATE")
    talk.advance(300)
    for _ in range(40):
        if session.ended:
            break
        if isinstance(talk.last(), Request) and talk.last().headers["CSeq"].endswith("UPDATE"):
            talk.peer.answer(talk.last(), 500)
        talk.advance(10)
    assert talk.told() == [Ended(EndCause.SESSION_EXPIRED)]


def test_a_re_invite_of_ours_keeps_who_refreshes() -> None:
    talk, session = calling("Session-Expires: 1800;refresher=uas")
    session.reoffer(OTHER)
    assert talk.last().headers["Session-Expires"] == "1800;refresher=uas"


def test_hanging_up_stops_the_timers() -> None:
    talk, session = calling("Session-Expires: 600;refresher=uac")
    session.bye()
    talk.advance(2000)
    assert talk.agent.load == (0, 0, 0, 0)


def test_a_call_without_a_timer_gets_none_by_a_re_invite() -> None:
    talk, session = dialled()
    session.reoffer(OTHER)
    assert "Session-Expires" not in talk.last().headers
    assert established().session.refresh.fields() == []
