"""Thousands of keys over lines that lose packets and let them overtake each other: what a leg makes of them.

The wire formats of real phones are tried in `tests/interop/test_keys.py`; the figures that need many keys stand here,
in virtual time.
"""

import random

import pytest

from tests.unit.media.bad_lines import Line, Typist, mistakes, recognised
from voice.rtp.events import DIGITS

CALLS, KEYS = 32, 12
RHYTHMS = [(0.05, 0.05), (0.07, 0.05), (0.1, 0.1), (0.16, 0.1)]
"""Seconds of tone and of pause: the fastest that any phone sends, and what they usually do."""
WAYS = {
    "tones": Typist(inband=True),
    "events": Typist(events=True),
    "events behind a rest of the tone": Typist(events=True, residue=0.03),
    "events and tones": Typist(events=True, inband=True),
}


def typed(seed: int) -> tuple[str, float, float, float]:
    """What is keyed in one call, and how: keys, tone, pause, and where in the stream of packets the first key is."""
    dice = random.Random(seed)
    keys = "".join(dice.choice(DIGITS[:12]) for _ in range(KEYS))
    on, off = RHYTHMS[seed % len(RHYTHMS)]
    return ("00" + keys[2:] if seed % 3 == 0 else keys), on, off, 0.5 + 0.02 * dice.random()


def share_of_mistakes(way: str, loss: float, jitter: float) -> float:
    """Keys missed, doubled, mistaken or swapped, out of all."""
    wrong = 0
    for seed in range(CALLS):
        keys, on, off, begins = typed(seed)
        typist = WAYS[way].typing(on, off, begins)
        wrong += mistakes("".join(symbol for _, symbol in recognised(typist, Line(loss, jitter, seed), keys)), keys)
    return wrong / (CALLS * KEYS)


@pytest.mark.parametrize("jitter", [0.0, 0.04, 0.2])
@pytest.mark.parametrize(("loss", "tolerated"), [(0.0, 0.0), (0.01, 0.01), (0.05, 0.03)])
@pytest.mark.parametrize("way", list(WAYS))
def test_keys_are_recognised_whatever_the_line_does(way: str, loss: float, tolerated: float, jitter: float) -> None:
    """All of them where nothing is lost, 99 % where one packet in a hundred is."""
    assert share_of_mistakes(way, loss, jitter) <= tolerated


@pytest.mark.parametrize("way", list(WAYS))
def test_a_double_zero_typed_as_fast_as_can_be_is_two_digits(way: str) -> None:
    for begins in (0.5, 0.505, 0.51, 0.517):
        typist = WAYS[way].typing(0.05, 0.05, begins)
        assert [symbol for _, symbol in recognised(typist, Line(), "00")] == ["0", "0"]


@pytest.mark.parametrize("late", [0.0, 0.15, 0.6])
@pytest.mark.parametrize("way", list(WAYS))
def test_a_key_that_also_comes_by_info_counts_once(way: str, late: float) -> None:
    """INFO that takes its time, also longer than the next key does; packets that are lost and late besides."""
    for seed in range(8):
        keys, on, off, begins = typed(seed)
        typist = WAYS[way].typing(on, off, begins)
        infos = [(typist.start(number) + on + late, key) for number, key in enumerate(keys)]
        found = recognised(typist, Line(loss=0.01, jitter=0.1, seed=seed), keys, infos)
        assert "".join(symbol for _, symbol in found) == keys


def test_on_a_good_line_a_key_is_known_before_it_is_let_go() -> None:
    for way in ("tones", "events"):
        typist = WAYS[way].typing(0.1, 0.1, 0.5)
        for number, (at, _) in enumerate(recognised(typist, Line(), "159#")):
            assert at - typist.start(number) <= 0.08
