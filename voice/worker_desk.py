"""`WorkerDesk`: what a worker can have done in one call, with us calling him or him calling us (`ivr.desk.Desk`).

An entry that calls for help in silence is an entry that counts, to the dialogue and to the schedule; what else comes of
it goes past both of them (`WorkerLine.ask_for_help`). Every entry is compared with both PINs, whatever was asked for,
and answered after the same time. While the PIN is locked, what calls for help in its place does so too, and counts for
nothing else, as the PIN itself.
"""

import asyncio
import hmac
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import update_wrapper
from typing import Any, Concatenate, ParamSpec, TypeVar

import structlog

from config.models import Settings, Worker
from ivr.desk import Standing
from ivr.schedule import decide
from ivr.session import Confirmed, Ended, Event, Extended, How, MemoLeft, Origin, PinChanged, Session
from voice.alarm import Desk
from voice.check_in.pins import Change, Judged, Pins, Verdict
from voice.check_in.roster import rules_of
from voice.check_in.runner import CheckIns
from voice.directory import Caller
from voice.errors import StoreUnavailable
from voice.incidents.kinds import Kind
from voice.memos import Memos
from voice.raising import Raised, raise_incident
from voice.worker_line import WorkerLine

log = structlog.get_logger(__name__)

PACE = 0.3
"""Seconds that every answer to an entry takes, as far as hashing takes no longer."""

ENTRY_SECONDS = 3.0
"""Keys belong together if no more than this lies between them, where nobody has asked for any."""

P = ParamSpec("P")
T = TypeVar("T")
D = TypeVar("D", bound="WorkerDesk")
_Method = Callable[Concatenate[D, P], Coroutine[Any, Any, T]]


@dataclass(frozen=True, slots=True)
class Office:
    """What desks need of the service."""

    check_ins: CheckIns
    pins: Pins
    memos: Memos
    alarms: Desk

    @property
    def settings(self) -> Settings:
        """Those that hold now."""
        return self.alarms.settings


@dataclass(frozen=True, slots=True)
class Asked:
    """The check-in for which we call. `key`: the one that is asked for; None: the PIN is."""

    session: str
    attempt: str
    key: str | None


def _whatever_happens(otherwise: Any) -> Callable[[_Method[D, P, T]], _Method[D, P, T]]:
    """A fault of ours is a no, and never the end of a call."""

    def decorate(method: _Method[D, P, T]) -> _Method[D, P, T]:
        async def safe(self: D, /, *args: P.args, **kwargs: P.kwargs) -> T:
            try:
                return await method(self, *args, **kwargs)
            except StoreUnavailable as error:
                log.warning("a worker could not be served", what=method.__name__, why=str(error))
            except Exception:
                log.exception("a worker could not be served", what=method.__name__)
            return otherwise  # type: ignore[no-any-return]

        update_wrapper(safe, method)
        return safe

    return decorate


