"""An alarm that no operator takes still reaches a person."""

import asyncio

from tests.scenarios.tale import Tale, ring, tale
from voice.incidents.lifecycle import State


@tale([ring("operators", seconds=20), ring("contact:anna"), ring("contact:bas")])
async def test_a_contact_takes_the_alarm_with_the_key_that_is_asked_for(tale: Tale) -> None:
    await tale.alarm()
    await tale.phone("anna").stays_silent_for(19)
    await tale.phone("anna").rings_within(3).answers().hears("Acme Care").presses_the_key().hears("you have")
    await tale.is_taken_by("contact:anna")
    assert tale.dialled == ["+31600000001"]


@tale([ring("contact:anna", seconds=20), ring("contact:bas", seconds=20)])
async def test_a_wrong_key_is_no_acceptance(tale: Tale) -> None:
    await tale.alarm()
    anna = tale.phone("anna").rings_within(1).answers().presses_another_key()
    await anna
    await asyncio.sleep(8)
    assert (await tale.world.incident()).state is State.OPEN
