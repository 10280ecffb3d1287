"""Operators and the plan: what they do stops it, and what they let go goes on. And messages beside calls."""

import asyncio
from functools import partial

from tests.scenarios.tale import NUMBERS, PEOPLE, Tale, contact, message, ring, tale
from voice.escalation.events import Event, Reopened, Resolved, WorkerSafe
from voice.incidents.lifecycle import Reason, State
from voice.sim.habits import Answers
from voice.store import escalations

AUTOMATIC = {"emergency": "police", "confirm": "automatic", "after": 60.0, "agreement": "contract 12"}
OPERATORS_THEN_ANNA = [ring("operators", seconds=20), ring("contact:anna", seconds=20), ring("contact:bas", seconds=20)]


@tale(OPERATORS_THEN_ANNA)
async def test_while_an_operator_listens_nobody_else_is_rung(tale: Tale) -> None:
    olga = await tale.operator("olga")
    await tale.alarm()
    await olga.rings_within("2s").waits(3).answers()
    await tale.is_taken_by("operator:olga")
    await tale.phone("anna").stays_silent_for("2 min")


@tale(OPERATORS_THEN_ANNA)
async def test_operators_ring_on_while_the_plan_rings_contacts(tale: Tale) -> None:
    olga = await tale.operator("olga")
    await tale.alarm()
    await tale.phone("anna").rings_within("25s")
    await olga.rings_within("3s").answers()
    await tale.phone("anna").stops_within("0.5s")
    await tale.is_taken_by("operator:olga")


@tale(OPERATORS_THEN_ANNA)
async def test_when_the_operator_s_phone_dies_the_plan_goes_on_where_it_was(tale: Tale) -> None:
    olga = await tale.operator("olga")
    await tale.alarm()
    await tale.phone("anna").rings_within("25s")
    await olga.rings_within("3s").answers().waits(2)
    await olga.line.die()
    await tale.phone("anna").rings_within("30s").takes_it()
    await tale.is_taken_by("contact:anna")


@tale(OPERATORS_THEN_ANNA)
async def test_an_operator_who_hangs_up_without_closing_it_has_given_it_back(tale: Tale) -> None:
    olga = await tale.operator("olga")
    await tale.alarm()
    await olga.rings_within("2s").answers().waits(2).hangs_up()
    await tale.is_open()
    await olga.rings_within("5s")
    await tale.phone("anna").rings_within("25s")


@tale(OPERATORS_THEN_ANNA)
async def test_an_operator_who_gives_it_back_is_not_the_first_to_be_rung(tale: Tale) -> None:
    olga = await tale.operator("olga")
    await tale.alarm()
    await olga.rings_within("2s").answers().waits(2).presses("*").stops_within("3s")
    otto = await tale.operator("otto")
    await otto.rings_within("2s").answers()
    await olga.stays_silent_for("60s")
    await tale.is_taken_by("operator:otto")


@tale(OPERATORS_THEN_ANNA)
async def test_an_operator_who_resolves_it_ends_the_plan(tale: Tale) -> None:
    olga = await tale.operator("olga")
    await tale.alarm()
    await olga.rings_within("2s").answers().waits(2).presses("#2").stops_within("3s")
    incident = await tale.world.incident()
    assert (incident.state, incident.reason) == (State.RESOLVED, Reason.FALSE)
    await tale.phone("anna").stays_silent_for("2 min")
    assert len(olga.line.calls) == 1


@tale([ring("contact:anna"), ring("operators", seconds=20)])
async def test_the_operator_who_leaves_a_contact_alone_leaves_the_alarm_with_him(tale: Tale) -> None:
    olga = await tale.operator("olga")
    await tale.alarm()
    anna = await tale.taken_by("anna")
    call = olga.line.call(f"sip:listen-{(await tale.world.incident()).id}@earshot")
    await call.established()
    await asyncio.sleep(2)
    call.hang_up()
    await anna.stays_on_for("30s")
    await tale.is_taken_by("contact:anna")
    assert len(olga.line.calls) == 1  # nobody rings


@tale(OPERATORS_THEN_ANNA)
async def test_a_second_alarm_of_one_worker_is_accepted_linked_and_has_a_plan_of_its_own(tale: Tale) -> None:
    """The row "a second alarm is blocked while one is open"."""
    await tale.alarm("badge7")
    await tale.alarm("watch7")
    first, second = await tale.world.incidents()
    assert {first.worker_id, second.worker_id} == {"anna"}
    assert await tale.notes("linked", first.id)
    assert await tale.notes("linked", second.id)
    await asyncio.sleep(22)
    await tale.phone("anna").in_call(2).declines()
    await tale.phone("anna").in_call(1).takes_it()
    await tale.phone("bas").rings_within("5s").takes_it()
    takers = {incident.taken_by for incident in await tale.world.incidents()}
    assert takers == {"contact:anna", "contact:bas"}


# -- decisions that come by letter (`earshot incident ...`) --


async def writes(tale: Tale, event: Event) -> None:
    """Somebody at a command line decides."""
    stage = tale.world.stage
    now = stage.service.outside.clock.now()
    letter = partial(escalations.leave, letter=type(event).__name__, incident=(await tale.incident()).id)
    await stage.store.run(partial(letter, event=event, at=now))
    await asyncio.sleep(1.5)


