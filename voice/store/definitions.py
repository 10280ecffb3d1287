"""Whom alarms reach, kept in the store: customers, contacts, teams, rotas, plans, routes, in versions.

Nothing is ever overwritten: a change is a new version, a deletion is a version without content. What stands in the
configuration file is written down here when the service starts, so that the store knows what was in force when. What
the file does not define may be defined here alone; what it does define, only the file changes.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from types import MappingProxyType
from typing import Any, Literal, get_args

from pydantic import ValidationError
from sqlalchemy import Connection, Row, bindparam, func, insert, select, tuple_
from sqlalchemy.exc import IntegrityError

from config.mistakes import Mistake, in_reading
from config.models import Settings
from config.plans import Contact, Customer, EmergencyRoute, Plan, Rota, Team
from config.references import in_references
from voice.errors import DefinitionConflict, InvalidDefinition
from voice.store import schema

DefinitionKind = Literal["customers", "contacts", "teams", "rotas", "plans", "emergency_routes"]
"""Named like their tables in the file."""
Definable = Customer | Contact | Team | Rota | Plan | EmergencyRoute
Origin = Literal["file", "store"]

KINDS: tuple[DefinitionKind, ...] = get_args(DefinitionKind)
_MODELS: Mapping[DefinitionKind, type[Definable]] = MappingProxyType(
    {
        "customers": Customer,
        "contacts": Contact,
        "teams": Team,
        "rotas": Rota,
        "plans": Plan,
        "emergency_routes": EmergencyRoute,
    }
)

_TABLE = schema.definitions
_INSERT = insert(_TABLE)
_OF_ONE = select(_TABLE).where(_TABLE.c.kind == bindparam("of_kind"), _TABLE.c.id == bindparam("of_id"))
_HISTORY = _OF_ONE.order_by(_TABLE.c.version)
_NEWEST_OF_ONE = _OF_ONE.order_by(_TABLE.c.version.desc()).limit(1)
_NEWEST = (
    select(_TABLE)
    .where(
        tuple_(_TABLE.c.kind, _TABLE.c.id, _TABLE.c.version).in_(
            select(_TABLE.c.kind, _TABLE.c.id, func.max(_TABLE.c.version)).group_by(_TABLE.c.kind, _TABLE.c.id)
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
    """JSON with the keys of the file; empty: deleted. Holds names, numbers and code words."""
    origin: Origin
    at: datetime

    @property
    def deleted(self) -> bool:
        return not self.text

    def read(self) -> Definable:
        """The definition as it is used. `InvalidDefinition` for what an earlier release kept and this one refuses."""
        return parsed(self.kind, json.loads(self.text))


def parsed(kind: DefinitionKind, content: Mapping[str, Any]) -> Definable:
    """The definition that is written with the keys of the file; `InvalidDefinition` tells every mistake."""
    try:
        return _MODELS[kind].model_validate_json(json.dumps(content))
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
    return [definition for definition in _all_newest(connection) if not definition.deleted]


def history(connection: Connection, kind: DefinitionKind, id: str) -> list[Definition]:
    """Every version, oldest first, deletions too."""
    return [_definition(row) for row in connection.execute(_HISTORY, {"of_kind": kind, "of_id": id})]


def merge(
    settings: Settings, stored: Iterable[Definition], complain: Callable[[str], None] = lambda line: None
) -> Settings:
    """The settings of the file, and what the store defines besides. Where both have an id, the file wins.

    `complain` is told of what cannot be used, one line each, without personal data; everything else is used all the
    same: a service that answers alarms starts.
    """
    rows: dict[str, tuple[Definable, ...]] = {kind: getattr(settings, kind) for kind in KINDS}
    for definition in stored:
        if definition.deleted or _in_file(settings, definition.kind, definition.id):
            continue
        try:
            rows[definition.kind] += (definition.read(),)
        except InvalidDefinition:
            complain(f"{definition.kind}: {definition.id!r} in the store cannot be read by this release")
    merged = Settings.model_validate({name: getattr(settings, name) for name in Settings.model_fields} | rows)
    for line in _dangling(merged):
        complain(line)
    return merged


# -- writing --


def keep_file(connection: Connection, settings: Settings, at: datetime) -> list[Definition]:
    """Write down what the file defines now and the store does not know yet; gives the versions that are new.

    What the file defined earlier and defines no more is deleted. Another node that starts with the same file at the
    same moment does the same: each version is written once.
    """
    known = {(definition.kind, definition.id): definition for definition in _all_newest(connection)}
    wanted: dict[tuple[DefinitionKind, str], Definable | None] = {
        key: None for key, definition in known.items() if definition.origin == "file" and not definition.deleted
    }
    wanted |= {(kind, row.id): row for kind in KINDS for row in getattr(settings, kind)}
    changed = [
        _next(kind, id, known.get((kind, id)), row, "file", at)
        for (kind, id), row in wanted.items()
        if not _same(known.get((kind, id)), row)
    ]
    return [definition for definition in changed if _write(connection, definition)]


def put(
    connection: Connection,
    settings: Settings,
    kind: DefinitionKind,
    content: Mapping[str, Any],
    *,
    expected_version: int,
    at: datetime,
) -> Definition:
    """Define something, or define it anew. `settings` are those of the file; content has the keys of the file.

    `expected_version` is the version that is to be replaced, 0 for something new. `InvalidDefinition` tells of
    mistakes, names that nothing has among them; `DefinitionConflict` says that the version is another one.
    """
    row = parsed(kind, content)
    before = _expected(connection, settings, kind, row.id, expected_version)
    return _change(connection, settings, kind, row.id, before, row, at)


def remove(
    connection: Connection,
    settings: Settings,
    kind: DefinitionKind,
    id: str,
    *,
    expected_version: int,
    at: datetime,
) -> Definition:
    """Delete a definition, by the rules of `put`. One that others name stays (`InvalidDefinition` says which)."""
    before = _expected(connection, settings, kind, id, expected_version)
    if before is None or before.deleted:
        raise DefinitionConflict(f"{kind}: there is no {id!r}")
    return _change(connection, settings, kind, id, before, None, at)


def _expected(
    connection: Connection, settings: Settings, kind: DefinitionKind, id: str, version: int
) -> Definition | None:
    if _in_file(settings, kind, id):
        raise DefinitionConflict(f"{kind}: {id!r} is defined by the configuration file, and is changed there")
    before = newest(connection, kind, id)
    found = before.version if before else 0
    if version != found and not (version == 0 and before and before.deleted):
        raise DefinitionConflict(f"{kind}: {id!r} stands at version {found}, not {version}")
    return before


def _change(
    connection: Connection,
    settings: Settings,
    kind: DefinitionKind,
    id: str,
    before: Definition | None,
    row: Definable | None,
    at: datetime,
) -> Definition:
    """Write the version, if it breaks no reference that was whole before it."""
    changed = _next(kind, id, before, row, "store", at)
    present = definitions(connection)
    others = [definition for definition in present if (definition.kind, definition.id) != (kind, id)]
    broken = {_fault(line) for line in _dangling(merge(settings, present))}
    lines = _dangling(merge(settings, [*others, changed]))
    if new := [line for line in lines if _fault(line) not in broken]:
        raise InvalidDefinition("\n".join(new))
    if not _write(connection, changed):
        raise DefinitionConflict(f"{kind}: {id!r} was changed by somebody else just now")
    return changed


def _next(
    kind: DefinitionKind, id: str, before: Definition | None, row: Definable | None, origin: Origin, at: datetime
) -> Definition:
    return Definition(kind, id, before.version + 1 if before else 1, canonical(row) if row else "", origin, at)


def _write(connection: Connection, definition: Definition) -> bool:
    """False: another node has just written this version."""
    values = {
        "kind": definition.kind,
        "id": definition.id,
        "version": definition.version,
        "content": definition.text,
        "sha256": sha256(definition.text.encode()).hexdigest(),
        "origin": definition.origin,
        "at": definition.at,
    }
    try:
        with connection.begin_nested():
            connection.execute(_INSERT, values)
    except IntegrityError:
        return False
    return True


# -- contents --


def canonical(row: Definable) -> str:
    """As JSON, with the keys of the file in alphabetical order: equal definitions give equal texts.

    Defaults are written out, so that a later release with other defaults does not change what was meant.
    """
    written = row.model_dump(mode="json", by_alias=True)
    return json.dumps(written, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def _same(before: Definition | None, row: Definable | None) -> bool:
    """Whether a version says the same. Read, too: a key that a release added changes the text and not the meaning."""
    if before is None or before.deleted or row is None:
        return row is None and (before is None or before.deleted)
    if before.text == canonical(row):
        return True
    try:
        return before.read() == row
    except InvalidDefinition:
        return False


def _in_file(settings: Settings, kind: DefinitionKind, id: str) -> bool:
    return any(row.id == id for row in getattr(settings, kind))


def _dangling(settings: Settings) -> list[str]:
    """Names that nothing has, each with the id of the row in which it stands."""
    lines = []
    for mistake in in_references(settings):
        match mistake.path:
            case (str(table), int(number), *inner):
                row = getattr(settings, table)[number]
                lines.append(f"{table} {row.id!r}: {Mistake(tuple(inner), '').key}: {mistake.text}")
            case _:
                lines.append(f"{mistake.key}: {mistake.text}")
    return lines


def _fault(line: str) -> str:
    """What is wrong, without what is allowed instead."""
    return line.partition("; ")[0]


def _all_newest(connection: Connection) -> Sequence[Definition]:
    return [_definition(row) for row in connection.execute(_NEWEST)]


def _definition(row: Row[Any]) -> Definition:
    return Definition(row.kind, row.id, row.version, row.content, row.origin, row.at)
