"""What a dialogue asks of a telephone, whatever it stands on: a SIP call, a simulation, later another network."""

from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

Ear = Callable[[bytes], None]
"""Takes what the person said: A-law, 8 kHz, in pieces of any length, in order."""


class HungUp(Exception):
    """The call is over: the person hung up, or the connection broke. Nothing more can be said or heard."""


class Phone(Protocol):
    """A telephone with a person on it, or what sounds like one.

    Digits (0 to 9, `*`, `#`) are never lost: those that nobody waited for are kept, in order, for whoever asks next.
    """

    async def play(self, clips: Sequence[bytes], *, barge_in: bool = True) -> str | None:
        """Play A-law clips (8 kHz) without a gap; the digit that barged in, None when all was played.

        With `barge_in` a digit that was typed ahead is returned at once, and one that comes stops the sound within
        40 ms; without it digits are kept. Raises HungUp.
        """
        ...

    async def collect(self, seconds: float) -> str | None:
        """The next digit, typed ahead or not; None when none comes in this time (0: none is there). Raises HungUp."""
        ...

    async def record(self, seconds: float, *, ends: str = "#") -> bytes:
        """What the person says from now on, until he presses `ends`, or hangs up, or the time is over: A-law, 8 kHz.

        Other keys count for nothing. Raises HungUp only if the call was over before; the next use tells it otherwise.
        """
        ...

    def stop(self) -> None:
        """Stop what is being played: `play` returns None. Harmless when nothing is."""
        ...

    async def hang_up(self) -> None:
        """End the call. Twice is harmless."""
        ...


@runtime_checkable
class Listens(Protocol):
    """What a phone may offer besides: hearing what the person says, for the answering machine detector."""

    def listen(self, ear: Ear | None) -> None:
        """From now on `ear` is told what comes in, at least once a second while the phone plays or collects."""
        ...
