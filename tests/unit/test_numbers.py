"""Whether two numbers lead to one telephone."""

import pytest

from voice.numbers import lead_to_one


@pytest.mark.parametrize(
    "other",
    [
        "+31612345678",
        "+31 6 1234-5678",
        "0031612345678",
        "31612345678",
        "0612345678",
        "sip:+31612345678@192.0.2.1;user=phone",
        "SIPS:0612345678@trunk.example:5061",
        "sip:%2B31612345678@192.0.2.1",
    ],
)
def test_a_number_is_one_however_it_is_written(other: str) -> None:
    assert lead_to_one("+31612345678", other)
    assert lead_to_one(other, "+31612345678")


@pytest.mark.parametrize("other", ["+32612345678", "+31612345679", "12345678901", "678", "", "sip:192.0.2.1"])
def test_another_number_is_another_one(other: str) -> None:
    assert not lead_to_one("+31612345678", other)


def test_an_address_is_that_of_its_host_and_a_bare_account_that_of_any() -> None:
    assert lead_to_one("sip:anna@example.org", "sips:ANNA@Example.org:5061;transport=tls")
    assert lead_to_one("sip:anna@example.org", "anna@example.org")
    assert lead_to_one("badge-7", "sip:badge-7@192.0.2.1")
    assert not lead_to_one("sip:101@one.example", "sip:101@other.example")
    assert not lead_to_one("sip:anna@example.org", "sip:bob@example.org")
    assert not lead_to_one("sip:192.0.2.1:5071", "sip:192.0.2.1:5072")
