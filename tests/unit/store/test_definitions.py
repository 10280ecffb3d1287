"""Definitions in the store: versions of what the file says, and of what is defined here alone."""

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, insert

from config.models import Settings
from config.plans import Contact, Plan
from voice.errors import DefinitionConflict, InvalidDefinition
from voice.incidents.kinds import Kind
from voice.store import schema
from voice.store.database import database
from voice.store.defining import keep_file, put, remove
from voice.store.definitions import (
    KINDS,
    Definition,
    DefinitionKind,
    beside,
    definitions,
    history,
    merge,
    newest,
    versions,
)
from voice.store.engine import Database

AT = datetime(2026, 3, 1, 9, tzinfo=UTC)
LATER = AT + timedelta(days=1)

BERT = {"id": "bert", "name": "Bert Bakker", "numbers": ["+31600000002"]}
EVA = {"id": "eva", "name": "Eva", "numbers": ["+31600000003"], "hours": [{"days": "mon-fri", "from": "08:00"}]}
RING_TEAM = {"id": "standard", "steps": [{"ring": "operators"}, {"ring": "team:on-call", "seconds": 45}]}


def file(**tables: Any) -> Settings:
    return Settings.model_validate(tables)


WHOLE = file(
    customers=[{"id": "care", "name": "Care", "plan": "standard", "close_word": "TULP"}],
    contacts=[BERT],
    teams=[{"id": "on-call", "name": "On call", "members": ["bert"], "rota": "nights"}],
    rotas=[
        {
            "id": "nights",
            "shifts": [{"from": "18:00", "to": "08:00", "members": ["bert"], "every": 2, "starting": "2026-01-05"}],
            "overrides": [{"from": "2026-12-24T18:00", "to": "2026-12-25T08:00"}],
            "holidays": ["2026-12-25"],
        }
    ],
    plans=[RING_TEAM],
    emergency_routes=[{"id": "control-room", "name": "Control room", "number": "sip:room@127.0.0.1:5099"}],
    workers=[{"id": "anna", "name": "Anna", "numbers": ["+31600000007"], "customer": "care", "roster": ["shifts"]}],
    devices=[{"id": "badge-7", "username": "badge7", "password": "seven", "worker": "anna", "discreet": "recvonly"}],
    operators=[{"id": "olga", "name": "Olga", "username": "olga", "password": "secret"}],
    check_ins=[{"id": "hourly", "interval": 3600.0, "retries": [60.0]}],
    rosters=[{"id": "shifts", "rrule": "FREQ=DAILY", "start": "2026-01-01T22:00:00", "duration": 28800}],
)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def prepared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Database:
    url = f"sqlite:///{tmp_path_factory.mktemp('definitions')}/earshot.db"
    if request.param == "postgresql":
        server = request.getfixturevalue("postgres")
        url = server.url(server.new_database())
    made = database(url)
    made.prepare()
    return made


@pytest.fixture
def connection(prepared: Database) -> Iterator[Connection]:
    """In a transaction that is undone."""
    with prepared.write() as connection, connection.begin() as transaction:
        yield connection
        transaction.rollback()


def named(found: list[Definition]) -> list[tuple[str, str, int]]:
    return [(definition.kind, definition.id, definition.version) for definition in found]


def stored(connection: Connection, kind: DefinitionKind, content: Mapping[str, Any], version: int = 0) -> Definition:
    return put(connection, Settings(), kind, content, expected_version=version, at=AT)


# -- what the file says --


def test_what_the_file_defines_is_written_down_and_read_back_the_same(connection: Connection) -> None:
    keep_file(connection, WHOLE, AT)
    found = definitions(connection)
    assert named(found) == [
        ("check_ins", "hourly", 1),
        ("contacts", "bert", 1),
        ("customers", "care", 1),
        ("devices", "badge-7", 1),
        ("emergency_routes", "control-room", 1),
        ("operators", "olga", 1),
        ("plans", "standard", 1),
        ("rosters", "shifts", 1),
        ("rotas", "nights", 1),
        ("teams", "on-call", 1),
        ("workers", "anna", 1),
    ]
    assert all(definition.origin == "file" and definition.at == AT for definition in found)
    assert [definition.read() for definition in found] == [getattr(WHOLE, definition.kind)[0] for definition in found]


def test_a_start_with_the_same_file_writes_nothing(connection: Connection) -> None:
    assert len(keep_file(connection, WHOLE, AT)) == len(KINDS)
    assert keep_file(connection, WHOLE, LATER) == []


