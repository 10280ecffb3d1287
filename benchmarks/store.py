"""What it costs to keep an alarm, and how many a second can be kept: each one durable before it is told so.

`python -m benchmarks.store [--json] [--postgresql | --url URL]`. An alarm is one transaction: incident, three timeline
entries, leg, two recordings. One at a time shows how long a caller waits; many at once show what group commit gives.
The database is made in the working directory: a disk in memory would measure nothing. `--postgresql` starts a server
of its own beside us, on the same cores; `--url` measures one that is there, in an empty database.
"""

import argparse
import asyncio
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from sqlalchemy import Connection

from benchmarks.machine import percentile, this_machine
from tests.postgres import PostgresServer
from voice.incidents.kinds import Kind
from voice.store import Store
from voice.store import incidents as rows

CALLERS = (1, 10, 100, 1000)
ALARMS = 1500
WARM_UP = 100


@dataclass(frozen=True, slots=True)
class Figure:
    """One load, and what it gave."""

    callers: int
    """How many alarms are under way at any time."""
    per_second: float
    p50_ms: float
    p99_ms: float
    cpu_us: float
    """Processor time of all threads, for each alarm."""
    per_commit: float


def keep_alarm(connection: Connection, number: int) -> None:
    """What an alarm writes before it is answered."""
    at, name = datetime.now(UTC), f"{number:08d}"
    rows.open_incident(
        connection,
        incident_id=name,
        kind=Kind.PANIC,
        priority=1,
        device_id="badge-7",
        worker_id="anna",
        caller="+31612345678",
        dialled="101",
        identified_by="digest",
        at=at,
        detail={"call_id": "3848276298220188511@192.0.2.1"},
    )
    for kind in ("answered", "recording"):
        rows.append(connection, name, kind=kind, detail={"codec": "PCMA"}, actor="system", at=at)
    rows.add_leg(
        connection,
        leg_id=f"leg-{number}",
        incident_id=name,
        role="device",
        operator_id=None,
        call_id="3848276298220188511@192.0.2.1",
        peer="udp:192.0.2.1:5060",
        codec="PCMA",
        started_at=at,
    )
    for direction in ("received", "sent"):
        rows.add_recording(
            connection,
            recording_id=f"{direction}-{number}",
            incident_id=name,
            leg_id=f"leg-{number}",
            direction="received" if direction == "received" else "sent",
            index=0,
            path=f"recordings/{name}/{direction}.wav",
            started_at=at,
            offset_ms=0,
        )


async def measure(store: Store, callers: int, alarms: int, number: Callable[[], int]) -> Figure:
    """Keep `alarms` alarms, `callers` of them under way at a time."""
    waits: list[float] = []
    left = iter(range(alarms))

    async def caller() -> None:
        for _ in left:
            began = time.perf_counter()
            await store.run(partial(keep_alarm, number=number()))
            waits.append(time.perf_counter() - began)

    before, began, cpu = store.statistics, time.perf_counter(), time.process_time()
    await asyncio.gather(*(caller() for _ in range(callers)))
    seconds, cpu, after = time.perf_counter() - began, time.process_time() - cpu, store.statistics
    return Figure(
        callers=callers,
        per_second=alarms / seconds,
        p50_ms=percentile(waits, 0.5) * 1e3,
        p99_ms=percentile(waits, 0.99) * 1e3,
        cpu_us=cpu / alarms * 1e6,
        per_commit=alarms / (after.commits - before.commits),
    )


async def figures(url: str) -> list[Figure]:
    """All loads, on one database."""
    numbers = iter(range(10**8))
    store = Store(url)
    try:
        await measure(store, 1, WARM_UP, numbers.__next__)
        return [await measure(store, callers, ALARMS, numbers.__next__) for callers in CALLERS]
    finally:
        await store.close()


@contextmanager
def database(options: argparse.Namespace) -> Iterator[str]:
    """The URL of the database that is measured."""
    if options.url:
        yield options.url
        return
    with TemporaryDirectory(dir=Path.cwd(), prefix=".benchmark-") as folder:
        if not options.postgresql:
            yield f"sqlite:///{folder}/earshot.db"
            return
        Path(folder).chmod(0o755)  # the server is another user, where root starts it
        with PostgresServer(Path(folder)) as server:
            yield server.url(server.new_database())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="for programs")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--postgresql", action="store_true", help="measure a server that is started for it")
    which.add_argument("--url", help="measure this database, which must be empty")
    options = parser.parse_args()
    machine = this_machine()
    with database(options) as url:
        measured = asyncio.run(figures(url))
    if options.json:
        print(json.dumps({"machine": machine.as_dict(), "store": [asdict(figure) for figure in measured]}))
        return
    print("\n".join(machine.lines()))
    print("| at once | alarms/s | p50 ms | p99 ms | µs of CPU per alarm | alarms per commit |")
    print("|---|---|---|---|---|---|")
    for figure in measured:
        print(
            f"| {figure.callers} | {figure.per_second:.0f} | {figure.p50_ms:.2f} | {figure.p99_ms:.2f} "
            f"| {figure.cpu_us:.0f} | {figure.per_commit:.1f} |"
        )


if __name__ == "__main__":
    main()
