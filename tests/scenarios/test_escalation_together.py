"""Several phones ring at once: the first who takes it has it, and everybody else hears so, whatever he was doing.

The row "notifications continue after somebody has taken the alarm".
"""

import asyncio

from tests.scenarios.line import VOICEMAIL, machine
from tests.scenarios.tale import NUMBERS, TRUNK_HOST, TWO_TRUNKS, Tale, message, ring, tale
from voice.sim.habits import Answers, Habits
from voice.sim.wire import request

ALL = [ring("contact:anna", "contact:bas", "contact:chef", "contact:dora", seconds=60)]
BY_NAME = "The alarm has been taken by "


@tale(ALL)
async def test_two_press_at_once_the_first_has_it_and_the_second_hears_his_name(tale: Tale) -> None:
    await tale.alarm()
    anna, bas = tale.phone("anna"), tale.phone("bas")
    await anna.rings_within("2s").answers()
    await bas.rings_within("2s").answers()
    keys = await anna.key(), await bas.key()
    anna.call.press(keys[0])
    bas.call.press(keys[1])
    await asyncio.sleep(1)
    taker = (await tale.world.incident()).taken_by
    assert taker in ("contact:anna", "contact:bas")
    first, second = (anna, bas) if taker == "contact:anna" else (bas, anna)
    await second.hears(BY_NAME + ("Anna" if first is anna else "Bas")).stops_within("5s")
    await first.hears("You now hear the worker").stays_on_for("10s")
    await tale.is_taken_by(taker)


@tale(ALL)
async def test_phones_that_ring_stop_at_the_press_of_the_key_not_at_the_end_of_what_is_said(tale: Tale) -> None:
    await tale.alarm()
    await tale.phone("bas").rings_within("2s")
    await tale.phone("anna").answers().presses_the_key()
    for name in ("bas", "chef", "dora"):
        await tale.phone(name).stops_within("0.5s")
    assert not any("You have taken" in text for text in tale.phone("anna").texts())  # it is still being said
    cancels = [packet for packet in tale.world.stage.network.captured if request("CANCEL")(packet)]
    assert len(cancels) == 3
    await tale.phone("anna").hears("You have taken")


@tale(ALL)
async def test_who_listens_to_the_question_hears_who_has_taken_it_and_is_let_go(tale: Tale) -> None:
    await tale.alarm()
    chef = tale.phone("chef")
    await chef.rings_within("2s").answers().waits(2)
    await tale.phone("bas").takes_it()
    await chef.hears(BY_NAME + "Bas").hears("Goodbye").stops_within("2s")
    assert "To take this alarm" not in " ".join(chef.texts())[-120:]


@tale(ALL)
async def test_who_answers_in_the_moment_in_which_it_is_taken_hears_that_or_is_let_go(tale: Tale) -> None:
    await tale.alarm()
    anna, bas = tale.phone("anna"), tale.phone("bas")
    await bas.rings_within("2s")
    await anna.answers()
    anna.call.press(await anna.key())
    await asyncio.sleep(0.02)  # the key is under way
    bas.call.pick_up()
    await bas.stops_within("20s")
    await tale.is_taken_by("contact:anna")


@tale(ALL)
async def test_one_answers_with_voicemail_one_is_busy_and_one_declines_the_fourth_takes_it(tale: Tale) -> None:
    machine(VOICEMAIL)(tale.phone("anna").line)
    tale.behaves("bas", Answers.BUSY)
    tale.behaves("chef", Answers.DECLINES)
    await tale.alarm()
    await tale.phone("dora").rings_within("2s").waits(5).takes_it()
    assert await tale.outcomes("bas") == ["busy"]
    assert await tale.outcomes("chef") == ["declined"]
    await tale.phone("anna").stops_within("20s")


@tale(ALL)
async def test_an_operator_who_answers_stops_every_phone_and_is_named(tale: Tale) -> None:
    olga = await tale.operator("olga")
    await tale.alarm()
    await tale.phone("anna").rings_within("2s").answers().waits(1)
    incident = (await tale.world.incident()).id
    await olga.line.call(f"sip:listen-{incident}@earshot").established()
    await tale.phone("bas").stops_within("0.5s")
    await tale.phone("anna").hears(BY_NAME + "Olga").stops_within("3s")
    await tale.is_taken_by("operator:olga")


