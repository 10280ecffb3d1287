"""`kill -9` at any moment of an escalation, a store that is away, an alarm of thirty workers at once.

After a crash the next action comes within 3 s of the restart, and the story still ends with a human. An emergency call
that was sent is not sent again by anybody but a person or the plan's own rule.
"""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from tests.scenarios.tale import ALARM, NUMBERS, Tale, ring, tale
from voice.incidents.lifecycle import State
from voice.sim.habits import Answers
from voice.sim.phone import SimPhone

NEXT_ACTION = "3s"
IN_TURN = [ring("contact:anna", "contact:bas", seconds=20, order="sequence"), ring("operators", seconds=20)]
BY_ITSELF: dict[str, Any] = {
    "emergency": "police", "seconds": 20.0, "confirm": "automatic", "after": 0.0, "agreement": "contract 12, clause 4",
}  # fmt: skip
AWAY = ("store unavailable; calls go on, writes wait", "alarm answered before it was durable")


def police_calls(tale: Tale) -> int:
    return tale.dialled.count(NUMBERS["police"])


# -- crashes --


@tale(IN_TURN)
async def test_a_crash_while_a_phone_rings(tale: Tale) -> None:
    await tale.alarm()
    await tale.phone("anna").rings_within("1s").waits(5)
    old = tale.phone("anna").call
    await tale.world.stage.crash()
    await tale.until(lambda: tale.phone("anna").call is not old, NEXT_ACTION, "nobody was called")
    await tale.phone("anna").rings_within("1s").takes_it()
    await tale.is_taken_by("contact:anna")
    await tale.phone("bas").stays_silent_for("60s")
    old.hang_up()  # the network gives up the call of the dead process, sooner or later


@tale(IN_TURN)
async def test_who_picks_up_a_call_of_the_dead_process_is_not_left_with_a_silent_line(tale: Tale) -> None:
    """While nobody was there his telephone repeats that he answers; the next process ends that call, and rings anew."""
    await tale.alarm()
    await tale.phone("anna").rings_within("1s").waits(5)
    old = tale.phone("anna").in_call(1)
    stage = tale.world.stage
    await stage.kill()
    old.call.pick_up()
    await asyncio.sleep(1)
    await stage.restart()
    await old.stops_within("4s")
    assert stage.service.endpoint.counters.orphans == 1
    await tale.phone("anna").rings_within("3s").takes_it()
    await tale.is_taken_by("contact:anna")


@tale(IN_TURN)
async def test_who_picks_up_the_call_of_the_dead_process_while_the_next_one_rings_him(tale: Tale) -> None:
    """Two calls ring; he takes the wrong one."""
    await tale.alarm()
    await tale.phone("anna").rings_within("1s").waits(5)
    old = tale.phone("anna").in_call(1)
    await tale.world.stage.crash()
    await tale.until(lambda: len(tale.phone("anna").line.calls) == 2, NEXT_ACTION, "nobody was called")
    old.call.pick_up()
    await old.stops_within("1s")
    await tale.phone("anna").rings_within("1s").takes_it()
    await tale.is_taken_by("contact:anna")


@tale(IN_TURN)
async def test_a_crash_in_the_middle_of_the_question(tale: Tale) -> None:
    await tale.alarm()
    await tale.phone("anna").rings_within("1s").answers().waits(3)
    before = tale.phone("anna").call
    await tale.world.stage.crash()
    await tale.until(lambda: tale.phone("anna").call is not before, NEXT_ACTION, "nobody was called")
    assert "leg_lost" in await tale.world.kinds()
    await tale.phone("anna").rings_within("1s").takes_it()
    await tale.is_taken_by("contact:anna")


@tale(IN_TURN)
async def test_a_crash_after_he_has_taken_it_calls_him_again_first(tale: Tale) -> None:
    await tale.alarm(register=True)
    anna = await tale.taken_by("anna")
    await tale.world.stage.crash()
    await anna.rings_within(NEXT_ACTION)
    await tale.is_open()
    await anna.takes_it()
    await tale.is_taken_by("contact:anna")
    badge = tale.badge
    await tale.until(lambda: bool(badge and badge.live_calls), "20s", "the badge is not called back")


@tale(IN_TURN, plan_facts={"follow_up": 60.0})
async def test_a_crash_after_he_has_hung_up_does_not_lose_the_follow_up(tale: Tale) -> None:
    await tale.alarm()
    anna = await tale.taken_by("anna")
    await anna.hangs_up().waits(0.5)
    await tale.world.stage.crash()
    await anna.stays_silent_for("50s")
    await anna.rings_within("15s").takes_it()


@tale(IN_TURN)
async def test_a_crash_while_an_operator_listens(tale: Tale) -> None:
    olga = await tale.operator("olga")
    await tale.alarm()
    await olga.line.call(f"sip:listen-{(await tale.world.incident()).id}@earshot").established()
    await asyncio.sleep(2)
    before = len(tale.dialled)
    await tale.world.stage.crash()
    await tale.until(lambda: len(tale.dialled) > before, NEXT_ACTION, "the plan does not go on")
    await tale.phone("anna").rings_within("1s").takes_it()
    await tale.is_taken_by("contact:anna")


