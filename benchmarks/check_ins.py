"""How punctually workers are called, and what that costs: 10,000 of them, each every 15 minutes, in real time.

    python -m benchmarks.check_ins [--workers 10000] [--seconds 240] [--lines 5000] [--postgresql] [--json]

The runner of the service is measured (`voice.check_in`), with its store on a disk, its journal, its lines, its clocks,
on one core. Only the telephones are not there: a call takes a place on a trunk of `--lines` calls at most, as a real
one does, is answered after `--rings` seconds, confirmed `--talks` seconds later, and gives its place back. So every
check-in is three decisions, each written, the first of them before the call is made.

Two ways in which 10,000 check-ins fall due: `steady`, evenly over the 15 minutes; and `minute`, all of them within one
minute, as after a roster, spread by the service. Punctual is a call that has its place on the trunk within two seconds
of the due time. `--workers 200 --seconds 20` shows that it runs; the documents have the figures of the defaults.

Beside that: what PINs cost, two hashes for each entry, computed in threads while check-ins go on (`--pins`).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import resource
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.machine import DiskProbe, percentile, pin, this_machine
from config.models import Trunk
from ivr.session import Answered, Call, Confirmed, How, Origin, RaiseMissed, Remind, Rules, Session, TellLate, Warn
from tests.postgres import PostgresServer
from voice.check_in.pins import Hashes, compare, hashed
from voice.check_in.runner import CheckIns
from voice.clock import SteadyClock, SystemClock
from voice.journal import Journal
from voice.lines import Lines
from voice.store import Store, nodes
from voice.store.sessions import SqlSessionLedger

INTERVAL = 900.0
LIMIT = 2.0
"""Seconds after the due time within which a call must have its place, at the 99th percentile."""
NORMAL = 2
"""Priority of a check-in for a place on a trunk."""
NODE = "benchmark"


@dataclass(frozen=True, slots=True)
class Result:
    """One way of falling due."""

    due: str
    workers: int
    seconds: float
    calls: int
    per_second: float
    """In the busiest ten seconds."""
    p50_ms: float
    p99_ms: float
    max_ms: float
    lines: int
    """The limit of the trunk."""
    busiest: int
    """Calls at one time, at most."""
    missed: int
    cpu_ms: float
    """Of the process, all its threads, for each check-in: called, answered, confirmed, written."""
    core_percent: float
    disk_max_ms: float


@dataclass(slots=True)
class Telephones:
    """`Hands` without telephones."""

    lines: Lines
    rings: float
    talks: float
    check_ins: CheckIns | None = None
    late: list[float] = field(default_factory=list)
    """Seconds from the due time until there was a place on the trunk."""
    at: list[float] = field(default_factory=list)
    busiest: int = 0
    missed: int = 0
    measured: bool = True
    pins: ThreadPoolExecutor | None = None
    hashes: Hashes = field(default_factory=Hashes)

    async def call(self, session: Session, call: Call) -> None:
        assert self.check_ins is not None
        lines = self.lines.chosen(())
        line = await self.lines.place(lines, priority=NORMAL, patience=60.0)
        if line is None:
            return
        if self.measured:
            late = (datetime.now(session.due_at.tzinfo) - session.due_at).total_seconds()
            self.late.append(late)
            self.at.append(time.monotonic())
        self.busiest = max(self.busiest, line.reserved)
        try:
            await asyncio.sleep(self.rings)
            self.check_ins.post(session.id, Answered(call.key))
            await asyncio.sleep(self.talks)
            if self.pins is not None:
                await asyncio.get_running_loop().run_in_executor(self.pins, compare, self.hashes, "4729")
            self.check_ins.post(session.id, Confirmed(How.PIN if self.pins else How.KEY, call.key))
        finally:
            self.lines.release(line)

    async def warn(self, session: Session, warn: Warn) -> None:
        pass

    async def remind(self, session: Session, remind: Remind) -> None:
        pass

    async def raise_missed(self, session: Session, missed: RaiseMissed) -> None:
        self.missed += 1

    async def tell_late(self, session: Session, late: TellLate) -> None:
        pass


def main() -> None:
    """Run the benchmark and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--workers", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=240.0, help="of each way of falling due")
    parser.add_argument("--lines", type=int, default=5000, help="calls that the trunk takes at one time")
    parser.add_argument("--rings", type=float, default=6.0, help="seconds until the worker answers")
    parser.add_argument("--talks", type=float, default=10.0, help="seconds until he has confirmed")
    parser.add_argument("--due", nargs="+", choices=("steady", "minute"), default=["steady", "minute"])
    parser.add_argument("--pins", action="store_true", help="each confirmation is a PIN: two hashes in a thread")
    parser.add_argument("--postgresql", action="store_true", help="on a server of its own beside us")
    parser.add_argument("--json", action="store_true", help="for programs")
    options = parser.parse_args()
    machine = this_machine()
    cost = _cost_of_a_pin()
    if not options.json:
        print(*machine.lines(), sep="\n")
        print(f"\na PIN: two hashes, {cost['cpu_ms']:.1f} ms of a core; {cost['per_second']:.0f} entries a second")
        print(
            "\ndue      workers  check-ins  a second  p50 ms  p99 ms  max ms  lines  busiest  missed"
            "  CPU ms/check-in  CPU %  disk ms"
        )
    results = []
    for due in options.due:
        result = _measure(due, options)
        results.append(result)
        if not options.json:
            print(_line(result), flush=True)
    if options.json:
        print(
            json.dumps({"machine": machine.as_dict(), "pin": cost, "results": [asdict(r) for r in results]}, indent=2)
        )
    if any(result.busiest > result.lines for result in results):
        sys.exit("more calls than the trunk takes")
    if any(result.missed or not result.calls for result in results):
        sys.exit("a check-in was missed")


