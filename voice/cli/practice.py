"""A check-in for practice: the real dialogue in a real call, and nothing behind it.

The telephone hears what a worker hears, from ringing to the silent line. Instead of the schedule and the alarms stands
a `PracticeDesk`, which takes the key, the PIN and what calls for help in silence, and says afterwards which it was. The
call leaves through `Calls.dial` like every other, so the interlock stands in front of it.
"""

import asyncio
import random
import socket
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any

from config.models import Settings
from ivr.checkin import CheckedIn, Outcome, check_in, prepare
from ivr.phone import HungUp
from ivr.speech import Voice
from voice.call import Call, Calls, MediaPlan
from voice.cli.practice_desk import Practice, PracticeDesk, Proof
from voice.clock import Clock, SystemClock
from voice.errors import ConfigurationError
from voice.interlock import Interlock
from voice.lines import Lines
from voice.media.clock import MediaClock
from voice.media.gate import Gate, Profile
from voice.media.leg import MediaLeg
from voice.media.notices import NoAudio, Notice
from voice.outbound import Outbound, Rung
from voice.phone import CallPhone
from voice.rtp.transport import RtpPorts, RtpSocket, UdpPorts
from voice.sign_of_life import SignOfLife
from voice.sip.core import Identity, SessionTimerPolicy
from voice.sip.endpoint import Endpoint, Resolver
from voice.sip.flow import Flow
from voice.sip.locality import kernel_choice
from voice.sip.message import MessageError, Request
from voice.sip.routing import next_hop
from voice.sip.session import InviteSession
from voice.sip.tls import client_context
from voice.sip.transport import SocketTransport, Transport
from voice.worker_desk import ENTRY_SECONDS

PREPARATION = 3.0
"""Seconds that whoever has answered waits for prompts that are still being made."""

GOODBYE = 0.3
"""Seconds for a BYE to go out and be answered."""

_WHILE_OPEN = 3600.0


@dataclass(frozen=True, slots=True)
class Practised:
    """What came of it."""

    rung: Rung
    checked: CheckedIn | None = None
    """None: nobody answered."""
    proof: Proof | None = None
    is_late: bool = False
    """The entry that called for help came when the dialogue was over."""


@dataclass(frozen=True, slots=True)
class Line:
    """The way to one telephone."""

    transport: Transport
    ports: RtpPorts
    host: str
    """Our address, as that telephone reaches it."""
    clock: Clock
    resolver: Resolver | None = None


async def line_to(uri: str, settings: Settings) -> Line:
    """Sockets on the one address of this machine from which the telephone can be reached, on ports that are free.

    Raises ConfigurationError where there can be none.
    """
    host = _host_of(uri)
    if interlock_of(settings).is_emergency(uri, by_trunk=False):
        raise ConfigurationError(f"{uri!r} leads to emergency services: it is not called")
    address = await _address_of(host)
    local = kernel_choice(address)
    if local is None:
        raise ConfigurationError(f"no network leads from here to {host}")
    return Line(
        SocketTransport(udp=[(local, 0)], client_context=client_context(settings.sip.ca)),
        UdpPorts(local, settings.rtp.ports.first, settings.rtp.ports.last),
        local,
        SystemClock(),
        _always(address),
    )


def interlock_of(settings: Settings) -> Interlock:
    return Interlock(settings.emergency.armed, settings.emergency.numbers)


def _host_of(uri: str) -> str:
    try:
        if uri.lower().startswith(("sip:", "sips:")):
            return next_hop(uri).host
    except (ValueError, MessageError):
        pass
    raise ConfigurationError(f"{uri!r} is no SIP address; an example: sip:anna@192.168.1.20")


async def _address_of(host: str) -> str:
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_DGRAM)
    except (OSError, UnicodeError):
        raise ConfigurationError(f"there is no host {host!r}, or its name cannot be looked up now") from None
    return str(found[0][4][0])


def _always(address: str) -> Resolver:
    async def resolve(host: str) -> str:
        return address

    return resolve


class _Clip(bytes):
    """A clip that knows what it says."""

    text = ""


@dataclass(frozen=True)
class _Written(Voice):
    """A voice of which it can be read what it says."""

    async def say(self, prompt: str, **values: Any) -> bytes:
        clip = _Clip(await super().say(prompt, **values))
        clip.text = self.prompts.text(self.language, prompt, values, timezone=self.timezone)
        return clip


class _TellingPhone(CallPhone):
    """Tells what it plays."""

    def __init__(self, call: Call, tell: Callable[[str], None]) -> None:
        super().__init__(call)
        self._tell = tell

    async def play(self, clips: Sequence[bytes], *, barge_in: bool = True) -> str | None:
        said = [clip.text for clip in clips if isinstance(clip, _Clip) and clip.text]
        if said:
            self._tell(f'you hear: "{" ".join(said)}"')
        return await super().play(clips, barge_in=barge_in)


