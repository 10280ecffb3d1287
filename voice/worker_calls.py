"""Calls with workers: check-ins that we make, and calls that they make to us. Each is one function, top to bottom.

A check-in rings the worker's numbers, one after the other, and asks him; what comes of it is told to his session as it
happens. A worker who calls signs in and does what he wants. Either way the line is his when the dialogue is over.
"""

import asyncio
import random
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import structlog

from config.check_ins import Button
from config.models import Device, Worker
from config.plans import Customer
from ivr.checkin import CheckedIn, CheckIn, check_in, prepare, random_key
from ivr.inbound import attend
from ivr.phone import HungUp
from ivr.session import Answered, CallFailed, Confirmed, Ended, Event, How, NotConfirmed, Origin, Session
from ivr.session import Call as CallWorker
from ivr.speech import Voice
from voice.call import Call
from voice.check_in.roster import rules_of
from voice.contacts import is_uri
from voice.errors import EarshotError
from voice.legs import Leg, Legs, WorkerLeg
from voice.numbers import normal_number
from voice.outbound import Outbound, Rung
from voice.sip.message import user_of
from voice.sip.session import InviteSession, Stage
from voice.worker_desk import ENTRY_SECONDS, Asked, Office, WorkerDesk
from voice.worker_line import WorkerLine

log = structlog.get_logger(__name__)

RING_SECONDS = 25.0
"""How long each of a worker's numbers rings: voicemail mostly answers after 20 to 30."""

AT_MOST = 100.0
"""Seconds for all of them together: the schedule waits for 120 (`ivr.schedule.UNANSWERED`)."""

PREPARATION = 3.0
"""Seconds that a worker who has answered waits for his prompts, which are made while the telephone rings."""

TO_THE_EAR = 0.3
"""Seconds before the first word: a telephone that is picked up is on its way, and some open their media path late."""

LONGEST_ENTRY = 12

BUTTON_SECONDS = 1.0
"""How long a device's call lasts that is no alarm: some devices take an answer for a failure that ends at once."""


