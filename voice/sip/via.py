"""Via header fields: reading them, noting where a request came from (RFC 3261 sections 18.2 and 20.42)."""

import re
from typing import NamedTuple

from sipmessage import Request, Response

from voice.address import Address
from voice.errors import UsageError
from voice.sip.fields import PARAMS, TOKEN, elements, parse_params, split_list

DEFAULT_PORTS = {"UDP": 5060, "TCP": 5060, "TLS": 5061}

_VIA = re.compile(
    rf"\s*SIP\s*/\s*[0-9.]+\s*/\s*({TOKEN})\s+"
    rf"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?:\s*:\s*([0-9]{{1,5}}))?({PARAMS})",
    re.IGNORECASE | re.DOTALL,
)


class ViaInfo(NamedTuple):
    """One Via value (RFC 3261 section 20.42)."""

    transport: str
    """In upper case: "UDP", "TCP", "TLS"."""
    host: str
    """Without IPv6 brackets."""
    port: int
    """As given, else the default of the transport."""
    branch: str | None
    rport: str | None
    """None when absent, "" when asked for and not filled in (RFC 3581)."""
    received: str | None
    sent_by: str
    """Host and port as written, in lower case: part of the key of a transaction (section 17.2.3)."""


def via_is_sound(value: str) -> bool:
    """Whether every Via value of a header line can be read."""
    if "," not in value:
        return _VIA.fullmatch(value) is not None
    values = split_list(value)
    return bool(values) and all(map(_VIA.fullmatch, values))


def via_values(message: Request | Response) -> list[str]:
    """Every Via value, topmost first."""
    return elements(message.headers, "Via")


def top_via(message: Request | Response) -> ViaInfo:
    """The topmost Via. Raises UsageError on a message that `parse` would not have accepted."""
    value = message.headers["Via"]
    via = parse_via(value if "," not in value else split_list(value)[0])
    if via is None:
        raise UsageError(f"message without a usable Via: {value!r}")
    return via


def parse_via(value: str) -> ViaInfo | None:
    """Read one Via value; None when it cannot be read."""
    match = _VIA.fullmatch(value)
    if match is None:
        return None
    transport, host, port, tail = match.groups()
    transport = transport.upper()
    host = host.lower()
    params = parse_params(tail)
    rport = (params["rport"] or "") if "rport" in params else None
    return ViaInfo(
        transport,
        host.strip("[]"),
        int(port) if port else DEFAULT_PORTS.get(transport, 5060),
        params.get("branch"),
        rport,
        params.get("received"),
        f"{host}:{port}" if port else host,
    )


def stamp_via(request: Request, source: Address) -> None:
    """Note in the topmost Via where the request came from.

    RFC 3261 section 18.2.1: `received` when the host of sent-by is not the source address. RFC 3581 section
    4: both are always set when `rport` is there.
    """
    via = top_via(request)
    host, port = source
    if via.rport is None and via.host == host:
        return
    first, *others = via_values(request)
    head, *params = [part.strip() for part in first.split(";")]
    kept = [part for part in params if part.partition("=")[0].strip().lower() not in ("rport", "received")]
    added = [f"received={host}"] if via.rport is None else [f"received={host}", f"rport={port}"]
    request.headers.setlist("Via", [";".join([head, *kept, *added]), *others])
