"""Where a socket is: the one shape that all layers share."""

import ipaddress

Address = tuple[str, int]
"""Host and port; an IPv6 host stands without brackets."""


def is_numeric(host: str) -> bool:
    """Whether the host is an IPv4 or IPv6 address, so that no name has to be looked up to send to it."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
