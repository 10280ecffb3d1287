"""Stories of workers and their check-ins: a worker with a telephone behind a trunk, whom the service calls, and who
calls it.

    @shift()
    async def test_...(shift: Shift) -> None:
        shift.begins(hours=2)
        await shift.worker.rings_within("6min").answers().hears("If you are well").presses(await shift.key())

What no such story may break is checked after each, besides what holds in every world: no secret was said, written or
logged, and the line of a worker never carried anything but prompts and silence.
"""

import asyncio
import inspect
import json
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cache
from typing import Any, Literal

from argon2 import PasswordHasher

from ivr.session import Origin, Session
from tests.scenarios.line import DIGITS, Line, seconds_of, until
from tests.scenarios.world import World, story
from voice.check_in.roster import rules_of
from voice.incidents.kinds import Kind
from voice.sim.exchange import SimExchange
from voice.sim.habits import Answers, Habits
from voice.sim.loop import DAWN
from voice.sim.spoken import hears
from voice.store.rows import IncidentRow

TRUNK_HOST = "10.5.0.1"
SERVICE = "+31208080808"
"""The number that workers dial."""
MOBILE, SECOND, STRANGE = "+31611111111", "+31622222222", "+31633333333"
PIN, DURESS, CODE = "8162", "9054", "4711"
QUICK: dict[str, Any] = {"interval": 60.0, "warn_before": 20.0, "grace": 0.0, "retries": [10.0]}
"""Rules for stories of what comes of a check-in: it is due after a minute, and missed when two calls are over."""
CHEF = "+31644444444"
WITH_CHEF: dict[str, Any] = {
    "customers": [{"id": "acme", "name": "Acme Care", "language": "en", "caller_id": SERVICE, "plan": "chef"}],
    "plans": [{"id": "chef", "steps": [{"ring": ["contact:chef"], "seconds": 30.0}]}],
    "contacts": [{"id": "chef", "name": "Chef", "numbers": [CHEF], "language": "en"}],
}
"""Tables for stories in which a contact, and nobody else, is rung for an alarm."""
_SECRET = re.compile(rf"\b({PIN}|{DURESS})\b|{'. '.join(PIN)}|{'. '.join(DURESS)}")


@cache
def hash_of(pin: str) -> str:
    """Cheap: what it costs is no part of a story."""
    return PasswordHasher(time_cost=1, memory_cost=64, parallelism=1).hash(pin)


