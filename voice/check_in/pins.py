"""PINs: who proves by one that he is there, and who says by another one that he is forced.

Whoever watches, measures or tries must not learn from it which PIN is which:

- Both hashes are computed for every entry, one after the other, whatever the first one says; a worker without a PIN, or
  nobody at all, gets a hash that nothing fits.
- After ten failures within an hour every entry is answered as a wrong one: if any were let in, that would be the duress
  PIN. It calls for help all the same, behind the words of a wrong one.
- The duress PIN as a new PIN is taken, to all that is heard and with the same work; only, nothing is changed. So both
  PINs are what they were, and whoever keys it next, the worker or who made him choose it, calls for help. The attempt
  itself is no call for help: it confirms nothing, and a worker who has mixed up his PINs makes it in peace. It is
  written to the log of his session (`Change.KEPT`).
- A failure is written for a wrong PIN only, after the answer is given. What is too short to be one is none: a key that
  was asked for, or was pressed by mistake.

A PIN has few digits: whoever has the hash finds it, at any cost that a service can pay. The hash keeps it from those
who see it in passing; the lock-out keeps it from those who call. So the cost is chosen for bursts of check-ins:
`benchmarks/check_ins.py` measures it.
"""

import asyncio
import secrets
from collections.abc import Iterable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import lru_cache, partial
from itertools import pairwise

import structlog
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import Connection

from config.models import Worker
from voice.clock import Clock
from voice.errors import StoreUnavailable
from voice.journal import Journal
from voice.store import Store
from voice.store import pins as rows

log = structlog.get_logger(__name__)

Failures = Mapping[str, datetime]
"""When wrong PINs were entered, each under a name of its own."""

FAILURES = 10
WITHIN = timedelta(hours=1)
"""So many failures within so long lock a worker's PIN."""

SHORTEST, LONGEST = 4, 10
"""Digits of a PIN."""

HASHER = PasswordHasher(time_cost=2, memory_cost=8_192, parallelism=1, hash_len=32, salt_len=16)
"""argon2id (RFC 9106) with 8 MiB and two passes, about 10 ms of a core. A hash says by itself what it costs, so those
that were made at another cost go on to be compared at that one."""


class Change(StrEnum):
    """What became of a PIN that was to be another one."""

    CHANGED = "changed"
    KEPT = "kept"
    """It is the duress PIN, and nothing is changed: for whoever listens the same as `CHANGED`."""
    UNSUITABLE = "unsuitable"


class Verdict(StrEnum):
    """What an entry was."""

    PIN = "pin"
    DURESS = "duress"
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class Judged:
    """What an entry was, and how it is to be answered."""

    verdict: Verdict
    locked: bool
    """Whatever it was, it is answered as a wrong one."""


@dataclass(frozen=True, slots=True)
class Hashes:
    """What the PINs of a worker are compared with."""

    pin: str | None = None
    duress: str | None = None


def locked(failures: Iterable[datetime], now: datetime) -> bool:
    """Whether every entry is answered as a wrong one. Failures of the future count too: a clock may be set back."""
    return sum(at > now - WITHIN for at in failures) >= FAILURES


def judge(fits_pin: bool, fits_duress: bool, is_locked: bool) -> Verdict:
    """What an entry is, by what it fits. Duress goes first: it is never mistaken for consent, and never unheard."""
    if fits_duress:
        return Verdict.DURESS
    return Verdict.PIN if fits_pin and not is_locked else Verdict.WRONG


def unsuitable(pin: str) -> str | None:
    """Why nobody should have this PIN; None when it will do.

    All duress keys begin with 0 (`config.check_ins.DuressKeys`), and count as soon as they are keyed. A PIN of which
    they are the beginning would call for help. None may begin with 0, whichever keys the worker has: else whoever tries
    new PINs would learn them from what is refused.
    """
    if not (pin.isascii() and pin.isdigit() and SHORTEST <= len(pin) <= LONGEST):
        return f"a PIN has {SHORTEST} to {LONGEST} digits"
    if pin.startswith("0"):
        return "it begins with 0, as the keys do that call for help: keyed in a check-in, it would raise a silent alarm"
    steps = {(int(b) - int(a)) % 10 for a, b in pairwise(pin)}
    if len(steps) == 1 and steps <= {0, 1, 9}:
        return "it is the first that anybody tries: one digit again and again, or digits in a row"
    return None


def hashed(pin: str) -> str:
    """What is kept of a PIN."""
    return HASHER.hash(pin)


