"""Numbers that wrap, by property."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voice.rtp.sequence import SEQUENCE_BITS, TIMESTAMP_BITS, Unwrapper, distance

BITS = st.sampled_from([SEQUENCE_BITS, TIMESTAMP_BITS])


@given(BITS, st.data())
def test_numbers_less_than_half_a_circle_from_the_highest_land_where_they_belong(
    bits: int, data: st.DataObject
) -> None:
    start = data.draw(st.integers(min_value=0, max_value=2**bits - 1))
    half = 2 ** (bits - 1)
    steps = data.draw(st.lists(st.integers(min_value=-half + 1, max_value=half - 1), max_size=30))
    unwrapper = Unwrapper(bits)
    assert unwrapper.unwrap(start) == start
    highest = start
    for step in steps:
        true = highest + step
        assert unwrapper.peek(true % 2**bits) == true
        assert unwrapper.unwrap(true % 2**bits) == true
        highest = max(highest, true)
        assert unwrapper.highest == highest


@given(st.integers(min_value=0, max_value=0xFFFF), st.integers(min_value=0, max_value=2**32))
def test_three_turns_of_shuffled_lossy_duplicated_packets_come_out_in_place(start: int, seed: int) -> None:
    rng = random.Random(seed)
    true = [number for number in range(start, start + 3 * 65_536, 97) if rng.random() > 0.3]
    arrivals = sorted(true + true[::7], key=lambda number: number + rng.uniform(0, 2000))
    unwrapper = Unwrapper(SEQUENCE_BITS)
    turn = arrivals[0] // 65_536 * 65_536
    assert [unwrapper.unwrap(number % 65_536) + turn for number in arrivals] == arrivals


def test_a_number_from_before_the_first_comes_out_lower_even_below_zero() -> None:
    unwrapper = Unwrapper(SEQUENCE_BITS)
    assert unwrapper.unwrap(2) == 2
    assert unwrapper.unwrap(65_535) == -1
    assert unwrapper.unwrap(3) == 3


def test_after_a_reset_a_new_line_begins() -> None:
    unwrapper = Unwrapper(SEQUENCE_BITS)
    unwrapper.unwrap(60_000)
    unwrapper.reset()
    assert unwrapper.highest is None
    assert unwrapper.peek(5) == 5
    assert unwrapper.unwrap(5) == 5


@pytest.mark.parametrize(
    ("later", "earlier", "expected"),
    [(1, 0, 1), (0, 65_535, 1), (65_535, 0, -1), (5, 5, 0), (32_768, 0, -32_768)],
)
def test_distance_takes_the_shorter_way_round(later: int, earlier: int, expected: int) -> None:
    assert distance(later, earlier, SEQUENCE_BITS) == expected
