"""Rendered speech, kept by its content: in memory, and on the disk for the next start.

A file is named by the hash of what was to be said, how and in which language, and begins with the hash of its audio: a
torn or foreign file is made anew. Files may hold names of people: they are readable by the service alone, and go
when they were not used for a month.
"""

import asyncio
import contextlib
import hashlib
import os
import tempfile
import time
from collections import OrderedDict
from pathlib import Path
from typing import Protocol

from ivr.speech import Speaker

MEMORY = 64 << 20
"""Bytes of clips that are kept in memory: more than two hours of speech."""
KEEP_SECONDS = 30 * 86_400
"""How long a file is kept that nobody uses."""

_HASH = 32


class Engine(Speaker, Protocol):
    """A speaker whose clips can be told from those of another one."""

    @property
    def identity(self) -> str: ...


class CachedSpeaker:
    """A `Speaker` in front of another one. A text that is being rendered is rendered once."""

    def __init__(self, engine: Engine, directory: Path | None = None, *, memory: int = MEMORY) -> None:
        """Without a directory only memory is used. A disk that fails costs time, never speech."""
        self._engine = engine
        self._directory = directory
        self._memory = memory
        self._clips: OrderedDict[str, bytes] = OrderedDict()
        self._size = 0
        self._coming: dict[str, asyncio.Task[bytes]] = {}

    async def speak(self, text: str, language: str) -> bytes:
        key = hashlib.sha256(f"{self._engine.identity}\0{language}\0{text}".encode()).hexdigest()
        clip = self._clips.get(key)
        if clip is not None:
            self._clips.move_to_end(key)
            return clip
        task = self._coming.get(key)
        if task is None:
            task = self._coming[key] = asyncio.create_task(self._find(key, text, language))
            task.add_done_callback(lambda done: self._arrived(key, done))
        return await asyncio.shield(task)  # whoever gives up leaves it to those who wait for the same

    async def tidy(self) -> int:
        """Delete what has not been used for long; how many files."""
        return await asyncio.to_thread(self._tidy, time.time() - KEEP_SECONDS)

    async def _find(self, key: str, text: str, language: str) -> bytes:
        kept = await asyncio.to_thread(self._read, key)
        if kept is not None:
            return kept
        clip = await self._engine.speak(text, language)
        await asyncio.to_thread(self._write, key, clip)
        return clip

    def _arrived(self, key: str, done: "asyncio.Task[bytes]") -> None:
        del self._coming[key]
        if done.cancelled() or done.exception() is not None:
            return
        self._clips[key] = done.result()
        self._size += len(done.result())
        while self._size > self._memory:
            self._size -= len(self._clips.popitem(last=False)[1])

    def _path(self, key: str) -> Path | None:
        return None if self._directory is None else self._directory / key[:2] / f"{key}.alaw"

    def _read(self, key: str) -> bytes | None:
        path = self._path(key)
        if path is None:
            return None
        try:
            data = path.read_bytes()
            os.utime(path)
        except OSError:
            return None
        clip = data[_HASH:]
        return clip if clip and hashlib.sha256(clip).digest() == data[:_HASH] else None

    def _write(self, key: str, clip: bytes) -> None:
        path = self._path(key)
        if path is None:
            return
        with contextlib.suppress(OSError):
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor, name = tempfile.mkstemp(dir=path.parent, suffix=".new")
            try:
                with os.fdopen(descriptor, "wb") as file:
                    file.write(hashlib.sha256(clip).digest() + clip)
                Path(name).replace(path)
            except OSError:
                Path(name).unlink(missing_ok=True)

    def _tidy(self, before: float) -> int:
        found = [] if self._directory is None else list(self._directory.glob("*/*"))
        old = 0
        for path in found:
            with contextlib.suppress(OSError):
                if path.suffix in (".alaw", ".new") and path.stat().st_mtime < before:
                    path.unlink()
                    old += 1
        return old
