"""SIPp: plays one side of a dialog word for word from a scenario file, and judges the other side's answers.

A scenario is a list of what to send and what must come back. Exit status: 0 all calls as written, 1 at least
one call failed, 97 stopped, 99 no call made, 254 and 255 it could not start. Debian's 3.6.1 has no TLS.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..ports import free_ports
from ..program import Program, ProgramFailed, tail, wait_until

SCENARIOS = Path(__file__).parents[1] / "scenarios"

EXIT = {
    1: "at least one call failed",
    97: "stopped",
    99: "no call was made",
    254: "cannot bind",
    255: "fatal error",
}

_HEADLINE = re.compile(
    r"^-{20,} \d{4}-\d\d-\d\d[ \t](\d\d):(\d\d):(\d\d\.\d+)\n\S+ message (sent|received) .*?:\n\n",
    re.MULTILINE,
)


@dataclass(frozen=True, slots=True)
class Seen:
    """One message of SIPp's trace. `at`: seconds since midnight; `sent`: by SIPp."""

    at: float
    sent: bool
    text: str

    @property
    def first_line(self) -> str:
        return self.text.partition("\n")[0].strip()

    @property
    def status(self) -> int | None:
        word = self.first_line.split(" ")
        return int(word[1]) if word[0] == "SIP/2.0" else None

    @property
    def method(self) -> str:
        """Of the request, or of the request that this answers."""
        return (self.header("CSeq") or "").rpartition(" ")[2]

    @property
    def body(self) -> str:
        return self.text.partition("\n\n")[2]

    def header(self, name: str) -> str | None:
        """The value of the first header of this name, as it stands."""
        found = re.search(rf"^{re.escape(name)}[ \t]*:[ \t]*(.*?)\s*$", self.text.partition("\n\n")[0], re.M | re.I)
        return found[1] if found else None


class Sipp(Program):
    """`with Sipp(...) as sipp: ... sipp.succeed()`, or `Sipp(...).run()` for both in one."""

    def __init__(
        self,
        directory: Path,
        scenario: str,
        remote: tuple[str, int] | None = None,
        *,
        service: str = "alarm",
        user: str = "badge",
        password: str = "none",
        host: str | None = None,
        transport: str = "u1",
        calls: int = 1,
        rate: float = 10,
        talk: float = 2.0,
        patience: float = 45.0,
        audio_port: int = 9,
        alaw: bytes | None = None,
        keys: Mapping[str, str] | None = None,
        rows: Sequence[Sequence[str]] = (),
        trace: bool = True,
        retransmits: bool = True,
    ) -> None:
        super().__init__(f"sipp-{scenario}-{free_ports()}", directory)
        self.scenario = SCENARIOS / f"{scenario}.xml"
        self.host = host or (remote[0] if remote else "127.0.0.1")
        self.port = free_ports(2)
        self.patience = patience
        self.trace = self.directory / "messages.log" if trace else None
        self.arguments = [
            *("sipp", "-sf", str(self.scenario), "-i", self.host, "-p", str(self.port), "-mi", self.host),
            *("-t", transport, "-m", str(calls), "-r", str(rate), "-d", str(round(talk * 1000))),
            *(
                "-s",
                service,
                "-au",
                user,
                "-ap",
                password,
                "-key",
                "user",
                user,
                "-key",
                "audio_port",
                str(audio_port),
            ),
            *("-mp", str(free_ports(20))),
            *("-timeout", f"{round(patience)}s", "-timeout_error", "-nostdin"),
            *("-trace_err", "-error_file", str(self.directory / "errors.log")),
            *("-cp", str(free_ports())),
        ]
        if not retransmits:
            self.arguments.append("-nr")  # neither sends anything twice, nor overlooks what comes twice
        for name, value in (keys or {}).items():
            self.arguments += ["-key", name, value]
        if trace:
            self.arguments += ["-trace_msg", "-message_file", str(self.trace), "-message_overwrite", "true"]
        if alaw is not None:
            (self.directory / "audio.alaw").write_bytes(alaw)
        if rows:
            lines = ["SEQUENTIAL", *(";".join(row) for row in rows)]
            (self.directory / "rows.csv").write_text("\n".join(lines) + "\n")
            self.arguments += ["-inf", "rows.csv"]
        if remote:
            address, port = remote
            self.arguments.append(f"[{address}]:{port}" if ":" in address else f"{address}:{port}")

    def command(self) -> Sequence[str]:
        return self.arguments

    def quit(self) -> None:
        """It ends by itself or is terminated."""
        if self.process is not None:
            self.process.terminate()

    def run(self) -> "Sipp":
        """Play the scenario to its end; it has to succeed."""
        with self:
            self.succeed()
        return self

    def succeed(self) -> None:
        """Wait for the end of the scenario and fail unless every call went as written."""
        status = self.join(self.patience + 10)
        if status != 0:
            raise self.failed(EXIT.get(status, f"exit status {status}"))

    def failed(self, why: str) -> ProgramFailed:
        logs = [self.directory / "errors.log", *([self.trace] if self.trace else [])]
        return ProgramFailed("\n".join([f"{self.name}: {why}", *(tail(log) for log in logs)]))

    @property
    def messages(self) -> list[Seen]:
        """Every message sent and received so far, retransmissions included."""
        text = self.trace.read_text(errors="replace") if self.trace and self.trace.exists() else ""
        heads = list(_HEADLINE.finditer(text))
        ends = [*(head.start() for head in heads), len(text)][1:]
        return [
            Seen(
                int(head[1]) * 3600 + int(head[2]) * 60 + float(head[3]),
                head[4] == "sent",
                text[head.end() : end].rstrip("\n") + "\n",
            )
            for head, end in zip(heads, ends, strict=True)
        ]

    def received(self, status: int | None = None, method: str | None = None) -> list[Seen]:
        """What came in: answers with this status to this method, or requests when no status is given."""
        return [
            message
            for message in self.messages
            if not message.sent and message.status == status and method in (None, message.method)
        ]

    def wait_for_status(self, status: int, method: str = "INVITE") -> Seen:
        """Wait for the first answer of this kind."""
        return wait_until(lambda: self.received(status, method) or None, f"{status} to {method}", self.patience)[0]
