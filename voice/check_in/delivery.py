"""From a decision to its effect.

               waits until its decision is durable   then
    ─────────  ────────────────────────────────────  ─────────────────────────────────────────────────────────────
    a call     2 s at most                           it is made. It ends with the process: whoever takes the session
                                                     up calls again
    the rest   2 s at most                           beside the others, and again until it is done; what is not done
                                                     stands in the state, for whoever takes the session up

A store that is away must not leave anybody uncalled, so nothing waits for it for ever.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Protocol

import structlog

from ivr.session import (
    Call,
    CallFailed,
    Cancel,
    Command,
    Done,
    Event,
    Lasting,
    RaiseMissed,
    Remind,
    Session,
    TellLate,
    Warn,
)
from voice.check_in.live import Live
from voice.journal import Journal
from voice.owned import delivery
from voice.owned.live import Orders

log = structlog.get_logger(__name__)

LONGEST_PAUSE = 60.0
"""Seconds between two attempts to raise an alarm, at most."""

Spawn = Callable[[Coroutine[Any, Any, Any]], "asyncio.Task[Any]"]


class Hands(Protocol):
    """Those who do what was decided."""

    async def call(self, session: Session, call: Call) -> None:
        """Call the worker, and ask him. What comes of it is told to `CheckIns.post` as it happens (`Answered`, then
        `Confirmed`, `NotConfirmed` or `CallFailed`); this returns when the call is over, which may be long after.

        Cancelled: stop ringing him.
        """
        ...

    async def warn(self, session: Session, warn: Warn) -> None:
        """Tell the worker that a check-in is near. It is not tried again."""
        ...

    async def remind(self, session: Session, remind: Remind) -> None:
        """Tell the worker that his session ends soon. It is not tried again."""
        ...

    async def raise_missed(self, session: Session, missed: RaiseMissed) -> None:
        """Open a `missed_check_in`, with `missed.key` as its cause: again under the same key it opens none. It is tried
        again until this returns: when the incident is there for good."""
        ...

    async def tell_late(self, session: Session, late: TellLate) -> None:
        """Tell on the incident whose cause is `late.missed` that the worker has confirmed since. Tried as above."""
        ...


class Delivery(delivery.Delivery[Live, Command]):
    """Brings commands to the hands, each at its time."""

    _spawn: Spawn

    def __init__(
        self,
        *,
        journal: Journal,
        hands: Hands,
        spawn: Spawn,
        report: Callable[[str, Event], object],
        idle: Callable[[Live], None],
    ) -> None:
        super().__init__(journal, spawn, idle)
        self._hands = hands
        self._report = report
        self.closed = False

    def let_go(self, live: Live) -> None:
        """Stop ringing the worker of a session that another node has now. An answered call goes on: what comes of it is
        told to that node."""
        for key in list(live.calls):
            self._cancel(live, key)

    async def _begin(self, live: Live, orders: Orders[Command], command: Command) -> None:
        match command:
            case Call(key):
                attempt = live.session.attempt
                if attempt is not None and attempt.key == key:  # else he confirmed while this waited for the store
                    live.calls[key] = self._spawn(self._call(live, command))
            case Cancel(key):
                self._cancel(live, key)
            case _ if command in live.session.pending:  # else it came too late: nobody is warned of what is there
                self._spawn(self._do(live, command))

    def _cancel(self, live: Live, key: str) -> None:
        task = live.calls.get(key)
        if task is not None and key not in live.answered:
            task.cancel()

    async def _call(self, live: Live, call: Call) -> None:
        why = "the call ended without a word"
        try:
            await self._hands.call(live.session, call)
        except asyncio.CancelledError:
            why = "cancelled"
            raise
        except Exception as error:  # noqa: BLE001 - whatever fails, he is called again
            self._log_failure(live, call, error)
            why = type(error).__name__
        finally:
            live.calls.pop(call.key, None)
            live.answered.discard(call.key)
            self._report(live.id, CallFailed(call.key, why=why))  # ignored if it has told how it ended

    async def _do(self, live: Live, command: Lasting) -> None:
        pause = 1.0
        while not (live.gone or self.closed):
            try:
                await self._carry_out(live.session, command)
                break
            except Exception as error:  # noqa: BLE001 - an alarm is raised, however long that takes
                self._log_failure(live, command, error)
                if isinstance(command, Warn | Remind):
                    break
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)
        else:
            return
        self._report(live.id, Done(command.key))

    def _carry_out(self, session: Session, command: Lasting) -> Awaitable[None]:
        match command:
            case Warn():
                return self._hands.warn(session, command)
            case Remind():
                return self._hands.remind(session, command)
            case RaiseMissed():
                return self._hands.raise_missed(session, command)
            case TellLate():
                return self._hands.tell_late(session, command)

    def _log_failure(self, live: Live, command: Command, error: Exception) -> None:
        log.error("a command failed", session=live.id, command=type(command).__name__, error=repr(error))
