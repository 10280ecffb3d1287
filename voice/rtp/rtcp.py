"""RTCP packets, RFC 3550 section 6: reading and writing compound packets.

SR, RR, SDES, BYE and APP are understood; other types (feedback of RFC 4585, XR of RFC 3611) come out as
`OtherPacket`. The reader checks what appendix A.2 asks for, with one exception: a compound packet need not
begin with a report, since phones exist that send a BYE alone.
"""

import struct
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from voice.errors import RtpError, UsageError

SENDER_REPORT: Final = 200
RECEIVER_REPORT: Final = 201
SOURCE_DESCRIPTION: Final = 202
GOODBYE: Final = 203
APPLICATION: Final = 204

CNAME: Final = 1
"""The SDES item that every compound packet of ours carries (section 6.5.1)."""
MAX_BLOCKS: Final = 31
"""What the five bits of a count can say: reports, chunks or sources in one packet."""

_COMMON = struct.Struct("!BBH")
_SENDER = struct.Struct("!IQIII")
_BLOCK = struct.Struct("!IIIIII")


@dataclass(frozen=True, slots=True)
class ReportBlock:
    """How one source is received (section 6.4.1)."""

    ssrc: int
    fraction_lost: int
    """Loss since the last report, in 256ths."""
    cumulative_lost: int
    """Packets lost since the beginning, signed 24 bit: duplicates make it negative."""
    highest_sequence: int
    """Highest sequence number received, with the count of wraps in the upper 16 bits."""
    jitter: int
    """In timestamp units."""
    last_report: int
    """The middle 32 bits of the NTP time in the last sender report received; 0 for none."""
    delay: int
    """Since that sender report, in 65536ths of a second; 0 for none."""


@dataclass(frozen=True, slots=True)
class SenderReport:
    """SR: a source that sends says when and how much, and how it receives others."""

    ssrc: int
    ntp: int
    """64 bit: seconds since 1900 and their fraction."""
    timestamp: int
    """The same moment in RTP timestamp units."""
    packets: int
    octets: int
    reports: tuple[ReportBlock, ...] = ()


@dataclass(frozen=True, slots=True)
class ReceiverReport:
    """RR: from a source that sends nothing."""

    ssrc: int
    reports: tuple[ReportBlock, ...] = ()


@dataclass(frozen=True, slots=True)
class Chunk:
    """What SDES says about one source."""

    ssrc: int
    items: tuple[tuple[int, str], ...]
    """Type and text of each item; bytes that are no UTF-8 are replaced."""


@dataclass(frozen=True, slots=True)
class SourceDescription:
    """SDES."""

    chunks: tuple[Chunk, ...]


@dataclass(frozen=True, slots=True)
class Goodbye:
    """BYE: these sources leave."""

    sources: tuple[int, ...]
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ApplicationPacket:
    """APP."""

    subtype: int
    ssrc: int
    name: bytes
    """Four bytes."""
    data: bytes = b""


@dataclass(frozen=True, slots=True)
class OtherPacket:
    """A type that we do not read."""

    payload_type: int
    count: int
    body: bytes


RtcpPacket = SenderReport | ReceiverReport | SourceDescription | Goodbye | ApplicationPacket | OtherPacket


def parse_compound(data: bytes) -> tuple[RtcpPacket, ...]:
    """Every packet of a compound packet, in order; raises RtpError."""
    if not data:
        raise RtpError("empty RTCP packet")
    packets: list[RtcpPacket] = []
    at = 0
    while at < len(data):
        if len(data) - at < _COMMON.size:
            raise RtpError("RTCP header beyond the end")
        first, payload_type, words = _COMMON.unpack_from(data, at)
        end = at + 4 * (words + 1)
        if first >> 6 != 2:
            raise RtpError(f"RTCP version {first >> 6}")
        if end > len(data):
            raise RtpError("RTCP packet beyond the end")
        body = data[at + 4 : end]
        if first & 0x20:
            body = _without_padding(body, is_last=end == len(data))
        read = _READERS.get(payload_type)
        count = first & 0x1F
        packets.append(read(count, body) if read else OtherPacket(payload_type, count, body))
        at = end
    return tuple(packets)


def _without_padding(body: bytes, *, is_last: bool) -> bytes:
    """Padding stands in the last packet only, and counts whole words (section 6.4.1)."""
    padding = body[-1] if body else 0
    if not is_last or padding == 0 or padding % 4 or padding > len(body):
        raise RtpError("RTCP padding")
    return body[:-padding]


def _need(body: bytes, length: int) -> None:
    if len(body) < length:
        raise RtpError(f"RTCP packet of {len(body)} bytes where {length} are needed")


def _reports(count: int, body: bytes, at: int) -> tuple[ReportBlock, ...]:
    """What follows the blocks is a profile's extension and is passed over (section 6.4.3)."""
    _need(body, at + count * _BLOCK.size)
    return tuple(_report(*_BLOCK.unpack_from(body, at + index * _BLOCK.size)) for index in range(count))


def _report(ssrc: int, loss: int, highest: int, jitter: int, last: int, delay: int) -> ReportBlock:
    lost = loss & 0xFFFFFF
    signed = lost - 0x1000000 if lost & 0x800000 else lost
    return ReportBlock(ssrc, loss >> 24, signed, highest, jitter, last, delay)


