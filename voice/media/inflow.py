"""From the packets of one RTP session to audio on a line of samples. Pure: time comes as an argument.

Audio is placed by its RTP timestamp (RFC 3550 section 5.1): loss and the pauses of a device that sends only
speech become silence of the right length, reordering is mended, duplicates are dropped, and both counters may
wrap. The line itself stands on the arrival clock, so that the tracks of one call line up:

- the first packet of a stream is placed where the arrival clock is (`origin` is sample 0);
- a timestamp that would place audio `IMPLAUSIBLE` beyond the arrival clock, or that runs backwards while the
  sequence number runs on, starts again at the arrival clock, never on top of audio that is already there;
- so does a stream that stays behind the arrival clock although packets flow, without catching up
  (a device that stopped its timestamps while it was on hold);
- while no packets come, the line is continued with silence, so that live listeners stay in real time.

The hot path is a run of packets that are just what was expected: a few comparisons a packet, then one write
to the track and one look at the latch for the whole run.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence

from voice.address import Address
from voice.errors import RtpError
from voice.media.track import Track
from voice.rtp.codecs import SAMPLE_RATE
from voice.rtp.keypad import Packet
from voice.rtp.latch import Latch
from voice.rtp.packet import is_rtcp, parse_header
from voice.rtp.sequence import SEQUENCE_BITS, TIMESTAMP_BITS, distance

IMPLAUSIBLE = 2 * SAMPLE_RATE
"""Samples that a timestamp may run ahead of the arrival clock, or stay behind it for long."""

FLOOD = 30 * SAMPLE_RATE
"""Samples ahead of the arrival clock after which a peer that sends faster than real time is cut off."""

MAX_DROPOUT = 3000
MAX_MISORDER = 300
"""Sequence numbers further off are a restart, believed when the next one follows (RFC 3550 A.1)."""

_OLDEST = 60 * SAMPLE_RATE  # what is later than this is not put in its place any more
_PAUSE = SAMPLE_RATE
_PAUSE_MARGIN = SAMPLE_RATE // 2  # a pause is filled up to here before now, in case packets are only late
_PATIENCE = 3  # settlings (each half a second) that a standing lag is given to shrink
_SHRINKING = SAMPLE_RATE // 10

_unpack = struct.Struct("!HHII").unpack_from


class Inflow:
    """What one leg receives. `on_event` gets telephone-event packets, `on_control` RTCP on the RTP port."""

    def __init__(self, track: Track | None, latch: Latch, codecs: Mapping[int, bytes | None], origin: float) -> None:
        """`codecs`: payload type of audio to the table that translates it to A-law (None: it is A-law)."""
        self.track = track
        self.latch = latch
        self.codecs = codecs
        self.origin = origin
        self.on_event: Callable[[Packet, float], None] | None = None
        self.on_control: Callable[[bytes, Address, float], None] | None = None
        self.on_audio: Callable[[Packet, float], None] | None = None
        """All audio in the order of its arrival, as A-law, with what says where it belongs."""
        self.received = 0
        """Packets that counted, telephone-events included."""
        self.expected = 0
        """Packets that the sequence numbers promised: `expected - received` are lost (RFC 3550 A.3)."""
        self.duplicates = 0
        self.malformed = 0
        self.flooded = 0
        """Samples dropped because the peer sent far more than real time."""
        self.jumps = 0
        """How often the place had to be taken from the arrival clock anew."""
        self.jitter = 0.0
        """Interarrival jitter in samples (RFC 3550 A.8), sampled at the last packet of each drain."""
        self.last_arrival: float | None = None
        self._ssrc = -1
        self._sequence_due = 0
        self._timestamp_due = 0
        self._position = 0  # where audio with `_timestamp_due` belongs
        self._head_due = -1
        self._table: bytes | None = None
        self._source: Address | None = None
        self._anchored = False
        self._missing: dict[int, int] = {}  # sequence number to what its arrival adds to `expected`
        self._suspect = -1
        self._first_sequence = 0
        self._expected_before = 0
        self._received_before = 0
        self._transit: float | None = None
        self._settled = 0  # `received` at the last settling
        self._lag = 0
        self._standing = 0

    @property
    def ssrc(self) -> int | None:
        """The stream that is being received."""
        return self._ssrc if self._ssrc >= 0 else None

    @property
    def lost(self) -> int:
        return max(0, self.expected - self.received)

    @property
    def stream(self) -> tuple[int, int, int]:
        """Of the present SSRC: extended highest sequence number, packets expected, packets received."""
        expected = self.expected - self._expected_before
        return self._first_sequence + expected - 1, expected, self.received - self._received_before

    def receive(self, datagrams: Sequence[tuple[bytes, Address]], now: float, age: float = 0.0) -> None:
        """Take what has arrived, oldest first; `age` is how long the last of it had waited before `now`."""
        run: list[bytes] = []
        due, timestamp_due = self._sequence_due, self._timestamp_due
        head_due, ssrc, held = self._head_due, self._ssrc, self._source
        for data, source in datagrams:
            if len(data) > 12:
                head, sequence, timestamp, synchronization = _unpack(data)
                if (
                    sequence == due
                    and timestamp == timestamp_due
                    and synchronization == ssrc
                    and head == head_due
                    and source == held
                ):
                    payload = data[12:]
                    run.append(payload)
                    due = (due + 1) & 0xFFFF
                    timestamp_due = (timestamp_due + len(payload)) & 0xFFFFFFFF
                    continue
            if run:
                self._take_run(run, now)
                run = []
            self._take_single(data, source, now)
            due, timestamp_due = self._sequence_due, self._timestamp_due
            head_due, ssrc, held = self._head_due, self._ssrc, self._source
        if run:
            self._take_run(run, now)
            self._measure_jitter(now - age)

    def settle(self, now: float) -> None:
        """Twice a second: keep the line in real time through pauses, and mend a lag that stands."""
        track, clock = self.track, self._clock(now)
        flows = self.received != self._settled
        self._settled = self.received
        if track is None:
            return
        if not flows:
            if clock - track.end > _PAUSE:
                track.write(clock - _PAUSE_MARGIN, b"")
            return
        lag = clock - self._position
        if (lag > IMPLAUSIBLE or self._position < track.end) and lag > self._lag - _SHRINKING:
            self._standing += 1
            if self._standing >= _PATIENCE:
                self._start_again(now)
        else:
            self._standing = 0
        self._lag = lag

    # -- packets --

    def _take_run(self, run: list[bytes], now: float) -> None:
        """Packets that were exactly what was expected."""
        count = len(run)
        audio = b"".join(run) if count > 1 else run[0]
        length = len(audio)
        first, timestamp = self._sequence_due, self._timestamp_due
        last = (first + count - 1) & 0xFFFF
        self._sequence_due = (last + 1) & 0xFFFF
        self._timestamp_due = (self._timestamp_due + length) & 0xFFFFFFFF
        self.received += count
        self.expected += count
        self.last_arrival = now
        if self._source is not None:
            self.latch.accept(self._source, self._head_due & 0x7F, last, self._ssrc, now)
        self._put(Packet(self._ssrc, first, count, timestamp, audio), now)

    def _take_single(self, data: bytes, source: Address, now: float) -> None:
        """Anything else: the first packet, a gap, a late one, a digit, RTCP, a stranger's, rubbish."""
        if is_rtcp(data):
            if self.on_control is not None:
                self.on_control(data, source, now)
            return
        try:
            payload_type, marker, sequence, timestamp, ssrc, start, end = parse_header(data)
        except RtpError:
            self.malformed += 1
            return
        if not self.latch.accept(source, payload_type, sequence, ssrc, now):
            return
        self._source = source
        self.last_arrival = now
        if ssrc != self._ssrc:
            self._begin_stream(ssrc, sequence)
        late = self._order(sequence)
        if late is None:
            return
        self.received += 1
        packet = Packet(ssrc, sequence, 1, timestamp, data[start:end])
        if payload_type not in self.codecs:
            if self.on_event is not None:
                self.on_event(packet._replace(event=True, marker=marker), now)
            return
        table = self.codecs[payload_type]
        if late:
            self._mend(packet, table, now)
            return
        self._head_due, self._table = 0x8000 | payload_type, table
        self._place(timestamp, now)
        self._timestamp_due = (timestamp + end - start) & 0xFFFFFFFF
        self._put(packet, now)

    def _order(self, sequence: int) -> bool | None:
        """True for a late packet, False for one in order (perhaps after a gap), None for one to drop."""
        ahead = distance(sequence, self._sequence_due, SEQUENCE_BITS)
        if -MAX_MISORDER <= ahead < 0:
            if sequence not in self._missing:
                self.duplicates += 1
                return None
            uncounted = self._missing.pop(sequence)
            self.expected += uncounted
            self._first_sequence -= uncounted
            return True
        if not 0 <= ahead <= MAX_DROPOUT:
            if sequence != self._suspect:
                self._suspect = (sequence + 1) & 0xFFFF
                return None
            self._begin_stream(self._ssrc, sequence)
            ahead = 0
        if ahead:
            self._note_missing(ahead)
        self._suspect = -1
        self.expected += ahead + 1
        self._sequence_due = (sequence + 1) & 0xFFFF
        return False

    def _note_missing(self, count: int) -> None:
        for number in range(max(0, count - MAX_MISORDER), count):
            self._missing[(self._sequence_due + number) & 0xFFFF] = 0
        while len(self._missing) > MAX_MISORDER:
            del self._missing[next(iter(self._missing))]

    def _begin_stream(self, ssrc: int, sequence: int) -> None:
        """A new SSRC, or the same one counting from elsewhere: its audio goes where the arrival clock is."""
        self._ssrc = ssrc
        self._sequence_due = self._first_sequence = sequence
        self._expected_before, self._received_before = self.expected, self.received
        # What overtook the others became the first packet: those may still come.
        self._missing = {(sequence - back) & 0xFFFF: 1 for back in range(1, 4)}
        self._suspect = -1
        self._anchored = False
        self._transit = None

    # -- places --

    def _clock(self, now: float) -> int:
        """The arrival clock, in samples."""
        return max(0, round((now - self.origin) * SAMPLE_RATE))

    def _place(self, timestamp: int, now: float) -> None:
        """Move on to where audio with this timestamp belongs."""
        if self._anchored:
            step = distance(timestamp, self._timestamp_due, TIMESTAMP_BITS)
            if step >= 0 and self._position + step <= self._clock(now) + IMPLAUSIBLE:
                self._position += step
                return
            self.jumps += 1
        self._start_again(now)

    def _start_again(self, now: float) -> None:
        end = self.track.end if self.track is not None else 0
        self._position = max(self._position, self._clock(now), end)
        if self._anchored:
            self._missing.clear()  # their timestamps belong to the old place
        self._anchored = True
        self._standing = 0
        self._transit = None

    def _put(self, packet: Packet, now: float) -> None:
        """Write audio at the position that is due, and tell those who follow it."""
        audio = packet.payload
        if self._position > self._clock(now) + FLOOD:
            self.flooded += len(audio)
            return
        if self._table is not None:
            audio = audio.translate(self._table)
        if self.track is not None:
            self.track.write(self._position, audio)
        self._position += len(audio)
        if self.on_audio is not None:
            self.on_audio(packet._replace(payload=audio), now)

    def _mend(self, packet: Packet, table: bytes | None, now: float) -> None:
        """Put a late packet into the silence that was left for it."""
        audio = packet.payload if table is None else packet.payload.translate(table)
        back = -distance(packet.timestamp, self._timestamp_due, TIMESTAMP_BITS)
        if self.track is not None and len(audio) <= back <= _OLDEST:
            self.track.write(self._position - back, audio)
        if self.on_audio is not None:
            self.on_audio(packet._replace(payload=audio), now)

    def _measure_jitter(self, arrival: float) -> None:
        transit = arrival * SAMPLE_RATE - self._timestamp_due
        if self._transit is not None:
            difference = abs(transit - self._transit)
            if difference < IMPLAUSIBLE:  # else the timestamp wrapped or jumped
                self.jitter += (difference - self.jitter) / 16
        self._transit = transit
