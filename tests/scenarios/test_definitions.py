"""What is defined changes while the service runs: it holds for the next alarm and the next check-in, and what is open
keeps what it had."""

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import Any

from config.models import Settings
from tests.scenarios.shift import MOBILE, QUICK, SECOND, Shift, shift
from tests.scenarios.tale import ALARM, Tale, contact, ring, tale
from tests.scenarios.world import World, story
from voice.sim.habits import Answers
from voice.sip.digest import Credentials
from voice.store.defining import put
from voice.store.definitions import DefinitionKind

SOON = 2.6
"""Seconds after which every change is in force."""

NOBODY: dict[str, Any] = {"customers": [], "plans": [], "contacts": [], "teams": [], "emergency_routes": []}
"""The file defines none of those whom an alarm reaches."""
NIGHTS = {"id": "nights", "name": "On duty", "rota": "duty"}
FOREVER = ring("team:nights", seconds=20, rounds=20, pause=5)


def duty(person: str) -> dict[str, Any]:
    return {"id": "duty", "shifts": [{"members": [person]}]}


async def defined(world: World, kind: DefinitionKind, content: Mapping[str, Any], version: int = 0) -> None:
    """By another process, which knows the same store and the same file."""
    stage, at = world.stage, world.stage.service.outside.clock.now()
    change = partial(put, settings=stage.settings, kind=kind, content=content, expected_version=version, at=at)
    await stage.store.run(change)


async def file_says(world: World, **tables: Any) -> None:
    """Somebody edits the configuration file and tells the service."""
    changed = {name: getattr(Settings.model_validate({name: rows}), name) for name, rows in tables.items()}
    written = world.stage.settings = world.stage.settings.model_copy(update=changed)
    await world.stage.service.following.read_file(lambda: written)
    await asyncio.sleep(0.2)


@tale(**NOBODY, workers=[{"id": id, "name": id.title()} for id in ("anna", "bert", "carl")])
async def test_a_rota_that_changes_holds_for_the_next_alarm_and_the_open_one_stays_with_whom_it_had(tale: Tale) -> None:
    """The device too was unknown when the service started: all of this stands in the store alone."""
    world = tale.world
    for person in ("anna", "bas"):
        await defined(world, "contacts", contact(person))
    await defined(world, "rotas", duty("anna"))
    await defined(world, "teams", NIGHTS)
    await defined(world, "plans", {"id": "nights", "steps": [FOREVER]})
    await defined(world, "customers", {"id": "shop", "name": "Shop", "plan": "nights", "language": "en"})
    for number in (5, 6):
        await defined(world, "devices", {"id": f"tag-{number}", "username": f"tag{number}", "customer": "shop"})
    await asyncio.sleep(SOON)

    await tale.alarm("tag5")
    await tale.phone("anna").rings_within("2s")
    await defined(world, "rotas", duty("bas"), 1)
    await asyncio.sleep(SOON)
    await tale.alarm("tag6")
    await tale.phone("bas").rings_within("2s").takes_it()
    first, second = await world.incidents()
    assert (first.device_id, second.device_id) == ("tag-5", "tag-6")
    assert second.taken_by == "contact:bas"

    anna = tale.phone("anna")
    await anna.stops_within("30s")
    await anna.rings_within("10s").takes_it()  # the next round of the first alarm, by the rota of its time
    await tale.is_taken_by("contact:anna")
    assert tale.dialled_names == ["anna", "bas", "anna"]


@tale([FOREVER], teams=[NIGHTS], rotas=[duty("anna")])
async def test_after_a_crash_an_open_alarm_still_goes_by_the_rota_of_its_time(tale: Tale) -> None:
    await tale.alarm()
    await tale.phone("anna").rings_within("2s")
    await file_says(tale.world, rotas=[duty("bas")])
    await tale.world.stage.crash()
    await tale.phone("bas").stays_silent_for("40s")
    await tale.phone("anna").rings_within("30s").takes_it()


@story()
async def test_a_new_operator_rings_for_what_waits_and_who_is_none_any_more_rings_no_longer(world: World) -> None:
    olga = await world.operator("olga", answers=Answers.NEVER)
    badge = await world.device("badge7")
    badge.call(ALARM)
    await olga.called()
    pia = {"id": "pia", "name": "Pia", "username": "pia", "password": "pp"}
    await file_says(world, operators=[pia])
    phone = await world.stage.phone("pia", "10.8.0.1", password="pp", register=True)
    (await phone.called()).pick_up()
    await asyncio.sleep(1)
    assert olga.calls[-1].is_over
    rung = len(olga.calls)
    await asyncio.sleep(30)
    assert len(olga.calls) == rung
    assert (await world.entry("operator_joined")).actor == "operator:pia"


@story()
async def test_an_operator_who_is_none_any_more_ends_what_he_listens_to(world: World) -> None:
    olga = await world.operator("olga")
    badge = await world.device("badge7")
    badge.call(ALARM)
    listening = await olga.called()
    await listening.established()
    await file_says(world, operators=[])
    await asyncio.sleep(20)
    assert not listening.is_over
    assert badge.calls[-1].end is None


@story()
async def test_a_device_whose_password_changes_proves_itself_by_the_new_one(world: World) -> None:
    badge = await world.device("badge7", register=True)
    seven = {"id": "badge-7", "username": "badge7", "password": "other", "worker": "anna"}
    await file_says(world, devices=[seven])
    assert (await badge.register()).code == 401
    badge._credentials = Credentials("badge7", "other")
    assert (await badge.register()).code == 200


@shift()
async def test_a_worker_whose_number_changes_is_called_there_at_the_next_check_in(shift: Shift) -> None:
    """The session goes on by the rules with which it began."""
    shift.begins()
    line = await shift.is_asked()
    await line.presses(await shift.key()).hears("Thank you").hangs_up()
    settings = shift.world.stage.settings
    worker, *others = (row.model_dump(mode="json") for row in settings.workers)
    slower = [row.model_dump(mode="json") | {"interval": 3600.0} for row in settings.check_ins]
    await file_says(shift.world, check_ins=slower, workers=[worker | {"numbers": [SECOND]}, *others])
    await shift.phone(SECOND).rings_within("6min").answers()
    assert len(shift.exchange.line(MOBILE).calls) == 1


@shift(QUICK)
async def test_a_worker_who_is_gone_from_the_definitions_while_he_is_on_a_shift_is_missed(shift: Shift) -> None:
    """Nobody can call him any more, and nobody has said that he is well."""
    shift.begins()
    others = [row.model_dump(mode="json") for row in shift.world.stage.settings.workers[1:]]
    await file_says(shift.world, workers=others, devices=[])
    await shift.missed("8min")
    assert shift.worker.line.calls == []
