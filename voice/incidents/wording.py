"""Timeline entries in plain words, for everybody who reads them: the command line, the demo.

`who` is the subject and `what` the rest of the sentence: "Olga de Vries" "answers, 2.9 s after the alarm".
An entry that is not known here is told by its kind and its details, so that nothing is ever left out.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from typing import Any

from voice.incidents.timeline import Entry

OURSELVES = "Earshot"


@dataclass(frozen=True, slots=True)
class Names:
    """How people call what the timeline knows by its identifier. What is not in here keeps its identifier."""

    operators: Mapping[str, str] = field(default_factory=dict)
    workers: Mapping[str, str] = field(default_factory=dict)
    legs: Mapping[str, str] = field(default_factory=dict)
    """Leg to who is on it."""
    contacts: Mapping[str, str] = field(default_factory=dict)
    routes: Mapping[str, str] = field(default_factory=dict)
    """Routes to emergency services."""
    zone: tzinfo | None = None
    """In which times are told; None: that of this computer."""


def who(actor: str, names: Names) -> str:
    """The one who did it."""
    role, _, identifier = actor.partition(":")
    match role:
        case "system":
            return OURSELVES
        case "operator":
            return names.operators.get(identifier, identifier)
        case "contact":
            return names.contacts.get(identifier, identifier)
        case "emergency":
            return names.routes.get(identifier, identifier)
        case "device":
            return identifier
        case "worker":
            return names.workers.get(identifier, identifier)
        case "shell":
            return f"{identifier} (command line)"
        case _:
            return actor


def what(entry: Entry, names: Names) -> str:
    """What was done, as the rest of a sentence that begins with `who`."""
    return said(entry.kind, entry.detail, names)


def said(kind: str, detail: Mapping[str, Any], names: Names) -> str:
    """The same of something that stands on no timeline."""
    told = _TOLD.get(kind)
    if told is None:
        return _by_its_details(kind, detail)
    facts = _Facts(detail, names)
    return told(facts) if callable(told) else told.format_map(facts)


ALARMING = frozenset(
    {
        "duress_word",
        "emergency_failed",
        "emergency_impossible",
        "emergency_indeterminate",
        "ended_without_human",
        "engine_fault",
        "nobody_reached",
        "timeline_gap",
    }
)
"""Entries that somebody must see: help may not come unless a person does something."""


class _Facts(dict[str, Any]):
    """The details of an entry with names for identifiers. A detail that is missing leaves a gap, no error."""

    def __init__(self, detail: Mapping[str, Any], names: Names) -> None:
        super().__init__(detail)
        if "leg" in detail:
            self["leg"] = names.legs.get(str(detail["leg"]), "the caller")
        if "operator" in detail:
            self["operator"] = names.operators.get(str(detail["operator"]), detail["operator"])
        if "worker" in detail:
            self["worker"] = names.workers.get(str(detail["worker"]), detail["worker"])
        if "contact" in detail:
            self["contact"] = names.contacts.get(str(detail["contact"]), detail["contact"])
        for key in ("route", "emergency"):
            if key in detail:
                self[key] = names.routes.get(str(detail[key]), detail[key])
        for key in ("by", "to"):
            if key in detail:
                self[key] = who(str(detail[key]), names)
        for key in ("rings", "messages"):
            if key in detail:
                self[key] = _people(detail[key], names)
        for key in ("pause", "follow_up"):
            if key in detail:
                self[key] = f"{detail[key]:g}"
        for key in ("until", "made_at", "due_at", "last_confirmed"):
            if key in detail:
                self[key] = f"{datetime.fromisoformat(str(detail[key])).astimezone(names.zone):%H:%M:%S}"
        for key in ("kind", "outcome", "cause", "reason"):
            if key in detail:
                self[key] = str(detail[key]).replace("_", " ")

    def __missing__(self, key: str) -> str:
        return "…"


def _people(ids: Iterable[Any], names: Names) -> str:
    """`the operators, Anna Jansen and Bob`."""
    told = ["the operators" if id == "operators" else names.contacts.get(str(id), str(id)) for id in ids]
    return " and ".join(part for part in (", ".join(told[:-1]), *told[-1:]) if part) or "nobody"


_PROOF = {
    "digest": "proved by its password",
    "registration": "known by its registration",
    "asserted": "vouched for by the exchange",
    "from": "known by its number, unproved",
}


def _alarm(facts: _Facts) -> str:
    if facts.get("kind") == "missed check in":
        return _missed(facts)
    if facts.get("cause"):
        return (
            f"raises the alarm: {facts['kind']}, as nobody was reached for incident {facts['cause']} ({facts['why']})"
        )
    if "duress" in str(facts.get("proof", "")):
        return f"asks for help in silence ({facts['proof']}); the line stays open"
    worker = f" for {facts['worker']}" if facts.get("worker") else ""
    caller = f", caller {facts['caller']}" if facts.get("caller") and not facts.get("device") else ""
    return f"raises the alarm: {facts['kind']}{worker}{caller} ({_proof(facts)})"


def _missed(facts: _Facts) -> str:
    last = f"; last confirmed at {facts['last_confirmed']}" if facts.get("last_confirmed") else ""
    return f"raises the alarm: {facts['worker']} missed the check-in of {facts['due_at']} ({facts['why']}){last}"


def _proof(facts: _Facts) -> str:
    return _PROOF.get(str(facts.get("proof") or facts.get("identified_by")), "unknown caller")


def _first_heard(facts: _Facts) -> str:
    since = facts.get("from_s", 0)
    return f"hears the alarm, from its second {since:.0f}"


def _hearing(facts: _Facts) -> str:
    """`operator hears device; device hears operator`: who hears nobody is left out."""
    legs = {leg["leg"]: leg for leg in facts.get("legs", ())}
    heard = [
        f"{_role(leg)} hears {', '.join(_role(legs[other]) for other in leg['hears'] if other in legs)}"
        for leg in legs.values()
        if leg["hears"]
    ]
    return "connects: " + ("; ".join(heard) or "nobody hears anybody")


def _role(leg: Mapping[str, Any]) -> str:
    return {"device": "the worker", "emergency": "the control room"}.get(leg["role"], str(leg["role"]))


def _answered(facts: _Facts) -> str:
    late = "; the incident is not on disk yet" if facts.get("before_commit") else "; the incident is on disk"
    return f"answers {facts['leg']} within {facts['after_ms']} ms and stays silent{late}"


def _call_failed(facts: _Facts) -> str:
    why = facts.get("why") or " ".join(str(facts[key]) for key in ("cause", "status") if facts.get(key))
    return f"could not reach the device: {why}"


def _ended(facts: _Facts) -> str:
    cause = "" if facts.get("cause") == "local" else f" ({facts['cause']})"
    return f"ends the call with {facts['leg']}{cause}"


def _ringing_ended(facts: _Facts) -> str:
    return f"rings {facts['operator']} no more: {facts['outcome']}"


def _rung_by(facts: _Facts) -> str:
    way = f"by trunk {facts['trunk']}" if facts.get("trunk") else "directly"
    return f"rings the control room ({facts['route']}) {way}"


def _not_reached(facts: _Facts) -> str:
    return f"certainly did not reach the control room: {facts.get('why') or facts['status']}"


def _perhaps_reached(facts: _Facts) -> str:
    again = f"; calls again in {facts['again_after']} s" if facts.get("again_after") else ""
    return f"DOES NOT KNOW whether the control room was reached: {facts['why']}{again}"


def _message_sent(facts: _Facts) -> str:
    link = ", with a link" if facts.get("link") else ""
    return f"sent {facts['contact']} a message by {facts['channel']}{link}"


def _step(facts: _Facts) -> str:
    """A step of the plan begins; or somebody outside has the alarm now."""
    if "to" in facts:
        return "takes the alarm over"
    place = f"step {facts['step']}"
    place += "".join(f", {name} {facts[name]}" for name in ("round", "lap") if facts.get(name, 1) != 1)
    return f"comes to {place}: {_done_in(facts)}"


def _done_in(facts: _Facts) -> str:
    if "messages" in facts:
        return f"messages to {facts['messages']}"
    if "emergency" in facts:
        return f"the emergency call to {facts['emergency']}"
    return f"waits {facts['waits']:g} s" if "waits" in facts else f"rings {facts['rings']}"


def _contact_rung(facts: _Facts) -> str:
    number = facts.get("number", 1)
    return f"rings {facts['contact']}" + (f", number {number}" if number != 1 else "")


def _contact_leg_ended(facts: _Facts) -> str:
    more = " ".join(str(facts[key]) for key in ("status", "why") if facts.get(key))
    return f"rings {facts['contact']} no more: {facts['outcome']}" + (f" ({more})" if more else "")


def _by_link(facts: _Facts) -> str:
    return "takes the alarm by following the link" if facts.get("counts") else "follows the link: has read the message"


def _resolved(facts: _Facts) -> str:
    note = f" (“{facts['note']}”)" if facts.get("note") else ""
    return f"resolves the incident: {facts['reason']}{note}"


def _took_over(facts: _Facts) -> str:
    nodes = [str(node) for node in facts.get("nodes", ()) if node]
    return "goes on with the incident in place of " + (", ".join(nodes) or "another node")


def _would_call(facts: _Facts) -> str:
    return f"would call {facts['route']} now" + (", by itself" if facts.get("by") == "plan" else "")


def _back_on_disk(facts: _Facts) -> str:
    lost = f"; {facts['lost_ms']} ms were lost" if facts.get("lost_ms") else ""
    return f"writes the recording of {facts['leg']} to disk again{lost}"


def _recorded(facts: _Facts) -> str:
    what = f"what {facts['leg']} was told" if facts.get("direction") == "sent" else facts["leg"]
    return f"has recorded {what}: {facts.get('duration_ms', 0) / 1000:.1f} s, SHA-256 {str(facts['sha256'])[:16]}…"


_TOLD: Mapping[str, str | Callable[[_Facts], str]] = {
    # the alarm and the device
    "opened": _alarm,
    "device_called_again": lambda facts: f"calls again ({_proof(facts)})",
    "linked": "links this with incident {incident}, to which it belongs",
    "answered": _answered,
    "call_refused": "cannot take the call ({status}: {why}); the alarm rings all the same",
    "leg_replaced": "lets go of an older call, which had fallen silent",
    "gave_up": "gives up before it is answered; the alarm rings all the same",
    "device_hung_up": "hangs up; the incident stays open",
    "device_leg_ended": _ended,
    "calling_back": "calls the device back",
    "call_back_impossible": "wants the device called back, but {why}",
    "call_back_failed": _call_failed,
    "call_back_stopped": "calls the device back no more: the incident is resolved",
    "device_answered_call_back": "answers the call-back",
    # a worker's own telephone
    "asked_for_help_again": "asks for help in silence once more ({proof})",
    "worker_hung_up": "hangs up; the incident stays open",
    "worker_leg_ended": _ended,
    "worker_confirmed_late": "has confirmed since (by {how}); the incident stays open",
    # operators
    "operator_rung": "rings {operator}",
    "ringing_ended": _ringing_ended,
    "answered_too_late": "lets {operator} go: somebody else was quicker",
    "operator_joined": "answers, {after_s} s after the alarm",
    "first_audio_heard": _first_heard,
    "listening_live": "has caught up: listens live",
    "talk_on": "turns talk on: the worker can hear",
    "talk_off": "turns talk off",
    "confer_on": "speaks with the others; the worker cannot hear",
    "confer_off": "is heard by nobody any more",
    "hearing": _hearing,
    "marked": "marks second {position_s} of the alarm",
    "help_asked": "asks for help: the other operators ring",
    "gave_back": "gives the alarm back",
    "operator_left": "is off the call",
    "no_sign_of_life": "lets {leg} go: no sign of life on the line",
    # contacts who took the alarm
    "contact_joined": "listens, {after_s} s after the alarm",
    "contact_left": "is off the call ({end})",
    "amber_memo": "has a memo of {seconds} s, which the worker left at {made_at}",
    "memo_heard": "listens to the spoken memo",
    "passed_on": "passes the alarm on",
    "code_word_wrong": "gives a wrong code word; {left} tries are left",
    "duress_word": "gives the duress word: this person is being forced",
    # the plan
    "escalated": _step,
    "contact_rung": _contact_rung,
    "contact_rings": "hears that the telephone of {contact} rings",
    "contact_answered": "hears {contact} pick up, and asks for the key",
    "contact_leg_ended": _contact_leg_ended,
    "taken": "takes the alarm ({proof})",
    "taker_hung_up": "hangs up, and has {follow_up} s to have it closed",
    "acknowledged_by_link": _by_link,
    "follow_up_missed": "has not seen {by} close it in time",
    "escalation_resumed": "goes on with the plan: {why}",
    "nobody_on_duty": "finds nobody at step {step}",
    "operator_spared": "does not ring {operator}: {why}",
    "contact_spared": "leaves {contact} out at step {step}: {why}",
    "lap_ended": "has come to the end of the plan, and starts again in {pause} s",
    "ended_without_human": "has come to the end of the plan without a human, as agreed in “{agreement}”",
    "operators_asked": "has operators rung: a control room was called, and the plan may ring nobody who could decide",
    "nobody_reached": "has not made any telephone of the whole plan ring; operators are rung",
    "worker_safe": "hears that the worker is safe ({proof}); the incident stays open",
    "state_kept": "came too late for {wanted}: {why}",
    "engine_fault": "met a fault of its own in step {step} of the plan, and begins it anew",
    "timeline_gap": "could not write what happened: {why}",
    # what would be done, in a simulation
    "would_send": "would send {contact} a message by {channel}",
    "would_call": _would_call,
    "would_raise": "would raise a technical alarm: {why}",
    # the call to the emergency services
    "emergency_awaits_confirmation": "asks a person whether the emergency services ({route}) are to be called",
    "emergency_waits": "calls the emergency services ({route}) by itself at {until}, unless somebody has the alarm",
    "emergency_placed": "has the emergency services called ({route})",
    "emergency_under_way": "asks for the emergency services, which are being called already",
    "emergency_impossible": "cannot have the emergency services called: {why}",
    "control_room_rung": _rung_by,
    "control_room_answered": "is answered by the control room ({route})",
    "emergency_answered": "tells the control room ({route}) what is known",
    "control_room_connected": "connects the control room with the incident; the worker does not hear it",
    "emergency_confirmed": "has the alarm: {proof}",
    "emergency_failed": _not_reached,
    "emergency_indeterminate": _perhaps_reached,
    "emergency_call_ended": "is off the call with the control room",
    "emergency_line_lost": "has lost the line to the control room, which has the alarm; operators are rung",
    # messages beside calls
    "message_sent": _message_sent,
    "message_failed": "could not send {contact} a message by {channel}: {why}",
    # the lifecycle
    "acknowledged": "has the alarm (acknowledged)",
    "in_progress": "deals with it (in progress)",
    "handed_over": "takes the alarm over",
    "given_back": "leaves it to the queue: it rings again ({why})",
    "resolved": _resolved,
    "reopened": "opens the incident again",
    # media
    "gate_opened": "opens the way to {leg}",
    "gate_shut": "is silent for {leg} again",
    "first_audio": "receives and records {leg}",
    "no_audio": "receives nothing from {leg} for {seconds} s",
    "audio_resumed": "receives {leg} again, after {after} s",
    "packet_loss": "misses {percent} % of the packets from {leg}",
    "packet_loss_over": "receives {leg} without losses again",
    "jitter": "receives {leg} unevenly ({milliseconds} ms)",
    "silent_line": "hears only silence from {leg} for {seconds} s: is the microphone covered?",
    "sound_again": "hears {leg} again, after {after} s of silence",
    "storage_fault": "cannot write the recording of {leg} ({reason}): keeps it in memory",
    "storage_back": _back_on_disk,
    "recorded": _recorded,
    "media_fault": "met a fault of its own in the call of {leg}: {error}",
    # a crash
    "node_took_over": _took_over,
    "service_restarted": "was started anew: the incident is open and rings",
    "leg_lost": "had lost the call of the {role} when it stopped",
    "earlier_audio_not_heard": "could not let the earlier audio be heard: {why}; it is in the recording",
    "recording_unreadable": "cannot read recording {recording}: {why}",
}


def _by_its_details(kind: str, detail: Mapping[str, Any]) -> str:
    details = ", ".join(f"{key} {value}" for key, value in detail.items() if value not in (None, "", [], {}))
    return kind.replace("_", " ") + (f": {details}" if details else "")
