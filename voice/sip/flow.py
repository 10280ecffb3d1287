"""One path to a peer: the socket it goes by and the address at the other end (a flow, in RFC 5626)."""

from dataclasses import dataclass

from voice.address import Address

UDP, TCP, TLS = "UDP", "TCP", "TLS"


@dataclass(frozen=True, slots=True)
class Flow:
    """One path to a peer. Equal flows reach the peer through the same socket."""

    protocol: str
    """"UDP", "TCP" or "TLS", as a Via header spells it."""
    local: Address
    """The listener the flow belongs to, or the local end of a connection that we opened."""
    remote: Address
    connection: int = 0
    """Identity of a stream connection, never used twice; 0 for UDP."""

    @property
    def reliable(self) -> bool:
        """Whether the transport itself repeats what is lost (then we do not, RFC 3261 section 17)."""
        return self.protocol != UDP

    @property
    def secure(self) -> bool:
        """Whether the path is encrypted."""
        return self.protocol == TLS

    def __str__(self) -> str:
        return f"{self.protocol} {host_port(self.remote)}"


def host_port(address: Address) -> str:
    """The address as a Via or a URI writes it: an IPv6 host stands in brackets (RFC 3261 section 25.1)."""
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
