"""How fast alarms are answered when many come at once, each of them on the disk before it is answered.

    python -m benchmarks.alarms_per_second [--rates 50 100 200] [--seconds 15] [--json]

The service runs as `earshot serve` does, in a process of its own on one core: SQLite with full durability, SIP
trace, recordings, metrics. The devices run in another process, on another core: each call comes from another
caller of a trusted network and so opens an incident of its own, sends audio (which is recorded) and gets 50
silent packets a second back, and hangs up after `--hold` seconds. Afterwards the incidents are counted in the
database: as many as there were calls, or the run fails.

Beside it, in the same run, the limit: a bare UDP responder that commits one row per call with the same
durability and answers. It shows what the machine's disk and loopback allow. `disk` is the slowest of the small durable
writes that were made ten times a second meanwhile, on the same disk: no commit can be faster than that.

CPU is user and system time of the service's process, all its threads, for everything that a call makes it do.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

from benchmarks.callers import Plan, Reached, call
from benchmarks.limits import answer_after_commit
from benchmarks.machine import DiskProbe, percentile, this_machine
from benchmarks.service import Running, running

PATIENCE = 120.0
SETTLING = 1.5
"""Seconds after the last call until everything of it is written."""
WARM_UP = 100
"""Calls before the first measured one: code that is loaded and compiled on first use."""

Ask = Callable[[Plan], Reached]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Result:
    """One rate."""

    server: str
    rate: float
    calls: int
    p50_ms: float
    p99_ms: float
    max_ms: float
    failed: int
    """Calls that were refused, or not answered at all."""
    repeated: int
    """Requests that had to be sent more than once."""
    disk_max_ms: float
    incidents: int | None = None
    """Found in the database afterwards."""
    core_percent: float | None = None
    """Of one core, from the first call to the end of the last."""
    ms_per_call: float | None = None
    """CPU."""
    memory_mib: float | None = None


def main() -> None:
    """Run the benchmark and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rates", type=float, nargs="+", default=[50.0, 100.0, 200.0], metavar="N")
    parser.add_argument("--seconds", type=float, default=15.0, help="of each rate")
    parser.add_argument("--hold", type=float, default=0.3, help="seconds that a call lasts")
    parser.add_argument("--no-audio", action="store_true", help="the devices are mute")
    parser.add_argument("--no-limit", action="store_true", help="leave out the bare responder")
    parser.add_argument(
        "--folder", type=Path, default=Path.cwd(), help="where the data lies; a disk in memory shows the rest alone"
    )
    parser.add_argument("--all-cores", action="store_true", help="do not keep the service on one core")
    parser.add_argument("--json", action="store_true", help="for programs")
    options = parser.parse_args()
    machine = this_machine()
    if not options.json:
        print(*machine.lines(), sep="\n")
        print(
            "\nserver    alarms/s  calls   p50 ms   p99 ms   max ms  disk ms  failed  repeated  CPU %  CPU ms/call  MiB"
        )
    results = []
    with devices() as ask, TemporaryDirectory(dir=options.folder, prefix=".benchmark-") as folder:
        plans = [
            Plan(("", 0), round(rate * options.seconds), rate, options.hold, not options.no_audio, f"r{rate:g}")
            for rate in options.rates
        ]
        for result in _measure(plans, ask, Path(folder), options):
            results.append(result)
            if not options.json:
                print(_line(result), flush=True)
    if options.json:
        print(json.dumps({"machine": machine.as_dict(), "results": [asdict(each) for each in results]}, indent=2))
    if any(each.failed or each.incidents not in (None, each.calls) for each in results):
        sys.exit("an alarm was lost")


def _measure(plans: list[Plan], ask: Ask, folder: Path, options: argparse.Namespace) -> Iterator[Result]:
    if not options.no_limit:
        with bare_responder(folder / "bare.db") as address:
            for plan in plans:
                with DiskProbe(folder) as disk:
                    reached = ask(_at(plan, address))
                yield _result("limit", plan, reached, disk)
    with running(folder, core=None if options.all_cores else 0) as service:
        ask(Plan(service.sip, WARM_UP, 50.0, 0.2, not options.no_audio, "warmup"))
        for plan in plans:
            yield against(service, _at(plan, service.sip), ask)


