"""Packets on the simulated wire, and rules that decide their fate instead of chance."""

from collections.abc import Callable
from dataclasses import dataclass

from voice.address import Address


@dataclass(frozen=True, slots=True)
class Packet:
    """One datagram or one message on a stream, as it was sent."""

    sent: float
    protocol: str
    """"UDP", "TCP" or "TLS" for signalling, "RTP" for media."""
    source: Address
    destination: Address
    data: bytes
    arrives: tuple[float, ...] = ()
    """The loop times of its arrivals: none when it is lost, two when it is duplicated."""

    @property
    def start_line(self) -> str:
        return self.data.split(b"\r\n", 1)[0].decode(errors="replace")


@dataclass(slots=True)
class Rule:
    """What happens to the next packets that match, instead of chance. `used` counts them."""

    matches: Callable[[Packet], bool]
    treatment: Callable[[tuple[float, ...]], tuple[float, ...]]
    times: int
    used: int = 0

    def treat(self, packet: Packet, arrivals: tuple[float, ...]) -> tuple[float, ...]:
        if self.used >= self.times or not self.matches(packet):
            return arrivals
        self.used += 1
        return self.treatment(arrivals)


def request(method: str) -> Callable[[Packet], bool]:
    """Matches SIP requests of one method."""
    start = f"{method} ".encode()
    return lambda packet: packet.data.startswith(start)


def response(code: int, method: str = "INVITE") -> Callable[[Packet], bool]:
    """Matches SIP responses of one status to one method."""
    start, cseq = f"SIP/2.0 {code} ".encode(), f" {method}\r\n".encode()
    return lambda packet: packet.data.startswith(start) and cseq in _head(packet.data)


def _head(data: bytes) -> bytes:
    return data.split(b"\r\n\r\n", 1)[0] + b"\r\n"
