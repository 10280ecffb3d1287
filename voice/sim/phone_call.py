"""One call on a simulated phone: signalling on the service's own SIP core, media on the phone's own RTP."""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import replace

from voice.errors import PeerError
from voice.rtp.transport import RtpSocket
from voice.sdp.negotiation import UNKNOWN_HOST, Agreed, LocalMedia
from voice.sdp.session import OfferAnswer
from voice.sim.habits import Habits, MediaFrom
from voice.sim.hearing import Hearing
from voice.sim.speaking import Speaker
from voice.sip.events import (
    Answered,
    Confirmed,
    Ended,
    InfoReceived,
    OfferAnswered,
    OfferReceived,
    OfferRefused,
    Progress,
    SessionEvent,
)
from voice.sip.session import InviteSession

_REPORT_TICKS = 250  # five seconds at 20 ms, RFC 3550 section 6.2


class PhoneCall:
    """What the person with the phone does and hears on one call. Times are loop times."""

    def __init__(
        self,
        habits: Habits,
        sockets: tuple[RtpSocket, RtpSocket],
        speaker: Speaker,
        *,
        session_id: int,
        over: Callable[["PhoneCall"], None],
    ) -> None:
        self.hearing = Hearing()
        self.speaker = speaker
        self.session: InviteSession | None = None
        self.offered: bytes | None = None
        """The SDP of the INVITE that came in."""
        self.progress: list[int] = []
        """Provisional statuses that came while we called."""
        self.infos: list[tuple[str, bytes]] = []
        self.answered_at: float | None = None
        self.ended_at: float | None = None
        self.end: Ended | None = None
        self.media_error: PeerError | None = None
        """Why the peer's SDP could not be taken."""
        self.rtcp_received = 0
        self.stray = 0
        """Datagrams that are too short for RTP."""
        self._habits = habits
        self._rtp, self._rtcp = sockets
        self._over = over
        self._loop = asyncio.get_running_loop()
        self._changed = asyncio.Event()
        self._media_on = False
        self._ticks = 0
        self._waits_for_words = 0
        local = LocalMedia(
            address=self._rtp.local,
            rtcp_port=self._rtcp.local[1],
            codecs=habits.codecs,
            dtmf=habits.dtmf,
            direction=habits.direction,
            ptime=habits.ptime,
            rtcp_mux=habits.rtcp_mux,
        )
        self._sdp = OfferAnswer(local, session_id=session_id)

    # What the person does

    def say(self, audio: bytes | Iterable[bytes]) -> None:
        """Says A-law audio, or frames of it, after what is still being said."""
        self.speaker.say(audio)

    def press(self, digits: str, by: str = "rfc4733") -> None:
        """Presses keys; `by` is "rfc4733", "info" (SIP INFO) or "inband" (tones)."""
        if by == "info":
            for digit in digits:
                body = f"Signal={digit}\r\nDuration=100\r\n".encode()
                self._session().info("application/dtmf-relay", body)
        elif by == "inband":
            self.speaker.sing(digits)
        else:
            self.speaker.press(digits)

    def hold(self, direction: str = "sendonly") -> None:
        """Puts the peer on hold: "sendonly" with music, "inactive" without."""
        self._reoffer(direction)

    def resume(self) -> None:
        self._reoffer(self._habits.direction)

    def hang_up(self) -> None:
        """BYE; before the answer CANCEL, or a refusal when it is us who are called."""
        if self.session is not None and not self.is_over:
            self.session.bye()

    def change_ssrc(self) -> None:
        """Goes on under a new SSRC, as gateways do after a re-INVITE."""
        self.speaker.restart()

    # What a story waits for

    @property
    def is_established(self) -> bool:
        return self.answered_at is not None and not self.is_over

    @property
    def is_over(self) -> bool:
        return self.ended_at is not None

    async def established(self) -> None:
        """Returns when the call is answered; raises ConnectionError when it ends before."""
        await self._until(lambda: self.answered_at is not None or self.is_over)
        if self.answered_at is None:
            raise ConnectionError(f"the call was not answered: {self.end}")

    async def over(self) -> Ended:
        """Returns how the call has ended, when it has; raises ConnectionError when the phone itself died."""
        await self._until(lambda: self.is_over)
        if self.end is None:
            raise ConnectionError("the phone died in the call")
        return self.end

    async def said(self) -> None:
        """Returns when all that was queued has been sent."""
        self._waits_for_words += 1
        await self._until(lambda: not self.speaker.busy or self.is_over)
        self._waits_for_words -= 1

    async def _until(self, holds: Callable[[], bool]) -> None:
        while not holds():
            self._changed.clear()
            await self._changed.wait()

    # Signalling, called by the phone

    def offer(self) -> bytes | None:
        """The SDP for our INVITE."""
        return None if self._habits.late_offer else self._sdp.offer()

    def ring(self) -> None:
        self._session().ring()
        if self._habits.media_from is MediaFrom.RINGING and self.offered is not None:
            self._answer_to(self.offered)
            self._start_media()

    def pick_up(self) -> None:
        """Answers the INVITE that came in, unless the caller has given up."""
        if self.is_over:
            return
        body = self._sdp.offer() if self.offered is None else self._answer_to(self.offered)
        if body is None:
            self._session().reject(488)
            return
        self._session().accept(body)
        if self._habits.media_from is not MediaFrom.ACK and self.offered is not None:
            self._start_media()

    def decline(self) -> None:
        """Refuses the INVITE that came in, for everybody (603)."""
        if not self.is_over:
            self._session().reject(603)

    def handle(self, event: SessionEvent) -> None:
        """Takes one event of the session."""
        match event:
            case Progress(code=code):
                self.progress.append(code)
            case Answered(body=body):
                self._on_answered(body)
            case Confirmed(body=body):
                self._on_confirmed(body)
            case OfferReceived(body=body):
                self._on_offer(body)
            case OfferAnswered(body=body):
                self._accept(body)
            case OfferRefused():
                self._sdp.withdraw()
            case InfoReceived(content_type=content_type, body=body):
                self.infos.append((content_type, body))
            case Ended():
                self.drop(event)
        self._changed.set()

    def drop(self, end: Ended | None) -> None:
        """The call is over; without an event when the phone itself is gone."""
        if self.is_over:
            return
        self.hear()
        self.end = end
        self.ended_at = self._loop.time()
        self._media_on = False
        self._rtp.close()
        self._rtcp.close()
        self._over(self)
        self._changed.set()

    def _on_answered(self, body: bytes | None) -> None:
        self.answered_at = self._loop.time()
        if self._habits.late_offer and body is not None:
            answer = self._answer_to(body)
            self._session().acknowledge(answer or b"")
        else:
            self._accept(body)
        self._start_media()

    def _on_confirmed(self, body: bytes | None) -> None:
        self.answered_at = self._loop.time()
        if self.offered is None:
            self._accept(body)
        self._start_media()

    def _on_offer(self, body: bytes | None) -> None:
        answer = self._sdp.offer() if body is None else self._answer_to(body)
        if answer is None:
            self._session().refuse_offer(488)
        else:
            self._session().answer_offer(answer)

    def _reoffer(self, direction: str) -> None:
        self._sdp.local = replace(self._sdp.local, direction=direction)
        self._session().reoffer(self._sdp.offer())

    def _session(self) -> InviteSession:
        if self.session is None:
            raise ConnectionError("the call has no session yet")
        return self.session

    # Media

    def _answer_to(self, offer: bytes) -> bytes | None:
        try:
            answer = self._sdp.answer(offer)
        except PeerError as error:
            self.media_error = error
            return None
        self._follow(self._sdp.agreed)
        return answer

    def _accept(self, answer: bytes | None) -> None:
        if answer is None:
            return
        try:
            self._follow(self._sdp.accept(answer))
        except PeerError as error:
            self.media_error = error

    def _follow(self, agreed: Agreed | None) -> None:
        if agreed is None:
            return
        speaker = self.speaker
        speaker.payload_type, speaker.mu_law = agreed.payload_type, agreed.codec == "PCMU"
        speaker.event_type = agreed.dtmf_type
        speaker.to = agreed.remote if agreed.sends and agreed.remote[0] != UNKNOWN_HOST else None
        self.hearing.codecs = dict(agreed.receive_types)

    def _start_media(self) -> None:
        self._media_on = True

    def tick(self) -> None:
        """One packet time: send what is due, fetch what has come."""
        if self._media_on and self._habits.sends_media:
            self.speaker.tick()
            if self._waits_for_words and not self.speaker.busy:
                self._changed.set()
        self.hear()
        self._ticks += 1
        if self._ticks % _REPORT_TICKS == 0:
            self._report()

    def _report(self) -> None:
        """RTCP: look at what has come, and send a report of our own (RFC 3550 section 6.4.1)."""
        self.rtcp_received += len(self._rtcp.receive())
        agreed = self._sdp.agreed
        if self._media_on and self._habits.sends_media and agreed is not None and self.speaker.to is not None:
            socket = self._rtp if agreed.rtcp_mux else self._rtcp
            socket.send(self.speaker.report(self._loop.time()), agreed.remote_rtcp)

    def hear(self) -> None:
        """Fetches what has come."""
        arrived = self._rtp.receive()
        if arrived:
            now = self._loop.time()
            raw = self.hearing.raw
            for data, source in arrived:
                if len(data) < 12:
                    self.stray += 1
                elif 192 <= data[1] <= 223:  # RTCP on the port of RTP, RFC 5761 section 4
                    self.rtcp_received += 1
                else:
                    raw.append((now, data, source))
