"""Sockets for RTP and RTCP: the only I/O of `voice.rtp`.

No readiness is awaited and no task runs per call: the media clock drains each socket when it is its turn, so a
socket costs a few system calls a second. The kernel's buffer holds what arrives in between.
"""

from __future__ import annotations

from typing import Protocol

Address = tuple[str, int]


class RtpSocket(Protocol):
    """One UDP socket of an RTP session."""

    local: Address

    def receive(self) -> list[tuple[bytes, Address]]:
        """All that has arrived, oldest first. Never blocks or raises."""
        ...

    def send(self, data: bytes, to: Address) -> None:
        """Send one datagram. Never raises; what could not be sent is counted."""
        ...

    def close(self) -> None: ...


class RtpPorts(Protocol):
    """Hands out pairs of sockets, RTP on an even port and RTCP on the next (RFC 3550 section 11)."""

    def open_pair(self) -> tuple[RtpSocket, RtpSocket]:
        """Raises PortsExhausted."""
        ...