@dataclass(slots=True)
class WorkerCalls:
    """Makes and takes calls with workers."""

    office: Office
    outbound: Outbound
    legs: Legs
    voice: Callable[[str, str], Voice]
    """(language, time zone) to how a person is spoken to."""
    random: random.Random
    spawn: Callable[[Coroutine[Any, Any, Any]], "asyncio.Task[Any]"]

    # -- we call --

    async def check_in(self, session: Session, call: CallWorker) -> None:
        """Call a worker and ask him. Returns when the line is over. Cancelled while it rings: it rings no more."""
        post = self.office.check_ins.post
        worker = self.office.settings.worker(session.worker)
        if worker is None or not worker.numbers:
            why = "the worker has no number" if worker else "the worker is not in the configuration"
            post(session.id, CallFailed(call.key, why=why))
            return
        asked, voice = self._question(session, call, worker), self._voice_of(worker)
        preparing = self.spawn(prepare(voice, asked))
        rung, leg, reached = await self._ring(worker, asked, call)
        if rung.call is None:
            post(session.id, CallFailed(call.key, rung.status, rung.reason, rang=reached))
            return
        post(session.id, Answered(call.key))
        line = WorkerLine(rung.call, leg, self.office.alarms)
        desk = WorkerDesk(self.office, line, worker, Asked(session.id, call.key, asked.key))
        await asyncio.sleep(TO_THE_EAR)
        await asyncio.wait([preparing], timeout=PREPARATION)
        checked = await self._ask(line, voice, desk, asked)
        if not checked.outcome.is_answered:
            post(session.id, NotConfirmed(call.key, f"{checked.outcome.value} {checked.why}".strip()))
        desk.dialogue_over()
        await self._stay(line, desk)

    def _question(self, session: Session, call: CallWorker, worker: Worker) -> CheckIn:
        customer = self._customer(worker)
        keys = (worker.duress_keys,) if worker.duress_keys else ()
        by_key = session.rules.confirm == "key" or worker.pin is None
        return CheckIn(
            worker=worker.name,
            customer=customer.name if customer else "",
            key=random_key(self.random, keys) if by_key else None,
            entries=keys if by_key else (),
            is_last=call.final,
            is_repeated=call.number <= len(session.rules.retries),
        )

    async def _ring(self, worker: Worker, asked: CheckIn, call: CallWorker) -> tuple[Rung, WorkerLeg, bool]:
        """Also whether any call came as far as one of his telephones. Each attempt begins with another one: the first
        may be the one whose voicemail answers."""
        customer, reached = self._customer(worker), False
        first = (call.number - 1) % len(worker.numbers)
        until = asyncio.get_running_loop().time() + AT_MOST

        def rings() -> None:
            nonlocal reached
            reached = True

        for number in (*worker.numbers[first:], *worker.numbers[:first]):
            leg = self.legs.worker()
            rung = await self.outbound.ring(
                number,
                leg.plan,
                seconds=min(RING_SECONDS, until - asyncio.get_running_loop().time()),
                trunks=customer.trunks if customer else (),
                caller_id=customer.caller_id if customer else None,
                display_name=asked.customer,
                on_ringing=rings,
            )
            reached = reached or CallFailed(call.key, rung.status).reached
            if rung.call is not None or asyncio.get_running_loop().time() + RING_SECONDS / 2 > until:
                break
        return rung, leg, reached

    async def _ask(self, line: WorkerLine, voice: Voice, desk: WorkerDesk, asked: CheckIn) -> CheckedIn:
        try:
            return await check_in(line.phone, voice, desk, asked)
        except BaseException:
            if line.incident is None:  # else somebody listens
                line.call.hang_up()
            raise

    # -- he calls --

    async def take(self, session: InviteSession, numbers: Sequence[str]) -> None:
        """Answer a worker's call, and do what he wants. `numbers`: what the network says that he calls from."""
        leg = self.legs.worker()
        call = self._answer(session, leg)
        if call is None:
            return
        worker = self._seems_to_be(numbers)
        line = WorkerLine(call, leg, self.office.alarms)
        desk = WorkerDesk(self.office, line, worker)
        voice = self._voice_of(worker) if worker else self._voice_of_the_house()
        try:
            await attend(line.phone, voice, desk, worker.name if worker else "", known=lambda: self._voice_for(desk))
        except Exception:
            if line.incident is None:
                call.hang_up()
            raise
        finally:
            desk.dialogue_over()
        await self._stay(line, desk)

    # -- his device calls --

    async def pressed(self, session: InviteSession, device: Device, worker: Worker, button: Button) -> None:
        """Begin, confirm or end his session. The device is answered, hears nothing, and is hung up."""
        call = self._answer(session, self.legs.device(device))
        self._do(worker, button)
        if call is not None:
            await asyncio.wait([call.ended], timeout=BUTTON_SECONDS)
            call.hang_up("done")

    def _do(self, worker: Worker, button: Button) -> None:
        check_ins, settings = self.office.check_ins, self.office.settings
        if button == "begin":
            rules = rules_of(settings.check_in_of(worker))
            ends_at = self.office.alarms.clock.now() + timedelta(seconds=rules.longest)
            check_ins.begin(worker.id, rules, origin=Origin.DEVICE, ends_at=ends_at, how=How.DEVICE)
            return
        self.spawn(self._tell(worker, Confirmed(How.DEVICE)))
        if button == "end":
            self.spawn(self._tell(worker, Ended(f"worker:{worker.id}")))

    async def _tell(self, worker: Worker, event: Event) -> None:
        known = await self.office.check_ins.find(worker.id)
        if known is not None:
            self.office.check_ins.post(known.id, event)

    def _answer(self, session: InviteSession, leg: Leg) -> Call | None:
        call = None
        try:
            call = self.office.alarms.calls.receive(session, leg.plan)
            call.prepare()
        except EarshotError as error:
            if call is not None:
                call.abandon()
            if session.stage is Stage.INVITED:
                session.reject(error.sip_status, (("Retry-After", "2"),) if error.retry_can_help else ())
            return None
        call.answer()
        return call if call.up else None

    def _seems_to_be(self, numbers: Sequence[str]) -> Worker | None:
        """Who has this number. More than one has: nobody."""
        wanted = {normal_number(number) for number in numbers if number}
        fits = [w for w in self.office.settings.workers if wanted & set(map(_as_caller, w.numbers))]
        return fits[0] if len(fits) == 1 else None

    # -- afterwards --

    async def _stay(self, line: WorkerLine, desk: WorkerDesk) -> None:
        listening = self.spawn(_listen_on(line, desk))
        try:
            await line.stay(listening)
        finally:
            listening.cancel()

    # -- how a worker is spoken to --

    def _customer(self, worker: Worker) -> Customer | None:
        return self.office.settings.customer_of(None, worker)

    def _voice_of(self, worker: Worker) -> Voice:
        customer = self._customer(worker)
        language = worker.language or (customer.language if customer else "en")
        return self.voice(language, customer.timezone if customer else "UTC")

    def _voice_for(self, desk: WorkerDesk) -> Voice:
        """Of whoever has signed in: hours are those of his place, wherever he calls from."""
        return self._voice_of(desk.worker) if desk.worker else self._voice_of_the_house()

    def _voice_of_the_house(self) -> Voice:
        """Of a caller who is not known yet: as the customers have it, where they all have the same."""
        ways = {(customer.language, customer.timezone) for customer in self.office.settings.customers}
        return self.voice(*(ways.pop() if len(ways) == 1 else ("en", "UTC")))


def _as_caller(number: str) -> str:
    """What a call from there names."""
    return normal_number(user_of(number) if is_uri(number) else number)


async def _listen_on(line: WorkerLine, desk: WorkerDesk) -> None:
    """Keys that come when the dialogue is over, to the last one before he hangs up."""
    gone = False
    while not gone:
        entry = ""
        try:
            while len(entry) < LONGEST_ENTRY and (key := await line.phone.collect(ENTRY_SECONDS)) not in (None, "#"):
                entry += key
        except HungUp:
            gone = True
        if entry:
            await desk.heard_late(entry)
