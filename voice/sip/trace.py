"""One trace per call: every message of a Call-ID as it was on the wire, shown as a ladder.

Recording costs a search for the Call-ID and an append; masking and writing wait for `flush`, which the shell
calls where blocking does no harm. Memory is bounded, by messages of a call and by bytes altogether.
"""

import re
from collections import OrderedDict, deque
from datetime import datetime
from pathlib import Path
from typing import Literal, NamedTuple

from voice.clock import Clock
from voice.sip.flow import Flow
from voice.sip.ladder import TracedMessage, ladder
from voice.sip.masking import masked
from voice.sip.trace_files import TraceFiles, read_trace

__all__ = ["Direction", "Trace", "TraceFiles", "TracedMessage", "ladder", "read_trace"]


Direction = Literal["sent", "received"]

BESIDES = 500
"""Bytes that a message costs in memory besides its own, roughly; else a flood of tiny ones would cost gigabytes."""

_CALL_ID = re.compile(rb"^(?:call-id|i)[ \t]*:[ \t]*([^\r\n]+?)[ \t]*\r?$", re.IGNORECASE | re.MULTILINE)


class _Raw(NamedTuple):
    at: datetime
    sent: bool
    flow: Flow
    call_id: str
    data: bytes


def _cost(raw: _Raw) -> int:
    return len(raw.data) + BESIDES


class Trace:
    """The messages of the latest calls, in memory and, where files are given, on disk."""

    def __init__(
        self,
        clock: Clock,
        files: TraceFiles | None = None,
        *,
        personal: bool = True,
        bodies: bool = True,
        messages_per_call: int = 200,
        memory: int = 32 << 20,
        waiting: int = 16 << 20,
    ) -> None:
        """Without `personal`, names, user parts of addresses and bodies are masked; without `bodies`, bodies.

        `memory` bounds the bytes of messages held, `waiting` of those that are not written yet.
        """
        self.dropped = 0
        """Messages that could not be kept or written: a bound was reached, or the disk failed."""
        self._clock = clock
        self._files = files
        self._personal = personal
        self._bodies = bodies
        self._messages_per_call = messages_per_call
        self._memory = memory
        self._held = 0
        self._may_wait = waiting
        self._queued = 0  # bytes, counted by `record`
        self._taken = 0  # bytes, counted by `flush`
        self._known: OrderedDict[str, list[_Raw]] = OrderedDict()
        self._waiting: deque[_Raw] = deque()

    @classmethod
    def to_directory(cls, directory: Path, clock: Clock, *, personal: bool = True, bodies: bool = True) -> "Trace":
        """A trace that is also written to files of this directory."""
        return cls(clock, TraceFiles(directory), personal=personal, bodies=bodies)

    def record(self, direction: Direction, data: bytes, flow: Flow, at: float | None = None) -> None:
        """Note one message. `at` is not used: a trace tells the time of day, for other processes to read."""
        match = _CALL_ID.search(data)
        call_id = match[1].decode("utf-8", "replace") if match else ""
        raw = _Raw(self._clock.now(), direction == "sent", flow, call_id, data)
        self._hold(raw)
        if self._files is None:
            return
        if self._queued - self._taken + _cost(raw) <= self._may_wait:
            self._waiting.append(raw)
            self._queued += _cost(raw)
        else:
            self.dropped += 1

    def _hold(self, raw: _Raw) -> None:
        messages = self._known.setdefault(raw.call_id, [])
        if len(messages) >= self._messages_per_call:
            self.dropped += 1
            return
        messages.append(raw)
        self._held += _cost(raw)
        while self._held > self._memory:
            _, forgotten = self._known.popitem(last=False)
            self._held -= sum(map(_cost, forgotten))

    def messages(self, call_id: str) -> list[TracedMessage]:
        """What memory holds of a call, masked."""
        return [self._masked(raw) for raw in self._known.get(call_id, ())]

    def ladder(self, call_id: str) -> str:
        """The call as a ladder."""
        return ladder(self.messages(call_id))

    @property
    def unwritten(self) -> int:
        """How many messages wait for `flush`."""
        return len(self._waiting)

    def flush(self) -> None:
        """Write what waits. May block, may run in another thread. A failing disk costs the trace, no call."""
        batch = [self._waiting.popleft() for _ in range(len(self._waiting))]
        self._taken += sum(map(_cost, batch))
        if self._files is None or not batch:
            return
        try:
            self._files.write(map(self._masked, batch))
        except OSError:
            self.dropped += len(batch)

    def _masked(self, raw: _Raw) -> TracedMessage:
        flow = raw.flow
        text = masked(raw.data, self._personal, self._bodies)
        return TracedMessage(raw.at, raw.sent, flow.protocol, flow.local, flow.remote, raw.call_id, text)
