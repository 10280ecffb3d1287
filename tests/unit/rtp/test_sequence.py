"""Numbers that wrap, by property."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voice.rtp.sequence import SEQUENCE_BITS, TIMESTAMP_BITS, distance


@given(st.sampled_from([SEQUENCE_BITS, TIMESTAMP_BITS]), st.data())
def test_a_step_of_less_than_half_a_circle_is_measured_wherever_the_wrap_falls(bits: int, data: st.DataObject) -> None:
    half = 2 ** (bits - 1)
    start = data.draw(st.integers(min_value=0, max_value=2**bits - 1))
    step = data.draw(st.integers(min_value=-half, max_value=half - 1))
    assert distance((start + step) % 2**bits, start, bits) == step


@pytest.mark.parametrize(
    ("later", "earlier", "expected"),
    [(1, 0, 1), (0, 65_535, 1), (65_535, 0, -1), (5, 5, 0), (32_768, 0, -32_768)],
)
def test_distance_takes_the_shorter_way_round(later: int, earlier: int, expected: int) -> None:
    assert distance(later, earlier, SEQUENCE_BITS) == expected
