"""How late an operator hears what a device says, once he is live.

    python -m benchmarks.live_delay [--pairs 1 20] [--seconds 10] [--json]

Devices call the real service, each operator's phone answers, hears the alarm from its first second, catches up and is
live. Every frame that a device sends carries its number in its audio; the delay of a frame is the time from its
departure until the operator's kernel has the packet with its first sample. Frames that were heard faster, while
catching up, are not whole and do not count; a frame that is lost in the live time does.

What is in it: up to 20 ms until the media clock takes the frame in, the 40 ms that are kept in hand against jitter,
and up to 20 ms until the operator's next frame. The limit, in the same run: a bare program that passes each packet
on at once.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import re
import select
import socket
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.generator import FRAME, MAGIC
from benchmarks.limits import forward
from benchmarks.machine import percentile, pin, this_machine
from benchmarks.service import HOST, running
from voice.rtp.batch import SO_TIMESTAMPNS
from voice.rtp.codecs import ALAW_SILENCE

BEFORE_ANSWER = 2.0
"""Seconds that an operator lets his phone ring: what he has to catch up with."""
SETTLING = 8.0
"""Seconds from the answer until he is taken to be live: catching up with 2 s at 1.5 times takes 4."""
PATIENCE = 20.0

Address = tuple[str, int]

_FILLER = bytes(range(FRAME - 8))
_STAMP = struct.Struct("=qq")
_SDP = (
    "v=0\r\no=- 1 1 IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\n"
    "m=audio {port} RTP/AVP 8\r\na=rtpmap:8 PCMA/8000\r\na=ptime:20\r\n"
)
_INVITE = (
    "INVITE sip:alarm@{host} SIP/2.0\r\nVia: SIP/2.0/UDP {here};branch=z9hG4bK-{name}\r\nMax-Forwards: 70\r\n"
    "From: <sip:{name}@{host}>;tag={name}\r\nTo: <sip:alarm@{host}>\r\nCall-ID: {name}@bench\r\nCSeq: 1 INVITE\r\n"
    "Contact: <sip:{name}@{here}>\r\nContent-Type: application/sdp\r\nContent-Length: {length}\r\n\r\n"
)
_ACK = (
    "ACK {target} SIP/2.0\r\nVia: SIP/2.0/UDP {here};branch=z9hG4bK-{name}-ack\r\nMax-Forwards: 70\r\n"
    "From: <sip:{name}@{host}>;tag={name}\r\n{to}\r\nCall-ID: {name}@bench\r\nCSeq: 1 ACK\r\nContent-Length: 0\r\n\r\n"
)
_COPIED = re.compile(r"^(?:Via|From|Call-ID|CSeq|Record-Route): [^\r]*\r\n", re.MULTILINE)
_TO = re.compile(r"^To: [^\r]*", re.MULTILINE)
_CONTACT = re.compile(r"^Contact: <([^>]*)>", re.MULTILINE)
_PORT = re.compile(r"^m=audio (\d+) ", re.MULTILINE)
_OPERATOR = """\
[[operators]]
id = "operator-{number}"
name = "Operator {number}"
uri = "sip:operator-{number}@{host}:{port}"
"""


@dataclass(frozen=True, slots=True)
class Result:
    """One number of devices, each with an operator of its own."""

    server: str
    pairs: int
    frames: int
    missing: int
    p50_ms: float
    p99_ms: float
    max_ms: float


@dataclass(slots=True)
class Device:
    """Says numbers."""

    number: int
    rtp: socket.socket
    target: Address | None = None
    sent_at: list[float] = field(default_factory=list)

    def say(self) -> None:
        if self.target is None:
            return
        frame = len(self.sent_at)
        header = struct.pack("!BBHII", 0x80, 8, frame & 0xFFFF, frame * FRAME, self.number + 1)
        self.sent_at.append(time.time())
        self.rtp.sendto(header + MAGIC + struct.pack("!HH", self.number, frame) + _FILLER, self.target)


@dataclass(slots=True)
class Ear:
    """Hears numbers: (device, frame) and when its first sample was there."""

    rtp: socket.socket
    target: Address | None = None
    packets: int = 0
    heard: dict[tuple[int, int], float] = field(default_factory=dict)
    _audio: bytearray = field(default_factory=bytearray)
    _arrivals: list[float] = field(default_factory=list)

    def listen(self) -> None:
        try:
            while True:
                data, control, _, _ = self.rtp.recvmsg(2048, 64)
                seconds, nanoseconds = _STAMP.unpack_from(control[0][2])
                self._take(data[12:], seconds + nanoseconds / 1e9)
        except BlockingIOError:
            return

    def hush(self) -> None:
        """The operator says nothing, but his phone is alive."""
        if self.target is not None:
            self.packets += 1
            header = struct.pack("!BBHII", 0x80, 8, self.packets & 0xFFFF, self.packets * FRAME, 0x4F)
            self.rtp.sendto(header + ALAW_SILENCE * FRAME, self.target)

    def _take(self, audio: bytes, at: float) -> None:
        """A frame need not begin where a packet does: the last two packets are looked at together."""
        self._audio += audio
        self._arrivals.append(at)
        del self._audio[: -2 * FRAME], self._arrivals[:-2]
        place = self._audio.find(MAGIC)
        while 0 <= place <= len(self._audio) - FRAME:
            if self._audio[place + 8 : place + FRAME] == _FILLER:
                device, frame = struct.unpack_from("!HH", self._audio, place + 4)
                self.heard.setdefault((device, frame), self._arrivals[place // FRAME - len(self._audio) // FRAME])
            place = self._audio.find(MAGIC, place + 1)


@dataclass(slots=True)
class Phones:
    """All devices and operators, on one socket for SIP and one for RTP each."""

    sip: socket.socket
    devices: list[Device]
    ears: list[Ear]
    rung: dict[int, tuple[str, Address]] = field(default_factory=dict)
    """The INVITE that each operator got, and where from."""

    def run(self, seconds: float, each: Callable[[], bool] = lambda: False) -> None:
        """Keep the devices talking and everybody listening; ends early when `each` says so."""
        start = time.monotonic()
        turn = 0
        while (now := time.monotonic()) < start + seconds and not each():
            due = start + turn * 0.02 / max(1, len(self.devices))
            if now >= due:
                self.devices[turn % len(self.devices)].say()
                self.ears[turn % len(self.ears)].hush()
                turn += 1
                continue
            waiting, _, _ = select.select([self.sip, *(ear.rtp for ear in self.ears)], [], [], due - now)
            if self.sip in waiting:
                self._signal()
            for ear in self.ears:
                if ear.rtp in waiting:
                    ear.listen()

    def call(self, target: Address) -> None:
        """Every device raises an alarm."""
        for device in self.devices:
            body = _SDP.format(host=HOST, port=device.rtp.getsockname()[1])
            invite = _INVITE.format(**self._facts(f"device-{device.number}"), length=len(body)) + body
            self.sip.sendto(invite.encode(), target)

    def answer(self) -> None:
        """Every operator who is rung takes the call."""
        for number, (invite, peer) in self.rung.items():
            self._accept(number, invite, peer)

    def _accept(self, number: int, invite: str, peer: Address) -> None:
        ear, port = self.ears[number], _PORT.search(invite)
        ear.target = (HOST, int(port[1])) if port else None
        body = _SDP.format(host=HOST, port=ear.rtp.getsockname()[1])
        contact = f"Contact: <sip:operator-{number}@{self._here()}>\r\nContent-Type: application/sdp\r\n"
        self.sip.sendto(_reply(invite, "200 OK", f"{contact}Content-Length: {len(body)}\r\n\r\n{body}"), peer)

    def _signal(self) -> None:
        data, peer = self.sip.recvfrom(8192)
        text = data.decode("utf-8", "replace")
        if text.startswith("SIP/2.0 200") and "CSeq: 1 INVITE" in text:
            self._device_answered(text, peer)
        elif text.startswith("INVITE"):
            number = int(text.partition("operator-")[2].partition("@")[0])
            if self.ears[number].target is not None:  # a repetition, or a re-INVITE
                self._accept(number, text, peer)
            else:
                self.rung[number] = text, peer
                self.sip.sendto(_reply(text, "180 Ringing", "Content-Length: 0\r\n\r\n"), peer)
        elif not text.startswith(("SIP/2.0", "ACK")):
            self.sip.sendto(_reply(text, "200 OK", "Content-Length: 0\r\n\r\n"), peer)

    def _device_answered(self, text: str, peer: Address) -> None:
        named = re.search(r"Call-ID: (device-(\d+))@", text)
        to, contact, port = _TO.search(text), _CONTACT.search(text), _PORT.search(text)
        if named and to and contact and port:
            facts = self._facts(named[1])
            self.sip.sendto(_ACK.format(**facts, target=contact[1], to=to[0]).encode(), peer)
            self.devices[int(named[2])].target = HOST, int(port[1])

    def _facts(self, name: str) -> dict[str, str]:
        return {"host": HOST, "here": self._here(), "name": name}

    def _here(self) -> str:
        return f"{HOST}:{self.sip.getsockname()[1]}"


def main() -> None:
    """Run the benchmark and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--pairs", type=int, nargs="+", default=[1, 20], metavar="N", help="devices and operators")
    parser.add_argument("--seconds", type=float, default=10.0, help="of each run")
    parser.add_argument("--json", action="store_true", help="for programs")
    options = parser.parse_args()
    machine = this_machine()
    pin(1)
    results = []
    if not options.json:
        print(*machine.lines(), sep="\n")
        print("\nserver    pairs  frames  missing  p50 ms  p99 ms  max ms")
    for pairs in options.pairs:
        for run in (forwarded, live):
            result = run(pairs, options.seconds)
            results.append(result)
            if not options.json:
                print(
                    f"{result.server:<9}{result.pairs:>6}{result.frames:>8}{result.missing:>9}"
                    f"{result.p50_ms:>8.2f}{result.p99_ms:>8.2f}{result.max_ms:>8.2f}",
                    flush=True,
                )
    if options.json:
        print(json.dumps({"machine": machine.as_dict(), "results": [asdict(each) for each in results]}, indent=2))


