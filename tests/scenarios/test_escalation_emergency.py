"""The call to a control room: who decides it, what is heard there, and that it is never lost and never doubled.

Fail-over, the interlock and `urn:service:sos`: test_trunks.py. Crashes: test_escalation_crash.py.
"""

import asyncio
from typing import Any

from tests.scenarios.line import Line
from tests.scenarios.tale import NUMBERS, PEOPLE, TWO_TRUNKS, Tale, contact, ring, tale
from voice.media.tones import Sound, clip
from voice.sim.habits import Answers
from voice.sip.bodies import parts
from voice.sip.message import header

ASKS: dict[str, Any] = {"emergency": "police", "seconds": 20.0}
BY_ITSELF = ASKS | {"confirm": "automatic", "after": 60.0, "agreement": "contract 12, clause 4"}
AGAIN = BY_ITSELF | {"indeterminate": "call again", "again_after": 30.0, "attempts": 2}
FIRST_ANNA = ring("contact:anna", seconds=20)


async def on_the_incident(tale: Tale, name: str = "olga") -> Line:
    """An operator who listens to it."""
    olga = await tale.operator(name)
    await olga.line.call(f"sip:listen-{(await tale.world.incident()).id}@earshot").established()
    await asyncio.sleep(0.5)
    return olga


def calls_to_the_control_room(tale: Tale) -> list[float]:
    """When, in seconds after the first."""
    at = [at for at, number in (*tale.exchange.dialled, *tale.second.dialled) if number == NUMBERS["police"]]
    return [round(moment - at[0]) for moment in at]


# -- who decides it --


@tale([FIRST_ANNA, ASKS, ring("contact:bas", seconds=20)])
async def test_without_a_confirmation_the_plan_waits_and_goes_on_and_nobody_is_called(tale: Tale) -> None:
    await tale.alarm()
    await tale.noted("emergency_awaits_confirmation", "25s")
    await tale.phone("bas").rings_within("25s")
    assert NUMBERS["police"] not in tale.dialled


@tale([FIRST_ANNA, ASKS])
async def test_an_operator_has_the_control_room_called_with_8_8(tale: Tale) -> None:
    await tale.alarm()
    olga = await on_the_incident(tale)
    await olga.presses("8").waits(1).presses("8")
    await tale.phone("police").rings_within("2s")
    assert (await tale.noted("emergency_placed")).actor == "operator:olga"


@tale([FIRST_ANNA, ASKS])
async def test_a_single_8_calls_nobody(tale: Tale) -> None:
    await tale.alarm()
    olga = await on_the_incident(tale)
    await olga.presses("8").waits(9).presses("8").waits(9)
    assert NUMBERS["police"] not in tale.dialled


@tale([FIRST_ANNA, BY_ITSELF])
async def test_by_itself_after_a_minute_without_any_human_where_the_agreement_says_so(tale: Tale) -> None:
    await tale.alarm()
    await tale.phone("police").stays_silent_for("58s")
    await tale.phone("police").rings_within("5s")
    placed = await tale.noted("emergency_placed")
    assert placed.actor == "system"


@tale([FIRST_ANNA, BY_ITSELF])
async def test_never_by_itself_once_a_human_had_it(tale: Tale) -> None:
    """He passed it on: he knows of it, and from then on a person decides."""
    await tale.alarm()
    anna = await tale.taken_by("anna")
    await anna.presses("6").stops_within("10s")
    await tale.noted("emergency_awaits_confirmation", "3 min")
    await asyncio.sleep(120)
    assert NUMBERS["police"] not in tale.dialled


@tale([FIRST_ANNA, BY_ITSELF])
async def test_not_by_itself_while_an_operator_listens(tale: Tale) -> None:
    await tale.alarm()
    await on_the_incident(tale)
    await asyncio.sleep(80)
    assert NUMBERS["police"] not in tale.dialled


# -- what is heard there --


