"""The timeline of an incident: entries that are only ever added, each carrying the hash of the one before.

The hash of an entry is SHA-256 over its canonical JSON (keys sorted, no spaces, ASCII with `\\u` escapes),
and `previous_hash` is part of it: whoever alters, removes, inserts or reorders an entry breaks the chain
from there on. A cut at the end cannot be seen from the chain alone; an export therefore names the last
hash.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from types import MappingProxyType
from typing import Any

GENESIS = "0" * 64
"""`previous_hash` of the first entry."""

FIRST_SEQUENCE = 1


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that happened."""

    incident: str
    sequence: int
    """1 for the first entry of the incident, without gaps."""
    at: str
    """UTC, ISO 8601 with microseconds and `Z`: the very text that is hashed."""
    kind: str
    detail: Mapping[str, Any]
    """JSON values only."""
    actor: str
    """Who did it: `system`, `device:ID`, `operator:ID`, …"""
    previous_hash: str
    hash: str

    @property
    def time(self) -> datetime:
        return datetime.fromisoformat(self.at)


def timestamp(at: datetime) -> str:
    """`2026-03-01T09:15:27.123456Z`. A time without a zone is refused: it could mean anything."""
    if at.tzinfo is None:
        raise ValueError("a time on the timeline needs its zone")
    return at.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def canonical(value: Mapping[str, Any]) -> str:
    """The one JSON text of a value: what is hashed and stored."""
    return json.dumps(dict(value), sort_keys=True, separators=(",", ":"), allow_nan=False)


def chain(
    *,
    incident: str,
    sequence: int,
    previous_hash: str,
    at: datetime,
    kind: str,
    detail: Mapping[str, Any],
    actor: str,
) -> Entry:
    """The entry that follows the one with `previous_hash` (`GENESIS` for the first)."""
    stamp, content = timestamp(at), json.loads(canonical(detail))
    return Entry(
        incident=incident,
        sequence=sequence,
        at=stamp,
        kind=kind,
        detail=MappingProxyType(content),
        actor=actor,
        previous_hash=previous_hash,
        hash=_digest(incident, sequence, stamp, kind, content, actor, previous_hash),
    )


def verify(entries: Iterable[Entry]) -> int | None:
    """The sequence number at which the chain of one incident breaks, or None if it is whole.

    The number is the one that should stand there: a missing entry 3 gives 3. `entries` come in order.
    """
    previous, incident = GENESIS, None
    for expected, entry in enumerate(entries, FIRST_SEQUENCE):
        incident = incident if incident is not None else entry.incident
        whole = (
            entry.sequence == expected
            and entry.incident == incident
            and entry.previous_hash == previous
            and entry.hash == _recomputed(entry)
        )
        if not whole:
            return expected
        previous = entry.hash
    return None


def _recomputed(entry: Entry) -> str | None:
    """The hash of what an entry says; None if that has none, as with a number that JSON does not know."""
    try:
        return _digest(
            entry.incident,
            entry.sequence,
            entry.at,
            entry.kind,
            entry.detail,
            entry.actor,
            entry.previous_hash,
        )
    except (ValueError, TypeError, RecursionError):
        return None


def _digest(
    incident: str,
    sequence: int,
    at: str,
    kind: str,
    detail: Mapping[str, Any],
    actor: str,
    previous_hash: str,
) -> str:
    content = {
        "incident": incident,
        "sequence": sequence,
        "at": at,
        "kind": kind,
        "detail": dict(detail),
        "actor": actor,
        "previous_hash": previous_hash,
    }
    return sha256(canonical(content).encode("ascii")).hexdigest()
