"""Hearing an incident from second 0: faster than real time until live, then live, without gap or double."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voice.media.listening import IncidentAudio, Listener, Mode
from voice.media.live_reader import NEARLY_LIVE
from voice.media.mixing import linear
from voice.media.track import Track
from voice.rtp.codecs import ALAW_SILENCE
from voice.sim.speech import clip, marked_frames, marks, silence, tone

FRAME = 160
SECOND = 8000
STARTED = datetime(2025, 3, 1, 12, 0, tzinfo=UTC)


def track(audio: bytes = b"", *, after: float = 0.0, closed: bool = False) -> Track:
    """A track that begins `after` seconds."""
    made = Track(STARTED + timedelta(seconds=after))
    made.write(0, audio)
    if closed:
        made.close()
    return made


def numbered(count: int, first: int = 0) -> bytes:
    return b"".join(marked_frames(count, first))


class Scene:
    """A device that talks on, 20 ms at a time, and an operator who listens."""

    def __init__(self, heard_before: bytes, afterwards: bytes, **listener: float) -> None:
        self.track = track(heard_before)
        self.audio = IncidentAudio([self.track])
        self.coming = afterwards
        self.events: list[tuple[str, int]] = []
        self.ticks = 0
        self.heard: list[bytes | None] = []
        self.listener = Listener(
            self.audio,
            on_first_audio=lambda: self.events.append(("first audio", self.ticks)),
            on_live=lambda: self.events.append(("live", self.ticks)),
            **listener,  # type: ignore[arg-type]
        )

    def tick(self) -> bytes | None:
        piece, self.coming = self.coming[:FRAME], self.coming[FRAME:]
        if not self.track.closed:
            self.track.write(self.track.end, piece)
        self.heard.append(self.listener.frame())
        self.ticks += 1
        return self.heard[-1]

    def run(self, ticks: int) -> None:
        for _ in range(ticks):
            self.tick()

    def until(self, mode: Mode, limit: int = 5000) -> None:
        while self.listener.mode is not mode:
            assert self.ticks < limit, f"never {mode}"
            self.tick()


def talkative(seconds: float) -> bytes:
    return (tone(440, 1.0) + tone(300, 1.0)) * int(seconds / 2 + 1)


def test_the_operator_hears_the_alarm_from_second_0_and_faster_than_real_time() -> None:
    scene = Scene(talkative(10), talkative(60))
    assert scene.tick() == scene.track.read(0, FRAME)
    scene.until(Mode.LIVE)
    assert scene.ticks / 50 == pytest.approx(scene.track.end / SECOND / 1.5, rel=0.03)
    assert scene.events == [("first audio", 0), ("live", scene.ticks - 1)]


def test_catching_up_hands_over_to_live_at_the_very_next_sample() -> None:
    audio = tone(317, 60)
    scene = Scene(audio[: 5 * SECOND], audio[5 * SECOND :])
    scene.until(Mode.LIVE)
    scene.run(50)
    assert None not in scene.heard
    played = linear(b"".join(frame or b"" for frame in scene.heard)).astype(int)
    original = linear(audio[:SECOND]).astype(int)
    step = abs(original[1:] - original[:-1]).max()
    assert abs(played[1:] - played[:-1]).max() <= 1.1 * step  # a gap or a double would break the sine


def test_live_audio_is_handed_out_untouched() -> None:
    numbers = numbered(2000)
    scene = Scene(numbers[: 2 * SECOND], numbers[2 * SECOND :])
    scene.until(Mode.LIVE)
    for _ in range(100):
        position = scene.listener.position
        assert scene.tick() == numbers[position : position + FRAME]


def test_no_frame_is_lost_or_repeated_after_the_step_to_live() -> None:
    numbers = numbered(2000)
    scene = Scene(numbers[: 2 * SECOND], numbers[2 * SECOND :])
    scene.until(Mode.LIVE)
    since = len(scene.heard)
    scene.run(200)
    found = marks(b"".join(frame or b"" for frame in scene.heard[since:])).numbers
    assert list(dict.fromkeys(found)) == list(range(found[0], found[-1] + 1))


def test_live_is_at_most_60_ms_behind_what_is_known() -> None:
    scene = Scene(talkative(4), talkative(30))
    scene.until(Mode.LIVE)
    assert scene.listener.behind <= NEARLY_LIVE / SECOND
    scene.run(500)
    assert scene.listener.behind <= NEARLY_LIVE / SECOND


def test_silence_is_passed_quickly_on_the_way_to_live() -> None:
    scene = Scene(clip("badge") + silence(120) + clip("badge"), talkative(60))
    scene.until(Mode.LIVE)
    assert scene.ticks / 50 < 52  # 136 s of alarm and all that came meanwhile; at 1.5 alone it takes 272 s


def test_an_operator_who_is_there_before_the_first_packet_is_live_from_the_start() -> None:
    scene = Scene(b"", talkative(5))
    scene.tick()
    assert scene.listener.mode is Mode.LIVE
    assert scene.events == [("live", 0)]
    scene.run(50)
    assert scene.heard[0] is None  # the playout delay
    assert scene.heard[1] == talkative(1)[:FRAME]
    assert scene.events[-1][0] == "first audio"


def test_an_incident_whose_device_has_not_called_yet_is_silent_and_waits() -> None:
    audio = IncidentAudio()
    listener = Listener(audio)
    assert [listener.frame() for _ in range(3)] == [None] * 3
    assert listener.mode is Mode.LIVE
    audio.append(track(numbered(10)))
    assert listener.frame() == numbered(1)


def test_back_repeats_the_last_seconds_faster_and_leads_to_live_again() -> None:
    scene = Scene(talkative(20), talkative(100))
    scene.until(Mode.LIVE)
    position = scene.listener.position
    scene.listener.back(10)
    assert scene.listener.mode is Mode.CATCHING_UP
    assert scene.listener.position == position - 10 * SECOND
    before = scene.ticks
    scene.until(Mode.LIVE)
    assert (scene.ticks - before) / 50 == pytest.approx(20, rel=0.05)  # half a second gained per second
    assert [name for name, _ in scene.events] == ["first audio", "live", "live"]


def test_back_pressed_repeatedly_leads_further_back_but_not_before_the_start() -> None:
    scene = Scene(talkative(40), talkative(100), position=30 * SECOND)
    scene.run(10)
    position = scene.listener.position
    scene.listener.back(10)
    scene.listener.back(10)
    assert scene.listener.position == position - 20 * SECOND
    scene.run(5)
    scene.listener.back(10)
    scene.listener.back(10)
    assert scene.listener.position == 0
    fading = scene.tick()
    assert fading is not None
    assert scene.listener.position == FRAME


def test_a_jump_makes_no_click() -> None:
    audio = tone(317, 60)
    scene = Scene(audio[: 20 * SECOND], audio[20 * SECOND :])
    scene.run(20)
    scene.listener.to_live()
    scene.run(60)
    scene.listener.back(7.003)
    scene.run(60)
    played = linear(b"".join(frame or b"" for frame in scene.heard)).astype(int)
    original = linear(audio[:SECOND]).astype(int)
    assert abs(played[1:] - played[:-1]).max() <= 1.5 * abs(original[1:] - original[:-1]).max()


def test_to_live_leaves_out_the_rest() -> None:
    scene = Scene(talkative(60), talkative(30))
    scene.run(10)
    scene.listener.to_live()
    scene.run(2)
    assert scene.listener.mode is Mode.LIVE
    assert scene.listener.behind <= NEARLY_LIVE / SECOND
    scene.listener.to_live()  # once there, it changes nothing
    assert scene.listener.mode is Mode.LIVE


def test_an_alarm_that_is_over_is_heard_to_its_end_and_then_there_is_silence() -> None:
    scene = Scene(talkative(4), b"")
    scene.track.close()
    scene.until(Mode.ENDED)
    assert scene.ticks / 50 == pytest.approx(scene.track.end / SECOND / 1.5, rel=0.03)
    assert scene.tick() is None
    assert scene.listener.behind == 0
    assert scene.listener.position == scene.track.end
    assert [name for name, _ in scene.events] == ["first audio"]


def test_an_ended_alarm_can_be_heard_again() -> None:
    scene = Scene(talkative(4), b"")
    scene.track.close()
    scene.until(Mode.ENDED)
    scene.listener.back(2)
    assert scene.listener.mode is Mode.CATCHING_UP
    assert scene.tick() is not None
    scene.listener.to_live()
    scene.run(2)
    assert scene.listener.mode is Mode.ENDED


def test_a_device_that_calls_again_is_heard_at_once_after_the_end() -> None:
    scene = Scene(numbered(100), b"")
    scene.track.close()
    scene.until(Mode.ENDED)
    again = track(after=300.0)
    scene.audio.append(again)
    heard = []
    for number in range(20):
        again.write(again.end, numbered(1, 1000 + number))
        heard.append(scene.listener.frame())
    assert scene.listener.mode is Mode.LIVE
    assert b"".join(frame for frame in heard if frame)[: 10 * FRAME] == numbered(10, 1000)
    assert scene.listener.position == 100 * FRAME + again.end - scene.listener.behind * SECOND


def test_catching_up_runs_from_an_ended_call_into_the_next_without_the_time_between() -> None:
    audio = IncidentAudio([track(tone(440, 3.0), closed=True), track(tone(300, 3.0), after=600.0)])
    assert audio.end == 6 * SECOND
    assert audio.read(3 * SECOND - 80, FRAME) == tone(440, 3.0)[-80:] + tone(300, 1.0)[:80]
    listener = Listener(audio)
    ticks = 0
    while listener.mode is Mode.CATCHING_UP and ticks < 1000:
        listener.frame()
        ticks += 1
    assert ticks / 50 == pytest.approx(4.0, rel=0.05)


def test_the_device_hangs_up_while_an_operator_listens_live_and_calls_again() -> None:
    scene = Scene(talkative(4), numbered(400))
    scene.until(Mode.LIVE)
    scene.run(20)
    scene.track.close()
    scene.run(10)
    assert scene.listener.mode is Mode.ENDED
    assert scene.listener.position == scene.track.end
    scene.audio.append(track(numbered(50), after=60))
    assert scene.listener.frame() == numbered(1)
    assert scene.listener.mode is Mode.LIVE


def test_two_calls_at_the_same_time_are_heard_together() -> None:
    first, second = track(), track(after=0.0)
    audio = IncidentAudio([first, second])
    low, high = tone(300, 4.0, 0.2), tone(700, 4.0, 0.2)
    listener = Listener(audio)
    heard = []
    for start in range(0, len(low), FRAME):
        first.write(start, low[start : start + FRAME])
        second.write(start, high[start : start + FRAME])
        heard.append(listener.frame())
    frame = heard[100]
    assert frame is not None
    position = listener.position - (len(heard) - 100) * FRAME
    both = linear(low[position : position + FRAME]).astype(int) + linear(high[position : position + FRAME])
    assert abs(linear(frame) - both).max() < 500
    first.close()
    alone = [listener.frame() for _ in range(3)]
    assert alone[-1] is None
    second.write(second.end, high[5 : 5 + 4 * FRAME])
    assert listener.frame() == high[5 : 5 + FRAME]  # only one left: untouched


def test_a_second_call_that_begins_during_the_first_lies_where_it_happened() -> None:
    first = track(numbered(500))
    second = track(numbered(50, 9000), after=5.0)
    audio = IncidentAudio([first, second])
    assert [placed.offset for placed in audio.placed] == [0, 5 * SECOND]
    assert audio.end == 10 * SECOND
    assert audio.read(0, FRAME) == numbered(1)


def test_what_an_earlier_process_recorded_lies_before_the_call_of_now() -> None:
    now = track(numbered(50, 500), after=90.0)
    audio = IncidentAudio([now])
    audio.prepend([track(numbered(100), closed=True), track(numbered(100, 100), after=30.0, closed=True)])
    assert [placed.offset for placed in audio.placed] == [0, 100 * FRAME, 200 * FRAME]
    assert audio.placed[-1].track is now
    assert marks(audio.read(0, audio.end)).numbers == [*range(200), *range(500, 550)]


def test_a_track_is_added_only_once() -> None:
    first = track(numbered(5))
    audio = IncidentAudio([first])
    audio.append(first)
    assert len(audio.placed) == 1


def test_audio_of_an_incident_is_silence_before_its_start_and_after_its_end() -> None:
    audio = IncidentAudio([track(numbered(2))])
    assert audio.read(-100, 100) == ALAW_SILENCE * 100
    assert audio.read(300, 40) == numbered(2)[300:] + ALAW_SILENCE * 20
    assert audio.read(5000, 40) == ALAW_SILENCE * 40
    assert not audio.closed
    assert not IncidentAudio().closed


KEYS = st.sampled_from(["tick"] * 12 + ["back", "live", "stall", "hang up", "call again"])


@given(st.lists(KEYS, max_size=120), st.floats(1.05, 3.0))
@settings(max_examples=80, deadline=None)
def test_whatever_is_pressed_and_however_the_device_behaves_the_listener_stays_sane(
    story: list[str], speed: float
) -> None:
    speech = clip("badge")
    tracks = [track(speech[: 2 * SECOND])]
    audio = IncidentAudio(tracks)
    listener = Listener(audio, speed=speed)

    def tick() -> None:
        current = tracks[-1]
        if not current.closed:
            start = current.end % (len(speech) - FRAME)
            current.write(current.end, speech[start : start + FRAME])
        frame = listener.frame()
        assert frame is None or len(frame) == FRAME
        assert 0 <= listener.position <= audio.end
        assert (listener.mode is Mode.ENDED) <= audio.closed

    for event in story:
        if event == "tick":
            for _ in range(10):
                tick()
        elif event == "back":
            listener.back(3.0)
        elif event == "live":
            listener.to_live()
        elif event == "stall":
            for _ in range(10):
                listener.frame()
        elif event == "hang up":
            tracks[-1].close()
        else:
            tracks[-1].close()
            tracks.append(track(after=60.0 * len(tracks)))
            audio.append(tracks[-1])
    tracks[-1].close()
    for _ in range(3000):
        if listener.mode is Mode.ENDED:
            break
        listener.frame()
    assert listener.mode is Mode.ENDED
    assert listener.position == audio.end
