"""`Call`: one leg, where signalling and media meet over SDP.

`sip` knows no RTP and `media` knows no INVITE. Here an `InviteSession` and a `MediaLeg` become one thing that a
caller can answer, dial, listen to and hang up. Everything that a peer may do within the call (hold, re-INVITE,
late offer, INFO digits) is handled here, so that `alarm.py` and `operators.py` read as stories.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import structlog

from voice.errors import NotAcceptable, SdpError, UsageError
from voice.media.clock import MediaClock
from voice.media.leg import MediaLeg
from voice.rtp.digits import parse_info
from voice.rtp.transport import RtpPorts, RtpSocket
from voice.sdp.negotiation import Agreed, LocalMedia, accept_answer
from voice.sdp.negotiation import answer as answer_to
from voice.sdp.negotiation import offer as offer_of
from voice.sip.digest import Credentials
from voice.sip.endpoint import Endpoint
from voice.sip.session import (
    Answered,
    Confirmed,
    EndCause,
    Ended,
    InfoReceived,
    InviteSession,
    OfferAnswered,
    OfferReceived,
    OfferRefused,
    Progress,
    SessionEvent,
)
from voice.sip.useragent import Target

log = structlog.get_logger(__name__)

Address = tuple[str, int]


@dataclass(frozen=True, slots=True)
class CallEnd:
    """How a leg ended. `code` is the final SIP status where there was one."""

    cause: EndCause
    code: int | None = None
    reason: str = ""
    by_peer: bool = False


@dataclass(slots=True)
class MediaPlan:
    """What a leg wants of its media before anything is negotiated."""

    leg: Callable[[RtpSocket, RtpSocket], MediaLeg]
    direction: str = "sendrecv"
    codecs: tuple[str, ...] = ("PCMA", "PCMU")


@dataclass(slots=True)
class Calls:
    """Makes calls. Holds what every leg of this process shares: endpoint, RTP ports and the media clock."""

    endpoint: Endpoint
    ports: RtpPorts
    clock: MediaClock
    media_host: Callable[[str], str]
    """The host to write into our SDP towards a peer's host."""
    live: set["Call"] = field(default_factory=set)

    def receive(self, session: InviteSession, plan: MediaPlan) -> "Call":
        """A `Call` for an INVITE that has come in. Opens its ports; raises `PortsExhausted`."""
        return Call(self, session, plan, remote_host=session.flow.remote[0])

    def dial(
        self,
        target: Target,
        plan: MediaPlan,
        *,
        headers: Sequence[tuple[str, str]] = (),
        credentials: Credentials | None = None,
        from_uri: str | None = None,
        remote_host: str,
    ) -> "Call":
        """Send an INVITE with our offer. Raises `PortsExhausted`. Wait on `Call.answered` and `Call.ended`."""
        call = Call(self, None, plan, remote_host=remote_host)
        call.session = self.endpoint.dial(
            target,
            body=call.own_offer(),
            headers=headers,
            handler=call.on_event,
            credentials=credentials,
            from_uri=from_uri,
        )
        return call