@dataclass(slots=True)
class _Session:
    """One practice. Has what every leg needs, as a service has."""

    practice: Practice
    line: Line
    tell: Callable[[str], None]
    calls: Calls
    gate: Gate = field(default_factory=lambda: Gate(Profile.SILENCE))
    life: SignOfLife | None = None
    tasks: set["asyncio.Task[Any]"] = field(default_factory=set)

    async def run(self, voice: Voice) -> Practised:
        preparing = self._spawn(prepare(voice, self.practice.asked))
        outbound = Outbound(self.calls, Lines({}))
        rung = await outbound.ring(
            self.practice.uri,
            MediaPlan(leg=self._leg),
            seconds=self.practice.rings,
            display_name=self.practice.asked.customer,
            on_ringing=lambda: self.tell("it rings"),
        )
        if rung.call is None:
            return Practised(rung)
        self.tell("answered")
        await asyncio.wait([preparing], timeout=PREPARATION)
        return await self._ask(rung, rung.call, voice)

    async def _ask(self, rung: Rung, call: Call, voice: Voice) -> Practised:
        """As `voice.worker_calls` does it: the gate is open for the dialogue only, and then nothing opens it."""
        self.life = SignOfLife(call, self._spawn, lambda: self.tell("the telephone gives no sign of life"))
        phone, desk = _TellingPhone(call, self.tell), PracticeDesk(self.practice, self.line.clock, self.tell)
        self.gate.set(True)
        checked = await check_in(phone, voice, desk, self.practice.asked)
        self.gate.seal()
        if call.up:
            self.tell("the line is yours now, open and silent as after every check-in: hang up when you like")
            await _stay(phone, desk)
        self.tell(_how_it_ended(call, checked))
        return Practised(rung, checked, desk.proof, desk.is_late)

    def _leg(self, rtp: RtpSocket, rtcp: RtpSocket, host: str) -> MediaLeg:
        return MediaLeg(
            "practice",
            rtp,
            rtcp,
            self.gate,
            clock=self.line.clock,
            rng=random.SystemRandom(),
            signalling_host=host,
            inband_dtmf=True,
            on_notice=self._notice,
        )

    def _notice(self, notice: Notice) -> None:
        if isinstance(notice, NoAudio) and self.life is not None:
            self.life.went_quiet()

    def _spawn(self, work: Coroutine[Any, Any, Any]) -> "asyncio.Task[Any]":
        task = asyncio.get_running_loop().create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return task


async def practise(
    practice: Practice, line: Line, settings: Settings, voice: Voice, tell: Callable[[str], None]
) -> Practised:
    """Call, ask, and stay until it is over. Cancelled, it hangs up; once the dialogue is over that ends it in order."""
    sip = settings.sip
    endpoint = Endpoint(
        line.transport,
        identity=Identity(domain=sip.realm, user_agent=sip.user_agent),
        application=_Nobody(),
        random=random.SystemRandom(),
        resolver=line.resolver,
        session_timer=SessionTimerPolicy(interval=sip.session_expires),
    )
    clock = MediaClock()
    calls = Calls(
        endpoint, lambda host: line.ports, clock, lambda bound, host: line.host, sip.realm, interlock_of(settings)
    )
    session = _Session(practice, line, tell, calls)
    written = _Written(voice.prompts, voice.speaker, voice.language, voice.timezone, voice.on_failure)
    await endpoint.start()
    clock.start()
    try:
        return await session.run(written)
    finally:
        for call in list(calls.live):
            call.hang_up()
        for task in session.tasks:
            task.cancel()
        await asyncio.sleep(GOODBYE)
        clock.stop()
        await endpoint.close()


async def _stay(phone: CallPhone, desk: PracticeDesk) -> None:
    """Until he hangs up, or whoever practises stops it."""
    entry = ""
    try:
        while True:
            key = await phone.collect(ENTRY_SECONDS if entry else _WHILE_OPEN)
            if key is not None and key != "#":
                entry += key
                continue
            desk.heard_late(entry)
            entry = ""
    except HungUp:
        desk.heard_late(entry)
    except asyncio.CancelledError:
        desk.heard_late(entry)
        if (task := asyncio.current_task()) is not None:
            task.uncancel()


def _how_it_ended(call: Call, checked: CheckedIn) -> str:
    if call.ended.done() and call.ended.result().hung_up:
        return "you hung up"
    hung_up = checked.outcome in (Outcome.NOT_CONFIRMED, Outcome.VOICEMAIL_SUSPECTED)
    return "we hung up" if hung_up else "the line is closed"


class _Nobody:
    """This endpoint only calls."""

    accepted_message_types: Sequence[str] = ()

    def incoming_call(self, session: InviteSession) -> None:
        session.reject(486)

    def message(self, request: Request, flow: Flow) -> None:
        return None
