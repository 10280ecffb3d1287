"""Definitions that change while the service runs, in virtual time: what is followed, what is refused, what is kept."""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import structlog.testing
from sqlalchemy import Connection, insert

from config.models import Settings
from config.settings import load
from voice.directory import Directory
from voice.errors import StoreUnavailable
from voice.following import Following, Known, known_at_start
from voice.sim.loop import run_virtual, virtual_loop, virtually
from voice.store import schema
from voice.store.defining import put, remove
from voice.store.definitions import DefinitionKind, Stored, definitions, history
from voice.store.sqlite import IN_MEMORY
from voice.store.store import Store

AT = datetime(2026, 3, 1, 9, tzinfo=UTC)
SOON = 2.6
"""Seconds within which every change is in force: two, and a quarter of them."""
EVA = {"id": "eva", "name": "Eva", "numbers": ["+31600000003"]}


def file(**tables: Any) -> Settings:
    return Settings.model_validate(tables)


class Node:
    """One service's share of it: a store, what is in force, and what follows."""

    def __init__(self, settings: Settings, store: Store | None = None, *, name: str = "one") -> None:
        self.file = settings
        self.store = store or Store.inline()
        self.directory = Directory(settings)
        self.following = self._of(Known(settings), name)
        self.uses = 0

    def _of(self, known: Known, name: str) -> Following:
        return Following(
            known,
            store=self.store,
            clock=virtual_loop().clock,
            use=self._use,
            in_thread=_in_place,
            node=name,
        )

    async def starts(self, name: str = "one") -> "Node":
        """As the service does: with what the store has, or without it."""
        settings, known = await known_at_start(self.file, self.store, virtual_loop().clock)
        self.directory = Directory(settings)
        self.following = self._of(known, name)
        return self.runs()

    def runs(self) -> "Node":
        self.task = asyncio.get_running_loop().create_task(self.following.run())
        return self

    def _use(self, lookups: Any) -> None:
        self.uses += 1
        self.directory.use(lookups)

    async def put(self, kind: DefinitionKind, content: Mapping[str, Any], version: int = 0) -> None:
        """As another process does, or an API."""
        await self.store.run(
            partial(put, settings=self.file, kind=kind, content=content, expected_version=version, at=AT)
        )

    async def writes(self, kind: str, id: str, version: int, text: str) -> None:
        """What nobody has checked."""
        row = {"kind": kind, "id": id, "version": version, "content": text, "sha256": "", "origin": "store", "at": AT}

        def write(connection: Connection) -> None:
            connection.execute(insert(schema.definitions), row)

        await self.store.run(write)

    @property
    def names(self) -> dict[str, str]:
        """The contacts in force."""
        return {contact.id: contact.name for contact in self.directory.settings.contacts}


async def _in_place(work: Callable[[], Any]) -> Any:
    return work()


@pytest.fixture(autouse=True)
def log() -> Iterator[list[Any]]:
    with structlog.testing.capture_logs() as lines:
        yield lines  # type: ignore[misc]


# -- what the store defines --


@virtually
async def test_what_is_put_changed_and_deleted_in_the_store_is_in_force_within_seconds() -> None:
    node = Node(file()).runs()
    await node.put("contacts", EVA)
    await asyncio.sleep(SOON)
    assert node.names == {"eva": "Eva"}
    await node.put("contacts", EVA | {"name": "Eva Maas"}, 1)
    await asyncio.sleep(SOON)
    assert node.names == {"eva": "Eva Maas"}
    await node.store.run(
        partial(remove, settings=node.file, kind="contacts", id="eva", expected_version=2, at=AT),
    )
    await asyncio.sleep(SOON)
    assert node.names == {}
    assert node.following.trouble is None
    assert node.following.versions == 3


@virtually
async def test_as_long_as_nothing_changes_there_is_one_small_question_every_two_seconds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    node = Node(file()).runs()
    await node.put("contacts", EVA)
    await asyncio.sleep(SOON)
    asked: list[str] = []
    read = node.store.read
    monkeypatch.setattr(node.store, "read", lambda function: (asked.append(function.__name__), read(function))[1])
    commits = node.store.statistics.commits
    await asyncio.sleep(60)
    assert set(asked) == {"versions"}
    assert 24 <= len(asked) <= 40
    assert node.uses == 1
    assert node.store.statistics.commits == commits


@virtually
async def test_a_new_device_may_register_and_is_known_by_its_worker() -> None:
    node = Node(file()).runs()
    assert not node.directory.may_register("badge9")
    await node.put("workers", {"id": "bo", "name": "Bo", "numbers": ["+31600000009"]})
    await node.put("devices", {"id": "badge-9", "username": "badge9", "password": "nine", "worker": "bo"})
    await asyncio.sleep(SOON)
    assert node.directory.secret("badge9") == "nine"
    device = node.directory.device("badge9")
    assert device is not None
    assert device.worker == "bo"


