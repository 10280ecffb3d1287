"""How names, times and spans of a plan are said to people who read: in plain English. Pure."""

from collections.abc import Collection, Sequence
from datetime import time

from config.plans import DAYS, Day, Hours

DAY_NAMES: tuple[str, ...] = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")

MOST = 8
"""Names that a sentence bears."""

_UNITS = ((3600, "hour"), (60, "minute"), (1, "second"))


def duration(seconds: float) -> str:
    """`20 seconds`, `1 minute 30 seconds`, `2 hours`."""
    rest, said = round(seconds), []
    for length, name in _UNITS:
        count, rest = divmod(rest, length)
        if count:
            said.append(counted(count, name))
    return " ".join(said) or "0 seconds"


def counted(count: int, name: str) -> str:
    """`1 call`, `3 calls`."""
    return f"{count} {name}{'' if count == 1 else 's'}"


def listed(names: Sequence[str], last: str = "and", most: int = MOST) -> str:
    """`A`, `A and B`, `A, B and C`; of many the first few, and how many more."""
    if len(names) > most:
        names = [*names[: most - 1], f"{len(names) - most + 1} more"]
    return " ".join(part for part in (", ".join(names[:-1]), last if names[1:] else "", *names[-1:]) if part)


def clock(at: time) -> str:
    return f"{at:%H:%M}"


def days(chosen: Collection[Day]) -> str:
    """`each day`, `Monday to Friday`, `Saturday and Sunday`, `Monday, Wednesday and Friday`."""
    numbers = sorted(DAYS.index(day) for day in chosen)
    if len(numbers) == len(DAYS):
        return "each day"
    return listed([_run(run) for run in _runs(numbers)])


def _runs(numbers: Sequence[int]) -> list[list[int]]:
    """Days that follow each other."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and runs[-1][-1] == number - 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return runs


def _run(run: Sequence[int]) -> str:
    names = [DAY_NAMES[number] for number in run]
    return listed(names) if len(names) < 3 else f"{names[0]} to {names[-1]}"


def hours(spans: Sequence[Hours]) -> str:
    """`each day from 18:00 to 06:00`."""
    return listed([f"{days(span.days)} from {clock(span.from_)} to {_until(span)}" for span in spans])


def _until(span: Hours) -> str:
    return "24:00" if span.to == time(0) else clock(span.to)
