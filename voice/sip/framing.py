"""Cutting a byte stream into SIP messages by Content-Length (RFC 3261 section 18.3), with keep-alives."""

import re

PING = b"\r\n\r\n"
"""A keep-alive of the peer; the answer to it is PONG (RFC 5626 section 4.4.1)."""
PONG = b"\r\n"

DEFAULT_LIMIT = 65536
"""Largest message taken from a stream, in bytes, as large as a datagram can be."""

_FOLD = re.compile(rb"[ \t]*\r\n[ \t]+")
_LENGTH = re.compile(rb"\r\n(?:content-length|l)[ \t]*:[ \t]*([^\r\n]*?)[ \t]*(?=\r\n)", re.IGNORECASE)


class StreamFramer:
    """Collects bytes of one connection and hands out whole messages.

    When the stream cannot be cut any further `broken` says why, and the connection has to be closed. If the
    head of the offending message was whole, that head is handed out last, to be answered 400 before.
    """

    def __init__(self, limit: int = DEFAULT_LIMIT) -> None:
        self.broken: str | None = None
        self._limit = limit
        self._buffer = bytearray()
        self._searched = 0
        self._needed = 0

    @property
    def empty(self) -> bool:
        """Whether nothing is waiting for its rest."""
        return not self._buffer

    def feed(self, data: bytes) -> list[bytes]:
        """Take what arrived; return what became whole, in order: messages, and PING for each keep-alive."""
        frames: list[bytes] = []
        if self.broken:
            return frames
        self._buffer += data
        while self.broken is None:
            frame = self._keep_alive() or self._message()
            if frame is None:
                break
            frames.append(frame)
        return frames

    def _keep_alive(self) -> bytes | None:
        """A PING between messages. A single CRLF is a pong or padding: skipped (RFC 3261 section 7.5)."""
        while self._buffer[:2] == b"\r\n":
            if self._buffer[:4] == PING:
                del self._buffer[:4]
                return PING
            if PING.startswith(self._buffer):
                return None  # the rest of a ping may still come
            del self._buffer[:2]
        return None

    def _message(self) -> bytes | None:
        if not self._needed and not self._measure():
            return None
        if len(self._buffer) < self._needed:
            return None
        return self._cut(self._needed)

    def _cut(self, size: int) -> bytes:
        message = bytes(self._buffer[:size])
        del self._buffer[:size]
        self._searched = self._needed = 0
        return message

    def _measure(self) -> bool:
        """Find the end of the head and with it the size of the message; False while more has to arrive."""
        if PING.startswith(self._buffer):
            return False
        end = self._buffer.find(b"\r\n\r\n", self._searched)
        if end < 0:
            self._searched = max(0, len(self._buffer) - 3)
            if len(self._buffer) > self._limit:
                self.broken = "the head of a message is too long"
            return False
        head = end + 4
        length, self.broken = _content_length(bytes(self._buffer[:head]))
        if head + length > self._limit:
            self.broken = "a message is too long"
        # A broken head goes out alone: it is all that can be answered.
        self._needed = head if self.broken else head + length
        return True


def _content_length(head: bytes) -> tuple[int, str | None]:
    """The length of the body, and what is wrong with the header that should say it."""
    if b"\r\n " in head or b"\r\n\t" in head:
        head = _FOLD.sub(b" ", head)
    values = set(_LENGTH.findall(head))
    if not values:
        return 0, "no Content-Length on a stream"
    value = values.pop()
    if values or not value.isdigit() or len(value) > 9:
        return 0, "a Content-Length that cannot be used"
    return int(value), None
