"""Many simulated devices that call, one after another at a fixed rate, in a process of their own.

Each call comes from another caller: INVITE, ACK, 50 packets of A-law a second while it lasts, BYE. Calls begin
when they are due, whatever became of those before (an open loop): a service that falls behind is not spared.
An INVITE or BYE without an answer is repeated after T1, as RFC 3261 section 17.1.1.2 says.

The time to answer is measured from the moment before the INVITE is handed to the kernel until the kernel has
the 200 (SO_TIMESTAMPNS), so that a generator that is busy itself does not look like a slow service.
"""

from __future__ import annotations

import heapq
import math
import re
import select
import socket
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection

from benchmarks.generator import packet
from benchmarks.machine import go_first, pin
from voice.address import Address
from voice.rtp.batch import SO_TIMESTAMPNS

T1 = 0.5
REPEATS = 6
"""Times that a request is repeated before the call counts as lost."""
LONGEST_WAIT = 10.0
"""Seconds after the last call was due for everything to end."""

_INVITE = (
    "INVITE sip:alarm@{host} SIP/2.0\r\n"
    "Via: SIP/2.0/UDP {here};branch=z9hG4bK-{name}-i\r\n"
    "Max-Forwards: 70\r\n"
    'From: "Badge {number}" <sip:{caller}@{host}>;tag=f{name}\r\n'
    "To: <sip:alarm@{host}>\r\n"
    "Call-ID: {name}@bench\r\n"
    "CSeq: 1 INVITE\r\n"
    "Contact: <sip:{caller}@{here}>\r\n"
    "User-Agent: Badge 1.0\r\n"
    "Allow: INVITE, ACK, BYE, CANCEL, OPTIONS\r\n"
    "Content-Type: application/sdp\r\n"
    "Content-Length: {length}\r\n\r\n"
)
_SDP = (
    "v=0\r\no=- {number} 1 IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\n"
    "m=audio {port} RTP/AVP 8 0 101\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:0 PCMU/8000\r\n"
    "a=rtpmap:101 telephone-event/8000\r\na=ptime:20\r\n"
)
_IN_DIALOG = (
    "{method} {target} SIP/2.0\r\n"
    "Via: SIP/2.0/UDP {here};branch=z9hG4bK-{name}-{branch}\r\n"
    "Max-Forwards: 70\r\n"
    'From: "Badge {number}" <sip:{caller}@{host}>;tag=f{name}\r\n'
    "{to}\r\n"
    "Call-ID: {name}@bench\r\n"
    "CSeq: {cseq} {method}\r\n"
    "Content-Length: 0\r\n\r\n"
)
_CALL = re.compile(rb"^Call-ID: [^-\r]*-(\d+)@bench\r$", re.MULTILINE)
_METHOD = re.compile(rb"^CSeq: \d+ (\w+)\r$", re.MULTILINE)
_COPIED = re.compile(rb"^(?:Via|From|To|Call-ID|CSeq): [^\r]*", re.MULTILINE)
_TO = re.compile(rb"^(To: [^\r]*)\r$", re.MULTILINE)
_CONTACT = re.compile(rb"^Contact: <([^>]*)>", re.MULTILINE)
_PORT = re.compile(rb"^m=audio (\d+) ", re.MULTILINE)
_STAMP = struct.Struct("=qq")


@dataclass(frozen=True, slots=True)
class Plan:
    """What the devices do."""

    target: Address
    calls: int
    rate: float
    """Calls a second."""
    hold: float
    """Seconds from the answer to the BYE; infinity: the service ends the calls."""
    audio: bool = True
    name: str = "bench"
    """Part of the callers' names: another one for each run against the same service."""
    longest: float = 0.0
    """Seconds after which the devices end that wait for the service to end their calls."""


