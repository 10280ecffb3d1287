"""The gate: what a discreet device can never hear."""

import pytest

from voice.media.gate import Gate, Profile
from voice.rtp.codecs import ALAW_SILENCE_FRAME, FRAME_SAMPLES

LOUD = bytes(range(FRAME_SAMPLES))
SHUT_PROFILES = (Profile.SILENCE, Profile.KEEPALIVE, Profile.RECVONLY)


class Loud:
    """A source that always has something to say, and counts how often it was asked."""

    asked = 0

    def frame(self) -> bytes:
        self.asked += 1
        return LOUD


class Mute:
    def frame(self) -> None:
        return None


@pytest.mark.parametrize("profile", SHUT_PROFILES)
def test_a_shut_gate_lets_nothing_but_bit_exact_silence_out(profile: Profile) -> None:
    gate, source = Gate(profile), Loud()
    sent = [gate.outgoing(source) for _ in range(500)]
    assert {frame for frame in sent if frame is not None} <= {b"\xd5" * 160}
    assert source.asked == 0, "a shut gate does not even ask the source"


@pytest.mark.parametrize(("profile", "packets"), [("silence", 500), ("keepalive", 10), ("recvonly", 0)])
def test_each_profile_sends_its_number_of_packets_while_shut(profile: str, packets: int) -> None:
    gate = Gate(profile)
    assert sum(gate.outgoing(Loud()) is not None for _ in range(500)) == packets


def test_the_first_keepalive_leaves_at_once_and_then_one_a_second() -> None:
    gate = Gate("keepalive")
    ticks = [tick for tick in range(151) if gate.outgoing(None) is not None]
    assert ticks == [0, 50, 100, 150]


@pytest.mark.parametrize("profile", SHUT_PROFILES)
def test_sound_leaves_only_between_opening_and_shutting(profile: Profile) -> None:
    gate, source, heard = Gate(profile), Loud(), []
    for tick in range(300):
        if tick == 100:
            gate.set(True)
        if tick == 200:
            gate.set(False)
        if gate.outgoing(source) == LOUD:
            heard.append(tick)
    assert heard == list(range(100, 200))


def test_an_open_gate_sends_silence_when_the_source_has_nothing() -> None:
    gate = Gate("recvonly")
    gate.set(True)
    assert gate.outgoing(Mute()) == ALAW_SILENCE_FRAME
    assert gate.outgoing(None) == ALAW_SILENCE_FRAME


def test_each_change_is_reported_once() -> None:
    changes: list[bool] = []
    gate = Gate("silence", changes.append)
    assert gate.set(True) is True
    assert gate.set(True) is False
    assert gate.set(False) is True
    assert gate.set(False) is False
    assert changes == [True, False]


def test_the_gate_of_an_operator_is_always_open() -> None:
    gate = Gate("full")
    assert gate.open
    assert gate.set(False) is False
    assert gate.outgoing(Loud()) == LOUD


def test_a_gate_of_a_device_is_shut_from_the_start() -> None:
    assert not any(Gate(profile).open for profile in SHUT_PROFILES)


def test_an_unknown_profile_is_refused() -> None:
    with pytest.raises(ValueError, match="whisper"):
        Gate("whisper")
