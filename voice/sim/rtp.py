"""RTP sockets on the simulated network, with the contract of `voice.rtp.transport`.

A packet in flight is an entry in the inbox of its receiver with its time of arrival, not a callback of the
loop: a story carries thousands of them, and they are read by whoever drains the socket on its own clock.
"""

from bisect import insort
from operator import itemgetter

from voice.address import Address
from voice.errors import ConfigurationError, PortsExhausted
from voice.rtp.transport import RtpSocket
from voice.sim.network import Network

_arrival = itemgetter(0)


class SimRtpSocket:
    """One simulated UDP socket (a `voice.rtp.transport.RtpSocket`)."""

    __slots__ = ("_inbox", "_network", "_open", "age", "local")

    def __init__(self, network: Network, local: Address) -> None:
        self.local = local
        self.age = 0.0
        self._network = network
        self._inbox: list[tuple[float, bytes, Address]] = []
        self._open = True
        network.bind(local, self._arrive)

    def receive(self) -> list[tuple[bytes, Address]]:
        inbox = self._inbox
        if not inbox:
            return []
        now = self._network.loop.time()
        if inbox[-1][0] <= now:
            self.age = now - inbox[-1][0]
            self._inbox = []
            return [(data, source) for _, data, source in inbox]
        due = 0
        while inbox[due][0] <= now:
            due += 1
        if due:
            self.age = now - inbox[due - 1][0]
        arrived = [(data, source) for _, data, source in inbox[:due]]
        del inbox[:due]
        return arrived

    def send(self, data: bytes, to: Address) -> None:
        if self._open:
            self._network.send_media(self.local, to, data)

    def close(self) -> None:
        if self._open:
            self._open = False
            self._inbox.clear()
            self._network.unbind(self.local)

    def _arrive(self, at: float, data: bytes, source: Address) -> None:
        inbox = self._inbox
        if inbox and at < inbox[-1][0]:
            insort(inbox, (at, data, source), key=_arrival)
        else:
            inbox.append((at, data, source))


class SimRtpPorts:
    """The RTP ports of one host (a `voice.rtp.transport.RtpPorts`); none is reused soon."""

    def __init__(self, network: Network, host: str, *, first: int = 20_000, last: int = 29_999) -> None:
        self._network = network
        self._host = host
        self._range = range(first + first % 2, last, 2)
        self._next = 0

    def open_pair(self) -> tuple[RtpSocket, RtpSocket]:
        for turn in range(len(self._range)):
            port = self._range[(self._next + turn) % len(self._range)]
            try:
                rtp = SimRtpSocket(self._network, (self._host, port))
            except ConfigurationError:
                continue
            try:
                rtcp = SimRtpSocket(self._network, (self._host, port + 1))
            except ConfigurationError:
                rtp.close()
                continue
            self._next = (self._next + turn + 1) % len(self._range)
            return rtp, rtcp
        raise PortsExhausted(f"no RTP port is free on {self._host}")
