"""Carries out `Send`: words, address and channel of a message to a contact, tried again while that can help.

What became of it stands on the timeline, with the contact's id and never his address. A message that went out proves
nothing: the escalation does not wait for it.
"""

import asyncio
from collections.abc import Callable, Mapping
from random import Random
from typing import Any, Protocol

import structlog

from config.plans import Contact, FrozenPlan
from voice.escalation.commands import Send
from voice.escalation.sparing import reach
from voice.escalation.state import State
from voice.messages.channel import Channel, Message, MessageFailed, Receipt
from voice.messages.wording import Extra, Reader, reader_of, subject, text

log = structlog.get_logger(__name__)

WAITS = (2.0, 5.0, 15.0, 30.0, 60.0, 120.0, 240.0, 480.0)
"""Seconds between attempts: a quarter of an hour altogether, after which a message would tell old news."""

PATIENCE = 60.0
"""Seconds that a channel has for one attempt."""

Note = Callable[[str, str, Mapping[str, Any]], None]
"""(incident, kind, detail): adds an entry to a timeline."""


class Links(Protocol):
    """Makes acknowledgement links (`voice.messages.links`)."""

    async def make(self, incident: str, contact: str, *, counts: bool) -> str: ...


class Messenger:
    """Sends messages to contacts."""

    def __init__(
        self,
        channels: Mapping[str, Channel],
        *,
        note: Note,
        random: Random,
        links: Links | None = None,
        wanted: Callable[[str], bool] = lambda incident: True,
    ) -> None:
        """`channels` by `Send.channel`; `links`: None where no address for them is configured; `wanted` says whether
        an incident is still open: a message for one that is over is not tried again."""
        self._channels = channels
        self._note = note
        self._random = random
        self._links = links
        self._wanted = wanted

    async def carry_out(self, incident: str, state: State, frozen: FrozenPlan, command: Send) -> None:
        """Returns when the message has gone out, or never will. Being asked again with the same key sends it once,
        as far as the channel can tell."""
        detail = {"contact": command.contact, "channel": command.channel, "message": command.key}
        try:
            receipt = await self._send(incident, state, frozen, command)
        except MessageFailed as error:
            log.warning("message failed", incident=incident, channel=command.channel, why=str(error))
            self._note(incident, "message_failed", detail | {"why": str(error)})
            return
        said: dict[str, Any] = {"link": bool(command.link and self._links)}
        if receipt.repeated:  # an earlier process may have died between sending it and saying so
            said["repeated"] = True
        self._note(incident, "message_sent", detail | said)

    async def _send(self, incident: str, state: State, frozen: FrozenPlan, command: Send) -> Receipt:
        channel = self._channels.get(command.channel)
        if channel is None:
            raise MessageFailed(f"no channel for {command.channel} is configured", retry_can_help=False)
        contact = frozen.contacts.get(command.contact)
        to = address(contact, command.channel, state.facts.own_lines or ()) if contact else None
        if contact is None or to is None:
            raise MessageFailed(f"the contact has no address for {command.channel}", retry_can_help=False)
        message = await self._message(incident, state, reader_of(contact, frozen.customer), command, to)
        return await self._persist(channel, message, incident)

    async def _message(self, incident: str, state: State, reader: Reader, command: Send, to: str) -> Message:
        link = None
        if command.link and self._links is not None:
            link = await self._links.make(incident, command.contact, counts=command.counts)
        extra = Extra(command.text, link, command.counts)
        return Message(
            key=f"{incident}.{command.key}",
            contact_id=command.contact,
            to=to,
            subject=subject(incident, state.facts, reader),
            text=text(incident, state.facts, state.opened_at, extra, reader),
            language=reader.language,
            link=link,
        )

    async def _persist(self, channel: Channel, message: Message, incident: str) -> Receipt:
        """Try until it goes out, it cannot, it is too late, or nobody needs it any more."""
        for wait in (*WAITS, None):
            try:
                return await attempt(channel, message)
            except MessageFailed as error:
                if wait is None or not error.retry_can_help:
                    raise
                log.info("message delayed", incident=incident, why=str(error), again_s=wait)
            await asyncio.sleep(wait * self._random.uniform(0.75, 1.25))
            if not self._wanted(incident):
                break
        raise MessageFailed("the incident was over before it went out", retry_can_help=False)


async def attempt(channel: Channel, message: Message) -> Receipt:
    """Hand a message to its channel, once. Raises nothing but `MessageFailed`."""
    try:
        async with asyncio.timeout(PATIENCE):
            return await channel.send(message)
    except TimeoutError:
        raise MessageFailed("the channel does not answer in time", retry_can_help=True) from None
    except MessageFailed:
        raise
    except Exception as error:  # noqa: BLE001 - its text may hold an address; its kind is enough to find the fault
        raise MessageFailed(f"a fault of our own ({type(error).__name__})", retry_can_help=False) from None


def address(contact: Contact, channel: str, own: tuple[str, ...] = ()) -> str | None:
    """Where a message on this channel goes; None: he cannot be reached by it, or it would come to the worker himself,
    whom `own` leads to."""
    left = reach(contact, own)
    return left.email if channel == "email" else left.sms
