"""The operators and contacts of a mass incident, with simulated telephones over real SIP, in a process of their own.

Operators register with a password, answer after one to three seconds, listen for three to seven, and resolve.

Contacts are called through a trunk: a simulated exchange. Whoever is being called or is on the telephone is busy (486).
Who takes alarms listens for the key: its name is spoken by the speech engine, and found in the audio of his call sample
by sample, as nothing between him and the engine changes them. He presses it, listens, and closes with the code word;
some hang up without having closed it, some pass it on. Others never answer, decline (603, or by key), press a wrong
key; some are answering machines.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from benchmarks.machine import go_first, pin
from benchmarks.service import HOST
from benchmarks.town import CLOSE_WORD, ENDINGS, OPERATOR_PASSWORD, Town, telephone
from config.models import Speech as SpeechSettings
from voice.address import Address
from voice.rtp.transport import UdpPorts, raise_file_limit
from voice.sim.exchange import SimExchange
from voice.sim.habits import Answers, Habits
from voice.sim.phone import SimPhone
from voice.sim.phone_call import PhoneCall
from voice.sim.speech import clip
from voice.sip.message import header, user_of
from voice.sip.session import InviteSession
from voice.sip.transport import SocketTransport
from voice.speaking import open_speech

Play = Callable[[PhoneCall], Coroutine[Any, Any, None]]

PORTS = (28_000, 32_767)
REALM = "earshot"
TAIL = 480
"""Samples at the end of a spoken key by which it is known."""
LOOK = 0.1
"""Seconds between two looks at what was heard."""
OVERLAP = 30
"""Packets that are looked at again: a key may lie in both halves."""
PATIENCE = 60.0


@dataclass(frozen=True, slots=True)
class Observed:
    """What the people saw of it all."""

    invites: list[tuple[str, int, float]]
    """Each call that came to a contact: incident, contact, time of day (seconds)."""
    acts: dict[str, int]
    """What they did, and how often."""
    registered: int
    """Operators whose password was accepted."""
    lateness_p99_ms: float
    """How late this process itself was for what it wanted to do."""
    lateness_max_ms: float


class Exchange(SimExchange):
    """An exchange whose lines carry one call at a time, and which writes down who was called when."""

    invited: list[tuple[str, int, float]]
    contacts: dict[str, int]

    def incoming_call(self, session: InviteSession) -> None:
        at, number = time.time(), user_of(str(session.request.uri))
        incident = (header(session.request, "Subject") or "").rpartition(" ")[2]
        self.invited.append((incident, self.contacts[number], at))
        if self.lines[number].live_calls:
            session.reject(486)
        else:
            super().incoming_call(session)
        self.invites.clear()


@dataclass(slots=True)
class People:
    """All of them."""

    town: Town
    keys: dict[str, bytes]
    """The end of what is said when a key is named."""
    dice: random.Random
    acts: Counter[str] = field(default_factory=Counter)
    lateness: list[float] = field(default_factory=list)
    exchange: Exchange | None = None
    operators: list[SimPhone] = field(default_factory=list)
    invited: list[tuple[str, int, float]] = field(default_factory=list)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def plug_in(self) -> None:
        """The exchange answers before the service starts."""
        self.exchange = exchange = Exchange(
            plug=_plug(self.town.trunk),
            ports=UdpPorts(HOST, *PORTS),
            server=("UDP", self.town.trunk),
            domain=HOST,
            dice=self.dice,
        )
        exchange.invited, exchange.contacts = self.invited, self.town.telephones
        for number in range(self.town.contacts):
            habit = self.town.habit(number)
            line = exchange.line(telephone(number), self._habits(habit))
            line.on_call = partial(self._called, line, partial(self._contact, habit=habit))
        await exchange.start()
        self._spawn(self._watch_the_time())

    async def register(self, server: Address) -> int:
        """The operators register with their passwords. How many of them may."""
        ports = UdpPorts(HOST, *PORTS)
        answers = []
        for number in range(self.town.operators):
            phone = SimPhone(
                f"operator-{number}",
                plug=_plug((HOST, 0)),
                ports=ports,
                server=("UDP", server),
                password=OPERATOR_PASSWORD,
                domain=REALM,
                habits=Habits(after=self.dice.uniform(1, 3)),
                dice=self.dice,
            )
            phone.on_call = partial(self._called, phone, self._operator)
            await phone.start()
            answers.append(await phone.register(expires=3600))
            self.operators.append(phone)
        return sum(answer.code == 200 for answer in answers)

    def observed(self, registered: int) -> Observed:
        late = sorted(self.lateness)
        return Observed(
            invites=self.invited,
            acts=dict(self.acts),
            registered=registered,
            lateness_p99_ms=late[int(len(late) * 0.99)] * 1000 if late else 0.0,
            lateness_max_ms=max(late, default=0.0) * 1000,
        )

    def _habits(self, habit: str) -> Habits:
        match habit:
            case "never":
                return Habits(answers=Answers.NEVER)
            case "declines":
                return Habits(answers=Answers.DECLINES, after=self.dice.uniform(2, 6))
            case _:
                return Habits(after=self.dice.uniform(2, 6))

    def _called(self, phone: SimPhone, play: Play, call: PhoneCall) -> None:
        self._spawn(self._until_over(phone, call, play(call)))

    async def _until_over(self, phone: SimPhone, call: PhoneCall, play: Coroutine[Any, Any, None]) -> None:
        """The person acts for as long as there is a call; then it is forgotten."""
        acting = asyncio.ensure_future(play)
        with suppress(ConnectionError):
            await call.over()
        acting.cancel()
        with suppress(ConnectionError, asyncio.CancelledError):
            await acting
        call.hearing.raw.clear()
        phone.calls.remove(call)

    async def _operator(self, call: PhoneCall) -> None:
        await call.established()
        self.acts["operator answered"] += 1
        await self._listen(call, self.dice.uniform(3, 7))
        call.press("#")
        await self._listen(call, 0.8)
        call.press("2")
        self.acts["operator resolved"] += 1
        await self._listen(call, PATIENCE)

    async def _contact(self, call: PhoneCall, habit: str) -> None:
        await call.established()
        self.acts[f"contact answered: {habit}"] += 1
        if habit == "voicemail":
            call.say(clip("operator"))
            await self._listen(call, PATIENCE)
        key = await self._key(call)
        self.acts["key heard"] += 1
        await asyncio.sleep(self.dice.uniform(0.4, 1.2))
        if habit != "takes":
            call.press("*" if habit == "star" else "0")
            await self._listen(call, PATIENCE)
        call.press(key)
        await self._listen(call, self.dice.uniform(4, 8))
        await self._end(call, self.dice.choice(ENDINGS))

    async def _end(self, call: PhoneCall, how: str) -> None:
        self.acts[how] += 1
        match how:
            case "closes":
                call.press("#")
                await self._listen(call, 0.8)
                call.press(f"{CLOSE_WORD}#")
                await self._listen(call, 2.0)
                call.press("2")
            case "passes on":
                call.press("6")
            case _:
                call.hang_up()
        await self._listen(call, PATIENCE)

    async def _key(self, call: PhoneCall) -> str:
        """Listens until a key is named."""
        while True:
            await asyncio.sleep(LOOK)
            audio = call.hearing.audio()
            for key, spoken in self.keys.items():
                if spoken in audio:
                    return key
            del call.hearing.raw[:-OVERLAP]

    async def _listen(self, call: PhoneCall, seconds: float) -> None:
        """Hears, and remembers nothing."""
        until = asyncio.get_running_loop().time() + seconds
        while (left := until - asyncio.get_running_loop().time()) > 0:
            await asyncio.sleep(min(left, 1.0))
            call.hearing.raw.clear()

    async def _watch_the_time(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + 0.05
            await asyncio.sleep(0.05)
            self.lateness.append(loop.time() - due)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _plug(address: Address) -> Callable[[], SocketTransport]:
    return lambda: SocketTransport(udp=[address])


async def _spoken_keys(speech: Path) -> dict[str, bytes]:
    """The end of what is said when each key is named; no two may be alike."""
    voice = open_speech(SpeechSettings(directory=speech)).voice("en")
    said = {str(key): await voice.say("accept.take", key=str(key)) for key in range(1, 10)}
    ends = {key: clip.rstrip(b"\xd5\x55")[-TAIL - 160 : -160] for key, clip in said.items()}
    if any(clip.count(end) != (key == other) for key, end in ends.items() for other, clip in said.items()):
        raise SystemExit("the spoken keys cannot be told apart")
    return ends


async def _live(control: Connection, town: Town, speech: Path) -> None:
    people = People(town, await _spoken_keys(speech), random.Random(7))
    await people.plug_in()
    control.send("ready")
    registered = await people.register(await asyncio.to_thread(control.recv))
    control.send("registered")
    await asyncio.to_thread(control.recv)
    control.send(people.observed(registered))


def live(control: Connection, town: Town, speech: Path, core: int = 1) -> None:
    """The people's process: says when the exchanges answer, is told where the service is, and when it is over."""
    pin(core)
    go_first()
    raise_file_limit()
    asyncio.run(_live(control, town, speech))
