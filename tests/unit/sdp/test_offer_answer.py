"""Offer and answer, RFC 3264, as a device in the field would have it."""

from dataclasses import replace

import pytest

from tests.unit.sdp.in_bytes import accept_answer, answer, offer
from voice.errors import NotAcceptable, SdpError
from voice.sdp.description import MediaDescription, SessionDescription, find, has, parse
from voice.sdp.negotiation import Agreed, LocalMedia

LOCAL = LocalMedia(("192.0.2.1", 20_000), 20_001)


def sdp(*lines: str, connection: str | None = "IN IP4 198.51.100.5") -> bytes:
    head = ["v=0", "o=dev 7 3 IN IP4 198.51.100.5", "s=-", "t=0 0"]
    if connection is not None:
        head.insert(3, f"c={connection}")
    return "\r\n".join([*head, *lines, ""]).encode()


AUDIO = ("m=audio 4000 RTP/AVP 8 0 101", "a=rtpmap:101 telephone-event/8000", "a=fmtp:101 0-16")


def answered(*lines: str, local: LocalMedia = LOCAL) -> tuple[SessionDescription, Agreed]:
    body, agreed = answer(sdp(*lines), local, session_id=9, version=1)
    return parse(body), agreed


def direction(media: MediaDescription) -> str:
    (found,) = (each.name for each in media.attributes if each.name in ("sendrecv", "sendonly", "recvonly", "inactive"))
    return found


class TestAnswer:
    def test_says_who_we_are_and_where_we_listen(self) -> None:
        body, _ = answer(sdp(*AUDIO), LOCAL, session_id=9, version=4)
        assert body == (
            b"v=0\r\n"
            b"o=earshot 9 4 IN IP4 192.0.2.1\r\n"
            b"s=-\r\n"
            b"c=IN IP4 192.0.2.1\r\n"
            b"t=0 0\r\n"
            b"m=audio 20000 RTP/AVP 8 0 101\r\n"
            b"a=rtpmap:8 PCMA/8000\r\n"
            b"a=rtpmap:0 PCMU/8000\r\n"
            b"a=rtpmap:101 telephone-event/8000\r\n"
            b"a=fmtp:101 0-15\r\n"
            b"a=ptime:20\r\n"
            b"a=sendrecv\r\n"
        )

    def test_agrees_on_everything_that_media_needs(self) -> None:
        _, agreed = answered(*AUDIO)
        assert agreed == Agreed(
            codec="PCMA",
            payload_type=8,
            receive_types={8: "PCMA", 0: "PCMU", 101: "telephone-event"},
            dtmf_type=101,
            remote=("198.51.100.5", 4000),
            remote_rtcp=("198.51.100.5", 4001),
            rtcp_mux=False,
            sends=True,
            receives=True,
            ptime=20,
        )

    def test_repeats_the_time_of_the_offer(self) -> None:
        offered = sdp(*AUDIO).replace(b"t=0 0", b"t=2873397496 2873404696")
        body, _ = answer(offered, LOCAL, session_id=9, version=1)
        assert b"\r\nt=2873397496 2873404696\r\n" in body

    def test_ipv6_is_answered_with_ipv6(self) -> None:
        local = replace(LOCAL, address=("2001:db8::1", 20_000))
        offered = sdp(*AUDIO, connection="IN IP6 2001:DB8::5")
        body, agreed = answer(offered, local, session_id=9, version=1)
        assert b"c=IN IP6 2001:db8::1\r\n" in body
        assert b"o=earshot 9 1 IN IP6 2001:db8::1\r\n" in body
        assert agreed.remote == ("2001:db8::5", 4000)

    def test_the_connection_of_the_media_counts_more_than_that_of_the_session(self) -> None:
        _, agreed = answered(AUDIO[0], "c=IN IP4 198.51.100.77")
        assert agreed.remote == ("198.51.100.77", 4000)

    def test_an_offer_without_any_connection_is_taken_and_media_goes_where_it_comes_from(self) -> None:
        _, agreed = answer(sdp(*AUDIO, connection=None), LOCAL, session_id=9, version=1)
        assert (agreed.remote[0], agreed.sends, agreed.receives) == ("0.0.0.0", True, True)

    def test_a_name_in_place_of_an_address_is_not_looked_up(self) -> None:
        _, agreed = answer(sdp(*AUDIO, connection="IN IP4 dev.example"), LOCAL, session_id=9, version=1)
        assert (agreed.remote[0], agreed.sends) == ("0.0.0.0", True)


