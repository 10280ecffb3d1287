"""From packets to audio on a line: what RFC 3550 promises and what devices make of it."""

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.media.packets import PEER, START, STARTED, Sender, new_inflow
from voice.media.track import Track
from voice.rtp.codecs import ULAW_TO_ALAW
from voice.rtp.packet import build

SILENT = b"\xd5" * 160


def frames(track: Track, first: int = 0) -> list[bytes]:
    """The track in frames of 20 ms, silence as an empty string."""
    audio = track.read(first, track.end - first)
    cut = [audio[at : at + 160] for at in range(0, len(audio), 160)]
    return [b"" if frame == SILENT[: len(frame)] else frame for frame in cut]


def test_the_first_packet_is_placed_by_the_arrival_clock() -> None:
    inflow, track = new_inflow()
    inflow.receive([(Sender().packet(0), PEER)], START + 1.5)
    assert track.end == 1.5 * 8000 + 160
    assert track.read(12_000, 160) == Sender.audio(0)


def test_packets_in_order_follow_each_other() -> None:
    inflow, track = new_inflow()
    sender = Sender()
    for number in range(100):
        inflow.receive([(sender.packet(number), PEER)], START + number * 0.02)
    assert frames(track) == [Sender.audio(number) for number in range(100)]
    assert (inflow.received, inflow.lost, inflow.jumps) == (100, 0, 0)


def test_loss_is_silence_of_the_right_length() -> None:
    inflow, track = new_inflow()
    sender = Sender()
    inflow.receive([(sender.packet(number), PEER) for number in (0, 1, 5, 6)], START)
    assert frames(track) == [Sender.audio(0), Sender.audio(1), b"", b"", b"", Sender.audio(5), Sender.audio(6)]
    assert inflow.lost == 3


def test_reordering_is_mended_and_not_counted_as_loss() -> None:
    inflow, track = new_inflow()
    sender = Sender()
    inflow.receive([(sender.packet(number), PEER) for number in (0, 3, 1, 4, 2)], START)
    assert frames(track) == [Sender.audio(number) for number in range(5)]
    assert inflow.lost == 0


def test_packets_that_overtook_the_first_are_not_lost() -> None:
    inflow, track = new_inflow()
    sender = Sender()
    inflow.receive([(sender.packet(number), PEER) for number in (2, 0, 1, 3)], START + 1.0)
    assert frames(track, 8000 - 320) == [Sender.audio(number) for number in range(4)]
    assert inflow.lost == 0
    assert inflow.duplicates == 0


def test_duplicates_are_dropped() -> None:
    inflow, track = new_inflow()
    sender = Sender()
    changed = sender.packet(1)[:12] + b"x" * 160
    inflow.receive([(sender.packet(0), PEER), (sender.packet(1), PEER), (changed, PEER)], START)
    assert frames(track) == [Sender.audio(0), Sender.audio(1)]
    assert inflow.duplicates == 1


def test_a_pause_of_a_device_that_sends_only_speech_keeps_real_time() -> None:
    inflow, track = new_inflow()
    sender = Sender()
    inflow.receive([(sender.packet(0), PEER)], START)
    sender.pause(10.0)
    inflow.receive([(sender.packet(1), PEER)], START + 10.02)
    assert track.read(160, 80_000) == b"\xd5" * 80_000
    assert track.read(80_160, 160) == Sender.audio(1)
    assert inflow.jumps == 0
    assert inflow.lost == 0


def test_while_nothing_comes_the_line_goes_on_with_silence() -> None:
    inflow, track = new_inflow()
    inflow.receive([(Sender().packet(0), PEER)], START)
    for half_seconds in range(20):
        inflow.settle(START + half_seconds * 0.5)
    assert 9.0 * 8000 <= track.end <= 9.5 * 8000


def test_packets_that_were_only_late_are_mended_into_a_pause() -> None:
    inflow, track = new_inflow()
    sender = Sender()
    inflow.receive([(sender.packet(0), PEER)], START)
    for half_seconds in range(1, 7):
        inflow.settle(START + half_seconds * 0.5)
    inflow.receive([(sender.packet(number), PEER) for number in range(1, 150)], START + 3.0)
    assert frames(track)[:150] == [Sender.audio(number) for number in range(150)]


def test_a_timestamp_that_jumps_implausibly_starts_again_at_the_arrival_clock() -> None:
    inflow, track = new_inflow()
    sender = Sender()
    for number in range(50):
        inflow.receive([(sender.packet(number), PEER)], START + number * 0.02)
    sender.timestamp += 1_000_000_000
    for number in range(50, 100):
        inflow.receive([(sender.packet(number), PEER)], START + number * 0.02)
    assert frames(track) == [Sender.audio(number) for number in range(100)]
    assert inflow.jumps == 1


