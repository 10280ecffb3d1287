"""Incidents while they are open on this node: their audio, the people in the room, the way to the store.

What is decided here is decided in memory at once and posted to the journal in the same breath, so a store that is
slow or away never holds up a person. The store stays the truth after a crash: `restart.py` builds these anew from it.
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any

from sqlalchemy import Connection

from config.models import Device, Worker
from config.plans import OPERATORS_ONLY, Customer, FrozenPlan
from voice.call import Call
from voice.clock import Clock
from voice.directory import Caller
from voice.dispatch import urgency
from voice.escalation.events import Event
from voice.incidents.identifiers import Identifiers
from voice.incidents.kinds import Kind
from voice.incidents.lifecycle import Reason, State, transition
from voice.journal import Journal
from voice.media.listening import IncidentAudio
from voice.media.room import Ear, Role, Room
from voice.media.tones import Sound, clip
from voice.store import incidents as rows

Write = Callable[[Connection], Any]

DEAD_AIR = 2.0
"""Seconds without a packet after which a device's call counts for nothing: it may be replaced, or called back."""


@dataclass(frozen=True, slots=True)
class Key:
    """What a second call must have in common with an incident to join it."""

    device: str | None
    caller: str | None = None
    """For unknown callers: number and source host. None for an anonymous one, who joins nothing."""


def unknown_caller(claimed: str, source: str) -> Key:
    """The key of a caller who is no known device."""
    name = claimed.lower()
    return Key(None, None if name in _ANONYMOUS else f"{name}@{source}")


_ANONYMOUS = frozenset({"", "anonymous", "unknown", "restricted", "unavailable"})


_OPERATORS_ONLY = FrozenPlan(plan=OPERATORS_ONLY)


