"""What only real sockets can show: datagrams, framing, TLS, limits, ICMP, listeners that cannot be had."""

import asyncio
import contextlib
import datetime
import errno
import ipaddress
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from voice.address import Address
from voice.errors import ConfigurationError, UsageError
from voice.sip.flow import Flow
from voice.sip.locality import Locality
from voice.sip.sockets import refusal
from voice.sip.stream import StreamLimits
from voice.sip.tls import client_context, server_context
from voice.sip.transport import SocketTransport

LOOPBACK = ("127.0.0.1", 0)
OPTIONS = b"OPTIONS sip:a@b SIP/2.0\r\nContent-Length: 4\r\n\r\nbody"


class Host:
    """A transport with what it was told."""

    def __init__(self, transport: SocketTransport) -> None:
        self.transport = transport
        self.got: list[tuple[bytes, Flow]] = []
        self.failures: list[tuple[Flow, Exception]] = []
        transport.receiver = lambda data, flow: self.got.append((data, flow))
        transport.failed = lambda flow, error: self.failures.append((flow, error))

    @property
    def messages(self) -> list[bytes]:
        return [data for data, _ in self.got]

    def address(self, protocol: str) -> Address:
        return dict(self.transport.listening)[protocol]


@contextlib.asynccontextmanager
async def running(*transports: SocketTransport) -> AsyncIterator[list[Host]]:
    hosts = [Host(transport) for transport in transports]
    for transport in transports:
        await transport.start()
    try:
        yield hosts
    finally:
        for transport in transports:
            await transport.close()


async def until(condition: Callable[[], object]) -> None:
    for _ in range(2500):
        if condition():
            return
        await asyncio.sleep(0.002)
    pytest.fail("nothing happened")


# -- UDP --


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_datagrams_travel_by_both_families(host: str) -> None:
    async with running(SocketTransport(udp=[(host, 0)]), SocketTransport(udp=[(host, 0)])) as (a, b):
        a.transport.send(OPTIONS, a.transport.flow("UDP", b.address("UDP")))
        await until(lambda: b.got)
        assert b.got[0][1].remote == a.address("UDP")


async def test_a_burst_of_datagrams_is_taken_without_loss() -> None:
    async with running(SocketTransport(udp=[LOOPBACK]), SocketTransport(udp=[LOOPBACK])) as (a, b):
        flow = a.transport.flow("UDP", b.address("UDP"))
        sent = [b"OPTIONS sip:%d SIP/2.0\r\n\r\n" % number for number in range(500)]
        for data in sent:
            a.transport.send(data, flow)
        await until(lambda: len(b.got) == 500)
        assert b.messages == sent


@pytest.mark.parametrize("keep_alive", [b"\r\n\r\n", b"\r\n", b"\0", b"\0\0\0\0", b"", b"  \r\n"])
async def test_keep_alives_on_udp_are_no_messages(keep_alive: bytes) -> None:
    async with running(SocketTransport(udp=[LOOPBACK]), SocketTransport(udp=[LOOPBACK])) as (a, b):
        flow = a.transport.flow("UDP", b.address("UDP"))
        a.transport.send(keep_alive, flow)
        a.transport.send(OPTIONS, flow)
        await until(lambda: b.got)
        assert b.messages == [OPTIONS]


async def test_the_listener_of_the_right_family_and_scope_is_chosen() -> None:
    transport = SocketTransport(udp=[("127.0.0.1", 0), ("::1", 0), ("0.0.0.0", 0)])
    async with running(transport):
        loopback, six, any_four = (address for _, address in transport.listening)
        assert transport.flow("UDP", ("127.0.0.2", 5060)).local == loopback
        assert transport.flow("UDP", ("::1", 5060)).local == six
        assert transport.flow("UDP", ("192.0.2.1", 5060)).local == any_four


async def test_a_peer_of_a_family_that_we_do_not_listen_on_fails_and_raises_nothing() -> None:
    async with running(SocketTransport(udp=[LOOPBACK])) as (a,):
        flow = a.transport.flow("UDP", ("::1", 5060))
        a.transport.send(OPTIONS, flow)
        await until(lambda: a.failures)
        assert a.failures[0][0] == flow


