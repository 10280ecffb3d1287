"""A call as a SIP ladder: who sent what to whom, when, in plain ASCII."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from voice.address import Address
from voice.sip.flow import host_port

_CSEQ = re.compile(r"^cseq[ \t]*:[ \t]*\d+[ \t]+(\S+)", re.IGNORECASE | re.MULTILINE)
_SDP = re.compile(r"^(?:content-type|c)[ \t]*:[ \t]*application/sdp", re.IGNORECASE | re.MULTILINE)
_MARGIN = 12
_GAP = 40


@dataclass(frozen=True, slots=True)
class TracedMessage:
    """One message on the wire, masked."""

    at: datetime
    sent: bool
    """By us; else received."""
    protocol: str
    local: Address
    remote: Address
    call_id: str
    text: str
    """The message with "\\n" line ends."""

    @property
    def label(self) -> str:
        """ "INVITE (SDP)" or "200 OK to INVITE (SDP)"."""
        start = self.text.partition("\n")[0]
        if start.startswith("SIP/2.0 "):
            method = _CSEQ.search(self.text)
            label = start[8:].strip() + (f" to {method[1]}" if method else "")
        else:
            label = start.partition(" ")[0]
        return label + (" (SDP)" if _SDP.search(self.text) else "")

    @property
    def peer(self) -> str:
        return f"{self.protocol} {host_port(self.remote)}"


def ladder(messages: Sequence[TracedMessage], us: str = "Earshot") -> str:
    """The messages of one call as a ladder: milliseconds since the first, an arrow, what was sent.

    The first peer stands at the left, others at the right of us. A message that was on the wire before, a
    retransmission, is marked "again".
    """
    if not messages:
        return "no messages\n"
    peers = list(dict.fromkeys(message.peer for message in messages))
    columns = [peers[0], us, *peers[1:]]
    x = {name: _MARGIN + 2 + index * _GAP for index, name in enumerate(columns)}
    first = messages[0].at
    lines = [f"Call-ID {messages[0].call_id}", f"first message {first:%Y-%m-%d %H:%M:%S.%f} UTC", ""]
    lines.append(_heading(x))
    seen: set[tuple[bool, str, str]] = set()
    for message in messages:
        key = (message.sent, message.peer, message.text)
        label = message.label + (" again" if key in seen else "")
        seen.add(key)
        time = f"{(message.at - first).total_seconds() * 1000:.0f} ms"
        start, end = (us, message.peer) if message.sent else (message.peer, us)
        lines.append(_rung(time, label, x[start], x[end], list(x.values())))
    return "\n".join(lines) + "\n"


def _heading(x: dict[str, int]) -> str:
    line = ""
    for name, position in x.items():
        start = max(len(line) + (2 if line else 0), position - len(name) // 2)
        line = line.ljust(start) + name
    return line


def _rung(time: str, label: str, start: int, end: int, columns: list[int]) -> str:
    """One line: the time, a bar for each column and the arrow from one of them to another."""
    cells = list(time.rjust(_MARGIN - 2).ljust(max(columns) + 1))
    for column in columns:
        cells[column] = "|"
    low, high = sorted((start, end))
    room = high - low - 1
    label = label if len(label) <= room - 6 else label[: room - 9] + "..."
    arrow = f" {label} ".center(room - 1, "-")
    arrow = arrow + ">" if end > start else "<" + arrow
    cells[low + 1 : high] = arrow
    return "".join(cells).rstrip()
