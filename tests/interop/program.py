"""A program as a child process: its log, what to wait for in it, and its end."""

import os
import pty
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Self, TypeVar

PATIENCE = 20.0
"""Seconds to wait for what normally takes milliseconds: the machine may be busy with seven other things."""

Found = TypeVar("Found")


class ProgramFailed(AssertionError):
    """A peer did not do what the test needs of it. The message ends with the tail of its log."""


def wait_until(look: Callable[[], Found | None], what: str, patience: float = PATIENCE) -> Found:
    """Ask `look` until it returns something true, and return that."""
    deadline = time.monotonic() + patience
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() >= deadline:
            raise ProgramFailed(f"not within {patience:g} s: {what}")
        time.sleep(0.03)


def installed(name: str) -> bool:
    return shutil.which(name) is not None


class Program:
    """One child process, used as a context manager. Whatever it prints goes to `<directory>/<name>.log`."""

    def __init__(self, name: str, directory: Path) -> None:
        self.name = name
        self.directory = directory / name
        self.directory.mkdir(parents=True, exist_ok=True)
        self.log = self.directory / f"{name}.log"
        self.process: subprocess.Popen[bytes] | None = None
        self._keyboard: int | None = None
        self._seen = 0

    def command(self) -> Sequence[str]:
        """The command line."""
        raise NotImplementedError

    def environment(self) -> Mapping[str, str]:
        """What is added to the environment of the child."""
        return {}

    def ready(self) -> None:
        """Return when the program can be used."""

    def quit(self) -> None:
        """Ask the program to end by itself, where it knows how to."""

    def start(self, *, terminal: bool = False) -> None:
        """Start the child. With `terminal`, its standard input is one, and `write_line` types there."""
        stdin: int | IO[bytes] = subprocess.DEVNULL
        if terminal:
            self._keyboard, stdin = pty.openpty()
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command(),
                cwd=self.directory,
                env={**os.environ, "TERM": "dumb", **self.environment()},
                stdin=stdin,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        if terminal and isinstance(stdin, int):
            os.close(stdin)

    def write_line(self, line: str) -> None:
        """Type a line at the program's terminal."""
        if self._keyboard is None:
            raise ProgramFailed(f"{self.name} has no terminal")
        os.write(self._keyboard, line.encode() + b"\n")

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def text(self) -> str:
        """Everything that it printed."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def wait_for(self, pattern: str, patience: float = PATIENCE) -> re.Match[str]:
        """Wait until something matches in what it printed since the last thing that was waited for."""
        expression = re.compile(pattern)

        def look() -> re.Match[str] | None:
            match = expression.search(self.text(), self._seen)
            if match is None and not self.running:
                raise self.failed(f"it ended with {self.process and self.process.returncode} before {pattern!r}")
            return match

        try:
            match = wait_until(look, pattern, patience)
        except ProgramFailed as error:
            raise self.failed(str(error)) from None
        self._seen = match.end()
        return match

    def expect(self, pattern: str, patience: float) -> bool:
        """Whether something comes to match that soon. Nothing is lost if not: ask again."""
        try:
            self.wait_for(pattern, patience)
        except ProgramFailed:
            if not self.running:
                raise
            return False
        return True

    def failed(self, why: str) -> ProgramFailed:
        return ProgramFailed(f"{self.name}: {why}\n{tail(self.log)}")

    def join(self, patience: float = PATIENCE) -> int:
        """Wait for its end by itself; its exit status."""
        if self.process is None:
            raise ProgramFailed(f"{self.name} was never started")
        try:
            return self.process.wait(patience)
        except subprocess.TimeoutExpired:
            raise self.failed(f"still running after {patience:g} s") from None

    def kill(self) -> None:
        """End it at once, as `kill -9` does."""
        if self.process is not None and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(5)

    def stop(self) -> None:
        """Ask it to end, then terminate it, then kill it."""
        if self.process is None:
            return
        if self.running:
            self.quit()
            for sign, seconds in ((None, 2.0), (signal.SIGTERM, 3.0)):
                if sign is not None:
                    self.process.send_signal(sign)
                try:
                    self.process.wait(seconds)
                    break
                except subprocess.TimeoutExpired:
                    continue
        self.kill()
        if self._keyboard is not None:
            os.close(self._keyboard)
            self._keyboard = None

    def __enter__(self) -> Self:
        self.start()
        try:
            self.ready()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def tail(log: Path) -> str:
    """The end of a log, without escape sequences and the lines of a running status display."""
    if not log.exists():
        return f"({log.name} was never written)"
    plain = re.sub(r"\x1b\[[0-9;]*m", "", log.read_text(errors="replace"))
    kept = [line for line in plain.splitlines() if line.strip() and "(bit/s)" not in line]
    return f"--- {log.name} ---\n" + "\n".join(kept)[-6000:]
