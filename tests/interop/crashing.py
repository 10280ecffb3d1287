"""A service that is killed again and again in the middle of alarms, and what must hold each time it comes back."""

import asyncio
import json
import random
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType
from typing import Any

from voice.escalation.state import EmergencyStatus, Phase, State
from voice.incidents import lifecycle
from voice.incidents.timeline import verify

from .escalation import DEVICES, HOST, OPERATORS, ROOM, WORKERS, Manner, People, Record, records, until
from .service import Service

NEXT_ACTION = 3.0
"""Seconds from the service's "earshot answers" within which the alarm goes on."""
CALLBACK = 1.0
"""Seconds that a device is given to call again by itself."""
IMPATIENCE = 16.0
"""Seconds after which the process is killed where it is, when the moment that was chosen does not come."""
STORY = 100.0
"""Seconds after the last kill within which the alarm is closed by a person."""
AGAIN_AFTER = 10.0

NUMBERS = {"201": "panic", "202": "medical", "203": "gas"}
"""What the badge dials, for each of the plans."""

PLANS: Sequence[Mapping[str, Any]] = (
    {
        "id": "people",
        "lap_pause": 1.0,
        "follow_up": 30.0,
        "steps": [
            {"ring": ["operators", "contact:fred"], "seconds": 5.0},
            {"ring": ["contact:anna", "contact:bas"], "seconds": 8.0},
            {"message": ["contact:anna", "contact:bas"]},
        ],
    },
    {
        "id": "police",
        "lap_pause": 1.0,
        "steps": [
            {"ring": "operators", "seconds": 5.0},
            {"message": ["contact:anna", "contact:bas"]},
            {
                "emergency": ROOM,
                "confirm": "automatic",
                "after": 0.0,
                "agreement": "contract of the test",
                "indeterminate": "call again",
                "again_after": AGAIN_AFTER,
                "attempts": 5,
            },
            {"ring": "contact:bas", "seconds": 5.0},
        ],
    },
    {
        "id": "no-desk",
        "lap_pause": 1.0,
        "steps": [
            {"ring": ["contact:anna", "contact:bas"], "order": "sequence", "seconds": 5.0},
        ],
    },
)
BY_KIND = {"panic": "people", "medical": "police", "gas": "no-desk"}


@dataclass(frozen=True, slots=True)
class Tale:
    """How an alarm goes."""

    dials: str
    points: tuple[tuple[str, float], ...]
    """Where the process is killed: a moment, and within how many seconds after it."""
    manners: Mapping[str, Manner]
    """While it is killed."""
    ends: Mapping[str, Manner]
    """Afterwards: somebody closes the alarm."""


@dataclass(slots=True)
class Life:
    """One life of the process, from its start to its death."""

    started: float
    before: Record | None = None
    """The incident as the life before left it."""
    answered: float | None = None
    """When the service said that it answers."""
    died: float | None = None
    point: str = ""
    """At which moment it was killed."""
    next_action: float | None = None
    """Seconds from `answered` until the alarm went on."""


