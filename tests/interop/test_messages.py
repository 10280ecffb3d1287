"""E-mail to a real SMTP server, webhooks to real HTTP receivers, links followed by a real client. On loopback."""

import asyncio
import contextlib
import json
import random
import socket
import ssl
import threading
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import structlog.testing
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from sqlalchemy import Connection

from config.models import Webhook
from voice.clock import SystemClock
from voice.http import HttpServer
from voice.incidents.kinds import Kind
from voice.journal import Journal
from voice.messages import Message, MessageFailed
from voice.messages.links import PREFIX, Links
from voice.messages.smtp import Encryption, MailServer, SmtpChannel, message_id
from voice.metrics import Metrics
from voice.store import Store
from voice.store import incidents as rows
from voice.webhooks import HttpPoster, Subscriptions, Webhooks
from voice.webhooks.posting import ReceiverUnreachable, Reply

from .certificates import Certificates
from .ports import free_ports

SENDER = "Meldkamer <alarm@example.org>"
MESSAGE = Message("1k3x9a0q.4.0", "anna", "anna@example.org", "ALARM: Gerät", "Wer: Bø Visser.\nWo: hier.", "de")
USERNAME, PASSWORD = "earshot", "pässword"


class Post:
    """A post office: what it was handed, and whom it refuses."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.refused: dict[str, str] = {}

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address in self.refused:
            return f"{self.refused[address]} <{address}> is not wanted"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        content = envelope.content
        assert isinstance(content, bytes)
        mail = message_from_bytes(content, policy=policy.default)
        assert isinstance(mail, EmailMessage)
        self.mails.append(mail)
        return "250 OK"


def authenticate(server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
    known = isinstance(data, LoginPassword) and (data.login, data.password) == (USERNAME.encode(), PASSWORD.encode())
    return AuthResult(success=known, handled=False)


@pytest.fixture
def post() -> Post:
    return Post()


@pytest.fixture(autouse=True)
async def hung_up() -> AsyncIterator[None]:
    """TLS ends with an exchange (close_notify), and a loop that closes before it is over leaves its socket open."""
    yield
    transports = vars(asyncio.get_running_loop())["_transports"]
    async with asyncio.timeout(20):
        while any(transport.get_extra_info("socket").fileno() >= 0 for transport in transports.values()):  # noqa: ASYNC110
            await asyncio.sleep(0.01)


@pytest.fixture
def trusting(certificates: Certificates) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(certificates.authority))


@pytest.fixture
def office(post: Post, certificates: Certificates) -> Iterator[Callable[..., int]]:
    """`office("starttls")`: a post office that wants it so; gives its port."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificates.certificate, certificates.private_key)
    with contextlib.ExitStack() as stack:

        def start(encryption: Encryption, *, login: bool = False) -> int:
            options: dict[str, Any] = {}
            if login:
                options |= {"authenticator": authenticate}
                options |= {"auth_require_tls": encryption == "starttls", "auth_required": encryption == "starttls"}
            if encryption == "starttls":
                options |= {"tls_context": context, "require_starttls": True}
            if encryption == "tls":
                options |= {"ssl_context": context}
            port = free_ports()
            controller = Controller(post, hostname="127.0.0.1", port=port, ready_timeout=20, **options)
            controller.start()
            stack.callback(controller.stop)
            return port

        yield start


def channel(port: int, encryption: Encryption = "none", **more: Any) -> SmtpChannel:
    return SmtpChannel(MailServer(("127.0.0.1", port), SENDER, encryption, **more), SystemClock())


async def failure(channel: SmtpChannel, message: Message = MESSAGE) -> MessageFailed:
    with pytest.raises(MessageFailed) as caught:
        await channel.send(message)
    assert "anna" not in str(caught.value)
    return caught.value


@pytest.mark.parametrize("encryption", ["starttls", "tls"])
async def test_an_e_mail_goes_out_encrypted_after_a_login(
    encryption: Encryption, post: Post, office: Callable[..., int], trusting: ssl.SSLContext
) -> None:
    port = office(encryption, login=True)
    sender = channel(port, encryption, username=USERNAME, password=PASSWORD, tls_context=trusting)
    receipt = await sender.send(MESSAGE)
    (mail,) = post.mails
    assert receipt.reference == mail["Message-ID"] == message_id(MESSAGE.key, SENDER)
    assert (mail["To"], mail["From"], mail["Subject"]) == ("anna@example.org", SENDER, MESSAGE.subject)
    assert mail.get_content_type() == "text/plain"
    assert mail.get_content().splitlines() == MESSAGE.text.splitlines()
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["Content-Language"] == "de"


