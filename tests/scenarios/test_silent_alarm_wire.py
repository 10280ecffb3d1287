"""Nobody who reads every packet to a worker's telephone can tell whether he has confirmed or called for help.

Each story is told in a world where the worker confirms, and again in worlds that differ in what he keys, and in what
operators make of his silent alarm: they are not there, refuse, talk, close it. All that comes to his telephone must be
equal: every octet of SIP, RTP and RTCP, its moment, and every text message; in this call, for as long as he stays, and
in the next one.
"""

import asyncio
import copy
import random
import re
from collections.abc import Coroutine
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection

from ivr.session import Origin
from tests.scenarios.bystander import Seen, difference, seen
from tests.scenarios.line import DIGITS, until
from tests.scenarios.shift import DURESS, MOBILE, PIN, TRUNK_HOST, Shift, shift
from tests.scenarios.slow_store import slow_down
from voice.check_in.pins import FAILURES
from voice.check_in.roster import rules_of
from voice.incidents.kinds import Kind
from voice.incidents.lifecycle import Reason, State
from voice.legs import WorkerLeg
from voice.messages.channel import Message, Receipt
from voice.sim.habits import Answers
from voice.sim.phone import SimPhone
from voice.sim.phone_call import PhoneCall
from voice.sim.spoken import hears
from voice.store import pins

STORIES = 50
"""Each is told in five worlds: 200 calls for help are compared with a confirmation."""
INTERVAL = 25.0
DURESS_KEYS = "00"
PAUSE = 0.3
"""Seconds from key to key."""


class Around(StrEnum):
    """What becomes of a silent alarm."""

    NOBODY = "no operator is there"
    REFUSED = "operators refuse"
    TALKED = "an operator talks, and resolves it later by key"
    CLOSED = "it is resolved at once"


@dataclass(frozen=True)
class Story:
    """What a worker does beside the entry; drawn by lot."""

    seed: int
    calls_in: bool
    by_pin: bool
    means: str
    at: float
    """When he makes his entry: seconds after the question."""
    after: str
    """What he keys later."""
    gap: float
    leaves: float
    """Seconds after the entry."""
    slowness: float
    """Seconds that the store takes for whatever waits for it. Then only this call is watched: what is to come of it
    waits for all that the service writes."""
    running: bool
    followed: bool
    """His next call is watched, too."""
    locked: bool = False
    """His PIN is: both are refused as a wrong one is."""

    @classmethod
    def drawn(cls, seed: int) -> "Story":
        dice = random.Random(seed)
        calls_in, slowness = dice.random() < 0.4, dice.choice([0.0, 0.0, 0.02, 0.3])
        longest = 10.0 if slowness else 75.0
        return cls(
            seed=seed,
            calls_in=calls_in,
            by_pin=calls_in or dice.random() < 0.5,
            means=("rfc4733", "info", "inband")[seed % 3],
            at=dice.uniform(0.5, 5.0),
            after="".join(dice.choices("123456789*#", k=dice.randint(0, 8))),
            gap=dice.uniform(0.3, 6.0),
            leaves=dice.choice([0.0, dice.uniform(0.0, 1.0), dice.uniform(1.0, 10.0), dice.uniform(10.0, longest)]),
            slowness=slowness,
            running=not calls_in or (dice.random() < 0.7 and not slowness),
            followed=dice.random() < 0.4 and not slowness,
        )

    @property
    def seconds(self) -> float:
        """How long the world is watched."""
        entered = 20.0 if self.calls_in else INTERVAL + 18.0
        return entered + max(self.leaves, INTERVAL + 17.0 if self.followed else 3.0)

    @property
    def echoes(self) -> bool:
        """Reports tell him how many packets he has sent: more for two keys than for one."""
        return self.by_pin or self.means != "rfc4733"


@dataclass(frozen=True)
class Witnessed:
    """All that a bystander can know, and whether help was called."""

    packets: list[Seen]
    """To his telephone."""
    messages: list[Seen]
    alarms: int
    recorded: bool


def _witness(directory: Path, story: Story, around: Around | None) -> Witnessed:
    """The story in a world of its own. `around` None: he confirms."""
    told: list[Witnessed] = []

    @shift({"confirm": "pin" if story.by_pin else "key"}, seed=story.seed)
    async def world(shift: Shift) -> None:
        told.append(await _watch(shift, story, around))

    world(tmp_path=directory)
    return told[0]


