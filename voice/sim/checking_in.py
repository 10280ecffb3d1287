"""Processes that run check-ins, in virtual time, without telephones: their memories die, their database stays.

world = CheckInWorld()
process = world.process("a")
process.start()
process.begins("anna")
await asyncio.sleep(1800)
process.kill()
world.process("a").start()     # takes up what the first one left
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any, cast

from ivr.session import Call, Command, Origin, RaiseMissed, Remind, Rules, Session, TellLate, Warn
from voice.check_in.runner import CheckIns
from voice.clock import Clock, SteadyClock
from voice.errors import StoreUnavailable
from voice.journal import Journal
from voice.sim.database import Connected
from voice.sim.loop import virtual_loop
from voice.sim.session_ledger import MemorySessionLedger, SessionDatabase, SessionTables
from voice.store import Store

LEASE = 3.0


@dataclass(frozen=True, slots=True)
class Did:
    """A command that had its effect, or (a call) begins to have it."""

    at: float
    """The loop's time."""
    process: "CheckInProcess"
    session: Session
    command: Command


async def _nothing(did: Did) -> None:
    return


class CheckInWorld:
    """What stays when a process dies. `sole`: one process at a time has the database for itself."""

    def __init__(self, *, sole: bool = True) -> None:
        self.sole = sole
        self.database = SessionDatabase(virtual_loop().clock)
        self.did: list[Did] = []
        self.do: Callable[[Did], Awaitable[None]] = _nothing
        """What a command brings about in the world. A call is over when it returns."""

    @property
    def tables(self) -> SessionTables:
        return self.database.tables

    def process(self, node: str, **ways: Any) -> "CheckInProcess":
        return CheckInProcess(self, node, **ways)

    def commands(self, kind: type[Any]) -> list[Any]:
        """Those of a kind that had their effect, in order."""
        return [did.command for did in self.did if isinstance(did.command, kind)]

    @property
    def raised(self) -> set[str]:
        """The incidents that were opened: one for each cause."""
        return {missed.key for missed in self.commands(RaiseMissed)}


class CheckInProcess:
    """One process, and its way to the database. It is its own `Hands`."""

    def __init__(
        self,
        world: CheckInWorld,
        node: str,
        *,
        delay: Callable[[], float] = lambda: 0.0,
        loses_answer: Callable[[], bool] = lambda: False,
        at_point: Callable[["CheckInProcess"], None] = lambda process: None,
        clock: Clock | None = None,
        on_session: Callable[["CheckInProcess", Session], None] = lambda process, session: None,
    ) -> None:
        loop = virtual_loop()
        self.world = world
        self.node = node
        self.dead = False
        self.at_point = at_point
        self.clock = clock or loop.clock
        self._delay = delay
        self._tasks: set[asyncio.Task[Any]] = set()
        self.connected = Connected(
            world.database, delay=delay, loses_answer=loses_answer, at_point=lambda: at_point(self)
        )
        self.journal = Journal(cast(Store, self.connected))
        self.check_ins = CheckIns(
            ledger=MemorySessionLedger(self.connected, sole=world.sole),
            journal=self.journal,
            hands=self,
            clock=SteadyClock(self.clock, loop),
            spawn=self.spawn,
            node=node,
            lease_seconds=LEASE,
            on_session=lambda session: on_session(self, session),
            name=lambda: f"{loop.random.getrandbits(64):016x}",
        )

    def start(self) -> None:
        self.spawn(self._beat())
        self.spawn(self.check_ins.run())

    def kill(self) -> None:
        """As `kill -9`: nothing that was under way goes on."""
        self.dead = self.connected.dead = True
        self.journal.abandon()
        self.check_ins.close()
        for task in self._tasks:
            task.cancel()

    def begins(self, worker: str, rules: Rules | None = None, *, hours: float = 8.0, **how: Any) -> Session:
        """A session begins in this process."""
        ends_at = self.clock.now() + timedelta(hours=hours)
        return self.check_ins.begin(worker, rules or Rules(), origin=Origin.WORKER, ends_at=ends_at, **how)

    def spawn(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        if self.dead:  # it died in the middle of what spawns this
            task.cancel()
        return task

    @property
    def busy(self) -> bool:
        """Whether something is on its way to the store."""
        return self.connected.lag > 0 or self.connected.unanswered > 0 or self.journal.backlog > 0

    async def _beat(self) -> None:
        """What the escalations of this process do: they hold its lease."""
        while True:
            beat = partial(_beat, node=self.node, at=self.clock.now())
            with suppress(StoreUnavailable):
                await self.connected.run(beat)
            await asyncio.sleep(1.0)

    # -- hands --

    async def call(self, session: Session, call: Call) -> None:
        await self._do(session, call)

    async def warn(self, session: Session, warn: Warn) -> None:
        await self._do(session, warn)

    async def remind(self, session: Session, remind: Remind) -> None:
        await self._do(session, remind)

    async def raise_missed(self, session: Session, missed: RaiseMissed) -> None:
        await self._do(session, missed)

    async def tell_late(self, session: Session, late: TellLate) -> None:
        await self._do(session, late)

    async def _do(self, session: Session, command: Command) -> None:
        """Something may go wrong before the effect, and behind it."""
        await self._pause()
        did = Did(asyncio.get_running_loop().time(), self, session, command)
        self.world.did.append(did)
        await self.world.do(did)
        await self._pause()

    async def _pause(self) -> None:
        self.at_point(self)
        if self.dead:
            await asyncio.get_running_loop().create_future()
        if seconds := self._delay():
            await asyncio.sleep(seconds)


def _beat(tables: SessionTables, node: str, at: Any) -> None:
    tables.beat(node, LEASE, at)
