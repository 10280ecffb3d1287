"""Messages reach contacts as often as it takes and once, and the timeline knows by id only."""

import asyncio
import random
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import structlog.testing

from config.plans import OPERATORS_ONLY, Contact, Customer, FrozenPlan
from voice.escalation.commands import Send
from voice.escalation.engine import begin
from voice.escalation.state import Facts
from voice.messages import Message, MessageFailed, Receipt
from voice.messages.messenger import PATIENCE, WAITS, Messenger
from voice.sim.loop import virtually

INCIDENT = "1k3x9a0q"
STATE = begin(INCIDENT, Facts("panic", 1, worker="Bo Visser"), datetime(2026, 3, 1, 9, 15, tzinfo=UTC))
FROZEN = FrozenPlan(
    plan=OPERATORS_ONLY,
    customer=Customer(id="acme", name="Acme", language="en"),
    contacts={
        "anna": Contact(
            id="anna", name="Anna", numbers=("sip:anna@example.org", "+31612345678"), email="a@example.org"
        ),
        "ben": Contact(id="ben", name="Ben", numbers=("+31612345679",), sms="+31600000000", language="nl"),
        "sip": Contact(id="sip", name="Sipke", numbers=("sip:sipke@example.org",)),
    },
)
DOWN = MessageFailed("the mail server cannot be reached", retry_can_help=True)
REFUSED = MessageFailed("the mail server refused the recipient (550)", retry_can_help=False)


class Wire:
    """A channel that fails as often as it is told, and knows what it took."""

    def __init__(self, *failures: Exception, hangs: bool = False) -> None:
        self.failures = list(failures)
        self.hangs = hangs
        self.taken: dict[str, Message] = {}
        self.attempts = 0

    async def send(self, message: Message) -> Receipt:
        self.attempts += 1
        if self.hangs:
            await asyncio.Event().wait()
        if self.failures:
            raise self.failures.pop(0)
        repeated = message.key in self.taken
        self.taken.setdefault(message.key, message)
        return Receipt(message.key, repeated)

    @property
    def only(self) -> Message:
        (message,) = self.taken.values()
        return message


class Scene:
    def __init__(self, wire: Wire | None = None, *, over: bool = False, links: bool = True) -> None:
        self.wire = wire or Wire()
        self.notes: list[tuple[str, Mapping[str, Any]]] = []
        self.made: list[tuple[str, str, bool]] = []
        self.messenger = Messenger(
            {"sms": self.wire, "email": self.wire},
            note=lambda incident, kind, detail: self.notes.append((kind, detail)),
            random=random.Random(0),
            links=self if links else None,
            wanted=lambda incident: not over,
        )

    async def make(self, incident: str, contact: str, *, counts: bool) -> str:
        self.made.append((incident, contact, counts))
        return "https://a.example/acknowledge/x"

    async def send(self, command: Send) -> None:
        with structlog.testing.capture_logs() as self.logs:
            await self.messenger.carry_out(INCIDENT, STATE, FROZEN, command)


SEND = Send("4.0", "anna", "sms", "Key at the desk.")


@virtually
async def test_an_sms_goes_to_the_first_telephone_number_of_a_contact() -> None:
    scene = Scene()
    await scene.send(SEND)
    assert scene.wire.only.to == "+31612345678"
    assert scene.wire.only.key == "1k3x9a0q.4.0"
    assert "Who: Bo Visser." in scene.wire.only.text
    assert "Key at the desk." in scene.wire.only.text


@virtually
async def test_an_sms_goes_to_the_number_for_messages_if_there_is_one_in_his_language() -> None:
    scene = Scene()
    await scene.send(replace(SEND, contact="ben"))
    assert scene.wire.only.to == "+31600000000"
    assert "Wie: Bo Visser." in scene.wire.only.text


@virtually
async def test_an_e_mail_goes_to_the_address_of_a_contact() -> None:
    scene = Scene()
    await scene.send(replace(SEND, channel="email"))
    assert scene.wire.only.to == "a@example.org"


