"""What a service leaves behind: its database, read beside it without a lock, and its recordings.

The command line says the same, a second slower each time; `test_command_line.py` compares the two.
"""

import json
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .sounds import Samples, read_wav, silence

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Incident:
    """One incident with all that belongs to it, as rows of the store."""

    row: Row
    timeline: tuple[Row, ...]
    legs: tuple[Row, ...]
    recordings: tuple[Row, ...]
    folder: Path

    @property
    def id(self) -> str:
        return str(self.row["id"])

    @property
    def state(self) -> str:
        return str(self.row["state"])

    @property
    def kind(self) -> str:
        return str(self.row["kind"])

    @property
    def kinds(self) -> list[str]:
        """The kinds of the timeline entries, in order."""
        return [str(entry["kind"]) for entry in self.timeline]

    def entries(self, kind: str) -> list[Row]:
        """The details of the entries of one kind."""
        return [json.loads(entry["detail"]) for entry in self.timeline if entry["kind"] == kind]

    def legs_of(self, role: str) -> list[Row]:
        return [leg for leg in self.legs if leg["role"] == role]

    def recorded(self, role: str = "device", direction: str = "received") -> Samples:
        """The audio of all legs of this role, segment after segment."""
        return np.concatenate([silence(0), *(read_wav(file) for file in self.files(role, direction))])

    def files(self, role: str = "device", direction: str = "received") -> list[Path]:
        """The recorded segments of these legs, in order. One of which no byte came yet is no file yet."""
        wanted = {leg["id"] for leg in self.legs_of(role)}
        files = [
            self.folder / row["path"]  # a path that is absolute already stays as it is
            for row in self.recordings
            if row["leg_id"] in wanted and row["direction"] == direction
        ]
        return [file for file in files if file.exists()]

    def __repr__(self) -> str:
        lines = [f"  {entry['at']} {entry['kind']} {entry['detail']} {entry['actor']}" for entry in self.timeline]
        return "\n".join([f"incident {self.id} {self.kind} {self.state}", *lines])


@dataclass(frozen=True, slots=True)
class Evidence:
    """A database and a folder of recordings."""

    database: Path
    folder: Path

    def incidents(self) -> list[Incident]:
        """All incidents, the oldest first."""
        if not self.database.exists():
            return []
        with closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True, timeout=10)) as connection:
            connection.row_factory = sqlite3.Row
            return [
                Incident(
                    row,
                    self._of(connection, "timeline", row, ["sequence"]),
                    self._of(connection, "legs", row, ["started_at", "id"]),
                    self._of(connection, "recordings", row, ["started_at", '"index"']),
                    self.folder,
                )
                for row in _rows(connection, "SELECT * FROM incidents ORDER BY opened_at, id")
            ]

    def _of(self, connection: sqlite3.Connection, table: str, incident: Row, order: Sequence[str]) -> tuple[Row, ...]:
        query = f"SELECT * FROM {table} WHERE incident_id = ? ORDER BY {', '.join(order)}"
        return _rows(connection, query, incident["id"])


def _rows(connection: sqlite3.Connection, query: str, *values: object) -> tuple[Row, ...]:
    try:
        return tuple(dict(row) for row in connection.execute(query, values))
    except sqlite3.OperationalError as error:
        if "no such table" in str(error):
            return ()
        raise