@dataclass(slots=True)
class Lane:
    """A service of its own, with people of its own, and one alarm after the other."""

    service: Service
    people: People
    dice: random.Random
    lives: list[Life] = field(default_factory=list)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _wrong: list[BaseException] = field(default_factory=list)

    # -- the process --

    async def open(self) -> None:
        self._start(None)
        await until(lambda: self.life.answered, "the service answers", 60)
        await self.people.start(self.service.address)
        self._spawn(self._watch_messages())

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.people.close()
        await asyncio.to_thread(self.service.stop)

    @property
    def life(self) -> Life:
        return self.lives[-1]

    @property
    def url(self) -> str:
        return f"sqlite:///{self.service.directory / 'earshot.db'}"

    @property
    def _messages(self) -> Path:
        return self.service.directory / "messages.jsonl"

    def _start(self, before: Record | None) -> None:
        self.people.book.tell("service starts")
        self.lives.append(Life(time.time(), before))
        read = self.service.log.stat().st_size if self.service.log.exists() else 0
        self.service.start()
        self._spawn(self._wait_for_answer(self.life, read))

    async def _wait_for_answer(self, life: Life, read: int) -> None:
        """The service's own log says when it answers."""
        while life.died is None and life.answered is None:
            await asyncio.sleep(0.02)
            with self.service.log.open("rb") as log:
                log.seek(read)
                lines = [line for line in log if b"earshot answers" in line and line.endswith(b"\n")]
            if lines:
                life.answered = datetime.fromisoformat(json.loads(lines[0])["timestamp"]).timestamp()
                self.people.book.tell("service answers")
            elif not self.service.running and life.died is None:
                self._supervise()

    def _supervise(self) -> None:
        """Start it again, as systemd does, where another program on this machine has its port for a moment."""
        if "the port is in use" not in self.service.text()[-500:]:
            raise self.service.failed("it ended by itself")
        self.service.start()

    def _kill(self, point: str) -> Record | None:
        """`kill -9`. Who had a call hangs up. Returns what it left behind."""
        self.service.crash()
        self.life.died, self.life.point = time.time(), point
        self.people.hang_up()
        left = self.latest()
        self._judge(self.life, left)
        return left

    def latest(self) -> Record | None:
        """The latest incident; None before the first."""
        if not (self.service.directory / "earshot.db").exists():
            return None
        return next(iter(records(self.url)), None)

    # -- one alarm --

    async def play(self, tale: Tale, kills: int) -> int:
        """An alarm with so many kills, to its end. Returns how many there were."""
        known = {record.row.id for record in records(self.url)}
        began = time.time()
        self.people.behave(tale.manners)
        button = self._spawn(self._press_the_button(tale, known))
        points = self._points(tale, kills)
        done = 0
        while points and not self._is_over(known):
            moment, spread = points.pop()
            await self._until(moment, spread)
            left = self._kill(moment)
            done += 1
            if not points:
                self.people.behave(tale.ends)
            self._start(left if left is not None and left.row.id not in known else None)
        self.people.behave(tale.ends)
        record = await self._close(known)
        button.cancel()
        _is_sound(record, [moment.at for moment in self.people.book.since(began, f"{ROOM} rings")])
        _was_told(record, self._messages)
        return done

    def _points(self, tale: Tale, kills: int) -> list[tuple[str, float]]:
        """Some of the tale's, by chance; none a second time before all others."""
        rounds = -(-kills // len(tale.points))
        chosen = [point for _ in range(rounds) for point in self.dice.sample(tale.points, len(tale.points))]
        return chosen[:kills][::-1]

    def _is_over(self, known: set[str]) -> bool:
        record = self.latest() if self.life.died is None and self.life.answered else None
        return record is not None and record.row.id not in known and record.row.state is lifecycle.State.RESOLVED

    async def _press_the_button(self, tale: Tale, known: set[str]) -> None:
        """The badge calls until it was answered."""
        badge = self.people["badge"].phone
        while True:
            await until(lambda: self.life.answered, "the service answers", 60)
            call = badge.call(f"sip:{tale.dials}@{HOST}:{self.service.port}")
            self.people.book.tell("badge calls", call)
            try:
                await call.established()
                return
            except ConnectionError:
                await asyncio.sleep(0.2)

    async def _until(self, moment: str, spread: float) -> None:
        """The moment, in this life of the process; and a while."""
        deadline = time.time() + IMPATIENCE
        while not self.people.book.since(self.life.started, moment):
            self._look_for_faults()
            if self.life.answered and time.time() > deadline:
                break
            await asyncio.sleep(0.01)
        await asyncio.sleep(self.dice.uniform(0, spread))

    async def _close(self, known: set[str]) -> Record:
        """The alarm as a person has closed it. Where a control room had it, an operator does so."""
        life, deadline, resolving = self.life, time.monotonic() + STORY, False
        while True:
            self._look_for_faults()
            record = self.latest()
            if record is not None and record.row.id not in known:
                if record.row.state is lifecycle.State.RESOLVED:
                    break
                if not resolving and _room_has_it(record.state):
                    resolving = True
                    self._spawn(self._resolve(record.row.id))
            if time.monotonic() > deadline:
                raise self.service.failed(f"nobody has closed it:\n{record}\n{self.people.book.moments[-40:]}")
            await asyncio.sleep(0.3)
        self._judge(life, record)
        if life.before is not None and life.before.row.state is not lifecycle.State.RESOLVED and life.answered:
            self._was_called_back(life)
        await asyncio.sleep(0.5)  # the last words, and the ends of the legs
        return self.latest() or record

    async def _resolve(self, incident: str) -> None:
        """An operator listens in, and resolves."""
        await until(lambda: self.life.answered, "the service answers", 60)
        call = self.people["olga"].phone.call(f"sip:listen-{incident}@{HOST}:{self.service.port}")
        await call.established()
        await asyncio.sleep(1.0)
        call.press("#1")

    # -- what must hold --

    def _judge(self, life: Life, now: Record | None) -> None:
        """Whether the alarm went on in time after this start, as far as the process lived to do it."""
        before = life.before
        if before is None or before.state is None or before.state.phase is Phase.DONE or life.answered is None:
            return
        if life.next_action is not None:
            return  # that was another alarm
        due = max(life.answered, _not_before(before.state))
        until_now = life.died or time.time()
        action = self._went_on(life, before.state, now)
        if action is None or action - due > NEXT_ACTION:
            if until_now - due > NEXT_ACTION:
                raise AssertionError(f"{self._story(life)}: nothing for {NEXT_ACTION} s\n{before}\nthen\n{now}")
            return
        life.next_action = max(action - due, 0.0)
        for contact in _lost_once(before.state):
            again = self.people.book.since(life.started, f"{contact} rings")
            waited = (again[0].at if again else until_now) - life.answered
            if waited > NEXT_ACTION:
                raise AssertionError(f"{self._story(life)}: {contact} was not rung again\n{before}\nthen\n{now}")

    def _went_on(self, life: Life, state: State, now: Record | None) -> float | None:
        """When a phone rang; where a human has it until a time that stands, when the timeline told of the restart."""
        if kept_by_a_human(state):
            told = now.entries("service_restarted", since=life.started) if now else []
            return told[0].time.timestamp() if told and state.due_at is not None else None
        rings = self.people.rings(life.started)
        return rings[0].at if rings else None

    def _was_called_back(self, life: Life) -> None:
        rings = self.people.book.since(life.started, "badge rings")
        assert life.answered is not None
        after = rings[0].at - life.answered if rings else float("inf")
        assert after < CALLBACK + NEXT_ACTION, f"{self._story(life)}: the device was called back after {after} s"

    def _story(self, life: Life) -> str:
        return f"{self.service.name}, killed at {[life.point for life in self.lives]}, life {self.lives.index(life)}"

    # -- small things --

    async def _watch_messages(self) -> None:
        """A message goes out: just before the emergency call, in the plan of the police."""
        known = 0
        while True:
            size = self._messages.stat().st_size if self._messages.exists() else 0
            if size > known:
                known = size
                self.people.book.tell("message goes out")
            await asyncio.sleep(0.01)

    def _look_for_faults(self) -> None:
        if self._wrong:
            raise self._wrong[0]

    def _spawn(self, work: Any) -> asyncio.Task[None]:
        task: asyncio.Task[None] = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)
        return task

    def _finished(self, task: asyncio.Task[None]) -> None:
        """What goes wrong beside the story ends it."""
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._wrong.append(error)


