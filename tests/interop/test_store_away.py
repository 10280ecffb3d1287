"""The process is started before its database can be used: it answers, and what it heard is written when that comes."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.postgres import PostgresServer

from .badge import Badge
from .program import wait_until
from .service import Service
from .sounds import tone

pytestmark = pytest.mark.needs("sipp")

Away = tuple[str, Callable[[], object]]
"""A database that cannot be used, and what mends that."""


@pytest.fixture(params=["sqlite", "postgresql"])
def away(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Away]:
    if request.param == "sqlite":
        folder = tmp_path / "disk"
        folder.write_text("nothing is mounted here")
        yield f"sqlite:///{folder}/earshot.db", folder.unlink
        return
    with PostgresServer() as server:
        url = server.url(server.new_database())
        server.stop()
        yield url, server.start


def test_a_service_that_is_started_before_its_database_answers_and_writes_when_it_comes(
    tmp_path: Path, away: Away
) -> None:
    url, mend = away
    with Service(tmp_path, settings={"store": {"url": url}}) as service:
        service.wait_for("calls are answered without the store")
        assert "store unavailable" in service.health()
        with Badge(tmp_path, service, tone(400, 2), hangs_up=2.0) as badge:
            badge.sipp.succeed()
        mend()
        (incident,) = wait_until(lambda: _incidents(service), "the incident in the database", 60)
        assert incident["state"] == "open"
        wait_until(lambda: service.health() == "ok", "a service that is well")
        assert f"{incident['id']}: " in service.earshot("verify", incident["id"])
        service.crash()
        service.restart()
        service.wait_for("incidents of an earlier process are open|escalations taken up")


def _incidents(service: Service) -> list[Any]:
    if "store unavailable" in service.health():
        return []  # the command line would say so too
    found: list[Any] = json.loads(service.earshot("incidents", "--json"))
    return found
