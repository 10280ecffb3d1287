"""Device, operators, contacts and control room in one room: who hears whom, and what a contact's keys do there."""

import asyncio
import re

from tests.scenarios.tale import DIGITS, EMERGENCY, Line, Tale, contact, ring, tale
from voice.incidents.lifecycle import Reason, State
from voice.incidents.timeline import Entry
from voice.sim.habits import Habits
from voice.sim.phone import SimPhone
from voice.sim.phone_call import PhoneCall
from voice.sim.spoken import hears

THEN_BAS = [ring("contact:anna"), ring("contact:bas"), ring("operators"), EMERGENCY]


async def taken(tale: Tale) -> tuple[PhoneCall, Line]:
    """A badge that called and says nothing, and Anna, who took its alarm."""
    call = await tale.alarm()
    anna = tale.phone("anna")
    await anna.rings_within(3).answers().hears("Acme Care").presses_the_key().hears("Press zero for the menu")
    await tale.is_taken_by("contact:anna")
    return call, anna


async def operator(tale: Tale, name: str, *, goes_live: bool = True) -> tuple[SimPhone, PhoneCall]:
    """An operator who dials into the incident."""
    phone = await tale.world.operator(name, register=False)
    call = phone.call(f"sip:listen-{(await tale.world.incident()).id}@earshot")
    await call.established()
    await asyncio.sleep(0.5)
    if goes_live:
        call.press("3")
        await asyncio.sleep(0.5)
    return phone, call


async def says(tale: Tale, phone: SimPhone, call: PhoneCall, seconds: float = 2.0) -> set[int]:
    """Says something of his own; the numbers of what was said."""
    call.say(tale.world.speech(phone, seconds))
    await call.said()
    await asyncio.sleep(0.5)
    last = tale.world.last_number(phone)
    return set(range(last - round(seconds * 50) + 6, last + 1))


def heard_by(call: PhoneCall, said: set[int]) -> bool:
    """Whether all of it arrived, untouched; if not, then nothing of it."""
    there = said & set(call.hearing.marks().numbers)
    assert not there or there == said, f"{len(there)} of {len(said)} frames"
    return bool(there)


async def hearing(tale: Tale) -> dict[str, set[str]]:
    """Who hears whom, as the timeline knows it last: by role."""
    legs = (await tale.notes("hearing"))[-1].detail["legs"]
    roles = {leg["leg"]: leg["role"] for leg in legs}
    return {leg["role"]: {roles[other] for other in leg["hears"]} for leg in legs if leg["hears"]}


def closing(entries: list[Entry]) -> list[str]:
    return [entry.actor for entry in entries if entry.kind == "resolved"]


@tale(THEN_BAS)
async def test_operator_and_contact_confer_and_the_worker_s_badge_stays_silent(tale: Tale) -> None:
    device, anna = await taken(tale)
    olga, listening = await operator(tale, "olga")
    await anna.presses("5")
    said = await says(tale, anna.line, anna.call)
    assert heard_by(listening, said)
    assert await hearing(tale) == {"operator": {"device", "contact"}, "contact": {"device"}}

    assert not heard_by(anna.call, await says(tale, olga, listening))
    listening.press("4")
    await asyncio.sleep(1)
    assert heard_by(anna.call, await says(tale, olga, listening))
    assert await hearing(tale) == {"operator": {"device", "contact"}, "contact": {"device", "operator"}}
    assert not await tale.notes("gate_opened")
    assert device.hearing.heard_silence_only()


@tale(THEN_BAS)
async def test_who_talks_to_the_worker_is_heard_by_all_and_who_confers_is_not_heard_by_him(tale: Tale) -> None:
    device, anna = await taken(tale)
    olga, listening = await operator(tale, "olga")
    listening.press("4")
    await anna.presses("1")
    await asyncio.sleep(1)
    to_worker, to_anna = await says(tale, anna.line, anna.call), await says(tale, olga, listening)
    assert heard_by(device, to_worker)
    assert heard_by(listening, to_worker)
    assert heard_by(anna.call, to_anna)
    assert not heard_by(device, to_anna)
    assert (await hearing(tale))["device"] == {"contact"}
    await anna.presses("1").waits(1)
    assert not heard_by(device, await says(tale, anna.line, anna.call))
    assert "device" not in await hearing(tale)


@tale(THEN_BAS)
async def test_5_rings_an_operator_who_then_hears_the_alarm_and_the_contact(tale: Tale) -> None:
    _, anna = await taken(tale)
    olga = await tale.world.operator("olga", habits=Habits(after=2.0))
    await anna.presses("5").hears("operators are being called").hears("operator is listening")
    listening = olga.calls[0]
    await asyncio.sleep(15)
    assert heard_by(listening, await says(tale, anna.line, anna.call))
    await tale.is_taken_by("contact:anna")  # still his


