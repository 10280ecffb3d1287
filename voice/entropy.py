"""The system's randomness, fetched in advance.

A call takes a dozen random names and numbers. Each of them straight from the system costs a system call, and with it
the interpreter, for which the event loop then stands in line behind the threads that write.
"""

import os
import random

POOL = 4096
"""Bytes fetched at a time."""


class PooledRandom(random.SystemRandom):
    """As `random.SystemRandom`: no state that could be guessed, no seed. For one thread."""

    def __init__(self) -> None:
        super().__init__()
        self._pool = b""
        self._taken = 0

    def randbytes(self, n: int) -> bytes:
        if n > POOL:
            return os.urandom(n)
        start, self._taken = self._taken, self._taken + n
        if self._taken > len(self._pool):
            self._pool, start, self._taken = os.urandom(POOL), 0, n
        return self._pool[start : self._taken]

    def getrandbits(self, k: int) -> int:
        if k < 0:
            raise ValueError("number of bits must be non-negative")
        count = (k + 7) // 8
        return int.from_bytes(self.randbytes(count)) >> (8 * count - k)

    def random(self) -> float:
        return (int.from_bytes(self.randbytes(7)) >> 3) * 2**-53
