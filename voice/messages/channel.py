"""What a channel is: something that takes a message to a person, once for each key."""

from dataclasses import dataclass
from typing import Protocol

from config.plans import Language
from voice.errors import EarshotError


class MessageFailed(EarshotError):
    """A message did not go out. The text holds no address and no name: it goes onto the timeline."""

    def __init__(self, why: str, *, retry_can_help: bool) -> None:
        super().__init__(why)
        self.retry_can_help = retry_can_help


@dataclass(frozen=True, slots=True)
class Message:
    """One message to one person on one channel."""

    key: str
    """Names the message over all incidents; who is asked again to send it recognises it by this."""
    contact_id: str
    to: str
    """Telephone number or e-mail address. Personal data: never in a log, never on the timeline."""
    subject: str
    text: str
    """Complete: with what the plan adds, and with the link."""
    language: Language
    link: str | None = None
    """The acknowledgement link alone, for a channel that shows it in another way."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """The channel has taken the message. Whether a person has read it nobody knows."""

    reference: str
    """What the other side calls it: the Message-ID of an e-mail, the identifier of an SMS provider."""
    repeated: bool = False
    """It had gone out before under the same key, and did not go out again."""


class Channel(Protocol):
    """A way to a person: SMS by some provider, e-mail by some server, a file."""

    async def send(self, message: Message) -> Receipt:
        """Hand the message over. Once per `message.key`, as far as the other side lets us know.

        Raises `MessageFailed`, whose `retry_can_help` tells an outage from a refusal.
        """
        ...