@tale(THEN_BAS)
async def test_the_control_room_confers_with_operator_and_contact(tale: Tale) -> None:
    device, anna = await taken(tale)
    olga, listening = await operator(tale, "olga")
    listening.press("4")
    police = tale.phone("police")
    await anna.presses("8").hears("once more").presses("8").hears("being called")
    await police.rings_within(10).answers().hears("It concerns").presses("2")
    await anna.hears("control room is listening", within=60)
    said = await says(tale, police.line, police.call)
    assert heard_by(listening, said)
    assert heard_by(anna.call, said)
    assert heard_by(police.call, await says(tale, olga, listening))
    assert device.hearing.heard_silence_only()
    assert "device" not in await hearing(tale)


@tale(THEN_BAS)
async def test_a_contact_hears_the_alarm_live_then_from_second_0(tale: Tale) -> None:
    device = await tale.alarm()
    assert tale.badge is not None
    device.say(tale.world.speech(tale.badge, 120))
    anna = tale.phone("anna")
    await anna.rings_within(3).waits(5).answers().presses_the_key().hears("you have taken").waits(6)
    live = anna.call.hearing.marks().numbers
    assert min(live) > 50 * 5  # nothing of what was before
    await anna.presses("2").waits(4)
    assert min(tale.world.said_by(tale.badge, anna.call.hearing.marks().numbers)) < 150  # under the prompt at first
    await anna.presses("3").waits(3)
    now = anna.call.hearing.marks(tale.world.now - 1).numbers
    assert now == list(range(now[0], now[0] + len(now)))
    assert device.answered_at is not None
    assert (tale.world.now - device.answered_at) * 50 - now[-1] < 20


@tale(THEN_BAS)
async def test_a_contact_closes_the_alarm_with_the_code_word(tale: Tale) -> None:
    device, anna = await taken(tale)
    await anna.presses("#").hears("code word").presses("8857#").hears("Press 1 if there was danger").presses("2")
    await anna.hears("The alarm is closed").stops_within(5)
    await device.over()
    await asyncio.sleep(1)
    incident = await tale.world.incident()
    assert (incident.state, incident.reason) == (State.RESOLVED, Reason.FALSE)
    assert closing(await tale.world.timeline()) == ["contact:anna"]
    assert (await tale.notes("resolved"))[0].detail["proof"] == "code word"
    await tale.phone("bas").stays_silent_for(120)


@tale(THEN_BAS)
async def test_the_duress_word_sounds_the_same_and_the_plan_goes_on_without_him(tale: Tale) -> None:
    _, anna = await taken(tale)
    await anna.presses("#").hears("code word").presses("7667#").hears("Press 1 if there was danger").presses("2")
    await anna.hears("The alarm is closed").stops_within(5)
    await tale.phone("bas").rings_within(10)
    assert all(row.state is not State.RESOLVED for row in await tale.world.incidents())


@tale(THEN_BAS)
async def test_a_wrong_code_word_closes_nothing(tale: Tale) -> None:
    _, anna = await taken(tale)
    await anna.presses("#").hears("code word").presses("1234#").hears("not the code word")
    assert (await tale.world.incident()).state is State.IN_PROGRESS
    await tale.is_taken_by("contact:anna")


@tale(THEN_BAS)
async def test_a_contact_passes_the_alarm_on_and_the_next_one_is_rung_while_he_is_still_thanked(tale: Tale) -> None:
    _, anna = await taken(tale)
    await anna.presses("6")
    await tale.phone("bas").rings_within(2)
    await anna.hears("passing the alarm on").stops_within(5)


@tale(THEN_BAS)
async def test_legs_of_contacts_and_control_rooms_are_recorded_with_role_and_contact(tale: Tale) -> None:
    _, anna = await taken(tale)
    await anna.presses("88", pause=1.0).waits(3)
    await tale.phone("police").rings_within(10).answers().hears("It concerns").presses("2").waits(5)
    said = await says(tale, anna.line, anna.call)
    await anna.hangs_up()
    await tale.phone("police").hangs_up()
    await asyncio.sleep(1)
    legs = {leg.role: leg for leg in await tale.world.legs()}
    assert set(legs) == {"device", "contact", "emergency"}
    assert legs["contact"].contact_id == "anna"
    recordings = {r.leg_id: r for r in await tale.world.recordings() if r.direction == "received"}
    assert said <= set(tale.world.recorded(recordings[legs["contact"].id]).numbers)
    assert recordings[legs["emergency"].id].sha256


@tale([ring("contact:anna")], contacts=[contact("anna", language="nl"), *(contact(i) for i in ("bas", "chef", "dora"))])
async def test_a_contact_is_spoken_to_in_his_own_language(tale: Tale) -> None:
    await tale.alarm()
    anna = tale.phone("anna")
    await anna.rings_within(3).answers()
    key = re.search(r"druk op (\w+)", (await hears(anna.call, tale.world.stage.speaker, "aan te nemen")).text)
    assert key is not None
    await anna.presses(str(DIGITS["nl"].index(key[1]) + 1)).hears("nul")
    await anna.presses("0").hears("Druk op 1 om te spreken")
