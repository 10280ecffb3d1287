"""The small values that a configuration is written in: addresses, port ranges, networks, URLs, telephone numbers.

Each `parse_...` takes what stands in the file and raises `ValueError` with a text that says what is allowed.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TypeGuard
from urllib.parse import urlsplit

from voice.address import Address

Network = IPv4Network | IPv6Network

_ADDRESS = re.compile(r"(?:\[(?P<v6>[^\]]+)\]|(?P<v4>[^:\[\]]+)):(?P<port>\d{1,5})")
_SERVER = re.compile(r"(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<name>[A-Za-z0-9_.-]+)):(?P<port>\d{1,5})")
_PORTS = re.compile(r"\s*(\d{1,5})\s*-\s*(\d{1,5})\s*")
_SIP_URI = re.compile(r"sips?:(?:[^@\s<>\"]+@)?(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+)(?::\d{1,5})?(?:;[^\s<>\"]*)?")
_ADDRESS_ALLOWED = 'allowed: "address:port" with a numeric address, such as "0.0.0.0:5060" or "[::]:5060"'


def parse_address(text: object) -> Address:
    """`"0.0.0.0:5060"` or `"[::]:5060"` as (host, port)."""
    match = _ADDRESS.fullmatch(text.strip()) if isinstance(text, str) else None
    if match is None:
        raise ValueError(f"{text!r} is no address; {_ADDRESS_ALLOWED}")
    host, port = match["v6"] or match["v4"], int(match["port"])
    try:
        numeric = ip_address("127.0.0.1" if host == "localhost" else host)
    except ValueError:
        raise ValueError(f"{host!r} is no numeric address; {_ADDRESS_ALLOWED}") from None
    if isinstance(numeric, IPv6Address) != (match["v6"] is not None):
        raise ValueError(f"{text!r}: only an IPv6 address stands in brackets; {_ADDRESS_ALLOWED}")
    if port > 65535:
        raise ValueError(f"port {port} is too large; allowed: 0 to 65535 (0 takes any free port)")
    return str(numeric), port


def parse_addresses(value: object) -> tuple[Address, ...]:
    """One address, a list of them, or nothing (`""` or `[]`: this transport is off)."""
    if value == "":
        return ()
    items: Sequence[object] = value if isinstance(value, list | tuple) else [value]
    return tuple(item if _is_address(item) else parse_address(item) for item in items)


def _is_address(value: object) -> TypeGuard[Address]:
    return isinstance(value, tuple) and len(value) == 2 and isinstance(value[1], int)


def parse_host(text: object) -> str:
    """A numeric address without a port, as it is written into Contact, Via and SDP."""
    try:
        host: IPv4Address | IPv6Address = ip_address(str(text).strip().removeprefix("[").removesuffix("]"))
    except ValueError:
        raise ValueError(f'{text!r} is no numeric address; allowed: such as "192.0.2.10"') from None
    return str(host)


def parse_network(text: object) -> Network:
    """`"192.0.2.0/24"`, or a single address."""
    try:
        return ip_network(str(text).strip())
    except ValueError as error:
        raise ValueError(f'{error}; allowed: such as "192.0.2.0/24", "192.0.2.7" or "2001:db8::/32"') from None


def parse_sip_uri(text: object) -> str:
    """A `sip:` or `sips:` URI, without angle brackets or display name (RFC 3261 section 19.1)."""
    if not isinstance(text, str) or _SIP_URI.fullmatch(text) is None:
        raise ValueError(f'{text!r} is no SIP URI; allowed: such as "sip:101@192.0.2.10:5060;transport=tcp"')
    return text


@dataclass(frozen=True, slots=True)
class PortRange:
    """UDP ports from `first` (even: RTP) to `last` (odd: its RTCP), both included (RFC 3550 section 11)."""

    first: int
    last: int

    @property
    def pairs(self) -> int:
        """How many RTP sessions fit."""
        return (self.last - self.first + 1) // 2

    def __str__(self) -> str:
        return f"{self.first}-{self.last}"


def parse_ports(text: object) -> PortRange:
    """`"20000-23999"`. An odd first or an even last port is left out: RTP takes an even port and the next one."""
    if isinstance(text, PortRange):
        return text
    allowed = 'allowed: "from-to" within 1024 to 65535, such as "20000-23999"'
    match = _PORTS.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise ValueError(f"{text!r} is no range of ports; {allowed}")
    first, last = int(match[1]), int(match[2])
    if not 1024 <= first < last <= 65535:
        raise ValueError(f"ports {first} to {last} make no range; {allowed}")
    first, last = first + first % 2, last - (last + 1) % 2
    if last < first:
        raise ValueError(f"{text!r} holds no pair of ports for RTP and RTCP; {allowed}")
    return PortRange(first, last)


def parse_server(text: object) -> Address:
    """`"mail.example.org:587"`: a host by name or address, and its port."""
    match = _SERVER.fullmatch(text.strip()) if isinstance(text, str) else None
    if match is None or not 1 <= int(match["port"]) <= 65535:
        raise ValueError(f'{text!r} is no server; allowed: "host:port", such as "mail.example.org:587"')
    return (match["v6"] or match["name"]), int(match["port"])


def parse_web_url(text: object) -> str:
    """An `http:` or `https:` URL with a host and without a fragment. The text is not repeated: it may hold a secret."""
    allowed = 'allowed: such as "https://example.org/path"'
    if not isinstance(text, str) or re.search(r"[\s<>\"]", text):
        raise ValueError(f"is no URL; {allowed}")
    try:
        parts = urlsplit(text)
        fits = parts.scheme in ("http", "https") and bool(parts.hostname) and not parts.fragment
        _ = parts.port  # reading it checks it
    except ValueError:
        fits = False
    if not fits:
        raise ValueError(f"is no URL of a web server; {allowed}")
    return text


def parse_number(value: object) -> str:
    """A telephone number or SIP address, without what people write between digits."""
    text = str(value).strip()
    if re.fullmatch(r"sips?:\S+|urn:service:sos(\.[a-z-]+)*", text):
        return text
    plain = re.sub(r"[ ()./-]", "", text)
    if re.fullmatch(r"\+?\d{2,18}", plain) is None:
        raise ValueError(f"{value!r} is no number; allowed: '+31 6 1234 5678', '112', 'sip:anna@example.org'")
    return plain
