"""A leg as the device at the other end sees it, and what the call hears of it."""

import dataclasses
import gc
import itertools
import random
import struct
import weakref
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from tests.unit.media.packets import PEER, STARTED, Sender
from tests.unit.rtp.tones import generate
from tests.unit.rtp.whole_packet import RtpPacket
from voice.address import Address
from voice.media.clock import MediaClock
from voice.media.disk import InlineDisk
from voice.media.files import FileArchive
from voice.media.gate import Gate
from voice.media.leg import MediaLeg
from voice.media.notices import AudioResumed, Faulty, FirstAudio, NoAudio, Notice
from voice.media.recorder import Recorder
from voice.media.segment import SegmentInfo
from voice.rtp.codecs import pcm_to_alaw
from voice.rtp.events import TelephoneEvent
from voice.rtp.packet import build
from voice.rtp.rtcp import Goodbye, ReceiverReport, SenderReport, SourceDescription, parse_compound
from voice.sdp.negotiation import Agreed

PEER_RTCP = (PEER[0], PEER[1] + 1)
STRANGER = ("203.0.113.66", 1)
LOUD = bytes(range(160))
SILENT = b"\xd5" * 160
ULAW_SILENT = b"\xff" * 160


class Wire:
    """One socket of the leg; a test is the other end."""

    def __init__(self) -> None:
        self.local = ("192.0.2.1", 20_000)
        self.age = 0.0
        self.arrived: list[tuple[bytes, Address]] = []
        self.sent: list[tuple[bytes, Address]] = []
        self.closed = False

    def receive(self) -> list[tuple[bytes, Address]]:
        arrived, self.arrived = self.arrived, []
        return arrived

    def send(self, data: bytes, to: Address) -> None:
        self.sent.append((data, to))

    def close(self) -> None:
        self.closed = True


class Voice:
    """A source that always speaks."""

    def frame(self) -> bytes:
        return LOUD


class Day:
    def now(self) -> datetime:
        return STARTED


AGREED = Agreed(
    codec="PCMA",
    payload_type=8,
    receive_types={8: "PCMA", 0: "PCMU", 101: "telephone-event"},
    dtmf_type=101,
    remote=PEER,
    remote_rtcp=PEER_RTCP,
    rtcp_mux=False,
    sends=True,
    receives=True,
    ptime=20,
)


class Call:
    """A leg that is up, driven as the media clock does it, with a device that sends when told to."""

    def __init__(self, profile: str = "silence", agreed: Agreed = AGREED, *, inband_dtmf: bool = False) -> None:
        self.now = 1000.0
        self.tick = 0
        self.rtp, self.rtcp = Wire(), Wire()
        self.digits: list[str] = []
        self.notices: list[Notice] = []
        self.changes: list[bool] = []
        self.gate = Gate(profile, self.changes.append)
        self.leg = MediaLeg(
            "leg1",
            self.rtp,
            self.rtcp,
            self.gate,
            clock=Day(),
            rng=random.Random(1),
            time=lambda: self.now,
            inband_dtmf=inband_dtmf,
            on_digit=self.digits.append,
            on_notice=self.notices.append,
        )
        self.leg.source = Voice()
        self.device = Sender()
        self.number = 0
        if agreed is not None:
            self.leg.start(agreed)

    def run(self, seconds: float, *, speaks: bool = True) -> None:
        for _ in range(round(seconds * 50)):
            self.tick += 1
            self.now = 1000.0 + self.tick * 0.02
            if speaks:
                self.rtp.arrived.append((self.device.packet(self.number), PEER))
                self.number += 1
            self.leg.drain(self.now)
            if self.leg.sending:
                self.leg.transmit(self.tick, self.now)
            if self.tick % 25 == 0:
                self.leg.settle(self.now)

    @property
    def heard(self) -> list[RtpPacket]:
        """What arrived at the device, by RTP."""
        return [RtpPacket.parse(data) for data, to in self.rtp.sent if to == PEER]


