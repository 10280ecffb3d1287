"""The trace on disk: JSON lines in files by day and size, so that another process can show a call."""

import contextlib
import json
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from voice.sip.ladder import TracedMessage

_PATTERN = "sip-*.jsonl"


class TraceFiles:
    """Appends to the newest file of a directory, begins a new one by day and by size, removes the oldest."""

    def __init__(self, directory: Path, *, file_size: int = 16 << 20, total_size: int = 512 << 20) -> None:
        """Sizes in bytes. The files are readable by their owner only: they tell who called whom."""
        self.directory = directory
        self._file_size = file_size
        self._total_size = total_size
        self._current: Path | None = None

    def write(self, messages: Iterable[TracedMessage]) -> None:
        """Append. Raises OSError when the disk does not take it."""
        for day, lines in _by_day(messages).items():
            path = self._path(day)
            with path.open("ab", buffering=0) as file:  # one write: lines of two writers do not mix
                file.write("".join(lines).encode("ascii"))
        self._remove_oldest()

    def _path(self, day: str) -> Path:
        """The file to append to: the last one of the day, while it has room."""
        current = self._current
        if current is not None and day in current.name and _size(current) < self._file_size:
            return current
        self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        existing = sorted(self.directory.glob(f"sip-{day}.*.jsonl"))
        if existing and _size(existing[-1]) < self._file_size:
            path = existing[-1]
        else:
            number = int(existing[-1].suffixes[-2][1:]) + 1 if existing else 1
            path = self.directory / f"sip-{day}.{number:04d}.jsonl"
            path.touch(mode=0o600)
        self._current = path
        return path

    def _remove_oldest(self) -> None:
        files = sorted(self.directory.glob(_PATTERN))
        total = sum(map(_size, files))
        while len(files) > 1 and total > self._total_size:
            oldest = files.pop(0)
            total -= _size(oldest)
            oldest.unlink(missing_ok=True)


def read_trace(directory: Path, call_id: str) -> list[TracedMessage]:
    """Every message of a call, oldest first, as any process wrote them. A torn last line is passed over."""
    quoted = json.dumps(call_id)
    found = [message for line in _lines(directory) if quoted in line and (message := _read(line)) is not None]
    return sorted((message for message in found if message.call_id == call_id), key=lambda message: message.at)


def _lines(directory: Path) -> Iterator[str]:
    for path in sorted(directory.glob(_PATTERN)):
        with contextlib.suppress(FileNotFoundError), path.open(encoding="utf-8", errors="replace") as file:
            yield from file


def _by_day(messages: Iterable[TracedMessage]) -> dict[str, list[str]]:
    days: dict[str, list[str]] = {}
    for message in messages:
        record = {
            "at": message.at.isoformat(),
            "sent": message.sent,
            "protocol": message.protocol,
            "local": message.local,
            "remote": message.remote,
            "call_id": message.call_id,
            "text": message.text,
        }
        days.setdefault(f"{message.at:%Y-%m-%d}", []).append(json.dumps(record) + "\n")
    return days


def _read(line: str) -> TracedMessage | None:
    try:
        record: dict[str, Any] = json.loads(line)
        return TracedMessage(
            at=datetime.fromisoformat(record["at"]),
            sent=record["sent"],
            protocol=record["protocol"],
            local=(record["local"][0], record["local"][1]),
            remote=(record["remote"][0], record["remote"][1]),
            call_id=record["call_id"],
            text=record["text"],
        )
    except (ValueError, KeyError, TypeError, IndexError):
        return None


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
