"""Calls that we answer: RFC 3261 sections 9.2, 12.1.1, 13.3, 15."""

import pytest

from tests.unit.sip.conversation import ANSWER, OFFER, Conversation, established, times
from voice.errors import UsageError
from voice.sip.digest import Authenticator
from voice.sip.events import Confirmed, EndCause, Ended, InfoReceived
from voice.sip.message import to_tag


def test_an_incoming_call_shows_its_offer_and_its_flow() -> None:
    talk = Conversation()
    talk.peer.invite(headers=("X-Device: badge-7",))
    session = talk.session
    assert session.incoming
    assert session.offer == OFFER
    assert session.flow == talk.flow
    assert session.call_id == "call-1"
    assert session.request.headers["X-Device"] == "badge-7"


def test_the_200_creates_the_dialog() -> None:
    talk = Conversation()
    talk.peer.invite(headers=("Record-Route: <sip:p1.invalid;lr>", "Record-Route: <sip:p2.invalid;lr>"))
    talk.session.ring()
    talk.session.accept(ANSWER, headers=[("X-Incident", "7")])
    ringing, ok = talk.messages_sent()
    assert to_tag(ringing) == to_tag(ok)
    assert ok.headers.getlist("Record-Route") == ["<sip:p1.invalid;lr>", "<sip:p2.invalid;lr>"]
    assert ok.headers["Contact"] == "<sip:earshot@192.0.2.1:5060>"
    assert ok.headers["Content-Type"] == "application/sdp"
    assert ok.headers["X-Incident"] == "7"
    assert "INVITE" in ok.headers["Allow"]
    assert ok.body == ANSWER


def test_the_ack_confirms_the_call() -> None:
    talk = Conversation()
    talk.peer.invite()
    talk.session.accept(ANSWER)
    assert talk.told() == []
    talk.peer.ack()
    assert talk.told() == [Confirmed(None)]
    talk.peer.ack()
    assert talk.told() == []


def test_a_2xx_is_repeated_until_the_ack_from_t1_doubling_to_t2() -> None:
    talk = Conversation()
    talk.peer.invite()
    talk.session.accept(ANSWER)
    assert talk.sent() == ["200"]
    assert times(talk, 12) == [0.5, 1.5, 3.5, 7.5, 11.5]
    talk.peer.ack()
    assert times(talk, 12) == []


def test_a_2xx_is_repeated_over_a_stream_as_well() -> None:
    talk = Conversation(protocol="TCP")
    talk.peer.invite()
    talk.session.accept(ANSWER)
    talk.sent()
    assert times(talk, 2) == [0.5, 1.5]


def test_a_2xx_that_is_never_acknowledged_ends_the_call_with_bye() -> None:
    talk = Conversation()
    talk.peer.invite()
    talk.session.accept(ANSWER)
    talk.advance(31.9)
    assert talk.told() == []
    assert talk.sent() == ["200"] * 11
    talk.advance(0.2)
    assert talk.sent() == ["BYE"]
    assert talk.told() == [Ended(EndCause.NO_ACK)]


def test_a_lost_200_is_repeated_and_one_confirmation_comes_of_it() -> None:
    talk = Conversation()
    talk.peer.invite()
    talk.session.accept(ANSWER)
    talk.advance(0.6)
    talk.peer.ack()
    talk.peer.ack()
    assert talk.told() == [Confirmed(None)]


def test_a_late_offer_goes_out_in_the_200_and_its_answer_comes_in_the_ack() -> None:
    talk = Conversation()
    talk.peer.invite(body=b"")
    assert talk.session.offer is None
    talk.session.accept(OFFER)
    assert talk.last().body == OFFER
    talk.peer.ack(body=ANSWER)
    assert talk.told() == [Confirmed(ANSWER)]


def test_a_refused_call_is_over() -> None:
    talk = Conversation()
    talk.peer.invite()
    talk.session.reject(503, [("Retry-After", "10")], reason="No Port Free")
    refusal = talk.last()
    assert refusal.headers["Retry-After"] == "10"
    assert b"503 No Port Free" in bytes(refusal)
    assert talk.told() == [Ended(EndCause.LOCAL, 503)]
    talk.session.accept(ANSWER)
    talk.session.ring()
    assert talk.sent() == []
    assert talk.agent.load[2] == 0


