"""Finding again in the original what was heard."""

from datetime import UTC, datetime

import pytest

from voice.media.listening import IncidentAudio, Listener
from voice.media.track import Track
from voice.rtp.codecs import ALAW_SILENCE
from voice.sim.matching import Match, follow, in_order, loud_seconds
from voice.sim.speech import clip, silence


def test_a_sound_is_found_where_it_is() -> None:
    speech = clip("badge")
    found = follow(silence(1.0) + speech[16_000:], speech)
    assert found
    assert all(match.position == pytest.approx(match.heard_at + 1.0) for match in found)


def test_speech_that_was_hurried_is_found_too() -> None:
    speech = clip("badge")
    track = Track(datetime(2026, 3, 1, tzinfo=UTC))
    track.write(0, speech)
    listener = Listener(IncidentAudio([track]), speed=1.5)
    heard = b"".join(listener.frame() or ALAW_SILENCE * 160 for _ in range(200))
    run = in_order(follow(heard, speech), longest_pause=1.5)
    assert len(run) >= 20
    for match in run[:10]:
        assert match.position == pytest.approx(1.5 * match.heard_at, abs=0.1)


def test_other_words_are_hardly_found() -> None:
    words = clip("operator")
    assert len(follow(words, clip("badge"))) / 10 < 0.2 * loud_seconds(words)


def test_silence_is_never_compared() -> None:
    assert follow(silence(2.0), clip("badge")) == []
    assert loud_seconds(silence(2.0)) == 0


def test_what_is_found_in_the_wrong_place_is_left_out_of_the_run() -> None:
    positions = [0.0, 0.15, 6.0, 0.30, 0.1, 0.45, 3.0]
    matches = [Match(index / 10, position, 1.0) for index, position in enumerate(positions)]
    run = in_order(matches, longest_pause=1.0)
    assert [match.position for match in run] == [0.0, 0.15, 0.30, 0.45]
    assert in_order([], longest_pause=1.0) == []
