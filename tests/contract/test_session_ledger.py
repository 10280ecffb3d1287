"""What every ledger of sessions does, in SQL and in memory: the same suite for each."""

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from config.models import Settings
from ivr.schedule import begin, decide
from ivr.session import Confirmed, Due, Ended, Extended, How, MemoLeft, Note, Origin, Phase, Renewed, Rules, Session
from voice.check_in.ledger import Claimed, Decided, Ledger, Left, Letter, Opening, event_text, read_event, unclaimed
from voice.check_in.requests import Asked, Requests
from voice.cli.deciding import writing
from voice.errors import Fenced, OutOfOrder, UnknownSession
from voice.owned.ledger import NOBODY, Claim, Fence
from voice.sim.database import Connected
from voice.sim.session_ledger import MemorySessionLedger, SessionDatabase
from voice.store import Store, nodes
from voice.store.reading import reading
from voice.store.sessions import (
    SqlSessionLedger,
    SqlSessionRows,
    latest_sessions,
    named,
    open_sessions,
    session,
    session_log,
)

AT = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


@dataclass
class Bench:
    """A ledger, how nodes live beside it, and what stands in the log of a session."""

    ledger: Ledger
    beat: Callable[[Any, str, float, datetime], object]
    log: Callable[[Any, str], list[str]]

    async def run(self, function: Callable[..., Any], *args: Any, **named: Any) -> Any:
        return await self.ledger.run(lambda connection: function(connection, *args, **named))

    async def opens(self, id: str = "one", worker: str = "anna", node: str = "a", at: datetime = AT) -> str | None:
        """A session, owned by `node`."""
        found: str | None = await self.run(self.ledger.open, opening(id, worker, node, at))
        return found

    async def decides(self, before: Session, after: Session, epoch: int = 1, node: str = "a", **changes: Any) -> None:
        decided = Decided(Fence(before.id, node, epoch), before.decisions, after, (Note("noted"),), AT)
        await self.run(self.ledger.record, replace(decided, **changes))

    async def claims(self, node: str, at: datetime = AT, **claim: Any) -> list[Claimed]:
        found: list[Claimed] = await self.run(self.ledger.claim, Claim(node, at, **claim))
        return found

    async def lives(self, node: str, seconds: float = 60.0) -> None:
        await self.run(self.beat, node, seconds, AT)

    async def letters(self, node: str) -> list[Letter]:
        found: list[Letter] = await self.run(self.ledger.letters, node, AT)
        return found


def a_session(id: str = "one", worker: str = "anna", at: datetime = AT) -> Session:
    return begin(id, worker, Origin.WORKER, Rules(), now=at, ends_at=at + 8 * HOUR).session


def opening(id: str, worker: str, node: str, at: datetime = AT) -> Opening:
    return Opening(Fence(id, node, 1), a_session(id, worker, at), (Note("began", {"why": "so"}),), at)


def ended(before: Session) -> Session:
    return decide(before, Ended(), AT).session


def in_memory(sole: bool) -> Bench:
    return Bench(
        MemorySessionLedger(Connected(SessionDatabase()), sole=sole),
        lambda t, node, seconds, at: t.beat(node, seconds, at),
        lambda t, id: [note.kind for note in t.session_log.get(id, ())],
    )


def in_sql(store: Store, sole: bool) -> Bench:
    return Bench(
        SqlSessionLedger(store, sole=sole),
        lambda c, node, seconds, at: nodes.enroll(c, node, at, seconds),
        lambda c, id: [entry.kind for entry in session_log(c, id)],
    )


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
async def make(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Callable[[bool], Bench]]:
    if request.param == "memory":
        yield in_memory
        return
    url = f"sqlite:///{tmp_path}/e.db" if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    store = Store(url)
    yield partial(in_sql, store)
    await store.close()


@pytest.fixture
def bench(make: Callable[[bool], Bench]) -> Bench:
    """Several nodes share the store."""
    return make(False)


@pytest.fixture
def sole(make: Callable[[bool], Bench]) -> Bench:
    """One process has the store for itself."""
    return make(True)


