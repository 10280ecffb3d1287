"""Follows what is defined while the service runs: a rota that somebody changes holds for the next alarm.

Every two seconds the store is asked how many versions of definitions it has; that is all, until there is one more. Then
they are read, put together with those of the configuration file and checked, on other threads, and are in force from
one turn of the event loop to the next. Nothing on the way of an alarm waits for any of this. What was taken from
earlier definitions stays as it is: the plan of an open incident, the rules of a session.

The file is read again when the process is told to (SIGHUP). What follows then is `FOLLOWED`; the rest needs a restart.

Nothing that is wrong in what is new may cost an alarm: what cannot be used is refused as a whole, the definitions of
before stay in force, and the log, the metrics and the health of the service say so until it is mended.
"""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import structlog

from config.models import Settings
from voice.clock import Clock
from voice.directory import Lookups
from voice.errors import ConfigurationError, StoreUnavailable
from voice.outside import InThread
from voice.store.defining import keep_file
from voice.store.definitions import KINDS, Stored, beside, fault_of, merge, versions
from voice.store.store import Store

log = structlog.get_logger(__name__)

LOOK_INTERVAL = 2.0
"""Seconds between two looks, on the average."""
JITTER = 0.25
"""By how much of it they differ, so that nodes do not ask all at once."""

FOLLOWED = (*KINDS, "escalation")
"""Tables of the file that hold without a restart. Nothing else in them opens a socket, a file or an account."""


@dataclass(frozen=True, slots=True)
class Known:
    """What is defined, and where it comes from."""

    file: Settings
    """The settings of the file, as far as they hold."""
    stored: Stored = field(default_factory=Stored)
    kept: bool = True
    """Whether the store knows what the file says."""
    faults: frozenset[str] = frozenset()
    """Names that nothing has, which was so at the start already: a service that answers alarms starts."""


@dataclass(frozen=True, slots=True)
class _Merged:
    lookups: Lookups
    faults: tuple[str, ...]


async def known_at_start(settings: Settings, store: Store, clock: Clock) -> tuple[Settings, Known]:
    """The settings to start with: what the file defines is written down as a version; what the store defines besides
    is added. Without the store, those of the file; the rest follows when it is back."""
    if store.away is not None:  # it was tried: who calls meanwhile is not answered yet
        return settings, Known(settings, kept=False)
    try:
        await store.run(partial(keep_file, settings=settings, at=clock.now()))
        stored = await store.read(partial(beside, settings=settings))
    except StoreUnavailable as error:
        log.error("only what the configuration file defines is known", why=str(error))
        return settings, Known(settings, kept=False)
    faults: list[str] = []
    merged = merge(settings, stored.definitions, faults.append)
    for line in faults:
        log.warning("not used", why=line)
    return merged, Known(settings, stored, faults=frozenset(map(fault_of, faults)))


