"""Who is rung, when, and for how long: what happens to a call that does not come about, order, rounds, duty, hours."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from config.plans import Plan
from tests.scenarios.tale import NUMBERS, PEOPLE, Tale, contact, ring, tale
from voice.sim.habits import Answers

IN_TURN = [ring("contact:anna", "contact:bas", "contact:chef", seconds=20, order="sequence")]
OFFICE_HOURS = [{"days": "mon-fri", "from": "09:00", "to": "17:00"}]
MORNING = datetime(2026, 1, 1, 5, 59, tzinfo=UTC)
"""06:59 on the wall clock in Amsterdam, on a Thursday."""


async def rung_after(tale: Tale) -> list[tuple[int, str]]:
    """Whole seconds after the alarm, and who was rung then."""
    names = {number: name for name, number in NUMBERS.items()}
    opened = tale.world.moment((await tale.world.incident()).opened_at)
    return [(round(at - opened), names[number]) for at, number in tale.exchange.dialled]


@tale(IN_TURN)
async def test_busy_and_unknown_numbers_cost_no_time(tale: Tale) -> None:
    tale.behaves("anna", Answers.BUSY)
    del tale.exchange.lines[NUMBERS["bas"]]  # 404
    await tale.alarm()
    await tale.phone("chef").rings_within("2s").takes_it()
    ended = {entry.detail["contact"]: entry.detail for entry in await tale.notes("contact_leg_ended")}
    assert ended["anna"]["outcome"] == "busy"
    assert (ended["bas"]["outcome"], ended["bas"]["status"]) == ("failed", 404)


@tale(IN_TURN)
async def test_each_phone_rings_for_the_seconds_of_the_plan_and_then_the_next(tale: Tale) -> None:
    await tale.alarm()
    await asyncio.sleep(62)
    assert await rung_after(tale) == [(0, "anna"), (20, "bas"), (40, "chef")]
    assert tale.phone("anna").call.is_over
    assert await tale.outcomes("anna") == ["no answer"]


@tale([ring("contact:anna", "contact:bas", seconds=15, order="sequence", rounds=2, pause=10), ring("contact:chef")])
async def test_rounds_with_a_pause_come_before_the_next_step(tale: Tale) -> None:
    await tale.alarm()
    await tale.phone("chef").rings_within("80s").takes_it()
    rung = await rung_after(tale)
    assert [who for _, who in rung] == ["anna", "bas", "anna", "bas", "chef"]
    at = [seconds for seconds, _ in rung]
    assert at == pytest.approx([0, 15, 40, 55, 70], abs=2)


@tale([ring("contact:anna", seconds=10), {"wait": 45}, ring("contact:bas")])
async def test_a_plan_may_wait(tale: Tale) -> None:
    await tale.alarm()
    await tale.phone("bas").rings_within("60s").takes_it()
    assert (await rung_after(tale))[-1][0] == pytest.approx(55, abs=2)


@tale([ring("contact:anna", seconds=10)], plan_facts={"lap_pause": 20.0})
async def test_after_its_last_step_a_plan_starts_again_from_the_top(tale: Tale) -> None:
    await tale.alarm()
    await asyncio.sleep(25)
    await tale.phone("anna").rings_within("10s").takes_it()
    assert (await tale.noted("lap_ended")).detail == {"lap": 1, "pause": 20.0}


# -- who is meant --


@tale(
    [ring("contact:anna", "contact:bas")],
    contacts=[contact("anna", hours=OFFICE_HOURS), contact("bas"), *PEOPLE[2:]],
)
async def test_who_is_not_to_be_rung_at_seven_in_the_morning_is_left_alone_if_there_is_somebody_else(
    tale: Tale,
) -> None:
    await tale.alarm()
    await tale.phone("bas").rings_within("1s").takes_it()
    assert tale.dialled_names == ["bas"]


@tale([ring("contact:anna")], contacts=[contact("anna", hours=OFFICE_HOURS), *PEOPLE[1:]])
async def test_who_is_the_only_one_is_rung_outside_his_hours_too(tale: Tale) -> None:
    await tale.alarm()
    await tale.phone("anna").rings_within("1s").takes_it()


ROTA: dict[str, Any] = {
    "id": "duty",
    "shifts": [
        {"from": "23:00", "to": "07:00", "members": ["anna"]},
        {"from": "07:00", "to": "23:00", "members": ["bas"]},
    ],
}
DUTY = {"id": "team", "name": "On duty", "members": ["anna", "bas"], "rota": "duty"}


@tale([ring("team:team", seconds=20, rounds=5, pause=5)], teams=[DUTY], rotas=[ROTA], start=MORNING)
async def test_at_the_change_of_shifts_the_next_round_rings_who_is_on_duty_now(tale: Tale) -> None:
    await tale.alarm()
    await tale.phone("bas").rings_within("80s").takes_it()
    rung = await rung_after(tale)
    assert [who for _, who in rung] == ["anna", "anna", "anna", "bas"]
    assert rung[-1][0] > 60


@tale(
    [ring("team:team"), ring("contact:chef")],
    teams=[{"id": "team", "name": "Weekend", "rota": "duty"}],
    rotas=[{"id": "duty", "shifts": [{"days": "sat", "members": ["anna"]}]}],
)
async def test_when_nobody_is_on_duty_the_step_is_passed_over_at_once_and_says_so(tale: Tale) -> None:
    await tale.alarm()
    await tale.phone("chef").rings_within("2s").takes_it()
    assert (await tale.noted("nobody_on_duty")).detail == {"step": 1}


@tale(
    [ring("team:team")],
    teams=[DUTY],
    rotas=[{"id": "duty", "shifts": [{"days": "sat", "members": ["anna"]}]}],
)
async def test_a_gap_in_the_rota_of_a_team_with_members_rings_them_all(tale: Tale) -> None:
    await tale.alarm()
    await tale.phone("anna").rings_within("2s")
    await tale.phone("bas").rings_within("2s").takes_it()


@tale([ring("contact:anna", "team:team", "contact:anna")])
async def test_nobody_is_rung_twice_at_once(tale: Tale) -> None:
    await tale.alarm()
    await tale.phone("anna").rings_within("2s")
    assert sorted(tale.dialled_names) == ["anna", "bas"]


# -- which plan --


PLANS = [
    {"id": "plan", "steps": [ring("contact:anna")]},
    {"id": "drills", "steps": [ring("contact:bas")]},
    {"id": "house", "steps": [ring("contact:chef")]},
]


@tale(plans=PLANS, customer={"plans": {"test": "drills"}}, alarms={"numbers": {"test": "test", "fall": "man_down"}})
async def test_a_test_call_rings_whom_the_customer_names_for_it_and_nobody_else(tale: Tale) -> None:
    await tale.alarm(to="sip:test@earshot")
    await tale.phone("bas").rings_within("2s").answers().hears("test alarm").presses_the_key().hears("You have")
    await tale.alarm("badge8", to="sip:fall@earshot")
    await tale.phone("anna").rings_within("2s").answers().hears("man-down alarm")
    assert tale.dialled_names == ["bas", "anna"]


@tale(plans=PLANS, alarms={"numbers": {"test": "test"}})
async def test_a_test_call_without_a_plan_of_its_own_frightens_no_contact(tale: Tale) -> None:
    olga = await tale.operator("olga")
    await tale.alarm(to="sip:test@earshot")
    await olga.rings_within("2s").waits("2 min")
    assert tale.dialled == []


@tale(plans=PLANS, escalation={"default_plan": "house"})
async def test_an_unknown_caller_gets_the_plan_of_the_house(tale: Tale) -> None:
    """The row "unknown caller id"."""
    await tale.alarm("stranger")
    incident = await tale.world.incident()
    assert incident.worker_id is None
    await (
        tale.phone("chef")
        .rings_within("2s")
        .answers()
        .hears("Earshot alarm: an unknown worker.")
        .presses_the_key()
        .hears("You have")
    )
    await tale.is_taken_by("contact:chef")
    assert tale.dialled_names == ["chef"]


@tale(plans=PLANS, escalation={"default_plan": "house"})
async def test_a_worker_without_a_customer_gets_the_plan_of_the_house(tale: Tale) -> None:
    await tale.alarm("fob9")
    await tale.phone("chef").rings_within("2s").takes_it()


@tale([ring("contact:anna", seconds=10)], plan_facts={"at_end": "stop", "agreement": "SLA 7.2"})
async def test_a_plan_that_may_end_without_a_human_says_so_in_red_and_can_still_be_taken(tale: Tale) -> None:
    await tale.alarm()
    ended = await tale.noted("ended_without_human", "20s")
    assert ended.detail == {"agreement": "SLA 7.2"}
    assert (await tale.standing()).due_at is None
    await tale.is_open()
    await tale.phone("anna").stays_silent_for("5 min")
    olga = await tale.operator("olga")
    call = olga.line.call("sip:listen-" + (await tale.world.incident()).id + "@earshot")
    await call.established()
    await tale.is_taken_by("operator:olga")


@tale([ring("contact:anna"), ring("contact:bas")])
async def test_the_plan_is_frozen_when_the_incident_opens(tale: Tale) -> None:
    """What is edited while phones ring is for the next alarm, even if this process dies meanwhile."""
    await tale.alarm()
    await tale.phone("anna").rings_within("1s")
    stage = tale.world.stage
    edited = Plan.model_validate({"id": "plan", "steps": [ring("contact:dora")]})
    stage.settings = stage.settings.model_copy(update={"plans": (edited,)})
    await stage.crash()
    await tale.phone("bas").rings_within("60s").takes_it()
    await tale.is_taken_by("contact:bas")
    assert "dora" not in tale.dialled_names
