"""Stories of escalations: people with telephones behind a trunk, and what they do when an alarm reaches them.

    @tale([ring("operators", seconds=20), ring("contact:anna")])
    async def test_...(tale: Tale) -> None:
        await tale.alarm()
        await tale.phone("anna").rings_within("25s").answers().hears("press").presses_the_key()
        await tale.is_taken_by("contact:anna")

What a telephone and its person do is in `line.py`; what no story may break is checked after each (`Tale.check`).
"""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from tests.scenarios.line import DIGITS, Line, seconds_of, until
from tests.scenarios.world import World, story
from voice.escalation.state import State as Standing
from voice.incidents.lifecycle import State
from voice.incidents.timeline import Entry
from voice.sim.exchange import SimExchange, SimLine
from voice.sim.habits import Answers, Habits
from voice.sim.loop import DAWN
from voice.sim.phone import SimPhone
from voice.sim.phone_call import PhoneCall
from voice.store.rows import IncidentRow

__all__ = ["DIGITS", "Line", "Tale", "contact", "message", "ring", "tale"]

ALARM = "sip:alarm@earshot"
TRUNK_HOST, SECOND_HOST = "10.5.0.1", "10.5.0.2"
TWO_TRUNKS: list[dict[str, Any]] = [
    {"id": "first", "uri": f"sip:{TRUNK_HOST}"},
    {"id": "second", "uri": f"sip:{SECOND_HOST}"},
]

NUMBERS = {
    "anna": "+31600000001",
    "bas": "+31600000002",
    "chef": "+31600000003",
    "dora": "+31600000004",
    "anna2": "+31600000011",
    "police": "+31200000112",
}

CLOSE, DURESS = "8857", "7667"
"""TULP and ROOS as they are keyed."""
_SECRET = re.compile(r"\b(TULP|ROOS|8857|7667)\b", re.IGNORECASE)


def contact(id: str, *numbers: str, **facts: Any) -> dict[str, Any]:
    """A contact with the usual number, or with these."""
    return {"id": id, "name": id.title(), "numbers": list(numbers) or [NUMBERS[id]], "language": "en"} | facts


def ring(*who: str, seconds: float = 30.0, **how: Any) -> dict[str, Any]:
    """A step of a plan that rings."""
    return {"ring": list(who), "seconds": float(seconds)} | how


def message(*who: str, **how: Any) -> dict[str, Any]:
    """A step of a plan that sends a message."""
    return {"message": list(who)} | how


EMERGENCY: dict[str, Any] = {"emergency": "police", "seconds": 20.0}

PEOPLE = [contact("anna"), contact("bas"), contact("chef"), contact("dora")]
TEAM = {"id": "team", "name": "The team", "members": ["anna", "bas"]}


