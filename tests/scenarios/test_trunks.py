"""Trunks in the whole service: fail-over, a mass incident, emergency calls, and no way past the interlock."""

import asyncio
from typing import Any

from tests.scenarios.tale import EMERGENCY, NUMBERS, SECOND_HOST, TRUNK_HOST, Tale, ring, tale
from tests.scenarios.world import HOSTS, World, story
from voice.escalation.events import EmergencyAsked
from voice.sim.control_room import SAYS, ControlRoom
from voice.sim.habits import Answers, Habits
from voice.sim.spoken import hears
from voice.sip.bodies import parts
from voice.sip.message import header

ALARM = "sip:alarm@earshot"
TWO: list[dict[str, Any]] = [
    {"id": "first", "uri": f"sip:{TRUNK_HOST}"},
    {"id": "second", "uri": f"sip:{SECOND_HOST}"},
]


# -- fail-over --


@tale([ring("contact:anna")], trunks=TWO)
async def test_an_alarm_reaches_a_person_by_the_second_trunk_when_the_first_is_dead(tale: Tale) -> None:
    await tale.exchange.die()
    line = tale.second.line(NUMBERS["anna"], Habits(after=1.0))
    await tale.alarm()
    call = await line.called()
    await call.established()
    await hears(call, tale.world.stage.speaker, "Acme Care")
    assert tale.second.dialled[0][1] == NUMBERS["anna"]
    assert "trunk first is down: does not answer" in (tale.world.stage.service.trouble or "")
    answered = await tale.world.entry("contact_answered")
    assert answered.detail["trunk"] == "second"


@tale([ring("contact:anna")], trunks=TWO)
async def test_an_alarm_reaches_a_person_by_the_second_trunk_when_the_first_refuses(tale: Tale) -> None:
    tale.exchange.refuses = 403
    line = tale.second.line(NUMBERS["anna"], Habits(after=1.0))
    await tale.alarm()
    await (await line.called()).established()


@tale([ring("contact:anna", seconds=20), ring("contact:bas", seconds=20)], trunks=TWO)
async def test_a_person_who_is_busy_is_not_called_by_another_trunk(tale: Tale) -> None:
    tale.exchange.line(NUMBERS["anna"], Habits(answers=Answers.BUSY))
    await tale.alarm()
    await tale.phone("bas").rings_within(5)
    assert tale.second.dialled == []


@tale([ring("contact:anna")], customer={"trunks": ["second"]}, trunks=TWO)
async def test_contacts_are_called_by_the_trunks_of_their_customer(tale: Tale) -> None:
    line = tale.second.line(NUMBERS["anna"], Habits(after=1.0))
    await tale.alarm()
    await (await line.called()).established()
    assert tale.dialled == []
    (invite,) = tale.second.invites
    assert header(invite, "P-Asserted-Identity") == '"Acme Care" <tel:+31200000000>'


@tale(
    [ring("team:team", "contact:chef", "contact:dora", seconds=30)],
    trunks=[{"id": "first", "uri": f"sip:{TRUNK_HOST}", "max_calls": 2}],
)
async def test_when_the_trunk_is_full_the_next_telephone_rings_as_soon_as_a_line_is_free(tale: Tale) -> None:
    tale.behaves("anna", Answers.DECLINES, after=4.0)
    await tale.alarm()
    await asyncio.sleep(3)
    assert len(tale.dialled) == 2
    await asyncio.sleep(2)
    assert tale.dialled == [NUMBERS["anna"], NUMBERS["bas"], NUMBERS["chef"]]


# -- emergency calls --


async def _asked_for_help(tale: Tale) -> str:
    """An operator has the emergency services called; the incident's id, seconds later."""
    await tale.alarm()
    incident = (await tale.world.incident()).id
    tale.world.live(incident).tell(EmergencyAsked("operator:olga"))
    await asyncio.sleep(5)
    return incident


@tale([ring("operators", seconds=20), EMERGENCY])
async def test_a_confirmed_emergency_call_is_briefed_and_confirmed_by_key(tale: Tale) -> None:
    speaker = tale.world.stage.speaker
    line = tale.exchange.line(NUMBERS["police"], Habits(after=2.0))
    staff = ControlRoom(line, speaker, presses="9", after=25.0)
    await tale.alarm()
    incident = tale.world.live((await tale.world.incident()).id)
    incident.tell(EmergencyAsked("operator:olga"))
    call = await line.called()
    await call.established()
    await hears(call, speaker, "Dam 1, Amsterdam")
    await hears(call, speaker, "The report is confirmed")
    await hears(call, speaker, "Goodbye")
    assert staff.calls == [call]
    assert SAYS["en"] in [text.text for text in speaker.texts]
    confirmed = await tale.world.entry("emergency_confirmed")
    assert confirmed.detail["proof"] == "confirmed by key that the report was understood"
    assert "emergency" in [leg.role for leg in await tale.world.legs()]
    assert len(tale.exchange.dialled) == 1


