"""A mass incident: a thousand alarms in a minute, twenty operators, two hundred contacts.

    python -m benchmarks.mass_incident [--alarms 1000] [--seconds 60] [--operators 20] [--contacts 200] [--json]

The service runs as `earshot serve` does, on one core, with everything on the disk, and the phones on the other core
(`benchmarks.callers`, `benchmarks.people`): all of it is real SIP and RTP over loopback. The devices stay on their
calls and talk until somebody resolves their incident. The plan of each alarm: operators 20 s, then its customer's team
of ten one after the other, a text message to all of them, all of them at once 20 s, 10 s of rest, and again from the
top. The run ends when every alarm has had a human, or after `--patience` seconds.

Beside it, in the same run, the same alarms without plans (every alarm waits for operators): what differs while the
alarms come in is what escalations cost.

The queue is ordered: an operator whose phone began to ring for an alarm while a more urgent one, or an older one of
the same priority, waited without ringing anybody, and who then joined the lesser one, counts as `overtaken`.
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.callers import Plan, Reached, call
from benchmarks.machine import DiskProbe, percentile, this_machine
from benchmarks.mass_findings import Findings, find
from benchmarks.people import Observed, live
from benchmarks.service import HOST, Running, free_port, running
from benchmarks.town import Town

STARTING = 60.0
"""Seconds within which the phones are ready."""
AFTER_THE_LAST = 22.0
"""Seconds after the last alarm in which the run without plans is still watched."""
SETTLING = 3.0

_UNATTENDED = (
    "SELECT count(*) FROM incidents WHERE caller LIKE 'mass%' AND id NOT IN "
    "(SELECT incident_id FROM timeline WHERE kind IN ('operator_joined', 'taken'))"
)


@dataclass(frozen=True, slots=True)
class Result:
    """One run."""

    plan: str
    alarms: int
    answer_p50_ms: float
    answer_p99_ms: float
    answer_max_ms: float
    refused: int
    repeated: int
    seconds: float
    """Until every alarm had had a human, or patience was over."""
    cpu_s: float
    """Of the service, from the first alarm to the end."""
    cpu_of_first_s: float
    """The same until shortly after the last alarm: what the two runs can be compared by."""
    speech_cpu_s: float
    """Of the speech engine's processes, on the same core."""
    memory_mib: float
    backlog_max: int
    """Writes that waited for the store."""
    late_ticks: int
    disk_max_ms: float
    findings: Findings
    observed: Observed


@dataclass(slots=True)
class Watch:
    """Looks at the service while it runs."""

    service: Running
    backlog: float = 0.0
    _over: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        while not self._over.wait(1.0):
            with suppress(OSError):  # it is too busy to say
                self.backlog = max(self.backlog, self.service.metric("earshot_store_backlog"))

    def stop(self) -> None:
        self._over.set()


