"""The shell around the engine (`voice.owned.shell`), and what is found when it dies.

No phone rings for a state that nobody will remember: a command is carried out when its decision is durable
(`delivery`). The process may die between any two lines here:

    it dies                                   whoever takes the incident up finds          and so
    ────────────────────────────────────────  ───────────────────────────────────────────  ─────────────────────────
    before the decision is durable            the state before it, its deadline passed     decides again. Nothing of
                                                                                           it was carried out
    after that, before a leg is rung          the leg in the state                         leg lost: it is rung again
    while legs are up                         the same                                     the same
    before a message is sent or its `done`    the message `pending`                        it is sent, under its key
    before the emergency call is `started`    the call `pending`: certainly not placed     it is placed
    between `started` and its outcome         the call `started`                           indeterminate: the plan's
                                                                                           rule or a person decides
    after the outcome was decided             the outcome in the state                     goes on

So the emergency call is never lost, for until it is `started` somebody places it; and never doubled, for once it is
`started` nobody does, unless the engine decides so anew under another key. What the engine is told twice it ignores.

A node that was taken for dead, and is not, learns it from its next write or heartbeat: it lets go of the incident, and
ends its legs. Until then it may ring a phone that another node rings, too; it cannot place an emergency call, for
`started` would be refused.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from functools import partial
from hashlib import sha256

import structlog
from sqlalchemy import Connection

from config.plans import FrozenPlan
from voice.clock import SteadyClock
from voice.errors import StoreUnavailable
from voice.escalation.delivery import Delivery, Hands, Spawn
from voice.escalation.engine import begin, decide
from voice.escalation.events import (
    EmergencyAnswered,
    EmergencyConfirmed,
    EmergencyFailed,
    EmergencyIndeterminate,
    Event,
    Opened,
    Reopened,
    Timer,
)
from voice.escalation.ledger import Claimed, Decided, Ledger, Letter, Opening, PlanText, sequence_of
from voice.escalation.live import Live
from voice.escalation.ownership import Ownership
from voice.escalation.plan_texts import Plans
from voice.escalation.state import Change, Decision, Facts, Note, Phase, State
from voice.escalation.taking_up import (
    brought_forward,
    call_ended,
    died_with_the_process,
    knowing_the_worker,
    left_undone,
)
from voice.journal import Journal
from voice.owned.ledger import Fence
from voice.owned.live import Orders, durable_orders
from voice.owned.ownership import Callbacks
from voice.owned.shell import Shell
from voice.store.rows import IncidentRow

log = structlog.get_logger(__name__)

TakenUp = Sequence[tuple[IncidentRow, State, FrozenPlan]]

REMEMBERED = 1000
"""Incidents of which it is remembered that another node took them up."""


class Escalations(Shell[Live, Event, Decided]):
    """The escalations of this node: told what happens, it decides, writes, and has it carried out."""

    _ledger: Ledger

    def __init__(
        self,
        *,
        ledger: Ledger,
        journal: Journal,
        hands: Hands,
        clock: SteadyClock,
        spawn: Spawn,
        node: str,
        lease_seconds: float = 3.0,
        own_lines: Callable[[IncidentRow], tuple[str, ...]] = lambda incident: (),
        on_take_up: Callable[[TakenUp], Awaitable[None] | None] = lambda taken: None,
        on_lost: Callable[[str], None] = lambda incident: None,
        on_state: Callable[[str, State], None] = lambda incident, state: None,
        on_change: Callable[[str, Change], None] = lambda incident, change: None,
    ) -> None:
        """`own_lines`: what leads to the worker of an incident, whose row may not say so yet.

        `on_take_up`: escalations of a process that is gone are ours; before any event of theirs is decided.

        `on_lost`: another node has this one now. `on_state`, `on_change`: after each decision, before it is durable.
        """
        super().__init__(ledger, journal, clock, node, Timer())
        self._own_lines = own_lines
        self._on_take_up = on_take_up
        self._on_lost = on_lost
        self._on_state = on_state
        self._on_change = on_change
        self._plans = Plans()
        self._lost: dict[str, int] = {}
        """Incidents that another node has now, with the last decision of ours that it knows of."""
        self._ownership = Ownership(
            ledger,
            node,
            lease_seconds,
            clock,
            Callbacks(self._live.keys, self._take_up, self._compare, self._read),
            superseded=self._lose_all,
        )
        self._delivery = Delivery(
            ledger=ledger,
            journal=journal,
            hands=hands,
            clock=clock,
            spawn=spawn,
            lease_seconds=lease_seconds,
            report=self.post,
            has_rivals=self._ownership.has_rivals,
            idle=self._forget_if_over,
        )

    # -- what the service asks of it --

    def opening(
        self, incident: str, frozen: FrozenPlan, facts: Facts, opened_at: datetime
    ) -> Callable[[Connection], None]:
        """Take a new incident into memory, and give what to write in the transaction that opens it.

        That transaction must be posted to the journal at once. A first decision without commands (operators are rung
        by their own queue) is part of it already.
        """
        self._settle_clock()
        state = begin(incident, facts, self._clock.of(opened_at))
        first = decide(frozen, state, Opened(), self._clock.now())
        if first.commands or first.change:  # they wait for this transaction, so they are decided behind it
            first = Decision(state)
            asyncio.get_running_loop().call_soon(self.post, incident, Opened())
        plan, known = self._plans.text(frozen)
        if not known:
            asyncio.get_running_loop().call_soon(self._look_for_plan, plan)
        live = Live(Fence(incident, self._node, 1), frozen, first.state)
        self._live[incident] = live
        self._show(live, None)
        self._arm(live)
        opening = Opening(live.fence, plan, not known, first.state, first.notes, self._clock.wall())
        return partial(self._ledger.open, opening=opening)

    def _look_for_plan(self, plan: PlanText) -> None:
        """Behind the opening: once the store has the plan, later alarms need not bring it."""
        found: list[bool] = []
        look = self._journal.post(lambda connection: found.append(self._ledger.has_plan(connection, plan.sha256)))
        look.add_done_callback(lambda done: self._plans.stored(plan) if done.result() and found[-1] else None)

    def post(self, incident_id: str, event: Event) -> None:
        """Tell what happened. For an incident that is over, or not this node's, it changes nothing here."""
        live = self._live.get(incident_id)
        if live is not None:
            self._tell(live, event)
        elif isinstance(event, Reopened) or (isinstance(event, _OF_CALL) and self._was_ours(incident_id, event.call)):
            self._leave(incident_id, event)

    def state(self, incident_id: str) -> State | None:
        """Where it stands; None when it is not this node's, or over."""
        live = self._live.get(incident_id)
        return live.state if live else None

    def fence(self, incident_id: str) -> Fence | None:
        """In which epoch this node has it."""
        live = self._live.get(incident_id)
        return live.fence if live else None

    def forget(self, incident_id: str) -> None:
        """The incident was never opened, after all: the store refused it for good."""
        live = self._live.get(incident_id)
        if live is not None:
            self._drop(live)
            self._delivery.let_go(live)

    async def run(self) -> None:
        """Take up what nobody has, hold the lease, read the inbox: until it is cancelled, or `retire`.

        Raises `Fenced` once another process has become this node: this one has let go of everything, and must end.
        """
        await self._ownership.run()

    async def retire(self) -> None:
        """`close`, and let other nodes take up at once what this one had. Raises `StoreUnavailable`."""
        self.close()
        await self._ownership.retire()

    # -- deciding --

    def _decide(self, live: Live, event: Event, letter: str | None) -> None:
        try:
            decision = decide(live.frozen, live.state, event, self._clock.now())
        except Exception:  # the alarm goes on: its deadline is tried again
            log.exception("an escalation cannot be decided", incident=live.id, told=type(event).__name__)
            decision = Decision(live.state)
        if decision.state is live.state:
            if letter is not None:
                self._answered(letter)
            self._arm(live, again=isinstance(event, Timer))
            return
        before, live.state = live.state, decision.state
        self._show(live, decision.change)
        self._arm(live)
        self._write(live, before, decision, letter)

    def _show(self, live: Live, change: Change | None) -> None:
        """Let the rest of the service follow. Whatever it makes of it, the decision stands and is written."""
        try:
            if change is not None:
                self._on_change(live.id, change)
            self._on_state(live.id, live.state)
        except Exception:
            log.exception("the service does not follow an escalation", incident=live.id)

    # -- writing --

    def _write(self, live: Live, before: State, decision: Decision, letter: str | None) -> None:
        decided = Decided(
            fence=live.fence,
            previous=before.decisions,
            state=decision.state,
            commands=decision.commands,
            notes=decision.notes,
            change=decision.change,
            at=self._clock.wall(),
            call_ended=call_ended(before, decision.state),
            inbox=letter,
        )
        # Somebody waits for commands, and for a change to be durable; notes may share another commit.
        done, fate = self._post(live, decided, urgent=bool(decision.commands or decision.change))
        if decision.commands:
            now = asyncio.get_running_loop().time()
            self._delivery.order(live, Orders(decision.commands, done, fate, now))

    def _is_written(self, live: Live, decided: Decided) -> None:
        live.written = max(live.written, decided.state.decisions)
        self._forget_if_over(live)

    def _make_up(self, live: Live) -> None:
        note = Note("timeline_gap", {"why": "the store refused an entry"})
        decided = Decided(live.fence, None, live.state, (), (note,), None, self._clock.wall())
        self._post(live, decided, urgent=False)

    def _forget_if_over(self, live: Live) -> None:
        if live.state.phase is Phase.DONE and not (live.gone or live.unwritten or live.delivering or live.orders):
            self._drop(live)

    # -- losing and taking up --

    def _lose(self, live: Live) -> None:
        log.warning("an escalation is another node's now", incident=live.id)
        self._drop(live)
        self._lost[live.id] = live.written
        while len(self._lost) > REMEMBERED:
            del self._lost[next(iter(self._lost))]
        self._delivery.let_go(live)
        self._on_lost(live.id)
        self._ownership.doubt()

    def _lose_all(self) -> None:
        for live in list(self._live.values()):
            self._lose(live)

    def _was_ours(self, incident: str, call: str) -> bool:
        """Whether another node has the incident now, and knows of this emergency call: then it is to hear of it."""
        return incident in self._lost and sequence_of(call) <= self._lost[incident]

    def _leave(self, incident: str, event: Event) -> None:
        """Tell whoever has the incident, or will have it."""
        at = self._clock.wall()
        name = sha256(f"{incident} {event} {self._node} {at}".encode()).hexdigest()[:32]
        self._journal.post(partial(self._ledger.leave, letter=name, incident=incident, event=event, at=at), urgent=True)

    async def _take_up(self, claimed: Sequence[Claimed]) -> None:
        """Go on with escalations whose process is gone."""
        log.warning("escalations taken up", incidents=[item.incident.id for item in claimed])
        self._settle_clock()
        pairs = [(item, self._revive(item)) for item in claimed]
        await self._tell_of([(item.incident, live.state, live.frozen) for item, live in pairs])
        for item, live in pairs:
            self._resume(live, item)

    async def _tell_of(self, taken: TakenUp) -> None:
        try:
            told = self._on_take_up(taken)
            if told is not None:
                await told
        except Exception:  # the escalations go on all the same
            log.exception("the service does not follow a take-up")

    def _revive(self, item: Claimed) -> Live:
        fence = Fence(item.incident.id, self._node, item.epoch)
        state = knowing_the_worker(brought_forward(item, self._clock.now()), self._own_lines(item.incident))
        live = Live(fence, self._plans.frozen(item.plan), state)
        self._live[live.id] = live
        return live

    def _resume(self, live: Live, item: Claimed) -> None:
        """Everything that died with the process is an event; what it left undone is done."""
        self._show(live, None)
        for event in died_with_the_process(item):
            self._tell(live, event)
        if left := left_undone(item):
            self._delivery.order(live, durable_orders(left))
        self._arm(live)

    # -- the inbox --

    async def _read(self, letters: Sequence[Letter]) -> None:
        """What other processes left, each once. What is open and not in memory yet is being taken up: later."""
        self._letters &= {letter.id for letter in letters}  # those that are gone will not come back
        for letter in letters:
            live = self._live.get(letter.incident)
            if letter.id in self._letters or (live is None and letter.open):
                continue
            self._letters.add(letter.id)
            if live is not None and letter.event is not None:
                self._tell(live, letter.event, letter.id)
            elif isinstance(letter.event, Reopened):
                await self._reopen(letter.incident, letter.event, letter.id)
            else:
                log.warning("a message for an escalation came too late", incident=letter.incident)
                self._answered(letter.id)

    async def _reopen(self, incident: str, event: Reopened, letter: str) -> None:
        """Somebody opens a resolved incident again: its escalation comes back into memory."""
        try:
            await self._ownership.fetch(incident)
        except StoreUnavailable:
            self._letters.discard(letter)  # it is read again
            raise
        live = self._live.get(incident)
        if live is not None:
            self._tell(live, event, letter)


_OF_CALL = (EmergencyAnswered, EmergencyConfirmed, EmergencyFailed, EmergencyIndeterminate)
