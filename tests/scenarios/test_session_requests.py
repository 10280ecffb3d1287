"""Sessions that another process asks for, beside a service that runs: the office begins, extends and ends them."""

from datetime import timedelta
from functools import partial
from typing import Any

from tests.scenarios.shift import Shift, shift
from voice.check_in.requests import Asked, Requests
from voice.cli.sessions import plain
from voice.incidents.kinds import Kind
from voice.store.sessions import SqlSessionRows, session, session_log


async def asks(shift: Shift, what: str, *args: Any, **how: Any) -> Asked:
    """What a command line does: one transaction on the store of the service."""
    outside = shift.world.stage.service.outside
    requests = Requests(SqlSessionRows(), shift.world.stage.settings)
    at = outside.clock.now()
    if "lasting" in how:
        how["until"] = at + how.pop("lasting")
    asked: Asked = await outside.store.run(lambda c: getattr(requests, what)(c, *args, at=at, **how))
    return asked


@shift()
async def test_a_session_that_the_office_begins_is_one_like_any_other(shift: Shift) -> None:
    asked = await asks(shift, "start", "anna", lasting=timedelta(hours=2), key="visit 7")
    await shift.worker.waits(2.0)
    began = shift.session()
    assert began is not None
    assert began.id == asked.session.id
    again = await asks(shift, "start", "anna", lasting=timedelta(hours=2), key="visit 7")
    assert again.session.id == began.id
    line = await shift.confirms("6min")
    await line.hangs_up()
    await asks(shift, "end", began.id, by="shell:root")
    await shift.worker.waits(2.0)
    assert shift.session() is None
    await shift.worker.stays_silent_for("20min")
    log = await shift.world.stage.service.outside.store.read(partial(session_log, id=began.id))
    assert [entry.kind for entry in log] == ["began", "warned", "called", "answered", "confirmed", "ended"]


@shift()
async def test_an_extended_session_asks_later_whether_he_is_still_working(shift: Shift) -> None:
    asked = await asks(shift, "start", "anna", lasting=timedelta(minutes=4))
    await shift.worker.waits(2.0)
    await asks(shift, "extend", asked.session.id, by=240.0)
    await (await shift.confirms("6min")).hangs_up()
    line = await shift.is_asked("5min")
    await line.presses(await shift.key()).hears("over").hangs_up()
    await shift.worker.stays_silent_for("10min")
    assert shift.session() is None


@shift()
async def test_what_the_office_sees_of_a_session_is_the_same_under_duress(shift: Shift) -> None:
    asked = await asks(shift, "start", "anna", lasting=timedelta(hours=2))
    line = await shift.is_asked("6min")
    await line.hears("If you are well").presses("00").hears("Thank you").hangs_up()
    assert len(await shift.incidents(Kind.DURESS)) == 1
    found = await shift.world.stage.service.outside.store.read(partial(session, id=asked.session.id))
    assert plain(found)["confirmed_by"] == "telephone"
    assert plain(found, evidence=True)["confirmed_by"] == "duress"