def test_hanging_up_an_unanswered_call_is_480() -> None:
    talk = Conversation()
    talk.peer.invite()
    talk.session.bye()
    assert talk.sent() == ["480"]
    assert talk.told() == [Ended(EndCause.LOCAL, 480)]


def test_a_bye_of_ours_waits_for_the_ack() -> None:
    talk = Conversation()
    talk.peer.invite()
    talk.session.accept(ANSWER)
    talk.session.bye("over")
    assert talk.sent() == ["200"]
    assert talk.told() == [Ended(EndCause.LOCAL, reason="over")]
    talk.peer.ack()
    assert talk.sent() == ["BYE"]
    assert talk.last().headers["Reason"] == 'SIP;text="over"'
    assert talk.told() == []


def test_a_bye_of_ours_waits_no_longer_than_the_2xx_is_repeated() -> None:
    talk = Conversation()
    talk.peer.invite()
    talk.session.accept(ANSWER)
    talk.session.bye()
    talk.advance(32.1)
    assert talk.sent()[-1] == "BYE"
    talk.advance(64)
    assert talk.agent.load == (0, 0, 0, 0)


def test_a_bye_of_the_peer_before_its_ack_ends_the_call_and_the_repetitions() -> None:
    talk = Conversation()
    talk.peer.invite()
    talk.session.accept(ANSWER)
    talk.sent()
    talk.peer.within("BYE")
    assert talk.sent() == ["200"]
    assert talk.told() == [Ended(EndCause.BYE, by_peer=True)]
    assert times(talk, 10) == []


def test_a_repeated_bye_is_answered_again_and_a_second_one_gets_481() -> None:
    talk = established()
    bye = talk.peer.within("BYE")
    talk.receive(bye)
    assert talk.sent() == ["200", "200"]
    talk.peer.within("BYE")
    assert talk.sent() == ["481"]


def test_our_bye_goes_to_the_contact_of_the_caller() -> None:
    talk = Conversation()
    talk.peer.invite(contact="<sip:device@198.51.100.7:5099>")
    talk.session.accept(ANSWER)
    talk.peer.ack()
    talk.sent()
    talk.session.bye()
    bye = talk.last()
    assert str(bye.uri) == "sip:device@198.51.100.7:5099"  # type: ignore[union-attr]
    assert talk.last_flow().remote == ("198.51.100.7", 5099)
    assert bye.headers["From"] == f"<sip:earshot@192.0.2.1>;tag={talk.session.local_tag}"
    assert bye.headers["To"] == "<sip:peer@198.51.100.7>;tag=peer-tag"


# -- CANCEL --


def test_a_cancel_is_answered_200_and_the_invite_487() -> None:
    talk = Conversation()
    talk.peer.invite(branch="z9hG4bKc")
    talk.session.ring()
    talk.sent()
    talk.peer.request("CANCEL", branch="z9hG4bKc")
    cancelled, terminated = talk.messages_sent()
    assert b" 200 " in bytes(cancelled)[:12]
    assert b" 487 " in bytes(terminated)[:12]
    assert to_tag(cancelled) == to_tag(terminated)
    assert talk.told() == [Ended(EndCause.CANCELLED, 487, by_peer=True)]


def test_a_cancel_that_comes_after_the_200_changes_nothing() -> None:
    talk = Conversation()
    talk.peer.invite(branch="z9hG4bKc")
    talk.session.accept(ANSWER)
    talk.sent()
    talk.peer.request("CANCEL", branch="z9hG4bKc")
    assert talk.sent() == ["200"]
    assert talk.told() == []
    assert not talk.session.ended


def test_accepting_a_call_that_was_cancelled_a_moment_ago_has_no_effect() -> None:
    talk = Conversation()
    talk.peer.invite(branch="z9hG4bKc")
    talk.peer.request("CANCEL", branch="z9hG4bKc")
    talk.sent()
    talk.session.accept(ANSWER)
    assert talk.sent() == []


def test_a_cancel_of_nothing_is_answered_481() -> None:
    talk = Conversation()
    talk.peer.request("CANCEL", branch="z9hG4bKnothing")
    assert talk.sent() == ["481"]


def test_a_repeated_cancel_is_answered_again() -> None:
    talk = Conversation()
    talk.peer.invite(branch="z9hG4bKc")
    cancel = talk.peer.request("CANCEL", branch="z9hG4bKc")
    talk.receive(cancel)
    assert talk.sent() == ["200", "487", "200"]
    assert len(talk.told()) == 1


