"""Escalations told by dice: people, networks, stores and processes do whatever comes, and an alarm still finds a human.

Each seed is another story: people answer, decline, hang up, take it, pass it on, close it, give the duress word; the
service dies, its store and its trunk go away and come back, the device drops. Then all is calm and Anna is a reliable
person: within some minutes somebody has the alarm. What no story may break is checked as after any tale.
"""

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from tests.scenarios.line import VOICEMAIL, Line
from tests.scenarios.tale import ALARM, CLOSE, DURESS, NUMBERS, TWO_TRUNKS, Tale, message, ring, tale
from voice.incidents.lifecycle import State
from voice.sim.habits import Answers, Habits
from voice.sim.phone_call import PhoneCall

SEEDS = range(4)
TROUBLE, CALM = 150.0, 400.0
"""Seconds in which things go wrong, and in which a human must be found afterwards."""
EXPECTED = (
    "store unavailable; calls go on, writes wait",
    "alarm answered before it was durable",
    "an emergency call is placed that is not written down",
)
EMERGENCY: dict[str, Any] = {
    "emergency": "police", "seconds": 15.0, "confirm": "automatic", "after": 60.0, "agreement": "contract 12",
    "indeterminate": "call again", "again_after": 40.0,
}  # fmt: skip
PLANS: list[list[dict[str, Any]]] = [
    [ring("operators", seconds=10), ring("contact:anna", "contact:bas", seconds=15, order="sequence", rounds=2)],
    [ring("team:team", "contact:chef", seconds=20), message("contact:dora"), ring("contact:anna"), EMERGENCY],
    [ring("contact:bas", seconds=10), EMERGENCY, ring("operators", "contact:anna", "contact:chef", seconds=20)],
]


