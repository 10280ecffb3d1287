"""Random scripts of escalations: people, processes that die, stores that fail, clocks that are set, from a seed.

    python -m voice.sim.escalation_scripts --seeds 4711

plays one script and says which promises it broke. What happens in it is drawn from the seed alone, and happens in
virtual time: a seed is the same script to the last event.
"""

import argparse
import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import NoReturn

import structlog

from voice.escalation.commands import CallEmergency, Cancel, Ring
from voice.escalation.events import (
    EmergencyFailed,
    EmergencyIndeterminate,
    Event,
    HungUp,
    OperatorJoined,
    OperatorLeft,
    Taken,
)
from voice.escalation.state import EmergencyStatus, Phase, State
from voice.sim.escalating import Done, EscalatingProcess, EscalationWorld
from voice.sim.escalation_people import (
    a_control_room,
    a_control_room_in_vain,
    a_helpful_control_room,
    a_helpful_phone,
    a_phone,
    a_phone_in_vain,
    a_plan,
    a_stray,
    an_act,
)
from voice.sim.escalation_promises import Promises
from voice.sim.loop import VirtualLoop, run_virtual, virtual_loop

INCIDENTS = ("00000001", "00000002")

REST = 400.0
"""Seconds within which everything that was begun must have come to something, once nothing goes wrong any more."""

Answers = Callable[[Random, str], list[Event]]


