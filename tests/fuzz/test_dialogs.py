"""Whatever stands in Contact and Record-Route, a call that was answered is acknowledged, told of, used and hung up."""

from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.unit.sip.conversation import ANSWER, OFFER, OTHER, Conversation
from voice.sip.events import Answered, Confirmed, EndCause, Ended, OfferAnswered
from voice.sip.message import Message, Request

PARTS = (
    '"', "<", ">", ";", ",", "=", "\\", "%", "%zz", "sip:", "sips:", "tel:", "urn:x:", "@", "[::1]", "[::g]", ":", ":0",
    ":99999", "?", "?x=y", ";lr", ";method=BYE", ";maddr=", ";transport=tcp", ";transport=", ";self=1", "*", "b", "h",
    "198.51.100.8", "192.0.2.9:5070", "\xe9", "\x00", "\x7f", " ", "\t",
)  # fmt: skip
uris = st.lists(st.sampled_from(PARTS), max_size=6).map("".join)
values = st.one_of(
    uris,
    uris.map("<sip:{}>".format),
    uris.map("<sip:b@{}>".format),
    uris.map("<sip:198.51.100.8;lr{}>".format),
    uris.map("<sip:{}@198.51.100.7>".format),
)
lines = st.lists(values, max_size=3).map(lambda found: tuple(f"Record-Route: {value}" for value in found))


def ours(sent: list[Message], method: str) -> list[Request]:
    return [message for message in sent if isinstance(message, Request) and message.method == method]


def is_used_and_ended(talk: Conversation) -> None:
    """Requests within the dialog leave, and the application hears of the end."""
    session = talk.session
    session.info("text/plain", b"x")
    session.reoffer(OTHER)
    session.bye()
    talk.advance(60.0)  # to the ends of what is answered by nobody
    sent = talk.messages_sent()
    assert (len(ours(sent, "INFO")) > 0, len(ours(sent, "INVITE")) > 0, len(ours(sent, "BYE")) > 0) == (True,) * 3
    assert [event.cause for event in talk.told() if isinstance(event, Ended)] == [EndCause.LOCAL]


@settings(max_examples=300)
@given(contact=values, ringing=lines, routes=lines, again=values)
@example(contact=",", ringing=(), routes=("Record-Route: ,",), again=",")
def test_a_call_of_ours_that_is_answered(
    contact: str, ringing: tuple[str, ...], routes: tuple[str, ...], again: str
) -> None:
    talk = Conversation()
    talk.sessions.append(talk.call())
    invite = talk.last()
    talk.peer.answer(invite, 180, headers=ringing, contact=again or None)
    talk.told()
    talk.peer.answer(invite, 200, body=ANSWER, headers=routes, contact=contact or None)
    assert talk.sent() == ["ACK"]
    assert [type(event) for event in talk.told()] == [Answered]
    talk.peer.answer(invite, 200, tag="fork", body=ANSWER, headers=routes, contact=again or None)
    assert talk.sent() == ["ACK", "BYE"]
    is_used_and_ended(talk)


@settings(max_examples=200)
@given(contact=values, routes=lines, again=values)
@example(contact=",", routes=("Record-Route: ,",), again=",")
@example(contact="", routes=(), again="<sip:[::1]?@>")
@example(contact="", routes=(), again="<sip:h?a=b@c@>")
def test_a_call_to_us_that_is_answered(contact: str, routes: tuple[str, ...], again: str) -> None:
    talk = Conversation()
    talk.peer.invite(headers=routes, contact=contact or None)
    talk.session.accept(ANSWER)
    talk.peer.ack()
    assert talk.sent()[-1:] == ["200"]
    assert [type(event) for event in talk.told()] == [Confirmed]
    talk.peer.within("UPDATE", contact=again or None)
    talk.session.reoffer(OTHER)
    talk.peer.answer(ours(talk.messages_sent(), "INVITE")[-1], 200, body=OFFER, headers=routes, contact=again or None)
    assert talk.sent() == ["ACK"]
    assert [type(event) for event in talk.told()] == [OfferAnswered]
    is_used_and_ended(talk)


@settings(max_examples=100)
@given(contact=values, routes=lines)
@example(contact=",", routes=("Record-Route: ,",))
def test_an_answer_to_a_call_of_the_process_before_is_never_more_than_dropped(
    contact: str, routes: tuple[str, ...]
) -> None:
    before, talk = Conversation(), Conversation()
    before.call()
    invite = before.last()
    talk.peer.answer(invite, 200, body=ANSWER, headers=routes, contact=contact or None)
    assert talk.sent() in ([], ["ACK", "BYE"])
