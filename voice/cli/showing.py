"""Incidents as people read them, and as programs do."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text
from sqlalchemy import Connection

from config.settings import Settings
from voice.errors import ConfigurationError
from voice.incidents.lifecycle import State
from voice.incidents.timeline import Entry, timestamp
from voice.store import incidents as rows
from voice.store.rows import IncidentRow, LegRow, RecordingRow

STYLE = {
    State.OPEN: "bold red",
    State.ACKNOWLEDGED: "yellow",
    State.IN_PROGRESS: "yellow",
    State.RESOLVED: "green",
}


def plain(row: IncidentRow | LegRow | RecordingRow | Entry) -> dict[str, Any]:
    """A row as JSON values."""
    return {field.name: _plain(getattr(row, field.name)) for field in fields(row)}


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return timestamp(value)
    return dict(value) if isinstance(value, Mapping) else value


@dataclass(frozen=True, slots=True)
class Story:
    """An incident with all that belongs to it."""

    incident: IncidentRow
    timeline: Sequence[Entry]
    legs: Sequence[LegRow]
    recordings: Sequence[RecordingRow]
    linked: Sequence[str]

    def plain(self) -> dict[str, Any]:
        return plain(self.incident) | {
            "linked": list(self.linked),
            "timeline": [plain(entry) for entry in self.timeline],
            "last_hash": self.timeline[-1].hash if self.timeline else None,
            "legs": [plain(leg) for leg in self.legs],
            "recordings": [plain(recording) for recording in self.recordings],
        }

    def table(self, settings: Settings) -> RenderableType:
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        for heading in ("time", "after", "what", "who", "detail"):
            table.add_column(heading, no_wrap=heading != "detail", overflow="fold")
        for entry in self.timeline:
            at = entry.time.astimezone()
            table.add_row(
                f"{at:%H:%M:%S}.{at.microsecond // 1000:03d}",
                f"+{_elapsed(entry.time - self.incident.opened_at)}",
                Text(entry.kind.replace("_", " "), style="bold"),
                escape(entry.actor),
                escape(_detail(entry.detail)),
            )
        return Group(headline(self.incident, settings), table)


def story(connection: Connection, incident_id: str) -> Story:
    """All that the store has on an incident."""
    return Story(
        incident=rows.incident(connection, incident_id),
        timeline=rows.timeline(connection, incident_id),
        legs=rows.legs(connection, incident_id),
        recordings=rows.recordings(connection, incident_id),
        linked=rows.linked(connection, incident_id),
    )


def exported(path: str) -> tuple[str, list[Entry]]:
    """The name and the timeline of an incident from what `incident ID --json` printed."""
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
        entries = [Entry(**entry) for entry in content["timeline"]]
        if entries and content["last_hash"] != entries[-1].hash:
            raise ConfigurationError(f"{path}: entries are missing at the end: the last hash is another")
        return str(content["id"]), entries
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigurationError(f"{path}: is no exported incident ({error!r})") from error


def incident_table(found: Sequence[IncidentRow], settings: Settings) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("incident", "opened", "kind", "who", "state", "by", "after"):
        table.add_column(heading, no_wrap=heading != "who")
    for row in found:
        until = row.resolved_at or row.acknowledged_at
        table.add_row(
            row.id,
            f"{row.opened_at.astimezone():%Y-%m-%d %H:%M:%S}",
            row.kind,
            escape(_who(row, settings)),
            Text(_state(row), style=STYLE[row.state]),
            escape(row.taken_by or ""),
            _elapsed(until - row.opened_at) if until else "",
        )
    return table


def headline(row: IncidentRow, settings: Settings) -> Text:
    """One incident in one line."""
    text = Text(f"{row.id}  {row.kind} (priority {row.priority})  ", style="bold")
    text.append(_state(row), STYLE[row.state])
    text.append(f"  {_who(row, settings)}  opened {row.opened_at.astimezone():%Y-%m-%d %H:%M:%S %Z}")
    return text


def entry_line(entry: Entry, row: IncidentRow) -> Text:
    """One entry in one line."""
    text = Text(f"+{_elapsed(entry.time - row.opened_at):>9}  ", style="dim")
    text.append(f"{entry.kind.replace('_', ' '):<24} ", "bold")
    text.append(f"{entry.actor:<20} {_detail(entry.detail)}", "not bold not dim")
    return text


def _who(row: IncidentRow, settings: Settings) -> str:
    worker = settings.worker(row.worker_id) if row.worker_id else None
    name = worker.name if worker else row.worker_id
    return ", ".join(part for part in (name, row.device_id or row.caller) if part) or "unknown caller"


def _state(row: IncidentRow) -> str:
    return f"{row.state.replace('_', ' ')}: {row.reason}" if row.reason else row.state.replace("_", " ")


def _elapsed(span: timedelta) -> str:
    """`0.012 s`, `14.2 s`, `3:07 min`, `2:03:07 h`."""
    seconds = span.total_seconds()
    if seconds < 1:
        return f"{seconds:.3f} s"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d} min" if minutes < 60 else f"{minutes // 60}:{minutes % 60:02d}:{rest:02d} h"


def _detail(detail: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{key} {_value(value)}" for key, value in detail.items() if value not in (None, "", [], {})
    )


def _value(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
