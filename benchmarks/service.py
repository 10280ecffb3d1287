"""The real service in a process of its own, as `earshot serve` starts it, and what that process costs."""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from benchmarks.machine import pin

HOST = "127.0.0.1"
PATIENCE = 20.0
"""Seconds for the service to come up, and to stop."""

_CONFIGURATION = """\
[sip]
udp = "{host}:{sip}"
tcp = ""
trusted_networks = ["127.0.0.0/8"]
trace_directory = "{folder}/trace"
[rtp]
address = "{host}"
ports = "{first}-{last}"
[store]
url = "sqlite:///{folder}/earshot.db"
[recordings]
directory = "{folder}/recordings"
[api]
listen = "{host}:{api}"
[log]
level = "warning"
"""

_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Running:
    """A service that answers."""

    process: int
    sip: tuple[str, int]
    api: tuple[str, int]
    folder: Path

    @property
    def cpu(self) -> float:
        """Seconds of user and system time so far, of all its threads."""
        return self._cpu(11)

    @property
    def children_cpu(self) -> float:
        """The same of programs that it called and that have ended: the speech engine."""
        return self._cpu(13)

    def _cpu(self, first: int) -> float:
        fields = Path(f"/proc/{self.process}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[first]) + int(fields[first + 1])) / _TICKS

    @property
    def memory_mib(self) -> float:
        """Resident memory."""
        status = Path(f"/proc/{self.process}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0]) / 1024

    def metric(self, name: str) -> float:
        """A value that it publishes."""
        with urlopen(f"http://{self.api[0]}:{self.api[1]}/metrics", timeout=5) as answer:
            lines: list[str] = answer.read().decode().splitlines()
        return next(float(line.split()[-1]) for line in lines if line.split(" ")[0] == name)

    def count(self, query: str) -> int:
        """A number out of its database."""
        return int(self.rows(query)[0][0])

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """What its database says."""
        with closing(sqlite3.connect(f"file:{self.folder}/earshot.db?mode=ro", uri=True)) as database:
            return database.execute(query).fetchall()


@contextmanager
def running(
    folder: Path, extra: str = "", *, core: int | None = 0, ports: tuple[int, int] = (20_000, 27_999)
) -> Iterator[Running]:
    """Start `earshot serve`, wait until it answers, and stop it at the end.

    `extra` is put behind the configuration; `core` is the one that the service may use, None for all of them.
    """
    sip, api = free_port(socket.SOCK_DGRAM), free_port(socket.SOCK_STREAM)
    configuration = folder / "earshot.toml"
    configuration.write_text(
        _CONFIGURATION.format(host=HOST, sip=sip, api=api, folder=folder, first=ports[0], last=ports[1]) + extra
    )
    errors = folder / "service.log"
    with errors.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "voice", "serve", "--config", str(configuration)],
            stdout=output,
            stderr=output,
            preexec_fn=None if core is None else lambda: pin(core),
        )
        try:
            _await_answer((HOST, sip), process, errors)
            yield Running(process.pid, (HOST, sip), (HOST, api), folder)
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def free_port(kind: socket.SocketKind) -> int:
    """A port that nobody has at the moment."""
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def _await_answer(address: tuple[str, int], process: subprocess.Popen[bytes], errors: Path) -> None:
    """Ask with OPTIONS until there is an answer."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind((HOST, 0))
        probe.settimeout(0.2)
        port = probe.getsockname()[1]
        until = time.monotonic() + PATIENCE
        attempt = 0
        while time.monotonic() < until and process.poll() is None:
            attempt += 1
            probe.sendto(_OPTIONS.format(host=HOST, port=port, attempt=attempt).encode(), address)
            try:
                if probe.recv(4096):
                    return
            except OSError:  # nobody is there yet
                time.sleep(0.05)
    raise SystemExit(f"the service does not answer:\n{errors.read_text()}")


_OPTIONS = (
    "OPTIONS sip:{host} SIP/2.0\r\n"
    "Via: SIP/2.0/UDP {host}:{port};branch=z9hG4bK-ready-{attempt}\r\n"
    "Max-Forwards: 70\r\n"
    "From: <sip:bench@{host}>;tag=b\r\n"
    "To: <sip:{host}>\r\n"
    "Call-ID: ready-{attempt}@{host}\r\n"
    "CSeq: 1 OPTIONS\r\n"
    "Content-Length: 0\r\n\r\n"
)
