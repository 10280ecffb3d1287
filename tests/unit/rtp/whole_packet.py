"""An RTP packet with every part that RFC 3550 section 5.1 allows: what the reader and the writer are held against."""

import struct
from dataclasses import dataclass

from voice.rtp.packet import HEADER_LENGTH, parse_header


@dataclass(frozen=True, slots=True)
class Extension:
    """A header extension (RFC 3550 section 5.3.1)."""

    profile: int
    data: bytes
    """A multiple of four bytes."""


@dataclass(frozen=True, slots=True)
class RtpPacket:
    """A whole packet, every part of it."""

    payload_type: int
    sequence: int
    timestamp: int
    ssrc: int
    payload: bytes
    marker: bool = False
    contributing: tuple[int, ...] = ()
    extension: Extension | None = None
    padding: int = 0
    """Bytes of padding at the end, the length byte included; 0 for none."""

    @classmethod
    def parse(cls, data: bytes) -> "RtpPacket":
        """Read a packet; raises RtpError as `parse_header` does."""
        payload_type, marker, sequence, timestamp, ssrc, start, end = parse_header(data)
        count = data[0] & 0x0F
        extension = None
        if data[0] & 0x10:
            at = HEADER_LENGTH + 4 * count
            extension = Extension(int.from_bytes(data[at : at + 2], "big"), bytes(data[at + 4 : start]))
        return cls(
            payload_type=payload_type,
            sequence=sequence,
            timestamp=timestamp,
            ssrc=ssrc,
            payload=bytes(data[start:end]),
            marker=marker,
            contributing=struct.unpack_from(f"!{count}I", data, HEADER_LENGTH),
            extension=extension,
            padding=len(data) - end,
        )

    def serialize(self) -> bytes:
        """The packet as bytes."""
        first = 0x80 | len(self.contributing)
        parts = [struct.pack(f"!{len(self.contributing)}I", *self.contributing)]
        if self.extension is not None:
            first |= 0x10
            parts.append(
                struct.pack("!HH", self.extension.profile, len(self.extension.data) // 4) + self.extension.data
            )
        parts.append(self.payload)
        if self.padding:
            first |= 0x20
            parts.append(bytes(self.padding - 1) + bytes([self.padding]))
        second = self.payload_type | 0x80 if self.marker else self.payload_type
        header = struct.pack("!BBHII", first, second, self.sequence, self.timestamp, self.ssrc)
        return header + b"".join(parts)
