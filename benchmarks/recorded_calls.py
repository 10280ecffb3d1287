"""What it costs to record a call: CPU per call and second, and whether anything is lost.

    python -m benchmarks.recorded_calls [--calls 100 400 800] [--seconds 10] [--json]

A generator in a process of its own sends every call 50 packets a second of A-law in which each packet carries
its own number; the phases of the calls are spread over the 20 ms. The server, in another process and on one
core, records them. Afterwards the numbers are looked for in the WAV files: a packet that is not in the
recorded audio is lost, wherever it went missing.

Three servers, in the same run:

    floor     only receives, strips the header and writes: no order, loss, latch, digits, level, RTCP, hash;
              the least that Python can do on a 20 ms clock
    recvonly  the product's legs, clock, recorder and disk thread; the device is sent nothing
    silence   the same, and 50 silent packets a second go back to each device

CPU is user and system time of the server's process alone, all its threads, from getrusage(2), divided by
calls and seconds.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import random
import resource
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TypeVar

from benchmarks.generator import count_packets, generate
from benchmarks.machine import pin, this_machine
from voice.address import Address
from voice.clock import SystemClock
from voice.media.clock import MediaClock
from voice.media.disk import DiskThread
from voice.media.gate import Gate
from voice.media.leg import MediaLeg
from voice.media.recorder import Recorder
from voice.rtp.transport import UdpPorts, UdpSocket, raise_file_limit
from voice.sdp.negotiation import Agreed

HOST = "127.0.0.1"
FIRST_PORT, LAST_PORT = 20_000, 29_999
WARM_UP = 1.0
"""Seconds before the measuring begins: first packets, files being created."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Served:
    """What the server's process says of itself."""

    cpu: float
    late_ticks: int
    max_lateness: float


@dataclass(frozen=True, slots=True)
class Result:
    """One run."""

    server: str
    calls: int
    seconds: float
    us_per_call_second: float
    packets: int
    """Sent to the server during the whole run."""
    lost: int
    """Not found in the recorded audio."""
    late_ticks: int
    max_lateness_ms: float


def main() -> None:
    """Run the benchmark and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--calls", type=int, nargs="+", default=[100, 400, 800], metavar="N")
    parser.add_argument("--seconds", type=float, default=10.0, help="of each run")
    parser.add_argument("--servers", nargs="+", default=list(SERVERS), choices=list(SERVERS))
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    machine = this_machine()
    if not arguments.json:
        print(*machine.lines(), sep="\n")
        print(f"\n{'server':<9}{'calls':>6}{'µs/call-second':>16}{'packets':>10}{'lost':>6}{'late':>6}")
    results = []
    for calls in arguments.calls:
        for server in arguments.servers:
            result = run(server, calls, arguments.seconds)
            results.append(result)
            if not arguments.json:
                print(
                    f"{result.server:<9}{result.calls:>6}{result.us_per_call_second:>16.0f}"
                    f"{result.packets:>10}{result.lost:>6}{result.late_ticks:>6}",
                    flush=True,
                )
    if arguments.json:
        print(json.dumps({"machine": machine.as_dict(), "results": [asdict(each) for each in results]}, indent=2))


def run(server: str, calls: int, seconds: float) -> Result:
    """One server and one generator; both have ended when this returns."""
    context = multiprocessing.get_context("spawn")
    to_server, server_end = context.Pipe()
    to_generator, generator_end = context.Pipe()
    with tempfile.TemporaryDirectory(prefix="earshot-bench-") as folder:
        serving = context.Process(target=_serve, args=(server, calls, folder, server_end), daemon=True)
        sending = context.Process(target=generate, args=(generator_end,), daemon=True)
        sending.start()
        sources = _receive(to_generator, list)
        serving.start()
        to_server.send(sources)
        to_generator.send(_receive(to_server, list))
        time.sleep(WARM_UP)
        to_server.send("begin")
        time.sleep(seconds)
        to_server.send("end")
        to_generator.send("stop")
        packets = _receive(to_generator, int)
        to_server.send("stop")
        served = _receive(to_server, Served)
        serving.join()
        sending.join()
        found = count_packets(Path(folder))
    return Result(
        server=server,
        calls=calls,
        seconds=seconds,
        us_per_call_second=round(served.cpu / calls / seconds * 1e6, 1),
        packets=packets,
        lost=packets - found,
        late_ticks=served.late_ticks,
        max_lateness_ms=round(served.max_lateness * 1000, 1),
    )


def _receive(connection: Connection, kind: type[T]) -> T:
    if not connection.poll(60):
        raise SystemExit("a process of the benchmark does not answer")
    answer = connection.recv()
    if not isinstance(answer, kind):
        raise SystemExit(f"unexpected answer: {answer!r}")
    return answer


def _cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def _serve(server: str, calls: int, folder: str, control: Connection) -> None:
    """The server's process."""
    pin(0)
    raise_file_limit()
    SERVERS[server](calls, Path(folder), control, control.recv())


