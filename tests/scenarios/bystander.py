"""What somebody sees who stands beside a worker and reads every packet that comes to his telephone.

Two calls cannot be told apart if what came in them is equal, at the same moments, but for names and numbers that are
drawn by lot for every call. Those are replaced by the order in which they were first met.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import ndiff
from itertools import zip_longest

from voice.sim.wire import Packet

_DRAWN = re.compile(
    rb"(?P<branch>(?<=branch=)[^;,\s>]+)|(?P<tag>(?<=tag=)[^;,\s>]+)|(?P<call>(?<=\r\nCall-ID: )\S+)"
    rb"|(?P<sequence>(?<=\r\nCSeq: )\d+)|(?P<port>(?<=\r\nm=audio )\d+|(?<=\r\na=rtcp:)\d+)"
)
"""Names and numbers that are drawn, or counted on with every call of the whole service."""

_FIRST_REPORT_BLOCK = {200: 28, 201: 8}
"""Octets before the first report block of a sender's and of a receiver's report (RFC 3550 section 6.4)."""
_REPORT_BLOCK = 24


@dataclass(frozen=True, slots=True)
class Seen:
    """One packet, or one text message."""

    at: float
    """Seconds since the world began."""
    kind: str
    data: bytes


@dataclass(slots=True)
class Names:
    """By what is drawn, the order in which it was first met."""

    known: dict[tuple[str, bytes], int]

    def name(self, kind: str, drawn: bytes) -> bytes:
        return b"<%s %d>" % (kind.encode(), self.known.setdefault((kind, drawn), len(self.known)))

    def replace(self, found: re.Match[bytes]) -> bytes:
        kind = found.lastgroup or ""
        return self.name(kind, found[0])


def seen(packets: Sequence[Packet], host: str, began: float, *, echoes: bool = True) -> list[Seen]:
    """All that was sent to this host. Without `echoes`: but for what reports tell it of its own packets."""
    names = Names({})
    told: list[Seen] = []
    for packet in packets:
        if packet.destination[0] == host:
            data = packet.data if packet.protocol == "RTP" else _DRAWN.sub(names.replace, packet.data)
            kind = packet.protocol if packet.protocol != "RTP" else f"RTP {names.name('port', _port(packet)).decode()}"
            told.append(Seen(packet.sent - began, kind, data if echoes else _without_echoes(data)))
    return told


def _port(packet: Packet) -> bytes:
    return b"%d" % packet.source[1]


def _without_echoes(data: bytes) -> bytes:
    first = _FIRST_REPORT_BLOCK.get(data[1])
    if first is None:
        return data
    return data[:first] + data[first + _REPORT_BLOCK * (data[0] & 0x1F) :]


def difference(one: Sequence[Seen], other: Sequence[Seen]) -> str | None:
    """The first packet that differs, to be read by people; None: there is none."""
    for number, (first, second) in enumerate(zip_longest(one, other)):
        if first != second:
            told = "\n".join(ndiff(_told(first), _told(second)))
            return f"packet {number} of {len(one)} and {len(other)}:\n{told}"
    return None


def _told(packet: Seen | None) -> list[str]:
    if packet is None:
        return ["nothing"]
    data = packet.data.hex(" ", 4) if packet.kind.startswith("RTP") else packet.data.decode()
    return [f"{packet.kind} at {packet.at:.6f} s", *data.splitlines()]