class Chances:
    """One story by dice."""

    def __init__(self, tale: Tale, dice: random.Random) -> None:
        self.tale = tale
        self.dice = dice
        self.calm = False
        self.tasks: set[asyncio.Task[None]] = set()

    async def told(self) -> None:
        for name in ("anna", "bas", "chef", "dora", "police"):
            for exchange in (self.tale.exchange, self.tale.second):
                line = exchange.line(NUMBERS[name], Habits(answers=Answers.NEVER))
                line.on_call = self._called_at(Line(self.tale.world, line), name)
        await self.tale.alarm(register=True)
        until = self.tale.world.now + TROUBLE
        while self.tale.world.now < until:
            await asyncio.sleep(self.dice.uniform(2, 25))
            await self.dice.choice(self._troubles)()
        await self._calms_down()
        await self.tale.until(self._somebody_has_it, CALM, "nobody has it")
        for task in list(self.tasks):
            task.cancel()

    # -- people --

    def _called_at(self, line: Line, name: str) -> Callable[[PhoneCall], None]:
        def called(call: PhoneCall) -> None:
            number = len(line.line.calls)
            self._spawn(self._lives_through(Line(self.tale.world, line.line).in_call(number), name))

        return called

    def _spawn(self, work: Awaitable[None]) -> None:
        async def quietly() -> None:
            with contextlib.suppress(ConnectionError, AssertionError):  # the call was over before he came to it
                await work

        task = asyncio.ensure_future(quietly())
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _lives_through(self, line: Line, name: str) -> None:
        await asyncio.sleep(self.dice.uniform(0.5, 12.0))
        if name == "police":
            await self.dice.choice((self._confirms, self._hangs_up, self._is_connected, self._ignores))(line)
        elif self.calm and name == "anna":
            await line.takes_it()
        else:
            await self.dice.choice(self._ways)(line)

    @property
    def _ways(self) -> tuple[Callable[[Line], Awaitable[None]], ...]:
        return (self._ignores, self._declines, self._hangs_up, self._is_voicemail, self._guesses, self._takes_it)

    async def _ignores(self, line: Line) -> None:
        return

    async def _declines(self, line: Line) -> None:
        await line.declines()

    async def _hangs_up(self, line: Line) -> None:
        await line.answers().waits(self.dice.uniform(0.0, 12.0)).hangs_up()

    async def _is_voicemail(self, line: Line) -> None:
        await line.answers().says(VOICEMAIL)

    async def _guesses(self, line: Line) -> None:
        await line.answers().waits(self.dice.uniform(0, 8)).presses(self.dice.choice("123456789*#"))

    async def _takes_it(self, line: Line) -> None:
        await line.takes_it().waits(self.dice.uniform(0, 6))
        keys = self.dice.choice(("", "1", "2", "5", "6", "88", f"#{CLOSE}#2", f"#{DURESS}#2", "#1234#"))
        await line.presses(keys, pause=1.0).waits(self.dice.uniform(0, 20))
        if self.dice.random() < 0.5:
            await line.hangs_up()

    async def _confirms(self, line: Line) -> None:
        await line.answers().hears("press 2").presses("9")

    async def _is_connected(self, line: Line) -> None:
        await line.answers().hears("press 2").presses("2").waits(self.dice.uniform(1, 30)).hangs_up()

    # -- trouble --

    @property
    def _troubles(self) -> tuple[Callable[[], Awaitable[None]], ...]:
        return (
            self._crash,
            self._store_away,
            self._trunk_dies,
            self._trunk_refuses,
            self._device_drops,
            self._operator,
        )

    async def _crash(self) -> None:
        await self.tale.world.stage.crash(down=self.dice.uniform(0.1, 5.0))

    async def _store_away(self) -> None:
        store = self.tale.world.stage.store
        store.fail_with(OSError("the disk of the database is gone"))
        await asyncio.sleep(self.dice.uniform(0.2, 8.0))
        store.fail_with(None)

    async def _trunk_dies(self) -> None:
        exchange = self.dice.choice((self.tale.exchange, self.tale.second))
        await exchange.die()
        await asyncio.sleep(self.dice.uniform(0.1, 10.0))
        await exchange.start()

    async def _trunk_refuses(self) -> None:
        exchange = self.dice.choice((self.tale.exchange, self.tale.second))
        exchange.refuses = self.dice.choice((403, 500, 503))
        await asyncio.sleep(self.dice.uniform(1, 15))
        exchange.refuses = None

    async def _device_drops(self) -> None:
        badge = self.tale.badge
        assert badge is not None
        await badge.reboot(self.dice.uniform(0.5, 6.0))
        if self.dice.random() < 0.7:
            badge.call(ALARM)

    async def _operator(self) -> None:
        phones = self.tale.world.stage.phones
        olga = Line(self.tale.world, phones["olga"]) if "olga" in phones else await self.tale.operator("olga")
        call = olga.line.call("sip:next@earshot")
        await asyncio.sleep(self.dice.uniform(1, 8))
        if call.is_established:
            call.press(self.dice.choice(("", "88", "*", "1", "4")))
            await asyncio.sleep(self.dice.uniform(0.5, 20))
        call.hang_up()

    async def _calms_down(self) -> None:
        self.calm = True
        self.tale.exchange.refuses = self.tale.second.refuses = None
        self.tale.world.stage.store.fail_with(None)
        await asyncio.sleep(5)  # what waited is written

    def _somebody_has_it(self) -> bool:
        service = self.tale.world.stage.service
        return all(self._has_somebody(incident.id) for incident in service.incidents if self._is_alarm(incident))

    @staticmethod
    def _is_alarm(incident: Any) -> bool:
        return incident.kind != "technical" and incident.state is not State.RESOLVED

    def _has_somebody(self, id: str) -> bool:
        standing = self.tale.world.stage.service.escalations.state(id)
        return standing is not None and standing.attended


def a_story(seed: int, directory: Path) -> None:
    dice = random.Random(seed)

    @tale(
        dice.choice(PLANS), trunks=TWO_TRUNKS, seed=seed, expects=EXPECTED,
        plan_facts={"follow_up": 40.0, "lap_pause": 5.0},
    )  # fmt: skip
    async def told(tale: Tale) -> None:
        await Chances(tale, dice).told()

    told(directory)


@pytest.mark.parametrize("seed", SEEDS)
def test_whatever_people_and_machines_do_a_human_has_it_in_the_end(seed: int, tmp_path: Path) -> None:
    a_story(seed, tmp_path)
