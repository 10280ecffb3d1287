"""Which operators ring for which alarm."""

from hypothesis import given
from hypothesis import strategies as st

from voice.dispatch import Free, Waiting, assign, next_chance

ANNA, BRAM, CHRIS = Free("anna", 10.0), Free("bram", 5.0), Free("chris", 7.0)


def test_all_free_operators_ring_for_the_first_alarm_in_line() -> None:
    pairs = assign([Waiting("a1"), Waiting("a2")], [ANNA, BRAM], "all", 20.0)
    assert sorted(pairs) == [("a1", "anna"), ("a1", "bram")]


def test_longest_idle_rings_one_operator_for_each_alarm() -> None:
    pairs = assign([Waiting("a1"), Waiting("a2")], [ANNA, BRAM, CHRIS], "longest_idle", 20.0)
    assert pairs == [("a1", "bram"), ("a2", "chris")]


def test_longest_idle_does_not_ring_a_second_phone_for_an_alarm_that_rings() -> None:
    assert assign([Waiting("a1", ringing=frozenset({"dora"}))], [ANNA], "longest_idle", 20.0) == []


def test_an_operator_who_becomes_free_joins_the_ringing() -> None:
    assert assign([Waiting("a1", ringing=frozenset({"dora"}))], [ANNA], "all", 20.0) == [("a1", "anna")]


def test_an_operator_who_gave_an_alarm_back_rings_for_the_next_one_meanwhile() -> None:
    waiting = [Waiting("a1", not_before={"anna": 30.0}), Waiting("a2")]
    assert assign(waiting, [ANNA], "all", 20.0) == [("a2", "anna")]
    assert assign(waiting, [ANNA], "all", 30.0) == [("a1", "anna")]


def test_the_next_chance_is_the_earliest_end_of_a_pause() -> None:
    waiting = [
        Waiting("a1", not_before={"anna": 30.0, "bram": 25.0}),
        Waiting("a2", not_before={"anna": 3.0}),
    ]
    assert next_chance(waiting, 20.0) == 25.0
    assert next_chance([Waiting("a1")], 20.0) is None
    assert next_chance([Waiting("a1", not_before={"anna": float("inf")})], 20.0) is None


@given(
    st.lists(st.dictionaries(st.sampled_from("abcdef"), st.floats(0, 40), max_size=4), min_size=1, max_size=6),
    st.sets(st.sampled_from("abcdef")),
    st.sampled_from(["all", "longest_idle"]),
)
def test_no_operator_rings_twice_and_nobody_free_is_left_idle_beside_an_alarm_he_may_take(pauses, free, policy) -> None:
    waiting = [Waiting(f"i{n}", not_before=pause) for n, pause in enumerate(pauses)]
    pairs = assign(waiting, [Free(o, 0.0) for o in free], policy, 20.0)
    rung = [operator for _, operator in pairs]
    assert len(rung) == len(set(rung))
    assert all(waiting[int(i[1:])].not_before.get(o, 0) <= 20.0 for i, o in pairs)
    taken = {i for i, _ in pairs}
    for alarm in waiting:
        if alarm.incident_id not in taken:
            assert all(alarm.not_before.get(o, 0) > 20.0 for o in free - set(rung))
