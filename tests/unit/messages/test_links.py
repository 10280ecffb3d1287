"""Acknowledgement links: followed by people, once, while the incident is open."""

import random
import re
from datetime import datetime
from hashlib import sha256
from http import HTTPStatus
from typing import Any

import pytest
import structlog.testing
from sqlalchemy import Connection, insert, select

from config.plans import OPERATORS_ONLY, Contact, Customer, FrozenPlan
from voice.escalation.events import Acknowledged, Event
from voice.http import Answer
from voice.incidents.kinds import Kind
from voice.incidents.lifecycle import Reason, State
from voice.journal import Journal
from voice.messages.links import Links
from voice.sim.loop import virtual_loop, virtually
from voice.store import Store, schema
from voice.store import incidents as rows

INCIDENT = "1k3x9a0q"
FROZEN = FrozenPlan(
    plan=OPERATORS_ONLY,
    customer=Customer(id="acme", name="Acme", language="en"),
    contacts={
        "anna": Contact(id="anna", name="Anna", numbers=("+31612345678",)),
        "ben": Contact(id="ben", name="Ben", numbers=("+31612345679",), language="de"),
    },
)


class Scene:
    """An incident that is open, and the front door for links."""

    def __init__(self) -> None:
        self.store = Store.inline()
        self.journal = Journal(self.store)
        self.clock = virtual_loop().clock
        self.left: list[tuple[str, str, Event]] = []
        self.links = Links(
            "https://alarm.example/",
            store=self.store,
            journal=self.journal,
            leave=self._leave,
            clock=self.clock,
            random=random.Random(1),
        )

    def _leave(self, connection: Connection, letter: str, incident: str, event: Event, at: datetime) -> None:
        self.left.append((letter, incident, event))

    async def opens(self) -> None:
        def write(connection: Connection) -> None:
            at = self.clock.now()
            rows.open_incident(
                connection,
                incident_id=INCIDENT,
                kind=Kind.PANIC,
                priority=1,
                device_id=None,
                worker_id=None,
                caller=None,
                dialled=None,
                identified_by=None,
                at=at,
                detail={},
            )
            plan = {"sha256": "0" * 64, "content": FROZEN.model_dump_json(by_alias=True), "at": at}
            connection.execute(insert(schema.frozen_plans), plan)
            escalation = {"incident_id": INCIDENT, "plan": "0" * 64, "state": "{}", "version": 0}
            connection.execute(insert(schema.escalations), escalation | {"phase": "escalating", "epoch": 1})

        await self.store.run(write)

    async def resolves(self) -> None:
        await self._changes(State.RESOLVED, Reason.FALSE)

    async def is_taken(self) -> None:
        await self._changes(State.ACKNOWLEDGED)

    async def is_given_back(self) -> None:
        await self._changes(State.OPEN)

    async def _changes(self, to: State, reason: Reason | None = None) -> None:
        def write(connection: Connection) -> None:
            rows.transition(connection, INCIDENT, to=to, actor="operator:olga", reason=reason, at=self.clock.now())

        await self.store.run(write)

    async def token(self, contact: str = "anna", *, counts: bool = False) -> str:
        link = await self.links.make(INCIDENT, contact, counts=counts)
        prefix, _, token = link.rpartition("/")
        assert prefix == "https://alarm.example/acknowledge"
        return token


def html(answer: Answer) -> str:
    assert dict(answer.headers)["Content-Type"] == "text/html; charset=utf-8"
    return answer.body.decode()


def _tokens(connection: Connection) -> Any:
    return connection.execute(select(schema.acknowledgements.c.token_sha256)).scalars().all()


@virtually
async def test_only_the_hash_of_a_token_is_kept_and_it_cannot_be_guessed() -> None:
    scene = Scene()
    await scene.opens()
    token = await scene.token()
    assert len(token) * 6 >= 128
    assert await scene.store.read(_tokens) == [sha256(token.encode()).hexdigest()]


@virtually
async def test_a_preview_or_a_scanner_that_opens_a_link_acknowledges_nothing() -> None:
    scene = Scene()
    await scene.opens()
    token = await scene.token()
    for method in ("GET", "HEAD", "GET"):
        answer = await scene.links.visit(method, token)
        assert answer.status is HTTPStatus.OK
        assert '<form method="post">' in html(answer)
    assert scene.left == []