def live(pairs: int, seconds: float) -> Result:
    """Through the service."""
    with phones(pairs) as these, TemporaryDirectory(dir=Path.cwd(), prefix=".benchmark-") as folder:
        port = these.sip.getsockname()[1]
        operators = "".join(_OPERATOR.format(number=number, host=HOST, port=port) for number in range(pairs))
        with running(Path(folder), '[alarms]\nring = "longest_idle"\n' + operators) as service:
            these.call(service.sip)
            these.run(PATIENCE, lambda: len(these.rung) == pairs and all(each.target for each in these.devices))
            these.run(BEFORE_ANSWER)
            these.answer()
            these.run(SETTLING)
            return _measure("earshot", these, seconds)


def forwarded(pairs: int, seconds: float) -> Result:
    """Through a bare forwarder for each pair."""
    with phones(pairs) as these, ExitStack() as forwarders:
        for device, ear in zip(these.devices, these.ears, strict=True):
            device.target = forwarders.enter_context(_forwarder(ear.rtp.getsockname()))
        these.run(1.0)
        return _measure("limit", these, seconds)


def _measure(server: str, these: Phones, seconds: float) -> Result:
    first = [len(device.sent_at) for device in these.devices]
    these.run(seconds)
    last = [len(device.sent_at) for device in these.devices]
    these.run(0.5)
    heard = {name: at for ear in these.ears for name, at in ear.heard.items()}
    delays, missing = [], 0
    for device, begin, end in zip(these.devices, first, last, strict=True):
        for frame in range(begin, end):
            at = heard.get((device.number, frame))
            if at is None:
                missing += 1
            else:
                delays.append((at - device.sent_at[frame]) * 1000)
    return Result(
        server=server,
        pairs=len(these.devices),
        frames=len(delays) + missing,
        missing=missing,
        p50_ms=round(percentile(delays, 0.5), 2),
        p99_ms=round(percentile(delays, 0.99), 2),
        max_ms=round(max(delays, default=float("nan")), 2),
    )


