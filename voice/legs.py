"""How a leg is wired: its gate, its recording, its rows in the store, and its notices on the timeline.

The one place that decides what a device can ever hear: `device` gives every device leg a gate that is shut.
"""

import random
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import datetime
from functools import partial
from typing import Any

from sqlalchemy import Connection

from config.models import Device, Operator, Settings
from config.plans import Contact
from voice.call import Call, CallEnd, MediaPlan
from voice.clock import Clock
from voice.journal import Journal
from voice.live_incidents import LiveIncident
from voice.media.gate import Gate, Profile
from voice.media.leg import MediaLeg
from voice.media.notices import (
    AudioResumed,
    Faulty,
    FirstAudio,
    Jitter,
    Loss,
    LossOver,
    NoAudio,
    Notice,
    SilentLine,
    SoundAgain,
    StorageBack,
    StorageFault,
)
from voice.media.recorder import Recorder
from voice.media.room import Member, Role
from voice.media.segment import SegmentInfo, segment_path
from voice.media.watch import Thresholds
from voice.rtp.transport import RtpSocket
from voice.store import incidents as rows
from voice.store.rows import Role as RowRole

ENTRY: Mapping[type, str] = {
    FirstAudio: "first_audio",
    NoAudio: "no_audio",
    AudioResumed: "audio_resumed",
    Loss: "packet_loss",
    LossOver: "packet_loss_over",
    Jitter: "jitter",
    SilentLine: "silent_line",
    SoundAgain: "sound_again",
    StorageFault: "storage_fault",
    StorageBack: "storage_back",
    Faulty: "media_fault",
}
"""What each notice of a leg is called on the timeline."""

_ROWS: Mapping[Role, RowRole] = {
    Role.DEVICE: "device",
    Role.OPERATOR: "operator",
    Role.CONTACT: "contact",
    Role.EMERGENCY: "emergency",
}


class Leg:
    """One leg of an incident, from before its ports are open until after its end."""

    role: Role
    operator_id: str | None = None
    contact_id: str | None = None
    inband_dtmf = True
    """Whether keys are also heard as tones: a device has none, and talks."""
    _call: Call | None = None

    def __init__(self, legs: "Legs", id: str, profile: Profile, direction: str) -> None:
        self.id = id
        self.incident: LiveIncident | None = None
        self._legs = legs
        self.gate = Gate(profile)
        self.plan = MediaPlan(leg=self._media, direction=direction)

    def _media(self, rtp: RtpSocket, rtcp: RtpSocket, host: str) -> MediaLeg:
        return MediaLeg(
            self.id,
            rtp,
            rtcp,
            self.gate,
            clock=self._legs.clock,
            rng=self._legs.random,
            signalling_host=host,
            inband_dtmf=self.inband_dtmf,
            thresholds=self._legs.thresholds,
            on_notice=self._notice,
        )

    def write(
        self,
        connection: Connection,
        *,
        incident_id: str,
        opened_at: datetime,
        call_id: str,
        peer: str,
        at: datetime,
    ) -> None:
        """The rows of this leg: part of the transaction in front of the answer."""
        rows.add_leg(
            connection,
            leg_id=self.id,
            incident_id=incident_id,
            role=_ROWS[self.role],
            operator_id=self.operator_id,
            contact_id=self.contact_id,
            call_id=call_id,
            peer=peer,
            codec=None,
            started_at=at,
        )
        rows.add_recording(
            connection,
            recording_id=f"{self.id}-rx-000",
            incident_id=incident_id,
            leg_id=self.id,
            direction="received",
            index=0,
            path=str(segment_path(self._legs.recorder.folder(incident_id, opened_at), self.id, "rx", 0)),
            started_at=at,
            offset_ms=0,
        )

    def ended(self, end: CallEnd) -> None:
        """The leg is over."""
        now = self._legs.clock.now()
        self._legs.journal.post(partial(rows.end_leg, leg_id=self.id, at=now, cause=end.cause.value))
        received = self._call.media.received if self._call else None
        if received is None or received.end == 0:
            self._legs.journal.post(partial(_write_empty, recording_id=f"{self.id}-rx-000", at=now))
        self._call = None  # an incident stays open for hours; a call that is over need not stay with it

    def _record(self, call: Call, incident: LiveIncident) -> None:
        self._call, self.incident = call, incident
        call.media.record(self._legs.recorder, incident.id, incident.opened_at)

    def _notice(self, notice: Notice) -> None:
        if self.incident is None:
            return
        detail: dict[str, Any] = {"leg": self.id}
        for name, value in asdict(notice).items():
            detail[name] = round(value, 3) if isinstance(value, float) else value
        self.incident.note(ENTRY[type(notice)], detail)
        if isinstance(notice, StorageFault):
            self.incident.warn()


class DeviceLeg(Leg):
    """A call with the device. Silent by construction: `Gate` is shut until an operator talks."""

    role = Role.DEVICE
    inband_dtmf = False
    _member: Member | None = None

    def attach(self, call: Call, incident: LiveIncident) -> None:
        """Keep what the device says, from its first sample on, and let it be heard."""
        self._record(call, incident)
        call.when_media(lambda: self._let_hear(call, incident))

    def join(self, call: Call, incident: LiveIncident) -> None:
        """The leg is up: from here on the device could hear somebody who talks."""
        self._member = Member(self.id, Role.DEVICE, received=call.media.received, gate=self.gate)
        self.gate.on_change = self._gate_changed
        incident.device_calls[self.id] = call
        incident.room.join(self._member)
        call.media.source = incident.room.source_for(self._member)

    def leave(self, incident: LiveIncident) -> None:
        """The leg is gone."""
        incident.device_calls.pop(self.id, None)
        if self._member is not None:
            incident.room.leave(self._member)

    def _let_hear(self, call: Call, incident: LiveIncident) -> None:
        if call.media.received is not None:
            incident.audio.append(call.media.received)  # at once: who listens hears it from its first sample

    def _gate_changed(self, open: bool) -> None:
        if self.incident is not None:
            self.incident.note("gate_opened" if open else "gate_shut", {"leg": self.id})
        if self._call is not None and self.plan.direction == "recvonly":
            self._call.redirect("sendrecv" if open else "recvonly")  # or the talk would not reach the device


