"""Incidents as people read them, and as programs do."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console, Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text
from sqlalchemy import Connection

from config.settings import Settings
from voice.escalation.state import EmergencyStatus
from voice.escalation.state import State as Escalation
from voice.incidents.kinds import Kind
from voice.incidents.lifecycle import State
from voice.incidents.timeline import Entry, timestamp
from voice.incidents.wording import ALARMING, Names, what, who
from voice.store import escalations, memos
from voice.store import incidents as rows
from voice.store.memos import Memo
from voice.store.rows import IncidentRow, LegRow, RecordingRow

STYLE = {
    State.OPEN: "bold red",
    State.ACKNOWLEDGED: "yellow",
    State.IN_PROGRESS: "yellow",
    State.RESOLVED: "green",
}
RED = "bold red"


_UNFOLDED = 250
"""Columns: names and all."""


def plain(row: IncidentRow | LegRow | RecordingRow | Entry | Memo) -> dict[str, Any]:
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
    escalation: Escalation | None = None
    memo: Memo | None = None

    def plain(self) -> dict[str, Any]:
        return plain(self.incident) | {
            "linked": list(self.linked),
            "timeline": [plain(entry) for entry in self.timeline],
            "last_hash": self.timeline[-1].hash if self.timeline else None,
            "legs": [plain(leg) for leg in self.legs],
            "recordings": [plain(recording) for recording in self.recordings],
            "memo": plain(self.memo) if self.memo else None,
        }

    def table(self, settings: Settings) -> RenderableType:
        """For people: what happened, in plain words, and the calls that belong to it."""
        names = names_of(settings, self.legs)
        happened = _table("time", "after", "who", "what")
        for entry in self.timeline:
            at = entry.time.astimezone()
            happened.add_row(
                f"{at:%H:%M:%S}.{at.microsecond // 1000:03d}",
                f"+{_elapsed(entry.time - self.incident.opened_at)}",
                Text(who(entry.actor, names), style="bold"),
                _said(entry, names),
            )
        return Group(headline(self.incident, settings, self.escalation), *self._memo(), happened, self._calls(names))

    def _memo(self) -> Iterator[Text]:
        """What the worker had said before: the first thing that is read."""
        if self.memo is None:
            return
        words = {None: "", "": ", in which no words were understood"}.get(self.memo.transcript, ":")
        yield Text(
            f"Amber memo of {_elapsed(timedelta(seconds=self.memo.seconds))}, "
            f"{_elapsed(self.incident.opened_at - self.memo.made_at)} before the alarm "
            f"(`earshot play {self.incident.id} --memo`){words}",
            "yellow",
        )
        if self.memo.transcript:
            yield Text(f"  “{' '.join(self.memo.transcript.split())}”", "yellow")

    def _calls(self, names: Names) -> Table:
        calls = _table("call of", "from", "until", "Call-ID (for `earshot trace`)")
        for leg in self.legs:
            calls.add_row(
                escape(names.legs[leg.id]),
                f"+{_elapsed(leg.started_at - self.incident.opened_at)}",
                f"+{_elapsed(leg.ended_at - self.incident.opened_at)}" if leg.ended_at else "now",
                escape(leg.call_id),
            )
        return calls

    def recordings_told(self, settings: Settings) -> list[str]:
        """A line for each recording. Paths are never broken, so that they can be copied."""
        names = names_of(settings, self.legs)
        return aligned(
            [
                (
                    f"{'from' if row.direction == 'received' else 'to'} {names.legs.get(row.leg_id, row.leg_id)}",
                    _elapsed(timedelta(milliseconds=row.duration_ms)) if row.duration_ms else "unfinished",
                    from_here(Path(row.path)),
                )
                for row in self.recordings
                if row.bytes != 0
            ]
        )


def from_here(path: Path) -> str:
    """A path as one would type it in the present folder."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def aligned(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Rows as lines, their columns under each other; the last one is as long as it is."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)][:-1]
    return [
        "  " + "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[-1]])
        for row in rows
    ]