# -- silent by construction --


@pytest.mark.parametrize(("profile", "packets"), [("silence", 500), ("keepalive", 10), ("recvonly", 0)])
def test_a_discreet_device_receives_bit_exact_silence_or_nothing(profile: str, packets: int) -> None:
    call = Call(profile)
    call.run(10)
    assert len(call.heard) == packets
    assert {packet.payload for packet in call.heard} <= {SILENT}


@pytest.mark.parametrize(("profile", "packets"), [("silence", 500), ("keepalive", 10), ("recvonly", 0)])
def test_silence_is_bit_exact_in_mu_law_too(profile: str, packets: int) -> None:
    call = Call(profile, dataclasses.replace(AGREED, codec="PCMU", payload_type=0))
    call.run(10)
    assert len(call.heard) == packets
    assert {packet.payload for packet in call.heard} <= {ULAW_SILENT}


@pytest.mark.parametrize("profile", ["silence", "keepalive", "recvonly"])
def test_the_device_hears_sound_only_between_talk_on_and_talk_off(profile: str) -> None:
    call = Call(profile)
    call.run(2)
    before = len(call.rtp.sent)
    call.gate.set(True)
    call.run(1)
    during = len(call.rtp.sent)
    call.gate.set(False)
    call.run(2)
    sounds = [index for index, packet in enumerate(call.heard) if packet.payload != SILENT]
    assert sounds == list(range(before, during))
    assert during - before == 50
    assert call.changes == [True, False]


def test_nothing_is_sent_to_a_device_that_does_not_want_to_receive() -> None:
    call = Call("silence", dataclasses.replace(AGREED, sends=False))
    call.gate.set(True)
    call.run(5)
    assert call.rtp.sent == []


def test_an_operator_hears_his_source_from_the_start() -> None:
    call = Call("full")
    call.run(1)
    assert {packet.payload for packet in call.heard} == {LOUD}


# -- what leaves is good RTP --


def test_sequence_numbers_and_timestamps_run_on_through_silence_and_talk() -> None:
    call = Call("silence")
    call.run(1)
    call.gate.set(True)
    call.run(1)
    call.gate.set(False)
    call.run(1)
    heard = call.heard
    assert [(b.sequence - a.sequence) & 0xFFFF for a, b in itertools.pairwise(heard)] == [1] * 149
    assert [(b.timestamp - a.timestamp) & 0xFFFFFFFF for a, b in itertools.pairwise(heard)] == [160] * 149
    assert len({packet.ssrc for packet in heard}) == 1


def test_timestamps_are_those_of_the_moment_also_when_little_is_sent() -> None:
    call = Call("keepalive")
    call.run(3)
    heard = call.heard
    assert [(b.timestamp - a.timestamp) & 0xFFFFFFFF for a, b in itertools.pairwise(heard)] == [8000] * 2
    assert [(b.sequence - a.sequence) & 0xFFFF for a, b in itertools.pairwise(heard)] == [1] * 2


def test_the_marker_says_where_a_talkspurt_begins() -> None:
    call = Call("silence")
    call.run(1)
    call.gate.set(True)
    call.run(1)
    assert [index for index, packet in enumerate(call.heard) if packet.marker] == [0, 50]


def test_media_goes_back_to_where_it_comes_from() -> None:
    call = Call("silence", dataclasses.replace(AGREED, remote=("10.0.0.5", 9)))
    call.run(1)
    assert call.rtp.sent[0][1] == ("10.0.0.5", 9)
    assert call.rtp.sent[-1][1] == PEER


# -- what arrives --


def test_everything_the_device_says_is_on_the_track() -> None:
    call = Call()
    call.run(5)
    assert call.leg.received is not None
    audio = call.leg.received.read(160, 250 * 160)
    assert audio == b"".join(Sender.audio(number) for number in range(250))