@tale(IN_TURN)
async def test_a_service_that_dies_again_and_again_still_reaches_a_human(tale: Tale) -> None:
    await tale.alarm()
    for _ in range(8):
        await asyncio.sleep(4)
        await tale.world.stage.crash()
    called = len(tale.dialled)
    await tale.until(lambda: len(tale.dialled) > called, "40s", "nobody was called")
    await tale.phone(tale.dialled[-1]).rings_within("1s").takes_it()


@tale(IN_TURN)
async def test_a_service_that_was_away_for_an_hour_goes_on_within_three_seconds(tale: Tale) -> None:
    await tale.alarm()
    await tale.phone("anna").rings_within("1s")
    await tale.world.stage.crash(down=3600)
    called = len(tale.dialled)
    await tale.until(lambda: len(tale.dialled) > called, NEXT_ACTION, "nobody was called")


@tale([BY_ITSELF])
async def test_a_crash_after_the_invite_leaves_it_to_a_person_and_nobody_is_called_twice(tale: Tale) -> None:
    await tale.alarm()
    await tale.phone("police").rings_within("1s")
    await tale.world.stage.crash()
    note = await tale.noted("emergency_indeterminate", NEXT_ACTION)
    assert note.detail["why"] == "the process that placed it is gone"
    await asyncio.sleep(120)
    assert police_calls(tale) == 1
    await tale.is_open()


@tale([BY_ITSELF | {"indeterminate": "call again", "again_after": 30.0}])
async def test_a_crash_after_the_invite_is_mended_by_the_plans_own_rule(tale: Tale) -> None:
    await tale.alarm()
    await tale.phone("police").rings_within("1s")
    before = tale.phone("police").call
    await tale.world.stage.crash()
    await asyncio.sleep(28)
    assert police_calls(tale) == 1
    await tale.until(lambda: tale.phone("police").call is not before, "5s", "it is not placed again")
    await tale.phone("police").answers().hears("press 2").presses("9").hears("confirmed")
    await tale.is_taken_by("emergency:police")
    before.hang_up()


@tale([BY_ITSELF | {"after": 30.0}], expects=AWAY)
async def test_a_crash_before_the_invite_places_it_once(tale: Tale) -> None:
    """The call is decided and cannot be written down, so it waits; the process dies; the next one decides it anew."""
    await tale.alarm()
    stage = tale.world.stage
    await asyncio.sleep(28)
    stage.store.fail_with(OSError("the disk of the database is gone"))
    await asyncio.sleep(6)
    await stage.kill()
    stage.store.fail_with(None)
    assert police_calls(tale) == 0
    await stage.restart()
    await tale.phone("police").rings_within(NEXT_ACTION)
    await asyncio.sleep(60)
    assert police_calls(tale) == 1


@tale([BY_ITSELF])
async def test_a_crash_while_the_control_room_listens(tale: Tale) -> None:
    olga = await tale.operator("olga")
    await tale.alarm()
    await tale.phone("police").rings_within("1s").answers().hears("press 2").presses("2").hears("being connected")
    await tale.is_taken_by("emergency:police")
    before = len(olga.line.calls)  # she is rung to join the call taker, and has not answered
    await tale.world.stage.crash()
    await tale.until(lambda: len(olga.line.calls) > before, NEXT_ACTION, "no operator is rung")
    await olga.waits(15)
    assert police_calls(tale) == 1
    await tale.is_taken_by("emergency:police")  # until the follow-up; they know where and who
    assert (await tale.noted("emergency_line_lost")).detail["call"]
    await olga.rings_within("30s").answers().waits(1)
    assert (await tale.standing()).operators == ("olga",)
    await asyncio.sleep(120)
    assert police_calls(tale) == 1


@tale([BY_ITSELF])
async def test_a_crash_while_the_control_room_and_an_operator_are_on_the_line_rings_operators(tale: Tale) -> None:
    olga = await tale.operator("olga")
    await tale.alarm()
    await tale.phone("police").rings_within("1s").answers().hears("press 2").presses("2").hears("being connected")
    await olga.rings_within("3s").answers()
    await asyncio.sleep(5)
    before = olga.call
    await tale.world.stage.crash()
    await tale.until(lambda: olga.call is not before, NEXT_ACTION, "no operator is rung")
    await olga.answers()
    await asyncio.sleep(60)
    assert police_calls(tale) == 1
    await tale.is_taken_by("emergency:police")


@tale([BY_ITSELF])
async def test_a_crash_after_the_control_room_has_hung_up_wakes_nobody(tale: Tale) -> None:
    olga = await tale.operator("olga")
    await tale.alarm()
    await tale.phone("police").rings_within("1s").answers().hears("press 2").presses("9").hears("confirmed").hangs_up()
    await asyncio.sleep(2)
    await tale.world.stage.crash()
    await olga.stays_silent_for("60s")
    await tale.is_taken_by("emergency:police")


# -- the store --