def _measure(due: str, options: argparse.Namespace) -> Result:
    with _database(options.postgresql) as (url, folder), DiskProbe(folder) as disk:
        affinity = os.sched_getaffinity(0)
        pin(0)
        try:
            return asyncio.run(_run(due, url, disk, options))
        finally:
            os.sched_setaffinity(0, affinity)


@contextmanager
def _database(postgresql: bool) -> Iterator[tuple[str, Path]]:
    with TemporaryDirectory(dir=Path.cwd(), prefix=".benchmark-") as folder:
        if not postgresql:
            yield f"sqlite:///{folder}/earshot.db", Path(folder)
            return
        with PostgresServer() as server:
            yield server.url(server.new_database()), Path(folder)


async def _run(due: str, url: str, disk: DiskProbe, options: argparse.Namespace) -> Result:
    loop = asyncio.get_running_loop()
    store, tasks = Store(url), set[asyncio.Task[object]]()
    journal = Journal(store)
    lines = Lines.of([Trunk(id="trunk", uri="sip:trunk.example", max_calls=options.lines)])
    with ThreadPoolExecutor(2) as threads:
        phones = Telephones(lines, options.rings, options.talks)
        if options.pins:
            phones.pins, phones.hashes = threads, Hashes(hashed("4729"), hashed("4728"))

        def spawn(work: object) -> asyncio.Task[object]:
            task: asyncio.Task[object] = loop.create_task(work)  # type: ignore[arg-type]
            tasks.add(task)
            task.add_done_callback(tasks.discard)
            return task

        check_ins = CheckIns(
            ledger=SqlSessionLedger(store, sole=not options.postgresql),
            journal=journal,
            hands=phones,
            clock=SteadyClock(SystemClock(), loop),
            spawn=spawn,  # type: ignore[arg-type]
            node=NODE,
        )
        phones.check_ins = check_ins
        if options.postgresql:
            await store.run(partial(nodes.enroll, node_id=NODE, now=SystemClock().now(), lease_seconds=86_400.0))
        running = spawn(check_ins.run())
        await check_ins.ready()
        await _begin(check_ins, due, options)
        await journal.flush(60.0)
        disk.ms.clear()
        result = await _watch(due, phones, disk, options)
        check_ins.close()
        running.cancel()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await store.close()
    return result


