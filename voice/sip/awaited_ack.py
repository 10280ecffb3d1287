"""A 2xx to an INVITE, repeated by the transaction user until its ACK comes (RFC 3261 section 13.3.1.4)."""

from collections.abc import Callable

from voice.sip.core import Core
from voice.sip.message import Request, Response
from voice.sip.server_transactions import ServerTransaction
from voice.sip.timers import Timer
from voice.sip.transactions import Input


class AwaitedAck:
    """ "The 2xx response is passed to the transport with an interval that starts at T1 seconds and doubles
    for each retransmission until it reaches T2 seconds. ... If the server retransmits the 2xx response for
    64*T1 seconds without receiving an ACK, the dialog is confirmed, but the session SHOULD be terminated."
    Over streams as well.
    """

    def __init__(
        self,
        core: Core,
        transaction: ServerTransaction,
        response: Response,
        *,
        acknowledged: Callable[[Request], None],
        given_up: Callable[[], None],
    ) -> None:
        self._core = core
        self._transaction = transaction
        self._acknowledged = acknowledged
        self._given_up = given_up
        self._interval = core.timing.t1
        transaction.respond(response)
        self._repeat: Timer = core.timers.at(core.now + self._interval, self._send_again)
        self._limit: Timer = core.timers.at(core.now + core.timing.timeout, self._give_up)

    def acknowledge(self, ack: Request) -> None:
        """The ACK has come."""
        self.stop()
        self._acknowledged(ack)

    def stop(self) -> None:
        """Repeat it no more."""
        self._repeat.cancel()
        self._limit.cancel()

    def _send_again(self) -> None:
        self._transaction.feed(Input.SEND_2XX)
        self._interval = min(2 * self._interval, self._core.timing.t2)
        self._repeat = self._core.timers.at(self._core.now + self._interval, self._send_again)

    def _give_up(self) -> None:
        self.stop()
        self._given_up()
