"""Webhooks: signed, in order for each incident, tried again for a day, by one process at a time."""

import asyncio
import hmac
import json
import random
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import structlog.testing
from sqlalchemy import Connection, func, select

from config.models import Webhook
from voice.incidents.kinds import Kind
from voice.incidents.timeline import Entry
from voice.sim.loop import run_virtual, virtual_loop, virtually
from voice.store import Store, deliveries, schema
from voice.store import incidents as rows
from voice.store.deliveries import Standing
from voice.webhooks import Subscriptions, Webhooks, worker
from voice.webhooks.posting import ReceiverUnreachable, Reply
from voice.webhooks.schedule import ATTEMPTS, LONGEST_WAIT, wait
from voice.webhooks.signing import signature
from voice.webhooks.worker import AT_ONCE, CLAIM, PATIENCE

URL = "https://receiver.example/hook"
HOOK = Webhook(id="dispatch", url=URL, secret="s3cret")
DAY = 86400.0


@dataclass(frozen=True)
class Post:
    url: str
    headers: Mapping[str, str]
    body: bytes
    at: float

    @property
    def content(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads(self.body)
        return content

    @property
    def name(self) -> str:
        """`INCIDENT.SEQUENCE`"""
        return f"{self.content['incident']['id']}.{self.content['entry']['sequence']}"


class Receivers:
    """The outside world: `answer` says what becomes of each POST."""

    def __init__(self, answer: Callable[[Post], Reply | None] = lambda post: Reply(204)) -> None:
        self.answer = answer
        self.posts: list[Post] = []
        self.under_way = 0
        self.most = 0

    async def __call__(self, url: str, headers: Mapping[str, str], body: bytes) -> Reply:
        post = Post(url, headers, body, asyncio.get_running_loop().time())
        self.posts.append(post)
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            await asyncio.sleep(0.05)
            reply = self.answer(post)
            if reply is None:
                await asyncio.Event().wait()
            assert reply is not None
            return reply
        finally:
            self.under_way -= 1

    @property
    def names(self) -> list[str]:
        return [post.name for post in self.posts]


class Scene:
    """A store in memory, and the webhooks of the process that writes it; `another` is a process beside it."""

    def __init__(self, *hooks: Webhook, receivers: Receivers | None = None) -> None:
        self.receivers = receivers or Receivers()
        self.clock = virtual_loop().clock
        self.subscriptions = Subscriptions(hooks or (HOOK,))
        self.store = Store.inline(on_entry=self.subscriptions.on_entry)
        self.webhooks = self._process(self.subscriptions)

    def another(self) -> Webhooks:
        return self._process(Subscriptions(self.subscriptions.hooks))

    def _process(self, subscriptions: Subscriptions) -> Webhooks:
        return Webhooks(subscriptions, self.store, self.receivers, self.clock, random.Random(0))

    def start(self, webhooks: Webhooks | None = None) -> asyncio.Task[None]:
        return asyncio.get_running_loop().create_task((webhooks or self.webhooks).run())

    async def opens(self, incident: str, caller: str | None = None) -> None:
        def write(connection: Connection) -> None:
            rows.open_incident(
                connection,
                incident_id=incident,
                kind=Kind.PANIC,
                priority=1,
                device_id=None,
                worker_id=None,
                caller=caller,
                dialled=None,
                identified_by=None,
                at=self.clock.now(),
                detail={},
            )

        await self.store.run(write)

    async def notes(self, incident: str, kind: str = "marked", **detail: Any) -> Entry:
        entry = partial(rows.append, kind=kind, detail=detail, actor="operator:olga", at=self.clock.now())
        return await self.store.run(partial(entry, incident_id=incident))

    async def standing(self) -> Mapping[str, Standing]:
        return await self.store.read(deliveries.standing)


@virtually
async def test_a_delivery_is_signed_and_says_what_happened_on_which_incident() -> None:
    scene = Scene()
    await scene.opens("aaaa")
    entry = await scene.notes("aaaa", position_s=3)
    running = scene.start()
    await asyncio.sleep(1)
    running.cancel()
    post = scene.receivers.posts[1]
    assert post.url == URL
    assert post.content == {
        "incident": {"id": "aaaa", "kind": "panic", "state": "open"},
        "entry": {
            "sequence": 2,
            "at": entry.at,
            "kind": "marked",
            "actor": "operator:olga",
            "detail": {"position_s": 3},
            "hash": entry.hash,
        },
    }
    sent = int(scene.clock.now().timestamp()) - 1
    mac = hmac.new(b"s3cret", f"{sent}.".encode() + post.body, sha256).hexdigest()
    assert post.headers["Earshot-Signature"] == f"t={sent},v1={mac}"
    assert post.headers["Earshot-Event"] == "marked"


@virtually
async def test_no_number_name_place_or_free_text_leaves_the_house() -> None:
    scene = Scene()
    await scene.opens("aaaa", caller="+31612345678")
    await scene.notes("aaaa", contact="anna", number="+31612345678", note="fell from a ladder", latitude=52.1)
    scene.start()
    await asyncio.sleep(1)
    told = b"".join(post.body for post in scene.receivers.posts).decode()
    assert '"contact":"anna"' in told
    for secret in ("31612345678", "ladder", "52.1"):
        assert secret not in told


@virtually
async def test_what_is_undone_is_not_told() -> None:
    scene = Scene()
    await scene.opens("aaaa")

    def fails(connection: Connection) -> None:
        rows.append(connection, "aaaa", kind="marked", detail={}, actor="system", at=scene.clock.now())
        raise ValueError("a bug")

    with pytest.raises(ValueError, match="a bug"):
        await scene.store.run(fails)
    scene.start()
    await asyncio.sleep(5)
    assert scene.receivers.names == ["aaaa.1"]


@virtually
async def test_a_hook_hears_only_of_the_kinds_that_it_asked_for() -> None:
    few = Webhook(id="few", url="https://few.example", secret="x", events=("resolved", "opened"))
    scene = Scene(HOOK, few)
    await scene.opens("aaaa")
    await scene.notes("aaaa", "marked")
    scene.start()
    await asyncio.sleep(1)
    assert [post.name for post in scene.receivers.posts if post.url == few.url] == ["aaaa.1"]
    assert [post.name for post in scene.receivers.posts if post.url == URL] == ["aaaa.1", "aaaa.2"]


@virtually
async def test_what_is_written_while_it_runs_is_delivered_at_once() -> None:
    scene = Scene()
    scene.start()
    await asyncio.sleep(10.3)  # between two looks
    await scene.opens("aaaa")
    await asyncio.sleep(0.01)
    assert scene.receivers.names == ["aaaa.1"]


@virtually
async def test_what_another_process_wrote_is_found() -> None:
    scene = Scene()
    scene.start(scene.another())
    await asyncio.sleep(10.3)
    await scene.opens("aaaa")
    await asyncio.sleep(1.1)
    assert scene.receivers.names == ["aaaa.1"]


@virtually
async def test_deliveries_of_one_incident_keep_their_order_and_those_of_others_do_not_wait() -> None:
    failures = iter([Reply(500), Reply(503)])
    scene = Scene(receivers=Receivers(lambda post: next(failures, Reply(200)) if post.name == "aaaa.1" else Reply(200)))
    await scene.opens("aaaa")
    await scene.notes("aaaa")
    await scene.opens("bbbb")
    await scene.notes("bbbb")
    scene.start()
    with structlog.testing.capture_logs():
        await asyncio.sleep(60)
    names = scene.receivers.names
    assert [name for name in names if name.startswith("a")] == ["aaaa.1", "aaaa.1", "aaaa.1", "aaaa.2"]
    assert names.index("bbbb.2") < names.index("aaaa.2")
    assert await scene.standing() == {}


@virtually
async def test_each_attempt_has_the_same_name_and_a_signature_of_its_own_time() -> None:
    failures = iter([Reply(500)])
    scene = Scene(receivers=Receivers(lambda post: next(failures, Reply(200))))
    await scene.opens("aaaa")
    scene.start()
    with structlog.testing.capture_logs():
        await asyncio.sleep(60)
    first, second = scene.receivers.posts
    assert first.headers["Earshot-Delivery"] == second.headers["Earshot-Delivery"]
    assert first.headers["Earshot-Signature"] != second.headers["Earshot-Signature"]


def test_a_receiver_that_is_away_for_a_day_is_given_up_visibly_and_the_next_delivery_goes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(worker, "POLL", 60.0)

    async def story() -> None:
        scene = Scene(receivers=Receivers(lambda post: Reply(500) if post.name == "aaaa.1" else Reply(200)))
        await scene.opens("aaaa")
        await scene.notes("aaaa")
        scene.start()
        with structlog.testing.capture_logs() as logs:
            await asyncio.sleep(0.8 * DAY)
            assert (scene.webhooks.waiting, scene.webhooks.given_up) == (2, 0)
            await asyncio.sleep(0.4 * DAY)
        assert scene.receivers.names == ["aaaa.1"] * ATTEMPTS + ["aaaa.2"]
        assert (scene.webhooks.waiting, scene.webhooks.given_up) == (0, 1)
        assert [line["why"] for line in logs if line["event"] == "webhook given up"] == ["answered 500"]
        assert URL not in repr(logs)

    run_virtual(story(), limit=2 * DAY)


@virtually
async def test_410_gives_up_at_once() -> None:
    scene = Scene(receivers=Receivers(lambda post: Reply(410)))
    await scene.opens("aaaa")
    scene.start()
    with structlog.testing.capture_logs():
        await asyncio.sleep(120)
    assert scene.receivers.names == ["aaaa.1"]
    assert await scene.standing() == {"dispatch": Standing(waiting=0, given_up=1)}


@virtually
async def test_a_redirect_is_no_success() -> None:
    scene = Scene(receivers=Receivers(lambda post: Reply(302)))
    await scene.opens("aaaa")
    scene.start()
    with structlog.testing.capture_logs():
        await asyncio.sleep(8)
    assert scene.receivers.names == ["aaaa.1", "aaaa.1"]
    assert await scene.standing() == {"dispatch": Standing(waiting=1, given_up=0)}


@virtually
async def test_a_receiver_may_ask_for_time() -> None:
    replies = iter([Reply(429, retry_after=600.0)])
    scene = Scene(receivers=Receivers(lambda post: next(replies, Reply(200))))
    await scene.opens("aaaa")
    scene.start()
    with structlog.testing.capture_logs():
        await asyncio.sleep(1000)
    first, second = scene.receivers.posts
    assert second.at - first.at >= 600


@virtually
async def test_a_receiver_that_hangs_keeps_no_other_waiting() -> None:
    hangs = Webhook(id="hangs", url="https://hangs.example", secret="x")
    scene = Scene(hangs, HOOK, receivers=Receivers(lambda post: None if post.url == hangs.url else Reply(200)))
    for number in range(3 * AT_ONCE):
        await scene.opens(f"i{number:03}")
    scene.start()
    with structlog.testing.capture_logs():
        await asyncio.sleep(PATIENCE / 2)
        told = [post for post in scene.receivers.posts if post.url == URL]
        assert len(told) == 3 * AT_ONCE
        assert len(scene.receivers.posts) - len(told) == AT_ONCE
        await asyncio.sleep(PATIENCE)
    assert len([post for post in scene.receivers.posts if post.url == hangs.url]) > AT_ONCE


@virtually
async def test_no_answer_and_no_connection_are_tried_again_with_their_reason_in_the_store() -> None:
    def unreachable(post: Post) -> Reply:
        raise ReceiverUnreachable("no connection")

    scene = Scene(receivers=Receivers(unreachable))
    await scene.opens("aaaa")
    scene.start()
    with structlog.testing.capture_logs():
        await asyncio.sleep(1)
        assert await scene.store.read(_error) == "no connection"
        scene.receivers.answer = lambda post: None
        await asyncio.sleep(10 + PATIENCE)
        assert await scene.store.read(_error) == "no answer within 10 s"


def _error(connection: Connection) -> Any:
    return connection.execute(select(schema.deliveries.c.error)).scalar_one()


@virtually
async def test_two_processes_never_send_the_same_at_once() -> None:
    scene = Scene()
    for number in range(40):
        await scene.opens(f"i{number:03}")
        await scene.notes(f"i{number:03}")
    scene.start()
    scene.start(scene.another())
    await asyncio.sleep(30)
    assert len(scene.receivers.names) == len(set(scene.receivers.names)) == 80
    assert scene.receivers.most > AT_ONCE


@virtually
async def test_what_a_dead_process_had_under_way_is_sent_again_under_its_name_when_the_claim_has_run_out() -> None:
    scene = Scene(receivers=Receivers(lambda post: None))
    await scene.opens("aaaa")
    dying = scene.start()
    await asyncio.sleep(1)
    dying.cancel()
    scene.receivers.answer = lambda post: Reply(200)
    scene.start(scene.another())
    await asyncio.sleep(CLAIM - 2)
    assert len(scene.receivers.posts) == 1
    await asyncio.sleep(4)
    first, second = scene.receivers.posts
    assert first.headers["Earshot-Delivery"] == second.headers["Earshot-Delivery"]
    assert await scene.standing() == {}


@virtually
async def test_a_process_whose_claim_ran_out_settles_nothing() -> None:
    scene = Scene()
    await scene.opens("aaaa")
    now = scene.clock.now
    (mine,) = await scene.store.run(partial(deliveries.claim, hook="dispatch", limit=5, now=now(), seconds=5))
    await asyncio.sleep(6)
    (theirs,) = await scene.store.run(partial(deliveries.claim, hook="dispatch", limit=5, now=now(), seconds=5))
    assert not await scene.store.run(partial(deliveries.give_up, delivery=mine, error="late"))
    assert await scene.store.run(partial(deliveries.delivered, delivery=theirs))


@virtually
async def test_a_store_that_is_away_for_a_while_ends_nothing() -> None:
    scene = Scene()
    await scene.opens("aaaa")
    scene.store.fail_with(OSError("no space"))
    running = scene.start()
    await asyncio.sleep(5)
    scene.store.fail_with(None)
    await asyncio.sleep(CLAIM + 5)
    assert not running.done()
    assert scene.receivers.names[0] == "aaaa.1"
    assert await scene.standing() == {}


@virtually
async def test_old_deliveries_are_forgotten() -> None:
    scene = Scene()
    await scene.opens("aaaa")
    await scene.store.run(partial(deliveries.forget, before=scene.clock.now()))
    assert await scene.store.read(_count) == 1
    await asyncio.sleep(1)
    await scene.store.run(partial(deliveries.forget, before=scene.clock.now()))
    assert await scene.store.read(_count) == 0


def _count(connection: Connection) -> Any:
    return connection.execute(select(func.count()).select_from(schema.deliveries)).scalar_one()


def test_waits_double_up_to_an_hour_and_add_up_to_a_day() -> None:
    waits = [wait(attempts, random.Random(7)) for attempts in range(1, ATTEMPTS)]
    assert wait(ATTEMPTS, random.Random(7)) is None
    assert all(0 < seconds <= LONGEST_WAIT * 1.25 for seconds in waits if seconds is not None)
    middle = random.Random(7)
    middle.uniform = lambda low, high: 1.0  # type: ignore[method-assign]
    total = sum(wait(attempts, middle) or 0 for attempts in range(1, ATTEMPTS))
    assert total == pytest.approx(DAY, rel=0.05)


def test_the_example_in_the_documentation_tells_a_signature_from_a_forgery(monkeypatch: pytest.MonkeyPatch) -> None:
    page = Path(__file__).parents[2].joinpath("docs/webhooks.md").read_text()
    (example,) = re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    there: dict[str, Any] = {}
    exec(compile(example, "docs/webhooks.md", "exec"), there)
    monkeypatch.setattr(there["time"], "time", lambda: 1767250800.0)
    verify = there["verify"]
    good = signature("s3cret", 1767250800 - 5, b"{}")
    assert verify("s3cret", good, b"{}")
    assert not verify("s3cret", good, b'{"more": 1}')
    assert not verify("other", good, b"{}")
    assert not verify("s3cret", signature("s3cret", 1767250800 - 301, b"{}"), b"{}")
    assert not verify("s3cret", good.replace("t=17672507", "t=17672508"), b"{}")
    for garbage in ("", "t=,v1=", "t=x,v1=y", "v1=" + "0" * 64, "t=1767250800,v1=é", ",,,"):
        assert not verify("s3cret", garbage, b"{}")
