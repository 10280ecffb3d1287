"""Which open incident a call belongs to, and what waits for an operator."""

import pytest

from voice.live_incidents import Key, unknown_caller


def test_an_unknown_caller_is_known_by_number_and_host() -> None:
    assert unknown_caller("Bob", "192.0.2.1") == unknown_caller("bob", "192.0.2.1")
    assert unknown_caller("bob", "192.0.2.1") != unknown_caller("bob", "192.0.2.2")


@pytest.mark.parametrize("name", ["", "anonymous", "Anonymous", "unknown", "restricted", "unavailable"])
def test_an_anonymous_caller_is_known_by_nothing(name: str) -> None:
    assert unknown_caller(name, "192.0.2.1") == Key(None, None)
