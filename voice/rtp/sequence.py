"""Numbers that wrap around: RTP sequence numbers (16 bit) and timestamps (32 bit), RFC 3550 section 5.1."""

SEQUENCE_BITS = 16
TIMESTAMP_BITS = 32


def distance(later: int, earlier: int, bits: int) -> int:
    """How far `later` is ahead of `earlier` on a circle of 2**bits numbers; negative when it is behind."""
    half = 1 << (bits - 1)
    return ((later - earlier + half) & ((1 << bits) - 1)) - half


class Unwrapper:
    """Turns wrapping numbers into a line that never wraps, whatever the loss, reordering or duplication.

    Each number is placed on the turn of the circle that puts it nearest to the highest seen so far. That is
    right as long as a number is less than half a circle away: 32,768 packets (11 minutes of a lost stream at
    20 ms) or 2**31 samples (74 hours at 8 kHz). A new SSRC starts a new count: use a new Unwrapper, or
    `reset`. Numbers from before the first one seen come out lower than it, negative ones included.
    """

    __slots__ = ("_half", "_highest", "_mask")

    def __init__(self, bits: int) -> None:
        self._mask = (1 << bits) - 1
        self._half = 1 << (bits - 1)
        self._highest: int | None = None

    @property
    def highest(self) -> int | None:
        """The highest number of the line so far; None before the first."""
        return self._highest

    def unwrap(self, number: int) -> int:
        """Place a number on the line; the first keeps its value."""
        highest = self._highest
        if highest is None:
            self._highest = number
            return number
        ahead = ((number - highest + self._half) & self._mask) - self._half
        place = highest + ahead
        if ahead > 0:
            self._highest = place
        return place

    def peek(self, number: int) -> int:
        """Where `unwrap` would place the number, without remembering it."""
        highest = self._highest
        if highest is None:
            return number
        return highest + ((number - highest + self._half) & self._mask) - self._half

    def reset(self) -> None:
        """Forget everything: the next number starts a new line."""
        self._highest = None
