"""What every store does, on SQLite and on PostgreSQL, with a writer thread and inline: the same suite for each."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, get_args

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import IntegrityError

from voice.errors import LifecycleError, StoreUnavailable, UnknownIncident
from voice.incidents.kinds import Kind
from voice.incidents.lifecycle import Reason, State
from voice.incidents.timeline import Entry, verify
from voice.store import Store
from voice.store import incidents as rows
from voice.store.rows import IncidentRow, Role

AT = datetime(2026, 3, 1, 9, 15, 27, 123456, UTC)


OPEN: dict[str, Callable[..., Store]] = {"threaded": Store, "inline": Store.inline}
STORES = ("sqlite threaded", "sqlite inline", "sqlite in memory", "postgresql threaded", "postgresql inline")


def open_store(request: pytest.FixtureRequest, tmp_path: Path, **options: Any) -> Store:
    database, _, how = request.param.partition(" ")
    if how == "in memory":
        return Store.inline(**options)
    if database == "sqlite":
        return OPEN[how](f"sqlite:///{tmp_path}/folder/earshot.db", **options)
    return OPEN[how](request.getfixturevalue("postgres_url"), **options)


@pytest.fixture(params=STORES)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    store = open_store(request, tmp_path)
    yield store
    await store.close()


class Listener:
    """Hears of timeline entries, and writes something of its own about each."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, int, str]] = []
        self.fault: Exception | None = None

    def __call__(self, connection: Connection, entry: Entry) -> None:
        self.heard.append((entry.incident, entry.sequence, entry.kind))
        rows.save_bindings(connection, {f"{entry.incident}.{entry.sequence}": [{}]})
        if self.fault is not None:
            raise self.fault


@pytest.fixture
def listener() -> Listener:
    return Listener()


@pytest.fixture(params=STORES)
async def north(request: pytest.FixtureRequest, tmp_path: Path, listener: Listener) -> AsyncIterator[Store]:
    """The store of a node, with a listener."""
    store = open_store(request, tmp_path, node="north", on_entry=listener)
    yield store
    await store.close()


def opens(connection: Connection, name: str = "00000001", **changes: Any) -> IncidentRow:
    facts: dict[str, Any] = {
        "incident_id": name,
        "kind": Kind.PANIC,
        "priority": 1,
        "device_id": "badge",
        "worker_id": "anna",
        "caller": "+31612345678",
        "dialled": "101",
        "identified_by": "digest",
        "at": AT,
        "detail": {},
    }
    return rows.open_incident(connection, **(facts | changes))


async def chain_of(store: Store, name: str = "00000001") -> list[Entry]:
    return await store.read(lambda c: rows.timeline(c, name))


# -- transactions --


async def test_a_transaction_gives_back_what_its_function_returns(store: Store) -> None:
    assert await store.run(lambda c: 42) == 42


async def test_what_has_been_written_is_read_at_once(store: Store) -> None:
    for number in range(20):
        name = f"{number:08d}"
        await store.run(lambda c, name=name: opens(c, name))
        assert (await store.read(lambda c, name=name: rows.incident(c, name))).id == name


async def test_transactions_are_carried_out_in_the_order_in_which_they_were_handed_in(store: Store) -> None:
    store.run(opens)
    handed_in = [
        store.run(lambda c, n=n: rows.append(c, "00000001", kind=f"k{n}", detail={}, actor="system", at=AT).sequence)
        for n in range(100)
    ]
    assert await asyncio.gather(*handed_in) == list(range(2, 102))


async def test_a_transaction_that_fails_undoes_itself_and_no_other(store: Store) -> None:
    def fails(connection: Connection) -> None:
        opens(connection, "00000002")
        raise ValueError("on purpose")

    outcomes = await asyncio.gather(
        store.run(opens),
        store.run(fails),
        store.run(lambda c: opens(c, "00000003")),
        return_exceptions=True,
    )
    assert isinstance(outcomes[1], ValueError)
    assert [row.id for row in await store.read(rows.incidents)] == ["00000003", "00000001"]


async def test_a_statement_that_fails_undoes_its_transaction_only(store: Store) -> None:
    outcomes = await asyncio.gather(
        store.run(opens), store.run(opens), store.run(lambda c: opens(c, "00000002")), return_exceptions=True
    )
    assert isinstance(outcomes[1], IntegrityError)
    assert len(await store.read(rows.incidents)) == 2