def test_only_what_has_changed_gets_a_new_version(connection: Connection) -> None:
    keep_file(connection, WHOLE, AT)
    renamed = WHOLE.model_copy(update={"contacts": (Contact.model_validate(BERT | {"name": "Bert B."}),)})
    assert named(keep_file(connection, renamed, LATER)) == [("contacts", "bert", 2)]
    assert [(d.version, d.at) for d in history(connection, "contacts", "bert")] == [(1, AT), (2, LATER)]


def test_what_the_file_no_longer_defines_is_deleted_and_can_come_back(connection: Connection) -> None:
    keep_file(connection, file(contacts=[BERT, EVA]), AT)
    assert named(keep_file(connection, file(contacts=[BERT]), LATER)) == [("contacts", "eva", 2)]
    assert named(definitions(connection)) == [("contacts", "bert", 1)]
    assert keep_file(connection, file(contacts=[BERT]), LATER) == []
    assert named(keep_file(connection, file(contacts=[BERT, EVA]), LATER)) == [("contacts", "eva", 3)]
    assert [definition.deleted for definition in history(connection, "contacts", "eva")] == [False, True, False]


def test_a_key_that_a_release_added_is_no_change(connection: Connection) -> None:
    """The text of an earlier release lacks it; what it says is the same."""
    _written_by_hand(connection, '{"id":"bert","name":"Bert Bakker","numbers":["+31600000002"]}')
    assert keep_file(connection, file(contacts=[BERT]), AT) == []


def test_what_this_release_cannot_read_is_written_anew_from_the_file(connection: Connection) -> None:
    _written_by_hand(connection, '{"id":"bert","pager":"7"}')
    assert named(keep_file(connection, file(contacts=[BERT]), AT)) == [("contacts", "bert", 2)]


def test_two_nodes_that_start_with_the_same_file_write_each_version_once(connection: Connection) -> None:
    """The other one writes between our look and our insert."""
    other = _WritesFirst(connection, lambda: keep_file(connection, file(contacts=[BERT]), AT))
    assert keep_file(other, file(contacts=[BERT]), AT) == []
    assert len(history(connection, "contacts", "bert")) == 1


# -- what the store alone defines --


def test_a_definition_is_put_changed_and_deleted_in_versions(connection: Connection) -> None:
    first = stored(connection, "contacts", EVA)
    second = stored(connection, "contacts", EVA | {"name": "Eva Maas"}, 1)
    third = remove(connection, Settings(), "contacts", "eva", expected_version=2, at=LATER)
    assert [d.version for d in (first, second, third)] == [1, 2, 3]
    assert [d.origin for d in history(connection, "contacts", "eva")] == ["store"] * 3
    assert third.deleted
    assert newest(connection, "contacts", "eva") == third
    assert definitions(connection) == []


def test_what_was_never_defined_has_no_version(connection: Connection) -> None:
    assert newest(connection, "contacts", "eva") is None
    assert history(connection, "contacts", "eva") == []


@pytest.mark.parametrize("version", [0, 1, 3])
def test_who_changes_another_version_than_he_saw_is_refused(connection: Connection, version: int) -> None:
    stored(connection, "contacts", EVA)
    stored(connection, "contacts", EVA | {"name": "Eva Maas"}, 1)
    with pytest.raises(DefinitionConflict, match=rf"contacts: 'eva' stands at version 2, not {version}"):
        stored(connection, "contacts", EVA, version)
    assert len(history(connection, "contacts", "eva")) == 2


@pytest.mark.parametrize("version", [0, 2])
def test_what_was_deleted_can_be_defined_anew_as_something_new_or_as_its_next_version(
    connection: Connection, version: int
) -> None:
    stored(connection, "contacts", EVA)
    remove(connection, Settings(), "contacts", "eva", expected_version=1, at=AT)
    assert stored(connection, "contacts", EVA, version).version == 3


def test_of_two_who_change_the_same_version_at_once_one_is_refused(connection: Connection) -> None:
    stored(connection, "contacts", EVA)
    other = _WritesFirst(connection, lambda: stored(connection, "contacts", EVA | {"name": "Other"}, 1))
    with pytest.raises(DefinitionConflict, match="changed by somebody else just now"):
        stored(other, "contacts", EVA | {"name": "Mine"}, 1)
    assert newest(connection, "contacts", "eva") == history(connection, "contacts", "eva")[1]


def test_nothing_is_deleted_that_is_not_there(connection: Connection) -> None:
    with pytest.raises(DefinitionConflict, match="there is no 'eva'"):
        remove(connection, Settings(), "contacts", "eva", expected_version=0, at=AT)