class Tale:
    """What a story of an escalation acts on and asks, beside its `World`."""

    def __init__(self, world: World, exchange: SimExchange, second: SimExchange) -> None:
        self.world = world
        self.exchange = exchange
        self.second = second
        self.badge: SimPhone | None = None

    # -- acting --

    async def alarm(self, device: str = "badge7", *, to: str = ALARM, register: bool = False) -> PhoneCall:
        """A worker raises an alarm, and it is answered."""
        badge = self.badge = await self.world.device(device, register=register)
        call = badge.call(to)
        await call.established()
        return call

    def phone(self, name: str) -> Line:
        """The telephone of a person, which rings until the story says what he does."""
        return Line(self.world, self.exchange.line(NUMBERS.get(name, name)))

    async def operator(self, name: str = "olga") -> Line:
        """The telephone of an operator, registered: it rings until the story says what he does."""
        return Line(self.world, await self.world.operator(name, answers=Answers.NEVER))

    def behaves(self, name: str, answers: Answers, after: float = 1.0) -> SimLine:
        """What a telephone does by itself."""
        return self.exchange.line(NUMBERS.get(name, name), Habits(answers=answers, after=after))

    async def taken_by(self, name: str) -> Line:
        """This contact takes the alarm, whose plan rings him first."""
        line = self.phone(name)
        await line.rings_within(3).takes_it().hears("You now hear the worker")
        await self.is_taken_by(f"contact:{name}")
        return line

    # -- asking --

    async def incident(self) -> IncidentRow:
        """The incident of this story: the first one, for it may have raised a technical alarm."""
        return (await self.world.incidents())[0]

    async def is_taken_by(self, actor: str) -> None:
        """The incident is acknowledged, and this is who has it."""
        await asyncio.sleep(0.1)
        incident = await self.incident()
        assert incident.taken_by == actor, f"taken by {incident.taken_by} ({incident.state})"
        assert incident.state in (State.ACKNOWLEDGED, State.IN_PROGRESS)

    async def is_open(self) -> None:
        """Nobody has taken the incident, or who had has let it go."""
        await asyncio.sleep(0.1)
        incident = await self.incident()
        assert incident.state is State.OPEN, f"{incident.state} by {incident.taken_by}"

    async def notes(self, kind: str, id: str | None = None) -> list[Entry]:
        """The entries of one kind, of this incident or of the first one."""
        return await self.world.entries(kind, id or (await self.incident()).id)

    async def noted(self, kind: str, within: float | str = 5, *, times: int = 1) -> Entry:
        """The latest entry of this kind, once there are so many; they have to be there within this span."""
        deadline = self.world.now + seconds_of(within)
        while len(found := await self.notes(kind)) < times:
            if self.world.now >= deadline:
                kinds = await self.world.kinds((await self.incident()).id)
                raise AssertionError(f"{len(found)} of {times} entries {kind!r} within {within}: {kinds}")
            await asyncio.sleep(0.1)
        return found[-1]

    async def outcomes(self, who: str) -> list[str]:
        """How the calls to a contact ended that he did not take."""
        ended = await self.notes("contact_leg_ended")
        return [entry.detail["outcome"] for entry in ended if entry.detail["contact"] == who]

    async def until(self, holds: Callable[[], bool], span: float | str, otherwise: str) -> None:
        await until(self.world, holds, span, otherwise)

    async def standing(self) -> Standing:
        """Where the escalation of the incident is."""
        state = self.world.stage.service.escalations.state((await self.incident()).id)
        assert state is not None
        return state

    @property
    def dialled(self) -> list[str]:
        """Numbers that the first exchange was asked for, in order."""
        return [number for _, number in self.exchange.dialled]

    @property
    def dialled_names(self) -> list[str]:
        """Whose numbers these are."""
        names = {number: name for name, number in NUMBERS.items()}
        return [names.get(number, number) for number in self.dialled]

    # -- what no story of an escalation may break --

    async def check(self) -> None:
        await asyncio.sleep(0.5)
        incidents = await self.world.incidents()
        has_it = [await self._somebody_or_a_deadline(incident.id, incident.state) for incident in incidents]
        if all(has_it):
            ringing = [number for number in self._rung_by_this_process if self.phone(number).rings]
            assert not ringing, f"{ringing} ring on, and every incident has somebody"
        for exchange in (self.exchange, self.second):
            placed = sum([len(await self.notes("emergency_placed", incident.id)) for incident in incidents])
            invites = [number for _, number in exchange.dialled if number == NUMBERS["police"]]
            assert len(invites) <= placed, f"{len(invites)} calls to the control room for {placed} decisions"
        for incident in incidents:
            self._nothing_secret(json.dumps([entry.detail for entry in await self.world.timeline(incident.id)]))
        for text in self.world.stage.speaker.texts:
            self._nothing_secret(text.text)
        for sent in self.world.stage.messages.sent:
            self._nothing_secret(sent.text)
        self._nothing_secret(repr(self.world.log))
        self._nobody_heard_himself()

    async def _somebody_or_a_deadline(self, id: str, state: State) -> bool:
        """Whether a person has it. If not, something is to happen, or the plan ended by agreement."""
        if state is State.RESOLVED:
            return True
        standing = self.world.stage.service.escalations.state(id)
        assert standing is not None, f"nobody follows the plan of {id}"
        assert standing.attended or standing.due_at or standing.exhausted, f"{id} waits for nothing: {standing}"
        assert bool(await self.notes("ended_without_human", id)) or not standing.exhausted
        return standing.attended

    @property
    def _lines(self) -> list[SimLine]:
        return [*self.exchange.lines.values(), *self.second.lines.values()]

    @property
    def _rung_by_this_process(self) -> set[str]:
        """Numbers of contacts: what a dead process rang, the network gives up by itself."""
        since = self.world.moment(self.world.stage.service.legs.since)
        return {number for at, number in self.exchange.dialled if at >= since} - {NUMBERS["police"]}

    def _nobody_heard_himself(self) -> None:
        for line in self._lines:
            for call in line.calls if line.user in self.world.speakers else ():
                own = self.world.said_by(line, call.hearing.marks().numbers)
                assert not own, f"{line.user} heard himself: {own[:5]}"

    @staticmethod
    def _nothing_secret(text: str) -> None:
        found = _SECRET.search(text)
        assert found is None, f"a code word came out: {text[max(found.start() - 80, 0) : found.end() + 40]!r}"


def tale(
    plan: Sequence[Mapping[str, Any]] = (),
    *,
    contacts: Sequence[Mapping[str, Any]] = PEOPLE,
    plan_facts: Mapping[str, Any] | None = None,
    customer: Mapping[str, Any] | None = None,
    route: Mapping[str, Any] | None = None,
    trunks: Sequence[Mapping[str, Any]] | None = None,
    seed: int = 0,
    start: datetime = DAWN,
    expects: tuple[str, ...] = (),
    **tables: Any,
) -> Callable[[Callable[..., Awaitable[None]]], Callable[..., None]]:
    """Makes a plain test of a story about an escalation: a customer with this plan, and a trunk to his contacts.

    `start`: the time of day at which it begins. The contacts' wall clocks show an hour more, in winter.
    """
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
            | dict(route or {})
        ],
        "trunks": [dict(trunk) for trunk in trunks or TWO_TRUNKS[:1]],
    }  # fmt: skip

    def decorate(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
        async def told(world: World) -> None:
            exchange = await world.stage.exchange(TRUNK_HOST)
            second = await world.stage.exchange(SECOND_HOST)
            for number in NUMBERS.values():
                for provider in (exchange, second):
                    provider.line(number, Habits(answers=Answers.NEVER))
            tale = Tale(world, exchange, second)
            await test(tale)
            await tale.check()

        told.__name__, told.__doc__, told.__module__ = test.__name__, test.__doc__, test.__module__
        return story(seed=seed, start=start, expects=expects, **(base | tables))(told)

    return decorate