async def test_a_wrong_statement_is_a_bug_and_not_an_outage(store: Store) -> None:
    with pytest.raises(Exception, match=r"no such table|does not exist"):
        await store.run(lambda c: c.execute(text("SELECT * FROM nowhere")))
    with pytest.raises(Exception, match=r"no such table|does not exist"):
        await store.read(lambda c: c.execute(text("SELECT * FROM nowhere")))


async def test_a_store_that_cannot_commit_says_so_to_everybody_and_writes_nothing(store: Store) -> None:
    store.fail_with(OSError("no space left on device"))
    outcomes = await asyncio.gather(
        *(store.run(lambda c, n=n: opens(c, f"{n:08d}")) for n in range(5)), return_exceptions=True
    )
    assert all(isinstance(outcome, StoreUnavailable) for outcome in outcomes)
    assert "no space left" in str(outcomes[0])
    store.fail_with(None)
    assert await store.read(rows.incidents) == []
    await store.run(opens)
    assert len(await store.read(rows.incidents)) == 1


async def test_what_nobody_waits_for_is_carried_out_soon_or_with_what_comes_next_in_the_same_order(
    store: Store,
) -> None:
    async with asyncio.timeout(5):
        await store.run(opens, urgent=False)
    relaxed = [
        store.run(
            lambda c, n=n: rows.append(c, "00000001", kind=f"k{n}", detail={}, actor="system", at=AT).sequence,
            urgent=n % 2 == 0,
        )
        for n in range(10)
    ]
    assert await asyncio.gather(*relaxed) == list(range(2, 12))


async def test_closing_carries_out_what_was_handed_in(store: Store) -> None:
    handed_in = [store.run(lambda c, n=n: opens(c, f"{n:08d}").id, urgent=n < 40) for n in range(50)]
    await store.close()
    assert await asyncio.gather(*handed_in) == [f"{n:08d}" for n in range(50)]


async def test_a_closed_store_is_unavailable(store: Store) -> None:
    await store.close()
    for call in (store.run, store.read):
        with pytest.raises(StoreUnavailable, match="closed"):
            await call(rows.incidents)


async def test_a_caller_who_stopped_waiting_does_not_disturb_the_others(store: Store) -> None:
    first, second = store.run(opens), store.run(lambda c: opens(c, "00000002"))
    first.cancel()
    assert (await second).id == "00000002"


async def test_each_transaction_is_counted(store: Store) -> None:
    await asyncio.gather(*(store.run(lambda c: None) for _ in range(10)))
    statistics = store.statistics
    assert statistics.transactions == 10
    assert 1 <= statistics.commits <= 10


# -- incidents --


async def test_an_incident_is_opened_with_the_first_entry_of_its_timeline(store: Store) -> None:
    opened = await store.run(lambda c: opens(c, detail={"number": 7}))
    assert opened == await store.read(lambda c: rows.incident(c, "00000001"))
    assert (opened.state, opened.opened_at, opened.taken_by) == (State.OPEN, AT, None)
    (entry,) = await chain_of(store)
    assert (entry.sequence, entry.kind, entry.actor) == (1, "opened", "device:badge")
    assert entry.detail["caller"] == "+31612345678"
    assert entry.detail["number"] == 7


async def test_an_incident_of_an_unknown_caller_is_kept_whatever_bytes_he_sent(store: Store) -> None:
    await store.run(lambda c: opens(c, device_id=None, worker_id=None, caller="a\0b\udcff", dialled="é"))
    row = await store.read(lambda c: rows.incident(c, "00000001"))
    assert row.caller is not None
    assert "\0" not in row.caller
    assert row.dialled == "é"
    assert verify(await chain_of(store)) is None


async def test_the_timeline_is_a_whole_chain_with_details_as_they_were(store: Store) -> None:
    await store.run(opens)
    detail = {"seconds": 0.1 + 0.2, "list": [1, None, True], "text": "é\udcff"}
    await store.run(lambda c: rows.append(c, "00000001", kind="x", detail=detail, actor="system", at=AT))
    entries = await chain_of(store)
    assert entries[1].detail == detail
    assert verify(entries) is None
    assert await store.read(lambda c: rows.timeline(c, "00000001", after=1)) == entries[1:]


async def test_an_entry_for_an_unknown_incident_is_refused(store: Store) -> None:
    with pytest.raises(UnknownIncident):
        await store.run(lambda c: rows.append(c, "nothing", kind="x", detail={}, actor="a", at=AT))
    with pytest.raises(UnknownIncident):
        await store.run(lambda c: rows.transition(c, "nothing", to=State.OPEN, actor="a", at=AT))