def _product(profile: str) -> Callable[[int, Path, Connection, list[Address]], None]:
    def serve(calls: int, folder: Path, control: Connection, sources: list[Address]) -> None:
        asyncio.run(_record(profile, calls, folder, control, sources))

    return serve


async def _record(profile: str, calls: int, folder: Path, control: Connection, sources: list[Address]) -> None:
    """The product: what `earshot serve` does with the media of its calls."""
    loop, clock, rng = asyncio.get_running_loop(), SystemClock(), random.Random(1)
    disk = DiskThread(loop.call_soon_threadsafe)
    recorder = Recorder(folder, disk, clock)
    media_clock = MediaClock(on_settle=disk.attend)
    media_clock.start()
    ports = UdpPorts(HOST, FIRST_PORT, LAST_PORT, rng)
    legs = []
    for number in range(calls):
        rtp, rtcp = ports.open_pair()
        leg = MediaLeg(f"leg{number}", rtp, rtcp, Gate(profile), clock=clock, rng=rng)
        leg.record(recorder, f"incident{number}")
        leg.start(_agreed(sources[number % len(sources)], sends=profile != "recvonly"))
        media_clock.add(leg)
        legs.append(leg)
    control.send([leg.rtp.local for leg in legs])
    said: asyncio.Queue[str] = asyncio.Queue()
    loop.add_reader(control.fileno(), lambda: said.put_nowait(control.recv()))
    await said.get()
    before, late_before = _cpu(), media_clock.late_ticks
    media_clock.max_lateness = 0.0
    await said.get()
    cpu, late = _cpu() - before, media_clock.late_ticks - late_before
    await said.get()
    await asyncio.sleep(0.3)
    for leg in legs:
        media_clock.remove(leg)
        leg.close()
    disk.close(30.0)
    control.send(Served(cpu, late, media_clock.max_lateness))


def _agreed(remote: Address, *, sends: bool) -> Agreed:
    return Agreed(
        codec="PCMA",
        payload_type=8,
        receive_types={8: "PCMA", 101: "telephone-event"},
        dtmf_type=101,
        remote=remote,
        remote_rtcp=(remote[0], remote[1] + 1),
        rtcp_mux=False,
        sends=sends,
        receives=True,
        ptime=20,
    )


def _floor(calls: int, folder: Path, control: Connection, sources: list[Address]) -> None:
    """Receive and write, nothing else: the same batch receive, the same 20 ms, the same half second of
    audio."""
    sockets = [UdpSocket(HOST, 0) for _ in range(calls)]
    paths = [folder / f"floor{number}.raw" for number in range(calls)]
    files = [os.open(path, os.O_WRONLY | os.O_CREAT, 0o600) for path in paths]
    audio = [bytearray() for _ in range(calls)]
    control.send([each.local for each in sockets])
    start, tick, stop_after, before, cpu = time.monotonic(), 0, -1, 0.0, 0.0
    while tick != stop_after:
        tick += 1
        time.sleep(max(0.0, start + tick * 0.02 - time.monotonic()))
        for number, each in enumerate(sockets):
            buffer = audio[number]
            for data, _ in each.receive():
                buffer += data[12:]
            if (tick + number) % 25 == 0:
                os.write(files[number], buffer)
                buffer.clear()
        if control.poll():
            match control.recv():
                case "begin":
                    before = _cpu()
                case "end":
                    cpu = _cpu() - before
                case "stop":
                    stop_after = tick + 50
    control.send(Served(cpu, 0, 0.0))


SERVERS: dict[str, Callable[[int, Path, Connection, list[Address]], None]] = {
    "floor": _floor,
    "recvonly": _product("recvonly"),
    "silence": _product("silence"),
}

if __name__ == "__main__":
    main()