@virtually
async def test_nothing_goes_to_the_worker_himself_not_even_what_an_earlier_version_had_decided() -> None:
    scene = Scene()
    threatened = replace(STATE, facts=replace(STATE.facts, own_lines=("+31612345678", "sip:anna@example.org")))
    for channel in ("sms", "email"):
        await scene.messenger.carry_out(INCIDENT, threatened, FROZEN, Send("4.0", "anna", channel, ""))
    assert not scene.wire.taken
    assert [kind for kind, _ in scene.notes] == ["message_failed", "message_failed"]


@virtually
async def test_the_timeline_says_who_was_sent_what_and_never_where_to() -> None:
    scene = Scene()
    await scene.send(SEND)
    assert scene.notes == [
        ("message_sent", {"contact": "anna", "channel": "sms", "message": "4.0", "link": False}),
    ]


@virtually
async def test_a_message_carries_a_link_when_the_plan_says_so() -> None:
    scene = Scene()
    await scene.send(replace(SEND, link=True, counts=True))
    assert scene.made == [(INCIDENT, "anna", True)]
    assert scene.wire.only.link == "https://a.example/acknowledge/x"
    assert "Take this alarm: https://a.example/acknowledge/x" in scene.wire.only.text


@virtually
async def test_a_message_goes_out_without_a_link_where_nobody_could_follow_it() -> None:
    scene = Scene(links=False)
    await scene.send(replace(SEND, link=True))
    assert scene.wire.only.link is None
    assert scene.notes[0][1]["link"] is False


@virtually
async def test_an_outage_is_outlasted() -> None:
    scene = Scene(Wire(DOWN, DOWN, DOWN))
    await scene.send(SEND)
    assert scene.wire.attempts == 4
    assert [kind for kind, _ in scene.notes] == ["message_sent"]


@virtually
async def test_a_channel_that_hangs_is_given_up_after_its_patience_each_time() -> None:
    scene = Scene(Wire(hangs=True))
    began = asyncio.get_running_loop().time()
    await scene.send(SEND)
    passed = asyncio.get_running_loop().time() - began
    assert scene.wire.attempts == len(WAITS) + 1
    assert passed <= sum(WAITS) * 1.25 + PATIENCE * (len(WAITS) + 1)
    assert scene.notes[0][0] == "message_failed"
    assert scene.notes[0][1]["why"] == "the channel does not answer in time"


@virtually
async def test_a_refusal_is_final() -> None:
    scene = Scene(Wire(REFUSED))
    await scene.send(SEND)
    assert scene.wire.attempts == 1
    assert scene.notes[0][1]["why"] == "the mail server refused the recipient (550)"


@virtually
async def test_nothing_is_tried_again_for_an_incident_that_is_over() -> None:
    scene = Scene(Wire(DOWN), over=True)
    await scene.send(SEND)
    assert scene.wire.attempts == 1
    assert scene.notes[0][1]["why"] == "the incident was over before it went out"


@virtually
async def test_a_command_that_comes_twice_sends_one_message_and_the_timeline_tells_them_apart() -> None:
    scene = Scene()
    await scene.send(SEND)
    await scene.send(SEND)
    assert len(scene.wire.taken) == 1
    assert [detail.get("repeated") for _, detail in scene.notes] == [None, True]


@virtually
async def test_a_contact_without_an_address_or_a_channel_that_is_not_configured_is_noted() -> None:
    scene = Scene()
    await scene.send(replace(SEND, contact="sip"))
    await scene.send(replace(SEND, contact="nobody"))
    scene.messenger._channels = {}
    await scene.send(SEND)
    assert [detail["why"] for _, detail in scene.notes] == [
        "the contact has no address for sms",
        "the contact has no address for sms",
        "no channel for sms is configured",
    ]


@virtually
async def test_a_fault_of_a_channel_is_told_by_its_kind_only() -> None:
    scene = Scene(Wire(ValueError("a@example.org is odd")))
    await scene.send(SEND)
    assert scene.notes[0][1]["why"] == "a fault of our own (ValueError)"
    assert "example.org" not in repr(scene.logs)


@virtually
async def test_no_address_and_no_name_is_ever_in_a_log() -> None:
    scene = Scene(Wire(DOWN, REFUSED))
    await scene.send(replace(SEND, channel="email"))
    said = repr(scene.logs)
    assert scene.logs
    assert "a@example.org" not in said
    assert "Bo" not in said
    assert "Anna" not in said
