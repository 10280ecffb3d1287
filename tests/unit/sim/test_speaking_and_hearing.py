"""A simulated phone's audio: what one says another hears, and the witness tells the truth about it."""

import asyncio
import random

import pytest

from voice.sim.hearing import Hearing
from voice.sim.link import Link
from voice.sim.loop import virtual_loop, virtually
from voice.sim.network import Network
from voice.sim.rtp import SimRtpSocket
from voice.sim.speaking import Speaker, dtmf_tone
from voice.sim.speech import marked_frame, marked_frames, silence, tone

A, B = ("10.0.0.1", 4000), ("10.0.0.2", 5000)


class Wire:
    """A speaker at one end, a hearing at the other."""

    def __init__(self, link: Link | None = None, *, ptime: int = 20) -> None:
        network = Network(virtual_loop(), link=link)
        self.speaker = Speaker(SimRtpSocket(network, A), random.Random(1), ptime=ptime)
        self.speaker.to = B
        self.hearing = Hearing()
        self._there = SimRtpSocket(network, B)
        self._ptime = ptime / 1000

    async def pass_time(self, seconds: float) -> None:
        for _ in range(round(seconds / self._ptime)):
            self.speaker.tick()
            await asyncio.sleep(self._ptime)
            now = virtual_loop().time()
            self.hearing.raw += [(now, data, source) for data, source in self._there.receive()]


@virtually
async def test_an_idle_phone_sends_digital_silence_fifty_times_a_second() -> None:
    wire = Wire()
    await wire.pass_time(10)
    assert len(wire.hearing.raw) == pytest.approx(500, abs=1)
    assert wire.hearing.heard_silence_only()
    assert wire.hearing.first_audio_at is None


@virtually
async def test_a_phone_without_comfort_noise_sends_nothing_while_idle_and_marks_each_talkspurt() -> None:
    wire = Wire()
    wire.speaker.silent_when_idle = False
    for _ in range(2):
        wire.speaker.say(marked_frames(5))
        await wire.pass_time(1)
    packets = list(wire.hearing.packets())
    assert [packet.marker for packet in packets] == ([True] + [False] * 4) * 2
    assert packets[5].timestamp - packets[0].timestamp == 8000
    assert packets[5].sequence - packets[0].sequence == 5
    assert len(wire.hearing.gaps(0.5)) == 1


@virtually
async def test_one_audible_sample_is_not_silence() -> None:
    wire = Wire()
    await wire.pass_time(1)
    since = virtual_loop().time()
    wire.speaker.say(silence(0.01) + b"\x55" + silence(0.01))
    await wire.pass_time(1)
    assert wire.hearing.heard_silence_only(until=since)
    assert not wire.hearing.heard_silence_only(since)
    assert wire.hearing.first_audio_at == wire.hearing.last_audio_at == pytest.approx(since + 0.02)


@pytest.mark.parametrize("mu_law", [False, True])
@pytest.mark.parametrize("ptime", [10, 20, 30, 60])
@virtually
async def test_numbered_frames_are_heard_in_place(ptime: int, mu_law: bool) -> None:
    wire = Wire(ptime=ptime)
    wire.speaker.mu_law, wire.speaker.payload_type = mu_law, 0 if mu_law else 8
    wire.speaker.say(marked_frames(60))
    await wire.pass_time(1.8)
    heard = wire.hearing.marks()
    assert heard.numbers == list(range(60))
    assert heard.in_place


@virtually
async def test_loss_duplication_and_reordering_are_mended_by_timestamps_and_losses_are_counted() -> None:
    wire = Wire(Link(loss=0.03, duplicate=0.05, reorder=0.05, late=0.07))
    wire.speaker.say(marked_frames(1000))
    await wire.pass_time(21)
    heard = wire.hearing.marks()
    assert heard.in_place
    assert heard.numbers == sorted(set(heard.numbers))
    assert 30 < len(heard.missing(range(1000))) < 100


@virtually
async def test_timestamps_and_sequence_numbers_wrap() -> None:
    wire = Wire()
    wire.speaker._timestamp, wire.speaker._sequence = 2**32 - 160 * 7, 2**16 - 7
    wire.speaker.say(marked_frames(50))
    await wire.pass_time(2)
    assert wire.hearing.marks().numbers == list(range(50))


@virtually
async def test_a_new_ssrc_goes_on_where_it_came() -> None:
    wire = Wire()
    wire.speaker.say(marked_frames(100))
    await wire.pass_time(1)
    wire.speaker.restart()
    await wire.pass_time(1)
    assert wire.hearing.marks().numbers == list(range(100))
    assert len({packet.ssrc for packet in wire.hearing.packets()}) == 2


@virtually
async def test_digits_are_telephone_events_of_one_timestamp_with_the_end_sent_three_times() -> None:
    wire = Wire()
    wire.speaker.press("5#")
    await wire.pass_time(1)
    events = [packet for packet in wire.hearing.packets() if packet.payload_type == 101]
    five, hash_key = events[:7], events[7:]
    assert [packet.payload.hex() for packet in five] == [
        "050a00a0",
        "050a0140",
        "050a01e0",
        "050a0280",
        "058a0320",
        "058a0320",
        "058a0320",
    ]
    assert len({packet.timestamp for packet in five}) == 1
    assert [packet.marker for packet in five] == [True] + [False] * 6
    assert {packet.payload[0] for packet in hash_key} == {11}
    assert not wire.hearing.heard_silence_only()


@virtually
async def test_sung_digits_are_tones_in_the_voice_band() -> None:
    wire = Wire()
    wire.speaker.sing("1")
    await wire.pass_time(1)
    assert wire.hearing.audio().startswith(dtmf_tone("1"))
    assert wire.hearing.loudness() > 1000


@virtually
async def test_hush_stops_what_is_being_said() -> None:
    wire = Wire()
    wire.speaker.say(tone(440, 60))
    await wire.pass_time(1)
    assert wire.speaker.busy
    wire.speaker.hush()
    assert not wire.speaker.busy
    since = virtual_loop().time()
    await wire.pass_time(1)
    assert wire.hearing.heard_silence_only(since + 0.02)


def test_a_witness_that_heard_nothing_says_so() -> None:
    hearing = Hearing()
    assert hearing.heard_silence_only()
    assert (hearing.audio(), hearing.loudness(), hearing.first_packet_at) == (b"", 0, None)
    hearing.raw.append((1.0, b"\x80\x08" + bytes(10) + marked_frame(3), A))
    assert hearing.marks().numbers == [3]