class TestCodecs:
    def test_static_types_need_no_rtpmap(self) -> None:
        assert answered("m=audio 4000 RTP/AVP 0")[1].codec == "PCMU"
        assert answered("m=audio 4000 RTP/AVP 8")[1].codec == "PCMA"

    def test_the_order_of_the_offer_is_kept_and_its_first_codec_sent(self) -> None:
        description, agreed = answered("m=audio 4000 RTP/AVP 18 0 8")
        assert description.media[0].formats == ("0", "8")
        assert (agreed.codec, agreed.payload_type) == ("PCMU", 0)

    def test_a_dynamic_type_of_the_offer_is_kept_in_the_answer(self) -> None:
        description, agreed = answered(
            "m=audio 4000 RTP/AVP 111 97 96",
            "a=rtpmap:111 opus/48000/2",
            "a=rtpmap:97 pcma/8000/1",
            "a=rtpmap:96 TELEPHONE-EVENT/8000",
        )
        assert description.media[0].formats == ("97", "96")
        assert (agreed.payload_type, agreed.codec, agreed.dtmf_type) == (97, "PCMA", 96)

    def test_an_rtpmap_counts_more_than_the_static_meaning_of_its_type(self) -> None:
        with pytest.raises(NotAcceptable):
            answered("m=audio 4000 RTP/AVP 8", "a=rtpmap:8 opus/48000/2")

    def test_telephone_event_is_taken_with_the_clock_of_the_audio_only(self) -> None:
        lines = ("a=rtpmap:100 telephone-event/48000", "a=rtpmap:101 telephone-event/8000")
        assert answered("m=audio 4000 RTP/AVP 8 100 101", *lines)[1].dtmf_type == 101
        assert answered("m=audio 4000 RTP/AVP 8 100", lines[0])[1].dtmf_type is None

    def test_telephone_event_is_left_out_when_we_want_none(self) -> None:
        description, agreed = answered(*AUDIO, local=replace(LOCAL, dtmf=False))
        assert description.media[0].formats == ("8", "0")
        assert agreed.dtmf_type is None

    def test_a_codec_that_stands_twice_is_answered_once(self) -> None:
        assert answered("m=audio 4000 RTP/AVP 8 97 8", "a=rtpmap:97 PCMA/8000")[0].media[0].formats == ("8",)

    def test_only_the_codecs_that_we_want_are_answered(self) -> None:
        description, _ = answered(*AUDIO, local=replace(LOCAL, codecs=("PCMU",)))
        assert description.media[0].formats == ("0", "101")

    @pytest.mark.parametrize(
        "lines",
        [
            ("m=audio 4000 RTP/AVP 9 18",),
            ("m=audio 4000 RTP/AVP 97", "a=rtpmap:97 PCMA/16000"),
            ("m=audio 4000 RTP/AVP 97", "a=rtpmap:97 PCMA/8000/2"),
            ("m=audio 4000 RTP/AVP 97", "a=rtpmap:97 PCMA"),
            ("m=audio 4000 RTP/AVP 97",),
            ("m=audio 4000 RTP/AVP x 300",),
            ("m=audio 4000 RTP/AVP",),
            ("m=audio 4000 RTP/AVP 101", "a=rtpmap:101 telephone-event/8000"),
        ],
    )
    def test_without_a_common_codec_the_offer_is_not_acceptable(self, lines: tuple[str, ...]) -> None:
        with pytest.raises(NotAcceptable, match="no common codec") as caught:
            answered(*lines)
        assert caught.value.sip_status == 488