@tale([*ALL, message("contact:anna")])
async def test_a_resolved_incident_ends_every_call_and_sends_nothing_any_more(tale: Tale) -> None:
    olga = await tale.operator("olga")
    await tale.alarm()
    await tale.phone("anna").rings_within("2s").takes_it()
    call = olga.line.call(f"sip:listen-{(await tale.world.incident()).id}@earshot")
    await call.established()
    await asyncio.sleep(1)
    call.press("#1")
    await tale.phone("anna").hears("The incident is closed").stops_within("5s")
    await call.over()
    await asyncio.sleep(120)
    assert len(tale.dialled) == 4
    assert not tale.world.stage.messages.sent


# -- trunks --

OPERATORS_TOO = [ring("operators", "contact:anna", seconds=10), ring("contact:bas", seconds=10)]


@tale(OPERATORS_TOO, trunks=TWO_TRUNKS)
async def test_a_trunk_that_refuses_with_503_costs_no_call(tale: Tale) -> None:
    tale.exchange.refuses = 503
    tale.second.line(NUMBERS["anna"], Habits(after=1.0))
    await tale.alarm()
    call = await tale.second.line(NUMBERS["anna"]).called()
    await call.established()
    assert await tale.notes("contact_leg_ended") == []


@tale(OPERATORS_TOO, trunks=TWO_TRUNKS)
async def test_a_trunk_that_dies_while_phones_ring_costs_no_person(tale: Tale) -> None:
    await tale.alarm()
    await tale.phone("anna").rings_within("2s").waits(3)
    await tale.exchange.die()
    second = tale.second.line(NUMBERS["bas"], Habits(after=1.0))
    call = await second.called()
    await call.established()


@tale(OPERATORS_TOO, trunks=TWO_TRUNKS)
async def test_all_trunks_down_the_plan_goes_round_a_technical_alarm_is_raised_once_and_operators_ring(
    tale: Tale,
) -> None:
    tale.exchange.refuses = tale.second.refuses = 503
    await tale.alarm()
    await asyncio.sleep(90)
    incidents = await tale.world.incidents()
    assert [incident.kind for incident in incidents] == ["panic", "technical"]
    alarm, technical = incidents
    assert len(await tale.notes("nobody_reached", alarm.id)) == 1
    assert len(await tale.notes("lap_ended", alarm.id)) > 3
    assert (await tale.notes("linked", alarm.id))[0].detail
    assert (await tale.notes("opened", technical.id))[0].detail["cause"] == alarm.id
    olga = await tale.operator("olga")
    await olga.rings_within("3s").answers()
    await asyncio.sleep(0.5)
    assert (await tale.world.incidents())[0].taken_by == "operator:olga"  # the worker first
    dialled = len(tale.dialled)
    await asyncio.sleep(30)
    assert len(tale.dialled) == dialled


@tale([ring("contact:anna", seconds=10)], trunks=TWO_TRUNKS)
async def test_an_alarm_for_which_no_phone_rings_rings_operators_who_hear_the_worker_and_then_what_failed(
    tale: Tale,
) -> None:
    tale.exchange.refuses = tale.second.refuses = 503
    olga = await tale.operator("olga")
    await tale.alarm()
    await olga.rings_within("30s").answers()
    await asyncio.sleep(1)
    alarm, technical = await tale.world.incidents()
    assert alarm.taken_by == "operator:olga", "the worker first"
    assert tale.world.live(technical.id).label == "nobody reached: Wilma Worker, panic"
    await tale.world.stage.crash()
    await asyncio.sleep(1)
    assert tale.world.live(technical.id).label == "nobody reached: Wilma Worker, panic"


@tale([ring("contact:anna", seconds=10)], trunks=TWO_TRUNKS)
async def test_when_the_trunks_are_back_the_plan_is_still_going_and_reaches_somebody(tale: Tale) -> None:
    tale.exchange.refuses = tale.second.refuses = 500
    await tale.alarm()
    await asyncio.sleep(60)
    tale.exchange.refuses = tale.second.refuses = None
    await tale.phone("anna").rings_within("40s").takes_it()
    assert [incident.taken_by for incident in await tale.world.incidents()] == ["contact:anna", None]


@tale(
    [ring("contact:anna", "contact:bas", "contact:chef", seconds=20, rounds=3)],
    trunks=[{"id": "first", "uri": f"sip:{TRUNK_HOST}", "max_calls": 1}],
)
async def test_a_trunk_with_one_line_still_reaches_everybody_in_time(tale: Tale) -> None:
    tale.behaves("anna", Answers.NEVER)
    tale.behaves("bas", Answers.NEVER)
    await tale.alarm()
    await tale.phone("chef").rings_within("120s").takes_it()
