"""Everything of the world that a service touches: real sockets, disk, database, clock and speech, or simulated ones.

Part of the composition root (`app`). `real` is what `earshot serve` stands on; `voice.sim.stage` has the other.
"""

import asyncio
import random
import ssl
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog

from config.models import Settings, Sip
from voice.clock import Clock, SystemClock
from voice.entropy import PooledRandom
from voice.errors import ConfigurationError
from voice.incidents.identifiers import Identifiers
from voice.media.disk import DiskThread, DiskWriter
from voice.messages.channel import Channel
from voice.messages.configured import channels
from voice.rtp.transport import RtpPorts, UdpPorts
from voice.sip.locality import Locality
from voice.sip.tls import client_context, server_context
from voice.sip.trace import Trace
from voice.sip.transport import SocketTransport, Transport
from voice.speaking import Speech, open_speech
from voice.store.database import is_shared
from voice.store.store import Store
from voice.webhooks import Subscriptions

log = structlog.get_logger(__name__)

InThread = Callable[[Callable[[], Any]], Coroutine[Any, Any, Any]]


@dataclass(slots=True)
class Outside:
    """Everything of the world that a service touches."""

    transport: Transport
    ports: Callable[[str], RtpPorts]
    """RTP ports that a peer at this host can reach."""
    media_host: Callable[[str, str], str]
    """(host that a socket is bound to, the peer's host) to the host that SDP names."""
    store: Store
    disk: DiskWriter
    clock: Clock
    random: random.Random
    in_thread: InThread
    """Runs slow work (reading long files) where it does not stop the media clock."""
    identifiers: Identifiers
    speech: Speech
    channels: Mapping[str, Channel] = field(default_factory=dict)
    """Messages beside calls, by `Send.channel`."""
    subscriptions: Subscriptions | None = None
    """Webhooks, if there are any; the store tells them of every entry."""
    sole: bool = True
    """No other process can use the store."""
    trace: Trace | None = None
    faults: Sequence[str] = ()
    """What of the configuration cannot be used, and keeps nobody from an answer."""


def real(settings: Settings, loop: asyncio.AbstractEventLoop) -> Outside:
    sip, rtp = settings.sip, settings.rtp
    try:
        settings.recordings.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:  # as when the disk fails later: audio waits in memory
        log.error("recordings.directory cannot be made", why=f"{settings.recordings.directory}: {error.strerror}")
    clock = SystemClock()
    near = [str(network) for network in sip.trusted_networks]
    audio = Locality(rtp.public_address or sip.public_address, near)
    by_family = _ports(settings)
    by_family.check()
    subscriptions = Subscriptions(settings.webhooks) if settings.webhooks else None
    sole, rng = not is_shared(settings.store.url), PooledRandom()
    secure, speech = Secure.of(sip), open_speech(settings.speech)
    if secure.faults and not (sip.udp or sip.tcp):
        raise ConfigurationError("\n".join(secure.faults))
    for fault in secure.faults:
        log.error("TLS is not offered as configured", why=fault)
    transport = SocketTransport(
        udp=sip.udp,
        tcp=sip.tcp,
        tls=sip.tls if secure.server else (),
        tls_context=secure.server,
        client_context=secure.client,
        locality=Locality(sip.public_address, near),
    )
    return Outside(
        transport=transport,
        ports=by_family.for_peer,
        media_host=lambda bound, remote: audio.host(bound, remote, loop.time()),
        store=Store(
            settings.store.url,
            node=None if sole else settings.node.name,
            on_entry=subscriptions.on_entry if subscriptions else None,
            waits=True,
        ),
        disk=DiskThread(loop.call_soon_threadsafe, total_limit=settings.recordings.memory_limit_mb << 20),
        clock=clock,
        random=rng,
        in_thread=lambda work: asyncio.to_thread(work),
        identifiers=Identifiers(rng),
        speech=speech,
        channels=channels(settings.messages, clock),
        subscriptions=subscriptions,
        sole=sole,
        trace=_trace(settings, clock),
        faults=[*secure.faults, *speech.mistakes],
    )


@dataclass(slots=True)
class Secure:
    """What TLS stands on, as far as its files can be read."""

    server: ssl.SSLContext | None = None
    client: ssl.SSLContext | None = None
    faults: list[str] = field(default_factory=list)
    """What cannot, a line for each."""

    @classmethod
    def of(cls, sip: Sip) -> "Secure":
        secure = cls()
        try:
            if sip.certificate is not None:
                secure.server = server_context(sip.certificate, sip.private_key)
        except ConfigurationError as error:
            secure.faults.append(f"sip.certificate: {error}")
        try:
            secure.client = client_context(sip.ca)
        except ConfigurationError as error:
            secure.faults.append(f"sip.ca: {error}")
        return secure


def _trace(settings: Settings, clock: Clock) -> Trace | None:
    sip = settings.sip
    if not sip.trace:
        return None
    personal, bodies = settings.log.personal_data, sip.trace_bodies
    if sip.trace_directory is None:
        return Trace(clock, personal=personal, bodies=bodies)
    return Trace.to_directory(sip.trace_directory, clock, personal=personal, bodies=bodies)


@dataclass(slots=True)
class _Ports:
    """RTP ports of the configured address, and, for peers of the other family, of the wildcard."""

    own: UdpPorts
    other: UdpPorts

    def for_peer(self, host: str) -> UdpPorts:
        return self.own if (":" in host) == (":" in self.own.host) else self.other

    def check(self) -> None:
        self.own.check()


def _ports(settings: Settings) -> _Ports:
    rtp = settings.rtp
    first, last = rtp.ports.first, rtp.ports.last
    wildcard = "0.0.0.0" if ":" in rtp.address else "::"
    return _Ports(UdpPorts(rtp.address, first, last), UdpPorts(wildcard, first, last))