class TestLines:
    def test_the_first_audio_is_taken_and_every_other_line_refused_in_its_place(self) -> None:
        description, agreed = answered(
            "m=video 5000 RTP/AVP 96 97",
            "a=rtpmap:96 H264/90000",
            "m=audio 4100 RTP/SAVP 8",
            "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:c29tZQ==",
            "m=audio 4200 RTP/AVP 8",
            "m=audio 4300 RTP/AVP 0",
            "m=image 4400 udptl t38",
            "m=application 4500 UDP/BFCP *",
        )
        assert [str(media) for media in description.media] == [
            "video 0 RTP/AVP 96 97",
            "audio 0 RTP/SAVP 8",
            "audio 20000 RTP/AVP 8",
            "audio 0 RTP/AVP 0",
            "image 0 udptl t38",
            "application 0 UDP/BFCP *",
        ]
        assert agreed.remote == ("198.51.100.5", 4200)

    def test_an_audio_line_without_a_common_codec_is_passed_over_for_the_next(self) -> None:
        description, _ = answered("m=audio 4000 RTP/AVP 18", "m=audio 4100 RTP/AVP 8")
        assert [media.port for media in description.media] == [0, 20_000]

    def test_an_audio_line_that_is_switched_off_stays_off(self) -> None:
        description, _ = answered("m=audio 0 RTP/AVP 8", "m=audio 4100 RTP/AVP 8")
        assert [media.port for media in description.media] == [0, 20_000]

    def test_avpf_is_answered_as_avpf(self) -> None:
        assert answered("m=audio 4000 RTP/AVPF 8")[0].media[0].protocol == "RTP/AVPF"

    @pytest.mark.parametrize(
        "lines",
        [
            (),
            ("m=audio 0 RTP/AVP 8",),
            ("m=video 5000 RTP/AVP 96",),
            ("m=audio 4000 RTP/SAVP 8",),
            ("m=audio 4000 RTP/SAVPF 8",),
            ("m=audio 4000 UDP/TLS/RTP/SAVPF 8",),
            ("m=audio 4000 TCP/RTP/AVP 8",),
            ("m=audio 4000 RTP/AVP 8", "c=IN IP4 233.252.0.1/127"),
        ],
    )
    def test_without_audio_that_we_can_take_the_offer_is_not_acceptable(self, lines: tuple[str, ...]) -> None:
        with pytest.raises(NotAcceptable):
            answered(*lines)

    def test_ice_crypto_and_bundle_are_declined_by_silence(self) -> None:
        body, agreed = answer(
            sdp(
                "a=group:BUNDLE 0",
                "a=ice-ufrag:abcd",
                "a=ice-pwd:0123456789012345678901",
                *AUDIO,
                "a=mid:0",
                "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:c29tZQ==",
                "a=candidate:1 1 UDP 2130706431 10.0.1.1 8998 typ host",
                "b=AS:80",
            ),
            LOCAL,
            session_id=9,
            version=1,
        )
        assert agreed.codec == "PCMA"
        for word in (b"ice", b"candidate", b"crypto", b"BUNDLE", b"b="):
            assert word not in body


DIRECTIONS = [
    # offered, our wish, answered, we send, we receive
    ("sendrecv", "sendrecv", "sendrecv", True, True),
    ("sendonly", "sendrecv", "recvonly", False, True),
    ("recvonly", "sendrecv", "sendonly", True, False),
    ("inactive", "sendrecv", "inactive", False, False),
    ("sendrecv", "recvonly", "recvonly", False, True),
    ("sendonly", "recvonly", "recvonly", False, True),
    ("recvonly", "recvonly", "inactive", False, False),
    ("inactive", "recvonly", "inactive", False, False),
    ("sendrecv", "sendonly", "sendonly", True, False),
    ("sendonly", "sendonly", "inactive", False, False),
    ("recvonly", "sendonly", "sendonly", True, False),
    ("sendrecv", "inactive", "inactive", False, False),
    ("sendonly", "inactive", "inactive", False, False),
]