def main() -> None:
    """Run the benchmark and print what was found."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--alarms", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=60.0, help="in which they come")
    parser.add_argument("--operators", type=int, default=20)
    parser.add_argument("--contacts", type=int, default=200)
    parser.add_argument("--customers", type=int, default=20)
    parser.add_argument("--patience", type=float, default=600.0, help="seconds until every alarm has to have a human")
    parser.add_argument("--ring", choices=("longest_idle", "all"), default="longest_idle", help="alarms.ring")
    parser.add_argument("--folder", type=Path, default=Path.cwd(), help="where the data lies")
    parser.add_argument("--no-peer", action="store_true", help="leave out the run without plans")
    parser.add_argument("--json", action="store_true", help="for programs")
    options = parser.parse_args()
    machine = this_machine()
    if not options.json:
        print(*machine.lines(), sep="\n")
    results = []
    for plans in (True,) if options.no_peer else (False, True):
        with TemporaryDirectory(dir=options.folder, prefix=".benchmark-") as folder:
            result = measure(options, Path(folder), plans=plans)
        results.append(result)
        if not options.json:
            print("", *told(result), sep="\n", flush=True)
    if options.json:
        print(json.dumps({"machine": machine.as_dict(), "results": [asdict(each) for each in results]}, indent=2))
    if complaint := "; ".join(wrong for result in results for wrong in failures(result)):
        sys.exit(complaint)


def measure(options: argparse.Namespace, folder: Path, *, plans: bool) -> Result:
    """One run from the first alarm to the last human."""
    trunk = (HOST, free_port(socket.SOCK_DGRAM))
    town = Town(options.alarms, options.operators, options.contacts, options.customers, trunk)
    configuration = town.configuration(str(folder), options.ring, plans=plans)
    with (
        started(live, town, folder / "heard") as people,
        running(folder, configuration) as service,
        started(call) as devices,
        DiskProbe(folder) as disk,
    ):
        people.send(service.sip)
        _receive(people, STARTING)
        watch = Watch(service)
        threading.Thread(target=watch.run, daemon=True).start()
        cpu, began = service.cpu, time.monotonic()
        rate = options.alarms / options.seconds
        stay = options.seconds + options.patience + STARTING
        devices.send(Plan(service.sip, options.alarms, rate, math.inf, name=town.name, longest=stay))
        time.sleep(options.seconds + AFTER_THE_LAST)
        first = service.cpu - cpu
        while plans and service.count(_UNATTENDED) and time.monotonic() - began < options.patience:
            time.sleep(1.0)
        seconds, cpu = time.monotonic() - began, service.cpu - cpu
        devices.send(None)
        reached: Reached = _receive(devices, STARTING)
        watch.stop()
        time.sleep(SETTLING)
        people.send("over")
        observed: Observed = _receive(people, STARTING)
        return Result(
            plan="operators, team, message" if plans else "operators only",
            alarms=options.alarms,
            answer_p50_ms=round(percentile(reached.answer_ms, 0.5), 2),
            answer_p99_ms=round(percentile(reached.answer_ms, 0.99), 2),
            answer_max_ms=round(max(reached.answer_ms, default=float("nan")), 1),
            refused=reached.refused + reached.unanswered,
            repeated=reached.repeated,
            seconds=round(seconds, 1),
            cpu_s=round(cpu, 1),
            cpu_of_first_s=round(first, 1),
            speech_cpu_s=round(service.children_cpu, 1),
            memory_mib=round(service.memory_mib),
            backlog_max=round(watch.backlog),
            late_ticks=round(service.metric("earshot_late_ticks")),
            disk_max_ms=round(max(disk.ms, default=float("nan")), 1),
            findings=find(service, options.alarms, observed.invites),
            observed=observed,
        )


def told(result: Result) -> Iterator[str]:
    """For people."""
    found, seen = result.findings, result.observed
    yield f"plan: {result.plan}; {result.alarms} alarms, {seen.registered} operators registered"
    yield f"  lost {found.lost}, refused {result.refused}, repeated {result.repeated}"
    yield (
        f"  INVITE to 200: p50 {result.answer_p50_ms} ms, p99 {result.answer_p99_ms} ms, max {result.answer_max_ms} ms"
        f" (disk at worst {result.disk_max_ms} ms)"
    )
    for priority, spread in found.human_after_s.items():
        yield (
            f"  a human has it, priority {priority}: p50 {spread.p50:.1f} s, p99 {spread.p99:.1f} s,"
            f" max {spread.max:.1f} s ({spread.count} alarms)"
        )
    yield f"  by operators {found.by_operators}, by contacts {found.by_contacts}, nobody {found.without_human}"
    yield f"  overtaken in the queue {found.overtaken}"
    yield f"  calls to contacts {found.calls}, doubled {found.doubled_calls}"
    yield f"  messages {found.messages}, doubled {found.doubled_messages}"
    late, way = found.decided_late_ms, found.to_telephone_ms
    yield f"  decided after its time: p50 {late.p50} ms, p99 {late.p99} ms, max {late.max} ms"
    yield f"  from the decision to the INVITE: p50 {way.p50} ms, p99 {way.p99} ms, max {way.max} ms"
    yield f"    (the phones themselves were late: p99 {seen.lateness_p99_ms:.1f} ms, max {seen.lateness_max_ms:.1f} ms)"
    yield (
        f"  {result.seconds} s; CPU {result.cpu_s} s, until shortly after the last alarm {result.cpu_of_first_s} s,"
        f" speech {result.speech_cpu_s} s; {result.memory_mib:.0f} MiB"
    )
    yield f"  late media ticks {result.late_ticks}, writes in line at most {result.backlog_max}"
    yield f"  {found.decisions} decisions, {found.timeline_entries} entries"
    yield f"  a state has {found.state_bytes.p50:.0f} bytes as a rule, {found.state_bytes.max:.0f} at most"
    yield f"  {', '.join(f'{act} {count}' for act, count in sorted(seen.acts.items()))}"


def failures(result: Result) -> Iterator[str]:
    """What must not be."""
    found = result.findings
    if found.lost or result.refused:
        yield "an alarm was lost"
    if found.doubled_calls or found.doubled_messages:
        yield "a command was carried out twice"
    if found.without_human and result.plan != "operators only":
        yield "an alarm had no human"


@contextmanager
def started(target: object, *arguments: object) -> Iterator[Connection]:
    """A process of phones."""
    context = multiprocessing.get_context("spawn")
    control, other_end = context.Pipe()
    process = context.Process(target=target, args=(other_end, *arguments), daemon=True)  # type: ignore[arg-type]
    process.start()
    try:
        if target is live:
            _receive(control, STARTING)
        yield control
    finally:
        with suppress(OSError):
            control.send(None)
        process.join(5)
        process.kill()


def _receive(control: Connection, patience: float):  # type: ignore[no-untyped-def]
    if not control.poll(patience):
        raise SystemExit("a process of the benchmark does not answer")
    return control.recv()


if __name__ == "__main__":
    main()
