"""PINs: both hashes always, a lock-out that never blocks a duress PIN and never tells."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any

import pytest
from argon2 import PasswordHasher

from config.models import Worker
from voice.check_in import pins
from voice.check_in.pins import (
    FAILURES,
    WITHIN,
    Change,
    Hashes,
    Pins,
    Verdict,
    compare,
    hashed,
    judge,
    locked,
    unsuitable,
)
from voice.errors import StoreUnavailable
from voice.journal import Journal
from voice.store import Store
from voice.store import pins as rows

NOW = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
QUICK = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


class Day:
    def __init__(self) -> None:
        self.at = NOW

    def now(self) -> datetime:
        return self.at


class Desk:
    """PINs on a store, and a worker with two of them."""

    def __init__(self) -> None:
        self.store = Store.inline()
        self.journal = Journal(self.store)
        self.clock = Day()
        self.executor = ThreadPoolExecutor(1)
        self.pins = Pins(self.store, self.journal, self.clock, self.executor)
        self.anna = Worker(id="anna", name="Anna", pin=QUICK.hash("4729"), duress_pin=QUICK.hash("4728"))

    async def enters(self, *entries: str) -> list[Verdict]:
        return [(await self.pins.check(self.anna, entry)).verdict for entry in entries]

    async def is_locked(self, *entries: str) -> list[bool]:
        return [(await self.pins.check(self.anna, entry)).locked for entry in entries]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pins, "HASHER", QUICK)


@pytest.fixture
def desk() -> Iterator[Desk]:
    desk = Desk()
    yield desk
    desk.executor.shutdown()


# -- rules --


def test_an_entry_is_judged_by_what_it_fits_and_duress_goes_first() -> None:
    assert {
        (fits, duress, lock): judge(fits, duress, lock) for fits, duress, lock in product((False, True), repeat=3)
    } == {
        (False, False, False): Verdict.WRONG,
        (False, False, True): Verdict.WRONG,
        (True, False, False): Verdict.PIN,
        (True, False, True): Verdict.WRONG,
        (False, True, False): Verdict.DURESS,
        (False, True, True): Verdict.DURESS,
        (True, True, False): Verdict.DURESS,
        (True, True, True): Verdict.DURESS,
    }


def test_ten_failures_within_an_hour_lock_and_the_hour_passes() -> None:
    failures = [NOW + timedelta(minutes=n) for n in range(FAILURES)]
    assert not locked(failures[1:], failures[-1])
    assert locked(failures, failures[-1])
    assert locked(failures, NOW + WITHIN - timedelta(seconds=1))
    assert not locked(failures, NOW + WITHIN)


def test_a_clock_that_was_set_back_does_not_unlock() -> None:
    assert locked([NOW] * FAILURES, NOW - timedelta(days=1))


@pytest.mark.parametrize("pin", ["4729", "4200", "1122", "1234567980", "9090"])
def test_a_pin_has_four_to_ten_digits(pin: str) -> None:
    assert unsuitable(pin) is None


@pytest.mark.parametrize("pin", ["", "472", "12345678901", "47a9", "٤٧٢٩", "1111", "1234", "9876", "7890", "2109"])
def test_a_pin_that_anybody_tries_first_will_not_do(pin: str) -> None:
    assert unsuitable(pin) is not None


@pytest.mark.parametrize("pin", ["0042", "00427", "0729", "0000", "0815471199"])
def test_a_pin_that_begins_as_duress_keys_do_will_not_do_whichever_they_are(pin: str) -> None:
    """What is refused tells nothing of a worker's own keys."""
    why = unsuitable(pin)
    assert why is not None
    assert "begins with 0" in why


# -- hashes --


def test_a_hash_says_nothing_of_its_pin_and_fits_it_alone() -> None:
    one, two = hashed("4729"), hashed("4729")
    assert one != two
    assert "4729" not in one
    assert compare(Hashes(one, two), "4729") == (True, True)
    assert compare(Hashes(one, hashed("4728")), "4728") == (False, True)
    assert compare(Hashes(one, None), "4720") == (False, False)


@pytest.mark.parametrize("hashes", [Hashes(), Hashes("pin"), Hashes(None, "duress"), Hashes("pin", "duress")])
def test_both_hashes_are_computed_whatever_there_is(hashes: Hashes, monkeypatch: pytest.MonkeyPatch) -> None:
    computed: list[str] = []
    kept = {"pin": QUICK.hash("4729"), "duress": QUICK.hash("4728")}
    hashes = Hashes(kept.get(hashes.pin or ""), kept.get(hashes.duress or ""))

    class Counting:
        def verify(self, hash: str, entered: str) -> bool:
            computed.append(hash)
            return QUICK.verify(hash, entered)

    monkeypatch.setattr(pins, "HASHER", Counting())
    for entered in ("4729", "4728", "0000", ""):
        computed.clear()
        compare(hashes, entered)
        assert len(computed) == 2
        if hashes != Hashes():
            assert len({hash.rsplit("$", 2)[0] for hash in computed}) == 1, "at the same cost"


def test_a_hash_that_cannot_be_read_fits_nothing() -> None:
    assert compare(Hashes("$argon2id$v=19$m=8,t=1,p=1$!!$!!", None), "4729") == (False, False)


def test_the_cost_is_that_of_the_documents() -> None:
    assert pins.hashed.__module__ == "voice.check_in.pins"
    assert "m=8192,t=2,p=1" in pins._OURS


