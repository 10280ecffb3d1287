"""The process: a `Service` on real sockets, from its start until it is told to stop.

Nothing that is wrong around it keeps it from answering, as far as that can be: a mistake in the configuration file, a
recording or certificate that cannot be used, a database or a disk that is away, an address for HTTP that another
program has.
"""

import asyncio
import gc
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog

from config.last_good import ConfigurationFile
from config.models import Settings
from voice.address import Address
from voice.app import Service
from voice.following import Following, known_at_start
from voice.http import HttpServer
from voice.logs import set_up_logging
from voice.messages.links import PREFIX
from voice.outside import real
from voice.rtp.transport import raise_file_limit
from voice.store.sole_use import sole_use

log = structlog.get_logger(__name__)

FULL_ROUNDS = 200
"""Rounds over what is young between two full rounds of the garbage collector; Python's own figure is 10."""

HTTP_RETRY_SECONDS = 10.0


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[Service]:
    """A service on real sockets, started; it is stopped on the way out.

    Raises `ConfigurationError` with one clear line for everything that a person has to mend first.
    """
    raise_file_limit()
    with sole_use(settings.store.url):
        outside = real(settings, asyncio.get_running_loop())
        settings, known = await known_at_start(settings, outside.store, outside.clock)
        service = Service(settings, outside, known)
        _keep_the_collector_short()
        await service.start()
        if settings.api.listen is not None:
            service.spawn(_answer_http(settings.api.listen, service))
            await asyncio.sleep(0)  # it listens, if it can
        try:
            yield service
        finally:
            await service.stop()


def _keep_the_collector_short() -> None:
    """Take what was imported and built so far, which stays for good, out of the garbage collector's rounds.

    Walking over all of it stops every thread for up to 100 ms: five ticks of the media clock, or a late 200 OK.
    So does walking over thousands of calls: full rounds come seldom, for what a call leaves goes without them.
    """
    gc.collect()
    gc.freeze()
    young, middle, _ = gc.get_threshold()
    gc.set_threshold(young, middle, FULL_ROUNDS)


async def serve(settings: Settings, file: ConfigurationFile | None = None, *, as_written: bool = True) -> None:
    """Run a service until it is told to stop (SIGINT, SIGTERM). Raises as `running` does.

    `file` is read again when the process is told to (SIGHUP), and kept when it is in use. Not `as_written`: it could
    not be used, and the settings are those of the last time that it could.
    """
    stopping, changed = asyncio.Event(), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, changed.set)
    async with running(settings) as service:
        if file is not None:
            if as_written:
                _keep(file)
            else:
                changed.set()  # it is tried again at once, so that health, metrics and log say what is wrong
            service.spawn(_read_when_told(service.following, file, changed))
        if why := service.outside.speech.why_mute:
            log.warning("prompts are tones", why=why)
        for why in service.outside.speech.mistakes:
            log.error("a recording is not used, its prompt is spoken", why=why)
        _say_ready(service.settings)
        await stopping.wait()
        log.info("stopping")


async def _read_when_told(following: Following, file: ConfigurationFile, told: asyncio.Event) -> None:
    while True:
        await told.wait()
        told.clear()
        try:
            if await following.read_file(file.load):
                _keep(file)
        except Exception:  # it can be told again
            log.exception("the configuration file cannot be read again")


def _keep(file: ConfigurationFile) -> None:
    if why := file.keep():
        log.warning("a mistake in the configuration file would keep the service from starting again", why=why)


def run(settings: Settings, file: ConfigurationFile | None = None, *, as_written: bool = True) -> None:
    """`earshot serve`."""
    set_up_logging(level=settings.log.level, json=settings.log.json_lines, personal_data=settings.log.personal_data)
    asyncio.run(serve(settings, file, as_written=as_written))


def _say_ready(settings: Settings) -> None:
    listening = {
        name: [f"{host}:{port}" for host, port in addresses]
        for name, addresses in (
            ("udp", settings.sip.udp),
            ("tcp", settings.sip.tcp),
            ("tls", settings.sip.tls),
        )
        if addresses
    }
    log.info(
        "earshot answers",
        **listening,
        devices=len(settings.devices),
        operators=len(settings.operators),
        recordings=str(settings.recordings.directory),
    )


async def _answer_http(listen: Address, service: Service) -> None:
    """Health, metrics, links of messages. That its address cannot be had keeps nobody from answering calls."""
    host, port = listen
    while True:
        try:
            server = HttpServer(listen, service.metrics.registry, lambda: service.trouble)
            break
        except OSError as error:
            log.error("no health, metrics and links: api.listen cannot be had", listen=f"{host}:{port}", why=str(error))
            await asyncio.sleep(HTTP_RETRY_SECONDS)
    links = service.escalation_desk.links
    if links is not None:
        server.mount(PREFIX, links.visit, asyncio.get_running_loop())
    server.start()
    try:
        await asyncio.get_running_loop().create_future()
    finally:
        await asyncio.to_thread(server.close)
