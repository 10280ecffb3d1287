"""What a conference costs: rooms of eight legs at 20 ms, levelled and without their own voice in their ears.

`python -m benchmarks.conference [--rooms N] [--json]`. A room is one device, two operators, four contacts and a control
room. CPU time of one process per room and second of audio; everybody speaks, with a voice of his own. The floor, in the
same run, is numpy alone: eight frames decoded, summed once, each subtracted, limited and encoded, and nothing else.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial

import numpy as np

from benchmarks.machine import pin, this_machine
from voice.media.gate import Gate, Source
from voice.media.levels import Leveller
from voice.media.listening import Listener
from voice.media.mixing import alaw, linear
from voice.media.room import Member, Role, Room
from voice.media.track import Track
from voice.sim.speech import clip

FRAME = 160
TICKS = 500
"""Ten seconds."""
STARTED = datetime(2025, 1, 1, tzinfo=UTC)
PEOPLE = (Role.OPERATOR, Role.OPERATOR, Role.CONTACT, Role.CONTACT, Role.CONTACT, Role.CONTACT, Role.EMERGENCY)
LEVELS = (0, -9, 6, -12, 3, 9, -6, 0)
"""dB: no two legs are alike, so that the levels have something to do."""


@dataclass(frozen=True, slots=True)
class Figure:
    name: str
    value: float
    unit: str
    floor: float | None = None


def voices() -> list[list[bytes]]:
    """For each leg of a room so many frames of speech, each at its own level and from its own place."""
    speech = linear(clip("badge"))
    said = []
    for number, decibels in enumerate(LEVELS):
        louder = np.roll(speech, -number * 7 * FRAME) * 10 ** (decibels / 20)
        audio = alaw(np.rint(louder).astype(np.int32))
        said.append([audio[n % 390 * FRAME :][:FRAME] for n in range(TICKS)])
    return said


class Conference:
    """One room, and the ears of its legs."""

    def __init__(self, talking: int, conferring: int) -> None:
        self.tick = 0
        self.room = Room(lambda: self.tick)
        self.members = [Member("device", Role.DEVICE, Track(STARTED), Gate())]
        self.room.join(self.members[0])
        for number, role in enumerate(PEOPLE):
            member = Member(str(number), role, Track(STARTED), None, Listener(self.room.audio))
            self.room.join(member)
            self.members.append(member)
        for number, member in enumerate(self.members[1 : talking + conferring + 1]):
            if number < talking:
                self.room.talk(member, True)
            else:
                self.room.confer(member, True)
        self.ears: Sequence[tuple[Member, Source]] = [(m, self.room.source_for(m)) for m in self.members]

    def say(self, said: Sequence[Sequence[bytes]]) -> None:
        for member, frames in zip(self.members, said, strict=True):
            if member.received is not None:
                member.received.write(member.received.end, frames[self.tick])

    def listen(self) -> None:
        for member, ear in self.ears:
            if member.gate is None or member.gate.open:
                ear.frame()
        self.tick += 1


def cost_of_a_room(said: Sequence[Sequence[bytes]], rooms: int, talking: int, conferring: int) -> float:
    """CPU microseconds per room and second of audio."""
    conferences = [Conference(talking, conferring) for _ in range(rooms)]
    spent = 0
    for _ in range(TICKS):
        for conference in conferences:
            conference.say(said)
        begun = time.process_time_ns()
        for conference in conferences:
            conference.listen()
        spent += time.process_time_ns() - begun
    return spent / 1000 / rooms / (TICKS / 50)


def floor(said: Sequence[Sequence[bytes]], rooms: int) -> float:
    """The same sums in numpy, without rooms, legs, tracks, gates or levels."""
    spent = 0
    for tick in range(TICKS):
        frames = [voice[tick] for voice in said]
        begun = time.process_time_ns()
        for _ in range(rooms):
            samples = [linear(frame) for frame in frames]
            total = np.sum(samples, axis=0, dtype=np.int32)
            for own in samples:
                alaw(total - own)
        spent += time.process_time_ns() - begun
    return spent / 1000 / rooms / (TICKS / 50)


def cost_of_levels(said: Sequence[Sequence[bytes]]) -> float:
    """CPU microseconds per frame of one voice."""
    spent, count = 0, 0
    for voice in said:
        leveller = Leveller()
        begun = time.process_time_ns()
        for frame in voice:
            leveller.apply(frame)
        spent += time.process_time_ns() - begun
        count += len(voice)
    return spent / 1000 / count


def best(run: Callable[[], float], times: int = 3) -> float:
    return min(run() for _ in range(times))


def measure(rooms: int) -> list[Figure]:
    said = voices()
    least = best(partial(floor, said, rooms))
    figures = [Figure("floor: eight frames, eight sums, numpy alone", least, "µs per room-second")]
    for name, talking, conferring in (
        ("8 legs, nobody talks", 0, 0),
        ("8 legs, one operator talks", 1, 0),
        ("8 legs, one talks, two confer", 1, 2),
        ("8 legs, all seven people talk", 7, 0),
    ):
        cost = best(partial(cost_of_a_room, said, rooms, talking, conferring))
        figures.append(Figure(name, cost, "µs per room-second", least))
    figures.append(Figure("levels: one frame of one voice", best(partial(cost_of_levels, said)), "µs"))
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rooms", type=int, default=20, help="rooms at the same time (default: 20)")
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    arguments = parser.parse_args()
    pin(1)
    machine = this_machine()
    figures = measure(arguments.rooms)
    if arguments.json:
        print(json.dumps({"machine": machine.as_dict(), "figures": [asdict(figure) for figure in figures]}, indent=2))
        return
    print(*machine.lines(), f"{arguments.rooms} rooms", "", sep="\n")
    for figure in figures:
        times = f"   {figure.value / figure.floor:4.2f} x the floor" if figure.floor else ""
        print(f"{figure.name:<48}{figure.value:9.1f} {figure.unit}{times}")


if __name__ == "__main__":
    main()