async def _watch(shift: Shift, story: Story, around: Around | None) -> Witnessed:
    stage, began = shift.world.stage, shift.world.now
    media = stage.network.media_captured = []
    messages = _messages(shift, began)
    _draw_apart(shift, story.seed)
    if story.slowness:
        slow_down(stage.store, story.slowness)
    if story.locked:
        await _lock(shift)
    if story.running:
        _begins(shift)
    tasks = [asyncio.ensure_future(work) for work in _all_that_happens(shift, story, around)]
    end = began + story.seconds
    while shift.world.now < end:
        await asyncio.sleep(1.0)
        if story.slowness and (over := _end_of_first_call(shift)) is not None:
            end = over
    packets = [packet for packet in [*stage.network.captured, *media] if packet.sent < end]
    packets.sort(key=lambda packet: packet.sent)
    for task in tasks:
        if task.done():
            task.result()
        task.cancel()
    for call in shift.exchange.line(MOBILE).live_calls:
        call.hang_up()
    await asyncio.sleep(5.0)
    incidents = await shift.incidents(Kind.DURESS)
    recorded = [recording for incident in incidents for recording in await shift.world.recordings(incident.id)]
    return Witnessed(
        seen(packets, TRUNK_HOST, began, echoes=story.echoes),
        [message for message in messages if message.at < end - began],
        len(incidents),
        any(recording.duration_ms for recording in recorded),
    )


def _begins(shift: Shift) -> None:
    """A session with check-ins as fast as none is in real life."""
    rules = replace(rules_of(shift.world.stage.settings.check_ins[0]), interval=INTERVAL, warn_before=10.0)
    ends_at = shift.world.stage.service.outside.clock.now() + timedelta(hours=8)
    shift.check_ins.begin("anna", rules, origin=Origin.API, ends_at=ends_at)


async def _lock(shift: Shift) -> None:
    stage = shift.world.stage
    now = stage.service.outside.clock.now()

    def fail(connection: Connection) -> None:
        for number in range(FAILURES):
            pins.fail(connection, str(number), "anna", now)

    await stage.store.run(fail)


def _end_of_first_call(shift: Shift) -> float | None:
    calls = shift.exchange.line(MOBILE).calls
    return calls[0].ended_at if calls else None


def _messages(shift: Shift, began: float) -> list[Seen]:
    """Text messages to the worker, as they are sent."""
    channel: Any = shift.world.stage.messages
    send, sent = channel.send, []

    async def noted(message: Message) -> Receipt:
        if message.to == MOBILE:
            sent.append(Seen(shift.world.now - began, "message", message.text.encode()))
        receipt: Receipt = await send(message)
        return receipt

    channel.send = noted
    return sent


def _draw_apart(shift: Shift, seed: int) -> None:
    """What is drawn for a worker's call does not depend on how much was drawn for others before."""
    service: Any = shift.world.stage.service
    make, numbers = service.legs.worker, count()

    def worker() -> WorkerLeg:
        leg: WorkerLeg = make()
        leg._legs = copy.copy(leg._legs)
        leg._legs.random = random.Random(f"{seed} {next(numbers)}")
        return leg

    service.legs.worker = worker
    service.check_in_desk.calls.random = random.Random(seed)


def _all_that_happens(shift: Shift, story: Story, around: Around | None) -> list[Coroutine[Any, Any, None]]:
    happens = [_worker(shift, story, helps=around is not None)]
    if around is Around.REFUSED:
        happens.append(_operator_refuses(shift))
    elif around is Around.TALKED:
        happens.append(_operator_talks(shift))
    elif around is Around.CLOSED:
        happens.append(_closes(shift))
    return happens


# -- the worker --


async def _worker(shift: Shift, story: Story, *, helps: bool) -> None:
    line = shift.exchange.line(MOBILE)
    call = await (_calls(shift, line) if story.calls_in else _is_called(line))
    if story.means != "inband":
        call.say(shift.world.speech(line, story.seconds))
    await hears(call, shift.world.stage.speaker, "PIN" if story.by_pin else "If you are well, press")
    await asyncio.sleep(story.at)
    await _enters(shift, story, call, helps)
    await _confirms_later(shift, line, story)


async def _calls(shift: Shift, line: SimPhone) -> PhoneCall:
    call = (await shift.calls_in()).call
    assert call.is_established
    return call


async def _is_called(line: SimPhone) -> PhoneCall:
    call = await line.called()
    await asyncio.sleep(2.0)
    call.pick_up()
    await call.established()
    return call


