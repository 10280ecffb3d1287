"""Who carries out which command of the engine (`delivery.Hands`)."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from config.plans import FrozenPlan
from voice.escalation.commands import CallEmergency, Cancel, Command, RaiseTechnical, Ring, Send
from voice.escalation.phone_tree import PhoneTree
from voice.escalation.state import State


class EmergencyCalls(Protocol):
    """Calls control rooms (`emergency.py`)."""

    async def call(self, incident: str, state: State, frozen: FrozenPlan, command: CallEmergency) -> None: ...

    def cancel(self, incident: str, command: Cancel) -> None: ...


class Messenger(Protocol):
    """Sends messages (`voice.messages`)."""

    async def carry_out(self, incident: str, state: State, frozen: FrozenPlan, command: Send) -> None: ...


@dataclass(slots=True)
class ServiceHands:
    """The hands of the service."""

    phone_tree: PhoneTree
    emergency: EmergencyCalls
    messenger: Messenger
    raise_technical: Callable[[str, State, FrozenPlan, RaiseTechnical], Awaitable[None]]

    async def carry_out(self, incident: str, state: State, frozen: FrozenPlan, command: Command) -> None:
        """See `delivery.Hands`."""
        match command:
            case Ring():
                self.phone_tree.ring(incident, state.facts, frozen, command)
            case Cancel():  # legs and emergency calls are named alike: who does not know it does nothing
                self.phone_tree.cancel(incident, command)
                self.emergency.cancel(incident, command)
            case Send():
                await self.messenger.carry_out(incident, state, frozen, command)
            case CallEmergency():
                await self.emergency.call(incident, state, frozen, command)
            case RaiseTechnical():
                await self.raise_technical(incident, state, frozen, command)
