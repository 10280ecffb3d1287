"""A channel for messages that keeps them for a story to read."""

from voice.messages.channel import Message, MessageFailed, Receipt


class SimMessages:
    """A `Channel` without a network. One message per key, as real channels promise where they can."""

    def __init__(self) -> None:
        self.sent: list[Message] = []
        self.fails = False
        """While set, the other side is away."""

    async def send(self, message: Message) -> Receipt:
        if self.fails:
            raise MessageFailed("the channel is away", retry_can_help=True)
        if any(message.key == sent.key and message.to == sent.to for sent in self.sent):
            return Receipt(message.key, repeated=True)
        self.sent.append(message)
        return Receipt(message.key)
