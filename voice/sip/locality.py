"""Which of our addresses a peer can reach us at."""

import ipaddress
import socket
from collections.abc import Iterable

from voice.address import is_numeric, parse_ip
from voice.sip.sockets import family_of, is_wildcard

_KEPT = 30.0
"""Seconds that an answer of the kernel counts; routes change."""
_DISCARD = 9


class Locality:
    """Answers with a configured public host, or with the address that the kernel would use to a peer."""

    def __init__(self, public_host: str | None = None, local_networks: Iterable[str] = ()) -> None:
        """`public_host` is how peers outside `local_networks` (CIDR) and this machine see us."""
        self._public_host = public_host
        self._local = [ipaddress.ip_network(network) for network in local_networks]
        self._known: dict[str, tuple[float, str]] = {}

    def host(self, bound: str, remote: str, now: float) -> str:
        """The host to advertise to `remote` for a listener bound to `bound`."""
        if self._public_host is not None and not self._is_near(remote):
            return self._public_host
        if not is_wildcard(bound):
            return bound
        known = self._known.get(remote)
        if known is None or known[0] < now:
            if len(self._known) >= 1000:
                self._known.clear()
            known = self._known[remote] = (now + _KEPT, kernel_choice(remote) or bound)
        return known[1]

    def _is_near(self, remote: str) -> bool:
        if not is_numeric(remote):
            return False
        address = parse_ip(remote)
        return address.is_loopback or any(address in network for network in self._local)


def kernel_choice(remote: str) -> str | None:
    """The source address of a datagram to `remote`; connecting sends nothing. None: there is no route."""
    try:
        with socket.socket(family_of(remote), socket.SOCK_DGRAM) as probe:
            probe.connect((remote, _DISCARD))
            host: str = probe.getsockname()[0]
            return host
    except OSError:
        return None
