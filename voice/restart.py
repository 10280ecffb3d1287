"""After a restart: what an earlier process left behind is taken up again before the first call is answered.

The dialogs of a dead process are gone, its incidents are not. Each open incident rings operators again, its
recordings are mended and can be heard from second 0, and the device is called back unless it calls first.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path

import structlog
from sqlalchemy import Connection

from voice.alarm import Desk, call_back, escalation
from voice.errors import RecordingFault
from voice.escalation.facts import nobody_reached
from voice.escalation.state import Phase
from voice.escalation.state import State as Standing
from voice.incidents.lifecycle import State
from voice.legs import write_segment
from voice.live_incidents import Key, LiveIncident, unknown_caller
from voice.media.recorder import recover
from voice.media.segment import SegmentInfo
from voice.media.track import Track
from voice.store import incidents as rows
from voice.store.escalations import escalation as standing_of
from voice.store.escalations import without_escalation
from voice.store.rows import IncidentRow, Unfinished
from voice.store.store import Store

log = structlog.get_logger(__name__)

InThread = Callable[[Callable[[], SegmentInfo | None]], Awaitable[SegmentInfo | None]]


@dataclass(frozen=True, slots=True)
class TakenUp:
    """What an earlier process left behind."""

    incidents: Sequence[LiveIncident]
    unfinished: Unfinished
    planless: Collection[str] = ()
    """Those of the incidents that have no escalation in the store."""


async def take_up(store: Store, desk: Desk, *, node: str | None) -> TakenUp:
    """Bring every incident that is open in the store back into memory, so that calls can join it.

    Where nodes share the store (`node` is ours), other nodes may have them: those that nobody has come to us one by
    one (`adopt`), and only what this node left unfinished is looked at.

    Where the store was away at the start, this process has begun incidents of its own by now: they stay as they are.

    Nothing is written: this process may yet find that it cannot run. Raises `StoreUnavailable`, and then nothing was
    taken up.
    """
    ours: Collection[str] = desk.incidents.begun or ()
    left = _of_others(await store.read(partial(rows.unfinished, node=node)), ours)
    if node is not None:
        return TakenUp((), left)
    open_rows = [row for row in await store.read(rows.open_incidents) if row.id not in ours]
    planless = await store.read(without_escalation)
    known = [await _read(row, store) for row in open_rows]
    return TakenUp([_revive(row, desk) for row in known], left, planless)


async def adopt(open_rows: Sequence[IncidentRow], store: Store, desk: Desk) -> list[LiveIncident]:
    """Bring incidents into memory that another node had, or this one in an earlier life.

    Their legs died with it, as far as anybody can know.
    """
    adopted = []
    for row in open_rows:
        incident = _revive(await _read(row, store), desk)
        known = await store.read(partial(rows.legs, incident_id=row.id))
        legs = [leg for leg in known if leg.ended_at is None]
        nodes = sorted({leg.node for leg in legs or known[-1:] if leg.node})
        if row.state is State.RESOLVED:
            pass  # a person opens it again
        elif nodes == [desk.settings.node.name]:
            incident.note("service_restarted")
        else:
            incident.note("node_took_over", {"nodes": nodes})
        _close_legs(Unfinished(tuple(legs), ()), desk)
        adopted.append(incident)
    return adopted


async def let_hear_what_was_said(incidents: Sequence[LiveIncident], store: Store, desk: Desk) -> None:
    """What another node recorded, where its files can be reached."""
    for incident in incidents:
        await _let_hear(incident, None, store, desk)


def announce(taken: TakenUp, desk: Desk) -> None:
    """Say on the timelines that this process goes on with them, and which legs died with the one before."""
    for incident in taken.incidents:
        incident.note("service_restarted")
    _close_legs(taken.unfinished, desk)
    if taken.incidents:
        log.warning("incidents of an earlier process are open", incidents=[i.id for i in taken.incidents])


def begin_missing(taken: TakenUp, desk: Desk) -> None:
    """An incident that an Earshot without plans has left, or one whose plan could not begin, gets its plan now.

    What the store has of it decides, not what is in memory: that may be on its way there yet.
    """
    for incident in taken.incidents:
        if incident.id in taken.planless and incident.state is not State.RESOLVED:
            desk.journal.post(escalation(incident, desk), urgent=True)


def _of_others(left: Unfinished, ours: Collection[str]) -> Unfinished:
    """What is not finished and belongs to none of these incidents."""
    return Unfinished(
        tuple(leg for leg in left.legs if leg.incident_id not in ours),
        tuple(recording for recording in left.recordings if recording.incident_id not in ours),
    )


@dataclass(frozen=True, slots=True)
class _Known:
    """What the store has of an incident."""

    row: IncidentRow
    source: str
    """Host that its device called from."""
    standing: Standing | None
    about: str


async def _read(row: IncidentRow, store: Store) -> _Known:
    opening = (await store.read(partial(rows.timeline, incident_id=row.id)))[0]
    standing = await store.read(partial(standing_of, incident=row.id))
    about = await _about(opening.detail.get("cause"), store)
    return _Known(row, str(opening.detail.get("source") or ""), standing, about)


def _revive(known: _Known, desk: Desk) -> LiveIncident:
    row, settings = known.row, desk.settings
    by_device = row.device_id is not None and not row.cause_key
    worker = settings.worker(row.worker_id) if row.worker_id else None
    return desk.incidents.take_up(
        id=row.id,
        kind=row.kind,
        opened_at=row.opened_at,
        key=Key(row.device_id) if by_device else unknown_caller(row.caller or "", known.source),
        device=settings.device(row.device_id) if row.device_id else None,
        frozen=settings.frozen_plan(row.customer_id, row.kind),
        worker=worker,
        claimed=row.caller or "",
        state=row.state,
        process=desk.legs.process,
        rings_operators=_rings_operators(known.standing),
        about=known.about,
    )


async def _about(cause: object, store: Store) -> str:
    """What a technical alarm is about: the incident for which nobody was reached."""
    standing = await store.read(partial(standing_of, incident=cause)) if isinstance(cause, str) else None
    return nobody_reached(standing.facts) if standing is not None else ""


def _rings_operators(standing: Standing | None) -> bool:
    """Whether operators are rung until the escalation is in memory and says so itself.

    Not where the plan has not come to them, nor where somebody has it whose call did not die: he had hung up.
    """
    if standing is None:
        return True
    died = {leg.id for leg in standing.legs}
    kept = standing.phase is Phase.TAKEN and any(taker.leg not in died for taker in standing.takers)
    return standing.operators_ring and not kept


def _close_legs(left: Unfinished, desk: Desk) -> None:
    """Legs that died with a process are events, never waited for."""
    now = desk.clock.now()
    for leg in left.legs:
        desk.journal.post(partial(_leg_lost, leg_id=leg.id, incident_id=leg.incident_id, role=leg.role, at=now))


def _leg_lost(c: Connection, *, leg_id: str, incident_id: str, role: str, at: datetime) -> None:
    rows.end_leg(c, leg_id, at=at, cause="process lost")
    rows.append(c, incident_id, kind="leg_lost", detail={"leg": leg_id, "role": role}, actor="system", at=at)


async def mend_recordings(taken: TakenUp, store: Store, desk: Desk, in_thread: InThread) -> None:
    """Repair what was being recorded, hash it, and let operators hear it again.

    Files may be long: they are read on another thread (`in_thread`), never on that of the media clock.
    """
    mended: set[str] = set()
    for recording in taken.unfinished.recordings:
        info = await in_thread(partial(_mend, Path(recording.path)))
        desk.journal.post(partial(_write_mended, recording_id=recording.id, info=info, at=desk.clock.now()))
        if info is not None:
            mended.add(recording.id)
    for incident in taken.incidents:
        await _adopt_strays(incident, store, desk, in_thread)
        await _let_hear(incident, mended, store, desk)


async def _adopt_strays(incident: LiveIncident, store: Store, desk: Desk, in_thread: InThread) -> None:
    """What was being said to the device when the process died is a file that the store does not know yet."""
    legs = await store.read(partial(rows.legs, incident_id=incident.id))
    known = {r.id for r in await store.read(partial(rows.recordings, incident_id=incident.id))}
    earlier = {leg.id for leg in legs if leg.started_at < desk.legs.since}
    for path in sorted(desk.legs.recorder.folder(incident.id, incident.opened_at).glob("*.wav")):
        if path.stem not in known and path.stem.rpartition("-")[0].rpartition("-")[0] in earlier:
            info = await in_thread(partial(_mend, path))
            if info is not None:
                now = desk.clock.now()
                desk.journal.post(partial(write_segment, info=info, incident_id=incident.id, at=now, complete=False))


async def _let_hear(incident: LiveIncident, mended: Collection[str] | None, store: Store, desk: Desk) -> None:
    """Old audio comes before whatever this process has recorded for the incident already.

    `mended` is known here before it can be read from the store. None: another node's files, which are not ours to
    mend, are heard as they are.
    """
    if incident.listeners:  # mending took too long: nobody's place in the audio is moved under his ears
        incident.note("earlier_audio_not_heard", {"why": "an operator listened before it was mended"})
        return
    legs = await store.read(partial(rows.legs, incident_id=incident.id))
    recordings = await store.read(partial(rows.recordings, incident_id=incident.id))
    earlier = {leg.id for leg in legs if leg.role == "device" and leg.started_at < desk.legs.since}
    tracks = []
    for recording in recordings:
        there = mended is None or recording.bytes or recording.id in mended
        if recording.leg_id in earlier and recording.direction == "received" and there:
            try:
                tracks.append(Track.from_file(Path(recording.path), recording.started_at))
            except (OSError, RecordingFault) as error:
                incident.note("recording_unreadable", {"recording": recording.id, "why": str(error)})
    incident.audio.prepend(tracks)


def _mend(path: Path) -> SegmentInfo | None:
    """None: there is no such recording, as nothing had been received when the process died."""
    try:
        return recover(path)
    except FileNotFoundError:
        return None
    except (OSError, RecordingFault) as error:
        log.warning("a recording of an earlier process cannot be mended", why=str(error))
        return None


def _write_mended(c: Connection, *, recording_id: str, info: SegmentInfo | None, at: datetime) -> None:
    rows.finish_recording(
        c,
        recording_id,
        at=at,
        duration_ms=info.duration_ms if info else 0,
        bytes=info.bytes if info else 0,
        sha256=info.sha256 if info else "",
        lost_ms=info.lost_ms if info else 0,
        complete=False,
    )


async def call_devices_back(incidents: Sequence[LiveIncident], desk: Desk) -> None:
    """Call each device back, unless it has called again by itself within the time that it is given."""
    await asyncio.sleep(desk.settings.alarms.callback_seconds)
    await asyncio.gather(
        *(
            call_back(incident, desk, asked_by="system")
            for incident in incidents
            if incident.key.device and not incident.connected and incident.state is not State.RESOLVED
        )
    )
