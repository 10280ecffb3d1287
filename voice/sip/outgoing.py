"""One request of ours until its final response, over as many transactions as that takes.

More than one is needed when the peer asks for credentials (22.2), when the request is too large for a
datagram and the peer does not take streams (18.1.1), and when a name has to be resolved first (RFC 3263).
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from voice.address import is_numeric
from voice.sip.core import Core, Draft
from voice.sip.digest import Credentials, challenge_of
from voice.sip.flow import UDP, Flow
from voice.sip.message import Request, Response, new_branch, response_to, serialize
from voice.sip.routing import NextHop, next_hop

if TYPE_CHECKING:
    from voice.sip.client_transactions import ClientTransaction

DATAGRAM_LIMIT = 1300
"""Octets; above it a request MUST go by a stream when the path MTU is not known (18.1.1)."""

_ATTEMPTS = 4
"""Challenges that are answered for one request, all in all."""


class Outgoing:
    """A request on its way. `on_response` hears provisional responses and then one final one.

    A final response of our own making stands for silence (408) and for a peer that cannot be reached (503);
    `local` is then true.
    """

    def __init__(
        self,
        core: Core,
        draft: Draft,
        *,
        next_seq: Callable[[], int],
        on_response: Callable[[Response], None],
        credentials: Credentials | None = None,
    ) -> None:
        self._core = core
        self.draft = draft
        self._next_seq = next_seq
        self._on_response = on_response
        self._credentials = credentials
        self._nonces: set[str] = set()
        self._answered: set[str] = set()
        self._datagram: Flow | None = None  # to return to when the stream for a large request fails
        self._given = False
        self._abandoned = False
        self.authorization: list[tuple[str, str]] = []
        """The credentials in use; the ACK of a 2xx carries the same ones (22.1)."""
        self.seq = 0
        self.local = False
        self.transaction: ClientTransaction | None = None

    @property
    def request(self) -> Request | None:
        """The request as it went out last; None before."""
        return self.transaction.request if self.transaction else None

    @property
    def waiting(self) -> bool:
        """Whether nothing has left yet because a name is being resolved."""
        return self.transaction is None

    def start(self, way: Flow | NextHop | None) -> None:
        """Send on this flow or to this next hop; with neither, to where Route or Request-URI lead."""
        if isinstance(way, Flow):
            self._given = True
            self._send(way)
            return
        try:
            hop = way or next_hop(self.draft.next_hop)
        except ValueError:
            self._unreachable()
            return
        self._core.locate(hop, self._located)

    def abandon(self) -> None:
        """Send nothing more of our own accord; responses are still heard."""
        self._abandoned = True

    def again(self, flow: Flow | None = None) -> None:
        """Send it once more with the next CSeq, as after a 422 (the draft may have been changed)."""
        flow = flow or (self.transaction.flow if self.transaction else None)
        if flow is not None:
            self._send(flow)

    def _located(self, flow: Flow | None) -> None:
        if self._abandoned:
            return
        if flow is None:
            self._unreachable()
        else:
            self._send(flow)

    def _unreachable(self) -> None:
        """There is no way to the peer; the request is built all the same, to have something to answer."""
        self.local = True
        request = self.draft.request("SIP/2.0/UDP invalid.invalid", self._next_seq(), "")
        self._on_response(response_to(request, 503, "No Way To The Peer"))

    def _send(self, flow: Flow, *, same_seq: bool = False) -> None:
        if not same_seq:
            self.seq = self._next_seq()
        request, data = self._build(flow)
        if len(data) > DATAGRAM_LIMIT and flow.protocol == UDP and self._datagram is None:
            stream = None if self._hidden(flow) else self._core.larger_flow(flow)
            if stream is not None:
                self._datagram, flow = flow, stream
                request, data = self._build(flow)
        self.transaction = self._core.start_client(request, data, flow, self._received, self._failed)

    def _hidden(self, flow: Flow) -> bool:
        """Whether the peer stands behind a NAT: it is reached by this flow alone, however large the request is.

        Known by a flow that was given and does not lead to the address which the peer calls its own.
        """
        if not self._given:
            return False
        try:
            host = next_hop(self.draft.next_hop).host
        except ValueError:
            return False
        return is_numeric(host) and host != flow.remote[0]

    def _build(self, flow: Flow) -> tuple[Request, bytes]:
        via = self._core.via(flow, new_branch(self._core.random))
        secure = self.draft.uri.startswith("sips:")
        contact = self._core.contact(flow, secure=secure) if self.draft.contact else ""
        request = self.draft.request(via, self.seq, contact, self.authorization)
        return request, serialize(request)

    def _received(self, response: Response) -> None:
        if response.code in (401, 407) and not self._abandoned and self._take_challenge(response):
            if self.transaction is not None:
                self._send(self.transaction.flow)
            return
        self._on_response(response)

    def _failed(self, code: int) -> None:
        transaction = self.transaction
        if transaction is None:
            return
        if code == 503 and self._datagram is not None and transaction.flow.reliable and not self._abandoned:
            self._send(self._datagram, same_seq=True)
            return
        self.local = True
        self._on_response(response_to(transaction.request, code))

    def _take_challenge(self, response: Response) -> bool:
        """Whether a challenge can be answered: once per nonce, again only when that was stale (22.2)."""
        challenge = challenge_of(response)
        if self._credentials is None or challenge is None or len(self._nonces) >= _ATTEMPTS:
            return False
        nonce = challenge.parameters["nonce"]
        if nonce in self._nonces or (challenge.header in self._answered and not challenge.stale):
            return False
        self._nonces.add(nonce)
        self._answered.add(challenge.header)
        cnonce = f"{self._core.random.getrandbits(64):016x}"
        name, value = challenge.answer(self.draft.method, self.draft.uri, self._credentials, 1, cnonce)
        self.authorization = [field for field in self.authorization if field[0] != name] + [(name, value)]
        return True
