"""`MediaLeg`: the media of one call leg, from its sockets to its tracks.

The clock drives it (`drain`, `transmit`, `settle`); the call starts it with what SDP agreed on. What the
peer says goes to the track `received` from the first packet on, whoever listens or not; what is sent
passes the gate and, while the gate is open, is kept in the track `sent`. Digits of all kinds come out of
`on_digit`, whatever else a person should know out of `on_notice`.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import structlog

from voice.address import Address
from voice.clock import Clock
from voice.errors import RtpError
from voice.media.control import Control, PeerView
from voice.media.gate import Gate, Profile, Source
from voice.media.inflow import Inflow
from voice.media.notices import Faulty, Notice
from voice.media.recorder import Recorder, Recording
from voice.media.track import Track
from voice.media.watch import Figures, Thresholds, Watch
from voice.rtp.codecs import ALAW_TO_ULAW, FRAME_SAMPLES, SAMPLE_RATE, ULAW_TO_ALAW
from voice.rtp.digits import Digit
from voice.rtp.keypad import Keypad, Packet
from voice.rtp.latch import Latch
from voice.rtp.packet import build
from voice.rtp.transport import RtpSocket

if TYPE_CHECKING:
    from voice.sdp.negotiation import Agreed

log = structlog.get_logger(__name__)

_TO_ALAW: Mapping[str, bytes | None] = {"PCMA": None, "PCMU": ULAW_TO_ALAW}


@dataclass(frozen=True, slots=True)
class LegStatistics:
    """The media of a leg so far."""

    received: int
    """RTP packets that counted."""
    lost: int
    duplicates: int
    malformed: int
    strangers: int
    """Packets refused because of where they came from."""
    jumps: int
    """How often timestamps were not to be believed."""
    jitter_ms: float
    level_dbov: float
    """Of the last second measured."""
    sent: int
    peer: PeerView
    """How the peer says that it receives us."""


class MediaLeg:
    """One RTP session of one call leg. See the module for who calls what."""

    def __init__(
        self,
        id: str,
        rtp: RtpSocket,
        rtcp: RtpSocket,
        gate: Gate,
        *,
        clock: Clock,
        rng: random.Random,
        time: Callable[[], float] | None = None,
        signalling_host: str | None = None,
        inband_dtmf: bool = False,
        thresholds: Thresholds | None = None,
        on_digit: Callable[[str], None] | None = None,
        on_notice: Callable[[Notice], None] | None = None,
    ) -> None:
        """`time` is the monotonic time of the media clock, by default that of the running loop.

        `signalling_host`: where the SIP of this call comes from; it helps the latch (see `voice.rtp.latch`).
        """
        self.id = id
        self.rtp = rtp
        self.rtcp = rtcp
        self.gate = gate
        self.agreed: Agreed | None = None
        self.received: Track | None = None
        """What the peer says, from the moment of `start` on."""
        self.sent: Track | None = None
        """What it was sent while the gate was open, on the same time line."""
        self.source: Source | None = None
        """Asked for a frame at each tick while the gate is open and the peer listens."""
        self.on_digit = on_digit
        self.on_notice = on_notice
        self.eager = True
        self.sending = False
        self.closed = False
        self._clock = clock
        self._rng = rng
        self._time = time or asyncio.get_running_loop().time
        self._signalling_host = signalling_host
        self._keypad = Keypad(inband=inband_dtmf)
        self._listens_for_tones = inband_dtmf
        self._thresholds = thresholds or Thresholds()
        self._recorder: tuple[Recorder, str, datetime | None] | None = None
        self._recordings: list[Recording] = []
        self._inflow: Inflow | None = None
        self._latch: Latch | None = None
        self._watch: Watch | None = None
        self._control = Control(rtcp, rng)
        self._origin = 0.0
        self._settlings = 0
        self._reads = 0
        self._failures = 0
        self._heard = False
        self._sequence = rng.getrandbits(16)
        self._timestamp = rng.getrandbits(32)
        self._tick_zero: int | None = None
        self._zero_position = 0
        self._last_sent_tick = -2
        self._was_open = False
        gate.on_activity = self._refresh

    # -- the call's side --

    def start(self, agreed: Agreed) -> None:
        """Receive, and send what the gate allows, from now on: sample 0 of both tracks is this moment."""
        self._origin = self._time()
        started = self._clock.now()
        self.agreed = agreed
        self.received, self.sent = Track(started), Track(started)
        self._latch = Latch(
            agreed.remote,
            agreed.receive_types,
            expected_rtcp=None if agreed.rtcp_mux else agreed.remote_rtcp,
            signalling_host=self._signalling_host,
        )
        self._inflow = Inflow(self.received, self._latch, _codecs(agreed), self._origin)
        self._inflow.on_event = self._on_keys
        self._inflow.on_control = self._on_control
        if self._listens_for_tones:
            self._inflow.on_audio = self._on_keys
        self._watch = Watch(self._origin, self._thresholds)
        self._control.start(self._origin)
        self._refresh()
        self._begin_recording()

    def update(self, agreed: Agreed) -> None:
        """A re-INVITE was agreed on: another address, another codec, hold. The tracks go on."""
        if self._latch is None or self._inflow is None:
            self.start(agreed)
            return
        self.agreed = agreed
        if self._latch.renegotiate(
            agreed.remote,
            agreed.receive_types,
            self._time(),
            expected_rtcp=None if agreed.rtcp_mux else agreed.remote_rtcp,
        ):
            self._keypad.moved()
        self._inflow.codecs = _codecs(agreed)
        self._refresh()

    def record(self, recorder: Recorder, incident_id: str, opened_at: datetime | None = None) -> None:
        """Keep both tracks as files, from their first sample, whether called before `start`, later, or at the end."""
        self._recorder = recorder, incident_id, opened_at
        self._begin_recording()
        self._flush()  # what was said before this is to be on the disk as soon as it can be
        if self.closed:
            self._complete_recordings()

    def info_digit(self, symbol: str) -> None:
        """A digit came by SIP INFO."""
        self._emit(self._keypad.info(symbol, self._time()))

    def close(self) -> None:
        """Say goodbye, complete the recordings, give the ports back. Twice is harmless."""
        if self.closed:
            return
        self.closed = True
        now = self._time()
        if self._inflow is not None:
            self._take_in(now)
            self._inflow.settle(now)
            self._emit(self._keypad.flush(now))
            self._control.goodbye(self._inflow, self._latch, self._clock, now)
            self._inflow.on_event = self._inflow.on_control = self._inflow.on_audio = None
        for track in (self.received, self.sent):
            if track is not None:
                track.close()
        self._complete_recordings()
        # The tracks live on as long as their incident; nothing of theirs may keep this leg alive with them.
        self.gate.on_activity = None
        self.rtp.close()
        self.rtcp.close()

    @property
    def quiet_for(self) -> float:
        """Seconds since the last packet of the peer, or since `start` if none has come."""
        last = self._inflow.last_arrival if self._inflow else None
        return self._time() - (self._origin if last is None else last)

    @property
    def statistics(self) -> LegStatistics:
        inflow, latch, watch = self._inflow, self._latch, self._watch
        return LegStatistics(
            received=inflow.received if inflow else 0,
            lost=inflow.lost if inflow else 0,
            duplicates=inflow.duplicates if inflow else 0,
            malformed=inflow.malformed if inflow else 0,
            strangers=latch.strangers if latch else 0,
            jumps=inflow.jumps if inflow else 0,
            jitter_ms=inflow.jitter * 1000 / SAMPLE_RATE if inflow else 0.0,
            level_dbov=watch.level if watch else -96.0,
            sent=self._control.sent_packets,
            peer=self._control.peer,
        )

    # -- the clock's side --

    def drain(self, now: float) -> None:
        """Take in what has arrived."""
        inflow = self._inflow
        if inflow is None or self.closed:
            return
        datagrams = self.rtp.receive()
        if datagrams:
            inflow.receive(datagrams, now, self.rtp.age)
            if not self._heard and inflow.received and self._watch is not None:
                self._heard = True
                self._tell(self._watch.first_audio(now))

    def transmit(self, tick: int, at: float) -> None:
        """Send what the gate lets out in the tick whose deadline is `at`."""
        agreed, latch = self.agreed, self._latch
        if agreed is None or latch is None or self.closed:
            return
        gate, control = self.gate, self._control
        is_open = gate.open
        frame = gate.outgoing(self.source)
        if is_open:
            self._keep(tick, at, frame)
        remote = latch.remote
        if frame is None or remote is None:
            self._was_open = is_open
            return
        # A talkspurt begins where nothing was sent before, or the gate opens (RFC 3551 section 4.1).
        marker = self._last_sent_tick != tick - 1 or (is_open and not self._was_open)
        self._was_open = is_open
        self._last_sent_tick = tick
        if agreed.codec == "PCMU":
            frame = frame.translate(ALAW_TO_ULAW)
        timestamp = (self._timestamp + tick * FRAME_SAMPLES) & 0xFFFFFFFF
        self._sequence = sequence = (self._sequence + 1) & 0xFFFF
        self.rtp.send(build(frame, agreed.payload_type, sequence, timestamp, control.ssrc, marker), remote)
        control.sent_packets += 1
        control.sent_octets += FRAME_SAMPLES
        control.sent_timestamp = timestamp
        control.sent_at = at

    def settle(self, now: float) -> None:
        """Twice a second: recording, RTCP, watch."""
        inflow, track = self._inflow, self.received
        if inflow is None or track is None or self.closed:
            return
        self._settlings += 1
        if not self.eager:
            self.drain(now)  # or the peer could tell by our reports whether somebody listens
        inflow.settle(now)
        self._emit(self._keypad.settle(now))
        self.eager = not inflow.received or track.reads != self._reads or self.gate.open
        self._reads = track.reads
        self._flush()
        if self._settlings % 2:
            self._control.receive(self._latch, self._clock, now)
            self._control.report(inflow, self._latch, self._clock, now)
        self._look(now, inflow, track)

    def failed(self, error: Exception) -> None:
        """Our own code failed here. Said once, and again when it goes on for long."""
        self._failures += 1
        if self._failures == 1 or self._failures % 500 == 0:
            log.error("a leg's media failed", leg=self.id, failures=self._failures, exc_info=error)
            self._tell([Faulty(f"{type(error).__name__}: {error}")])

    # -- inside --

    def _refresh(self) -> None:
        """Whether `transmit` is worth calling."""
        self.sending = self.agreed is not None and self.agreed.sends and self.gate.active

    def _take_in(self, now: float) -> None:
        """The last packets before the sockets are closed."""
        if self._inflow is not None:
            self._inflow.receive(self.rtp.receive(), now, self.rtp.age)

    def _keep(self, tick: int, at: float, frame: bytes | None) -> None:
        """What is sent through the open gate goes onto the track, on the time line that `received` has."""
        if self.sent is None or self.gate.profile is Profile.FULL or frame is None:
            return
        if self._tick_zero is None:
            self._tick_zero, self._zero_position = tick, max(0, round((at - self._origin) * SAMPLE_RATE))
        self.sent.write(self._zero_position + (tick - self._tick_zero) * FRAME_SAMPLES, frame)

    def _begin_recording(self) -> None:
        if self._recorder is None or self._recordings or self.received is None or self.sent is None:
            return
        recorder, incident_id, opened_at = self._recorder
        self._recordings = [
            recorder.record(
                track,
                incident_id=incident_id,
                leg_id=self.id,
                direction=direction,
                opened_at=opened_at,
                on_notice=on_notice,
            )
            for track, direction, on_notice in (
                (self.received, "rx", self.on_notice),
                (self.sent, "tx", None),
            )
        ]

    def _complete_recordings(self) -> None:
        for recording in self._recordings:
            recording.close()
        self._recordings.clear()

    def _flush(self) -> None:
        if not self._recordings:
            return
        received, sent = self._recordings
        received.flush()
        if self.gate.open:
            sent.flush()
        else:
            sent.pause()

    def _look(self, now: float, inflow: Inflow, track: Track) -> None:
        if self._watch is None or self.agreed is None:
            return
        self._tell(
            self._watch.look(
                now,
                Figures(
                    received=inflow.received,
                    expected=inflow.expected,
                    jitter=inflow.jitter * 1000 / SAMPLE_RATE,
                    last_arrival=inflow.last_arrival,
                    receives=self.agreed.receives,
                    second=track.tail(SAMPLE_RATE) if self._settlings % 2 == 0 else None,
                ),
            )
        )

    def _tell(self, notices: list[Notice]) -> None:
        if self.on_notice is not None:
            for notice in notices:
                self.on_notice(notice)

    def _on_control(self, data: bytes, source: Address, now: float) -> None:
        """RTCP on the RTP port (RFC 5761): the peer's if it comes from where its audio comes from."""
        if self._inflow is not None and self._latch is not None and source == self._latch.source:
            self._control.take(data, self._clock, now)

    def _on_keys(self, packet: Packet, now: float) -> None:
        """A packet that may say which key is pressed: an event, or audio."""
        try:
            self._emit(self._keypad.packet(packet, now))
        except RtpError:
            if self._inflow is not None:
                self._inflow.malformed += 1

    def _emit(self, digits: Sequence[Digit]) -> None:
        for digit in digits:
            if self.on_digit is not None:
                self.on_digit(digit.symbol)


def _codecs(agreed: Agreed) -> dict[int, bytes | None]:
    """Payload types of audio and how each becomes A-law; what is not in here is telephone-event."""
    return {payload_type: _TO_ALAW[codec] for payload_type, codec in agreed.receive_types.items() if codec in _TO_ALAW}
