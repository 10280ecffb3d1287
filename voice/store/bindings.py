"""What the registrar knows (RFC 3261 section 10), kept over a restart."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, bindparam, delete, insert, select

from voice.store import schema

_BINDINGS = schema.bindings
_DELETE_USER = delete(_BINDINGS).where(_BINDINGS.c.user == bindparam("whose"))


def save_bindings(connection: Connection, bindings: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
    """Replace the contacts of the users named here (none: forget the user); leave all others alone."""
    for user, contacts in bindings.items():
        connection.execute(_DELETE_USER, {"whose": user})
        if contacts:
            text = json.dumps([dict(contact) for contact in contacts], separators=(",", ":"))
            connection.execute(insert(_BINDINGS), {"user": user, "contacts": text})


def load_bindings(connection: Connection) -> dict[str, list[dict[str, Any]]]:
    """The contacts of every user, as they were saved."""
    return {row.user: json.loads(row.contacts) for row in connection.execute(select(_BINDINGS))}
