"""A telephone and the person beside it, in a chain that is told when it is awaited:

await tale.phone("anna").rings_within("20s").answers().hears("press").presses_another_key().hangs_up()
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Generator, Sequence
from typing import Any, Self

from tests.scenarios.world import World
from voice.sim.habits import Habits
from voice.sim.phone import SimPhone
from voice.sim.phone_call import PhoneCall
from voice.sim.speech import clip, silence, tone
from voice.sim.spoken import heard, hears

DIGITS = {
    "nl": ["een", "twee", "drie", "vier", "vijf", "zes", "zeven", "acht", "negen"],
    "en": ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine"],
}

GREETING = clip("operator")
"""4 s of a voice."""
VOICEMAIL = GREETING + GREETING + silence(0.4) + tone(1000.0, 0.5) + silence(30.0)
"""A greeting of 8 s, the beep, and then a machine that records."""
SCREENING = GREETING + silence(2.0) + GREETING + silence(60.0)
"""A telephone's assistant that asks who calls, and why, and waits for words."""


def seconds_of(span: float | str) -> float:
    """20, "20s", "3 min"."""
    if not isinstance(span, str):
        return float(span)
    found = re.fullmatch(r"([\d.]+) ?(s|min)", span)
    assert found is not None, span
    return float(found[1]) * (60 if found[2] == "min" else 1)


async def until(world: World, holds: Callable[[], bool], span: float | str, otherwise: str) -> None:
    """Return as soon as it holds; it has to, within this span."""
    deadline = world.now + seconds_of(span)
    while not holds():
        assert world.now < deadline, f"{otherwise}, {span}"
        await asyncio.sleep(0.05)


class Line:
    """One telephone, and a chain of what happens with it."""

    def __init__(self, world: World, line: SimPhone) -> None:
        self.world = world
        self.line = line
        self._links: list[Callable[[], Awaitable[None]]] = []
        self._number = 0

    def __await__(self) -> Generator[Any, None, None]:
        return self._tell().__await__()

    async def _tell(self) -> None:
        links, self._links = self._links, []
        for link in links:
            await link()

    def _then(self, link: Callable[[], Awaitable[None]]) -> Self:
        self._links.append(link)
        return self

    def _at_once(self, act: Callable[[], object]) -> Self:
        async def link() -> None:
            act()

        return self._then(link)

    @property
    def call(self) -> PhoneCall:
        """The latest call to this telephone, or the one of `in_call`."""
        assert self.line.calls, f"{self.line.user} was never called"
        return self.line.calls[self._number - 1]

    def in_call(self, number: int) -> Self:
        """What follows is about this call, counted from 1, be there later ones or not."""
        self._number = number
        return self

    @property
    def rings(self) -> bool:
        """Whether a call is there that nobody has picked up."""
        return bool(self.line.calls) and self.call.answered_at is None and not self.call.is_over

    # -- what the story expects --

    def rings_within(self, span: float | str) -> Self:
        """It rings, now or within this span, for a call that nobody has picked up."""
        return self._then(lambda: until(self.world, lambda: self.rings, span, f"{self.line.user} does not ring"))

    def stops_within(self, span: float | str) -> Self:
        """Its call ends."""
        return self._then(
            lambda: until(self.world, lambda: self.call.is_over, span, f"the call to {self.line.user} goes on")
        )

    def stays_silent_for(self, span: float | str) -> Self:
        """It is not called."""

        async def link() -> None:
            before = len(self.line.calls)
            await asyncio.sleep(seconds_of(span))
            assert len(self.line.calls) == before, f"{self.line.user} was called"

        return self._then(link)

    def stays_on_for(self, span: float | str) -> Self:
        """Its call goes on."""

        async def link() -> None:
            await asyncio.sleep(seconds_of(span))
            assert not self.call.is_over, f"the call to {self.line.user} ended: {self.call.end}"

        return self._then(link)

    def hears(self, words: str, within: float = 60.0, *, anew: bool = False) -> Self:
        """A voice says this to its end: in this call, or `anew`, from now on."""

        async def link() -> None:
            since = self.world.now if anew else 0.0
            await hears(self.call, self.world.stage.speaker, words, within=within, since=since)

        return self._then(link)

    # -- what the person does --

    def answers(self) -> Self:
        async def link() -> None:
            self.call.pick_up()
            await self.call.established()

        return self._then(link)

    def declines(self) -> Self:
        """Refuses by a button of the telephone (603)."""

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
        return self._at_once(lambda: self.call.say(audio))

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

    def takes_it(self) -> Self:
        """Picks up, presses the key that is asked for, and hears that he has the alarm."""
        return self.answers().presses_the_key().hears("You have taken the alarm")

    def waits(self, span: float | str) -> Self:
        return self._then(lambda: asyncio.sleep(seconds_of(span)))

    # -- what it heard --

    async def key(self) -> str:
        """Which key takes the alarm, as it was said on this call."""
        said = await hears(self.call, self.world.stage.speaker, "to take this alarm")
        found = re.search(r"\bpress (\d|one|two|three|four|five|six|seven|eight|nine)\b", said.text.lower())
        assert found is not None, said.text
        return found[1] if found[1].isdigit() else str(DIGITS["en"].index(found[1]) + 1)

    def texts(self) -> Sequence[str]:
        """All that was said on the latest call."""
        return [text.text for text in heard(self.call.hearing, self.world.stage.speaker)]

    def sounds_since(self, at: float) -> bytes:
        """What was heard from a loop time on."""
        return self.call.hearing.audio(at)


def machine(audio: bytes, after: float = 2.0) -> Callable[[SimPhone], None]:
    """Makes a telephone answer by itself after some seconds and play this, whoever calls."""

    def install(phone: SimPhone) -> None:
        phone.habits = Habits(after=after)
        phone.on_call = lambda call: call.say(audio)

    return install
