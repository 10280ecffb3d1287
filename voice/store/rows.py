"""What the store gives back: frozen rows, times as `datetime` in UTC."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from voice.incidents.kinds import Kind
from voice.incidents.lifecycle import Reason, State

Role = Literal["device", "operator", "contact", "emergency"]
Direction = Literal["received", "sent"]


@dataclass(frozen=True, slots=True)
class IncidentRow:
    """An incident as it stands now. How it came there is its timeline."""

    id: str
    kind: Kind
    priority: int
    state: State
    device_id: str | None
    worker_id: str | None
    caller: str | None
    dialled: str | None
    identified_by: str | None
    """`digest`, `asserted`, `from`, … or None for an unknown caller."""
    opened_at: datetime
    changed_at: datetime
    taken_by: str | None
    """Who has it now; None while it waits in the queue."""
    acknowledged_at: datetime | None
    """When somebody first took it, since it was opened or reopened."""
    resolved_at: datetime | None
    reason: Reason | None
    customer_id: str | None = None
    note: str | None = None
    """How it was resolved, in words of the one who did."""
    cause_key: str | None = None
    """What raised it, where that must raise it only once; None for an alarm of a device."""


@dataclass(frozen=True, slots=True)
class LegRow:
    """One call leg: of the device, of an operator or another contact, or to the emergency services."""

    id: str
    incident_id: str
    role: Role
    operator_id: str | None
    call_id: str
    peer: str
    codec: str | None
    started_at: datetime
    ended_at: datetime | None
    cause: str | None
    node: str | None = None
    """Which node has the call; None in a database that only one process uses."""
    contact_id: str | None = None


@dataclass(frozen=True, slots=True)
class RecordingRow:
    """One segment of audio of one leg and direction."""

    id: str
    incident_id: str
    leg_id: str
    direction: Direction
    index: int
    path: str
    started_at: datetime
    offset_ms: int
    """Where the segment starts, in ms since its leg started."""
    duration_ms: int | None
    """None while it is being written, or when the process died while it was."""
    bytes: int | None
    sha256: str | None
    lost_ms: int | None
    complete: bool
    node: str | None = None
    """Which node has the file."""


@dataclass(frozen=True, slots=True)
class Unfinished:
    """What a process that died left behind."""

    legs: tuple[LegRow, ...]
    recordings: tuple[RecordingRow, ...]
