"""Begins the sessions that rosters say, in every node: whoever is first begins a session, under a name that is always
the same."""

import asyncio
import hashlib
from collections.abc import Callable, Sequence

import structlog

from config.check_ins import Roster
from config.models import Settings
from ivr.session import Origin
from voice.check_in.roster import Beginning, due
from voice.check_in.runner import CheckIns
from voice.clock import Clock
from voice.errors import StoreUnavailable

log = structlog.get_logger(__name__)

LOOK_INTERVAL = 5.0
"""Seconds between two looks at the rosters."""

AT_ONCE = 100
"""Sessions that begin without a pause: their first check-in is not due for a while, others' may be now."""

PAUSE = 0.05


class Rosters:
    """The rosters of the configuration, followed."""

    def __init__(self, check_ins: CheckIns, settings: Callable[[], Settings], clock: Clock, *, node: str) -> None:
        self._check_ins = check_ins
        self._settings = settings
        self._clock = clock
        self._node = node
        self._seen: frozenset[str] = frozenset()
        """Sessions that are under way by the rosters, and were begun by somebody."""
        self._faulty: set[Roster] = set()
        """Rosters that cannot be followed, and were told of."""

    async def run(self) -> None:
        """Until it is cancelled."""
        await self._check_ins.ready()  # before that it is not known who has a session already
        while True:
            try:
                await self.look()
            except Exception:  # a bug here may not leave everybody without check-ins
                log.exception("rosters cannot be followed")
            await asyncio.sleep(LOOK_INTERVAL)

    async def look(self) -> None:
        """Begin what is to be there and is not."""
        wanted = {beginning.id: beginning for beginning in due(self._settings(), self._clock.now(), self._tell)}
        missing = [beginning for id, beginning in wanted.items() if id not in self._seen]
        missing.sort(key=lambda beginning: self._place(beginning.id))
        begun = set(self._seen & wanted.keys())
        for first in range(0, len(missing), AT_ONCE):
            some = missing[first : first + AT_ONCE]
            await self._begin(some)
            begun |= {beginning.id for beginning in some}
            self._seen = frozenset(begun)
            await asyncio.sleep(PAUSE)
        self._seen = frozenset(begun)

    async def _begin(self, some: Sequence[Beginning]) -> None:
        try:
            there = await self._check_ins.existing([beginning.id for beginning in some])
        except StoreUnavailable:  # then begin them all: rather twice than never; the store sorts it out
            there = set()
        spread = self._settings().check_in.spread_seconds
        for beginning in some:
            if beginning.id not in there:
                self._check_ins.begin(
                    beginning.worker.id,
                    beginning.rules,
                    origin=Origin.ROSTER,
                    started_at=beginning.span.start,
                    ends_at=beginning.span.end,
                    spread=spread,
                    id=beginning.id,
                )

    def _tell(self, roster: Roster, error: Exception) -> None:
        if roster not in self._faulty:
            self._faulty.add(roster)
            log.error("a roster cannot be followed: none of its sessions begins", roster=roster.id, error=repr(error))

    def _place(self, id: str) -> bytes:
        """Each node goes through them in another order, so that they seldom begin the same one at once."""
        return hashlib.sha256(f"{self._node} {id}".encode()).digest()
