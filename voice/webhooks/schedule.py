"""When a delivery that failed is tried again, and when it is given up."""

from random import Random

FIRST_WAIT = 5.0
LONGEST_WAIT = 3600.0
ATTEMPTS = 33
"""Ten waits double up to the longest, and twenty-two of the longest follow: a day altogether."""

SPREAD = 0.25
"""Each wait is up to this share longer or shorter, so that receivers who come back are not met by all at once."""


def wait(attempts: int, random: Random, *, asked: float = 0.0) -> float | None:
    """Seconds until the next attempt after so many; None: give up. `asked`: what the receiver asked for, up to 1 h."""
    if attempts >= ATTEMPTS:
        return None
    doubled = min(FIRST_WAIT * 2.0 ** (attempts - 1), LONGEST_WAIT)
    return max(doubled * random.uniform(1 - SPREAD, 1 + SPREAD), min(asked, LONGEST_WAIT))
