"""Names of incidents: eight characters that sort by time, can be read out and dialled as `listen-<incident>`.

40 bits in Crockford's base 32, lower case (no i, l, o, u: nothing is misheard as 1 or 0): 30 bits of seconds
since 2025, which last until 2059, and 10 random bits. Where several nodes give names for one database, the last three
of the random ones are the node's slot instead: no two nodes ever give the same name, without asking each other.
"""

from datetime import UTC, datetime
from random import Random

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
LENGTH = 8
SLOTS = 8
"""How many nodes can give names for one database."""
_EPOCH = datetime(2025, 1, 1, tzinfo=UTC)
_RANDOM_BITS = 10


class Identifiers:
    """Hands out names, each greater than the last, however many are asked for within one second.

    `slot` is the node's, 0 to 7; None for a process that has its database alone.
    """

    def __init__(self, random: Random, slot: int | None = None) -> None:
        self._random = random
        self._slot, self._step = 0, 1
        self._last = -1
        if slot is not None:
            self.take(slot)

    def take(self, slot: int) -> None:
        """The node's slot from now on. A node that cannot ask for it yet has none: then two that open an incident
        within one second give the same name once in a thousand times."""
        if slot not in range(SLOTS):
            raise ValueError(f"a node's slot is 0 to {SLOTS - 1}, not {slot}")
        self._slot, self._step = slot, SLOTS

    def new(self, at: datetime) -> str:
        """A name for an incident that opens `at`; one that was never handed out by this object."""
        seconds = int((at - _EPOCH).total_seconds())
        candidate = (max(seconds, 0) << _RANDOM_BITS) | self._random.getrandbits(_RANDOM_BITS)
        candidate += self._slot - candidate % self._step
        if candidate <= self._last:
            candidate = self._last + 1 + (self._slot - self._last - 1) % self._step
        self._last = candidate
        return _encode(candidate)


def _encode(number: int) -> str:
    return "".join(ALPHABET[(number >> shift) & 31] for shift in range(5 * (LENGTH - 1), -1, -5))
