"""Whose packets are the peer's, and where to send: symmetric RTP that a stranger cannot steal.

Behind NAT the address in the SDP is not where packets come from, so media goes back to where it comes from
(RFC 4961, RFC 7362). Whoever merely sends first must not win by that ("RTP bleed": a stranger sprays packets
at the port range of a server, and is sent the conversation). What is known about a source, weakest first:

    UNKNOWN     nothing
    SIGNALLING  its host is the one that the SIP messages come from
    HOST        its host is the one named in the SDP
    EXACT       host and port are those of the SDP

The rules:

1. Only packets with a negotiated payload type count; all else is counted and dropped.
2. The first such packet is audio at once: an alarm is recorded from its first packet. Media is sent back to
   it at once when something is known about the source; an UNKNOWN source has to send a second packet first.
3. For `window` seconds from the first packet, a source that is better known takes over. Later it does not.
   An UNKNOWN source that has sent a single packet also yields to two packets in a row of another.
4. While the held source is heard, nobody else is: packets of others are counted as strangers'.
5. Once the held source has been silent for `silence` seconds it may come back from another address if it is
   the same stream (same SSRC, sequence number going on): a NAT binding changed, or a device went from Wi-Fi
   to mobile. A source that is better known than the held one may take over as well.
6. A lock on an UNKNOWN source that has been silent for `abandoned` seconds is worth nothing: two packets in a
   row take it. Else a scanner that came first would have locked the device out for the whole call.
7. A renegotiation that names another address opens the window again. The held source stays until another
   takes over by being better known, or by two packets in a row while the held one is quiet. Meanwhile media
   goes to the new address if the old one proved true (EXACT), else (NAT) still to the held source.
8. A new SSRC at the held address (a gateway switching streams) needs two packets in a row while the old one
   is quiet.

"Two packets in a row" is RFC 3550's MIN_SEQUENTIAL (appendix A.1): consecutive sequence numbers, with no
packet of the held stream between them. "Quiet" is QUIET seconds, longer than a flowing stream ever pauses
between two packets. So a stranger who interleaves packets with those of the device, however many, never
moves the latch. An attacker who sees the packets and forges their source address is beyond this: that needs
SRTP.
"""

from collections.abc import Collection
from enum import IntEnum

from voice.address import Address, parse_ip
from voice.rtp.sequence import SEQUENCE_BITS, distance

QUIET = 0.05
MAX_DROPOUT = 3000
"""How far a sequence number may jump and still be the same stream (RFC 3550 appendix A.1): a minute."""


class Known(IntEnum):
    """How much is known about a source; see the module's docstring."""

    UNKNOWN = 0
    SIGNALLING = 1
    HOST = 2
    EXACT = 3


def normal_host(host: str) -> str:
    """The host as sockets write it: IPv6 compressed in lower case, IPv4-mapped as IPv4; names unchanged."""
    try:
        address = parse_ip(host)
    except ValueError:
        return host
    mapped = getattr(address, "ipv4_mapped", None)
    return str(mapped or address)


def is_unspecified(host: str) -> bool:
    """Whether nothing can be sent to this host: 0.0.0.0, ::, or a name (RFC 3264 section 8.4, RFC 6157)."""
    try:
        return parse_ip(host).is_unspecified
    except ValueError:
        return True