@virtually
async def test_the_button_acknowledges_once_and_the_page_says_what_was_done() -> None:
    scene = Scene()
    await scene.opens()
    token = await scene.token()
    first, second = [html(await scene.links.visit("POST", token)) for _ in range(2)]
    assert "It is noted that you have read the message. Others are still called." in first
    assert "This link was used at 2026-01-01 07:00." in second
    assert "<form" not in second
    assert scene.left == [(sha256(token.encode()).hexdigest(), INCIDENT, Acknowledged("anna", counts=False))]


@virtually
async def test_a_link_that_counts_says_so_before_and_after() -> None:
    scene = Scene()
    await scene.opens()
    token = await scene.token("ben", counts=True)
    asked, done = html(await scene.links.visit("GET", token)), html(await scene.links.visit("POST", token))
    assert "Übernehmen Sie diesen Alarm nur, wenn Sie jetzt handeln." in asked
    assert "dass Sie diesen Alarm übernehmen" in done
    assert scene.left[0][2] == Acknowledged("ben", counts=True)


@virtually
@pytest.mark.parametrize("counts", [False, True])
async def test_who_follows_a_link_learns_that_somebody_has_the_alarm_already(counts: bool) -> None:
    scene = Scene()
    await scene.opens()
    token = await scene.token(counts=counts)
    await scene.is_taken()
    asked = html(await scene.links.visit("GET", token))
    assert "Somebody has this alarm already." in asked
    assert "<form" in asked, "he may still say that he has read it, or take it as well"
    await scene.is_given_back()
    assert "Somebody" not in html(await scene.links.visit("GET", token))
    await scene.is_taken()
    done = html(await scene.links.visit("POST", token))
    assert "It is noted" in done
    assert "Somebody ha" in done
    assert "Others are still called" not in done
    assert scene.left[0][2] == Acknowledged("anna", counts=counts), "the engine decides what becomes of it"


@virtually
async def test_a_link_ends_with_its_incident() -> None:
    scene = Scene()
    await scene.opens()
    token = await scene.token()
    await scene.resolves()
    for method in ("GET", "POST"):
        answer = await scene.links.visit(method, token)
        assert answer.status is HTTPStatus.NOT_FOUND
    assert scene.left == []


@virtually
async def test_a_wrong_token_is_answered_like_an_old_one() -> None:
    scene = Scene()
    await scene.opens()
    old = await scene.token()
    await scene.resolves()
    answers = [await scene.links.visit("GET", token) for token in (old, "", "x", "é\udcff", "a" * 5000, "../../etc")]
    assert {answer.status for answer in answers} == {HTTPStatus.NOT_FOUND}
    assert len({answer.body for answer in answers}) == 1
    assert answers[0].body.decode().startswith("Deze link is niet of niet meer geldig.\n")


@virtually
async def test_other_methods_are_refused() -> None:
    scene = Scene()
    answer = await scene.links.visit("DELETE", "x")
    assert answer.status is HTTPStatus.METHOD_NOT_ALLOWED
    assert dict(answer.headers)["Allow"] == "GET, HEAD, POST"


@virtually
async def test_the_page_is_in_the_language_of_its_reader_and_names_nobody() -> None:
    scene = Scene()
    await scene.opens()
    page = html(await scene.links.visit("GET", await scene.token("ben")))
    assert '<html lang="de">' in page
    assert f"<h1>Alarm {INCIDENT}</h1>" in page
    assert "Ben" not in page
    assert "Acme" not in page


@virtually
async def test_the_page_can_be_used_without_sight_and_lets_nothing_foreign_in() -> None:
    scene = Scene()
    await scene.opens()
    token = await scene.token()
    answer = await scene.links.visit("GET", token)
    page, headers = html(answer), dict(answer.headers)
    assert re.search(r'<meta name="viewport" content="[^"]*"', page)
    assert "user-scalable=no" not in page
    assert page.count("<h1>") == page.count("<main>") == 1
    assert token not in page
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cache-Control"] == "no-store"
    assert "default-src 'none'" in headers["Content-Security-Policy"]


@virtually
async def test_a_store_that_is_away_delays_no_message_and_loses_no_link() -> None:
    scene = Scene()
    await scene.opens()
    with structlog.testing.capture_logs():
        scene.store.fail_with(OSError("no space"))
        token = await scene.token()
        assert (await scene.links.visit("POST", token)).status is HTTPStatus.SERVICE_UNAVAILABLE
        scene.store.fail_with(None)
        await scene.journal.flush(10.0)
    assert (await scene.links.visit("POST", token)).status is HTTPStatus.OK