@tale([FIRST_ANNA, BY_ITSELF], customer={"callback_number": "+31201234567"})
async def test_who_picks_up_hears_who_what_where_since_when_and_whom_to_call_back(tale: Tale) -> None:
    await tale.alarm()
    police = tale.phone("police")
    await police.rings_within("65s").answers()
    await police.hears("This is an automatic emergency report by Earshot, on behalf of Acme Care")
    await police.hears("Report: a panic alarm. It concerns Wilma Worker")
    await police.hears("Address: Dam 1, Amsterdam").hears("Coordinates: 52 point three seven three")
    await police.hears("Accurate to about 20 metres").hears("The alarm began at 7 a m, one minute ago")
    await police.hears("Call-back number: plus three one").hears("Press 1 to hear")
    await police.presses("1").hears("Report: a panic alarm", anew=True)
    await police.presses("9").hears("The report is confirmed")
    await tale.is_taken_by("emergency:police")
    confirmed = await tale.noted("emergency_confirmed")
    assert confirmed.detail["proof"] == "confirmed by key that the report was understood"
    await tale.phone("anna").stays_silent_for("2 min")


@tale([FIRST_ANNA, BY_ITSELF])
async def test_who_asks_to_be_connected_hears_the_worker_and_speaks_with_the_operator_only(tale: Tale) -> None:
    device = await tale.alarm()
    olga = await tale.operator("olga")
    police = tale.phone("police")
    await police.rings_within("65s").answers().hears("press 2 to be connected").presses("2").hears("being connected")
    await olga.rings_within("3s").answers()
    await olga.presses("34").waits(1)
    assert tale.badge is not None
    for phone, call, hearers in (
        (tale.badge, device, (police, olga)),
        (police.line, police.call, (olga,)),
        (olga.line, olga.call, (police,)),
    ):
        call.say(tale.world.speech(phone, 3))
        await asyncio.sleep(5)
        for hearer in hearers:
            assert len(tale.world.said_by(phone, hearer.call.hearing.marks().numbers)) > 100
    assert device.hearing.heard_silence_only()
    assert not await tale.notes("gate_opened")
    await tale.is_taken_by("emergency:police")
    assert (await tale.standing()).operators == ("olga",)


@tale([FIRST_ANNA, BY_ITSELF])
async def test_a_control_room_without_keys_is_connected_and_an_operator_confirms_for_it(tale: Tale) -> None:
    await tale.alarm()
    olga = await tale.operator("olga")
    police = tale.phone("police")
    await police.rings_within("65s").answers().hears("You are now being connected", within=240)
    await olga.rings_within("3s").answers().waits(1).presses("8").waits(1).presses("8").waits(1)
    await tale.noted("emergency_confirmed")
    assert len(calls_to_the_control_room(tale)) == 1
    await police.stays_on_for("60s")


@tale([FIRST_ANNA, BY_ITSELF], route={"location": "header"})
async def test_the_invite_carries_the_location_where_the_route_takes_it(tale: Tale) -> None:
    await tale.alarm()
    await tale.phone("police").rings_within("65s")
    (invite,) = [request for request in tale.exchange.invites if NUMBERS["police"] in str(request.uri)]
    assert (header(invite, "Geolocation") or "").startswith("<cid:")
    body = parts(invite)[1].body
    assert b"52.373000 4.893000" in body
    assert b"20" in body


@tale([BY_ITSELF | {"after": 0.0}], route={"number": "112"})
async def test_the_interlock_refuses_112_and_the_incident_says_so_lap_after_lap(tale: Tale) -> None:
    await tale.alarm()
    failed = await tale.noted("emergency_failed", "40s", times=2)
    assert "emergency.armed" in failed.detail["why"]
    assert tale.exchange.invites == []


# -- when it is not known who heard it --


@tale([FIRST_ANNA, BY_ITSELF])
async def test_answered_and_hung_up_without_a_key_is_shown_to_people_and_not_repeated(tale: Tale) -> None:
    await tale.alarm()
    await tale.phone("police").rings_within("65s").answers().waits(5).hangs_up()
    await tale.noted("emergency_indeterminate")
    await asyncio.sleep(300)
    assert len(calls_to_the_control_room(tale)) == 1
    await tale.is_open()
    await tale.phone("anna").rings_within("30s")  # and the plan goes on


