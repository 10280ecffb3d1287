"""What a dialogue asks of the world: is this the PIN, start a session, keep a memo. `Desk` does it, for one call.

A desk never tells why it refuses, and never which of his numbers a worker has keyed: an entry that confirms and one
that calls for help in silence are both `accepted`, and no dialogue can treat them differently. What a desk knows beyond
its answers it keeps to itself, for whoever made it.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from ivr.menu import Answer, Do
from ivr.saying import Moment

INTERVALS: Mapping[str, int] = {"1": 15, "2": 30, "3": 60}
"""Minutes between check-ins, by the key that chooses them (prompt `worker.interval`)."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How a session stands, as its worker is told."""

    now: datetime
    next: datetime | None
    """When he is called next; None: not again."""
    ends: datetime | None = None
    """When the session ends; None: it is not told."""

    def values(self) -> dict[str, Any]:
        """The values of the prompts."""
        return {
            "running": True,
            "has_next": self.next is not None,
            "next": Moment(self.next or self.now, self.now),
            "has_ends": self.ends is not None,
            "ends": Moment(self.ends or self.now, self.now),
        }


class Desk(Protocol):
    """Whoever does what is asked for in one call. Answers within seconds, whatever happens, and raises nothing.

    `verify` comes before all else that concerns a worker, except in a call that we made to him.
    """

    async def knows_caller(self) -> bool:
        """The number that calls is a worker's. A hint, no proof: it spares him his code."""
        ...

    async def identify(self, code: str) -> None:
        """The caller keyed this worker code. Whether there is such a worker shows in nothing."""
        ...

    async def verify(self, entry: str) -> bool:
        """Whether what was keyed counts: the key asked for, a PIN, or what calls for help in silence.

        Takes the same time for each of them, for a wrong one, and for a worker that there is not. While a PIN is locked
        no PIN counts, also one that is heard as a call for help.
        """
        ...

    async def language(self) -> str | None:
        """The language of the worker whose entry counted; None: as it is."""
        ...

    async def standing(self) -> Standing | None:
        """The session as it is now; None: none runs."""
        ...

    async def start(self, hours: int, minutes: int) -> Standing | None:
        """Start a session of so many hours with a check-in each so many minutes, in place of one that runs; None: it
        cannot be."""
        ...

    async def confirm(self) -> Standing | None:
        """The worker is well. `next` is None when the session is over with this; None: no session runs."""
        ...

    async def extend(self) -> Standing | None:
        """Go on for a while (`extend_by`); None: it cannot be."""
        ...

    async def end(self) -> bool:
        """End the session; False: none runs."""
        ...

    async def leave_memo(self, clip: bytes) -> bool:
        """Keep this memo (A-law, 8 kHz) in place of an earlier one; False: it could not be kept."""
        ...

    async def change_pin(self, new: str) -> bool:
        """From now on this is the PIN, as far as is told; False: it is too simple, or cannot be changed now."""
        ...

    async def test_alarm(self) -> bool:
        """Raise a test alarm; False: it cannot be."""
        ...


@dataclass(frozen=True, slots=True)
class Errand:
    """Something that a dialogue may ask of a desk (`ivr.menu.Act.does`)."""

    ways: frozenset[str]
    """All answers that there are."""
    run: Callable[[Desk, Do], Awaitable[Answer]]


async def do(desk: Desk, wanted: Do) -> Answer:
    """Have it done."""
    return await ERRANDS[wanted.does].run(desk, wanted)


def _stands(way: str, standing: Standing) -> Answer:
    return Answer(way, standing.values())


async def _recognise(desk: Desk, wanted: Do) -> Answer:
    return Answer("known" if await desk.knows_caller() else "unknown")


async def _identify(desk: Desk, wanted: Do) -> Answer:
    await desk.identify(wanted.entries[0])
    return Answer("done")


async def _verify(desk: Desk, wanted: Do) -> Answer:
    if not await desk.verify(wanted.entries[0]):
        return Answer("refused")
    return Answer("accepted", language=await desk.language())


async def _standing(desk: Desk, wanted: Do) -> Answer:
    standing = await desk.standing()
    return Answer("none", {"running": False}) if standing is None else _stands("running", standing)


async def _start(desk: Desk, wanted: Do) -> Answer:
    hours, interval = wanted.entries
    standing = await desk.start(int(hours), INTERVALS[interval])
    return Answer("refused") if standing is None else _stands("started", standing)


async def _confirm(desk: Desk, wanted: Do) -> Answer:
    standing = await desk.confirm()
    if standing is None:
        return Answer("none", {"running": False})
    return _stands("over" if standing.next is None else "confirmed", standing)


async def _extend(desk: Desk, wanted: Do) -> Answer:
    standing = await desk.extend()
    return Answer("refused") if standing is None else _stands("extended", standing)


async def _end(desk: Desk, wanted: Do) -> Answer:
    return Answer("ended" if await desk.end() else "none", {"running": False})


async def _leave_memo(desk: Desk, wanted: Do) -> Answer:
    return Answer("kept" if await desk.leave_memo(wanted.clip) else "refused")


async def _change_pin(desk: Desk, wanted: Do) -> Answer:
    new, again = wanted.entries
    if new != again:
        return Answer("differs")
    return Answer("changed" if await desk.change_pin(new) else "refused")


async def _test_alarm(desk: Desk, wanted: Do) -> Answer:
    return Answer("raised" if await desk.test_alarm() else "refused")


def _errand(run: Callable[[Desk, Do], Awaitable[Answer]], *ways: str) -> Errand:
    return Errand(frozenset(ways), run)


ERRANDS: Mapping[str, Errand] = {
    "recognise": _errand(_recognise, "known", "unknown"),
    "identify": _errand(_identify, "done"),
    "verify": _errand(_verify, "accepted", "refused"),
    "standing": _errand(_standing, "running", "none"),
    "start": _errand(_start, "started", "refused"),
    "confirm": _errand(_confirm, "confirmed", "over", "none"),
    "extend": _errand(_extend, "extended", "refused"),
    "end": _errand(_end, "ended", "none"),
    "leave_memo": _errand(_leave_memo, "kept", "refused"),
    "change_pin": _errand(_change_pin, "changed", "differs", "refused"),
    "test_alarm": _errand(_test_alarm, "raised", "refused"),
}
