"""`Call`: one leg, where signalling and media meet over SDP.

`sip` knows no RTP and `media` knows no INVITE. Here an `InviteSession` and a `MediaLeg` become one thing that a
caller can answer, dial, listen to and hang up. Everything that a peer may do within the call (hold, re-INVITE,
late offer, INFO digits) is handled here, so that `alarm.py` and `operators.py` read as stories.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import structlog

from voice.errors import NotAcceptable, SdpError, UsageError
from voice.interlock import Interlock
from voice.media.clock import MediaClock
from voice.media.leg import MediaLeg
from voice.rtp.digits import info_digit
from voice.rtp.transport import RtpPorts, RtpSocket
from voice.sdp.negotiation import LocalMedia
from voice.sdp.session import OfferAnswer
from voice.sip.bodies import SDP, BodyPart, multipart
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


@dataclass(frozen=True, slots=True)
class CallEnd:
    """How a leg ended. `code` is the final SIP status where there was one."""

    cause: EndCause
    code: int | None = None
    reason: str = ""
    by_peer: bool = False

    @property
    def hung_up(self) -> bool:
        """Whether the peer hung up. With a status (481) it did not: its side died, and knows nothing of the call."""
        return self.by_peer and self.cause is EndCause.BYE and self.code is None


@dataclass(frozen=True, slots=True)
class MediaPlan:
    """What a leg wants of its media before anything is negotiated."""

    leg: Callable[[RtpSocket, RtpSocket, str], MediaLeg]
    """Makes the leg of its two sockets and the host that the peer's signalling comes from."""
    direction: str = "sendrecv"
    codecs: tuple[str, ...] = ("PCMA", "PCMU")


@dataclass(frozen=True, slots=True)
class Destination:
    """Where somebody can be called."""

    target: Target
    host: str
    """The peer's host, as far as it is known before the call: decides from which address we send audio."""
    credentials: Credentials | None = None
    from_user: str | None = None
    trunk: str | None = None
    """The trunk through which the call goes; None: straight to the target."""
    account: str | None = None
    """The name under which the telephone has registered with us whose contact this is."""


@dataclass(slots=True)
class Calls:
    """Makes calls. Holds what every leg of this process shares: endpoint, RTP ports and the media clock.

    The only place from which an INVITE leaves, so that none passes by the interlock.
    """

    endpoint: Endpoint
    ports: Callable[[str], RtpPorts]
    """RTP ports that a peer at this host can reach."""
    clock: MediaClock
    media_host: Callable[[str, str], str]
    """(host that our socket is bound to, host of the peer) to the host that our SDP names."""
    domain: str
    interlock: Interlock = field(default_factory=Interlock)
    on_trunk: Callable[[str, "Call"], None] = lambda trunk, call: None
    """Told of every call that goes out through a trunk."""
    live: set["Call"] = field(default_factory=set)

    def receive(self, session: InviteSession, plan: MediaPlan) -> "Call":
        """A `Call` for an INVITE that has come in. Opens its ports; raises `PortsExhausted`."""
        return Call(self, session, plan, remote_host=session.flow.remote[0])

    def dial(
        self,
        destination: Destination,
        plan: MediaPlan,
        *,
        headers: Sequence[tuple[str, str]] = (),
        parts: Sequence[BodyPart] = (),
        user: str = "earshot",
        display_name: str = "",
    ) -> "Call":
        """Send an INVITE with our offer, from `user` at our domain; `parts` of the body stand beside the offer.

        Raises `EmergencyNumberRefused` when the interlock does not let it out, `PortsExhausted`, and ValueError for a
        URI that is none; then nothing was sent. Wait on `Call.answered` and `Call.ended`.
        """
        self._permit(destination, headers)
        call = Call(self, None, plan, remote_host=destination.host)
        name = display_name.translate(_UNQUOTABLE)
        from_uri = f"sip:{destination.from_user or user}@{self.domain}"
        offer = call.offer()
        body, content_type = multipart([BodyPart(SDP, offer), *parts]) if parts else (offer, SDP)
        try:
            call.session = self.endpoint.dial(
                destination.target,
                body=body,
                content_type=content_type,
                headers=headers,
                handler=call.on_event,
                credentials=destination.credentials,
                from_uri=f'"{name}" <{from_uri}>' if name else from_uri,
            )
        except ValueError:  # no URI that can be called: its ports are free again
            call.abandon()
            raise
        if destination.trunk is not None:
            self.on_trunk(destination.trunk, call)
        return call

    def _permit(self, destination: Destination, headers: Sequence[tuple[str, str]]) -> None:
        """Everything of an INVITE by which a network may route it: Request-URI, To, and each Route."""
        target, trunk = destination.target, destination.trunk
        self.interlock.permit(target.uri, trunk, account=destination.account)
        for value in (*target.route, *(value for name, value in headers if name.lower() in _ROUTING)):
            for uri in value.split(","):
                self.interlock.permit(uri.partition("<")[2].partition(">")[0] or uri, trunk)