class TestDirection:
    @pytest.mark.parametrize(("offered", "wish", "expected", "sends", "receives"), DIRECTIONS)
    def test_the_answer_gives_what_both_want(
        self, offered: str, wish: str, expected: str, sends: bool, receives: bool
    ) -> None:
        description, agreed = answered(*AUDIO, f"a={offered}", local=replace(LOCAL, direction=wish))
        assert direction(description.media[0]) == expected
        assert (agreed.sends, agreed.receives) == (sends, receives)

    @pytest.mark.parametrize(("answered_with", "wish", "_", "sends", "receives"), DIRECTIONS)
    def test_an_answer_gives_at_most_what_we_offered(
        self, answered_with: str, wish: str, _: str, sends: bool, receives: bool
    ) -> None:
        agreed = accept_answer(replace(LOCAL, direction=wish), sdp(*AUDIO, f"a={answered_with}"))
        assert (agreed.sends, agreed.receives) == (sends, receives)

    def test_a_direction_of_the_session_holds_for_a_line_without_one(self) -> None:
        assert direction(answered("a=sendonly", *AUDIO)[0].media[0]) == "recvonly"
        assert direction(answered("a=sendonly", *AUDIO, "a=sendrecv")[0].media[0]) == "sendrecv"

    @pytest.mark.parametrize("connection", ["IN IP4 0.0.0.0", "IN IP6 ::", "IN IP6 held.invalid"])
    def test_a_hold_by_an_empty_address_stops_what_we_send_and_nothing_else(self, connection: str) -> None:
        body, agreed = answer(sdp(*AUDIO, connection=connection), LOCAL, session_id=9, version=1)
        assert (agreed.sends, agreed.receives) == (False, True)
        assert direction(parse(body).media[0]) == "recvonly"
        assert agreed.remote[0] in ("0.0.0.0", "::")


class TestPacketTime:
    @pytest.mark.parametrize(
        ("lines", "expected"),
        [
            ((), 20),
            (("a=ptime:30",), 30),
            (("a=ptime:40", "a=maxptime:20"), 20),
            (("a=maxptime:10",), 10),
            (("a=ptime:0.5",), 20),
            (("a=ptime:20.0",), 20),
            (("a=ptime:x",), 20),
            (("a=ptime:99999",), 20),
            (("a=ptime:1",), 10),
        ],
    )
    def test_the_peers_wish_is_known_and_ours_stated(self, lines: tuple[str, ...], expected: int) -> None:
        description, agreed = answered(*AUDIO, *lines)
        assert agreed.ptime == expected
        assert list(find(description.media[0].attributes, "ptime")) == ["20"]


class TestRtcp:
    def test_a_port_of_its_own_is_found(self) -> None:
        assert answered(*AUDIO, "a=rtcp:4999")[1].remote_rtcp == ("198.51.100.5", 4999)

    def test_an_address_of_its_own_is_found(self) -> None:
        agreed = answered(*AUDIO, "a=rtcp:4999 IN IP4 198.51.100.8")[1]
        assert agreed.remote_rtcp == ("198.51.100.8", 4999)

    @pytest.mark.parametrize("line", ["a=rtcp:x", "a=rtcp:", "a=rtcp", "a=rtcp:0", "a=rtcp:70000"])
    def test_one_that_cannot_be_read_means_the_next_port(self, line: str) -> None:
        assert answered(*AUDIO, line)[1].remote_rtcp == ("198.51.100.5", 4001)

    def test_the_highest_port_has_no_next(self) -> None:
        assert answered("m=audio 65535 RTP/AVP 8")[1].remote_rtcp[1] == 65_535

    def test_our_own_port_is_told_when_it_is_not_the_next(self) -> None:
        description, _ = answered(*AUDIO, local=replace(LOCAL, rtcp_port=30_000))
        assert list(find(description.media[0].attributes, "rtcp")) == ["30000"]

    @pytest.mark.parametrize("attribute", ["rtcp-mux", "rtcp-mux-only"])
    def test_an_offered_mux_is_taken(self, attribute: str) -> None:
        description, agreed = answered(*AUDIO, f"a={attribute}", "a=rtcp:4999")
        assert has(description.media[0].attributes, "rtcp-mux")
        assert agreed.rtcp_mux
        assert agreed.remote_rtcp == agreed.remote

    def test_a_mux_is_not_answered_unless_offered_and_wanted(self) -> None:
        assert not has(answered(*AUDIO)[0].media[0].attributes, "rtcp-mux")
        declined, agreed = answered(*AUDIO, "a=rtcp-mux", local=replace(LOCAL, rtcp_mux=False))
        assert not has(declined.media[0].attributes, "rtcp-mux")
        assert not agreed.rtcp_mux


