"""Clips one after the other, without a gap, and out of the way within one frame."""

from hypothesis import given
from hypothesis import strategies as st

from voice.media.player import Player
from voice.media.tones import Sound, clip
from voice.rtp.codecs import ALAW_SILENCE
from voice.sim.speech import tone


def frames(player: Player, count: int) -> list[bytes | None]:
    return [player.frame() for _ in range(count)]


@given(st.lists(st.binary(max_size=500), max_size=8))
def test_clips_of_any_length_follow_each_other_without_a_gap(clips: list[bytes]) -> None:
    player, done = Player(), []
    for number, audio in enumerate(clips):
        player.play(audio, lambda finished, number=number: done.append((number, finished)))
    whole = b"".join(clips)
    assert player.queued == len(whole) / 8000
    heard = b""
    while (frame := player.frame()) is not None:
        assert len(frame) == 160
        heard += frame
    assert heard == whole.ljust(len(heard), ALAW_SILENCE)
    assert len(heard) - len(whole) < 160
    assert done == [(number, True) for number in range(len(clips))]
    assert not player.playing


def test_an_idle_player_is_silent() -> None:
    assert Player().frame() is None


def test_done_is_called_with_the_last_sample() -> None:
    player, done = Player(), []
    playback = player.play(clip(Sound.MARK), done.append)
    count = len(clip(Sound.MARK)) // 160
    frames(player, count - 1)
    assert not done
    assert playback.outcome is None
    frames(player, 1)
    assert done == [True]
    assert playback.outcome is True
    assert playback.left == 0


def test_what_done_plays_follows_without_a_gap() -> None:
    player = Player()
    player.play(b"\x11" * 160, lambda finished: player.play(b"\x22" * 160) and None)
    assert frames(player, 3) == [b"\x11" * 160, b"\x22" * 160, None]


def test_a_stopped_clip_fades_within_one_frame() -> None:
    player, done = Player(), []
    player.play(tone(440, 2.0), done.append)
    player.play(tone(440, 2.0), done.append)
    frames(player, 10)
    player.stop()
    assert done == [False, False]
    fading, after = frames(player, 2)
    assert fading is not None
    assert fading[-2:] in (ALAW_SILENCE * 2, b"\x55\x55", b"\xd5\x55", b"\x55\xd5")
    assert after is None
    player.stop()
    assert done == [False, False]


def test_a_clip_that_was_not_heard_yet_is_stopped_without_a_trace() -> None:
    player = Player()
    player.play(tone(440, 1.0)).stop()
    assert frames(player, 1) == [None]


def test_stopping_one_clip_lets_the_next_one_move_up() -> None:
    player, done = Player(), []
    first = player.play(b"\x11" * 1600, done.append)
    waiting = player.play(b"\x22" * 1600)
    player.play(b"\x33" * 160)
    frames(player, 1)
    first.stop()
    waiting.stop()
    waiting.stop()
    assert (first.outcome, waiting.outcome) == (False, False)
    _, following, after = frames(player, 3)
    assert following == b"\x33" * 160
    assert after is None
    assert done == [False]


def test_stopping_a_clip_that_is_over_changes_nothing() -> None:
    player, done = Player(), []
    playback = player.play(b"\x11" * 160, done.append)
    frames(player, 2)
    playback.stop()
    assert done == [True]
    assert playback.outcome is True
