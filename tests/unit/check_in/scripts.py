"""Random scripts of check-ins: workers, processes that die, stores that fail, clocks that are set, from a seed.

    python -m tests.unit.check_in.scripts 4711

plays one script, and says which promises it broke. What happens in it is drawn from the seed alone, in virtual time.
"""

import asyncio
import sys
from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random

import structlog

from ivr.session import (
    Answered,
    Call,
    CallFailed,
    Confirmed,
    DeviceSeen,
    Ended,
    Event,
    Extended,
    How,
    MemoLeft,
    NotConfirmed,
    PinChanged,
    Rules,
    Session,
)
from voice.sim.checking_in import CheckInProcess, CheckInWorld, Did
from voice.sim.loop import VirtualLoop, run_virtual, virtual_loop

TERMINAL = ("confirmed", "missed", "ended", "renewed")
PATIENCE = 2.0
"""What a command waits for the store; past that it is carried out all the same."""


@dataclass(slots=True)
class Played:
    """What came of a script."""

    seed: int
    broken: list[str]
    calls: int
    missed: int
    kills: int
    excused: int


class Wall:
    """The clock of a machine that somebody sets."""

    def __init__(self) -> None:
        self.by = timedelta()

    def now(self) -> datetime:
        return virtual_loop().clock.now() + self.by


