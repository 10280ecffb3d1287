"""Whatever a worker keys, says nothing to, or hangs up on, the whole service brings it to a defined end.

He picks up when he is called, calls himself, keys what chance wants, by events or INFO, and hangs up some time. Each of
his calls is over then or his, each check-in confirmed or missed with an alarm, and no PIN comes out: `Shift` looks for
it in all that was said, written and logged.
"""

import asyncio
import random
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from ivr.session import Origin
from tests.scenarios.line import until
from tests.scenarios.shift import CODE, DURESS, MOBILE, PIN, STRANGE, Shift, shift
from voice.check_in.roster import rules_of
from voice.incidents.kinds import Kind
from voice.sim.phone_call import PhoneCall

WALKS = 40
INTERVAL, RETRY = 40.0, 20.0
LONGEST_DIALOGUE = 100.0
"""Seconds: a check-in that confirms nothing ends after 90 at most (`ivr.checkin`), when that has been said."""
SLACK = 30.0
"""Seconds for everything else: ringing, answering, and the rest of a word."""

ENTRIES = (*"0123456789*#", "00", "00", f"{PIN}#", f"{DURESS}#", f"{CODE}#", "1357#", "", "")


@pytest.mark.parametrize("seed", range(WALKS))
def test_every_check_in_ends_confirmed_or_missed_and_every_call_over_or_his(tmp_path: Path, seed: int) -> None:
    dice = random.Random(seed)

    @shift({"confirm": dice.choice(["key", "pin"])}, seed=seed)
    async def told(shift: Shift) -> None:
        _begins(shift)
        tasks = [asyncio.ensure_future(_is_called(shift, dice)), asyncio.ensure_future(_calls(shift, dice))]
        limit = INTERVAL + 2 * (LONGEST_DIALOGUE + SLACK) + RETRY
        await until(shift.world, lambda: _is_decided(shift), limit, "the check-in is neither confirmed nor missed")
        await asyncio.wait(tasks, timeout=LONGEST_DIALOGUE + SLACK)
        for task in tasks:
            if task.done():
                task.result()
            task.cancel()
        for call in shift.exchange.line(MOBILE).live_calls + shift.exchange.line(STRANGE).live_calls:
            call.hang_up()
        await asyncio.sleep(5.0)
        assert len(await shift.incidents(Kind.DURESS)) <= 1
        assert {incident.kind for incident in await shift.world.incidents()} <= {
            Kind.DURESS, Kind.MISSED_CHECK_IN, Kind.TEST
        }  # fmt: skip

    told(tmp_path=tmp_path)


def _begins(shift: Shift) -> None:
    rules = rules_of(shift.world.stage.settings.check_ins[0])
    rules = replace(rules, interval=INTERVAL, grace=0.0, retries=(RETRY,), warn_before=5.0)
    ends_at = shift.world.stage.service.outside.clock.now() + timedelta(hours=8)
    shift.check_ins.begin("anna", rules, origin=Origin.API, ends_at=ends_at)


def _is_decided(shift: Shift) -> bool:
    """The first check-in: confirmed or missed, or his session is over or another one."""
    session = shift.session()
    return session is None or not session.open or session.round > 1 or session.rules.interval != INTERVAL


async def _is_called(shift: Shift, dice: random.Random) -> None:
    """He picks up two calls of check-ins, unless they end before: he may have confirmed by then."""
    line, answered = shift.exchange.line(MOBILE), 0
    while answered < 2:
        call = await line.called()
        await asyncio.sleep(2.0)
        if not call.is_over:
            call.pick_up()
            await _walk(shift, call, dice, LONGEST_DIALOGUE)
            answered += 1


async def _calls(shift: Shift, dice: random.Random) -> None:
    await asyncio.sleep(dice.uniform(0.0, 2 * INTERVAL))
    line = await shift.calls_in(dice.choice([MOBILE, STRANGE]))
    await _walk(shift, line.call, dice, longest=900.0)


async def _walk(shift: Shift, call: PhoneCall, dice: random.Random, longest: float) -> None:
    """What he does in one call, until he hangs up or is hung up on. `longest`: after so many seconds it is silent."""
    await call.established()
    world, began = shift.world, shift.world.now
    leaves = began + dice.choice([dice.uniform(0.0, 20.0), dice.uniform(0.0, 1.3 * LONGEST_DIALOGUE)])
    while world.now < leaves and not call.is_over:
        await asyncio.sleep(min(leaves - world.now, dice.choice([dice.uniform(0.1, 1.0), dice.uniform(1.0, 12.0)])))
        if not call.is_over:
            call.press(dice.choice(ENTRIES), by=dice.choice(["rfc4733", "info"]))
    if world.now > began + longest + 1.0 and not call.is_over:
        assert call.hearing.heard_silence_only(world.now - 1.0)
    call.hang_up()
