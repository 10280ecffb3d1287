"""Client transactions: RFC 3261 section 17.1, with the Accepted state of RFC 6026.

The transaction user hears every response that the tables let through, or once a status of our own making:
408 for Timer B or F (section 8.1.3.1: a timeout is treated as a 408), 503 for a dead transport.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar

from voice.sip.flow import Flow
from voice.sip.message import Message, Request, Response, call_id, cseq, new_request, serialize
from voice.sip.transactions import Host, Input, Key, State, Table, Transaction


class ClientTransaction(Transaction, ABC):
    """A request of ours and what comes back."""

    __slots__ = ("_data", "_on_failure", "_on_response")

    def __init__(
        self,
        host: Host,
        key: Key,
        request: Request,
        data: bytes,
        flow: Flow,
        *,
        on_response: Callable[[Response], None],
        on_failure: Callable[[int], None],
        ended: Callable[[Key], None],
    ) -> None:
        super().__init__(host, key, request, flow, ended)
        self._data = data
        self._on_response = on_response
        self._on_failure = on_failure

    @abstractmethod
    def start(self) -> None:
        """Send the request and start the timers."""

    def receive(self, response: Response) -> None:
        """A response with our branch and method (17.1.3)."""
        if response.code < 200:
            self.feed(Input.GOT_1XX, response)
        elif response.code < 300:
            self.feed(Input.GOT_2XX, response)
        else:
            self.feed(Input.GOT_FAILURE, response)

    def forsake(self) -> None:
        """End it when nobody waits for its final response any more."""

    def send_request(self, _: Message | None = None) -> None:
        self._host.transmit(self._data, self.flow)

    def repeat_request(self, _: Message | None = None) -> None:
        self._host.retransmit(self._data, self.flow)

    def pass_up(self, message: Message | None) -> None:
        if isinstance(message, Response):
            self._on_response(message)

    def report_timeout(self, _: Message | None = None) -> None:
        self._on_failure(408)

    def report_transport_error(self, _: Message | None = None) -> None:
        self._on_failure(503)


leave = Transaction.leave
repeat_request = ClientTransaction.repeat_request
pass_up = ClientTransaction.pass_up
report_timeout = ClientTransaction.report_timeout
report_transport_error = ClientTransaction.report_transport_error


class InviteClient(ClientTransaction):
    """INVITE client transaction (17.1.1, figure 5; RFC 6026 section 8.4).

    Calling      sent, nothing heard. Over UDP the INVITE is repeated at T1, 2*T1, 4*T1 ... without a cap
                 (Timer A) until Timer B gives up after 64*T1.
    Proceeding   something was heard: no repetition, and no Timer B either, since people take long to answer.
                 How long it may ring is for the layer above.
    Completed    300-699: acknowledged here, hop by hop, with the branch of the INVITE; repetitions of the
                 response are acknowledged again and not passed up, until Timer D.
    Accepted     2xx: acknowledged by the layer above, end to end. Stays for 64*T1 (Timer M) because
                 repeated 2xx and those of other forks have the same branch, and every one of them is passed
                 up.
    """

    __slots__ = ("_ack",)

    def start(self) -> None:
        self.state = State.CALLING
        self._ack = b""
        self.send_request()
        if not self.flow.reliable:
            self.start_timer(Input.TIMER_A, self.interval)
        self.start_timer(Input.TIMER_B, self._host.timing.timeout)

    def forsake(self) -> None:
        """9.1: a cancelled INVITE without a final response after another 64*T1 counts as gone."""
        if self.state is State.PROCEEDING:
            self.leave()

    def double_a(self, _: Message | None) -> None:
        self.interval *= 2
        self.start_timer(Input.TIMER_A, self.interval)

    def stop(self, _: Message | None) -> None:
        self.stop_timers()

    def start_d(self, _: Message | None) -> None:
        self.linger(Input.TIMER_D, self._host.timing.completed)

    def start_m(self, _: Message | None) -> None:
        self.start_timer(Input.TIMER_M, self._host.timing.timeout)

    def acknowledge(self, message: Message | None) -> None:
        if not self._ack and isinstance(message, Response):
            self._ack = serialize(ack_of_failure(self.request, message))
            self._host.transmit(self._ack, self.flow)
        else:
            self._host.retransmit(self._ack, self.flow)

    TABLE: ClassVar[Table] = {
        (State.CALLING, Input.TIMER_A): (State.CALLING, (repeat_request, double_a)),
        (State.CALLING, Input.TIMER_B): (
            State.TERMINATED,
            (leave, report_timeout),
        ),
        (State.CALLING, Input.TRANSPORT_ERROR): (
            State.TERMINATED,
            (leave, report_transport_error),
        ),
        (State.CALLING, Input.GOT_1XX): (State.PROCEEDING, (stop, pass_up)),
        (State.CALLING, Input.GOT_2XX): (State.ACCEPTED, (stop, start_m, pass_up)),
        (State.CALLING, Input.GOT_FAILURE): (
            State.COMPLETED,
            (stop, acknowledge, start_d, pass_up),
        ),
        (State.PROCEEDING, Input.GOT_1XX): (State.PROCEEDING, (pass_up,)),
        (State.PROCEEDING, Input.GOT_2XX): (State.ACCEPTED, (start_m, pass_up)),
        (State.PROCEEDING, Input.GOT_FAILURE): (
            State.COMPLETED,
            (acknowledge, start_d, pass_up),
        ),
        (State.COMPLETED, Input.GOT_FAILURE): (State.COMPLETED, (acknowledge,)),
        (State.COMPLETED, Input.TIMER_D): (State.TERMINATED, (leave,)),
        # The final response has been passed up already: there is nobody left to whom the error matters.
        (State.COMPLETED, Input.TRANSPORT_ERROR): (State.TERMINATED, (leave,)),
        (State.ACCEPTED, Input.GOT_2XX): (State.ACCEPTED, (pass_up,)),
        (State.ACCEPTED, Input.TIMER_M): (State.TERMINATED, (leave,)),
    }


class NonInviteClient(ClientTransaction):
    """Non-INVITE client transaction (17.1.2, figure 6).

    Trying       sent. Over UDP repeated at T1, 2*T1 ... but never at more than T2 (Timer E), until Timer F
                 (64*T1).
    Proceeding   a provisional response came: still repeated, every T2, and Timer F still runs: a server
                 must answer.
    Completed    the final response was passed up; its repetitions are absorbed until Timer K (T4, 0 when
                 reliable).
    """

    __slots__ = ()

    def start(self) -> None:
        self.state = State.TRYING
        self.send_request()
        if not self.flow.reliable:
            self.start_timer(Input.TIMER_E, self.interval)
        self.start_timer(Input.TIMER_F, self._host.timing.timeout)

    def double_e(self, _: Message | None) -> None:
        self.interval = min(2 * self.interval, self._host.timing.t2)
        self.start_timer(Input.TIMER_E, self.interval)

    def restart_e(self, _: Message | None) -> None:
        self.interval = self._host.timing.t2
        self.start_timer(Input.TIMER_E, self.interval)

    def finish(self, _: Message | None) -> None:
        self.stop_timers()
        self.linger(Input.TIMER_K, self._host.timing.t4)

    TABLE: ClassVar[Table] = {
        (State.TRYING, Input.TIMER_E): (State.TRYING, (repeat_request, double_e)),
        (State.TRYING, Input.TIMER_F): (
            State.TERMINATED,
            (leave, report_timeout),
        ),
        (State.TRYING, Input.TRANSPORT_ERROR): (
            State.TERMINATED,
            (leave, report_transport_error),
        ),
        (State.TRYING, Input.GOT_1XX): (State.PROCEEDING, (pass_up,)),
        (State.TRYING, Input.GOT_2XX): (State.COMPLETED, (finish, pass_up)),
        (State.TRYING, Input.GOT_FAILURE): (State.COMPLETED, (finish, pass_up)),
        (State.PROCEEDING, Input.TIMER_E): (State.PROCEEDING, (repeat_request, restart_e)),
        (State.PROCEEDING, Input.TIMER_F): (
            State.TERMINATED,
            (leave, report_timeout),
        ),
        (State.PROCEEDING, Input.TRANSPORT_ERROR): (
            State.TERMINATED,
            (leave, report_transport_error),
        ),
        (State.PROCEEDING, Input.GOT_1XX): (State.PROCEEDING, (pass_up,)),
        (State.PROCEEDING, Input.GOT_2XX): (State.COMPLETED, (finish, pass_up)),
        (State.PROCEEDING, Input.GOT_FAILURE): (State.COMPLETED, (finish, pass_up)),
        (State.COMPLETED, Input.TIMER_K): (State.TERMINATED, (leave,)),
    }


def ack_of_failure(invite: Request, response: Response) -> Request:
    """The ACK for 300-699 (17.1.1.3): names, top Via and Route of the INVITE, the To of the response."""
    fields = [("Via", invite.headers["Via"])]
    fields += [("Route", route) for route in invite.headers.getlist("Route")]
    fields += [
        ("Max-Forwards", "70"),
        ("From", invite.headers["From"]),
        ("To", response.headers["To"]),
        ("Call-ID", call_id(invite)),
        ("CSeq", f"{cseq(invite)[0]} ACK"),
    ]
    return new_request("ACK", invite.uri, fields)


def cancel_of(invite: Request) -> Request:
    """The CANCEL of an INVITE (9.1): the same Request-URI, names, CSeq number, top Via and Route."""
    fields = [("Via", invite.headers["Via"])]
    fields += [("Route", route) for route in invite.headers.getlist("Route")]
    fields += [
        ("Max-Forwards", "70"),
        ("From", invite.headers["From"]),
        ("To", invite.headers["To"]),
        ("Call-ID", call_id(invite)),
        ("CSeq", f"{cseq(invite)[0]} CANCEL"),
    ]
    return new_request("CANCEL", invite.uri, fields)
