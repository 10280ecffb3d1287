"""Offers and answers over the life of a session, RFC 3264 section 8."""

from dataclasses import replace

import pytest

from voice.errors import NotAcceptable, SdpError, UsageError
from voice.sdp.description import parse
from voice.sdp.negotiation import LocalMedia
from voice.sdp.session import OfferAnswer

LOCAL = LocalMedia(("192.0.2.1", 20_000), 20_001)
HEAD = "v=0\r\no=dev 7 3 IN IP4 198.51.100.5\r\ns=-\r\nc=IN IP4 198.51.100.5\r\nt=0 0\r\n"
AUDIO = "m=audio 4000 RTP/AVP 8 96\r\na=rtpmap:96 telephone-event/8000\r\n"
OFFER = (HEAD + AUDIO).encode()


def version(body: bytes) -> int:
    return int(parse(body).origin.version)


def test_an_answer_that_says_the_same_again_keeps_its_version() -> None:
    side = OfferAnswer(LOCAL, session_id=9)
    assert side.answer(OFFER) == side.answer(OFFER)
    assert version(side.answer(OFFER)) == 1


def test_the_version_goes_up_by_one_with_every_answer_that_says_something_else() -> None:
    side = OfferAnswer(LOCAL, session_id=9)
    hold = (HEAD + AUDIO + "a=sendonly\r\n").encode()
    assert [version(side.answer(each)) for each in (OFFER, hold, hold, OFFER)] == [1, 2, 2, 3]


def test_the_session_keeps_its_id() -> None:
    side = OfferAnswer(LOCAL, session_id=9)
    assert {parse(side.answer(OFFER)).origin.session_id, parse(side.offer()).origin.session_id} == {"9"}


def test_an_offer_of_ours_keeps_the_places_of_lines_that_were_refused() -> None:
    side = OfferAnswer(LOCAL, session_id=9)
    side.answer((HEAD + "m=video 5000 RTP/AVP 97\r\n" + AUDIO.replace("AVP", "AVPF")).encode())
    assert [str(media) for media in parse(side.offer()).media] == [
        "video 0 RTP/AVP 97",
        "audio 20000 RTP/AVPF 8 0 96",
    ]


def test_an_offer_of_ours_keeps_the_types_that_were_agreed_on() -> None:
    side = OfferAnswer(LOCAL, session_id=9)
    side.answer((HEAD + "m=audio 4000 RTP/AVP 101\r\na=rtpmap:101 PCMA/8000\r\n").encode())
    (media,) = parse(side.offer()).media
    assert media.formats == ("101", "0", "96")


def test_a_late_offer_is_ours_and_the_answer_completes_it() -> None:
    side = OfferAnswer(LOCAL, session_id=9)
    side.offer()
    agreed = side.accept(OFFER)
    assert side.agreed is agreed
    assert (agreed.codec, agreed.dtmf_type, agreed.remote) == ("PCMA", 96, ("198.51.100.5", 4000))


def test_the_answer_is_read_against_what_was_offered_not_what_is_wanted_since() -> None:
    side = OfferAnswer(LOCAL, session_id=9)
    side.offer()
    side.local = replace(LOCAL, direction="inactive")
    assert side.accept(OFFER).sends


def test_an_answer_to_a_re_offer_needs_all_its_lines() -> None:
    side = OfferAnswer(LOCAL, session_id=9)
    side.answer((HEAD + "m=video 5000 RTP/AVP 97\r\n" + AUDIO).encode())
    side.offer()
    with pytest.raises(SdpError):
        side.accept(OFFER)
    assert side.accept((HEAD + "m=video 0 RTP/AVP 97\r\n" + AUDIO).encode()).codec == "PCMA"


def test_talking_opens_the_direction_with_a_new_version() -> None:
    side = OfferAnswer(replace(LOCAL, direction="recvonly"), session_id=9)
    side.answer(OFFER)
    assert side.agreed is not None
    assert not side.agreed.sends
    side.local = LOCAL
    assert version(side.offer()) == 2
    assert side.accept(OFFER).sends


def test_a_refused_offer_leaves_what_was_agreed() -> None:
    side = OfferAnswer(LOCAL, session_id=9)
    side.answer(OFFER)
    before = side.agreed
    side.local = replace(LOCAL, direction="inactive")
    side.offer()
    side.withdraw()
    assert side.agreed is before
    with pytest.raises(UsageError):
        side.accept(OFFER)


@pytest.mark.parametrize(
    ("body", "error"), [(b"nonsense", SdpError), (HEAD.encode() + b"m=audio 0 RTP/AVP 8\r\n", NotAcceptable)]
)
def test_an_offer_that_is_refused_leaves_what_was_agreed(body: bytes, error: type[Exception]) -> None:
    side = OfferAnswer(LOCAL, session_id=9)
    side.answer(OFFER)
    before = side.agreed
    with pytest.raises(error):
        side.answer(body)
    assert side.agreed is before
    assert version(side.answer(OFFER)) == 1


def test_an_answer_without_an_offer_is_our_own_mistake() -> None:
    with pytest.raises(UsageError):
        OfferAnswer(LOCAL, session_id=9).accept(OFFER)
