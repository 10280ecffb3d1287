"""The channels that `[messages]` asks for."""

from collections.abc import Mapping

from config.models import Messages
from voice.clock import Clock
from voice.messages.channel import Channel
from voice.messages.files import FileChannel
from voice.messages.smtp import MailServer, SmtpChannel


def channels(settings: Messages, clock: Clock) -> Mapping[str, Channel]:
    """By `Send.channel`; what is not configured is not there, and messages for it fail with that reason."""
    found: dict[str, Channel] = {}
    if settings.sms == "file":
        found["sms"] = FileChannel(settings.file, clock)
    if settings.smtp is not None:
        server = MailServer(
            address=settings.smtp,
            sender=settings.sender,
            encryption=settings.smtp_tls,
            username=settings.smtp_username,
            password=settings.smtp_password or "",
        )
        found["email"] = SmtpChannel(server, clock)
    return found