class WorkerLeg(DeviceLeg):
    """A call with a worker's own telephone: he is spoken to for as long as the dialogue lasts, and then never again.

    It belongs to no incident and is not recorded, unless he asks for help in silence: then it is recorded from its
    first sample. Nothing that leaves towards him depends on that.
    """

    inband_dtmf = True
    on_quiet: Callable[[], object] = staticmethod(lambda: None)
    """Called when nothing comes from the telephone any more."""

    def speak(self) -> None:
        """He hears what the dialogue plays."""
        self.gate.set(True)

    def fall_silent(self) -> None:
        """He hears nothing more, whoever talks: somebody beside him could hear it, too."""
        self.gate.seal()

    def _notice(self, notice: Notice) -> None:
        super()._notice(notice)
        if isinstance(notice, NoAudio):
            self.on_quiet()


class PersonLeg(Leg):
    """A call with a person. It belongs to an incident once something has picked up."""

    on_quiet: Callable[[], object] = staticmethod(lambda: None)
    """Called when nothing comes from the phone any more."""

    def _notice(self, notice: Notice) -> None:
        super()._notice(notice)
        if isinstance(notice, NoAudio):
            self.on_quiet()

    def attach(self, call: Call, incident: LiveIncident) -> None:
        """The call was answered: record what is said, and write the leg."""
        self._record(call, incident)
        self._legs.journal.post(
            partial(
                self.write,
                incident_id=incident.id,
                opened_at=incident.opened_at,
                call_id=call.call_id,
                peer=call.remote_host,
                at=self._legs.clock.now(),
            )
        )


class OperatorLeg(PersonLeg):
    """A call with an operator."""

    role = Role.OPERATOR


class ContactLeg(PersonLeg):
    """A call with a contact. Recorded from the moment at which something picks up, be it a voicemail."""

    role = Role.CONTACT


class EmergencyLeg(PersonLeg):
    """A call with a control room."""

    role = Role.EMERGENCY


class Legs:
    """Makes legs, and writes down what their recordings became."""

    def __init__(
        self,
        settings: Settings,
        recorder: Recorder,
        journal: Journal,
        clock: Clock,
        rng: random.Random,
    ) -> None:
        self.recorder = recorder
        self.journal = journal
        self.clock = clock
        self.random = rng
        self.thresholds = Thresholds(no_audio=settings.alarms.no_audio_seconds)
        self.process = f"{rng.getrandbits(8):02x}"
        self.since = clock.now()
        """Legs that started before this belong to an earlier process."""
        recorder.on_segment = self._segment_finished

    def device(self, device: Device | None) -> DeviceLeg:
        """A leg to or from a device; a device that is not known is treated as the most discreet kind."""
        profile = Profile(device.discreet) if device else Profile.SILENCE
        direction = "recvonly" if profile is Profile.RECVONLY else "sendrecv"
        return DeviceLeg(self, self._name(), profile, direction)

    def worker(self) -> WorkerLeg:
        """A leg to or from a worker's own telephone."""
        return WorkerLeg(self, self._name(), Profile.SILENCE, "sendrecv")

    def operator(self, operator: Operator) -> OperatorLeg:
        leg = OperatorLeg(self, self._name(), Profile.FULL, "sendrecv")
        leg.operator_id = operator.id
        return leg

    def contact(self, contact: Contact) -> ContactLeg:
        leg = ContactLeg(self, self._name(), Profile.FULL, "sendrecv")
        leg.contact_id = contact.id
        return leg

    def emergency(self) -> EmergencyLeg:
        return EmergencyLeg(self, self._name(), Profile.FULL, "sendrecv")

    def _name(self) -> str:
        return f"{self.random.getrandbits(48):012x}"

    def _segment_finished(self, info: SegmentInfo) -> None:
        self.journal.post(partial(write_segment, info=info, incident_id=info.path.parent.name, at=self.clock.now()))


def write_segment(
    connection: Connection, *, info: SegmentInfo, incident_id: str, at: datetime, complete: bool = True
) -> None:
    """The row of a recording that is finished; `complete` is false for one that a dead process left."""
    recording_id = f"{info.leg_id}-{info.direction}-{info.index:03d}"
    if (info.direction, info.index) != ("rx", 0):
        rows.add_recording(
            connection,
            recording_id=recording_id,
            incident_id=incident_id,
            leg_id=info.leg_id,
            direction="received" if info.direction == "rx" else "sent",
            index=info.index,
            path=str(info.path),
            started_at=info.started_at,
            offset_ms=info.offset_ms,
        )
    rows.finish_recording(
        connection,
        recording_id,
        at=at,
        duration_ms=info.duration_ms,
        bytes=info.bytes,
        sha256=info.sha256,
        lost_ms=info.lost_ms,
        complete=complete,
    )


def _write_empty(connection: Connection, *, recording_id: str, at: datetime) -> None:
    """Nothing was ever received on this leg, so there is no file."""
    rows.finish_recording(connection, recording_id, at=at, duration_ms=0, bytes=0, sha256="", lost_ms=0, complete=True)
