"""RTP packets (RFC 3550 section 5.1), read without copying on the hot path.

     0                   1                   2                   3
     0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |V=2|P|X|  CC   |M|     PT      |       sequence number         |
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |                           timestamp                           |
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |           synchronization source (SSRC) identifier            |
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+

`parse_header` takes any packet apart that is allowed; `build` makes the plain ones that are all we send.
"""

import struct

from voice.errors import RtpError

HEADER_LENGTH = 12
_HEADER = struct.Struct("!BBHII")
_unpack_header = _HEADER.unpack_from
_pack_header = _HEADER.pack
_PLAIN = 0x80
"""First byte of nearly every packet: version 2, no padding, no extension, no contributing source."""

Header = tuple[int, bool, int, int, int, int, int]
"""(payload type, marker, sequence, timestamp, SSRC, start of the payload, end of the payload)."""


def parse_header(data: bytes | memoryview) -> Header:
    """Read the header; the payload is `data[start:end]`, without padding, extension and contributing sources.

    Raises RtpError when the packet is no RTP of version 2 or its parts do not fit into its length.
    """
    length = len(data)
    if length < HEADER_LENGTH:
        raise RtpError("shorter than an RTP header")
    first, second, sequence, timestamp, ssrc = _unpack_header(data)
    if first == _PLAIN:
        return second & 0x7F, second > 0x7F, sequence, timestamp, ssrc, HEADER_LENGTH, length
    start, end = _payload_bounds(data, first, length)
    return second & 0x7F, second > 0x7F, sequence, timestamp, ssrc, start, end


def _payload_bounds(data: bytes | memoryview, first: int, length: int) -> tuple[int, int]:
    if first >> 6 != 2:
        raise RtpError(f"RTP version {first >> 6}")
    start = HEADER_LENGTH + 4 * (first & 0x0F)
    if first & 0x10:
        if length < start + 4:
            raise RtpError("header extension beyond the end")
        start += 4 + 4 * int.from_bytes(data[start + 2 : start + 4], "big")
    end = length
    if first & 0x20:
        padding = data[length - 1]
        if padding == 0:
            raise RtpError("padding of length 0")
        end -= padding
    if start > end:
        raise RtpError("header or padding beyond the end")
    return start, end


def build(payload: bytes, payload_type: int, sequence: int, timestamp: int, ssrc: int, marker: bool = False) -> bytes:
    """One plain packet. Sequence and timestamp are taken modulo 2**16 and 2**32: just count on."""
    return (
        _pack_header(
            _PLAIN,
            payload_type | 0x80 if marker else payload_type,
            sequence & 0xFFFF,
            timestamp & 0xFFFFFFFF,
            ssrc,
        )
        + payload
    )


def is_rtcp(data: bytes | memoryview) -> bool:
    """Whether a packet on a port shared by RTP and RTCP (rtcp-mux) is RTCP (RFC 5761 section 4)."""
    return len(data) > 1 and 192 <= data[1] <= 223