# -- with a store --


async def test_a_pin_a_duress_pin_and_a_wrong_one_are_told_apart(desk: Desk) -> None:
    assert await desk.enters("4729", "4728", "4720") == [Verdict.PIN, Verdict.DURESS, Verdict.WRONG]


async def test_nobody_at_all_is_compared_too(desk: Desk) -> None:
    assert (await desk.pins.check(None, "4729")).verdict is Verdict.WRONG
    assert (await desk.pins.check(Worker(id="bob", name="Bob"), "4729")).verdict is Verdict.WRONG


async def test_while_a_worker_is_locked_no_entry_is_let_in_and_his_duress_pin_is_heard(desk: Desk) -> None:
    assert await desk.is_locked("4729", "4728") == [False, False]
    await desk.enters(*["0000"] * FAILURES)
    assert await desk.enters("4729", "4728", "4729") == [Verdict.WRONG, Verdict.DURESS, Verdict.WRONG]
    assert await desk.is_locked("4729", "4728", "1357") == [True, True, True]
    desk.clock.at += WITHIN
    assert await desk.enters("4729") == [Verdict.PIN]
    assert await desk.is_locked("4728") == [False]


async def test_the_right_pin_of_a_locked_worker_is_no_further_failure(desk: Desk) -> None:
    await desk.enters(*["0000"] * FAILURES)
    desk.clock.at += WITHIN / 2
    await desk.enters("4729", "4729")
    desk.clock.at += WITHIN / 2
    assert await desk.enters("4729") == [Verdict.PIN]


async def test_failures_are_kept_over_a_restart_and_counted_per_worker(desk: Desk) -> None:
    await desk.enters(*["0000"] * FAILURES)
    desk.pins = Pins(desk.store, desk.journal, desk.clock, desk.executor)
    assert await desk.enters("4729") == [Verdict.WRONG]
    bob = desk.anna.model_copy(update={"id": "bob"})
    assert (await desk.pins.check(bob, "4729")).verdict is Verdict.PIN


async def test_nothing_of_an_entry_is_written(desk: Desk) -> None:
    await desk.enters("8315")
    (row,) = await desk.store.read(lambda c: c.exec_driver_sql("SELECT * FROM failures").all())
    assert "8315" not in str(tuple(row)[1:])
    assert row.worker_id == "anna"


async def test_a_pin_that_was_changed_counts_instead_of_that_of_the_configuration(desk: Desk) -> None:
    assert await desk.pins.change(desk.anna, "5638") is Change.CHANGED
    assert await desk.enters("4729", "5638", "4728") == [Verdict.WRONG, Verdict.PIN, Verdict.DURESS]
    await desk.store.run(lambda c: rows.forget(c, "anna"))
    assert await desk.enters("4729") == [Verdict.PIN]


@pytest.mark.parametrize("new", ["1234", "12", "0042"])
async def test_what_anybody_tries_first_cannot_become_his_pin(desk: Desk, new: str) -> None:
    assert await desk.pins.change(desk.anna, new) is Change.UNSUITABLE
    assert await desk.enters("4729") == [Verdict.PIN]


@pytest.mark.parametrize("changed_before", [False, True])
async def test_his_duress_pin_as_a_new_pin_changes_nothing(desk: Desk, changed_before: bool) -> None:
    pin = "5638" if changed_before else "4729"
    if changed_before:
        await desk.pins.change(desk.anna, pin)
    assert await desk.pins.change(desk.anna, "4728") is Change.KEPT
    assert await desk.enters(pin, "4728") == [Verdict.PIN, Verdict.DURESS]
    desk.pins = Pins(desk.store, desk.journal, desk.clock, desk.executor)
    assert await desk.enters(pin, "4728") == [Verdict.PIN, Verdict.DURESS]


async def test_his_duress_pin_as_a_new_pin_is_hashed_and_written_as_any_other(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    work: list[str] = []

    class Counting:
        def verify(self, hash: str, entered: str) -> bool:
            work.append("verify")
            return QUICK.verify(hash, entered)

        def hash(self, pin: str) -> str:
            work.append("hash")
            return QUICK.hash(pin)

    write = desk.store.run

    def counted(function: Any) -> Any:
        work.append("write")
        return write(function)

    monkeypatch.setattr(pins, "HASHER", Counting())
    monkeypatch.setattr(desk.store, "run", counted)
    told = []
    for new in ("4728", "5638"):
        work.clear()
        await desk.pins.change(desk.anna, new)
        told.append(list(work))
    assert told[0] == told[1] == ["verify", "verify", "hash", "write"]


async def test_while_the_store_is_away_no_pin_is_changed_whichever_it_is(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(function: object) -> None:
        raise StoreUnavailable("away")

    monkeypatch.setattr(desk.store, "run", away)
    for new in ("4728", "5638"):
        with pytest.raises(StoreUnavailable):
            await desk.pins.change(desk.anna, new)


async def test_while_the_store_is_away_what_is_known_counts(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    await desk.pins.change(desk.anna, "5638")

    def away(function: object) -> None:
        raise StoreUnavailable("away")

    monkeypatch.setattr(desk.store, "read", away)
    assert await desk.enters("5638", *["0000"] * FAILURES, "5638", "4728") == [
        Verdict.PIN,
        *[Verdict.WRONG] * (FAILURES + 1),
        Verdict.DURESS,
    ]
