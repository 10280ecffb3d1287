"""Who is calling. When in doubt it is an alarm."""

import asyncio

import pytest

from tests.scenarios.world import World, story
from voice.incidents.kinds import Kind
from voice.incidents.lifecycle import State
from voice.sim.spoken import hears
from voice.sim.wire import request

ALARM = "sip:alarm@earshot"


@story()
async def test_an_unknown_caller_is_answered_and_recorded_as_unidentified(world: World) -> None:
    stranger = await world.device("stranger")
    call = stranger.call(ALARM)
    call.say(world.speech(stranger, 2))
    await call.said()
    call.hang_up()
    await asyncio.sleep(1)
    incident = await world.incident()
    assert (incident.kind, incident.state) == (Kind.UNIDENTIFIED, State.OPEN)
    assert (incident.device_id, incident.identified_by, incident.caller) == (None, None, "stranger")
    (recording,) = await world.recordings()
    assert recording.duration_ms is not None
    assert recording.duration_ms >= 1900


@story()
async def test_an_unknown_caller_who_calls_again_joins_his_open_incident(world: World) -> None:
    stranger = await world.device("stranger")
    for _ in range(2):
        call = stranger.call(ALARM)
        await call.established()
        await asyncio.sleep(1)
        call.hang_up()
        await asyncio.sleep(1)
    await world.incident()


@story()
async def test_two_unknown_callers_of_one_number_at_once_are_two_alarms(world: World) -> None:
    stranger = await world.device("stranger")
    await stranger.call(ALARM).established()
    await stranger.call(ALARM).established()
    assert len(await world.incidents()) == 2


@story()
async def test_a_device_proves_itself_by_digest(world: World) -> None:
    badge = await world.device("badge7")
    await badge.call(ALARM).established()
    assert (await world.incident()).identified_by == "digest"


@story()
async def test_a_registered_device_is_known_by_its_registration(world: World) -> None:
    badge = await world.device("badge7", register=True)
    before = len(world.stage.network.captured)
    await badge.call(ALARM).established()
    assert (await world.incident()).identified_by == "registration"
    invites = [packet for packet in world.stage.network.captured[before:] if request("INVITE")(packet)]
    assert len(invites) == 1  # no challenge costs it time


@story(sip={"trusted_networks": ["10.0.0.0/24"]})
async def test_a_device_of_a_trusted_network_is_believed_at_once(world: World) -> None:
    badge = await world.device("badge7")
    await badge.call(ALARM).established()
    assert (await world.incident()).identified_by == "from"
    assert len([packet for packet in world.stage.network.captured if request("INVITE")(packet)]) == 1


@story(sip={"trusted_networks": ["10.9.0.0/16"]})
async def test_an_asserted_identity_is_believed_from_a_trusted_network(world: World) -> None:
    gateway = await world.device("gateway")
    headers = [("P-Asserted-Identity", '"Anna" <sip:badge8@carrier.example>, <tel:+3120>')]
    await gateway.call(ALARM, headers=headers).established()
    incident = await world.incident()
    assert (incident.identified_by, incident.device_id) == ("asserted", "badge-8")


@story()
async def test_an_asserted_identity_of_a_stranger_proves_nothing(world: World) -> None:
    stranger = await world.device("stranger")
    headers = [("P-Asserted-Identity", "<sip:badge8@carrier.example>")]
    await stranger.call(ALARM, headers=headers).established()
    assert (await world.incident()).kind is Kind.UNIDENTIFIED


@story()
async def test_a_device_with_a_wrong_password_is_unidentified_and_not_lost(world: World) -> None:
    thief = await world.stage.phone("badge7", "10.6.6.6", password="guessed")
    call = thief.call(ALARM)
    await call.established()
    incident = await world.incident()
    assert (incident.kind, incident.device_id, incident.caller) == (Kind.UNIDENTIFIED, None, "badge7")
    await asyncio.sleep(10)
    await world.incident()  # and there is no second one for the challenge that was never answered


@story()
async def test_a_challenged_device_that_never_comes_back_is_an_alarm_and_it_is_told_whose(
    world: World,
) -> None:
    badge = await world.stage.phone("badge7", "10.0.0.7")  # it knows no password
    olga = await world.operator("olga")
    assert (await badge.call(ALARM).over()).code == 401
    listening = await olga.called()
    await listening.established()
    for said in ("Earshot alarm: Anna de Vries.", "This is a panic alarm."):
        await hears(listening, world.stage.speaker, said, within=20)
    incident = await world.incident()
    assert (incident.device_id, incident.identified_by) == ("badge-7", "from")
    assert (await world.entries("call_refused")) == []
    assert (await world.entry("gave_up")).detail["why"]


@story(sip={"rate_limit_per_minute": 2})
async def test_a_scanner_that_borrows_the_name_of_a_device_raises_no_more_alarms_than_a_stranger(world: World) -> None:
    badge = await world.stage.phone("badge7", "10.0.0.7")  # it knows no password
    for _ in range(5):
        assert (await badge.call(ALARM).over()).code == 401
        await asyncio.sleep(7)
    assert len(await world.entries("gave_up")) <= 3


@story(alarms={"numbers": {"112": "man_down"}})
async def test_the_dialled_number_says_what_kind_of_alarm_it_is(world: World) -> None:
    badge = await world.device("badge7")
    await badge.call("sip:112@earshot").established()
    assert (await world.incident()).kind is Kind.MAN_DOWN


@story(sip={"rate_limit_per_minute": 3})
async def test_strangers_who_call_too_often_are_told_to_wait(world: World) -> None:
    stranger = await world.device("stranger")
    calls = []
    for _ in range(5):
        calls.append(stranger.call(ALARM))
        await asyncio.sleep(0.1)
    assert [call.end.code if call.end else 200 for call in calls] == [200, 200, 200, 503, 503]
    assert len(await world.incidents()) == 3
    await asyncio.sleep(30)
    await stranger.call(ALARM).established()


@pytest.mark.parametrize("who", ["a trusted network", "a known device"])
@story(sip={"rate_limit_per_minute": 1, "trusted_networks": ["10.9.0.0/16"]})
async def test_whom_we_know_meets_no_limit(world: World, who: str) -> None:
    phone = await world.device("stranger" if who == "a trusted network" else "badge7")
    for _ in range(5):
        call = phone.call(ALARM)
        await call.established()
