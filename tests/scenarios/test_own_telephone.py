"""A nurse is a member of the team that is rung, and the one who is in danger: her own telephone never tells of it."""

import asyncio
from typing import Any

from tests.scenarios.shift import MOBILE, QUICK, SERVICE, Shift, shift
from tests.scenarios.tale import NUMBERS, Tale, contact, ring, tale
from voice.incidents.kinds import Kind
from voice.sim.habits import Answers, Habits

COLLEAGUE = "+31655555555"
NURSES: dict[str, Any] = {
    "customers": [{"id": "acme", "name": "Acme Care", "language": "en", "caller_id": SERVICE, "plan": "nurses"}],
    "plans": [
        {
            "id": "nurses",
            "steps": [
                {"message": "team:nurses", "by": ["sms", "email"]},
                {"ring": "team:nurses", "seconds": 30.0},
            ],
        }
    ],
    "teams": [{"id": "nurses", "name": "Nurses", "members": ["nurse", "colleague"]}],
    "contacts": [
        {"id": "nurse", "name": "Nurse", "numbers": ["0031 6 1111 1111"], "email": "nurse@example.org"},
        {"id": "colleague", "name": "Colleague", "numbers": [COLLEAGUE], "email": "colleague@example.org"},
    ],
}


async def nothing_reaches_her(shift: Shift, incident: str) -> None:
    """But her colleague is rung, and written to."""
    await shift.phone(COLLEAGUE).rings_within("5s").takes_it()
    await asyncio.sleep(5.0)
    opened = shift.world.moment((await shift.world.incidents())[0].opened_at)
    assert MOBILE not in [number for at, number in shift.exchange.dialled if at >= opened]
    alarming = [message.to for message in shift.world.stage.messages.sent if "ALARM" in message.text]
    assert set(alarming) == {COLLEAGUE, "colleague@example.org"}
    spared = await shift.world.entries("contact_spared", incident)
    assert [(entry.detail["contact"], entry.detail["step"]) for entry in spared] == [("nurse", 1), ("nurse", 2)]
    assert MOBILE[1:] not in str([entry.detail for entry in spared])


@shift(QUICK, **NURSES)
async def test_who_asks_for_help_under_threat_is_neither_rung_nor_written_to(shift: Shift) -> None:
    shift.exchange.line(COLLEAGUE, Habits(answers=Answers.NEVER))
    shift.begins()
    line = await shift.is_asked()
    await line.hears("If you are well").presses("00").hears("Thank you")
    (incident,) = await shift.incidents(Kind.DURESS)
    await nothing_reaches_her(shift, incident.id)
    await line.stays_on_for("10s").hangs_up()


@shift(QUICK, **NURSES)
async def test_who_does_not_answer_a_check_in_is_neither_rung_nor_written_to_for_it(shift: Shift) -> None:
    shift.exchange.line(COLLEAGUE, Habits(answers=Answers.NEVER))
    shift.begins()
    incident = await shift.missed("6min")
    await nothing_reaches_her(shift, incident.id)


WORN = [{"id": "anna", "name": "Wilma Worker", "customer": "acme", "numbers": [NUMBERS["anna"]]}]


@tale([ring("contact:anna")], workers=WORN, contacts=[contact("anna")], plan_facts={"lap_pause": 5.0})
async def test_the_technical_alarm_of_a_plan_without_anybody_else_leaves_her_alone_too(tale: Tale) -> None:
    await tale.alarm()
    await asyncio.sleep(30)
    kinds = {incident.kind for incident in await tale.world.incidents()}
    assert Kind.TECHNICAL in kinds
    assert tale.dialled == []


AT_THE_DESK = [WORN[0] | {"numbers": ["sip:olga@earshot"]}]


@tale([ring("operators", seconds=20)], workers=AT_THE_DESK)
async def test_an_operator_who_is_the_one_in_danger_is_not_rung_and_the_others_are(tale: Tale) -> None:
    olga, otto = await tale.operator("olga"), await tale.operator("otto")
    await tale.alarm()
    await otto.rings_within("2s")
    await olga.stays_silent_for("30s")
    assert (await tale.noted("operator_spared")).detail == {"operator": "olga", "why": "is the worker himself"}
    assert len(await tale.notes("operator_spared")) == 1
    await otto.rings_within("30s").answers()
    await tale.is_taken_by("operator:otto")
