"""Who works alone, who is called and how, kept in the store in versions: everything that `KINDS` names.

Nothing is ever overwritten: a change is a new version, a deletion is a version without content. What stands in the
configuration file is written down here when the service starts, so that the store knows what was in force when. What
the file does not define may be defined here alone (`defining.py`); what it does define, only the file changes.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Literal, get_args

from pydantic import ValidationError
from sqlalchemy import Connection, Row, bindparam, func, select, tuple_

from config.check_ins import CheckInRules, Roster
from config.mistakes import Mistake, in_reading
from config.models import Device, Operator, Settings, Worker
from config.plans import Contact, Customer, EmergencyRoute, Plan, Rota, Team
from config.references import in_references
from voice.errors import InvalidDefinition
from voice.store import schema

DefinitionKind = Literal[
    "customers",
    "workers",
    "devices",
    "operators",
    "contacts",
    "teams",
    "rotas",
    "plans",
    "emergency_routes",
    "check_ins",
    "rosters",
]
"""Named like their tables in the file."""
Definable = (
    Customer | Worker | Device | Operator | Contact | Team | Rota | Plan | EmergencyRoute | CheckInRules | Roster
)
Origin = Literal["file", "store"]

KINDS: tuple[DefinitionKind, ...] = get_args(DefinitionKind)
_MODELS: Mapping[DefinitionKind, type[Definable]] = MappingProxyType(
    {
        "customers": Customer,
        "workers": Worker,
        "devices": Device,
        "operators": Operator,
        "contacts": Contact,
        "teams": Team,
        "rotas": Rota,
        "plans": Plan,
        "emergency_routes": EmergencyRoute,
        "check_ins": CheckInRules,
        "rosters": Roster,
    }
)

_TABLE = schema.definitions
_COUNT = select(func.count()).select_from(_TABLE)
_OF_ONE = select(_TABLE).where(_TABLE.c.kind == bindparam("of_kind"), _TABLE.c.id == bindparam("of_id"))
_HISTORY = _OF_ONE.order_by(_TABLE.c.version)
_NEWEST_OF_ONE = _OF_ONE.order_by(_TABLE.c.version.desc()).limit(1)
_NEWEST = (
    select(_TABLE)
    .where(
        tuple_(_TABLE.c.kind, _TABLE.c.id, _TABLE.c.version).in_(
            select(_TABLE.c.kind, _TABLE.c.id, func.max(_TABLE.c.version))
            .where(_TABLE.c.kind.in_(KINDS))  # a later release may have more
            .group_by(_TABLE.c.kind, _TABLE.c.id)
        )
    )
    .order_by(_TABLE.c.kind, _TABLE.c.id)
)


@dataclass(frozen=True, slots=True)
class Definition:
    """One version of one definition."""

    kind: DefinitionKind
    id: str
    version: int
    """From 1, without holes."""
    text: str
    """JSON with the keys of the file; empty: deleted. Holds names, numbers, passwords, code words."""
    origin: Origin
    at: datetime

    @property
    def deleted(self) -> bool:
        return not self.text

    def read(self) -> Definable:
        """The definition as it is used. `InvalidDefinition` for what an earlier release kept and this one refuses."""
        return _parsed(self.kind, self.text)

    @property
    def is_readable(self) -> bool:
        """Whether this release can use it. A deletion says nothing that could not be read."""
        try:
            return self.deleted or bool(self.read())
        except InvalidDefinition:
            return False


@dataclass(frozen=True, slots=True)
class Stored:
    """What the store defines beside a configuration file, at one moment."""

    versions: int = 0
    """How many versions there are of everything: one more with each change, never one less."""
    definitions: tuple[Definition, ...] = ()
    """What is in force, readable."""
    unreadable: tuple[str, ...] = ()
    """What is not, one line each, without personal data."""


def parsed(kind: DefinitionKind, content: Mapping[str, Any]) -> Definable:
    """The definition that is written with the keys of the file; `InvalidDefinition` tells every mistake."""
    return _parsed(kind, json.dumps(content))


@lru_cache(maxsize=1 << 15)
def _parsed(kind: DefinitionKind, text: str) -> Definable:
    """Kept: when one definition changes, ten thousand others have not."""
    try:
        return _MODELS[kind].model_validate_json(text)
    except ValidationError as error:
        mistakes = in_reading(error, (kind,))
        raise InvalidDefinition("\n".join(f"{mistake.key}: {mistake.text}" for mistake in mistakes)) from None


# -- reading --


def newest(connection: Connection, kind: DefinitionKind, id: str) -> Definition | None:
    """The version in force, which may be a deletion; None: there never was one."""
    row = connection.execute(_NEWEST_OF_ONE, {"of_kind": kind, "of_id": id}).first()
    return None if row is None else _definition(row)


def definitions(connection: Connection) -> list[Definition]:
    """Everything in force, by kind and id; nothing that was deleted."""
    return [definition for definition in all_newest(connection) if not definition.deleted]


def history(connection: Connection, kind: DefinitionKind, id: str) -> list[Definition]:
    """Every version, oldest first, deletions too."""
    return [_definition(row) for row in connection.execute(_HISTORY, {"of_kind": kind, "of_id": id})]


def versions(connection: Connection) -> int:
    """See `Stored.versions`. Cheap: asked every few seconds whether anything changed."""
    return int(connection.execute(_COUNT).scalar_one())


def beside(connection: Connection, settings: Settings) -> Stored:
    """What the store defines beside this file. Of what cannot be read the version before it is still in force."""
    counted = versions(connection)  # first: what comes in between is read now, and once more at the next look
    found, unreadable = [], []
    for definition in _outside(settings, definitions(connection)):
        if not definition.is_readable:
            unreadable.append(f"{definition.kind} {definition.id!r}: this release cannot read what the store has")
            earlier = reversed(history(connection, definition.kind, definition.id))
            definition = next(version for version in (*earlier, _NOTHING) if version.is_readable)
        if not definition.deleted:
            found.append(definition)
    return Stored(counted, tuple(found), tuple(unreadable))


def merge(
    settings: Settings, stored: Iterable[Definition], complain: Callable[[str], None] = lambda line: None
) -> Settings:
    """The settings of the file, and what the store defines besides. Where both have an id, the file wins.

    `complain` is told of what cannot be used, one line each, without personal data; everything else is used all the
    same: a service that answers alarms starts.
    """
    rows: dict[str, list[Definable]] = {kind: [*getattr(settings, kind)] for kind in KINDS}
    for definition in _outside(settings, stored):
        if definition.deleted:
            continue
        try:
            rows[definition.kind].append(definition.read())
        except InvalidDefinition:
            complain(f"{definition.kind}: {definition.id!r} in the store cannot be read by this release")
    tables = {kind: tuple(found) for kind, found in rows.items()}
    merged = Settings.model_validate({name: getattr(settings, name) for name in Settings.model_fields} | tables)
    for line in dangling(merged):
        complain(line)
    return merged


# -- contents --


def canonical(row: Definable) -> str:
    """As JSON, with the keys of the file in alphabetical order: equal definitions give equal texts.

    Defaults are written out, so that a later release with other defaults does not change what was meant.
    """
    written = row.model_dump(mode="json", by_alias=True)
    return json.dumps(written, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def same(before: Definition | None, row: Definable | None) -> bool:
    """Whether a version says the same. Read, too: a key that a release added changes the text and not the meaning."""
    if before is None or before.deleted or row is None:
        return row is None and (before is None or before.deleted)
    if before.text == canonical(row):
        return True
    try:
        return before.read() == row
    except InvalidDefinition:
        return False


def in_file(settings: Settings, kind: DefinitionKind, id: str) -> bool:
    return any(row.id == id for row in getattr(settings, kind))


def _outside(settings: Settings, stored: Iterable[Definition]) -> Iterator[Definition]:
    """Those that the file does not define."""
    own = {(kind, row.id) for kind in KINDS for row in getattr(settings, kind)}
    return (definition for definition in stored if (definition.kind, definition.id) not in own)


def dangling(settings: Settings) -> list[str]:
    """Names that nothing has, or that two have, each with the id of the row in which it stands; no personal data."""
    lines = []
    for mistake in in_references(settings):
        match mistake.path:
            case (str(table), int(number), *inner):
                row, key = getattr(settings, table)[number], Mistake(tuple(inner), "").key
                lines.append(f"{table} {row.id!r}: {key}: {_without_value(mistake.text)}")
            case ("sip", *_):  # files that are not there: nothing that is defined here
                continue
            case _:
                lines.append(f"{mistake.key}: {mistake.text}")
    return lines


def _without_value(text: str) -> str:
    """Numbers, user names and codes that two have are not told, nor the place of the other one, which may move."""
    return _TAKEN if f" {_TAKEN.partition(' by ')[0]}" in text else text


_TAKEN = "is taken already by another one"


def fault_of(line: str) -> str:
    """What is wrong, without what is allowed instead."""
    return line.partition("; ")[0]


def all_newest(connection: Connection) -> Sequence[Definition]:
    return [_definition(row) for row in connection.execute(_NEWEST)]


def _definition(row: Row[Any]) -> Definition:
    return Definition(row.kind, row.id, row.version, row.content, row.origin, row.at)


_NOTHING = Definition("customers", "", 0, "", "store", datetime.min)
"""What is in force where no version can be read: nothing."""
