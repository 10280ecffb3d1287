"""What the listeners of every transport share: families, buffers, errors that a person can act on."""

import contextlib
import errno
import socket
from typing import Any

from voice.address import Address
from voice.errors import ConfigurationError
from voice.sip.flow import host_port


def family_of(host: str) -> socket.AddressFamily:
    """The family of a numeric address."""
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def is_wildcard(host: str) -> bool:
    """Whether a socket bound to this host takes what comes to any address of the machine."""
    return host in ("0.0.0.0", "::", "")


def address_of(name: Any) -> Address:
    """An `Address` from what the socket module returns; a link-local one keeps its scope."""
    if len(name) == 4 and name[3] and "%" not in name[0]:
        return f"{name[0]}%{name[3]}", name[1]
    return name[0], name[1]


def set_buffers(sock: socket.socket, size: int) -> None:
    """Ask for large buffers, so that a pause of the process loses nothing; the kernel grants what it may."""
    for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, option, size)


def refusal(protocol: str, address: Address, error: OSError) -> ConfigurationError:
    """Why a listener cannot have its address, and what can be done."""
    where = f"cannot listen on {protocol} {host_port(address)}"
    key = f"[sip] {protocol.lower()}"
    if error.errno == errno.EADDRINUSE:
        return ConfigurationError(
            f"{where}: the port is in use by another program; stop that one, or set another port in {key}"
        )
    if error.errno in (errno.EACCES, errno.EPERM):
        return ConfigurationError(
            f"{where}: no right to use this port; set a port from 1024 up in {key}, "
            "or grant the capability CAP_NET_BIND_SERVICE"
        )
    if error.errno == errno.EADDRNOTAVAIL:
        return ConfigurationError(
            f"{where}: this machine has no such address; set one of its own, 0.0.0.0 or [::], in {key}"
        )
    return ConfigurationError(f"{where}: {error.strerror or error}; see {key}")


def listening_socket(protocol: str, address: Address) -> socket.socket:
    """A bound stream socket for a listener. Raises ConfigurationError when the address cannot be had."""
    family = family_of(address[0])
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a restart need not wait for TIME_WAIT
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(address)
        sock.listen(512)
    except OSError as error:
        sock.close()
        raise refusal(protocol, address, error) from error
    return sock
