"""Free ports on loopback, for programs that cannot be told to choose one themselves."""

import os
import random
import socket

ALL = range(10240, 32000)
"""Below the range from which Linux takes ephemeral ports, so that no outgoing socket is in the way."""


def _mine(worker: str, workers: int) -> tuple[int, int]:
    """The share of one of several processes that test side by side (pytest-xdist), so that they never meet."""
    number = int(worker.removeprefix("gw") or 0)
    each = len(ALL) // max(workers, 1)
    return ALL.start + number * each, ALL.start + (number + 1) * each


LOW, HIGH = _mine(os.environ.get("PYTEST_XDIST_WORKER", ""), int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")))

_next = random.Random(os.getpid()).randrange(LOW, HIGH, 2)


def free_ports(count: int = 1) -> int:
    """The first of `count` consecutive ports, even, that nobody listens on over UDP or TCP, IPv4 or IPv6.

    They are given out in a round, so that none is given twice before thousands of others were.
    """
    global _next
    for _ in range(HIGH - LOW):
        first = _next if _next + count <= HIGH else LOW
        taken = next((port for port in reversed(range(first, first + count)) if not _is_free(port)), None)
        _next = (first + count if taken is None else taken + 1) + 1 & ~1
        if taken is None:
            return first
    raise RuntimeError(f"no {count} consecutive free ports between {LOW} and {HIGH}")


def _is_free(port: int) -> bool:
    for family, host in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):
        for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
            with socket.socket(family, kind) as probe:
                if family == socket.AF_INET6:
                    probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                try:
                    probe.bind((host, port))
                except OSError:
                    return False
    return True