def new_service(
    folder: Path, name: str, people: People, speech: Path, more: Mapping[str, Mapping[str, Any]] = MappingProxyType({})
) -> Service:
    """A service whose configuration knows these people. `more`: further settings by table."""
    settings: dict[str, dict[str, Any]] = {
        "alarms": {"callback_seconds": CALLBACK, "numbers": NUMBERS},
        "speech": {"directory": str(speech)},
        "messages": {"file": str(folder / name / "messages.jsonl")},
        "log": {"json": True},
    }
    for table, keys in more.items():
        settings.setdefault(table, {}).update(keys)
    return Service(
        folder,
        name=name,
        devices=DEVICES,
        operators=OPERATORS,
        workers=WORKERS,
        settings=settings,
        rows=people.rows(PLANS, BY_KIND),
    )


def kept_by_a_human(state: State) -> bool:
    """Whether somebody has it whose call did not die with the process: he hung up, or is the control room."""
    dead = {leg.id for leg in state.legs}
    return state.phase is Phase.TAKEN and any(taker.leg not in dead for taker in state.takers)


def _room_has_it(state: State | None) -> bool:
    return state is not None and state.emergency.status is EmergencyStatus.CONFIRMED and state.phase is Phase.TAKEN


def _not_before(state: State) -> float:
    """When a phone can ring at the earliest: at once, but in a pause of a plan that knows no operators."""
    pause = state.phase is Phase.ESCALATING and not (state.legs or state.operators_ring or state.emergency.under_way)
    return state.due_at.timestamp() if pause and state.due_at else 0.0


