"""Symmetric RTP: who is heard, where media goes, and that a stranger gets neither."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voice.rtp.latch import Known, Latch, is_unspecified, normal_host

SDP = ("192.0.2.10", 4000)
NAT = ("203.0.113.7", 61_000)
STRANGER = ("198.51.100.66", 5555)
PCMA = 8
DEVICE, OTHER = 0xD, 0xE


def latch(
    *,
    expected_rtcp: tuple[str, int] | None = None,
    signalling_host: str | None = None,
    window: float = 2.0,
    silence: float = 0.5,
    abandoned: float = 3.0,
) -> Latch:
    return Latch(
        SDP,
        {PCMA, 101},
        expected_rtcp=expected_rtcp,
        signalling_host=signalling_host,
        window=window,
        silence=silence,
        abandoned=abandoned,
    )


def stream(
    latch: Latch,
    source: tuple[str, int],
    first: int,
    count: int,
    at: float,
    ssrc: int = DEVICE,
    payload_type: int = PCMA,
) -> list[bool]:
    """`count` packets, 20 ms apart."""
    return [
        latch.accept(source, payload_type, (first + number) & 0xFFFF, ssrc, at + 0.02 * number)
        for number in range(count)
    ]


def test_before_the_first_packet_media_goes_to_the_address_of_the_sdp() -> None:
    assert latch().remote == SDP
    assert latch(expected_rtcp=("192.0.2.10", 4001)).remote_rtcp == ("192.0.2.10", 4001)
    assert latch().source is None
    assert latch().ssrc is None


def test_nothing_is_sent_to_an_unspecified_address_until_packets_come() -> None:
    held = Latch(("0.0.0.0", 4000), {PCMA}, expected_rtcp=("0.0.0.0", 4001))
    assert held.remote is held.remote_rtcp is None
    stream(held, NAT, 1, 2, 0.0)
    assert held.remote == NAT


def test_the_first_packet_of_a_device_behind_nat_is_audio() -> None:
    assert stream(latch(), NAT, 1, 3, 0.0) == [True, True, True]


def test_media_goes_back_to_an_unknown_source_from_its_second_packet_on() -> None:
    subject = latch()
    stream(subject, NAT, 1, 1, 0.0)
    assert subject.remote == SDP
    stream(subject, NAT, 2, 1, 0.02)
    assert subject.remote == NAT


@pytest.mark.parametrize(
    ("source", "known"),
    [(SDP, Known.EXACT), ((SDP[0], 9), Known.HOST), (NAT, Known.SIGNALLING), (STRANGER, Known.UNKNOWN)],
)
def test_a_source_is_known_by_sdp_or_signalling(source: tuple[str, int], known: Known) -> None:
    subject = latch(signalling_host=NAT[0])
    subject.accept(source, PCMA, 1, DEVICE, 0.0)
    assert subject.known is known
    assert (subject.remote == source) is (known > Known.UNKNOWN)


def test_packets_with_a_payload_type_that_was_not_negotiated_never_lock() -> None:
    subject = latch()
    assert stream(subject, STRANGER, 1, 5, 0.0, payload_type=0) == [False] * 5
    assert subject.source is None
    assert subject.strangers == 5


def test_other_payload_types_of_the_held_source_are_dropped_and_counted_apart() -> None:
    subject = latch()
    stream(subject, NAT, 1, 2, 0.0)
    assert stream(subject, NAT, 3, 1, 0.04, payload_type=13) == [False]
    assert (subject.unnegotiated, subject.strangers) == (1, 0)


def test_the_address_of_the_sdp_takes_over_from_a_stranger_who_came_first() -> None:
    subject = latch()
    stream(subject, STRANGER, 1, 10, 0.0, ssrc=OTHER)
    assert subject.remote == STRANGER
    assert stream(subject, SDP, 700, 3, 0.3) == [True] * 3
    assert subject.remote == SDP
    assert stream(subject, STRANGER, 20, 10, 0.4, ssrc=OTHER) == [False] * 10


def test_the_host_of_the_signalling_takes_over_from_a_stranger_who_came_first() -> None:
    subject = latch(signalling_host=NAT[0])
    stream(subject, STRANGER, 1, 10, 0.0, ssrc=OTHER)
    assert stream(subject, NAT, 700, 2, 0.3) == [True, True]
    assert subject.remote == NAT


def test_a_better_known_source_takes_over_within_the_window_only() -> None:
    subject = latch(window=2.0)
    stream(subject, NAT, 1, 150, 0.0)
    assert not subject.accept(SDP, PCMA, 9, OTHER, 3.0)
    assert subject.source == NAT


def test_a_single_stray_packet_before_the_device_does_not_lock_it_out() -> None:
    subject = latch()
    subject.accept(STRANGER, PCMA, 77, OTHER, 0.0)
    assert stream(subject, NAT, 1, 5, 0.01) == [False, True, True, True, True]
    assert subject.remote == NAT


@given(
    st.lists(
        st.tuples(
            st.sampled_from([STRANGER, ("198.51.100.67", 1), (NAT[0], NAT[1] + 2), (SDP[0], 1), SDP]),
            st.sampled_from([PCMA, 101, 0]),
            st.integers(min_value=0, max_value=0xFFFF),
            st.sampled_from([DEVICE, OTHER, 3]),
            st.integers(min_value=0, max_value=400),
        ),
        max_size=120,
    ),
    st.integers(min_value=0, max_value=0xFFFF),
)
def test_packets_of_strangers_between_those_of_the_device_are_never_heard_nor_followed(
    attack: list[tuple[tuple[str, int], int, int, int, int]], first: int
) -> None:
    """However many, from wherever, even with its SSRC and its next sequence number, even from behind its NAT.

    The window is over: while it is open, an address that the SDP vouches for is preferred by design.
    """
    subject = latch(signalling_host=NAT[0])
    stream(subject, NAT, first, 110, 0.0)
    begin = 2.2
    by_tick: dict[int, list[tuple[tuple[str, int], int, int, int]]] = {}
    for source, payload_type, sequence, ssrc, tick in attack:
        by_tick.setdefault(tick, []).append((source, payload_type, sequence, ssrc))
    for tick in range(401):
        now = begin + 0.02 * tick
        assert subject.accept(NAT, PCMA, (first + 110 + tick) & 0xFFFF, DEVICE, now)
        for source, payload_type, sequence, ssrc in by_tick.get(tick, ()):
            assert not subject.accept(source, payload_type, sequence, ssrc, now + 0.001)
        assert (subject.remote, subject.ssrc, subject.moves) == (NAT, DEVICE, 0)
    assert subject.strangers == len(attack)


@given(st.integers(min_value=1, max_value=60), st.integers(min_value=0, max_value=0xFFFF))
def test_an_unknown_stranger_gains_nothing_even_while_the_window_is_open(rate: int, first: int) -> None:
    subject = latch()
    stream(subject, NAT, first, 2, 0.0)
    for tick in range(100):
        now = 0.04 + 0.02 * tick
        assert subject.accept(NAT, PCMA, (first + 2 + tick) & 0xFFFF, DEVICE, now)
        for number in range(rate):
            assert not subject.accept(STRANGER, PCMA, (tick * rate + number) & 0xFFFF, OTHER, now)
    assert subject.remote == NAT


def test_the_same_stream_from_another_address_is_followed_after_a_silence() -> None:
    subject = latch(silence=0.5)
    stream(subject, NAT, 65_530, 10, 0.0)
    moved = ("203.0.113.99", 7000)
    assert stream(subject, moved, 4, 10, 0.2) == [False] * 10
    assert stream(subject, moved, 29, 3, 0.7) == [True] * 3
    assert (subject.remote, subject.moves) == (moved, 1)


@pytest.mark.parametrize(("sequence", "ssrc"), [(10, OTHER), (3, DEVICE), (9, DEVICE), (9 + 3001, DEVICE)], ids=str)
def test_another_stream_from_another_address_is_not_followed_after_a_silence(sequence: int, ssrc: int) -> None:
    subject = latch(signalling_host=NAT[0])
    stream(subject, NAT, 0, 10, 0.0)
    for number in range(50):
        assert not subject.accept(STRANGER, PCMA, sequence, ssrc, 1.0 + number * 0.02)
    assert subject.source == NAT


def test_the_address_of_the_sdp_is_believed_again_after_a_silence() -> None:
    subject = latch()
    stream(subject, NAT, 0, 200, 0.0)
    assert stream(subject, SDP, 9, 2, 5.0, ssrc=OTHER) == [True, True]


def test_a_lock_without_any_evidence_is_given_up_when_its_source_has_gone() -> None:
    subject = latch(abandoned=3.0)
    stream(subject, STRANGER, 0, 100, 0.0, ssrc=OTHER)
    assert stream(subject, NAT, 500, 40, 2.5)[-1] is False
    assert stream(subject, NAT, 600, 4, 5.5) == [False, True, True, True]
    assert subject.remote == NAT


def test_a_lock_with_evidence_is_never_given_up_to_a_stranger() -> None:
    subject = latch(signalling_host=NAT[0])
    stream(subject, NAT, 0, 10, 0.0)
    assert not any(stream(subject, STRANGER, 0, 1000, 60.0, ssrc=OTHER))


def test_a_new_ssrc_of_the_held_source_is_taken_once_the_old_one_is_quiet() -> None:
    subject = latch()
    stream(subject, NAT, 0, 10, 0.0)
    assert stream(subject, NAT, 900, 5, 0.2, ssrc=OTHER) == [False, False, True, True, True]
    assert (subject.ssrc, subject.moves, subject.remote) == (OTHER, 1, NAT)


def test_a_forged_ssrc_between_the_packets_of_the_device_is_not_taken() -> None:
    subject = latch()
    stream(subject, NAT, 0, 10, 0.0)
    for tick in range(50):
        now = 0.2 + 0.02 * tick
        assert subject.accept(NAT, PCMA, 10 + tick, DEVICE, now)
        assert not subject.accept(NAT, PCMA, 2 * tick, OTHER, now)
        assert not subject.accept(NAT, PCMA, 2 * tick + 1, OTHER, now + 0.01)


class TestRenegotiation:
    NEW = ("192.0.2.20", 6000)

    def test_the_same_address_again_changes_only_the_payload_types(self) -> None:
        subject = latch()
        stream(subject, NAT, 0, 10, 0.0)
        subject.renegotiate(SDP, {0}, 1.0)
        assert subject.remote == NAT
        assert stream(subject, NAT, 10, 1, 1.0, payload_type=0) == [True]
        assert stream(subject, NAT, 11, 1, 1.0, payload_type=8) == [False]

    def test_an_old_style_hold_keeps_the_latch(self) -> None:
        subject = latch()
        stream(subject, NAT, 0, 10, 0.0)
        subject.renegotiate(("0.0.0.0", 4000), {8}, 1.0)
        assert subject.remote == NAT

    def test_a_new_address_is_sent_to_at_once_where_the_old_one_proved_true(self) -> None:
        subject = latch(expected_rtcp=(SDP[0], 4001))
        stream(subject, SDP, 0, 10, 0.0)
        subject.renegotiate(self.NEW, {8}, 0.2, expected_rtcp=(self.NEW[0], 6001))
        assert subject.remote == self.NEW
        assert subject.remote_rtcp == (self.NEW[0], 6001)
        assert stream(subject, SDP, 10, 1, 0.22) == [True]
        assert subject.remote == self.NEW
        assert stream(subject, self.NEW, 11, 2, 0.24) == [True, True]
        assert stream(subject, SDP, 11, 1, 0.28) == [False]

    def test_behind_nat_media_stays_with_the_held_source_until_another_takes_over(self) -> None:
        subject = latch()
        stream(subject, NAT, 0, 10, 0.0)
        subject.renegotiate(self.NEW, {8}, 0.2)
        stream(subject, NAT, 10, 3, 0.22)
        assert subject.remote == NAT

    def test_a_peer_that_stays_where_it_was_is_sent_to_again_after_the_window(self) -> None:
        subject = latch(window=2.0)
        stream(subject, SDP, 0, 10, 0.0)
        subject.renegotiate(self.NEW, {8}, 0.2)
        stream(subject, SDP, 10, 150, 0.22)
        assert subject.remote == SDP

    def test_a_new_unknown_source_takes_over_by_two_packets_in_a_row_when_the_held_one_is_quiet(self) -> None:
        subject = latch()
        stream(subject, NAT, 0, 10, 0.0)
        subject.renegotiate(self.NEW, {8}, 0.2)
        moved = ("203.0.113.99", 7000)
        assert stream(subject, moved, 500, 4, 0.25, ssrc=OTHER) == [False, True, True, True]
        assert subject.remote == moved

    def test_a_stranger_does_not_take_over_while_the_held_source_flows(self) -> None:
        subject = latch()
        stream(subject, NAT, 0, 10, 0.0)
        subject.renegotiate(self.NEW, {8}, 0.2)
        for tick in range(80):
            now = 0.22 + 0.02 * tick
            assert subject.accept(NAT, PCMA, 10 + tick, DEVICE, now)
            assert not subject.accept(STRANGER, PCMA, 2 * tick, OTHER, now)
            assert not subject.accept(STRANGER, PCMA, 2 * tick + 1, OTHER, now)


class TestRtcp:
    def test_a_renegotiation_may_move_rtcp_alone(self) -> None:
        subject = latch(expected_rtcp=(SDP[0], 4001))
        subject.accept_rtcp((SDP[0], 61_001))
        subject.renegotiate(SDP, {PCMA}, 1.0, expected_rtcp=(SDP[0], 4001))
        assert subject.remote_rtcp == (SDP[0], 61_001)
        subject.renegotiate(SDP, {PCMA}, 1.0, expected_rtcp=(SDP[0], 4009))
        assert subject.remote_rtcp == (SDP[0], 4009)
        subject.renegotiate(SDP, {PCMA}, 2.0)
        assert subject.remote_rtcp == subject.remote

    def test_with_mux_rtcp_goes_where_rtp_goes(self) -> None:
        subject = latch()
        stream(subject, NAT, 0, 2, 0.0)
        assert subject.remote_rtcp == NAT

    def test_rtcp_goes_back_to_where_the_peers_rtcp_comes_from(self) -> None:
        subject = latch(expected_rtcp=(SDP[0], 4001))
        stream(subject, NAT, 0, 2, 0.0)
        assert subject.accept_rtcp((NAT[0], 61_001))
        assert subject.remote_rtcp == (NAT[0], 61_001)

    def test_rtcp_of_a_stranger_is_refused_and_counted(self) -> None:
        subject = latch(expected_rtcp=(SDP[0], 4001))
        assert not subject.accept_rtcp(STRANGER)
        assert subject.strangers == 1
        assert subject.remote_rtcp == (SDP[0], 4001)


def test_ipv6_addresses_are_compared_as_sockets_write_them() -> None:
    subject = Latch(("2001:DB8:0::1", 4000), {PCMA})
    subject.accept(("2001:db8::1", 4000), PCMA, 1, DEVICE, 0.0)
    assert subject.known is Known.EXACT
    assert normal_host("::ffff:192.0.2.1") == "192.0.2.1"
    assert normal_host("phone.example") == "phone.example"


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "phone.example", ""])
def test_to_some_hosts_nothing_can_be_sent(host: str) -> None:
    assert is_unspecified(host)