CHANGES = {
    "sqlite": ("REPLACE INTO timeline SELECT * FROM timeline",),
    "postgresql": (
        "TRUNCATE timeline",
        "INSERT INTO timeline SELECT * FROM timeline ON CONFLICT (incident_id, sequence) DO UPDATE SET kind = 'x'",
    ),
    "both": (
        "UPDATE timeline SET kind = 'x'",
        "UPDATE timeline SET hash = hash WHERE sequence = 1",
        "DELETE FROM timeline",
    ),
}


async def test_the_database_refuses_to_change_a_timeline(store: Store) -> None:
    await store.run(opens)
    before = await chain_of(store)
    for statement in CHANGES["both"] + CHANGES[await store.run(lambda c: c.dialect.name)]:
        with pytest.raises(IntegrityError, match="append-only"):
            await store.run(lambda c, statement=statement: c.execute(text(statement)))
    assert await chain_of(store) == before


async def test_a_life_from_open_to_resolved_and_reopened_stands_on_the_timeline(store: Store) -> None:
    await store.run(opens)
    steps: list[tuple[State, Reason | None]] = [
        (State.ACKNOWLEDGED, None),
        (State.IN_PROGRESS, None),
        (State.OPEN, None),
        (State.ACKNOWLEDGED, None),
        (State.RESOLVED, Reason.FALSE),
        (State.OPEN, None),
    ]
    seen = []
    for number, (to, reason) in enumerate(steps):
        at = AT + timedelta(seconds=number)
        row = await store.run(
            lambda c, to=to, reason=reason, at=at: rows.transition(
                c, "00000001", to=to, actor="operator:olga", reason=reason, at=at, detail={"note": 1}
            )
        )
        assert row == await store.read(lambda c: rows.incident(c, "00000001"))
        seen.append((row.taken_by, row.acknowledged_at, row.resolved_at, row.reason))
    olga = "operator:olga"
    assert seen == [
        (olga, AT, None, None),
        (olga, AT, None, None),
        (None, AT, None, None),
        (olga, AT, None, None),
        (olga, AT, AT + timedelta(seconds=4), Reason.FALSE),
        (None, None, None, None),
    ]
    entries = await chain_of(store)
    assert [entry.kind for entry in entries] == [
        "opened",
        "acknowledged",
        "in_progress",
        "given_back",
        "acknowledged",
        "resolved",
        "reopened",
    ]
    assert entries[5].detail == {"from": "acknowledged", "to": "resolved", "reason": "false", "note": 1}
    assert verify(entries) is None


async def test_how_an_incident_was_resolved_is_kept_until_it_is_reopened(store: Store) -> None:
    await store.run(opens)

    def change(to: State, **facts: Any) -> Callable[[Connection], IncidentRow]:
        return lambda c: rows.transition(c, "00000001", to=to, actor="operator:olga", at=AT, **facts)

    resolved = await store.run(change(State.RESOLVED, reason=Reason.FALSE, note="sat on his badge\0"))
    assert resolved == await store.read(lambda c: rows.incident(c, "00000001"))
    assert resolved.note == "sat on his badge\ufffd"
    reopened = await store.run(change(State.OPEN))
    assert reopened == await store.read(lambda c: rows.incident(c, "00000001"))
    assert reopened.note is None
    assert [entry.detail.get("note") for entry in await chain_of(store)] == [None, resolved.note, None]


async def test_what_may_raise_one_alarm_only_raises_one(store: Store) -> None:
    def raises(name: str, cause: str | None) -> Callable[[Connection], IncidentRow]:
        return lambda c: opens(c, name, cause_key=cause, customer_id="acme", actor="system", device_id=None)

    first = await store.run(raises("00000001", "nobody reached: 1k3x9a0q"))
    assert first == await store.read(lambda c: rows.incident(c, "00000001"))
    assert (first.customer_id, first.cause_key) == ("acme", "nobody reached: 1k3x9a0q")
    assert [entry.actor for entry in await chain_of(store)] == ["system"]
    with pytest.raises(IntegrityError):
        await store.run(raises("00000002", "nobody reached: 1k3x9a0q"))
    for name in ("00000003", "00000004"):
        await store.run(raises(name, None))
    assert len(await store.read(rows.incidents)) == 3


