"""The service under test as its users start it: a TOML file, `earshot serve`, and the command line."""

import json
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

from .certificates import Certificates
from .evidence import Evidence, Incident
from .ports import free_ports
from .program import PATIENCE, Program, ProgramFailed, wait_until

ROOT = Path(__file__).parents[2]

OPTIONS = """\
OPTIONS sip:earshot@127.0.0.1 SIP/2.0\r
Via: SIP/2.0/UDP 127.0.0.1:{port};branch=z9hG4bKawake{port};rport\r
From: <sip:awake@127.0.0.1>;tag=1\r
To: <sip:earshot@127.0.0.1>\r
Call-ID: awake-{port}\r
CSeq: 1 OPTIONS\r
Max-Forwards: 70\r
Content-Length: 0\r
\r
"""

Table = Mapping[str, Any]


class Service(Program):
    """`earshot serve` in a folder of its own, on UDP, TCP and (given certificates) TLS of 127.0.0.1 and ::1.

    `settings` are further keys by table: `{"alarms": {"ring": "longest_idle"}}`; `rows` are the rows of further tables:
    `{"plans": [{"id": "nights", "steps": [{"ring": "operators"}]}]}`.
    """

    def __init__(
        self,
        directory: Path,
        *,
        devices: Sequence[Table] = (),
        operators: Sequence[Table] = (),
        workers: Sequence[Table] = (),
        trusted: bool = True,
        certificates: Certificates | None = None,
        ipv6: bool = False,
        rtp_ports: int = 400,
        settings: Mapping[str, Table] | None = None,
        rows: Mapping[str, Sequence[Table]] | None = None,
        name: str = "service",
    ) -> None:
        super().__init__(name, directory)
        self.port = free_ports()
        self.tls_port = free_ports()
        self.api_port = free_ports()
        rtp = free_ports(rtp_ports)
        hosts = ["127.0.0.1", *(["[::1]"] if ipv6 else [])]
        tables: dict[str, dict[str, Any]] = {
            "sip": {
                "udp": [f"{host}:{self.port}" for host in hosts],
                "tcp": [f"{host}:{self.port}" for host in hosts],
                "trusted_networks": ["127.0.0.0/8", "::1/128"] if trusted else [],
                "trace_directory": str(self.directory / "trace"),
            },
            "rtp": {"address": "::" if ipv6 else "127.0.0.1", "ports": f"{rtp}-{rtp + rtp_ports - 1}"},
            "store": {"url": f"sqlite:///{self.directory / 'earshot.db'}"},
            "recordings": {"directory": str(self.directory / "recordings")},
            "api": {"listen": f"127.0.0.1:{self.api_port}"},
        }
        if certificates:
            tables["sip"] |= {
                "tls": [f"{host}:{self.tls_port}" for host in hosts],
                "certificate": str(certificates.certificate),
                "private_key": str(certificates.private_key),
            }
        for name, more in (settings or {}).items():
            tables.setdefault(name, {}).update(more)
        self.config = self.directory / "earshot.toml"
        known = {"devices": devices, "operators": operators, "workers": workers}
        self.config.write_text(_toml(tables, known | dict(rows or {})))

    @property
    def address(self) -> tuple[str, int]:
        return ("127.0.0.1", self.port)

    def command(self) -> Sequence[str]:
        return [sys.executable, "-u", "-m", "voice", "serve", "--config", str(self.config)]

    def environment(self) -> Mapping[str, str]:
        return {"PYTHONPATH": str(ROOT)}

    def quit(self) -> None:
        if self.process is not None:
            self.process.terminate()

    def ready(self) -> None:
        wait_until(self._answers_options, "an answer to OPTIONS", 30)

    def _answers_options(self) -> bool:
        if not self.running:
            raise self.failed(f"it ended with {self.process and self.process.returncode}")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind(("127.0.0.1", 0))
            probe.settimeout(0.5)
            try:
                probe.sendto(OPTIONS.format(port=probe.getsockname()[1]).encode(), self.address)
                return probe.recv(4096).startswith(b"SIP/2.0 ")
            except OSError:
                return False

    def crash(self) -> None:
        """`kill -9`."""
        self.kill()

    def restart(self) -> None:
        """Start again on what the last process left behind."""
        self.stop()
        self.start()
        self.ready()

    def earshot(self, *arguments: str) -> str:
        """Run the command line with this service's configuration; what it prints."""
        command = [sys.executable, "-m", "voice", *arguments, "--config", str(self.config)]
        done = subprocess.run(
            command,
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
            stdin=subprocess.DEVNULL,
            check=False,
        )
        if done.returncode:
            raise ProgramFailed(f"{' '.join(arguments)}: exit {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout

    def health(self) -> str:
        """What `/healthz` says: `ok`, or what is wrong."""
        try:
            with urlopen(f"http://127.0.0.1:{self.api_port}/healthz", timeout=10) as response:
                text: bytes = response.read()
        except HTTPError as error:
            text = error.read()
        return text.decode().strip()

    @property
    def evidence(self) -> Evidence:
        """What stands in its database and its folder of recordings."""
        return Evidence(self.directory / "earshot.db", self.directory / "recordings")

    @contextmanager
    def store_held(self) -> Iterator[None]:
        """Hold the lock of the database, as another process that writes would: no commit gets through."""
        with closing(sqlite3.connect(self.directory / "earshot.db", timeout=30, isolation_level=None)) as held:
            held.execute("BEGIN IMMEDIATE")
            yield
            held.execute("ROLLBACK")

    def incident(self, caller: str | None = None) -> Incident:
        """The one incident that there is, or that this caller raised."""
        found = [incident for incident in self.evidence.incidents() if caller in (None, incident.row["caller"])]
        if len(found) != 1:
            raise self.failed(f"{len(found)} incidents of {caller or 'anybody'} instead of one: {found}")
        return found[0]

    def wait_for_entry(
        self, *kinds: str, caller: str | None = None, times: int = 1, patience: float = PATIENCE
    ) -> Incident:
        """Wait until each kind of entry stands so often on the timeline of this caller's one incident."""

        def look() -> Incident | None:
            found = [incident for incident in self.evidence.incidents() if caller in (None, incident.row["caller"])]
            done = len(found) == 1 and all(found[0].kinds.count(kind) >= times for kind in kinds)
            return found[0] if done else None

        try:
            return wait_until(look, f"timeline entries {kinds}", patience)
        except ProgramFailed as error:
            raise self.failed(f"{error}\n{self.evidence.incidents()}") from None


def _toml(tables: Mapping[str, Table], rows: Mapping[str, Sequence[Table]]) -> str:
    lines: list[str] = []
    for name, table in tables.items():
        lines += [f"[{name}]", *(f"{key} = {_value(value)}" for key, value in table.items()), ""]
    for name, entries in rows.items():
        for entry in entries:
            lines += [f"[[{name}]]", *(f"{key} = {_value(value)}" for key, value in entry.items()), ""]
    return "\n".join(lines)


def _value(value: Any) -> str:
    """JSON's strings, numbers and booleans are TOML's too; an inline table needs its own form."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{json.dumps(key)} = {_value(item)}" for key, item in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_value(item) for item in value) + "]"
    return json.dumps(value)
