"""Changes to what the store defines: each one a new version (`definitions.py`), each one checked before it is written.

A service that runs follows them within seconds (`voice/following.py`).
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from hashlib import sha256
from typing import Any

from sqlalchemy import Connection, insert
from sqlalchemy.exc import IntegrityError

from config.models import Settings
from voice.errors import DefinitionConflict, InvalidDefinition
from voice.store import schema
from voice.store.definitions import (
    KINDS,
    Definable,
    Definition,
    DefinitionKind,
    Origin,
    all_newest,
    canonical,
    dangling,
    definitions,
    fault_of,
    in_file,
    merge,
    newest,
    parsed,
    same,
)


def keep_file(connection: Connection, settings: Settings, at: datetime) -> list[Definition]:
    """Write down what the file defines now and the store does not know yet; gives the versions that are new.

    What the file defined earlier and defines no more is deleted. Another node that starts with the same file at the
    same moment does the same: each version is written once.
    """
    known = {(definition.kind, definition.id): definition for definition in all_newest(connection)}
    wanted: dict[tuple[DefinitionKind, str], Definable | None] = {
        key: None for key, definition in known.items() if definition.origin == "file" and not definition.deleted
    }
    wanted |= {(kind, row.id): row for kind in KINDS for row in getattr(settings, kind)}
    changed = [
        _next(kind, id, known.get((kind, id)), row, "file", at)
        for (kind, id), row in wanted.items()
        if not same(known.get((kind, id)), row)
    ]
    if _write(connection, changed):
        return changed
    return [definition for definition in changed if _write(connection, [definition])]


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
    if in_file(settings, kind, id):
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
    broken = {fault_of(line) for line in dangling(merge(settings, present))}
    lines = dangling(merge(settings, [*others, changed]))
    if new := [line for line in lines if fault_of(line) not in broken]:
        raise InvalidDefinition("\n".join(new))
    if not _write(connection, [changed]):
        raise DefinitionConflict(f"{kind}: {id!r} was changed by somebody else just now")
    return changed


def _next(
    kind: DefinitionKind, id: str, before: Definition | None, row: Definable | None, origin: Origin, at: datetime
) -> Definition:
    return Definition(kind, id, before.version + 1 if before else 1, canonical(row) if row else "", origin, at)


def _write(connection: Connection, definitions: Sequence[Definition]) -> bool:
    """All of them or none. False: another node has just written one of these versions."""
    if not definitions:
        return True
    values = [
        {
            "kind": definition.kind,
            "id": definition.id,
            "version": definition.version,
            "content": definition.text,
            "sha256": sha256(definition.text.encode()).hexdigest(),
            "origin": definition.origin,
            "at": definition.at,
        }
        for definition in definitions
    ]
    try:
        with connection.begin_nested():
            connection.execute(insert(schema.definitions), values)
    except IntegrityError:
        return False
    return True