class Call:
    """One leg of a conversation. Media is received from the moment the ports are open."""

    def __init__(self, calls: Calls, session: InviteSession | None, plan: MediaPlan, *, remote_host: str) -> None:
        loop = asyncio.get_running_loop()
        self._calls = calls
        self._session = session
        self._plan = plan
        rtp, rtcp = calls.ports.open_pair()
        self.media = plan.leg(rtp, rtcp)
        self._local = LocalMedia(
            address=(calls.media_host(remote_host), rtp.local[1]),
            rtcp_port=rtcp.local[1],
            codecs=plan.codecs,
            direction=plan.direction,
        )
        self._sdp_id = loop.time_ns() if hasattr(loop, "time_ns") else int(loop.time() * 1e6)
        self._sdp_version = 0
        self._sdp_last = b""
        self._awaiting_answer = False
        self.progress: int | None = None
        """The last provisional status that the peer sent (180 = it rings)."""
        self.answered: asyncio.Future[None] = loop.create_future()
        """Done when the leg is up; cancelled when it ends before that."""
        self.ended: asyncio.Future[CallEnd] = loop.create_future()
        self.digits: asyncio.Queue[str] = asyncio.Queue()
        self.media.on_digit = self.digits.put_nowait
        if session is not None:
            session.handler = self.on_event
        calls.live.add(self)

    @property
    def session(self) -> InviteSession:
        if self._session is None:
            raise UsageError("the call has not been dialled yet")
        return self._session

    @session.setter
    def session(self, session: InviteSession) -> None:
        self._session = session

    @property
    def call_id(self) -> str:
        return self.session.call_id

    @property
    def up(self) -> bool:
        return self.answered.done() and not self.answered.cancelled() and not self.ended.done()

    # -- what we do ---------------------------------------------------------------------------------------------

    def prepare(self) -> None:
        """Read the offer and start receiving, so that nothing is lost between here and the 200 OK.

        Raises `SdpError` or `NotAcceptable` with the status that belongs to it.
        """
        offer = self.session.offer
        if offer is None:
            return
        body, agreed = answer_to(offer, self._local, session_id=self._sdp_id, version=self._sdp_version)
        self._sdp_last = body
        self._start(agreed)

    def answer(self) -> None:
        """Send 200 OK: our answer, or, to an INVITE without an offer, our offer (RFC 3264 section 5)."""
        if self.ended.done():
            return
        if self.session.offer is None:
            self._awaiting_answer = True
            self.session.accept(self.own_offer())
        else:
            if not self._sdp_last:
                self.prepare()
            self.session.accept(self._sdp_last)
        if not self.answered.done():
            self.answered.set_result(None)

    def reject(self, code: int, headers: Sequence[tuple[str, str]] = ()) -> None:
        """Refuse the call with a final status."""
        self.session.reject(code, headers)
        self._finish(CallEnd(EndCause.LOCAL, code))

    def hang_up(self, reason: str | None = None) -> None:
        """End the leg, whatever state it is in. Doing it twice is harmless."""
        if self.ended.done():
            return
        self.session.bye(reason)
        self._finish(CallEnd(EndCause.LOCAL, reason=reason or ""))

    def own_offer(self) -> bytes:
        """Our session description as an offer; its version grows when it changes (RFC 3264 section 8)."""
        body = offer_of(self._local, session_id=self._sdp_id, version=self._sdp_version)
        self._sdp_last = body
        return body

    # -- what the peer does -------------------------------------------------------------------------------------

    def on_event(self, event: SessionEvent) -> None:
        """One thing that happened in the dialog."""
        match event:
            case Progress(code=code):
                self.progress = code
            case Answered(body=body):
                self._peer_answered(body)
            case Confirmed(body=body):
                if self._awaiting_answer:
                    self._awaiting_answer = False
                    self._take_answer(body)
            case OfferReceived(body=body):
                self._peer_offered(body)
            case OfferAnswered(body=body):
                self._take_answer(body)
            case OfferRefused():
                pass
            case InfoReceived(content_type=content_type, body=body):
                digit = parse_info(content_type, body)
                if digit is not None:
                    self.media.info_digit(digit)
            case Ended(cause=cause, code=code, reason=reason, by_peer=by_peer):
                self._finish(CallEnd(cause, code, reason, by_peer))

    def _peer_answered(self, body: bytes | None) -> None:
        self._take_answer(body)
        if not self.ended.done() and not self.answered.done():
            self.answered.set_result(None)

    def _take_answer(self, body: bytes | None) -> None:
        """An answer that cannot be read or used ends the leg: there is no media that could flow."""
        try:
            if not body:
                raise SdpError("the peer sent no answer to our offer")
            self._start(accept_answer(self._local, body))
        except (SdpError, NotAcceptable) as error:
            log.warning("answer refused", error=str(error))
            self.hang_up("incompatible session description")

    def _peer_offered(self, body: bytes | None) -> None:
        """re-INVITE or UPDATE: hold, a new address, a session refresh; without a body we offer."""
        if body is None:
            self._awaiting_answer = True
            self.session.answer_offer(self.own_offer())
            return
        try:
            reply, agreed = answer_to(body, self._local, session_id=self._sdp_id, version=self._sdp_version)
            if reply != self._sdp_last:
                self._sdp_version += 1
                reply, agreed = answer_to(body, self._local, session_id=self._sdp_id, version=self._sdp_version)
        except (SdpError, NotAcceptable) as error:
            self.session.refuse_offer(error.sip_status)
            return
        self._sdp_last = reply
        self._start(agreed)
        self.session.answer_offer(reply)

    def _start(self, agreed: Agreed) -> None:
        if self.media.agreed is None:
            self.media.start(agreed)
            self._calls.clock.add(self.media)
        else:
            self.media.update(agreed)

    def _finish(self, end: CallEnd) -> None:
        if self.ended.done():
            return
        self._calls.live.discard(self)
        self._calls.clock.remove(self.media)
        self.media.close()
        if not self.answered.done():
            self.answered.cancel()
        self.ended.set_result(end)
