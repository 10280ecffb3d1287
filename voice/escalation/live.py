"""One escalation in the memory of the node that owns it."""

from dataclasses import dataclass
from datetime import datetime

from config.plans import FrozenPlan
from voice.escalation.commands import Command
from voice.escalation.events import Event
from voice.escalation.state import State
from voice.owned import live


@dataclass(slots=True, eq=False)
class Live(live.Live[Event, Command]):
    """One escalation that this node owns."""

    frozen: FrozenPlan
    state: State
    written: int = 0
    """The last decision that is durable."""

    @property
    def due(self) -> datetime | None:
        return self.state.due_at