@virtually
async def test_what_the_file_defines_is_not_changed_by_the_store() -> None:
    node = Node(file(contacts=[EVA])).runs()
    await node.writes("contacts", "eva", 1, '{"id":"eva","name":"Somebody else","numbers":["+31600000004"]}')
    await asyncio.sleep(SOON)
    assert node.names == {"eva": "Eva"}


@virtually
async def test_what_cannot_be_read_leaves_the_version_before_in_force_and_everything_else_is_followed() -> None:
    node = Node(file()).runs()
    await node.put("contacts", EVA)
    await node.writes("contacts", "eva", 2, '{"id":"eva","pager":"7"}')
    await node.put("contacts", EVA | {"id": "bas", "name": "Bas", "numbers": ["+31600000004"]})
    await asyncio.sleep(SOON)
    assert node.names == {"eva": "Eva", "bas": "Bas"}
    assert node.following.trouble == "definitions in the store cannot be read: those of before stay in force"
    assert node.following.refusals == 1
    await node.writes("contacts", "eva", 3, '{"id":"eva","name":"Eva Maas","numbers":["+31600000003"]}')
    await asyncio.sleep(SOON)
    assert node.names["eva"] == "Eva Maas"
    assert node.following.trouble is None


def test_what_breaks_a_reference_is_refused_as_a_whole_until_it_is_mended(log: list[Any]) -> None:
    """Two who change the store at once may do that: each of them was right by himself."""

    async def story() -> None:
        node = Node(file()).runs()
        await node.put("contacts", EVA)
        await node.put("teams", {"id": "night", "name": "Night", "members": ["eva"]})
        await asyncio.sleep(SOON)
        await node.writes("contacts", "eva", 2, "")
        await asyncio.sleep(3 * SOON)
        assert node.names == {"eva": "Eva"}
        assert node.following.trouble == "definitions are not used: 1 mistakes, see the log"
        assert node.following.refusals == 1
        await node.writes("contacts", "eva", 3, '{"id":"eva","name":"Eva Maas","numbers":["+31600000003"]}')
        await asyncio.sleep(SOON)
        assert node.names == {"eva": "Eva Maas"}
        assert node.following.trouble is None

    run_virtual(story())
    (line,) = [entry for entry in log if entry["log_level"] == "error"]
    assert line["why"].startswith("teams 'night': members: no contact has the id 'eva'")


@virtually
async def test_what_was_wrong_at_the_start_keeps_nobody_from_other_changes() -> None:
    store = Store.inline()
    first = Node(file(), store)
    await first.writes("teams", "night", 1, '{"id":"night","name":"Night","members":["eva"]}')
    node = await Node(file(), store).starts()
    assert [team.id for team in node.directory.settings.teams] == ["night"]
    await node.put("contacts", EVA | {"id": "bas"})
    await asyncio.sleep(SOON)
    assert node.names == {"bas": "Eva"}
    assert node.following.trouble is None


@virtually
async def test_a_bug_of_ours_ends_neither_the_following_nor_what_is_in_force(monkeypatch: pytest.MonkeyPatch) -> None:
    node = Node(file()).runs()

    async def broken(work: Callable[[], Any]) -> Any:
        raise ZeroDivisionError

    await node.put("contacts", EVA)
    await asyncio.sleep(SOON)
    monkeypatch.setattr(node.following, "_in_thread", broken)
    await node.put("contacts", EVA | {"name": "Eva Maas"}, 1)
    await asyncio.sleep(SOON)
    assert node.names == {"eva": "Eva"}
    assert node.following.trouble == "changes of definitions cannot be followed"
    monkeypatch.setattr(node.following, "_in_thread", _in_place)
    await node.put("contacts", EVA | {"name": "Eva Smit"}, 2)
    await asyncio.sleep(SOON)
    assert node.names == {"eva": "Eva Smit"}
    assert node.following.trouble is None


@virtually
async def test_a_store_that_is_away_changes_nothing_and_is_followed_when_it_is_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    node = Node(file()).runs()
    await node.put("contacts", EVA)
    await asyncio.sleep(SOON)
    with monkeypatch.context() as away:
        away.setattr(node.store, "read", _unavailable)
        await node.put("contacts", EVA | {"name": "Eva Maas"}, 1)
        await asyncio.sleep(3 * SOON)
        assert node.names == {"eva": "Eva"}
    await asyncio.sleep(SOON)
    assert node.names == {"eva": "Eva Maas"}
    assert node.following.refusals == 0