async def test_a_message_that_another_process_sends_again_has_the_same_message_id(
    post: Post, office: Callable[..., int]
) -> None:
    port = office("none")
    for _ in range(2):  # processes
        assert not (await channel(port).send(MESSAGE)).repeated
    first, second = (mail["Message-ID"] for mail in post.mails)
    assert first == second


async def test_a_message_that_the_server_took_is_not_sent_again_by_the_same_process(
    post: Post, office: Callable[..., int]
) -> None:
    sender = channel(office("none"))
    await sender.send(MESSAGE)
    assert (await sender.send(MESSAGE)).repeated
    assert len(post.mails) == 1


async def test_a_server_without_starttls_is_given_nothing(post: Post, office: Callable[..., int]) -> None:
    error = await failure(channel(office("none"), "starttls", username=USERNAME, password=PASSWORD))
    assert not error.retry_can_help
    assert post.mails == []


async def test_a_server_whose_certificate_is_not_trusted_is_given_nothing(
    post: Post, office: Callable[..., int]
) -> None:
    error = await failure(channel(office("tls"), "tls"))
    assert str(error) == "the certificate of the mail server is not trusted"
    assert post.mails == []


async def test_a_wrong_password_is_final(office: Callable[..., int], trusting: ssl.SSLContext) -> None:
    port = office("starttls", login=True)
    error = await failure(channel(port, "starttls", username=USERNAME, password="guess", tls_context=trusting))
    assert str(error) == "the mail server refused the login (535)"
    assert not error.retry_can_help


async def test_5xx_is_final_and_4xx_is_tried_again(post: Post, office: Callable[..., int]) -> None:
    port = office("none")
    post.refused = {MESSAGE.to: "550"}
    final = await failure(channel(port))
    post.refused = {MESSAGE.to: "451"}
    passing = await failure(channel(port))
    assert (str(final), final.retry_can_help) == ("the mail server refused the recipient (550)", False)
    assert (str(passing), passing.retry_can_help) == ("the mail server refused the recipient (451)", True)


async def test_a_server_that_is_away_or_says_nothing_is_tried_again() -> None:
    assert (await failure(channel(free_ports()))).retry_can_help
    with socket.create_server(("127.0.0.1", 0)) as silent:
        error = await failure(channel(silent.getsockname()[1], timeout=0.3))
    assert (str(error), error.retry_can_help) == ("the mail server does not answer in time", True)


@pytest.mark.parametrize("to", ["", "anna", "anna@example.org\r\nBcc: all@example.org", "a@b, c@d"])
async def test_an_address_that_is_none_is_refused_before_anything_is_sent(to: str) -> None:
    error = await failure(channel(free_ports()), Message("k", "anna", to, "ALARM", "text", "nl"))
    assert not error.retry_can_help


# -- webhooks --


class Receiver:
    """An HTTP server that keeps what it was posted; `respond` writes the answer."""

    def __init__(self, respond: Callable[[BaseHTTPRequestHandler], None]) -> None:
        self.posts: list[tuple[dict[str, str], bytes]] = []
        self.arrived = threading.Event()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.posts.append((dict(self.headers), body))
                receiver.arrived.set()
                with contextlib.suppress(OSError):
                    respond(self)

            def do_GET(self) -> None:
                receiver.posts.append((dict(self.headers), b"a redirect was followed"))

            def log_message(self, format: str, *args: object) -> None:
                return

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.block_on_close = False
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}/hook"

    async def told(self) -> None:
        assert await asyncio.to_thread(self.arrived.wait, 30)

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


def status(code: int, **headers: str) -> Callable[[BaseHTTPRequestHandler], None]:
    def respond(request: BaseHTTPRequestHandler) -> None:
        request.send_response(code)
        for name, value in headers.items():
            request.send_header(name.replace("_", "-"), value)
        request.send_header("Content-Length", "0")
        request.end_headers()

    return respond