def test_mistakes_are_told_as_those_of_the_file_are(connection: Connection) -> None:
    with pytest.raises(InvalidDefinition) as caught:
        stored(connection, "contacts", {"id": "eva", "nmae": "Eva", "numbers": ["12a"]})
    lines = str(caught.value).split("\n")
    assert [line.split(":")[0] for line in lines] == ["contacts.name", "contacts.numbers[1]", "contacts.nmae"]
    assert 'did you mean "name"?' in lines[2]
    assert definitions(connection) == []


def test_what_names_something_that_nothing_has_is_refused(connection: Connection) -> None:
    with pytest.raises(InvalidDefinition, match=r"teams 'night': members: no contact has the id 'bert'"):
        stored(connection, "teams", {"id": "night", "name": "Night", "members": ["bert"]})
    assert definitions(connection) == []


def test_what_others_name_is_not_deleted(connection: Connection) -> None:
    stored(connection, "contacts", BERT)
    stored(connection, "teams", {"id": "night", "name": "Night", "members": ["bert"]})
    with pytest.raises(InvalidDefinition, match=r"teams 'night': members: no contact has the id 'bert'"):
        remove(connection, Settings(), "contacts", "bert", expected_version=1, at=AT)
    assert newest(connection, "contacts", "bert") == history(connection, "contacts", "bert")[0]


def test_the_store_may_name_what_the_file_defines(connection: Connection) -> None:
    team = {"id": "night", "name": "Night", "members": ["bert"]}
    put(connection, file(contacts=[BERT]), "teams", team, expected_version=0, at=AT)
    assert named(definitions(connection)) == [("teams", "night", 1)]


def test_a_name_that_was_wrong_before_keeps_nobody_from_other_changes(connection: Connection) -> None:
    """The file dropped a contact that a stored team names."""
    team = {"id": "night", "name": "Night", "members": ["bert"]}
    put(connection, file(contacts=[BERT]), "teams", team, expected_version=0, at=AT)
    assert stored(connection, "contacts", EVA).version == 1


# -- both --


def test_what_the_file_defines_is_changed_in_the_file_only(connection: Connection) -> None:
    settings = file(contacts=[BERT])
    keep_file(connection, settings, AT)
    with pytest.raises(DefinitionConflict, match="'bert' is defined by the configuration file"):
        put(connection, settings, "contacts", BERT | {"name": "B"}, expected_version=1, at=AT)
    with pytest.raises(DefinitionConflict, match="'bert' is defined by the configuration file"):
        remove(connection, settings, "contacts", "bert", expected_version=1, at=AT)


def test_merged_settings_hold_both_and_the_file_wins(connection: Connection) -> None:
    stored(connection, "contacts", EVA)
    stored(connection, "contacts", BERT | {"name": "Bert of the store"})
    merged = merge(file(contacts=[BERT]), definitions(connection))
    assert [(contact.id, contact.name) for contact in merged.contacts] == [("bert", "Bert Bakker"), ("eva", "Eva")]


def test_a_file_that_takes_over_what_the_store_defined_writes_its_own_version(connection: Connection) -> None:
    stored(connection, "contacts", BERT | {"name": "Bert of the store"})
    assert named(keep_file(connection, file(contacts=[BERT]), LATER)) == [("contacts", "bert", 2)]
    assert [d.origin for d in history(connection, "contacts", "bert")] == ["store", "file"]


def test_what_the_store_alone_defines_outlives_a_file_that_does_not_know_it(connection: Connection) -> None:
    stored(connection, "contacts", EVA)
    assert keep_file(connection, file(contacts=[BERT]), LATER) != []
    assert ("contacts", "eva", 1) in named(definitions(connection))


def test_merging_what_the_file_has_written_down_changes_nothing(connection: Connection) -> None:
    keep_file(connection, WHOLE, AT)
    assert merge(WHOLE, definitions(connection)) == WHOLE


def test_plans_of_merged_settings_are_frozen_with_what_the_store_defines(connection: Connection) -> None:
    """Also when the settings of the file have frozen a plan before."""
    settings = file(
        escalation={"default_plan": "standard"},
        contacts=[BERT],
        plans=[{"id": "standard", "steps": [{"ring": "contact:bert"}]}],
    )
    assert set(settings.frozen_plan("shop", Kind.PANIC).contacts) == {"bert"}
    stored(connection, "contacts", EVA)
    stored(connection, "plans", {"id": "own", "steps": [{"ring": "contact:eva"}]})
    stored(connection, "customers", {"id": "shop", "name": "Shop", "plan": "own"})
    merged = merge(settings, definitions(connection))
    assert set(merged.frozen_plan("shop", Kind.PANIC).contacts) == {"eva"}
    assert isinstance(merged.plan_for("shop", Kind.GAS), Plan)


