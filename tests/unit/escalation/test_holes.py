"""Holes in plans: what a careful engineer of an alarm receiving centre would point out."""

from datetime import UTC, datetime
from typing import Any

import pytest

from config.models import Settings
from voice.escalation.holes import holes, without_plan
from voice.incidents.kinds import Kind

NOW = datetime(2026, 3, 4, 9, 0, tzinfo=UTC)
"""A Wednesday; ten in the morning in Amsterdam."""

CONTACTS: list[dict[str, Any]] = [
    {"id": "anna", "name": "Anna", "numbers": ["+31600000011"]},
    {"id": "bob", "name": "Bob", "numbers": ["+31600000012"]},
    {"id": "day", "name": "Day", "numbers": ["+31600000013"], "hours": [{"from": "08:00", "to": "18:00"}]},
    {
        "id": "week",
        "name": "Week",
        "numbers": ["+31600000014"],
        "hours": [{"days": "mon-fri", "from": "08:00", "to": "17:00"}],
    },
    {"id": "mail", "name": "Mail", "email": "mail@example.org"},
    {"id": "help", "name": "Help", "numbers": ["112"]},
]
CUSTOMER = {
    "id": "c",
    "name": "C",
    "plan": "p",
    "address": "Street 1",
    "callback_number": "+31200000001",
    "close_word": "TULP",
    "duress_word": "ROOS",
}
POLICE = {"id": "police", "name": "Police", "number": "sip:police@192.0.2.9"}
BOTH: list[dict[str, Any]] = [{"ring": "operators"}, {"ring": ["contact:anna", "contact:bob"]}]
ALWAYS = {"members": ["anna"]}


def given(*steps: dict[str, Any], plan: dict[str, Any] | None = None, **tables: Any) -> Settings:
    base: dict[str, Any] = {
        "operators": [{"id": "o", "name": "O", "uri": "sip:o@192.0.2.1"}],
        "trunks": [{"id": "t", "uri": "sip:192.0.2.2"}],
        "contacts": CONTACTS,
        "customers": [CUSTOMER],
        "plans": [{"id": "p", "steps": steps or BOTH} | (plan or {})],
    }
    return Settings.model_validate(base | tables)


def found(settings: Settings, *kinds: Kind, customer: str | None = "c") -> list[str]:
    frozen = settings.frozen_plan(customer, Kind.PANIC)
    return holes(frozen, settings, NOW, kinds or tuple(Kind))


def test_a_plan_without_holes_gets_no_warning() -> None:
    assert found(given()) == []


# -- nobody there --


def rota(*shifts: dict[str, Any], members: tuple[str, ...] = ("anna", "bob"), **more: Any) -> Settings:
    return given(
        {"ring": "operators"},
        {"ring": "team:night"},
        teams=[{"id": "night", "name": "Night", "members": members, "rota": "r"}],
        rotas=[{"id": "r", "shifts": shifts} | more],
    )


EVERYBODY = "all members of team 'night' are rung then; add a shift"


def test_each_hole_of_a_week_is_told_once() -> None:
    (line,) = found(rota({"days": "mon-sat"} | ALWAYS, {"days": "sun", "from": "06:00", "to": "22:00"} | ALWAYS))
    assert "Sunday 00:00 to 06:00, each week" in line
    assert "Sunday 22:00 to Monday 00:00, each week" in line
    assert line.startswith("rota 'r': nobody is on duty: ")
    assert line.endswith(EVERYBODY)


def test_a_hole_over_a_night_begins_on_one_day_and_ends_on_the_next() -> None:
    week = {"days": "mon-sat", "from": "06:00", "to": "06:00"} | ALWAYS
    sunday = {"days": "sun", "from": "06:00", "to": "22:00"} | ALWAYS
    assert found(rota(week, sunday)) == [
        f"rota 'r': nobody is on duty: Sunday 22:00 to Monday 06:00, each week; {EVERYBODY}"
    ]


def test_the_same_hole_on_several_days_is_told_in_one_phrase() -> None:
    (line,) = found(rota({"from": "08:00", "to": "18:00"} | ALWAYS))
    assert ": each day from 18:00 to 08:00; " in line
    (line,) = found(rota({"days": "mon-fri"} | ALWAYS, {"days": "sat-sun", "from": "08:00", "to": "00:00"} | ALWAYS))
    assert ": Saturday and Sunday from 00:00 to 08:00, each week; " in line


def test_a_hole_that_comes_once_has_its_date() -> None:
    away = {"from": "2026-03-09T12:00:00", "to": "2026-03-10T12:00:00", "members": []}
    (line,) = found(rota(ALWAYS, overrides=[away]))
    assert ": Monday 2026-03-09 12:00 to Tuesday 2026-03-10 12:00; " in line


