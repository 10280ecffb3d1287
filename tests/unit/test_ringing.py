"""Ringing one operator: all his phones at once, the first that answers wins, every end has one meaning."""

import asyncio
from typing import cast

import pytest

from voice.call import Call, CallEnd
from voice.errors import PortsExhausted
from voice.ringing import Outcome, outcome_of, ring
from voice.sim.loop import virtually
from voice.sip.session import EndCause


class Phone:
    """As much of a `Call` as ringing looks at."""

    def __init__(self, after: float, end: CallEnd | None = None) -> None:
        loop = asyncio.get_running_loop()
        self.answered: asyncio.Future[None] = loop.create_future()
        self.ended: asyncio.Future[CallEnd] = loop.create_future()
        loop.call_later(after, self._answer if end is None else lambda: self._end(end))

    @property
    def up(self) -> bool:
        return self.answered.done() and not self.answered.cancelled() and not self.ended.done()

    def hang_up(self, reason: str | None = None) -> None:
        self._end(CallEnd(EndCause.LOCAL))

    def _answer(self) -> None:
        if not self.answered.done():
            self.answered.set_result(None)

    def _end(self, end: CallEnd) -> None:
        if not self.ended.done():
            self.answered.cancel()
            self.ended.set_result(end)


def rejected(code: int) -> CallEnd:
    return CallEnd(EndCause.REJECTED, code, by_peer=True)


async def ringing(*phones: Phone, seconds: float = 30.0) -> tuple[Outcome, Phone | None]:
    outcome, winner = await ring([lambda phone=phone: cast("Call", phone) for phone in phones], seconds)
    return outcome, cast("Phone | None", winner)


@virtually
async def test_the_first_phone_that_answers_wins_and_the_others_stop() -> None:
    slow, quick = Phone(9), Phone(2)
    assert await ringing(slow, quick) == (Outcome.ANSWERED, quick)
    assert slow.ended.result().cause is EndCause.LOCAL
    assert quick.up


@virtually
async def test_one_phone_that_declines_does_not_stop_the_others() -> None:
    declining, answering = Phone(1, rejected(603)), Phone(5)
    assert await ringing(declining, answering) == (Outcome.ANSWERED, answering)


@virtually
async def test_a_phone_that_rings_on_is_stopped_when_the_time_is_over() -> None:
    phone = Phone(99)
    assert await ringing(phone, seconds=10) == (Outcome.NO_ANSWER, None)
    assert phone.ended.done()


@virtually
async def test_what_a_person_did_counts_before_what_a_network_said() -> None:
    unreachable = CallEnd(EndCause.TRANSPORT, 503)
    assert await ringing(Phone(1, unreachable), Phone(2, rejected(603))) == (Outcome.DECLINED, None)
    assert await ringing(Phone(1, unreachable), Phone(2, rejected(486))) == (Outcome.BUSY, None)
    assert await ringing(Phone(1, unreachable)) == (Outcome.UNREACHABLE, None)
    assert await ringing() == (Outcome.UNREACHABLE, None)


@virtually
async def test_cancelling_stops_every_phone() -> None:
    phones = Phone(99), Phone(99)
    task = asyncio.create_task(ringing(*phones))
    await asyncio.sleep(1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert all(phone.ended.done() for phone in phones)


def fails() -> Call:
    raise PortsExhausted("no port")


@virtually
async def test_a_phone_that_cannot_be_dialled_leaves_the_others_ringing() -> None:
    phone = Phone(3)
    outcome, winner = await ring([lambda: cast("Call", phone), fails], 30)
    assert (outcome, winner) == (Outcome.ANSWERED, phone)


@virtually
async def test_an_operator_none_of_whose_phones_can_be_dialled_is_an_error() -> None:
    with pytest.raises(PortsExhausted):
        await ring([fails, fails], 30)


@virtually
async def test_a_bug_in_dialling_one_phone_stops_those_that_ring_already() -> None:
    phone = Phone(99)

    def bug() -> Call:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await ring([lambda: cast("Call", phone), bug], 30)
    assert phone.ended.done()


@pytest.mark.parametrize(
    ("end", "outcome"),
    [
        (rejected(486), Outcome.BUSY),
        (rejected(600), Outcome.BUSY),
        (rejected(603), Outcome.DECLINED),
        (rejected(480), Outcome.DECLINED),
        (rejected(408), Outcome.NO_ANSWER),
        (rejected(487), Outcome.NO_ANSWER),
        (rejected(404), Outcome.UNREACHABLE),
        (rejected(500), Outcome.UNREACHABLE),
        (CallEnd(EndCause.NO_ANSWER, 408), Outcome.NO_ANSWER),
        (CallEnd(EndCause.TRANSPORT, 503), Outcome.UNREACHABLE),
        (CallEnd(EndCause.LOCAL), Outcome.STOPPED),
    ],
)
def test_every_end_of_an_unanswered_leg_has_one_meaning(end: CallEnd, outcome: Outcome) -> None:
    assert outcome_of(end) is outcome