@pytest.fixture
def receiver() -> Iterator[Callable[..., Receiver]]:
    with contextlib.ExitStack() as stack:

        def start(respond: Callable[[BaseHTTPRequestHandler], None]) -> Receiver:
            made = Receiver(respond)
            stack.callback(made.close)
            return made

        yield start


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/earshot.db"


async def test_a_redirect_is_answered_to_the_caller_and_not_followed(receiver: Callable[..., Receiver]) -> None:
    elsewhere = receiver(status(200))
    here = receiver(status(302, Location=elsewhere.url))
    async with HttpPoster() as poster:
        assert await poster(here.url, {}, b"{}") == Reply(302)
    assert elsewhere.posts == []


async def test_a_body_without_an_end_is_not_read(receiver: Callable[..., Receiver]) -> None:
    def endless(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.end_headers()
        while True:
            request.wfile.write(b"x" * 65536)

    async with HttpPoster() as poster:
        assert (await poster(receiver(endless).url, {}, b"{}")).status == 200


async def test_retry_after_is_understood(receiver: Callable[..., Receiver]) -> None:
    async with HttpPoster() as poster:
        assert await poster(receiver(status(503, Retry_After="120")).url, {}, b"{}") == Reply(503, 120.0)


async def test_no_connection_says_so_without_the_address() -> None:
    async with HttpPoster() as poster:
        with pytest.raises(ReceiverUnreachable) as caught:
            await poster(f"http://127.0.0.1:{free_ports()}/secret", {}, b"{}")
    assert str(caught.value) == "no connection"


def opening(incident: str, at: Any) -> Callable[[Connection], None]:
    def write(connection: Connection) -> None:
        rows.open_incident(
            connection,
            incident_id=incident,
            kind=Kind.PANIC,
            priority=1,
            device_id="badge-7",
            worker_id=None,
            caller=None,
            dialled=None,
            identified_by=None,
            at=at,
            detail={},
        )

    return write


async def test_an_incident_is_told_beside_a_receiver_that_hangs(receiver: Callable[..., Receiver], url: str) -> None:
    never = threading.Event()
    hanging, well = receiver(lambda request: never.wait(60) and None), receiver(status(204))
    clock = SystemClock()
    hooks = [Webhook(id=name, url=made.url, secret=name) for name, made in (("hangs", hanging), ("well", well))]
    subscriptions = Subscriptions(hooks)
    store = Store(url, on_entry=subscriptions.on_entry)
    with structlog.testing.capture_logs():
        async with HttpPoster() as poster:
            running = asyncio.create_task(Webhooks(subscriptions, store, poster, clock, random.Random()).run())
            await store.run(opening("1k3x9a0q", clock.now()))
            await hanging.told()
            await well.told()
            never.set()
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
        await store.close()
    headers, body = well.posts[0]
    assert json.loads(body)["entry"]["kind"] == "opened"
    assert headers["Earshot-Event"] == "opened"
    assert headers["Earshot-Signature"].startswith("t=")


# -- acknowledgement links --


def ask(url: str, method: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, method=method), timeout=30) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


async def test_a_link_is_followed_over_http(url: str) -> None:
    clock, store = SystemClock(), Store(url)
    left: list[Any] = []
    server = HttpServer(("127.0.0.1", 0), Metrics().registry, lambda: None)
    links = Links(
        f"http://127.0.0.1:{server.port}",
        store=store,
        journal=Journal(store),
        leave=lambda connection, letter, incident, event, at: left.append(event),
        clock=clock,
        random=random.Random(),
    )
    server.mount(PREFIX, links.visit, asyncio.get_running_loop())
    server.start()
    try:
        await store.run(opening("1k3x9a0q", clock.now()))
        link = await links.make("1k3x9a0q", "anna", counts=False)
        shown = await asyncio.to_thread(ask, link, "GET")
        assert left == []
        done = await asyncio.to_thread(ask, link, "POST")
        wrong = await asyncio.to_thread(ask, f"{link}x", "POST")
    finally:
        server.close()
        await store.close()
    assert (shown[0], done[0], wrong[0]) == (200, 200, 404)
    assert "<form" in shown[1]
    assert "Genoteerd is" in done[1]
    assert [event.contact for event in left] == ["anna"]
