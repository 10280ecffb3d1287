"""What the registrar knows (RFC 3261 section 10), kept over a restart."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, bindparam, delete, select
from sqlalchemy.dialects import postgresql, sqlite

from voice.store import schema

_BINDINGS = schema.bindings
_SQLITE, _POSTGRESQL = sqlite.insert(_BINDINGS), postgresql.insert(_BINDINGS)
_REPLACE_USER = {
    "sqlite": _SQLITE.on_conflict_do_update(index_elements=["user"], set_={"contacts": _SQLITE.excluded.contacts}),
    "postgresql": _POSTGRESQL.on_conflict_do_update(
        index_elements=["user"], set_={"contacts": _POSTGRESQL.excluded.contacts}
    ),
}
_DELETE_USER = delete(_BINDINGS).where(_BINDINGS.c.user == bindparam("whose"))


def save_bindings(connection: Connection, bindings: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
    """Replace the contacts of the users named here (none: forget the user); leave all others alone.

    Of two nodes that save a user at once, the last one counts. All nodes save users in one order, or two of them would
    wait for each other.
    """
    for user, contacts in sorted(bindings.items()):
        if contacts:
            text = json.dumps([dict(contact) for contact in contacts], separators=(",", ":"))
            connection.execute(_REPLACE_USER[connection.dialect.name], {"user": user, "contacts": text})
        else:
            connection.execute(_DELETE_USER, {"whose": user})


def load_bindings(connection: Connection) -> dict[str, list[dict[str, Any]]]:
    """The contacts of every user, as they were saved."""
    return {row.user: json.loads(row.contacts) for row in connection.execute(select(_BINDINGS))}
