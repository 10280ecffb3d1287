"""What the four transactions of RFC 3261 section 17 have in common, and how a message finds its transaction.

A transaction is a table: (state, input) -> (next state, actions). What the table does not name is ignored,
which is what the figures of the RFC mean by drawing no arrow. Tables: `client_transactions.py`,
`server_transactions.py`.
"""

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, ClassVar, Protocol

from voice.sip.flow import Flow
from voice.sip.message import BRANCH_COOKIE, Message, Request, ViaInfo, call_id, from_tag, to_tag
from voice.sip.timers import Timer, TimerQueue, Timing


class State(StrEnum):
    """The states of figures 5 to 8, and Accepted of RFC 6026."""

    CALLING = "calling"
    TRYING = "trying"
    PROCEEDING = "proceeding"
    COMPLETED = "completed"
    ACCEPTED = "accepted"
    CONFIRMED = "confirmed"
    TERMINATED = "terminated"


class Input(StrEnum):
    """What can happen: a message, a word of the transaction user, a timer, a dead transport."""

    REQUEST = "request received again"
    ACK = "ACK received"
    SEND_1XX = "provisional response to send"
    SEND_2XX = "2xx to send"
    SEND_FAILURE = "300-699 to send"
    GOT_1XX = "provisional response received"
    GOT_2XX = "2xx received"
    GOT_FAILURE = "300-699 received"
    TRANSPORT_ERROR = "transport error"
    TIMER_A = "Timer A: INVITE again, interval doubling without cap"
    TIMER_B = "Timer B: no response to an INVITE"
    TIMER_D = "Timer D: end of waiting for 300-699 again"
    TIMER_E = "Timer E: request again, interval doubling up to T2"
    TIMER_F = "Timer F: no final response to a request"
    TIMER_G = "Timer G: 300-699 to an INVITE again, interval doubling up to T2"
    TIMER_H = "Timer H: no ACK for 300-699"
    TIMER_I = "Timer I: end of waiting for ACK again"
    TIMER_J = "Timer J: end of waiting for the request again"
    TIMER_K = "Timer K: end of waiting for the response again"
    TIMER_L = "Timer L: end of waiting for the INVITE again after a 2xx (RFC 6026)"
    TIMER_M = "Timer M: end of waiting for further 2xx (RFC 6026)"
    TIMER_100 = "200 ms without a response of the transaction user"


Action = Callable[[Any, Message | None], None]
"""A method of the transaction, given the message that caused the step, if one did."""
Table = Mapping[tuple[State, Input], tuple[State, tuple[Action, ...]]]


class Host(Protocol):
    """What a transaction needs of the core around it."""

    now: float
    timers: TimerQueue
    timing: Timing

    def transmit(self, data: bytes, flow: Flow) -> None:
        """Put one message on its way."""

    def retransmit(self, data: bytes, flow: Flow) -> None:
        """Put a message on its way that was sent before."""


class Transaction:
    """One transaction: its state, the flow it uses, its running timers."""

    __slots__ = ("_ended", "_host", "_timers", "flow", "interval", "key", "request", "state")

    TABLE: ClassVar[Table] = {}

    def __init__(self, host: Host, key: "Key", request: Request, flow: Flow, ended: Callable[["Key"], None]) -> None:
        self._host = host
        self._ended = ended
        self._timers: dict[Input, Timer] = {}
        self.key = key
        self.request = request
        self.flow = flow
        self.interval = host.timing.t1
        """The present interval of the retransmission timer (A, E or G)."""
        self.state = State.TERMINATED

    def feed(self, what: Input, message: Message | None = None) -> bool:
        """Take one step of the table. False when the table has no such row, and nothing happened."""
        row = self.TABLE.get((self.state, what))
        if row is None:
            return False
        self.state, actions = row
        for action in actions:
            action(self, message)
        return True

    @property
    def ended(self) -> bool:
        return self.state is State.TERMINATED

    def start_timer(self, name: Input, delay: float) -> None:
        """(Re)start the named timer; with no delay it fires at the next run of the queue."""
        if (running := self._timers.get(name)) is not None:
            running.cancel()
        self._timers[name] = self._host.timers.at(self._host.now + delay, lambda: self._fire(name))

    def linger(self, name: Input, delay: float) -> None:
        """Wait for repetitions; over a reliable transport there are none, and the end is now."""
        if self.flow.reliable:
            self.leave()
        else:
            self.start_timer(name, delay)

    def stop_timers(self) -> None:
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()

    def _fire(self, name: Input) -> None:
        self._timers.pop(name, None)
        self.feed(name)

    def leave(self, _: Message | None = None) -> None:
        """Enter Terminated: "the transaction MUST be destroyed immediately" (17.1.1.2)."""
        self.state = State.TERMINATED
        self.stop_timers()
        self._ended(self.key)


Key = tuple[str, ...]
"""Names a transaction among all of its side (client or server)."""


def client_key(via: ViaInfo, method: str) -> Key:
    """Section 17.1.3: a response belongs to the request with the same branch and the same CSeq method."""
    return via.branch or "", method


def server_key(request: Request, via: ViaInfo, method: str | None = None) -> Key:
    """Section 17.2.3: branch, sent-by and method, where the method of an ACK counts as INVITE.

    Call-ID and CSeq number are part of the name too: they never differ within a transaction, and a device
    that uses its branch again for its next call would otherwise have that call swallowed as a repetition.
    Without the magic cookie the peer is of RFC 2543, and Request-URI and From tag count as well. The To tag
    stands apart (`same_recipient`), since that of an ACK is the one of our response.
    `method` asks for another transaction with the same names: the INVITE that a CANCEL wants to stop (9.2).
    """
    method = method or request.method
    if method == "ACK":
        method = "INVITE"
    branch = via.branch or ""
    number = request.headers["CSeq"].split(None, 1)[0]
    if branch.startswith(BRANCH_COOKIE) and len(branch) > len(BRANCH_COOKIE):
        return branch, via.sent_by, method, call_id(request), number
    tag = from_tag(request) or ""
    return "", branch, via.sent_by, method, call_id(request), number, str(request.uri), tag


def is_rfc2543(key: Key) -> bool:
    """Whether the peer gave no branch that is unique across space and time."""
    return not key[0]


def merge_key(request: Request) -> Key:
    """Section 8.2.2.2: a request that came twice on different ways has another branch but the same names."""
    return call_id(request), from_tag(request) or "", request.headers["CSeq"]


def same_recipient(request: Request, first: Request, response_tag: str | None) -> bool:
    """The To tag of RFC 2543 peers: an ACK has that of our response, a repetition that of the request."""
    tag = to_tag(request)
    if request.method == "ACK":
        return tag == (to_tag(first) or response_tag)
    return tag == to_tag(first)
