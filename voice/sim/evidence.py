"""What is known when a random story is over."""

from collections.abc import MutableMapping
from dataclasses import dataclass, field
from typing import Any

from voice.incidents.timeline import Entry
from voice.sim.phone import SimPhone
from voice.sim.story import Story
from voice.sim.wire import Packet
from voice.store.rows import IncidentRow, LegRow, RecordingRow

VOICES = 100_000
"""How many numbers of frames each phone has to speak with."""


@dataclass(frozen=True, slots=True)
class Account:
    """What the store says of one incident in the end."""

    row: IncidentRow
    timeline: list[Entry]
    legs: list[LegRow]
    recordings: list[RecordingRow]


@dataclass(slots=True)
class Evidence:
    """All that is known when a story is over, for `morals` to judge."""

    story: Story
    log: list[MutableMapping[str, Any]]
    start: float = 0.0
    phones: dict[str, SimPhone] = field(default_factory=dict)
    first_numbers: dict[str, int] = field(default_factory=dict)
    lives: list[tuple[float, float]] = field(default_factory=list)
    """When the service was up, as (since, until); until is infinite for the last life."""
    signalling: list[Packet] = field(default_factory=list)
    media: list[Packet] = field(default_factory=list)
    """Audio that reached the service."""
    accounts: list[Account] = field(default_factory=list)
    refused: int = 0
    backlog: int = 0
    epoch: float = 0.0
    """Loop time minus time of day."""

    def moment(self, entry: Entry) -> float:
        """The loop time of an entry."""
        return entry.time.timestamp() + self.epoch


@dataclass(frozen=True, slots=True)
class Told:
    """A story and how it ended."""

    evidence: Evidence
    broken: list[str]
    """The promises that were broken."""

    def __str__(self) -> str:
        lines = [str(self.evidence.story)]
        for account in self.evidence.accounts:
            lines.append(f"-- {account.row.id} {account.row.kind} {account.row.state} {account.row.reason}")
            for entry in account.timeline:
                at = self.evidence.moment(entry) - self.evidence.start
                lines.append(f"   {at:6.2f} {entry.kind} {entry.actor} {dict(entry.detail)}")
        return "\n".join(lines)