# -- waiting --


def test_ringing_is_repeated_every_minute_so_that_no_proxy_gives_up() -> None:
    talk = Conversation()
    talk.peer.invite()
    talk.session.ring()
    talk.sent()
    assert times(talk, 150, 10.0) == [60.0, 120.0]


def test_ringing_twice_is_repeated_once() -> None:
    talk = Conversation()
    talk.peer.invite()
    talk.session.ring()
    talk.session.ring(183)
    talk.sent()
    talk.advance(61)
    assert talk.sent() == ["183"]


def test_a_call_to_a_sips_uri_is_answered_with_a_sips_contact() -> None:
    talk = Conversation(protocol="TLS")
    talk.peer.invite(uri="sips:earshot@192.0.2.1")
    talk.session.accept(ANSWER)
    assert talk.last().headers["Contact"] == "<sips:earshot@192.0.2.1:5060>"


def test_the_answers_to_a_cancel_and_to_its_invite_have_one_to_tag_even_before_ringing() -> None:
    talk = Conversation()
    talk.peer.invite(branch="z9hG4bKc")
    talk.peer.request("CANCEL", branch="z9hG4bKc")
    cancelled, terminated = talk.messages_sent()
    assert to_tag(cancelled) == to_tag(terminated)


def test_an_invite_with_expires_ends_with_487_when_nobody_answers_in_time() -> None:
    talk = Conversation()
    talk.peer.invite(headers=("Expires: 30",))
    talk.session.ring()
    talk.advance(29)
    assert not talk.session.ended
    talk.advance(2)
    assert "487" in talk.sent()
    assert talk.told() == [Ended(EndCause.CANCELLED, 487, "the INVITE expired", by_peer=True)]


def test_an_answered_call_does_not_expire_with_its_invite() -> None:
    talk = Conversation()
    talk.peer.invite(headers=("Expires: 30",))
    talk.session.accept(ANSWER)
    talk.peer.ack()
    talk.advance(60)
    assert not talk.session.ended


# -- what else comes --


def test_a_challenge_asks_for_credentials() -> None:
    authenticator = Authenticator("earshot", lambda user: "secret", secret_key=b"k" * 32, nonce_ttl=300)
    talk = Conversation(authenticator=authenticator)
    talk.peer.invite()
    talk.session.challenge(stale=True)
    refusal = talk.last()
    challenges = refusal.headers.getlist("WWW-Authenticate")
    assert b" 401 " in bytes(refusal)[:12]
    assert challenges
    assert all("stale=true" in challenge for challenge in challenges)
    assert talk.told() == [Ended(EndCause.LOCAL, 401)]


def test_a_challenge_without_an_authenticator_is_a_bug_of_ours() -> None:
    talk = Conversation()
    talk.peer.invite()
    with pytest.raises(UsageError):
        talk.session.challenge()


def test_info_is_answered_200_and_handed_up() -> None:
    talk = established()
    talk.peer.within("INFO", body=b"Signal=5\r\nDuration=160", content_type="application/dtmf-relay")
    assert talk.sent() == ["200"]
    assert talk.told() == [InfoReceived("application/dtmf-relay", b"Signal=5\r\nDuration=160")]


def test_options_within_the_dialog_keep_it_alive() -> None:
    talk = established()
    talk.peer.within("OPTIONS")
    assert talk.sent() == ["200"]
    assert "INVITE" in talk.last().headers["Allow"]


def test_a_caller_without_contact_is_answered_all_the_same() -> None:
    talk = Conversation()
    talk.peer.invite(contact=None)
    talk.session.accept(ANSWER)
    talk.peer.ack()
    talk.session.bye()
    assert str(talk.last().uri) == "sip:peer@198.51.100.7:5060"  # type: ignore[union-attr]


def test_the_session_description_is_found_beside_a_location() -> None:
    body = (
        b"--x\r\nContent-Type: application/sdp\r\n\r\n" + OFFER + b"\r\n--x\r\n"
        b"Content-Type: application/pidf+xml\r\nContent-ID: <here@device>\r\n\r\n<presence/>\r\n--x--\r\n"
    )
    talk = Conversation()
    talk.peer.invite(body=body, content_type='multipart/mixed; boundary="x"')
    assert talk.session.offer == OFFER
