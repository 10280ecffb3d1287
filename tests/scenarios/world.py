"""The world in which scenarios are told: one service, its devices and operators, and what must hold afterwards.

    @story()
    async def test_a_device_that_hangs_up_leaves_the_incident_open(world: World) -> None:
        badge = await world.device("badge7")
        ...

Every story runs in virtual time. When it is told, the world checks what no story may break: no task failed, no
write was refused, every timeline is whole, no device heard anything but silence outside of talk, and nobody heard
himself.
"""

import inspect
from collections.abc import Awaitable, Callable, Iterator, Mapping, MutableMapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import structlog.testing

from config.models import Settings
from voice.incidents.timeline import Entry, verify
from voice.live_incidents import LiveIncident
from voice.media.segment import FileSystem
from voice.media.track import Track
from voice.sim.habits import Answers, Habits
from voice.sim.link import Link
from voice.sim.loop import DAWN, run_virtual, virtual_loop
from voice.sim.phone import SimPhone
from voice.sim.phone_call import PhoneCall
from voice.sim.speech import Marks, marked_frames, marks
from voice.sim.stage import HOST, Stage
from voice.store import incidents as rows
from voice.store.rows import IncidentRow, LegRow, RecordingRow

DEVICES: dict[str, dict[str, Any]] = {
    "badge7": {"id": "badge-7", "password": "seven", "worker": "anna"},
    "watch7": {"id": "watch-7", "password": "watch", "worker": "anna", "discreet": "keepalive"},
    "badge8": {"id": "badge-8", "password": "eight", "worker": "bert"},
    "fob9": {"id": "fob-9", "password": "nine", "worker": "carl", "discreet": "recvonly"},
}
OPERATORS = ("olga", "otto", "ona")
WORKERS = {"anna": "Anna de Vries", "bert": "Bert Jansen", "carl": "Carl Smit"}
HOSTS = {name: f"10.0.0.{number}" for number, name in enumerate((*DEVICES, *OPERATORS), 7)}

CALM = Answers.NEVER, 0.0
SLACK = 0.15
"""Seconds between a gate and what a phone notices of it: its own 20 ms, the network, and a frame under way."""

LONGEST = 7200.0
"""Virtual seconds after which a story is stuck."""

_ERRORS = frozenset({"error", "critical", "exception"})


def settings(directory: Path, **tables: Any) -> Settings:
    """The usual cast. `tables` replaces or adds to tables of the configuration."""
    base: dict[str, Any] = {
        "recordings": {"directory": str(directory)},
        "workers": [{"id": id, "name": name} for id, name in WORKERS.items()],
        "devices": [{"username": name, **facts} for name, facts in DEVICES.items()],
        "operators": [{"id": id, "name": id.title(), "username": id, "password": id * 2} for id in OPERATORS],
    }
    return Settings.model_validate(base | tables)