def _lost_once(state: State) -> Iterator[str]:
    """Contacts whose call died with the process, for the first time: they are rung again at once."""
    if not kept_by_a_human(state):
        yield from (leg.contact for leg in state.legs if not leg.again)


def _is_sound(record: Record, rings: Sequence[float]) -> None:
    """What must hold of every alarm, whatever happened to the process. `rings`: INVITEs at the control room."""
    broken = verify(record.timeline)
    assert broken is None, f"the chain breaks at {broken}:\n{record}"
    resolved = record.entries("resolved")
    by = {entry.actor.partition(":")[0] for entry in resolved}
    assert by <= {"contact", "operator"}, f"closed by {by}:\n{record}"
    assert len(resolved) == 1, f"closed {len(resolved)} times:\n{record}"
    assert not {"engine_fault", "timeline_gap"} & set(record.kinds), record
    once_each(record, rings)


def _was_told(record: Record, messages: Path) -> None:
    """Each message that the plan sends has gone out, once."""
    sent = [json.loads(line) for line in messages.read_text().splitlines()] if messages.exists() else []
    mine = sorted(message["contact"] for message in sent if message["key"].startswith(f"{record.row.id}."))
    wanted = any(entry.detail.get("messages") for entry in record.entries("escalated"))
    assert mine == (["anna", "bas"] if wanted else []), f"messages to {mine}:\n{record}"


def once_each(record: Record, rings: Sequence[float]) -> None:
    """No emergency call is doubled: one INVITE at most for each that was decided, and each after the first by the rule
    of the plan. None is lost either: each was made, or is known to be in doubt."""
    placed = record.entries("emergency_placed")
    times = [entry.time.timestamp() for entry in placed]
    made: Counter[str] = Counter()
    for ring in rings:
        mine = [entry.detail["call"] for entry, at in zip(placed, times, strict=True) if at <= ring]
        assert mine, f"an emergency call that nobody decided:\n{record}"
        made[mine[-1]] += 1
    assert all(count == 1 for count in made.values()), f"INVITEs by call: {made}\n{record}"
    doubtful = {e.detail["call"]: e.time.timestamp() for e in record.entries("emergency_indeterminate")}
    failed = {e.detail["call"] for e in record.entries("emergency_failed")}
    for entry, after in pairwise(placed):
        call = entry.detail["call"]
        by_rule = call in doubtful and after.time.timestamp() - doubtful[call] >= AGAIN_AFTER - 0.1
        assert call in failed or by_rule, f"call {call} was followed by another:\n{record}"
    for entry in placed[:-1]:
        call = entry.detail["call"]
        assert made[call] or call in doubtful or call in failed, f"call {call} is lost:\n{record}"


def where(record: Record | None) -> str:
    """How far an alarm had come, in a few words."""
    if record is None or record.state is None:
        return "before the first commit"
    state = record.state
    if state.phase is Phase.DONE or record.row.state is lifecycle.State.RESOLVED:
        return "resolved"
    if kept_by_a_human(state):
        return "a human had it and had hung up"
    if state.phase is Phase.TAKEN:
        return "an operator listened" if state.presences else "a contact had taken it"
    if state.emergency.under_way:
        return f"emergency call {state.emergency.status.value}"
    if any(leg.answered for leg in state.legs):
        return "a contact was asked for the key"
    if state.legs:
        return "contacts rang"
    return "operators rang" if state.operators_ring else "a pause"