class WorkerDesk:
    """One call. `worker`: who it is for, or seems to come from; with `asked` we have called him."""

    def __init__(self, office: Office, line: WorkerLine, worker: Worker | None, asked: Asked | None = None) -> None:
        self._office = office
        self._line = line
        self._worker = worker
        self._asked = asked
        self._how: How | None = None
        self._owed: Event | None = None
        """What the schedule is told when the dialogue is over: until then he may still decide otherwise."""
        self._keys = ""
        """Those that were pressed in one breath, whatever the dialogue makes of them."""
        self._key_at = 0.0
        line.on_key = self._pressed

    # -- who he is --

    @property
    def worker(self) -> Worker | None:
        """Whom the call is with, as far as is known."""
        return self._worker

    async def knows_caller(self) -> bool:
        return self._worker is not None

    async def identify(self, code: str) -> None:
        self._worker = next((w for w in self._office.settings.workers if w.code and _same(w.code, code)), None)

    @_whatever_happens(False)
    async def verify(self, entry: str) -> bool:
        loop = asyncio.get_running_loop()
        began = loop.time()
        judged = await self._judged(entry)
        how = self._means(entry, judged.verdict)
        if how is How.DURESS:
            self._ask_for_help("PIN" if judged.verdict is Verdict.DURESS else "keys")
        if judged.locked and self._stands_for_pin(judged.verdict):
            how = None
        if how is not None:
            self._how = self._how if self._how is How.DURESS else how
            self._keys = self._keys.rpartition(entry)[2] if entry in self._keys else ""
            self._hear_keys()
        await asyncio.sleep(began + PACE - loop.time())
        return how is not None

    @_whatever_happens(Judged(Verdict.WRONG, False))
    async def _judged(self, entry: str, *, counts: bool = True) -> Judged:
        return await self._office.pins.check(self._worker, entry, counts=counts)

    def _stands_for_pin(self, verdict: Verdict) -> bool:
        """Whether an entry is a PIN, or is keyed where one is asked for: duress keys there are in its place."""
        return verdict is not Verdict.WRONG or self._asked is None or self._asked.key is None

    def _means(self, entry: str, verdict: Verdict) -> How | None:
        """What an entry proves; None: nothing. Keys count in a call that we have made to him, and only there."""
        if verdict is Verdict.DURESS or (self._asked is not None and self._is_duress_keys(entry)):
            return How.DURESS
        if verdict is Verdict.PIN:
            return How.PIN
        key = self._asked.key if self._asked is not None else None
        return How.KEY if key is not None and _same(key, entry) else None

    def _is_duress_keys(self, entry: str) -> bool:
        keys = self._worker.duress_keys if self._worker is not None else None
        return keys is not None and _same(keys, entry)

    def _ask_for_help(self, proof: str) -> None:
        if self._worker is not None:
            self._line.ask_for_help(self._worker, f"duress {proof}", self._asked.session if self._asked else None)

    def _pressed(self, key: str) -> None:
        now = asyncio.get_running_loop().time()
        self._keys = key if now - self._key_at > ENTRY_SECONDS else self._keys + key
        self._key_at = now
        self._hear_keys()

    def _hear_keys(self) -> None:
        """Behind an entry that counted, duress keys call for help whatever is asked for then. Before it they may be
        part of a PIN: that is for the dialogue to tell."""
        keys = self._worker.duress_keys if self._worker is not None else None
        if keys and self._asked is not None and self._how is not None and self._keys.endswith(keys):
            self._ask_for_help("keys")

    async def heard_late(self, entry: str) -> None:
        """What was keyed when the dialogue was over. It may still call for help; it is good for nothing else, and no
        failure: a line may be open in a pocket. Of somebody who calls it counts only if he has signed in."""
        if self._how is None and self._asked is None:
            return
        if self._means(entry, (await self._judged(entry, counts=False)).verdict) is How.DURESS:
            self._ask_for_help("entry after the dialogue")

    async def language(self) -> str | None:
        customer = self._office.settings.customer_of(None, self._worker)
        return (self._worker.language if self._worker else None) or (customer.language if customer else None)

    # -- his session --

    @_whatever_happens(None)
    async def standing(self) -> Standing | None:
        session = await self._session()
        return None if session is None else self._standing(session)

    @_whatever_happens(None)
    async def start(self, hours: int, minutes: int) -> Standing | None:
        worker, how = self._proven()
        if not worker.numbers:
            return None  # nobody could ever call him
        rules = self._office.settings.check_in_of(worker).model_copy(update={"interval": minutes * 60.0})
        ends_at = self._office.alarms.clock.now() + timedelta(hours=hours)
        begun = self._office.check_ins.begin(worker.id, rules_of(rules), origin=Origin.WORKER, ends_at=ends_at, how=how)
        return self._standing(begun)

    @_whatever_happens(None)
    async def confirm(self) -> Standing | None:
        worker, how = self._proven()
        session = await self._office.check_ins.find(worker.id)
        confirmed = Confirmed(how, self._asked.attempt if self._asked else None)
        if session is None or not session.open:
            self._tell_of_last(confirmed, session)
            return None
        if self._asked is not None and session.final and session.attempt is not None:
            self._owed = confirmed  # he is asked now whether he goes on
            return Standing(self._office.alarms.clock.now(), None)
        return self._standing(await self._post(session, confirmed))

    def _tell_of_last(self, confirmed: Confirmed, latest: Session | None) -> None:
        """No session is open. The latest one may have ended with an alarm: whoever has that learns of it."""
        last = self._asked.session if self._asked else latest.id if latest is not None and latest.missed else None
        if last is not None:
            self._office.check_ins.post(last, confirmed)

    @_whatever_happens(None)
    async def extend(self) -> Standing | None:
        _, how = self._proven()
        session = await self._session()
        if session is None:
            return None
        longer = decide(session, Extended(), self._clock_of(session)).session
        if longer.ends_at <= session.ends_at:
            return None
        self._owed = None
        return self._standing(await self._post(session, Extended(how=how)))

    @_whatever_happens(False)
    async def end(self) -> bool:
        worker, how = self._proven()
        session = await self._session()
        if session is None:
            return False
        await self._post(session, Confirmed(how))
        await self._post(session, Ended(f"worker:{worker.id}"))
        return True

    def dialogue_over(self) -> None:
        """Whatever he may still have said is not to be waited for any more."""
        if self._owed is not None and self._asked is not None:
            self._office.check_ins.post(self._asked.session, self._owed)
            self._owed = None

    # -- the rest --

    @_whatever_happens(False)
    async def leave_memo(self, clip: bytes) -> bool:
        worker, _ = self._proven()
        session = await self._session()
        memo = await self._office.memos.keep(worker.id, session.id if session else None, clip)
        if memo is not None and session is not None:
            await self._post(session, MemoLeft(memo.id))
        return memo is not None

    @_whatever_happens(False)
    async def change_pin(self, new: str) -> bool:
        worker, _ = self._proven()
        latest = await self._office.check_ins.find(worker.id)
        became = await self._office.pins.change(worker, new)
        if became is not Change.UNSUITABLE and latest is not None:
            how = How.DURESS if became is Change.KEPT else How.PIN
            self._office.check_ins.post(latest.id, PinChanged(how))
        return became is not Change.UNSUITABLE

    @_whatever_happens(False)
    async def test_alarm(self) -> bool:
        worker, _ = self._proven()
        settings = self._office.settings
        customer = settings.customer_of(None, worker)
        plan = settings.frozen_plan(customer.id if customer else None, Kind.TEST)
        raised = Raised(Kind.TEST, f"worker:{worker.id}", plan, Caller(None, worker, "none", ""))
        raise_incident(raised, self._office.alarms)
        return True

    # -- inside --

    def _proven(self) -> tuple[Worker, How]:
        if self._worker is None or self._how is None:
            raise PermissionError("nobody has proven who he is")
        return self._worker, self._how

    async def _session(self) -> Session | None:
        """His session, if one is open."""
        worker, _ = self._proven()
        session = await self._office.check_ins.find(worker.id)
        return session if session is not None and session.open else None

    async def _post(self, session: Session, event: Event) -> Session:
        """The session as it is then. Where another node has it, as it will be when that node hears of it."""
        known = self._office.check_ins.post(session.id, event)
        return known or decide(session, event, self._clock_of(session)).session

    def _clock_of(self, session: Session) -> datetime:
        return max(self._office.check_ins.now(), session.seen_at)

    def _standing(self, session: Session) -> Standing:
        wall = self._office.check_ins.wall
        goes_on = session.open
        return Standing(
            self._office.alarms.clock.now(),
            wall(session.due_at) if goes_on else None,
            wall(session.ends_at) if goes_on else None,
        )


def _same(known: str, entry: str) -> bool:
    """In a time that says nothing of where they differ."""
    return hmac.compare_digest(known.encode(), entry.encode())
