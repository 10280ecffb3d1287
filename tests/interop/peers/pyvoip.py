"""pyVoIP 1.6, in a process of its own: registers with MD5 digest, calls with mu-law, UDP and IPv4 only.

It cannot send digits, and cannot call a server that answers without first challenging or sending 100 or 180.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..ports import free_ports
from ..program import Program
from ..sounds import Samples


class PyVoip(Program):
    """A phone registered with `server`."""

    def __init__(
        self,
        directory: Path,
        user: str,
        wav: Path,
        *,
        server: tuple[str, int],
        password: str,
        answers: str = "manual",
    ) -> None:
        super().__init__(f"pyvoip-{user}", directory)
        self.heard_file = self.directory / "heard.raw"
        rtp = free_ports(20)
        script = Path(__file__).with_name("pyvoip_phone.py")
        own = (free_ports(), rtp, rtp + 19)
        places = (wav, self.heard_file, answers)
        self.arguments = [sys.executable, "-u", script, *server, user, password, *own, *places]

    def command(self) -> Sequence[str]:
        return [str(argument) for argument in self.arguments]

    def start(self, *, terminal: bool = True) -> None:
        super().start(terminal=terminal)

    def ready(self) -> None:
        self.wait_for(r"(?m)^registered")

    def dial(self, user: str) -> None:
        self.write_line(f"call {user}")

    def wait_for_ring(self) -> None:
        self.wait_for(r"(?m)^ringing")

    def answer(self) -> None:
        self.write_line("answer")

    def wait_for_call(self) -> None:
        self.wait_for(r"(?m)^answered")

    def digit(self, digit: str) -> None:
        raise self.failed(f"it cannot send digits, not even {digit}")

    def hang_up(self) -> None:
        self.write_line("hangup")

    def wait_for_end(self) -> None:
        self.wait_for(r"(?m)^ended")

    def quit(self) -> None:
        self.write_line("quit")

    @property
    def heard(self) -> Samples:
        """What it has heard in its last call so far; eight bits fine."""
        data = self.heard_file.read_bytes() if self.heard_file.exists() else b""
        return ((np.frombuffer(data, np.uint8).astype(np.int16) - 128) * 256).astype(np.int16)
