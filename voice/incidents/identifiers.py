"""Names of incidents: eight characters that sort by time, can be read out and dialled as `listen-<incident>`.

40 bits in Crockford's base 32, lower case (no i, l, o, u: nothing is misheard as 1 or 0): 30 bits of seconds
since 2025, which last until 2059, and 10 random bits.
"""

from datetime import UTC, datetime
from random import Random

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
LENGTH = 8
_EPOCH = datetime(2025, 1, 1, tzinfo=UTC)
_RANDOM_BITS = 10


class Identifiers:
    """Hands out names, each greater than the last, however many are asked for within one second."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._last = 0

    def new(self, at: datetime) -> str:
        """A name for an incident that opens `at`; one that was never handed out by this object."""
        seconds = int((at - _EPOCH).total_seconds())
        candidate = (max(seconds, 0) << _RANDOM_BITS) | self._random.getrandbits(_RANDOM_BITS)
        self._last = max(candidate, self._last + 1)
        return _encode(self._last)


def _encode(number: int) -> str:
    return "".join(ALPHABET[(number >> shift) & 31] for shift in range(5 * (LENGTH - 1), -1, -5))
