"""What is decided at the command line reaches the service that has the incident: by a letter in its inbox."""

from functools import partial

from tests.scenarios.tale import Tale, ring, tale
from voice.escalation.events import Event, Reopened, Resolved, WorkerSafe
from voice.incidents.lifecycle import Reason, State
from voice.store.escalations import leave

SHELL = "shell:root"
PLAN = [ring("contact:anna", seconds=20), ring("contact:bas", seconds=20)]


async def letter(tale: Tale, event: Event, name: str = "a letter") -> None:
    incident = await tale.world.incident()
    at = tale.world.stage.service.outside.clock.now()
    await tale.world.stage.store.run(partial(leave, letter=name, incident=incident.id, event=event, at=at))


@tale(PLAN)
async def test_an_incident_that_is_resolved_by_letter_is_over_for_everybody(tale: Tale) -> None:
    badge = await tale.alarm()
    await tale.taken_by("anna")
    await letter(tale, Resolved(SHELL, Reason.FALSE, "she is at home"))
    entry = await tale.noted("resolved", "1s")
    assert (entry.actor, entry.detail["reason"], entry.detail["note"]) == (SHELL, "false", "she is at home")
    incident = await tale.world.incident()
    assert (incident.state, incident.reason, incident.note) == (State.RESOLVED, Reason.FALSE, "she is at home")
    await tale.phone("anna").stops_within("15s")
    assert badge.is_over
    await tale.phone("bas").stays_silent_for("2 min")
    assert len(await tale.notes("resolved")) == 1


@tale(PLAN)
async def test_a_letter_stops_telephones_that_ring(tale: Tale) -> None:
    await tale.alarm()
    await tale.phone("anna").rings_within("1s")
    await letter(tale, Resolved(SHELL, Reason.TEST))
    await tale.phone("anna").stops_within("2s")
    await tale.phone("bas").stays_silent_for("1 min")


@tale(PLAN)
async def test_an_incident_that_is_reopened_by_letter_rings_again_from_the_top(tale: Tale) -> None:
    await tale.alarm()
    await tale.taken_by("anna")
    await letter(tale, Resolved(SHELL, Reason.FALSE))
    await tale.noted("resolved", "1s")
    await letter(tale, Reopened(SHELL), "another")
    assert (await tale.noted("reopened", "2s")).actor == SHELL
    await tale.is_open()
    await tale.phone("bas").rings_within("60s").takes_it()
    await tale.is_taken_by("contact:bas")


@tale(PLAN)
async def test_a_worker_who_says_that_he_is_safe_ends_nothing(tale: Tale) -> None:
    await tale.alarm()
    await letter(tale, WorkerSafe("called the desk and gave his word"))
    assert (await tale.noted("worker_safe", "1s")).detail["proof"] == "called the desk and gave his word"
    await tale.is_open()
    await tale.phone("bas").rings_within("30s")


@tale(PLAN)
async def test_a_letter_that_comes_too_late_changes_nothing(tale: Tale) -> None:
    await tale.alarm()
    await letter(tale, Resolved(SHELL, Reason.FALSE))
    await tale.noted("resolved", "1s")
    await letter(tale, Resolved("shell:late", Reason.GENUINE), "another")
    await tale.phone("bas").stays_silent_for("1 min")
    assert (await tale.world.incident()).reason is Reason.FALSE
