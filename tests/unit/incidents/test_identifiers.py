"""Names of incidents: short, dialable, in order of time, never twice."""

from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voice.incidents.identifiers import ALPHABET, LENGTH, SLOTS, Identifiers

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


@given(st.integers(0, 2**32), st.lists(st.tuples(st.integers(0, SLOTS - 1), st.integers(-5, 20)), max_size=400))
def test_nodes_never_give_the_same_name_and_each_gives_greater_ones(seed: int, asked: list[tuple[int, int]]) -> None:
    nodes = [Identifiers(Random(seed), slot) for slot in range(SLOTS)]
    names = [(slot, nodes[slot].new(START + timedelta(seconds=second))) for slot, second in asked]
    assert len({name for _, name in names}) == len(names)
    for slot in range(SLOTS):
        of_one = [name for whose, name in names if whose == slot]
        assert of_one == sorted(of_one)


def test_nodes_that_start_from_the_same_seed_give_different_names_from_the_first_second_on() -> None:
    before_all_names = datetime(2024, 1, 1, tzinfo=UTC)
    names = {Identifiers(Random(1), slot).new(before_all_names) for slot in range(SLOTS)}
    assert len(names) == SLOTS


@given(st.integers(0, 2**32), st.integers(0, SLOTS - 1), st.integers(0, 20), st.integers(1, 20))
def test_a_node_that_learns_its_slot_late_goes_on_with_greater_names(
    seed: int, slot: int, before: int, after: int
) -> None:
    identifiers = Identifiers(Random(seed))
    names = [identifiers.new(START) for _ in range(before)]
    identifiers.take(slot)
    late = [identifiers.new(START) for _ in range(after)]
    assert names + late == sorted({*names, *late})
    assert {ALPHABET.index(name[-1]) % SLOTS for name in late} == {slot}


def test_a_slot_that_no_name_has_room_for_is_refused() -> None:
    with pytest.raises(ValueError, match="0 to 7"):
        Identifiers(Random(1), SLOTS)
