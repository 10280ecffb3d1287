"""Names of incidents: short, dialable, in order of time, never twice."""

from datetime import UTC, datetime, timedelta
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from voice.incidents.identifiers import ALPHABET, LENGTH, Identifiers

START = datetime(2026, 3, 1, tzinfo=UTC)


@given(st.integers(0, 2**32), st.lists(st.integers(-5, 100_000), min_size=1, max_size=200))
def test_each_name_is_new_and_greater_even_if_the_clock_steps_back(seed: int, seconds: list[int]) -> None:
    identifiers = Identifiers(Random(seed))
    names = [identifiers.new(START + timedelta(seconds=second)) for second in seconds]
    assert names == sorted(set(names))


def test_a_mass_incident_within_one_second_gets_as_many_names() -> None:
    identifiers = Identifiers(Random(1))
    assert len({identifiers.new(START) for _ in range(5000)}) == 5000


@given(st.datetimes(datetime(2025, 1, 1), datetime(2058, 12, 31)))
def test_a_name_has_eight_letters_and_digits(at: datetime) -> None:
    name = Identifiers(Random(1)).new(at.replace(tzinfo=UTC))
    assert len(name) == LENGTH
    assert set(name) <= set(ALPHABET)


def test_later_names_of_another_process_sort_later() -> None:
    first = Identifiers(Random(1)).new(START)
    assert first < Identifiers(Random(2)).new(START + timedelta(seconds=2))
