"""People with telephones around a service that dies: a badge, an operator, contacts, a control room.

Each telephone is a `SimPhone` on sockets of its own. What a person does with a call is his `manner`; what happens at a
telephone is written into a `Book`, with the time of day. Prompts are recognised by their sound.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from config.models import Speech
from config.plans import keyed
from ivr.accept import ACCEPT, Alarm, prepare
from ivr.briefing import BRIEFING
from ivr.speech import Voice
from voice.escalation.state import State
from voice.incidents.timeline import Entry
from voice.rtp.transport import RtpPorts, UdpPorts
from voice.sim.habits import Answers, Habits
from voice.sim.phone import SimPhone
from voice.sim.phone_call import PhoneCall
from voice.sim.recognising import key_asked_for, said
from voice.sip.message import header
from voice.sip.transport import SocketTransport
from voice.speaking import open_speech
from voice.store import escalations
from voice.store import incidents as rows
from voice.store.reading import reading
from voice.store.rows import IncidentRow

from .peers.baresip import Baresip
from .ports import free_ports
from .program import ProgramFailed

HOST = "127.0.0.1"
CLOSE_WORD = "TULP"
INCOMING = "Incoming call from"
"""What baresip prints when it rings."""
SECRETS = {"badge": "rock-and-rye", "olga": "oak-and-ash"}
"""Who registers; everybody else is called at an address of his own."""
CONTACTS = {"fred": "Fred First", "anna": "Anna Aldus", "bas": "Bas Bakker"}
ROOM = "room"
WORKER, CUSTOMER = "Wim de Boer", "East"

DEVICES = [{"id": "badge", "username": "badge", "password": SECRETS["badge"], "worker": "wim"}]
OPERATORS = [{"id": "olga", "name": "Olga", "username": "olga", "password": SECRETS["olga"]}]
WORKERS = [{"id": "wim", "name": WORKER, "customer": "east"}]


@dataclass(frozen=True, slots=True)
class Moment:
    """Something that happened at a telephone, or to the service."""

    at: float
    """Time of day, in seconds."""
    what: str
    """`anna rings`, `service answers`"""
    call: PhoneCall | None = None

    @property
    def port(self) -> int | None:
        """Of whom the call came from: which service it was."""
        contact = header(self.call.session.request, "Contact") if self.call and self.call.session else None
        return int(contact.rpartition(":")[2].rstrip(">").partition(";")[0]) if contact else None


class Book:
    """What happened, in order."""

    def __init__(self) -> None:
        self.moments: list[Moment] = []

    def tell(self, what: str, call: PhoneCall | None = None) -> None:
        self.moments.append(Moment(time.time(), what, call))

    def since(self, at: float, *what: str) -> list[Moment]:
        return [moment for moment in self.moments if moment.at >= at and (not what or moment.what in what)]

    async def wait(self, *what: str, since: float, within: float) -> Moment:
        """The first of these moments; AssertionError when it does not come."""
        await until(lambda: self.since(since, *what), " or ".join(what), within)
        return self.since(since, *what)[0]


async def until(look: Callable[[], Any], what: str, within: float) -> None:
    """Ask until the answer is true; AssertionError when it is not in time."""
    deadline = time.monotonic() + within
    while not look():
        if time.monotonic() >= deadline:
            raise AssertionError(f"not within {within:g} s: {what}")
        await asyncio.sleep(0.01)


class Ear:
    """Understands what the service says, for it has the same voice."""

    def __init__(self, folder: Path) -> None:
        """`folder`: where spoken texts are kept (`speech.directory`); shared with the services, it saves them time."""
        self.voice: Voice = open_speech(Speech(directory=folder)).voice("en", "Europe/Amsterdam")

    async def learn(self) -> None:
        """Have everything spoken that is said to everybody."""
        alarms = [Alarm(CUSTOMER, WORKER, kind) for kind in ("panic", "medical", "gas")]
        await asyncio.gather(*(prepare(self.voice, alarm, str(key)) for alarm in alarms for key in range(1, 10)))
        fixed = [id for id in (*BRIEFING.prompts, *ACCEPT.prompts) if "{" not in self.voice.prompts.written("en", id)]
        taker = [id for id in self.voice.prompts.ids if id.startswith("taker.") and id != "taker.other_joined"]
        await self.voice.prepare([*fixed, *taker], {})

    async def key(self, call: PhoneCall) -> str:
        """The key that this call asks for, once it was named."""
        while (key := await key_asked_for(self.voice, call.hearing.audio())) is None:
            await _listen(call)
        return key

    async def hears(self, call: PhoneCall, *prompts: str, **values: Any) -> str:
        """Which of these prompts is said first."""
        while True:
            audio = call.hearing.audio()
            for prompt in prompts:
                if await said(self.voice, audio, prompt, **values):
                    return prompt
            await _listen(call)


async def _listen(call: PhoneCall) -> None:
    if call.is_over:
        raise ConnectionError("the call is over")
    await asyncio.sleep(0.2)


# -- people --

Manner = Callable[["Person", PhoneCall], Awaitable[None]]


class Person:
    """Somebody with a telephone."""

    def __init__(self, name: str, phone: SimPhone, ear: Ear, book: Book) -> None:
        self.name, self.phone, self.ear, self.book = name, phone, ear, book
        self.manner: Manner = lets_it_ring
        self._tasks: set[asyncio.Task[None]] = set()
        phone.on_call = self._called

    def tell(self, what: str, call: PhoneCall) -> None:
        self.book.tell(f"{self.name} {what}", call)

    def hang_up(self) -> None:
        """The service is dead: whoever notices hangs up."""
        for task in self._tasks:
            task.cancel()
        for call in self.phone.live_calls:
            call.hang_up()

    def _called(self, call: PhoneCall) -> None:
        # The phone goes on with the INVITE when this returns; the session tells of a refusal on the next round.
        task = asyncio.get_running_loop().create_task(self._behave(call))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        self.tell("rings", call)

    async def _behave(self, call: PhoneCall) -> None:
        with suppress(ConnectionError):
            await self.manner(self, call)


async def lets_it_ring(person: Person, call: PhoneCall) -> None:
    """Nobody is there; and a badge picks up by itself."""


async def picks_up(person: Person, call: PhoneCall) -> None:
    """He answers, and does nothing more."""
    await asyncio.sleep(0.4)
    call.pick_up()
    await call.established()
    person.tell("answers", call)


async def takes(person: Person, call: PhoneCall) -> None:
    """He presses the key that he is asked for, and stays on the line."""
    await picks_up(person, call)
    key = await person.ear.key(call)
    await asyncio.sleep(0.4)  # it counts once it has been named to the end
    call.press(key)
    person.tell("presses", call)


async def takes_and_hangs_up(person: Person, call: PhoneCall) -> None:
    await takes(person, call)
    await person.ear.hears(call, "accept.accepted")
    call.hang_up()
    person.tell("hangs up", call)


async def takes_and_closes(person: Person, call: PhoneCall) -> None:
    """With the code word."""
    await takes(person, call)
    await person.ear.hears(call, "taker.welcome", "taker.device_gone", "taker.nobody")
    call.press(f"#{keyed(CLOSE_WORD)}#1")
    person.tell("closes", call)


async def resolves(person: Person, call: PhoneCall) -> None:
    """An operator who listens, and resolves: a genuine alarm."""
    await picks_up(person, call)
    await asyncio.sleep(1.0)
    call.press("#1")
    person.tell("resolves", call)


async def confirms(person: Person, call: PhoneCall) -> None:
    """A control room that has understood."""
    await picks_up(person, call)
    await person.ear.hears(call, "briefing.hint")
    call.press("9")
    person.tell("presses", call)


class People:
    """Everybody around one service. `baresip`: Fred's telephone, if it is one of that make: it rings."""

    def __init__(self, ear: Ear, rtp: RtpPorts, *, baresip: Baresip | None = None) -> None:
        self.book = Book()
        self._ear, self._rtp, self._baresip = ear, rtp, baresip
        names = [*SECRETS, *CONTACTS, ROOM]
        self._ports = {name: free_ports() for name in names if not (baresip and name == baresip.user)}
        self._people: dict[str, Person] = {}
        self._watching: asyncio.Task[None] | None = None

    def __getitem__(self, name: str) -> Person:
        return self._people[name]

    def __iter__(self) -> Iterator[Person]:
        return iter(self._people.values())

    def uri(self, name: str) -> str:
        authority = f"{HOST}:{self._ports[name]}" if name in self._ports else self._baresip and self._baresip.authority
        return f"sip:{name}@{authority}"

    def rows(
        self, plans: Sequence[Mapping[str, Any]], by_kind: Mapping[str, str]
    ) -> dict[str, list[Mapping[str, Any]]]:
        """The tables of the configuration that are about them."""
        east = {"id": "east", "name": CUSTOMER, "language": "en", "close_word": CLOSE_WORD, "plans": by_kind}
        contacts: list[Mapping[str, Any]] = [
            {"id": id, "name": name, "numbers": [self.uri(id)], "sms": "+31600000001"} for id, name in CONTACTS.items()
        ]
        route = {"id": ROOM, "name": "the simulated control room", "number": self.uri(ROOM), "language": "en"}
        return {
            "customers": [east],
            "contacts": contacts,
            "plans": list(plans),
            "emergency_routes": [route],
        }

    async def start(self, server: tuple[str, int]) -> None:
        """Everybody switches on; who has an account registers at `server`."""
        for name, port in self._ports.items():
            self._people[name] = Person(name, self._phone(name, port, server), self._ear, self.book)
        for person in self:
            await person.phone.start()
        for name in SECRETS:
            response = await self[name].phone.register(expires=3000)
            assert response.code == 200, f"{name} cannot register: {response.code}"
        if self._baresip is not None:
            self._watching = asyncio.get_running_loop().create_task(self._watch(self._baresip))

    async def _watch(self, baresip: Baresip) -> None:
        rung = baresip.text().count(INCOMING)
        while True:
            await asyncio.sleep(0.05)
            count = baresip.text().count(INCOMING)
            for _ in range(rung, count):
                self.book.tell(f"{baresip.user} rings")
            rung = count

    def _phone(self, name: str, port: int, server: tuple[str, int]) -> SimPhone:
        answers = Answers.IF_ASKED if name == "badge" else Answers.NEVER
        return SimPhone(
            name,
            plug=lambda: SocketTransport(udp=[(HOST, port)]),
            ports=self._rtp,
            server=("UDP", server),
            password=SECRETS.get(name),
            habits=Habits(answers=answers),
            dice=random.Random(f"{name} {port}"),
        )

    def behave(self, manners: Mapping[str, Manner]) -> None:
        """From the next call on. Whoever is not named lets it ring."""
        for person in self:
            person.manner = manners.get(person.name, lets_it_ring)

    def hang_up(self) -> None:
        for person in self:
            person.hang_up()
        if self._baresip is not None:
            with suppress(ProgramFailed):  # nothing rings there
                self._baresip.hang_up()

    async def close(self) -> None:
        if self._watching is not None:
            self._watching.cancel()
        self.hang_up()
        for person in self:
            await person.phone.die()

    def rings(self, since: float) -> list[Moment]:
        """Where it rang: anybody who can take an alarm."""
        others = [f"{name} rings" for name in (*CONTACTS, ROOM, "olga")]
        return self.book.since(since, *others)


def rtp_ports(count: int = 1200) -> UdpPorts:
    """For all telephones of a test."""
    first = free_ports(count)
    return UdpPorts(HOST, first, first + count - 1)


# -- what the store says --


@dataclass(frozen=True, slots=True)
class Record:
    """One incident in the store."""

    row: IncidentRow
    state: State | None
    timeline: tuple[Entry, ...]

    @property
    def kinds(self) -> list[str]:
        return [entry.kind for entry in self.timeline]

    def entries(self, kind: str, since: float = 0.0) -> list[Entry]:
        return [entry for entry in self.timeline if entry.kind == kind and entry.time.timestamp() >= since]

    def __repr__(self) -> str:
        lines = [f"  {entry.at[11:23]} {entry.kind} {dict(entry.detail)} {entry.actor}" for entry in self.timeline]
        return "\n".join([f"incident {self.row.id} {self.row.kind} {self.row.state}", *lines])


def records(url: str) -> list[Record]:
    """All incidents, the latest first."""
    with reading(url) as connection, connection.begin():
        return [
            Record(row, escalations.escalation(connection, row.id), tuple(rows.timeline(connection, row.id)))
            for row in rows.incidents(connection, limit=1000)
        ]
