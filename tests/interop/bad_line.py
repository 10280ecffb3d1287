"""A line in the test's own process that loses packets and lets them overtake each other.

It carries UDP from one address of loopback to another. The ports are the same at both ends, so nothing but the address
tells a program that it is there. It needs no rights.
"""

import asyncio
import random
import socket
from collections.abc import Callable
from dataclasses import dataclass, field

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
    late: float = 0.0
    """The most seconds by which a packet took longer than it should: then the line was worse than was asked for."""
    _dice: random.Random = field(init=False)
    _ports: list["_Port"] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._dice = random.Random(self.seed)

    async def open(self, ports: range | list[int]) -> None:
        """Stand in front of these ports."""
        self._ports += [_Port(self, port) for port in ports]

    def close(self) -> None:
        for port in self._ports:
            port.close()

    def carry(self, packet: bytes, send: Callable[[bytes], None]) -> None:
        """One packet, either way: `send` puts it out at the other end."""
        self.carried += 1
        if self._dice.random() < self.loss:
            self.lost += 1
            return
        loop = asyncio.get_running_loop()
        due = loop.time() + self.jitter * self._dice.random()

        def arrive() -> None:
            self.late = max(self.late, loop.time() - due)
            send(packet)

        loop.call_at(due, arrive)


class _Port:
    """One port. Each phone that sends to it gets a port of its own towards the service, as behind a NAT: so what the
    service sends back goes to that phone and to no other."""

    def __init__(self, line: BadLine, port: int) -> None:
        self._line = line
        self._service = NEAR, port
        self._open: list[socket.socket] = []
        self._ways: dict[Address, socket.socket] = {}
        self._front = self._bind(port, self._from_phone)

    def close(self) -> None:
        for each in self._open:
            asyncio.get_running_loop().remove_reader(each)
            each.close()

    def _bind(self, port: int, received: Callable[[bytes, Address], None]) -> socket.socket:
        bound = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._open.append(bound)
        bound.setblocking(False)
        bound.bind((FAR, port))
        asyncio.get_running_loop().add_reader(bound, lambda: received(*bound.recvfrom(65536)))
        return bound

    def _from_phone(self, packet: bytes, phone: Address) -> None:
        if phone not in self._ways:
            self._ways[phone] = self._bind(0, lambda answer, _: self._line.carry(answer, _sender(self._front, phone)))
        self._line.carry(packet, _sender(self._ways[phone], self._service))


def _sender(end: socket.socket, to: Address) -> Callable[[bytes], None]:
    def send(packet: bytes) -> None:
        if end.fileno() >= 0:
            end.sendto(packet, to)

    return send