def test_a_hole_that_is_further_away_than_a_fortnight_is_not_told() -> None:
    away = {"from": "2026-03-20T12:00:00", "to": "2026-03-21T12:00:00", "members": []}
    assert found(rota(ALWAYS, overrides=[away])) == []


def test_a_rota_with_nobody_at_all_is_told_as_such() -> None:
    (line,) = found(rota())
    assert "nobody is on duty: at any time of the next 14 days; " in line


def test_the_clock_that_is_put_forward_makes_no_hole() -> None:
    settings = rota({"from": "02:30", "to": "14:00"} | ALWAYS, {"from": "14:00", "to": "02:30"} | ALWAYS)
    frozen = settings.frozen_plan("c", Kind.PANIC)
    assert holes(frozen, settings, datetime(2026, 3, 27, tzinfo=UTC)) == []


def test_a_team_without_members_reaches_nobody_in_a_hole_of_its_rota() -> None:
    lines = found(rota({"from": "08:00", "to": "18:00"} | ALWAYS, members=()))
    assert lines == [
        "step 2: rings nobody: each day from 18:00 to 08:00; give its team members, or its rota a shift",
        "rota 'r': nobody is on duty: each day from 18:00 to 08:00; and team 'night' has no members, so nobody of it "
        "is rung then; add a shift, or members",
    ]


def test_a_team_on_whose_telephones_nobody_can_be_rung_is_told() -> None:
    settings = given({"ring": "operators"}, {"ring": "contact:mail"})
    (line,) = [line for line in found(settings) if "rings nobody" in line]
    assert line.startswith("step 2: rings nobody: at any time of the next 14 days; ")


def test_shifts_for_holidays_need_holidays_that_are_still_to_come() -> None:
    festive = [{"holidays": "never"} | ALWAYS, {"holidays": "only"} | ALWAYS]
    past = "rota 'r' has shifts for holidays, and no holiday that is still to come: write the next ones"
    assert found(rota(*festive, holidays=["2025-12-25"])) == [past]
    assert found(rota(*festive, holidays=["2025-12-25", "2026-12-25"])) == []


def test_a_step_whose_people_are_all_outside_their_hours_is_told() -> None:
    lines = found(given({"ring": "operators"}, {"ring": ["contact:day", "contact:week"]}))
    assert lines == [
        "step 2: outside the hours of Day and Week: each day from 18:00 to 08:00; they are rung all the same, "
        "add somebody else"
    ]
    (line,) = found(given({"ring": "operators"}, {"ring": "contact:week"}))
    assert "Monday to Thursday from 17:00 to 08:00, each week; Friday 17:00 to Monday 08:00, each week" in line


def test_hours_are_no_hole_where_somebody_else_is_there_or_nobody_is_in_danger() -> None:
    assert found(given({"ring": "operators"}, {"ring": ["contact:day", "contact:anna"]})) == []
    assert found(given({"ring": ["operators", "contact:day"]})) == []
    assert found(given({"ring": "operators"}, {"ring": "contact:day"}), Kind.TECHNICAL, Kind.TEST) == []


# -- the course of the plan --


def test_a_plan_that_may_end_without_a_human_is_told_though_it_was_agreed() -> None:
    (line,) = found(given(plan={"at_end": "stop", "agreement": "contract 9"}))
    assert line.startswith("can end without a human (agreed in “contract 9”)")


def test_a_plan_without_any_person_is_told() -> None:
    lines = found(given({"message": "contact:mail", "by": ["email"]}, {"wait": 60}))
    assert lines == ["nobody is ever rung: it only waits and sends messages; add a step that rings people"]


def test_a_plan_of_operators_only_is_enough_for_tests() -> None:
    settings = given({"ring": "operators"})
    assert found(settings) == [
        "only operators are rung: when none of them is there, nobody is; add a step that rings contacts"
    ]
    assert found(settings, Kind.TEST) == []


def test_a_plan_that_rests_on_one_telephone_is_told() -> None:
    (line,) = found(given({"ring": "contact:anna"}))
    assert line == "only Anna is ever rung: when that telephone is off, nobody is; add somebody else"


@pytest.mark.parametrize(
    ("step", "line"),
    [
        (
            {"ring": "contact:anna", "seconds": 10},
            "10 seconds are short: a mobile telephone may not have begun to ring; take 25 or more",
        ),
        (
            {"ring": "contact:anna", "seconds": 180},
            "rings each telephone for 3 minutes: a voicemail answers after half a minute; take 45",
        ),
        (
            {"ring": ["contact:anna", "contact:bob"], "seconds": 40, "order": "sequence", "rounds": 10, "pause": 60},
            "takes up to 22 minutes 20 seconds when nobody answers, and nobody else is rung: ring all at once, or in "
            "fewer rounds",
        ),
        (
            {"ring": "contact:anna", "rounds": 2, "pause": 300},
            "pauses 5 minutes between rounds, in which no telephone of it rings: ring others meanwhile",
        ),
        ({"wait": 3600}, "waits 1 hour, in which nobody else is rung; ring somebody meanwhile"),
    ],
)
def test_times_that_make_no_sense_are_told(step: dict[str, Any], line: str) -> None:
    assert found(given(*BOTH, step)) == [f"step 3: {line}"]


