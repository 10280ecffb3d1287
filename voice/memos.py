"""Amber memos: what a worker said before he went in. Kept as files beside the recordings, for a while.

A memo is valid until it expires. It belongs to every incident of its worker that was opened while it was valid: people
hear the newest of those, and all of them are evidence, which stays when others are deleted. Which memo belongs to which
incident follows from their times alone (`rows.expired`), so that a process that dies in between loses none.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import structlog
from sqlalchemy import Connection

from ivr.transcribing import NotTranscribed
from voice.clock import Clock
from voice.errors import RecordingFault, StoreUnavailable
from voice.incidents.timeline import timestamp
from voice.journal import Journal
from voice.media import wav
from voice.media.files import FileArchive
from voice.rtp.codecs import SAMPLE_RATE
from voice.store import Store, incidents
from voice.store import memos as rows
from voice.store.memos import Memo

log = structlog.get_logger(__name__)

FOLDER = "memos"
"""In the directory of the recordings."""

PATIENCE = 2.0
"""Seconds that a worker waits for the row to be durable. Past that the file is, and the row follows."""

GRACE = timedelta(minutes=10)
"""A memo is deleted so long after it has expired: an incident that it belongs to may be on its way to the store yet."""

SWEEP_SECONDS = 600.0
AGAIN_SECONDS = 60.0
"""After an attempt to transcribe that failed."""
ATTEMPTS = 3
"""At one transcript, in one process."""

InThread = Callable[[Callable[[], Any]], Coroutine[Any, Any, Any]]
Transcribe = Callable[[Path], Awaitable[str]]
"""What is said in this file, "" when there are no words. Raises anything."""


class Memos:
    """The memos of a service."""

    def __init__(
        self,
        store: Store,
        journal: Journal,
        clock: Clock,
        directory: Path,
        in_thread: InThread,
        *,
        lasts: timedelta,
        transcribe: Transcribe | None = None,
    ) -> None:
        """`directory`: that of the recordings. `lasts`: how long a memo is valid."""
        self._store = store
        self._journal = journal
        self._clock = clock
        self._folder = directory / FOLDER
        self._in_thread = in_thread
        self._lasts = lasts
        self._transcribe = transcribe
        self._unwritten: dict[str, Memo] = {}
        """Memos whose rows the store does not have yet."""
        self._failures: dict[str, int] = {}
        """Attempts at transcripts that failed, by memo."""
        self._kept = asyncio.Event()

    # -- in a call --

    async def keep(self, worker: str, session: str | None, clip: bytes) -> Memo | None:
        """Keep what this worker has said (A-law, 8 kHz), in place of earlier memos. None: it could not be kept.

        Raises nothing: the worker is on the line, and is told.
        """
        if not clip:
            return None
        now = self._clock.now()
        id = sha256(f"{worker} {timestamp(now)} ".encode() + clip).hexdigest()[:16]
        path = self._folder / f"{id}.wav"
        memo = Memo(id, worker, session, str(path), now, now + self._lasts, len(clip) / SAMPLE_RATE)
        try:
            await self._in_thread(partial(_write, path, clip, now))
        except Exception as error:  # noqa: BLE001 - as above
            log.error("a memo cannot be written", why=_why(error))
            return None
        return memo if await self._entered(memo) else None

    async def _entered(self, memo: Memo) -> bool:
        """Write the row. True also while the store is away: the journal has the row, and the disk what was said."""
        written = self._journal.post(partial(rows.keep, memo=memo), urgent=True)
        self._unwritten[memo.id] = memo
        written.add_done_callback(lambda _: self._unwritten.pop(memo.id, None))
        durable = await self._journal.durable(written, patience=PATIENCE)
        if written.done() and not durable:
            return False  # the file is nobody's: it goes with the next sweep after its time
        self._kept.set()
        return True

    # -- in an alarm --

    async def newest(self, worker: str, at: datetime) -> Memo | None:
        """The latest memo of this worker that was valid at a moment, be it that an incident was opened."""
        found = [memo for memo in self._unwritten.values() if memo.worker == worker and _valid(memo, at)]
        try:
            row = await self._store.read(partial(rows.newest, worker=worker, now=at))
        except StoreUnavailable as error:
            log.warning("the store does not tell of memos", why=str(error))
        else:
            found += [row] if row is not None else []
        return max(found, key=lambda memo: memo.made_at, default=None)

    async def clip(self, memo: Memo) -> bytes | None:
        """What was said, in A-law. None when the file is not there: on another node's disk, say."""
        try:
            heard: bytes = await self._in_thread(partial(_read, Path(memo.path)))
        except (OSError, RecordingFault) as error:
            log.warning("a memo cannot be read", memo=memo.id, why=_why(error))
            return None
        return heard or None

    async def attach(self, incident: str, worker: str, opened_at: datetime) -> Memo | None:
        """Say on the timeline of an incident that was opened which memo belongs to it, and by what hash it is known.
        Said again it changes nothing."""
        memo = await self.newest(worker, opened_at)
        if memo is None:
            return None
        detail = {
            "memo": memo.id,
            "made_at": timestamp(memo.made_at),
            "seconds": round(memo.seconds, 1),
            "sha256": await self._in_thread(partial(_hash, Path(memo.path))),
        }
        self._journal.post(partial(_name, incident=incident, detail=detail, at=self._clock.now()))
        return memo

    # -- beside everything --

    async def run(self) -> None:
        """Delete what has expired, and have transcripts made, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._sweep_for_ever())
            if self._transcribe is not None:
                group.create_task(self._write_down_for_ever(self._transcribe))

    async def _sweep_for_ever(self) -> None:
        while True:
            try:
                await self.sweep()
            except StoreUnavailable as error:
                log.warning("memos that have expired are deleted later", why=str(error))
            except Exception:
                log.exception("a fault of our own; memos that have expired are not deleted")
            await asyncio.sleep(SWEEP_SECONDS)

    async def sweep(self) -> None:
        """Delete memos that have expired and belong to no incident, and files that have no row. Raises
        `StoreUnavailable`."""
        before = self._clock.now() - GRACE
        for memo in await self._store.read(partial(rows.expired, now=before)):
            if await self._in_thread(partial(_delete, Path(memo.path))):  # else it is tried again
                await self._store.run(partial(rows.forget, id=memo.id), urgent=False)
        files: list[Path] = await self._in_thread(partial(_files, self._folder))
        known = await self._store.read(rows.ids)
        for path in files:
            if path.stem not in known and path.stem not in self._unwritten:
                await self._in_thread(partial(_delete_stray, path, before - self._lasts))

    async def _write_down_for_ever(self, transcribe: Transcribe) -> None:
        while True:
            self._kept.clear()
            try:
                done = await self._write_all_down(transcribe)
            except StoreUnavailable:
                done = False
            except Exception:
                log.exception("a fault of our own; a memo is not transcribed")
                done = False
            with suppress(TimeoutError):
                await asyncio.wait_for(self._kept.wait(), SWEEP_SECONDS if done else AGAIN_SECONDS)

    async def _write_all_down(self, transcribe: Transcribe) -> bool:
        """One after the other. False: something is to be tried again."""
        waiting = await self._store.read(partial(rows.untranscribed, now=self._clock.now()))
        self._failures = {memo.id: self._failures[memo.id] for memo in waiting if memo.id in self._failures}
        return all([await self._write_down(memo, transcribe) for memo in waiting])

    async def _write_down(self, memo: Memo, transcribe: Transcribe) -> bool:
        """Have one transcript made. False: it failed, and is to be tried again."""
        failures = self._failures.get(memo.id, 0)
        path = Path(memo.path)
        if failures >= ATTEMPTS or not await self._in_thread(path.is_file):  # else another node has it
            return True
        try:
            words = await transcribe(path)
        except Exception as error:  # noqa: BLE001 - a foreign program; nothing else may depend on it
            self._failures[memo.id] = failures + 1
            log.warning("a memo was not transcribed", memo=memo.id, attempt=failures + 1, why=_why(error))
            return failures + 1 >= ATTEMPTS
        await self._store.run(partial(rows.transcribed, id=memo.id, transcript=words.strip()), urgent=False)
        return True


def _name(connection: Connection, *, incident: str, detail: Mapping[str, Any], at: datetime) -> None:
    if all(entry.kind != "amber_memo" for entry in incidents.timeline(connection, incident)):
        incidents.append(connection, incident, kind="amber_memo", detail=detail, actor="system", at=at)


def _valid(memo: Memo, at: datetime) -> bool:
    return memo.made_at <= at < memo.expires_at


def _why(error: BaseException) -> str:
    """Without paths, and without anything that a program may have said."""
    if isinstance(error, NotTranscribed):
        return str(error)
    return (error.strerror if isinstance(error, OSError) else None) or type(error).__name__


# -- on the disk --


def _write(path: Path, clip: bytes, made_at: datetime) -> None:
    """A file that only we may read, durable when this returns."""
    began = made_at - timedelta(seconds=len(clip) / SAMPLE_RATE)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with open(path, "wb", opener=_private) as file:
        file.write(wav.header(wav.Origin(began, 0), len(clip)) + clip + bytes(len(clip) % 2))
        file.flush()
        os.fsync(file.fileno())
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _read(path: Path) -> bytes:
    archive = FileArchive.open(path)
    try:
        return archive.read(0, archive.samples)
    finally:
        archive.close()


def _hash(path: Path) -> str | None:
    try:
        return sha256(path.read_bytes()).hexdigest()
    except OSError:
        return None


def _delete(path: Path) -> bool:
    """Whether it is gone."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        log.error("a memo cannot be deleted", why=_why(error))
        return False
    return True


def _files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.wav")) if folder.is_dir() else []


def _delete_stray(path: Path, before: datetime) -> None:
    """A file without a row (a process died, or another node has deleted the row), if its memo has expired."""
    try:
        with path.open("rb") as file:
            layout = wav.read_layout(file.read(wav.HEADER_SIZE), path.stat().st_size)
    except OSError:
        return
    if layout is not None and layout.origin is not None and layout.origin.started_at < before:
        _delete(path)
