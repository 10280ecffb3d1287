"""Messages into a file, one JSON object a line: for development, and for a gateway that reads files."""

import asyncio
import json
import os
from collections.abc import Iterator
from pathlib import Path

from voice.clock import Clock
from voice.incidents.timeline import timestamp
from voice.messages.channel import Message, MessageFailed, Receipt


class FileChannel:
    """Appends each message to a file, which only its owner may read: it holds names and numbers."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path = path
        self._clock = clock
        self._sent: set[str] | None = None
        """Keys that the file holds; None until it was read."""
        self._one_at_a_time = asyncio.Lock()

    async def send(self, message: Message) -> Receipt:
        """`Channel`. A key that the file holds, be it from an earlier process, is not written again."""
        async with self._one_at_a_time:
            try:
                return await asyncio.to_thread(self._append, message)
            except OSError as error:
                raise MessageFailed(f"the file cannot be written: {error.strerror}", retry_can_help=True) from error

    def _append(self, message: Message) -> Receipt:
        if self._sent is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._sent = set(_keys(self._path))
        if message.key in self._sent:
            return Receipt(message.key, repeated=True)
        with open(self._path, "a+b", opener=_private) as file:
            file.write(_after_a_torn_line(self._path) + self._line(message))
            file.flush()
            os.fsync(file.fileno())
        self._sent.add(message.key)
        return Receipt(message.key)

    def _line(self, message: Message) -> bytes:
        content = {
            "key": message.key,
            "at": timestamp(self._clock.now()),
            "contact": message.contact_id,
            "to": message.to,
            "subject": message.subject,
            "text": message.text,
            "language": message.language,
            "link": message.link,
        }
        return json.dumps(content, ensure_ascii=False).encode("utf-8", "replace") + b"\n"


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _after_a_torn_line(path: Path) -> bytes:
    """A newline, if a process died while it wrote the last one."""
    with open(path, "rb") as file:
        if not file.seek(0, os.SEEK_END):
            return b""
        file.seek(-1, os.SEEK_END)
        return b"" if file.read(1) == b"\n" else b"\n"


def _keys(path: Path) -> Iterator[str]:
    """Keys of the messages that a file holds; a line that cannot be read holds none."""
    if not path.exists():
        return
    with open(path, "rb") as file:
        for line in file:
            try:
                yield str(json.loads(line)["key"])
            except (ValueError, KeyError, TypeError):
                continue