@tale(
    [EMERGENCY],
    emergency_routes=[
        {"id": "police", "name": "112", "number": "urn:service:sos", "trunks": ["second"], "location": "header"}
    ],
    emergency={"armed": ["second"]},
    trunks=TWO,
)
async def test_the_service_urn_goes_out_by_the_armed_trunk_with_the_location(tale: Tale) -> None:
    tale.second.refuses = 486  # nobody is really called here either
    incident = await _asked_for_help(tale)
    (invite,) = tale.second.invites
    assert str(invite.uri) == "urn:service:sos"
    sdp, location = parts(invite)
    assert sdp.content_type == "application/sdp"
    assert b"52.373000 4.893000" in location.body
    assert tale.exchange.invites == []
    assert (await tale.world.entry("emergency_failed", incident)).detail["status"] == 486


@tale(
    [EMERGENCY],
    emergency_routes=[{"id": "police", "name": "112", "number": "112"}],
    emergency={"armed": []},
    trunks=TWO,
)
async def test_without_an_armed_trunk_112_is_never_called_and_the_timeline_says_why(tale: Tale) -> None:
    incident = await _asked_for_help(tale)
    assert "emergency.armed" in (await tale.world.entry("emergency_failed", incident)).detail["why"]
    assert tale.exchange.invites == tale.second.invites == []


# -- no way past the interlock --


@tale([ring("contact:anna", seconds=10)], contacts=[
    {"id": "anna", "name": "Anna", "numbers": ["112", "+31 112", "0112", "sip:112@10.5.0.1", NUMBERS["anna"]]}
])  # fmt: skip
async def test_a_contact_cannot_be_an_emergency_number(tale: Tale) -> None:
    await tale.alarm()
    await tale.phone("anna").rings_within(5)
    assert tale.dialled == [NUMBERS["anna"]]
    assert [entry.detail.get("outcome") for entry in await tale.world.entries("contact_leg_ended")] == ["failed"] * 4


@story(
    operators=[
        {"id": "olga", "name": "Olga", "username": "olga", "password": "olgaolga", "uri": "sip:112@10.5.0.1"},
        {"id": "otto", "name": "Otto", "username": "otto", "password": "ottootto"},
    ],
)
async def test_an_operator_whose_address_is_an_emergency_number_is_not_rung_and_others_are(world: World) -> None:
    exchange = await world.stage.exchange(TRUNK_HOST)
    otto = await world.operator("otto")
    badge = await world.device("badge7")
    badge.call(ALARM)
    await (await otto.called()).established()
    assert exchange.invites == []


@story()
async def test_a_telephone_that_registers_an_emergency_number_as_its_contact_is_not_called_there(world: World) -> None:
    otto = await world.operator("otto")
    trap = await world.operator("olga", register=False)
    await trap._running().request(
        "REGISTER",
        trap._target("sip:earshot"),
        headers=[("Contact", f"<sip:112@{HOSTS['olga']}>"), ("Expires", "300")],
        credentials=trap._credentials,
        from_uri=trap.address_of_record,
        to_uri=trap.address_of_record,
    )
    badge = await world.device("badge7")
    badge.call(ALARM)
    await (await otto.called()).established()
    assert trap.calls == []


@story(operators=[{"id": "desk", "name": "Desk", "username": "101", "password": "secret101"}])
async def test_an_operator_at_extension_101_is_rung(world: World) -> None:
    desk = await world.stage.phone("101", "10.0.0.90", password="secret101", habits=Habits(after=1.0), register=True)
    badge = await world.device("badge7")
    badge.call(ALARM)
    await (await desk.called()).established()


@story(
    devices=[{"id": "gsm", "numbers": ["+31600"], "callback": "sip:0112@10.5.0.1", "trunk": "first"}],
    trunks=TWO,
)
async def test_a_device_is_not_called_back_at_an_emergency_number(world: World) -> None:
    exchange = await world.stage.exchange(TRUNK_HOST)
    caller = await world.device("+31600")
    call = caller.call(ALARM)
    await call.established()
    call.hang_up()
    await asyncio.sleep(1)
    incident = world.live((await world.incident()).id)
    assert not await world.stage.service._call_back(incident, "operator:olga")
    assert exchange.invites == []
    assert "emergency number" in (await world.entry("call_back_failed")).detail["why"]


# -- trouble --


@story(trunks=[{"id": "first", "uri": f"sip:{TRUNK_HOST}", "options_seconds": 15.0}])
async def test_a_trunk_that_does_not_answer_is_told_to_whoever_watches_the_service(world: World) -> None:
    exchange = await world.stage.exchange(TRUNK_HOST)
    await asyncio.sleep(20)
    assert world.stage.service.trouble is None
    await exchange.die()
    await asyncio.sleep(25)
    assert world.stage.service.trouble == "trunk first is down: does not answer"
    await exchange.start()
    await asyncio.sleep(15)
    assert world.stage.service.trouble is None