# -- one session --


async def test_what_was_begun_is_taken_up_as_it_was(bench: Bench) -> None:
    assert await bench.opens() is None
    assert await bench.claims("b") == [Claimed(a_session(), 2)]
    assert await bench.run(bench.log, "one") == ["began"]


async def test_beginning_again_changes_nothing(bench: Bench) -> None:
    await bench.opens()
    assert await bench.opens() is None
    assert await bench.run(bench.log, "one") == ["began"]


async def test_what_another_node_began_is_not_begun_again(bench: Bench) -> None:
    await bench.opens(node="a")
    assert await bench.opens(node="b") == "one"
    assert await bench.run(bench.ledger.fences, ["one"]) == {"one": Fence("one", "a", 1)}


async def test_what_an_earlier_process_of_this_node_began_is_not_begun_again_and_keeps_its_state(bench: Bench) -> None:
    await bench.opens()
    over = ended(a_session())
    await bench.decides(a_session(), over)
    later = AT + HOUR  # the store was away when this process started: it could not know
    assert [await bench.opens(at=later) for _ in range(2)] == ["one", "one"]
    with pytest.raises(Fenced):
        await bench.decides(a_session(at=later), decide(a_session(at=later), MemoLeft("memo"), later).session)
    assert await bench.run(bench.ledger.session, "one") == over


async def test_a_worker_has_one_open_session(bench: Bench) -> None:
    await bench.opens("one")
    assert await bench.opens("two") == "one"
    assert await bench.opens("three", worker="bob") is None
    await bench.decides(a_session(), ended(a_session()))
    assert await bench.opens("two") is None


async def test_a_decision_is_written_with_its_notes(bench: Bench) -> None:
    await bench.opens()
    after = decide(a_session(), MemoLeft("memo"), AT).session
    await bench.decides(a_session(), after)
    assert await bench.claims("b") == [Claimed(after, 2)]
    assert await bench.run(bench.log, "one") == ["began", "noted"]


async def test_writing_a_decision_again_changes_nothing(bench: Bench) -> None:
    await bench.opens()
    after = decide(a_session(), MemoLeft("memo"), AT).session
    for _ in range(2):
        await bench.decides(a_session(), after)
    assert await bench.run(bench.log, "one") == ["began", "noted"]


async def test_decisions_are_written_in_their_order(bench: Bench) -> None:
    await bench.opens()
    first = decide(a_session(), MemoLeft("a"), AT).session
    with pytest.raises(OutOfOrder):
        await bench.decides(first, decide(first, MemoLeft("b"), AT).session)


async def test_a_state_can_stand_in_for_decisions_that_were_refused(bench: Bench) -> None:
    await bench.opens()
    third = replace(a_session(), decisions=4)
    await bench.decides(a_session(), third, previous=None)
    assert (await bench.claims("b"))[0].session == third


async def test_a_decision_on_a_session_that_is_not_there_is_refused(bench: Bench) -> None:
    with pytest.raises(UnknownSession):
        await bench.decides(a_session(), ended(a_session()))


@pytest.mark.parametrize(("node", "epoch"), [("b", 1), ("a", 2)])
async def test_only_its_owner_writes_a_session(bench: Bench, node: str, epoch: int) -> None:
    await bench.opens()
    with pytest.raises(Fenced):
        await bench.decides(a_session(), ended(a_session()), node=node, epoch=epoch)
    assert await bench.run(bench.log, "one") == ["began"]


async def test_a_node_whose_session_was_taken_up_writes_no_more(bench: Bench) -> None:
    await bench.opens()
    await bench.claims("b")
    with pytest.raises(Fenced):
        await bench.decides(a_session(), ended(a_session()))
    await bench.decides(a_session(), ended(a_session()), node="b", epoch=2)