def test_operators_may_be_rung_as_long_as_one_likes() -> None:
    assert found(given({"ring": "operators", "seconds": 120}, BOTH[1])) == []


def test_a_plan_that_lets_time_pass_between_laps_is_told() -> None:
    pause, follow_up = found(given(plan={"lap_pause": 600, "follow_up": 7200}))
    assert pause.startswith("lap_pause: nobody else is rung for 10 minutes before it starts again")
    assert follow_up.startswith("follow_up: who takes an alarm and forgets it is found out after 2 hours only")


def test_whoever_is_to_close_an_alarm_needs_a_word_for_it() -> None:
    wordless = {key: value for key, value in CUSTOMER.items() if not key.endswith("_word")}
    assert found(given(customers=[wordless])) == []  # operators close it
    (line,) = found(given(BOTH[1], customers=[wordless], operators=[]))
    assert line.startswith("customer 'c' has no close_word, and there are no operators")
    (line,) = found(given(customers=[wordless | {"close_word": "TULP"}]))
    assert line.startswith("customer 'c' has no duress_word")


# -- calls that lead nowhere --


def test_a_number_that_the_interlock_takes_for_an_emergency_call_is_told() -> None:
    (line,) = found(given(*BOTH, {"ring": "contact:help"}))
    assert line.startswith("'help': 112 is taken for an emergency number and refused")


def test_numbers_without_a_trunk_are_told() -> None:
    assert "'anna': +31600000011 cannot be called, for there are no [[trunks]]: add one" in found(given(trunks=[]))


def test_one_telephone_for_two_people_is_told() -> None:
    twin = {"id": "twin", "name": "Twin", "numbers": ["+31600000011"]}
    settings = given({"ring": "operators"}, {"ring": ["contact:anna", "contact:twin"]}, contacts=[*CONTACTS, twin])
    assert found(settings) == ["'anna' and 'twin' have the number +31600000011: it is called once for each of them"]


def test_a_contact_who_is_the_one_in_danger_is_told() -> None:
    worker = {"id": "w", "name": "W", "numbers": ["+31600000011"], "customer": "c"}
    (line,) = found(given(workers=[worker]))
    assert line == (
        "'anna' has the number +31600000011 of worker 'w': in an alarm of worker 'w' 'anna' is neither rung nor "
        "written to, for that would betray the worker"
    )


def test_the_number_is_recognised_however_it_is_written_and_for_messages_too() -> None:
    contacts = [
        {"id": "anna", "name": "Anna", "numbers": ["+31600000021"], "sms": "0600000011", "email": "anna@example.org"},
        {"id": "bob", "name": "Bob", "numbers": ["+31600000012"]},
    ]
    worker = {"id": "w", "name": "W", "numbers": ["0031-600000011", "sip:anna@example.org"], "customer": "c"}
    sms, email = found(given(contacts=contacts, workers=[worker]))
    assert sms.startswith("'anna' has the sms number 0600000011 of worker 'w'")
    assert email.startswith("'anna' has the e-mail address anna@example.org of worker 'w'")
    assert "anna@example.org is neither rung nor written to" in email


def test_who_is_only_written_to_is_told_as_well() -> None:
    worker = {"id": "w", "name": "W", "numbers": ["+31600000011"], "customer": "c"}
    steps = ({"ring": "operators"}, {"ring": "contact:bob"}, {"message": "contact:anna"})
    (line,) = found(given(*steps, workers=[worker]))
    assert line.startswith("'anna' has the number +31600000011 of worker 'w'")


def test_a_plan_that_would_ring_only_the_worker_himself_is_told() -> None:
    worker = {"id": "w", "name": "W", "numbers": ["+31600000011"], "customer": "c"}
    lines = found(given({"ring": "contact:anna"}, workers=[worker]))
    assert (
        "an alarm of worker 'w' rings nobody, for those who would be rung are the worker himself: add somebody else"
        in lines
    )


def test_a_worker_of_another_customer_is_no_matter_of_this_plan() -> None:
    worker = {"id": "w", "name": "W", "numbers": ["+31600000011"], "customer": "other"}
    other = {"id": "other", "name": "Other"}
    assert found(given(workers=[worker], customers=[CUSTOMER, other])) == []


def routed(route: dict[str, Any], *, step: dict[str, Any] | None = None, **tables: Any) -> Settings:
    call = {"emergency": "police"} | (step or {})
    return given(*BOTH, call, emergency_routes=[POLICE | route], **tables)