class TestOurOffer:
    def test_offers_a_law_first_then_mu_law_and_digits(self) -> None:
        (media,) = parse(offer(LOCAL, session_id=9, version=1)).media
        assert str(media) == "audio 20000 RTP/AVP 8 0 101"
        assert has(media.attributes, "rtcp-mux")
        assert direction(media) == "sendrecv"

    def test_offers_recvonly_to_a_device_that_must_not_be_sent_anything(self) -> None:
        (media,) = parse(offer(replace(LOCAL, direction="recvonly"), session_id=9, version=1)).media
        assert direction(media) == "recvonly"

    def test_the_answer_tells_codec_digits_and_address(self) -> None:
        agreed = accept_answer(LOCAL, sdp("m=audio 4000 RTP/AVP 0 101", AUDIO[1], "a=rtcp-mux"))
        assert (agreed.codec, agreed.payload_type, agreed.dtmf_type) == ("PCMU", 0, 101)
        assert agreed.remote == agreed.remote_rtcp == ("198.51.100.5", 4000)
        assert agreed.rtcp_mux

    def test_a_peer_may_name_another_type_for_the_digits_that_it_receives(self) -> None:
        agreed = accept_answer(LOCAL, sdp("m=audio 4000 RTP/AVP 8 96", "a=rtpmap:96 telephone-event/8000"))
        assert agreed.dtmf_type == 96
        assert agreed.receive_types == {8: "PCMA", 0: "PCMU", 101: "telephone-event", 96: "telephone-event"}

    def test_a_type_means_what_we_said_where_the_peer_says_otherwise(self) -> None:
        agreed = accept_answer(LOCAL, sdp("m=audio 4000 RTP/AVP 101 8", "a=rtpmap:101 PCMU/8000"))
        assert agreed.receive_types[101] == "telephone-event"
        assert (agreed.codec, agreed.payload_type) == ("PCMU", 101)

    def test_a_refused_line_is_not_acceptable(self) -> None:
        with pytest.raises(NotAcceptable):
            accept_answer(LOCAL, sdp("m=audio 0 RTP/AVP 8"))

    def test_an_answer_with_codecs_that_we_did_not_offer_is_not_acceptable(self) -> None:
        with pytest.raises(NotAcceptable):
            accept_answer(replace(LOCAL, codecs=("PCMA",)), sdp("m=audio 4000 RTP/AVP 0"))

    @pytest.mark.parametrize(
        "lines",
        [(), ("m=audio 4000 RTP/AVP 8",) * 2, ("m=video 4000 RTP/AVP 8",), ("m=audio 4000 RTP/SAVP 8",)],
    )
    def test_an_answer_with_other_lines_than_the_offer_is_no_answer(self, lines: tuple[str, ...]) -> None:
        with pytest.raises(SdpError):
            accept_answer(LOCAL, sdp(*lines))

    def test_two_of_us_agree(self) -> None:
        other = LocalMedia(("192.0.2.2", 30_000), 30_001, direction="recvonly")
        made = offer(LOCAL, session_id=1, version=1)
        body, theirs = answer(made, other, session_id=2, version=1)
        ours = accept_answer(LOCAL, body)
        assert (ours.codec, theirs.codec) == ("PCMA", "PCMA")
        assert (ours.remote, theirs.remote) == (other.address, LOCAL.address)
        assert (ours.sends, ours.receives) == (True, False)
        assert (theirs.sends, theirs.receives) == (False, True)
        assert ours.rtcp_mux
        assert theirs.rtcp_mux
