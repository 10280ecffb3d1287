"""What the engine is told. Each event is one thing that happened; none of them says what to do.

`leg` is the identifier that the engine gave a call when it commanded it (`commands.Ring.leg`). Events may come twice,
late and in any order: the engine ignores what a leg or an incident is past.
"""

from dataclasses import dataclass

from voice.incidents.lifecycle import Reason


@dataclass(frozen=True, slots=True)
class Opened:
    """The incident was opened (or reopened): begin with the first step."""


@dataclass(frozen=True, slots=True)
class Timer:
    """The deadline of the state is there."""


# -- legs to contacts --


@dataclass(frozen=True, slots=True)
class Rings:
    """The network says that the phone rings (180): this contact can be reached."""

    leg: str


@dataclass(frozen=True, slots=True)
class Answered:
    """Something picked up: a person, a voicemail, a screening service. It proves nothing."""

    leg: str


@dataclass(frozen=True, slots=True)
class Taken:
    """A person has proven that he takes the alarm."""

    leg: str
    proof: str
    """How, for the timeline: `pressed the key asked for`."""


@dataclass(frozen=True, slots=True)
class Declined:
    """The contact refused: by his phone (603, 480) or by the key for it."""

    leg: str


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """Nobody picked up in time, or nobody pressed the key after the call was picked up."""

    leg: str
    answered: bool = False
    """Something had picked up."""


@dataclass(frozen=True, slots=True)
class Busy:
    leg: str


@dataclass(frozen=True, slots=True)
class Failed:
    """The call never came about, on no trunk: with the last SIP status, None without one."""

    leg: str
    status: int | None = None
    why: str = ""


@dataclass(frozen=True, slots=True)
class VoicemailSuspected:
    """The detector heard a machine. The leg is over."""

    leg: str
    why: str = ""


@dataclass(frozen=True, slots=True)
class LegLost:
    """The leg died with its process, or the connection broke. Nobody hung up."""

    leg: str


@dataclass(frozen=True, slots=True)
class HungUp:
    """A contact who had taken the alarm ended his call by himself."""

    leg: str


@dataclass(frozen=True, slots=True)
class PassedOn:
    """A contact who had taken the alarm gives it on: the next one is rung."""

    leg: str


# -- people on the incident --


@dataclass(frozen=True, slots=True)
class OperatorRings:
    """An operator's phone rings for this alarm: operators can be reached."""

    operator: str


@dataclass(frozen=True, slots=True)
class OperatorJoined:
    operator: str
    leg: str = ""
    """His leg. With it, an event that comes late or twice is told from one of another leg."""


@dataclass(frozen=True, slots=True)
class OperatorLeft:
    """Without having resolved it. `gave_back`: by choice; else his leg died."""

    operator: str
    gave_back: bool = False
    leg: str = ""


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """A contact followed the acknowledgement link of a message. Proves something only if the plan says so."""

    contact: str
    counts: bool = False
    """The plan says so, in the step that sent the message (`commands.Send.counts`)."""


@dataclass(frozen=True, slots=True)
class WorkerSafe:
    """The worker says that he is safe. It is noted and told; it ends nothing, for he may be forced to say so."""

    proof: str


@dataclass(frozen=True, slots=True)
class Resolved:
    """Somebody resolved the incident: what is under way ends."""

    by: str
    """Actor: `operator:olga`, `contact:anna`, …"""
    reason: Reason | None = None
    """Of somebody who does not have the incident in his hands: the lifecycle is changed with this decision. None: it
    is changed already, by the session of who did it."""
    note: str = ""
    """How it was resolved, in words."""


@dataclass(frozen=True, slots=True)
class Reopened:
    by: str


# -- the emergency call --


@dataclass(frozen=True, slots=True)
class EmergencyAsked:
    """A person confirmed that the emergency services are to be called."""

    by: str
    request: str = ""
    """Names the request, so that it counts once even if it is delivered twice; "": each counts."""


@dataclass(frozen=True, slots=True)
class EmergencyAnswered:
    """The control room picked up; the briefing begins."""

    call: str


@dataclass(frozen=True, slots=True)
class EmergencyConfirmed:
    """The call taker confirmed by a key, or a person in the room did for him."""

    call: str
    proof: str


@dataclass(frozen=True, slots=True)
class EmergencyFailed:
    """It is certain that nobody was reached: refused on every trunk, before anything picked up."""

    call: str
    status: int | None = None
    why: str = ""


@dataclass(frozen=True, slots=True)
class EmergencyIndeterminate:
    """INVITE went out and its outcome is not known: the process died, or the call ended without a confirmation."""

    call: str
    why: str = ""


Event = (
    Opened
    | Timer
    | Rings
    | Answered
    | Taken
    | Declined
    | NoAnswer
    | Busy
    | Failed
    | VoicemailSuspected
    | LegLost
    | HungUp
    | PassedOn
    | OperatorRings
    | OperatorJoined
    | OperatorLeft
    | Acknowledged
    | WorkerSafe
    | Resolved
    | Reopened
    | EmergencyAsked
    | EmergencyAnswered
    | EmergencyConfirmed
    | EmergencyFailed
    | EmergencyIndeterminate
)