async def test_the_session_of_a_worker_is_the_open_one_or_else_the_latest(bench: Bench) -> None:
    assert await bench.run(bench.ledger.of_worker, "anna") is None
    early, late = a_session("early"), a_session("late", at=AT + HOUR)
    await bench.opens("early")
    await bench.decides(early, ended(early))
    await bench.opens("late", at=AT + HOUR)
    assert (await bench.run(bench.ledger.of_worker, "anna")).id == "late"
    await bench.decides(late, ended(late))
    assert (await bench.run(bench.ledger.of_worker, "anna")).id == "late"


async def test_it_is_known_which_sessions_ever_began(bench: Bench) -> None:
    await bench.opens()
    assert await bench.run(bench.ledger.existing, ["one", "two"]) == {"one"}
    assert await bench.run(bench.ledger.existing, []) == set()


async def test_what_was_to_begin_and_became_a_letter_to_an_open_session_has_begun(bench: Bench) -> None:
    await bench.opens()
    await bench.run(bench.ledger.leave, "evening", "one", Extended(until=AT + HOUR), AT)
    assert await bench.run(bench.ledger.existing, ["one", "evening", "two"]) == {"one", "evening"}
    await bench.decides(a_session(), ended(a_session()))
    assert await bench.opens("evening") == "one"
    assert await bench.run(bench.ledger.fences, ["evening"]) == {}
    await bench.run(bench.ledger.leave, "letter to it", "evening", Due(), AT)
    assert await bench.run(bench.ledger.left, "letter to it") is None, "it is no session"


# -- nodes --


async def test_sessions_of_a_node_that_lives_are_left_to_it(bench: Bench) -> None:
    await bench.lives("a")
    await bench.opens()
    assert await bench.claims("b") == []
    assert await bench.run(bench.ledger.lives, "a", AT)


async def test_sessions_of_a_node_whose_lease_is_over_are_taken_up(bench: Bench) -> None:
    await bench.lives("a", seconds=0.0)
    await bench.opens()
    assert not await bench.run(bench.ledger.lives, "a", AT)
    assert [item.epoch for item in await bench.claims("b")] == [2]


async def test_a_process_takes_up_what_one_of_its_name_had_but_not_what_it_has(bench: Bench) -> None:
    await bench.lives("a")
    await bench.opens("one", "anna")
    await bench.opens("two", "bob")
    assert [item.session.id for item in await bench.claims("a", own=True, known=["one"])] == ["two"]
    assert await bench.claims("a", own=False) == []


async def test_alone_with_its_store_a_process_takes_up_everything(sole: Bench) -> None:
    await sole.lives("another name")
    await sole.opens(node="another name")
    assert len(await sole.claims("a")) == 1


async def test_what_is_due_first_is_taken_up_first_and_not_all_at_once(bench: Bench) -> None:
    for hour, name in enumerate(("late", "soon", "now")):
        await bench.opens(name, name, at=AT - hour * HOUR)
    assert [item.session.id for item in await bench.claims("b", limit=2)] == ["now", "soon"]


async def test_a_session_that_ended_is_taken_up_only_while_something_is_left_to_do(bench: Bench) -> None:
    rules = Rules(retries=(), grace=0.0)
    state = begin("one", "anna", Origin.WORKER, rules, now=AT, ends_at=AT + HOUR / 2).session
    await bench.run(bench.ledger.open, Opening(Fence("one", "a", 1), state, (), AT))
    calling = decide(state, Due(), AT + HOUR / 2).session
    missed = decide(calling, Due(), AT + HOUR).session
    assert (missed.phase, len(missed.pending)) == (Phase.ENDED, 1)
    await bench.decides(state, calling)
    await bench.decides(calling, missed)
    assert [item.session for item in await bench.claims("b")] == [missed]
    done = replace(missed, pending=(), decisions=missed.decisions + 1)
    await bench.decides(missed, done, node="b", epoch=2)
    assert await bench.claims("c") == []
    assert [item.session for item in await bench.claims("c", only="one")] == [done]


async def begun_by_no_node(bench: Bench) -> Any:
    return await bench.run(bench.ledger.open, Opening(unclaimed("one"), a_session(), (Note("began"),), AT))


