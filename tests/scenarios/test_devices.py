"""What devices do: call, hang up, call again, fall silent, hold. None of it ends an incident."""

import asyncio

from tests.scenarios.world import World, story
from voice.incidents.lifecycle import State
from voice.sim.habits import Habits
from voice.sip.events import EndCause

ALARM = "sip:alarm@earshot"


@story()
async def test_an_alarm_is_in_the_store_before_it_is_answered(world: World) -> None:
    badge = await world.device("badge7")
    call = badge.call(ALARM)
    await call.established()
    opened, escalated, answered = (await world.timeline())[:3]
    assert (opened.kind, escalated.kind, answered.kind) == ("opened", "escalated", "answered")
    assert answered.detail["after_ms"] < 20
    assert "before_commit" not in answered.detail
    incident = await world.incident()
    assert (incident.device_id, incident.worker_id, incident.kind) == ("badge-7", "anna", "panic")


@story()
async def test_a_device_that_hangs_up_leaves_the_incident_open(world: World) -> None:
    badge = await world.device("badge7")
    call = badge.call(ALARM)
    await call.established()
    await asyncio.sleep(2)
    call.hang_up()
    await asyncio.sleep(1)
    assert (await world.incident()).state is State.OPEN
    assert (await world.entry("device_hung_up")).detail["cause"] == "bye"
    olga = await world.operator("olga")
    await (await olga.called()).established()  # and it rings whoever comes


@story()
async def test_a_device_that_calls_again_joins_its_open_incident(world: World) -> None:
    badge = await world.device("badge7")
    first = badge.call(ALARM)
    first.say(world.speech(badge, 2))
    await first.said()
    first.hang_up()
    await asyncio.sleep(5)
    second = badge.call(ALARM)
    second.say(world.speech(badge, 2))
    await second.said()
    incident = await world.incident()
    assert incident.state is State.OPEN
    assert [leg.role for leg in await world.legs()] == ["device", "device"]
    assert "device_called_again" in await world.kinds()

    olga = await world.operator("olga")
    listening = await olga.called()
    await listening.established()
    await asyncio.sleep(8)
    heard = listening.hearing.marks().numbers
    assert heard == sorted(heard)
    assert heard[0] < 50  # from second 0 of the first call
    assert any(100 < number <= 200 for number in heard)  # to the second


@story()
async def test_an_unknown_caller_who_hangs_up_and_calls_in_one_breath_joins_his_incident(world: World) -> None:
    stranger = await world.device("stranger")
    call = stranger.call(ALARM)
    for _ in range(5):
        await call.established()
        call.hang_up()
        call = stranger.call(ALARM)
    await call.established()
    assert len(await world.legs()) == 6
    assert len(await world.incidents()) == 1


@story()
async def test_a_device_whose_incident_was_resolved_opens_a_new_one(world: World) -> None:
    badge = await world.device("badge7")
    olga = await world.operator("olga")
    for _ in range(2):
        call = badge.call(ALARM)
        listening = await olga.called()
        await listening.established()
        listening.press("#1")
        await call.over()
        await listening.over()
        await asyncio.sleep(1)
    assert [row.state for row in await world.incidents()] == [State.RESOLVED, State.RESOLVED]


@story()
async def test_two_calls_of_one_device_at_once_are_one_incident(world: World) -> None:
    badge = await world.device("badge7")
    first = badge.call(ALARM)
    await first.established()
    await asyncio.sleep(1)
    second = badge.call(ALARM)
    await second.established()
    await asyncio.sleep(1)
    assert first.is_established
    assert len(await world.legs()) == 2
    assert len(await world.incidents()) == 1


@story()
async def test_a_new_call_replaces_one_of_which_nothing_comes_any_more(world: World) -> None:
    badge = await world.device("badge7")
    first = badge.call(ALARM)
    await first.established()
    await asyncio.sleep(1)
    await badge.reboot(seconds=4)
    second = badge.call(ALARM)
    await second.established()
    await asyncio.sleep(1)
    ended, up = sorted(await world.legs(), key=lambda leg: leg.started_at)
    assert ended.ended_at is not None
    assert up.ended_at is None
    assert (await world.entry("leg_replaced")).detail["by"] == up.id
    assert second.is_established


@story()
async def test_a_second_workers_alarm_is_never_blocked(world: World) -> None:
    badge7, badge8 = await world.device("badge7"), await world.device("badge8")
    olga = await world.operator("olga")
    badge7.call(ALARM)
    await (await olga.called()).established()
    second = badge8.call(ALARM)
    await second.established()
    assert [row.worker_id for row in await world.incidents()] == ["anna", "bert"]
    assert len(world.stage.service.incidents.waiting()) == 1


@story()
async def test_two_alarms_of_one_worker_are_linked(world: World) -> None:
    badge, watch = await world.device("badge7"), await world.device("watch7")
    await badge.call(ALARM).established()
    await watch.call(ALARM).established()
    one, other = await world.incidents()
    assert (await world.entry("linked", one.id)).detail == {"incident": other.id}
    assert (await world.entry("linked", other.id)).detail == {"incident": one.id}