class Following:
    """Keeps the definitions in force up to date."""

    def __init__(
        self,
        known: Known,
        *,
        store: Store,
        clock: Clock,
        use: Callable[[Lookups], None],
        in_thread: InThread,
        node: str,
    ) -> None:
        """`use` puts into force; `node` is the seed of when this one looks."""
        self._file = known.file
        self._stored = known.stored
        self._kept = known.kept
        self._faults = known.faults
        self.refusals = 0
        """Changes that were not put into force."""
        self._is_new = False
        """The file was read again, and was not tried yet."""
        self._wrong: dict[str, str] = {}
        """What is not in force, by where it comes from."""
        self._note_unreadable()
        self._store, self._clock, self._use, self._in_thread = store, clock, use, in_thread
        self._random = random.Random(node)
        self._asked = asyncio.Event()

    @property
    def versions(self) -> int:
        """How many versions of definitions the store had when it was last read."""
        return self._stored.versions

    @property
    def trouble(self) -> str | None:
        """Why what is defined is not what is in force; None: it is."""
        return "; ".join(self._wrong.values()) or None

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            pause = LOOK_INTERVAL * self._random.uniform(1 - JITTER, 1 + JITTER)
            try:
                async with asyncio.timeout(pause):
                    await self._asked.wait()
            except TimeoutError:
                pass
            self._asked.clear()
            try:
                await self.look()
            except StoreUnavailable as error:
                log.debug("the store cannot be asked for definitions", why=str(error))  # it is in the health anyway
            except Exception:  # whatever it is, it may not end the following
                self._refuse("definitions", "changes of definitions cannot be followed")
                log.exception("changes of definitions cannot be followed")

    async def look(self) -> None:
        """Put into force what is new."""
        try:
            stored = await self._newest()
        except StoreUnavailable:
            if self._is_new:  # of the file: it does not wait for the store
                await self._try(self._stored)
            raise
        if stored is not None:
            await self._try(stored)

    async def read_file(self, read: Callable[[], Settings]) -> bool:
        """Take over what the configuration file says now, as far as that needs no restart.

        True: all of it is in use. False: some of it needs a restart, or it cannot be used at all.
        """
        try:
            written = await self._in_thread(read)
        except ConfigurationError as error:
            places = [": ".join(line.split(": ")[:2]) for line in str(error).splitlines()]  # values may be personal
            self._refuse("file", f"the configuration file is not used: {len(places)} mistakes, told by check-config")
            log.error("the configuration file is not used, see earshot check-config", mistakes=places)
            return False
        self._wrong.pop("file", None)
        waiting = _needing_a_restart(self._file, written)
        if waiting:
            log.warning("needs a restart", settings=waiting)
        self._file = self._file.model_copy(update={table: getattr(written, table) for table in FOLLOWED})
        self._kept, self._is_new = False, True
        log.info("the configuration file was read again")
        self._asked.set()
        return not waiting

    # -- parts --

    async def _newest(self) -> Stored | None:
        """What the store defines now; None: what was tried last."""
        if not self._kept:
            self._kept = True  # unless the file is read again meanwhile
            try:
                await self._store.run(partial(keep_file, settings=self._file, at=self._clock.now()))
            except StoreUnavailable:
                self._kept = False
                raise
        if not self._is_new and await self._store.read(versions) == self._stored.versions:
            return None
        return await self._store.read(partial(beside, settings=self._file))

    async def _try(self, stored: Stored) -> None:
        """Put it into force, or refuse it: it is not tried again until something changes."""
        self._stored, self._is_new = stored, False
        self._note_unreadable()
        merged: _Merged = await self._in_thread(partial(_merged, self._file, stored))
        new = [line for line in merged.faults if fault_of(line) not in self._faults]
        if new:
            self._refuse("definitions", f"definitions are not used: {len(new)} mistakes, see the log")
            for line in new:
                log.error("definitions are not used: those of before stay in force", why=line)
            return
        self._faults = frozenset(map(fault_of, merged.faults))
        self._wrong.pop("definitions", None)
        self._use(merged.lookups)
        log.info("definitions have changed", versions=stored.versions)

    def _note_unreadable(self) -> None:
        self._wrong.pop("unreadable", None)
        for line in self._stored.unreadable:
            self._refuse("unreadable", "definitions in the store cannot be read: those of before stay in force")
            log.error("a definition cannot be read: the version before stays in force", why=line)

    def _refuse(self, source: str, why: str) -> None:
        self.refusals += 1
        self._wrong[source] = why


def _merged(file: Settings, stored: Stored) -> _Merged:
    """On another thread: checking ten thousand workers takes a tenth of a second."""
    faults: list[str] = []
    settings = merge(file, stored.definitions, faults.append)
    return _Merged(Lookups(settings), tuple(faults))


def _needing_a_restart(before: Settings, after: Settings) -> list[str]:
    """What the file says otherwise than the service does: `sip.udp`, `trunks`."""
    changed = []
    for table in Settings.model_fields:
        old, new = getattr(before, table), getattr(after, table)
        if table in FOLLOWED or old == new:
            continue
        keys = () if isinstance(old, tuple) else type(old).model_fields
        changed += [f"{table}.{key}" for key in keys if getattr(old, key) != getattr(new, key)] or [table]
    return changed