async def test_an_unreachable_port_is_reported_for_the_flow_and_harms_no_other() -> None:
    silent = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    silent.bind(LOOPBACK)
    closed: Address = silent.getsockname()
    silent.close()
    async with running(SocketTransport(udp=[LOOPBACK]), SocketTransport(udp=[LOOPBACK])) as (a, b):
        bad, good = a.transport.flow("UDP", closed), a.transport.flow("UDP", b.address("UDP"))
        a.transport.send(OPTIONS, bad)
        for _ in range(20):
            a.transport.send(OPTIONS, good)
            await asyncio.sleep(0)
        await until(lambda: len(b.got) == 20 and a.failures)
        assert {flow for flow, _ in a.failures} == {bad}
        error = a.failures[0][1]
        assert isinstance(error, OSError)
        assert error.errno == errno.ECONNREFUSED


async def test_a_message_too_large_for_a_datagram_fails_and_raises_nothing() -> None:
    async with running(SocketTransport(udp=[LOOPBACK]), SocketTransport(udp=[LOOPBACK])) as (a, b):
        a.transport.send(b"x" * 70_000, a.transport.flow("UDP", b.address("UDP")))
        await until(lambda: a.failures)


async def test_a_receiver_that_raises_does_not_stop_the_listener() -> None:
    loop = asyncio.get_running_loop()
    seen: list[object] = []
    loop.set_exception_handler(lambda _, context: seen.append(context.get("exception")))
    async with running(SocketTransport(udp=[LOOPBACK]), SocketTransport(udp=[LOOPBACK])) as (a, b):
        messages: list[bytes] = []

        def faulty(data: bytes, flow: Flow) -> None:
            messages.append(data)
            if data.startswith(b"BAD"):
                raise ValueError("a bug of ours")

        b.transport.receiver = faulty
        flow = a.transport.flow("UDP", b.address("UDP"))
        for data in (b"BAD message", OPTIONS):
            a.transport.send(data, flow)
        await until(lambda: len(messages) == 2)
        assert [type(error) for error in seen] == [ValueError]
    loop.set_exception_handler(None)


async def test_names_are_resolved_before() -> None:
    async with running(SocketTransport(udp=[LOOPBACK])) as (a,):
        with pytest.raises(UsageError):
            a.transport.flow("UDP", ("example.org", 5060))


# -- streams --


async def connected(host: Host) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection(*host.address("TCP"))


@contextlib.asynccontextmanager
async def listening(limits: StreamLimits | None = None) -> AsyncIterator[Host]:
    async with running(SocketTransport(tcp=[LOOPBACK], limits=limits)) as (host,):
        yield host


async def test_a_message_that_arrives_byte_by_byte_is_one_message() -> None:
    async with listening() as host:
        _, writer = await connected(host)
        for byte in OPTIONS + OPTIONS:
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0)
        await until(lambda: len(host.got) == 2)
        assert host.messages == [OPTIONS, OPTIONS]
        writer.close()


async def test_a_double_crlf_is_answered_with_a_single_one() -> None:
    async with listening() as host:
        reader, writer = await connected(host)
        writer.write(b"\r\n\r\n" + OPTIONS + b"\r\n\r\n")
        async with asyncio.timeout(5):
            assert await reader.readexactly(4) == b"\r\n\r\n"
        assert host.messages == [OPTIONS]
        writer.close()


async def test_a_message_without_content_length_is_handed_up_and_the_connection_closed_after_the_answer() -> None:
    async with listening() as host:
        host.transport.receiver = lambda data, flow: host.transport.send(b"SIP/2.0 400 Bad\r\n\r\n", flow)
        reader, writer = await connected(host)
        writer.write(b"OPTIONS sip:a@b SIP/2.0\r\nVia: x\r\n\r\n")
        async with asyncio.timeout(5):
            assert await reader.read() == b"SIP/2.0 400 Bad\r\n\r\n"
        writer.close()


async def test_garbage_without_end_closes_the_connection() -> None:
    async with listening(StreamLimits(message=1000)) as host:
        reader, writer = await connected(host)
        writer.write(b"x" * 2000)
        async with asyncio.timeout(5):
            assert await reader.read() == b""
        assert host.got == []
        writer.close()


async def test_a_connection_that_brings_no_message_is_closed() -> None:
    async with listening(StreamLimits(first_message=0.05)) as host:
        reader, writer = await connected(host)
        async with asyncio.timeout(5):
            assert await reader.read() == b""
        writer.close()


async def test_a_connection_that_has_brought_one_may_be_idle_for_longer() -> None:
    async with listening(StreamLimits(first_message=0.05, idle=0.3)) as host:
        reader, writer = await connected(host)
        writer.write(OPTIONS)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.15):
                await reader.read()
        async with asyncio.timeout(5):
            assert await reader.read() == b""
        writer.close()


