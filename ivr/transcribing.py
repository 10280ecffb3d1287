"""Any program as an ear: it is given a WAV file, and writes the words that it has understood to its output."""

import asyncio
import os
import signal
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

FILE = "{file}"
LONGEST = 300.0
"""Seconds after which a program that does not end is given up. A memo is a minute or two, and nothing waits for it."""
LONGEST_TEXT = 20_000
"""Characters that are kept of what it writes."""
NICENESS = 10
"""Transcripts are made when nothing more urgent wants the processor."""


class NotTranscribed(Exception):
    """The program failed. Holds nothing of what it wrote."""


class CommandTranscriber:
    """Runs a configured program for each file."""

    def __init__(self, command: Sequence[str]) -> None:
        """`{file}` in an argument is replaced by the path."""
        self._command = tuple(command)

    async def __call__(self, path: Path) -> str:
        """What is said in this file. Raises `NotTranscribed`. Cancelled: the program is ended."""
        command = [argument.replace(FILE, str(path)) for argument in self._command]
        try:
            process = await asyncio.create_subprocess_exec(
                *command, stdin=DEVNULL, stdout=PIPE, stderr=DEVNULL, start_new_session=True
            )
        except OSError as error:
            raise NotTranscribed(error.strerror) from None
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, process.pid, NICENESS)
        try:
            async with asyncio.timeout(LONGEST):
                said, _ = await process.communicate()
        except TimeoutError:
            raise NotTranscribed(f"took longer than {LONGEST:g} s") from None
        finally:
            await _ended(process)
        if process.returncode:
            raise NotTranscribed(f"ended with {process.returncode}")
        return said.decode("utf-8", "replace").strip()[:LONGEST_TEXT]


def transcriber(command: Sequence[str]) -> CommandTranscriber | None:
    """The one that is configured; None: there is none."""
    return CommandTranscriber(command) if command else None


async def _ended(process: Process) -> None:
    """Nothing of it runs on, whatever it has started."""
    if process.returncode is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