@dataclass(eq=False)
class LiveIncident:
    """One incident that is not resolved yet."""

    id: str
    kind: Kind
    opened_at: datetime
    key: Key
    device: Device | None
    worker: Worker | None
    claimed: str
    journal: Journal
    clock: Clock
    room: Room
    resolved: asyncio.Future[None]
    """Done when somebody has resolved it."""
    state: State = State.OPEN
    device_calls: dict[str, Call] = field(default_factory=dict)
    """Legs of the device that are up, by leg id."""
    kept_lines: set[str] = field(default_factory=set)
    """Those of them that we never end, not even when the incident is resolved: a hang-up would tell who watches."""
    listeners: set[str] = field(default_factory=set)
    """Operators in the room."""
    not_before: dict[str, float] = field(default_factory=dict)
    """Operators who gave it back or refused it: not rung again for it before this (monotonic seconds). Never, where
    it is infinite: he is the worker himself."""
    process: str = ""
    """Tells our calls from those of an earlier process, which phones may still hold for alive."""
    wants_help: bool = False
    """Somebody in the room asked for an operator, or for another one."""
    frozen: FrozenPlan = _OPERATORS_ONLY
    """The plan of this incident, as it was when it opened."""
    rings_operators: bool = True
    """Whether the plan has come to the operators, and nobody has the alarm. Follows the escalation."""
    holders: frozenset[str] = frozenset()
    """Who has it besides operators: actors of contacts and control rooms. Follows the escalation."""
    about: str = ""
    """What it is about, where nobody called: what went wrong, and whose alarm that concerns."""
    changed_by: str = "system"
    """Actor of the latest change of state."""
    tell: Callable[[Event], None] = lambda event: None
    """Tells the escalation of this incident what happened."""
    on_change: Callable[["LiveIncident"], None] = lambda incident: None

    @property
    def priority(self) -> int:
        return self.kind.priority

    @property
    def audio(self) -> IncidentAudio:
        """Everything that the device said, over all of its calls."""
        return self.room.audio

    @property
    def actor(self) -> str:
        """Who called, as the timeline names who did something."""
        if self.device is not None:
            return f"device:{self.device.id}"
        return f"worker:{self.worker.id}" if self.worker is not None else "unknown caller"

    @property
    def connected(self) -> bool:
        """Whether a call with the device is up. One that was just hung up is not, though its leg is still there."""
        return any(not call.ended.done() for call in self.device_calls.values())

    @property
    def deaf(self) -> bool:
        """Whether the worker is on a line on which nobody may ever be heard: a silent alarm's."""
        return bool(self.device_calls) and self.device_calls.keys() <= self.kept_lines

    @property
    def silent(self) -> bool:
        """Whether this is a silent alarm: asked for on the worker's telephone, so nobody may call there again."""
        return self.kind is Kind.DURESS and self.device is None and self.worker is not None

    @property
    def talkable(self) -> bool:
        """Whether somebody could be heard where the worker is: now, or once his device is called back. A telephone
        is never called back."""
        return not self.deaf if self.connected else self.device is not None

    @property
    def heard(self) -> bool:
        """Whether anything comes from the device now, be it silence. A call whose device died still looks up."""
        return any(call.media.quiet_for < DEAD_AIR for call in self.device_calls.values())

    @property
    def waits(self) -> bool:
        """Whether it rings operators: its plan says so and nobody listens, or somebody in the room asked for one."""
        return self.state is not State.RESOLVED and (self.wants_help or (self.rings_operators and not self.listeners))

    @property
    def attended(self) -> bool:
        """Whether somebody has it: an operator who listens, a contact who took it, a control room."""
        return bool(self.listeners or self.holders)

    @property
    def customer(self) -> Customer | None:
        return self.frozen.customer

    @property
    def extension(self) -> str:
        """What an operator dials to listen to it, and who calls when his phone rings for it.

        After a restart it differs (`listen-1k3x9a0q.7f`): Linphone refuses a call from the same address as one that
        it still thinks it has, which after a crash is the call of the dead process.
        """
        return f"listen-{self.id}{'.' if self.process else ''}{self.process}"

    @property
    def label(self) -> str:
        """What an operator's phone shows: who and what. Never written to a log."""
        if self.about:
            return self.about
        who = self.worker.name if self.worker else (self.device.id if self.device else self.claimed or "unknown caller")
        return f"{who} - {self.kind.value.replace('_', ' ')}"

    def note(self, kind: str, detail: Mapping[str, Any] | None = None, *, actor: str = "system") -> None:
        """Add an entry to the timeline."""
        self.journal.post(
            partial(
                _append,
                incident=self.id,
                kind=kind,
                detail=dict(detail or {}),
                actor=actor,
                at=self.clock.now(),
            )
        )

    def hang_up(self, reason: str) -> None:
        """End the calls with the device, but for lines that are kept."""
        for leg, call in list(self.device_calls.items()):
            if leg not in self.kept_lines:
                call.hang_up(reason)

    def warn(self) -> None:
        """Something is wrong that operators should know of: a sound for each of them, the reason on the timeline."""
        for member in self.room.members:
            if member.role is Role.OPERATOR:
                member.tones.play(clip(Sound.ERROR))

    def change(
        self, to: State, *, actor: str, reason: Reason | None = None, detail: Mapping[str, Any] | None = None
    ) -> None:
        """Change the state; the change and its timeline entry commit together. Raises `LifecycleError`."""
        transition(self.state, to, reason)
        self.state, self.changed_by = to, actor
        self.journal.post(
            partial(
                _transition,
                incident=self.id,
                to=to,
                actor=actor,
                reason=reason,
                at=self.clock.now(),
                detail=dict(detail or {}),
            )
        )
        self.on_change(self)

    def follow(self, to: State, *, actor: str, reason: Reason | None = None) -> None:
        """The escalation has changed the state, and writes it in its own transaction. Raises `LifecycleError`."""
        transition(self.state, to, reason)
        self.state, self.changed_by = to, actor
        self.on_change(self)


def _append(c: Connection, *, incident: str, **entry: Any) -> None:
    rows.append(c, incident, **entry)


def _transition(c: Connection, *, incident: str, **change: Any) -> None:
    rows.transition(c, incident, **change)


NOBODY = Caller(None, None, "none", "")
"""Who calls when nobody does: incidents that the service raises by itself."""


