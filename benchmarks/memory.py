"""What calls leave in memory: the service after thousands of them.

    python -m benchmarks.memory [--calls 2000] [--rate 100] [--json]

Every call opens an incident that nobody resolves, so what stays by design grows: an open incident, and the SIP trace
up to its bound. Everything else has to be gone when the last transactions are (32 s): the figure to look at is the
memory per open incident, and that it does not grow with the number of calls.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.alarms_per_second import devices
from benchmarks.callers import Plan
from benchmarks.machine import this_machine
from benchmarks.service import running

STEPS = 2
LAST_TRANSACTIONS = 35.0
"""Seconds until the transactions of the last call are over (64*T1), and a little."""


@dataclass(frozen=True, slots=True)
class Figure:
    """The service after so many calls."""

    calls: int
    open_incidents: int
    memory_mib: float
    kib_per_call: float
    """Since before the first of them."""


def main() -> None:
    """Run the benchmark and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--calls", type=int, default=2000)
    parser.add_argument("--rate", type=float, default=100.0, help="calls a second")
    parser.add_argument("--json", action="store_true", help="for programs")
    options = parser.parse_args()
    machine = this_machine()
    if not options.json:
        print(*machine.lines(), sep="\n")
        print("\n  calls  open incidents     MiB  KiB/call")
    figures = []
    with (
        devices() as ask,
        TemporaryDirectory(dir=Path.cwd(), prefix=".benchmark-") as folder,
        running(Path(folder)) as service,
    ):
        ask(Plan(service.sip, 100, 50.0, 0.1, name="warmup"))
        time.sleep(LAST_TRANSACTIONS)
        before = service.memory_mib
        for step in range(1, STEPS + 1):
            ask(Plan(service.sip, options.calls // STEPS, options.rate, 0.1, name=f"step{step}"))
            time.sleep(LAST_TRANSACTIONS)
            calls, memory = step * (options.calls // STEPS), service.memory_mib
            figure = Figure(
                calls=calls,
                open_incidents=round(service.metric("earshot_open_incidents")),
                memory_mib=round(memory, 1),
                kib_per_call=round((memory - before) * 1024 / calls, 1),
            )
            figures.append(figure)
            if not options.json:
                print(
                    f"{figure.calls:>7}{figure.open_incidents:>16}{figure.memory_mib:>8.1f}{figure.kib_per_call:>10.1f}",
                    flush=True,
                )
    if options.json:
        print(json.dumps({"machine": machine.as_dict(), "memory": [asdict(each) for each in figures]}, indent=2))


if __name__ == "__main__":
    main()