@dataclass
class World:
    """What a story acts on and asks."""

    stage: Stage
    log: list[MutableMapping[str, Any]]
    expects: frozenset[str]
    """Errors that the story means to bring about, as they stand in the log."""
    slack: float = SLACK
    _voices: dict[str, int] = field(default_factory=dict)
    _said: dict[str, int] = field(default_factory=dict)

    # -- people --

    async def device(
        self, name: str = "badge7", *, register: bool = False, habits: Habits | None = None, protocol: str = "UDP"
    ) -> SimPhone:
        """A device of the configuration, switched on."""
        habits = habits or Habits(answers=Answers.IF_ASKED)
        password = DEVICES[name]["password"] if name in DEVICES else None
        host = HOSTS.get(name) or f"10.9.0.{len(self.stage.phones) + 1}"
        return await self.stage.phone(
            name, host, password=password, habits=habits, register=register, protocol=protocol
        )

    async def operator(
        self,
        name: str = "olga",
        *,
        after: float = 1.0,
        answers: Answers = Answers.YES,
        habits: Habits | None = None,
        register: bool = True,
        protocol: str = "UDP",
    ) -> SimPhone:
        """An operator at his phone, registered."""
        habits = habits or Habits(answers=answers, after=after)
        return await self.stage.phone(
            name, HOSTS[name], password=name * 2, habits=habits, register=register, protocol=protocol
        )

    def speech(self, phone: SimPhone, seconds: float) -> Iterator[bytes]:
        """So many seconds of what only this phone says: numbered frames, to be recognised wherever they come out."""
        first = self._voices.setdefault(phone.user, 1 + 100_000 * len(self._voices))
        frames = round(seconds * 50)
        already = self._said.get(phone.user, 0)
        self._said[phone.user] = already + frames
        return marked_frames(frames, first + already)

    @property
    def speakers(self) -> frozenset[str]:
        """Users of the phones that were given something to say."""
        return frozenset(self._voices)

    def first_number(self, phone: SimPhone) -> int:
        """The number of the first frame that `speech` gave to this phone."""
        return self._voices[phone.user]

    def last_number(self, phone: SimPhone) -> int:
        """The number of the last frame that `speech` gave to this phone."""
        return self._voices[phone.user] + self._said[phone.user] - 1

    def said_by(self, phone: SimPhone, numbers: list[int]) -> list[int]:
        """Those of `numbers` that are this phone's own speech."""
        first = self._voices.get(phone.user)
        return [] if first is None else [n for n in numbers if first <= n < first + 100_000]

    # -- what the service knows --

    @property
    def now(self) -> float:
        return virtual_loop().time()

    def moment(self, at: datetime) -> float:
        """The loop time of a time of day."""
        loop = virtual_loop()
        return loop.time() - (loop.clock.now() - at).total_seconds()

    async def incidents(self) -> list[IncidentRow]:
        """All incidents in the store, the oldest first."""
        return sorted(await self.stage.store.read(rows.incidents), key=lambda row: (row.opened_at, row.id))

    async def incident(self) -> IncidentRow:
        """The one incident of this story."""
        (row,) = await self.incidents()
        return row

    def live(self, id: str) -> LiveIncident:
        incident = self.stage.service.incidents.get(id)
        if incident is None:
            raise AssertionError(f"incident {id} is not open")
        return incident

    async def timeline(self, id: str | None = None) -> list[Entry]:
        id = id or (await self.incident()).id
        return await self.stage.store.read(partial(rows.timeline, incident_id=id))

    async def entries(self, kind: str, id: str | None = None) -> list[Entry]:
        """The entries of one kind."""
        return [entry for entry in await self.timeline(id) if entry.kind == kind]

    async def entry(self, kind: str, id: str | None = None) -> Entry:
        """The one entry of this kind."""
        found = await self.entries(kind, id)
        if len(found) != 1:
            kinds = [entry.kind for entry in await self.timeline(id)]
            raise AssertionError(f"{len(found)} entries {kind!r} in {kinds}")
        return found[0]

    async def kinds(self, id: str | None = None) -> list[str]:
        return [entry.kind for entry in await self.timeline(id)]

    async def legs(self, id: str | None = None) -> list[LegRow]:
        id = id or (await self.incident()).id
        return await self.stage.store.read(partial(rows.legs, incident_id=id))

    async def recordings(self, id: str | None = None) -> list[RecordingRow]:
        id = id or (await self.incident()).id
        return await self.stage.store.read(partial(rows.recordings, incident_id=id))

    @staticmethod
    def recorded(recording: RecordingRow) -> Marks:
        """The numbered frames in a recording."""
        track = Track.from_file(Path(recording.path), recording.started_at)
        return marks(track.read(0, track.end))

    @staticmethod
    def hash_of(recording: RecordingRow) -> str:
        return sha256(Path(recording.path).read_bytes()).hexdigest()

    # -- what must hold after every story --

    async def check(self) -> None:
        """What no story may break."""
        if self.stage.service.journal.backlog:
            raise AssertionError("writes still wait for the store")
        bad = [e for e in self.log if e["log_level"] in _ERRORS and e["event"] not in self.expects]
        if bad:
            raise AssertionError(f"{len(bad)} errors were logged: {bad[:3]}") from next(
                (e["exc_info"] for e in bad if isinstance(e.get("exc_info"), Exception)), None
            )
        assert self.stage.service.journal.refused == 0
        for row in await self.incidents():
            entries = await self.timeline(row.id)
            assert verify(entries) is None, f"the chain of {row.id} breaks at {verify(entries)}"
            assert entries[0].kind == "opened"
            await self._devices_heard_silence(row.id)
        self._nobody_heard_himself()

    async def _devices_heard_silence(self, id: str) -> None:
        entries = await self.timeline(id)
        legs = {leg.call_id: leg for leg in await self.legs(id) if leg.role == "device"}
        for phone in self.stage.phones.values():
            for call in phone.calls:
                leg = legs.get(call.session.call_id) if call.session else None
                if leg is not None:
                    self._heard_only_talk(call, self._windows(entries, leg.id))

    def _windows(self, entries: list[Entry], leg: str) -> list[tuple[float, float]]:
        """When something could be heard at this leg, as the timeline has it."""
        windows: list[tuple[float, float]] = []
        for entry in entries:
            if entry.detail.get("leg") == leg and entry.kind == "gate_opened":
                windows.append((self.moment(entry.time), float("inf")))
            elif entry.detail.get("leg") == leg and entry.kind == "gate_shut":
                windows[-1] = windows[-1][0], self.moment(entry.time) + self.slack
        return windows

    @staticmethod
    def _heard_only_talk(call: PhoneCall, windows: list[tuple[float, float]]) -> None:
        for packet in call.hearing.sounds():
            if not any(since <= packet.at <= until for since, until in windows):
                raise AssertionError(f"a sound at the device at {packet.at}; gates were open {windows}")

    def _nobody_heard_himself(self) -> None:
        for phone in self.stage.phones.values():
            for call in phone.calls:
                own = self.said_by(phone, call.hearing.marks().numbers)
                assert not own, f"{phone.user} heard himself: {own[:5]}"