def compare(hashes: Hashes, entered: str) -> tuple[bool, bool]:
    """Whether it is the PIN, whether it is the duress PIN: both are computed, at the same cost.

    Blocks for as long as two hashes take, without holding the interpreter: for a thread.
    """
    pin = hashes.pin or _nothing_fits(_cost(hashes.duress))
    duress = hashes.duress or _nothing_fits(_cost(hashes.pin))
    return _fits(pin, entered), _fits(duress, entered)


def _fits(hash: str, entered: str) -> bool:
    try:
        return HASHER.verify(hash, entered)
    except (VerificationError, InvalidHashError):
        return False


def _cost(hash: str | None) -> str:
    """Kind, version and parameters, as they stand in front of salt and digest."""
    return (hash or _OURS).rpartition("$")[0].rpartition("$")[0]


@lru_cache(maxsize=100)
def _nothing_fits(cost: str) -> str:
    """A hash of a secret that nobody knows, at this cost."""
    return f"{cost}${_OURS.split('$', 4)[4]}"


_OURS = HASHER.hash(secrets.token_hex(32))


class Pins:
    """The PINs of all workers: those of the configuration, and those that were changed by telephone since."""

    def __init__(self, store: Store, journal: Journal, clock: Clock, executor: Executor) -> None:
        """`executor`: threads in which hashes are computed, about as many as the machine has cores."""
        self._store = store
        self._journal = journal
        self._clock = clock
        self._executor = executor
        self._known: dict[str, tuple[Hashes, Failures]] = {}
        """What was last read or done: counts while the store is away."""

    async def check(self, worker: Worker | None, entered: str, *, counts: bool = True) -> Judged:
        """What an entry is. It takes as long for a wrong one, a locked worker, and nobody at all (None).

        `counts`: a wrong one is a failure; False where nobody learns what became of it.
        """
        changed, failures = await self._read(worker.id if worker else "")
        fits = await self._compare(_effective(worker, changed), entered)
        now = self._clock.now()
        is_locked = locked(failures.values(), now)
        verdict = judge(*fits, is_locked)
        wrong = verdict is Verdict.WRONG and not fits[0] and len(entered) >= SHORTEST
        if worker is not None and wrong and counts:
            self._fail(worker.id, now)
        return Judged(verdict, is_locked)

    async def change(self, worker: Worker, new: str) -> Change:
        """Give a worker another PIN.

        Raises `StoreUnavailable`: whoever is told that he has a new PIN has it. His duress PIN is hashed and written
        as a new one is, in a place of its own (`rows.KEPT`): neither time nor a store that is away tells it apart.
        """
        changed, failures = await self._read(worker.id)
        _, is_duress = await self._compare(_effective(worker, changed), new)
        if unsuitable(new) is not None:
            return Change.UNSUITABLE
        made = await asyncio.get_running_loop().run_in_executor(self._executor, hashed, new)
        kind = rows.KEPT if is_duress else rows.PIN
        await self._store.run(partial(rows.change, worker=worker.id, kind=kind, hash=made, at=self._clock.now()))
        self._known[worker.id] = (changed if is_duress else Hashes(made, changed.duress), failures)
        return Change.KEPT if is_duress else Change.CHANGED

    async def _compare(self, hashes: Hashes, entered: str) -> tuple[bool, bool]:
        return await asyncio.get_running_loop().run_in_executor(self._executor, compare, hashes, entered)

    async def _read(self, worker: str) -> tuple[Hashes, Failures]:
        since = self._clock.now() - WITHIN
        known = self._known.get(worker, (Hashes(), {}))
        try:
            hashes, written = await self._store.read(partial(_read, worker=worker, since=since))
        except StoreUnavailable:
            return known
        unwritten = {name: at for name, at in known[1].items() if at > since}  # perhaps
        failures = {**unwritten, **written}
        if worker:
            self._known[worker] = (hashes, failures)
        return hashes, failures

    def _fail(self, worker: str, at: datetime) -> None:
        hashes, failures = self._known.get(worker, (Hashes(), {}))
        name = secrets.token_hex(16)
        self._known[worker] = (hashes, {**failures, name: at})
        self._journal.post(partial(rows.fail, id=name, worker=worker, at=at))


def _read(connection: Connection, worker: str, since: datetime) -> tuple[Hashes, Failures]:
    found = rows.credentials(connection, worker)
    return Hashes(found.get(rows.PIN), found.get(rows.DURESS)), rows.failures(connection, worker, since)


def _effective(worker: Worker | None, changed: Hashes) -> Hashes:
    """What was changed by telephone counts, else what the configuration has."""
    if worker is None:
        return Hashes()
    return Hashes(changed.pin or worker.pin, changed.duress or worker.duress_pin)