@story()
async def test_a_device_that_cancels_before_the_answer_leaves_the_incident_open(world: World) -> None:
    """The store is slow, so that there is a time before the answer."""
    world.expects |= {"store unavailable; calls go on, writes wait", "alarm answered before it was durable"}
    badge = await world.device("badge7")
    world.stage.store.fail_with(OSError("disk full"))
    call = badge.call(ALARM)
    await asyncio.sleep(1)
    call.hang_up()
    assert (await call.over()).cause is EndCause.CANCELLED
    await asyncio.sleep(2)
    world.stage.store.fail_with(None)
    await asyncio.sleep(2)
    assert (await world.incident()).state is State.OPEN
    kinds = await world.kinds()
    assert "answered" not in kinds
    assert "device_hung_up" in kinds
    olga = await world.operator("olga")
    await (await olga.called()).established()


@story()
async def test_a_cancel_that_comes_with_its_invite_leaves_the_incident_open(world: World) -> None:
    badge = await world.device("badge7")
    call = badge.call(ALARM)
    invite: list[bytes] = []
    transport = world.stage.service.outside.transport
    receive = transport.receiver

    def both(data: bytes, flow: object) -> None:
        receive(data, flow)  # type: ignore[arg-type]
        if data.startswith(b"INVITE") and b"Authorization" in data and not invite:
            invite.append(data)
            receive(_cancel_of(data), flow)  # type: ignore[arg-type]

    transport.receiver = both  # type: ignore[assignment]
    await asyncio.sleep(2)
    assert invite
    assert (await call.over()).code == 487
    assert (await world.incident()).state is State.OPEN
    assert not world.stage.service.calls.live


def _cancel_of(invite: bytes) -> bytes:
    head = invite.split(b"\r\n\r\n")[0].split(b"\r\n")
    kept = [line for line in head[1:] if line.split(b":")[0] in (b"Via", b"From", b"To", b"Call-ID", b"Max-Forwards")]
    number = next(line for line in head if line.startswith(b"CSeq")).split()[1]
    lines = [head[0].replace(b"INVITE", b"CANCEL", 1), *kept, b"CSeq: " + number + b" CANCEL", b"Content-Length: 0"]
    return b"\r\n".join(lines) + b"\r\n\r\n"


@story()
async def test_a_device_without_an_offer_is_answered_with_ours_and_recorded(world: World) -> None:
    badge = await world.device("badge7", habits=Habits(late_offer=True))
    call = badge.call(ALARM)
    call.say(world.speech(badge, 2))
    await call.said()
    await asyncio.sleep(0.5)
    call.hang_up()
    await asyncio.sleep(1)
    (recording,) = [r for r in await world.recordings() if r.direction == "received"]
    assert recording.complete
    assert recording.duration_ms is not None
    assert recording.duration_ms >= 2000


@story()
async def test_a_device_that_holds_the_call_and_comes_back_is_recorded_on(world: World) -> None:
    badge = await world.device("badge7")
    call = badge.call(ALARM)
    await call.established()
    await asyncio.sleep(1)
    call.hold("inactive")
    await asyncio.sleep(2)
    quiet = len(call.hearing.raw)
    await asyncio.sleep(1)
    assert len(call.hearing.raw) - quiet <= 1  # we may not send, not even silence
    call.resume()
    await asyncio.sleep(0.5)
    first = len(call.hearing.raw)
    call.say(world.speech(badge, 1))
    await call.said()
    assert len(call.hearing.raw) > first
    call.hang_up()
    await asyncio.sleep(0.5)
    assert (await world.incident()).state is State.OPEN
    (recording,) = [r for r in await world.recordings() if r.direction == "received"]
    assert recording.duration_ms is not None
    assert 5300 <= recording.duration_ms <= 5800  # one line of time, the hold in it


@story()
async def test_a_call_without_any_audio_is_said_so_after_three_seconds(world: World) -> None:
    badge = await world.device("badge7", habits=Habits(sends_media=False))
    call = badge.call(ALARM)
    await call.established()
    answered = world.now
    await asyncio.sleep(5)
    entry = await world.entry("no_audio")
    assert 3.0 <= world.moment(entry.time) - answered <= 3.7
    assert (await world.incident()).state is State.OPEN


@story()
async def test_a_device_that_changes_its_ssrc_is_heard_on(world: World) -> None:
    badge, olga = await world.device("badge7"), await world.operator("olga", after=0.5)
    call = badge.call(ALARM)
    call.say(world.speech(badge, 10))
    listening = await olga.called()
    await listening.established()
    await asyncio.sleep(4)
    call.change_ssrc()
    since = world.now
    await asyncio.sleep(4)
    numbers = listening.hearing.marks(since + 0.5).numbers
    assert len(numbers) > 150
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