def test_a_timestamp_that_runs_backwards_never_overwrites_audio() -> None:
    inflow, track = new_inflow()
    sender = Sender()
    for number in range(50):
        inflow.receive([(sender.packet(number), PEER)], START + number * 0.02)
    sender.timestamp -= 20 * 160
    for number in range(50, 100):
        inflow.receive([(sender.packet(number), PEER)], START + number * 0.02)
    assert frames(track) == [Sender.audio(number) for number in range(100)]


def test_a_device_whose_timestamps_stood_still_on_hold_comes_back_to_real_time() -> None:
    inflow, track = new_inflow()
    sender = Sender()
    inflow.receive([(sender.packet(0), PEER)], START)
    now = START + 20.0
    for number in range(1, 500):
        now += 0.02
        inflow.receive([(sender.packet(number), PEER)], now)
        if number % 25 == 0:
            inflow.settle(now)
    assert abs(track.end - (now - START) * 8000) < 4000
    assert inflow.jumps == 0, "it is no jump of the peer's"


def test_a_new_source_at_the_same_address_is_placed_by_the_arrival_clock() -> None:
    inflow, track = new_inflow()
    first, second = Sender(), Sender(ssrc=99, sequence=9, timestamp=123)
    inflow.receive([(first.packet(0), PEER)], START)
    inflow.receive([(second.packet(0), PEER)], START + 5.0)
    inflow.receive([(second.packet(1), PEER)], START + 5.02)
    inflow.receive([(second.packet(2), PEER)], START + 5.04)
    assert track.read(40_160, 320) == Sender.audio(1) + Sender.audio(2)
    assert inflow.lost == 0


def test_sequence_numbers_that_start_anew_are_believed_when_the_next_one_follows() -> None:
    inflow, track = new_inflow()
    sender = Sender(sequence=1000)
    inflow.receive([(sender.packet(number), PEER) for number in range(10)], START)
    sender.sequence += 20_000
    inflow.receive([(sender.packet(10), PEER)], START + 0.2)
    assert track.end == 1600
    inflow.receive([(sender.packet(number), PEER) for number in (11, 12)], START + 0.24)
    assert inflow.received == 12
    assert Sender.audio(11) in frames(track)


def test_a_stall_of_our_own_does_not_move_anything() -> None:
    inflow, track = new_inflow()
    sender = Sender()
    inflow.receive([(sender.packet(0), PEER)], START)
    speech_only = [(sender.packet(number), PEER) for number in range(1, 100)]
    sender.pause(2.0)
    speech_only += [(sender.packet(number), PEER) for number in range(100, 150)]
    inflow.receive(speech_only, START + 5.0)
    assert frames(track) == (
        [Sender.audio(n) for n in range(100)] + [b""] * 100 + [Sender.audio(n) for n in range(100, 150)]
    )
    assert inflow.jumps == 0


def test_mu_law_becomes_a_law() -> None:
    inflow, track = new_inflow(codecs={0: ULAW_TO_ALAW})
    sender = Sender(payload_type=0)
    inflow.receive([(sender.packet(number), PEER) for number in (0, 2, 1, 3)], START)
    assert track.read(0, 640) == b"".join(Sender.audio(n) for n in range(4)).translate(ULAW_TO_ALAW)


def test_the_codec_may_change_within_a_stream() -> None:
    inflow, track = new_inflow(codecs={0: ULAW_TO_ALAW, 8: None})
    sender = Sender()
    packets = [sender.packet(0), sender.packet(1)]
    sender.payload_type = 0
    packets += [sender.packet(2), sender.packet(3)]
    inflow.receive([(data, PEER) for data in packets], START)
    law = Sender.audio(2) + Sender.audio(3)
    assert track.read(0, 640) == Sender.audio(0) + Sender.audio(1) + law.translate(ULAW_TO_ALAW)


def test_packets_of_a_stranger_are_not_heard() -> None:
    inflow, track = new_inflow()
    sender, stranger = Sender(), Sender(ssrc=666)
    for number in range(50):
        arrived = [(sender.packet(number), PEER), (stranger.packet(number + 100), ("203.0.113.9", 7))]
        inflow.receive(arrived, START + number * 0.02)
    assert frames(track) == [Sender.audio(number) for number in range(50)]


