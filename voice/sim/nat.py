"""A router with network address translation, as at the home or the mobile network of a device.

The common kind, RFC 4787 sections 4.1 and 5: endpoint-independent mapping (one outside port per inside
socket) with address- and port-dependent filtering (only those may answer to whom that socket has sent).
"""

from itertools import count

from voice.address import Address


class Nat:
    """The translations of one router with one host behind it."""

    def __init__(self, inside: str, outside: str) -> None:
        self.inside = inside
        self.outside = outside
        self._next = count(40_001, 2)  # neither the inside port nor an even one: nobody may guess either
        self._outside_of: dict[Address, Address] = {}
        self._inside_of: dict[Address, Address] = {}
        self._permitted: set[tuple[Address, Address]] = set()

    def outbound(self, source: Address, to: Address) -> Address:
        """The source address as the outside sees it; lets `to` answer from now on."""
        if source[0] != self.inside:
            return source
        outside = self._outside_of.get(source)
        if outside is None:
            outside = self._outside_of[source] = (self.outside, next(self._next))
            self._inside_of[outside] = source
        self._permitted.add((outside, to))
        return outside

    def inbound(self, source: Address, to: Address) -> Address | None:
        """The inside socket for a packet to `to`, or None where the router drops it."""
        return self._inside_of.get(to) if (to, source) in self._permitted else None

    def forget(self) -> None:
        """The router restarts, or the mappings time out: the next packet out gets a new port."""
        self._outside_of.clear()
        self._inside_of.clear()
        self._permitted.clear()