Told = Callable[..., Awaitable[None]]


def story(
    *,
    seed: int = 0,
    link: Link | None = None,
    files: FileSystem | None = None,
    rtp_ports: tuple[int, int] = (20_000, 29_999),
    expects: tuple[str, ...] = (),
    slack: float = SLACK,
    start: datetime = DAWN,
    **tables: Any,
) -> Callable[[Told], Callable[..., None]]:
    """Makes a plain test of a story that begins at `start`.

    `tables` are tables of the configuration, `expects` errors in the log.
    """

    def decorate(test: Told) -> Callable[..., None]:
        def run(tmp_path: Path, **arguments: Any) -> None:
            with structlog.testing.capture_logs() as log:
                run_virtual(tell(tmp_path, log, arguments), start=start, seed=seed, limit=LONGEST)

        async def tell(directory: Path, log: list[MutableMapping[str, Any]], arguments: Mapping[str, Any]) -> None:
            configured = settings(directory, **tables)
            stage = await Stage.open(configured, link=link, files=files, rtp_ports=rtp_ports)
            world = World(stage, log, frozenset(expects), slack)
            try:
                await test(world, **arguments)
                await world.check()
            except BaseException:
                await stage.service.vanish()  # else its tasks end in noise that hides what was wrong
                raise
            await stage.service.stop()

        wanted = list(inspect.signature(test).parameters.values())[1:]
        path = inspect.Parameter("tmp_path", inspect.Parameter.POSITIONAL_OR_KEYWORD)
        run.__signature__ = inspect.Signature([path, *wanted])  # type: ignore[attr-defined]
        run.__name__, run.__doc__, run.__module__ = test.__name__, test.__doc__, test.__module__
        run.pytestmark = getattr(test, "pytestmark", [])  # type: ignore[attr-defined]
        return run

    return decorate


__all__ = ["HOST", "World", "settings", "story"]
