"""The machine and the versions that a figure was measured with."""

from __future__ import annotations

import os
import platform
import sys
import threading
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Self

PACKAGES = ("earshot", "sipmessage", "sqlalchemy", "pysqlite3", "numpy")


@dataclass(frozen=True, slots=True)
class Machine:
    """Where a benchmark ran."""

    measured_at: str
    processor: str
    cores: int
    memory_gib: float
    system: str
    python: str
    versions: dict[str, str]
    load: float
    """Load average of the last minute before the run: more than a fraction of the cores makes figures
    doubtful."""

    def lines(self) -> list[str]:
        """For people."""
        versions = ", ".join(f"{name} {number}" for name, number in self.versions.items())
        return [
            f"{self.measured_at}: {self.processor}, {self.cores} cores, {self.memory_gib:.0f} GiB, {self.system}",
            f"Python {self.python}; {versions}; load before the run {self.load:.2f}",
        ]

    def as_dict(self) -> dict[str, object]:
        """For programs."""
        return asdict(self)


def this_machine() -> Machine:
    """The machine that this runs on, now."""
    return Machine(
        measured_at=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        processor=_processor(),
        cores=os.cpu_count() or 1,
        memory_gib=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30),
        system=f"{platform.system()} {platform.release()}",
        python=f"{sys.version_info.major}.{sys.version_info.minor}.{sys.version_info.micro}",
        versions={name: number for name in PACKAGES if (number := _version(name)) is not None},
        load=os.getloadavg()[0],
    )


def pin(core: int) -> None:
    """Keep this process on one core, where the system allows it and has that many."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) > 1:
        os.sched_setaffinity(0, {cores[core % len(cores)]})


def go_first() -> None:
    """Let this process run before others on this machine, where that is allowed: a simulated peer that waits for a
    processor would look like a service that answers late."""
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, -10)
        os.setsid()  # Linux shares the processors among sessions first
        Path("/proc/self/autogroup").write_text("-10")


class DiskProbe:
    """What the disk does while something else is measured: a small durable write, ten times a second.

    A figure that waits for the disk can be no better than this.
    """

    def __init__(self, folder: Path) -> None:
        self.ms: list[float] = []
        self._file = folder / "probe"
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *raised: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        descriptor = os.open(self._file, os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            while not self._over.wait(0.1):
                began = time.perf_counter()
                os.write(descriptor, bytes(4096))
                os.fdatasync(descriptor)
                self.ms.append((time.perf_counter() - began) * 1000)
        finally:
            os.close(descriptor)


def percentile(values: list[float], share: float) -> float:
    """The value below which `share` (0 to 1) of the values lie; NaN of none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
