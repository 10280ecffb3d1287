"""What is to be delivered, written in the same transaction as the timeline entry that it tells of."""

import json
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from typing import Any

from sqlalchemy import Connection

from config.models import Webhook
from voice.incidents.timeline import Entry
from voice.store import deliveries

PERSONAL = frozenset({"address", "caller", "latitude", "longitude", "name", "note", "number", "source", "text", "to"})
"""Details of timeline entries that stay here: identifiers go out, persons, numbers, places and free text do not."""


class Subscriptions:
    """Who wants to hear of what. `on_entry` is the hook of the store: it may run on another thread."""

    def __init__(self, hooks: Sequence[Webhook]) -> None:
        self.hooks = tuple(hooks)
        self.on_written: Callable[[], None] = lambda: None
        """Called, perhaps on another thread, when there is something to deliver soon."""

    def on_entry(self, connection: Connection, entry: Entry) -> None:
        """Write a delivery for each hook that wants this entry."""
        wanted = [hook for hook in self.hooks if not hook.events or entry.kind in hook.events]
        if not wanted:
            return
        body = _body(entry, *deliveries.kind_and_state(connection, entry.incident))
        for hook in wanted:
            deliveries.add(
                connection,
                delivery_id=_identifier(hook.id, entry),
                hook=hook.id,
                incident_id=entry.incident,
                sequence=entry.sequence,
                kind=entry.kind,
                body=body,
                at=entry.time,
            )
        self.on_written()


def _identifier(hook: str, entry: Entry) -> str:
    """The same one when a transaction runs again."""
    return sha256(f"{hook}/{entry.incident}/{entry.sequence}".encode()).hexdigest()[:32]


def _body(entry: Entry, kind: str, state: str) -> str:
    content: Mapping[str, Any] = {
        "incident": {"id": entry.incident, "kind": kind, "state": state},
        "entry": {
            "sequence": entry.sequence,
            "at": entry.at,
            "kind": entry.kind,
            "actor": entry.actor,
            "detail": {key: value for key, value in entry.detail.items() if key not in PERSONAL},
            "hash": entry.hash,
        },
    }
    return json.dumps(content, separators=(",", ":"))
