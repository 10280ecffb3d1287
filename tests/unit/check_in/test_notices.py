"""Workers are told of what is to come, by text message and by a hook, whatever else happens; it raises nothing."""

import asyncio
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import structlog.testing

from config.models import Settings
from voice.check_in.notices import PATIENCE, WAITS, Notices
from voice.messages.channel import Message, MessageFailed, Receipt
from voice.sim.loop import virtually
from voice.webhooks.posting import ReceiverUnreachable, Reply
from voice.webhooks.signing import DELIVERY, EVENT, SIGNATURE, signature

AT = datetime(2026, 7, 1, 9, 0, tzinfo=UTC)
DUE = AT + timedelta(minutes=5)
DOWN = MessageFailed("the provider cannot be reached", retry_can_help=True)


class Clock:
    def __init__(self) -> None:
        self._began = asyncio.get_running_loop().time()

    def now(self) -> datetime:
        return AT + timedelta(seconds=asyncio.get_running_loop().time() - self._began)


class Wire:
    """A channel that fails as often as it is told."""

    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)
        self.taken: list[Message] = []

    async def send(self, message: Message) -> Receipt:
        if self.failures:
            raise self.failures.pop(0)
        self.taken.append(message)
        return Receipt(message.key)


class App:
    """The receiver of the hook; `None`: it never answers."""

    def __init__(self, *answers: int | Exception | None) -> None:
        self.answers = list(answers)
        self.requests: list[tuple[str, Mapping[str, str], bytes]] = []

    async def __call__(self, url: str, headers: Mapping[str, str], body: bytes) -> Reply:
        self.requests.append((url, headers, body))
        answer = self.answers.pop(0) if self.answers else 204
        if answer is None:
            await asyncio.Event().wait()
        if isinstance(answer, Exception):
            raise answer
        return Reply(answer or 0)


class Scene:
    def __init__(self, wire: Wire | None = None, app: App | None = None, **check_in: Any) -> None:
        self.wire, self.app = wire or Wire(), app or App()
        self.settings = Settings.model_validate(
            {
                "customers": [
                    {"id": "care", "name": "Care", "timezone": "Europe/Lisbon", "language": "de"},
                ],
                "workers": [
                    {"id": "anna", "name": "Anna Jansen", "numbers": ["badge7", "+31612345678"], "language": "nl"},
                    {"id": "bob", "name": "Bob", "numbers": ["+31687654321"], "customer": "care"},
                    {"id": "carl", "name": "Carl", "language": "fr"},
                ],
                "check_in": check_in,
            }
        )
        self.notices = Notices(lambda: self.settings, {"sms": self.wire}, Clock(), self.app)

    async def warn(self, id: str = "anna") -> None:
        worker = self.settings.worker(id)
        assert worker is not None
        with structlog.testing.capture_logs() as self.logs:
            await self.notices.warn(worker, DUE)

    async def remind(self, id: str = "anna") -> None:
        worker = self.settings.worker(id)
        assert worker is not None
        with structlog.testing.capture_logs() as self.logs:
            await self.notices.remind(worker, DUE)

    @property
    def only(self) -> Message:
        (message,) = self.wire.taken
        return message


HOOK = {"hook": "https://app.example.org/check-ins", "hook_secret": "s3cret"}


@virtually
async def test_a_worker_is_warned_at_his_first_telephone_number_in_his_language() -> None:
    scene = Scene()
    await scene.warn()
    assert (scene.only.to, scene.only.language, scene.only.subject) == ("+31612345678", "nl", "Controle")
    assert scene.only.text == "Uw volgende controle is om 11:05. Wij bellen u."


@virtually
async def test_language_and_clock_are_the_customers_where_he_has_none() -> None:
    scene = Scene(numbers=["+31201234567"])
    await scene.remind("bob")
    assert scene.only.text == (
        "Ihr Einsatz endet um 10:05. Wir rufen Sie dann noch einmal an. "
        "Um ihn zu verlängern, rufen Sie +31201234567 an."
    )


@pytest.mark.parametrize("language", ["nl", "en", "de", "fr"])
def test_a_notice_fits_into_one_text_message(language: str) -> None:
    """160 characters of the alphabet of 3GPP TS 23.038; one outside it leaves 70."""

    @virtually
    async def story() -> None:
        scene = Scene(numbers=["+31201234567"])
        worker = scene.settings.workers[0].model_copy(update={"language": language})
        await scene.notices.warn(worker, DUE)
        await scene.notices.remind(worker, DUE)
        for message in scene.wire.taken:
            assert len(message.text) <= 160
            assert {character for character in message.text if not character.isascii()} <= set("éèàùäöüÄÖÜñß")

    story()


@virtually
async def test_the_same_notice_has_the_same_key_and_another_one_another() -> None:
    scene = Scene()
    for tell in (scene.warn, scene.warn, scene.remind):
        await tell()
    first, again, other = (message.key for message in scene.wire.taken)
    assert first == again != other


@virtually
async def test_a_message_is_tried_again_while_what_it_says_is_to_come() -> None:
    scene = Scene(Wire(DOWN, DOWN))
    await scene.warn()
    assert scene.only.to == "+31612345678"
    scene = Scene(Wire(*[DOWN] * 99))
    await scene.warn()
    assert len(scene.wire.failures) == 99 - len(WAITS) - 1
    assert [entry["event"] for entry in scene.logs] == ["a text message to a worker failed"]
    assert not any(told in str(scene.logs) for told in ("Anna", "anna", "612345678"))


@virtually
async def test_an_app_is_told_by_a_signed_hook() -> None:
    scene = Scene(**HOOK)
    await scene.warn()
    await scene.remind()
    (url, warned, body), (_, ends, ends_body) = scene.app.requests
    assert url == HOOK["hook"]
    assert json.loads(body) == {"worker": "anna", "due_at": "2026-07-01T09:05:00.000000Z"}
    assert json.loads(ends_body) == {"worker": "anna", "ends_at": "2026-07-01T09:05:00.000000Z"}
    assert (warned[EVENT], ends[EVENT]) == ("check_in.warned", "check_in.session_ends")
    assert warned[DELIVERY] != ends[DELIVERY]
    assert warned[SIGNATURE] == signature("s3cret", int(AT.timestamp()), body)


@virtually
async def test_the_hook_is_tried_once_more_and_what_goes_wrong_raises_nothing() -> None:
    scene = Scene(app=App(503), **HOOK)
    await scene.warn()
    assert len(scene.app.requests) == 2
    assert scene.logs == []
    for answer in (500, None, ReceiverUnreachable("no connection"), ZeroDivisionError("s3cret")):
        scene = Scene(app=App(answer, answer), **HOOK)
        async with asyncio.timeout(2 * PATIENCE + 5):
            await scene.warn()
        assert scene.only.to == "+31612345678"
        (entry,) = scene.logs
        assert not any(told in str(entry) for told in ("s3cret", "example.org", "anna"))


@virtually
async def test_who_has_no_number_and_no_app_is_told_nothing() -> None:
    scene = Scene()
    await scene.warn("carl")
    assert (scene.wire.taken, scene.app.requests, scene.logs) == ([], [], [])
