"""The media clock: one timer for all legs, every 20 ms, at absolute deadlines.

A tick drains the sockets and sends what each gate lets out. Legs that nobody listens to at the moment are
drained every fourth tick, staggered: one system call then fetches four packets, and nothing is lost, because
the kernel's buffer holds seconds. Twice a second, staggered as well, each leg settles: recording, RTCP,
watch.

After a stall (the process was stopped, the machine was busy) everything is drained at once; of the frames
that were not sent a few follow in a burst, the rest is skipped: their RTP timestamps are simply not used.

A tick with so many legs that it takes longer than `SLICE` goes on in the next turn of the event loop: an alarm that
calls in meanwhile is answered in between, whatever media has to catch up with.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator, Iterable
from typing import Protocol

import structlog

from voice.rtp.codecs import FRAME_SAMPLES, SAMPLE_RATE

log = structlog.get_logger(__name__)

TICK = FRAME_SAMPLES / SAMPLE_RATE
"""Seconds."""

DRAIN_EVERY = 4
"""Ticks between two drains of a leg that nobody listens to."""

SETTLE_EVERY = 25
"""Ticks between two settlings of a leg: half a second."""

LONGEST_BURST = 3
"""Frames that are sent at once after a stall."""

SLICE = TICK / 2
"""Seconds that a tick keeps the event loop to itself."""

_Work = Generator[None]
"""A tick, or a part of it; yields after each leg."""


class Ticking(Protocol):
    """What the clock drives: a `MediaLeg`."""

    eager: bool
    """Wants to be drained at every tick."""

    sending: bool
    """Whether `transmit` could send anything now."""

    def drain(self, now: float) -> None: ...
    def transmit(self, tick: int, at: float) -> None: ...
    def settle(self, now: float) -> None: ...
    def failed(self, error: Exception) -> None: ...


class MediaClock:
    """Ticks while it has legs, on the running event loop."""

    def __init__(self, *, on_settle: Callable[[float], None] | None = None, drain_every: int = DRAIN_EVERY) -> None:
        """`on_settle` is called with the time at every 25th tick (the disk writer's `attend`)."""
        self.ticks = 0
        """The number of the tick whose frames are asked for now, or were last: a `Room` mixes once a tick."""
        self.late_ticks = 0
        """Ticks that came a whole tick or more after their deadline."""
        self.max_lateness = 0.0
        """Seconds that a tick came late at most."""
        self._on_settle = on_settle
        self._drain_every = drain_every
        self._drains: list[list[Ticking]] = [[] for _ in range(drain_every)]
        self._settles: list[list[Ticking]] = [[] for _ in range(SETTLE_EVERY)]
        self._legs: dict[Ticking, tuple[list[Ticking], list[Ticking]]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.Handle | None = None
        self._epoch = 0.0
        self._done = 0  # the last tick that was done
        self._running = False

    def start(self, loop: asyncio.AbstractEventLoop | None = None) -> None:
        """Begin to tick, on this loop (by default the running one), as soon as there is a leg."""
        self._loop = loop or asyncio.get_running_loop()
        self._epoch = self._loop.time()
        self._done = 0
        self._running = True
        if self._legs:
            self._wake()

    def stop(self) -> None:
        """Stop ticking; the legs stay."""
        self._running = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def add(self, leg: Ticking) -> None:
        """Drive this leg from the next tick on. Adding it twice is harmless."""
        if leg in self._legs:
            return
        drains, settles = min(self._drains, key=len), min(self._settles, key=len)
        drains.append(leg)
        settles.append(leg)
        self._legs[leg] = drains, settles
        if self._running and self._timer is None:
            self._wake()

    def remove(self, leg: Ticking) -> None:
        """Drive it no longer. Removing it twice is harmless."""
        for turns in self._legs.pop(leg, ()):
            turns.remove(leg)

    @property
    def legs(self) -> int:
        return len(self._legs)

    def _wake(self) -> None:
        """After having had no leg: go on with the tick that is due next."""
        if self._loop is not None:
            self._done = int((self._loop.time() - self._epoch) / TICK)
            self._arm(self._loop)

    def _arm(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = loop.call_at(self._epoch + (self._done + 1) * TICK, self._fire)

    def _fire(self) -> None:
        loop = self._loop
        if loop is None or not self._legs:
            self._timer = None
            return
        now = loop.time()
        due = max(self._done + 1, int((now - self._epoch) / TICK + 1e-6))
        lateness = now - (self._epoch + (self._done + 1) * TICK)
        if lateness > self.max_lateness:
            self.max_lateness = lateness
        self.late_ticks += due - self._done - 1
        self._go_on(self._tick(self._done + 1, due, now), due, loop)

    def _go_on(self, work: _Work, due: int, loop: asyncio.AbstractEventLoop) -> None:
        """A slice of the tick `due`, whose work this is. The next tick does not begin before it is done."""
        end = loop.time() + SLICE
        for _ in work:
            if not self._running:
                return
            if loop.time() >= end:
                self._timer = loop.call_soon(self._go_on, work, due, loop)
                return
        self._done = due
        self._arm(loop)

    def _tick(self, first: int, last: int, now: float) -> _Work:
        """All that belongs to the ticks `first` to `last`; more than one of them only after a stall."""
        every = self._drain_every
        turns = {tick % every for tick in range(max(first, last - every + 1), last + 1)}
        for turn, legs in enumerate(self._drains):
            yield from self._drain(legs, turn in turns, now)
        for tick in range(max(first, last - LONGEST_BURST + 1), last + 1):
            yield from self._transmit(tick)
        for tick in range(max(first, last - SETTLE_EVERY + 1), last + 1):
            yield from self._settle(self._settles[tick % SETTLE_EVERY], now)
            if tick % SETTLE_EVERY == 0 and self._on_settle is not None:
                self._on_settle(now)

    def _drain(self, legs: Iterable[Ticking], all_of_them: bool, now: float) -> _Work:
        for leg in self._driven(legs):
            if all_of_them or leg.eager:
                try:
                    leg.drain(now)
                except Exception as error:  # noqa: BLE001 - one leg's bug must not silence the others
                    _report(leg, error)
                yield

    def _transmit(self, tick: int) -> _Work:
        self.ticks = tick
        at = self._epoch + tick * TICK
        for leg in self._driven(self._legs):
            if leg.sending:
                try:
                    leg.transmit(tick, at)
                except Exception as error:  # noqa: BLE001 - one leg's bug must not silence the others
                    _report(leg, error)
                yield

    def _settle(self, legs: Iterable[Ticking], now: float) -> _Work:
        for leg in self._driven(legs):
            try:
                leg.settle(now)
            except Exception as error:  # noqa: BLE001 - one leg's bug must not silence the others
                _report(leg, error)
            yield

    def _driven(self, legs: Iterable[Ticking]) -> Iterable[Ticking]:
        """Those of them that are not removed before their turn comes."""
        return (leg for leg in list(legs) if leg in self._legs)


def _report(leg: Ticking, error: Exception) -> None:
    """Tell the leg, whose owner puts it into the timeline; if even that fails, the log has to do."""
    try:
        leg.failed(error)
    except Exception:
        log.exception("a leg failed, and failed to say so")
