"""What listening costs: catching up with the pitch kept, following live, and mixing a room.

`python -m benchmarks.timescale [--json]`. CPU time of one process, the best of several runs; a minute of
speech with pauses and a noise floor, so that the search has something to search in.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from benchmarks.machine import pin, this_machine
from voice.media.gate import Gate
from voice.media.listening import IncidentAudio, Listener, Mode
from voice.media.mixing import alaw, linear
from voice.media.quiet import Samples
from voice.media.room import Member, Role, Room
from voice.media.timescale import stretch
from voice.media.track import Track
from voice.media.wav import Origin, header
from voice.sim.speech import clip

FRAME = 160
RATE = 8000
STARTED = datetime(2025, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Figure:
    name: str
    value: float
    unit: str
    aim: float | None = None


def speech_with_pauses() -> Samples:
    """About a minute: a speaker, a pause of four seconds, and so on, over noise at -60 dBov."""
    speech = linear(clip("badge"))
    recording = np.concatenate([speech, np.zeros(4 * RATE, np.int16)] * 5)
    noise = np.random.default_rng(1).normal(0, 33, len(recording))
    return np.clip(recording + noise, -32768, 32767).astype(np.int16)


def best(run: Callable[[], float], times: int = 5) -> float:
    return min(run() for _ in range(times))


def cost_of_stretching(samples: Samples, speed: float, hurry: bool) -> float:
    """CPU milliseconds per second of output."""
    begun = time.process_time()
    seconds = len(stretch(samples, speed, hurry=hurry)) / RATE
    return (time.process_time() - begun) * 1000 / seconds


def cost_of_catching_up(track: Track) -> float:
    """CPU milliseconds per second that a listener hears, from A-law to A-law."""
    listener = Listener(IncidentAudio([track]))
    frames = 0
    begun = time.process_time()
    while listener.mode is Mode.CATCHING_UP:
        listener.frame()
        frames += 1
    return (time.process_time() - begun) * 1000 / (frames / 50)


def from_file(audio: bytes, folder: Path) -> Track:
    path = folder / "alarm.wav"
    path.write_bytes(header(Origin(STARTED, 0), len(audio)) + audio)
    return Track.from_file(path, STARTED)


def in_memory(audio: bytes) -> Track:
    track = Track(STARTED)
    track.write(0, audio)
    track.close()
    return track


def cost_of_a_tick(people: int, talking: int) -> float:
    """Microseconds per tick of a room: one device, `people` operators who listen live, some of whom talk."""
    tick = 0
    room = Room(lambda: tick)
    audio = clip("badge")
    device = Member("device", Role.DEVICE, Track(STARTED), Gate())
    room.join(device)
    members = [device]
    for number in range(people):
        member = Member(str(number), Role.OPERATOR, Track(STARTED), None, Listener(room.audio))
        room.join(member)
        members.append(member)
    for member in members[1 : talking + 1]:
        room.talk(member, True)
    seats = [room.source_for(member) for member in members]
    spent = 0
    ticks = 400
    for tick in range(ticks):
        for number, member in enumerate(members):
            start = (tick + 7 * number) % 390 * FRAME
            if member.received is not None:
                member.received.write(member.received.end, audio[start : start + FRAME])
        begun = time.perf_counter_ns()
        for seat in seats:
            seat.frame()
        spent += time.perf_counter_ns() - begun
    return spent / ticks / 1000


def measure() -> list[Figure]:
    samples = speech_with_pauses()
    audio = alaw(samples)
    figures = [
        Figure(f"WSOLA at {speed}", best(partial(cost_of_stretching, samples, speed, False)), "ms/s", 5.0)
        for speed in (1.25, 1.5, 2.0, 3.0)
    ]
    hurried = best(partial(cost_of_stretching, samples, 1.5, True))
    figures += [
        Figure("WSOLA at 1.5, pauses hurried", hurried, "ms/s", 5.0),
        Figure("  of a recording of", len(samples) / RATE, "s"),
        Figure("  that is heard in", len(stretch(samples, 1.5, hurry=True)) / RATE, "s"),
    ]
    with TemporaryDirectory() as folder:
        for place, track in (("memory", in_memory(audio)), ("a file", from_file(audio, Path(folder)))):
            cost = best(partial(cost_of_catching_up, track))
            figures.append(Figure(f"listener catching up, from {place}", cost, "ms/s", 5.0))
    for people, talking in ((1, 0), (1, 1), (2, 2), (7, 0), (7, 1), (7, 7)):
        name = f"room tick: device, {people} operators live, {talking} talking"
        figures.append(Figure(name, best(partial(cost_of_a_tick, people, talking)), "µs"))
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    arguments = parser.parse_args()
    pin(1)
    machine = this_machine()
    figures = measure()
    if arguments.json:
        print(json.dumps({"machine": machine.as_dict(), "figures": [asdict(figure) for figure in figures]}, indent=2))
        return
    print(*machine.lines(), "", sep="\n")
    for figure in figures:
        aim = f"   (aim: under {figure.aim:g})" if figure.aim is not None else ""
        print(f"{figure.name:<56}{figure.value:9.2f} {figure.unit}{aim}")


if __name__ == "__main__":
    main()