class Shift:
    """What a story of a worker acts on and asks, beside its `World`."""

    def __init__(self, world: World, exchange: SimExchange) -> None:
        self.world = world
        self.exchange = exchange

    # -- acting --

    @property
    def check_ins(self) -> Any:
        return self.world.stage.service.check_in_desk.check_ins

    def begins(self, *, hours: float = 8.0, confirm: Literal["key", "pin"] | None = None, **how: Any) -> Session:
        """A session of the worker begins, by his rules."""
        settings = self.world.stage.settings
        rules = rules_of(settings.check_in_of(settings.workers[0]))
        rules = replace(rules, confirm=confirm) if confirm else rules
        ends_at = self.world.stage.service.outside.clock.now() + timedelta(hours=hours)
        session: Session = self.check_ins.begin("anna", rules, origin=Origin.API, ends_at=ends_at, **how)
        return session

    @property
    def worker(self) -> Line:
        """The worker's mobile telephone, which rings until the story says what he does."""
        return self.phone(MOBILE)

    def phone(self, number: str) -> Line:
        return Line(self.world, self.exchange.line(number))

    async def calls_in(self, number: str = MOBILE, to: str = SERVICE) -> Line:
        """Somebody dials the service from this number, and is answered."""
        line = self.exchange.line(number)
        call = line.call(f"sip:{to}@earshot")
        await call.established()
        return Line(self.world, line)

    async def key(self, line: Line | None = None) -> str:
        """Which key is asked for, as it was said in the latest call."""
        call = (line or self.worker).call
        said = await hears(call, self.world.stage.speaker, "if you are well, press")
        found = re.search(r"\bpress (\w+)\b", said.text.lower())
        assert found is not None, said.text
        return found[1] if found[1].isdigit() else str(DIGITS["en"].index(found[1]) + 1)

    async def is_asked(self, within: float | str = "6min") -> Line:
        """He is called and picks up."""
        line = self.worker
        await line.rings_within(within).answers()
        return line

    async def is_asked_again(self, within: float | str = "6min", number: str = MOBILE) -> Line:
        """The same, in another call than the latest one, whatever has become of that."""
        line = self.phone(number)
        before = len(line.line.calls)
        await until(self.world, lambda: len(line.line.calls) > before, within, f"{number} is not called again")
        await line.answers()
        return line

    async def signs_in(self, pin: str = PIN) -> Line:
        """He calls the service, and is in the menu."""
        line = await self.calls_in()
        await line.hears("key in your PIN").presses(f"{pin}#").hears("session")
        return line

    async def confirms(self, within: float | str = "6min") -> Line:
        """He is called, and presses the key asked for."""
        line = await self.is_asked(within)
        await line.presses(await self.key())
        await line.hears("Thank you")
        return line

    # -- asking --

    def session(self) -> Session | None:
        found: Session | None = self.check_ins.of_worker("anna")
        return found

    async def incidents(self, kind: Kind) -> list[IncidentRow]:
        return [incident for incident in await self.world.incidents() if incident.kind is kind]

    async def missed(self, within: float | str) -> IncidentRow:
        """The alarm of the one check-in that is missed, once it is there."""
        deadline = self.world.now + seconds_of(within)
        while not (found := await self.incidents(Kind.MISSED_CHECK_IN)):
            assert self.world.now < deadline, f"no check-in is missed, {within}"
            await asyncio.sleep(0.5)
        (incident,) = found
        return incident

    @property
    def texts(self) -> list[str]:
        """Text messages to the worker's telephone."""
        return [message.text for message in self.world.stage.messages.sent if message.to == MOBILE]

    async def check(self) -> None:
        for incident in await self.world.incidents():
            timeline = [entry.detail for entry in await self.world.timeline(incident.id)]
            _nothing_secret(json.dumps(timeline))
        for text in self.world.stage.speaker.texts:
            _nothing_secret(text.text)
        for sent in self.world.stage.messages.sent:
            _nothing_secret(sent.text)
        _nothing_secret(repr(self.world.log))


def _nothing_secret(text: str) -> None:
    found = _SECRET.search(text)
    assert found is None, f"a PIN came out: {text[max(found.start() - 80, 0) : found.end() + 40]!r}"


def shift(
    rules: Mapping[str, Any] | None = None,
    *,
    worker: Mapping[str, Any] | None = None,
    seed: int = 0,
    start: datetime = DAWN,
    expects: tuple[str, ...] = (),
    **tables: Any,
) -> Callable[[Callable[..., Awaitable[None]]], Callable[..., None]]:
    """Makes a plain test of a story about a worker, who has these rules (`[[check_ins]]`)."""
    base: dict[str, Any] = {
        "workers": [
            {"id": "anna", "name": "Wilma Worker", "customer": "acme", "numbers": [MOBILE], "language": "en",
             "code": CODE, "pin": hash_of(PIN), "duress_pin": hash_of(DURESS), "check_in": "rules"}
            | dict(worker or {}),
            {"id": "bert", "name": "Bert Jansen", "customer": "acme"},
            {"id": "carl", "name": "Carl Smit"},
        ],
        "customers": [{"id": "acme", "name": "Acme Care", "language": "en", "caller_id": SERVICE}],
        "check_ins": [{"id": "rules", "interval": 300.0, "warn_before": 60.0} | dict(rules or {})],
        "check_in": {"numbers": [SERVICE], "spread_seconds": 0.0},
        "trunks": [{"id": "first", "uri": f"sip:{TRUNK_HOST}", "networks": [f"{TRUNK_HOST}/32"]}],
    }  # fmt: skip

    def decorate(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
        async def told(world: World, **arguments: Any) -> None:
            exchange = await world.stage.exchange(TRUNK_HOST)
            for number in (MOBILE, SECOND, STRANGE):
                exchange.line(number, Habits(answers=Answers.NEVER))
            shift = Shift(world, exchange)
            await test(shift, **arguments)
            await shift.check()

        told.__signature__ = inspect.signature(test)  # type: ignore[attr-defined]
        told.pytestmark = getattr(test, "pytestmark", [])  # type: ignore[attr-defined]

        told.__name__, told.__doc__, told.__module__ = test.__name__, test.__doc__, test.__module__
        return story(seed=seed, start=start, expects=expects, **(base | tables))(told)

    return decorate