@pytest.mark.parametrize("sole", [False, True])
async def test_a_session_that_no_node_has_had_is_taken_up_as_its_first(
    make: Callable[[bool], Bench], sole: bool
) -> None:
    bench = make(sole)
    await bench.lives("a")
    assert await begun_by_no_node(bench) is None
    assert await begun_by_no_node(bench) is None
    assert await bench.run(bench.ledger.fences, ["one"]) == {"one": Fence("one", NOBODY, 0)}
    assert await bench.opens("two") == "one"
    assert await bench.claims("a") == [Claimed(a_session(), 1)]
    assert await begun_by_no_node(bench) == "one"
    assert await bench.run(bench.log, "one") == ["began"]


async def test_nobody_writes_decisions(bench: Bench) -> None:
    await begun_by_no_node(bench)
    with pytest.raises(Fenced):
        await bench.decides(a_session(), ended(a_session()), node=NOBODY, epoch=0)


async def test_two_nodes_never_take_up_the_same_session(bench: Bench) -> None:
    await bench.lives("b")
    await bench.lives("c")
    for n in range(20):
        await bench.opens(f"s{n}", f"w{n}")
    both = await asyncio.gather(bench.claims("b"), bench.claims("c"))
    assert sorted(item.session.id for items in both for item in items) == sorted(f"s{n}" for n in range(20))


async def test_who_has_a_session_can_be_asked(bench: Bench) -> None:
    await bench.opens()
    await bench.claims("b")
    assert await bench.run(bench.ledger.fences, ["one", "none"]) == {"one": Fence("one", "b", 2)}


# -- the inbox --


async def test_a_letter_comes_to_the_owner_once_it_is_answered_no_more(bench: Bench) -> None:
    await bench.lives("a")
    await bench.lives("b")
    await bench.opens()
    for _ in range(2):
        await bench.run(bench.ledger.leave, "letter", "one", Confirmed(How.PIN), AT)
    assert await bench.letters("b") == []
    assert await bench.letters("a") == [Letter("letter", "one", Confirmed(How.PIN))]
    await bench.decides(a_session(), ended(a_session()), letter="letter")
    assert await bench.letters("a") == []


async def test_a_letter_for_a_node_that_is_gone_comes_to_the_others(bench: Bench) -> None:
    await bench.lives("a", seconds=0.0)
    await bench.opens()
    await bench.run(bench.ledger.leave, "letter", "one", Ended("operator:olga"), AT)
    assert [letter.event for letter in await bench.letters("b")] == [Ended("operator:olga")]
    await bench.run(bench.ledger.answered, ["letter"], AT)
    assert await bench.letters("b") == []


async def test_a_letter_for_no_session_is_dropped(bench: Bench) -> None:
    await bench.run(bench.ledger.leave, "letter", "none", Ended(), AT)
    assert await bench.letters("a") == []
    assert await bench.run(bench.ledger.left, "letter") is None


async def test_a_letter_for_a_session_that_no_node_has_had_comes_to_all(bench: Bench) -> None:
    await bench.lives("a")
    await begun_by_no_node(bench)
    await bench.run(bench.ledger.leave, "letter", "one", Due(), AT)
    for node in "ab":
        assert await bench.letters(node) == [Letter("letter", "one", Due())]


async def test_whoever_left_a_letter_sees_that_it_was_answered(bench: Bench) -> None:
    assert await bench.run(bench.ledger.left, "letter") is None
    await bench.opens()
    await bench.run(bench.ledger.leave, "letter", "one", Ended(), AT)
    assert await bench.run(bench.ledger.left, "letter") == Left("one", answered=False)
    await bench.decides(a_session(), ended(a_session()), letter="letter")
    assert await bench.run(bench.ledger.left, "letter") == Left("one", answered=True)


async def test_a_session_is_found_by_its_name(bench: Bench) -> None:
    await bench.opens()
    assert await bench.run(bench.ledger.session, "one") == a_session()
    with pytest.raises(UnknownSession):
        await bench.run(bench.ledger.session, "two")