@dataclass(slots=True)
class Played:
    """What came of a script."""

    seed: int
    broken: list[str]
    decisions: int
    kills: int
    placed: int
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
        self.frozen = a_plan(rng)
        self.world = EscalationWorld(sole=rng.random() < 0.5)
        self.world.do = self._do
        self.promises = Promises(self.world)
        self.nodes = ("a",) if self.world.sole else ("a", "b")
        self.incidents = INCIDENTS if rng.random() < 0.2 else INCIDENTS[:1]
        self.processes: list[EscalatingProcess] = []
        self.wall = Wall()
        self.decisions = 0
        self.kills = 0
        self.trouble = True
        """Things may go wrong; people do as they like. Later on, all works, and nobody takes anything."""
        self.helpful = False
        """In the end: whoever is rung takes it."""
        self.slowness = rng.choice((0.0, 0.0, 0.01, 0.1, 0.5))
        self.loses = rng.choice((0.0, 0.0, 0.02, 0.2))
        self.stalled = False
        self.deadly = rng.choice((0.0, 0.005, 0.02, 0.05))
        """How likely a process dies at each of the points at which it may."""
        self.raised: set[str] = set()

    # -- processes --

    def starts(self, node: str) -> None:
        process = self.world.process(
            node,
            delay=self._delay,
            loses_answer=lambda: self.trouble and not self.world.sole and self.rng.random() < self.loses,
            at_point=self._point,
            clock=self.wall,
            on_state=self._decided,
        )
        self.processes.append(process)
        process.start()

    @property
    def living(self) -> list[EscalatingProcess]:
        return [process for process in self.processes if not process.dead]

    def kill(self, process: EscalatingProcess) -> None:
        if process.dead or self.kills >= 6:
            return
        self.kills += 1
        process.kill()
        self.loop.call_later(self.rng.choice((0.0, 0.5, 3.0, 10.0)), self._replace, process.node)

    def _replace(self, node: str) -> None:
        if all(process.node != node for process in self.living):
            self.starts(node)

    def _delay(self) -> float:
        if self.trouble and self.stalled:
            return self.rng.uniform(0.0, 8.0)
        return self.rng.random() * self.slowness

    def _point(self, process: EscalatingProcess) -> None:
        if self.trouble and self.rng.random() < self.deadly:
            self.kill(process)

    def _decided(self, process: EscalatingProcess, incident: str, state: State) -> None:
        self.decisions += 1
        self.promises.decides(process, incident, state, self.frozen)

    # -- the world --

    async def _do(self, done: Done) -> None:
        self.promises.does(done)
        match done.command:
            case Ring(leg=leg):
                self._later(done, self._answers(a_phone, a_phone_in_vain, a_helpful_phone, leg))
            case CallEmergency(call=call):
                self._later(done, self._answers(a_control_room, a_control_room_in_vain, a_helpful_control_room, call))
            case Cancel():
                pass

    def _answers(self, free: Answers, in_vain: Answers, helpful: Callable[[str], list[Event]], key: str) -> list[Event]:
        if self.helpful:
            return helpful(key)
        return free(self.rng, key) if self.trouble else in_vain(self.rng, key)

    def _later(self, done: Done, events: list[Event]) -> None:
        """A process hears of these: mostly in order, sometimes not, sometimes twice."""
        at = 0.0
        for event in events:
            at += self.rng.uniform(0.0, 8.0 if self.trouble else 3.0)
            self.loop.call_later(at, self._tell, done.process, done.incident, event)
            if self.trouble and self.rng.random() < 0.1:
                again = self.rng.uniform(0.0, 20.0)
                self.loop.call_later(again, self._tell, done.process, done.incident, event)

    def _tell(self, process: EscalatingProcess, incident: str, event: Event) -> None:
        if process.dead:
            return
        if isinstance(event, (EmergencyFailed, EmergencyIndeterminate, HungUp)):
            self.promises.is_over(incident, event.leg if isinstance(event, HungUp) else event.call)
        if isinstance(event, OperatorJoined):
            self.promises.joins(process, incident, event.leg)
        before = process.escalations.state(incident)
        process.escalations.post(incident, event)
        after = process.escalations.state(incident)
        if isinstance(event, Taken) and before and after:
            self.promises.takes(event, before, after)

    # -- people and faults --

    async def play(self) -> Played:
        """The whole script."""
        for node in self.nodes:
            self.starts(node)
        for incident in self.incidents:
            self.loop.call_later(self.rng.uniform(0.0, 5.0), self._raise, incident)
        end = self.loop.time() + self.rng.choice((20.0, 30.0, 60.0))
        while self.loop.time() < end:
            await asyncio.sleep(self.rng.expovariate(0.25))
            self._something_happens()
        await self._rest()
        return Played(
            seed=self.loop.seed,
            broken=self.promises.broken,
            decisions=self.decisions,
            kills=self.kills,
            placed=len(self.promises.placed),
            excused=self.promises.excused,
        )

    def _raise(self, incident: str) -> None:
        living = self.living
        if not living:
            self.loop.call_later(1.0, self._raise, incident)
            return
        process = self.rng.choice(living)
        process.raises(incident, self.frozen)
        self.loop.call_later(3.0, self._raise_again, process, incident)

    def _raise_again(self, process: EscalatingProcess, incident: str) -> None:
        """A device whose call was not answered, for the process died before the alarm was durable, calls again."""
        if process.dead and incident not in self.world.database.tables.escalations:
            self._raise(incident)

    def _something_happens(self) -> None:
        rng = self.rng
        happen: Callable[[], object] = rng.choice(
            (self._person, self._person, self._person, self._stray, self._letter, self._fault, self._fault)
        )
        happen()

    def _owner(self, incident: str) -> EscalatingProcess | None:
        """A process that thinks that it has the incident."""
        owners = [process for process in self.living if process.escalations.state(incident) is not None]
        return self.rng.choice(owners) if owners else None

    def _person(self) -> None:
        incident = self.rng.choice(self.incidents)
        owner = self._owner(incident)
        if owner is not None:
            self._tell(owner, incident, an_act(self.rng, f"r{self.rng.randint(0, 9)}"))

    def _stray(self) -> None:
        if self.living:
            incident, stray = self.rng.choice(self.incidents), a_stray(self.rng)
            self.rng.choice(self.living).escalations.post(incident, stray)

    def _letter(self) -> None:
        """Another program leaves an event in the store."""
        incident = self.rng.choice(self.incidents)
        if incident in self.world.database.tables.escalations and self.living:
            name, event = f"letter {self.rng.random()}", an_act(self.rng, f"l{self.rng.randint(0, 9)}")
            ledger, now = self.living[0].ledger, self.loop.clock.now()
            self.world.database.tables.transact(lambda tables: ledger.leave(tables, name, incident, event, now))

    def _fault(self) -> None:
        rng, living = self.rng, self.living
        match rng.choice(("kill", "down", "cut off", "stall", "clock", "same name")):
            case "kill" if living:
                self.kill(rng.choice(living))
            case "down":
                self._down(True)
                self.loop.call_later(rng.choice((0.05, 1.0, 5.0, 12.0, 30.0)), self._down, False)
            case "cut off" if not self.world.sole and living:
                process = rng.choice(living)
                self._cut_off(process, True)
                self.loop.call_later(rng.choice((1.0, 4.0, 10.0, 30.0)), self._cut_off, process, False)
            case "stall":
                self.stalled = True
                self.loop.call_later(rng.choice((2.0, 10.0)), self._flows)
            case "clock":
                self.wall.by = timedelta(seconds=rng.choice((-86400, -60, -1, 1, 60, 86400)))
            case "same name" if not self.world.sole and living and self.kills < 6:
                self.kills += 1
                self.starts(rng.choice(living).node)

    def _down(self, down: bool) -> None:
        self.world.database.down = down

    def _cut_off(self, process: EscalatingProcess, cut_off: bool) -> None:
        process.connected.cut_off = cut_off

    def _flows(self) -> None:
        self.stalled = False

    # -- the end --

    async def _rest(self) -> None:
        """Nothing goes wrong any more. First nobody takes anything, then whoever is asked does."""
        self._down(False)
        self._flows()
        self.trouble = False
        for process in self.living:
            self._cut_off(process, False)
        for node in self.nodes:
            self._replace(node)
        for placed in self.promises.placed:
            if placed.up:
                self._tell(placed.done.process, placed.done.incident, EmergencyIndeterminate(placed.call, "hung up"))
        await asyncio.sleep(15.0)  # what was lost is found, who has it is clear
        for process in self.living:
            for incident in self.incidents:
                if (state := process.escalations.state(incident)) is not None:
                    self.promises.knows(process, incident, state)
        await self._until("the automatic emergency call was never placed", self._called)
        self.helpful = True
        await self._until("nobody was asked for help", self._helped)
        await self._quiet()
        self.promises.ends(self.processes, self.kills > 0 or any(process.lost for process in self.processes))

    async def _quiet(self) -> None:
        """Until nothing is on its way to the store, or from a decision to its effect."""
        for _ in range(200):
            await asyncio.sleep(0.3)
            if not any(process.busy for process in self.living):
                return

    async def _until(self, otherwise: str, holds: Callable[[State], bool]) -> None:
        """Wait until it holds for every incident, and say so if it never does."""
        deadline = self.loop.time() + REST
        waiting = [incident for incident in self.incidents if incident in self.world.database.tables.escalations]
        while waiting:
            for incident in waiting:
                self._leave(incident)
            await asyncio.sleep(2.0)
            rows = self.world.database.tables.escalations
            waiting = [incident for incident in waiting if not holds(rows[incident].state)]
            if self.loop.time() > deadline:
                for incident in waiting:
                    self.promises.breaks(f"{incident}: {otherwise}: {rows[incident].state}")
                return

    def _leave(self, incident: str) -> None:
        """Operators go home, contacts hang up."""
        owner = self._owner(incident)
        state = owner.escalations.state(incident) if owner else None
        if owner is not None and state is not None and not self.helpful:
            for presence in state.presences:
                self._tell(owner, incident, OperatorLeft(presence.operator, leg=presence.leg))
            for leg in state.legs:
                if leg.taken:
                    self._tell(owner, incident, HungUp(leg.id))

    def _called(self, state: State) -> bool:
        """The plan has called by itself, or may not any more."""
        if state.phase is Phase.DONE or state.confirm_only or state.exhausted or state.emergency.doubtful:
            return True
        if not any(step.emergency and step.confirm == "automatic" for step in self.frozen.plan.steps):
            return True
        return state.emergency.status not in (EmergencyStatus.NONE, EmergencyStatus.AWAITING)

    def _helped(self, state: State) -> bool:
        """A human has it; or operators are asked, and nobody else is in the plan."""
        asks = any(target != "operators" for step in self.frozen.plan.steps for target in step.ring)
        if state.phase in (Phase.DONE, Phase.TAKEN) or state.exhausted:
            return True
        return not asks and (state.rings_operators or not any(step.ring for step in self.frozen.plan.steps))


def play(seed: int) -> Played:
    """One script, from its seed."""

    async def script() -> Played:
        return await Script(seed).play()

    return run_virtual(script(), seed=seed, limit=3600.0)


def _dropped(*args: object) -> NoReturn:
    raise structlog.DropEvent


def main() -> None:
    """Play the scripts of some seeds."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--seeds", nargs="+", type=int, required=True)
    for seed in parser.parse_args().seeds:
        played = play(seed)
        print(played)
        for broken in played.broken:
            print("  ", broken)


if __name__ == "__main__":
    structlog.configure(processors=[_dropped])
    main()