@tale([FIRST_ANNA, BY_ITSELF])
async def test_a_person_may_call_again_what_nobody_knows(tale: Tale) -> None:
    await tale.alarm()
    await tale.phone("police").rings_within("65s").answers().waits(5).hangs_up()
    olga = await on_the_incident(tale)
    await olga.presses("8").waits(1).presses("8")
    await tale.phone("police").rings_within("3s")
    assert len(calls_to_the_control_room(tale)) == 2


@tale([FIRST_ANNA, AGAIN])
async def test_answered_and_hung_up_without_a_key_is_repeated_by_the_plans_own_rule_as_often_as_it_says(
    tale: Tale,
) -> None:
    await tale.alarm()
    await tale.phone("police").rings_within("65s").answers().waits(5).hangs_up()
    await tale.phone("police").rings_within("40s").answers().waits(5).hangs_up()
    await asyncio.sleep(300)
    first, second = calls_to_the_control_room(tale)
    assert second - first in range(33, 40)


@tale([BY_ITSELF | {"after": 0.0}, FIRST_ANNA])
async def test_a_busy_control_room_has_certainly_not_heard_and_is_called_again_in_the_next_lap(tale: Tale) -> None:
    tale.behaves("police", Answers.BUSY)
    await tale.alarm()
    await tale.noted("emergency_failed")
    await tale.phone("anna").rings_within("2s")
    tale.behaves("police", Answers.NEVER)
    await tale.phone("police").rings_within("40s").answers().hears("press 2").presses("9").hears("confirmed")
    await tale.is_taken_by("emergency:police")


@tale([BY_ITSELF | {"after": 0.0}], trunks=TWO_TRUNKS)
async def test_a_refusing_trunk_does_not_keep_the_call_from_the_control_room(tale: Tale) -> None:
    tale.exchange.refuses = 503
    await tale.alarm()
    await asyncio.sleep(1)
    assert calls_to_the_control_room(tale) == [0, 0]  # by each trunk once
    await Line(tale.world, tale.second.line(NUMBERS["police"])).rings_within("1s")


@tale(
    [ring("contact:anna"), ASKS],
    contacts=[contact("anna"), *PEOPLE[1:]],
    plan_facts={"follow_up": 60.0},
)
async def test_a_contact_has_the_control_room_called_and_hears_that_it_joined(tale: Tale) -> None:
    device = await tale.alarm()
    anna = await tale.taken_by("anna")
    await anna.presses("8").hears("once more").presses("8").hears("being called")
    await tale.phone("police").rings_within("2s").answers().hears("press 2").presses("2")
    await anna.hears("The control room is listening too")
    assert device.hearing.heard_silence_only()
    assert {taker.actor for taker in (await tale.standing()).takers} == {"contact:anna", "emergency:police"}


@tale([ring("contact:anna"), ASKS], contacts=[contact("anna"), *PEOPLE[1:]], plan_facts={"follow_up": 60.0})
async def test_a_contact_hears_at_once_that_the_call_failed_and_may_have_another_one_placed(tale: Tale) -> None:
    tale.behaves("police", Answers.BUSY)
    await tale.alarm()
    olga = await tale.operator("olga")
    anna = await tale.taken_by("anna")
    await anna.presses("8").hears("once more").presses("8").hears("Please call them yourself", within=5)
    assert (await tale.noted("emergency_failed")).detail["status"] == 486
    await olga.rings_within("2s")
    tale.behaves("police", Answers.NEVER)
    await anna.presses("8").hears("once more", anew=True).presses("8").hears("being called", anew=True)
    await tale.phone("police").rings_within("2s").answers().hears("press 2").presses("2")
    await anna.hears("The control room is listening too")


@tale([FIRST_ANNA, ASKS], route={"number": "112"})
async def test_an_operator_hears_at_once_that_no_trunk_may_call(tale: Tale) -> None:
    await tale.alarm()
    olga = await on_the_incident(tale)
    await olga.presses("8").waits(1).presses("8").waits(2)
    assert "emergency.armed" in (await tale.noted("emergency_failed")).detail["why"]
    assert clip(Sound.ERROR) in bytes(olga.call.hearing.audio())