def test_a_stranger_is_neither_heard_nor_answered() -> None:
    call = Call()
    call.run(1)
    flood = Sender(ssrc=666)
    for number in range(100):
        call.rtp.arrived.append((flood.packet(number), STRANGER))
        call.run(0.02)
    assert not any(to == STRANGER for _, to in call.rtp.sent)
    assert call.leg.statistics.received == 150
    assert call.leg.statistics.strangers == 100


def test_the_tracks_start_with_the_answer_so_that_they_line_up() -> None:
    call = Call()
    call.run(2, speaks=False)
    call.gate.set(True)
    call.run(1)
    received, sent = call.leg.received, call.leg.sent
    assert received is not None
    assert sent is not None
    assert received.started == sent.started == STARTED
    assert received.read(16_160, 160) == Sender.audio(0)
    assert sent.read(16_160, 160) == LOUD
    assert sent.end == received.end


def test_a_reoffer_with_another_codec_and_address_continues_the_tracks() -> None:
    call = Call()
    call.run(1)
    call.leg.update(dataclasses.replace(AGREED, codec="PCMU", payload_type=0, sends=False))
    call.device.payload_type = 0
    before = len(call.rtp.sent)
    call.run(1)
    assert len(call.rtp.sent) == before, "on hold"
    assert call.leg.received is not None
    assert call.leg.received.end == 101 * 160
    call.leg.update(dataclasses.replace(AGREED, codec="PCMU", payload_type=0))
    call.run(1)
    assert call.heard[-1].payload_type == 0


def test_a_leg_is_drained_more_often_while_somebody_listens() -> None:
    call = Call("recvonly")
    assert call.leg.eager, "until the first audio, which is to be told at once"
    call.run(1)
    assert not call.leg.eager
    assert call.leg.received is not None
    call.leg.received.read(0, 160)
    call.run(0.5)
    assert call.leg.eager
    call.run(0.5)
    assert not call.leg.eager


def test_who_is_spoken_to_is_answered_at_once_also_where_nobody_listens() -> None:
    call = Call("silence")
    call.run(1)
    call.gate.set(True)
    call.run(1)
    assert call.leg.eager
    call.gate.set(False)
    call.run(1)
    assert not call.leg.eager


def test_a_leg_is_drained_before_it_settles_so_that_reports_do_not_tell_whether_somebody_listens() -> None:
    call = Call("silence")
    call.run(1)
    assert not call.leg.eager
    known = call.leg.statistics.received
    call.rtp.arrived.append((call.device.packet(call.number), PEER))
    call.leg.settle(call.now)
    assert call.leg.statistics.received == known + 1


# -- digits --


def press(symbol: int, number: int, sender: Sender) -> Iterator[tuple[bytes, Address]]:
    """The packets of one key, as a phone sends them."""
    for index, (duration, end) in enumerate([(160, False), (320, False), (480, True), (480, True), (480, True)]):
        payload = TelephoneEvent(symbol, duration, end).serialize()
        stamp = sender.timestamp + number * 160
        yield build(payload, 101, sender.sequence + number + index, stamp, sender.ssrc, index == 0), PEER


def test_a_key_sent_as_telephone_event_is_one_digit() -> None:
    call = Call()
    call.run(1)
    call.rtp.arrived += press(5, call.number, call.device)
    call.number += 5
    call.run(1)
    assert call.digits == ["5"]
    assert call.leg.statistics.lost == 0


def test_a_key_sent_twice_by_event_and_info_is_one_digit() -> None:
    call = Call()
    call.run(1)
    call.rtp.arrived += press(7, call.number, call.device)
    call.number += 5
    call.run(0.1)
    call.leg.info_digit("7")
    call.leg.info_digit("8")
    assert call.digits == ["7", "8"]


