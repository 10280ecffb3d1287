"""The shell around the schedule (`voice.owned.shell`), and what is found when it dies.

A command is carried out when its decision is durable (`delivery`), and no call waits for that by more than two seconds.
The process may die between any two lines here:

    it dies                                   whoever takes the session up finds          and so
    ────────────────────────────────────────  ──────────────────────────────────────────  ────────────────────────────
    before a session is durable               nothing                                     whoever began it was not told
                                                                                          that it was
    before a decision is durable              the state before it, its deadline passed    decides again
    while the worker is called                the call in the state                       call lost: he is called again
    before an alarm is raised, or after it    the alarm in `pending`                      it is raised, under its key:
    and before that is written                                                            once, then
    before a warning is sent                  the warning in `pending`                    it is sent, if still of use

A node that was taken for dead, and is not, stops ringing as soon as it learns that. What it hears later of a call it
leaves in the inbox of whoever has the session now: a confirmation is never lost.
"""

import asyncio
import secrets
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial

import structlog
from sqlalchemy import Connection

from ivr.schedule import begin, decide
from ivr.session import (
    Answered,
    CallFailed,
    Decision,
    Done,
    Due,
    Event,
    Extended,
    How,
    Lost,
    NotConfirmed,
    Note,
    Origin,
    Renewed,
    Rules,
    Session,
    rebased,
)
from voice.check_in.delivery import Delivery, Hands, Spawn
from voice.check_in.ledger import Claimed, Decided, Ledger, Letter, Opening
from voice.check_in.live import Live, Unheard
from voice.check_in.ownership import Ownership
from voice.clock import SteadyClock
from voice.journal import Journal
from voice.owned.ledger import Fence
from voice.owned.live import Orders, durable_orders
from voice.owned.ownership import Callbacks
from voice.owned.shell import Shell

log = structlog.get_logger(__name__)


