"""A limit on what strangers may ask for."""

from voice.ratelimit import RateLimit


def test_a_burst_passes_and_then_the_rate_rules() -> None:
    limit = RateLimit(60)
    assert all(limit.allows("192.0.2.1", 0.0) for _ in range(60))
    assert not limit.allows("192.0.2.1", 0.0)
    assert limit.allows("192.0.2.1", 1.0)
    assert not limit.allows("192.0.2.1", 1.5)


def test_one_source_does_not_use_up_the_limit_of_another() -> None:
    limit = RateLimit(1)
    assert limit.allows("192.0.2.1", 0.0)
    assert limit.allows("192.0.2.2", 0.0)
    assert not limit.allows("192.0.2.1", 0.1)


def test_zero_means_no_limit() -> None:
    limit = RateLimit(0)
    assert all(limit.allows("192.0.2.1", 0.0) for _ in range(1000))


def test_memory_is_bounded_however_many_sources_there_are() -> None:
    limit = RateLimit(1, sources=10)
    for n in range(1000):
        limit.allows(f"192.0.2.{n}", float(n))
    assert len(limit._buckets) == 10
