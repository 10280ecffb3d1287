"""A binding of the registrar, the contact of a REGISTER that makes it, and its plain form for the store."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from voice.address import Address
from voice.sip.fields import NAME_ADDR, params_of, quote_string, uri_of
from voice.sip.flow import UDP, Flow
from voice.sip.uri import ReceivedURI, equivalent, parse_uri

FlowTo = Callable[[str, Address], Flow]


@dataclass(frozen=True, slots=True)
class Contact:
    """One contact of a REGISTER."""

    uri: str
    expires: int
    """Seconds; 0 removes the binding."""
    q: float
    instance: str | None
    """The device, whatever its address (RFC 5626 section 4.1)."""
    reg_id: int | None
    """Which of the flows of the device."""

    @property
    def parsed(self) -> ReceivedURI:
        return parse_uri(self.uri)


@dataclass(frozen=True, slots=True)
class Binding:
    """One way to reach a user."""

    contact_uri: str
    flow: Flow | None
    """The path that it registered by; None when that was a connection of before a restart."""
    expires_at: float
    """Monotonic seconds."""
    q: float
    path: tuple[str, ...]
    """Route values in front of the contact (RFC 3327), topmost first."""
    instance: str | None
    reg_id: int | None
    call_id: str
    cseq: int
    received: Address
    """Where the REGISTER really came from."""
    user_agent: str

    def is_for(self, contact: Contact) -> bool:
        """Whether the contact replaces this binding: the same device and flow, else an equivalent URI."""
        if contact.instance is not None and self.instance is not None:
            return (self.instance, self.reg_id) == (contact.instance, contact.reg_id)
        return equivalent(parse_uri(self.contact_uri), contact.parsed)

    def as_contact(self, now: float) -> str:
        """The Contact value of a 200, with the seconds that are left."""
        value = f"<{self.contact_uri}>;expires={max(0, round(self.expires_at - now))};q={self.q:g}"
        if self.instance is not None:
            value += f";+sip.instance={quote_string(self.instance)}"
        if self.reg_id is not None:
            value += f";reg-id={self.reg_id}"
        return value


def read_contacts(values: Sequence[str], expires_header: str | None, default: int) -> list[Contact]:
    """The contacts of a REGISTER. Raises ValueError for one that is no SIP address."""
    general = _seconds(expires_header, default, default)
    return [_read_contact(value, general, default) for value in values]


def _read_contact(value: str, general: int, default: int) -> Contact:
    if not NAME_ADDR.fullmatch(value):
        raise ValueError(f"no name-addr: {value!r}")
    uri = uri_of(value)
    if parse_uri(uri).scheme not in ("sip", "sips"):
        raise ValueError(f"no SIP URI: {uri!r}")
    params = params_of(value)
    reg_id = params.get("reg-id") or ""
    return Contact(
        uri=uri,
        expires=_seconds(params.get("expires"), general, default),
        q=_preference(params.get("q")),
        instance=params.get("+sip.instance") or None,
        reg_id=int(reg_id) if reg_id.isascii() and reg_id.isdigit() and len(reg_id) < 10 else None,
    )


def _seconds(text: str | None, absent: int, malformed: int) -> int:
    """An expiry time; a malformed one counts as the default (RFC 3261 section 20.19)."""
    if text is None:
        return absent
    text = text.strip()
    if not (text.isascii() and text.isdigit()):
        return malformed
    return min(int(text), 2**32 - 1) if len(text) < 12 else 2**32 - 1


def _preference(text: str | None) -> float:
    """A q value between 0 and 1; 1 when absent or malformed (section 20.10)."""
    try:
        value = float(text or "1")
    except ValueError:
        return 1.0
    return value if 0.0 <= value <= 1.0 else 1.0


def as_record(binding: Binding, expires: datetime) -> dict[str, Any]:
    """The binding as plain values, with a time of day."""
    flow = binding.flow
    return {
        "contact": binding.contact_uri,
        "protocol": flow.protocol if flow else None,
        "received": list(binding.received),
        "expires": expires.isoformat(),
        "q": binding.q,
        "path": list(binding.path),
        "instance": binding.instance,
        "reg_id": binding.reg_id,
        "call_id": binding.call_id,
        "cseq": binding.cseq,
        "user_agent": binding.user_agent,
    }


def from_record(record: Mapping[str, Any], now: float, wall: datetime, flow_to: FlowTo | None) -> Binding:
    """The binding that a record was made of. A connection is not taken up again, a UDP flow is."""
    host, port = record["received"]
    left = datetime.fromisoformat(record["expires"]) - wall
    return Binding(
        contact_uri=record["contact"],
        flow=flow_to(UDP, (host, port)) if flow_to and record["protocol"] == UDP else None,
        expires_at=now + left / timedelta(seconds=1),
        q=record["q"],
        path=tuple(record["path"]),
        instance=record["instance"],
        reg_id=record["reg_id"],
        call_id=record["call_id"],
        cseq=record["cseq"],
        received=(host, port),
        user_agent=record["user_agent"],
    )