async def test_letters_come_in_their_order(bench: Bench) -> None:
    await bench.opens()
    for n in (2, 0, 1):
        await bench.run(bench.ledger.leave, f"{9 - n}", "one", MemoLeft(str(n)), AT + timedelta(seconds=n))
    assert [letter.event for letter in await bench.letters("a")] == [MemoLeft("0"), MemoLeft("1"), MemoLeft("2")]


@pytest.mark.parametrize(
    "event",
    [
        Confirmed(How.DURESS, "3.1"),
        Extended(until=AT, how=How.PIN),
        Renewed(Rules(confirm="pin", retries=(5.0,)), AT, How.KEY),
        Ended("api"),
    ],
)
def test_an_event_is_read_as_it_was_written(event: Any) -> None:
    assert read_event(event_text(event)) == event


@pytest.mark.parametrize("written", ["", "{}", "[]", '{"Nothing": {}}', '{"Confirmed": {}}', '{"Ended": 5}', "null"])
def test_what_is_no_event_is_not_read(written: str) -> None:
    assert read_event(written) is None


# -- SQL only --


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
async def test_the_log_of_a_session_is_append_only(
    database: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url = f"sqlite:///{tmp_path}/e.db" if database == "sqlite" else request.getfixturevalue("postgres_url")
    store = Store(url)
    await in_sql(store, False).opens()
    (entry,) = await store.read(lambda c: session_log(c, "one"))
    assert (entry.sequence, entry.at, entry.kind, entry.detail) == (1, AT, "began", {"why": "so"})
    for statement in ("DELETE FROM session_log", "UPDATE session_log SET kind = 'x'"):
        with pytest.raises(IntegrityError, match="append-only"):
            await store.run(lambda c, statement=statement: c.execute(text(statement)))
    assert [found.id for found in await store.read(open_sessions)] == ["one"]
    assert await store.read(lambda c: session(c, "one")) == a_session()
    with pytest.raises(UnknownSession):
        await store.read(lambda c: session(c, "two"))
    await store.close()


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
async def test_a_session_is_found_by_its_worker_or_a_part_of_its_name(
    database: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url = f"sqlite:///{tmp_path}/e.db" if database == "sqlite" else request.getfixturevalue("postgres_url")
    store = Store(url)
    bench = in_sql(store, False)
    for hour, (id, worker) in enumerate((("0aa1", "anna"), ("0ab2", "bob"), ("ab", "eve"))):
        await bench.opens(id, worker, at=AT + hour * HOUR)
    for name, id in {"anna": "0aa1", "0AA": "0aa1", "b2": "0ab2", "ab": "ab"}.items():
        assert (await store.read(partial(named, name=name))).id == id
    for name, told in {"": "no session", "zz": "no session", "0a": "fits several sessions: 0aa1, 0ab2"}.items():
        with pytest.raises(UnknownSession, match=told):
            await store.read(partial(named, name=name))
    assert [found.id for found in await store.read(partial(latest_sessions, limit=2))] == ["ab", "0ab2"]
    await store.close()


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_requests_of_many_processes_at_once_begin_one_session(
    database: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Some are the same request again: each is heard once, and all but the first find the session."""
    url = f"sqlite:///{tmp_path}/e.db" if database == "sqlite" else request.getfixturevalue("postgres_url")
    asyncio.run(Store(url).close())
    worker = {"id": "anna", "name": "Anna", "numbers": ["1"]}
    requests = Requests(SqlSessionRows(), Settings.model_validate({"workers": [worker]}))

    def ask(number: int) -> Asked:
        with writing(url) as connection:
            return requests.start(connection, "anna", until=AT + HOUR, at=AT, key=f"request {number % 4}")

    with ThreadPoolExecutor(8) as threads:
        asked = list(threads.map(ask, range(16)))
    with reading(url) as connection, connection.begin():
        (found,) = open_sessions(connection)
        letters = connection.execute(text("SELECT count(*) FROM session_inbox")).scalar()
    assert {each.session.id for each in asked} == {found.id}
    assert letters == len({each.letter for each in asked}) == 4
    assert len({each.letter for each in asked if each.begun}) == 1