class Latch:
    """The latch of one RTP session. Times are seconds of any monotonic clock."""

    __slots__ = (
        "_abandoned",
        "_confirmed",
        "_expected",
        "_expected_rtcp",
        "_heard",
        "_known",
        "_open_until",
        "_payload_types",
        "_reopened",
        "_rival",
        "_rtcp_source",
        "_sequence",
        "_signalling_host",
        "_silence",
        "_source",
        "_ssrc",
        "_window",
        "moves",
        "strangers",
        "unnegotiated",
    )

    def __init__(
        self,
        expected: Address,
        payload_types: Collection[int],
        *,
        expected_rtcp: Address | None = None,
        signalling_host: str | None = None,
        window: float = 2.0,
        silence: float = 0.5,
        abandoned: float = 3.0,
    ) -> None:
        """`expected` is the address of the SDP; `expected_rtcp` None means that RTCP shares it (rtcp-mux)."""
        self._expected = (normal_host(expected[0]), expected[1])
        self._expected_rtcp = expected_rtcp
        self._payload_types = frozenset(payload_types)
        self._signalling_host = None if signalling_host is None else normal_host(signalling_host)
        self._window = window
        self._silence = silence
        self._abandoned = abandoned
        self._source: Address | None = None
        self._ssrc = 0
        self._sequence = 0
        self._known = Known.UNKNOWN
        self._confirmed = False
        self._heard = 0.0
        self._open_until = 0.0
        self._reopened = False
        self._rival: tuple[Address, int, int] | None = None
        self._rtcp_source: Address | None = None
        self.moves = 0
        """How often the held stream (source or SSRC) changed after the first."""
        self.strangers = 0
        """Packets refused because of where they came from."""
        self.unnegotiated = 0
        """Packets of the held source refused because of their payload type."""

    @property
    def source(self) -> Address | None:
        """The held source; None before the first packet."""
        return self._source

    @property
    def ssrc(self) -> int | None:
        """The SSRC of the held stream; None before the first packet."""
        return None if self._source is None else self._ssrc

    @property
    def known(self) -> Known:
        """How much is known about the held source."""
        return self._known

    @property
    def remote(self) -> Address | None:
        """Where to send RTP: the held source once confirmed, else the SDP's address. None: nowhere yet."""
        if self._confirmed:
            return self._source
        return None if is_unspecified(self._expected[0]) else self._expected

    @property
    def remote_rtcp(self) -> Address | None:
        """Where to send RTCP: with rtcp-mux as `remote`, else where it comes from, else the SDP's address."""
        if self._expected_rtcp is None:
            return self.remote
        if self._rtcp_source is not None:
            return self._rtcp_source
        return None if is_unspecified(self._expected_rtcp[0]) else self._expected_rtcp

    def accept(self, source: Address, payload_type: int, sequence: int, ssrc: int, now: float) -> bool:
        """Whether this packet is the peer's. Every RTP packet goes through here, in order of arrival."""
        if source == self._source and ssrc == self._ssrc and payload_type in self._payload_types:
            self._heard = now
            self._sequence = sequence
            self._rival = None
            if not self._confirmed:
                self._confirm(now)
            return True
        return self._consider(source, payload_type, sequence, ssrc, now)

    def accept_rtcp(self, source: Address) -> bool:
        """Whether an RTCP packet on its own port is the peer's, by host; RTCP goes back to its source."""
        hosts = {self._expected[0]}
        if self._expected_rtcp is not None:
            hosts.add(normal_host(self._expected_rtcp[0]))
        if self._source is not None:
            hosts.add(self._source[0])
        if source[0] not in hosts:
            self.strangers += 1
            return False
        self._rtcp_source = source
        return True

    def renegotiate(
        self,
        expected: Address,
        payload_types: Collection[int],
        now: float,
        *,
        expected_rtcp: Address | None = None,
    ) -> bool:
        """A re-INVITE was agreed on: does the media move? Not by the same address again, nor by an old-style hold."""
        self._payload_types = frozenset(payload_types)
        expected = (normal_host(expected[0]), expected[1])
        if is_unspecified(expected[0]):
            return False
        if expected_rtcp != self._expected_rtcp:
            self._expected_rtcp = expected_rtcp
            self._rtcp_source = None
        if expected == self._expected:
            return False
        self._expected = expected
        self._rival = None
        if self._source is not None:
            self._confirmed = self._confirmed and self._known is not Known.EXACT
            self._known = self._rank(self._source)
            self._reopened = True
            self._open_until = now + self._window
        return True

    def _confirm(self, now: float) -> None:
        """The held source was heard again: send to it, unless a renegotiation just named another place."""
        if not self._reopened or now >= self._open_until:
            self._confirmed = True
            self._reopened = False

    def _rank(self, source: Address) -> Known:
        if source == self._expected:
            return Known.EXACT
        if source[0] == self._expected[0]:
            return Known.HOST
        if source[0] == self._signalling_host:
            return Known.SIGNALLING
        return Known.UNKNOWN

    def _consider(self, source: Address, payload_type: int, sequence: int, ssrc: int, now: float) -> bool:
        """Anything but the next packet of the held stream."""
        if payload_type not in self._payload_types:
            if source == self._source:
                self.unnegotiated += 1
            else:
                self.strangers += 1
            return False
        if self._source is None:
            self._open_until = now + self._window
            self._hold(source, sequence, ssrc, now)
            self._confirmed = self._known > Known.UNKNOWN
            return True
        if self._may_take_over(source, sequence, ssrc, now):
            self.moves += 1
            self._hold(source, sequence, ssrc, now)
            self._confirmed = True
            return True
        self._rival = (source, ssrc, sequence)
        self.strangers += 1
        return False

    def _may_take_over(self, source: Address, sequence: int, ssrc: int, now: float) -> bool:
        silent = now - self._heard
        in_a_row = self._rival == (source, ssrc, (sequence - 1) & 0xFFFF)
        if source == self._source:
            return in_a_row and silent >= QUIET
        known = self._rank(source)
        if known > self._known and (now < self._open_until or silent >= self._silence):
            return True
        if silent >= self._silence and self._continues(sequence, ssrc):
            return True
        if not in_a_row:
            return False
        if self._reopened:
            return silent >= QUIET and now < self._open_until
        if self._known is Known.UNKNOWN:
            return not self._confirmed or silent >= self._abandoned
        return False

    def _continues(self, sequence: int, ssrc: int) -> bool:
        return ssrc == self._ssrc and 0 < distance(sequence, self._sequence, SEQUENCE_BITS) <= MAX_DROPOUT

    def _hold(self, source: Address, sequence: int, ssrc: int, now: float) -> None:
        if source != self._source:
            self._reopened = False
        self._known = self._rank(source)
        self._source = source
        self._ssrc = ssrc
        self._sequence = sequence
        self._heard = now
        self._rival = None