def against(service: Running, plan: Plan, ask: Ask) -> Result:
    """One plan against a service that runs."""
    incidents, cpu, began = service.count("SELECT count(*) FROM incidents"), service.cpu, time.monotonic()
    with DiskProbe(service.folder) as disk:
        reached = ask(plan)
    seconds, cpu = time.monotonic() - began, service.cpu - cpu
    time.sleep(SETTLING)
    return _result(
        "earshot",
        plan,
        reached,
        disk,
        incidents=service.count("SELECT count(*) FROM incidents") - incidents,
        core_percent=round(cpu / seconds * 100, 1),
        ms_per_call=round(cpu / plan.calls * 1000, 2),
        memory_mib=round(service.memory_mib),
    )


def _at(plan: Plan, address: tuple[str, int]) -> Plan:
    return Plan(address, plan.calls, plan.rate, plan.hold, plan.audio, plan.name)


def _result(
    server: str,
    plan: Plan,
    reached: Reached,
    disk: DiskProbe,
    *,
    incidents: int | None = None,
    core_percent: float | None = None,
    ms_per_call: float | None = None,
    memory_mib: float | None = None,
) -> Result:
    return Result(
        server=server,
        rate=plan.rate,
        calls=plan.calls,
        p50_ms=round(percentile(reached.answer_ms, 0.5), 2),
        p99_ms=round(percentile(reached.answer_ms, 0.99), 2),
        max_ms=round(max(reached.answer_ms, default=float("nan")), 1),
        failed=reached.refused + reached.unanswered,
        repeated=reached.repeated,
        disk_max_ms=round(max(disk.ms, default=float("nan")), 1),
        incidents=incidents,
        core_percent=core_percent,
        ms_per_call=ms_per_call,
        memory_mib=memory_mib,
    )


def _line(result: Result) -> str:
    cost = (
        f"{result.core_percent:>7.0f}{result.ms_per_call:>13.2f}{result.memory_mib:>5.0f}"
        if result.core_percent is not None and result.ms_per_call is not None and result.memory_mib is not None
        else ""
    )
    return (
        f"{result.server:<9}{result.rate:>9.0f}{result.calls:>7}{result.p50_ms:>9.2f}{result.p99_ms:>9.2f}"
        f"{result.max_ms:>9.1f}{result.disk_max_ms:>9.1f}{result.failed:>8}{result.repeated:>10}{cost}"
    )


@contextmanager
def devices() -> Iterator[Ask]:
    """The process of the devices; what is given carries out a plan."""
    context = multiprocessing.get_context("spawn")
    control, other_end = context.Pipe()
    process = context.Process(target=call, args=(other_end,), daemon=True)
    process.start()

    def ask(plan: Plan) -> Reached:
        control.send(plan)
        return _receive(control, Reached)

    try:
        yield ask
    finally:
        control.send(None)
        process.join(5)
        process.kill()


@contextmanager
def bare_responder(path: Path) -> Iterator[tuple[str, int]]:
    """The limit's process; gives its address."""
    context = multiprocessing.get_context("spawn")
    control, other_end = context.Pipe()
    process = context.Process(target=answer_after_commit, args=(other_end, str(path)), daemon=True)
    process.start()
    with closing(control):
        try:
            host, port = _receive(control, tuple)
            yield host, port
        finally:
            control.send(None)
            process.join(5)
            process.kill()


def _receive(control: Connection, kind: type[T]) -> T:
    if not control.poll(PATIENCE):
        raise SystemExit("a process of the benchmark does not answer")
    answer = control.recv()
    if not isinstance(answer, kind):
        raise SystemExit(f"unexpected answer: {answer!r}")
    return answer


if __name__ == "__main__":
    main()