@contextmanager
def phones(pairs: int) -> Iterator[Phones]:
    """So many devices and operators."""
    with ExitStack() as sockets:
        made = [sockets.enter_context(_socket()) for _ in range(2 * pairs + 1)]
        yield Phones(
            made[0],
            [Device(number, rtp) for number, rtp in enumerate(made[1 : pairs + 1])],
            [Ear(rtp) for rtp in made[pairs + 1 :]],
        )


@contextmanager
def _forwarder(target: Address) -> Iterator[Address]:
    context = multiprocessing.get_context("spawn")
    control, other_end = context.Pipe()
    process = context.Process(target=forward, args=(other_end,), daemon=True)
    process.start()
    with closing(control):
        try:
            if not control.poll(PATIENCE):
                raise SystemExit("the forwarder does not answer")
            address: Address = control.recv()
            control.send(target)
            yield address
        finally:
            control.send(None)
            process.join(5)
            process.kill()


def _reply(request: str, status: str, rest: str) -> bytes:
    to = _TO.search(request)
    tagged = f"{to[0]}{'' if ';tag=' in to[0] else ';tag=phone'}\r\n" if to else ""
    return f"SIP/2.0 {status}\r\n{''.join(_COPIED.findall(request))}{tagged}{rest}".encode()


def _socket() -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    made.bind((HOST, 0))
    made.setblocking(False)
    return made


if __name__ == "__main__":
    main()
