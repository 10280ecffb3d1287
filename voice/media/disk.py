"""The disk writer: a thread of its own, so that a disk that hangs never stops the media clock.

It wakes thirty times a second and empties the queues of all recordings: no wake-ups per recording, and the
clock's thread only ever appends to a queue. When the disk refuses or hangs, audio stays in the queues,
which are bounded; the disk is tried again each second. In virtual time `InlineDisk` does the same work in
place.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from typing import Protocol

import structlog

from voice.media.segment import FileSystem, Segment, SegmentInfo, SystemFiles

log = structlog.get_logger(__name__)

INTERVAL = 0.03
"""Seconds between two rounds. Short, so that many calls that end at once keep no thread waiting for long."""

RETRY = 1.0
HANGING = 2.0
"""Seconds after which a system call that has not returned counts as a fault."""

TOTAL_LIMIT = 256 << 20
"""Bytes of audio that all recordings together keep in memory while the disk fails."""


class DiskWriter(Protocol):
    """Where segments are written. All callbacks come on the thread of the media clock."""

    on_state: Callable[[str | None], None]
    """Called with the fault when the disk fails, and with None when it is back."""
    fault: str | None
    """Why the disk cannot take audio now; None while all is well."""
    hangs: bool
    """Whether a system call does not return: then nobody reads from that disk either, except from the cache."""

    def add(self, segment: Segment, finished: Callable[[SegmentInfo], None]) -> None:
        """Write this segment from now on; `finished` hears when its file is complete."""
        ...

    def kick(self, segment: Segment) -> None:
        """Something was queued for this segment, or it is finished."""
        ...

    def attend(self, now: float) -> None:
        """Called regularly by the clock: notice a disk that hangs, keep the memory within its bound."""
        ...

    def close(self, timeout: float = 5.0) -> bool:
        """Write what is queued, then stop. False if something was still queued after `timeout` seconds."""
        ...


class _Writer:
    """What both writers share: the round over all segments, and what a fault does to it."""

    def __init__(self, *, files: FileSystem | None, total_limit: int, on_state: Callable[[str | None], None]) -> None:
        self.fault: str | None = None
        self.hangs = False
        self.on_state = on_state
        self._files = files or SystemFiles()
        self._total_limit = total_limit
        self._segments: dict[Segment, Callable[[SegmentInfo], None]] = {}
        self._due: dict[Segment, None] = {}  # have something to write

    def add(self, segment: Segment, finished: Callable[[SegmentInfo], None]) -> None:
        self._segments[segment] = finished

    @property
    def queued(self) -> int:
        """Bytes of audio that wait for the disk."""
        return sum(segment.queued for segment in list(self._segments))

    def _round(self, now: float) -> str | None:
        """Empty the queues that have something. What went wrong, or None; nobody waits for one that fails."""
        problem = None
        for segment in list(self._due):
            self._began()
            self._due.pop(segment, None)  # before the work: what is queued meanwhile makes it due again
            if segment not in self._segments:
                continue  # it was completed while it became due once more
            try:
                info = segment.drain(self._files, now)
            except OSError as error:
                problem = os.strerror(error.errno) if error.errno else str(error)
                self._due[segment] = None
                continue
            if info is not None:
                self._deliver(segment, self._segments.pop(segment), info)
        return problem

    def _began(self) -> None:
        """Another segment is begun: the disk moves."""

    def _deliver(self, segment: Segment, finished: Callable[[SegmentInfo], None], info: SegmentInfo) -> None:
        segment.release()
        finished(info)

    def _set_fault(self, fault: str | None) -> None:
        if (fault is None) == (self.fault is None):
            return
        self.fault = fault
        if fault is None:
            log.info("recordings can be written again")
        else:
            log.error("recordings cannot be written", reason=fault)
        self.on_state(fault)

    def _bound_memory(self) -> None:
        surplus = self.queued - self._total_limit
        while surplus > 0:
            fullest = max(list(self._segments), key=lambda segment: segment.queued)
            freed = fullest.drop_oldest()
            if not freed:
                return
            surplus -= freed


class InlineDisk(_Writer):
    """Writes in the thread of the clock: for virtual time and small tools."""

    def __init__(
        self,
        time: Callable[[], float],
        *,
        files: FileSystem | None = None,
        total_limit: int = TOTAL_LIMIT,
        on_state: Callable[[str | None], None] = lambda fault: None,
    ) -> None:
        super().__init__(files=files, total_limit=total_limit, on_state=on_state)
        self._time = time
        self._retry_at = 0.0
        self._abandoned = False

    def kick(self, segment: Segment) -> None:
        self._due[segment] = None
        if self.fault is None and not self._abandoned:
            self._set_fault(self._round(self._time()))
            self._retry_at = self._time() + RETRY

    def abandon(self) -> None:
        """Write nothing more and leave the files as they are, as a process does that is killed."""
        self._abandoned = True
        for segment in self._segments:
            segment.release()

    def attend(self, now: float) -> None:
        if self._abandoned:
            return
        if self.fault is None or now >= self._retry_at:
            self._retry_at = now + RETRY
            self._set_fault(self._round(now))
        self._bound_memory()

    def close(self, timeout: float = 5.0) -> bool:
        if not self._abandoned:
            self._set_fault(self._round(self._time()))
        return not self._segments


class DiskThread(_Writer):
    """Writes in a thread; `post` brings a callback to the thread of the clock
    (`loop.call_soon_threadsafe`)."""

    def __init__(
        self,
        post: Callable[[Callable[[], None]], object],
        *,
        files: FileSystem | None = None,
        total_limit: int = TOTAL_LIMIT,
        retry: float = RETRY,
        hanging: float = HANGING,
        on_state: Callable[[str | None], None] = lambda fault: None,
    ) -> None:
        super().__init__(files=files, total_limit=total_limit, on_state=on_state)
        self._retry = retry
        self._hanging = hanging
        self._post = post
        self._busy_since: float | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work, name="earshot-disk", daemon=True)
        self._thread.start()

    def kick(self, segment: Segment) -> None:
        """The thread comes by thirty times a second."""
        self._due[segment] = None

    def attend(self, now: float) -> None:
        since = self._busy_since
        self.hangs = since is not None and time.monotonic() - since > self._hanging
        if self.hangs:
            self._set_fault("the disk does not answer")
        self._bound_memory()

    def close(self, timeout: float = 5.0) -> bool:
        self._stopping.set()
        self._thread.join(timeout)
        return not self._thread.is_alive() and not self._segments

    def _work(self) -> None:
        while not self._stopping.wait(self._retry if self.fault else INTERVAL):
            self._work_once()
        self._work_once()

    def _work_once(self) -> None:
        problem = self._round(time.monotonic())
        self._busy_since = None
        if problem or self.fault:
            self._try_post(lambda: self._set_fault(problem))

    def _began(self) -> None:
        self._busy_since = time.monotonic()

    def _deliver(self, segment: Segment, finished: Callable[[SegmentInfo], None], info: SegmentInfo) -> None:
        def on_clock() -> None:
            segment.release()
            finished(info)

        self._try_post(on_clock)

    def _try_post(self, callback: Callable[[], None]) -> None:
        try:
            self._post(callback)
        except RuntimeError:  # the event loop is closed: the process ends, nobody is left to hear it
            log.warning("a recording was finished after the event loop had closed")
