"""Numbers that wrap around: RTP sequence numbers (16 bit) and timestamps (32 bit), RFC 3550 section 5.1."""

SEQUENCE_BITS = 16
TIMESTAMP_BITS = 32


def distance(later: int, earlier: int, bits: int) -> int:
    """How far `later` is ahead of `earlier` on a circle of 2**bits numbers; negative when it is behind."""
    half = 1 << (bits - 1)
    return ((later - earlier + half) & ((1 << bits) - 1)) - half
