"""What the stories of the demo have in common: they are told as they go, and stop when nothing more happens."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from typing import ClassVar, Generic, TypeVar

from voice.app import Service
from voice.cli.showing import names_of
from voice.incidents.lifecycle import State
from voice.incidents.timeline import Entry, verify
from voice.incidents.wording import what, who
from voice.sim.demo_view import Finding
from voice.store import incidents as rows

POLL = 0.05
"""Seconds between two looks at the timeline, which is read from the database as everybody else reads it."""

Tell = Callable[[datetime, str, str], None]

T = TypeVar("T")


class Follower:
    """Reads the timelines of all incidents as they grow, and tells them in plain words."""

    def __init__(self, service: Service, tell: Tell) -> None:
        self._service = service
        self._tell = tell
        self._changed = asyncio.Event()
        self.entries: dict[str, list[Entry]] = {}

    async def run(self) -> None:
        while True:
            await self.look()
            await asyncio.sleep(POLL)

    async def look(self) -> None:
        """What is new on any timeline."""
        store = self._service.outside.store
        for incident in await store.read(partial(rows.incidents, limit=10)):
            seen = self.entries.setdefault(incident.id, [])
            if incident.state is State.RESOLVED and seen and seen[-1].kind == "operator_left":
                continue
            new = await store.read(partial(rows.timeline, incident_id=incident.id, after=len(seen)))
            if new:
                known = names_of(self._service.settings, await store.read(partial(rows.legs, incident_id=incident.id)))
                for entry in new:
                    self._tell(entry.time, who(entry.actor, known), what(entry, known))
                seen.extend(new)
                self._changed.set()

    async def first(self) -> str:
        """Return the first incident, once it is there."""
        while not self.entries:
            self._changed.clear()
            await self._changed.wait()
        return next(iter(self.entries))

    async def until(self, kind: str, incident: str) -> Entry:
        """Return the first entry of this kind, once it is there."""
        while True:
            self._changed.clear()
            for entry in self.entries.get(incident, ()):
                if entry.kind == kind:
                    return entry
            await self._changed.wait()


class Telling(ABC, Generic[T]):
    """A story of the demo, and what comes of it."""

    patience: ClassVar[float]
    """Seconds that the whole story may take."""

    def __init__(self, service: Service, tell: Tell, zero: Callable[[datetime], None]) -> None:
        """`zero` hears when it begins: from that moment the view counts."""
        self._service = service
        self._tell, self._zero = tell, zero
        self._follower = Follower(service, tell)
        self._loop = asyncio.get_running_loop()
        self.doing = "nothing yet"
        """What the story is at, for whoever must say where it stopped."""

    async def play(self) -> T:
        """The whole story. Raises TimeoutError or ConnectionError when it comes to a stop."""
        following = self._loop.create_task(self._follower.run())
        try:
            async with asyncio.timeout(self.patience):
                return await self._play()
        finally:
            following.cancel()

    @abstractmethod
    async def _play(self) -> T: ...

    def _say(self, who: str, what: str) -> None:
        self._tell(self._now(), who, what)

    def _now(self) -> datetime:
        return self._service.outside.clock.now()


def chain(timeline: Sequence[Entry]) -> Finding:
    """Whether the timeline is there, and whole."""
    broken, count = verify(timeline), len(timeline)
    told = f"the chain breaks at entry {broken} of {count}" if broken is not None else ""
    return Finding("timeline", broken is None and count > 0, told or f"{count} entries, the chain is whole")