async def _enters(shift: Shift, story: Story, call: PhoneCall, helps: bool) -> None:
    """The last key comes at the same moment, however many there are."""
    loop = asyncio.get_running_loop()
    if story.by_pin:
        keys, most = f"{DURESS if helps else PIN}#", len(PIN) + 1
    else:
        keys, most = DURESS_KEYS if helps else await _key(shift, call), len(DURESS_KEYS)
    for number in range(most - len(keys)):
        loop.call_later(number * PAUSE, _flash, call, story.means)
    for number, key in enumerate(keys, most - len(keys)):
        loop.call_later(number * PAUSE, _press, call, key, story.means)
    entered = (most - 1) * PAUSE
    for number, key in enumerate(story.after, 1):
        loop.call_later(entered + number * story.gap, _press, call, key, story.means)
    loop.call_later(entered + story.leaves, call.hang_up)


def _press(call: PhoneCall, key: str, means: str) -> None:
    if not call.is_over:
        call.press(key, by=means)


def _flash(call: PhoneCall, means: str) -> None:
    """A request in place of a key, which means nothing: every request is answered."""
    if means == "info" and call.session is not None and not call.is_over:
        call.session.info("application/dtmf-relay", b"Signal=16\r\nDuration=100\r\n")


async def _confirms_later(shift: Shift, line: SimPhone, story: Story) -> None:
    """The next call that he gets, be it while he is on the line."""
    call = await _is_called(line)
    if story.by_pin:
        await hears(call, shift.world.stage.speaker, "PIN")
        keys = f"{PIN}#"
    else:
        keys = await _key(shift, call)
    for key in keys:
        await asyncio.sleep(PAUSE)
        _press(call, key, story.means)
    await asyncio.sleep(8.0)
    call.hang_up()


async def _key(shift: Shift, call: PhoneCall) -> str:
    said = await hears(call, shift.world.stage.speaker, "if you are well, press")
    found = re.search(r"\bpress (\w+)\b", said.text.lower())
    assert found is not None, said.text
    return found[1] if found[1].isdigit() else str(DIGITS["en"].index(found[1]) + 1)


# -- what becomes of his silent alarm --


async def _operator_refuses(shift: Shift) -> None:
    await shift.world.operator("olga", answers=Answers.DECLINES)


async def _operator_talks(shift: Shift) -> None:
    olga = await shift.world.operator("olga")
    call = await olga.called()
    await call.established()
    await asyncio.sleep(2.0)
    call.press("1")
    call.say(shift.world.speech(olga, 6.0))
    await asyncio.sleep(8.0)
    call.press("#1")
    await call.over()


async def _closes(shift: Shift) -> None:
    incidents = shift.world.stage.service.incidents
    await until(shift.world, lambda: incidents.silent_alarm("anna") is not None, "5min", "no silent alarm")
    incident = incidents.silent_alarm("anna")
    assert incident is not None
    incident.change(State.RESOLVED, actor="operator:olga", reason=Reason.DURESS)


# -- the proof --


@pytest.mark.parametrize("seed", range(STORIES))
def test_no_packet_tells_a_call_for_help_from_a_confirmation(tmp_path: Path, seed: int) -> None:
    story = Story.drawn(seed)
    confirmed = _witness(tmp_path / "confirmed", story, None)
    assert not confirmed.alarms
    assert len(confirmed.packets) > 100
    for around in Around:
        helped = _witness(tmp_path / around.name, story, around)
        differs = difference(confirmed.packets, helped.packets) or difference(confirmed.messages, helped.messages)
        assert not differs, f"{around}, {story}: {differs}"
        if story.leaves > 0.5:
            assert (helped.alarms, helped.recorded) == (1, True), (story, around)


@pytest.mark.parametrize("calls_in", [False, True])
@pytest.mark.parametrize("seed", [1, 2])
def test_no_packet_tells_the_duress_pin_from_the_pin_while_that_is_locked(
    tmp_path: Path, seed: int, calls_in: bool
) -> None:
    """Both are refused, and after either the line is his for as long as he leaves it."""
    drawn = Story.drawn(seed)
    story = replace(drawn, calls_in=calls_in, by_pin=True, running=True, slowness=0.0, leaves=50.0, locked=True)
    refused = _witness(tmp_path / "refused", story, None)
    assert not refused.alarms
    for around in (Around.NOBODY, Around.TALKED):
        helped = _witness(tmp_path / around.name, story, around)
        differs = difference(refused.packets, helped.packets) or difference(refused.messages, helped.messages)
        assert not differs, f"{around}, {story}: {differs}"
        assert (helped.alarms, helped.recorded) == (1, True), (story, around)