async def test_connections_past_the_limit_of_one_address_are_refused() -> None:
    async with listening(StreamLimits(per_host=2)) as host:
        pairs = [await connected(host) for _ in range(3)]
        async with asyncio.timeout(5):
            with contextlib.suppress(ConnectionResetError):
                assert await pairs[2][0].read() == b""
        pairs[0][1].write(OPTIONS)
        await until(lambda: host.got)
        pairs[0][1].close()
        await until(lambda: host.failures)
        _, again = await connected(host)
        again.write(OPTIONS)
        await until(lambda: len(host.got) == 2)
        for _, writer in [*pairs, (None, again)]:
            writer.close()


async def test_a_peer_that_does_not_read_loses_its_connection() -> None:
    async with listening(StreamLimits(write_buffer=100_000)) as host:
        _, writer = await connected(host)
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        writer.write(OPTIONS)
        await until(lambda: host.got)
        flow = host.got[0][1]
        for _ in range(2000):
            host.transport.send(b"x" * 10_000, flow)
            if host.failures:
                break
            await asyncio.sleep(0)
        assert isinstance(host.failures[0][1], BufferError)
        writer.close()


async def test_too_much_before_the_connection_stands_fails() -> None:
    async with listening(StreamLimits(write_buffer=1000)) as host:
        flow = host.transport.flow("TCP", host.address("TCP"))
        for _ in range(3):
            host.transport.send(b"x" * 600, flow)
        await until(lambda: host.failures)
        assert isinstance(host.failures[0][1], BufferError)


async def test_a_peer_that_never_answers_the_call_for_a_connection_fails_in_time() -> None:
    full = socket.socket()
    full.bind(LOOPBACK)
    full.listen(0)
    fillers = [socket.socket() for _ in range(3)]
    for filler in fillers:  # the queue of the listener is full after these: what follows gets no answer
        filler.setblocking(False)
        filler.connect_ex(full.getsockname())
    async with listening(StreamLimits(connect=0.1)) as host:
        flow = host.transport.flow("TCP", full.getsockname())
        host.transport.send(OPTIONS, flow)
        await until(lambda: host.failures)
        assert (host.failures[0][0], type(host.failures[0][1])) == (flow, TimeoutError)
    for sock in (full, *fillers):
        sock.close()