class CheckIns(Shell[Live, Event, Decided]):
    """The sessions of this node: told what happens, it decides, writes, and has it carried out."""

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
        on_session: Callable[[Session], None] = lambda session: None,
        name: Callable[[], str] = lambda: secrets.token_hex(16),
    ) -> None:
        """`clock`: one of its own. `on_session`: after each decision, before it is durable. `name`: a new name."""
        super().__init__(ledger, journal, clock, node, Due())
        self._on_session = on_session
        self._name = name
        self._workers: dict[str, str] = {}
        """The open session of each worker."""
        callbacks = Callbacks(self._live.keys, self._take_up, self._compare, self._read)
        self._ownership = Ownership(ledger, node, lease_seconds, clock, callbacks)
        self._delivery = Delivery(
            journal=journal, hands=hands, spawn=spawn, report=self.post, idle=self._forget_if_over
        )

    # -- what the service asks of it --

    def begin(
        self,
        worker: str,
        rules: Rules,
        *,
        origin: Origin,
        ends_at: datetime,
        started_at: datetime | None = None,
        spread: float = 0.0,
        how: How | None = None,
        id: str | None = None,
    ) -> Session:
        """Begin a session, at once. Where one of this worker is open it goes on with these rules (`how`: he has proven
        that he is there) or at least as long (a roster's, the API's). Times are times of day.

        `spread`: seconds over which those that begin together are spread. `id`: of one that must begin once only; where
        another one goes on in its place that is written, so that it does not begin when that one is over.
        """
        self._settle_clock()
        ends_at = self._clock.of(ends_at)
        event = Extended(until=ends_at) if how is None else Renewed(rules, ends_at, how)
        known = self.of_worker(worker)
        if known is not None:
            return self._go_on(self._live[known.id], event, id)
        now = self._clock.now()
        started = self._clock.of(started_at) if started_at else None
        once, id = id is not None, id or self._name()
        first = begin(id, worker, origin, rules, now=now, ends_at=ends_at, started_at=started, spread=spread, how=how)
        live = Live(Fence(id, self._node, 1), first.session)
        self._remember(live)
        self._open(live, first, event, once)
        self._arm(live)
        return live.session

    def _go_on(self, live: Live, event: Event, id: str | None) -> Session:
        """What was to begin as `id` goes on as a session that is open: a letter of that name says so (`Rows.open`)."""
        letter = id if id != live.id else None
        if letter is not None:
            self._leave(live.id, event, letter)
            self._letters.add(letter)
        self._tell(live, event, letter)
        return live.session

    def post(self, session_id: str, event: Event) -> Session | None:
        """Tell what happened. Returns how the session stands then; None when it is not in this node's memory: whoever
        has it is told, where that can matter."""
        live = self._live.get(session_id)
        if live is not None:
            self._tell(live, event)
            return live.session
        if not (self._closed or isinstance(event, _OF_THIS_PROCESS)):
            self._leave(session_id, event)
        return None

    def session(self, session_id: str) -> Session | None:
        """How it stands; None when it is not this node's, or over."""
        live = self._live.get(session_id)
        return live.session if live else None

    def of_worker(self, worker: str) -> Session | None:
        """His open session; None when this node has none."""
        id = self._workers.get(worker)
        return self.session(id) if id is not None else None

    async def find(self, worker: str) -> Session | None:
        """His open session, whoever has it, else his latest one. Raises `StoreUnavailable`."""
        known = self.of_worker(worker)
        return known or await self._ledger.read(partial(self._ledger.of_worker, worker=worker))

    @property
    def sessions(self) -> int:
        """How many are open in this node."""
        return len(self._workers)

    def now(self) -> datetime:
        """The moment on the clock of sessions."""
        return self._clock.now()

    def wall(self, moment: datetime) -> datetime:
        """A moment of a session as people read it off the clock now: somebody may have set it since."""
        return moment + (self._clock.wall() - self._clock.now())

    async def ready(self) -> None:
        """Wait until this process has what the store held for it when it started."""
        await self._ownership.ready()

    async def existing(self, ids: Sequence[str]) -> set[str]:
        """Which of these sessions were ever begun, by any node. Raises `StoreUnavailable`."""
        return await self._ledger.read(partial(self._ledger.existing, ids=ids))

    async def run(self) -> None:
        """Take up what nobody has, read the inbox: until it is cancelled."""
        await self._ownership.run()

    def close(self) -> None:
        """As of every shell. Before its calls are ended."""
        super().close()
        self._delivery.closed = True

    # -- deciding --

    def _tell(self, live: Live, event: Event, letter: str | None = None) -> None:
        if isinstance(event, Answered):
            live.answered.add(event.attempt)
        super()._tell(live, event, letter)

    def _decide(self, live: Live, event: Event, letter: str | None) -> None:
        try:
            decision = decide(live.session, event, self._clock.now())
        except Exception:  # the session goes on: its deadline is tried again
            log.exception("a session cannot be decided", session=live.id, told=type(event).__name__)
            decision = Decision(live.session)
        if decision.session is live.session:
            if letter is not None:
                self._answered(letter)
            self._arm(live, again=isinstance(event, Due))
            return
        before, live.session = live.session, decision.session
        self._show(live)
        self._arm(live)
        self._write(live, before, decision, event, letter)
        self._forget_if_over(live)

    def _show(self, live: Live) -> None:
        """Let the rest of the service follow. Whatever it makes of it, the decision stands and is written."""
        if not live.session.open and self._workers.get(live.session.worker) == live.id:
            del self._workers[live.session.worker]
        try:
            self._on_session(live.session)
        except Exception:
            log.exception("the service does not follow a session", session=live.id)

    # -- writing --

    def _open(self, live: Live, first: Decision, instead: Event, once: bool) -> None:
        """`instead`: what the session is told that stands in the way; in this transaction where it begins `once`."""
        opening = Opening(live.fence, first.session, first.notes, self._clock.wall())
        found: list[str | None] = []

        def write(connection: Connection) -> None:
            there = self._ledger.open(connection, opening)
            if once and there is not None and there != live.id:
                self._ledger.leave(connection, live.id, there, instead, opening.at)
            found[:] = [there]  # it may run again

        live.unwritten += 1
        done = self._journal.post(write, urgent=True)
        done.add_done_callback(partial(self._opened, live, found, None if once else instead))

    def _opened(self, live: Live, found: list[str | None], instead: Event | None, done: asyncio.Future[bool]) -> None:
        """`instead`: what the session is yet to be told that stands in the way."""
        live.unwritten -= 1
        if done.cancelled() or self._closed or live.gone:
            return
        if not done.result():  # the store refused it for what it is, which is a bug: it goes on in memory
            log.error("a session is not written", session=live.id)
        elif found and found[0] is not None:
            self._let_go(live)
            if found[0] != live.id and instead is not None:
                self.post(found[0], instead)

    def _write(self, live: Live, before: Session, decision: Decision, event: Event, letter: str | None) -> None:
        wall = self._clock.wall()
        decided = Decided(live.fence, before.decisions, decision.session, decision.notes, wall, letter)
        if letter is not None or not isinstance(event, _OF_THIS_PROCESS):
            live.unheard.append(Unheard(event, letter, decision.session.decisions))
        done, fate = self._post(live, decided, urgent=bool(decision.commands or decision.notes))
        if decision.commands:
            now = asyncio.get_running_loop().time()
            self._delivery.order(live, Orders(decision.commands, done, fate, now))

    def _is_written(self, live: Live, decided: Decided) -> None:
        while live.unheard and live.unheard[0].decision <= decided.session.decisions:
            live.unheard.popleft()
        self._forget_if_over(live)

    def _make_up(self, live: Live) -> None:
        note = Note("log_gap", {"why": "the store refused an entry"})
        self._post(live, Decided(live.fence, None, live.session, (note,), self._clock.wall()), urgent=True)

    def _leave(self, session_id: str, event: Event, letter: str | None = None) -> None:
        """Tell whoever has the session, or will have it."""
        name, at = letter or self._name(), self._clock.wall()
        write = partial(self._ledger.leave, letter=name, session=session_id, event=event, at=at)
        self._journal.post(write, urgent=True)

    # -- in memory or not --

    def _remember(self, live: Live) -> None:
        self._live[live.id] = live
        if live.session.open:
            self._workers[live.session.worker] = live.id

    def _forget_if_over(self, live: Live) -> None:
        waits = live.unwritten or live.delivering or live.orders or live.deciding or live.events
        if not (live.session.open or live.session.pending or live.gone or waits):
            self._drop(live)

    def _drop(self, live: Live) -> None:
        super()._drop(live)
        if self._workers.get(live.session.worker) == live.id:
            del self._workers[live.session.worker]

    def _lose(self, live: Live) -> None:
        """Another node has it."""
        log.warning("a session is another node's now", session=live.id)
        self._let_go(live)

    def _let_go(self, live: Live) -> None:
        """What it was told here and is not written is told to whoever has it."""
        self._drop(live)
        self._delivery.let_go(live)
        for unheard in live.unheard:
            if unheard.letter is None:
                self._leave(live.id, unheard.event)
            else:
                self._letters.discard(unheard.letter)  # it is still in the inbox
        self._ownership.doubt()

    # -- taking up --

    async def _take_up(self, claimed: Sequence[Claimed]) -> None:
        """Go on with sessions whose process is gone."""
        if orphaned := sum(item.epoch > 1 for item in claimed):
            log.warning("sessions of check-ins taken up", sessions=orphaned)
        if self._closed:
            return
        self._settle_clock()
        now = self._clock.now()
        for item in claimed:
            live = Live(Fence(item.session.id, self._node, item.epoch), rebased(item.session, now))
            self._remember(live)
            self._resume(live)

    def _resume(self, live: Live) -> None:
        """The call that died with the process is an event; what it left undone is done."""
        attempt = live.session.attempt
        if attempt is not None:
            self._tell(live, Lost(attempt.key))
        else:
            self._tell(live, Due())
        if left := live.session.pending:
            self._delivery.order(live, durable_orders(left))
        self._arm(live)

    # -- the inbox --

    async def _read(self, letters: Sequence[Letter]) -> None:
        """What other nodes left, each once."""
        self._letters &= {letter.id for letter in letters}  # those that are gone will not come back
        for letter in letters:
            if letter.id in self._letters:
                continue
            if letter.session not in self._live:
                await self._ownership.fetch(letter.session)
            live = self._live.get(letter.session)
            if live is None:
                continue  # another node was quicker
            self._letters.add(letter.id)
            if letter.event is None:
                log.warning("a message for a session cannot be read", session=letter.session)
                self._answered(letter.id)
            else:
                self._tell(live, letter.event, letter.id)


_OF_THIS_PROCESS = (Due, Answered, NotConfirmed, CallFailed, Lost, Done)
"""What whoever takes a session up knows better, or by itself."""
