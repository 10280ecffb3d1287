"""What an escalation costs without telephones: decisions that a store keeps each second, every one of them durable.

    python -m benchmarks.decisions [--alarms 500] [--url URL] [--json]

The real runner, engine and ledger, with hands that do nothing. Each alarm is opened (its incident and escalation in one
transaction), its plan comes to a team of ten, nine of whom are busy; the tenth takes it, hangs up, and an operator
resolves it: the floor of what `benchmarks.mass_incident` does. The database is made in the working directory, or is the
one at `--url`, which must be empty.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import time
from collections.abc import Coroutine
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sqlalchemy import Connection

from benchmarks.machine import percentile, this_machine
from config.plans import Contact, FrozenPlan, Plan, Step, Team
from voice.clock import SteadyClock, SystemClock
from voice.escalation.commands import Command, Ring
from voice.escalation.events import Busy, HungUp, Resolved, Taken
from voice.escalation.runner import Escalations
from voice.escalation.state import Facts, State
from voice.incidents.identifiers import Identifiers
from voice.incidents.kinds import Kind
from voice.incidents.lifecycle import Reason
from voice.incidents.lifecycle import State as Standing
from voice.journal import Journal
from voice.store import Store
from voice.store import incidents as rows
from voice.store.escalations import SqlLedger

CALLERS = (1, 10, 100)
TEAM = 10
WARM_UP = 20

PEOPLE = {
    f"contact-{n}": Contact(id=f"contact-{n}", name=f"Contact {n}", numbers=(f"+3160000{n:04}",)) for n in range(TEAM)
}
FROZEN = FrozenPlan(
    plan=Plan(id="team", steps=(Step(ring=("team:team",), order="sequence"),)),
    contacts=PEOPLE,
    teams={"team": Team(id="team", name="Team", members=tuple(PEOPLE))},
)


@dataclass(frozen=True, slots=True)
class Figure:
    """One load, and what it gave."""

    callers: int
    """How many alarms are under way at any time."""
    decisions_per_second: float
    alarms_per_second: float
    ring_p50_ms: float
    """From an event until the command that follows from it is begun: decided, durable, handed over."""
    ring_p99_ms: float
    cpu_us: float
    """Processor time of all threads, for each decision."""
    per_commit: float


class Idle:
    """Hands that ring nobody, and say at once that he is busy; the last of the team takes the alarm."""

    def __init__(self) -> None:
        self.escalations: Escalations | None = None
        self.rings: dict[str, asyncio.Queue[str]] = {}

    async def carry_out(self, incident: str, state: State, frozen: FrozenPlan, command: Command) -> None:
        if isinstance(command, Ring):
            self.rings[incident].put_nowait(command.leg)


@dataclass(slots=True)
class Bench:
    """A runner on a store."""

    store: Store
    journal: Journal
    hands: Idle
    escalations: Escalations
    identifiers: Identifiers
    waits: list[float]
    decisions: int = 0

    async def alarm(self) -> None:
        """One alarm from its opening to its end."""
        name, at = self.identifiers.new(datetime.now(UTC)), datetime.now(UTC)
        rung = self.hands.rings[name] = asyncio.Queue()
        begin = self.escalations.opening(name, FROZEN, Facts(Kind.PANIC.value, 1, "Worker"), at)
        began = time.perf_counter()
        self.journal.post(partial(_open, name=name, at=at, begin=begin), urgent=True)
        for number in range(TEAM):
            leg = await rung.get()
            self.waits.append(time.perf_counter() - began)
            began = time.perf_counter()
            self.escalations.post(name, Taken(leg, "key") if number == TEAM - 1 else Busy(leg))
        self.escalations.post(name, HungUp(leg))
        close = partial(rows.transition, incident_id=name, to=Standing.RESOLVED, actor="operator:o", reason=Reason.TEST)
        await self.journal.post(partial(close, at=datetime.now(UTC)), urgent=True)
        self.escalations.post(name, Resolved("operator:o"))
        state = self.escalations.state(name)
        self.decisions += state.decisions if state else 0
        del self.hands.rings[name]


def _open(connection: Connection, *, name: str, at: datetime, begin: Any) -> None:
    rows.open_incident(
        connection,
        incident_id=name,
        kind=Kind.PANIC,
        priority=1,
        device_id="badge-7",
        worker_id="anna",
        caller="badge-7",
        dialled="alarm",
        identified_by="digest",
        at=at,
        detail={"call_id": "3848276298220188511@192.0.2.1"},
    )
    begin(connection)


async def measure(bench: Bench, callers: int, alarms: int) -> Figure:
    """So many alarms, `callers` of them under way at a time."""
    left = iter(range(alarms))

    async def caller() -> None:
        for _ in left:
            await bench.alarm()

    bench.waits.clear()
    bench.decisions = 0
    before, began, cpu = bench.store.statistics, time.perf_counter(), time.process_time()
    await asyncio.gather(*(caller() for _ in range(callers)))
    await bench.journal.flush(30.0)
    seconds, cpu, after = time.perf_counter() - began, time.process_time() - cpu, bench.store.statistics
    return Figure(
        callers=callers,
        decisions_per_second=bench.decisions / seconds,
        alarms_per_second=alarms / seconds,
        ring_p50_ms=percentile(bench.waits, 0.5) * 1e3,
        ring_p99_ms=percentile(bench.waits, 0.99) * 1e3,
        cpu_us=cpu / bench.decisions * 1e6,
        per_commit=bench.decisions / (after.commits - before.commits),
    )


async def figures(url: str, alarms: int) -> list[Figure]:
    """All loads, on one database."""
    store, tasks = Store(url), set()
    journal, hands, clock = Journal(store), Idle(), SystemClock()

    def spawn(work: Coroutine[Any, Any, Any]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    escalations = Escalations(
        ledger=SqlLedger(store, sole=True),
        journal=journal,
        hands=hands,
        clock=SteadyClock(clock, asyncio.get_running_loop()),
        spawn=spawn,
        node="bench",
    )
    bench = Bench(store, journal, hands, escalations, Identifiers(random.SystemRandom()), [])
    try:
        await measure(bench, 1, WARM_UP)
        return [await measure(bench, callers, alarms) for callers in CALLERS]
    finally:
        escalations.close()
        await store.close()


def main() -> None:
    """Run the benchmark and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--alarms", type=int, default=500, help="at each load")
    parser.add_argument("--url", help="another database; it must be empty")
    parser.add_argument("--json", action="store_true", help="for programs")
    options = parser.parse_args()
    machine = this_machine()
    with TemporaryDirectory(dir=Path.cwd(), prefix=".benchmark-") as folder:
        measured = asyncio.run(figures(options.url or f"sqlite:///{folder}/earshot.db", options.alarms))
    if options.json:
        print(json.dumps({"machine": machine.as_dict(), "decisions": [asdict(each) for each in measured]}, indent=2))
        return
    print("\n".join(machine.lines()))
    print("| at once | decisions/s | alarms/s | event to ring p50 ms | p99 ms | µs of CPU per decision | per commit |")
    print("|---|---|---|---|---|---|---|")
    for each in measured:
        print(
            f"| {each.callers} | {each.decisions_per_second:.0f} | {each.alarms_per_second:.0f} "
            f"| {each.ring_p50_ms:.2f} | {each.ring_p99_ms:.2f} | {each.cpu_us:.0f} | {each.per_commit:.1f} |"
        )


if __name__ == "__main__":
    main()
