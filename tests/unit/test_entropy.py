"""Randomness out of the pool is as good as straight from the system."""

from voice.entropy import POOL, PooledRandom


def test_nothing_is_handed_out_twice() -> None:
    source = PooledRandom()
    names = [source.randbytes(12) for _ in range(3 * POOL // 12)]
    assert len(set(names)) == len(names)
    assert {len(name) for name in names} == {12}


def test_two_sources_have_nothing_in_common() -> None:
    first, second = PooledRandom(), PooledRandom()
    assert {first.getrandbits(64) for _ in range(1000)}.isdisjoint(second.getrandbits(64) for _ in range(1000))


def test_all_bits_are_used_and_no_more() -> None:
    source = PooledRandom()
    for bits in (0, 1, 7, 8, 9, 48, 96, 1000, 8 * POOL, 8 * POOL + 1):
        numbers = [source.getrandbits(bits) for _ in range(200)]
        assert max(numbers).bit_length() <= bits
        assert bits == 0 or max(numbers).bit_length() > bits - 8


def test_fractions_are_spread_evenly() -> None:
    source = PooledRandom()
    fractions = [source.random() for _ in range(10_000)]
    assert all(0.0 <= fraction < 1.0 for fraction in fractions)
    assert 0.48 < sum(fractions) / len(fractions) < 0.52


def test_what_python_builds_on_it_works() -> None:
    source = PooledRandom()
    numbers = list(range(100))
    source.shuffle(numbers)
    assert sorted(numbers) == list(range(100))
    assert 1 <= source.randint(1, 6) <= 6
    assert 1.0 <= source.uniform(1.0, 2.0) <= 2.0