class LiveIncidents:
    """The open incidents of this node."""

    def __init__(
        self,
        journal: Journal,
        clock: Clock,
        identifiers: Identifiers,
        new_room: Callable[[], Room],
        on_change: Callable[[LiveIncident], None],
        tell: Callable[[str, Event], None],
    ) -> None:
        """`tell`: tells the escalation of an incident (its name) what happened."""
        self._journal = journal
        self._clock = clock
        self._identifiers = identifiers
        self._new_room = new_room
        self._on_change = on_change
        self._tell = tell
        self._open: dict[str, LiveIncident] = {}
        self._by_key: dict[Key, LiveIncident] = {}
        self._by_worker: dict[str, list[LiveIncident]] = {}
        self.begun: set[str] | None = None
        """Incidents of this process, while it does not know yet what the store has of an earlier one. None: it does."""

    def __iter__(self) -> Iterator[LiveIncident]:
        return iter(list(self._open.values()))

    def __len__(self) -> int:
        return len(self._open)

    def get(self, incident_id: str) -> LiveIncident | None:
        return self._open.get(incident_id)

    def waiting(self) -> list[LiveIncident]:
        """Those that ring operators, the most urgent first. May be asked on any thread."""
        return sorted((i for i in list(self._open.values()) if i.waits), key=urgency)

    def joinable(self, key: Key) -> LiveIncident | None:
        """The open incident that a call with this key belongs to.

        A known device always joins its own. An unknown caller joins only when his earlier call is over: two calls
        at the same time from one unknown number may well be two people.
        """
        incident = self._by_key.get(key)
        if incident is None or (key.device is None and (key.caller is None or incident.connected)):
            return None
        return incident

    def of_worker(self, worker_id: str, *, beside: LiveIncident) -> LiveIncident | None:
        """Another open incident of this worker, raised by another device."""
        return next((i for i in self._by_worker.get(worker_id, ()) if i is not beside), None)

    def silent_alarm(self, worker_id: str) -> LiveIncident | None:
        """The incident in which this worker has asked for help in silence."""
        return next((i for i in self._by_worker.get(worker_id, ()) if i.silent), None)

    def begin(self, caller: Caller, kind: Kind, key: Key, frozen: FrozenPlan) -> LiveIncident:
        """A new incident in memory; `alarm.py` commits it."""
        now = self._clock.now()
        name = self._identifiers.new(now)
        if self.begun is not None:
            self.begun.add(name)
        return self.take_up(
            id=name,
            kind=kind,
            opened_at=now,
            key=key,
            device=caller.device,
            worker=caller.worker,
            claimed=caller.claimed,
            frozen=frozen,
            rings_operators=False,
        )

    def take_up(self, **facts: Any) -> LiveIncident:
        """An incident among the open ones: a new one, or one that an earlier process left in the store."""
        incident = LiveIncident(
            **facts,
            journal=self._journal,
            clock=self._clock,
            room=self._new_room(),
            resolved=asyncio.get_running_loop().create_future(),
            on_change=self._changed,
            tell=partial(self._tell, facts["id"]),
        )
        incident.room.on_hearing = partial(self._note_hearing, incident.id)
        self._open[incident.id] = incident
        newest = self._by_key.get(incident.key)
        if newest is None or newest.opened_at <= incident.opened_at:  # the store may have come back late
            self._by_key[incident.key] = incident
        if incident.worker is not None:
            self._by_worker.setdefault(incident.worker.id, []).append(incident)
        return incident

    def let_go(self, incident_id: str) -> None:
        """Another node has this one now: it rings nobody here any more, and no call joins it. Its legs go on."""
        incident = self._open.get(incident_id)
        if incident is not None:
            incident.rings_operators = incident.wants_help = False
            self._forget(incident)
            self._on_change(incident)

    def _forget(self, incident: LiveIncident) -> bool:
        """Whether it was among the open ones."""
        if self._open.pop(incident.id, None) is None:
            return False
        if self._by_key.get(incident.key) is incident:
            del self._by_key[incident.key]
        if incident.worker is not None:
            self._by_worker[incident.worker.id].remove(incident)
        return True

    def _note_hearing(self, incident_id: str, ears: Sequence[Ear]) -> None:
        """Who hears whom, whenever that changes: evidence of what could be known by whom."""
        legs = [{"leg": e.leg, "role": e.role.value, "voice": e.voice.value, "hears": list(e.hears)} for e in ears]
        write = partial(_append, kind="hearing", detail={"legs": legs}, actor="system", at=self._clock.now())
        self._journal.post(partial(write, incident=incident_id))

    def _changed(self, incident: LiveIncident) -> None:
        if incident.state is State.RESOLVED and self._forget(incident) and not incident.resolved.done():
            incident.resolved.set_result(None)
        self._on_change(incident)