async def test_a_listener_hears_of_each_entry_and_writes_in_its_transaction(north: Store, listener: Listener) -> None:
    await north.run(opens)
    await north.run(lambda c: rows.transition(c, "00000001", to=State.ACKNOWLEDGED, actor="operator:olga", at=AT))
    await north.run(lambda c: rows.append(c, "00000001", kind="x", detail={}, actor="system", at=AT))
    assert listener.heard == [("00000001", 1, "opened"), ("00000001", 2, "acknowledged"), ("00000001", 3, "x")]
    assert set(await north.read(rows.load_bindings)) == {"00000001.1", "00000001.2", "00000001.3"}


async def test_what_a_listener_refuses_is_not_written(north: Store, listener: Listener) -> None:
    listener.fault = ValueError("on purpose")
    with pytest.raises(ValueError, match="on purpose"):
        await north.run(opens)
    listener.fault = None
    assert await north.read(rows.incidents) == []
    assert await north.read(rows.load_bindings) == {}


async def test_the_second_of_two_who_resolve_is_refused_and_leaves_no_trace(store: Store) -> None:
    await store.run(opens)

    def resolve(connection: Connection) -> IncidentRow:
        return rows.transition(connection, "00000001", to=State.RESOLVED, actor="a", reason=Reason.GENUINE, at=AT)

    outcomes = await asyncio.gather(store.run(resolve), store.run(resolve), return_exceptions=True)
    assert isinstance(outcomes[1], LifecycleError)
    assert [entry.kind for entry in await chain_of(store)] == ["opened", "resolved"]


async def test_the_queue_is_ordered_by_priority_then_age(store: Store) -> None:
    for name, kind, second in (("a", Kind.TEST, 0), ("b", Kind.PANIC, 2), ("c", Kind.PANIC, 1)):
        at = AT + timedelta(seconds=second)
        await store.run(lambda c, n=name, k=kind, at=at: opens(c, n * 8, kind=k, priority=k.priority, at=at))
    assert [row.id[0] for row in await store.read(rows.open_incidents)] == ["c", "b", "a"]
    assert [row.id[0] for row in await store.read(rows.incidents)] == ["b", "c", "a"]
    assert [row.id[0] for row in await store.read(lambda c: rows.incidents(c, limit=1))] == ["b"]
    assert await store.read(lambda c: rows.incidents(c, state=State.RESOLVED)) == []


async def test_an_incident_is_found_by_a_part_of_its_name_if_only_one_fits(store: Store) -> None:
    await store.run(lambda c: opens(c, "1k3x9a0q"))
    await store.run(lambda c: opens(c, "1k3y9a0r"))
    for name in ("1k3x9a0q", "1k3x", "0q", "1K3X"):
        assert (await store.read(lambda c, name=name: rows.incident(c, name))).id == "1k3x9a0q"
    for name, told in (("1k3", "several"), ("zz", "no incident"), ("", "no incident"), ("%", "no incident")):
        with pytest.raises(UnknownIncident, match=told):
            await store.read(lambda c, name=name: rows.incident(c, name))


async def test_linked_incidents_know_each_other_and_say_so_once(store: Store) -> None:
    await store.run(opens)
    await store.run(lambda c: opens(c, "00000002"))
    for a, b in (("00000001", "00000002"), ("00000002", "00000001")):
        await store.run(lambda c, a=a, b=b: rows.link(c, a, b, actor="system", at=AT))
    assert await store.read(lambda c: rows.linked(c, "00000001")) == ["00000002"]
    assert await store.read(lambda c: rows.linked(c, "00000002")) == ["00000001"]
    for name in ("00000001", "00000002"):
        assert [entry.kind for entry in await chain_of(store, name)] == ["opened", "linked"]


# -- legs, recordings, registrations --


def calls(connection: Connection) -> None:
    opens(connection)
    rows.add_leg(
        connection,
        leg_id="leg",
        incident_id="00000001",
        role="device",
        operator_id=None,
        call_id="c\udcff@host",
        peer="udp:192.0.2.1:5060",
        codec="PCMA",
        started_at=AT,
    )
    rows.add_recording(
        connection,
        recording_id="recording",
        incident_id="00000001",
        leg_id="leg",
        direction="received",
        index=0,
        path="/a.wav",
        started_at=AT,
        offset_ms=0,
    )


def finished(connection: Connection, sha256: str = "0" * 64) -> None:
    rows.finish_recording(
        connection, "recording", at=AT, duration_ms=1000, bytes=8140, sha256=sha256, lost_ms=20, complete=True
    )