# -- TLS --


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate for 127.0.0.1 and sip.example.org with its key, and one of a stranger."""
    directory = tmp_path_factory.mktemp("tls")
    for name, host in (("server", "sip.example.org"), ("stranger", "other.example.org")):
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
        now = datetime.datetime.now(datetime.UTC)
        names = [x509.DNSName(host), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        certificate = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(hours=1))
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(key, hashes.SHA256())
        )
        (directory / f"{name}.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        (directory / f"{name}.key").write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
    return directory


def tls_server(certificates: Path) -> SocketTransport:
    context = server_context(certificates / "server.pem", certificates / "server.key")
    return SocketTransport(tls=[LOOPBACK], tls_context=context)


def tls_client(certificates: Path, authority: str = "server", name: str | None = None) -> SocketTransport:
    context = client_context(certificates / f"{authority}.pem")
    return SocketTransport(client_context=context, tls_names=lambda remote: name)


@pytest.mark.parametrize("name", [None, "sip.example.org"])
async def test_tls_carries_messages_both_ways_once_the_peer_has_proven_its_name(
    certificates: Path, name: str | None
) -> None:
    async with running(tls_server(certificates), tls_client(certificates, name=name)) as (server, client):
        flow = client.transport.flow("TLS", server.address("TLS"))
        client.transport.send(OPTIONS, flow)
        await until(lambda: server.got)
        assert server.got[0][1].protocol == "TLS"
        server.transport.send(OPTIONS, server.got[0][1])
        await until(lambda: client.got)
        assert client.got == [(OPTIONS, flow)]


@pytest.mark.parametrize(("authority", "name"), [("stranger", None), ("server", "other.example.org")])
async def test_tls_to_a_peer_that_cannot_prove_itself_fails(
    certificates: Path, authority: str, name: str | None
) -> None:
    async with running(tls_server(certificates), tls_client(certificates, authority, name)) as (
        server,
        client,
    ):
        flow = client.transport.flow("TLS", server.address("TLS"))
        client.transport.send(OPTIONS, flow)
        await until(lambda: client.failures)
        assert client.failures[0][0] == flow
        assert isinstance(client.failures[0][1], ssl.SSLCertVerificationError)
        assert server.got == []


async def test_without_an_authority_configured_no_tls_connection_is_opened(certificates: Path) -> None:
    async with running(SocketTransport(), tls_client(certificates)) as (bare, client):
        assert bare.transport.protocols() == {"TCP"}
        assert client.transport.protocols() == {"TCP", "TLS"}
        bare.transport.send(OPTIONS, bare.transport.flow("TLS", ("127.0.0.1", 5061)))
        await until(lambda: bare.failures)


async def test_garbage_on_a_tls_port_harms_nobody(certificates: Path) -> None:
    async with running(tls_server(certificates), tls_client(certificates)) as (server, client):
        reader, writer = await asyncio.open_connection(*server.address("TLS"))
        writer.write(OPTIONS)
        async with asyncio.timeout(5):
            with contextlib.suppress(ConnectionResetError):
                await reader.read()
        writer.close()
        client.transport.send(OPTIONS, client.transport.flow("TLS", server.address("TLS")))
        await until(lambda: server.got)


def test_certificate_files_that_cannot_be_used_are_named(certificates: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty.pem"
    empty.touch()
    with pytest.raises(ConfigurationError, match=r"missing\.pem: No such file"):
        server_context(tmp_path / "missing.pem")
    with pytest.raises(ConfigurationError, match=r"server\.pem: no certificate with a matching private key"):
        server_context(certificates / "server.pem", certificates / "stranger.key")
    with pytest.raises(ConfigurationError, match=r"empty\.pem: no certificate"):
        client_context(empty)


async def test_a_tls_listener_needs_a_certificate() -> None:
    with pytest.raises(ConfigurationError, match="certificate and private_key"):
        await SocketTransport(tls=[LOOPBACK]).start()


# -- listeners that cannot be had --


@pytest.mark.parametrize("protocol", ["udp", "tcp"])
async def test_a_port_in_use_is_named_with_what_to_do(protocol: str) -> None:
    kind = socket.SOCK_DGRAM if protocol == "udp" else socket.SOCK_STREAM
    with socket.socket(socket.AF_INET, kind) as other:
        other.bind(LOOPBACK)
        if protocol == "tcp":
            other.listen()
        address = other.getsockname()
        expected = rf"{protocol.upper()} 127\.0\.0\.1:{address[1]}: the port is in use .* \[sip\] {protocol}"
        with pytest.raises(ConfigurationError, match=expected):
            await SocketTransport(**{protocol: [address]}).start()  # type: ignore[arg-type]


async def test_a_start_that_fails_leaves_no_listener_behind() -> None:
    with socket.socket() as other:
        other.bind(LOOPBACK)
        other.listen()
        transport = SocketTransport(udp=[LOOPBACK], tcp=[other.getsockname()])
        with pytest.raises(ConfigurationError):
            await transport.start()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(transport.listening[0][1])


async def test_an_address_that_is_not_ours_is_named() -> None:
    with pytest.raises(ConfigurationError, match="no such address"):
        await SocketTransport(udp=[("192.0.2.77", 0)]).start()


def test_a_missing_right_is_named() -> None:
    error = refusal("TLS", ("::", 443), PermissionError(errno.EACCES, "Permission denied"))
    assert str(error).startswith("cannot listen on TLS [::]:443: no right to use this port; set a port from 1024 up")


# -- what is advertised --


async def test_a_wildcard_listener_advertises_the_address_that_the_kernel_would_use() -> None:
    transport = SocketTransport(udp=[("0.0.0.0", 0), ("::", 0)], tcp=[("0.0.0.0", 0)])
    async with running(transport) as (host,):
        port = host.address("TCP")[1]
        assert transport.advertised(transport.flow("TCP", ("127.0.0.1", 5060))) == ("127.0.0.1", port)
        assert transport.advertised(transport.flow("UDP", ("::1", 5060)))[0] == "::1"


async def test_a_public_host_is_advertised_to_all_but_near_peers() -> None:
    locality = Locality("203.0.113.5", ["10.0.0.0/8"])
    transport = SocketTransport(udp=[LOOPBACK], locality=locality)
    async with running(transport) as (host,):
        port = host.address("UDP")[1]
        for remote, expected in {
            "198.51.100.1": "203.0.113.5",
            "10.1.2.3": "127.0.0.1",
            "127.0.0.1": "127.0.0.1",
        }.items():
            assert transport.advertised(transport.flow("UDP", (remote, 5060))) == (expected, port)


def test_the_kernel_is_asked_again_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter(["192.0.2.1", "192.0.2.2"])
    monkeypatch.setattr("voice.sip.locality.kernel_choice", lambda remote: next(answers))
    locality = Locality()
    heard = [locality.host("0.0.0.0", "198.51.100.1", now) for now in (0.0, 29.0, 31.0)]
    assert heard == ["192.0.2.1", "192.0.2.1", "192.0.2.2"]