_ROUTING = frozenset({"route", "to", "t", "refer-to", "r", "p-preferred-service", "p-asserted-service"})
_UNQUOTABLE = str.maketrans({'"': "'", "\\": "/", "\r": " ", "\n": " "})


class Call:
    """One leg of a conversation. Media is received from the moment the ports are open."""

    def __init__(self, calls: Calls, session: InviteSession | None, plan: MediaPlan, *, remote_host: str) -> None:
        loop = asyncio.get_running_loop()
        self._calls = calls
        self._session = session
        self.plan = plan
        self.remote_host = remote_host
        rtp, rtcp = calls.ports(remote_host).open_pair()
        self.media = plan.leg(rtp, rtcp, remote_host)
        local = LocalMedia(
            address=(calls.media_host(rtp.local[0], remote_host), rtp.local[1]),
            rtcp_port=rtcp.local[1],
            codecs=plan.codecs,
            direction=plan.direction,
        )
        self._sdp = OfferAnswer(local, session_id=int(loop.time() * 1e6))
        self._answer = b""
        self._awaiting_answer = False
        self._on_media: list[Callable[[], None]] = []
        self.progress: int | None = None
        """The last provisional status that the peer sent (180 = it rings)."""
        self.on_progress: Callable[[int], object] = lambda code: None
        self.answered: asyncio.Future[None] = loop.create_future()
        """Done when the leg is up; cancelled when it ends before that."""
        self.ended: asyncio.Future[CallEnd] = loop.create_future()
        self.digits: asyncio.Queue[str] = asyncio.Queue()
        self.media.on_digit = self.digits.put_nowait
        self._offer_open = False
        self._offer_again = False
        self._sign_of_life: asyncio.Future[None] | None = None
        calls.live.add(self)
        if session is not None:
            session.handler = self.on_event
            if session.ended:  # withdrawn in the same breath: nobody was there yet to be told
                self._finish(CallEnd(EndCause.CANCELLED, by_peer=True))

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

    def when_media(self, ready: Callable[[], None]) -> None:
        """Have `ready` called when the tracks exist: at once, or when a late answer has come."""
        if self.media.agreed is not None:
            ready()
        else:
            self._on_media.append(ready)

    # -- what we do --

    def prepare(self) -> None:
        """Read the offer and start receiving, so that nothing is lost between here and the 200 OK.

        Raises `SdpError` or `NotAcceptable` with the status that belongs to it.
        """
        offer = self.session.offer
        if offer is not None:
            self._answer = self._sdp.answer(offer)
            self._follow()

    def answer(self) -> None:
        """Send 200 OK: our answer, or, to an INVITE without an offer, our offer (RFC 3264 section 5)."""
        if self.ended.done():
            return
        if self.session.offer is None:
            self._awaiting_answer = self._offer_open = True
            self.session.accept(self._sdp.offer())
        else:
            if not self._answer:
                self.prepare()
            self.session.accept(self._answer)
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

    def abandon(self) -> None:
        """Give the ports back and forget the call, without a word to the peer: somebody else tells it."""
        self._finish(CallEnd(EndCause.LOCAL))

    async def wait_answered(self, seconds: float) -> bool:
        """Whether the peer answers within this time. If not, the call is still on: hang up."""
        await asyncio.wait([self.answered], timeout=seconds)
        return self.up

    async def gives_sign_of_life(self, seconds: float) -> bool:
        """Whether the peer answers a re-INVITE that changes nothing, or does anything else, within this time.

        A phone that lost its power says nothing of it; one that is muted says nothing either, but answers.
        """
        if not self.up:
            return False
        self._sign_of_life = asyncio.get_running_loop().create_future()
        self._reoffer()
        either: list[asyncio.Future[Any]] = [self._sign_of_life, self.ended]
        await asyncio.wait(either, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        return self._sign_of_life.done() and self.up

    def redirect(self, direction: str) -> None:
        """Offer another direction of the media, such as `sendrecv` in place of `recvonly` (RFC 3264 section 8.4)."""
        self._sdp.local = replace(self._sdp.local, direction=direction)
        if self.up:
            self._reoffer()

    def _reoffer(self) -> None:
        """Offer what we want by now; while an offer is open, as soon as it is answered."""
        if self._offer_open:
            self._offer_again = True
            return
        self._offer_open = True
        self.session.reoffer(self._sdp.offer())

    def _offer_closed(self) -> None:
        self._offer_open = False
        if self._offer_again and self.up:
            self._offer_again = False
            self._reoffer()

    def offer(self) -> bytes:
        """Our session description, for an INVITE of ours."""
        return self._sdp.offer()

    # -- what the peer does --

    def on_event(self, event: SessionEvent) -> None:
        """One thing that happened in the dialog."""
        if self._sign_of_life is not None and not self._sign_of_life.done() and _is_from_peer(event):
            self._sign_of_life.set_result(None)
        match event:
            case Progress(code=code):
                self.progress = code
                self.on_progress(code)
            case Answered(body=body):
                self._peer_answered(body)
            case Confirmed(body=body):
                if self._awaiting_answer:
                    self._awaiting_answer = False
                    self._take_answer(body)
                    self._offer_closed()
            case OfferReceived(body=body):
                self._peer_offered(body)
            case OfferAnswered(body=body):
                self._take_answer(body)
                self._offer_closed()
            case OfferRefused():
                self._sdp.withdraw()
                self._offer_closed()
            case InfoReceived(content_type=content_type, body=body):
                digit = info_digit(content_type, body)
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
            self._sdp.accept(body)
        except (SdpError, NotAcceptable) as error:
            log.warning("answer refused", why=str(error))
            self.hang_up("incompatible session description")
        else:
            self._follow()

    def _peer_offered(self, body: bytes | None) -> None:
        """re-INVITE or UPDATE: hold, a new address, a session refresh; without a body we offer."""
        if body is None:
            self._offer_open = True
            self.session.answer_offer(self._sdp.offer())
            return
        try:
            reply = self._sdp.answer(body)
        except (SdpError, NotAcceptable) as error:
            self.session.refuse_offer(error.sip_status)
            return
        self._follow()
        self.session.answer_offer(reply)

    def _follow(self) -> None:
        """Let the media do what was agreed on."""
        agreed = self._sdp.agreed
        if agreed is None or self.ended.done():
            return
        if self.media.agreed is not None:
            self.media.update(agreed)
            return
        self.media.start(agreed)
        self._calls.clock.add(self.media)
        ready, self._on_media = self._on_media, []
        for tell in ready:
            tell()

    def _finish(self, end: CallEnd) -> None:
        if self.ended.done():
            return
        self._calls.live.discard(self)
        self._calls.clock.remove(self.media)
        self.media.close()
        if self._session is not None:
            self._session.handler = _over
        if not self.answered.done():
            self.answered.cancel()
        self.ended.set_result(end)


def _is_from_peer(event: SessionEvent) -> bool:
    """Whether the peer itself has done something, and is still there."""
    return not isinstance(event, Ended) and not (isinstance(event, OfferRefused) and not event.by_peer)


def _over(event: SessionEvent) -> None:
    """Whatever still happens in a dialog whose call is over. The call is not kept for it."""