def _read_sender_report(count: int, body: bytes) -> SenderReport:
    _need(body, _SENDER.size)
    ssrc, ntp, timestamp, packets, octets = _SENDER.unpack_from(body)
    return SenderReport(ssrc, ntp, timestamp, packets, octets, _reports(count, body, _SENDER.size))


def _read_receiver_report(count: int, body: bytes) -> ReceiverReport:
    _need(body, 4)
    return ReceiverReport(int.from_bytes(body[:4], "big"), _reports(count, body, 4))


def _read_source_description(count: int, body: bytes) -> SourceDescription:
    chunks: list[Chunk] = []
    at = 0
    for _ in range(count):
        _need(body, at + 4)
        ssrc = int.from_bytes(body[at : at + 4], "big")
        items, at = _items(body, at + 4)
        chunks.append(Chunk(ssrc, items))
    return SourceDescription(tuple(chunks))


def _items(body: bytes, at: int) -> tuple[tuple[tuple[int, str], ...], int]:
    """The items of a chunk, and where the next chunk begins: a zero ends the list, more fill up the word."""
    items: list[tuple[int, str]] = []
    while True:
        _need(body, at + 1)
        kind = body[at]
        if kind == 0:
            return tuple(items), (at + 4) & ~3
        _need(body, at + 2)
        end = at + 2 + body[at + 1]
        _need(body, end)
        items.append((kind, body[at + 2 : end].decode("utf-8", "replace")))
        at = end


def _read_goodbye(count: int, body: bytes) -> Goodbye:
    _need(body, 4 * count)
    sources = struct.unpack_from(f"!{count}I", body)
    rest = body[4 * count :]
    if not rest:
        return Goodbye(sources)
    _need(rest, 1 + rest[0])
    return Goodbye(sources, rest[1 : 1 + rest[0]].decode("utf-8", "replace"))


def _read_application(subtype: int, body: bytes) -> ApplicationPacket:
    _need(body, 8)
    return ApplicationPacket(subtype, int.from_bytes(body[:4], "big"), body[4:8], body[8:])


_READERS: Mapping[int, Callable[[int, bytes], RtcpPacket]] = {
    SENDER_REPORT: _read_sender_report,
    RECEIVER_REPORT: _read_receiver_report,
    SOURCE_DESCRIPTION: _read_source_description,
    GOODBYE: _read_goodbye,
    APPLICATION: _read_application,
}


def build_compound(packets: Iterable[RtcpPacket]) -> bytes:
    """The packets as one; raises UsageError for more than fits into a count or a length."""
    return b"".join(_written(packet) for packet in packets)


def _written(packet: RtcpPacket) -> bytes:
    match packet:
        case SenderReport(ssrc, ntp, timestamp, sent, octets, reports):
            counts = (sent & 0xFFFFFFFF, octets & 0xFFFFFFFF)
            body = _SENDER.pack(ssrc, ntp, timestamp & 0xFFFFFFFF, *counts) + _blocks(reports)
            return _framed(SENDER_REPORT, len(reports), body)
        case ReceiverReport(ssrc, reports):
            return _framed(RECEIVER_REPORT, len(reports), ssrc.to_bytes(4, "big") + _blocks(reports))
        case SourceDescription(chunks):
            return _framed(SOURCE_DESCRIPTION, len(chunks), b"".join(map(_chunk, chunks)))
        case Goodbye(sources, reason):
            body = struct.pack(f"!{len(sources)}I", *sources)
            return _framed(GOODBYE, len(sources), body + (_filled(_text(reason)) if reason else b""))
        case ApplicationPacket(subtype, ssrc, name, data):
            if len(name) != 4:
                raise UsageError("the name of an APP packet has four bytes")
            return _framed(APPLICATION, subtype, ssrc.to_bytes(4, "big") + name + data)
        case OtherPacket(payload_type, count, body):
            return _framed(payload_type, count, body)


def _framed(payload_type: int, count: int, body: bytes) -> bytes:
    if count > MAX_BLOCKS or len(body) % 4 or len(body) > 4 * 0xFFFF:
        raise UsageError(f"{count} entries in {len(body)} bytes do not fit an RTCP packet")
    return _COMMON.pack(0x80 | count, payload_type, len(body) // 4) + body


def _blocks(reports: tuple[ReportBlock, ...]) -> bytes:
    return b"".join(
        _BLOCK.pack(
            each.ssrc,
            each.fraction_lost << 24 | each.cumulative_lost & 0xFFFFFF,
            each.highest_sequence,
            each.jitter,
            each.last_report,
            each.delay,
        )
        for each in reports
    )


def _chunk(chunk: Chunk) -> bytes:
    items = b"".join(bytes([kind]) + _text(text) for kind, text in chunk.items)
    return _filled(chunk.ssrc.to_bytes(4, "big") + items + b"\0")


def _text(text: str) -> bytes:
    encoded = text.encode("utf-8")
    if len(encoded) > 255:
        raise UsageError("a text in RTCP has at most 255 bytes")
    return bytes([len(encoded)]) + encoded


def _filled(data: bytes) -> bytes:
    """Zeros up to the end of the word."""
    return data + bytes(-len(data) % 4)
