"""What must hold after every story, whatever happened in it. Each rule yields what broke it, in words."""

import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

from voice.errors import RecordingFault
from voice.incidents.lifecycle import State
from voice.incidents.timeline import Entry, verify
from voice.media.track import Track
from voice.rtp.codecs import ULAW_TO_ALAW
from voice.sim.evidence import VOICES, Account, Evidence
from voice.sim.phone import SimPhone
from voice.sim.phone_call import PhoneCall
from voice.sim.speech import marks, read_mark
from voice.sim.stage import HOST
from voice.sim.story import Deed
from voice.store.rows import LegRow

CHALLENGE = 7.0
"""Seconds after which a device that was challenged and never came back has become an alarm."""

LAST_SECOND = 1.0
"""What a crash may cost of a recording."""

ANNOUNCED = {
    Deed.STORE: {"store unavailable; calls go on, writes wait", "alarm answered before it was durable"},
    Deed.DISK: {"recordings cannot be written"},
}
"""Errors in the log that a story may bring about."""

FOREVER = float("inf")
Span = tuple[float, float]


def judge(evidence: Evidence) -> Iterator[str]:
    """All promises that were broken."""
    for rule in RULES:
        yield from rule(evidence)


def nothing_failed_inside(evidence: Evidence) -> Iterator[str]:
    """No task failed, no write was refused, none waits for ever."""
    announced = set().union(*(ANNOUNCED.get(act.deed, set()) for act in evidence.story.acts))
    for entry in evidence.log:
        if entry["log_level"] in ("error", "critical", "exception") and entry["event"] not in announced:
            yield f"logged: {entry}"
    if evidence.refused:
        yield f"the store refused {evidence.refused} writes"
    if evidence.backlog:
        yield f"{evidence.backlog} writes wait for a store that is well"


def every_chain_is_whole(evidence: Evidence) -> Iterator[str]:
    for account in evidence.accounts:
        broken = verify(account.timeline)
        if broken is not None or not account.timeline or account.timeline[0].kind != "opened":
            yield f"the timeline of {account.row.id} breaks at {broken}"


def only_people_resolve(evidence: Evidence) -> Iterator[str]:
    for account in evidence.accounts:
        for entry in account.timeline:
            if entry.kind == "resolved" and not entry.actor.startswith("operator:"):
                yield f"{account.row.id} was resolved by {entry.actor}"


def nobody_is_left_without_help(evidence: Evidence) -> Iterator[str]:
    """In the end every operator is willing: what is still open is so because nobody was rung for it."""
    for account in evidence.accounts:
        if account.row.state is not State.RESOLVED:
            yield f"{account.row.id} is still {account.row.state}"


# -- no alarm is lost --

_CALL_ID = re.compile(rb"\r\nCall-ID: *(\S+)")
_FROM = re.compile(rb"\r\nFrom:[^\r]*sip:([^@;>]+)@[^\r]*")
_TO_TAG = re.compile(rb"\r\nTo:[^\r]*;tag=")


def no_alarm_is_lost(evidence: Evidence) -> Iterator[str]:
    """Every INVITE of a device that reached the service is a leg of an incident.

    A device that was challenged and did not come back is one after some seconds, or with its next call; not if the
    process died within these seconds.
    """
    taken = {leg.call_id for account in evidence.accounts for leg in account.legs}
    devices = {device.name for device in evidence.story.devices}
    challenged = _challenged(evidence)
    for call_id, (user, arrivals) in _invites(evidence).items():
        if user not in devices or call_id in taken:
            continue
        for since, until in evidence.lives:
            for at in arrivals:
                excused = call_id in challenged and (until - at < CHALLENGE or _alarm_soon(evidence, user, at))
                if since <= at < until and not excused:
                    yield f"the call {call_id} of {user} at {at - evidence.start:.2f} is lost"
                    break


def _invites(evidence: Evidence) -> dict[str, tuple[str, list[float]]]:
    """Arrivals at the service of INVITEs that open a dialog: by Call-ID, with the user in From."""
    found: dict[str, tuple[str, list[float]]] = {}
    for packet in evidence.signalling:
        data = packet.data
        if packet.destination[0] == HOST and data.startswith(b"INVITE ") and not _TO_TAG.search(data):
            user, call_id = _FROM.search(data), _CALL_ID.search(data)
            if user and call_id:
                found.setdefault(call_id[1].decode(), (user[1].decode(), []))[1].extend(packet.arrives)
    return found


def _challenged(evidence: Evidence) -> set[str]:
    answers = (p.data for p in evidence.signalling if p.source[0] == HOST and p.data.startswith(b"SIP/2.0 401"))
    return {match[1].decode() for data in answers if (match := _CALL_ID.search(data))}


def _alarm_soon(evidence: Evidence, user: str, at: float) -> bool:
    """Whether this device has a leg that began after `at`, and soon."""
    return any(
        at - 0.1 <= _loop_time(evidence, leg.started_at) <= at + CHALLENGE + 3
        for account in evidence.accounts
        if user in (account.row.device_id, account.row.caller)
        for leg in account.legs
        if leg.role == "device"
    )


