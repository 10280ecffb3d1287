"""A random alarm story from a seed: who is there, what they do, and what goes wrong meanwhile. Pure.

`voice.sim.telling` plays it.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from voice.media.gate import Profile
from voice.sim.habits import Answers, Habits
from voice.sim.link import Link

LENGTH = 8.0
"""Virtual seconds in which things happen, before everything is well again and people work off what is open."""


class Deed(StrEnum):
    """What happens."""

    CALL = "calls"
    HANG_UP = "hangs up"
    REBOOT = "reboots"
    CUT_OFF = "is cut off"
    DIE = "dies"
    CRASH = "the service is killed"
    STORE = "the store fails"
    DISK = "the disk is full"


@dataclass(frozen=True, slots=True)
class Act:
    """One thing that happens to one phone, or to the service."""

    at: float
    """Seconds since the story began."""
    deed: Deed
    who: str = ""
    seconds: float = 0.0
    """How long it lasts, where it does."""

    def __str__(self) -> str:
        lasting = f" for {self.seconds:.1f} s" if self.seconds else ""
        return f"{self.at:5.2f} {self.who + ' ' if self.who else ''}{self.deed}{lasting}"


@dataclass(frozen=True, slots=True)
class Device:
    """A device, or (without `known`) a caller of whom nobody has heard."""

    name: str
    worker: str
    habits: Habits
    discreet: Profile
    known: bool = True
    password: bool = True
    registered: bool = True
    protocol: str = "UDP"
    behind_nat: bool = False


@dataclass(frozen=True, slots=True)
class Operator:
    """An operator, and what he does once he listens."""

    name: str
    habits: Habits
    keys: str
    """Pressed one after the other, `gap` seconds apart."""
    gap: float
    by: str
    """How his phone sends them: as `PhoneCall.press` has it."""
    protocol: str = "UDP"


@dataclass(frozen=True, slots=True)
class Story:
    """Everything that chance decided, but for the fate of single packets, which follows from the seed too."""

    seed: int
    link: Link
    devices: tuple[Device, ...]
    operators: tuple[Operator, ...]
    acts: tuple[Act, ...]
    ring: str

    @classmethod
    def from_seed(cls, seed: int) -> "Story":
        """The story of this seed."""
        dice = random.Random(seed)
        devices = tuple(_device(dice, number) for number in range(_few(dice)))
        operators = tuple(_operator(dice, number) for number in range(_few(dice)))
        acts = [*_alarms(dice, devices), *_mishaps(dice, devices, operators), *_outages(dice)]
        return cls(
            seed=seed,
            link=_link(dice),
            devices=devices,
            operators=operators,
            acts=tuple(sorted(acts, key=lambda act: act.at)),
            ring=dice.choice(("all", "all", "longest_idle")),
        )

    def __str__(self) -> str:
        lines = [f"story {self.seed}: {self.link}", *map(str, (*self.devices, *self.operators, *self.acts))]
        return "\n".join(lines)


def _few(dice: random.Random) -> int:
    return dice.choice((1, 1, 1, 2, 2, 3))


def _chance(dice: random.Random, share: float) -> bool:
    return dice.random() < share


def _link(dice: random.Random) -> Link:
    if _chance(dice, 0.4):
        return Link()
    return Link(
        delay=dice.uniform(0.001, 0.08),
        jitter=dice.choice((0.0, 0.005, 0.03)),
        loss=dice.choice((0.0, 0.01, 0.05)),  # of each host's link; a packet crosses two
        burst=dice.choice((1.0, 1.0, 4.0)),
        duplicate=dice.choice((0.0, 0.0, 0.05)),
        reorder=dice.choice((0.0, 0.0, 0.05)),
    )


def _device(dice: random.Random, number: int) -> Device:
    known = not _chance(dice, 0.15)
    return Device(
        name=f"badge{number}" if known else f"stranger{number}",
        worker=f"worker{dice.randrange(2)}",
        habits=Habits(
            answers=dice.choice((Answers.IF_ASKED, Answers.IF_ASKED, Answers.BUSY)),
            codecs=dice.choice((("PCMA", "PCMU"), ("PCMU", "PCMA"), ("PCMU",))),
            rtcp_mux=_chance(dice, 0.2),
            late_offer=_chance(dice, 0.1),
            sends_media=not _chance(dice, 0.05),
        ),
        discreet=dice.choice((Profile.SILENCE, Profile.SILENCE, Profile.KEEPALIVE, Profile.RECVONLY)),
        known=known,
        password=_chance(dice, 0.7),
        registered=_chance(dice, 0.6),
        protocol="TCP" if _chance(dice, 0.15) else "UDP",
        behind_nat=_chance(dice, 0.2),
    )


_KEYS = "1111223557799*##8"


def _operator(dice: random.Random, number: int) -> Operator:
    answers = dice.choice((Answers.YES,) * 6 + (Answers.BUSY, Answers.DECLINES, Answers.NEVER))
    return Operator(
        name=f"operator{number}",
        habits=Habits(answers=answers, after=dice.uniform(0.1, 2.0), rtcp_mux=_chance(dice, 0.2)),
        keys="".join(dice.choice(_KEYS) for _ in range(dice.randrange(5))),
        gap=dice.uniform(0.3, 1.5),
        by=dice.choice(("rfc4733", "rfc4733", "info", "inband")),
        protocol="TCP" if _chance(dice, 0.15) else "UDP",
    )


def _alarms(dice: random.Random, devices: Sequence[Device]) -> Iterator[Act]:
    for number, device in enumerate(devices):
        yield Act(dice.uniform(0, 0.5 if number == 0 else LENGTH / 2), Deed.CALL, device.name)


def _mishaps(dice: random.Random, devices: Sequence[Device], operators: Sequence[Operator]) -> Iterator[Act]:
    for _ in range(dice.randrange(4)):
        who = dice.choice(devices).name
        deed = dice.choice((Deed.CALL, Deed.HANG_UP, Deed.HANG_UP, Deed.REBOOT, Deed.CUT_OFF))
        seconds = dice.uniform(0.2, 3.0) if deed in (Deed.REBOOT, Deed.CUT_OFF) else 0.0
        yield Act(dice.uniform(0.2, LENGTH), deed, who, seconds)
    if _chance(dice, 0.25):
        who = dice.choice(operators).name
        yield Act(dice.uniform(1, LENGTH), dice.choice((Deed.DIE, Deed.CUT_OFF)), who, dice.uniform(0.5, 4))


def _outages(dice: random.Random) -> Iterator[Act]:
    """One at most: what a failing store or disk has not taken yet dies with the process, by the nature of things."""
    fate = dice.random()
    if fate < 0.25:
        yield Act(dice.uniform(0.5, LENGTH), Deed.CRASH, seconds=dice.uniform(0.1, 2.0))
    elif fate < 0.4:
        yield Act(dice.uniform(0.0, LENGTH - 1), Deed.STORE, seconds=dice.uniform(0.1, 4.0))
    elif fate < 0.5:
        yield Act(dice.uniform(0.0, LENGTH - 1), Deed.DISK, seconds=dice.uniform(0.5, 4.0))