async def test_what_a_dead_process_left_is_found_until_it_is_finished(store: Store) -> None:
    await store.run(calls)
    left = await store.read(rows.unfinished)
    assert [leg.id for leg in left.legs] == ["leg"]
    assert [recording.id for recording in left.recordings] == ["recording"]
    await store.run(lambda c: rows.end_leg(c, "leg", at=AT, cause="bye"))
    await store.run(finished)
    left = await store.read(rows.unfinished)
    assert (left.legs, left.recordings) == ((), ())
    (leg,) = await store.read(lambda c: rows.legs(c, "00000001"))
    (recording,) = await store.read(lambda c: rows.recordings(c, "00000001"))
    assert (leg.ended_at, leg.cause) == (AT, "bye")
    assert (recording.duration_ms, recording.lost_ms, recording.complete) == (1000, 20, True)


async def test_the_hash_of_a_recording_goes_into_the_chain_once(store: Store) -> None:
    await store.run(calls)
    await store.run(finished)
    await store.run(finished)  # its commit was made, and the answer lost
    opened, recorded = await chain_of(store)
    assert (opened.kind, recorded.kind) == ("opened", "recorded")
    assert recorded.detail == {
        "recording": "recording",
        "leg": "leg",
        "direction": "received",
        "duration_ms": 1000,
        "sha256": "0" * 64,
    }


async def test_a_recording_that_holds_nothing_is_not_on_the_timeline(store: Store) -> None:
    await store.run(calls)
    await store.run(partial(finished, sha256=""))
    assert [entry.kind for entry in await chain_of(store)] == ["opened"]
    assert (await store.read(rows.unfinished)).recordings == ()


async def test_a_node_finds_what_it_left_and_what_nodes_left_that_are_gone(north: Store) -> None:
    await north.run(calls)
    (leg,) = await north.read(lambda c: rows.legs(c, "00000001"))
    (recording,) = await north.read(lambda c: rows.recordings(c, "00000001"))
    assert (leg.node, recording.node) == ("north", "north")
    for node, found in (("north", 1), ("south", 0), (["south", "north"], 1), ([], 0), (None, 1)):
        left = await north.read(lambda c, node=node: rows.unfinished(c, node))
        assert (len(left.legs), len(left.recordings)) == (found, found), node


async def test_what_was_written_for_no_node_is_everybodys(store: Store) -> None:
    await store.run(calls)
    assert len((await store.read(lambda c: rows.unfinished(c, "north"))).legs) == 1


async def test_a_leg_says_which_contact_it_rings(store: Store) -> None:
    await store.run(opens)
    for number, role in enumerate(get_args(Role)):
        leg = {"leg_id": str(number), "incident_id": "00000001", "role": role, "operator_id": None, "call_id": "c"}
        more = {"peer": "p", "codec": None, "started_at": AT, "contact_id": f"{role}-1"}
        await store.run(lambda c, values=leg | more: rows.add_leg(c, **values))
    legs = await store.read(lambda c: rows.legs(c, "00000001"))
    assert [(leg.role, leg.contact_id) for leg in legs] == [(role, f"{role}-1") for role in get_args(Role)]


async def test_the_first_end_of_a_leg_stands(store: Store) -> None:
    await store.run(calls)
    await store.run(lambda c: rows.end_leg(c, "leg", at=AT, cause="bye"))
    await store.run(lambda c: rows.end_leg(c, "leg", at=AT + timedelta(hours=1), cause="lost"))
    (leg,) = await store.read(lambda c: rows.legs(c, "00000001"))
    assert (leg.ended_at, leg.cause) == (AT, "bye")


async def test_a_leg_needs_its_incident(store: Store) -> None:
    with pytest.raises(IntegrityError):
        await store.run(
            lambda c: rows.add_leg(
                c,
                leg_id="leg",
                incident_id="nothing",
                role="device",
                operator_id=None,
                call_id="c",
                peer="p",
                codec=None,
                started_at=AT,
            )
        )


async def test_registrations_of_a_user_are_replaced_and_others_left_alone(store: Store) -> None:
    await store.run(lambda c: rows.save_bindings(c, {"olga": [{"uri": "a"}, {"uri": "b"}], "piet": [{"q": 0.5}]}))
    await store.run(lambda c: rows.save_bindings(c, {"olga": [{"uri": "c"}]}))
    assert await store.read(rows.load_bindings) == {"olga": [{"uri": "c"}], "piet": [{"q": 0.5}]}
    await store.run(lambda c: rows.save_bindings(c, {"olga": []}))
    assert await store.read(rows.load_bindings) == {"piet": [{"q": 0.5}]}