@tale(OPERATORS_THEN_ANNA[1:])
async def test_resolved_at_the_command_line_ends_every_call(tale: Tale) -> None:
    device = await tale.alarm()
    await tale.phone("anna").rings_within("2s")
    await writes(tale, Resolved("shell:root", Reason.FALSE, "a fire drill"))
    await tale.phone("anna").stops_within("0.5s")
    assert device.is_over
    incident = await tale.incident()
    assert (incident.state, incident.reason) == (State.RESOLVED, Reason.FALSE)
    await tale.phone("bas").stays_silent_for("60s")


@tale(OPERATORS_THEN_ANNA[1:])
async def test_a_resolved_incident_that_is_opened_again_begins_its_plan_anew(tale: Tale) -> None:
    await tale.alarm()
    anna = await tale.taken_by("anna")
    await anna.presses("#").hears("code word").presses("8857#").hears("Press 1").presses("2").stops_within("10s")
    await writes(tale, Reopened("shell:root"))
    await anna.rings_within("2s").takes_it()
    await tale.is_taken_by("contact:anna")


@tale([ring("contact:anna", seconds=20), AUTOMATIC])
async def test_a_worker_who_says_that_he_is_safe_ends_nothing_and_no_control_room_is_called_by_itself(
    tale: Tale,
) -> None:
    await tale.alarm()
    await writes(tale, WorkerSafe("PIN, noted by shell:root"))
    await tale.noted("emergency_awaits_confirmation", "120s")
    await tale.phone("anna").rings_within("60s").takes_it()
    assert NUMBERS["police"] not in tale.dialled


# -- messages --

SMS_FIRST = [message("contact:anna", "contact:bas", text="Bring the keys."), ring("contact:chef", seconds=20)]


@tale(SMS_FIRST)
async def test_messages_go_out_beside_the_calls_and_prove_nothing(tale: Tale) -> None:
    await tale.alarm()
    await tale.phone("chef").rings_within("1s")
    sent = tale.world.stage.messages.sent
    assert [(m.contact_id, m.to) for m in sent] == [("anna", "+31600000001"), ("bas", "+31600000002")]
    assert "Who: Wilma Worker." in sent[0].text
    assert "Where: Dam 1, Amsterdam." in sent[0].text
    assert "Bring the keys." in sent[0].text
    assert len(await tale.notes("message_sent")) == 2
    await tale.is_open()


@tale(SMS_FIRST)
async def test_a_plan_that_goes_round_does_not_bury_people_in_messages(tale: Tale) -> None:
    tale.behaves("chef", Answers.BUSY)
    await tale.alarm()
    await asyncio.sleep(300)
    assert len(tale.dialled) > 20
    assert len(tale.world.stage.messages.sent) == 2


@tale(SMS_FIRST)
async def test_a_channel_that_is_away_holds_up_no_call_and_is_tried_again(tale: Tale) -> None:
    tale.world.stage.messages.fails = True
    await tale.alarm()
    await tale.phone("chef").rings_within("1s")
    await asyncio.sleep(4)
    assert not tale.world.stage.messages.sent
    tale.world.stage.messages.fails = False
    await asyncio.sleep(60)
    assert len(tale.world.stage.messages.sent) == 2
    assert len(await tale.notes("message_sent")) == 2


async def follow(tale: Tale, number: int = 0) -> None:
    """Somebody opens the link of a message and presses the button."""
    link = tale.world.stage.messages.sent[number].link
    links = tale.world.stage.service.escalation_desk.links
    assert link is not None
    assert links is not None
    token = link.rpartition("/")[2]
    assert b"<form" in (await links.visit("GET", token)).body
    await links.visit("POST", token)
    await asyncio.sleep(1)


MESSAGES = {"sms": "file", "link_base": "https://alarm.example.org"}


@tale([message("contact:anna", link="information"), ring("contact:chef")], messages=MESSAGES)
async def test_who_follows_a_link_is_noted_and_phones_ring_on(tale: Tale) -> None:
    await tale.alarm()
    await tale.phone("chef").rings_within("1s")
    await follow(tale)
    assert (await tale.noted("acknowledged_by_link")).detail == {"contact": "anna", "counts": False}
    await tale.is_open()
    assert tale.phone("chef").rings


@tale([message("contact:anna", link="proof"), ring("contact:chef")], messages=MESSAGES, plan_facts={"follow_up": 60.0})
async def test_where_the_plan_says_so_a_link_takes_the_alarm_for_the_follow_up(tale: Tale) -> None:
    await tale.alarm()
    await tale.phone("chef").rings_within("1s")
    await follow(tale)
    await tale.phone("chef").stops_within("0.5s")
    await tale.is_taken_by("contact:anna")
    assert (await tale.noted("acknowledged")).detail["proof"] == "followed the acknowledgement link"
    await tale.phone("chef").stays_silent_for("50s")
    await tale.phone("chef").rings_within("15s").takes_it()


@tale(
    [message("contact:anna", by=["sms", "email"]), ring("contact:chef")],
    contacts=[contact("anna", email="anna@example.org", language="nl"), *PEOPLE[1:]],
)
async def test_a_message_goes_by_every_channel_in_the_language_of_who_reads_it(tale: Tale) -> None:
    await tale.alarm()
    await tale.phone("chef").rings_within("1s")
    assert [m.to for m in tale.world.stage.messages.sent] == ["+31600000001", "anna@example.org"]
    assert {m.language for m in tale.world.stage.messages.sent} == {"nl"}