TRUNKS = [{"id": "a", "uri": "sip:192.0.2.2"}, {"id": "b", "uri": "sip:192.0.2.3"}]


@pytest.mark.parametrize(
    ("route", "armed", "line"),
    [
        ({"number": "112"}, [], "Police (112) is refused: agree the call in writing, then name 'a' or 'b' in "
         "emergency.armed"),
        ({"number": "112", "trunks": ["b"]}, ["a"], "Police (112) is refused: agree the call in writing, then name "
         "'b' in emergency.armed"),
        ({"number": "112"}, ["a"], "Police (112) is refused over 'b': emergency.armed does not name it"),
        ({"number": "sip:112@192.0.2.9"}, ["a"], "Police (sip:112@192.0.2.9) is an emergency number, and is never "
         "called without a trunk: write the number alone"),
        ({"number": "sip:police@127.0.0.1:5099"}, [], "Police (sip:police@127.0.0.1:5099) is this computer, and no "
         "control room: fine for trying out, and for nothing else"),
    ],
)  # fmt: skip
def test_a_control_room_that_cannot_be_reached_is_told(route: dict[str, Any], armed: list[str], line: str) -> None:
    settings = routed(route, trunks=TRUNKS, emergency={"armed": armed})
    assert found(settings) == [f"emergency route 'police': {line}"]


@pytest.mark.parametrize("route", [{"number": "112"}, {"number": "urn:service:sos"}, {"number": "+31880000001"}])
def test_an_armed_trunk_reaches_it(route: dict[str, Any]) -> None:
    assert found(routed(route, emergency={"armed": ["t"]})) == []


def test_a_control_room_without_any_trunk_is_told() -> None:
    lines = found(routed({"number": "112"}, trunks=[]))
    assert "emergency route 'police': 112 cannot be called, for there are no [[trunks]]: add one" in lines


def test_help_must_be_told_where_to_go() -> None:
    nowhere = {key: value for key, value in CUSTOMER.items() if key != "address"}
    people = [
        {"id": "w", "name": "Wim", "customer": "c"},
        {"id": "x", "name": "Xena", "customer": "c", "address": "Street 2"},
        {"id": "y", "name": "Yara"},
    ]
    devices = [
        {"id": "d", "numbers": ["1001"], "customer": "c"},
        {"id": "e", "numbers": ["1002"], "worker": "x"},
    ]
    (line,) = found(routed({}, customers=[nowhere], workers=people, devices=devices))
    assert line == (
        "the control room would not be told where to go: nothing says where Wim or device d is; "
        "give customer 'c', or each worker, an address or a position"
    )
    settings = routed({}, workers=people, devices=devices, escalation={"default_plan": "p"})
    assert found(settings) == []
    (line,) = found(settings, customer=None)
    assert "nothing says where Yara is; give each worker an address" in line


def test_the_control_room_needs_a_number_to_call_back() -> None:
    silent = {key: value for key, value in CUSTOMER.items() if key != "callback_number"}
    (line,) = found(routed({}, customers=[silent]))
    assert line.startswith("customer 'c' has no callback_number")


def test_an_emergency_call_on_request_needs_somebody_to_ask() -> None:
    lines = found(given(BOTH[1], {"emergency": "police"}, emergency_routes=[POLICE]))
    assert lines == ["step 2: asks for a confirmation, and no step rings operators: nobody is there to give it"]


AUTOMATIC = {"confirm": "automatic", "agreement": "contract 7"}


def test_a_plan_that_comes_to_its_emergency_call_too_late_is_told() -> None:
    (line,) = found(routed({}, step=AUTOMATIC | {"after": 30}))
    assert line == (
        "step 3: is to call 30 seconds after the alarm, and the steps before it can take 1 minute: "
        "it may call that late; shorten them, or move it up"
    )


def test_a_plan_that_rings_nobody_new_until_its_emergency_call_is_told() -> None:
    (line,) = found(routed({}, step=AUTOMATIC | {"after": 600}))
    assert line == (
        "step 3: waits until 10 minutes after the alarm, and the steps before it take 1 minute at most: "
        "nobody new is rung for 9 minutes; give them more rounds"
    )
    assert found(routed({}, step=AUTOMATIC | {"after": 300})) == []


def test_a_customer_without_a_plan_is_told() -> None:
    planless = {key: value for key, value in CUSTOMER.items() if key != "plan"}
    (line,) = without_plan(given(customers=[planless]))
    assert line == ("customer 'c' has no plan, and there is no escalation.default_plan: its alarms ring operators only")
    assert list(without_plan(given(customers=[planless], escalation={"default_plan": "p"}))) == []
    assert list(without_plan(given())) == []
