"""E-mail by SMTP (RFC 5321), in plain text and UTF-8.

SMTP cannot tell a repeated message from a new one, so one whose process died before the server had answered is sent
again. Its Message-ID is made of its key, so that the reader's mail program sees one message and not two.
"""

import ssl
from dataclasses import dataclass
from email.errors import MessageError
from email.headerregistry import Address as Mailbox
from email.message import EmailMessage
from email.utils import format_datetime, parseaddr
from hashlib import sha256
from typing import Literal

import aiosmtplib

from voice.address import Address
from voice.clock import Clock
from voice.messages.channel import Message, MessageFailed, Receipt

Encryption = Literal["starttls", "tls", "none"]

TIMEOUT = 15.0
"""Seconds for each step of the conversation with the server."""

REMEMBERED = 4096
"""Messages whose keys a process remembers, so that a command that comes twice sends one message."""


@dataclass(frozen=True, slots=True)
class MailServer:
    """Where e-mail is handed over, and as whom."""

    address: Address
    sender: str
    """`alarms@example.org`, or with a name: `Alarm centre <alarms@example.org>`."""
    encryption: Encryption = "starttls"
    """`starttls`: a server that does not offer it gets nothing."""
    username: str = ""
    password: str = ""
    tls_context: ssl.SSLContext | None = None
    """None: the certificates that the system trusts."""
    timeout: float = TIMEOUT


class SmtpChannel:
    """One server for outgoing e-mail; a connection for each message."""

    def __init__(self, server: MailServer, clock: Clock) -> None:
        self._server = server
        self._clock = clock
        self._context = server.tls_context or ssl.create_default_context()
        self._sent: dict[str, None] = {}
        """Keys of the latest messages that the server took, oldest first."""

    async def send(self, message: Message) -> Receipt:
        """`Channel`. An answer of 5xx is final (RFC 5321 section 4.2.1); 4xx, or none at all, is tried again."""
        server = self._server
        if message.key in self._sent:
            return Receipt(message_id(message.key, server.sender), repeated=True)
        mail = self._mail(message)
        try:
            await aiosmtplib.send(
                mail,
                hostname=server.address[0],
                port=server.address[1],
                username=server.username or None,
                password=server.password or None,
                use_tls=server.encryption == "tls",
                start_tls=server.encryption == "starttls",
                tls_context=None if server.encryption == "none" else self._context,
                timeout=server.timeout,
            )
        except (aiosmtplib.SMTPException, OSError) as error:
            raise _failure(error) from None  # its words repeat the address
        return self._taken(message)

    def _taken(self, message: Message) -> Receipt:
        self._sent[message.key] = None
        if len(self._sent) > REMEMBERED:
            del self._sent[next(iter(self._sent))]
        return Receipt(message_id(message.key, self._server.sender))

    def _mail(self, message: Message) -> EmailMessage:
        mail = EmailMessage()
        try:
            mail["From"] = self._server.sender
            mail["To"] = Mailbox(addr_spec=message.to)
        except (ValueError, IndexError, MessageError):
            raise MessageFailed("the e-mail address cannot be used", retry_can_help=False) from None
        mail["Subject"] = " ".join(message.subject.split())
        mail["Date"] = format_datetime(self._clock.now())
        mail["Message-ID"] = message_id(message.key, self._server.sender)
        mail["Auto-Submitted"] = "auto-generated"  # RFC 3834: no absence notice comes back
        mail.set_content(message.text, charset="utf-8")
        mail["Content-Language"] = message.language
        return mail


def message_id(key: str, sender: str) -> str:
    """The Message-ID (RFC 5322 section 3.6.4) of a key: always the same one."""
    domain = parseaddr(sender)[1].rpartition("@")[2] or "earshot.invalid"
    return f"<{sha256(key.encode()).hexdigest()[:32]}@{domain}>"


def _failure(error: aiosmtplib.SMTPException | OSError) -> MessageFailed:
    """What went wrong, in our words: those of a server repeat the address."""
    match error:
        case aiosmtplib.SMTPRecipientsRefused(recipients=[refused, *_]):
            return _answered(refused.code, "the recipient")
        case aiosmtplib.SMTPAuthenticationError(code=code):
            return _answered(code, "the login")
        case aiosmtplib.SMTPConnectResponseError(code=code):
            return _answered(code, "the connection")
        case aiosmtplib.SMTPResponseException(code=code):
            return _answered(code, "the message")
        case aiosmtplib.SMTPNotSupported():
            return MessageFailed("the mail server does not offer what is configured", retry_can_help=False)
        case aiosmtplib.SMTPTimeoutError() | TimeoutError():
            return MessageFailed("the mail server does not answer in time", retry_can_help=True)
        case _ if type(error) is aiosmtplib.SMTPException:  # it found no STARTTLS, or no way to log in
            return MessageFailed("the mail server does not offer what is configured", retry_can_help=False)
        case _ if isinstance(error.__cause__, ssl.SSLCertVerificationError):
            return MessageFailed("the certificate of the mail server is not trusted", retry_can_help=True)
    return MessageFailed("the mail server cannot be reached", retry_can_help=True)


def _answered(code: int, what: str) -> MessageFailed:
    return MessageFailed(f"the mail server refused {what} ({code})", retry_can_help=not 500 <= code < 600)