def test_telephone_events_are_no_audio() -> None:
    inflow, track = new_inflow()
    events: list[tuple[bytes, int, bool]] = []
    inflow.on_event = lambda packet, now: events.append((packet.payload, packet.timestamp, packet.marker))
    sender = Sender()
    arrived = [(sender.packet(number), PEER) for number in range(3)]
    stamp = (sender.timestamp + 3 * 160) & 0xFFFFFFFF
    arrived += [(build(b"\5\x0a\0\xa0", 101, sender.sequence + 3 + n, stamp, 7, n == 0), PEER) for n in range(3)]
    arrived += [(sender.packet(number), PEER) for number in (6, 7)]
    inflow.receive(arrived, START)
    assert events == [(b"\5\x0a\0\xa0", stamp, True)] + [(b"\5\x0a\0\xa0", stamp, False)] * 2
    assert frames(track) == [Sender.audio(n) for n in range(3)] + [b""] * 3 + [Sender.audio(6), Sender.audio(7)]
    assert inflow.lost == 0


def test_rtcp_on_the_same_port_is_handed_on() -> None:
    inflow, track = new_inflow()
    control: list[bytes] = []
    inflow.on_control = lambda data, source, now: control.append(data)
    report = b"\x80\xc9\x00\x01\x00\x00\x00\x01"
    inflow.receive([(report, PEER)], START)
    assert control == [report]
    assert track.end == 0


def test_rubbish_is_counted() -> None:
    inflow, track = new_inflow()
    inflow.receive([(b"", PEER), (b"\x80", PEER), (b"\0" * 172, PEER), (b"\xa0\x08" + b"\xff" * 20, PEER)], START)
    assert inflow.malformed == 4
    assert track.end == 0


def test_a_peer_that_sends_far_more_than_real_time_is_cut_off() -> None:
    inflow, track = new_inflow()
    sender = Sender()
    for start in range(0, 6000, 100):
        inflow.receive([(sender.packet(number), PEER) for number in range(start, start + 100)], START)
    assert track.end <= 33 * 8000
    assert inflow.flooded > 0


def test_jitter_is_zero_for_a_perfect_stream_and_rises_with_uneven_arrival() -> None:
    even, _ = new_inflow()
    uneven, _ = new_inflow()
    rng = random.Random(1)
    sender = Sender()
    for number in range(500):
        even.receive([(sender.packet(number), PEER)], START + number * 0.02)
        uneven.receive([(sender.packet(number), PEER)], START + number * 0.02 + rng.uniform(0, 0.015))
    assert even.jitter < 1
    assert 20 < uneven.jitter < 80  # |difference of two uniform| has mean 5 ms: 40 samples


def test_waiting_in_the_kernel_does_not_count_as_jitter() -> None:
    inflow, _ = new_inflow()
    sender = Sender()
    for start in range(0, 400, 4):
        arrived = [(sender.packet(number), PEER) for number in range(start, start + 4)]
        waited = 0.01 * (start % 3)
        inflow.receive(arrived, START + (start + 3) * 0.02 + waited, waited)
    assert inflow.jitter < 1


@settings(max_examples=150, deadline=None)
@given(
    sequence=st.integers(0, 0xFFFF),
    timestamp=st.integers(0, 0xFFFFFFFF),
    count=st.integers(2, 120),
    batch=st.integers(1, 9),
    seed=st.integers(0, 1 << 30),
)
def test_whatever_the_network_does_each_packet_is_in_its_place(
    sequence: int, timestamp: int, count: int, batch: int, seed: int
) -> None:
    rng = random.Random(seed)
    inflow, track = new_inflow()
    sender = Sender(sequence=sequence, timestamp=timestamp)
    kept = [number for number in range(1, count) if rng.random() > 0.2]
    order = [0, *sorted(kept, key=lambda number: number + rng.uniform(0, 4))]
    order = [number for number in order for _ in range(2 if rng.random() < 0.1 else 1)]
    inflow.receive([(sender.packet(0), PEER)], START)
    for at in range(1, len(order), batch):
        chunk = order[at : at + batch]
        inflow.receive([(sender.packet(number), PEER) for number in chunk], START + max(chunk) * 0.02)
    last = max([0, *kept])
    assert frames(track) == [Sender.audio(n) if n == 0 or n in kept else b"" for n in range(last + 1)]
    assert inflow.lost == last + 1 - len(set(kept) | {0})
    assert inflow.jumps == 0


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.binary(max_size=40), st.floats(0, 3)), max_size=20))
def test_no_packet_whatever_makes_it_raise(arrivals: list[tuple[bytes, float]]) -> None:
    inflow, track = new_inflow(codecs={8: None, 0: ULAW_TO_ALAW})
    now = START
    for data, later in arrivals:
        now += later
        inflow.receive([(b"\x80\x08" + data, PEER), (data, PEER)], now)
        inflow.settle(now)
    assert track.end <= (now - START) * 8000 + 40 * 8000
    assert track.started == STARTED
