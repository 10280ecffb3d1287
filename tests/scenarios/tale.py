"""Stories of escalations: people with telephones behind a trunk, and what they do when an alarm reaches them.

    @tale(plan=[ring("operators", 20), ring("contact:anna", 30)])
    async def test_...(tale: Tale) -> None:
        await tale.alarm()
        await tale.phone("anna").rings_within(25).answers().hears("press").presses_the_key()
        await tale.is_taken_by("contact:anna")

A chain such as `phone(...).rings_within(20).answers()` is told when it is awaited, each link after the one before.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Generator, Mapping, Sequence
from typing import Any, Self

from tests.scenarios.world import World, story
from voice.incidents.timeline import Entry
from voice.sim.exchange import SimExchange, SimLine
from voice.sim.habits import Answers, Habits
from voice.sim.phone import SimPhone
from voice.sim.phone_call import PhoneCall
from voice.sim.spoken import heard, hears

ALARM = "sip:alarm@earshot"
TRUNK_HOST, SECOND_HOST = "10.5.0.1", "10.5.0.2"

NUMBERS = {
    "anna": "+31600000001",
    "bas": "+31600000002",
    "chef": "+31600000003",
    "dora": "+31600000004",
    "anna2": "+31600000011",
    "police": "+31200000112",
}

DIGITS = {
    "nl": ["een", "twee", "drie", "vier", "vijf", "zes", "zeven", "acht", "negen"],
    "en": ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine"],
}


def contact(id: str, *numbers: str, **facts: Any) -> dict[str, Any]:
    """A contact with the usual number, or with these."""
    return {"id": id, "name": id.title(), "numbers": list(numbers) or [NUMBERS[id]], "language": "en"} | facts


def ring(*who: str, seconds: float = 30.0, **how: Any) -> dict[str, Any]:
    """A step of a plan."""
    return {"ring": list(who), "seconds": float(seconds)} | how


EMERGENCY: dict[str, Any] = {"emergency": "police", "seconds": 20.0}

PEOPLE = [contact("anna"), contact("bas"), contact("chef"), contact("dora")]
TEAM = {"id": "team", "name": "The team", "members": ["anna", "bas"]}


class Line:
    """A telephone, and the person beside it: a chain of what happens with it."""

    def __init__(self, tale: "Tale", line: SimLine) -> None:
        self.tale = tale
        self.line = line
        self._links: list[Callable[[], Awaitable[None]]] = []

    def __await__(self) -> Generator[Any, None, None]:
        return self._tell().__await__()

    async def _tell(self) -> None:
        links, self._links = self._links, []
        for link in links:
            await link()

    def _then(self, link: Callable[[], Awaitable[None]]) -> Self:
        self._links.append(link)
        return self

    @property
    def call(self) -> PhoneCall:
        """The latest call to this telephone."""
        assert self.line.calls, f"{self.line.user} was never called"
        return self.line.calls[-1]

    # -- what the story expects --

    def rings_within(self, seconds: float) -> Self:
        """It rings, now or in so many seconds, for a call that nobody has picked up."""

        async def link() -> None:
            await self.tale.until(self._rings, seconds, f"{self.line.user} does not ring")

        return self._then(link)

    def stops_within(self, seconds: float) -> Self:
        """Its call ends."""

        async def link() -> None:
            await self.tale.until(lambda: self.call.is_over, seconds, f"the call to {self.line.user} goes on")

        return self._then(link)

    def stays_silent_for(self, seconds: float) -> Self:
        """It is not called."""

        async def link() -> None:
            before = len(self.line.calls)
            await asyncio.sleep(seconds)
            assert len(self.line.calls) == before, f"{self.line.user} was called"

        return self._then(link)

    def hears(self, words: str, within: float = 60.0) -> Self:
        """A voice says this to its end."""

        async def link() -> None:
            await hears(self.call, self.tale.world.stage.speaker, words, within=within)

        return self._then(link)

    # -- what the person does --

    def answers(self) -> Self:
        async def link() -> None:
            self.call.pick_up()
            await self.call.established()

        return self._then(link)

    def declines(self) -> Self:
        async def link() -> None:
            self.call.decline()
            await self.call.over()

        return self._then(link)

    def hangs_up(self) -> Self:
        async def link() -> None:
            self.call.hang_up()
            await self.call.over()

        return self._then(link)

    def says(self, audio: bytes) -> Self:
        async def link() -> None:
            self.call.say(audio)

        return self._then(link)

    def presses(self, keys: str, *, pause: float = 0.3) -> Self:
        """Keys, one after the other."""

        async def link() -> None:
            for key in keys:
                self.call.press(key)
                await asyncio.sleep(pause)

        return self._then(link)

    def presses_the_key(self) -> Self:
        """The key that the voice asks for."""

        async def link() -> None:
            self.call.press(await self.key())

        return self._then(link)

    def presses_another_key(self) -> Self:
        """A digit that was not asked for."""

        async def link() -> None:
            self.call.press("1" if await self.key() != "1" else "2")

        return self._then(link)

    def waits(self, seconds: float) -> Self:
        return self._then(lambda: asyncio.sleep(seconds))

    async def key(self) -> str:
        """Which key takes the alarm, as it was said on this call."""
        said = await hears(self.call, self.tale.world.stage.speaker, "to take this alarm")
        found = re.search(r"\b(?:press )?(\d|one|two|three|four|five|six|seven|eight|nine)\b", said.text.lower())
        assert found is not None, said.text
        return found[1] if found[1].isdigit() else str(DIGITS["en"].index(found[1]) + 1)

    def texts(self) -> list[str]:
        """All that was said on the latest call."""
        return [text.text for text in heard(self.call.hearing, self.tale.world.stage.speaker)]

    def _rings(self) -> bool:
        return bool(self.line.calls) and self.call.answered_at is None and not self.call.is_over


class Tale:
    """What a story of an escalation acts on and asks, beside its `World`."""

    def __init__(self, world: World, exchange: SimExchange, second: SimExchange) -> None:
        self.world = world
        self.exchange = exchange
        self.second = second
        self.badge: SimPhone | None = None

    # -- acting --

    async def alarm(self, device: str = "badge7") -> PhoneCall:
        """A worker raises an alarm, and it is answered."""
        badge = self.badge = await self.world.device(device)
        call = badge.call(ALARM)
        await call.established()
        return call

    def phone(self, name: str) -> Line:
        """The telephone of a person, which rings until the story says what he does."""
        return Line(self, self.exchange.line(NUMBERS.get(name, name)))

    def behaves(self, name: str, answers: Answers, after: float = 1.0) -> SimLine:
        """What a telephone does by itself."""
        return self.exchange.line(NUMBERS.get(name, name), Habits(answers=answers, after=after))

    # -- asking --

    async def until(self, holds: Callable[[], bool], seconds: float, otherwise: str) -> None:
        deadline = self.world.now + seconds
        while not holds():
            assert self.world.now < deadline, f"{otherwise}, {seconds} s"
            await asyncio.sleep(0.05)

    async def is_taken_by(self, actor: str) -> None:
        """The incident is acknowledged, and this is who has it."""
        await asyncio.sleep(0.1)
        incident = await self.world.incident()
        assert incident.taken_by == actor, f"taken by {incident.taken_by} ({incident.state})"

    async def notes(self, kind: str, id: str | None = None) -> list[Entry]:
        return await self.world.entries(kind, id)

    @property
    def dialled(self) -> list[str]:
        """Numbers that the first exchange was asked for, in order."""
        return [number for _, number in self.exchange.dialled]


def tale(
    plan: Sequence[Mapping[str, Any]] = (),
    *,
    contacts: Sequence[Mapping[str, Any]] = PEOPLE,
    plan_facts: Mapping[str, Any] | None = None,
    customer: Mapping[str, Any] | None = None,
    trunks: Sequence[Mapping[str, Any]] | None = None,
    seed: int = 0,
    expects: tuple[str, ...] = (),
    **tables: Any,
) -> Callable[[Callable[..., Awaitable[None]]], Callable[..., None]]:
    """Makes a plain test of a story about an escalation: a customer with this plan, and a trunk to his contacts."""
    base: dict[str, Any] = {
        "workers": [
            {"id": "anna", "name": "Wilma Worker", "customer": "acme", "address": "Dam 1, Amsterdam",
             "latitude": 52.373, "longitude": 4.893, "uncertainty_m": 20.0},
            {"id": "bert", "name": "Bert Jansen", "customer": "acme"},
            {"id": "carl", "name": "Carl Smit"},
        ],
        "customers": [
            {"id": "acme", "name": "Acme Care", "plan": "plan", "language": "en", "caller_id": "+31200000000",
             "close_word": "TULP", "duress_word": "ROOS"} | dict(customer or {})
        ],
        "plans": [{"id": "plan", "steps": [dict(step) for step in plan]} | dict(plan_facts or {})],
        "contacts": [dict(person) for person in contacts],
        "teams": [TEAM],
        "emergency_routes": [
            {"id": "police", "name": "Control room", "number": NUMBERS["police"], "language": "en", "country": "NL"}
        ],
        "trunks": [dict(trunk) for trunk in trunks or [{"id": "first", "uri": f"sip:{TRUNK_HOST}"}]],
    }  # fmt: skip

    def decorate(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
        async def told(world: World) -> None:
            exchange = await world.stage.exchange(TRUNK_HOST)
            second = await world.stage.exchange(SECOND_HOST)
            for number in NUMBERS.values():
                for provider in (exchange, second):
                    provider.line(number, Habits(answers=Answers.NEVER))
            await test(Tale(world, exchange, second))

        told.__name__, told.__doc__, told.__module__ = test.__name__, test.__doc__, test.__module__
        return story(seed=seed, expects=expects, **(base | tables))(told)

    return decorate