async def _begin(check_ins: CheckIns, due: str, options: argparse.Namespace) -> None:
    """Everybody has a session; the first check-ins are due when all have begun, and some seconds later."""
    lead = 10.0 + options.workers / 400
    now, rng = SystemClock().now(), random.Random(1)
    rules = Rules(interval=INTERVAL, warn_before=0.0, longest=86_400.0)
    for number in range(options.workers):
        ahead = lead + (rng.uniform(0.0, INTERVAL) if due == "steady" else 0.0)
        check_ins.begin(
            f"w{number}",
            rules,
            origin=Origin.ROSTER,
            started_at=now - timedelta(seconds=INTERVAL - ahead),
            ends_at=now + timedelta(hours=8),
            spread=60.0 if due == "minute" else 0.0,
            id=f"session {number}",
        )
        if number % 50 == 49:
            await asyncio.sleep(0.02)
    wait = lead - (SystemClock().now() - now).total_seconds()
    if wait < 1.0:
        raise SystemExit("the machine is too slow: check-ins were due before all sessions had begun")
    await asyncio.sleep(wait - 0.5)


async def _watch(due: str, phones: Telephones, disk: DiskProbe, options: argparse.Namespace) -> Result:
    began, cpu = time.monotonic(), time.process_time()
    seconds = min(options.seconds, 90.0) if due == "minute" else options.seconds
    await asyncio.sleep(seconds)
    used, lasted = time.process_time() - cpu, time.monotonic() - began
    phones.measured = False
    late = [1000 * each for each in phones.late]
    return Result(
        due=due,
        workers=options.workers,
        seconds=lasted,
        calls=len(late),
        per_second=_busiest(phones.at),
        p50_ms=percentile(late, 0.5),
        p99_ms=percentile(late, 0.99),
        max_ms=max(late, default=float("nan")),
        lines=options.lines,
        busiest=phones.busiest,
        missed=phones.missed,
        cpu_ms=1000 * used / max(len(late), 1),
        core_percent=100 * used / lasted,
        disk_max_ms=max(disk.ms, default=0.0),
    )


def _busiest(at: list[float]) -> float:
    """Calls a second, in the busiest ten seconds."""
    first = min(at, default=0.0)
    counts: dict[int, int] = {}
    for each in at:
        counts[int((each - first) / 10)] = counts.get(int((each - first) / 10), 0) + 1
    return max(counts.values(), default=0) / 10


def _cost_of_a_pin() -> dict[str, float]:
    """One entry, and how many a second all cores can compare."""
    hashes, entries = Hashes(hashed("4729"), hashed("4728")), 40
    began = time.thread_time()
    for _ in range(entries):
        compare(hashes, "4729")
    cpu = (time.thread_time() - began) / entries
    wall = time.monotonic()
    with ThreadPoolExecutor(os.cpu_count() or 1) as threads:
        list(threads.map(lambda _: compare(hashes, "4729"), range(2 * entries)))
    lasted = time.monotonic() - wall
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"cpu_ms": 1000 * cpu, "per_second": 2 * entries / lasted, "memory_mib": memory}


def _line(r: Result) -> str:
    return (
        f"{r.due:<7} {r.workers:>8} {r.calls:>10} {r.per_second:>9.1f} {r.p50_ms:>7.1f} {r.p99_ms:>7.1f}"
        f" {r.max_ms:>7.0f} {r.lines:>6} {r.busiest:>8} {r.missed:>7} {r.cpu_ms:>16.2f} {r.core_percent:>6.0f}"
        f" {r.disk_max_ms:>8.1f}"
    )


if __name__ == "__main__":
    main()