def _loop_time(evidence: Evidence, at: datetime) -> float:
    return at.timestamp() + evidence.epoch


# -- what was heard --


def devices_hear_silence_unless_somebody_talks(evidence: Evidence) -> Iterator[str]:
    link = evidence.story.link
    slack = 0.15 + 2 * (link.delay + link.jitter + link.late)
    of_call = {leg.call_id: (account, leg) for account in evidence.accounts for leg in account.legs}
    for phone, call in _calls(evidence, [device.name for device in evidence.story.devices]):
        known = of_call.get(call.session.call_id) if call.session else None
        windows = list(_open_gates(evidence, *known, slack)) if known else []
        for packet in call.hearing.sounds():
            if not any(since <= packet.at <= until for since, until in windows):
                yield f"{phone.user} heard a sound at {packet.at - evidence.start:.2f}"
                break


def _open_gates(evidence: Evidence, account: Account, leg: LegRow, slack: float) -> Iterator[Span]:
    """When something could be heard at this leg, as the timeline has it. A crash shuts every gate."""
    opened: Entry | None = None
    for entry in account.timeline:
        if entry.detail.get("leg") != leg.id:
            continue
        if entry.kind == "gate_opened":
            opened = entry
        elif opened is not None and entry.kind in ("gate_shut", "leg_lost"):
            yield evidence.moment(opened), evidence.moment(entry) + slack
            opened = None
    if opened is not None:
        yield evidence.moment(opened), FOREVER


def nobody_hears_himself(evidence: Evidence) -> Iterator[str]:
    for phone, call in _calls(evidence, [operator.name for operator in evidence.story.operators]):
        first = evidence.first_numbers[phone.user]
        own = [number for number in call.hearing.marks().numbers if first <= number < first + VOICES]
        if own:
            yield f"{phone.user} heard himself: {own[:3]}"


def _calls(evidence: Evidence, names: list[str]) -> Iterator[tuple[SimPhone, PhoneCall]]:
    for name in names:
        if name in evidence.phones:
            phone = evidence.phones[name]
            yield from ((phone, call) for call in phone.calls)


# -- what was recorded --


def what_came_is_recorded(evidence: Evidence) -> Iterator[str]:
    """Every frame of a device that arrived while its leg was up is in a recording of that leg."""
    legs = {leg.call_id: leg for account in evidence.accounts for leg in account.legs if leg.role == "device"}
    recorded = _recorded(evidence)
    for call_id, numbers in _arrived(evidence).items():
        leg = legs.get(call_id)
        if leg is None:
            continue
        since, until = _up(evidence, leg)
        beginning = min(numbers, key=numbers.__getitem__)  # a recording begins with what came first
        missing = sorted(
            n for n, at in numbers.items() if since <= at <= until and n >= beginning and n not in recorded[leg.id]
        )
        if missing:
            yield f"{len(missing)} frames of leg {leg.id} are not recorded, the first {missing[:3]}"


def _up(evidence: Evidence, leg: LegRow) -> Span:
    """From when to when nothing of this leg may be missing."""
    since = _loop_time(evidence, leg.started_at)
    until = _loop_time(evidence, leg.ended_at) - 0.1 if leg.ended_at else FOREVER
    died = next((end for begin, end in evidence.lives if begin <= since < end), FOREVER)
    return since, min(until, died - LAST_SECOND)


def _arrived(evidence: Evidence) -> dict[str, dict[int, float]]:
    """Of each call of a device, by Call-ID: the numbered frames that reached the service, and when."""
    devices = [device.name for device in evidence.story.devices]
    sent = {call.speaker.ssrc: call for _, call in _calls(evidence, devices)}
    arrived: dict[str, dict[int, float]] = defaultdict(dict)
    for packet in evidence.media:
        data = packet.data
        call = sent.get(int.from_bytes(data[8:12], "big"))
        if call is None or call.session is None:
            continue
        payload = data[12:].translate(ULAW_TO_ALAW) if data[1] & 0x7F == 0 else data[12:]
        number = read_mark(payload)
        if number is not None:
            arrived[call.session.call_id].setdefault(number, packet.arrives[0])
    return arrived


def _recorded(evidence: Evidence) -> dict[str, set[int]]:
    """The numbered frames in the recordings of each leg."""
    found: dict[str, set[int]] = defaultdict(set)
    for account in evidence.accounts:
        for recording in account.recordings:
            if recording.direction == "received" and recording.bytes:
                try:
                    track = Track.from_file(Path(recording.path), recording.started_at)
                except (OSError, RecordingFault):
                    continue
                found[recording.leg_id].update(marks(track.read(0, track.end)).numbers)
    return found


RULES: tuple[Callable[[Evidence], Iterator[str]], ...] = (
    nothing_failed_inside,
    every_chain_is_whole,
    only_people_resolve,
    nobody_is_left_without_help,
    no_alarm_is_lost,
    devices_hear_silence_unless_somebody_talks,
    nobody_hears_himself,
    what_came_is_recorded,
)