class Script:
    """One script while it plays."""

    def __init__(self, seed: int) -> None:
        self.rng = rng = Random(seed)
        self.loop: VirtualLoop = virtual_loop()
        self.world = CheckInWorld(sole=rng.random() < 0.5)
        self.world.do = self._do
        self.nodes = ("a",) if self.world.sole else ("a", "b")
        self.rules = Rules(
            interval=rng.choice((20.0, 60.0)),
            grace=rng.choice((0.0, 5.0)),
            retries=rng.choice(((), (5.0,), (5.0, 10.0))),
            warn_before=rng.choice((0.0, 10.0)),
            unreachable_after=rng.choice((20.0, 30.0)),
            longest=3600.0,
            extend_by=30.0,
            forgotten=rng.choice(("alarm", "alarm", "end")),
        )
        self.processes: list[CheckInProcess] = []
        self.wall = Wall()
        self.kills = 0
        self.trouble = True
        self.willing = rng.random()
        """How often workers confirm."""
        self.slowness = rng.choice((0.0, 0.0, 0.01, 0.1, 0.5))
        self.loses = rng.choice((0.0, 0.0, 0.02, 0.2))
        self.deadly = rng.choice((0.0, 0.005, 0.02, 0.05))
        self.trunk = True
        self.names = 0
        self.told: list[tuple[CheckInProcess, str, str, float]] = []
        """Confirmations: who heard of them, of which session, under which name, when."""
        self.behind: dict[CheckInProcess, float] = {}
        """When a process was last known to have trouble with its store."""
        self.called: Counter[tuple[str, str]] = Counter()
        self.excused: set[tuple[str, str]] = set()
        self.broken: list[str] = []
        self.died: dict[CheckInProcess, float] = {}

    # -- processes --

    def starts(self, node: str) -> None:
        process = self.world.process(
            node,
            delay=self._delay,
            loses_answer=lambda: self.trouble and not self.world.sole and self.rng.random() < self.loses,
            at_point=self._point,
            clock=self.wall,
            on_session=self._decided,
        )
        self.processes.append(process)
        process.start()

    @property
    def living(self) -> list[CheckInProcess]:
        return [process for process in self.processes if not process.dead]

    def kill(self, process: CheckInProcess) -> None:
        if process.dead or self.kills >= 6 or not self.trouble:
            return
        self.kills += 1
        self._look(process)
        self.died[process] = self.loop.time()
        process.kill()
        self.loop.call_later(self.rng.choice((0.0, 0.5, 3.0, 10.0, 60.0)), self._replace, process.node)

    def _replace(self, node: str) -> None:
        if (self.trouble or not self.living) and all(process.node != node for process in self.living):
            self.starts(node)

    def _delay(self) -> float:
        return self.rng.random() * self.slowness if self.trouble else 0.0

    def _point(self, process: CheckInProcess) -> None:
        self._look(process)
        if self.trouble and self.rng.random() < self.deadly:
            self.kill(process)

    def _decided(self, process: CheckInProcess, session: Session) -> None:
        """A decision is often what a process does last."""
        self._look(process)
        if self.trouble and self.rng.random() < 2 * self.deadly:
            self.loop.call_later(self.rng.random() * self.slowness, self.kill, process)

    def _look(self, process: CheckInProcess) -> None:
        away = self.world.database.down or process.connected.cut_off
        if away or process.connected.lag > 1.0 or process.journal.backlog > 0:
            self.behind[process] = self.loop.time()

    def _is_excused(self, process: CheckInProcess) -> bool:
        """It may act on what nobody else knows: its store was away."""
        return self.loop.time() - self.behind.get(process, -1e9) < 2 * PATIENCE + 1.0

    # -- the world --

    async def _do(self, did: Did) -> None:
        self._look(did.process)
        if not isinstance(did.command, Call):
            return
        session, key = did.session, did.command.key
        self.called[session.id, key] += 1
        if self._is_excused(did.process):
            self.excused.add((session.id, key))
        for event in self._conversation(key):
            await asyncio.sleep(self.rng.uniform(0.0, 6.0))
            self.tell(did.process, session.id, event)
            if self.trouble and self.rng.random() < 0.1:
                self.loop.call_later(self.rng.uniform(0.0, 30.0), self.tell, did.process, session.id, event)

    def _conversation(self, key: str) -> list[Event]:
        rng = self.rng
        if not self.trunk:
            return [CallFailed(key, rng.choice((503, None)))]
        if rng.random() < self.willing:
            self.names += 1
            how = rng.choice((How.KEY, How.PIN, How.DURESS))
            return [Answered(key), Confirmed(how, key if rng.random() < 0.9 else f"strange {self.names}")]
        return rng.choice(
            (
                [Answered(key), NotConfirmed(key, "wrong keys")],
                [NotConfirmed(key, "no answer")],
                [CallFailed(key, 486)],
                [CallFailed(key, 480)],
                [],  # says nothing, and ends
            )
        )

    def tell(self, process: CheckInProcess, session: str, event: Event) -> None:
        if process.dead:
            return
        if isinstance(event, Confirmed) and event.attempt is None:
            self.names += 1
            event = Confirmed(event.how, f"by himself {self.names}")
            self.told.append((process, session, event.attempt or "", self.loop.time()))
        process.check_ins.post(session, event)

    # -- people and faults --

    async def play(self) -> Played:
        """The whole script."""
        for node in self.nodes:
            self.starts(node)
        for worker in ("anna", "bob"):
            self.loop.call_later(self.rng.uniform(0.0, 5.0), self._begin, worker)
        end = self.loop.time() + self.rng.choice((60.0, 120.0, 240.0))
        while self.loop.time() < end:
            await asyncio.sleep(self.rng.expovariate(0.1))
            self._something_happens()
        await self._rest()
        missed = sum(note.kind == "missed" for notes in self.world.tables.session_log.values() for note in notes)
        return Played(self.loop.seed, self.broken, sum(self.called.values()), missed, self.kills, len(self.excused))

    def _begin(self, worker: str) -> None:
        if not self.living:
            self.loop.call_later(1.0, self._begin, worker)
            return
        process, how = self.rng.choice(self.living), self.rng.choice((None, How.PIN))
        process.begins(worker, self.rules, hours=self.rng.choice((60.0, 200.0, 600.0)) / 3600, how=how)

    def _something_happens(self) -> None:
        self.rng.choice((self._person, self._person, self._fault))()

    def _person(self) -> None:
        rng = self.rng
        if rng.random() < 0.1:
            self._begin(rng.choice(("anna", "bob")))
            return
        ids = list(self.world.tables.sessions)
        if not (ids and self.living):
            return
        event: Event = rng.choice(
            (
                Confirmed(How.PIN),
                Confirmed(How.DURESS),
                Extended(how=How.PIN),
                Extended(),
                MemoLeft("memo"),
                PinChanged(rng.choice((How.PIN, How.DURESS))),
                DeviceSeen(self.wall.now()),
                Ended() if rng.random() < 0.2 else Confirmed(How.KEY),
            )
        )
        self.tell(rng.choice(self.living), rng.choice(ids), event)

    def _fault(self) -> None:
        rng, living = self.rng, self.living
        match rng.choice(("kill", "down", "cut off", "clock", "trunk")):
            case "kill" if living:
                self.kill(rng.choice(living))
            case "down":
                self._down(True)
                self.loop.call_later(rng.choice((0.05, 1.0, 5.0, 30.0)), self._down, False)
            case "cut off" if not self.world.sole and living:
                process = rng.choice(living)
                process.connected.cut_off = True
                self._look(process)
                self.loop.call_later(rng.choice((1.0, 4.0, 10.0, 30.0)), self._join, process)
            case "clock":
                self.wall.by = timedelta(seconds=rng.choice((-86400, -60, -1, 1, 60, 86400)))
            case "trunk":
                self.trunk = False
                self.loop.call_later(rng.choice((5.0, 60.0)), self._trunk_up)

    def _trunk_up(self) -> None:
        self.trunk = True

    def _down(self, down: bool) -> None:
        for process in self.living:
            self._look(process)
        self.world.database.down = down

    def _join(self, process: CheckInProcess) -> None:
        self._look(process)
        process.connected.cut_off = False

    # -- the end --

    async def _rest(self) -> None:
        """Nothing goes wrong any more, and nobody confirms: every session that is open must come to an alarm."""
        self._down(False)
        self.trouble, self.trunk, self.willing = False, True, 0.0
        for process in self.living:
            self._join(process)
        for node in self.nodes:
            if not self.living or self.rng.random() < 0.5:
                self._replace(node)
        await asyncio.sleep(15.0)  # what was lost is found, who has it is clear
        rounds = {id: row.session.round for id, row in self.world.tables.sessions.items() if row.session.open}
        self._each_has_one_owner(list(rounds))
        await asyncio.sleep(300.0)
        self._each_was_missed(rounds)
        for session in self.world.tables.sessions.values():
            if not session.session.open and session.session.pending:
                self.broken.append(f"{session.session.id}: left undone: {session.session.pending}")
        self._logs()
        self._calls()
        self._confirmations()

    def _each_has_one_owner(self, ids: list[str]) -> None:
        for id in ids:
            owners = [process.node for process in self.living if process.check_ins.session(id) is not None]
            if len(owners) != 1:
                self.broken.append(f"{id}: is in the memory of {owners or 'nobody'}")

    def _each_was_missed(self, rounds: dict[str, int]) -> None:
        for id, number in rounds.items():
            row = self.world.tables.sessions[id]
            later = [note for note in self.world.tables.session_log[id] if note.detail["round"] >= number]
            if not any(note.kind in ("missed", "forgotten") for note in later):
                self.broken.append(f"{id}: was forgotten: {row.session}")

    def _logs(self) -> None:
        for id, notes in self.world.tables.session_log.items():
            self._one_end_for_each_round(id)
            missed = {f"{id}:{note.detail['round']}:missed" for note in notes if note.kind == "missed"}
            if lost := missed - self.world.raised:
                self.broken.append(f"{id}: no alarm for {lost}")
        known = {
            f"{id}:{note.detail['round']}:missed"
            for id, notes in self.world.tables.session_log.items()
            for note in notes
            if note.kind == "missed"
        }
        for did in self.world.did:
            key = getattr(did.command, "key", "")
            if key.endswith(":missed") and key not in known and did.process not in self.behind:
                self.broken.append(f"an alarm that nobody decided: {key}")

    def _one_end_for_each_round(self, id: str) -> None:
        ends: dict[int, list[str]] = {}
        calls: Counter[int] = Counter()
        for note in self.world.tables.session_log[id]:
            number = note.detail["round"]
            calls[number] += note.kind == "called"
            if note.kind in ("missed", "confirmed"):
                ends.setdefault(number, []).append(note.kind)
            if note.kind == "missed" and not calls[number]:
                self.broken.append(f"{id}: round {number} was missed, and nobody called")
        last = max((*calls, *ends), default=1)
        open_now = self.world.tables.sessions[id].session.open
        for number in range(1, last if open_now else last + 1):
            found = ends.get(number, [])
            if found.count("missed") > 1 or (number < last and len(found) != 1):
                self.broken.append(f"{id}: round {number} ended so: {found}")

    def _calls(self) -> None:
        for (id, key), times in self.called.items():
            if times > 1 and (id, key) not in self.excused:
                self.broken.append(f"{id}: call {key} was made {times} times")

    def _confirmations(self) -> None:
        written = {
            (id, note.detail.get("attempt"))
            for id, notes in self.world.tables.session_log.items()
            for note in notes
            if note.kind == "confirmed"
        }
        for process, id, name, at in self.told:
            if (id, name) not in written and process not in self.died and id in self.world.tables.sessions:
                self.broken.append(f"{id}: confirmation {name!r} at {at} was lost")


def play(seed: int) -> Played:
    """One script, from its seed."""

    async def script() -> Played:
        return await Script(seed).play()

    return run_virtual(script(), seed=seed, limit=7200.0)


if __name__ == "__main__":
    for argument in sys.argv[1:]:
        played = play(int(argument))
        print(played)
        for broken in played.broken:
            print("  ", broken)
    structlog.reset_defaults()