def test_what_cannot_be_used_is_told_by_its_id_and_keeps_nothing_else_away(connection: Connection) -> None:
    _written_by_hand(connection, '{"id":"bert","pager":"7"}', origin="store")
    with_eva = file(contacts=[EVA])
    team = {"id": "night", "name": "Night", "members": ["eva"]}
    put(connection, with_eva, "teams", team, expected_version=0, at=AT)
    complaints: list[str] = []
    merged = merge(Settings(), definitions(connection), complaints.append)
    assert complaints == [
        "contacts: 'bert' in the store cannot be read by this release",
        "teams 'night': members: no contact has the id 'eva'; there are no [[contacts]]",
    ]
    assert [team.id for team in merged.teams] == ["night"]


def test_of_what_this_release_cannot_read_the_version_before_stays_in_force(connection: Connection) -> None:
    stored(connection, "contacts", BERT)
    _written_by_hand(connection, '{"id":"bert","pager":"7"}', origin="store", version=2)
    found = beside(connection, Settings())
    assert named([*found.definitions]) == [("contacts", "bert", 1)]
    assert found.unreadable == ("contacts 'bert': this release cannot read what the store has",)


def test_what_never_could_be_read_or_was_deleted_before_is_left_out(connection: Connection) -> None:
    _written_by_hand(connection, "no JSON", origin="store")
    assert beside(connection, Settings()).definitions == ()
    _written_by_hand(connection, "", origin="store", version=2)
    _written_by_hand(connection, '{"id":"bert","pager":"7"}', origin="store", version=3)
    assert beside(connection, Settings()).definitions == ()


def test_what_the_file_defines_is_not_asked_of_the_store(connection: Connection) -> None:
    _written_by_hand(connection, "no JSON", origin="store")
    stored(connection, "contacts", EVA)
    assert named([*beside(connection, file(contacts=[BERT])).definitions]) == [("contacts", "eva", 1)]
    assert beside(connection, file(contacts=[BERT])).unreadable == ()


def test_kinds_of_a_later_release_are_passed_over(connection: Connection) -> None:
    _written_by_hand(connection, '{"id":"bert"}', origin="store", kind="drones")
    assert definitions(connection) == []
    assert keep_file(connection, file(contacts=[BERT]), AT) != []


def test_each_change_of_anything_adds_one_to_the_number_of_versions(connection: Connection) -> None:
    before = versions(connection)
    stored(connection, "contacts", EVA)
    stored(connection, "contacts", EVA | {"name": "Eva Maas"}, 1)
    remove(connection, Settings(), "contacts", "eva", expected_version=2, at=AT)
    assert versions(connection) == beside(connection, Settings()).versions == before + 3


def test_a_number_that_two_have_is_refused_without_being_told(connection: Connection) -> None:
    """The line goes to a log, which holds no personal data."""
    stored(connection, "workers", {"id": "anna", "name": "Anna", "numbers": ["+31600000007"]})
    with pytest.raises(InvalidDefinition) as refused:
        stored(connection, "workers", {"id": "bo", "name": "Bo", "numbers": ["+31600000007"]})
    assert str(refused.value) == "workers 'bo': numbers: is taken already by another one"


def test_a_new_operator_and_a_new_device_may_not_share_a_user_name(connection: Connection) -> None:
    stored(connection, "devices", {"id": "badge-7", "username": "seven", "password": "x"})
    with pytest.raises(InvalidDefinition, match="operators 'olga': username: is taken already by another one"):
        stored(connection, "operators", {"id": "olga", "name": "Olga", "username": "seven", "password": "y"})


def _written_by_hand(
    connection: Connection, text: str, origin: str = "file", version: int = 1, kind: str = "contacts"
) -> None:
    row = {"kind": kind, "id": "bert", "version": version, "content": text, "sha256": "", "origin": origin, "at": AT}
    connection.execute(insert(schema.definitions), row)


class _WritesFirst(Connection):
    """The connection of one who is overtaken: `write` happens just before his first savepoint."""

    def __init__(self, connection: Connection, write: Callable[[], object]) -> None:
        self.__dict__.update(connection.__dict__)
        self._write: Callable[[], object] | None = write

    def begin_nested(self) -> Any:
        if self._write is not None:
            write, self._write = self._write, None
            write()
        return super().begin_nested()