def _table(*headings: str) -> Table:
    """Columns that keep to their line, but for the last."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in headings:
        table.add_column(heading, no_wrap=heading != headings[-1], overflow="fold")
    return table


def names_of(settings: Settings, legs: Sequence[LegRow]) -> Names:
    """How the people of an incident, and its legs, are called."""
    names = Names(
        operators={operator.id: operator.name for operator in settings.operators},
        workers={worker.id: worker.name for worker in settings.workers},
        contacts={contact.id: contact.name for contact in settings.contacts},
        routes={route.id: route.name for route in settings.emergency_routes},
    )
    return replace(names, legs={leg.id: _on(leg, names) for leg in legs})


def _on(leg: LegRow, names: Names) -> str:
    """Who is on a leg."""
    match leg.role:
        case "operator":
            return names.operators.get(leg.operator_id or "", leg.operator_id or "an operator")
        case "contact":
            return names.contacts.get(leg.contact_id or "", leg.contact_id or "a contact")
        case "emergency":
            return next(iter(names.routes.values())) if len(names.routes) == 1 else "the control room"
        case "device":
            return "the device"


def story(connection: Connection, incident_id: str) -> Story:
    """All that the store has on an incident."""
    row = rows.incident(connection, incident_id)
    return Story(
        incident=row,
        timeline=rows.timeline(connection, incident_id),
        legs=rows.legs(connection, incident_id),
        recordings=rows.recordings(connection, incident_id),
        linked=rows.linked(connection, incident_id),
        escalation=escalations.escalation(connection, incident_id),
        memo=memos.of_incident(connection, row),
    )


def table_console() -> Console:
    """As wide as the terminal. What goes to a file or another program is not folded for one."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=_UNFOLDED)


def incident_table(found: Sequence[IncidentRow], settings: Settings) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    names = names_of(settings, ())
    for heading in ("incident", "opened", "kind", "who", "state", "by", "after"):
        # What is copied or compared keeps to its line, however narrow the terminal is.
        table.add_column(heading, no_wrap=heading in ("incident", "opened", "after"), overflow="fold")
    for row in found:
        until = row.resolved_at or row.acknowledged_at
        table.add_row(
            row.id,
            f"{row.opened_at.astimezone():%Y-%m-%d %H:%M:%S}",
            row.kind,
            escape(_who(row, settings)),
            Text(_state(row), style=STYLE[row.state]),
            escape(who(row.taken_by, names)) if row.taken_by else "",
            _elapsed(until - row.opened_at) if until else "",
        )
    return table


def headline(row: IncidentRow, settings: Settings, escalation: Escalation | None = None) -> Text:
    """One incident in one line; in red what a person must see to."""
    text = Text(f"{row.id}  {row.kind} (priority {row.priority})  ", style="bold")
    text.append(_state(row), STYLE[row.state])
    text.append(f"  {_who(row, settings)}  opened {row.opened_at.astimezone():%Y-%m-%d %H:%M:%S %Z}")
    for alarming in _alarming(row, escalation):
        text.append(f"\n{alarming}", RED)
    customer = settings.customer(row.customer_id) if row.customer_id else None
    if customer is not None and customer.instructions and row.state is not State.RESOLVED:
        text.append(f"\nInstructions of {customer.name}: {customer.instructions}", "yellow")
    return text


def _alarming(row: IncidentRow, escalation: Escalation | None) -> Iterator[str]:
    """What the plan cannot see to by itself."""
    if escalation is None or row.state is State.RESOLVED:
        return
    if escalation.exhausted:
        yield "The plan has ended, and no human has the alarm."
    if escalation.emergency.status is EmergencyStatus.INDETERMINATE:
        yield "It is not known whether the emergency services were reached."


def entry_line(entry: Entry, row: IncidentRow, names: Names) -> Text:
    """One entry in one line."""
    text = Text(f"+{_elapsed(entry.time - row.opened_at):>9}  ", style="dim")
    text.append(f"{who(entry.actor, names):<16} ", "bold not dim")
    text.append(_said(entry, names))
    return text


def _said(entry: Entry, names: Names) -> Text:
    """What happened, in red if somebody must see it."""
    return Text(what(entry, names), RED if entry.kind in ALARMING else "not dim")


def _who(row: IncidentRow, settings: Settings) -> str:
    if row.kind is Kind.TECHNICAL and row.cause_key:
        return f"nobody reached for incident {row.cause_key.partition('.')[0]}"
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
