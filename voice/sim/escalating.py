"""Processes that escalate, in virtual time, without telephones: their memories die, their database stays.

world = EscalationWorld()
process = world.process("a")
process.start()
process.raises("00000001", frozen)
await asyncio.sleep(1)
process.kill()
world.process("a").start()     # takes up what the first one left
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from config.plans import FrozenPlan
from voice.clock import Clock, SteadyClock
from voice.errors import Fenced
from voice.escalation.commands import Command
from voice.escalation.ledger import key_of
from voice.escalation.runner import Escalations, TakenUp
from voice.escalation.state import Change, Facts, State
from voice.journal import Journal
from voice.owned.ledger import Fence
from voice.sim.database import Connected, Database
from voice.sim.ledger import MemoryLedger
from voice.sim.loop import virtual_loop
from voice.store import Store


@dataclass(frozen=True, slots=True)
class Done:
    """A command that had its effect."""

    at: float
    """The loop's time."""
    process: "EscalatingProcess"
    incident: str
    command: Command

    @property
    def key(self) -> str | None:
        return key_of(self.command)


class EscalationWorld:
    """What stays when a process dies. `sole`: one process at a time has the database for itself."""

    def __init__(self, *, sole: bool = True) -> None:
        self.sole = sole
        self.database = Database(virtual_loop().clock)
        self.done: list[Done] = []
        self.do: Callable[[Done], Awaitable[None] | None] = lambda done: None
        """What a command brings about in the world."""

    def process(self, node: str, **ways: Any) -> "EscalatingProcess":
        return EscalatingProcess(self, node, **ways)

    def commands(self, kind: type[Any]) -> list[Any]:
        """Those of a kind that had their effect, in order."""
        return [done.command for done in self.done if isinstance(done.command, kind)]


class EscalatingProcess:
    """One process, and its way to the database."""

    facts = Facts(kind="panic", priority=1, worker="Anna")
    own_lines: tuple[str, ...] = ()
    """What leads to her, for alarms of which the facts do not say so."""

    def __init__(
        self,
        world: EscalationWorld,
        node: str,
        *,
        delay: Callable[[], float] = lambda: 0.0,
        loses_answer: Callable[[], bool] = lambda: False,
        at_point: Callable[["EscalatingProcess"], None] = lambda process: None,
        clock: Clock | None = None,
        on_state: Callable[["EscalatingProcess", str, State], None] = lambda process, incident, state: None,
    ) -> None:
        loop = virtual_loop()
        self.world = world
        self.node = node
        self.dead = False
        self.at_point = at_point
        self.taken_up: list[str] = []
        self.lost: list[str] = []
        self.changes: list[Change] = []
        self.clock = clock or loop.clock
        self._delay = delay
        self._doing = 0
        self._tasks: set[asyncio.Task[Any]] = set()
        self.connected = Connected(
            world.database, delay=delay, loses_answer=loses_answer, at_point=lambda: at_point(self)
        )
        self.journal = Journal(cast(Store, self.connected))
        self.begun: set[tuple[str, str]] = set()
        """Commands that this process wrote down as begun while it owned their incident."""
        self.ledger = _SeenLedger(self.connected, sole=world.sole, begun=self.begun)
        self.escalations = Escalations(
            ledger=self.ledger,
            journal=self.journal,
            hands=self,
            clock=SteadyClock(self.clock, loop),
            spawn=self.spawn,
            node=node,
            own_lines=lambda incident: self.own_lines,
            on_take_up=self._take_up,
            on_lost=self.lost.append,
            on_state=lambda incident, state: on_state(self, incident, state),
            on_change=lambda incident, change: self.changes.append(change),
        )

    def start(self) -> None:
        self.spawn(self._run())

    async def _run(self) -> None:
        try:
            await self.escalations.run()
        except Fenced:
            self.kill()

    def kill(self) -> None:
        """As `kill -9`: nothing that was under way goes on."""
        self.dead = self.connected.dead = True
        self.journal.abandon()
        self.escalations.close()
        for task in self._tasks:
            task.cancel()

    def raises(self, incident: str, frozen: FrozenPlan, at: datetime | None = None) -> None:
        """An alarm comes in at this process."""
        opened_at = at or self.clock.now()
        opening = self.escalations.opening(incident, frozen, self.facts, opened_at)

        def write(tables: Any) -> None:
            tables.open_incident(incident, opened_at)
            opening(tables)

        self.journal.post(write, urgent=True)

    def spawn(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def carry_out(self, incident: str, state: State, frozen: FrozenPlan, command: Command) -> None:
        """`Hands`: something may go wrong before the effect, and behind it."""
        self._doing += 1
        await self._pause()
        done = Done(asyncio.get_running_loop().time(), self, incident, command)
        self.world.done.append(done)
        doing = self.world.do(done)
        if doing is not None:
            await doing
        await self._pause()
        self._doing -= 1

    @property
    def busy(self) -> bool:
        """Whether something is on its way to the store or to its effect."""
        return self._doing > 0 or self.connected.unanswered > 0 or self.journal.backlog > 0

    async def _pause(self) -> None:
        self.at_point(self)
        if self.dead:
            await asyncio.get_running_loop().create_future()
        if seconds := self._delay():
            await asyncio.sleep(seconds)

    def _take_up(self, taken: TakenUp) -> None:
        self.taken_up += [incident.id for incident, _, _ in taken]


class _SeenLedger(MemoryLedger):
    """Keeps book of who had an incident when a command was begun, whether or not the ledger minds."""

    def __init__(self, connected: Connected, *, sole: bool, begun: set[tuple[str, str]]) -> None:
        super().__init__(connected, sole=sole)
        self._begun = begun

    def begin(self, connection: Any, fence: Fence, key: str, at: datetime) -> None:
        super().begin(connection, fence, key, at)
        row = connection.escalations[fence.name]
        if (row.owner, row.epoch) == (fence.node, fence.epoch):
            self._begun.add((fence.name, key))
