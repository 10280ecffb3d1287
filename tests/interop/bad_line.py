"""A line in the test's own process that loses packets and lets them overtake each other.

It carries UDP from one address of loopback to another. The ports are the same at both ends, so nothing but the address
tells a program that it is there. It needs no rights.
"""

import asyncio
import random
from dataclasses import dataclass, field
from typing import cast

Address = tuple[str, int]

NEAR = "127.0.0.1"
"""Where the service is."""
FAR = "127.0.0.2"
"""Where it seems to be: the same ports, at the other end of the line."""


@dataclass
class BadLine:
    """`loss` is a share of the packets, `jitter` the most seconds that one takes longer than another."""

    loss: float = 0.0
    jitter: float = 0.0
    seed: int = 0
    carried: int = 0
    lost: int = 0
    _dice: random.Random = field(init=False)
    _ports: list[asyncio.DatagramTransport] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._dice = random.Random(self.seed)

    async def open(self, ports: range | list[int]) -> None:
        """Stand in front of these ports."""
        loop = asyncio.get_running_loop()
        for port in ports:
            transport, _ = await loop.create_datagram_endpoint(lambda at=port: _Port(self, at), (FAR, port))
            self._ports.append(transport)

    def close(self) -> None:
        for port in self._ports:
            port.close()

    def carry(self, transport: asyncio.DatagramTransport, data: bytes, to: Address) -> None:
        """One packet, either way."""
        self.carried += 1
        if self._dice.random() < self.loss:
            self.lost += 1
            return
        asyncio.get_running_loop().call_later(self.jitter * self._dice.random(), _send, transport, data, to)


class _Port(asyncio.DatagramProtocol):
    """One port: what comes from the service goes to whoever sent to it last, everything else to the service."""

    def __init__(self, line: BadLine, port: int) -> None:
        self._line = line
        self._near = NEAR, port
        self._peer: Address | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: Address) -> None:
        if addr != self._near:
            self._peer = addr
            self._line.carry(self._transport, data, self._near)
        elif self._peer is not None:
            self._line.carry(self._transport, data, self._peer)


def _send(transport: asyncio.DatagramTransport, data: bytes, to: Address) -> None:
    if not transport.is_closing():
        transport.sendto(data, to)
