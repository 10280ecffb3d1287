"""Where a socket is: the one shape that all layers share."""

from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address

Address = tuple[str, int]
"""Host and port; an IPv6 host stands without brackets."""


@lru_cache(4096)
def parse_ip(host: str) -> IPv4Address | IPv6Address:
    """The IP address that a host is; the same few are read a dozen times in each call. Raises ValueError."""
    return ip_address(host)


def is_numeric(host: str) -> bool:
    """Whether the host is an IPv4 or IPv6 address, so that no name has to be looked up to send to it."""
    try:
        parse_ip(host)
    except ValueError:
        return False
    return True
