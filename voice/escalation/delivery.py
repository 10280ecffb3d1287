"""From a decision to its effect: when each command may be carried out, and what is written about it.

                     waits until its decision is durable   then
    ───────────────  ────────────────────────────────────  ───────────────────────────────────────────────────────
    Ring, Cancel     2 s at most                           in the order of the decisions. They end with the process
    Send, technical  2 s at most                           beside the others; `done` is written when they are under
                                                           way. A crash before that: once more, under the same key
    emergency call   15 s at most                          `started` is written, and durable, before it is placed:
                                                           whoever finds that after a crash knows that it is not known

A store that is away must not cost a life, so nothing waits for it for ever. The emergency call waits longest, for a
call that nobody wrote down may be placed again by whoever takes the incident up. It waits longer still (60 s) where
that is likely: this node has lost its lease while another one was alive, which has taken the incident up, then, and
calls by itself, as the plan says so or the decision is written down. Past that a doubled call is the lesser evil: no
node may have a store.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import Any, Protocol

import structlog

from config.plans import FrozenPlan
from voice.clock import SteadyClock
from voice.errors import EmergencyNumberRefused
from voice.escalation.commands import CallEmergency, Cancel, Command, Ring
from voice.escalation.events import EmergencyFailed, EmergencyIndeterminate, Event, Failed
from voice.escalation.ledger import Ledger, key_of
from voice.escalation.live import Live
from voice.escalation.state import Phase, State
from voice.journal import Journal
from voice.owned import delivery
from voice.owned.live import Orders, telling

log = structlog.get_logger(__name__)

EMERGENCY_PATIENCE = 15.0
"""The same of an emergency call, from its decision until `started` is durable."""

RIVAL_PATIENCE = 60.0
"""The same where another node has probably taken the incident up, and calls by itself."""

SHELL_PATIENCE = 10.0
"""Seconds within which a call to a contact must have begun: what hangs may not hold up what comes after it."""

BY_ITSELF = "plan"
"""`CallEmergency.asked_by` of a call that no person asked for."""

Spawn = Callable[[Coroutine[Any, Any, Any]], object]


class Hands(Protocol):
    """Those who do what was decided: they call, they write messages, they end legs."""

    def carry_out(self, incident: str, state: State, frozen: FrozenPlan, command: Command) -> Awaitable[None]:
        """Begin with a command for good: when this returns, its effect is under way. What comes of it is an event.

        Ending a leg that is not there does nothing. `EmergencyNumberRefused`: certainly nothing was sent.
        """
        ...


class Delivery(delivery.Delivery[Live, Command]):
    """Brings commands to the hands, each at its time."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        journal: Journal,
        hands: Hands,
        clock: SteadyClock,
        spawn: Spawn,
        lease_seconds: float,
        report: Callable[[str, Event], None],
        has_rivals: Callable[[], bool],
        idle: Callable[[Live], None],
    ) -> None:
        super().__init__(journal, spawn, idle)
        self._ledger = ledger
        self._hands = hands
        self._clock = clock
        self._lease_seconds = lease_seconds
        self._report = report
        self._has_rivals = has_rivals

    def let_go(self, live: Live) -> None:
        """End the legs of an escalation that another node has now. An emergency call goes on: it is nobody else's."""
        for leg in live.state.legs:
            self._spawn(self._carry_out(live, Cancel(leg.id)))

    async def _begin(self, live: Live, orders: Orders[Command], command: Command) -> None:
        match command:
            case Ring() if live.state.leg(command.leg) is None:
                pass  # somebody took it while this waited for the store
            case Ring() | Cancel():
                await self._carry_out(live, command)
            case CallEmergency():
                self._spawn(self._call_emergency(live, orders, command))
            case _:
                self._spawn(self._do(live, command))

    async def _carry_out(self, live: Live, command: Ring | Cancel) -> None:
        try:
            async with asyncio.timeout(SHELL_PATIENCE):
                await self._hands.carry_out(live.id, live.state, live.frozen, command)
        except Exception as error:  # noqa: BLE001 - whatever fails at one leg, the others are called
            self._log_failure(live, command, error)
            if isinstance(command, Ring):
                self._report(live.id, Failed(command.leg, why=type(error).__name__))

    async def _do(self, live: Live, command: Command) -> None:
        """What survives the process, and may be done twice under one key rather than never."""
        outcome = ""
        try:
            await self._hands.carry_out(live.id, live.state, live.frozen, command)
        except Exception as error:  # noqa: BLE001 - as above; what can be tried again, the hands try again
            self._log_failure(live, command, error)
            outcome = f"failed: {type(error).__name__}"
        self._finish(live, command, outcome)

    async def _call_emergency(self, live: Live, orders: Orders[Command], command: CallEmergency) -> None:
        if not await self._may_call(live, orders, command):
            return
        if not _wanted(live, command):
            self._finish(live, command, "not wanted any more")
            return
        try:
            await self._hands.carry_out(live.id, live.state, live.frozen, command)
        except EmergencyNumberRefused as error:
            self._log_failure(live, command, error)
            self._report(live.id, EmergencyFailed(command.call, error.sip_status, str(error)))
        except Exception as error:  # noqa: BLE001 - something may have been sent: never blindly repeated
            self._log_failure(live, command, error)
            self._report(live.id, EmergencyIndeterminate(command.call, type(error).__name__))

    async def _may_call(self, live: Live, orders: Orders[Command], command: CallEmergency) -> bool:
        """Whether the incident is still this node's, written down as such; the patience may run out."""
        loop = asyncio.get_running_loop()
        begun = False
        while True:
            asked = loop.time()
            write = partial(self._ledger.begin, fence=live.fence, key=command.call, at=self._clock.wall())
            told, fate = telling(write)
            done = self._journal.post(told, urgent=True)
            durable = await self._until_written(done, orders.since + EMERGENCY_PATIENCE)
            if not durable and self._has_rivals() and (command.asked_by == BY_ITSELF or _is_written(orders)):
                durable = await self._until_written(done, orders.since + RIVAL_PATIENCE)
            begun = begun or (durable and not fate.fenced)
            if live.gone or (durable and fate.fenced):
                if begun:  # or its successor would have to take it for placed
                    self._report(live.id, EmergencyFailed(command.call, why="not placed: the incident was taken up"))
                return False
            if not durable:
                log.critical("an emergency call is placed that is not written down", incident=live.id)
                return True
            if self._ledger.sole or loop.time() - asked < self._lease_seconds:
                return True
            # The answer took longer than a lease: somebody may have taken the incident up behind it.

    def _finish(self, live: Live, command: Command, outcome: str) -> None:
        key, at = key_of(command), self._clock.wall()
        if key is not None:
            write = partial(self._ledger.finish, fence=live.fence, key=key, outcome=outcome, at=at)
            self._journal.post(telling(write)[0])

    def _log_failure(self, live: Live, command: Command, error: Exception) -> None:
        kind = type(command).__name__
        log.error("a command failed", incident=live.id, command=kind, key=key_of(command), error=repr(error))


def _wanted(live: Live, command: CallEmergency) -> bool:
    """Whether the escalation still waits for this very call."""
    emergency = live.state.emergency
    return live.state.phase is not Phase.DONE and emergency.under_way and emergency.call == command.call


def _is_written(orders: Orders[Command]) -> bool:
    """Whether the decision is known to be durable."""
    written = orders.written
    return written is None or (written.done() and not written.cancelled() and written.result())