@virtually
async def test_a_service_that_started_without_its_store_writes_its_file_down_and_follows_when_it_is_back() -> None:
    store = Store.inline()
    await Node(file(), store).put("contacts", EVA)
    store.fail_with(StoreUnavailable("the disk is full"))
    bas = EVA | {"id": "bas", "name": "Bas"}
    node = await Node(file(contacts=[bas]), store).starts()
    assert node.names == {"bas": "Bas"}
    await asyncio.sleep(SOON)
    store.fail_with(None)
    await asyncio.sleep(SOON)
    assert node.names == {"bas": "Bas", "eva": "Eva"}
    assert [(d.id, d.origin) for d in await store.read(definitions)] == [("bas", "file"), ("eva", "store")]


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_two_nodes_on_one_database_both_follow(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"sqlite:///{tmp_path}/earshot.db"
    if kind == "postgresql":
        url = request.getfixturevalue("postgres_url")

    async def story() -> None:
        written = file(contacts=[EVA | {"id": "bas", "name": "Bas"}])
        one = await Node(written, Store.inline(url, node="one")).starts("one")
        two = await Node(written, Store.inline(url, node="two")).starts("two")
        await two.put("contacts", EVA)
        await asyncio.sleep(SOON)
        assert one.names == two.names == {"bas": "Bas", "eva": "Eva"}
        assert one.following.versions == two.following.versions == 2
        for node in (one, two):
            node.task.cancel()
            await node.store.close()

    assert url != IN_MEMORY
    run_virtual(story())


# -- what the file defines --


@virtually
async def test_a_file_that_is_read_again_is_in_force_at_once_and_a_version_in_the_store() -> None:
    node = await Node(file(contacts=[EVA])).starts()
    assert await node.following.read_file(lambda: file(contacts=[EVA | {"name": "Eva Maas"}]))
    await asyncio.sleep(0.1)
    assert node.names == {"eva": "Eva Maas"}
    kept = await node.store.read(partial(history, kind="contacts", id="eva"))
    assert [(version.version, version.origin) for version in kept] == [(1, "file"), (2, "file")]


def test_what_needs_a_restart_is_named_and_stays_as_it_was(log: list[Any]) -> None:
    async def story() -> None:
        node = await Node(file(contacts=[EVA], sip={"realm": "before"})).starts()
        trunk = {"id": "kpn", "uri": "sip:10.5.0.1"}
        after = file(contacts=[EVA], sip={"realm": "after"}, trunks=[trunk], escalation={"default_plan": "nights"})
        in_use = await node.following.read_file(lambda: after.model_copy(update={"plans": file(plans=[NIGHTS]).plans}))
        assert not in_use, "not all of it"
        await asyncio.sleep(0.1)
        assert node.directory.settings.sip.realm == "before"
        assert node.directory.settings.trunks == ()
        assert node.directory.settings.escalation.default_plan == "nights"
        assert node.following.trouble is None

    run_virtual(story())
    (line,) = [entry for entry in log if entry["event"] == "needs a restart"]
    assert line["settings"] == ["sip.realm", "trunks"]


NIGHTS = {"id": "nights", "steps": [{"ring": "operators"}]}


def test_a_file_with_a_mistake_changes_nothing_and_the_log_holds_none_of_its_values(
    tmp_path: Path, log: list[Any]
) -> None:
    broken = tmp_path / "earshot.toml"
    broken.write_text('[[contacts]]\nid = "eva"\nname = "Eva"\nnumbers = ["+31600000003x"]\n')

    async def story() -> None:
        node = await Node(file(contacts=[EVA])).starts()
        await node.following.read_file(lambda: load(broken))
        await asyncio.sleep(SOON)
        assert node.names == {"eva": "Eva"}
        assert node.following.trouble == "the configuration file is not used: 1 mistakes, told by check-config"
        await node.put("contacts", EVA | {"id": "bas"})
        await asyncio.sleep(SOON)
        assert set(node.names) == {"eva", "bas"}  # the store is followed all the same
        assert node.following.trouble is not None
        await node.following.read_file(lambda: file(contacts=[EVA]))
        await asyncio.sleep(SOON)
        assert node.following.trouble is None

    run_virtual(story())
    (line,) = [entry for entry in log if entry["log_level"] == "error"]
    assert line["mistakes"] == [f"{broken}:4: contacts[1].numbers[1]"]
    assert "31600000003" not in repr(log)


@virtually
async def test_a_file_that_names_a_trunk_which_only_a_restart_brings_is_refused() -> None:
    node = await Node(file(customers=[{"id": "acme", "name": "Acme"}])).starts()
    trunk = {"id": "kpn", "uri": "sip:10.5.0.1"}
    after = file(customers=[{"id": "acme", "name": "Acme", "trunks": ["kpn"]}], trunks=[trunk])
    await node.following.read_file(lambda: after)
    await asyncio.sleep(0.1)
    assert node.directory.settings.customers[0].trunks == ()
    assert node.following.trouble is not None


@virtually
async def test_a_file_that_is_read_again_does_not_wait_for_the_store() -> None:
    node = await Node(file(contacts=[EVA])).starts()
    node.store.fail_with(StoreUnavailable("the disk is full"))
    assert await node.following.read_file(lambda: file(contacts=[EVA | {"name": "Eva Maas"}]))
    await asyncio.sleep(0.1)
    assert node.names == {"eva": "Eva Maas"}
    node.store.fail_with(None)
    await asyncio.sleep(SOON)
    assert len(await node.store.read(partial(history, kind="contacts", id="eva"))) == 2


async def _unavailable(function: Callable[[Connection], Any]) -> Stored:
    raise StoreUnavailable("gone")
