"""Server transactions: RFC 3261 section 17.2, with the Accepted state of RFC 6026."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar

from voice.sip.flow import Flow
from voice.sip.message import Message, Request, Response, ViaInfo, response_to, serialize, to_tag
from voice.sip.routing import response_flow
from voice.sip.transactions import Host, Input, Key, State, Table, Transaction


class ServerTransaction(Transaction, ABC):
    """A request of a peer and what we answered."""

    __slots__ = ("_data", "answered_elsewhere", "on_cancel", "source", "status", "to_tag", "via")

    def __init__(
        self, host: Host, key: Key, request: Request, via: ViaInfo, source: Flow, ended: Callable[[Key], None]
    ) -> None:
        """`source` is the flow by which the request came, `via` its top Via as it came."""
        super().__init__(host, key, request, response_flow(via, source), ended)
        self.via = via
        self._data = b""
        self.source = source
        self.status = 0
        """The last status sent, 0 before any."""
        self.to_tag: str | None = None
        """The tag that our responses put into the To."""
        self.on_cancel: Callable[[ServerTransaction], None] = _nothing_to_cancel
        """Who is told that the peer has withdrawn the request (9.2)."""
        self.answered_elsewhere = False
        """Whether the responses go another way, because the connection of the request has closed."""

    @abstractmethod
    def start(self) -> None:
        """The request has just come for the first time."""

    def respond(self, response: Response) -> None:
        """Send a response of the transaction user; ignored when a final one has gone out already."""
        code = response.code
        what = Input.SEND_1XX if code < 200 else Input.SEND_2XX if code < 300 else Input.SEND_FAILURE
        self.feed(what, response)

    def reroute(self, flow: Flow) -> None:
        """18.2.2: the connection is gone, a new one leads to the sent-by.

        A refusal that may be lost goes again; a 2xx is repeated anyhow until its ACK.
        """
        if self.answered_elsewhere or self.ended:
            return
        self.answered_elsewhere = True
        self.flow = flow
        if self.state is State.COMPLETED:
            self.repeat()

    def send(self, message: Message | None) -> None:
        if isinstance(message, Response):
            self.status = message.code
            self.to_tag = to_tag(message) or self.to_tag
            self._data = serialize(message)
            if message.code >= 200:
                self.on_cancel = _nothing_to_cancel
        self._host.transmit(self._data, self.flow)

    def repeat(self, _: Message | None = None) -> None:
        """Send the last response again, when there is one."""
        if self._data:
            self._host.retransmit(self._data, self.flow)


def _nothing_to_cancel(transaction: ServerTransaction) -> None:
    """A CANCEL for a request that is answered at once has no effect (9.2)."""


leave = Transaction.leave
send = ServerTransaction.send
repeat = ServerTransaction.repeat


class InviteServer(ServerTransaction):
    """INVITE server transaction (17.2.1, figure 7; RFC 6026 section 8.5).

    Proceeding   the transaction user is at it. After 200 ms without a word of it we send 100, so that the
                 peer stops repeating. The INVITE again: the last provisional response again, if any.
    Completed    300-699 sent: repeated over UDP at T1, doubling up to T2 (Timer G), until the ACK or Timer H.
    Confirmed    the ACK came: its repetitions are absorbed until Timer I (T4, 0 when reliable).
    Accepted     2xx sent. The transaction user repeats it (13.3.1.4) until the ACK; here the INVITE again
                 is absorbed for 64*T1 (Timer L), instead of looking like a new call.
    """

    __slots__ = ()

    def start(self) -> None:
        self.state = State.PROCEEDING
        if self._host.timing.trying > 0:
            self.start_timer(Input.TIMER_100, self._host.timing.trying)
        else:
            self.send_trying(None)

    def send_trying(self, _: Message | None) -> None:
        if self.status == 0:
            self.send(response_to(self.request, 100))

    def start_g_h(self, _: Message | None) -> None:
        self.stop_timers()
        if not self.flow.reliable:
            self.start_timer(Input.TIMER_G, self.interval)
        self.start_timer(Input.TIMER_H, self._host.timing.timeout)

    def double_g(self, _: Message | None) -> None:
        self.interval = min(2 * self.interval, self._host.timing.t2)
        self.start_timer(Input.TIMER_G, self.interval)

    def start_i(self, _: Message | None) -> None:
        self.stop_timers()
        self.linger(Input.TIMER_I, self._host.timing.t4)

    def start_l(self, _: Message | None) -> None:
        self.stop_timers()
        self.start_timer(Input.TIMER_L, self._host.timing.timeout)

    TABLE: ClassVar[Table] = {
        (State.PROCEEDING, Input.REQUEST): (State.PROCEEDING, (repeat,)),
        (State.PROCEEDING, Input.TIMER_100): (State.PROCEEDING, (send_trying,)),
        (State.PROCEEDING, Input.SEND_1XX): (State.PROCEEDING, (send,)),
        (State.PROCEEDING, Input.SEND_2XX): (State.ACCEPTED, (start_l, send)),
        (State.PROCEEDING, Input.SEND_FAILURE): (State.COMPLETED, (start_g_h, send)),
        (State.COMPLETED, Input.REQUEST): (State.COMPLETED, (repeat,)),
        (State.COMPLETED, Input.TIMER_G): (State.COMPLETED, (repeat, double_g)),
        (State.COMPLETED, Input.ACK): (State.CONFIRMED, (start_i,)),
        (State.COMPLETED, Input.TIMER_H): (State.TERMINATED, (leave,)),
        (State.CONFIRMED, Input.ACK): (State.CONFIRMED, ()),
        (State.CONFIRMED, Input.TIMER_I): (State.TERMINATED, (leave,)),
        (State.ACCEPTED, Input.SEND_2XX): (State.ACCEPTED, (repeat,)),
        (State.ACCEPTED, Input.TIMER_L): (State.TERMINATED, (leave,)),
    }


class NonInviteServer(ServerTransaction):
    """Non-INVITE server transaction (17.2.2, figure 8).

    Trying       nothing sent; the request again is dropped.
    Proceeding   a provisional response was sent; the request again: that response again.
    Completed    the final response was sent; the request again: that response again, until Timer J (64*T1,
                 0 when reliable). A dead transport ends nothing: the peer repeats and finds the answer kept.
    """

    __slots__ = ()

    def start(self) -> None:
        self.state = State.TRYING

    def start_j(self, _: Message | None) -> None:
        self.linger(Input.TIMER_J, self._host.timing.timeout)

    TABLE: ClassVar[Table] = {
        (State.TRYING, Input.SEND_1XX): (State.PROCEEDING, (send,)),
        (State.TRYING, Input.SEND_2XX): (State.COMPLETED, (send, start_j)),
        (State.TRYING, Input.SEND_FAILURE): (State.COMPLETED, (send, start_j)),
        (State.PROCEEDING, Input.REQUEST): (State.PROCEEDING, (repeat,)),
        (State.PROCEEDING, Input.SEND_1XX): (State.PROCEEDING, (send,)),
        (State.PROCEEDING, Input.SEND_2XX): (State.COMPLETED, (send, start_j)),
        (State.PROCEEDING, Input.SEND_FAILURE): (State.COMPLETED, (send, start_j)),
        (State.COMPLETED, Input.REQUEST): (State.COMPLETED, (repeat,)),
        (State.COMPLETED, Input.TIMER_J): (State.TERMINATED, (leave,)),
    }