@tale(IN_TURN, expects=AWAY)
async def test_while_the_store_is_away_phones_ring_and_a_person_takes_it(tale: Tale) -> None:
    stage = tale.world.stage
    stage.store.fail_with(OSError("the disk of the database is gone"))
    await tale.alarm()
    await tale.phone("anna").rings_within("5s").waits(8).declines()
    await tale.phone("bas").rings_within("5s").takes_it().hears("You now hear the worker")
    assert not await tale.world.incidents()
    stage.store.fail_with(None)
    await asyncio.sleep(3)
    await tale.is_taken_by("contact:bas")
    assert (await tale.noted("acknowledged")).actor == "contact:bas"


@tale([BY_ITSELF], expects=(*AWAY, "an emergency call is placed that is not written down"))
async def test_while_the_store_is_away_the_control_room_is_called_all_the_same_once(tale: Tale) -> None:
    stage = tale.world.stage
    stage.store.fail_with(OSError("the disk of the database is gone"))
    await tale.alarm()
    await tale.phone("police").stays_silent_for("10s")
    await tale.phone("police").rings_within("15s").answers().hears("press 2").presses("9").hears("confirmed")
    stage.store.fail_with(None)
    await asyncio.sleep(5)
    await tale.is_taken_by("emergency:police")
    assert police_calls(tale) == 1


@tale(IN_TURN, expects=AWAY)
async def test_a_store_that_stutters_doubles_no_call(tale: Tale) -> None:
    await tale.alarm()
    await tale.phone("anna").rings_within("1s")
    for _ in range(5):
        tale.world.stage.store.fail_with(OSError("locked"))
        await asyncio.sleep(1.5)
        tale.world.stage.store.fail_with(None)
        await asyncio.sleep(1.5)
    await tale.phone("anna").declines()
    await tale.phone("bas").rings_within("3s").takes_it()
    assert tale.dialled_names == ["anna", "bas"]


# -- many at once --

CROWD: dict[str, Any] = {
    "workers": [{"id": f"worker{n}", "name": f"Worker {n}", "customer": "acme"} for n in range(30)],
    "devices": [{"id": f"device{n}", "username": f"dev{n}", "worker": f"worker{n}"} for n in range(30)],
}


async def closes_what_he_hears(phone: SimPhone, now: Callable[[], float]) -> None:
    """An operator who resolves each alarm two seconds after he has answered."""
    while True:
        await asyncio.sleep(1)
        for call in phone.live_calls:
            if call.is_established and now() - (call.answered_at or 0) > 2:
                call.press("#2")


@tale([ring("operators", seconds=20), ring("contact:anna", "contact:bas", "contact:chef", seconds=30)], **CROWD)
async def test_thirty_alarms_at_once_and_every_one_gets_a_human(tale: Tale) -> None:
    """The row "mass incident": nothing is refused, the oldest is answered first, plans go on meanwhile."""
    world = tale.world
    operators = [await world.operator(name, after=2.0) for name in ("olga", "otto", "ona")]
    for number in range(30):
        device = await world.device(f"dev{number}")
        await device.call(ALARM).established()
        await asyncio.sleep(0.2)
    working = [asyncio.ensure_future(closes_what_he_hears(phone, lambda: world.now)) for phone in operators]
    await tale.until(lambda: len(tale.phone("anna").line.calls) > 11, "30s", "the plans do not go on")
    anna = tale.phone("anna").in_call(12)  # of an alarm that the operators do not come to soon
    await anna.rings_within("1s").takes_it().waits(3).presses("#").waits(3).presses("8857#").waits(6).presses("2")
    await asyncio.sleep(90)
    for work in working:
        work.cancel()
    incidents = await world.incidents()
    assert len(incidents) == 30
    assert {incident.state for incident in incidents} == {State.RESOLVED}
    assert sum(incident.taken_by == "contact:anna" for incident in incidents) == 1
    joined = [entry.time for incident in incidents for entry in await tale.notes("operator_joined", incident.id)]
    assert len(joined) == 29
    assert joined == sorted(joined)
    assert not any(tale.phone(name).line.live_calls for name in ("anna", "bas", "chef"))


@pytest.mark.parametrize("seconds", [0.3, 2.2, 5.9, 7.1, 12.4, 19.8, 20.4, 33.0])
def test_whenever_it_dies_the_story_ends_with_a_human(seconds: float, tmp_path: Any) -> None:
    @tale([ring("contact:anna", "contact:bas", seconds=15, order="sequence"), ring("contact:chef", seconds=15)])
    async def told(tale: Tale) -> None:
        tale.behaves("bas", Answers.YES, after=4.0)  # a voice that presses nothing
        await tale.alarm(register=True)
        await asyncio.sleep(seconds)
        assert (await tale.standing()).legs  # somebody is on the line, or rung
        called = len(tale.dialled)
        await tale.world.stage.crash()
        await tale.until(lambda: len(tale.dialled) > called, NEXT_ACTION, "nobody was called")
        await tale.phone("chef").rings_within("90s").takes_it()

    told(tmp_path)
