"""`WorkerLine`: a worker's telephone that is on the line, and how a call for help comes out of it without a sound.

Whoever stands beside a worker hears what he hears, sees his display, and may have heard a check-in before. So nothing
towards the telephone depends on whether he has asked for help: no word, no pause, no packet of SIP or RTP. After the
dialogue the line is silent, whatever is said in the incident, and only the worker ends it.
"""

import asyncio
from collections.abc import Callable
from functools import partial

from sqlalchemy import Connection

from config.models import Worker
from voice.alarm import Desk
from voice.call import Call, CallEnd
from voice.directory import Caller
from voice.incidents.kinds import Kind
from voice.legs import WorkerLeg
from voice.live_incidents import LiveIncident
from voice.phone import CallPhone
from voice.raising import Raised, raise_incident
from voice.rtp.codecs import SAMPLE_RATE
from voice.sign_of_life import SignOfLife

REMEMBERED = 60.0
"""Seconds of what he says that are in memory while the line is open and he has not asked for help."""

LAST_ENTRY = 5.0
"""Seconds that it may take, when he has hung up, to see what he keyed last."""


class WorkerLine:
    """A call with a worker's telephone, once it is up."""

    def __init__(self, call: Call, leg: WorkerLeg, desk: Desk) -> None:
        self.call = call
        self.phone = CallPhone(call)
        self.incident: LiveIncident | None = None
        """The silent alarm that he has raised in this call."""
        self.on_key: Callable[[str], object] = lambda key: None
        """Told of each key as it is pressed, whoever takes it."""
        self._leg = leg
        self._desk = desk
        self._began = desk.clock.now()
        self._silent = False
        call.media.on_digit = self._pressed
        leg.on_quiet = SignOfLife(call, desk.spawn, self._died).went_quiet
        leg.speak()

    def ask_for_help(self, worker: Worker, proof: str, session: str | None = None) -> None:
        """Raise the silent alarm of this worker, at once; his call is its audio, from the first sample on.

        Where one of his is open already, the call joins it. `proof`: by what he asked, for the timeline.
        """
        if self.incident is not None:
            return
        detail = {"leg": self._leg.id, "proof": proof, **({"session": session} if session else {})}
        known = self._desk.incidents.silent_alarm(worker.id)
        if known is None:
            self._become(self._open(worker, detail))
        else:
            known.note("asked_for_help_again", detail, actor=known.actor)
            self._desk.journal.post(partial(self._write, incident=known), urgent=True)
            self._become(known)
            known.wants_help = known.wants_help or not known.listeners  # whoever took it may have hung up since
            known.on_change(known)

    async def stay(self, listening: "asyncio.Task[None]") -> CallEnd:
        """From the end of the dialogue until the worker hangs up: he hears nothing, and we never do it for him.

        `listening`: takes what he keys. The last of it may still call for help when he has hung up.
        """
        self._fall_silent()
        try:
            while not self.call.ended.done():
                await asyncio.wait([self.call.ended], timeout=REMEMBERED)
                self._forget()
            await asyncio.wait([listening], timeout=LAST_ENTRY)
            return self.call.ended.result()
        finally:
            if self.incident is not None:
                self._part(self.incident)

    # -- inside --

    def _pressed(self, key: str) -> None:
        self.call.digits.put_nowait(key)
        asyncio.get_running_loop().call_soon(self.on_key, key)  # not within the beat of the media

    def _open(self, worker: Worker, detail: dict[str, str]) -> LiveIncident:
        desk = self._desk
        desk.metrics.alarms.inc()
        customer = desk.settings.customer_of(None, worker)
        plan = desk.settings.frozen_plan(customer.id if customer else None, Kind.DURESS)
        caller = Caller(None, worker, "none", "")
        raised = Raised(Kind.DURESS, f"worker:{worker.id}", plan, caller, detail=detail)
        return raise_incident(raised, desk, also=self._write)[0]

    def _write(self, connection: Connection, incident: LiveIncident) -> None:
        self._leg.write(
            connection,
            incident_id=incident.id,
            opened_at=incident.opened_at,
            call_id=self.call.call_id,
            peer=self.call.remote_host,
            at=self._began,
        )

    def _become(self, incident: LiveIncident) -> None:
        """The call is the incident's: recorded from its first sample, and heard by whoever listens."""
        self.incident = incident
        self._leg.attach(self.call, incident)
        if self.call.up:
            incident.kept_lines.add(self._leg.id)
            incident.device_calls[self._leg.id] = self.call
        if self._silent:
            self._join(incident)

    def _fall_silent(self) -> None:
        self._silent = True
        self._leg.fall_silent()
        if self.incident is not None:
            self._join(self.incident)

    def _join(self, incident: LiveIncident) -> None:
        """Not before the dialogue is over: from here on the room is what he would hear, if anything could pass."""
        if self.call.up:
            self._leg.join(self.call, incident)

    def _part(self, incident: LiveIncident) -> None:
        end = self.call.ended.result() if self.call.ended.done() else None
        self._leg.leave(incident)
        incident.kept_lines.discard(self._leg.id)
        if end is not None:
            self._leg.ended(end)
            detail = {"leg": self._leg.id, "cause": end.cause.value, **({"status": end.code} if end.code else {})}
            incident.note("worker_hung_up" if end.hung_up else "worker_leg_ended", detail, actor=incident.actor)
            self._desk.ring_operators()

    def _forget(self) -> None:
        """A line may be open for hours, and nobody is to have what was said on it but for an alarm."""
        track = self.call.media.received
        if self.incident is None and track is not None:
            track.forget(round(REMEMBERED * SAMPLE_RATE))

    def _died(self) -> None:
        if self.incident is not None:
            self.incident.note("no_sign_of_life", {"leg": self._leg.id})