@dataclass(frozen=True, slots=True)
class Reached:
    """What became of it."""

    answer_ms: list[float]
    """INVITE to 200, of each call that was answered."""
    refused: int
    """Calls with another final response."""
    unanswered: int
    repeated: int
    """Requests that had to be sent again."""
    ended: int
    """Calls whose BYE was answered."""
    let_go: int
    """Calls that the service ended."""
    seconds: float
    """From the first INVITE to the last answer."""
    lateness_ms: float
    """The most that an INVITE left after it was due: what the generator itself could not keep."""


@dataclass(slots=True)
class _Call:
    number: int
    sent_at: float = 0.0
    answered_ms: float | None = None
    final: bool = False
    gone: bool = False
    to: str = ""
    uri: str = ""
    media: Address | None = None
    packets: int = 0
    bye_answered: bool = False


@dataclass(slots=True)
class _Devices:
    """All calls of one plan, on two sockets."""

    plan: Plan
    sip: socket.socket
    rtp: socket.socket
    calls: list[_Call]
    over: Callable[[], bool] = lambda: False
    """Whether somebody has had enough of waiting."""
    start: float = 0.0
    due: list[tuple[float, int, str, int]] = field(default_factory=list)
    """(when, call, what, how often before), the earliest first."""
    talking: list[dict[int, _Call]] = field(default_factory=lambda: [{} for _ in range(10)])
    repeated: int = 0
    refused: int = 0
    let_go: int = 0
    lateness: float = 0.0
    last_answer: float = 0.0

    def run(self) -> Reached:
        self.start = time.monotonic()
        for number in range(self.plan.calls):
            heapq.heappush(self.due, (self.start + number / self.plan.rate, number, "invite", 0))
        stay = self.plan.longest if math.isinf(self.plan.hold) else self.plan.hold + LONGEST_WAIT
        give_up = self.start + self.plan.calls / self.plan.rate + stay
        step = 0
        while (self.due or self._waited_for) and time.monotonic() < give_up:
            audio_at = self.start + step * 0.002
            next_due = self.due[0][0] if self.due else give_up
            wait = min(next_due, audio_at if self.plan.audio else give_up) - time.monotonic()
            if select.select([self.sip], [], [], max(0.0, wait))[0]:
                self._receive()
            now = time.monotonic()
            while self.due and self.due[0][0] <= now:
                self._do(*heapq.heappop(self.due))
            if self.plan.audio and now >= audio_at:
                self._say(step % 10)
                step += 1
        answers = [call.answered_ms for call in self.calls if call.answered_ms is not None]
        return Reached(
            answer_ms=answers,
            refused=self.refused,
            unanswered=len(self.calls) - len(answers) - self.refused,
            repeated=self.repeated,
            ended=sum(call.bye_answered for call in self.calls),
            let_go=self.let_go,
            seconds=self.last_answer - self.start,
            lateness_ms=self.lateness * 1000,
        )

    @property
    def _waited_for(self) -> bool:
        """Whether there are calls that the service is to end."""
        return math.isinf(self.plan.hold) and not self.over() and not all(call.gone for call in self.calls)

    def _do(self, at: float, number: int, what: str, before: int) -> None:
        call = self.calls[number]
        if (what == "invite" and call.final) or call.bye_answered:
            return
        if before > REPEATS:
            return
        if before:
            self.repeated += 1
        elif what == "invite":
            self.lateness = max(self.lateness, time.monotonic() - at)
        else:
            call.gone = True
            self.talking[number % 10].pop(number, None)
        message = self._invite(call) if what == "invite" else self._within(call, "BYE", 2)
        if what == "invite" and not before:
            call.sent_at = time.time()
        self.sip.sendto(message, self.plan.target)
        heapq.heappush(self.due, (at + T1 * 2**before, number, what, before + 1))

    def _receive(self) -> None:
        try:
            while True:
                data, control, _, _ = self.sip.recvmsg(4096, 64)
                seconds, nanoseconds = _STAMP.unpack_from(control[0][2])
                self._take(data, seconds + nanoseconds / 1e9)
        except BlockingIOError:
            return

    def _take(self, data: bytes, at: float) -> None:
        named, method = _CALL.search(data), _METHOD.search(data)
        if named is None or method is None or data.startswith(b"SIP/2.0 1"):
            return
        call = self.calls[int(named[1])]
        if not data.startswith(b"SIP/2.0 "):
            self._asked(call, method[1], data)
        elif method[1] == b"BYE":
            call.bye_answered = True
        elif method[1] == b"INVITE":
            self._final(call, data, at)

    def _asked(self, call: _Call, method: bytes, request: bytes) -> None:
        """The service asks for something within a call: to end it, as a rule. All is answered 200."""
        if method != b"ACK":
            copied = b"".join(line + b"\r\n" for line in _COPIED.findall(request))
            self.sip.sendto(b"SIP/2.0 200 OK\r\n" + copied + b"Content-Length: 0\r\n\r\n", self.plan.target)
        if method == b"BYE" and not call.gone:
            call.gone = True
            self.let_go += 1
            self.talking[call.number % 10].pop(call.number, None)

    def _final(self, call: _Call, data: bytes, at: float) -> None:
        to = _TO.search(data)
        call.to = to[1].decode() if to else ""
        if not data.startswith(b"SIP/2.0 2"):
            if not call.final:
                call.final, call.gone = True, True
                self.refused += 1
            self.sip.sendto(self._within(call, "ACK", 1, "i"), self.plan.target)
            return
        contact, port = _CONTACT.search(data), _PORT.search(data)
        call.uri = contact[1].decode() if contact else ""
        self.sip.sendto(self._within(call, "ACK", 1), self.plan.target)
        if call.final:
            return
        call.final, call.answered_ms = True, (at - call.sent_at) * 1000
        self.last_answer = time.monotonic()
        if not math.isinf(self.plan.hold):
            heapq.heappush(self.due, (self.last_answer + self.plan.hold, call.number, "bye", 0))
        if port is not None and int(port[1]):
            call.media = self.plan.target[0], int(port[1])
            self.talking[call.number % 10][call.number] = call

    def _say(self, turn: int) -> None:
        for call in self.talking[turn].values():
            if call.media is not None:
                self.rtp.sendto(packet(call.packets), call.media)
                call.packets += 1
        try:  # what comes back is silence, and of no interest
            while self.rtp.recv(2048):
                pass
        except BlockingIOError:
            return

    def _invite(self, call: _Call) -> bytes:
        port = self.rtp.getsockname()[1]
        body = _SDP.format(number=call.number, host=self.plan.target[0], port=port)
        return (_INVITE.format(**self._facts(call), length=len(body)) + body).encode()

    def _within(self, call: _Call, method: str, cseq: int, branch: str = "") -> bytes:
        return _IN_DIALOG.format(
            **self._facts(call),
            method=method,
            target=call.uri or f"sip:alarm@{self.plan.target[0]}",
            to=call.to,
            cseq=cseq,
            branch=branch or method.lower(),
        ).encode()

    def _facts(self, call: _Call) -> dict[str, object]:
        host, port = self.sip.getsockname()
        return {
            "host": host,
            "here": f"{host}:{port}",
            "number": call.number,
            "name": f"{self.plan.name}-{call.number}",
            "caller": f"{self.plan.name}{call.number:06d}",
        }


def call(control: Connection, core: int = 1) -> None:
    """The devices' process: is told a `Plan`, says what it `Reached`, until it is told None."""
    pin(core)
    go_first()
    while (plan := control.recv()) is not None:
        with _socket() as sip, _socket() as rtp:
            sip.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
            calls = [_Call(number) for number in range(plan.calls)]
            control.send(_Devices(plan, sip, rtp, calls, over=control.poll).run())


def _socket() -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
    made.bind(("127.0.0.1", 0))
    made.setblocking(False)
    return made