def test_tones_are_heard_only_on_legs_that_ask_for_it() -> None:
    audio = pcm_to_alaw(generate("4")).ljust(1600, b"\xd5")
    for inband, expected in ((True, ["4"]), (False, [])):
        call = Call("full", inband_dtmf=inband)
        for at in range(0, len(audio), 160):
            call.rtp.arrived.append((build(audio[at : at + 160], 8, at // 160, at, 7), PEER))
        call.run(0.2, speaks=False)
        assert call.digits == expected


@pytest.mark.parametrize(
    ("remote", "expected"),
    [(("198.51.100.77", 4000), ["7", "4"]), (PEER, ["7"]), (("0.0.0.0", PEER[1]), ["7"])],
    ids=["transferred", "the same address again", "on hold as of old"],
)
def test_behind_a_key_by_info_tones_count_only_when_the_media_has_moved(
    remote: tuple[str, int], expected: list[str]
) -> None:
    call = Call("full", inband_dtmf=True)
    call.leg.info_digit("7")
    call.leg.update(dataclasses.replace(AGREED, remote=remote))
    audio = pcm_to_alaw(generate("4")).ljust(1600, b"\xd5")
    for at in range(0, len(audio), 160):
        call.rtp.arrived.append((build(audio[at : at + 160], 8, at // 160, at, 7), remote if expected[1:] else PEER))
    call.run(0.2, speaks=False)
    assert call.digits == expected


# -- notices --


def test_the_first_audio_is_told_at_the_tick_in_which_it_comes() -> None:
    call = Call()
    call.run(0.3, speaks=False)
    call.run(0.02)
    assert call.notices == [FirstAudio(pytest.approx(0.32, abs=0.001))]


def test_a_call_that_is_answered_and_silent_is_told_after_three_seconds() -> None:
    call = Call()
    call.run(3.5, speaks=False)
    assert call.notices == [NoAudio(pytest.approx(3.0))]
    call.run(1.0)
    assert [type(notice) for notice in call.notices] == [NoAudio, FirstAudio, AudioResumed]


def test_a_source_that_fails_is_told_once_and_the_recording_goes_on() -> None:
    class Failing:
        def frame(self) -> bytes:
            raise ZeroDivisionError("mixing")

    call = Call("full")
    call.leg.source = Failing()
    clock = MediaClock()
    clock.add(call.leg)
    for tick in range(1, 101):
        call.now += 0.02
        call.rtp.arrived.append((call.device.packet(tick), PEER))
        assert list(clock._tick(tick, tick, call.now))
    assert [notice for notice in call.notices if isinstance(notice, Faulty)] == [Faulty("ZeroDivisionError: mixing")]
    assert call.leg.statistics.received == 100


# -- RTCP --


def test_reports_go_out_every_five_seconds_and_say_how_the_device_is_received() -> None:
    call = Call("silence")
    for _ in range(60):
        call.run(1)
        call.number += 1
        call.device.pause(-0.02)
        call.device.timestamp += 160
    assert 8 <= len(call.rtcp.sent) <= 25
    data, to = call.rtcp.sent[-1]
    report, description = parse_compound(data)
    assert to == PEER_RTCP
    assert isinstance(report, SenderReport)
    assert isinstance(description, SourceDescription)
    assert abs(report.packets - 3000) < 600
    assert report.octets == report.packets * 160
    block = report.reports[0]
    assert block.ssrc == call.device.ssrc
    assert 0 < block.fraction_lost < 10
    assert block.highest_sequence >> 16 == 1, "the sequence numbers of the device have wrapped once"


def test_a_leg_that_sends_no_audio_reports_as_a_receiver_and_says_goodbye() -> None:
    call = Call("recvonly")
    call.run(20)
    call.leg.close()
    packets = [packet for data, _ in call.rtcp.sent for packet in parse_compound(data)]
    assert any(isinstance(packet, ReceiverReport) for packet in packets)
    assert not any(isinstance(packet, SenderReport) for packet in packets)
    assert isinstance(packets[-1], Goodbye)


def test_a_leg_that_never_sent_anything_says_no_goodbye() -> None:
    call = Call("recvonly")
    call.leg.close()
    assert call.rtcp.sent == []


def test_goodbye_is_said_at_the_end() -> None:
    call = Call("silence")
    call.run(1)
    call.leg.close()
    assert any(isinstance(packet, Goodbye) for packet in parse_compound(call.rtcp.sent[-1][0]))
    assert call.rtp.closed
    assert call.rtcp.closed


def test_rtcp_shares_the_port_when_that_was_agreed() -> None:
    call = Call("silence", dataclasses.replace(AGREED, rtcp_mux=True))
    call.run(1)
    own = call.heard[0].ssrc
    block = struct.pack("!IIIIII", own, 64 << 24 | 7, 0, 80, 0, 0)
    call.rtp.arrived.append((b"\x81\xc9\x00\x07\x00\x00\x00\x07" + block, PEER))
    call.run(0.1)
    peer = call.leg.statistics.peer
    assert (peer.fraction_lost, peer.lost, peer.jitter_ms) == (0.25, 7, 10.0)
    call.run(10)
    assert {to for _, to in call.rtcp.sent} == {PEER}


def test_what_a_stranger_reports_is_not_believed() -> None:
    call = Call("silence")
    call.run(1)
    own = call.heard[0].ssrc
    block = struct.pack("!IIIIII", own, 255 << 24, 0, 0, 0, 0)
    call.rtcp.arrived.append((b"\x81\xc9\x00\x07\x00\x00\x00\x07" + block, STRANGER))
    call.run(2)
    assert call.leg.statistics.peer.fraction_lost is None


# -- the end, and the recording --


def recorded(call: Call, folder: Path) -> list[SegmentInfo]:
    segments: list[SegmentInfo] = []
    disk = InlineDisk(lambda: call.now)
    call.leg.record(Recorder(folder, disk, Day(), segments.append), "inc1")
    return segments


def test_both_directions_are_recorded_the_sent_one_only_while_the_gate_is_open(tmp_path: Path) -> None:
    call = Call("silence")
    call.run(2)
    segments = recorded(call, tmp_path)
    call.run(1)
    call.gate.set(True)
    call.run(2)
    call.gate.set(False)
    call.run(3)
    call.leg.close()
    rx, tx = sorted(segments, key=lambda info: info.direction)
    assert (rx.direction, rx.duration_ms // 100, tx.direction, tx.duration_ms) == ("rx", 80, "tx", 2000)
    assert tx.offset_ms == 3020
    archive = FileArchive.open(rx.path)
    assert archive.read(160, 400 * 160) == b"".join(Sender.audio(number) for number in range(400))
    archive = FileArchive.open(tx.path)
    assert archive.read(0, 16_000) == LOUD * 100


def test_the_last_packets_before_the_end_are_kept(tmp_path: Path) -> None:
    call = Call()
    segments = recorded(call, tmp_path)
    call.run(1)
    call.rtp.arrived.append((call.device.packet(50), PEER))
    call.leg.close()
    call.leg.close()
    archive = FileArchive.open(segments[0].path)
    assert archive.read(51 * 160, 160) == Sender.audio(50)
    assert len(segments) == 1


def test_a_leg_that_never_came_up_closes_quietly() -> None:
    call = Call()
    quiet = MediaLeg("leg2", Wire(), Wire(), Gate(), clock=Day(), rng=random.Random(1), time=lambda: call.now)
    quiet.drain(1.0)
    quiet.settle(1.0)
    quiet.transmit(1, 1.0)
    assert quiet.statistics.received == 0
    quiet.close()


def test_nothing_happens_after_the_end() -> None:
    call = Call()
    call.run(1)
    call.leg.close()
    before = len(call.rtp.sent)
    call.run(1)
    assert len(call.rtp.sent) == before


def test_of_a_leg_that_is_over_nothing_stays_with_its_track(tmp_path: Path) -> None:
    call = Call()
    recorded(call, tmp_path)
    call.run(1)
    call.leg.close()
    track, leg = call.leg.received, weakref.ref(call.leg)
    del call.leg
    gc.collect()
    assert leg() is None
    assert track is not None
    assert track.read(160, 160) == Sender.audio(0)
