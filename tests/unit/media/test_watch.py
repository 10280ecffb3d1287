"""What a person is told about the audio of a leg."""

import math

from voice.media.notices import (
    AudioResumed,
    FirstAudio,
    Jitter,
    Loss,
    LossOver,
    NoAudio,
    Notice,
    SilentLine,
    SoundAgain,
)
from voice.media.watch import FLOOR, Figures, Thresholds, Watch, level
from voice.rtp.codecs import pcm_to_alaw

QUIET = b"\xd5" * 8000


def tone(dbov: float) -> bytes:
    """A second of a sine at this RMS level."""
    peak = 32768 * 10 ** (dbov / 20) * math.sqrt(2)
    samples = (round(peak * math.sin(2 * math.pi * 440 * n / 8000)) for n in range(8000))
    return pcm_to_alaw(b"".join(sample.to_bytes(2, "little", signed=True) for sample in samples))


LOUD = tone(-20)


class Line:
    """A leg of which a test says what arrives; it is looked at twice a second."""

    def __init__(self, thresholds: Thresholds | None = None) -> None:
        self.watch = Watch(100.0, thresholds or Thresholds())
        self.now = 100.0
        self.received = 0
        self.expected = 0
        self.arrival: float | None = None

    def run(
        self,
        seconds: float,
        *,
        flows: bool = True,
        loss: float = 0.0,
        jitter: float = 0.0,
        receives: bool = True,
        sound: bytes = LOUD,
    ) -> list[Notice]:
        notices: list[Notice] = []
        for _ in range(round(seconds * 2)):
            self.now += 0.5
            if flows:
                self.expected += 25
                self.received += round(25 * (1 - loss))
                self.arrival = self.now - 0.01
            figures = Figures(self.received, self.expected, jitter, self.arrival, receives, sound)
            notices += self.watch.look(self.now, figures)
        return notices


def test_the_first_audio_is_reported_once_with_the_time_since_the_answer() -> None:
    line = Line()
    assert line.watch.first_audio(100.25) == [FirstAudio(0.25)]
    assert line.watch.first_audio(100.5) == []


def test_answered_and_no_audio_for_three_seconds_is_reported_at_once_and_once() -> None:
    line = Line()
    assert line.run(2.5, flows=False) == []
    assert line.run(0.5, flows=False) == [NoAudio(3.0)]
    assert line.run(60, flows=False) == []


def test_audio_that_comes_back_is_reported_with_the_length_of_the_gap() -> None:
    line = Line()
    line.run(10)
    assert line.run(5, flows=False) == [NoAudio(3.01)]
    assert line.run(5) == [AudioResumed(5.5)]


def test_a_device_that_sends_only_speech_is_not_reported_at_each_pause() -> None:
    line = Line()
    notices = []
    for _ in range(10):
        notices += line.run(4, flows=False) + line.run(2)
    assert [type(notice) for notice in notices] == [NoAudio, AudioResumed]


def test_on_hold_no_audio_is_expected_and_the_count_begins_anew_afterwards() -> None:
    line = Line()
    line.run(5)
    assert line.run(60, flows=False, receives=False) == []
    assert line.run(2.5, flows=False) == []
    assert line.run(0.5, flows=False) == [NoAudio(3.0)]


def test_heavy_loss_is_reported_and_so_is_its_end() -> None:
    line = Line()
    assert line.run(10) == []
    assert line.run(20, loss=0.2) == [Loss(12.0, 5.0)]
    assert line.run(20) == [LossOver()]


def test_a_little_loss_is_nothing_to_report() -> None:
    assert Line().run(60, loss=0.04) == []


def test_strong_jitter_is_reported_once_until_it_is_over() -> None:
    line = Line()
    assert line.run(10, jitter=80) == [Jitter(80)]
    assert line.run(10, jitter=45) == []
    assert line.run(1, jitter=10) == []
    assert line.run(1, jitter=61) == [Jitter(61)]


def test_a_line_on_which_nothing_can_be_heard_is_reported() -> None:
    line = Line()
    line.run(5)
    assert line.run(60, sound=QUIET) == [SilentLine(30.0)]
    assert line.run(2) == [SoundAgain(60.5)]


def test_the_quiet_room_of_a_worker_is_not_a_dead_microphone() -> None:
    assert Line().run(120, sound=tone(-58)) == []


def test_levels_are_measured_in_dbov() -> None:
    assert level(b"") == FLOOR
    assert level(QUIET) == FLOOR
    for expected in (-10, -30, -50):
        assert abs(level(tone(expected)) - expected) < 1
    line = Line()
    line.run(1, sound=tone(-26))
    assert abs(line.watch.level + 26) < 1
