"""PINs and amber memos in the store, on SQLite and on PostgreSQL."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from voice.incidents.kinds import Kind
from voice.store import Store, incidents, memos, pins
from voice.store.memos import Memo

AT = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture(params=["sqlite", "postgresql"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    url = f"sqlite:///{tmp_path}/e.db" if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    store = Store(url)
    yield store
    await store.close()


async def test_a_changed_pin_is_kept_and_replaced_and_forgotten(store: Store) -> None:
    for hash in ("one", "two"):
        await store.run(lambda c, hash=hash: pins.change(c, "anna", pins.PIN, hash, AT))
    await store.run(lambda c: pins.change(c, "anna", pins.DURESS, "three", AT))
    assert await store.read(lambda c: pins.credentials(c, "anna")) == {"pin": "two", "duress": "three"}
    assert await store.read(lambda c: pins.credentials(c, "bob")) == {}
    await store.run(lambda c: pins.forget(c, "anna"))
    assert await store.read(lambda c: pins.credentials(c, "anna")) == {}


async def test_failures_are_counted_per_worker_and_within_a_time(store: Store) -> None:
    for n in (2, 0, 1, 1):
        await store.run(lambda c, n=n: pins.fail(c, f"f{n}", "anna", AT + n * HOUR))
    assert await store.read(lambda c: pins.failures(c, "anna", AT)) == {"f1": AT + HOUR, "f2": AT + 2 * HOUR}
    assert await store.read(lambda c: pins.failures(c, "bob", AT)) == {}
    await store.run(lambda c: pins.expire_failures(c, AT + 2 * HOUR))
    assert await store.read(lambda c: pins.failures(c, "anna", AT - HOUR)) == {"f2": AT + 2 * HOUR}


def memo(id: str, made: int = 0, lasts: int = 8) -> Memo:
    made_at = AT + made * HOUR
    return Memo(id, "anna", "s1", f"memos/{id}.wav", made_at, made_at + lasts * HOUR, 12.5)


async def test_the_newest_memo_that_has_not_expired_counts(store: Store) -> None:
    for one in (memo("long", 0, 24), memo("short", 1, 2)):
        for _ in range(2):
            await store.run(lambda c, one=one: memos.keep(c, one))
    assert await store.read(lambda c: memos.newest(c, "anna", AT + 2 * HOUR)) == memo("short", 1, 2)
    assert await store.read(lambda c: memos.newest(c, "anna", AT + 4 * HOUR)) == memo("long", 0, 24)
    assert await store.read(lambda c: memos.newest(c, "anna", AT + 24 * HOUR)) is None
    assert await store.read(lambda c: memos.newest(c, "bob", AT)) is None


async def test_a_memo_is_transcribed_later_and_deleted_when_it_has_expired(store: Store) -> None:
    await store.run(lambda c: memos.keep(c, memo("m")))
    await store.run(lambda c: memos.transcribed(c, "m", "at the pumping station"))
    kept = await store.read(lambda c: memos.memo(c, "m"))
    assert kept is not None
    assert kept.transcript == "at the pumping station"
    assert await store.read(lambda c: memos.expired(c, AT + 7 * HOUR)) == []
    assert [one.id for one in await store.read(lambda c: memos.expired(c, AT + 8 * HOUR))] == ["m"]
    await store.run(lambda c: memos.forget(c, "m"))
    assert await store.read(lambda c: memos.memo(c, "m")) is None


async def test_a_memo_that_was_valid_when_an_incident_of_its_worker_was_opened_never_expires(store: Store) -> None:
    for one in (memo("before", 0, 1), memo("evidence", 1), memo("after", 3)):
        await store.run(lambda c, one=one: memos.keep(c, one))
    for id, worker in (("i1", "anna"), ("i2", "bob"), ("i3", None)):
        opened = partial(
            incidents.open_incident,
            incident_id=id,
            kind=Kind.PANIC,
            priority=1,
            device_id=None,
            worker_id=worker,
            caller=None,
            dialled=None,
            identified_by=None,
            at=AT + (2 if worker == "anna" else 4) * HOUR,
            detail={},
        )
        row = await store.run(opened)
        found = await store.read(partial(memos.of_incident, incident=row))
        assert (found.id if found else None) == ("evidence" if worker == "anna" else None)
    gone = await store.read(partial(memos.expired, now=AT + 100 * HOUR))
    assert [one.id for one in gone] == ["before", "after"]
    assert await store.read(memos.ids) == {"before", "evidence", "after"}
    await store.run(partial(memos.transcribed, id="after", transcript=""))
    waiting = await store.read(partial(memos.untranscribed, now=AT + 2 * HOUR))
    assert [one.id for one in waiting] == ["evidence"]
