"""Who is asked: each in his own language, several at once, and those whom the configuration does not know any more."""

import asyncio
from typing import Any

import pytest

from ivr.session import Origin
from tests.scenarios.shift import MOBILE, QUICK, SECOND, TRUNK_HOST, Shift, hash_of, shift
from voice.check_in.roster import rules_of
from voice.incidents.kinds import Kind
from voice.sim.habits import Answers, Habits

WORDS = {
    "nl": ("Als het goed met u gaat", "Dank u. De volgende controle is om"),
    "de": ("Wenn es Ihnen gut geht", "Danke. Der nächste Kontrollanruf kommt um"),
    "fr": ("Si tout va bien", "Merci. Le prochain contrôle est à"),
}


def _worker(id: str, number: str, **facts: Any) -> dict[str, Any]:
    return {"id": id, "name": id.title(), "customer": "acme", "numbers": [number], "check_in": "rules"} | facts


def _begins(shift: Shift, *workers: str) -> None:
    settings = shift.world.stage.settings
    for id in workers:
        worker = settings.worker(id)
        assert worker is not None
        ends_at = shift.world.stage.service.outside.clock.now().replace(hour=12)
        shift.check_ins.begin(id, rules_of(settings.check_in_of(worker)), origin=Origin.API, ends_at=ends_at)


@pytest.mark.parametrize("language", sorted(WORDS))
@shift(QUICK | {"confirm": "pin"}, workers=[
    _worker(language, f"+3161111111{number}", language=language, pin=hash_of("8162"))
    for number, language in enumerate(sorted(WORDS), 1)
])  # fmt: skip
async def test_each_is_asked_and_warned_in_his_language(shift: Shift, language: str) -> None:
    _begins(shift, language)
    number = shift.world.stage.settings.worker(language).numbers[0]  # type: ignore[union-attr]
    shift.exchange.line(number, Habits(answers=Answers.NEVER))
    asks, thanks = WORDS[language]
    line = shift.phone(number)
    await line.rings_within("65s").answers().hears(asks).presses("8162#").hears(thanks).hangs_up()
    (warned,) = shift.world.stage.messages.sent
    assert (warned.to, warned.language) == (number, language)


@shift(QUICK, workers=[_worker("anna", MOBILE), _worker("bert", SECOND)])
async def test_two_who_are_due_at_once_are_called_at_once(shift: Shift) -> None:
    _begins(shift, "anna", "bert")
    first, second = shift.phone(MOBILE), shift.phone(SECOND)
    await first.rings_within("61s").answers()
    await second.rings_within("1s").answers()
    for line in (second, first):
        await line.presses(await shift.key(line)).hears("Thank you").hangs_up()
    assert await shift.world.incidents() == []


@shift(QUICK, workers=[_worker("anna", MOBILE), _worker("bert", SECOND)],
       trunks=[{"id": "first", "uri": f"sip:{TRUNK_HOST}", "max_calls": 1}])  # fmt: skip
async def test_on_a_trunk_with_one_line_the_second_waits_and_is_not_missed_for_it(shift: Shift) -> None:
    _begins(shift, "anna", "bert")
    await asyncio.sleep(61)
    lines = sorted((shift.phone(number) for number in (MOBILE, SECOND)), key=lambda line: not line.rings)
    assert [line.rings for line in lines] == [True, False]
    for line in lines:
        await line.rings_within("40s").answers()
        await line.presses(await shift.key(line)).hears("Thank you").hangs_up()
    assert await shift.world.incidents() == []


@shift(QUICK | {"unreachable_after": 60.0})
async def test_a_worker_who_is_no_longer_in_the_configuration_is_an_alarm_and_not_forgotten(shift: Shift) -> None:
    shift.begins()
    stage = shift.world.stage
    await stage.kill()
    others = tuple(worker for worker in stage.settings.workers if worker.id != "anna")
    devices = tuple(device for device in stage.settings.devices if device.worker != "anna")
    stage.settings = stage.settings.model_copy(update={"workers": others, "devices": devices})
    await stage.restart()
    await asyncio.sleep(150)
    (incident,) = await shift.incidents(Kind.MISSED_CHECK_IN)
    (opened,) = await shift.world.entries("opened", incident.id)
    assert opened.detail["why"] == "unreachable"


@shift(QUICK | {"unreachable_after": 60.0}, worker={"numbers": []})
async def test_a_worker_without_a_number_is_an_alarm_as_well(shift: Shift) -> None:
    shift.begins()
    await shift.missed("3min")


@pytest.mark.parametrize("moment", [0.1, 0.5, 2.0])
@shift(QUICK)
async def test_who_was_told_that_his_session_has_started_has_one_whatever_happens_then(
    shift: Shift, moment: float
) -> None:
    line = await shift.signs_in()
    await line.presses("1").hears("For how many hours").presses("1#").hears("How often").presses("1").waits(moment)
    told = any("has started" in text for text in line.texts())
    await shift.world.stage.crash()
    await asyncio.sleep(5)
    assert shift.session() is not None or not told
